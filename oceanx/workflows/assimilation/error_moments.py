"""What samples of an error say of it as they go by: its spread, and over which distances it hangs together.

    ρ = cov(e_i, e_j) / (σ_i σ_j)        D = Δ / √(−2 ln ρ)

of every pair of neighbouring wet cells i and j, Δ apart. D is the Daley length √(−1/ρ''(0)) of a correlation that is a
Gaussian near 0; along the two horizontal axes of all levels, and down the columns, the median of it is taken.

References
----------
Daley (1991), Atmospheric Data Analysis, §4.3; Pannekoucke, Berre & Desroziers (2008), Q. J. R. Meteorol. Soc. 134,
497, doi:10.1002/qj.212 (local estimates and their sampling error).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from oceanx.tensors.geometry import Geometry

AXES = {"x": 2, "y": 1, "z": 0}  # of [level, lat, lon], each with the next cell along it
_LEAST, _MOST = 1e-2, 1 - 1e-9  # correlations of neighbours beyond these tell no length


class Pairs(NamedTuple):
    """Neighbours along an axis: how far apart (m), and whether the face between them is open."""

    distance: np.ndarray
    is_open: np.ndarray


class ErrorMoments:
    """Sums over samples of one variable: of values, squares, and products with the next cell along each axis.

    Parameters
    ----------
    geometry
        Of the variable's grid, in double precision.
    levels
        Of the variable: 1 at the surface.
    """

    def __init__(self, geometry: Geometry, levels: int):
        self.wet = geometry.mask_of(levels).numpy() > 0
        self.pairs = _pairs(geometry, levels)
        self.count = 0
        self._total, self._squares = np.zeros(self.wet.shape), np.zeros(self.wet.shape)
        self._products = {axis: np.zeros(self.wet.shape) for axis in self.pairs}

    def add(self, error: np.ndarray) -> None:
        """Take in a sample `[level, lat, lon]`, of which land is not looked at."""
        e = np.where(self.wet, error, 0.0).astype(np.float64)
        self.count += 1
        self._total += e
        self._squares += e * e
        for axis, products in self._products.items():
            products += e * np.roll(e, -1, AXES[axis])

    def spread(self) -> np.ndarray:
        """The standard deviation about the mean; 0 on land."""
        return np.sqrt(self._variance())

    def length(self) -> float:
        """The horizontal Daley length (m); NaN where no two neighbours differ by chance."""
        return self._median("x", "y")

    def height(self) -> float:
        """The vertical Daley length (m); NaN of a surface."""
        return self._median("z")

    def _variance(self) -> np.ndarray:
        return np.maximum(self._squares - self._total**2 / self.count, 0.0) / (self.count - 1)

    def _median(self, *axes: str) -> float:
        spread = self.spread()
        found = []
        for axis in (axis for axis in axes if axis in self.pairs):
            pairs, along = self.pairs[axis], AXES[axis]
            both = spread * np.roll(spread, -1, along)
            covariance = self._products[axis] - self._total * np.roll(self._total, -1, along) / self.count
            here = pairs.is_open & (both > 0)
            correlation = covariance[here] / (self.count - 1) / both[here]
            distance = np.broadcast_to(pairs.distance, self.wet.shape)[here]
            found.append(distance / np.sqrt(-2 * np.log(correlation.clip(_LEAST, _MOST))))
        values = np.concatenate(found) if found else np.empty(0)
        return float(np.median(values)) if values.size else np.nan


def _pairs(geometry: Geometry, levels: int) -> dict[str, Pairs]:
    pairs = {
        axis: Pairs(
            getattr(geometry, f"spacing_{axis}").numpy(), getattr(geometry, f"mask_{axis}")[:levels].numpy() > 0
        )
        for axis in ("x", "y")
    }
    if levels > 1:
        thick = geometry.thickness.numpy()
        pairs["z"] = Pairs((thick + np.roll(thick, -1, 0)) / 2, geometry.mask_z.numpy() > 0)
    return pairs
