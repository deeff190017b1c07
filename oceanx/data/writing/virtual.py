"""Virtual references: an archive of NetCDF4 files seen as one store, without a copy.

An Icechunk repository notes where in the files the chunks lie. Coordinates, attributes and the time axis are those
of a bake; values are the files' own, in whatever chunks they have.
"""

from __future__ import annotations

import base64
import os
import struct
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from math import ceil, prod
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
import zarr
from zarr.codecs import BytesCodec

from ...ocean import grid
from ...vocabulary.errors import InputError
from ...vocabulary.files import refuse_existing
from ...vocabulary.names import DIMENSIONS, variable
from ...vocabulary.progress import Progress
from .. import axis as axes
from .. import units
from ..formats import netcdf
from ..formats.hdf5 import Stored
from ..formats.packing import decode, markers
from ..formats.part import Part, attributes, space
from ..recipe import Recipe, load_recipe
from ..sources import Sources, files
from .metadata import TIME_UNITS, global_attrs, plain
from .targets import PACKING, created, open_icechunk, telling_packing


@dataclass(frozen=True)
class Held:
    """One variable of one part: where its chunks lie, in our dimensions (time first)."""

    path: Path
    stored: Stored
    chunks: tuple[int, ...]
    offsets: np.ndarray
    sizes: np.ndarray


def index(
    recipe: str | os.PathLike[str] | Recipe,
    source: str | os.PathLike[str] | list[Any] | tuple[Any, ...],
    to: str | os.PathLike[str],
    *,
    time: slice | str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    **overrides: Any,
) -> xr.Dataset:
    """The lazy Dataset of an Icechunk repository at `to` that refers to the chunks of NetCDF4 files.

    Values are those that `bake` would store. There is no mask, no fingerprint and no statistics, for which everything
    would have to be read. A file that is changed or moved afterwards can no longer be read through the repository.

    Parameters
    ----------
    recipe, source, time, overwrite, **overrides
        As for `bake`.

    Raises
    ------
    InputError
        For what `bake` refuses, and for files whose chunks cannot stand as they are: another packing, chunking or
        filter than in the file before, a step of the recipe that calculates, a grid that has to be turned.
    """
    chosen = load_recipe(recipe, overrides)
    target = refuse_existing(Path(to), overwrite=overwrite)
    for entry in chosen.steps:
        raise InputError(f"virtual: the step {next(iter(entry))} makes other values than the files'; bake them instead")
    with tempfile.TemporaryDirectory(prefix="oceanx-") as scratch:
        sources = Sources.scan(chosen, files(source), Path(scratch), axes.span(time), progress)
        _write(chosen, sources, target, progress)
    return open_icechunk(target)


def _write(recipe: Recipe, sources: Sources, target: Path, progress: Progress | None) -> None:
    folder = Path(os.path.commonpath([path.absolute().parent for path in sources.paths]))
    with created(target, folder) as repo:
        session = repo.writable_session("main")
        _frame(recipe, sources).to_zarr(session.store, mode="w", zarr_format=3, consolidated=False)
        group = zarr.open_group(session.store, mode="r+")
        for number, name in enumerate(sources.series):
            if progress:
                progress("indexing", number, len(sources.series))
            _referred(session.store, group, sources, name)
        if progress:
            progress("indexing", len(sources.series), len(sources.series))
        session.commit(f"oceanx: references to {len(sources.paths)} files")


def _frame(recipe: Recipe, sources: Sources) -> xr.Dataset:
    """The store without its variables."""
    date = str(np.datetime64("now"))
    part = next((p for p in sources.parts if "depth" in p.axes), sources.parts[0])
    ds = xr.Dataset(coords={"time": ("time", sources.axis, dict(DIMENSIONS["time"]))})
    ds["time"].encoding = {"units": TIME_UNITS, "dtype": "int64", "calendar": "proleptic_gregorian"}
    for dim, values in part.axes.items():
        ds[dim] = (dim, values, dict(DIMENSIONS[dim]))
        ds[dim].encoding["_FillValue"] = None
    if ds.sizes["latitude"] * ds.sizes["longitude"] > 1:
        ds = ds.assign_coords(cell_area=grid.area(ds["latitude"], ds["longitude"]))
    if "depth" in ds.dims:
        ds = ds.assign_coords(thickness=grid.thickness(ds["depth"]))
    if recipe.frequency:
        ends = pd.DatetimeIndex(sources.axis) + pd.tseries.frequencies.to_offset(recipe.frequency)
        ds["time"].attrs["bounds"] = "time_bnds"
        ds["time_bnds"] = (("time", "bnds"), np.stack([sources.axis, ends.to_numpy().astype("M8[ns]")], axis=1))
    told = global_attrs(recipe, sources, date) | {"missing_times": axes.iso(sources.missing)}
    told["history"] = told["history"].replace(" bake of ", " references to ")
    return ds.assign_attrs(plain(told))


