"""The writer: block after block of a CF Zarr store, in bounded memory, and from where it was interrupted."""

from __future__ import annotations

import json
import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr
import zarr
from zarr.codecs import BloscCodec

from oceanx.vocabulary.progress import Progress

from ..ocean import grid
from ..vocabulary.errors import InputError
from ..vocabulary.files import partial, publish, remove
from ..vocabulary.names import VARIABLES
from . import axis as axes
from . import steps
from .blocks import Block, Record, check_range, mask_of, refuse_empty
from .chunking import days_at_once, layout
from .metadata import TIME_UNITS, fingerprint, global_attrs
from .sources import Sources

if TYPE_CHECKING:
    from .recipe import Recipe

log = logging.getLogger(__name__)
_GROUP = 512 * 2**20  # bytes of one time of the variables that are carried together
_OURS = {"lock", "manifest.json", "manifest.new", "store", "done"}  # what an unfinished store consists of
_VERSION = 1  # of the layout of an unfinished store


def write(
    recipe: Recipe,
    sources: Sources,
    target: Path,
    *,
    resume: bool = True,
    progress: Progress | None = None,
) -> None:
    """Write the store that a recipe makes of its sources, and give it its name when it is complete."""
    groups = _groups(sources)
    template = _template(sources, groups)
    work = partial(target)
    with _alone(work):
        date = _prepare(work, _key(recipe, sources), resume)
        shapes = {str(n): v.shape[1:] for n, v in template.data_vars.items()}
        length = days_at_once(shapes, sources.axis.size, recipe.purpose)
        _create(work / "store", template, sources.axis, length, recipe)
        blocks = list(_blocks(sources.axis.size, length, len(groups)))
        try:
            _fill(work, sources, groups, blocks, progress)
        except InputError:
            remove(work)  # wrong files will be other files next time: nothing of this can be taken up again
            raise
        _finish(work, recipe, sources, template, blocks, date)
        publish(work / "store", target)
    remove(work)


def _groups(sources: Sources) -> list[list[str]]:
    """Variables carried together: all of them for small maps, one by one for large."""
    groups: list[list[str]] = [[]]
    held = 0
    for name, s in sources.series.items():
        size = 4 * int(np.prod(sources.parts[s.part[0]].shape(name)))
        if groups[-1] and held + size > _GROUP:
            groups.append([])
            held = 0
        groups[-1].append(name)
        held += size
    return groups


def _made(sources: Sources, names: list[str], times: np.ndarray) -> xr.Dataset:
    """The variables at output `times` after every step: our units, float32."""
    ds = steps.apply(sources.read(names, times, sources.exact(names)), sources.steps)
    ds = steps.convert_units(ds)
    order = ("time", "depth", "latitude", "longitude")
    return ds.astype(np.float32).transpose(*(d for d in order if d in ds.dims))


def _template(sources: Sources, groups: list[list[str]]) -> xr.Dataset:
    """A Dataset of one time that shows the variables, coordinates and attributes to come."""
    first = sources.axis[:1]
    parts = [_made(sources, names, first) for names in groups]
    ds = xr.merge(parts, combine_attrs="override", compat="override", join="exact")
    if not ds.data_vars:
        raise InputError("the recipe's steps left no variable; check `variables` and `steps`")
    return ds


