"""Distances over sea: how much longer than straight the way from cell to cell is where land lies between.

The way goes from cell to cell of the surface, in sixteen directions. Such a way is up to 3 % longer than a straight
one; so what is told is how much longer it is than that without any land, which in the open sea is exactly 0.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from oceanx.tensors.geometry import Geometry

# Steps (rows, columns) with the cells crossed on the way: all of a group must be wet, of one group at least.
STEPS = {
    (0, 1): ((),),
    (1, 0): ((),),
    (1, 1): (((0, 1),), ((1, 0),)),
    (1, -1): (((0, -1),), ((1, 0),)),
    (1, 2): (((0, 1), (1, 1)),),
    (1, -2): (((0, -1), (1, -1)),),
    (2, 1): (((1, 0), (1, 1)),),
    (2, -1): (((1, 0), (1, -1)),),
}
ROUNDING = 1.03  # how much longer than straight a way in sixteen directions may be
SOURCES = 256  # at a time


class Detours:
    """How much longer the way over sea is: `Detours(geometry, reach)(from, to)` in m, infinite where there is none.

    Parameters
    ----------
    geometry
        Whose uppermost level is the sea.
    reach
        How long ways are followed (m).
    """

    def __init__(self, geometry: Geometry, reach: float):
        wet = geometry.surface[0].bool().cpu().numpy()
        limit = min(reach, 1e9) * ROUNDING
        through, straight = _graph(geometry, wet), _graph(geometry, np.ones_like(wet))
        sources = np.flatnonzero(wet)
        parts = [
            _excess(through, straight, sources[first : first + SOURCES], limit)
            for first in range(0, len(sources), SOURCES)
        ]
        self._size = wet.size
        # Pairs of columns as single numbers, which come in ascending order, and how much longer the way is.
        self._pair, self._longer = (np.concatenate(each) for each in zip(*parts, strict=True))

    def __call__(self, source: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Of pairs of columns, counted through `[lat, lon]` in C order."""
        pair = source.astype("int64") * self._size + target
        at = np.minimum(np.searchsorted(self._pair, pair), len(self._pair) - 1)
        return np.where(self._pair[at] == pair, self._longer[at], np.inf)


def _excess(
    through: csr_array, straight: csr_array, sources: np.ndarray, limit: float
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of columns with a way between them, and how much longer that is than without land (m)."""
    wet = dijkstra(through, directed=False, indices=sources, limit=limit)
    bare = dijkstra(straight, directed=False, indices=sources, limit=limit)
    row, column = np.nonzero(np.isfinite(wet))
    longer = np.maximum(wet[row, column] - bare[row, column], 0.0)
    return sources[row] * wet.shape[1] + column, longer.astype("float32")


def _graph(geometry: Geometry, wet: np.ndarray) -> csr_array:
    """The lengths of all steps between wet cells (m), each in one direction."""
    rows, columns = wet.shape
    number = np.arange(wet.size).reshape(wet.shape)
    south, west = (field.double().cpu().numpy() for field in (geometry.spacing_y, geometry.spacing_x))
    found = []
    for (down, along), groups in STEPS.items():
        if down >= rows:
            continue
        start, end = slice(0, rows - down), slice(down, rows)
        target = np.roll(number, -along, 1)[end]
        open_ = wet[start] & wet.ravel()[target]
        crossed = [
            np.logical_and.reduce([np.roll(wet, -j, 1)[i : rows - down + i] for i, j in group] or [np.ones_like(open_)])
            for group in groups
        ]
        open_ = open_ & np.logical_or.reduce(crossed)
        if not geometry.periodic:
            open_[:, columns - along if along > 0 else columns :] = False
            open_[:, : -along if along < 0 else 0] = False
        width = (west[start] + west[end]) / 2 * abs(along)
        height = sum((south[i : rows - down + i] for i in range(down)), np.zeros_like(width))
        length = np.hypot(width, height)
        found.append((number[start][open_], target[open_], length[open_]))
    row, column, length = (np.concatenate(each) for each in zip(*found, strict=True))
    return csr_array((length, (row, column)), shape=(wet.size, wet.size))
