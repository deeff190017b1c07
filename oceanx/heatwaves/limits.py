"""The threshold of each date: by day of the year, moved by a trend, or of the year's own baseline."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from ..ocean.climatology import day_of_year
from ..ocean.grid import HORIZONTAL, same_grid
from ..vocabulary.errors import InputError

Field = xr.DataArray | xr.Dataset

VERSION = 1  # of the product: what a threshold Dataset has, and what it means
DAYS_PER_YEAR = 365.25  # of a trend
_KELVIN = ("K", "kelvin", "Kelvin", "degK", "degrees_K", "degree_K")


def surface_temperature(field: Field) -> xr.DataArray:
    """The sea surface temperature of a Dataset: `sst`, or the top level of `thetao`; a DataArray as it is."""
    field = any_temperature(field)
    return field.isel(depth=0, drop=True) if "depth" in field.dims else field


def any_temperature(field: Field) -> xr.DataArray:
    """`sst` or `thetao` of a Dataset, with all its levels; a DataArray as it is."""
    if isinstance(field, xr.DataArray):
        return field
    for name in ("sst", "thetao"):
        if name in field.data_vars:
            return field[name]
    raise InputError(f"no surface temperature: expected `sst` or `thetao`; found {sorted(map(str, field.data_vars))}")


def at_the_depth_of(threshold: xr.Dataset, field: Field) -> xr.DataArray:
    """The temperature at the depths of the threshold: all of its levels, its one level, or else the surface.

    Raises
    ------
    InputError
        If the threshold is of a depth that the temperature does not have.
    """
    sst = any_temperature(field)
    if "depth" in threshold.dims:
        if "depth" not in sst.dims:
            raise InputError("threshold: by depth, the temperature is not; choose the level: threshold.sel(depth=...)")
        return sst
    if "depth" not in threshold.coords:
        return surface_temperature(sst)
    level = float(threshold["depth"])
    found = np.atleast_1d(sst["depth"].values) if "depth" in sst.coords else np.empty(0)
    near = np.flatnonzero(np.abs(found - level) <= 1e-4 * max(1.0, level))
    if "depth" in sst.coords and not len(near):
        raise InputError(f"threshold: of {level:g} m; the temperature is of {', '.join(f'{z:g}' for z in found)} m")
    return sst.isel(depth=int(near[0]), drop=True) if "depth" in sst.dims else sst


def on_dates(sst: xr.DataArray, threshold: xr.Dataset, kind: str) -> xr.DataArray:
    """The `threshold` or the `climatology` (`kind`) on each date of `sst`, lazy where `sst` is."""
    threshold = fitting(sst, threshold)
    name = date_name(sst)
    limit = threshold[kind]
    if sst.chunks:
        cells = {d: sst.variable.chunksizes[d] for d in limit.dims if d in sst.dims}  # not those of coordinates
        limit = limit.chunk({**dict.fromkeys(limit.dims, -1), **cells})
    else:
        limit = limit.compute()
    at = {"dayofyear": xr.DataArray(day_of_year(sst[name]), dims=sst[name].dims)}
    if "year" in limit.dims:
        at["year"] = xr.DataArray(own_years(sst[name], threshold), dims=sst[name].dims)
    found = limit.sel(at).drop_vars(list(at))
    if "trend" not in threshold:
        return found
    return found + threshold["trend"] * xr.DataArray(years_since(sst[name], threshold), dims=sst[name].dims)


def fitting(sst: xr.DataArray, threshold: xr.Dataset) -> xr.Dataset:
    """The threshold with the labels of the temperature, where both are of one grid and one unit.

    Raises
    ------
    InputError
        If it is no threshold, of another version, grid, depth or unit.
    """
    if not {"climatology", "threshold"} <= set(threshold.data_vars) or "dayofyear" not in threshold.dims:
        raise InputError("threshold: expected variables by `dayofyear`; make them with oceanx.heatwaves.threshold")
    if not np.array_equal(threshold["dayofyear"], np.arange(1, 367)):
        raise InputError(f"threshold: dayofyear is 1…366; found {threshold.sizes['dayofyear']} values")
    if int(threshold.attrs.get("oceanx_threshold_version", VERSION)) > VERSION:
        found = threshold.attrs["oceanx_threshold_version"]
        raise InputError(f"threshold: of version {found}, this oceanx reads up to {VERSION}; use a newer one")
    _same_unit(sst, threshold)
    if any(d in threshold.dims for d in HORIZONTAL):
        same_grid(sst, threshold["threshold"])
        # Grids may differ by rounding, and labels are compared exactly.
        own = {d: sst[d].reset_coords(drop=True) for d in (*HORIZONTAL, "depth") if d in threshold.dims}
        threshold = threshold.assign_coords(own)
    threshold = threshold.drop_vars([c for c in threshold.coords if c not in threshold.dims])
    try:
        xr.align(threshold["threshold"], sst, join="exact", copy=False)
    except ValueError as error:
        raise InputError(f"threshold: not on the grid of the temperature: {' '.join(str(error).split())}") from None
    return threshold


def date_name(sst: xr.DataArray) -> str:
    """`valid_time` of a forecast, `time` of anything else."""
    name = "valid_time" if "valid_time" in sst.coords else "time"
    if name not in sst.coords:
        raise InputError(f"no date: expected `valid_time` or `time`; found {sorted(map(str, sst.coords))}")
    return name


def years_since(time: xr.DataArray, threshold: xr.Dataset) -> np.ndarray:
    """Years from the date at which the trend of the threshold is zero; shape of `time`."""
    since = np.datetime64(str(threshold.attrs["oceanx_trend_since"]), "ns")
    return (time.values.astype("datetime64[ns]") - since) / pd.Timedelta(DAYS_PER_YEAR, "D")


def own_years(time: xr.DataArray, threshold: xr.Dataset) -> np.ndarray:
    """The year of each date; `InputError` where the threshold has no baseline for one of them."""
    years = np.asarray(time.dt.year)
    absent = sorted(set(years.ravel().tolist()) - set(threshold["year"].values.tolist()))
    if absent:
        first, last = int(threshold["year"].min()), int(threshold["year"].max())
        raise InputError(f"threshold: has baselines for {first} to {last}, and none for {absent[0]}; make it for that")
    return years


def _same_unit(sst: xr.DataArray, threshold: xr.Dataset) -> None:
    """`InputError` if one of them is in kelvin and the other is not."""
    units = [str(x.attrs.get("units", "")) for x in (sst, threshold["threshold"])]
    if all(units) and (units[0] in _KELVIN) != (units[1] in _KELVIN):
        raise InputError(f"temperature in {units[0]}, threshold in {units[1]}; bring both to one unit (273.15 apart)")
