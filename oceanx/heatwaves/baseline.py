"""Climatology and percentile threshold for each day of the year (Hobday et al. 2016)."""

from __future__ import annotations

import logging
import re
from importlib.metadata import version

import numba
import numpy as np
import pandas as pd
import xarray as xr

from ..ocean.climatology import day_of_year
from ..vocabulary.errors import InputError
from ..vocabulary.processes import cores
from .days import Days, days_of
from .limits import DAYS_PER_YEAR, VERSION, Field, any_temperature
from .pools import YEAR, pooled
from .source import fingerprint_of
from .tiles import each_tile, whole_series

_log = logging.getLogger("oceanx.heatwaves")

ENOUGH_YEARS = 30  # for a baseline, after Hobday et al. (2016)
_HOBDAY = "Hobday et al. (2016), doi:10.1016/j.pocean.2015.12.014"
_JACOX = "Jacox et al. (2020), doi:10.1038/s41586-020-2534-z"


def threshold(
    sst: Field,
    baseline: tuple[str | int, str | int] = ("1982", "2011"),
    percentile: float = 90,
    half_width: int = 5,
    smooth: int = 31,
    *,
    detrend: bool = False,
) -> xr.Dataset:
    """`climatology` and `threshold` (dayofyear, …) of a daily series or field, for days 1…366 of a leap year.

    For each day, all values within `half_width` days of that date in the baseline years are pooled; their mean is the
    climatology and their percentile (Hyndman and Fan's type 7) the threshold. 29 February is the mean of its
    neighbours; then both are smoothed by a running mean of `smooth` days round the year. Missing days are left out;
    cells without any value are NaN. `degenerate` (…) counts the days of the year on which the threshold is not above
    the climatology, as under ice: there is no category there.

    At the ends of the baseline the window reaches `half_width` days beyond it where the series goes on, as in the
    authors' own program. Give `sst.sel(time=slice(...))` where those days must stay unseen.

    Lazy where `sst` is lazy, in chunks of whole series: best of a store cut by `oceanx rechunk --for timeseries`.

    Parameters
    ----------
    sst
        Daily, with `time` and any other dimensions (`depth` too); of a Dataset `sst` or `thetao`. Every baseline year
        must be covered from end to end.
    baseline
        First and last year. Fewer than 30 are allowed, said aloud, and kept in the attributes.
    percentile
        90 for heatwaves; 10 for cold spells.
    smooth
        An odd number of days; 1 for none.
    detrend
        Let the baseline shift: the linear trend of the anomalies over the baseline, by least squares per cell, is
        taken out before pooling and kept as `trend` (…) per year. The climatology and threshold of a date are then
        those of its day of the year plus the trend times the years since `oceanx_trend_since`, beyond the baseline too.

    Raises
    ------
    InputError
        If the series is not daily or does not cover the baseline, or a parameter is out of range.

    References
    ----------
    Hobday et al. (2016), A hierarchical approach to defining marine heatwaves, doi:10.1016/j.pocean.2015.12.014;
    of shifting baselines: Jacox et al. (2020), Thermal displacement by marine heatwaves,
    doi:10.1038/s41586-020-2534-z; Amaya et al. (2023), Marine heatwaves need clear definitions so coastal communities
    can adapt, doi:10.1038/d41586-023-00924-2

    Examples
    --------
    >>> time = pd.date_range("2001-01-01", "2004-12-31")
    >>> year = 2 * np.pi * day_of_year(xr.DataArray(time, dims="time")) / 366
    >>> sst = xr.DataArray(20 + 5 * np.cos(year), dims="time", coords={"time": time}, attrs={"units": "degrees_C"})
    >>> found = threshold(sst, baseline=(2001, 2004))
    >>> float(found.threshold.sel(dayofyear=1).round(1))
    25.0
    """
    if not 0 < percentile < 100 or half_width < 0 or smooth < 1 or smooth % 2 == 0 or smooth > YEAR:
        raise InputError(
            f"threshold: found percentile={percentile}, half_width={half_width}, smooth={smooth}; expected a "
            "percentile between 0 and 100, a half width of 0 or more days and an odd number of days to smooth over"
        )
    series = any_temperature(sst)
    first, last = whole_years(baseline)
    days = _baseline(days_of(series), first, last, half_width)
    begin, end = pd.Timestamp(first, 1, 1), pd.Timestamp(last + 1, 1, 1)
    middle = (begin + (end - begin) / 2).normalize()
    both, trend = xr.apply_ufunc(
        _limits,
        whole_series(series),
        kwargs={
            "rows": days.rows,
            "starts": _year_starts(first, last) + half_width,
            "share": percentile / 100.0,
            "half": half_width,
            "smooth": smooth,
            "elapsed": (days.dates - middle).days.to_numpy() / DAYS_PER_YEAR if detrend else None,
            "places": day_of_year(xr.DataArray(days.dates, dims="time")) - 1,
            "threads": 1 if series.chunks else cores(),
        },
        input_core_dims=[["time"]],
        output_core_dims=[["kind", "dayofyear"], []],
        dask="parallelized",
        output_dtypes=[np.float64, np.float64],
        dask_gufunc_kwargs={"output_sizes": {"kind": 2, "dayofyear": YEAR}},
    )
    both = both.transpose("kind", "dayofyear", ...)
    units = {"units": series.attrs["units"]} if "units" in series.attrs else {}
    result = dataset(
        both.isel(kind=0).assign_attrs(long_name="Climatology", **units),
        both.isel(kind=1).assign_attrs(long_name=f"Percentile {percentile:g}", **units),
        below=percentile < 50,
    )
    attrs = {
        "references": _HOBDAY + (f"; {_JACOX}" if detrend else ""),
        "oceanx_baseline": f"{first}/{last}",
        "oceanx_percentile": float(percentile),
        "oceanx_half_width_days": half_width,
        "oceanx_smooth_days": smooth,
        "oceanx_detrend": "linear" if detrend else "none",
        "oceanx_source_fingerprint": fingerprint_of(sst),
    }
    if detrend:
        per_year = {"units": f"{series.attrs['units']} year-1"} if "units" in series.attrs else {}
        result["trend"] = trend.assign_attrs(long_name="Linear trend of the baseline", **per_year)
        attrs["oceanx_trend_since"] = f"{middle:%Y-%m-%d}"
    years = last - first + 1
    if years < ENOUGH_YEARS:
        counted = f"{years} year{'s' * (years > 1)} of baseline"
        attrs["comment"] = f"{counted}; {ENOUGH_YEARS} are recommended (Hobday et al. 2016)"
        _log.warning("threshold %d to %d: %s", first, last, attrs["comment"])
    return result.assign_attrs(attrs)


