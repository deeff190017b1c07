"""Daily means under one label: the day itself, at 00:00, whatever hour a provider stamps them with."""

from __future__ import annotations

import numpy as np

from ...vocabulary.errors import InputError
from .part import Part

_HOUR = np.timedelta64(1, "h")


def as_days(part: Part, remedy: str) -> Part:
    """A part of daily means stamped 00:00 or 12:00, labelled with the day and said to be a mean over it."""
    if not part.fields:
        return part
    days = part.times.astype("datetime64[D]").astype("datetime64[ns]")
    odd = np.flatnonzero(~np.isin(part.times - days, (0 * _HOUR, 12 * _HOUR)))
    again = np.flatnonzero(np.diff(days) <= np.timedelta64(0))
    if odd.size or again.size:
        at = part.times[odd[0] if odd.size else again[0] + 1]
        when = np.datetime_as_string(at, unit="s")
        raise InputError(f"{part.label}: time {when} is not that of a daily mean (00:00 or 12:00); {remedy}")
    return part.with_times(days, "time: mean")
