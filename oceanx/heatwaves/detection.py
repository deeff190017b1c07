"""Marine heatwaves in a series or field, day by day."""

from __future__ import annotations

import numba
import numpy as np
import xarray as xr

from ..ocean.flags import flag_attrs
from ..vocabulary.processes import cores
from .against import Rule, beside, each_cell
from .baseline import fixed_threshold
from .days import every_day
from .description import CATEGORIES, above_limit, strength
from .limits import Field, at_the_depth_of, on_dates
from .source import fingerprint_of_threshold
from .spells import spans
from .tiles import whole_series

Limit = xr.Dataset | xr.DataArray | float


def detect(sst: Field, threshold: Limit, *, min_duration: int = 5, max_gap: int = 2, side: str = "above") -> xr.Dataset:
    """The heatwaves of a daily series or field: `event` (its number in each cell, 0 for none) and its strength.

    An event is at least `min_duration` days above the threshold; two of them no more than `max_gap` days apart are
    one (0 keeps them apart). Beside `event` stand `category` of each day of an event, 1 to 4 by whole multiples of
    threshold − climatology (0 below the threshold, and where the threshold is not above the climatology), `intensity`
    (temperature less climatology; NaN outside events), and `temperature`, `climatology` and `threshold` on every day.
    A missing day is never above the threshold. Lazy where `sst` is lazy.

    All this is some eight times as large as `sst`; `events(sst, threshold)` and `block(sst, threshold)` go without.

    Parameters
    ----------
    sst
        Temperature, or a Dataset with `sst` or `thetao`: at the depths of the threshold, and where it has none, the
        surface.
    threshold
        From `threshold`, `rolling_threshold` or `fixed_threshold`, on the same grid and in the same unit; or a number
        or a field without time, in the unit of the temperature.
    side
        "below" for cold spells, with a threshold of percentile 10: the days below it, and intensities below 0.

    Raises
    ------
    InputError
        If the series is not daily, grids, depths or units differ, the threshold is of the other side, or a parameter
        is out of range.

    References
    ----------
    Hobday et al. (2016), doi:10.1016/j.pocean.2015.12.014; Hobday et al. (2018), doi:10.5670/oceanog.2018.205;
    of cold spells: Schlegel et al. (2021), doi:10.1016/j.pocean.2021.102684
    """
    rule = Rule(min_duration, max_gap, side)
    limits = as_threshold(threshold)
    rule.check(limits)
    daily = whole_series(every_day(at_the_depth_of(limits, sst)))
    tables = beside(daily, limits, daily.indexes["time"])
    event, category = xr.apply_ufunc(
        _labels,
        daily,
        *tables.tables,
        kwargs={
            "rule": rule,
            "places": tables.places,
            "elapsed": tables.elapsed,
            "core": len(tables.core[0]),
            "threads": 1 if daily.chunks else cores(),
        },
        input_core_dims=[["time"], *tables.core],
        output_core_dims=[["time"], ["time"]],
        dask="parallelized",
        output_dtypes=[np.int32, np.int8],
    )
    mean, limit = (
        on_dates(daily, limits, kind).broadcast_like(daily).transpose(*daily.dims)
        for kind in ("climatology", "threshold")
    )
    event, category = (v.transpose(*daily.dims) for v in (event, category))
    units = {"units": daily.attrs["units"]} if "units" in daily.attrs else {}
    words = flag_attrs(("none", *CATEGORIES), np.int8)
    return xr.Dataset(
        {
            "event": event.assign_attrs(long_name="Number of the marine heatwave, 0 for none"),
            "category": category.assign_attrs(long_name="Category of the day", **words),
            "intensity": (daily - mean).where(event > 0).assign_attrs(long_name="Above the climatology", **units),
            "temperature": daily.assign_attrs(long_name="Temperature", **units),
            "climatology": mean.assign_attrs(long_name="Climatology", **units),
            "threshold": limit.assign_attrs(long_name="Threshold", **units),
        }
    ).assign_attrs(limits.attrs, **rule.attrs, oceanx_threshold_fingerprint=fingerprint_of_threshold(limits))


def as_threshold(threshold: Limit) -> xr.Dataset:
    """A threshold as a Dataset: a number or a field without time is one that is the same all year."""
    return threshold if isinstance(threshold, xr.Dataset) else fixed_threshold(threshold)


def _labels(
    values: np.ndarray,
    mean: np.ndarray,
    limit: np.ndarray,
    slope: np.ndarray,
    rule: Rule,
    places: np.ndarray,
    elapsed: np.ndarray,
    core: int,
    threads: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Event numbers and categories (…, time)."""
    event = np.zeros((int(np.prod(values.shape[:-1])), values.shape[-1]), np.int32)
    category = np.zeros(event.shape, np.int8)

    def one(tile: np.ndarray, mean: np.ndarray, limit: np.ndarray, slope: np.ndarray, where: slice) -> None:
        how = (rule.sign, rule.min_duration, rule.max_gap)
        _label(tile, mean, limit, slope, places, elapsed, *how, event[where], category[where])

    each_cell(values, (mean, limit, slope), core, np.arange(values.shape[-1]), one, threads)
    return event.reshape(values.shape), category.reshape(values.shape)


@numba.njit(cache=True, nogil=True)
def _label(
    tile: np.ndarray,
    mean: np.ndarray,
    limit: np.ndarray,
    slope: np.ndarray,
    places: np.ndarray,
    elapsed: np.ndarray,
    sign: int,
    min_duration: int,
    max_gap: int,
    event: np.ndarray,
    category: np.ndarray,
) -> None:
    days = tile.shape[1]
    above = np.empty(days, np.bool_)
    most = days // (min_duration + 1) + 1
    first, last = np.empty(most, np.int64), np.empty(most, np.int64)
    for cell in range(len(tile)):
        above_limit(tile[cell], limit[cell], places, slope[cell], elapsed, sign, above)
        for n in range(spans(above, min_duration, max_gap, first, last)):
            for day in range(first[n], last[n] + 1):
                event[cell, day] = n + 1
                if above[day]:
                    moved = slope[cell] * elapsed[day]
                    clim, bound = mean[cell, places[day]] + moved, limit[cell, places[day]] + moved
                    if sign * (bound - clim) > 0:
                        category[cell, day] = strength(np.float64(tile[cell, day]), clim, bound)
