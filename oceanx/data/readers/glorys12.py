"""GLORYS12 and GLO12 daily means: native files, toolbox and web-form subsets, files stamped 12:00, ARCO stores."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import xarray as xr

from ..formats import gridded
from ..formats.days import as_days
from ..formats.part import Part, Wanted, everything, to_dataset

_REMEDY = "for hourly or 6-hourly files take the recipe 'glo12_hourly' (daily means) or the recipe 'cf' (as they come)"


def read(path: Path | str) -> xr.Dataset:
    """The Dataset of one file, in memory: daily means labelled with their day at 00:00."""
    return to_dataset(parts(Path(path), everything(), Path()))


def parts(path: Path, wanted: Mapping[str, Wanted], scratch: Path) -> list[Part]:
    """What one file or ARCO store holds. `scratch` is not needed."""
    return [as_days(gridded.scan(path, wanted), _REMEDY)]
