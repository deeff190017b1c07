"""Spells of days: which of them last long enough to be an event, and which are one event with a gap in it."""

from __future__ import annotations

import numba
import numpy as np


def number(excess: np.ndarray, min_duration: int = 5, max_gap: int = 2) -> np.ndarray:
    """The number (…, time), int32, of the event that each day belongs to, 1, 2, … in time, 0 for none.

    An event is at least `min_duration` days in a row on which `excess` (…, time), temperature less threshold, is
    above 0; two of them no more than `max_gap` days apart are one, with the gap in it. NaN is not above 0.

    Examples
    --------
    >>> number(np.array([1.0, 2, 2, -1, 3, 3, 3, -1]), min_duration=3).tolist()
    [1, 1, 1, 1, 1, 1, 1, 0]
    """
    flat = np.ascontiguousarray(excess).reshape(-1, excess.shape[-1])
    result = np.zeros(flat.shape, dtype=np.int32)
    _number_each(flat > 0, min_duration, max_gap, result)
    return result.reshape(excess.shape)


@numba.njit(cache=True, nogil=True)
def spans(above: np.ndarray, min_duration: int, max_gap: int, first: np.ndarray, last: np.ndarray) -> int:
    """How many events there are in `above` (time); their first and last days go into `first` and `last`."""
    days = len(above)
    count, start = 0, -1
    for day in range(days + 1):
        if day < days and above[day]:
            start = day if start < 0 else start
            continue
        if start >= 0 and day - start >= min_duration:
            if count > 0 and start - last[count - 1] - 1 <= max_gap:
                last[count - 1] = day - 1  # the gap belongs to the event
            else:
                first[count], last[count] = start, day - 1
                count += 1
        start = -1
    return count


@numba.njit(cache=True, nogil=True)
def _number_each(above: np.ndarray, min_duration: int, max_gap: int, result: np.ndarray) -> None:
    most = above.shape[1] // (min_duration + 1) + 1
    first, last = np.empty(most, np.int64), np.empty(most, np.int64)
    for cell in range(len(above)):
        for n in range(spans(above[cell], min_duration, max_gap, first, last)):
            result[cell, first[n] : last[n] + 1] = n + 1
