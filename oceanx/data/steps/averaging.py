"""Steps through time: means over whole days."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import xarray as xr

from ...vocabulary.errors import InputError

_DAY = np.timedelta64(1, "D").astype("timedelta64[ns]")
_INSTANT = np.timedelta64(1, "ns")


def daily_mean(
    ds: xr.Dataset,
    ending: Sequence[str] = (),
    incomplete: Literal["drop", "error"] = "drop",
    samples: int | None = None,
) -> xr.Dataset:
    """Means over whole days [D, D + 1), labelled D at 00:00.

    Parameters
    ----------
    ending
        Variables whose value stands for the interval that *ends* at its time (rates from accumulations): their
        00:00 belongs to the day before.
    incomplete
        What to do about days with fewer values than the others: leave them out, or raise.
    samples
        Values in a whole day; None: as many as the commonest spacing of the times makes.

    Notes
    -----
    A day is in the result if it is complete for every variable. The mean is taken in float64; a missing value
    makes the mean missing.
    """
    times = ds["time"].values
    samples = samples or samples_a_day(times)
    whole = {name: whole_days(times, name in ending, samples) for name in map(str, ds.data_vars)}
    days = sorted(set.intersection(*(set(found) for found, _ in whole.values()))) if whole else []
    if incomplete == "error":
        for name in whole:
            refuse_incomplete(times, name in ending, samples, name)
    means = {}
    for name, (found, starts) in whole.items():
        v = ds[name].transpose("time", ...)
        first = dict(zip(found, starts, strict=True))
        values = np.empty((len(days), *v.shape[1:]))
        for row, day in enumerate(days):
            values[row] = v.values[first[day] : first[day] + samples].mean(axis=0, dtype=np.float64)
        attrs = {k: a for k, a in v.attrs.items() if k != "comment"} | {"cell_methods": "time: mean"}
        means[name] = xr.Variable(v.dims, values, attrs)
    space = {name: c for name, c in ds.coords.items() if "time" not in c.dims}
    labels = xr.Variable("time", np.array(days, "datetime64[ns]"), ds["time"].attrs)
    return xr.Dataset(means, coords={"time": labels, **space}, attrs=ds.attrs)


def samples_a_day(times: np.ndarray) -> int:
    """How many values a whole day has, from the commonest spacing of the times."""
    if times.size < 2:
        raise InputError("daily_mean: a single time tells no spacing; expected several a day (or say samples=…)")
    spacings, counts = np.unique(np.diff(np.sort(times)), return_counts=True)
    spacing = spacings[counts.argmax()]
    if spacing > _DAY or _DAY % spacing != np.timedelta64(0):
        raise InputError(
            f"daily_mean: times are mostly {spacing / _INSTANT / 3.6e12:g} h apart; expected a part of a day"
        )
    return int(_DAY / spacing)


def whole_days(times: np.ndarray, ending: bool, samples: int) -> tuple[np.ndarray, np.ndarray]:
    """The days with all their values, and where in `times` (ascending) each begins."""
    days, starts, counts = np.unique(_day_of(times, ending), return_index=True, return_counts=True)
    return days[counts == samples], starts[counts == samples]


def refuse_incomplete(times: np.ndarray, ending: bool, samples: int, name: str) -> None:
    """`InputError` naming the first day that lacks values."""
    days, counts = np.unique(_day_of(times, ending), return_counts=True)
    short = np.flatnonzero(counts != samples)
    if short.size:
        day = days[short[0]].astype("datetime64[D]")
        raise InputError(f"daily_mean: {name} has {counts[short[0]]} of {samples} values on {day}; give the whole day")


def _day_of(times: np.ndarray, ending: bool) -> np.ndarray:
    moments = times - _INSTANT if ending else times
    return moments.astype("datetime64[D]").astype("datetime64[ns]")
