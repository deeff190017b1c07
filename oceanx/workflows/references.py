"""The references every table carries: persistence, damped persistence and climatology, as Models."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from oceanx import seam
from oceanx.models import references as steps
from oceanx.models.references import DAMPING
from oceanx.ocean import climatology as climatologies
from oceanx.ocean.autocorrelation import autocorrelation
from oceanx.vocabulary.channels import Task

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
    return Model(
        "climatology", steps.climatology, task=task, grid=where, climatology=fitted, attrs=_period(train), train=train
    )


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
    leads = np.arange(1, lags + 1) * pd.Timedelta(task.step).to_timedelta64()
    damping = _ratios(autocorrelation(chosen, fitted, leads, missing_times(train)))
    return Model(
        "damped_persistence",
        steps.damped_persistence,
        task=task,
        grid=seam.grid_of(train, task.prognostic),
        climatology=fitted,
        damping=damping,
        attrs=_period(train),
        train=train,
    )


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
