"""A small sea with a shelf and land, and tables of good observations in it."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from oceanx.ocean.flags import meanings
from oceanx.ocean.observations import COLUMNS, COORDINATES, table

VARIABLES = ["thetao", "so", "zos", "sst", "sla"]
PLATFORMS = ["float", "ship", "jason", "noaa"]
DEPTHS = np.array([0.5, 10.0, 50.0, 200.0, 1000.0])
LATITUDE = np.arange(-10.0, 11.0)
LONGITUDE = np.arange(-15.0, 16.0)
VALUES = {"thetao": 20.0, "so": 35.0, "zos": 0.2, "sst": 20.0, "sla": 0.0}


def sea() -> xr.Dataset:
    """Land beyond 10° E; a shelf of two levels (to 30 m) from 5° E; elsewhere the ocean goes down to the last level."""
    wet = np.ones((DEPTHS.size, LATITUDE.size, LONGITUDE.size), np.int8)
    wet[:, :, LONGITUDE > 10] = 0
    wet[2:, :, LONGITUDE > 5] = 0
    axes = {"depth": DEPTHS, "latitude": LATITUDE, "longitude": LONGITUDE}
    return xr.Dataset(coords={**axes, "mask": (tuple(axes), wet)})


def columns(size: int, seed: int = 0, names: tuple[str, ...] = ("thetao", "so", "zos"), **changes: Any) -> dict:
    """Good data of 2020, in the open ocean, no two of them near each other in time."""
    rng = np.random.default_rng(seed)
    code = rng.choice([VARIABLES.index(n) for n in names], size).astype("i1")
    surface = np.isin(code, [2, 3, 4])
    spacing = 366 * 86_400_000 // max(size, 1)
    return {
        "time": np.datetime64("2020-01-01", "ns") + (np.arange(size) * spacing).astype("timedelta64[ms]"),
        "latitude": rng.uniform(-9.5, 9.5, size),
        "longitude": rng.uniform(-14.5, 4.5, size),
        "depth": np.where(surface, 0, rng.uniform(1, 900, size)).astype("f4"),
        "variable": code,
        "value": (np.array([VALUES[n] for n in VARIABLES])[code] + rng.normal(0, 0.1, size)).astype("f4"),
        "error_std": np.full(size, 0.1, "f4"),
        "platform": rng.integers(0, len(PLATFORMS), size).astype("i4"),
        "feature": np.arange(size, dtype="i4"),
        "qc": np.zeros(size, "u1"),
    } | changes  # fmt: skip


def observed(size: int = 60, seed: int = 0, kind: str = "point", **changes: Any) -> xr.Dataset:
    """The table of `columns`."""
    return table(columns(size, seed, **changes), VARIABLES, PLATFORMS, kind=kind)


def changed(ds: xr.Dataset, at: Any, **values: Any) -> xr.Dataset:
    """The table with other values in some rows, sorted by time again."""
    held = {n: ds[n].values.copy() for n in (*COORDINATES, *COLUMNS)}
    for name, value in values.items():
        held[name][at] = value
    return remade(ds, held)


def repeated(ds: xr.Dataset, rows: Any, **values: Any) -> xr.Dataset:
    """The table with some rows once more at its end, changed, sorted by time again."""
    held = {n: ds[n].values[rows].copy() for n in (*COORDINATES, *COLUMNS)}
    for name, value in values.items():
        held[name][:] = value
    return remade(ds, {n: np.concatenate([ds[n].values, held[n]]) for n in held})


def shuffled(ds: xr.Dataset, seed: int = 0) -> tuple[xr.Dataset, np.ndarray]:
    """The rows in another order, which is no table's, and where each came from."""
    order = np.random.default_rng(seed).permutation(ds.sizes["obs"])
    return ds.isel(obs=order), order


def remade(ds: xr.Dataset, held: dict[str, np.ndarray]) -> xr.Dataset:
    """A table of other columns with the words of another."""
    words = [[*meanings(ds[n].attrs).values()] for n in ("variable", "platform")]
    return table(held, *words, kind=ds.attrs["oceanx_feature"], attrs=ds.attrs)
