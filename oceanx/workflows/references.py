"""The references every table carries: persistence, damped persistence and climatology, as Models."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from oceanx import seam
from oceanx.models import references as steps
from oceanx.models.references import DAMPING
from oceanx.ocean import climatology as climatologies
from oceanx.vocabulary.channels import Task
from oceanx.vocabulary.errors import InputError

from .batching import missing_times
from .model import Model, implied_task


def persistence() -> Model:
    """The Model that keeps the analysis: x' = x."""
    return Model("persistence", steps.persistence)


def climatology(train: xr.Dataset, *, task: Task | None = None, harmonics: int = 3) -> Model:
    """The Model that forecasts the day-of-year mean of the training times: x' = c(t + step).

    Parameters
    ----------
    train
        Training years only. All ocean variables and levels, unless a `task` names some.
    harmonics
        Annual harmonics kept: the mean is smooth, and 29 February has its own phase.
    """
    task = _told(task or implied_task(train))
    fitted = climatologies.climatology(train[list(task.names)], harmonics=harmonics)
    where = seam.grid_of(train, task.prognostic)
    return Model("climatology", steps.climatology, task=task, grid=where, climatology=fitted, attrs=_period(train))


def damped_persistence(train: xr.Dataset, *, task: Task | None = None, lead: str = "10D", harmonics: int = 3) -> Model:
    """The Model x(lead) = c + r(lead) (x(0) − c), r the lag autocorrelation of each cell and level.

    Parameters
    ----------
    train
        Training years only.
    lead
        The longest lead r is measured for; forecasts go no further.
    """
    task = _told(task or implied_task(train))
    chosen = train[list(task.prognostic.names)]
    fitted = climatologies.climatology(chosen, harmonics=harmonics)
    lags = int(pd.Timedelta(lead) / pd.Timedelta(task.step))
    damping = _ratios(autocorrelation(chosen, fitted, lags, task.step))
    return Model(
        "damped_persistence",
        steps.damped_persistence,
        task=task,
        grid=seam.grid_of(train, task.prognostic),
        climatology=fitted,
        damping=damping,
        attrs=_period(train),
    )


def autocorrelation(ds: xr.Dataset, climatology: xr.Dataset, lags: int, step: str) -> xr.Dataset:
    """r(lead_time) of the anomalies from climatology, per cell and level; pairs with a missing day are left out.

    r(k) = ⟨a(t) a(t + k)⟩ / √(⟨a(t)²⟩ ⟨a(t + k)²⟩), the means over all pairs of training days k steps apart.
    """
    times = ds.time.values
    apart = pd.Timedelta(step).to_timedelta64()
    missing = np.isin(times, missing_times(ds))
    leads = np.arange(1, lags + 1) * apart
    result = {}
    for name, field in ds.data_vars.items():
        totals = field.astype("float32").load()
        anomaly = (totals - climatologies.at(climatology[[name]], times)[name]).transpose("time", ...).values
        rows = [_correlation(anomaly, times, missing, lead) for lead in leads]
        dims = ("lead_time", *(d for d in totals.dims if d != "time"))
        result[name] = (dims, np.stack(rows), {"long_name": f"Lag autocorrelation of {name}", "units": "1"})
    return xr.Dataset(result, coords={"lead_time": leads.astype("timedelta64[ns]")}).assign_coords(
        {c: ds[c] for c in ("depth", "latitude", "longitude") if c in ds.coords}
    )


def _correlation(anomaly: np.ndarray, times: np.ndarray, missing: np.ndarray, lead: np.timedelta64) -> np.ndarray:
    later = np.searchsorted(times, times + lead)
    inside = later < len(times)
    first, second = np.flatnonzero(inside), later[inside]
    good = (times[second] == times[first] + lead) & ~missing[first] & ~missing[second]
    if not good.any():
        raise InputError(f"time: no two training days are {pd.Timedelta(lead)} apart; train on a longer period")
    a, b = anomaly[first[good]], anomaly[second[good]]
    # einsum reads each series once and makes no temporary of its size.
    both, aa, bb = (np.einsum("t...,t...->...", x, y, dtype="float64") for x, y in ((a, b), (a, a), (b, b)))
    spread = np.sqrt(aa * bb)
    return np.divide(both, spread, out=np.zeros_like(both), where=spread > 0).clip(0.0, 1.0).astype("float32")


def _ratios(correlation: xr.Dataset) -> xr.Dataset:
    """ρ(lead) = r(lead) / r(lead − step), so that the product of all steps so far is r(lead)."""
    before = correlation.shift(lead_time=1).fillna(1.0)
    ratio = xr.where(before > 0, correlation / before.where(before > 0, 1.0), 0.0)
    return ratio.rename({name: f"{name}{DAMPING}" for name in ratio.data_vars})


def _told(task: Task) -> Task:
    """The same prognostic variables, with their climatology as the only forcing."""
    return Task(prognostic=task.prognostic, step=task.step, anomalies=True)


def _period(train: xr.Dataset) -> dict[str, str]:
    first, last = (str(pd.Timestamp(train.time.values[i]).date()) for i in (0, -1))
    return {"oceanx_period": f"{first} to {last}"}
