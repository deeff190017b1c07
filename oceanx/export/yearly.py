"""One file a year, filled block by block, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ..vocabulary import published
from ..vocabulary.errors import InputError
from ..vocabulary.files import refuse_existing, replacing
from ..vocabulary.names import DIMENSIONS, VARIABLES
from ..vocabulary.progress import Progress
from .way import Asked, Way

_BLOCK = 64 * 2**20  # bytes of one variable held at a time, where a day of it is not more
Opener = Callable[[Path, Way, np.ndarray, xr.Dataset], AbstractContextManager[Mapping[str, Any]]]


def years(ds: xr.Dataset, asked: Asked) -> dict[int, np.ndarray]:
    """Where in time the days of each file stand, by year.

    Raises
    ------
    InputError
        If the times are not days, or a year is not whole and `partial` was not asked for.
    """
    time = ds["time"].values.astype("datetime64[ns]")
    whole = time.astype("datetime64[D]").astype("datetime64[ns]")
    if (time != whole).any() or (np.diff(time) <= np.timedelta64(0)).any():
        raise InputError("time: expected ascending days at 00:00; take daily means first")
    missing = np.array(np.atleast_1d(ds.attrs.get("missing_times", [])), "datetime64[ns]")
    held = time.astype("datetime64[Y]").astype(int) + 1970
    found = {}
    for year in np.unique(held):
        days = published.days_of(int(year), asked.absent_day)
        lacking = days[~np.isin(days, time) | np.isin(days, missing)]
        if lacking.size and not asked.partial:
            hint = (
                ""
                if lacking.size > 1 or str(lacking[0])[5:10] not in published.DAYS
                else (f"; if the system's years have 365 days, say absent_day={str(lacking[0])[5:10]!r}")
            )
            raise InputError(
                f"time: {year} lacks {lacking.size} of {days.size} days (first {str(lacking[0])[:10]}); choose whole "
                f"years, or say partial=true{hint}"
            )
        found[int(year)] = np.flatnonzero(np.isin(time, days))
    return {year: at for year, at in found.items() if at.size}


def named(file: str) -> str:
    """A file's name with a place for the year; `InputError` if it has none, or is more than a name."""
    if "{year}" not in file or Path(file).name != file:
        raise InputError(f"file: {file!r}; expected a name with {{year}} in it, such as GLORYS_05_{{year}}.h5")
    return file


def targets(to: Path, names: list[str], overwrite: bool) -> list[Path]:
    """The files to come in the folder `to`, which is made; `InputError` if one exists and may not be replaced."""
    if to.exists() and not to.is_dir():
        raise InputError(f"{to}: is a file; expected a folder for {names[0]} and others")
    if not to.exists():
        refuse_existing(to)
        to.mkdir()
    return [refuse_existing(to / name, overwrite=overwrite) for name in names]


def write(
    ds: xr.Dataset,
    way: Way,
    at: Mapping[int, np.ndarray],
    files: Mapping[int, Path],
    opener: Opener,
    *,
    overwrite: bool,
    progress: Progress | None,
) -> None:
    """Write every year's file; each takes its name when it is complete."""
    total = sum(days.size for days in at.values()) * len(way.layout.order)
    done = 0
    for year, days in at.items():
        with replacing(files[year], overwrite=overwrite) as path, opener(path, way, days, ds) as arrays:
            for name in way.layout.order:
                step = _step(ds[name], way)
                for start in range(0, days.size, step):
                    where = slice(start, min(start + step, days.size))
                    values = ds[name].isel(time=_as_slice(days[where])).values
                    arrays[way.layout.key(name)][_index(way, name, where)] = way.arranged(name, values)
                    done += where.stop - where.start
                    if progress:
                        progress(f"writing, {files[year].name}", done, total)


def _index(way: Way, name: str, where: slice) -> tuple[Any, ...]:
    """Where in a file's dataset some days of a variable stand."""
    if not way.layout.stacked:
        return (where,)
    channels = way.layout.slices[name]
    return where, channels if VARIABLES[name].volume else channels.start


def _as_slice(positions: np.ndarray) -> slice | np.ndarray:
    """Positions as a slice where they follow one another, which a lazy array is quicker to take."""
    together = positions[-1] - positions[0] == positions.size - 1
    return slice(int(positions[0]), int(positions[-1]) + 1) if together else positions


def _step(v: xr.DataArray, way: Way) -> int:
    """How many days are carried at a time: whole chunks of the store, where they are small enough."""
    day = 4 * way.layout.levels(str(v.name)) * way.rows.size * way.columns.size
    step = max(1, _BLOCK // day)
    chunk = v.chunksizes["time"][0] if v.chunksizes.get("time") else 1
    return step // chunk * chunk if chunk <= step else step


@contextmanager
def hdf5(path: Path, way: Way, days: np.ndarray, ds: xr.Dataset) -> Iterator[Mapping[str, Any]]:
    """A new HDF5 file with its dataset (day, channel, row, column), one map a chunk."""
    import h5py  # takes a moment, and only these files need it

    with h5py.File(path, "w") as file:
        shape = (days.size, len(way.layout), *way.shape)
        for key in way.layout.keys:
            file.create_dataset(key, shape, "f4", chunks=(1, 1, *way.shape))
        for key, value in described(way, ds).items():
            file.attrs[key] = value
        yield file


def described(way: Way, ds: xr.Dataset) -> dict[str, str]:
    """What a file says of its channels and grid, as attributes that its own system never reads."""
    layout, asked = way.layout, way.asked
    kinds = {name: ds[name].attrs.get(published.QUANTITY, "total") for name in layout.order}
    channels = (f"{name} {where.start}:{where.stop} ({kinds[name]})" for name, where in layout.slices.items())
    return {
        "channels": ", ".join(channels),
        "orientation": f"rows {asked.rows.replace('_', ' ')}, first longitude {asked.first_longitude:g}",
        "oceanx_fingerprint": str(ds.attrs.get("oceanx_fingerprint", "")),
    }


@contextmanager
def netcdf(path: Path, way: Way, days: np.ndarray, ds: xr.Dataset) -> Iterator[Mapping[str, Any]]:
    """A new NetCDF file with its variables and their coordinates."""
    import netCDF4

    with netCDF4.Dataset(path, "w") as file:
        height, width = way.shape
        sizes = {"time": days.size, "channel": len(way.layout), "latitude": height, "longitude": width}
        dims = [d for d in sizes if d != "channel" or way.layout.stacked]
        for dim in dims:
            file.createDimension(dim, sizes[dim])
        _coordinates(file, way, days, ds)
        for key in way.layout.keys:
            chunks = [1 if dim in ("time", "channel") else sizes[dim] for dim in dims]
            file.createVariable(key, "f4", dims, fill_value=np.float32(np.nan), chunksizes=chunks)
        file.setncatts(described(way, ds))
        yield file.variables


def _coordinates(file: Any, way: Way, days: np.ndarray, ds: xr.Dataset) -> None:
    seconds = ds["time"].values[days].astype("datetime64[s]").astype("int64")
    time = file.createVariable("time", "i8", ("time",))
    time.setncatts(DIMENSIONS["time"] | {"units": "seconds since 1970-01-01", "calendar": "proleptic_gregorian"})
    time[:] = seconds
    for name, values in (("latitude", way.latitude), ("longitude", ds["longitude"].values[way.columns])):
        axis = file.createVariable(name, "f8", (name,))
        axis.setncatts(DIMENSIONS[name])
        axis[:] = values
