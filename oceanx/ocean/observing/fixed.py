"""What stays where it is, or goes anywhere: moorings, and cells drawn anew each day."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from ...vocabulary.errors import InputError
from ...vocabulary.names import VARIABLES
from . import chance
from .network import Depths, Errors, Network, Rows, Sampler, levels, midday, profiles, refuse_deep
from .sea import Sea, wrapped
from .sst import surface_temperature


class Mooring(Network):
    """Daily profiles at fixed places; a feature is a day's.

    Attributes
    ----------
    places
        (longitude, latitude) of each; None: `number` wet cells drawn by the seed.
    depths
        In m; by default the truth's levels. Down to the sea floor.
    """

    kind: Literal["mooring"] = "mooring"
    name: str = "mooring"
    error: Errors = Field({"thetao": 0.02, "so": 0.01, "uo": 0.03, "vo": 0.03})
    variables: tuple[str, ...] = Field(("thetao", "so", "uo", "vo"), min_length=1)
    number: int = Field(5, ge=1)
    places: tuple[tuple[float, float], ...] | None = Field(None, min_length=1)
    depths: Depths | None = Field(None, min_length=1)
    feature = "profile"

    @property
    def observes(self) -> tuple[str, ...]:
        """What hangs on its line."""
        return self.variables

    def sampler(self, sea: Sea, seed: int, currents: Any = None) -> Sampler:
        """Its Sampler."""
        return _Moored(self, sea, seed)


class _Moored:
    def __init__(self, network: Mooring, sea: Sea, seed: int) -> None:
        self.network = network
        self.levels = levels(network.name, network.depths, sea)
        if network.places is None:
            drawn = np.argsort(chance.uniform(seed, network.name, "cell", sea.cells))[: network.number]
            self.longitude, self.latitude = (axis[drawn] for axis in sea.centres)
        else:
            self.longitude, self.latitude = np.asarray(network.places, float).T
            dry = sea.cell(self.longitude, self.latitude) < 0
            if dry.any():
                place = tuple(network.places[int(np.argmax(dry))])
                raise InputError(
                    f"{network.name}.places: {place} (longitude, latitude) is not in a wet cell of the grid"
                )
            self.longitude = wrapped(self.longitude)
        self.platforms = [f"{network.name}_{n:02d}" for n in range(1, self.longitude.size + 1)]

    def on(self, day: int) -> Rows:
        """All of them at noon."""
        count = self.longitude.size
        place = {"time": np.full(count, midday(day)), "longitude": self.longitude, "latitude": self.latitude}
        return profiles(place, np.arange(count), np.full(count, day), self.levels, self.network.variables)


class Cells(Network):
    """Random wet cells, other ones every day, at their centres.

    Attributes
    ----------
    variable, depth
        What is observed, and where in m; by default the temperature of the surface.
    number, share
        How many cells, or which share of all that are wet; one of the two.
    after
        Leave out the first so many of a day's lots. With the same name and seed, what `number=22` has observed and
        `number=194, after=22` have no cell in common.
    """

    kind: Literal["cells"] = "cells"
    name: str = "cells"
    error: Errors = 0.3
    variable: str | None = None
    depth: float = Field(0.0, ge=0)
    number: int | None = Field(None, ge=1)
    share: float | None = Field(None, gt=0, le=1)
    after: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _counted(self) -> Self:
        if (self.number is None) == (self.share is None):
            raise ValueError("say how many cells a day: either number or share")
        return self

    @property
    def observes(self) -> tuple[str, ...]:
        """Its one variable."""
        return (self.variable or "sst",)

    def among(self, known: Sequence[str]) -> Network:
        """With the variable decided."""
        return self.model_copy(update={"variable": self.variable or surface_temperature(known)})

    def sampler(self, sea: Sea, seed: int, currents: Any = None) -> Sampler:
        """Its Sampler."""
        return _Drawn(self, sea, seed)


class _Drawn:
    def __init__(self, network: Cells, sea: Sea, seed: int) -> None:
        self.network, self.sea, self.words = network, sea, (seed, network.name)
        self.platforms = [network.name]
        volume = VARIABLES[network.observes[0]].volume
        if network.depth and not volume:
            raise InputError(f"{network.name}.depth: {network.observes[0]} has no depth; leave it out")
        if volume and not network.depth:
            refuse_deep(network.name, sea)
        levels(network.name, (network.depth,), sea)
        wet = sea.cells.size
        self.count = network.number if network.number is not None else max(1, round(float(network.share or 0) * wet))
        if self.count + network.after > wet:
            less = f" after {network.after}" if network.after else ""
            raise InputError(f"{network.name}.number: found {self.count}{less}; the grid has {wet} wet cells")

    def on(self, day: int) -> Rows:
        """The day's cells at noon."""
        lots = chance.uniform(*self.words, "cell", day, self.sea.cells)
        last = self.network.after + self.count
        first = np.argpartition(lots, last - 1)[:last]
        here = np.sort(first[np.argsort(lots[first])][self.network.after :])
        longitude, latitude = (axis[here] for axis in self.sea.centres)
        return Rows.together(
            time=midday(day), latitude=latitude, longitude=longitude, depth=self.network.depth, variable=0, platform=0,
            feature=day, datum=self.sea.cells[here],
        )  # fmt: skip
