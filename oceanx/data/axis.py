"""The time axis of a store: which times are asked for, which the sources hold, which are missing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..vocabulary.constants import SECONDS_PER_DAY
from ..vocabulary.errors import InputError

Span = tuple[np.datetime64 | None, np.datetime64 | None]
_NS = "datetime64[ns]"


def span(time: Any) -> Span:
    """First and last moment of a slice of dates or an "A:B" string, whole periods meant: "1993" is all of that year."""
    if time is None:
        return None, None
    if isinstance(time, slice):
        if time.step is not None:
            raise InputError(f"time: {time}: a step is not understood here; give start and end")
        start, end = time.start, time.stop
    else:
        start, end = _ends(str(time))
    first = None if start in (None, "") else _moment(start, end=False)
    last = None if end in (None, "") else _moment(end, end=True)
    if first is not None and last is not None and last < first:
        raise InputError(f"time: {start} is after {end}; write first:last")
    return first, last


def _ends(text: str) -> tuple[str, str]:
    """ "A:B" as A and B, though times of day have colons too; one date alone is both."""
    if ":" not in text:
        return text, text
    if match := re.fullmatch(r"(\d{4}(?:-\d\d){0,2})?:(\d{4}(?:-\d\d){0,2})?", text.strip()):
        return match[1] or "", match[2] or ""
    raise InputError(f"time: {text!r}; expected dates as 1993-01-01:2017-12-31 (or give a slice)")


def _moment(value: Any, *, end: bool) -> np.datetime64:
    try:
        if not isinstance(value, str):
            return pd.Timestamp(value).to_datetime64().astype(_NS)
        period = pd.Period(value)
    except (ValueError, TypeError):
        raise InputError(f"time: {value!r} is not a date; expected such as 1993-01-01") from None
    return (period.end_time if end else period.start_time).to_datetime64().astype(_NS)


def within(times: np.ndarray, when: Span) -> np.ndarray:
    """Those times that lie in a span."""
    first, last = when
    keep = np.ones(times.shape, bool)
    if first is not None:
        keep &= times >= first
    if last is not None:
        keep &= times <= last
    return times[keep]


def regular(times: np.ndarray, frequency: str | None, name: Any) -> np.ndarray:
    """The regular axis from the first to the last of `times` (ascending), all of which must lie on it.

    `name` tells the file of a time. Without a frequency it is that of the smallest step, or calendar months.
    """
    if times.size < 2:
        return times
    offset = pd.tseries.frequencies.to_offset(frequency or _frequency(times, name))
    axis = pd.date_range(times[0], times[-1], freq=offset).to_numpy().astype(_NS)
    stray = ~np.isin(times, axis)
    if stray.any():
        at = times[int(np.argmax(stray))]
        raise InputError(
            f"{name(at)}: time {at} is not on the axis of step {frequency or offset.freqstr} from {times[0]}; "
            "take other files, or set regular=false in the recipe"
        )
    return axis


def _frequency(times: np.ndarray, name: Any) -> str | pd.Timedelta:
    index = pd.DatetimeIndex(times)
    steps = np.diff(times)
    if steps.min() >= np.timedelta64(28, "D") and (index.day == 1).all() and (index == index.normalize()).all():
        return "MS"
    smallest = steps.min()
    uneven = np.flatnonzero(steps % smallest != np.timedelta64(0))
    if uneven.size:
        at = times[uneven[0] + 1]
        raise InputError(f"{name(at)}: time {at} breaks the step of {smallest / np.timedelta64(1, 'h'):g} h; "
                         "set regular=false in the recipe to take times as they come")  # fmt: skip
    return pd.Timedelta(smallest)


def refuse_gaps(axis: np.ndarray, missing: np.ndarray, most: float) -> None:
    """`InputError` if more than a share `most` of a regular axis is missing."""
    if axis.size and missing.size > most * axis.size:
        raise InputError(
            f"{missing.size} of {axis.size} times from {day(axis[0])} to {day(axis[-1])} are in no file "
            f"(first {day(missing[0])}); give the files between, or choose dates with time=…, "
            f"or accept the gap with max_missing=1"
        )


def refuse_monthly(times: np.ndarray, seconds: float, label: str) -> None:
    """`InputError` if times are those of monthly means, whose accumulations are per day, not per `seconds`."""
    months = times.astype("datetime64[M]")
    monthly = times.size > 1 and np.unique(months).size == times.size and (times == months).all()
    if monthly and seconds < SECONDS_PER_DAY:
        raise InputError(
            f"{label}: holds one time a month, {day(times[0])} to {day(times[-1])}, so its accumulations are monthly "
            f"means per day; the recipe takes them for {seconds:g} s. Use the recipe era5_monthly"
        )


def day(time: np.datetime64) -> str:
    """ISO text of a time, short for midnight."""
    text = np.datetime_as_string(time, unit="s")
    return text.removesuffix("T00:00:00")


def iso(times: Sequence[np.datetime64] | np.ndarray) -> list[str]:
    """ISO texts of times."""
    return [day(t) for t in times]
