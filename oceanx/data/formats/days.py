"""Daily fields under one label: the day itself, at 00:00, whatever hour a provider stamps them with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...vocabulary.errors import InputError
from .part import Part

_HOUR = np.timedelta64(1, "h")


def as_days(
    part: Part, remedy: str, hours: Sequence[int] | None = (0, 12), cell_methods: str | None = "time: mean"
) -> Part:
    """A part of daily fields, labelled with the day and said to be a mean over it.

    Parameters
    ----------
    hours
        The hours at which they may be stamped; None: any, once a day.
    cell_methods
        What they are said to be; None: what the file says.
    """
    if not part.fields:
        return part
    days = part.times.astype("datetime64[D]").astype("datetime64[ns]")
    odd = np.flatnonzero(~np.isin(part.times - days, [h * _HOUR for h in hours])) if hours else np.array([], int)
    again = np.flatnonzero(np.diff(days) <= np.timedelta64(0))
    if odd.size or again.size:
        at = part.times[odd[0] if odd.size else again[0] + 1]
        when = np.datetime_as_string(at, unit="s")
        expected = " or ".join(f"{h:02d}:00" for h in hours) if hours else "one a day"
        raise InputError(f"{part.label}: time {when} is not that of a daily mean ({expected}); {remedy}")
    return part.with_times(days, cell_methods)
