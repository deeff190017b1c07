"""Where a series or a forecast is above the threshold, and how often a forecast is right about it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

from ..ocean.climatology import day_of_year
from ..ocean.grid import HORIZONTAL, area, same_grid
from ..ocean.labels import check
from ..vocabulary.errors import InputError
from ..vocabulary.names import DIMENSIONS

Field = xr.DataArray | xr.Dataset

COUNTS = ("hits", "misses", "false_alarms", "rest")
BATCH_BYTES = 64 * 2**20  # how much of a forecast is held at a time


def exceedance(sst: Field, threshold: xr.Dataset) -> xr.DataArray:
    """1 where the temperature is above the threshold of its date, 0 where not, NaN on land; float32, as `sst`.

    The date is `valid_time` of a forecast and `time` of anything else. Lazy where `sst` is lazy.

    Parameters
    ----------
    sst
        Temperature, or a Dataset with `sst` or `thetao` (its top level).
    threshold
        From `oceanx.heatwaves.threshold`, on the same grid.

    Raises
    ------
    InputError
        If there is no temperature, no date, or the grids differ.
    """
    sst = surface_temperature(sst)
    limit = on_dates(sst, threshold, "threshold")
    above = (sst > limit).where(sst.notnull() & limit.notnull()).astype(np.float32).transpose(*sst.dims)
    above.attrs = {"long_name": "Above the marine heatwave threshold", "units": "1"}
    return above.rename("exceedance")


def exceedance_scores(forecast: Field | Mapping[str, Field], truth: Field, threshold: xr.Dataset) -> xr.Dataset:
    """How well forecasts say where the threshold is exceeded, by ([model,] lead_time), weighted by cell area.

    With H, M, F the area of hits, misses and false alarms over cells wet in both, summed over all starts:
    `hit_rate` H / (H + M), `false_alarm_ratio` F / (H + F), `csi` H / (H + M + F); `base_rate` and `forecast_rate`
    are the shares of the area above the threshold in truth and forecast.

    Parameters
    ----------
    forecast
        Labelled forecast(s) of one member; a mapping gains a dimension `model`, so that persistence stands beside.
    truth
        With `time`, on the same grid.
    threshold
        From `oceanx.heatwaves.threshold`.

    Raises
    ------
    InputError
        If the truth lacks a valid date, grids differ, or a forecast has members.
    """
    single = isinstance(forecast, (xr.DataArray, xr.Dataset))
    forecasts: Mapping[str, Field] = {"forecast": forecast} if single else forecast  # type: ignore[dict-item, assignment]
    if not forecasts:
        raise InputError("exceedance_scores: nothing to score; give a forecast or {name: forecast}")
    actual = surface_temperature(truth)
    tables = [_table(str(model), f, actual, threshold) for model, f in forecasts.items()]
    models = xr.DataArray([str(model) for model in forecasts], dims="model", name="model")
    counts = xr.concat(tables, dim=models, join="outer")
    hits, misses, false_alarms, rest = (counts[k] for k in COUNTS)
    everything = hits + misses + false_alarms + rest
    scores = {
        "hit_rate": (hits / _some(hits + misses), "Hit rate"),
        "false_alarm_ratio": (false_alarms / _some(hits + false_alarms), "False-alarm ratio"),
        "csi": (hits / _some(hits + misses + false_alarms), "Critical success index"),
        "base_rate": ((hits + misses) / _some(everything), "Share above the threshold in the truth"),
        "forecast_rate": ((hits + false_alarms) / _some(everything), "Share above the threshold in the forecast"),
    }
    result = xr.Dataset({k: v.assign_attrs(long_name=words, units="1") for k, (v, words) in scores.items()})
    result["lead_time"].attrs = DIMENSIONS["lead_time"]
    result["lead_time"].encoding = {"dtype": "int64", "units": "seconds"}
    result.attrs = {"title": "Skill of threshold exceedance", **_baseline(threshold)}
    return result.isel(model=0, drop=True) if single else result


def surface_temperature(field: Field) -> xr.DataArray:
    """The sea surface temperature of a Dataset: `sst`, or the top level of `thetao`; a DataArray as it is."""
    if isinstance(field, xr.Dataset):
        if "sst" in field.data_vars:
            return field["sst"]
        if "thetao" not in field.data_vars:
            raise InputError(f"no surface temperature: expected `sst` or `thetao`; found {sorted(map(str, field))}")
        field = field["thetao"]
    return field.isel(depth=0, drop=True) if "depth" in field.dims else field


def on_dates(sst: xr.DataArray, threshold: xr.Dataset, kind: str) -> xr.DataArray:
    """The `threshold` or the `climatology` (`kind`) on each date of `sst`, lazy where `sst` is."""
    if "threshold" not in threshold or "dayofyear" not in threshold.dims:
        raise InputError("threshold: expected variables by `dayofyear`; make them with oceanx.heatwaves.threshold")
    name = "valid_time" if "valid_time" in sst.coords else "time"
    if name not in sst.coords:
        raise InputError(f"no date: expected `valid_time` or `time`; found {sorted(map(str, sst.coords))}")
    if any(d in threshold.dims for d in HORIZONTAL):
        same_grid(sst, threshold["threshold"])
        own = {
            d: sst[d].reset_coords(drop=True) for d in HORIZONTAL
        }  # grids may differ by rounding, and labels are compared exactly
        threshold = threshold.assign_coords(own)
    limit = threshold[kind].drop_vars([c for c in threshold.coords if c not in threshold.dims])
    try:
        xr.align(limit, sst, join="exact")
    except ValueError as error:
        raise InputError(f"threshold: not on the grid of the temperature: {' '.join(str(error).split())}") from None
    days = xr.DataArray(day_of_year(sst[name]), dims=sst[name].dims)
    return (limit.chunk() if sst.chunks else limit).sel(dayofyear=days).drop_vars("dayofyear")


def _table(model: str, forecast: Field, actual: xr.DataArray, threshold: xr.Dataset) -> xr.Dataset:
    """Area (lead_time) of hits, misses, false alarms and the rest, one start date at a time."""
    if isinstance(forecast, xr.Dataset):
        check(forecast, values=False, where=model)
    predicted = surface_temperature(forecast)
    if "member" in predicted.dims:
        raise InputError(f"{model}: has members; choose one or take the mean: forecast.mean('member')")
    if "valid_time" not in predicted.coords:
        raise InputError(f"{model}: no coordinate 'valid_time'; label it with oceanx.ocean.labels.label")
    flat = not set(HORIZONTAL) & set(predicted.dims)
    weight = np.ones(1)
    if not flat:
        same_grid(predicted, actual)
        actual = actual.assign_coords({d: predicted[d] for d in HORIZONTAL})
        known = "cell_area" in predicted.coords
        cells = predicted["cell_area"] if known else area(predicted["latitude"], predicted["longitude"])
        weight = cells.transpose(*(d for d in predicted.dims if d in HORIZONTAL)).values
    dates = pd.DatetimeIndex(actual["time"].values)
    absent = pd.DatetimeIndex(np.unique(predicted["valid_time"].values)).difference(dates)
    if len(absent):
        raise InputError(f"truth: no {absent[0]}; it covers {dates.min()} to {dates.max()}")
    totals = np.zeros((4, predicted.sizes["lead_time"]))
    step = max(1, BATCH_BYTES // max(1, predicted.isel(init_time=0).nbytes))
    for start in range(0, predicted.sizes["init_time"], step):
        said = predicted.isel(init_time=slice(start, start + step)).transpose("init_time", "lead_time", ...).load()
        rows = dates.get_indexer(pd.DatetimeIndex(said["valid_time"].values.ravel()))
        there = said.copy(data=actual.isel(time=rows).transpose("time", *said.dims[2:]).values.reshape(said.shape))
        totals += _areas(exceedance(said, threshold).values, exceedance(there, threshold).values, weight)
    return xr.Dataset(
        {kind: ("lead_time", total) for kind, total in zip(COUNTS, totals, strict=True)},
        coords={"lead_time": predicted["lead_time"].values},
    )


def _areas(said: np.ndarray, done: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """`COUNTS` by lead: the area of each outcome (init, lead, …), NaN in either counting for none."""
    outcomes = (
        (said == 1) & (done == 1),
        (said == 0) & (done == 1),
        (said == 1) & (done == 0),
        (said == 0) & (done == 0),
    )
    return np.array([(x * weight).sum(axis=0).reshape(x.shape[1], -1).sum(axis=1) for x in outcomes])


def _some(values: xr.DataArray) -> xr.DataArray:
    """Divisors, NaN where there is nothing to divide by."""
    return values.where(values > 0)


def _baseline(threshold: xr.Dataset) -> dict[str, object]:
    return {str(k): v for k, v in threshold.attrs.items() if str(k).startswith("oceanx_")}
