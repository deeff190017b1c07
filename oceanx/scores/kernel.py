"""Sums over cells, compiled: a row of cells (a lead and a level) is read once, for all statistics and regions.

Rows are summed in one order, whatever is done at the same time, so that results do not depend on threads or chunks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np

from ..vocabulary.processes import cores

BASIC = ("truth_weight", "weight", "error", "absolute_error", "squared_error")
ANOMALIES = (
    "forecast_anomaly",
    "truth_anomaly",
    "anomaly_product",
    "squared_forecast_anomaly",
    "squared_truth_anomaly",
)
_BLOCK = 256  # cells whose differences are held in the processor's first cache
_FEW = 200_000  # values that are summed before a thread has woken up
_FAST = {"reassoc", "contract"}  # sums in lanes side by side; NaN keeps its meaning
# What is done with a block is written into the loop (inline): a call would take as long as the block.


Leads = Sequence[np.ndarray] | np.ndarray  # a field (level, cell) for each lead; the same one may stand at several


def stacked(fields: Leads, levels: np.ndarray | None = None) -> np.ndarray:
    """Fields as one array (lead, level, cell), of all levels or some."""
    return np.stack([x if levels is None else x[levels] for x in fields])


class Weights:
    """Cell weights by region (region, cell), and where each region has any."""

    def __init__(self, weights: np.ndarray) -> None:
        self.weights = np.ascontiguousarray(weights, dtype=np.float64)
        regions, cells = self.weights.shape
        padded = np.zeros((regions, -(-cells // _BLOCK) * _BLOCK), dtype=bool)
        padded[:, :cells] = self.weights != 0
        self.there: np.ndarray = np.any(padded.reshape(regions, -1, _BLOCK), axis=2)


def moments(
    forecast: Leads, truth: Leads, climatology: Leads | None, levels: np.ndarray, wet: np.ndarray, weights: Weights
) -> dict[str, np.ndarray]:
    """Sums (lead, region, level) of weight × each of `BASIC` and, with a climatology, of `ANOMALIES`.

    Parameters
    ----------
    forecast
        With levels of its own.
    truth, climatology
        With more levels, of which `levels` are the forecast's.
    wet
        Which cells (level, cell) count where the truth has a value.
    """
    names = BASIC if climatology is None else (*BASIC, *ANOMALIES)
    work: Callable[..., None] = _sum_errors if climatology is None else _sum_anomalies
    sums = np.zeros((len(forecast), len(levels), len(weights.weights), len(names)))
    sides = (forecast, truth) if climatology is None else (forecast, truth, climatology)

    def lead(number: int) -> None:
        work(*(plain(side[number]) for side in sides), levels, wet, weights.weights, weights.there, sums[number])

    if sums.shape[0] * len(levels) * wet.shape[1] > _FEW:
        with ThreadPoolExecutor(cores()) as pool:
            list(pool.map(lead, range(len(forecast))))
    else:
        for number in range(len(forecast)):
            lead(number)
    return dict(zip(names, sums.transpose(3, 0, 2, 1), strict=True))


def weighted(values: np.ndarray, weights: Weights) -> np.ndarray:
    """Sums (lead, region, level) of weight × values (lead, level, cell)."""
    leads, levels, cells = values.shape
    rows = plain(values).reshape(leads * levels, cells)
    sums = np.zeros((leads * levels, len(weights.weights)))
    _sum_rows(rows, weights.weights, weights.there, sums)
    return sums.reshape(leads, levels, -1).transpose(0, 2, 1)


def counted(first: np.ndarray, last: np.ndarray, values: np.ndarray, bins: int, weights: Weights) -> np.ndarray:
    """Sums (lead, region, level, bin) of weight × values (lead, level, cell), split evenly over bins `first`…`last`.

    A cell whose `first` is negative counts nowhere.
    """
    leads, levels, cells = values.shape
    flat = [x.reshape(leads * levels, cells) for x in (first, last, plain(values))]
    sums = np.zeros((leads * levels, len(weights.weights), bins))
    _count(flat[0].astype(np.int64), flat[1].astype(np.int64), flat[2], weights.weights, sums)
    return sums.reshape(leads, levels, -1, bins).transpose(0, 2, 1, 3)


def plain(values: np.ndarray) -> np.ndarray:
    """Contiguous floats in the machine's own byte order."""
    kind = values.dtype.newbyteorder("=") if values.dtype.kind == "f" and values.itemsize in (4, 8) else np.float64
    return np.ascontiguousarray(values, dtype=kind)


@numba.njit(nogil=True, cache=True, fastmath=_FAST)
def _sum_errors(
    forecast: np.ndarray,
    truth: np.ndarray,
    levels: np.ndarray,
    wet: np.ndarray,
    weights: np.ndarray,
    there: np.ndarray,
    sums: np.ndarray,
) -> None:
    cells = weights.shape[1]
    known, both, error = np.empty(_BLOCK), np.empty(_BLOCK), np.empty(_BLOCK)
    for level in range(len(levels)):
        f, t = forecast[level], truth[levels[level]]
        sea = wet[level if len(wet) > 1 else 0]
        for block in range(there.shape[1]):
            start = block * _BLOCK
            size = min(_BLOCK, cells - start)
            _look(f, t, sea, start, size, known, both, error)
            for region in range(len(weights)):
                if there[region, block]:
                    _add_errors(weights[region], start, size, known, both, error, sums[level, region])


