"""Heatwaves by year: how many, how long, how strong (`block`), and how that changes from year to year (`trend`)."""

from __future__ import annotations

import numba
import numpy as np
import xarray as xr
from scipy import stats

from ..vocabulary.errors import InputError
from ..vocabulary.processes import cores
from .against import Beside, Rule, beside, each_cell
from .days import Days, days_of
from .description import CATEGORIES, INTENSITIES, NUMBERS, above_limit, describe, strength
from .detection import Limit, as_threshold
from .limits import Field, at_the_depth_of
from .spells import spans
from .tiles import whole_series

MEANS = ("duration", *INTENSITIES, "rate_onset", "rate_decline")
COLUMNS = (
    *("count", *MEANS, "intensity_max_max", "total_icum", "total_days"),
    *(f"{name.lower()}_days" for name in CATEGORIES),
    "observed_days",
)
ESTIMATES = ("mean", "slope", "lower", "upper", "p_value")
_DESCRIBED = len(MEANS) - 1  # of `NUMBERS`: all but the duration
_FIRST, _LARGEST, _SUM, _DAYS, _OBSERVED = map(
    COLUMNS.index, ("duration", "intensity_max_max", "total_icum", "total_days", "observed_days")
)
_LAST = _FIRST + len(MEANS)
_WORDS = {
    "count": "Number of events",
    "duration": "Mean duration",
    "rate_onset": "Mean rate of onset",
    "rate_decline": "Mean rate of decline",
    "intensity_max_max": "Largest intensity",
    "total_icum": "Cumulative intensity of all events",
    "total_days": "Days in events",
    "observed_days": "Days with a value",
}


def block(
    found: Field,
    threshold: Limit | None = None,
    years: int = 1,
    *,
    min_duration: int = 5,
    max_gap: int = 2,
    side: str = "above",
) -> xr.Dataset:
    """Statistics (year, …) of the events of each block of `years` years, in every cell: what maps of heatwaves show.

    `count` events begin in the block; `duration`, `intensity_…` and `rate_…` are means over them, NaN where there is
    none; `intensity_max_max` is the largest of their maxima. `total_icum` sums the cumulative intensities of the
    events that end in the block. `total_days`, and `moderate_days` to `extreme_days`, are the days of the block itself
    that lie in an event and have that category; `observed_days` have a value. `year` is the first of each block and
    `last_year` its last. Land is NaN. Lazy where the temperature is lazy, one chunk at a time.

    Parameters
    ----------
    found
        From `detect`; or the temperature itself, with a threshold.
    threshold, min_duration, max_gap, side
        As for `detect`; only with a temperature.

    Raises
    ------
    InputError
        As `detect`, or if `years` is not positive.

    Examples
    --------
    >>> days = xr.date_range("2001-01-01", "2002-12-31")
    >>> sst = xr.DataArray(np.where(days.month == 9, 20.0, 30.0), dims="time", coords={"time": days})
    >>> block(sst, 28.5)["count"].values
    array([2., 1.])
    """
    if years < 1:
        raise InputError(f"block: found years={years}; expected 1 or more")
    rule = Rule(min_duration, max_gap, side)
    if threshold is None:
        rule.must_be_default("block")
        if not isinstance(found, xr.Dataset) or "event" not in found.data_vars:
            raise InputError("block: expected what oceanx.heatwaves.detect gives, or a temperature and a threshold")
        rule, attrs = Rule.of(found), found.attrs
        sst, mean, limit = (whole_series(found[name]) for name in ("temperature", "climatology", "threshold"))
        days = days_of(sst)
        count = len(days.dates)
        slope = xr.zeros_like(limit.isel(time=0, drop=True))
        tables = Beside(mean, limit, slope, np.arange(count), np.zeros(count))
    else:
        limits = as_threshold(threshold)
        rule.check(limits)
        sst = whole_series(at_the_depth_of(limits, found))
        attrs = limits.attrs | rule.attrs
        days = days_of(sst)
        tables = beside(sst, limits, days.dates)
    return _blocked(sst, tables, days, rule, years).assign_attrs(attrs, title="Marine heatwaves by year")


