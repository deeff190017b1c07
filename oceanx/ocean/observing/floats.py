"""Profiling floats: so many to an area, drifting at depth, and up for a profile every few days.

A float is replaced at its home after `life` days. So where it is on a day hangs on that many days before alone, not on
when somebody began to look.
"""

from __future__ import annotations

from functools import cached_property
from typing import Literal

import numpy as np
import xarray as xr
from pydantic import Field

from ...vocabulary.constants import EARTH_RADIUS, SECONDS_PER_DAY
from ...vocabulary.errors import InputError
from ..fields import field
from . import chance
from .network import Depths, Errors, Network, Rows, Sampler, levels, midday, profiles
from .sea import Sea, wrapped

_DEGREE = np.deg2rad(1.0) * EARTH_RADIUS  # m
_DAYS = 16  # of currents read at once


class Argo(Network):
    """Profiles of temperature and salinity by floats; a feature is a profile.

    Attributes
    ----------
    spacing
        One float to so many degrees of latitude and longitude squared.
    cycle, life
        Days between two profiles, and until a float is replaced at its home.
    parking
        Depth in m at which it drifts: the truth's level nearest to it. Where the sea floor is above, it lies still.
    drift
        "currents": the truth's; "walk": a random walk; "none". By default currents where the truth has them.
    walk
        Standard deviation in km of a walk's step eastward, and northward, from one profile to the next.
    depths
        In m; by default the truth's levels. Down to the sea floor.
    """

    kind: Literal["argo"] = "argo"
    name: str = "argo"
    error: Errors = Field({"thetao": 0.02, "so": 0.01})
    variables: tuple[str, ...] = Field(("thetao", "so"), min_length=1)
    spacing: float = Field(3.0, gt=0)
    cycle: int = Field(10, ge=1)
    life: int = Field(180, ge=1)
    parking: float = Field(1000.0, ge=0)
    drift: Literal["currents", "walk", "none"] | None = None
    walk: float = Field(30.0, ge=0)
    depths: Depths | None = Field(None, min_length=1)
    feature = "profile"

    @property
    def observes(self) -> tuple[str, ...]:
        """What a profile is of."""
        return self.variables

    def sampler(self, sea: Sea, seed: int, currents: Currents | None = None) -> Sampler:
        """Its Sampler."""
        return _Sampler(self, sea, seed, currents)


class Currents:
    """The velocities of a truth, read some days at a time.

    Raises
    ------
    InputError
        If `uo` or `vo` is not there, or in another unit.
    """

    def __init__(self, truth: xr.Dataset) -> None:
        self.fields = [field(truth, name, "floats that drift") for name in ("uo", "vo")]
        self.days = truth["time"].values.astype("datetime64[D]").astype(int)
        self._read: tuple[int, int, np.ndarray] = (0, -1, np.empty(0))

    @property
    def first(self) -> int:
        """The first day there is."""
        return int(self.days[0])

    def on(self, day: int, depth: float, cells: np.ndarray) -> np.ndarray:
        """Eastward and northward velocity (2, cell) in m/s, of the latest field up to a day; 0 where there is none."""
        at = max(int(np.searchsorted(self.days, day, side="right")) - 1, 0)
        first, last, values = self._read
        if not first <= at <= last:
            first, last = at, min(at + _DAYS, self.days.size) - 1
            values = np.stack([self._level(v.isel(time=slice(first, last + 1)), depth) for v in self.fields])
            self._read = first, last, values
        return np.nan_to_num(values[:, at - first].reshape(2, -1)[:, cells])

    @staticmethod
    def _level(v: xr.DataArray, depth: float) -> np.ndarray:
        v = v.sel(depth=depth, method="nearest") if "depth" in v.dims else v
        return v.transpose("time", "latitude", "longitude").values


