"""Clouds over a sphere: a random field that hangs together, moves and changes, known at any place and moment.

A sum of waves cos(K·r + ωt + φ) with random K, ω and φ is a Gaussian field with correlation exp(−d²/2L²) in space and
exp(−t²/2τ²) in time. It never comes back, has no seam, and needs no yesterday.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...vocabulary.constants import EARTH_RADIUS
from . import chance

_WAVES = 64
_AT_ONCE = 2**15  # places
_KM = EARTH_RADIUS / 1e3


@dataclass(frozen=True)
class Clouds:
    """Waves with their numbers (wave, 3) per Earth's radius, their frequencies (1/day) and phases.

    `drift` is the angle in rad by which they go east in a day.
    """

    waves: np.ndarray
    frequency: np.ndarray
    phase: np.ndarray
    drift: float

    @classmethod
    def drawn(cls, length: float, days: float, speed: float, *words: chance.Word) -> Clouds:
        """Clouds of a correlation length (km), lasting so many days and moving east at so many km a day."""
        number = np.arange(_WAVES)
        waves = chance.normal(*words, "waves", number[:, None], np.arange(3)) * _KM / length
        frequency = chance.normal(*words, "frequency", number) / days
        phase = 2 * np.pi * chance.uniform(*words, "phase", number)
        return cls(waves, frequency, phase, speed / _KM)

    def at(self, places: np.ndarray, day: float) -> np.ndarray:
        """The field, of mean 0 and variance 1, at places on the unit sphere (place, 3) and a moment in days."""
        east = self.drift * day
        turn = np.array([[np.cos(east), np.sin(east), 0.0], [-np.sin(east), np.cos(east), 0.0], [0.0, 0.0, 1.0]])
        waves = (self.waves @ turn).T
        phase = (self.phase + self.frequency * day) % (2 * np.pi)
        found = np.empty(len(places))
        for start in range(0, len(places), _AT_ONCE):
            some = slice(start, start + _AT_ONCE)
            found[some] = np.cos((places[some] @ waves + phase).astype(np.float32)).sum(axis=1)
        return found * np.sqrt(2.0 / _WAVES)