def _referred(store: Any, group: zarr.Group, sources: Sources, name: str) -> None:
    """One variable whose chunks are those of the files."""
    import icechunk

    series = sources.series[name]
    wanted = np.flatnonzero(np.isin(series.times, sources.axis))
    first: tuple[Part, Held] | None = None
    for number in dict.fromkeys(series.part[wanted].tolist()):
        part = sources.parts[number]
        held = _held(part, name, sources.paths)
        if first is None:
            first = part, held
            _create(group, part, held, name, sources.axis.size)
        _refuse_other(part, held, *first, name)
        rows = wanted[series.part[wanted] == number]
        location, changed = held.path.absolute().as_uri(), _changed(held.path)
        chunks = []
        for ours, theirs in _steps(part, held, name, series.row[rows], sources.axis, series.times[rows]):
            for place in product(*map(range, held.offsets.shape[1:])):
                at, size = int(held.offsets[theirs, *place]), int(held.sizes[theirs, *place])
                if at >= 0:
                    chunks.append(
                        icechunk.VirtualChunkSpec([ours, *place], location, at, size, last_updated_at_checksum=changed)
                    )
        refused = store.set_virtual_refs(name, chunks)
        assert not refused, refused


def _changed(path: Path) -> datetime:
    """The second by the end of which a file was as it is."""
    return datetime.fromtimestamp(ceil(path.stat().st_mtime), UTC)


def _held(part: Part, name: str, paths: Sequence[Path]) -> Held:
    """Where the chunks of one variable of one part lie; `InputError` if they cannot stand as they are."""
    field = part.fields[name]
    with part.open() as source:
        stored = source.stored(field.name) if isinstance(source, netcdf.File) else None
        path = source.path if isinstance(source, netcdf.File) else Path()
    if stored is None:
        raise InputError(f"{part.label}: {name} is not in plain chunks of a NetCDF4 file; bake it instead")
    if path not in paths:
        raise InputError(f"{part.label}: is in an archive, where nothing can be referred to; unpack it first")
    if units.normal(field.units) != variable(name).units:
        raise InputError(f"{part.label}: {name} is in {field.units!r}, not {variable(name).units!r}; bake it instead")
    ours = [part.dims.get(dim, "") for dim in space(name, part.axes)]
    kept = [*part.time_dims, *filter(None, ours)]
    sizes = dict(zip(field.dims, stored.shape, strict=True))
    if (
        len(part.time_dims) > 1
        or [d for d in field.dims if d in kept] != kept
        or prod(n for d, n in sizes.items() if d not in kept) != 1
    ):
        raise InputError(f"{part.label}: {name} has dimensions {', '.join(field.dims)}; bake it instead")
    for dim in space(name, part.axes):
        if not (isinstance(part.order[dim], slice) and part.order[dim] == slice(None)):
            raise InputError(f"{part.label}: {dim} is not ascending within [-180, 180) in the file; bake it instead")
    if stored.skipped.any():
        raise InputError(f"{part.label}: {name} has chunks without a filter that others have; bake it instead")
    times = sizes[part.time_dims[0]] if part.time_dims else 1
    shape = (times, *part.shape(name))
    if stored.contiguous:  # any piece of it may be called a chunk, one time for instance
        size = stored.dtype.itemsize * prod(shape[1:])
        start = int(stored.offsets.flat[0])
        offsets = start + size * np.arange(times) if start >= 0 else np.full(times, start)
        grid_ = (times, *(1 for _ in shape[1:]))
        return Held(path, stored, (1, *shape[1:]), offsets.reshape(grid_), np.full(grid_, size))
    cuts = dict(zip(field.dims, stored.chunks, strict=True))
    chunks = tuple(cuts[d] if d else 1 for d in ((*part.time_dims, "")[0], *ours))
    grid_ = tuple(ceil(n / c) for n, c in zip(shape, chunks, strict=True))
    return Held(path, stored, chunks, stored.offsets.reshape(grid_), stored.sizes.reshape(grid_))


