"""A labelled forecast under the names of other tools, and back: nothing but labels changes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from ..vocabulary.errors import InputError, unknown
from ..vocabulary.names import DIMENSIONS
from .labels import LEAD_UNITS, ORDER, durations, label, refuse_unlabelled

# What each tool calls our dimensions; what is not named keeps its name.
LAYOUTS: dict[str, dict[str, str]] = {
    "weatherbench": {
        "init_time": "time", "lead_time": "prediction_timedelta", "depth": "level", "member": "number"
    },  # WeatherBench 2; WeatherBench-X reads ours as it is
    "climpred": {"init_time": "init", "lead_time": "lead"},
    "cf": {
        "init_time": "forecast_reference_time", "lead_time": "forecast_period", "valid_time": "time",
        "member": "realization",
    },
}  # fmt: skip
_AREA = {"cell_measures": "area: cell_area"}  # CF's way of saying which variable has the areas


def to(ds: xr.Dataset, layout: str) -> xr.Dataset:
    """The forecast as another tool lays it out; `back` gives ours again, exactly.

    `weatherbench` is WeatherBench 2's: `time`, `prediction_timedelta`, `level`, `number`, and no valid times.
    `climpred`: `init`, and `lead` as whole numbers of a unit that its attribute `units` says.
    `cf`: one forecast on `time`, with a single `forecast_reference_time` and `forecast_period` beside `time`, as CF
    has it and a NetCDF file of one start date holds it; members are along `realization`.

    Raises
    ------
    InputError
        For an unknown layout, or a Dataset that is no labelled forecast; for `cf`, of more than one start date.

    Examples
    --------
    >>> HindcastEnsemble(to(forecast, "climpred"))    # doctest: +SKIP
    """
    if layout not in LAYOUTS:
        raise unknown("layout", layout, LAYOUTS)
    refuse_unlabelled(ds)
    if "valid_time" not in ds.coords:
        raise InputError("no coordinate 'valid_time'; add it with oceanx.ocean.labels.label(ds)")
    names = _held(LAYOUTS[layout], ds)
    if layout == "cf":
        return _on_valid_time(ds, names)
    if layout == "climpred":
        ds = ds.assign_coords(lead_time=_numbers(ds["lead_time"]))
        return ds.rename(names)
    return ds.drop_vars("valid_time").rename(names)


def back(ds: xr.Dataset) -> xr.Dataset:
    """The forecast in our layout, of whichever layout of `LAYOUTS` it is in; the inverse of `to`.

    Raises
    ------
    InputError
        If it is in none of them.
    """
    if {"init_time", "lead_time"} <= set(ds.dims):
        return ds
    if {"time", "prediction_timedelta"} <= set(ds.dims):
        return label(_renamed(ds, "weatherbench"))
    if {"init", "lead"} <= set(ds.dims):
        ours = _renamed(ds, "climpred")
        return label(ours.assign_coords(lead_time=_durations(ours["lead_time"])))
    if "time" in ds.dims and {"forecast_reference_time", "forecast_period"} <= set(ds.coords):
        return label(_renamed(_on_lead_time(ds), "cf"))
    raise InputError(
        f"no layout that is known: dimensions {', '.join(map(str, ds.dims))}; expected init_time and lead_time, time "
        "and prediction_timedelta, init and lead, or time with forecast_reference_time and forecast_period"
    )


def _held(names: Mapping[str, str], ds: xr.Dataset) -> dict[str, str]:
    return {ours: theirs for ours, theirs in names.items() if ours in ds.variables}


def _renamed(ds: xr.Dataset, layout: str) -> xr.Dataset:
    names = {theirs: ours for ours, theirs in LAYOUTS[layout].items() if theirs in ds.variables}
    ours = ds.rename(names)
    return ours.transpose(*(d for d in ORDER if d in ours.dims), ...)


def _on_valid_time(ds: xr.Dataset, names: Mapping[str, str]) -> xr.Dataset:
    """One start date, its leads along the date each is valid for."""
    if ds.sizes["init_time"] != 1:
        raise InputError(f"layout cf: found {ds.sizes['init_time']} start dates; it holds one, ds.isel(init_time=[0])")
    one = ds.isel(init_time=0).rename(names).swap_dims(forecast_period="time")
    one["time"].attrs = dict(DIMENSIONS["time"])
    if "cell_area" in one.coords:
        for v in one.data_vars.values():
            if {"latitude", "longitude"} <= set(v.dims):
                v.attrs = v.attrs | _AREA
    order = ("realization", "time", *ORDER[3:])
    return one.transpose(*(d for d in order if d in one.dims), ...)


def _on_lead_time(ds: xr.Dataset) -> xr.Dataset:
    ds = ds.swap_dims(time="forecast_period").drop_vars("time").expand_dims("forecast_reference_time")
    for v in ds.data_vars.values():
        v.attrs = {key: value for key, value in v.attrs.items() if (key, value) not in _AREA.items()}
    return ds


def _numbers(lead: xr.DataArray) -> xr.Variable:
    """Leads as whole numbers of the largest unit that divides them all."""
    nanoseconds = lead.values.astype("timedelta64[ns]").astype(np.int64)
    for unit, size in LEAD_UNITS.items():
        if not (nanoseconds % size).any():
            return xr.Variable("lead_time", nanoseconds // size, {**lead.attrs, "units": unit})
    raise InputError(f"lead_time: found {lead.values[0]}; expected whole seconds")


def _durations(lead: xr.DataArray) -> xr.Variable:
    """Numbers of a stated unit as durations."""
    if lead.dtype.kind == "m":
        return lead.variable
    unit = lead.attrs.get("units")
    if unit not in LEAD_UNITS:
        raise InputError(f"lead: found units {unit!r}; expected one of {', '.join(LEAD_UNITS)}")
    attrs = {key: value for key, value in lead.attrs.items() if key != "units"}
    return xr.Variable("lead_time", durations(lead.values, unit), attrs)
