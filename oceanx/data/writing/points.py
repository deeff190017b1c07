"""The writer of observations: files of points become one Zarr store along `obs`, in time, in bounded memory.

Each file is read once and left, sorted, beside the store to be; then all are merged by time, some days at once. What
was interrupted is taken up again at the first file not yet read.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from oceanx.vocabulary.progress import Progress

from ...ocean.observations import COORDINATES, FEATURE, REJECTED, column_attrs, reasons
from ...vocabulary.errors import InputError
from ...vocabulary.files import partial, publish, remove
from .. import axis as axes
from .encode import Layout, Target, small_array
from .metadata import origin, plain
from .points_merge import Merge, read_part
from .store import consolidate
from .unfinished import held, taken_up

if TYPE_CHECKING:
    from ..recipe import Recipe

CHUNK = 2**20  # observations
_VERSION = 1  # of the parts left beside an unfinished store
_TIME_UNITS = "milliseconds since 1970-01-01"
_ANY_TIME: axes.Span = (None, None)


def write(
    recipe: Recipe,
    paths: Sequence[Path],
    target: Path,
    *,
    when: axes.Span = _ANY_TIME,
    resume: bool = True,
    progress: Progress | None = None,
) -> None:
    """Write the store of all observations in some files, and give it its name when it is complete.

    Raises
    ------
    InputError
        For a file that cannot be read or holds nothing that is wanted, a datum that is in two files (unless the recipe
        says `duplicates: first` or `last`), a variable that is in no file, or if nothing good is left.
    """
    _refuse_gridded(recipe)
    work = partial(target)
    with held(work):
        date = taken_up(work, _key(recipe, paths, when), resume)
        (work / "done").mkdir(exist_ok=True)
        try:
            parts = []
            for number, path in enumerate(paths):
                if progress:
                    progress("reading", number, len(paths))
                parts.append(read_part(recipe, path, when, work / "done" / f"{number:07d}"))
            merged = Merge(recipe, parts)
            merged.refuse_absent()
            _store(merged, work / "store", date, progress)
        except InputError:
            remove(work)  # wrong files will be other files next time: nothing of this can be taken up again
            raise
        publish(work / "store", target)
    remove(work)


def _refuse_gridded(recipe: Recipe) -> None:
    if recipe.steps:
        raise InputError(f"steps: {', '.join(recipe.steps[0])} is for fields on a grid; observations take no steps")
    if recipe.packed or recipe.rounding:
        raise InputError("packed and round: are for fields on a grid; leave them out for observations")
    for name, pick in recipe.variables.items():
        if pick.names:
            raise InputError(
                f"variables: {name}: the reader {recipe.reader} knows the names in its files; leave names out"
            )


def _key(recipe: Recipe, paths: Sequence[Path], when: axes.Span) -> dict[str, Any]:
    """What must be the same for an interrupted bake to be taken up again."""
    seen = [[str(path), os.stat(path).st_size, os.stat(path).st_mtime_ns] for path in paths if path.exists()]
    return {"version": _VERSION, "recipe": recipe.hash(), "when": [str(t) for t in when], "files": seen}


def _store(merged: Merge, path: Path, date: str, progress: Progress | None) -> None:
    """Write the Zarr store, chunk by chunk."""
    remove(path)
    group = zarr.open_group(path, mode="w", zarr_format=merged.recipe.zarr_format)
    template = merged.full[0]
    kinds = template.records.dtype
    attrs = column_attrs(merged.variables, merged.platforms, [0], str(merged.attrs.get(FEATURE, "point")))
    arrays = {str(n): _array(group, path, str(n), merged, attrs.get(str(n), {})) for n in kinds.names or ()}
    for name, (dims, values, kind, told) in template.coords.items():
        small_array(group, name, np.array(values, kind), dims, plain(told))
    hashes = {name: hashlib.sha256(name.encode()) for name in arrays}
    chunk, done, seen = min(CHUNK, merged.total), 0, {0}
    left = np.empty(0, kinds)
    for rows in merged:
        left = np.concatenate([left, rows])
        whole = left.size // chunk * chunk
        done = _put(arrays, hashes, left[:whole], done, seen)
        left = left[whole:]
        if progress:
            progress("writing", done, merged.total)
    done = _put(arrays, hashes, left, done, seen)
    for v in arrays.values():
        if v.shape[0] != done:
            v.resize((done, *v.shape[1:]))
    arrays["qc"].attrs.update(plain(column_attrs([], [], seen, "point")["qc"]))
    digest = hashlib.sha256(json.dumps([merged.variables, merged.platforms]).encode())
    for name in sorted(hashes):
        digest.update(hashes[name].digest())
    group.attrs.put(plain(_global_attrs(merged, date, digest.hexdigest()[:32])))
    consolidate(path, merged.recipe.zarr_format)


def _array(group: zarr.Group, path: Path, name: str, merged: Merge, attrs: Mapping[str, Any]) -> Any:
    """An empty array of one column."""
    extras = merged.full[0].extras
    kind, shape = merged.full[0].records.dtype[name].base, merged.full[0].records.dtype[name].shape
    dims, told = extras.get(name, (["obs"], attrs))
    told = dict(told)
    if name == "time":
        told |= {"units": _TIME_UNITS, "calendar": "proleptic_gregorian"}
    if name not in COORDINATES:
        told |= {"coordinates": " ".join(COORDINATES)}
    layout = Layout((min(CHUNK, merged.total), *shape))
    # In Zarr v2 the value of absent chunks is the one that means missing; of integers none does here.
    fill: Any = np.nan if kind.kind == "f" else None if merged.recipe.zarr_format == 2 else 0
    whole = (merged.total, *shape)
    recipe = merged.recipe
    Target(path / name, whole, kind.str, fill, layout, recipe.compression, recipe.zarr_format).create(
        group, dims, plain(told)
    )
    return group[name]


def _put(arrays: Mapping[str, Any], hashes: Mapping[str, Any], rows: np.ndarray, done: int, seen: set[int]) -> int:
    """Write some records at the end of every column; how many there are then."""
    if not rows.size:
        return done
    for name, v in arrays.items():
        column = np.ascontiguousarray(rows[name])
        v[done : done + rows.size] = column
        hashes[name].update(column.tobytes())
    seen.update(np.unique(rows["qc"]).tolist())
    return done + rows.size


def _global_attrs(merged: Merge, date: str, fingerprint: str) -> dict[str, Any]:
    recipe = merged.recipe
    days = sorted({day for part in merged.parts for day in part.days})
    first, last = (str(np.datetime64(day, "D")) for day in (days[0], days[-1]))
    out = reasons(merged.attrs) | ({"duplicate": sum(merged.repeated.values())} if merged.repeated else {})
    history = f"{date}Z: oceanx {version('oceanx')} bake of {len(merged.parts)} files, {first} to {last}"
    return origin(recipe, history, [Path(part.source).name for part in merged.parts]) | {
        "featureType": "point",
        **({"comment": merged.attrs["comment"]} if "comment" in merged.attrs else {}),
        FEATURE: merged.attrs.get(FEATURE, "point"),
        "rejected_total": json.dumps(out),
        **({REJECTED: merged.attrs[REJECTED]} if REJECTED in merged.attrs else {}),
        "oceanx_fingerprint": fingerprint,
    }