class _Sampler:
    """Floats by number, as they stand in the boxes of a lattice."""

    def __init__(self, network: Argo, sea: Sea, seed: int, currents: Currents | None) -> None:
        self.network, self.sea, self.words = network, sea, (seed, network.name)
        self.currents = currents if network.drift in (None, "currents") else None
        if network.drift == "currents" and currents is None:
            raise InputError(f"{network.name}.drift: currents need uo and vo in the truth; say walk")
        self.homes = self._homes()
        self.number = np.arange(1, self.homes[0].size + 1)
        prefix = "float" if network.name == "argo" else network.name
        self.platforms = [f"{prefix}_{n:04d}" for n in self.number]
        self.levels = levels(network.name, network.depths, sea)
        self._day: int | None = None
        self._places = self.homes

    def on(self, day: int) -> Rows:
        """The profiles of those that come up."""
        up = np.flatnonzero((day - self._phase) % self.network.cycle == 0)
        longitude, latitude = self.at(day, up)
        number = (day - self._phase[up]) // self.network.cycle
        hours = chance.uniform(*self.words, "hour", self.number[up], number)
        place = {
            "time": midday(day) + ((hours - 0.5) * SECONDS_PER_DAY).astype("timedelta64[s]"),
            "longitude": longitude,
            "latitude": latitude,
        }
        return profiles(place, up, number, self.levels, self.network.variables)

    def at(self, day: int, which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Longitudes and latitudes of some floats on a day, all in wet cells."""
        if self.currents is not None:
            self._carried_to(day, self.currents)
        elif self.network.drift != "none":
            return self._walked(day, which)
        return self._places[0][which], self._places[1][which]

    @cached_property
    def _phase(self) -> np.ndarray:
        return (chance.uniform(*self.words, "phase", self.number) * self.network.cycle).astype(int)

    def _age(self, day: int) -> np.ndarray:
        """Days since each float was laid out."""
        born = (chance.uniform(*self.words, "born", self.number) * self.network.life).astype(int)
        return (day - born) % self.network.life

    def _homes(self) -> tuple[np.ndarray, np.ndarray]:
        """Where floats are laid out: where the sea counted cell by cell, box by box, comes to a whole box more."""
        sea, spacing = self.sea, self.network.spacing
        longitude, latitude = sea.centres
        east, north = sea.edges
        row, column = np.divmod(sea.cells, sea.longitude.size)
        width, height = np.diff(east)[column], np.diff(north)[row]
        box = np.floor(latitude / spacing) * 1e6 + np.floor(longitude / spacing)
        order = np.lexsort((chance.uniform(*self.words, "order", sea.cells), box))
        boxes = np.cumsum((width * height)[order]) / spacing**2 + float(chance.uniform(*self.words, "start"))
        full = np.floor(boxes)
        count = np.diff(full, prepend=0.0).astype(int)  # of a cell larger than a box, several
        home = np.repeat(order, count)
        off = chance.uniform(*self.words, "off", np.arange(2)[:, None], np.arange(home.size)) - 0.5
        east, north = wrapped(longitude[home] + off[0] * width[home]), latitude[home] + off[1] * height[home]
        held = sea.holds(east, north)
        return np.where(held, east, longitude[home]), np.where(held, north, latitude[home])

    def _walked(self, day: int, which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        longitude, latitude = self.homes[0][which], self.homes[1][which]
        age, cycle = self._age(day)[which], self.network.cycle
        steps = age // cycle
        for step in range(int(steps.max(initial=0))):
            when = day - age + step * cycle
            length = chance.normal(*self.words, "walk", self.number[which], when, np.arange(2)[:, None])
            moving = (step < steps) * self.network.walk * 1e3
            longitude, latitude = self._moved(longitude, latitude, length * moving)
        return longitude, latitude

    def _carried_to(self, day: int, currents: Currents) -> None:
        """Carry all floats to a day; from as far back as the life of a float where that is not the next."""
        if self._day is None or day < self._day:
            self._day = max(day - self.network.life + 1, currents.first)
            self._places = self.homes
        level = int(np.abs(self.sea.levels - self.network.parking).argmin())
        while self._day < day:
            cell = self.sea.cell(*self._places, level)
            u = currents.on(self._day, float(self.sea.levels[level]), np.maximum(cell, 0))
            places = self._moved(*self._places, np.where(cell >= 0, u, 0.0) * SECONDS_PER_DAY)
            self._day += 1
            new = self._age(self._day) == 0
            self._places = np.where(new, self.homes[0], places[0]), np.where(new, self.homes[1], places[1])

    def _moved(self, longitude: np.ndarray, latitude: np.ndarray, metres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Places after steps eastward and northward (2, float), which are not made where they end on land."""
        east = wrapped(longitude + metres[0] / (_DEGREE * np.cos(np.deg2rad(latitude))))
        north = latitude + metres[1] / _DEGREE
        wet = self.sea.holds(east, north)
        return np.where(wet, east, longitude), np.where(wet, north, latitude)
