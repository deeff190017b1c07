"""Which observations are near a column, and how much each counts there: lists made once a window, by a search tree."""

from __future__ import annotations

from collections.abc import Mapping
from math import pi
from typing import NamedTuple

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from oceanx.tensors.geometry import Geometry
from oceanx.vocabulary.constants import EARTH_RADIUS

from .analysis import Window
from .localisation import HalfWidths, gaspari_cohn
from .over_sea import Detours


class Places(NamedTuple):
    """Where observations are.

    Attributes
    ----------
    latitude, longitude, depth
        In degrees (or m on a plane) and m `[obs]`.
    level, column
        Of the cell that has the greatest part in each of them, columns counted through `[lat, lon]` in C order.
    rows
        Which of them are of which variable.
    """

    latitude: np.ndarray
    longitude: np.ndarray
    depth: np.ndarray
    level: np.ndarray
    column: np.ndarray
    rows: Mapping[str, np.ndarray]


def places(window: Window, geometry: Geometry) -> Places:
    """Where a window's observations are; those of unknown place are in the cell that has the greatest part in them."""
    operator = window.observed.operator
    level, column = np.zeros(operator.size, int), np.zeros(operator.size, int)
    for part in operator.parts.values():
        heaviest = part.cells.gather(1, part.weight.argmax(1, keepdim=True)).squeeze(1).cpu().numpy()
        levels, latitudes, longitudes = part.shape
        rows, area = part.rows.cpu().numpy(), latitudes * longitudes
        level[rows], column[rows] = heaviest // area % levels, heaviest % area
    shape = geometry.area.shape
    known = {
        "latitude": _axis(geometry.latitude)[column // shape[1]],
        "longitude": _axis(geometry.longitude)[column % shape[1]],
        "depth": _axis(geometry.depth)[level],
    }
    for name in known:
        given = getattr(window, name)
        known[name] = known[name] if given is None else given.double().cpu().numpy()
    rows_of = {name: part.rows.cpu().numpy() for name, part in operator.parts.items()}
    return Places(**known, level=level, column=column, rows=rows_of)


class Pairs(NamedTuple):
    """Columns and observations near each other, column after column.

    Attributes
    ----------
    per_column
        How many there are of each column.
    observation
        Which observation.
    taper
        How much it counts there, by its distance.
    """

    per_column: Tensor
    observation: Tensor
    taper: Tensor

    def tapered(self, taper: Tensor) -> Pairs:
        """The same with another taper, without those that have none left."""
        kept = taper > 0
        if bool(kept.all()):
            return self._replace(taper=taper)
        before = torch.cat((kept.new_zeros(1, dtype=torch.long), kept.cumsum(0)))
        last = self.per_column.cumsum(0)
        return Pairs(before[last] - before[last - self.per_column], self.observation[kept], taper[kept])


class Neighbours:
    """The observations of a window by place.

    Parameters
    ----------
    geometry
        Of the grid: a sphere, or a plane, periodic or not.
    where
        Where the observations are.
    widths
        Half-widths by variable (m).
    detours
        How much longer the way over sea is, or None: land does not matter.

    Attributes
    ----------
    vertical
        How much every observation counts at every level, by its vertical distance `[level, obs]`.
    at_home
        How much it counts in the cell that has the greatest part in it.
    """

    def __init__(
        self, geometry: Geometry, where: Places, widths: Mapping[str, HalfWidths], detours: Detours | None = None
    ):
        self._geometry, self._where, self._detours = geometry, where, detours
        latitude, longitude = _axis(geometry.latitude), _axis(geometry.longitude)
        self._columns = np.stack(np.meshgrid(latitude, longitude, indexing="ij"), -1).reshape(-1, 2)
        self._trees = {}
        self.vertical = torch.ones(len(geometry.depth), len(where.depth), dtype=torch.float64)
        apart = torch.from_numpy(np.abs(_axis(geometry.depth)[:, None] - where.depth))
        for name, rows in where.rows.items():
            points = np.stack((where.latitude[rows], where.longitude[rows]), -1)
            self._trees[name] = _tree(points, geometry), rows.astype("int32"), widths[name].horizontal
            self.vertical[:, rows] = gaspari_cohn(apart[:, rows] / widths[name].vertical)
        self.whole_columns = bool((self.vertical == 1).all())
        self.at_home = self.vertical[where.level, range(len(where.depth))]
        for name, rows in where.rows.items():
            points = np.stack((where.latitude[rows], where.longitude[rows]), -1)
            distance = _between(self._columns[where.column[rows]], points, geometry) / widths[name].horizontal
            self.at_home[rows] *= gaspari_cohn(torch.from_numpy(distance))

    def pairs(self, columns: np.ndarray) -> Pairs:
        """What is within two half-widths of each of some columns."""
        queried = _tree(self._columns[columns], self._geometry)
        # Short integers are sorted by counting, which is many times faster.
        short, found = "uint16" if len(columns) <= 2**16 else "int64", []
        for tree, rows, half_width in self._trees.values():
            reach = _chord(2 * half_width, self._geometry)
            near = queried.sparse_distance_matrix(tree, reach, output_type="ndarray")
            place, observation = near["i"].astype(short), rows[near["j"]]
            distance = _arc(near["v"], self._geometry)
            if self._detours is not None:
                distance = distance + self._detours(self._where.column[observation], columns[place])
            found.append((place, observation, distance / half_width))
        place, observation, distance = (np.concatenate(each) for each in zip(*found, strict=True))
        order = place.argsort(kind="stable")
        count = torch.from_numpy(np.bincount(place, minlength=len(columns)))
        taper = gaspari_cohn(torch.from_numpy(distance[order]))
        return Pairs(count, torch.from_numpy(observation[order]), taper).tapered(taper)

    def at(self, pairs: Pairs, level: int) -> Pairs:
        """The same at a level, vertical distance taken into account."""
        if self.whole_columns:
            return pairs
        return pairs.tapered(pairs.taper * self.vertical[level].index_select(0, pairs.observation))


def _tree(points: np.ndarray, geometry: Geometry) -> cKDTree:
    """A search tree of points given as latitude and longitude: straight lines on a plane, chords on a sphere."""
    if not geometry.flat:
        return cKDTree(_vectors(points))
    periods = _periods(geometry)
    long = np.where(periods > 0, periods, 1.0)
    wrapped = np.where(periods > 0, np.mod(points, long), points)
    wrapped = np.where((periods > 0) & (wrapped >= long), 0.0, wrapped)  # a remainder may round up to the period
    return cKDTree(wrapped, boxsize=periods)


def _vectors(points: np.ndarray) -> np.ndarray:
    """Points of the unit sphere from latitude and longitude in degrees."""
    phi, lam = np.radians(points.T)
    return np.stack((np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)), -1)


