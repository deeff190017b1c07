"""OneForecast's atmosphere: 69 channels every six hours in one HDF5 file, of which an ocean is told the last four.

`fields` (time, 69, row, column) of analyses, or (start × lead, 69, row, column) of forecasts; on 13 levels z, q, t, u
and v, then u10, v10, t2m and msl.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask.array
import numpy as np
import pandas as pd
import xarray as xr

from ...ocean import labels
from ...vocabulary.errors import InputError
from ...vocabulary.names import DIMENSIONS, VARIABLES
from ...vocabulary.published import ONEFORECAST, Orientation
from ..formats.part import Part, Wanted, everything, to_dataset
from ..formats.published import parts_of, told_by
from ..formats.published_masks import hdf5


def read(path: Path | str, **options: Any) -> xr.Dataset:
    """The Dataset of one file of analyses, in memory; `options` as of `parts`."""
    return to_dataset(parts(Path(path), everything(), Path(), **options))


def parts(
    path: Path,
    wanted: Mapping[str, Wanted],
    scratch: Path,
    *,
    first_longitude: float | None = None,
    year: int | None = None,
    first_day: str | None = None,
    absent_day: str | None = None,
    rows: str = ONEFORECAST.rows,
    resolution: float = 1.5,
    dropped_row: str = "last",
    latitude: tuple[float, float] | None = None,
    longitude: tuple[float, float] | None = None,
) -> list[Part]:
    """What one file of analyses holds, every six hours from 00:00. `scratch` is not needed.

    Parameters
    ----------
    first_longitude
        Degrees of the first column, which nothing tells: 0 or -180. Required of a global file.
    year, first_day, absent_day, rows, resolution, dropped_row, latitude, longitude
        As of `neuralom.parts`.
    """
    _refuse_unknown_columns(path, first_longitude, longitude)
    return parts_of(path, ONEFORECAST, wanted, hdf5, told_by(path, locals()))


def forecasts(
    path: Path | str,
    init_time: Any,
    *,
    first_longitude: float | None = None,
    first_lead: str = "6h",
    step: str = "6h",
    key: str = "fields",
    rows: str = ONEFORECAST.rows,
    resolution: float = 1.5,
    dropped_row: str = "last",
    latitude: tuple[float, float] | None = None,
    longitude: tuple[float, float] | None = None,
) -> xr.Dataset:
    """The labelled forecast (init_time, lead_time, latitude, longitude) in a file of forecasts, lazily.

    Parameters
    ----------
    path
        HDF5 with `key` (start, lead, 69, row, column), or starts and leads in one dimension, all leads of the first
        start first.
    init_time
        The date of every start, which nothing tells.
    first_longitude
        Degrees of the first column, which nothing tells either: 0 or -180. Required of a global file.
    first_lead, step
        The first lead in the file, and from one to the next.
    rows, resolution, dropped_row, latitude, longitude
        As of `neuralom.parts`.

    Raises
    ------
    InputError
        For another number of channels or starts, another grid, or a file that is none of these.

    Examples
    --------
    >>> fc = forecasts("atmosphere.h5", ["2020-01-01", "2020-01-08"], first_longitude=0)       # doctest: +SKIP
    >>> ox.forecast(model, ds, "2020-01-08", forcing=fc, forcing_regrid=True)                  # doctest: +SKIP
    """
    path = Path(path)
    _refuse_unknown_columns(path, first_longitude, longitude)
    given = {"rows": rows, "resolution": resolution, "dropped_row": dropped_row, "latitude": latitude,
             "longitude": longitude, "first_longitude": first_longitude}  # fmt: skip
    lies = Orientation.parse({k: v for k, v in given.items() if v is not None}, str(path))
    starts = pd.DatetimeIndex(np.atleast_1d(init_time)).astype("datetime64[ns]")
    shape, dtype = _looked_at(path, key, len(starts))
    south_first = np.argsort(lies.latitudes(shape[-2], f"{path}: {key}"))
    east = (lies.longitudes(shape[-1], f"{path}: {key}") + 180) % 360 - 180
    west_first = np.argsort(east)
    coords = {
        "init_time": ("init_time", starts, DIMENSIONS["init_time"]),
        "lead_time": pd.Timedelta(first_lead) + pd.Timedelta(step) * np.arange(shape[1]),
        "latitude": ("latitude", lies.latitudes(shape[-2], "")[south_first], DIMENSIONS["latitude"]),
        "longitude": ("longitude", east[west_first], DIMENSIONS["longitude"]),
    }
    fields = {}
    for name, where in ONEFORECAST.slices.items():
        channel = Channel(path, key, where.start, shape[:2] + shape[-2:], dtype)
        maps = dask.array.from_array(channel, chunks=(1, *channel.shape[1:]), asarray=False, name=False)
        fields[name] = (labels.ORDER[1:3] + labels.ORDER[4:], maps[..., south_first, :][..., west_first])
    fc = xr.Dataset(fields, coords, {"title": "OneForecast", "source": path.name})
    for name in fields:
        fc[name].attrs = dict(VARIABLES[name].attrs)
    fc = labels.label(fc)
    labels.check(fc, values=False, where=str(path))
    return fc


@dataclass(frozen=True)
class Channel:
    """One channel of a file of forecasts as an array (start, lead, row, column) that reads what is asked for."""

    path: Path
    key: str
    channel: int
    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def ndim(self) -> int:
        """Four."""
        return len(self.shape)

    def __getitem__(self, index: tuple[slice, ...]) -> np.ndarray:
        start, lead, *space = index
        with hdf5(self.path) as source:
            array = source[self.key]
            if array.ndim == 5:
                return np.asarray(array[(start, lead, self.channel, *space)])
            leads = self.shape[1]
            chosen = range(*start.indices(self.shape[0]))
            many = [array[i * leads : (i + 1) * leads, self.channel][(lead, *space)] for i in chosen]
            return np.stack(many) if many else np.empty((0, *self.shape[1:]), self.dtype)


def _looked_at(path: Path, key: str, starts: int) -> tuple[tuple[int, ...], np.dtype]:
    """The shape (start, lead, channel, row, column) of a file's forecasts, and the type of its numbers."""
    with hdf5(path) as source:
        if key not in source or not hasattr(source[key], "shape"):
            raise InputError(f"{path}: holds {', '.join(sorted(map(str, source))) or 'nothing'}; expected {key!r}")
        shape, dtype = tuple(source[key].shape), source[key].dtype
    if len(shape) not in (4, 5) or 0 in shape or shape[-3] != len(ONEFORECAST):
        raise InputError(
            f"{path}: {key} has shape {shape}; expected (start, lead, {len(ONEFORECAST)}, row, column), or starts and "
            "leads in one dimension"
        )
    if len(shape) == 4:
        if shape[0] % starts:
            raise InputError(f"{path}: {key} has {shape[0]} maps, which {starts} starts do not share evenly")
        shape = (starts, shape[0] // starts, *shape[1:])
    if shape[0] != starts:
        raise InputError(f"{path}: {key} has {shape[0]} starts; init_time names {starts}")
    return shape, dtype


def _refuse_unknown_columns(path: Path, first_longitude: float | None, longitude: tuple[float, float] | None) -> None:
    if first_longitude is None and longitude is None:
        raise InputError(
            f"{path}: does not say where its columns begin; say first_longitude: 0 (as ERA5 has them) or -180"
        )
