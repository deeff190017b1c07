"""Steps onto other cells: conservative regridding, remapping onto layers, interpolation to depths.

They sum in float64 whatever comes in, so they do not ask for float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import xarray as xr

from ...ocean import vertical
from ...ocean.regrid import LEAST, Grid, conservative, kept_weights
from ...vocabulary.errors import InputError


def regrid(
    ds: xr.Dataset,
    resolution: float | None = None,
    placed: Literal["cells", "nodes"] = "cells",
    latitude: Sequence[float] | None = None,
    longitude: Sequence[float] | None = None,
    like: str | None = None,
    least: float = LEAST,
    weights: str | None = None,
) -> xr.Dataset:
    """The wet means over the cells of another rectilinear grid; see `oceanx.ocean.regrid.conservative`.

    Parameters
    ----------
    resolution, placed, latitude, longitude, like
        The target: `oceanx.ocean.regrid.Grid`. It may be global for a regional source; cells without data are NaN.
    least
        The wet share that makes a cell wet.
    weights
        An .npz to keep the weights in: written if it is not there, read if it is.

    Raises
    ------
    InputError
        If the target is not well described, has nothing in common with the data, or `weights` are of other grids.
    """
    given = {"resolution": resolution, "placed": placed, "latitude": latitude, "longitude": longitude, "like": like}
    grid = Grid.parse(given, "regrid")
    for axis in ("latitude", "longitude"):
        if axis not in ds.dims:
            raise InputError(f"regrid: no {axis} to regrid along; found {sorted(map(str, ds.dims))}")
    made = kept_weights(ds["latitude"].values, ds["longitude"].values, grid, weights)
    # Steps already run side by side, block by block: more threads here would only get in their way.
    return conservative(ds, made, least=least, threads=1)


def remap_levels(ds: xr.Dataset, depths: Sequence[float], least: float = LEAST) -> xr.Dataset:
    """Thickness-weighted means over the layers of other levels; see `oceanx.ocean.vertical.remap_levels`."""
    return _deep(ds, vertical.remap_levels, depths=list(depths), least=least)


def interpolate_levels(ds: xr.Dataset, depths: Sequence[float]) -> xr.Dataset:
    """Values at exact depths, linear between levels; see `oceanx.ocean.vertical.interpolate_levels`."""
    return _deep(ds, vertical.interpolate_levels, depths=list(depths))


def _deep(ds: xr.Dataset, change: Any, **arguments: Any) -> xr.Dataset:
    """A change of levels where there are any: surface variables may come by themselves."""
    return change(ds, **arguments) if "depth" in ds.dims else ds
