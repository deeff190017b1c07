"""Ground tracks of satellites: circular orbits that repeat over a turning, oblate Earth.

A satellite makes N revolutions from node to node while the Earth turns C times below the plane of its orbit, which the
bulge at the equator turns in its turn (J₂):

    du/dt = n [1 + 3/2 J₂ (a_e/a)² (4 cos² i − 1)]        dΩ/dt = −3/2 J₂ (a_e/a)² n cos i        n² a³ = μ

so C = (ω_E − dΩ/dt) · cycle / 2π must be whole. Latitudes are those on a sphere, as the grid's are taken to be.

References
----------
Capderou (2014), Handbook of satellite orbits, https://doi.org/10.1007/978-3-319-03416-4
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import gcd

import numpy as np

from ...vocabulary.constants import SECONDS_PER_DAY
from ...vocabulary.errors import InputError
from .sea import wrapped

_MU = 3.986004418e14  # m3 s-2, gravitation of the Earth (GRS80 and IERS)
_J2 = 1.08263e-3
_EQUATOR = 6.378137e6  # m, radius at the equator
_TURNING = 7.2921150e-5  # rad s-1 against the stars
_NEAR = 0.02  # turns: the cycle of a real satellite is whole within this


@dataclass(frozen=True)
class Orbit:
    """A repeating circular orbit.

    Attributes
    ----------
    orbits, days
        Revolutions in a cycle, and its length.
    inclination
        Degrees; above 90 retrograde, as sun-synchronous orbits are.
    node
        Longitude of the ascending node at 1970-01-01 00:00.
    """

    orbits: int
    days: float
    inclination: float
    node: float = 0.0

    @property
    def period(self) -> float:
        """From node to node in s."""
        return self.days * SECONDS_PER_DAY / self.orbits

    @cached_property
    def radius(self) -> float:
        """Distance a from the Earth's centre in m, by iterating Kepler's third law with J₂."""
        a = _EQUATOR
        for _ in range(50):
            bulge = 1.5 * _J2 * (_EQUATOR / a) ** 2 * (4 * np.cos(self._tilt) ** 2 - 1)
            a = (_MU * (self.period * (1 + bulge) / (2 * np.pi)) ** 2) ** (1 / 3)
        return float(a)

    @property
    def altitude(self) -> float:
        """Height above the equator in m."""
        return self.radius - _EQUATOR

    @property
    def precession(self) -> float:
        """dΩ/dt in rad s-1."""
        n = np.sqrt(_MU / self.radius**3)
        return float(-1.5 * _J2 * (_EQUATOR / self.radius) ** 2 * n * np.cos(self._tilt))

    @property
    def turns(self) -> float:
        """How often the Earth turns below the orbit's plane in a cycle; nearly whole where the track repeats."""
        return (_TURNING - self.precession) * self.days * SECONDS_PER_DAY / (2 * np.pi)

    def check(self) -> None:
        """`InputError` if this is no orbit above the air, or its track does not repeat."""
        if self.altitude < 1.5e5:
            raise InputError(
                f"orbits {self.orbits} in {self.days:g} days: {self.altitude / 1e3:.0f} km above the equator; expected "
                "an orbit above the air"
            )
        whole = round(self.turns)
        if whole < 1 or abs(self.turns - whole) > _NEAR:
            days = self._cycle_near(max(whole, 1))
            raise InputError(
                f"orbits {self.orbits} in {self.days:g} days at {self.inclination:g} degrees: the Earth turns "
                f"{self.turns:.3f} times below the orbit, so its track does not repeat; a cycle near it has "
                f"{days:.4f} days"
            )
        if gcd(self.orbits, whole) > 1:
            raise InputError(
                f"orbits {self.orbits} in {self.days:g} days: repeats {gcd(self.orbits, whole)} times in the cycle; "
                "give the shortest"
            )

    def track(self, seconds: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Longitudes [-180, 180), latitudes, and numbers of the pass, at seconds since 1970.

        A pass goes from one extreme latitude to the other; even ones ascend.
        """
        turned = np.asarray(seconds, float) / self.period
        return self._longitude(turned), self._latitude(turned), np.floor(2 * turned + 0.5).astype(np.int64)

    def within(
        self, box: tuple[float, float, float, float], first: int, last: int, interval: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Of the points `first` to `last` (excluded), each `interval` s after the one before, those in a box.

        Their numbers since 1970, longitudes, latitudes and passes. The box is west, east, south and north.
        """
        west, east, south, north = box
        length = max(1, int(self.period / 100 / interval))
        begin = self._runs_near(box, np.arange(first, last, length), length, interval)
        number = (begin[:, None] + np.arange(length)).ravel()
        number = number[number < last]
        longitude, latitude, passes = self.track(number * interval)
        inside = (latitude >= south) & (latitude <= north) & ((longitude - west) % 360.0 <= east - west)
        return number[inside], longitude[inside], latitude[inside], passes[inside]

    def _runs_near(
        self, box: tuple[float, float, float, float], begin: np.ndarray, length: int, interval: float
    ) -> np.ndarray:
        """Where those runs of points begin that may come into a box: |dφ| ≤ du, |dλ| ≤ du / cos φ + Earth's turn."""
        west, east, south, north = box
        longitude, latitude, _ = self.track(begin * interval)
        reach = 360.0 * length * interval / self.period
        along = (
            reach / np.cos(np.deg2rad(np.minimum(np.abs(latitude) + reach, 89.9))) + reach * self.turns / self.orbits
        )
        near = (longitude - west + along) % 360.0 <= east - west + 2 * along
        return begin[near & (latitude >= south - reach) & (latitude <= north + reach)]

    def _cycle_near(self, turns: int) -> float:
        """The length in days of the cycle in which the Earth turns so often below as many orbits."""
        days = self.days
        for _ in range(20):
            days *= turns / replace(self, days=days).turns
        return days

    @property
    def _tilt(self) -> float:
        return float(np.deg2rad(self.inclination))

    def _latitude(self, turned: np.ndarray) -> np.ndarray:
        """After so many revolutions; their fraction first, so that what is long past is exact."""
        return np.rad2deg(np.arcsin(np.sin(self._tilt) * np.sin(2 * np.pi * (turned % 1.0))))

    def _longitude(self, turned: np.ndarray) -> np.ndarray:
        u = 2 * np.pi * (turned % 1.0)
        east = np.rad2deg(np.arctan2(np.cos(self._tilt) * np.sin(u), np.cos(u)))
        below = 360.0 * ((turned / self.orbits * round(self.turns)) % 1.0)
        return wrapped(self.node + east - below)
