"""Small raw files in the layouts of the providers, written with netCDF4 alone: names, packing, values."""

from __future__ import annotations

import numpy as np

LATITUDE = np.array([40.0, 40.5, 41.0, 41.5], "f4")
LONGITUDE = np.array([-10.0, -9.5, -9.0, -8.5, -8.0], "f4")
DEPTH = np.array([0.494025, 15.81007, 47.373692], "f4")
PACKING = {  # scale_factor, add_offset, units, middle of the values
    "thetao": (7.32444226741791e-4, 21.0, "degrees_C", 14.0),
    "so": (1.52592547237873e-3, -1.52592547237873e-3, "1e-3", 35.0),
    "uo": (6.10370188951492e-4, 0.0, "m s-1", 0.0),
    "vo": (6.10370188951492e-4, 0.0, "m s-1", 0.0),
    "zos": (3.0518509447574615e-4, 0.0, "m", 0.0),
}
FILL = np.int16(-32767)
DRY = (0, 0)  # row and column of the one land cell


def packed(name: str, day: int, scale: float, offset: float, middle: float, nz: int = len(DEPTH)) -> np.ndarray:
    """Reproducible raw numbers of one day; the land cell holds the fill value."""
    rng = np.random.default_rng([day, sum(map(ord, name))])
    shape = (1, LATITUDE.size, LONGITUDE.size) if name == "zos" else (1, nz, LATITUDE.size, LONGITUDE.size)
    raw = np.round((middle + rng.uniform(-1, 1, shape) - offset) / scale).astype("i2")
    raw[..., DRY[0], DRY[1]] = FILL
    return raw


ERA5_LATITUDE = np.array([41.5, 41.0, 40.5, 40.0])
ERA5_LONGITUDE = np.array([350.0, 350.5, 351.0, 351.5, 352.0])


def era5_values(name: str, times: np.ndarray) -> np.ndarray:
    """Values (time, latitude as delivered, longitude) that tell hour, row and column apart."""
    hours = (times - np.datetime64("2020-01-01")) / np.timedelta64(1, "h")
    grid = np.arange(ERA5_LATITUDE.size)[:, None] * 10.0 + np.arange(ERA5_LONGITUDE.size)
    middle = {"u10": 0.0, "v10": -1.0, "t2m": 280.0, "ssr": 3.6e5, "tp": 1e-4}[name]
    scale = {"ssr": 3600.0, "tp": 1e-7}.get(name, 0.01)
    return (middle + scale * (grid + np.sin(hours / 7.0)[:, None, None] * 30)).astype("f4")


def six_hourly(first: str, days: int) -> np.ndarray:
    """Times at 00, 06, 12 and 18 UTC."""
    return np.datetime64(first, "ns") + np.arange(days * 4) * np.timedelta64(6, "h")
