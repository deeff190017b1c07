"""Every day of a series, from its first to its last: where each lies, and which have no value."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from ..vocabulary.errors import InputError

ABSENT, BETWEEN = -1, -2  # rows of days without a value, and of those that are the mean of their neighbours
_REAL = ("standard", "gregorian", "proleptic_gregorian")
_NO_LEAP_DAY = ("noleap", "365_day")


@dataclass(frozen=True)
class Days:
    """Days in a row, and the place of each along `time`: `ABSENT` where it has none, `BETWEEN` for a made-up day."""

    dates: pd.DatetimeIndex
    rows: np.ndarray

    def between(self, first: pd.Timestamp, last: pd.Timestamp) -> Days:
        """The days from `first` to `last`, absent beyond the ends of these."""
        wanted = pd.date_range(first, last, unit="ns")
        at = (wanted - self.dates[0]).days.to_numpy()
        inside = (at >= 0) & (at < len(self.dates))
        return Days(wanted, np.where(inside, self.rows[np.clip(at, 0, len(self.dates) - 1)], ABSENT))

    @property
    def whole(self) -> bool:
        """True if the series has just these days, in order."""
        return np.array_equal(self.rows, np.arange(len(self.rows)))


def days_of(sst: xr.DataArray) -> Days:
    """Every day of a daily series, whose times may be in any order and at any hour.

    A calendar without leap days (noleap) gets 29 February as the mean of its neighbours.

    Raises
    ------
    InputError
        If it has no dates, more than one value a day, no two days in a row, or a calendar that is not that of the sun.
    """
    if "time" not in sst.dims or "time" not in sst.coords:
        raise InputError(f"{sst.name or 'sst'}: expected a dimension 'time' with dates; found {sst.dims}")
    dates, made_up = _dates(sst["time"])
    if not len(dates) or dates.hasnans:
        raise InputError("time: empty or with dates that are none (NaT); give daily dates")
    if dates.has_duplicates:
        raise InputError(f"time: {dates[dates.duplicated()][0]:%Y-%m-%d} is there more than once; give daily means")
    order = np.argsort(dates.values, kind="stable")
    at = (dates[order] - dates[order[0]]).days.to_numpy()
    if len(at) > 1 and np.diff(at).min() > 1:
        raise InputError(f"time: no two days in a row, the closest are {np.diff(at).min()} apart; give daily values")
    days = pd.date_range(dates[order[0]], dates[order[-1]], unit="ns")
    rows = np.full(len(days), ABSENT, np.int64)
    rows[at] = order
    if made_up:
        leap = (days.month == 2) & (days.day == 29)
        leap[[0, -1]] = False
        rows[leap] = BETWEEN
    return Days(days, rows)


def every_day(sst: xr.DataArray) -> xr.DataArray:
    """The series on each day from its first to its last, at midnight, NaN on days it does not have.

    Raises
    ------
    InputError
        As `days_of`.
    """
    days = days_of(sst)
    if days.whole:
        return sst.assign_coords(time=days.dates)
    whole = sst.isel(time=np.maximum(days.rows, 0)).assign_coords(time=days.dates)
    rows = xr.DataArray(days.rows, dims="time", coords={"time": days.dates})
    if (days.rows == BETWEEN).any():
        sides = (whole.shift(time=k) for k in (-1, 1))
        whole = whole.where(rows != BETWEEN, sum(sides) / 2)
    return whole.where(rows != ABSENT)


def _dates(time: xr.DataArray) -> tuple[pd.DatetimeIndex, bool]:
    """The dates, and whether their calendar has no 29 February."""
    if time.dtype.kind == "M":
        return pd.DatetimeIndex(time.values).floor("D"), False
    calendar = str(getattr(time.dt, "calendar", "none")) if time.dtype == object else "none"
    if calendar not in _REAL + _NO_LEAP_DAY:
        raise InputError(
            f"time: found {time.dtype} of calendar {calendar!r}; expected dates of the standard calendar or noleap "
            "(decode with xr.decode_cf; convert with sst.convert_calendar('standard', align_on='year'))"
        )
    parts = pd.DataFrame({part: getattr(time.dt, part).values for part in ("year", "month", "day")})
    return pd.DatetimeIndex(pd.to_datetime(parts)), calendar in _NO_LEAP_DAY
