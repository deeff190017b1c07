"""Climatology and percentile threshold for each day of the year (Hobday et al. 2016)."""

from __future__ import annotations

from collections.abc import Hashable

import numba
import numpy as np
import pandas as pd
import xarray as xr

from ..vocabulary.errors import InputError

YEAR = 366
LEAP_DAY = 59  # 29 February, counted from 0
BLOCK_CELLS = 2048  # cells worked on at a time: their series lie together in memory


def threshold(
    sst: xr.DataArray,
    baseline: tuple[str | int, str | int] = ("1982", "2011"),
    percentile: float = 90,
    half_width: int = 5,
    smooth: int = 31,
) -> xr.Dataset:
    """`climatology` and `threshold` (dayofyear, …) of a daily series or field, for days 1…366 of a leap year.

    For each day, all values within `half_width` days of that date in the baseline years are pooled; their mean is the
    climatology and their percentile (Hyndman and Fan's type 7) the threshold. 29 February is the mean of its
    neighbours; then both are smoothed by a running mean of `smooth` days round the year. Missing days are left out;
    cells without any value are NaN.

    At the ends of the baseline the window reaches `half_width` days beyond it where the series goes on, as in the
    authors' own program. Give `sst.sel(time=slice(...))` where those days must stay unseen.

    Lazy where `sst` is lazy, block by block of whole series.

    Parameters
    ----------
    sst
        Daily, with `time` and any other dimensions. Every baseline year must be covered from end to end.
    baseline
        First and last year.
    smooth
        An odd number of days; 1 for none.

    Raises
    ------
    InputError
        If the series is not daily or does not cover the baseline, or a parameter is out of range.

    References
    ----------
    Hobday et al. (2016), A hierarchical approach to defining marine heatwaves, doi:10.1016/j.pocean.2015.12.014
    """
    if not 0 < percentile < 100 or half_width < 0 or smooth < 1 or smooth % 2 == 0 or smooth > YEAR:
        raise InputError(
            f"threshold: found percentile={percentile}, half_width={half_width}, smooth={smooth}; expected a "
            "percentile between 0 and 100, a half width of 0 or more days and an odd number of days to smooth over"
        )
    first, last = (int(str(year)[:4]) for year in baseline)
    series = _baseline(sst, first, last, half_width)
    starts = _year_starts(first, last) + half_width
    lazy = bool(sst.chunks)
    cells = [d for d in series.dims if d != "time"]
    blocks = series.chunk(_cell_chunks(series, cells) | {"time": -1})
    both = xr.apply_ufunc(
        _pooled,
        blocks,
        kwargs={"starts": starts, "percentile": percentile, "half_width": half_width, "smooth": smooth},
        input_core_dims=[["time"]],
        output_core_dims=[["kind", "dayofyear"]],
        dask="parallelized",
        output_dtypes=[np.float64],
        dask_gufunc_kwargs={"output_sizes": {"kind": 2, "dayofyear": YEAR}},
    ).transpose("kind", "dayofyear", ...)
    both = both if lazy else both.compute()
    days = xr.DataArray(np.arange(1, YEAR + 1), dims="dayofyear", attrs={"long_name": "Day of a leap year"})
    units = {"units": sst.attrs.get("units", "degrees_C")}
    climatology, limit = both.isel(kind=0), both.isel(kind=1)
    climatology.attrs = {"long_name": "Climatology", **units}
    limit.attrs = {"long_name": f"Percentile {percentile:g}", **units}
    return (
        xr.Dataset({"climatology": climatology, "threshold": limit})
        .assign_coords(dayofyear=days)
        .assign_attrs(
            title="Marine heatwave threshold",
            references="Hobday et al. (2016), doi:10.1016/j.pocean.2015.12.014",
            oceanx_baseline=f"{first}/{last}",
            oceanx_percentile=float(percentile),
            oceanx_half_width_days=half_width,
            oceanx_smooth_days=smooth,
        )
    )


def every_day(sst: xr.DataArray) -> xr.DataArray:
    """The series on each day from its first to its last, at midnight, NaN on days it does not have.

    Raises
    ------
    InputError
        If it has no dates, or more than one value a day.
    """
    if "time" not in sst.dims or "time" not in sst.coords:
        raise InputError(f"{sst.name or 'sst'}: expected a dimension 'time' with dates; found {sst.dims}")
    if sst["time"].dtype.kind != "M":
        sst = sst.convert_calendar("standard", use_cftime=False)
    dates = pd.DatetimeIndex(sst["time"].values).floor("D")
    if dates.has_duplicates:
        raise InputError(f"time: {dates[dates.duplicated()][0]:%Y-%m-%d} is there more than once; give daily means")
    return _on(sst.assign_coords(time=dates), pd.date_range(dates.min(), dates.max(), unit="ns"))


def _baseline(sst: xr.DataArray, first: int, last: int, margin: int) -> xr.DataArray:
    """The series on every day from `first` to `last` year and `margin` days around them, NaN on days without value.

    Raises
    ------
    InputError
        If it does not reach both ends of the years.
    """
    sst = every_day(sst)
    dates = sst.indexes["time"]
    days = pd.date_range(f"{first}-01-01", f"{last}-12-31", unit="ns")
    if last < first or dates.min() > days[0] or dates.max() < days[-1]:
        raise InputError(
            f"baseline {first} to {last}: the series runs from {dates.min():%Y-%m-%d} to {dates.max():%Y-%m-%d}; "
            "give whole years that it covers"
        )
    around = pd.Timedelta(margin, "D")
    return _on(sst, pd.date_range(days[0] - around, days[-1] + around, unit="ns"))


