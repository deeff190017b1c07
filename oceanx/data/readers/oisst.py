"""NOAA OISST v2.1 daily sea surface temperature: the PSL (lat, lon) and the ERDDAP (zlev, latitude) layouts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import xarray as xr

from ..formats import gridded
from ..formats.days import as_days
from ..formats.part import Part, Wanted, everything, to_dataset


def read(path: Path | str) -> xr.Dataset:
    """The Dataset of one file, in memory: daily means labelled with their day at 00:00."""
    return to_dataset(parts(Path(path), everything(), Path()))


def parts(path: Path, wanted: Mapping[str, Wanted], scratch: Path) -> list[Part]:
    """What one file holds. `scratch` is not needed."""
    return [as_days(gridded.scan(path, wanted), "OISST is daily")]
