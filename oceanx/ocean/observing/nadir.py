"""Nadir altimeters: sea level every second along the ground tracks of satellites."""

from __future__ import annotations

from math import ceil
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from ...vocabulary.constants import SECONDS_PER_DAY
from . import chance
from .network import EPOCH, Errors, Network, Rows, Sampler
from .orbits import Orbit
from .sea import Sea


class Nadir(Network):
    """Sea level below one satellite; a feature is a pass.

    Attributes
    ----------
    orbits, days, inclination
        Revolutions in a cycle, its length, and the inclination in degrees.
    node
        Longitude of the ascending node at 1970-01-01 00:00; None: drawn by the seed.
    interval
        Seconds between points: 1 is about 6 to 7 km.
    """

    kind: Literal["nadir"] = "nadir"
    name: str = "nadir"
    error: Errors = 0.03
    variable: Literal["zos", "sla"] = "zos"
    orbits: int = Field(ge=1)
    days: float = Field(gt=0)
    inclination: float = Field(gt=0, lt=180)
    node: float | None = Field(None, ge=-180, le=360)
    interval: float = Field(1.0, gt=0)
    feature = "trajectory"

    @model_validator(mode="after")
    def _repeats(self) -> Self:
        Orbit(self.orbits, self.days, self.inclination).check()
        return self

    @property
    def observes(self) -> tuple[str, ...]:
        """Its one variable."""
        return (self.variable,)

    def sampler(self, sea: Sea, seed: int, currents: Any = None) -> Sampler:
        """Its Sampler."""
        return _Sampler(self, sea, seed)


class _Sampler:
    def __init__(self, network: Nadir, sea: Sea, seed: int) -> None:
        self.network, self.sea = network, sea
        self.platforms = [network.name]
        drawn = 360.0 * float(chance.uniform(seed, network.name, "node"))
        node = drawn if network.node is None else network.node
        self.orbit = Orbit(network.orbits, network.days, network.inclination, node)

    def on(self, day: int) -> Rows:
        """Its points over the grid's box, on land too: the observation operator knows which it has water for."""
        interval = self.network.interval
        first, last = (ceil(d * SECONDS_PER_DAY / interval) for d in (day, day + 1))
        (west, east), (south, north) = self.sea.edges[0][[0, -1]], self.sea.latitude[[0, -1]]
        box = (float(west), float(east), float(south), float(north))
        number, longitude, latitude, passes = self.orbit.within(box, first, last, interval)
        milliseconds = np.rint(number * interval * 1e3).astype("timedelta64[ms]")
        return Rows.together(
            time=EPOCH + milliseconds, latitude=latitude, longitude=longitude, depth=0.0, variable=0, platform=0,
            feature=passes, datum=number,
        )  # fmt: skip
