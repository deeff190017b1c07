"""Gaussian weights along the rows and columns of a grid, over water alone: for correlated noise, and for smoothing.

Each wet cell looks along its line to both sides, as far as water goes on: never over land, round the globe where
longitude is periodic, and so far as the weight exp(−d²/2s²) of the distance d is worth adding. First along rows, then
along columns; the product of the two is a Gaussian of the distance in the plane.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numba
import numpy as np
import torch
import xarray as xr

from oceanx.ocean import grid
from oceanx.vocabulary.constants import EARTH_RADIUS

REACH = 4.0  # standard deviations of the weights, beyond which they are left out
_EACH = 2**16  # numbers that are worth a thread

# Sums may be taken in any order, so that they are vectors; no thread shares one.
_jit = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz", "reassoc"})

Kernel = Callable[..., None]


class Lines(NamedTuple):
    """Rows, or columns, as lines of cells: `[line, cell]`, of which the last may go on in the first.

    Attributes
    ----------
    position
        How far along the line each cell's centre lies, in any unit of length.
    width
        How long each cell is along the line, in that unit.
    cross
        Its area per width.
    turn
        How long each line is altogether, `[line]`, if it is closed.
    """

    position: np.ndarray
    width: np.ndarray
    cross: np.ndarray
    turn: np.ndarray | None


class Plane(NamedTuple):
    """The rows and the columns of a grid."""

    rows: Lines
    columns: Lines


def in_kilometres(labelled: xr.Dataset) -> Plane:
    """The Plane of a grid (with `cell_area`), distances in km along its parallels and meridians."""
    radius = EARTH_RADIUS / 1000
    latitude, longitude = (np.deg2rad(labelled[axis].values.astype("float64")) for axis in ("latitude", "longitude"))
    parallel = radius * np.cos(latitude)[:, None].clip(1e-6)
    edges = {axis: np.deg2rad(grid.bounds(labelled)[f"{axis}_bnds"].values) for axis in ("latitude", "longitude")}
    tall, wide = (np.diff(edges[axis], axis=1)[:, 0] for axis in ("latitude", "longitude"))
    return _plane(
        labelled, parallel * longitude, parallel * wide, radius * latitude, radius * tall, 2 * np.pi * parallel
    )


def in_cells(labelled: xr.Dataset) -> Plane:
    """The Plane of a grid (with `cell_area`), distances in cells."""
    rows, columns = labelled.sizes["latitude"], labelled.sizes["longitude"]
    x = np.broadcast_to(np.arange(columns, dtype="float64"), (rows, columns))
    y = np.arange(rows, dtype="float64")
    return _plane(labelled, x, np.ones_like(x), y, np.ones_like(y), np.full((rows, 1), float(columns)))


def _plane(
    labelled: xr.Dataset, x: np.ndarray, wide: np.ndarray, y: np.ndarray, tall: np.ndarray, turn: np.ndarray
) -> Plane:
    area = labelled.cell_area.transpose("latitude", "longitude").values
    closed = turn[:, 0] if grid.is_periodic(labelled.longitude) else None
    y, tall = (np.broadcast_to(values, area.T.shape) for values in (y, tall))
    return Plane(Lines(x, wide, area / wide, closed), Lines(y, tall, area.T / tall, None))


def correlated(white: np.ndarray, wet: np.ndarray, plane: Plane, length: float) -> np.ndarray:
    """White noise as noise of unit variance whose correlation at the distance d is exp(−d²/2L²).

    Along each line it is a weighted sum of the noise within reach, divided by the root of the sum of the squared
    weights: the variance is one in every wet cell, beside a coast too, and two waters that do not meet within reach
    have nothing to do with each other. Across a pole nothing is correlated.

    Parameters
    ----------
    white
        `[field, level, lat, lon]`, independent numbers of unit variance.
    wet
        `[level, lat, lon]`. A dry cell keeps the number it was given.
    length
        L, in the plane's unit. Of much less than a cell it leaves the noise white.

    References
    ----------
    Weaver & Courtier (2001), Q. J. R. Meteorol. Soc. 127, 1815, doi:10.1002/qj.49712757518: correlations by smoothing
    within the coasts, and why they must be normalised.
    """
    # A field smoothed with exp(−d²/2s²) correlates as exp(−d²/4s²).
    return _both(_noise, white, wet, plane, length / np.sqrt(2))


def smoothed(fields: np.ndarray, wet: np.ndarray, plane: Plane, sigma: float) -> np.ndarray:
    """The fields smoothed by a Gaussian with this standard deviation, over water alone.

    A cell takes its share of each neighbour and gives as much of its own volume in exchange. So a constant stays that
    constant, the mean over the wet cells by area is kept, no new extreme arises, and land keeps what it had; beside
    land, what would have come from there is the cell's own.

    Parameters
    ----------
    fields
        `[field, level, lat, lon]`.
    wet
        `[level, lat, lon]`.
    sigma
        In the plane's unit; 0 changes nothing.
    """
    return _both(_exchange, fields, wet, plane, sigma) if sigma > 0 else fields


def _both(kernel: Kernel, fields: np.ndarray, wet: np.ndarray, plane: Plane, scale: float) -> np.ndarray:
    """Along rows, then along columns."""
    made = _along(kernel, fields, wet, plane.rows, scale)
    return _along(kernel, made.swapaxes(-1, -2), wet.swapaxes(-1, -2), plane.columns, scale).swapaxes(-1, -2)


def _along(kernel: Kernel, fields: np.ndarray, wet: np.ndarray, lines: Lines, scale: float) -> np.ndarray:
    """The kernel along every line of `[field, level, line, cell]`, as many lines at a time as torch has threads."""
    cells = fields.shape[-1]
    shared = np.ascontiguousarray(np.moveaxis(fields.reshape(-1, *fields.shape[-2:]), -2, 0), dtype="float32")
    water = np.ascontiguousarray(np.moveaxis(wet, -2, 0))
    position, width, cross = lines.position, lines.width, lines.cross
    most = cells - 1
    if lines.turn is not None:  # half a turn to both sides: no cell is met twice
        most = (cells - 1) // 2
        turn = lines.turn[:, None]
        position = np.concatenate((position[:, cells - most :] - turn, position, position[:, :most] + turn), axis=1)
        shared, water, width, cross = (_wrapped(x, most) for x in (shared, water, width, cross))
    skipped = most if lines.turn is not None else 0
    made = np.empty((len(shared), shared.shape[1], cells), "float32")

    def some(at: slice) -> None:
        kernel(shared[at], water[at], position[at], width[at], cross[at], scale, most, skipped, made[at])

    threads = min(torch.get_num_threads(), 1 + shared.size // _EACH)
    ends = np.linspace(0, len(shared), threads + 1).astype(int)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(some, map(slice, ends[:-1], ends[1:])))
    return np.moveaxis(made, 0, -2).reshape(fields.shape)


def _wrapped(x: np.ndarray, cells: int) -> np.ndarray:
    return np.concatenate((x[..., x.shape[-1] - cells :], x, x[..., :cells]), axis=-1)


@_jit
def _noise(
    white: np.ndarray,
    wet: np.ndarray,
    position: np.ndarray,
    width: np.ndarray,
    cross: np.ndarray,
    scale: float,
    most: int,
    skipped: int,
    out: np.ndarray,
) -> None:
    """Sums of noise, weighted by k(d) √width, over the root of the sum of the squared weights."""
    cells = white.shape[2]
    first, last = np.empty(cells, np.int64), np.empty(cells, np.int64)
    for line in range(white.shape[0]):
        low, high, start, weight = _weights(position[line], scale, most)
        root = np.sqrt(width[line]).astype(np.float32)
        for level in range(white.shape[1]):
            _runs(wet[line, level % wet.shape[1]], first, last)
            values = white[line, level]
            for i in range(skipped, cells - skipped):
                if first[i] < 0:
                    out[line, level, i - skipped] = values[i]
                    continue
                a, b = max(low[i], first[i]), min(high[i], last[i])
                at = start[i] - low[i]
                total, square = np.float32(0.0), np.float32(0.0)
                for j in range(a, b + 1):
                    w = weight[at + j] * root[j]
                    total += w * values[j]
                    square += w * w
                out[line, level, i - skipped] = total / np.sqrt(square)


@_jit
def _exchange(
    fields: np.ndarray,
    wet: np.ndarray,
    position: np.ndarray,
    width: np.ndarray,
    cross: np.ndarray,
    scale: float,
    most: int,
    skipped: int,
    out: np.ndarray,
) -> None:
    """x_i + Σ_j w_ij (x_j − x_i), where w_ij = k(d) width_j min(1, cross_j / cross_i) / N.

    N is the sum of k(d) width_j in open water. Times the area of i, w is symmetric: nothing is lost.
    """
    cells = fields.shape[2]
    first, last = np.empty(cells, np.int64), np.empty(cells, np.int64)
    for line in range(fields.shape[0]):
        low, high, start, weight = _weights(position[line], scale, most)
        share = _shares(weight, low, high, start, width[line], cross[line])
        for level in range(fields.shape[1]):
            _runs(wet[line, level % wet.shape[1]], first, last)
            values = fields[line, level]
            for i in range(skipped, cells - skipped):
                total = np.float32(0.0)
                if first[i] >= 0:
                    a, b = max(low[i], first[i]), min(high[i], last[i])
                    at = start[i] - low[i]
                    for j in range(a, b + 1):
                        total += share[at + j] * (values[j] - values[i])
                out[line, level, i - skipped] = values[i] + total


@_jit
def _weights(position: np.ndarray, scale: float, most: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """k(d) of the cells from `low` to `high` of each cell, one cell's after the other's, beginning at `start`."""
    cells = len(position)
    low, high, start = np.empty(cells, np.int64), np.empty(cells, np.int64), np.empty(cells, np.int64)
    a, b, count = 0, 0, 0
    for i in range(cells):
        a, b = max(a, i - most), max(b, i)
        while position[i] - position[a] > REACH * scale:
            a += 1
        while b + 1 < cells and b + 1 - i <= most and position[b + 1] - position[i] <= REACH * scale:
            b += 1
        low[i], high[i], start[i] = a, b, count
        count += b - a + 1
    weight = np.empty(count, np.float32)
    for i in range(cells):
        for j in range(low[i], high[i] + 1):
            weight[start[i] + j - low[i]] = np.exp(-0.5 * ((position[j] - position[i]) / scale) ** 2)
    return low, high, start, weight


@_jit
def _shares(
    weight: np.ndarray, low: np.ndarray, high: np.ndarray, start: np.ndarray, width: np.ndarray, cross: np.ndarray
) -> np.ndarray:
    """How much of the difference from each neighbour a cell takes on."""
    share, open_water = np.empty_like(weight), 0.0
    for i in range(len(low)):
        total = 0.0
        for j in range(low[i], high[i] + 1):
            at = start[i] + j - low[i]
            total += weight[at] * width[j]
            share[at] = weight[at] * width[j] * min(1.0, cross[j] / cross[i])
        open_water = max(open_water, total)
    return share / np.float32(open_water)


@_jit
def _runs(wet: np.ndarray, first: np.ndarray, last: np.ndarray) -> None:
    """The first and the last cell of the water that each cell lies in; −1 on land."""
    cells = len(wet)
    for i in range(cells):
        first[i] = -1 if not wet[i] else (first[i - 1] if i > 0 and wet[i - 1] else i)
    for i in range(cells - 1, -1, -1):
        last[i] = -1 if not wet[i] else (last[i + 1] if i + 1 < cells and wet[i + 1] else i)
