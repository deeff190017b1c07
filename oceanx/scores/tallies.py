"""Sums over observations in cells: means with their sampling errors, in one pass over any number of parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

FEWEST = 10  # clusters (windows, profiles) from which a sampling error takes each of them as one


class Tally:
    """Means of quantities in each of `cells` cells.

    What hangs together, a window or a profile, is a cluster: the sampling error of a mean takes clusters, not data, as
    independent wherever a cell has at least `FEWEST` of them. Each cluster must come in one part.

    Parameters
    ----------
    cells
        How many.
    names
        Of the quantities; those in `with_errors` get a sampling error.
    """

    def __init__(self, cells: int, names: Sequence[str], with_errors: Sequence[str] = ()) -> None:
        self.cells = cells
        self._count = {name: np.zeros(cells) for name in names}
        self._sum = {name: np.zeros(cells) for name in names}
        self._more = {name: np.zeros((5, cells)) for name in with_errors}

    def add(self, cell: np.ndarray, cluster: np.ndarray, values: Mapping[str, np.ndarray]) -> None:
        """More data: the cell and cluster of each, and its quantities, NaN where it has none; cell -1 is left out."""
        key, group = np.unique(cluster * np.int64(self.cells) + cell, return_inverse=True)
        keep = cell >= 0
        place = key % self.cells
        for name, x in values.items():
            there = keep & np.isfinite(x)
            counted = np.bincount(group[there], minlength=key.size)
            held = np.flatnonzero(counted)
            n, s = counted[held].astype(float), np.bincount(group[there], x[there], key.size)[held]
            where = place[held]
            np.add.at(self._count[name], where, n)
            np.add.at(self._sum[name], where, s)
            if name in self._more:
                squares = np.bincount(group[there], x[there] ** 2, key.size)[held]
                for row, term in zip(self._more[name], (squares, s * s, s * n, n * n, np.ones_like(n)), strict=True):
                    np.add.at(row, where, term)

    def count(self, name: str) -> np.ndarray:
        """How many data have the quantity (cell)."""
        return self._count[name]

    def total(self, name: str) -> np.ndarray:
        """Their sum (cell)."""
        return self._sum[name]

    def mean(self, name: str) -> np.ndarray:
        """Their mean (cell), NaN where there are none."""
        n = self._count[name]
        return np.divide(self._sum[name], n, out=np.full(self.cells, np.nan), where=n > 0)

    def error(self, name: str) -> np.ndarray:
        """The standard deviation of the sampling error of the mean (cell), NaN where it cannot be told.

        Of k clusters with sums s and numbers n of data, and N data in all, of mean m:

            k/(k−1) Σ (s − m n)² / N²,   and where k < `FEWEST`,   (Σx²/N − m²) / (N − 1)
        """
        squares, ss, sn, nn, k = self._more[name]
        n, m = self._count[name], self.mean(name)
        with np.errstate(invalid="ignore", divide="ignore"):
            alone = np.where(n > 1, np.maximum(squares / n - m**2, 0.0) / (n - 1), np.nan)
            clustered = np.maximum(ss - 2 * m * sn + m**2 * nn, 0.0) / n**2 * k / (k - 1)
        return np.sqrt(np.where(k >= FEWEST, clustered, alone))