def trend(blocks: xr.Dataset, confidence: float = 0.95) -> xr.Dataset:
    """Mean and linear trend per decade (estimate, …) of every statistic of `block`, by least squares over its years.

    `estimate` has the `mean` over the years, the `slope` a decade, the `lower` and `upper` end of its confidence
    interval (Student's t, years taken as independent) and the `p_value` of no trend. Years without a value, as the
    mean duration where nothing happened, are left out cell by cell; fewer than three are NaN.

    Raises
    ------
    InputError
        If there is no `year`, or `confidence` is not between 0 and 1.

    Examples
    --------
    >>> counts = xr.Dataset({"count": ("year", [0.0, 1.0, 2.0, 3.0])}, coords={"year": [2001, 2002, 2003, 2004]})
    >>> float(trend(counts)["count"].sel(estimate="slope").round(9))
    10.0
    """
    if "year" not in blocks.dims:
        raise InputError(f"trend: expected a dimension `year`, as oceanx.heatwaves.block gives; found {blocks.dims}")
    if not 0 < confidence < 1:
        raise InputError(f"trend: found confidence={confidence}; expected a share such as 0.95")
    years = (blocks["year"].values + blocks["last_year"].values) / 2 if "last_year" in blocks else blocks["year"].values
    wanted = blocks[[name for name, v in blocks.data_vars.items() if "year" in v.dims]]
    found = xr.apply_ufunc(
        _least_squares,
        wanted.chunk(year=-1) if wanted.chunks else wanted,
        kwargs={"decades": years / 10.0, "confidence": confidence},
        input_core_dims=[["year"]],
        output_core_dims=[["estimate"]],
        dask="parallelized",
        output_dtypes=[np.float64],
        dask_gufunc_kwargs={"output_sizes": {"estimate": len(ESTIMATES)}},
        keep_attrs=True,
    )
    found = found.assign_coords(estimate=list(ESTIMATES)).transpose("estimate", ...)
    return found.assign_attrs(blocks.attrs, title="Trends of marine heatwaves", oceanx_confidence=confidence)


def _blocked(sst: xr.DataArray, tables: Beside, days: Days, rule: Rule, years: int) -> xr.Dataset:
    """All of `COLUMNS` by block, from the series beside its tables."""
    first, last = days.dates[0].year, days.dates[-1].year
    starts = np.arange(first, last + 1, years)
    table = xr.apply_ufunc(
        _statistics,
        sst,
        *tables.tables,
        kwargs={
            "rule": rule,
            "rows": days.rows,
            "places": tables.places,
            "elapsed": tables.elapsed,
            "block": (days.dates.year.to_numpy() - first) // years,
            "blocks": len(starts),
            "core": len(tables.core[0]),
            "threads": 1 if sst.chunks else cores(),
        },
        input_core_dims=[["time"], *tables.core],
        output_core_dims=[["column", "year"]],
        dask="parallelized",
        output_dtypes=[np.float64],
        dask_gufunc_kwargs={"output_sizes": {"column": len(COLUMNS), "year": len(starts)}},
    ).transpose("column", "year", ...)
    result = xr.Dataset({name: table.isel(column=n) for n, name in enumerate(COLUMNS)})
    for name in COLUMNS:
        result[name].attrs = _attrs(name, sst.attrs.get("units"))
    label = {"long_name": "First year of the block" if years > 1 else "Year"}
    ends = xr.DataArray(
        np.minimum(starts + years - 1, last), dims="year", attrs={"long_name": "Last year of the block"}
    )
    return result.assign_coords(year=xr.DataArray(starts, dims="year", attrs=label), last_year=ends)


def _attrs(name: str, unit: str | None) -> dict[str, str]:
    words = _WORDS.get(name, name.replace("_", " ").capitalize())
    if name.endswith("_days") or name == "duration":
        return {"long_name": words, "units": "d"}
    if name == "count":
        return {"long_name": words, "units": "1"}
    if unit is None:
        return {"long_name": words}
    suffix = " d-1" if name.startswith("rate") else " d" if "cumulative" in name or name == "total_icum" else ""
    return {"long_name": words, "units": unit + suffix}


