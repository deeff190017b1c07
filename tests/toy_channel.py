"""A channel around the Earth with a current whose transport is exact: what comes in to a cell goes out of it."""

from __future__ import annotations

import numpy as np
import xarray as xr

from oceanx.ocean import grid
from oceanx.vocabulary.names import DIMENSIONS, VARIABLES

DEPTH = (10.0, 40.0)
SHAPE = (2, 6, 12)
SPEEDS = (0.6, -0.2)  # by level, m s-1


def channel(seed: int = 0, *, longitude: np.ndarray | None = None, speed: float = 1.0) -> xr.Dataset:
    """One moment: `thetao` random, `uo` zonal and the same all the way round, `vo` 0; wet but for the outer rows."""
    rng = np.random.default_rng(seed)
    longitude = np.linspace(-165.0, 165.0, SHAPE[2]) if longitude is None else longitude
    latitude = np.linspace(-25.0, 25.0, SHAPE[1])
    mask = np.ones((*SHAPE[:2], len(longitude)), dtype="int8")
    mask[:, [0, -1]] = 0
    east = np.broadcast_to(np.array(SPEEDS)[:, None, None] * np.cos(np.deg2rad(latitude))[:, None], mask.shape)
    fields = {"thetao": rng.uniform(10, 20, mask.shape), "uo": speed * east, "vo": 0 * east}
    axes = ("depth", "latitude", "longitude")
    return grid.complete(
        xr.Dataset(
            {name: (axes, np.where(mask, field, np.nan), VARIABLES[name].attrs) for name, field in fields.items()},
            coords={
                "depth": ("depth", np.array(DEPTH), DIMENSIONS["depth"]),
                "latitude": ("latitude", latitude, DIMENSIONS["latitude"]),
                "longitude": ("longitude", longitude, DIMENSIONS["longitude"]),
                "mask": (axes, mask, VARIABLES["mask"].attrs),
            },
        )
    )


def sunshine(ds: xr.Dataset, values: np.ndarray, start: str = "2000-01-01", step: str = "1D") -> xr.Dataset:
    """`ssr` the same everywhere, one value a date."""
    import pandas as pd

    time = pd.date_range(start, periods=len(values), freq=step)
    field = np.broadcast_to(np.asarray(values, float)[:, None, None], (len(values), *ds.cell_area.shape))
    made = xr.Dataset({"ssr": (("time", "latitude", "longitude"), field, VARIABLES["ssr"].attrs)})
    return made.assign_coords(time=time, latitude=ds.latitude, longitude=ds.longitude)
