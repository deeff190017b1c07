"""Mean and percentile of the values around each day of the year, over all years of a baseline."""

from __future__ import annotations

import numba
import numpy as np

YEAR = 366
LEAP_DAY = 59  # 29 February, counted from 0
BINS = 4096  # of the histogram of a pool, over the range of its series; packed data have one value to a bin
_LANES = 32  # values looked through at once
_LEAST, _MOST = 1e-30, 1e30  # ranges that can be cut into bins without over- or underflow


@numba.njit(cache=True, nogil=True)
def pooled(series: np.ndarray, starts: np.ndarray, share: float, half: int, smooth: int, result: np.ndarray) -> None:
    """Smoothed mean and percentile (cell, 2, day of year) of series (cell, day), into `result`.

    `starts` are the places of each 1 January and, last, of the one after. The pool of a day is that of the day
    before, less the days that left the window and with those that came in. It is kept as a histogram, in which the
    percentile moves by few bins a day; the value is then looked up, or where a bin holds several, looked for.
    """
    years, width = len(starts) - 1, 2 * half + 1
    first, last = starts[0] - half, starts[years] + half
    x = np.empty(last - first)
    codes = np.empty(len(x), np.int16)
    value_of = np.empty(BINS + 1)
    counts = np.empty(BINS + 1, np.int32)  # the last for days without a value
    leap = np.diff(starts) == YEAR
    old, slot = np.empty(years, np.int64), np.empty(years, np.int64)
    size = width * years
    room = (size + _LANES - 1) // _LANES * _LANES
    pool, pool_codes = np.zeros(room), np.full(room, -1, np.int16)
    some = np.empty(size)
    year_of = np.empty(YEAR)
    for cell in range(len(series)):
        result[cell] = np.nan
        kinds = _encode(series[cell, first:last], x, codes, value_of)
        if kinds == 0:
            continue
        several = kinds == 2
        counts[:] = 0
        total, bin_, below = 0.0, 0, 0  # below: how many values lie in bins before `bin_`
        for year in range(years):
            old[year], slot[year] = starts[year] - starts[0], year * width
            for k in range(width):
                day = old[year] + k
                counts[codes[day]] += 1
                total += x[day]
                if several:
                    pool[year * width + k], pool_codes[year * width + k] = x[day], codes[day]
        for day_of_year in range(YEAR):
            if day_of_year > 0:
                for year in range(years):
                    if day_of_year == LEAP_DAY and not leap[year]:
                        continue  # there is no such day: the window stays at 28 February
                    out, new = old[year], old[year] + width
                    old[year] = out + 1
                    gone, come = codes[out], codes[new]
                    counts[gone] -= 1
                    counts[come] += 1
                    below += (come < bin_) - (gone < bin_)
                    total += x[new] - x[out]
                    if several:
                        at = slot[year]
                        pool[at], pool_codes[at] = x[new], come
                        slot[year] = at + 1 if at + 1 < (year + 1) * width else year * width
            count = size - counts[BINS]
            if count == 0 or day_of_year == LEAP_DAY:
                continue
            place = share * (count - 1)
            rank = int(np.floor(place))
            while below > rank:
                bin_ -= 1
                below -= counts[bin_]
            while below + counts[bin_] <= rank:
                below += counts[bin_]
                bin_ += 1
            above = bin_  # the bin of the next value in order
            if rank + 1 < count and rank + 1 - below >= counts[bin_]:
                above += 1
                while counts[above] == 0:
                    above += 1
            if several:
                found = _in_bin(pool, pool_codes, bin_, counts[bin_], some)
                low = some[rank - below]
                if above > bin_:
                    _in_bin(pool, pool_codes, above, counts[above], some)
                    high = some[0]
                else:
                    high = some[min(rank - below + 1, found - 1)]
            else:
                low, high = value_of[bin_], value_of[above]
            result[cell, 0, day_of_year] = total / count
            result[cell, 1, day_of_year] = low + (place - rank) * (high - low)
        for kind in range(2):
            year_of[:] = result[cell, kind]
            year_of[LEAP_DAY] = (year_of[LEAP_DAY - 1] + year_of[LEAP_DAY + 1]) / 2
            _running_mean(year_of, smooth, result[cell, kind])