def _create(group: zarr.Group, part: Part, held: Held, name: str, times: int) -> None:
    """The variable, without a chunk; an absent chunk stands for missing values."""
    field, stored = part.fields[name], held.stored
    missing, _ = markers(stored.dtype, field.packing)
    if not missing and stored.dtype.kind != "f":
        raise InputError(f"{part.label}: {name} has no number that means missing; bake it instead")
    attrs = dict(attributes(name, units.normal(field.units), field.cell_methods, field.attrs))
    packing = {key: value for key, value in field.packing.items() if np.asarray(value).dtype.kind in "iufUS"}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Numcodecs codecs are not in the Zarr version 3")
        group.create_array(
            name,
            shape=(times, *part.shape(name)),
            dtype=stored.dtype.newbyteorder("="),
            chunks=held.chunks,
            serializer=BytesCodec(endian="little" if stored.dtype.newbyteorder("<") == stored.dtype else "big"),
            compressors=_codecs(stored),
            fill_value=missing[0] if missing else np.nan,
            dimension_names=("time", *space(name, part.axes)),
            attributes=plain(attrs) | _cf(packing) | {PACKING: telling_packing(packing)},
        )


def _codecs(stored: Stored) -> list[Any] | None:
    """The filters of a file as codecs."""
    from zarr.codecs import numcodecs

    known = {1: lambda: numcodecs.Zlib(level=1), 2: lambda: numcodecs.Shuffle(elementsize=stored.dtype.itemsize),
             3: lambda: numcodecs.Fletcher32()}  # fmt: skip
    return [known[code]() for code in stored.filters] or None


def _cf(packing: Mapping[str, Any]) -> dict[str, Any]:
    """The same packing as CF has it, for readers that do not know ours."""
    told: dict[str, Any] = {}
    for key, value in packing.items():
        number = np.asarray(value)
        if number.dtype.kind == "f" and not np.isfinite(number).all():
            continue  # JSON has no such number
        if key == "_FillValue" and number.dtype.kind == "f":
            told[key] = base64.standard_b64encode(struct.pack("<d", number.item())).decode()  # as xarray writes it
        else:
            told[key] = number.tolist()
    return told


def _refuse_other(part: Part, held: Held, model: Part, first: Held, name: str) -> None:
    """`InputError` naming the file whose chunks are not those of the first file."""
    here, there = part.fields[name], model.fields[name]
    for what, one, other in (
        ("is packed otherwise", telling_packing(here.packing), telling_packing(there.packing)),
        ("has another type", held.stored.dtype, first.stored.dtype),
        ("has other filters", held.stored.filters, first.stored.filters),
        ("has other chunks", held.chunks, first.chunks),
    ):
        if one != other:
            raise InputError(f"{part.label}: {name} {what} than in {model.label} ({one}, not {other}); bake it instead")
    if (held.offsets < 0).any() and not np.isnan(decode(held.stored.fill, here.packing)).all():
        raise InputError(
            f"{part.label}: {name} has chunks that were never written, and are not missing; bake it instead"
        )


def _steps(
    part: Part, held: Held, name: str, rows: np.ndarray, axis: np.ndarray, times: np.ndarray
) -> Iterator[tuple[int, int]]:
    """For each chunk along time: its number in the store, and in the file."""
    length = held.chunks[0]
    theirs = part.picks[rows, 0] if part.time_dims else np.zeros(rows.size, int)
    ours = np.searchsorted(axis, times)
    whole = held.stored.shape[part.fields[name].dims.index(part.time_dims[0])] if part.time_dims else 1
    for number in np.unique(theirs // length):
        mine = theirs // length == number
        expected = np.arange(number * length, min(whole, (number + 1) * length))
        start = int(ours[mine][0])
        fits = start % length == 0 and (expected.size == length or start + expected.size == axis.size)
        if not (
            fits
            and np.array_equal(theirs[mine], expected)
            and np.array_equal(ours[mine], start + np.arange(expected.size))
        ):
            raise InputError(
                f"{part.label}: {name} has chunks of {length} times that do not meet the time axis of the store; "
                "bake it instead"
            )
        yield start // length, int(number)