def rolling_threshold(
    sst: Field, years: tuple[str | int, str | int], length: int = ENOUGH_YEARS, **options: object
) -> xr.Dataset:
    """As `threshold`, by `year` too: each year from first to last has the `length` years before it for a baseline.

    So a forecaster would have had it, and the baseline moves with the climate. `detect` takes for every date the
    threshold of its year.

    Raises
    ------
    InputError
        As `threshold`.

    References
    ----------
    Oliver et al. (2021), Marine heatwaves, doi:10.1146/annurev-marine-032720-095144
    """
    first, last = whole_years(years)
    if length < 1 or last < first:
        raise InputError(f"rolling_threshold: found years {first} to {last}, length={length}; expected 1 year or more")
    numbers = range(first, last + 1)
    each = [threshold(sst, (year - length, year - 1), **options) for year in numbers]  # type: ignore[arg-type]
    label = xr.DataArray(list(numbers), dims="year", name="year", attrs={"long_name": "Year the threshold is for"})
    if "trend" in each[0]:
        raise InputError("rolling_threshold: a rolling baseline shifts already; leave out detrend")
    result = xr.concat(each, dim=label, combine_attrs="override")
    baseline = f"the {length} years before each, {first} to {last}"
    return result.assign_attrs(oceanx_baseline=baseline).assign_coords(dayofyear=each[0]["dayofyear"])


def fixed_threshold(limit: float | xr.DataArray, climatology: xr.Dataset | None = None) -> xr.Dataset:
    """A threshold that is the same all year, such as 29 °C or a field of bleaching thresholds, for `detect`.

    Parameters
    ----------
    limit
        A number in the unit of the temperature, or a field without time.
    climatology
        From `threshold`: intensities are above it, and categories multiples of threshold − climatology. Without it
        intensities are above the limit itself, and there are no categories.
    """
    days = xr.DataArray(np.arange(1, YEAR + 1), dims="dayofyear")
    level = limit if isinstance(limit, xr.DataArray) else xr.DataArray(float(limit))
    if "time" in level.dims or "dayofyear" in level.dims:
        raise InputError(f"fixed_threshold: expected a number or a field without time; found {level.dims}")
    if climatology is None:
        flat = level.astype(float).expand_dims(dayofyear=days).assign_attrs(level.attrs)
        return dataset(flat, flat).assign_attrs(oceanx_fixed="yes")
    if "trend" in climatology or "year" in climatology.dims:
        raise InputError("fixed_threshold: the climatology shifts, the limit does not; give one without detrend")
    mean = climatology["climatology"]
    flat = (level + xr.zeros_like(mean)).transpose(*mean.dims).assign_attrs(mean.attrs)
    return dataset(mean, flat).assign_attrs(climatology.attrs, oceanx_fixed="yes", oceanx_percentile="none")