@numba.njit(nogil=True, cache=True, fastmath=_FAST)
def _sum_anomalies(
    forecast: np.ndarray,
    truth: np.ndarray,
    climatology: np.ndarray,
    levels: np.ndarray,
    wet: np.ndarray,
    weights: np.ndarray,
    there: np.ndarray,
    sums: np.ndarray,
) -> None:
    cells = weights.shape[1]
    known, both, error = np.empty(_BLOCK), np.empty(_BLOCK), np.empty(_BLOCK)
    said, done = np.empty(_BLOCK), np.empty(_BLOCK)
    for level in range(len(levels)):
        f, t, c = forecast[level], truth[levels[level]], climatology[levels[level]]
        sea = wet[level if len(wet) > 1 else 0]
        for block in range(there.shape[1]):
            start = block * _BLOCK
            size = min(_BLOCK, cells - start)
            _look(f, t, sea, start, size, known, both, error)
            for j in range(size):
                usual, good = np.float64(c[start + j]), both[j] == 1.0
                said[j] = np.float64(f[start + j]) - usual if good else 0.0
                done[j] = np.float64(t[start + j]) - usual if good else 0.0
            for region in range(len(weights)):
                if there[region, block]:
                    total = sums[level, region]
                    _add_errors(weights[region], start, size, known, both, error, total)
                    _add_anomalies(weights[region], start, size, said, done, total)


@numba.njit(nogil=True, cache=True, fastmath=_FAST, inline="always")
def _look(
    f: np.ndarray,
    t: np.ndarray,
    sea: np.ndarray,
    start: int,
    size: int,
    known: np.ndarray,
    both: np.ndarray,
    error: np.ndarray,
) -> None:
    """Of a block of cells: where the truth is known, where the forecast too, and its error there."""
    for j in range(size):
        y = np.float64(t[start + j])
        e = np.float64(f[start + j]) - y
        known[j] = 1.0 if sea[start + j] and y - y == 0.0 else 0.0
        good = known[j] == 1.0 and e - e == 0.0
        both[j] = 1.0 if good else 0.0
        error[j] = e if good else 0.0


@numba.njit(nogil=True, cache=True, fastmath=_FAST, inline="always")
def _add_errors(
    w: np.ndarray, start: int, size: int, known: np.ndarray, both: np.ndarray, error: np.ndarray, total: np.ndarray
) -> None:
    """Add the sums `BASIC` of a block."""
    s0, s1, s2, s3, s4 = 0.0, 0.0, 0.0, 0.0, 0.0
    for j in range(size):
        a, e = w[start + j], error[j]
        s0 += a * known[j]
        s1 += a * both[j]
        s2 += a * e
        s3 += a * abs(e)
        s4 += a * e * e
    total[0] += s0
    total[1] += s1
    total[2] += s2
    total[3] += s3
    total[4] += s4


@numba.njit(nogil=True, cache=True, fastmath=_FAST, inline="always")
def _add_anomalies(w: np.ndarray, start: int, size: int, said: np.ndarray, done: np.ndarray, total: np.ndarray) -> None:
    """Add the sums `ANOMALIES` of a block."""
    s0, s1, s2, s3, s4 = 0.0, 0.0, 0.0, 0.0, 0.0
    for j in range(size):
        a, x, y = w[start + j], said[j], done[j]
        s0 += a * x
        s1 += a * y
        s2 += a * x * y
        s3 += a * x * x
        s4 += a * y * y
    total[5] += s0
    total[6] += s1
    total[7] += s2
    total[8] += s3
    total[9] += s4


@numba.njit(nogil=True, cache=True, fastmath=_FAST)
def _sum_rows(rows: np.ndarray, weights: np.ndarray, there: np.ndarray, sums: np.ndarray) -> None:
    cells = rows.shape[1]
    for row in range(len(rows)):
        x = rows[row]
        for block in range(there.shape[1]):
            start = block * _BLOCK
            size = min(_BLOCK, cells - start)
            for region in range(len(weights)):
                if there[region, block]:
                    w, total = weights[region], 0.0
                    for j in range(start, start + size):
                        total += w[j] * np.float64(x[j])
                    sums[row, region] += total


@numba.njit(nogil=True, cache=True)
def _count(first: np.ndarray, last: np.ndarray, values: np.ndarray, weights: np.ndarray, sums: np.ndarray) -> None:
    for row in range(len(values)):
        for j in range(values.shape[1]):
            low, high = first[row, j], last[row, j]
            if low < 0:
                continue
            share = values[row, j] / (high - low + 1)
            for region in range(len(weights)):
                w = weights[region, j] * share
                if w != 0.0:
                    for k in range(low, high + 1):
                        sums[row, region, k] += w
