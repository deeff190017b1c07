"""Toy labelled oceans, small and quick, for tests of everything that takes a Dataset."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from oceanx.ocean import grid
from oceanx.vocabulary.names import DIMENSIONS, VARIABLES

DEPTH = (0.494, 47.374, 92.326)


def ocean(days: int = 60, start: str = "2001-12-01", *, seed: int = 0, nlat: int = 10, nlon: int = 12) -> xr.Dataset:
    """A Dataset with land, three levels, thetao, uo, vo, zos, mlotst and the atmosphere: red noise about a season."""
    rng = np.random.default_rng(seed)
    time = pd.date_range(start, periods=days, freq="D")
    latitude, longitude = np.linspace(30.0, 34.5, nlat), np.linspace(-20.0, -14.5, nlon)
    mask = np.ones((3, nlat, nlon), dtype="int8")
    mask[:, 0], mask[:, :3, :2], mask[1:, 5:7, 5:7], mask[2, 8:, 9:] = 0, 0, 0, 0
    season = np.cos(2 * np.pi * (time.day_of_year.values - 40) / 365.25)

    def red(*shape: int) -> np.ndarray:
        noise = rng.standard_normal((days, *shape))
        for t in range(1, days):
            noise[t] = 0.9 * noise[t - 1] + np.sqrt(1 - 0.9**2) * noise[t]
        return noise

    def volume(mean: float, spread: float, swing: float = 0.0) -> np.ndarray:
        field = mean + spread * red(3, nlat, nlon) + swing * season[:, None, None, None]
        return np.where(mask, field, np.nan)

    def surface(mean: float, spread: float, land: bool = True) -> np.ndarray:
        field = mean + spread * red(nlat, nlon)
        return np.where(mask[0], field, np.nan) if land else field

    fields = {
        "thetao": volume(18.0, 0.5, swing=-2.0),
        "uo": volume(0.0, 0.2),
        "vo": volume(0.0, 0.2),
        "zos": surface(0.1, 0.05),
        "mlotst": surface(50.0, 10.0),
        "u10": surface(3.0, 3.0, land=False),
        "t2m": surface(290.0, 2.0, land=False),
    }
    dims = {4: ("time", "depth", "latitude", "longitude"), 3: ("time", "latitude", "longitude")}
    ds = xr.Dataset(
        {name: (dims[field.ndim], field.astype("float32"), VARIABLES[name].attrs) for name, field in fields.items()},
        coords={
            "time": ("time", time, DIMENSIONS["time"]),
            "depth": ("depth", np.array(DEPTH), DIMENSIONS["depth"]),
            "latitude": ("latitude", latitude, DIMENSIONS["latitude"]),
            "longitude": ("longitude", longitude, DIMENSIONS["longitude"]),
            "mask": (("depth", "latitude", "longitude"), mask, VARIABLES["mask"].attrs),
        },
        attrs={"title": "A toy ocean", "oceanx_fingerprint": f"toy-{seed}"},
    )
    return grid.complete(ds)
