"""The inner loops of regridding: weighted means over wet cells, in one pass, safe in many threads at once."""

from __future__ import annotations

import numba
import numpy as np

# "contract" lets multiply and add become one instruction; NaN keeps its meaning, which the loops depend on.
_jit = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"})
_AT_ONCE = 1024  # cells whose sums stay in the fastest memory


@_jit
def separable(
    field: np.ndarray,
    row_start: np.ndarray,
    row_index: np.ndarray,
    row_weight: np.ndarray,
    column_start: np.ndarray,
    column_index: np.ndarray,
    column_weight: np.ndarray,
    row_size: np.ndarray,
    column_size: np.ndarray,
    least: float,
    out: np.ndarray,
    share: np.ndarray,
) -> None:
    """Means over rectangular cells of one level `field` (latitude, longitude), into `out`; wet shares into `share`.

    `share` may have no rows: then it is not asked for. Sums are float64; a cell is NaN where less than `least` of it
    is wet.
    """
    low, high = column_index.min(), column_index.max() + 1
    total, wet = np.empty(high - low), np.empty(high - low)
    for j in range(out.shape[0]):
        total[:] = 0.0
        wet[:] = 0.0
        end = row_start[j + 1]
        for p in range(row_start[j], end, 2):  # two rows at a time touch the sums half as often
            q = min(p + 1, end - 1)
            first, second = row_weight[p], row_weight[q] if q > p else 0.0
            a, b = field[row_index[p], low:high], field[row_index[q], low:high]
            for i in range(a.size):
                x, y = a[i], b[i]
                total[i] += first * (x if x == x else 0.0) + second * (y if y == y else 0.0)
                wet[i] += (first if x == x else 0.0) + (second if y == y else 0.0)
        for k in range(out.shape[1]):
            amount, area = 0.0, 0.0
            for p in range(column_start[k], column_start[k + 1]):
                i = column_index[p] - low
                amount += column_weight[p] * total[i]
                area += column_weight[p] * wet[i]
            part = area / (row_size[j] * column_size[k])
            out[j, k] = amount / area if area > 0.0 and part >= least else np.nan
            if share.shape[0] > 0:
                share[j, k] = part


@_jit
def gathered(
    field: np.ndarray,
    start: np.ndarray,
    index: np.ndarray,
    weight: np.ndarray,
    size: np.ndarray,
    least: float,
    out: np.ndarray,
    share: np.ndarray,
) -> None:
    """Means over any cells: target t is made of source cells `index[start[t]:start[t + 1]]` of a flat `field`."""
    for t in range(out.size):
        amount, area = 0.0, 0.0
        for p in range(start[t], start[t + 1]):
            value = field[index[p]]
            if value == value:
                amount += weight[p] * value
                area += weight[p]
        part = area / size[t]
        out[t] = amount / area if area > 0.0 and part >= least else np.nan
        if share.size > 0:
            share[t] = part


@_jit
def layered(
    field: np.ndarray,
    start: np.ndarray,
    index: np.ndarray,
    weight: np.ndarray,
    size: np.ndarray,
    least: float,
    out: np.ndarray,
) -> None:
    """Means over layers of `field` (layer, cell): target layer t is made of layers `index[start[t]:start[t + 1]]`."""
    total, wet = np.empty(_AT_ONCE), np.empty(_AT_ONCE)
    for first in range(0, field.shape[1], _AT_ONCE):
        cells = min(_AT_ONCE, field.shape[1] - first)
        for t in range(out.shape[0]):
            total[:] = 0.0
            wet[:] = 0.0
            for p in range(start[t], start[t + 1]):
                part, layer = weight[p], field[index[p], first : first + cells]
                for i in range(cells):
                    value = layer[i]
                    good = value == value
                    total[i] += part * (value if good else 0.0)
                    wet[i] += part if good else 0.0
            for i in range(cells):
                enough = wet[i] > 0.0 and wet[i] / size[t] >= least
                out[t, first + i] = total[i] / wet[i] if enough else np.nan


@_jit
def clipped(
    x: np.ndarray, y: np.ndarray, rows: np.ndarray, columns: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Areas that polygons (cell, vertex) share with the rectangles between `rows` (y) and `columns` (x), periodic in x.

    The first pass counts the rectangles that each polygon's box touches, the second measures. Overlaps come as
    (flat rectangle, polygon, area), only those that have one.
    """
    possible = 0
    for n in range(x.shape[0]):
        for turn in (-360.0, 0.0, 360.0):
            j0, j1, k0, k1 = _touched(x[n], y[n], turn, rows, columns)
            possible += max(0, j1 - j0) * max(0, k1 - k0)
    target, source, area = np.empty(possible, np.int64), np.empty(possible, np.int64), np.empty(possible)
    found = 0
    for n in range(x.shape[0]):
        for turn in (-360.0, 0.0, 360.0):
            j0, j1, k0, k1 = _touched(x[n], y[n], turn, rows, columns)
            for j in range(j0, j1):
                for k in range(k0, k1):
                    shared = abs(_within(x[n], y[n], turn, columns[k], columns[k + 1], rows[j], rows[j + 1]))
                    if shared > 1e-15 * (columns[k + 1] - columns[k]) * (rows[j + 1] - rows[j]):
                        target[found], source[found], area[found] = j * (columns.size - 1) + k, n, shared
                        found += 1
    return target[:found], source[:found], area[:found]


@_jit
def _touched(
    x: np.ndarray, y: np.ndarray, turn: float, rows: np.ndarray, columns: np.ndarray
) -> tuple[int, int, int, int]:
    """The rows [j0, j1) and columns [k0, k1) that the box of a polygon, turned round the globe, touches."""
    j0, j1 = np.searchsorted(rows, y.min(), side="right") - 1, np.searchsorted(rows, y.max())
    k0, k1 = np.searchsorted(columns, x.min() + turn, side="right") - 1, np.searchsorted(columns, x.max() + turn)
    return max(j0, 0), min(j1, rows.size - 1), max(k0, 0), min(k1, columns.size - 1)


@_jit
def _within(x: np.ndarray, y: np.ndarray, turn: float, west: float, east: float, south: float, north: float) -> float:
    """The signed area of a polygon within a rectangle: the integral of y held between its sides, round the polygon."""
    area = 0.0
    for a in range(x.size):
        b = a + 1 if a + 1 < x.size else 0
        x0, x1, y0, y1 = x[a] + turn, x[b] + turn, y[a], y[b]
        from_x, to_x = min(max(x0, west), east), min(max(x1, west), east)
        if from_x == to_x:
            continue
        slope = (y1 - y0) / (x1 - x0)
        area += (to_x - from_x) * _mean_held(y0 + slope * (from_x - x0), y0 + slope * (to_x - x0), south, north)
    return area


@_jit
def _mean_held(p: float, q: float, south: float, north: float) -> float:
    """The mean of max(south, min(north, y)) − south for y running evenly from p to q."""
    low, high = min(p, q), max(p, q)
    if high <= south:
        return 0.0
    if low >= north:
        return north - south
    if low >= south and high <= north:
        return (p + q) / 2 - south
    if high - low < 1e-14:
        return min(max((p + q) / 2, south), north) - south
    inside = (min(high, north) - max(low, south)) * ((min(high, north) + max(low, south)) / 2 - south)
    return (inside + max(0.0, high - north) * (north - south)) / (high - low)