def _key(recipe: Recipe, sources: Sources) -> str:
    """What must be the same for an interrupted bake to be taken up again."""
    stats = [(str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in sources.paths]
    times = [int(t) for t in sources.axis[[0, -1]].astype("int64")] + [sources.axis.size, sources.missing.size]
    return json.dumps([_VERSION, recipe.hash(), times, stats])


@contextmanager
def _alone(work: Path) -> Iterator[None]:
    """Hold the unfinished store against a second writer; the lock goes with the process, however that ends."""
    if work.exists() and not (work.is_dir() and {p.name for p in work.iterdir()} <= _OURS):
        raise InputError(f"{work}: is in the way and not an unfinished store of ours; move it elsewhere")
    work.mkdir(exist_ok=True)
    try:
        import fcntl
    except ImportError:  # not on Windows
        yield
        return
    with (work / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(f"{work}: another process is writing it; wait for that one, or stop it") from None
        yield


def _prepare(work: Path, key: str, resume: bool) -> str:
    """Keep what an interrupted bake of the same key left, or clear the place; the date on which it was begun."""
    manifest = work / "manifest.json"
    if resume and manifest.is_file():
        found = json.loads(manifest.read_text())
        if found.get("key") == key:
            for stray in (work / "store").rglob("*.partial"):
                stray.unlink()
            return str(found["date"])
    for old in ("manifest.json", "done", "store"):
        remove(work / old)
    date = str(np.datetime64("now"))
    _write_json(manifest, {"key": key, "date": date})
    return date


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(content))
    os.replace(temporary, path)


def _create(path: Path, template: xr.Dataset, axis: np.ndarray, length: int, recipe: Recipe) -> None:
    """Make the group, its coordinates and its empty variables, unless an interrupted bake has."""
    if (path.parent / "done").is_dir():
        return
    remove(path)
    group = zarr.open_group(path, mode="w", zarr_format=3)
    seconds = axis.astype("datetime64[s]").astype("int64")
    attrs = dict(template["time"].attrs) | {"units": TIME_UNITS, "calendar": "proleptic_gregorian"}
    if recipe.frequency:
        ends = pd.DatetimeIndex(axis) + pd.tseries.frequencies.to_offset(recipe.frequency)
        bounds = np.stack([seconds, ends.to_numpy().astype("datetime64[s]").astype("int64")], axis=1)
        _array(group, "time_bnds", bounds, ("time", "bnds"), {})
        attrs["bounds"] = "time_bnds"
    _array(group, "time", seconds, ("time",), attrs)
    for name in ("depth", "latitude", "longitude"):
        if name in template.dims:
            _array(group, name, template[name].values, (name,), template[name].attrs)
    for variable, v in template.data_vars.items():
        cut = layout(v.shape[1:], length, recipe.purpose)
        group.create_array(
            str(variable),
            shape=(axis.size, *v.shape[1:]),
            dtype="float32",
            chunks=cut.chunks,
            shards=cut.shards,
            compressors=BloscCodec(cname="lz4", clevel=5, shuffle="shuffle", typesize=4),
            fill_value=np.nan,
            chunk_key_encoding={"name": "default", "separator": "."},  # files beside one another, not five folders deep
            dimension_names=[str(d) for d in v.dims],
            attributes=_plain(v.attrs),
        )
    (path.parent / "done").mkdir()


def _array(group: zarr.Group, name: str, values: np.ndarray, dims: tuple[str, ...], attrs: Mapping[Any, Any]) -> None:
    """A small array in one chunk."""
    array = group.create_array(
        name,
        shape=values.shape,
        dtype=values.dtype,
        chunks=tuple(max(1, n) for n in values.shape),
        compressors=BloscCodec(cname="lz4", clevel=5, shuffle="shuffle", typesize=values.dtype.itemsize),
        dimension_names=dims,
        attributes=_plain(attrs),
    )
    array[...] = values


def _plain(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(k): v.item() if isinstance(v, np.generic) else v for k, v in attrs.items()}


def _blocks(times: int, length: int, groups: int) -> Iterator[Block]:
    for start in range(0, times, length):
        for number in range(groups):
            yield Block(start, min(times, start + length), number)


def _fill(
    work: Path,
    sources: Sources,
    groups: list[list[str]],
    blocks: list[Block],
    progress: Progress | None,
) -> None:
    """Read and write every block that is not done; one is written while the next is read."""
    group = zarr.open_group(work / "store", mode="r+", zarr_format=3)
    arrays = {name: array for name, array in group.arrays() if name in VARIABLES and "time" in _dims(array)}
    writing: Future[None] | None = None
    with ThreadPoolExecutor(1) as pool:
        for number, block in enumerate(blocks):
            if progress:
                progress("baking", number, len(blocks))
            if block.record(work).is_file():
                continue
            times = sources.axis[block.start : block.stop]
            present = times[~np.isin(times, sources.missing)]
            ds = _made(sources, groups[block.group], present) if present.size else None
            if ds is not None:
                refuse_empty(ds, sources)
                check_range(ds, sources)
            if writing:
                writing.result()
            writing = pool.submit(_put, work, arrays, block, ds, np.isin(times, present))
        if writing:
            writing.result()
    if progress:
        progress("baking", len(blocks), len(blocks))


def _dims(array: zarr.Array) -> tuple[str, ...]:
    return tuple(str(d) for d in array.metadata.dimension_names or ())  # type: ignore[union-attr]


def _put(work: Path, arrays: Mapping[str, zarr.Array], block: Block, ds: xr.Dataset | None, there: np.ndarray) -> None:
    """Write one block, then the record that says so."""
    record = Record({}, {}, {}, set())
    for name, v in ds.data_vars.items() if ds is not None else ():
        values = np.ascontiguousarray(v.values)
        record.add(str(name), values, v["time"].values)
        if not there.all():
            whole = np.full((there.size, *values.shape[1:]), np.nan, np.float32)
            whole[there] = values
            values = whole
        arrays[str(name)][block.start : block.stop] = values
    record.save(block.record(work))


def _finish(work: Path, recipe: Recipe, sources: Sources, template: xr.Dataset, blocks: list[Block], date: str) -> None:
    """Mask, areas, thickness, attributes, fingerprint; consolidated metadata last."""
    records = [Record.load(block.record(work)) for block in blocks]
    group = zarr.open_group(work / "store", mode="r+", zarr_format=3)
    extra, attrs = mask_of(template, records)
    if "mask_disagreement" in attrs:
        log.warning("masks of variables disagree: %s", attrs["mask_disagreement"])
    extra |= _geometry(template)
    for name, v in extra.items():
        if name in group:
            del group[name]
        _array(group, name, v.values, tuple(str(d) for d in v.dims), VARIABLES[name].attrs)
    missing = sorted(set(axes.iso(sources.missing)).union(*(record.empty for record in records)))
    attrs |= {"missing_times": missing, "coordinates": " ".join(sorted(extra))}
    attrs["oceanx_fingerprint"] = fingerprint(template, sources, records)
    group.attrs.put(_plain(global_attrs(recipe, sources, date) | attrs))
    _consolidate(work / "store")


def _geometry(template: xr.Dataset) -> dict[str, xr.DataArray]:
    """`cell_area` and `thickness`, where the coordinates tell them (a single point has no size)."""
    found = {}
    if template.sizes["latitude"] * template.sizes["longitude"] > 1:
        found["cell_area"] = grid.area(template["latitude"], template["longitude"])
    if "depth" in template.dims:
        found["thickness"] = grid.thickness(template["depth"])
    return found


def _consolidate(path: Path) -> None:
    with warnings.catch_warnings():
        # Readers that do not know consolidated metadata of Zarr v3 read the arrays' own, which are the same.
        warnings.filterwarnings("ignore", message="Consolidated metadata")
        zarr.consolidate_metadata(path, zarr_format=3)
