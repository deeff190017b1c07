"""A forecast of a region: the model steps its whole grid, and of that the rows and columns of a box are kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from oceanx.ocean import grid
from oceanx.ocean.labels import WIDEST, longitudes_fit
from oceanx.scores.regions import REGIONS, Region
from oceanx.vocabulary.errors import InputError, unknown

Where = str | Mapping[str, Any] | Region

REGION = "oceanx_region"  # global attribute: the box as JSON, under its name


@dataclass(frozen=True)
class Cut:
    """The rows and columns of a grid that a forecast keeps.

    Attributes
    ----------
    columns
        From west to east: across the date line they are not those of the grid in its order.
    longitude
        Their longitudes, going on beyond 180 there.
    attrs
        Recorded on the forecast.
    """

    rows: np.ndarray
    columns: np.ndarray
    longitude: np.ndarray
    attrs: dict[str, str]

    def of(self, ds: xr.Dataset) -> xr.Dataset:
        """The same part of a Dataset."""
        part = ds.isel(latitude=self.rows, longitude=self.columns)
        return part.assign_coords(longitude=("longitude", self.longitude, ds.longitude.attrs)).assign_attrs(self.attrs)

    def field(self, field: Tensor) -> Tensor:
        """The same part of a field `[…, lat, lon]`."""
        return field[..., torch.from_numpy(self.rows)[:, None], torch.from_numpy(self.columns)]


def cut(region: Where | None, labelled: xr.Dataset) -> Cut | None:
    """What a region, by its name or as a box, keeps of a grid with a `mask`; None where all is kept.

    Raises
    ------
    InputError
        For an unknown name, or a box that misses a key, has no cell of this grid, or no sea.
    """
    if region is None:
        return None
    name, box = _box(region)
    inside = box.contains(labelled.latitude, labelled.longitude)
    if not inside.any():
        raise InputError(f"region {name!r}: no cell of this grid lies in it")
    rows, columns = inside.any(axis=1), inside.any(axis=0)
    order, longitude = _eastward(np.flatnonzero(columns), labelled.longitude, name)
    found = Cut(np.flatnonzero(rows), order, longitude, {REGION: json.dumps({name: box.dump()})})
    if not (labelled.mask.isel(latitude=found.rows, longitude=found.columns) == 1).any():
        raise InputError(f"region {name!r}: has no sea, all its {inside.sum()} cells are land in these data")
    return found


def _eastward(columns: np.ndarray, longitude: xr.DataArray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Columns from west to east, and their longitudes: where the grid's seam divides them, they go on beyond it."""
    values = longitude.values
    (torn,) = np.nonzero(np.diff(columns) > 1)
    if not torn.size:
        return columns, values[columns]
    seam = torn[0] + 1
    if torn.size > 1 or columns[0] != 0 or columns[-1] != len(values) - 1 or not grid.is_periodic(longitude):
        raise InputError(f"region {name!r}: its columns do not lie side by side on this grid")
    east = values[columns[:seam]] + 360
    if not longitudes_fit(float(values[columns[seam]]), float(east[-1])):
        raise InputError(f"region {name!r}: crosses the date line and is wider than {WIDEST:g}°; take a narrower one")
    return np.concatenate([columns[seam:], columns[:seam]]), np.concatenate([values[columns[seam:]], east])


def _box(region: Where) -> tuple[str, Region]:
    """What a region is called, and its box."""
    if isinstance(region, str):
        if region not in REGIONS:
            raise unknown("region", region, REGIONS)
        return region, REGIONS[region]
    return "box", region if isinstance(region, Region) else Region.parse(region, where="region 'box'")
