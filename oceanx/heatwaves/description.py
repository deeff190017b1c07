"""What a marine heatwave is described by: intensities, rates, category, and days of each category."""

from __future__ import annotations

import numba
import numpy as np

CATEGORIES = ("Moderate", "Strong", "Severe", "Extreme")
INTENSITIES = tuple(
    f"intensity_{k}{s}" for s in ("", "_relThresh", "_abs") for k in ("max", "mean", "var", "cumulative")
)
NUMBERS = (
    *INTENSITIES,
    *("rate_onset", "rate_decline", "peak", "category"),
    *(f"duration_{name.lower()}" for name in CATEGORIES),
    "missing_days",
)
_MOST = len(CATEGORIES)
_ONSET, _DECLINE, _PEAK, _CATEGORY, _MISSING = map(
    NUMBERS.index, ("rate_onset", "rate_decline", "peak", "category", "missing_days")
)


@numba.njit(cache=True, nogil=True)
def above_limit(
    x: np.ndarray,
    limit: np.ndarray,
    places: np.ndarray,
    slope: float,
    elapsed: np.ndarray,
    sign: int,
    result: np.ndarray,
) -> None:
    """Whether each day of a series is above its limit, or with `sign` −1 below it; a missing day is neither."""
    for day in range(len(x)):
        result[day] = sign * (x[day] - (limit[places[day]] + slope * elapsed[day])) > 0


@numba.njit(cache=True, nogil=True)
def strength(x: float, mean: float, limit: float) -> int:
    """How many times threshold − climatology a day is away from the climatology, in whole numbers up to 4.

    0 on this side of the threshold, and where the threshold is not beyond the climatology.
    """
    height = abs(limit - mean)
    times = (x - mean) / (limit - mean) if height > 0 else 0.0
    return min(int(times), _MOST) if times >= 1 else 0


@numba.njit(cache=True, nogil=True)
def describe(
    x: np.ndarray,
    mean: np.ndarray,
    limit: np.ndarray,
    places: np.ndarray,
    slope: float,
    elapsed: np.ndarray,
    sign: int,
    a: int,
    b: int,
    result: np.ndarray,
) -> None:
    """`NUMBERS` of the event from day `a` to day `b` of a series.

    Climatology and threshold of a day are those of its place, plus the slope times the years elapsed. With `sign` −1
    the event is cold: its intensities are below 0, its rates those of their growth. Maximum, mean, standard deviation
    and sum lie four by four: above the climatology, above the threshold, and as temperatures.
    """
    result[:] = 0.0
    days, peak, top, length = len(x), a, -np.inf, b - a + 1
    for day in range(a, b + 1):
        moved = slope * elapsed[day]
        clim, bound = mean[places[day]] + moved, limit[places[day]] + moved
        missing = np.isnan(x[day])
        t = clim if missing else np.float64(x[day])
        result[_MISSING] += missing
        if sign * (t - clim) > top:
            peak, top = day, sign * (t - clim)
        result[3] += t - clim
        result[7] += t - bound
        result[11] += t
        times = strength(t, clim, bound) if sign * (bound - clim) > 0 else 0
        if times > 0:
            result[_CATEGORY] = max(result[_CATEGORY], times)
            result[_CATEGORY + times] += 1
    for k in (0, 4, 8):
        result[k + 1] = result[k + 3] / length
    for day in range(a, b + 1):
        moved = slope * elapsed[day]
        clim, bound = mean[places[day]] + moved, limit[places[day]] + moved
        t = clim if np.isnan(x[day]) else np.float64(x[day])
        result[2] += (t - clim - result[1]) ** 2
        result[6] += (t - bound - result[5]) ** 2
        result[10] += (t - result[9]) ** 2
        if day == peak:
            result[0], result[4], result[8] = t - clim, t - bound, t
    for k in (2, 6, 10):
        result[k] = np.sqrt(result[k] / length)
    # An event begins and ends half-way to the day outside it; where the series has none, on its own day.
    rise, since = _anomaly(x, mean, places, slope, elapsed, sign, a), 0.0
    fall, until = _anomaly(x, mean, places, slope, elapsed, sign, b), 0.0
    if a > 0:
        rise, since = (rise + _anomaly(x, mean, places, slope, elapsed, sign, a - 1)) / 2, 0.5
    if b + 1 < days:
        fall, until = (fall + _anomaly(x, mean, places, slope, elapsed, sign, b + 1)) / 2, 0.5
    result[_ONSET] = (top - rise) / max(peak - a + since, 0.5)
    result[_DECLINE] = (top - fall) / max(b - peak + until, 0.5)
    result[_PEAK] = peak - a


@numba.njit(cache=True, nogil=True)
def _anomaly(
    x: np.ndarray, mean: np.ndarray, places: np.ndarray, slope: float, elapsed: np.ndarray, sign: int, day: int
) -> float:
    """How far a day is above the climatology; 0 where it is missing."""
    anomaly = x[day] - (mean[places[day]] + slope * elapsed[day])
    return 0.0 if np.isnan(anomaly) else sign * np.float64(anomaly)