def dataset(mean: xr.DataArray, limit: xr.DataArray, *, below: bool = False) -> xr.Dataset:
    """Climatology and threshold as a Dataset with the attributes that every one of them has."""
    days = xr.DataArray(np.arange(1, YEAR + 1), dims="dayofyear", attrs={"long_name": "Day of a leap year"})
    degenerate = (limit >= mean if below else limit <= mean).sum("dayofyear").astype(np.int16)
    side = "below" if below else "above"
    degenerate.attrs = {"long_name": f"Days of the year with a threshold not {side} the climatology", "units": "1"}
    return (
        xr.Dataset({"climatology": mean, "threshold": limit, "degenerate": degenerate})
        .assign_coords(dayofyear=days)
        .assign_attrs(
            title="Marine heatwave threshold",
            oceanx_threshold_version=VERSION,
            oceanx_version=version("oceanx"),
        )
    )


def whole_years(period: tuple[str | int, str | int]) -> tuple[int, int]:
    """The first and last year of a period; `InputError` if it begins or ends within one."""
    for given, whole in zip(period, ("-01-01", "-12-31"), strict=True):
        if not re.fullmatch(rf"\d{{4}}({whole})?", str(given)):
            raise InputError(f"baseline: found {given!r}; expected whole years, such as (1982, 2011)")
    return int(str(period[0])[:4]), int(str(period[1])[:4])


def _baseline(days: Days, first: int, last: int, margin: int) -> Days:
    """The days from `first` to `last` year and `margin` days around them.

    Raises
    ------
    InputError
        If the series does not reach both ends of the years, or has no day of one of them.
    """
    begin, end = pd.Timestamp(first, 1, 1), pd.Timestamp(last, 12, 31)
    if last < first or days.dates[0] > begin or days.dates[-1] < end:
        raise InputError(
            f"baseline {first} to {last}: the series runs from {days.dates[0]:%Y-%m-%d} to {days.dates[-1]:%Y-%m-%d}; "
            "give whole years that it covers"
        )
    there = set(days.dates[days.rows >= 0].year)
    absent = [year for year in range(first, last + 1) if year not in there]
    if absent:
        raise InputError(f"baseline {first} to {last}: the series has no day of {absent[0]}; choose other years")
    around = pd.Timedelta(margin, "D")
    return days.between(begin - around, end + around)


def _year_starts(first: int, last: int) -> np.ndarray:
    """Where each year begins in the daily series, and the end of the last."""
    begins = pd.to_datetime([f"{year}-01-01" for year in range(first, last + 2)])
    return np.asarray((begins - begins[0]).days, dtype=np.int64)


def _limits(
    values: np.ndarray,
    rows: np.ndarray,
    starts: np.ndarray,
    share: float,
    half: int,
    smooth: int,
    elapsed: np.ndarray | None,
    places: np.ndarray,
    threads: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Climatology and threshold (…, 2, 366), and the trend (…) per year, of series (…, time)."""
    shape = values.shape[:-1]
    both = np.empty((int(np.prod(shape)), 2, YEAR))
    trend = np.zeros(len(both))

    def one(tile: np.ndarray, where: slice) -> None:
        pooled(tile, starts, share, half, smooth, both[where])
        if elapsed is not None:
            core = slice(starts[0], starts[-1])
            _slopes(tile[:, core], both[where, 0], places[core], elapsed[core], trend[where])
            pooled(tile - trend[where, None] * elapsed, starts, share, half, smooth, both[where])

    each_tile(values, rows, one, threads)
    return both.reshape(*shape, 2, YEAR), trend.reshape(shape)


@numba.njit(cache=True, nogil=True)
def _slopes(series: np.ndarray, mean: np.ndarray, places: np.ndarray, elapsed: np.ndarray, result: np.ndarray) -> None:
    """Slope (cell) by least squares of the departure of series (cell, day) from the mean of its day of the year."""
    for cell in range(len(series)):
        n, t, a, tt, ta = 0, 0.0, 0.0, 0.0, 0.0
        for day in range(len(elapsed)):
            anomaly = series[cell, day] - mean[cell, places[day]]
            if np.isfinite(anomaly):
                n += 1
                t += elapsed[day]
                a += anomaly
                tt += elapsed[day] ** 2
                ta += elapsed[day] * anomaly
        spread = n * tt - t * t
        result[cell] = (n * ta - t * a) / spread if spread > 0 else np.nan