def _on(sst: xr.DataArray, days: pd.DatetimeIndex) -> xr.DataArray:
    return sst.sel(time=days) if days.isin(sst.indexes["time"]).all() else sst.reindex(time=days)


def _year_starts(first: int, last: int) -> np.ndarray:
    """Where each year begins in the daily series, and the end of the last."""
    begins = pd.to_datetime([f"{year}-01-01" for year in range(first, last + 2)])
    return np.asarray((begins - begins[0]).days, dtype=np.int64)


def _cell_chunks(series: xr.DataArray, cells: list[Hashable]) -> dict[Hashable, int]:
    """Chunks of about BLOCK_CELLS cells: whole rows of the last dimensions."""
    chunks: dict[Hashable, int] = {}
    room = BLOCK_CELLS
    for d in reversed(cells):
        chunks[d] = max(1, min(series.sizes[d], room))
        room //= chunks[d]
    return chunks


def _pooled(values: np.ndarray, starts: np.ndarray, percentile: float, half_width: int, smooth: int) -> np.ndarray:
    """Smoothed mean and percentile (…, 2, 366) of series (…, time)."""
    flat = np.ascontiguousarray(values.reshape(-1, values.shape[-1]), dtype=np.float64)
    result = np.full((len(flat), 2, YEAR), np.nan)
    _pool(flat, starts, percentile / 100.0, half_width, result)
    result[..., LEAP_DAY] = (result[..., LEAP_DAY - 1] + result[..., LEAP_DAY + 1]) / 2
    return _running_mean(result, smooth).reshape(*values.shape[:-1], 2, YEAR)


def _running_mean(values: np.ndarray, width: int) -> np.ndarray:
    """The mean over a window round the year of the days that have a value, kept NaN where the day has none."""
    if width == 1:
        return values
    half = width // 2
    there = np.isfinite(values)
    padded = [np.concatenate([x[..., -half:], x, x[..., :half]], axis=-1) for x in (np.where(there, values, 0), there)]
    sums, counts = (np.lib.stride_tricks.sliding_window_view(x, width, axis=-1).sum(axis=-1) for x in padded)
    return np.where(there, sums / np.maximum(counts, 1), np.nan)


@numba.njit(cache=True, nogil=True)
def _pool(series: np.ndarray, starts: np.ndarray, share: float, half: int, result: np.ndarray) -> None:
    """Mean and percentile of each day's pool.

    The pool of a day is that of the day before, less the days that left the window and with those that came in. So it
    is kept in order, and each day costs one pass over it instead of a sort.
    """
    years = len(starts) - 1
    pool = np.empty((2 * half + 1) * years)
    other = np.empty_like(pool)
    leaving, entering = np.empty(years), np.empty(years)
    for cell in range(series.shape[0]):
        x = series[cell]
        count = 0
        for year in range(years):  # the pool of 1 January
            for k in range(-half, half + 1):
                day = starts[year] + k
                if not np.isnan(x[day]):
                    pool[count] = x[day]
                    count += 1
        pool[:count].sort()
        for day_of_year in range(YEAR):
            if day_of_year > 0:
                out, new = 0, 0
                for year in range(years):
                    leap = starts[year + 1] - starts[year] == 366
                    if day_of_year == LEAP_DAY and not leap:
                        continue  # there is no such day: the window stays at 28 February
                    at = starts[year] + day_of_year - (0 if leap or day_of_year < LEAP_DAY else 1)
                    day = at - half - 1
                    if not np.isnan(x[day]):
                        leaving[out] = x[day]
                        out += 1
                    day = at + half
                    if not np.isnan(x[day]):
                        entering[new] = x[day]
                        new += 1
                leaving[:out].sort()
                entering[:new].sort()
                count = _exchange(pool, count, leaving, out, entering, new, other)
                pool, other = other, pool
            if count == 0 or day_of_year == LEAP_DAY:
                continue
            total = 0.0
            for k in range(count):
                total += pool[k]
            result[cell, 0, day_of_year] = total / count
            place = share * (count - 1)
            below = int(np.floor(place))
            above = min(below + 1, count - 1)
            result[cell, 1, day_of_year] = pool[below] + (place - below) * (pool[above] - pool[below])


@numba.njit(cache=True, nogil=True)
def _exchange(
    pool: np.ndarray, count: int, leaving: np.ndarray, out: int, entering: np.ndarray, new: int, result: np.ndarray
) -> int:
    """Merge `entering` into `pool` without `leaving`, all in order; the new count."""
    i = j = k = 0
    for n in range(count):
        value = pool[n]
        if i < out and leaving[i] == value:
            i += 1
            continue
        while j < new and entering[j] < value:
            result[k] = entering[j]
            j += 1
            k += 1
        result[k] = value
        k += 1
    while j < new:
        result[k] = entering[j]
        j += 1
        k += 1
    return k
