"""A toy ocean to observe: a box of sea with an island and a shelf, in which every variable differs everywhere."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from oceanx.ocean import grid
from oceanx.vocabulary.names import DIMENSIONS, VARIABLES

DEPTH = (0.5, 50.0, 200.0, 1000.0)
SURFACE = ("zos", "sst")


def truth(
    days: int = 30, start: str = "2004-02-20", *, nlat: int = 24, nlon: int = 36, west: float = -40.0,
    names: tuple[str, ...] = ("thetao", "so", "uo", "vo", "zos"), current: tuple[float, float] | None = None,
) -> xr.Dataset:  # fmt: skip
    """White noise about a mean on a grid of 1°; `current` (m/s) instead makes velocities the same everywhere."""
    rng = np.random.default_rng(7)
    mask = np.ones((len(DEPTH), nlat, nlon), "int8")
    mask[:, 10:14, 15:20] = 0  # an island
    mask[2:, :, -6:] = 0  # a shelf
    mask[:, 0], mask[:, -1] = 0, 0
    coords = {
        "time": ("time", pd.date_range(start, periods=days), DIMENSIONS["time"]),
        "depth": ("depth", np.array(DEPTH), DIMENSIONS["depth"]),
        "latitude": ("latitude", 20.0 + np.arange(nlat), DIMENSIONS["latitude"]),
        "longitude": ("longitude", west + np.arange(nlon), DIMENSIONS["longitude"]),
        "mask": (("depth", "latitude", "longitude"), mask, VARIABLES["mask"].attrs),
    }
    fields = {}
    for name in names:
        shape, wet = ((days, nlat, nlon), mask[0]) if name in SURFACE else ((days, *mask.shape), mask)
        dims = ("time", "latitude", "longitude") if name in SURFACE else ("time", "depth", "latitude", "longitude")
        values = 10.0 + rng.standard_normal(shape)
        if name in ("uo", "vo"):
            values = np.full(shape, current[name == "vo"]) if current else values - 10.0
        fields[name] = (dims, np.where(wet, values, np.nan), VARIABLES[name].attrs)
    return grid.complete(xr.Dataset(fields, coords, {"title": "A toy to observe"}))


def bare(ds: xr.Dataset) -> xr.Dataset:
    """The grid of a Dataset without its variables and times."""
    return ds.drop_vars(ds.data_vars).drop_dims("time")
