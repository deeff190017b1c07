"""Grid: a rectilinear target to regrid to, as a recipe describes it; and where the cells of an axis end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr
from pydantic import Field, model_validator

from ..vocabulary.config import Config
from ..vocabulary.errors import InputError
from ..vocabulary.names import DIMENSION_ALIASES
from . import grid

Range = tuple[float, float, float]


class Grid(Config):
    """The centres of a rectilinear grid: evenly spaced over the globe, in ranges, or those of an existing store.

    `resolution` alone means the whole globe: with `placed: cells` the cells fill it from edge to edge (1.5 gives
    120 × 240 from -89.25 and -179.25), with `placed: nodes` there are rows on both poles (0.5 gives 361 × 720 from
    -90 and -180). `latitude` and `longitude` are each [first, last, step] and take the place of what `resolution`
    says of that axis. `like` takes both axes from a Zarr store or a NetCDF file.

    Examples
    --------
    >>> latitude, longitude = Grid(resolution=1.5).axes()
    >>> latitude.size, longitude.size, float(latitude[0])
    (120, 240, -89.25)
    """

    resolution: float | None = Field(None, gt=0, le=90)  # degrees
    placed: Literal["cells", "nodes"] = "cells"
    latitude: Range | None = None
    longitude: Range | None = None
    like: str | None = None

    @model_validator(mode="after")
    def _described_once(self) -> Grid:
        if self.like is not None and (self.resolution or self.latitude or self.longitude):
            raise ValueError("like says the whole grid; leave out resolution, latitude and longitude")
        if self.like is None and self.resolution is None and not (self.latitude and self.longitude):
            raise ValueError(
                "no target grid; give resolution, or latitude and longitude as [first, last, step], or like"
            )
        if self.like is None:
            self.axes()
        return self

    def axes(self) -> tuple[np.ndarray, np.ndarray]:
        """Latitudes and longitudes of the centres, ascending; `InputError` if `like` cannot be read."""
        if self.like is not None:
            return _axes_of_file(Path(self.like))
        latitude = _range("latitude", self.latitude, 90.0) if self.latitude else self._whole(-90.0, 90.0, True)
        longitude = _range("longitude", self.longitude, 180.0) if self.longitude else self._whole(-180.0, 180.0, False)
        return latitude, longitude

    def _whole(self, first: float, last: float, both_ends: bool) -> np.ndarray:
        """The centres of an axis that `resolution` divides evenly."""
        assert self.resolution is not None
        cells = round((last - first) / self.resolution)
        if abs(cells * self.resolution - (last - first)) > 1e-3 * self.resolution:
            raise ValueError(f"resolution {self.resolution:g} does not divide {last - first:g} degrees evenly")
        if self.placed == "nodes":
            return np.linspace(first, last, cells + 1)[: None if both_ends else -1]
        half = (last - first) / cells / 2
        return np.linspace(first + half, last - half, cells)


def target_axes(target: Any) -> tuple[np.ndarray, np.ndarray]:
    """Latitudes and longitudes of a target: a `Grid`, the mapping that describes one, or a labelled object."""
    if isinstance(target, xr.Dataset | xr.DataArray):
        return _labelled_axes(target, "the target grid")
    if isinstance(target, Mapping):
        target = Grid.parse(target, "grid")
    if not isinstance(target, Grid):
        found = type(target).__name__
        raise InputError(
            f"grid: found {found}; expected a mapping such as {{resolution: 0.5}}, or a Dataset on the grid"
        )
    return target.axes()


def latitude_edges(centres: np.ndarray, alone: float = 0.0) -> np.ndarray:
    """Where the rows of ascending latitudes end, never beyond a pole."""
    return np.clip(grid.edges(ascending(centres, "latitude"), alone), -90.0, 90.0)


def longitude_edges(centres: np.ndarray, alone: float = 0.0) -> np.ndarray:
    """Where the columns of ascending longitudes end; on a periodic axis the seam is half-way from last to first.

    Raises
    ------
    InputError
        If the columns reach more than once round the globe.
    """
    centres = ascending(centres, "longitude")
    if grid.is_periodic(xr.DataArray(centres, dims="longitude")):
        seam = (centres[-1] + centres[0] + 360.0) / 2
        return np.concatenate([[seam - 360.0], (centres[1:] + centres[:-1]) / 2, [seam]])
    edges = grid.edges(centres, alone)
    if edges[-1] - edges[0] > 360.0 * (1 + 1e-9):
        raise InputError(f"longitude: cells reach from {edges[0]:g} to {edges[-1]:g}, more than once round the globe; "
                         "drop the columns that come twice")  # fmt: skip
    return edges


def ascending(values: Any, name: str) -> np.ndarray:
    """One axis as float64; `InputError` unless it is one-dimensional and ascending."""
    return grid._ascending(xr.DataArray(np.asarray(values), name=name), name)


def _range(name: str, given: Range, limit: float) -> np.ndarray:
    first, last, step = given
    steps = round((last - first) / step) if step > 0 else -1
    if steps < 0 or abs(first + steps * step - last) > 0.01 * step:
        raise ValueError(
            f"{name} {list(given)}: expected [first, last, step], last a whole number of steps after first"
        )
    beyond = first < -limit or last > limit or (name == "longitude" and last >= limit)
    if beyond:
        within = "[-90, 90]" if name == "latitude" else "[-180, 180)"
        raise ValueError(f"{name} {list(given)}: expected within {within}")
    return np.linspace(first, last, steps + 1)


def _axes_of_file(path: Path) -> tuple[np.ndarray, np.ndarray]:
    if not path.exists():
        raise InputError(f"grid: like {path}: no such file or store")
    try:
        ds = (
            xr.open_zarr(path, chunks=None, consolidated=False, decode_times=False)
            if path.is_dir()
            else xr.open_dataset(path, decode_times=False)
        )
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"grid: like {path}: cannot be opened ({error}); expected a Zarr store or a NetCDF file"
        ) from None
    with ds:
        return _labelled_axes(ds, f"grid: like {path}")


def _labelled_axes(ds: xr.Dataset | xr.DataArray, where: str) -> tuple[np.ndarray, np.ndarray]:
    found = []
    for role in grid.HORIZONTAL:
        name = next((n for n in (role, *DIMENSION_ALIASES[role]) if n in ds.coords), None)
        if name is None or ds[name].ndim > 1:
            raise InputError(f"{where}: no one-dimensional {role}; found {sorted(map(str, ds.coords))}")
        found.append(np.sort(np.atleast_1d(ds[name].values.astype(float))))
    return found[0], found[1]
