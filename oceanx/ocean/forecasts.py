"""Other ways to look at a labelled forecast: by valid date, as the best estimate, as one series; and back."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import pandas as pd
import xarray as xr

from ..vocabulary.errors import InputError
from ..vocabulary.names import DIMENSIONS
from .labels import ORDER, date_said, lead_said, refuse_unlabelled

T = TypeVar("T", xr.Dataset, xr.DataArray)


def at_valid(obj: T, time: Any) -> T:
    """Every forecast valid at one date, by `init_time`, each with its own `lead_time`; of a series, that of the date.

    Raises
    ------
    InputError
        If nothing is valid at the date, or a time axis has no labels.
    """
    date = np.datetime64(pd.Timestamp(time), "ns")
    if "time" in obj.dims and "init_time" not in obj.dims:
        return _of_series(obj, date)
    obj = _cube(obj)
    init, lead = np.nonzero(_valid(obj) == date)
    if not init.size:
        valid = _valid(obj)
        raise InputError(
            f"no forecast is valid at {date_said(date)}; they cover {date_said(valid.min())} to "
            f"{date_said(valid.max())}"
        )
    return obj.isel(init_time=xr.DataArray(init, dims="init_time"), lead_time=xr.DataArray(lead, dims="init_time"))


def best_estimate(obj: T, asof: Any = None) -> T:
    """A series over `time`: of overlapping forecasts, at each valid date the one that started last.

    That is the one with the shortest lead. `init_time` and `lead_time` stand beside `time`, and say of each date which
    forecast it is from.

    Parameters
    ----------
    asof
        What was known on this date: forecasts that start later are left out. None: all are known.

    Raises
    ------
    InputError
        If no forecast starts by that date.
    """
    obj = _cube(obj)
    starts, valid = obj["init_time"].values, _valid(obj)
    known = len(starts) if asof is None else int((starts <= np.datetime64(pd.Timestamp(asof), "ns")).sum())
    if not known:
        raise InputError(f"asof: no forecast starts by {pd.Timestamp(asof)}; the first starts {date_said(starts[0])}")
    # The latest start first, so that the first of equal dates is its own.
    times, first = np.unique(valid[:known][::-1], return_index=True)
    back, lead = np.unravel_index(first, (known, valid.shape[1]))
    picked = obj.isel(init_time=xr.DataArray(known - 1 - back, dims="time"), lead_time=xr.DataArray(lead, dims="time"))
    return _series(picked, times)


def as_timeseries(obj: T, lead: Any = None) -> T:
    """The forecasts of one lead, or the leads of one forecast, over `time`, the date each is valid for.

    `init_time` and `lead_time` stand beside `time`, one of them a single value. `as_forecast` leads back.

    Parameters
    ----------
    lead
        A duration (`"3D"`, a timedelta). It may be left out where there is one start date, or one lead.

    Raises
    ------
    InputError
        If the lead is not stored, or has to be said.
    """
    obj = _cube(obj)
    leads = obj["lead_time"].values
    if lead is None and obj.sizes["init_time"] == 1 and leads.size > 1:
        one = obj.isel(init_time=0)
        return _series(one, one["init_time"].values + leads)
    if lead is None and leads.size > 1:
        raise InputError(
            f"as_timeseries: which lead, of {obj.sizes['init_time']} start dates? Say one of {_span(leads)}; or choose "
            "one start date with ds.sel(init_time=…)"
        )
    wanted = leads[0] if lead is None else np.timedelta64(pd.Timedelta(lead), "ns")
    if wanted not in leads:
        raise InputError(f"lead {lead_said(wanted)}: not stored; leads run from {_span(leads)}")
    one = obj.sel(lead_time=wanted)
    return _series(one, one["init_time"].values + wanted)


def as_forecast(obj: T) -> T:
    """The series of `as_timeseries` as the forecast that it is of: with one lead, or one start date.

    Raises
    ------
    InputError
        If the object is no such series; both times changing is what `best_estimate` gives, and has no way back.
    """
    lacking = [name for name in ("time", "init_time", "lead_time") if name not in obj.coords]
    if lacking or "time" not in obj.dims:
        raise InputError(f"as_forecast: no {(lacking or ['dimension time'])[0]}; expected a series of as_timeseries")
    along = [name for name in ("init_time", "lead_time") if "time" in obj[name].dims]
    if len(along) != 1:
        raise InputError(
            f"as_forecast: along time {' and '.join(along) or 'neither init_time nor lead_time'} changes; expected one "
            "start date or one lead throughout, as as_timeseries gives"
        )
    (varying,) = along
    alone = "lead_time" if varying == "init_time" else "init_time"
    return _cube(obj.swap_dims(time=varying).drop_vars("time").expand_dims(alone))


def _of_series(obj: T, date: np.datetime64) -> T:
    times = obj["time"].values
    at = np.flatnonzero(times == date)
    if not at.size:
        raise InputError(
            f"nothing on {date_said(date)}; the series covers {date_said(times.min())} to {date_said(times.max())}"
        )
    return obj.isel(time=int(at[0]))


def _cube(obj: T) -> T:
    """The forecast with both time axes as dimensions, in order, and `valid_time` to match."""
    alone = [n for n in ("init_time", "lead_time") if n in obj.coords and obj[n].ndim == 0]
    if not alone and {"init_time", "lead_time"} <= set(obj.dims) and "valid_time" in obj.coords:
        refuse_unlabelled(obj)
        return obj
    for name in alone:
        obj = obj.expand_dims(name)
    refuse_unlabelled(obj)
    valid = xr.Variable(("init_time", "lead_time"), _valid(obj), DIMENSIONS["valid_time"])
    return obj.assign_coords(valid_time=valid).transpose(*(d for d in ORDER if d in obj.dims), ...)


def _valid(obj: xr.Dataset | xr.DataArray) -> np.ndarray:
    """When each start and lead is valid, whatever the object says of it."""
    init, lead = obj["init_time"].values, obj["lead_time"].values
    return np.asarray(init.astype("datetime64[ns]")[:, None] + lead.astype("timedelta64[ns]"))


def _series(obj: T, times: np.ndarray) -> T:
    """What has one start and lead a date, on `time`."""
    (dim,) = obj["valid_time"].dims
    time = xr.Variable(dim, times.astype("datetime64[ns]"), DIMENSIONS["time"])
    series = obj.drop_vars("valid_time").assign_coords(time=time)
    series = series if dim == "time" else series.swap_dims({dim: "time"})
    return series.transpose("member", "time", ..., missing_dims="ignore")


def _span(leads: np.ndarray) -> str:
    return f"{lead_said(leads.min())} to {lead_said(leads.max())}"