@numba.njit(cache=True, nogil=True)
def _encode(series: np.ndarray, x: np.ndarray, codes: np.ndarray, value_of: np.ndarray) -> int:
    """How many values a bin holds at most: none, 1, or 2 for several.

    The bin of each value goes into `codes`, in the order of the values, `BINS` for days without one, which are 0 in
    `x`; a value of each bin goes into `value_of`. Every loop is plain enough to be done for several days at once.
    """
    days = len(series)
    for day in range(days):
        x[day] = series[day]
    whole = _all_finite(x)
    low, high = _range(x, whole)
    if low > high:
        return 0
    per_unit = (BINS - 1) / (high - low) if _LEAST < high - low < _MOST else 0.0  # else all go into one bin
    if not whole:
        for day in range(days):
            x[day] = x[day] if np.isfinite(x[day]) else np.nan
    for day in range(days):
        code = np.int16((x[day] - low) * per_unit) if per_unit > 0 else np.int16(0)
        codes[day] = code if x[day] == x[day] else BINS
    if not whole:
        for day in range(days):
            x[day] = 0.0 if codes[day] == BINS else x[day]
    for day in range(days):
        value_of[codes[day]] = x[day]
    differ = False
    for day in range(days):
        differ |= value_of[codes[day]] != x[day]
    return 2 if differ else 1


@numba.njit(cache=True, nogil=True, fastmath={"reassoc"})
def _all_finite(x: np.ndarray) -> bool:
    nothing = 0.0
    for value in x:
        nothing += value * 0.0  # NaN of infinity too
    return nothing == 0.0


@numba.njit(cache=True, nogil=True)
def _range(x: np.ndarray, whole: bool) -> tuple[float, float]:
    """The least and the largest finite value; infinity before minus infinity where there is none."""
    low, high = np.full(_LANES, np.inf), np.full(_LANES, -np.inf)
    even = len(x) // _LANES * _LANES if whole else 0
    for begin in range(0, even, _LANES):
        for k in range(_LANES):
            value = x[begin + k]
            low[k] = value if value < low[k] else low[k]
            high[k] = value if value > high[k] else high[k]
    for value in x[even:]:
        if np.isfinite(value):
            low[0], high[0] = min(low[0], value), max(high[0], value)
    return low.min(), high.max()


@numba.njit(cache=True, nogil=True)
def _in_bin(pool: np.ndarray, codes: np.ndarray, bin_: int, expected: int, some: np.ndarray) -> int:
    """How many values of the pool lie in a bin; they are put into `some` in order."""
    wanted, found = np.int16(bin_), 0
    for begin in range(0, len(codes), _LANES):
        here = 0
        for k in range(begin, begin + _LANES):
            here |= codes[k] == wanted
        if not here:
            continue
        for k in range(begin, begin + _LANES):
            if codes[k] == wanted:
                at = found
                while at > 0 and some[at - 1] > pool[k]:
                    some[at] = some[at - 1]
                    at -= 1
                some[at] = pool[k]
                found += 1
        if found == expected:
            break
    return found


@numba.njit(cache=True, nogil=True)
def _running_mean(year: np.ndarray, width: int, result: np.ndarray) -> None:
    """The mean over a window round the year of the days that have a value, kept NaN where the day has none."""
    if width == 1:
        result[:] = year
        return
    half, total, count = width // 2, 0.0, 0
    for k in range(-half, half + 1):
        if not np.isnan(year[k]):
            total += year[k]
            count += 1
    for day in range(YEAR):
        result[day] = total / count if not np.isnan(year[day]) else np.nan
        out, new = year[day - half], year[(day + half + 1) % YEAR]
        if not np.isnan(out):
            total -= out
            count -= 1
        if not np.isnan(new):
            total += new
            count += 1
