"""Marine heatwaves in forecasts: which lead of which start lies in an event, seen with the analyses before it.

A heatwave lasts five days or more, so the first days of a forecast cannot tell by themselves whether one is under way.
The analyses up to the start date, from which the forecast began, are laid before it; then events are found as in any
series. Nothing after the start date is taken from the analyses.
"""

from __future__ import annotations

import numba
import numpy as np
import xarray as xr

from ..ocean.flags import flag_attrs
from ..vocabulary.errors import InputError
from .against import Rule
from .description import CATEGORIES
from .gluing import DAY, daily_leads, days_of_history, glued, truth_at_start
from .limits import Field, at_the_depth_of, on_dates
from .spells import number


def detect_forecast(
    forecast: Field,
    threshold: xr.Dataset,
    analysis: Field,
    *,
    history: str = "15D",
    min_duration: int = 5,
    max_gap: int = 2,
    side: str = "above",
) -> xr.Dataset:
    """The heatwaves of each forecast, day by day: `event`, `category` and more ([member,] init_time, lead_time, …).

    The `history` days of analysis up to and including the start date are laid before each forecast, and events are
    found in the whole as `detect` finds them. Of every lead:

    - `event`: the number of the event it lies in, 0 for none
    - `category`: 1 to 4, of the day; 0 outside events and on days of them below the threshold
    - `intensity`: temperature less climatology; NaN outside events
    - `onset`: the first day of its event, NaT outside
    - `peak`: the day of the event's largest intensity, NaT outside
    - `duration`: days of the event so far, this one included; 0 outside
    - `established`: whether this is at least the `min_duration`-th day in a row above the threshold
    - `temperature`, `climatology` and `threshold` of the day

    A day lies in an event because of the days that are forecast to follow: all of these look at the whole forecast,
    but for `established`, which knows no day after its own.

    At the ends: days above the threshold that are fewer than `min_duration` when the forecast ends are no event,
    however they might have gone on. `min_duration` + `max_gap` days of history, the least allowed, are enough for
    `event > 0`, `category` and `established` to be as the whole past would have them; `onset`, `peak` and `duration`
    know nothing before the first day of history. Lead 0, which is the analysis, is left out. Lazy where the forecast
    is lazy.

    Parameters
    ----------
    forecast
        Labelled, with daily leads from the first day on; with members or without.
    threshold
        From `oceanx.heatwaves.threshold`, on the same grid.
    analysis
        What the forecasts began from (or the truth), with `time`, on the same grid.
    side
        "below" for cold spells, as of `detect`.

    Raises
    ------
    InputError
        If leads are not daily, the analysis lacks a day, grids or units differ, or a parameter is out of range.

    References
    ----------
    Hobday et al. (2016), doi:10.1016/j.pocean.2015.12.014
    Jacox et al. (2022), Global seasonal forecasts of marine heatwaves, doi:10.1038/s41586-022-04573-9

    Examples
    --------
    >>> found = ox.heatwaves.detect_forecast(fc, thr, ds)                  # doctest: +SKIP
    >>> found.event.sel(init_time="2010-02-01") > 0                       # doctest: +SKIP
    """
    rule = Rule(min_duration, max_gap, side)
    rule.check(threshold)
    before = days_of_history(history, rule)
    sst = daily_leads(forecast, threshold)
    whole = glued(sst, truth_at_start(at_the_depth_of(threshold, analysis), sst, before, "analysis"))
    mean, limit = (on_dates(whole, threshold, kind).broadcast_like(whole) for kind in ("climatology", "threshold"))
    excess, anomaly = rule.sign * (whole - limit), whole - mean
    event = xr.apply_ufunc(
        number,
        excess,
        kwargs={"min_duration": min_duration, "max_gap": max_gap},
        input_core_dims=[["lead_time"]],
        output_core_dims=[["lead_time"]],
        dask="parallelized",
        output_dtypes=[np.int32],
    )
    begin, peak, length, run = xr.apply_ufunc(
        follow,
        event,
        rule.sign * anomaly,
        excess > 0,
        input_core_dims=[["lead_time"]] * 3,
        output_core_dims=[["lead_time"]] * 4,
        dask="parallelized",
        output_dtypes=[np.int16] * 4,
    )
    inside = event > 0
    category = strength(whole, mean, limit, rule.sign).where(inside, 0).astype(np.int8)
    first = whole["init_time"].dt.floor("D") - (before - 1) * DAY
    words, units = flag_attrs(("none", *CATEGORIES), np.int8), {"units": sst.attrs.get("units", "degrees_C")}
    found = xr.Dataset(
        {
            "event": event.assign_attrs(long_name="Number of the marine heatwave, 0 for none"),
            "category": category.assign_attrs(long_name="Category of the day", **words),
            "intensity": anomaly.where(inside).assign_attrs(long_name="Temperature above the climatology", **units),
            "onset": (first + begin * DAY).where(inside).assign_attrs(long_name="First day of the event"),
            "peak": (first + peak * DAY).where(inside).assign_attrs(long_name="Day of the largest intensity"),
            "duration": length.assign_attrs(long_name="Days of the event so far"),
            "established": (run >= min_duration).assign_attrs(long_name="In an event by the days so far alone"),
            "temperature": whole.assign_attrs(long_name="Temperature", **units),
            "climatology": mean.assign_attrs(long_name="Climatology", **units),
            "threshold": limit.assign_attrs(long_name="Threshold", **units),
        }
    )
    return (
        found.isel(lead_time=slice(before, None))
        .transpose(*sst.dims)
        .assign_coords(sst.coords)
        .assign_attrs(threshold.attrs)
        .assign_attrs(
            title="Marine heatwaves in forecasts",
            **rule.attrs,
            oceanx_history_days=before,
        )
    )


