"""Dates: CF times as datetime64, in the calendar of real days and in that without leap days."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from ...vocabulary.errors import InputError
from .part import decode

_REAL_DAYS = {"standard", "gregorian", "proleptic_gregorian"}
_NO_LEAP_DAYS = {"noleap", "365_day"}
_WHY_NOT = {
    "360_day": "has days, such as 30 February, that are no dates",
    "julian": "counts days that are 13 dates away from ours",
    "all_leap": "has a 29 February in every year",
    "366_day": "has a 29 February in every year",
    "none": "has no dates",
}
_SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}


def dated(raw: np.ndarray, attrs: Mapping[str, Any], where: str) -> np.ndarray:
    """The times of a time coordinate, which a reader may have decoded already."""
    if raw.dtype.kind == "M":
        return raw.astype("datetime64[ns]")
    packing = {k: v for k, v in attrs.items() if k in ("_FillValue", "missing_value")}
    numbers = raw if raw.dtype.kind == "i" else decode(raw, packing, np.float64)
    return dates(numbers, str(attrs.get("units", "")), str(attrs.get("calendar", "standard")), where)


def calendar_of(attrs: Mapping[str, Any]) -> str:
    """The calendar of a time coordinate; all those that count real days are "standard"."""
    calendar = str(attrs.get("calendar", "standard")).lower()
    return "standard" if calendar in _REAL_DAYS else calendar


def dates(numbers: np.ndarray, unit: str, calendar: str, where: str) -> np.ndarray:
    """datetime64[ns] of CF times ("hours since 1950-01-01"), to the nanosecond where the numbers are exact."""
    since = _since(unit)
    if since is None:
        hint = "; for the World Ocean Atlas take the recipe 'woa'" if unit.startswith("months since") else ""
        raise InputError(f"{where}: units {unit!r}; expected days, hours, minutes or seconds since a date{hint}")
    seconds, origin = since
    if not np.isfinite(numbers).all():
        raise InputError(f"{where}: has missing values; expected a date for every step")
    if calendar.lower() in _NO_LEAP_DAYS:
        return _without_leap_days(numbers * (seconds / 86400), origin)
    if calendar.lower() not in _REAL_DAYS:
        why = _WHY_NOT.get(calendar.lower(), "is not known to CF")
        raise InputError(
            f"{where}: calendar {calendar!r} {why}; expected real days ({', '.join(sorted(_REAL_DAYS))}) or noleap: "
            "convert it with xarray's convert_calendar first"
        )
    whole = np.floor(numbers)
    part = np.round((numbers - whole) * seconds * 1e6).astype("int64") * 1000  # to the microsecond: floats hold no more
    return origin + (whole.astype("int64") * (seconds * 10**9) + part).astype("timedelta64[ns]")


def _without_leap_days(days: np.ndarray, origin: np.datetime64) -> np.ndarray:
    """datetime64[ns] of days since a date in years of 365: every date keeps its name, 29 February does not occur."""
    midnight = origin.astype("datetime64[D]")
    year = midnight.astype("datetime64[Y]").astype(int)
    first = _day_of_common_year(midnight) + (origin - midnight) / np.timedelta64(1, "D")
    micros = np.round((days + first) * 86400e6).astype("int64")
    day, rest = np.divmod(micros, 86_400_000_000)
    years, day = np.divmod(day, 365)
    years += year
    start = years.astype("datetime64[Y]").astype("datetime64[D]")
    leap = (start + 59).astype("datetime64[M]").astype(int) % 12 == 1  # day 60 of the year is 29 February
    dates = start + day + (leap & (day >= 59))
    return dates.astype("datetime64[ns]") + (rest * 1000).astype("timedelta64[ns]")


def _day_of_common_year(date: np.datetime64) -> int:
    """Days since 1 January in a year of 365 days (29 February counts as 1 March)."""
    month = date.astype("datetime64[M]")
    common = np.datetime64("2001-01") + (month - month.astype("datetime64[Y]").astype("datetime64[M]"))
    return int((common.astype("datetime64[D]") - np.datetime64("2001-01-01")) / np.timedelta64(1, "D")) + int(
        (date - month.astype("datetime64[D]")) / np.timedelta64(1, "D")
    )


@lru_cache(maxsize=64)
def _since(unit: str) -> tuple[int, np.datetime64] | None:
    """Seconds in the unit, and the date it counts from; None if it is not such a unit."""
    match = re.fullmatch(r"\s*(days?|hours?|hrs?|h|minutes?|min|seconds?|sec|s)\s+since\s+(.+?)\s*", unit)
    if not match:
        return None
    try:
        origin = pd.Timestamp(match[2])
    except ValueError:
        return None
    if origin.tz is not None:
        origin = origin.tz_convert(None)
    return _SECONDS[match[1][0]], origin.to_datetime64().astype("datetime64[ns]")
