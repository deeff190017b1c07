"""Compiled passes over decoded chunks: stored numbers → float32 values, land and what is missing made 0 on the way.

None of them holds the GIL. A piece of a chunk is a list of runs, each contiguous in the chunk and in the day alike.
"""

from __future__ import annotations

import numpy as np
from numba import njit

AS_STORED, LAND_ZERO, NAN_ZERO = (
    0,
    1,
    2,
)  # what becomes of land: it stays NaN; is 0; only NaN is 0 (infinity the maximum)


@njit(nogil=True, cache=True)
def unpack(raw, day, runs, shores, scale, offset, fill, plain, land, look):  # type: ignore[no-untyped-def]
    """How many wet cells are NaN, after writing the runs of a chunk into a day.

    Parameters
    ----------
    raw
        The chunk's numbers, flat.
    day
        float32, flat, written.
    runs
        Where each run starts in `raw` and in `day`, and its length: int64 [runs, 3].
    shores
        Positions in the day where land and water alternate, beginning with land at 0 and ending with the day's size.
    scale, offset, fill
        `float32(raw * scale + offset)` in float64, NaN where `raw == fill`.
    plain
        The numbers are the values: float32, nothing to be decoded.
    land
        AS_STORED, LAND_ZERO or NAN_ZERO.
    look
        Whether to look for NaN in wet cells; else the answer is 0.
    """
    lacking = 0
    for run in range(runs.shape[0]):
        start, stop = runs[run, 1], runs[run, 1] + runs[run, 2]
        shift = runs[run, 0] - start
        if land != LAND_ZERO:
            _convert(raw[start + shift : stop + shift], day[start:stop], scale, offset, fill, plain)
        number = np.searchsorted(shores, start, side="right")
        while start < stop:
            end = min(stop, shores[number])
            if number % 2 == 0:  # between an odd and an even shore lies water
                if land == LAND_ZERO:
                    _convert(raw[start + shift : end + shift], day[start:end], scale, offset, fill, plain)
                lacking += _count_nan(day[start:end]) if look else 0
            elif land == LAND_ZERO:
                day[start:end] = 0.0
            start = end
            number += 1
        if land == NAN_ZERO:
            _numbers_only(day[runs[run, 1] : stop])
    return lacking


@njit(nogil=True, cache=True)
def finish(day, start, stop, shores, land, look):  # type: ignore[no-untyped-def]
    """How many wet cells are NaN in a part of a day that was decoded in place; its land is made 0."""
    lacking = 0
    number = np.searchsorted(shores, start, side="right")
    begin = start
    while start < stop:
        end = min(stop, shores[number])
        if number % 2 == 0:
            lacking += _count_nan(day[start:end]) if look else 0
        elif land == LAND_ZERO:
            day[start:end] = 0.0
        start = end
        number += 1
    if land == NAN_ZERO:
        _numbers_only(day[begin:stop])
    return lacking


def shores_of(wet: np.ndarray) -> np.ndarray:
    """Where land and water alternate in a mask, flat: the first stretch is land (perhaps of no length)."""
    flat = np.asarray(wet, dtype=bool).ravel()
    turns = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    return np.array([0, *([0] if flat[0] else []), *turns, flat.size], dtype=np.int64)


@njit(nogil=True, cache=True)
def _convert(raw, values, scale, offset, fill, plain):  # type: ignore[no-untyped-def]
    if plain:
        for i in range(values.size):
            values[i] = raw[i]
    elif fill == fill:
        for i in range(values.size):
            number = np.float64(raw[i])
            values[i] = np.float32(np.nan if number == fill else number * scale + offset)
    else:
        for i in range(values.size):
            values[i] = np.float32(np.float64(raw[i]) * scale + offset)


@njit(nogil=True, cache=True)
def _count_nan(values):  # type: ignore[no-untyped-def]
    found = False
    for i in range(values.size):  # without a branch, as wide as the processor goes
        found |= values[i] != values[i]
    count = 0
    if found:
        for i in range(values.size):
            count += values[i] != values[i]
    return count


@njit(nogil=True, cache=True)
def _numbers_only(values):  # type: ignore[no-untyped-def]
    greatest = np.float32(np.finfo(np.float32).max)
    for i in range(values.size):
        value = values[i]
        value = np.float32(0.0) if value != value else value
        values[i] = min(max(value, -greatest), greatest)
