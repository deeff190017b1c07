"""Zonal spectra of rows with land in them: wet segments, the variance of their harmonics, and bins of wavenumber."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import xarray as xr

from ..ocean.grid import is_periodic
from ..vocabulary.constants import EARTH_RADIUS

Taper = Literal["hann", "none"]


class Segment(NamedTuple):
    """Wet cells side by side: their row, first column and number, the km between them, and if they close a circle."""

    row: int
    first: int
    cells: int
    apart: float
    circle: bool

    @property
    def length(self) -> float:
        """In km."""
        return self.cells * self.apart

    def cut(self, values: np.ndarray) -> np.ndarray:
        """The values (…, latitude, longitude) of its cells: (…, cell). It may go round."""
        columns = (self.first + np.arange(self.cells)) % values.shape[-1]
        return values[..., self.row, columns].astype(np.float64)


def segments(wet: np.ndarray, latitude: np.ndarray, longitude: np.ndarray, least: int) -> list[Segment]:
    """The runs of at least so many wet cells along each row of (latitude, longitude).

    Where longitude goes round, so may a run.
    """
    degrees = (longitude[-1] - longitude[0]) / (len(longitude) - 1)
    apart = EARTH_RADIUS / 1000 * np.cos(np.deg2rad(latitude)) * np.deg2rad(degrees)
    circular, found = is_periodic(xr.DataArray(longitude)), []
    for row, water in enumerate(wet):
        if water.all() and circular:
            found.append(Segment(row, 0, len(water), float(apart[row]), True))
            continue
        # Begin at land, so that no run is cut where the row is.
        start = int(np.argmin(water)) if circular else 0
        shores = np.diff(np.concatenate([[0], np.roll(water, -start).astype(int), [0]]))
        for first, end in zip(np.flatnonzero(shores == 1), np.flatnonzero(shores == -1), strict=True):
            found.append(Segment(row, int(first + start) % len(water), int(end - first), float(apart[row]), False))
    return [segment for segment in found if segment.cells >= least and segment.apart > 0]


def harmonics(values: np.ndarray, circle: bool = False, taper: Taper = "hann") -> np.ndarray:
    """Variance of each harmonic 1, 2, … ⌊n/2⌋ along the last axis, of which the sum is that of the (tapered) values.

    With X the discrete Fourier transform of n values, 2 |X_m|²/n², and half of it where m = n/2.
    """
    n = values.shape[-1]
    values = values - values.mean(axis=-1, keepdims=True)
    if taper == "hann" and not circle:
        place = np.arange(n) - (n - 1) / 2
        values = values - (values @ place / (place @ place))[..., None] * place
        window = np.sin(np.pi * (np.arange(n) + 0.5) / n) ** 2
        values = values * (window / np.sqrt(np.mean(window**2)))
    power = 2 * np.abs(np.fft.rfft(values)[..., 1:]) ** 2 / n**2
    if n % 2 == 0:
        power[..., -1] /= 2  # a wave of two cells has no other phase
    return power


def bin_edges(found: Sequence[Segment], bins: int) -> np.ndarray:
    """Of wavenumber (cycles per km), evenly in its logarithm from the lowest band of any harmonic to the highest."""
    low = min(0.5 / segment.length for segment in found)
    high = max((segment.cells // 2 + 0.5) / segment.length for segment in found)
    edges = np.geomspace(low, high, bins + 1)
    edges[0], edges[-1] = low, high  # not a hair less
    return edges


def shares(segment: Segment, edges: np.ndarray) -> np.ndarray:
    """The share of each harmonic's band, half-way to its neighbours, in each bin: (harmonic, bin); rows sum to 1."""
    below = (np.arange(1, segment.cells // 2 + 1) - 0.5)[:, None] / segment.length
    above = below + 1 / segment.length
    overlap = np.minimum(above, edges[1:]) - np.maximum(below, edges[:-1])
    return np.clip(overlap, 0, None) * segment.length
