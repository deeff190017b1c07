"""An ocean that is made up, for any Task: smooth, quick, the same every time. To try models on, not to learn from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from oceanx.ocean import grid
from oceanx.vocabulary.channels import Channels, Task
from oceanx.vocabulary.errors import InputError
from oceanx.vocabulary.names import DIMENSIONS, VARIABLES, Variable

_TYPICAL = {  # mean and spread, for an ocean that is made up
    "thetao": (15.0, 2.0), "so": (35.0, 0.3), "uo": (0.0, 0.2), "vo": (0.0, 0.2), "zos": (0.1, 0.1), "sst": (15.0, 2.0),
    "mlotst": (60.0, 10.0), "u10": (2.0, 3.0), "v10": (0.0, 3.0), "t2m": (288.0, 3.0), "d2m": (284.0, 3.0),
    "msl": (101300.0, 500.0), "sp": (101300.0, 500.0), "siconc": (0.0, 0.0), "sithick": (0.0, 0.0),
}  # fmt: skip


def made_up(task: Task, days: int = 400, rows: int = 16, columns: int = 64) -> xr.Dataset:
    """A smooth ocean that goes round the globe, with land, for any Task: waves that travel."""
    random = np.random.default_rng(0)
    time = pd.date_range("2001-01-01", pd.Timestamp("2001-01-01") + pd.Timedelta(days, "D"), freq=task.step)
    latitude, longitude = np.linspace(-37.5, 37.5, rows), -180 + 360 / columns * (np.arange(columns) + 0.5)
    depth = np.array(task.prognostic.depth or (0.5,))
    mask = np.ones((len(depth), rows, columns), "int8")
    mask[:, 0], mask[:, -1], mask[:, 4:8, 3:6], mask[len(depth) // 2 + 1 :, 9:12, 14:18] = 0, 0, 0, 0
    wave = partial(_waves, random, time.size, latitude, longitude)
    fields: Mapping[str, Any] = {
        name: _field(name, channels, wave, mask)
        for channels in (task.prognostic, task.forcing)
        for name in channels.names
    }
    coords = {
        "time": ("time", time, DIMENSIONS["time"]),
        "depth": ("depth", depth, DIMENSIONS["depth"]),
        "latitude": ("latitude", latitude, DIMENSIONS["latitude"]),
        "longitude": ("longitude", longitude, DIMENSIONS["longitude"]),
        "mask": (("depth", "latitude", "longitude"), mask, VARIABLES["mask"].attrs),
    }
    return grid.complete(xr.Dataset(fields, coords, {"title": "An ocean that is made up"}))


def _field(name: str, channels: Channels, wave: Callable[[], np.ndarray], mask: np.ndarray) -> tuple[Any, ...]:
    """Dimensions, values and attributes of one variable; smaller with depth, NaN on land."""
    mean, spread = _typical(name)
    volume = name in channels.volume
    levels = np.stack([mean + spread * np.exp(-z / 500) * wave() for z in (channels.depth if volume else (0.0,))], 1)
    known = _known(name)
    if known.realm in ("ocean", "ice"):
        levels = np.where(mask[: levels.shape[1]], levels, np.nan)
    dims = ("time", "depth", "latitude", "longitude") if volume else ("time", "latitude", "longitude")
    return dims, (levels if volume else levels[:, 0]).astype("float32"), known.attrs


def _typical(name: str) -> tuple[float, float]:
    """Mean and spread: of the table, or from the middle of what is physically possible."""
    known = _known(name)
    low, high = known.valid or (-1.0, 1.0)
    return _TYPICAL.get(known.name, ((low + high) / 2, (high - low) / 50))


def _known(name: str) -> Variable:
    """What is known of a variable, or of that which it is another's: `thetao_parent` is like `thetao`."""
    like = name if name in VARIABLES else name.rpartition("_")[0]
    if like not in VARIABLES:
        raise InputError(f"{name}: what it is like is not known; give a Dataset that has it")
    return VARIABLES[like]


def _waves(random: np.random.Generator, days: int, latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    """Four long waves (time, latitude, longitude) of unit variance together, each at its own pace."""
    t, y, x = np.arange(days)[:, None, None], np.deg2rad(latitude)[:, None], np.deg2rad(longitude)
    total = np.zeros((days, latitude.size, longitude.size))
    for k in (1, 1, 2, 3):
        phase, pace, slope = random.uniform(0, 2 * np.pi), random.uniform(0.05, 0.3), random.uniform(-3, 3)
        total = total + np.cos(k * x + slope * y + pace * t + phase) / np.sqrt(2)
    return total