def probability(found: xr.Dataset) -> xr.DataArray:
    """The share of members in an event of at least each category: (category, init_time, lead_time, …), NaN on land.

    A day of an event counts as Moderate at least, also where it dips below the threshold. A forecast without members
    has probabilities 0 and 1.

    Parameters
    ----------
    found
        From `detect_forecast`.

    Examples
    --------
    >>> ox.heatwaves.probability(found).sel(category="Strong")             # doctest: +SKIP
    """
    if not {"event", "category", "temperature"} <= set(found.data_vars) or "lead_time" not in found.dims:
        raise InputError("probability: expected what oceanx.heatwaves.detect_forecast returns")
    at_least = xr.DataArray(np.arange(1, 5), dims="category", coords={"category": list(CATEGORIES)})
    reached = found["category"].clip(min=1).where(found["event"] > 0, 0)
    share = (reached >= at_least).where(found["temperature"].notnull()).astype(np.float32)
    share = share.mean("member", skipna=False) if "member" in share.dims else share
    share.attrs = {"long_name": "Probability of a marine heatwave", "units": "1"}
    return share.transpose("category", ...).rename("probability")


def strength(sst: xr.DataArray, mean: xr.DataArray, limit: xr.DataArray, sign: int = 1) -> xr.DataArray:
    """How many whole times threshold − climatology the temperature is away from the climatology, 0 to 4.

    0 on this side of the threshold, and where the threshold is not beyond the climatology.
    """
    height = (limit - mean).where(sign * (limit - mean) > 0)
    times = ((sst - mean) / height).clip(0, 4).fillna(0)
    whole: xr.DataArray = xr.apply_ufunc(np.floor, times, dask="allowed")
    return whole


def follow(
    event: np.ndarray, anomaly: np.ndarray, above: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Of each day (…, day): where its event begins and peaks, days of the event so far, days in a row above."""
    one, two, three = (np.ascontiguousarray(x).reshape(-1, x.shape[-1]) for x in (event, anomaly, above))
    result = np.zeros((4, *one.shape), dtype=np.int16)
    _follow_each(one, two, three, result)
    begin, peak, length, run = result.reshape(4, *event.shape)
    return begin, peak, length, run


@numba.njit(cache=True, nogil=True)
def _follow_each(event: np.ndarray, anomaly: np.ndarray, above: np.ndarray, result: np.ndarray) -> None:
    cells, days = event.shape
    for c in range(cells):
        run, start = 0, 0
        for day in range(days):
            run = run + 1 if above[c, day] else 0
            result[3, c, day] = run
            if event[c, day] == 0:
                continue
            if day == 0 or event[c, day - 1] != event[c, day]:
                start = day
                stop, peak = day, day
                while stop < days and event[c, stop] == event[c, day]:
                    if anomaly[c, stop] > anomaly[c, peak]:
                        peak = stop
                    stop += 1
                result[1, c, start:stop] = peak
            result[0, c, day] = start
            result[2, c, day] = day - start + 1
