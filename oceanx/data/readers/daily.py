"""Daily fields on a rectilinear grid, one a day at whatever hour: altimetry maps, L4 temperature, GlobCurrent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from ...vocabulary.errors import InputError
from ..formats import gridded, netcdf, zarrs
from ..formats.days import as_days
from ..formats.part import Part, Wanted, everything, to_dataset


def read(path: Path | str) -> xr.Dataset:
    """The Dataset of one file, in memory: fields labelled with their day at 00:00."""
    return to_dataset(parts(Path(path), everything(), Path()))


def parts(
    path: Path,
    wanted: Mapping[str, Wanted],
    scratch: Path,
    depth: float | None = None,
    date: str | None = None,
) -> list[Part]:
    """What one file holds. `scratch` is not needed.

    Parameters
    ----------
    depth
        Depth (m) of ocean variables in files without a depth axis.
    date
        The global attribute that has the date of files of one day without a time coordinate.
    """
    day = _day(path, date) if date and not zarrs.is_store(path) else None
    part = gridded.scan(path, wanted, timed=day is None, level=depth)
    if day is not None:
        note = f"{part.label.rsplit('/', 1)[-1]}: has no time; its date is that of its attribute {date}"
        part = replace(part, times=np.array([day]), notes=(*part.notes, note))
    return [as_days(part, "for several times a day take the recipe 'cf'", hours=None, cell_methods=None)]


def _day(path: Path, attribute: str) -> np.datetime64 | None:
    """The day that a global attribute tells, of a file with neither a time coordinate nor several times."""
    gridded.refuse_other_kinds(path)
    with netcdf.opened(path) as file, netcdf.LOCK:
        dataset = file.dataset()
        if "time" in dataset.variables or attribute not in dataset.ncattrs():
            return None
        text = str(dataset.getncattr(attribute))
    try:
        day = pd.Timestamp(text).tz_localize(None).normalize()
        return day.to_datetime64().astype("datetime64[ns]")
    except (ValueError, AttributeError):  # NaT of an empty text has no day
        raise InputError(f"{path}: attribute {attribute} is {text!r}; expected a date, as there is no time") from None
