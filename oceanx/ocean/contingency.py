"""Scores of yes and no: from the shares of hits, misses, false alarms and the rest. Numbers, arrays or DataArrays.

Where a score divides by nothing, as the hit rate of what never happened, it is NaN.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr


def hit_rate(hit: Any, miss: Any, false_alarm: Any, rest: Any) -> Any:
    """Share of events that were forecast: hit / (hit + miss); also called probability of detection."""
    return _over(hit, hit + miss)


def false_alarm_ratio(hit: Any, miss: Any, false_alarm: Any, rest: Any) -> Any:
    """Share of alarms without an event: false alarm / (hit + false alarm)."""
    return _over(false_alarm, hit + false_alarm)


def false_alarm_rate(hit: Any, miss: Any, false_alarm: Any, rest: Any) -> Any:
    """Share of non-events with an alarm: false alarm / (false alarm + rest)."""
    return _over(false_alarm, false_alarm + rest)


def base_rate(hit: Any, miss: Any, false_alarm: Any, rest: Any) -> Any:
    """Share of events: (hit + miss) / all."""
    return _over(hit + miss, hit + miss + false_alarm + rest)


def critical_success_index(hit: Any, miss: Any, false_alarm: Any, rest: Any) -> Any:
    """hit / (hit + miss + false alarm)."""
    return _over(hit, hit + miss + false_alarm)


def heidke(hit: Any, miss: Any, false_alarm: Any, rest: Any) -> Any:
    """Heidke skill score: the share right beyond what chance gets right. 1 is perfect, 0 chance.

    2 (hit·rest − false alarm·miss) / ((hit + miss)(miss + rest) + (hit + false alarm)(false alarm + rest))
    """
    chance = (hit + miss) * (miss + rest) + (hit + false_alarm) * (false_alarm + rest)
    return _over(2 * (hit * rest - false_alarm * miss), chance)


def sedi(hit: Any, miss: Any, false_alarm: Any, rest: Any) -> Any:
    """Symmetric extremal dependence index: 1 is perfect, 0 chance, however rare the event.

    With H the hit rate and F the false-alarm rate,
    (log F − log H − log(1 − F) + log(1 − H)) / (log F + log H + log(1 − F) + log(1 − H)).
    It is 1 without misses and false alarms, and NaN where else H or F is 0 or 1.

    References
    ----------
    Ferro and Stephenson (2011), Extremal dependence indices, doi:10.1175/WAF-D-10-05030.1
    """
    h, f = hit_rate(hit, miss, false_alarm, rest), false_alarm_rate(hit, miss, false_alarm, rest)
    inside = (h > 0) & (h < 1) & (f > 0) & (f < 1)
    h, f = xr.where(inside, h, 0.5), xr.where(inside, f, 0.25)  # any other: what stands there is not used
    logs = [np.log(x) for x in (f, h, 1 - f, 1 - h)]
    value = (logs[0] - logs[1] - logs[2] + logs[3]) / sum(logs)
    perfect = (miss == 0) & (false_alarm == 0) & (hit > 0) & (rest > 0)
    return xr.where(inside, value, xr.where(perfect, 1.0, np.nan))


def _over(part: Any, whole: Any) -> Any:
    there = whole != 0
    return xr.where(there, part, np.nan) / xr.where(there, whole, 1.0)
