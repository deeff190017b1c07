"""Regions to score: boxes in latitude and longitude, some with names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from ..vocabulary.config import Config
from ..vocabulary.errors import InputError, unknown


class Region(Config):
    """A box in degrees, edges included; where `minimum_longitude` is the larger, the box crosses the date line."""

    minimum_latitude: float
    maximum_latitude: float
    minimum_longitude: float = -180.0
    maximum_longitude: float = 180.0

    def contains(self, latitude: xr.DataArray, longitude: xr.DataArray) -> np.ndarray:
        """Which cells (latitude, longitude) have their centre in the box."""
        lat, lon = latitude.values, longitude.values
        rows = (lat >= self.minimum_latitude) & (lat <= self.maximum_latitude)
        west, east = self.minimum_longitude, self.maximum_longitude
        east += 360 if west > east else 0
        # However either counts its longitudes: a region across the date line goes on beyond 180.
        columns = lon - 360 * np.floor((lon - west) / 360) <= east
        return rows[:, None] & columns[None, :]


def _box(south: float, north: float, west: float = -180.0, east: float = 180.0) -> Region:
    return Region(minimum_latitude=south, maximum_latitude=north, minimum_longitude=west, maximum_longitude=east)


REGIONS: dict[str, Region] = {
    "global": _box(-90, 90),
    "northern_extratropics": _box(20, 90),
    "tropics": _box(-20, 20),
    "southern_extratropics": _box(-90, -20),
    "southern_ocean": _box(-90, -50),
    "north_atlantic": _box(0, 65, -80, 0),
    "gulf_stream": _box(30, 45, -80, -45),
    "ibi": _box(26, 56, -19, 5),
    "mediterranean": _box(30, 46, -5.5, 36.5),
    "kuroshio": _box(25, 45, 120, 165),
    "agulhas": _box(-45, -25, 10, 40),
    "nino34": _box(-5, 5, -170, -120),
    "tasman_sea": _box(-46, -26, 147, 175),
}


def resolve(
    regions: Mapping[str, Any] | Iterable[str] | None, latitude: xr.DataArray, longitude: xr.DataArray
) -> dict[str, np.ndarray]:
    """Which cells (latitude, longitude) each region has; the named boxes that lie on the grid if None is given.

    Raises
    ------
    InputError
        If a name is unknown, a box misses a key, or a region has no cell on this grid.
    """
    if regions is None:
        cells = {name: box.contains(latitude, longitude) for name, box in REGIONS.items()}
        return {name: inside for name, inside in cells.items() if inside.any()}
    if isinstance(regions, str):
        regions = [regions]
    table = dict(regions) if isinstance(regions, Mapping) else {name: name for name in regions}
    cells = {}
    for name, box in table.items():
        cells[name] = _region(name, box).contains(latitude, longitude)
        if not cells[name].any():
            raise InputError(f"region {name!r}: no cell of this grid lies in it")
    return cells


def _region(name: str, box: Any) -> Region:
    if isinstance(box, Region):
        return box
    if isinstance(box, str):
        if box not in REGIONS:
            raise unknown("region", box, REGIONS)
        return REGIONS[box]
    return Region.parse(box, where=f"region {name!r}")
