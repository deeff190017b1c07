"""The seasonal cycle: harmonics of the year fitted per cell, and the value of a climatology on any date."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numba
import numpy as np
import pandas as pd
import xarray as xr

from oceanx.vocabulary.progress import Progress

from ..vocabulary.errors import InputError

YEAR = 366  # days: every date has its own, 29 February included
BLOCK_BYTES = 16 * 2**20  # how much of one variable is held at a time
_SMALL = 256 * 2**20  # bytes that are simply read
_LEAP_DAY = 60  # 29 February
_MONTH_START = np.array([0, 31, 60, 91, 121, 152, 182, 213, 244, 274, 305, 335])


def day_of_year(time: xr.DataArray) -> np.ndarray:
    """Day 1…366 of a leap year, the same for a date in every year: 1 March is always 61. Same shape as `time`.

    Examples
    --------
    >>> day_of_year(xr.DataArray(pd.to_datetime(["2019-03-01", "2020-02-29", "2020-03-01"]), dims="time"))
    array([61, 60, 61])
    """
    if time.dtype.kind != "M":  # of another calendar
        return _MONTH_START[np.asarray(time.dt.month) - 1] + np.asarray(time.dt.day)
    days, months = (np.asarray(time.data).astype(f"datetime64[{unit}]") for unit in "DM")
    return _MONTH_START[months.astype(int) % 12] + (days - months).astype(int) + 1


def climatology(ds: xr.Dataset, harmonics: int = 3, progress: Progress | None = None) -> xr.Dataset:
    """Harmonics of the year (harmonic, …) of every variable with a `time`, by least squares per cell.

    The 2·harmonics + 1 terms are the mean, then a cosine and a sine per harmonic, of the phase 2π (d − 1) / 366 with
    d the day of a leap year. One pass over time, a block of days at a time; days without a value are left out cell by
    cell, and a cell whose days do not determine the cycle (land above all) is NaN. The first and last date used are
    kept in the attribute `oceanx_climatology_period`.

    Parameters
    ----------
    ds
        Training period: the caller selects it. At least one year, if there are harmonics.

    Raises
    ------
    InputError
        If the period is shorter than a year, or nothing has a `time`.
    """
    if harmonics < 0:
        raise InputError(f"harmonics: found {harmonics}; expected 0 or more")
    names = [str(n) for n, v in ds.data_vars.items() if "time" in v.dims and np.issubdtype(v.dtype, np.floating)]
    if not names:
        raise InputError(f"climatology: no variable has a `time`; found {sorted(map(str, ds.data_vars))}")
    first, last = _period(ds["time"])
    if harmonics and (last - first) < pd.Timedelta("364D"):
        raise InputError(f"climatology: {first:%Y-%m-%d} to {last:%Y-%m-%d} is shorter than a year; give whole years")
    terms = basis(ds["time"], harmonics)
    fitted = {name: _fit(ds[name], terms, name, progress) for name in names}
    static = [c for c in ("mask", "cell_area", "thickness") if c in ds.coords]
    result = xr.Dataset(fitted).assign_coords({c: ds[c] for c in static})
    result["harmonic"].attrs = {"long_name": "0: mean; 2k-1 and 2k: cosine and sine of harmonic k", "units": "1"}
    return result.assign_attrs(
        oceanx_climatology_period=f"{first:%Y-%m-%d}/{last:%Y-%m-%d}", oceanx_climatology_harmonics=harmonics
    )


def daily_climatology(ds: xr.Dataset, window: int = 0, progress: Progress | None = None) -> xr.Dataset:
    """Means by `dayofyear` 1…366 of every variable with a `time`, pooled over the days within `window` of the date.

    One pass over time, a day at a time, in the order of the calendar; days without a value are left out cell by cell,
    and a cell and date without any is NaN. 29 February, of which there are few, is always pooled with its two
    neighbours. Memory: the result, and 2·window + 1 fields of sums.

    Parameters
    ----------
    ds
        Training period: the caller selects it. At least one value on every date of the year, 29 February apart.
    window
        Days on either side, round the turn of the year.

    Raises
    ------
    InputError
        If a date has no day at all, or nothing has a `time`.
    """
    if not 0 <= window <= 60:
        raise InputError(f"window: found {window}; expected 0 to 60 days on either side")
    names = [str(n) for n, v in ds.data_vars.items() if "time" in v.dims and np.issubdtype(v.dtype, np.floating)]
    if not names:
        raise InputError(f"climatology: no variable has a `time`; found {sorted(map(str, ds.data_vars))}")
    days = day_of_year(ds["time"])
    absent = sorted(set(range(1, YEAR + 1)) - set(days.tolist()) - {_LEAP_DAY})
    if absent:
        date = pd.Timestamp("2000-01-01") + pd.Timedelta(absent[0] - 1, "D")
        raise InputError(f"climatology: no {date:%d %B} in the times given; give whole years")
    first, last = _period(ds["time"])
    fitted = {name: _daily(ds[name], days, window, name, progress) for name in names}
    static = [c for c in ("mask", "cell_area", "thickness") if c in ds.coords]
    result = xr.Dataset(fitted).assign_coords({c: ds[c] for c in static})
    result["dayofyear"].attrs = {"long_name": "Day of a leap year"}
    return result.assign_attrs(
        oceanx_climatology_period=f"{first:%Y-%m-%d}/{last:%Y-%m-%d}", oceanx_climatology_window=window
    )


def at(climatology: xr.Dataset, time: Any) -> xr.Dataset:
    """The climatology on given dates, float32: the dimensions of `time` first, then those of each variable.

    A date has the same numbers, to the bit, whichever others are asked for with it.

    Parameters
    ----------
    climatology
        With a dimension `harmonic` (from `climatology`) or `dayofyear` 1…366 (from `expand`, or anyone's).
    time
        A DataArray of dates of any shape (`ds.time`, `forecast.valid_time`), or anything pandas reads as dates.
    """
    dates = _dates(time)
    if "harmonic" in climatology.dims:
        dim, weights = "harmonic", basis(dates, (climatology.sizes["harmonic"] - 1) // 2)
    elif "dayofyear" in climatology.dims:
        dim, weights = "dayofyear", None
        if not np.array_equal(climatology["dayofyear"], np.arange(1, YEAR + 1)):
            raise InputError(f"dayofyear: expected 1…{YEAR}, found {climatology.sizes['dayofyear']} values")
    else:
        raise InputError("climatology: expected a dimension `harmonic` or `dayofyear`; make one with climatology(ds)")
    days = day_of_year(dates) - 1
    result = {}
    for name, v in climatology.data_vars.items():
        if dim not in v.dims:
            continue
        cells = [d for d in v.dims if d != dim]
        table = np.asarray(v.transpose(dim, *cells).data, dtype=np.float32)
        values = table[days] if weights is None else _product(weights, table)
        result[name] = xr.Variable((*dates.dims, *cells), values, v.attrs)
    coords = {c: x for c, x in climatology.coords.items() if dim not in x.dims}
    return xr.Dataset(result, coords={**coords, **dates.coords}, attrs=climatology.attrs)


def expand(climatology: xr.Dataset) -> xr.Dataset:
    """The climatology on each day of a leap year, by `dayofyear` 1…366."""
    year = xr.DataArray(pd.date_range("2000-01-01", periods=YEAR), dims="dayofyear")
    days = xr.DataArray(np.arange(1, YEAR + 1), dims="dayofyear", attrs={"long_name": "Day of a leap year"})
    return at(climatology, year).assign_coords(dayofyear=days)


def anomaly(ds: xr.Dataset, climatology: xr.Dataset) -> xr.Dataset:
    """The departure from the climatology of every variable that has one; others are left out. Inverse of `total`."""
    return _combine(ds, climatology, -1)


def total(ds: xr.Dataset, climatology: xr.Dataset) -> xr.Dataset:
    """The full field from anomalies: the climatology of each date added back. Inverse of `anomaly`."""
    return _combine(ds, climatology, +1)


def basis(time: xr.DataArray, harmonics: int) -> np.ndarray:
    """The harmonics on given dates, float64, shape of `time` and then 2·harmonics + 1."""
    phase = 2 * np.pi * (day_of_year(time) - 1) / YEAR
    terms = [np.ones(phase.shape)]
    for k in range(1, harmonics + 1):
        terms += [np.cos(k * phase), np.sin(k * phase)]
    return np.stack(terms, axis=-1)


def lazy_at(climatology: xr.Dataset, time: xr.DataArray, chunks: Mapping[Any, Any] | None = None) -> xr.Dataset:
    """As `at`, but computed only when asked for, in `chunks` by dimension, or else date by date."""
    climatology = climatology.chunk({d: sizes for d, sizes in (chunks or {}).items() if d in climatology.dims})
    if "harmonic" in climatology.dims:
        terms = basis(time, (climatology.sizes["harmonic"] - 1) // 2).astype(np.float32)
        weights = xr.DataArray(terms, dims=(*time.dims, "harmonic"), coords=time.coords).chunk(
            {d: (chunks or {}).get(d, 1) for d in time.dims}
        )
        coefficients = climatology.drop_vars("harmonic")
        return xr.Dataset(
            {n: xr.dot(weights, v, dim="harmonic").assign_attrs(v.attrs) for n, v in coefficients.data_vars.items()}
        )
    days = xr.DataArray(day_of_year(time), dims=time.dims, coords=time.coords)
    return climatology.sel(dayofyear=days)


def blocks(v: xr.DataArray, limit: int = BLOCK_BYTES) -> Iterator[tuple[slice, np.ndarray]]:
    """Consecutive days of a variable as (where in time, values with time first), never more than `limit` bytes."""
    days = v.sizes["time"]
    v = v.transpose("time", ...)
    chunk = v.variable.chunksizes.get("time", (1,))[0]  # not the coordinates', which may be cut otherwise
    per_day = max(1, v.dtype.itemsize * v[0].size)
    step = max(1, limit // per_day)
    step = max(chunk, step // chunk * chunk) if chunk * per_day <= limit else step
    for start in range(0, days, step):
        where = slice(start, min(start + step, days))
        yield where, np.asarray(v[where].data)


def _fit(v: xr.DataArray, terms: np.ndarray, name: str, progress: Progress | None) -> xr.DataArray:
    """Coefficients (harmonic, …) by normal equations, cells with the same missing days sharing one matrix."""
    cells = [d for d in v.dims if d != "time"]
    shape = tuple(v.sizes[d] for d in cells)
    count, size = terms.shape[1], int(np.prod(shape))
    right = np.zeros((count, size))
    group = np.zeros(size, dtype=np.int64)
    grams = np.zeros((1, count, count))
    for where, values in blocks(v):
        values = values.reshape(len(values), size)
        finite, rows = np.isfinite(values), terms[where]
        right += rows.T @ np.where(finite, values, 0.0)
        group, grams = _refine(group, grams, finite, rows)
        if progress:
            progress(f"climatology of {name}", where.stop, v.sizes["time"])
    coefficients = _solve(grams, group, right).astype(np.float32).reshape(count, *shape)
    coords = {d: v[d] for d in cells if d in v.coords}
    return xr.DataArray(
        coefficients, dims=("harmonic", *cells), coords={"harmonic": np.arange(count), **coords}, attrs=v.attrs
    )


def _daily(v: xr.DataArray, days: np.ndarray, window: int, name: str, progress: Progress | None) -> xr.DataArray:
    """Means (dayofyear, …), float32, from the sums of one date after another."""
    v = v.transpose("time", ...)
    v = v.compute() if v.nbytes <= _SMALL else v  # chunks of many days would be read again for each
    held: dict[int, tuple[np.ndarray, np.ndarray]] = {}  # sum and count of the dates that the window reaches
    result = np.empty((YEAR, *v.shape[1:]), np.float32)
    for date in range(1, YEAR + 1):
        wanted = _around(date, max(window, 1) if date == _LEAP_DAY else window)
        held = {d: held[d] if d in held else _sum_of_date(v, np.flatnonzero(days == d)) for d in wanted}
        with np.errstate(invalid="ignore"):
            result[date - 1] = sum(total for total, _ in held.values()) / sum(count for _, count in held.values())
        if progress:
            progress(f"climatology of {name}", date, YEAR)
    dims = ("dayofyear", *v.dims[1:])
    coords = {"dayofyear": np.arange(1, YEAR + 1), **{d: v[d] for d in v.dims[1:] if d in v.coords}}
    return xr.DataArray(result, dims=dims, coords=coords, attrs=v.attrs)


def _around(date: int, reach: int) -> list[int]:
    """The days of a leap year within `reach` of one, round the turn of the year."""
    return [(d - 1) % YEAR + 1 for d in range(date - reach, date + reach + 1)]


def _sum_of_date(v: xr.DataArray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum (float64) and number of the values on given times."""
    total, count = np.zeros(v.shape[1:]), np.zeros(v.shape[1:], np.int32)
    for time in times:
        values = np.asarray(v[time].data)
        finite = np.isfinite(values)
        total += np.where(finite, values, 0.0)
        count += finite
    return total, count


def _refine(
    group: np.ndarray, grams: np.ndarray, finite: np.ndarray, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Split groups of cells by which days of this block they have, and add each part's own normal matrix."""
    some = finite.any(axis=0)
    present = finite.any(axis=1)
    if (finite[present].all(axis=0) == some).all():
        pattern, examples = some.astype(np.int64), np.stack([np.zeros_like(present), present])
    else:
        packed = np.ascontiguousarray(np.packbits(finite, axis=0).T)
        _, first, pattern = np.unique(
            packed.view(f"V{packed.shape[1]}").ravel(), return_index=True, return_inverse=True
        )
        examples = finite[:, first].T
    added = np.stack([rows[days].T @ rows[days] for days in examples])
    both, new = np.unique(group * len(examples) + pattern, return_inverse=True)
    return new, grams[both // len(examples)] + added[both % len(examples)]


def _solve(grams: np.ndarray, group: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Coefficients (terms, cells); NaN where a cell's days do not determine them."""
    determined = np.linalg.cond(grams) < 1e8
    inverse = np.full_like(grams, np.nan)
    inverse[determined] = np.linalg.inv(grams[determined])
    result = np.empty_like(right)
    for start in range(0, right.shape[1], 65536):  # bounds the memory of one small matrix per cell
        part = slice(start, start + 65536)
        result[:, part] = np.einsum("nkl,ln->kn", inverse[group[part]], right[:, part])
    return result


def _product(weights: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Weights (…, term) times table (term, …), summed in float64 term by term, rounded once to float32."""
    flat = np.ascontiguousarray(table).reshape(len(table), -1)
    rows = np.ascontiguousarray(weights).reshape(-1, len(table))
    return _weighted(rows, flat).reshape(weights.shape[:-1] + table.shape[1:])


@numba.njit(nogil=True, cache=True)
def _weighted(rows: np.ndarray, table: np.ndarray) -> np.ndarray:
    terms, cells = table.shape
    result = np.empty((rows.shape[0], cells), np.float32)
    wide, total = np.empty((terms, 512)), np.empty(512)
    for start in range(0, cells, 512):  # cells whose coefficients are widened once, for all dates
        count = min(512, cells - start)
        wide[:, :count] = table[:, start : start + count]
        for i in range(rows.shape[0]):
            total[:count] = 0.0
            for k in range(terms):
                weight = rows[i, k]
                for j in range(count):
                    total[j] += weight * wide[k, j]
            for j in range(count):
                result[i, start + j] = total[j]
    return result


def _combine(ds: xr.Dataset, climatology: xr.Dataset, sign: int) -> xr.Dataset:
    """ds ± climatology, lazily where `ds` is lazy, on `valid_time` for a forecast and `time` otherwise."""
    dates = ds["valid_time"] if "valid_time" in ds.coords else ds["time"]
    names = [n for n in ds.data_vars if n in climatology.data_vars]
    if not names:
        raise InputError(f"climatology has none of {sorted(map(str, ds.data_vars))}")
    result = {}
    for n in names:  # each in its own chunks: surfaces often come more days to a chunk than volumes
        one = climatology[[n]]
        cycle = lazy_at(one, dates, ds[n].chunksizes) if ds[n].chunks else at(one, dates)
        values = ds[n].variable + sign * cycle[n].variable
        result[n] = values.astype(ds[n].dtype).transpose(*ds[n].dims)
        result[n].attrs = ds[n].attrs
    return xr.Dataset(result, coords=ds.coords, attrs=ds.attrs)


def _dates(time: Any) -> xr.DataArray:
    """Dates as a DataArray."""
    if isinstance(time, xr.DataArray):
        return time
    index = pd.DatetimeIndex(np.atleast_1d(np.asarray(time, dtype="datetime64[ns]")))
    return xr.DataArray(index, dims="time", coords={"time": index}, name="time")


def _period(time: xr.DataArray) -> tuple[pd.Timestamp, pd.Timestamp]:
    """First and last date, whatever the calendar."""
    ends = (time.min(), time.max())
    stamps = [pd.Timestamp(int(t.dt.year), int(t.dt.month), int(t.dt.day)) for t in ends]
    return stamps[0], stamps[1]
