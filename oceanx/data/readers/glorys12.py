"""GLORYS12 and GLO12 daily means: native files, toolbox and web-form subsets, the CF-1.4 files stamped 12:00."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import xarray as xr

from . import netcdf
from .days import as_days
from .part import Part, Wanted, everything, to_dataset


def read(path: Path | str) -> xr.Dataset:
    """The Dataset of one file, in memory: daily means labelled with their day at 00:00."""
    return to_dataset(parts(Path(path), everything(), Path()))


def parts(path: Path, wanted: Mapping[str, Wanted], scratch: Path) -> list[Part]:
    """What one file holds. `scratch` is not needed."""
    return [as_days(netcdf.scan(path, wanted), "for hourly or 6-hourly files take the recipe 'cf'")]
