"""World Ocean Atlas: monthly climatologies, whose time in months since a date stands for a month in all years."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ...vocabulary.errors import InputError
from ...vocabulary.names import variable
from ..formats import gridded, netcdf
from ..formats.part import Field, Part, Wanted, everything, to_dataset

_MONTHS = "months since "
_MEANS = "time: mean within years time: mean over years"


def read(path: Path | str) -> xr.Dataset:
    """The Dataset of one file, in memory: one month, at the middle of that month in the central year."""
    return to_dataset(parts(Path(path), everything(), Path()))


def parts(path: Path, wanted: Mapping[str, Wanted], scratch: Path) -> list[Part]:
    """What one file (one month) holds. `scratch` is not needed.

    Temperature is in situ, as the Atlas has it. `bounds` of the part are those of a climatological time: the
    beginning of the month in the first year and its end in the last.
    """
    gridded.refuse_other_kinds(path)
    middle, first, last = _period(path)
    part = gridded.scan(path, wanted, timed=False)
    fields = {name: _said(name, field) for name, field in part.fields.items()}
    month = middle.astype("datetime64[M]")
    return [
        replace(
            part,
            times=np.array([month.astype("datetime64[ns]") + _half(month)]),
            fields=fields,
            bounds=np.array([[first.astype("datetime64[ns]"), (last + 1).astype("datetime64[ns]")]]),
            notes=(f"climatology of {first.astype('datetime64[Y]')} to {last.astype('datetime64[Y]')}: each time "
                   "stands for its month in all these years",),
        )
    ]  # fmt: skip


def _said(name: str, field: Field) -> Field:
    """A field as CF has it: a mean over years, and practical salinity, which the Atlas calls "1", in our unit."""
    methods = field.cell_methods if "over years" in field.cell_methods else f"{field.cell_methods} {_MEANS}".strip()
    unit = variable(name).units if name == "so" and field.units == "1" else field.units
    return replace(field, cell_methods=methods, units=unit)


def _half(month: np.datetime64) -> np.timedelta64:
    """Half the length of a month."""
    return ((month + 1).astype("datetime64[ns]") - month.astype("datetime64[ns]")) // 2


def _period(path: Path) -> tuple[np.datetime64, np.datetime64, np.datetime64]:
    """The month in the central year, in the first and in the last year of the climatology."""
    with netcdf.opened(path) as file, netcdf.LOCK:
        dataset = file.dataset()
        if "time" not in dataset.variables:
            raise InputError(f"{path}: no time found among {sorted(dataset.variables)}; expected a climatology")
        time: Any = dataset["time"]
        unit = str(getattr(time, "units", ""))
        numbers = np.atleast_1d(np.asarray(time[...], float))
        coverage = [str(getattr(dataset, f"time_coverage_{key}", "")) for key in ("start", "duration")]
    if not unit.startswith(_MONTHS):
        raise InputError(f"{path}: time: units {unit!r}; expected 'months since' a date, as the World Ocean Atlas has; "
                         "for other files take the recipe 'cf'")  # fmt: skip
    if numbers.size != 1:
        raise InputError(f"{path}: holds {numbers.size} months; expected one month a file")
    if numbers[0] % 1 != 0.5:
        raise InputError(f"{path}: time {numbers[0]:g} is not the middle of a month; expected a monthly mean")
    start, years = _coverage(path, coverage[0], coverage[1])
    middle = pd.Timestamp(unit.removeprefix(_MONTHS)).to_datetime64().astype("datetime64[M]") + int(numbers[0])
    first = start + (int(middle.astype(int)) - int(start.astype(int))) % 12
    return middle, first, first + 12 * (years - 1)


def _coverage(path: Path, start: str, duration: str) -> tuple[np.datetime64, int]:
    """The first month and the number of years of the period, from the attributes `time_coverage_…`."""
    try:
        years = int(duration.removeprefix("P").removesuffix("Y"))
        return np.datetime64(start[:7], "M").astype("datetime64[Y]").astype("datetime64[M]"), years
    except ValueError:
        raise InputError(
            f"{path}: time_coverage_start {start!r} and time_coverage_duration {duration!r} do not tell the years of "
            "the climatology; expected such as '1955-01-01' and 'P63Y'"
        ) from None
