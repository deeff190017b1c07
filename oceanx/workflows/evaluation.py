"""Score: forecast + truth → labelled Dataset. The verb: `scores.score` with Models and training data welcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from oceanx import scores
from oceanx.models.references import DAMPING
from oceanx.ocean import climatology as climatologies
from oceanx.ocean.autocorrelation import autocorrelation
from oceanx.ocean.labels import by_model
from oceanx.scores.checking import comparable, shared
from oceanx.scores.derived import derive, derived_names
from oceanx.scores.levels import all_levels, nearest_levels
from oceanx.scores.references import wanted
from oceanx.vocabulary.errors import InputError
from oceanx.vocabulary.progress import Progress

from .model import Model
from .windows import missing_times


def score(
    forecast: xr.Dataset | Mapping[str, xr.Dataset],
    truth: xr.Dataset,
    *,
    climatology: xr.Dataset | Model | None = None,
    train: xr.Dataset | None = None,
    metrics: Sequence[str] = ("rmse",),
    by: Sequence[Any] = (),
    variables: Sequence[str] | None = None,
    derived: Sequence[str] = (),
    references: bool | Sequence[str] = True,
    progress: Progress | None = None,
    **options: Any,
) -> xr.Dataset:
    """Scores by model, lead time and depth: `<variable>_<metric>`, and `<variable>_missing`; references stand beside.

    Persistence needs nothing but the truth on the start dates. With a climatology, it is a reference too; with
    training data, so is damped persistence. They are made while scoring, from no forecast. The attributes say how each
    was made, or why it was left out.

    Parameters
    ----------
    forecast
        One forecast Dataset, or a mapping of names to forecasts.
    truth
        A Dataset with dimension `time` that covers every valid time.
    climatology
        What anomalies are taken from: of `ocean.climatology`, or the Model of `ox.climatology(train)` or
        `ox.damped_persistence(train)`, which know their training data.
    train
        Training years, to fit the climatology and the autocorrelation on.
    references
        Whether to score the references too, or which. One that is among the forecasts by name is not made again.
    metrics, by, variables, derived, options
        As `oceanx.scores.score` takes them.

    Examples
    --------
    >>> sc = ox.score(fc, truth=ds, climatology=ox.climatology(train), metrics=["rmse", "acc"])     # doctest: +SKIP
    >>> sc.thetao_rmse.isel(depth=0).sel(model="persistence")                                        # doctest: +SKIP
    """
    several = by_model(forecast)
    damped = "damped_persistence" in wanted(references, several)
    fitted = climatology.climatology if isinstance(climatology, Model) else climatology
    known = climatology.train if train is None and isinstance(climatology, Model) else train
    r = None
    if known is not None and (damped or fitted is None):
        comparable(several, truth)  # before anything that takes long
        known = _scored(known, several, truth, variables if not derived else None)
        if fitted is None:
            known, fitted = _fitted(known, derived, progress)
        if damped:
            r = _damping(climatology, known, several, fitted, progress)
    return scores.score(
        forecast, truth, climatology=fitted, autocorrelation=r, metrics=metrics, by=by, variables=variables,
        derived=derived, references=references, progress=progress, **options,
    )  # fmt: skip


def _scored(
    train: xr.Dataset, forecasts: Mapping[str, xr.Dataset], truth: xr.Dataset, variables: Sequence[str] | None
) -> xr.Dataset:
    """Of the training data, what is scored: variables and levels."""
    names = [name for name in shared(forecasts, truth, variables) if name in train.data_vars]
    if not names:
        raise InputError(f"train: has none of the variables scored; it has {sorted(map(str, train.data_vars))}")
    levels = all_levels(forecasts)
    chosen = train[names].assign_attrs(missing_times=train.attrs.get("missing_times", []))
    return chosen if levels is None or "depth" not in chosen.dims else chosen.isel(depth=nearest_levels(chosen, levels))


def _fitted(train: xr.Dataset, derived: Sequence[str], progress: Progress | None) -> tuple[xr.Dataset, xr.Dataset]:
    """Training data with what is derived from them, and the climatology of both."""
    usual = climatologies.climatology(train, progress=progress)
    if not derived:
        return train, usual
    more = derive(train, derived, usual)
    made = climatologies.climatology(more[derived_names(derived)], progress=progress)
    return more, usual.assign({str(name): v for name, v in made.data_vars.items()})


def _damping(
    climatology: xr.Dataset | Model | None,
    train: xr.Dataset,
    forecasts: Mapping[str, xr.Dataset],
    fitted: xr.Dataset,
    progress: Progress | None,
) -> xr.Dataset:
    """r(lead_time, …): what damped persistence was fitted with, or else of the training data."""
    leads = np.unique(np.concatenate([f["lead_time"].values for f in forecasts.values()]))
    names = [str(name) for name in train.data_vars if name in fitted.data_vars]
    if isinstance(climatology, Model) and climatology.damping is not None:
        ratio = climatology.damping
        if np.isin(leads, ratio["lead_time"].values).all() and all(f"{name}{DAMPING}" in ratio for name in names):
            return xr.Dataset({name: ratio[f"{name}{DAMPING}"].cumprod("lead_time") for name in names})
    cycle = fitted[names]
    if "depth" in cycle.dims and "depth" in train.dims:
        cycle = cycle.isel(depth=nearest_levels(cycle, train))
    r = autocorrelation(train[names], cycle, leads, missing_times(train), progress)
    return r * (r > 0).cumprod("lead_time")  # as steps have it: of an anomaly that is gone nothing comes back
