"""Satellite sea surface temperature: every wet cell, or a swath under a satellite, where no cloud hides it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import scipy.spatial
from pydantic import Field

from ...vocabulary.constants import EARTH_RADIUS, SECONDS_PER_DAY
from . import chance
from .clouds import Clouds
from .network import EPOCH, Errors, Network, Rows, Sampler, midday, refuse_deep
from .orbits import Orbit
from .sea import Sea, vectors

_POLAR = (227, 16.0, 98.7)  # orbits, days and inclination: sun-synchronous, as weather satellites are
_ALONG = 10.0  # s between points of a track
_KM = EARTH_RADIUS / 1e3


class SST(Network):
    """Sea surface temperature once a day at the centres of cells without cloud.

    Attributes
    ----------
    variable
        "sst" or "thetao", which is then observed at depth 0; None: `sst` where the truth has it.
    cloud, cloud_varies
        Mean share of the cells that is cloudy, and how far a day's share may be from it, evenly.
    cloud_length, cloud_days, cloud_speed
        Over which distance (km) and time (days) clouds hang together; how fast they go east (km a day).
    every
        One cell in so many along each axis, other ones each day.
    swath
        Width in km of what a satellite in a polar orbit sees; None: all, at noon.
    """

    kind: Literal["sst"] = "sst"
    name: str = "sst"
    error: Errors = 0.4
    variable: Literal["sst", "thetao"] | None = None
    cloud: float = Field(0.5, ge=0, lt=1)
    cloud_varies: float = Field(0.2, ge=0, lt=1)
    cloud_length: float = Field(300.0, gt=0)
    cloud_days: float = Field(2.0, gt=0)
    cloud_speed: float = 600.0
    every: int = Field(1, ge=1)
    swath: float | None = Field(None, gt=0)

    @property
    def observes(self) -> tuple[str, ...]:
        """Its one variable."""
        return (self.variable or "sst",)

    def among(self, known: Sequence[str]) -> Network:
        """With the variable decided."""
        return self.model_copy(update={"variable": self.variable or surface_temperature(known)})

    def sampler(self, sea: Sea, seed: int, currents: Any = None) -> Sampler:
        """Its Sampler."""
        return _Sampler(self, sea, seed)


def surface_temperature(known: Sequence[str]) -> Literal["sst", "thetao"]:
    """The variable in which a truth has the temperature of the surface."""
    return "sst" if "sst" in known else "thetao"


class _Sampler:
    def __init__(self, network: SST, sea: Sea, seed: int) -> None:
        self.network, self.sea, self.words = network, sea, (seed, network.name)
        self.platforms = [network.name]
        if network.observes == ("thetao",):
            refuse_deep(network.name, sea)
        self.places = vectors(*sea.centres)
        self.clouds = Clouds.drawn(network.cloud_length, network.cloud_days, network.cloud_speed, *self.words)

    def on(self, day: int) -> Rows:
        """The cells that are seen."""
        here = self._clear(day, self._taken(day))
        when = np.full(here.size, midday(day))
        if self.network.swath is not None:
            here, when = self._swept(day, here, self.network.swath)
        longitude, latitude = (axis[here] for axis in self.sea.centres)
        return Rows.together(
            time=when, latitude=latitude, longitude=longitude, depth=0.0, variable=0, platform=0, feature=day,
            datum=self.sea.cells[here],
        )  # fmt: skip

    def _taken(self, day: int) -> np.ndarray:
        """Which wet cells are looked at, by their position among these."""
        every = self.network.every
        if every == 1:
            return np.arange(self.sea.cells.size)
        row, column = np.divmod(self.sea.cells, self.sea.longitude.size)
        first = (chance.uniform(*self.words, "first", day, np.arange(2)) * every).astype(int)
        return np.flatnonzero(((row - first[0]) % every == 0) & ((column - first[1]) % every == 0))

    def _clear(self, day: int, here: np.ndarray) -> np.ndarray:
        """Those of them with the least cloud: one at least."""
        n = self.network
        within = min(n.cloud_varies, n.cloud, 1 - n.cloud)
        share = n.cloud + within * (2 * float(chance.uniform(*self.words, "share", day)) - 1)
        if share <= 0 or not here.size:
            return here
        count = max(1, round(here.size * (1 - share)))
        cloudy = self.clouds.at(self.places[here], day)
        return np.sort(here[np.argpartition(cloudy, count - 1)[:count]])

    def _swept(self, day: int, here: np.ndarray, width: float) -> tuple[np.ndarray, np.ndarray]:
        """Those below the satellite, and when it was nearest."""
        node = 360.0 * float(chance.uniform(*self.words, "node"))
        orbits, days, inclination = _POLAR
        seconds = (day + np.arange(0, 1, _ALONG / SECONDS_PER_DAY)) * SECONDS_PER_DAY
        longitude, latitude, _ = Orbit(orbits, days, inclination, node).track(seconds)
        tree = scipy.spatial.cKDTree(vectors(longitude, latitude))
        reach = 2 * np.sin(min(width / 2 / _KM, np.pi) / 2)  # of a chord
        away, nearest = tree.query(self.places[here], distance_upper_bound=reach)
        seen = np.isfinite(away)
        when = EPOCH + (seconds[nearest[seen]] * 1e3).astype("timedelta64[ms]")
        return here[seen], when
