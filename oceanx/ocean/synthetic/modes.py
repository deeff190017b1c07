"""Stratification, and the vertical modes it carries."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from oceanx.vocabulary.constants import GRAVITY

EXPANSION = 2.0e-4  # K-1, thermal expansion α of the linear equation of state
CONTRACTION = 7.6e-4  # haline contraction β
BOTTOM = 4000.0  # m


def temperature(z: np.ndarray | float) -> np.ndarray:
    """Reference temperature (°C) at depth z (m): a thermocline over a deep, slow decay."""
    return 3.5 + 11 * np.exp(-np.asarray(z) / 1000) + 6 * np.exp(-np.asarray(z) / 160)


@dataclass(frozen=True)
class Modes:
    """The first vertical modes of pressure: speeds (m/s), φ_n(z) with φ_n(0) = 1, and dφ_n/dz."""

    speed: np.ndarray
    z: np.ndarray
    shape: np.ndarray  # (mode, z)

    def at(self, depth: np.ndarray | float) -> np.ndarray:
        """φ_n at depths, (mode, depth)."""
        return np.stack([np.interp(depth, self.z, row) for row in self.shape])

    def slope(self, depth: np.ndarray | float) -> np.ndarray:
        """dφ_n/dz at depths, z downwards, (mode, depth)."""
        faces, steps = (self.z[1:] + self.z[:-1]) / 2, np.diff(self.z)
        return np.stack([np.interp(depth, faces, np.diff(row) / steps) for row in self.shape])


def solve(count: int = 2, dz: float = 5.0) -> Modes:
    """The first `count` baroclinic modes of the reference stratification.

        d/dz(φ'/N²) + φ/c² = 0,  φ' = 0 at the surface and at the bottom,  N² = −g α dT/dz

    by central differences. `temperature` decays, so N² > 0; a floor of 1e-7 s⁻² stands for the abyss.
    """
    z = (np.arange(round(BOTTOM / dz)) + 0.5) * dz
    n2 = np.maximum(-GRAVITY * EXPANSION * np.diff(temperature(z)) / dz, 1e-7)
    k = 1 / (n2 * dz * dz)
    matrix = np.diag(np.append(k, 0) + np.insert(k, 0, 0)) - np.diag(k, 1) - np.diag(k, -1)
    values, vectors = np.linalg.eigh(matrix)
    chosen = vectors[:, 1 : count + 1]
    return Modes(1 / np.sqrt(values[1 : count + 1]), z, (chosen / chosen[0]).T)
