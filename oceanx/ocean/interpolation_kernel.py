"""The inner loop of the observation operator's weights: one pass over observations, nothing kept between them."""

from __future__ import annotations

import numba
import numpy as np

_jit = numba.njit(cache=True, nogil=True, error_model="numpy")


@_jit
def corners(
    time: tuple[np.ndarray, np.ndarray],
    depth: tuple[np.ndarray, np.ndarray],
    latitude: tuple[np.ndarray, np.ndarray],
    longitude: tuple[np.ndarray, np.ndarray],
    wet: np.ndarray,
    least: float,
    on_level: float,
    index: np.ndarray,
    weight: np.ndarray,
) -> None:
    """Cells (obs, corner), counted through time, depth, latitude, longitude, into `index`; their weights into `weight`.

    Parameters
    ----------
    time, depth, latitude, longitude
        Neighbours (obs, n) and their shares.
    wet
        (depth, latitude, longitude).
    least
        The share of a level's four cells that must be wet.
    on_level
        A level with no more than this share need not be wet.
    """
    (t, share), (k, fz), (j, fy), (i, fx) = time, depth, latitude, longitude
    levels, rows, columns = wet.shape
    there, of_level = np.empty(k.shape[1]), np.empty(k.shape[1])
    for n in range(k.shape[0]):
        missing, total = _levels(k[n], fz[n], j[n], fy[n], i[n], fx[n], wet, least, on_level, there, of_level)
        at, heaviest, most = 0, 0, -1.0
        for b in range(t.shape[1]):
            for a in range(k.shape[1]):
                factor = 0.0
                if not missing and of_level[a] > 0:
                    factor = of_level[a] / total / there[a]
                for y in range(2):
                    for x in range(2):
                        one = fy[n, y] * fx[n, x] * wet[k[n, a], j[n, y], i[n, x]] * factor * share[n, b]
                        cell = ((t[n, b] * levels + k[n, a]) * rows + j[n, y]) * columns + i[n, x]
                        index[n, at], weight[n, at] = cell, one
                        if one > most:
                            heaviest, most = cell, one
                        at += 1
        for corner in range(index.shape[1]):
            if weight[n, corner] <= 0:  # so that nothing missing is ever read
                index[n, corner] = heaviest


@_jit
def _levels(
    k: np.ndarray, fz: np.ndarray, j: np.ndarray, fy: np.ndarray, i: np.ndarray, fx: np.ndarray, wet: np.ndarray,
    least: float, on_level: float, there: np.ndarray, of_level: np.ndarray,
) -> tuple[bool, float]:  # fmt: skip
    """Whether an observation is missing, and the sum of its levels' shares; what is wet of each level in place."""
    speaks, lacks, total = False, False, 0.0
    for a in range(k.size):
        there[a] = 0.0
        for y in range(2):
            for x in range(2):
                there[a] += fy[y] * fx[x] * wet[k[a], j[y], i[x]]
        enough = there[a] >= least - 1e-9
        if fz[a] > on_level:
            speaks = True
            lacks = lacks or not enough
        of_level[a] = fz[a] if enough else 0.0
        total += of_level[a]
    return lacks or not speaks, total
