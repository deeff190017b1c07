"""Gaussian smoothing in kilometres on the coarse grid, and smooth noise of unit variance made with it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import fft, ndimage

from oceanx.vocabulary.constants import EARTH_RADIUS

from .grid import Grid

_REACH = 3.0  # standard deviations


class Gaussian:
    """A Gaussian filter of standard deviation `sigma` metres; outside the domain is nothing."""

    def __init__(self, grid: Grid, sigma: float) -> None:
        step = np.radians(grid.lat[1] - grid.lat[0])
        rows = sigma / (EARTH_RADIUS * step)
        reach = int(np.ceil(_REACH * rows))
        taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / rows) ** 2)
        self.taps = taps / taps.sum()
        columns = sigma / (EARTH_RADIUS * step * np.maximum(np.cos(np.radians(grid.lat)), 0.1))
        pad = 0 if grid.periodic else int(np.ceil(_REACH * columns.max()))
        self.width, self.size = grid.lon.size, fft.next_fast_len(grid.lon.size + pad, real=True)
        if grid.periodic:
            self.size = grid.lon.size
        waves = 2 * np.pi * np.arange(self.size // 2 + 1) / self.size
        self.response = np.exp(-0.5 * (columns[:, None] * waves) ** 2).astype(np.float32)

    def __call__(self, field: np.ndarray) -> np.ndarray:
        """The smoothed (ny, nx) field."""
        rows = ndimage.correlate1d(field, self.taps, axis=0, mode="constant")
        spectrum = fft.rfft(rows, n=self.size, axis=1)
        return fft.irfft(spectrum * self.response, n=self.size, axis=1)[:, : self.width]


class Masked:
    """A Gaussian mean over weighted cells: G(weight × field) / G(weight)."""

    def __init__(self, grid: Grid, sigma: float, weight: np.ndarray) -> None:
        self.smooth, self.weight = Gaussian(grid, sigma), weight.astype(np.float32)
        self.scale = (weight > 0) / np.maximum(self.smooth(self.weight), 1e-3)

    def __call__(self, field: np.ndarray) -> np.ndarray:
        """The smoothed (ny, nx) field, zero where the weight is."""
        return self.smooth(field * self.weight) * self.scale


class Noise:
    """Noise with unit variance and a given scale: white noise through a sum of Gaussians, [(factor, sigma), …]."""

    def __init__(self, grid: Grid, terms: Sequence[tuple[float, float]]) -> None:
        self.shape = (grid.lat.size, grid.lon.size)
        self.terms = [(factor, Gaussian(grid, sigma)) for factor, sigma in terms]
        # What two filters share of one white field: Σ taps × taps in y, the mean of the product of responses in x.
        variance = np.zeros(self.shape[0])
        for a, first in self.terms:
            for b, second in self.terms:
                variance += a * b * _overlap(first.taps, second.taps) * _power(first, second)
        self.scale = (1 / np.sqrt(variance))[:, None].astype(np.float32)

    def __call__(self, rng: np.random.Generator) -> np.ndarray:
        """One draw, (ny, nx) float32; weaker within three sigma of a closed edge, where nothing lies beyond."""
        white = rng.standard_normal(self.shape, np.float32)
        return sum(factor * smooth(white) for factor, smooth in self.terms) * self.scale


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    short, long = sorted((a, b), key=len)
    start = (long.size - short.size) // 2
    return float(short @ long[start : start + short.size])


def _power(a: Gaussian, b: Gaussian) -> np.ndarray:
    """Σ over columns of the product of two filters' kernels, per row, by Parseval's theorem on a long circle."""
    # Both kernels are Gaussians of known width: read them back from the responses at the same physical wavenumber.
    waves = np.linspace(-np.pi, np.pi, 721)[:-1]
    variance = -2 * (
        np.log(a.response[:, 1]) / (2 * np.pi / a.size) ** 2 + np.log(b.response[:, 1]) / (2 * np.pi / b.size) ** 2
    )
    return np.exp(-0.5 * variance[:, None] * waves**2).mean(axis=1)