def _periods(geometry: Geometry) -> np.ndarray:
    """After how many m a plane repeats itself along y and x; 0: it does not."""
    lengths = geometry.length_x[:, 0].double().sum(), geometry.length_y[0].double().sum()
    return np.where([geometry.periodic_y, geometry.periodic], [float(each) for each in lengths], 0.0)


def _between(first: np.ndarray, second: np.ndarray, geometry: Geometry) -> np.ndarray:
    """Distances of points one by one (m)."""
    if not geometry.flat:
        return _arc(np.linalg.norm(_vectors(first) - _vectors(second), axis=-1), geometry)
    periods, apart = _periods(geometry), np.abs(first - second)
    return np.hypot(*np.where(periods > 0, np.minimum(apart, np.abs(periods - apart)), apart).T)


def _chord(distance: float, geometry: Geometry) -> float:
    if geometry.flat:
        return distance
    return 2 * np.sin(min(distance / EARTH_RADIUS, pi) / 2) * (1 + 1e-12)


def _arc(chord: np.ndarray, geometry: Geometry) -> np.ndarray:
    return chord if geometry.flat else 2 * EARTH_RADIUS * np.arcsin(np.minimum(chord / 2, 1.0))


def _axis(coordinate: Tensor) -> np.ndarray:
    return coordinate.double().cpu().numpy()
