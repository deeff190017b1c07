"""A small ocean with land to score forecasts on, and forecasts of it with errors that are known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from oceanx import scores
from oceanx.ocean.climatology import at, climatology
from oceanx.ocean.grid import complete
from oceanx.ocean.labels import forecast_labels, label

TIME = pd.date_range("2000-01-01", "2001-12-31")
VOLUME = ("depth", "latitude", "longitude")


def ocean() -> xr.Dataset:
    """Two years of temperature (three levels) and sea level on 4 × 5 cells with land and a shallow cell."""
    rng = np.random.default_rng(11)
    values = rng.normal(10, 2, size=(len(TIME), 3, 4, 5)).astype(np.float32)
    values[:, :, 0, 0] = values[:, 2, 1, 1] = np.nan
    level = rng.normal(0, 0.1, size=(len(TIME), 4, 5)).astype(np.float32)
    level[:, 0, 0] = np.nan
    ds = xr.Dataset(
        {
            "thetao": (("time", *VOLUME), values, {"units": "degrees_C"}),
            "zos": (("time", *VOLUME[1:]), level, {"units": "m"}),
        },
        coords={
            "time": TIME,
            "depth": [0.5, 50.0, 500.0],
            "latitude": [10.0, 30.0, 50.0, 70.0],
            "longitude": [-40.0, -30.0, -20.0, -10.0, 0.0],
        },
    )
    return complete(ds)


TRUTH = ocean()
CLIM = climatology(TRUTH.sel(time="2000"))
STARTS = pd.to_datetime(["2001-02-20", "2001-05-30", "2001-08-10", "2001-11-29"])
MANY = pd.date_range("2001-02-01", periods=24, freq="10D")


def score(*args, **options) -> xr.Dataset:
    """Without references, unless they are asked for."""
    return scores.score(*args, **{"references": False} | options)


def forecast(seed=0, error=1.0, members=None, starts=STARTS, leads=4) -> xr.Dataset:
    """The truth at each valid date plus independent errors."""
    ds = forecast_labels(
        starts, pd.timedelta_range("1D", periods=leads), TRUTH, None if members is None else range(members)
    )
    rng = np.random.default_rng(seed)
    there = TRUTH.sel(time=ds["valid_time"]).drop_vars("time")
    for name in ("thetao", "zos"):
        shape = (() if members is None else (members,)) + there[name].shape
        dims = (() if members is None else ("member",)) + there[name].dims
        noise = xr.DataArray(error * rng.normal(size=shape).astype(np.float32), dims=dims)
        ds[name] = (noise + there[name]).transpose(*dims).assign_attrs(there[name].attrs)
    return label(ds)


def pairs(fc, name, lead, level=None, clim=None):
    """Forecast, truth, weight (and climatology) of every wet cell and start, as flat lists."""
    rows = []
    for i in range(fc.sizes["init_time"]):
        f = fc[name].isel(init_time=i, lead_time=lead)
        date = fc["valid_time"].values[i, lead]
        t = TRUTH[name].sel(time=date)
        c = at(CLIM, date)[name][0] if clim else t
        if level is not None:
            f, t, c = f.isel(depth=level), t.isel(depth=level), c.isel(depth=level)
        for y in range(4):
            for x in range(5):
                if np.isfinite(float(t[y, x])):
                    cell = f[..., y, x].values.astype(float)
                    rows.append((cell, float(t[y, x]), float(TRUTH["cell_area"][y, x]), float(c[y, x])))
    f, t, w, c = (np.array(list(column)) for column in zip(*rows, strict=True))
    return f, t, w, c
