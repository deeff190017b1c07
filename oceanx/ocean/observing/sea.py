"""Where there is water: the wet cells of a grid, and which of them a place lies in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import xarray as xr

from ...vocabulary.errors import InputError
from ..grid import edges, is_periodic
from ..interpolation import LEAST

_DIMS = ("depth", "latitude", "longitude")


@dataclass(frozen=True)
class Sea:
    """The axes of a grid, and which of its cells (depth or 1, latitude, longitude) are wet."""

    latitude: np.ndarray
    longitude: np.ndarray
    depth: np.ndarray | None
    wet: np.ndarray

    @classmethod
    def of(cls, grid: xr.Dataset) -> Sea:
        """The Sea of a Dataset with `latitude`, `longitude`, `mask` and, for water below the surface, `depth`.

        Raises
        ------
        InputError
            If one of them is not there, an axis is not ascending, or no cell is wet.
        """
        for name in ("latitude", "longitude", "mask"):
            if name not in grid.coords:
                remedy = "; make it with grid.complete(ds)" if name == "mask" else ""
                raise InputError(f"{name}: no such coordinate; found {sorted(map(str, grid.coords))}{remedy}")
        depth = _axis(grid, "depth") if "depth" in grid.dims else None
        mask = grid["mask"].transpose(*(d for d in _DIMS if d in grid["mask"].dims)).values.astype(bool)
        if mask.ndim == 2:
            mask = np.broadcast_to(mask, (1 if depth is None else depth.size, *mask.shape))
        if not mask[0].any():
            raise InputError("mask: no cell is wet; there is nothing to observe")
        return cls(_axis(grid, "latitude"), _axis(grid, "longitude"), depth, mask)

    @cached_property
    def cells(self) -> np.ndarray:
        """The wet cells of the uppermost level, counted in C order."""
        return np.flatnonzero(self.wet[0])

    @cached_property
    def centres(self) -> tuple[np.ndarray, np.ndarray]:
        """Longitudes [-180, 180) and latitudes of `cells`."""
        row, column = np.divmod(self.cells, self.longitude.size)
        return wrapped(self.longitude[column]), self.latitude[row]

    @cached_property
    def levels(self) -> np.ndarray:
        """The depths of its levels in m; of a surface alone, 0."""
        return np.zeros(1) if self.depth is None else self.depth

    @cached_property
    def periodic(self) -> bool:
        """Whether it goes all the way round."""
        return is_periodic(xr.DataArray(self.longitude))

    @cached_property
    def edges(self) -> tuple[np.ndarray, np.ndarray]:
        """Of cells along longitude and latitude, one more than these."""
        north = float(np.diff(self.latitude).mean()) if self.latitude.size > 1 else 1.0
        east = float(np.diff(self.longitude).mean()) if self.longitude.size > 1 else 1.0
        return edges(self.longitude, alone=north), edges(self.latitude, alone=east)

    def cell(self, longitude: np.ndarray, latitude: np.ndarray, level: int = 0) -> np.ndarray:
        """The wet cell of a level that each place lies in, counted in C order; -1 on land and off the grid."""
        east, north = self.edges
        column = np.searchsorted(east, east[0] + (longitude - east[0]) % 360.0, side="right") - 1
        if self.periodic:
            column = np.minimum(column, self.longitude.size - 1)
        row = np.searchsorted(north, latitude, side="right") - 1
        inside = (row >= 0) & (row < self.latitude.size) & (column >= 0) & (column < self.longitude.size)
        found = np.where(inside, row * self.longitude.size + column, 0)
        return np.where(inside & self.wet[level].ravel()[found], found, -1)

    def holds(self, longitude: np.ndarray, latitude: np.ndarray) -> np.ndarray:
        """Whether a place is in a wet cell, and has enough water around it for the observation operator too."""
        x, y = (longitude - self.longitude[0]) % 360.0, latitude
        axis, wet = self.longitude - self.longitude[0], self.wet[0]
        if self.periodic:
            axis, wet = np.append(axis, 360.0), np.concatenate([wet, wet[:, :1]], axis=1)
        (i, fx), (j, fy) = _below(axis, x), _below(self.latitude, y)
        i2, j2 = np.minimum(i + 1, axis.size - 1), np.minimum(j + 1, self.latitude.size - 1)
        north, south = (wet[row, i] * (1 - fx) + wet[row, i2] * fx for row in (j2, j))
        inside = (x <= axis[-1]) & (y >= self.latitude[0]) & (y <= self.latitude[-1])
        return inside & (south * (1 - fy) + north * fy >= LEAST) & (self.cell(longitude, latitude) >= 0)


def _below(axis: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The last value of an axis up to each place, and how far it is from there to the next."""
    first = np.clip(np.searchsorted(axis, at, side="right") - 1, 0, max(axis.size - 2, 0))
    gap = np.diff(axis, append=np.inf)[first]
    return first, np.clip((at - axis[first]) / gap, 0.0, 1.0)


def wrapped(longitude: np.ndarray) -> np.ndarray:
    """Longitudes in [-180, 180), those already there untouched."""
    inside = (longitude >= -180.0) & (longitude < 180.0)
    turned = (longitude + 180.0) % 360.0 - 180.0
    return np.where(inside, longitude, np.where(turned < 180.0, turned, -180.0))  # a hair west of -180 rounds to 180


def vectors(longitude: np.ndarray, latitude: np.ndarray) -> np.ndarray:
    """Places on the unit sphere (place, 3)."""
    east, north = np.deg2rad(longitude), np.deg2rad(latitude)
    return np.stack([np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)], axis=-1)


def _axis(grid: xr.Dataset, name: str) -> np.ndarray:
    values = np.atleast_1d(grid[name].values).astype(float)
    if values.ndim != 1 or not (np.diff(values) > 0).all():
        raise InputError(f"{name}: expected ascending values along one dimension; sort with ds.sortby({name!r})")
    return values
