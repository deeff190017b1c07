"""Checks of what frames the values: axes, times, and the coordinates that travel with them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from ...ocean.labels import longitudes_fit
from ...vocabulary.names import VARIABLES
from .finding import Finding, Level

_HORIZONTAL = ("latitude", "longitude")
_SOME, _MANY = 0.0, 0.1  # shares of missing times worth a word, and worth a warning
_YEAR = np.timedelta64(365, "D")


def axes(ds: xr.Dataset, store: str) -> Iterator[Finding]:
    """Latitude, longitude and depth: there, in order, in our frame."""
    bake = f"oceanx bake cf --source {store} --to NEW.zarr"
    for name in _HORIZONTAL:
        if name not in ds.coords:
            dims = ", ".join(map(str, ds.dims))
            yield Finding("error", f"no coordinate {name} (dimensions {dims})", "latitude and longitude, degrees", bake)
        elif name not in ds.dims and ds[name].ndim > 1:
            regrid = "give the recipe a grid to regrid to"
            yield Finding("error", f"{name} has {ds[name].ndim} dimensions", "a regular grid", regrid)
    for name in (*_HORIZONTAL, "depth"):
        if name in ds.dims and name in ds.coords:
            yield from _ordered(ds[name], name, bake)
    if "longitude" in ds.dims and "longitude" in ds.coords:
        west, east = float(ds["longitude"].values.min()), float(ds["longitude"].values.max())
        if not longitudes_fit(west, east):
            yield Finding("error", f"longitude from {west:g} to {east:g}", "within [-180, 180)", bake)
    if "depth" in ds.coords and (ds["depth"].values < 0).any():
        yield Finding("error", f"depth reaches {ds['depth'].values.min():g} m", "metres positive downwards", bake)


def _ordered(axis: xr.DataArray, name: str, bake: str) -> Iterator[Finding]:
    values = axis.values.astype(float)
    if not np.isfinite(values).all():
        yield Finding("error", f"{name} has missing values", "a complete axis", bake)
    elif (np.diff(values) <= 0).any():
        kind = "descending" if (np.diff(values) < 0).all() else "out of order"
        yield Finding("error", f"{name} is {kind}", "ascending, each value once", f"ds.sortby('{name}'), or {bake}")


def times(ds: xr.Dataset, for_: Sequence[str], store: str) -> Iterator[Finding]:
    """The time axis: there, in order, regular, with few gaps, long enough."""
    bake = f"oceanx bake cf --source {store} --to NEW.zarr"
    if "time" not in ds.dims or "time" not in ds.coords:
        if any("time" not in v.dims and n in VARIABLES and VARIABLES[str(n)].realm != "static" for n, v in ds.items()):
            yield Finding("error", "no time dimension", "dates along `time`", bake)
        return
    values = ds["time"].values
    if values.dtype.kind != "M":
        yield Finding("error", f"time is {values.dtype}, not dates", "a calendar of real days", bake)
        return
    if np.isnat(values).any() or (np.diff(values) <= np.timedelta64(0)).any():
        yield Finding("error", "time is out of order or repeats", "ascending dates, each once", bake)
        return
    steps = np.unique(np.diff(values))
    if steps.size > 1 and not _monthly(values):
        level: Level = "warn" if set(for_) == {"scoring"} else "error"
        said = f"time is irregular: steps from {_days(steps[0])} to {_days(steps[-1])}"
        yield Finding(level, said, "one step throughout, absent days as NaN", bake)
    elif steps.size == 1:
        yield Finding("ok", f"{values.size} times, one every {_days(steps[0])}, {_span(values)}")
    yield from _gaps(ds)
    if values[-1] - values[0] < _YEAR - np.timedelta64(1, "D") and {"scoring", "forecasting"} & set(for_):
        said = f"{_span(values)} is less than a year"
        yield Finding("warn", said, "whole years for a climatology (acc, anomalies)", "take it from a longer store")


def _gaps(ds: xr.Dataset) -> Iterator[Finding]:
    missing = np.atleast_1d(ds.attrs.get("missing_times", [])).size
    share = missing / max(1, ds.sizes["time"])
    if share > _SOME:
        said = f"{missing} of {ds.sizes['time']} times are missing ({share:.1%})"
        mend = "bake again with the files that lack" if share > _MANY else ""
        yield Finding("warn" if share > _MANY else "ok", said, "few gaps; windows that touch one are left out", mend)


def companions(ds: xr.Dataset, for_: Sequence[str]) -> Iterator[Finding]:
    """Mask, areas and thickness; scores take the mask as it is, training finds one by reading everything."""
    again = "ox.ocean.grid.complete(ds), or bake again"
    if any(n in VARIABLES and VARIABLES[str(n)].realm == "ocean" for n in ds.data_vars):
        if "mask" not in ds.coords:
            level: Level = "error" if "scoring" in for_ else "warn"
            yield Finding(level, "no mask", "coordinate `mask`, 1 in wet cells", again)
        else:
            yield from _mask(ds, again)
    if "cell_area" not in ds.coords and ds.sizes["latitude"] * ds.sizes["longitude"] > 1:
        yield Finding("warn", "no cell_area", "areas to weight means with", again)
    if "depth" in ds.dims and "thickness" not in ds.coords:
        yield Finding("warn", "no thickness", "layers to weight columns with", again)
    if ds.attrs.get("mask_disagreement"):
        said = f"masks of variables disagree: {ds.attrs['mask_disagreement']}"
        yield Finding("warn", said, "one coast line; cells wet in all are used")


def _mask(ds: xr.Dataset, again: str) -> Iterator[Finding]:
    mask = ds["mask"]
    if not set(mask.dims) <= set(ds.dims) or not set(_HORIZONTAL) <= set(mask.dims):
        yield Finding(
            "error", f"mask has dimensions {', '.join(map(str, mask.dims))}", "(depth, latitude, longitude)", again
        )
        return
    wet = float((mask == 1).mean())
    if not wet > 0 or not np.isin(np.unique(mask), (0, 1)).all():
        yield Finding(
            "error", f"mask: {wet:.0%} wet, values {np.unique(mask)[:4]}", "1 in wet cells, 0 elsewhere", again
        )
    else:
        yield Finding("ok", f"mask: {wet:.1%} of the cells are wet")


def observations(ds: xr.Dataset) -> Iterator[Finding]:
    """What a store of observations needs: a place and a time for every one."""
    for name in ("time", "latitude", "longitude"):
        if name not in ds.coords or ds[name].dims != ("obs",):
            yield Finding("error", f"no {name} for each observation", f"coordinate {name}(obs)", "bake again")
        elif bool(ds[name].isnull().any()):
            yield Finding(
                "error", f"{name} is missing for {int(ds[name].isnull().sum())} observations", "a value for each"
            )
    if not ds.sizes["obs"]:
        yield Finding("error", "no observation", "at least one", "check the box and the dates")
    else:
        yield Finding("ok", f"{ds.sizes['obs']} observations")


def _monthly(values: np.ndarray) -> bool:
    months = values.astype("datetime64[M]")
    return bool((np.diff(months) == np.timedelta64(1, "M")).all() and (values == months).all())


def _days(step: np.timedelta64) -> str:
    return f"{pd.Timedelta(step) / pd.Timedelta('1D'):g} d"


def _span(values: np.ndarray) -> str:
    return " to ".join(np.datetime_as_string(values[at], unit="D") for at in (0, -1))
