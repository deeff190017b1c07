"""Regions to score: boxes, polygons and masks, some with names."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from pydantic import model_validator

from ..ocean import polygons
from ..ocean.grid import same_grid
from ..vocabulary.config import Config
from ..vocabulary.errors import InputError, unknown

Regions = Mapping[str, Any] | Iterable[str] | xr.DataArray | str | None


class Region(Config):
    """A box in degrees, edges included; where `minimum_longitude` is the larger, the box crosses the date line.

    Its four edges may also stand in a mapping `bounds`, with an `id` and a `display_name` beside it, as in the region
    files of other tools.
    """

    minimum_latitude: float
    maximum_latitude: float
    minimum_longitude: float = -180.0
    maximum_longitude: float = 180.0

    @model_validator(mode="before")
    @classmethod
    def _of_region_file(cls, values: Any) -> Any:
        if not (isinstance(values, Mapping) and isinstance(values.get("bounds"), Mapping)):
            return values
        rest = {k: v for k, v in values.items() if k not in ("id", "display_name", "bounds")}
        return {**values["bounds"], **rest}

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


Polygon = Sequence[tuple[float, float]]

# Rough, and complete: every cell of the sea between 90° S and 90° N but the marginal seas of Europe is in one of them.
# Longitudes go on beyond 180 so that no side runs round the globe.
BASINS: dict[str, Polygon] = {
    "atlantic": [
        (-70, -35), (20, -35), (20, 5), (-2, 5), (-2, 35), (-5.5, 35), (-5.5, 37), (0, 43), (0, 50), (12, 55), (30, 66),
        (-40, 66), (-70, 66), (-100, 66), (-100, 17), (-92, 17), (-84, 14.5), (-83.5, 9.5), (-80, 9), (-77.5, 8),
        (-70, -5),
    ],
    "pacific": [
        (147, -35), (147, -20), (142.5, -10.5), (131, -2), (120, 2), (110, 2), (104, 1), (98, 12), (98, 30),
        (110, 66), (205, 66), (260, 66), (260, 17), (268, 17), (276, 14.5), (276.5, 9.5), (280, 9), (282.5, 8),
        (290, -5), (290, -35),
    ],
    "indian": [
        (20, -35), (20, 5), (32.5, 30), (60, 31), (98, 30), (98, 12), (104, 1), (110, 2), (120, 2), (131, -2),
        (142.5, -10.5), (147, -20), (147, -35),
    ],
    "arctic": [(-180, 66), (180, 66), (180, 90), (-180, 90)],
    "southern": [(-180, -90), (180, -90), (180, -35), (-180, -35)],
}  # fmt: skip


def resolve(regions: Regions, latitude: xr.DataArray, longitude: xr.DataArray) -> dict[str, np.ndarray]:
    """Which cells (latitude, longitude) of a grid each region has; the named boxes that lie on it if None is given.

    Parameters
    ----------
    regions
        Names in `REGIONS` or `BASINS`; or a mapping of names to any of: such a name; a box, with the keys of `Region`;
        a polygon, as its corners (longitude, latitude) or as a GeoJSON file; a mask (latitude, longitude), 1 or True
        inside. Or a DataArray of whole numbers (latitude, longitude), each of which but 0 and less is a region, called
        by its CF `flag_meanings` where it has them.

    Raises
    ------
    InputError
        If a name is unknown, a box misses a key, or a region has no cell on this grid.
    """
    like = xr.Dataset(coords={"latitude": latitude.values, "longitude": longitude.values})
    if regions is None:
        cells = {name: box.contains(latitude, longitude) for name, box in REGIONS.items()}
        return {name: inside for name, inside in cells.items() if inside.any()}
    if isinstance(regions, xr.DataArray):
        return _labelled(regions, like)
    if isinstance(regions, str):
        regions = [regions]
    table = dict(regions) if isinstance(regions, Mapping) else {name: name for name in regions}
    cells = {}
    for name, region in table.items():
        cells[name] = in_region(name, region, like)
        if not cells[name].any():
            raise InputError(f"region {name!r}: no cell of this grid lies in it")
    return cells


def in_polygon(rings: Sequence[np.ndarray], latitude: xr.DataArray, longitude: xr.DataArray) -> np.ndarray:
    """Which cells (latitude, longitude) have their centre in a polygon, however either counts its longitudes."""
    turns = [polygons.inside(longitude.values + turn, latitude.values, rings) for turn in (-360.0, 0.0, 360.0)]
    return np.any(turns, axis=0)


def in_region(name: str, region: Any, like: xr.Dataset) -> np.ndarray:
    """Which cells (latitude, longitude) of a grid one region has, maybe none."""
    lat, lon = like["latitude"], like["longitude"]
    if isinstance(region, str) and region in BASINS:
        region = BASINS[region]
    if isinstance(region, str) and region in REGIONS:
        region = REGIONS[region]
    if isinstance(region, Region):
        return region.contains(lat, lon)
    if isinstance(region, xr.DataArray):
        return _on_grid(name, region, like) > 0
    if isinstance(region, Mapping):
        return Region.parse(region, where=f"region {name!r}").contains(lat, lon)
    if isinstance(region, str) and not region.endswith(("json",)):
        raise unknown("region", region, [*REGIONS, *BASINS])
    if isinstance(region, str | os.PathLike | Sequence):
        return in_polygon(polygons.rings(region, where=f"region {name!r}", across=True), lat, lon)
    raise InputError(f"region {name!r}: found {type(region).__name__}; expected a name, a box, corners or a mask")


def _labelled(labels: xr.DataArray, like: xr.Dataset) -> dict[str, np.ndarray]:
    """The cells of each number in a field of labels, by its meaning."""
    numbers = _on_grid(str(labels.name or "regions"), labels, like)
    if labels.dtype == bool:
        raise InputError("regions: is a mask of True and False; name it, {'name': mask}")
    known = [int(n) for n in np.unique(numbers[np.isfinite(numbers)]) if n > 0]
    words = str(labels.attrs.get("flag_meanings", "")).split()
    values = [int(v) for v in np.atleast_1d(labels.attrs.get("flag_values", []))]
    meanings = dict(zip(values, words, strict=False))
    if not known:
        raise InputError("regions: no cell has a number above 0; expected whole numbers, one for each region")
    return {meanings.get(n, str(n)): numbers == n for n in known}


def _on_grid(name: str, field: xr.DataArray, like: xr.Dataset) -> np.ndarray:
    """Values (latitude, longitude) of a mask or of labels."""
    if set(field.dims) != {"latitude", "longitude"}:
        raise InputError(f"region {name!r}: found dimensions {field.dims}; expected ('latitude', 'longitude')")
    try:
        same_grid(field, like)
    except InputError as error:
        raise InputError(f"region {name!r}: {error}") from None
    return np.asarray(field.transpose("latitude", "longitude").values)
