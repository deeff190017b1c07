"""Random networks: platforms whose density and errors are drawn for a while, and whose places are drawn every window.

A learned analysis is to serve whatever is observed, so it is trained on networks of every density. Errors are stated
in units of each variable's spread about its climatology, so that the same words serve any ocean.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import pandas as pd
import xarray as xr
from pydantic import AfterValidator, Field
from scipy.ndimage import gaussian_filter

from oceanx.ocean import observations
from oceanx.ocean.observing.sea import Sea
from oceanx.vocabulary.channels import Channels
from oceanx.vocabulary.config import Config

NOTHING = np.zeros(0)


def _ascending(limits: tuple[float, float]) -> tuple[float, float]:
    if not 0 <= limits[0] <= limits[1]:
        raise ValueError("expected two numbers, 0 or more, the smaller first")
    return limits


Range = Annotated[tuple[float, float], AfterValidator(_ascending)]


@dataclass(frozen=True)
class Room:
    """Where a network may observe: a Sea, what it steps, and the spread of each variable by level."""

    sea: Sea
    channels: Channels
    spread: dict[str, np.ndarray]

    @property
    def surface(self) -> str | None:
        """The name of its sea surface temperature."""
        return next((name for name in ("sst", "thetao") if name in self.channels.names), None)

    def near(self, name: str, depth: np.ndarray) -> np.ndarray:
        """The spread of a variable at the level nearest to each depth."""
        levels = self.sea.levels if len(self.spread[name]) > 1 else np.zeros(1)
        return self.spread[name][np.abs(levels[:, None] - depth).argmin(0)]


@dataclass(frozen=True)
class Places:
    """Where one variable is observed in a window, and how well."""

    name: str
    latitude: np.ndarray
    longitude: np.ndarray
    depth: np.ndarray
    error_std: np.ndarray


Draw = Callable[[np.random.Generator], list[Places]]


class Clouded(Config):
    """Sea surface temperature wherever there are no clouds; `cover` is the share of the sea that is seen."""

    kind: Literal["clouded"] = "clouded"
    cover: Range = (0.05, 0.8)
    error: Range = (0.25, 1.0)

    def begin(self, room: Room, rng: np.random.Generator) -> Draw:
        """Its places in each window, once its density and error are drawn."""
        name, seen, error = room.surface, rng.uniform(*self.cover), _between(rng, self.error)
        centred = rng.random() < 0.5
        if name is None:
            return lambda rng: []
        kept: str = name

        def draw(rng: np.random.Generator) -> list[Places]:
            clouds = gaussian_filter(rng.standard_normal(room.sea.wet[0].shape), rng.uniform(1.5, 8.0), mode="wrap")
            share = min(seen * rng.uniform(0.5, 1.5), 1.0)
            clear = clouds.ravel()[room.sea.cells] <= np.quantile(clouds, share)
            longitude, latitude = (at[clear] for at in room.sea.centres)
            if not centred:
                longitude, latitude = _beside(room, rng, longitude, latitude)
            return [_places(room, kept, latitude, longitude, np.zeros(latitude.size), error)]

        return draw


class Tracks(Config):
    """Altimeters: passes across the map, as many a window as `passes`, a datum every `spacing` degrees along each."""

    kind: Literal["tracks"] = "tracks"
    passes: Range = (1.0, 15.0)
    spacing: Range = (0.06, 0.5)
    error: Range = (0.1, 1.0)

    def begin(self, room: Room, rng: np.random.Generator) -> Draw:
        """Its places in each window, once its density and error are drawn."""
        usual, apart, error = (_between(rng, limits) for limits in (self.passes, self.spacing, self.error))
        if "zos" not in room.channels.names:
            return lambda rng: []
        south, north = room.sea.latitude[[0, -1]]
        west, east = room.sea.longitude[[0, -1]]

        def draw(rng: np.random.Generator) -> list[Places]:
            count = rng.poisson(usual)
            across = rng.choice([-1.0, 1.0], count) * rng.uniform(0.3, 0.7, count)  # degrees east for each one north
            reach = 0.7 * (north - south)
            middle = rng.uniform(west - reach / 2, east + reach / 2, count)
            latitude = np.arange(south + apart * rng.random(), north, apart)
            longitude = middle + across * (latitude[:, None] - (south + north) / 2)
            return [_on_water(room, "zos", np.repeat(latitude, count), longitude.ravel(), 0.0, error)]

        return draw


class Profiles(Config):
    """Floats: as many a window as `count`, temperature and salinity at `levels` depths between top and bottom."""

    kind: Literal["profiles"] = "profiles"
    count: Range = (2.0, 60.0)
    levels: Range = (3.0, 20.0)
    error: Range = (0.03, 0.7)

    def begin(self, room: Room, rng: np.random.Generator) -> Draw:
        """Its places in each window, once its density and error are drawn."""
        usual, levels, error = (_between(rng, limits) for limits in (self.count, self.levels, self.error))
        names = [name for name in ("thetao", "so") if name in room.channels.volume]

        def draw(rng: np.random.Generator) -> list[Places]:
            longitude, latitude = _anywhere(room, rng, rng.poisson(usual))
            deep = np.linspace(room.sea.levels[0], room.sea.levels[-1], round(levels))
            north, east = (np.repeat(axis, deep.size) for axis in (latitude, longitude))
            return [_on_water(room, name, north, east, np.tile(deep, latitude.size), error) for name in names]

        return draw


class Moorings(Config):
    """Moorings that stay where they are: everything with a depth, at every level."""

    kind: Literal["moorings"] = "moorings"
    count: Range = (0.0, 8.0)
    error: Range = (0.03, 0.5)

    def begin(self, room: Room, rng: np.random.Generator) -> Draw:
        """Its places in each window, once they and its error are drawn."""
        longitude, latitude = _anywhere(room, rng, round(rng.uniform(*self.count)))
        error, levels = _between(rng, self.error), room.sea.levels
        north, east = (np.repeat(axis, levels.size) for axis in (latitude, longitude))
        depth = np.tile(levels, latitude.size)
        found = [_on_water(room, name, north, east, depth, error) for name in room.channels.volume]
        return lambda rng: found


class Cells(Config):
    """Random cells at their centres: a `share` of the wet ones, in the uppermost level of one variable."""

    kind: Literal["cells"] = "cells"
    variable: str = "sst"
    share: Range = (0.02, 0.5)
    error: Range = (0.2, 0.6)

    def begin(self, room: Room, rng: np.random.Generator) -> Draw:
        """Its places in each window, once its density and error are drawn."""
        share, error = _between(rng, self.share), _between(rng, self.error)

        def draw(rng: np.random.Generator) -> list[Places]:
            kept = rng.choice(room.sea.cells.size, round(share * room.sea.cells.size), replace=False)
            longitude, latitude = (at[kept] for at in room.sea.centres)
            depth = np.full(kept.size, room.sea.levels[0])
            return [_places(room, self.variable, latitude, longitude, depth, error)]

        return draw


PlatformConfig = Annotated[Clouded | Tracks | Profiles | Moorings | Cells, Field(discriminator="kind")]
PLATFORMS: tuple[PlatformConfig, ...] = (Clouded(), Tracks(), Profiles(), Moorings())


class RandomNetwork:
    """Several platforms together, their densities and errors drawn from one seed.

    Parameters
    ----------
    missing
        How often one of the platforms is missing from a window.
    """

    def __init__(self, platforms: Sequence[PlatformConfig], room: Room, seed: int, missing: float = 0.0):
        rng = np.random.default_rng(seed)
        self.draws, self.missing = [platform.begin(room, rng) for platform in platforms], missing

    def window(self, rng: np.random.Generator) -> list[Places]:
        """Where it observes in one window."""
        without = rng.integers(len(self.draws)) if rng.random() < self.missing else -1
        return [places for i, draw in enumerate(self.draws) if i != without for places in draw(rng)]


def table(places: Sequence[Places], time: np.datetime64) -> xr.Dataset:
    """The observation table of places, all at one moment, with values still 0."""
    sizes = [each.latitude.size for each in places]
    rows = sum(sizes)
    names = list(dict.fromkeys(each.name for each in places))
    columns = {
        name: np.concatenate([NOTHING, *(getattr(each, name) for each in places)])
        for name in ("latitude", "longitude", "depth", "error_std")
    }
    codes = np.repeat([names.index(each.name) for each in places], sizes)
    kinds = {"platform": "int32", "feature": "int64", "qc": "uint8"}
    whole = {name: np.zeros(rows, kind) for name, kind in kinds.items()}
    stamped = np.full(rows, pd.Timestamp(time).to_datetime64().astype("datetime64[ns]"))
    known = columns | whole | {"time": stamped, "variable": codes.astype("int8"), "value": np.zeros(rows)}
    return observations.table(known, names, ["random"])


def _between(rng: np.random.Generator, limits: Range) -> float:
    """A number between limits, every factor as likely as any other."""
    low, high = max(limits[0], 1e-3 * limits[1], 1e-9), max(limits[1], 1e-9)
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _anywhere(room: Room, rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Random longitudes and latitudes within wet cells."""
    kept = rng.integers(room.sea.cells.size, size=count)
    longitude, latitude = room.sea.centres
    return _beside(room, rng, longitude[kept], latitude[kept])


def _beside(
    room: Room, rng: np.random.Generator, longitude: np.ndarray, latitude: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Places within half a cell of given centres, and on the map."""
    moved = []
    for axis, at in ((room.sea.longitude, longitude), (room.sea.latitude, latitude)):
        width = float(np.diff(axis).mean())
        moved.append((at + rng.uniform(-width / 2, width / 2, at.size)).clip(axis[0], axis[-1]))
    return moved[0], moved[1]


def _on_water(
    room: Room, name: str, latitude: np.ndarray, longitude: np.ndarray, depth: np.ndarray | float, error: float
) -> Places:
    """The places that lie in a wet cell of the uppermost level; what lies below the floor, H leaves out."""
    depth = np.broadcast_to(np.asarray(depth, float), latitude.shape)
    kept = room.sea.cell(longitude, latitude) >= 0
    return _places(room, name, latitude[kept], longitude[kept], depth[kept], error)


def _places(
    room: Room, name: str, latitude: np.ndarray, longitude: np.ndarray, depth: np.ndarray, error: float
) -> Places:
    longitude = (longitude + 180.0) % 360.0 - 180.0
    return Places(name, latitude, longitude, depth, error * room.near(name, depth))
