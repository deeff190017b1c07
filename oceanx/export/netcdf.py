"""One CF NetCDF file a start date: a single `forecast_reference_time`, and `time` with `forecast_period` beside it."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from ..ocean import labels, views
from ..vocabulary.errors import InputError
from ..vocabulary.files import refuse_existing, replacing
from ..vocabulary.progress import Progress

_TIME = {"dtype": "int64", "units": "seconds since 1970-01-01", "calendar": "proleptic_gregorian"}


def write(
    ds: xr.Dataset,
    to: Path,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
    file: str = "forecast_{start}.nc",
    compression: int = 1,
) -> list[Path]:
    """The files written in the folder `to`, one a start date, each when it is complete.

    `oceanx.ocean.views.back(xr.open_dataset(file))` is the forecast again, with a line more of `history`.

    Parameters
    ----------
    file
        What a file is called, with {start} in it: the start date, 20200101, with its hour (20200101T06) where there
        are any but midnight.
    compression
        Of zlib, 0 to 9.
    """
    labels.check(ds, values=False)
    if "{start}" not in file or Path(file).name != file:
        raise InputError(f"file: {file!r}; expected a name with {{start}} in it, such as forecast_{{start}}.nc")
    if not 0 <= compression <= 9:
        raise InputError(f"compression: {compression}; expected 0 to 9")
    starts = pd.DatetimeIndex(ds["init_time"].values)
    stamp = "%Y%m%d" if (starts == starts.normalize()).all() else "%Y%m%dT%H"
    names = [file.format(start=start.strftime(stamp)) for start in starts]
    if len(set(names)) < len(names):
        raise InputError("init_time: several start dates within an hour; files cannot be told apart")
    if not to.exists():
        refuse_existing(to)
        to.mkdir()
    paths = [refuse_existing(to / name, overwrite=overwrite) for name in names]
    for at, path in enumerate(paths):
        one = _with_history(views.to(ds.isel(init_time=[at]), "cf").drop_encoding())
        with replacing(path, overwrite=overwrite) as partial:
            one.to_netcdf(partial, encoding=_encoding(one, compression), unlimited_dims=())
        if progress:
            progress(f"writing, {path.name}", at + 1, len(paths))
    return paths


def _with_history(ds: xr.Dataset) -> xr.Dataset:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    word = f"{now} oceanx {version('oceanx')}: export to NetCDF"
    return ds.assign_attrs(history="\n".join(filter(None, (str(ds.attrs.get("history", "")), word))))


def _encoding(ds: xr.Dataset, compression: int) -> dict[str, dict[str, Any]]:
    small = {"zlib": compression > 0, "complevel": compression, "shuffle": True}
    encoding: dict[str, dict[str, Any]] = {str(name): dict(small) for name in ds.data_vars}
    encoding |= {name: {"_FillValue": None} for name in ("depth", "latitude", "longitude") if name in ds.coords}
    period = {"dtype": "int64", "units": "seconds" if _odd(ds) else "hours"}
    return encoding | {"time": _TIME, "forecast_reference_time": _TIME, "forecast_period": period}


def _odd(ds: xr.Dataset) -> bool:
    """True where leads are not whole hours."""
    return bool((ds["forecast_period"].values % pd.Timedelta(1, "h").to_timedelta64()).astype(int).any())
