"""A small labelled forecast of random numbers at sea, with land and a dry cell below, for tests of what reads one."""

from __future__ import annotations

import dask.array
import numpy as np
import pandas as pd
import xarray as xr

from oceanx.ocean import grid
from oceanx.ocean.labels import ORDER, forecast_labels, label
from oceanx.vocabulary.names import VARIABLES

NAMES = ("thetao", "so", "uo", "vo", "zos")


def plain(depth=(0.5, 50.0), latitude=(40.0, 41.0, 42.0), longitude=(-20.0, -19.0, -18.0, -17.0)):
    """A grid alone: one column of land, and one that ends above the last level."""
    mask = np.ones((len(depth), len(latitude), len(longitude)), dtype=np.int8)
    mask[:, 0, 0] = mask[-1, -1, -1] = 0
    axes = {"depth": list(depth), "latitude": list(latitude), "longitude": list(longitude)}
    return grid.complete(xr.Dataset(coords={**axes, "mask": (tuple(axes), mask)}))


def forecast(
    inits=3,
    leads=4,
    members=None,
    every="2D",
    step="1D",
    names=("thetao", "zos"),
    like=None,
    seed=0,
    start="2019-12-30",
):
    """Forecasts from `start`, one `every` so long, of `leads` steps."""
    ds = forecast_labels(
        pd.date_range(start, periods=inits, freq=every),
        pd.timedelta_range(step, periods=leads, freq=step),
        plain() if like is None else like,
        member=None if members is None else np.arange(members),
        attrs={"title": "Toy forecasts", "oceanx_seed": seed},
    )
    rng = np.random.default_rng(seed)
    middle = {"thetao": 15.0, "so": 35.0}
    for name in names:
        dims = tuple(d for d in ORDER if d in ds.dims and (d != "depth" or VARIABLES[name].volume))
        wet = ds["mask"] if "depth" in dims else ds["mask"].isel(depth=0, drop=True)
        values = middle.get(name, 0.0) + rng.normal(size=[ds.sizes[d] for d in dims])
        field = xr.DataArray(values.astype(np.float32), dims=dims)
        ds[name] = field.where(wet.astype(bool)).transpose(*dims)
    return label(ds)


def unreadable(ds):
    """The Dataset with variables that are never to be computed: whoever asks for a number is caught."""

    def caught(block):
        raise AssertionError("a number was computed")

    def one(v):
        chunks = tuple(1 if d in ("init_time", "lead_time", "time", "member") else -1 for d in v.dims)
        empty = dask.array.empty(v.shape, dtype=v.dtype, chunks=chunks)
        return v.copy(data=empty.map_blocks(caught, dtype=v.dtype, meta=np.empty((0,) * v.ndim, v.dtype)))

    return ds.assign({name: one(v) for name, v in ds.data_vars.items()})
