"""The buddy check: each departure against what those around it lead one to expect.

    e_i = Σ w_ij d_j ,   w_ij ∝ (1 − r_ij²) / s_j² ,  Σ w_ij = 1        |d_i − e_i| ≤ limit · √(s_i² + Σ w_ij² s_j²)

over the nearest data j of the same variable within r < 1, where r² = (km apart / km)² + (m / metres)² + (days / days)².
For departures that have nothing to do with each other the bound is exact; where they agree, as departures near each
other do, fewer good data fail. Of the data around each other that fail, the worst is taken out first, and the rest is
looked at again: so one gross error does not take its neighbours with it.

References
----------
Dee et al. (2001), An adaptive buddy check for observational quality control, https://doi.org/10.1002/qj.49712757714
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from pydantic import PositiveFloat, PositiveInt
from scipy.spatial import cKDTree

from ...vocabulary.config import Config
from .distance import canonical, scaled


class Buddy(Config):
    """Who is a neighbour, and how far from them a datum may be.

    Attributes
    ----------
    km, metres, days
        How far they reach.
    limit
        Of the difference, in standard deviations.
    least
        How many neighbours a datum needs to be judged.
    most
        How many of them, the nearest, are asked.
    """

    km: PositiveFloat = 150.0
    metres: PositiveFloat = 50.0
    days: PositiveFloat = 2.0
    limit: PositiveFloat = 4.0
    least: PositiveInt = 3
    most: PositiveInt = 24


def unlike_neighbours(table: xr.Dataset, departure: np.ndarray, expected: np.ndarray, test: Buddy) -> np.ndarray:
    """Which data (obs) differ from their neighbours by more than both their errors explain.

    Parameters
    ----------
    departure, expected
        d and s (obs) in the units of the values; NaN for data that take no part.
    """
    failed = np.zeros(table.sizes["obs"], bool)
    compared = np.isfinite(departure) & np.isfinite(expected)
    for code in np.unique(table["variable"].values[compared]):
        rows = np.flatnonzero(compared & (table["variable"].values == code))
        part = table.isel(obs=rows)
        order = canonical(part)  # of equally near neighbours beyond `most` the same, whatever the order of the rows
        rows = rows[order]
        failed[rows] = _judged(
            scaled(part.isel(obs=order), test.km, test.metres, 24 * test.days), departure[rows], expected[rows], test
        )
    return failed


def _judged(at: np.ndarray, departure: np.ndarray, expected: np.ndarray, test: Buddy) -> np.ndarray:
    near, weight = _neighbours(at, expected, test)
    failed = np.zeros(len(at), bool)
    while True:
        score = _scores(departure, expected, near, weight, failed, test)
        around = np.where(weight > 0, score[near], 0.0).max(axis=1, initial=0.0)
        worst = (score > test.limit) & (score >= around)
        if not worst.any():
            return failed
        failed |= worst


def _neighbours(at: np.ndarray, expected: np.ndarray, test: Buddy) -> tuple[np.ndarray, np.ndarray]:
    """Numbers (obs, most) of the neighbours, and their weights before they are made to sum to 1: 0 where none."""
    count = min(test.most + 1, len(at))
    distance, near = cKDTree(at).query(at, k=range(1, count + 1), distance_upper_bound=1.0)
    there = (near < len(at)) & (near != np.arange(len(at))[:, None])
    near = np.where(there, near, 0)
    weight = np.where(there, 1.0 - np.minimum(distance, 1.0) ** 2, 0.0) / expected[near] ** 2
    return near, weight


def _scores(
    departure: np.ndarray, expected: np.ndarray, near: np.ndarray, weight: np.ndarray, failed: np.ndarray, test: Buddy
) -> np.ndarray:
    """|d − e| (obs) in standard deviations; 0 for those that failed already or have too few neighbours."""
    weight = np.where(failed[near], 0.0, weight)
    enough = ((weight > 0).sum(axis=1) >= test.least) & ~failed
    share = weight / np.where(enough, weight.sum(axis=1), 1.0)[:, None]
    estimate = (share * departure[near]).sum(axis=1)
    spread = np.sqrt(expected**2 + (share**2 * expected[near] ** 2).sum(axis=1))
    return np.where(enough, np.abs(departure - estimate) / spread, 0.0)
