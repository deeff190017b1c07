"""What does not change: the sea floor and the wet cells of an ocean."""

from __future__ import annotations

import numpy as np
import xarray as xr

from oceanx.vocabulary.names import DIMENSIONS, VARIABLES

from . import grid
from .config import Ocean


def static(ocean: Ocean | None = None) -> xr.Dataset:
    """The sea floor `deptho(latitude, longitude)` in m and the wet cells `mask(depth, latitude, longitude)`.

    Examples
    --------
    >>> from oceanx.ocean.synthetic import Ocean
    >>> static(Ocean.basin(2.0)).mask.dims
    ('depth', 'latitude', 'longitude')
    """
    ocean = ocean or Ocean()
    built = grid.build(ocean)
    depth = np.array(ocean.depth)
    mask = (built.bottom > depth[:, None, None]).astype(np.int8)
    coords = {
        "depth": ("depth", depth.astype(np.float32), DIMENSIONS["depth"]),
        "latitude": ("latitude", built.lat.astype(np.float32), DIMENSIONS["latitude"]),
        "longitude": ("longitude", built.lon.astype(np.float32), DIMENSIONS["longitude"]),
    }
    floor = np.where(built.wet, built.bottom, np.nan).astype(np.float32)
    return xr.Dataset(
        {
            "deptho": (("latitude", "longitude"), floor, VARIABLES["deptho"].attrs),
            "mask": (("depth", "latitude", "longitude"), mask, VARIABLES["mask"].attrs),
        },
        coords,
    )