def _statistics(
    values: np.ndarray,
    mean: np.ndarray,
    limit: np.ndarray,
    slope: np.ndarray,
    rule: Rule,
    rows: np.ndarray,
    places: np.ndarray,
    elapsed: np.ndarray,
    block: np.ndarray,
    blocks: int,
    core: int,
    threads: int,
) -> np.ndarray:
    """`COLUMNS` (…, column, block) of series (…, time)."""
    result = np.zeros((int(np.prod(values.shape[:-1])), len(COLUMNS), blocks))

    def one(tile: np.ndarray, mean: np.ndarray, limit: np.ndarray, slope: np.ndarray, where: slice) -> None:
        how = (rule.sign, rule.min_duration, rule.max_gap)
        _by_block(tile, mean, limit, slope, places, elapsed, *how, block, result[where])

    each_cell(values, (mean, limit, slope), core, rows, one, threads)
    return result.reshape(*values.shape[:-1], len(COLUMNS), blocks)


@numba.njit(cache=True, nogil=True)
def _by_block(
    tile: np.ndarray,
    mean: np.ndarray,
    limit: np.ndarray,
    slope: np.ndarray,
    places: np.ndarray,
    elapsed: np.ndarray,
    sign: int,
    min_duration: int,
    max_gap: int,
    block: np.ndarray,
    result: np.ndarray,
) -> None:
    days = tile.shape[1]
    above = np.empty(days, np.bool_)
    most = days // (min_duration + 1) + 1
    first, last = np.empty(most, np.int64), np.empty(most, np.int64)
    numbers = np.empty(len(NUMBERS))
    for cell in range(len(tile)):
        x, found = tile[cell], result[cell]
        if np.isnan(limit[cell]).all():
            found[:] = np.nan  # land
            continue
        found[_LARGEST] = np.nan
        for day in range(days):
            found[_OBSERVED, block[day]] += not np.isnan(x[day])
        above_limit(x, limit[cell], places, slope[cell], elapsed, sign, above)
        for n in range(spans(above, min_duration, max_gap, first, last)):
            a, b = first[n], last[n]
            describe(x, mean[cell], limit[cell], places, slope[cell], elapsed, sign, a, b, numbers)
            at = block[a]
            found[0, at] += 1
            found[_FIRST, at] += b - a + 1
            for k in range(_DESCRIBED):
                found[_FIRST + 1 + k, at] += numbers[k]
            if np.isnan(found[_LARGEST, at]) or sign * numbers[0] > sign * found[_LARGEST, at]:
                found[_LARGEST, at] = numbers[0]
            found[_SUM, block[b]] += numbers[3]
            for day in range(a, b + 1):
                found[_DAYS, block[day]] += 1
                moved = slope[cell] * elapsed[day]
                clim, bound = mean[cell, places[day]] + moved, limit[cell, places[day]] + moved
                if above[day] and sign * (bound - clim) > 0:
                    times = strength(np.float64(x[day]), clim, bound)
                    if times > 0:
                        found[_DAYS + times, block[day]] += 1
        for at in range(found.shape[1]):
            for k in range(_FIRST, _LAST):
                found[k, at] = found[k, at] / found[0, at] if found[0, at] > 0 else np.nan


def _least_squares(values: np.ndarray, decades: np.ndarray, confidence: float) -> np.ndarray:
    """`ESTIMATES` (…, estimate) of series (…, year)."""
    there = np.isfinite(values)
    count = there.sum(axis=-1).astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(there, decades, 0.0)
        y = np.where(there, values, 0.0)
        t_mean, y_mean = t.sum(axis=-1) / count, y.sum(axis=-1) / count
        t = np.where(there, decades - t_mean[..., None], 0.0)
        y = np.where(there, values - y_mean[..., None], 0.0)
        spread = (t**2).sum(axis=-1)
        slope = (t * y).sum(axis=-1) / spread
        left = ((y - slope[..., None] * t) ** 2).sum(axis=-1)
        error = np.sqrt(left / (count - 2) / spread)
        half = stats.t.isf((1 - confidence) / 2, count - 2) * error
        p_value = 2 * stats.t.sf(np.abs(slope) / error, count - 2)
    found = np.stack([y_mean, slope, slope - half, slope + half, p_value], axis=-1)
    found[count < 3] = np.nan
    return found
