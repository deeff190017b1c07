"""Weighted sums of values and squares by level, kept so finely that neither order nor blocks show in the result."""

from __future__ import annotations

from dataclasses import dataclass, field

import numba
import numpy as np

_LANES = 8  # sums that run side by side, since each waits for its own last addition


@dataclass
class Moments:
    """Sums of weight, weight·value and weight·value² by level, each as a float64 and what it has lost to rounding.

    With about 32 digits the sums do not depend on the order in which blocks are added and merged: mean and spread
    come out the same to the bit.

    Attributes
    ----------
    sums
        (2, 3, levels): the sums and their remainders.
    """

    levels: int
    sums: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.sums = np.zeros((2, 3, self.levels))

    def add(self, values: np.ndarray, weights: np.ndarray) -> None:
        """Take in values (time, level, cell), whose NaN count for nothing, with weights (level, cell)."""
        _add(_plain(values), weights, self.sums)

    def add_changes(self, before: np.ndarray, after: np.ndarray, weights: np.ndarray) -> None:
        """Take in the differences after − before (time, level, cell), in float64."""
        _add_changes(_plain(before), _plain(after), weights, self.sums)

    def merge(self, other: Moments) -> None:
        """Take in what another has."""
        _merge(self.sums, other.sums)

    @property
    def weight(self) -> np.ndarray:
        """Sum of weights by level; 0 where no value was seen."""
        return self.sums[0, 0] + self.sums[1, 0]

    @property
    def mean(self) -> np.ndarray:
        """Weighted mean by level; NaN where no value was seen."""
        with np.errstate(invalid="ignore"):
            return (self.sums[0, 1] + self.sums[1, 1]) / self.weight

    @property
    def spread(self) -> np.ndarray:
        """Weighted standard deviation by level."""
        with np.errstate(invalid="ignore"):
            square = (self.sums[0, 2] + self.sums[1, 2]) / self.weight
        return np.sqrt(np.maximum(square - self.mean**2, 0.0))


def _plain(values: np.ndarray) -> np.ndarray:
    """Floats in the machine's own byte order."""
    kind = values.dtype.newbyteorder("=") if values.dtype.kind == "f" and values.itemsize > 2 else np.float64
    return np.ascontiguousarray(values, dtype=kind)


@numba.njit(inline="always")
def _two_sum(a: float, b: float) -> tuple[float, float]:
    """The rounded sum and what was rounded off, exactly (Knuth)."""
    s = a + b
    part = s - a
    return s, (a - (s - part)) + (b - part)


@numba.njit(inline="always")
def _take(x: float, weight: float, high: np.ndarray, low: np.ndarray, lane: int) -> None:
    there = x - x == 0.0 and weight > 0.0  # false for NaN and infinities
    w = weight if there else 0.0
    wx = w * (x if there else 0.0)
    wxx = wx * (x if there else 0.0)
    high[0, lane], rest = _two_sum(high[0, lane], w)
    low[0, lane] += rest
    high[1, lane], rest = _two_sum(high[1, lane], wx)
    low[1, lane] += rest
    high[2, lane], rest = _two_sum(high[2, lane], wxx)
    low[2, lane] += rest


@numba.njit(inline="always")
def _put(high: np.ndarray, low: np.ndarray, sums: np.ndarray, level: int) -> None:
    """Gather the lanes of one level, and empty them."""
    for i in range(3):
        for lane in range(_LANES):
            sums[0, i, level], rest = _two_sum(sums[0, i, level], high[i, lane])
            sums[1, i, level] += rest + low[i, lane]
    high[:] = 0.0
    low[:] = 0.0


@numba.njit(nogil=True, cache=True)
def _add(values: np.ndarray, weights: np.ndarray, sums: np.ndarray) -> None:
    times, levels, cells = values.shape
    high, low = np.zeros((3, _LANES)), np.zeros((3, _LANES))
    whole = cells - cells % _LANES
    for t in range(times):
        for k in range(levels):
            x, w = values[t, k], weights[k]
            for start in range(0, whole, _LANES):
                for lane in range(_LANES):
                    _take(np.float64(x[start + lane]), w[start + lane], high, low, lane)
            for i in range(whole, cells):
                _take(np.float64(x[i]), w[i], high, low, 0)
            _put(high, low, sums, k)


@numba.njit(nogil=True, cache=True)
def _add_changes(before: np.ndarray, after: np.ndarray, weights: np.ndarray, sums: np.ndarray) -> None:
    times, levels, cells = after.shape
    high, low = np.zeros((3, _LANES)), np.zeros((3, _LANES))
    whole = cells - cells % _LANES
    for t in range(times):
        for k in range(levels):
            x, y, w = before[t, k], after[t, k], weights[k]
            for start in range(0, whole, _LANES):
                for lane in range(_LANES):
                    i = start + lane
                    _take(np.float64(y[i]) - np.float64(x[i]), w[i], high, low, lane)
            for i in range(whole, cells):
                _take(np.float64(y[i]) - np.float64(x[i]), w[i], high, low, 0)
            _put(high, low, sums, k)


@numba.njit(nogil=True, cache=True)
def _merge(sums: np.ndarray, other: np.ndarray) -> None:
    for i in range(sums.shape[1]):
        for k in range(sums.shape[2]):
            sums[0, i, k], rest = _two_sum(sums[0, i, k], other[0, i, k])
            sums[1, i, k] += rest + other[1, i, k]
