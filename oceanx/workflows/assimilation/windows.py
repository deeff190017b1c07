"""Windows of time: their dates, and the rows of an observation table that fall into each.

A field that is stamped t speaks for [t, t + step), a daily one for its calendar day; a window of n steps for n of
them. So every observation of the period falls into exactly one window, and within it belongs to one state.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from oceanx.vocabulary.errors import InputError

DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class Span:
    """One window.

    Attributes
    ----------
    number
        Its place among all, from 0.
    at
        Where its states stand along the time of the whole.
    times
        Their dates; the first is the analysis time.
    rows
        Those of the table that fall into it.
    """

    number: int
    at: slice
    times: np.ndarray
    rows: slice

    @property
    def begin(self) -> np.datetime64:
        """The analysis time."""
        return np.datetime64(self.times[0], "ns")

    @property
    def steps(self) -> int:
        """How many states it has."""
        return len(self.times)


def spans(time: slice, step: str, moments: np.ndarray) -> list[Span]:
    """The windows of a period, the last of which may be shorter than the others.

    Parameters
    ----------
    time
        First and last date, and how long a window is; a step of the model where nobody says.
    step
        The model's.
    moments
        When the observations were made, ascending.

    Raises
    ------
    InputError
        Unless it is such a slice, with windows of whole steps.
    """
    first, last, length = _period(time, step)
    one = pd.Timedelta(step).to_timedelta64()
    times = np.arange(first, last + np.timedelta64(1, "ns"), one).astype("datetime64[ns]")
    begins = np.append(_edge(times, one), _edge(times[-1:] + one, one))
    rows = np.searchsorted(moments, begins)
    places = range(0, len(times), length)
    cut = [slice(at, min(at + length, len(times))) for at in places]
    return [Span(n, at, times[at], slice(int(rows[at.start]), int(rows[at.stop]))) for n, at in enumerate(cut)]


def placed(table: xr.Dataset, span: Span) -> xr.Dataset:
    """The rows of a window with the middle of the state's day, 12 hours after its stamp, instead of their own time."""
    one = span.times[1] - span.times[0] if span.steps > 1 else None
    if one is None:
        stamps = np.full(table.sizes["obs"], span.begin)
    else:
        stamps = span.times[np.searchsorted(_edge(span.times, one), table["time"].values, side="right") - 1]
    return table.assign_coords(time=("obs", stamps + np.timedelta64(12, "h")))


def _edge(times: np.ndarray, one: np.timedelta64) -> np.ndarray:
    """Where the time begins that these fields speak for."""
    whole_days = not (one % DAY).astype(np.int64)
    return times.astype("datetime64[D]").astype("datetime64[ns]") if whole_days else times


def _period(time: slice, step: str) -> tuple[np.datetime64, np.datetime64, int]:
    words = "such as slice('2020-01-01', '2020-12-31', '1D')"
    if not isinstance(time, slice) or time.start is None or time.stop is None:
        raise InputError(f"time: found {time!r}; expected a first and a last date and the length of a window, {words}")
    try:
        first, last, length = pd.Timestamp(time.start), pd.Timestamp(time.stop), pd.Timedelta(time.step or step)
    except (ValueError, TypeError) as error:
        raise InputError(f"time: {time!r}: {error}; expected {words}") from None
    if last < first:
        raise InputError(f"time: ends on {last}, before it begins on {first}; expected {words}")
    steps = length / pd.Timedelta(step)
    if steps < 1 or steps % 1:
        raise InputError(f"time: a window of {length} is not a multiple of the model's step {step}; expected {words}")
    return first.to_datetime64(), last.to_datetime64(), int(steps)
