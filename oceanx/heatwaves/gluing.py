"""Forecasts and the analyses before them on one axis: history has leads up to 0, the forecast those from 1 day on."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from ..ocean.grid import HORIZONTAL, same_grid
from ..ocean.labels import check
from ..vocabulary.errors import InputError
from .against import Rule
from .days import ABSENT, BETWEEN, days_of, every_day
from .limits import Field, at_the_depth_of

_KINDS = {"M": "dates", "m": "durations"}
DAY = np.timedelta64(86_400 * 10**9, "ns")


def days_of_history(history: str, rule: Rule) -> int:
    """How many days of analysis are laid before a forecast, the start date included.

    Raises
    ------
    InputError
        If they are not whole days, or too few to see an event that is under way.
    """
    try:
        days = pd.Timedelta(history) / pd.Timedelta(1, "D")
    except ValueError:
        days = np.nan
    least = rule.min_duration + rule.max_gap
    if not days >= least or days % 1:
        raise InputError(
            f"history: found {history!r}; expected whole days such as '15D', at least {least} "
            "(min_duration + max_gap), so that an event under way is seen"
        )
    return int(days)


def daily_leads(forecast: Field, threshold: xr.Dataset, where: str = "forecast") -> xr.DataArray:
    """The temperature of a labelled forecast at leads of 1, 2, … days; lead 0 is left out.

    Raises
    ------
    InputError
        If leads are of hours, or days lack among them or before the first.
    """
    sst = temperature(forecast, threshold, where)
    days = sst["lead_time"].values / np.timedelta64(1, "D")
    if (days % 1).any():
        odd = pd.Timedelta(sst["lead_time"].values[np.argmax(days % 1 > 0)])
        raise InputError(f"{where}: lead {odd} is not of whole days; heatwaves are of days: take daily means first")
    gaps = np.flatnonzero(days != np.arange(1, len(days) + 1))
    if len(gaps):
        at = int(gaps[0])
        raise InputError(
            f"{where}: lead {days[at]:g} days comes after {days[at - 1] if at else 0:g}; a heatwave is counted day by "
            "day, so a forecast must have every day from the first on"
        )
    return sst


def temperature(forecast: Field, threshold: xr.Dataset, where: str = "forecast") -> xr.DataArray:
    """The temperature ([member,] init_time, lead_time, …) of a forecast at the threshold's depth, without lead 0.

    Raises
    ------
    InputError
        If the labels of a forecast are not there.
    """
    if isinstance(forecast, xr.Dataset):
        check(forecast, values=False, where=where)
    sst = at_the_depth_of(threshold, forecast)
    for dim, kind in (("init_time", "M"), ("lead_time", "m")):
        if dim not in sst.dims or sst[dim].dtype.kind != kind:
            found = f"{sst[dim].dtype}" if dim in sst.dims else f"{sst.dims}"
            raise InputError(
                f"{where}: no dimension {dim!r} of {_KINDS[kind]}; found {found}; choose with a list to keep it"
            )
    if "valid_time" not in sst.coords:
        raise InputError(f"{where}: no coordinate 'valid_time'; label it with oceanx.ocean.labels.label")
    order = [d for d in ("member", "init_time", "lead_time") if d in sst.dims]
    sst = sst.isel(lead_time=sst["lead_time"].values > np.timedelta64(0)).transpose(*order, ...)
    if not sst.sizes["lead_time"]:
        raise InputError(f"{where}: no lead after the analysis")
    return sst


def truth_at(truth: xr.DataArray, forecast: xr.DataArray, what: str = "truth") -> xr.DataArray:
    """What happened on each valid date: (init_time, lead_time, …), labelled as the forecast is."""
    valid = forecast["valid_time"].transpose("init_time", "lead_time")
    return _on(truth, forecast, forecast["lead_time"], valid.values, what)


def truth_at_start(truth: xr.DataArray, forecast: xr.DataArray, days: int, what: str) -> xr.DataArray:
    """The days up to and including each start date: (init_time, lead_time, …), leads −(days − 1) to 0."""
    leads = xr.DataArray(np.arange(1 - days, 1) * DAY, dims="lead_time")
    return _on(truth, forecast, leads, forecast["init_time"].values[:, None] + leads.values, what)


def glued(forecast: xr.DataArray, history: xr.DataArray) -> xr.DataArray:
    """History and forecast on one axis `lead_time`, in one chunk of it; members share their history."""
    bare = [x.drop_vars([c for c in x.coords if c not in x.dims]) for x in (history, forecast)]
    if "member" in forecast.dims:
        bare[0] = bare[0].expand_dims(member=forecast["member"])
    whole = xr.concat(bare, "lead_time", join="exact", coords="minimal", compat="override")
    whole = whole.transpose(*forecast.dims).assign_attrs(forecast.attrs)
    whole = whole.chunk(lead_time=-1) if whole.chunks else whole
    return whole.assign_coords(valid_time=whole["init_time"] + whole["lead_time"])


def _on(truth: xr.DataArray, forecast: xr.DataArray, leads: xr.DataArray, dates: np.ndarray, what: str) -> xr.DataArray:
    """Values of a series on dates (init_time, lead_time), on the forecast's own labels."""
    if "time" not in truth.dims:
        raise InputError(f"{what}: expected a dimension 'time' with dates; found {truth.dims}")
    if any(d in forecast.dims for d in HORIZONTAL):
        same_grid(forecast, truth)
    cells = [d for d in forecast.dims if d not in ("member", "init_time", "lead_time")]
    if {*cells, "time"} != set(truth.dims) or any(truth.sizes[d] != forecast.sizes[d] for d in cells):
        shape = ", ".join(f"{forecast.sizes[d]} {d}" for d in cells)
        raise InputError(f"{what}: found {dict(truth.sizes)}, expected time and the cells of the forecast ({shape})")
    truth, rows = _rows(truth, dates, what)
    values = truth.transpose("time", *cells).isel(time=rows).data
    values = values.reshape(*dates.shape, *values.shape[1:])
    labels = {d: forecast[d].values for d in cells if d in forecast.coords}
    labels |= {"init_time": forecast["init_time"].values, "lead_time": leads.values}
    found = xr.DataArray(values, dims=("init_time", "lead_time", *cells), coords=labels, attrs=truth.attrs)
    return found.assign_coords(valid_time=(("init_time", "lead_time"), dates))


def _rows(truth: xr.DataArray, dates: np.ndarray, what: str) -> tuple[xr.DataArray, np.ndarray]:
    """The daily series, and where each date stands in it, whatever the hour of either."""
    days = days_of(truth)
    wanted = pd.DatetimeIndex(dates.ravel()).floor("D")
    at = (wanted - days.dates[0]).days.to_numpy()
    inside = (at >= 0) & (at < len(days.dates))
    rows = np.where(inside, days.rows[np.clip(at, 0, len(days.dates) - 1)], ABSENT)
    absent = wanted[rows == ABSENT]
    if len(absent):
        raise InputError(
            f"{what}: no {absent.min():%Y-%m-%d} ({absent.nunique()} of {wanted.nunique()} days are missing); "
            f"it covers {days.dates[0]:%Y-%m-%d} to {days.dates[-1]:%Y-%m-%d}"
        )
    return (every_day(truth), at) if (rows == BETWEEN).any() else (truth, rows)
