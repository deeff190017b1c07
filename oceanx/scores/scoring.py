"""`score`: labelled forecasts against the truth. `skill`: the share of the room for improvement that was taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ..ocean.grid import same_grid
from ..ocean.labels import check
from ..vocabulary.errors import InputError, unknown
from ..vocabulary.names import DIMENSIONS
from ..vocabulary.progress import Progress
from .aggregate import aggregate
from .metrics import METRICS
from .regions import resolve

GROUPS = ("region", "season", "init_time")
_SPELLING = dict.fromkeys(("degree_C", "degC", "degree_Celsius", "degrees_Celsius", "Celsius", "°C"), "degrees_C")
_SPELLING |= dict.fromkeys(("PSU", "psu", "0.001"), "1e-3")
SEASONS = ("DJF", "MAM", "JJA", "SON")


def score(
    forecast: xr.Dataset | Mapping[str, xr.Dataset],
    truth: xr.Dataset,
    *,
    climatology: xr.Dataset | None = None,
    metrics: Sequence[str] = ("rmse",),
    by: Sequence[str] = (),
    regions: Mapping[str, Any] | Sequence[str] | None = None,
    variables: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> xr.Dataset:
    """`<variable>_<metric>` ([model, region, season, init_time,] lead_time[, depth]) of one forecast or several.

    The truth of a forecast is what stands in `truth` at its `valid_time`. Averages are weighted by cell area over
    cells wet in both, and pooled over starts before any root or ratio is taken. `<variable>_missing` is the share of
    the truth's wet area that the forecast left empty.

    Parameters
    ----------
    forecast
        Labelled forecast(s); a mapping gains a dimension `model`. All must have the same start dates.
    truth
        Dataset with `time` on the same grid; it may have more levels, times and variables.
    climatology
        Of `oceanx.ocean.climatology`, for the metrics of anomalies (`acc`, `nrmse`, `activity`, `activity_ratio`).
    metrics
        Names in `oceanx.scores.METRICS`. Of an ensemble, the mean is scored, but for `spread` and `crps`.
    by
        Any of `region`, `season` (of the valid date), `init_time`.
    regions
        Names in `oceanx.scores.REGIONS`, or boxes `{name: {"minimum_latitude": …}}`; implies `by=["region"]`.
    variables
        All that both have, if None.

    Raises
    ------
    InputError
        If the truth lacks a valid date, grids, units or start dates differ, a metric lacks what it needs, or a
        forecast has no value where the truth has some.

    Examples
    --------
    >>> table = score({"model": fc, "persistence": ref}, truth)     # doctest: +SKIP
    >>> table.thetao_rmse.sel(model="model", depth=0.49, method="nearest")     # doctest: +SKIP
    """
    several = {"forecast": forecast} if isinstance(forecast, xr.Dataset) else {str(k): f for k, f in forecast.items()}
    metrics = [metrics] if isinstance(metrics, str) else list(metrics)
    by = [by] if isinstance(by, str) else list(by)
    for metric in metrics:
        if metric not in METRICS:
            raise unknown("metric", metric, METRICS)
    for group in by:
        if group not in GROUPS:
            raise unknown("group to score by", group, GROUPS)
    comparable(several, truth)
    names = shared(several, truth, variables)
    _enough(metrics, several, names, climatology)
    inside = {"": np.ones((truth.sizes["latitude"], truth.sizes["longitude"]), dtype=bool)}
    if regions is not None or "region" in by:
        inside = resolve(regions, truth["latitude"], truth["longitude"])
    statistics = list(dict.fromkeys(s for metric in metrics for s in METRICS[metric].statistics))
    cycle = climatology if any(METRICS[metric].needs == "climatology" for metric in metrics) else None
    sums = aggregate(several, truth, statistics, names, inside, cycle, progress)
    _not_empty(sums, several, names)
    units = {name: truth[name].attrs.get("units", "1") for name in names}
    result = _finish(_pool(sums, by), metrics, units)
    alone = (["region"] if "" in inside else []) + (["model"] if isinstance(forecast, xr.Dataset) else [])
    period = {} if cycle is None else {"oceanx_climatology_period": cycle.attrs.get("oceanx_climatology_period", "")}
    return result.squeeze(alone, drop=True).assign_attrs(
        title="Forecast scores",
        oceanx_weights="cell area of cells wet in forecast and truth; pooled over starts before the finish",
        oceanx_starts=sums.sizes["init_time"],
        **period,
    )


def skill(
    scores: xr.Dataset,
    reference: str = "persistence",
    best: str = "oracle",
    metric: str = "rmse",
    best_metric: str | None = None,
) -> xr.Dataset:
    """`<variable>_skill`: the share of the room that each model takes, (reference − model) / (reference − best).

    0 is no better than the reference, 1 as good as the best attainable; NaN where the best is no better than the
    reference.

    Parameters
    ----------
    scores
        From `score` of a mapping with both names in it.
    best_metric
        The score of `best`; by default `rmse_unbiased` where `best` has it (an ensemble's mean with the error that
        its finite size leaves taken off), else `metric`.
    """
    if "model" not in scores.dims:
        raise InputError("scores: no dimension `model`; score a mapping {name: forecast} that has the reference")
    for name in (reference, best):
        if name not in scores["model"].values:
            raise unknown("model", name, scores["model"].values)
    result = {}
    for key in map(str, scores.data_vars):
        name, found, _ = key.rpartition(f"_{metric}")
        if not found or key != f"{name}_{metric}":
            continue
        errors = scores[key]
        floor = errors.sel(model=best, drop=True)
        alternative = f"{name}_{best_metric or 'rmse_unbiased'}"
        if best_metric and alternative not in scores:
            raise unknown("score", alternative, map(str, scores.data_vars))
        if alternative in scores:
            other = scores[alternative].sel(model=best, drop=True)
            floor = other if best_metric else other.fillna(floor)
        worst = errors.sel(model=reference, drop=True)
        room = (worst - floor).where(worst > floor)
        taken = (worst - errors) / room
        taken.attrs = {"long_name": f"Share of the room from {reference} to {best}: {name}", "units": "1"}
        result[f"{name}_skill"] = taken
    if not result:
        raise InputError(f"scores: no variable with metric {metric!r}; found {sorted(map(str, scores.data_vars))}")
    return xr.Dataset(result).assign_attrs(scores.attrs, title="Skill")


def comparable(forecasts: Mapping[str, xr.Dataset], truth: xr.Dataset) -> None:
    """Refuse forecasts that break the contract, or stand on other grids, starts or dates than the truth."""
    if not forecasts:
        raise InputError("score: nothing to score; give a forecast or {name: forecast}")
    if "time" not in truth.dims or truth["time"].dtype.kind != "M":
        raise InputError("truth: no dimension `time` of datetime64; give the analysis, not a forecast")
    dates = pd.DatetimeIndex(truth["time"].values)
    if dates.has_duplicates:
        raise InputError(f"truth: {dates[dates.duplicated()][0]} is there more than once")
    name, first = next(iter(forecasts.items()))
    for model, f in forecasts.items():
        check(f, values=False, where=model)
        same_grid(f.drop_vars("depth", errors="ignore"), truth)
        if not np.array_equal(f["init_time"].values, first["init_time"].values):
            raise InputError(
                f"{model}: {f.sizes['init_time']} start dates differ from the {first.sizes['init_time']} of {name}; "
                "score the same ones, with forecast.sel(init_time=...)"
            )
        valid = pd.DatetimeIndex(np.unique(f["valid_time"].values))
        absent = valid.difference(dates)
        if len(absent):
            raise InputError(
                f"truth: no {absent[0]} ({len(absent)} of {len(valid)} valid dates of {model} are missing); "
                f"it covers {dates.min()} to {dates.max()}"
            )


def shared(forecasts: Mapping[str, xr.Dataset], truth: xr.Dataset, variables: Sequence[str] | None) -> list[str]:
    """What to score: the variables asked for, or all that some forecast and the truth have, in one unit."""
    there = list(dict.fromkeys(str(n) for f in forecasts.values() for n in f.data_vars if n in truth.data_vars))
    names = there if variables is None else ([variables] if isinstance(variables, str) else list(variables))
    if not names:
        raise InputError(f"score: forecast and truth share no variable; truth has {sorted(map(str, truth.data_vars))}")
    for name in names:
        if name not in there:
            raise unknown("variable", name, there)
        for model, f in forecasts.items():
            mine, other = (ds[name].attrs.get("units") if name in ds else None for ds in (f, truth))
            if mine and other and _SPELLING.get(mine, mine) != _SPELLING.get(other, other):
                raise InputError(f"{name}: units of {model} are {mine!r}, of the truth {other!r}; convert one")
    return names


def _enough(
    metrics: Sequence[str], forecasts: Mapping[str, xr.Dataset], names: Sequence[str], climatology: xr.Dataset | None
) -> None:
    """Refuse metrics of anomalies without a climatology, and of members where no forecast has two."""
    for metric in metrics:
        needs = METRICS[metric].needs
        if needs == "climatology":
            lacking = [n for n in names if climatology is None or n not in climatology.data_vars]
            if lacking:
                raise InputError(f"{metric}: needs a climatology of {lacking}; give climatology=...")
        if needs == "member" and not any(f.sizes.get("member", 1) > 1 for f in forecasts.values()):
            raise InputError(f"{metric}: needs an ensemble; no forecast has two members")
    if climatology is not None:
        same_grid(climatology.drop_vars("depth", errors="ignore"), next(iter(forecasts.values())))


def _not_empty(sums: xr.Dataset, forecasts: Mapping[str, xr.Dataset], names: Sequence[str]) -> None:
    for name in names:
        if not float(sums[f"{name}_truth_weight"].sum()):
            raise InputError(f"truth: {name} has no value at any valid date")
        for model, f in forecasts.items():
            if name in f.data_vars and not float(sums[f"{name}_weight"].sel(model=model).sum()):
                raise InputError(f"{model}: {name} has no value where the truth has some")


def _pool(sums: xr.Dataset, by: Sequence[str]) -> xr.Dataset:
    """Add up start dates, all together or by the season of the valid date."""
    if "season" in by:
        season = (sums["init_time"] + sums["lead_time"]).dt.season
        there = [s for s in SEASONS if (season == s).any()]
        parts = [sums.where(season == s, 0.0) for s in there]
        sums = xr.concat(parts, dim=xr.DataArray(there, dims="season", name="season"))
    return sums if "init_time" in by else sums.sum("init_time", skipna=False)


def _finish(sums: xr.Dataset, metrics: Sequence[str], units: Mapping[str, str]) -> xr.Dataset:
    """Averages from sums, then each metric's finish."""
    result = {}
    for name, unit in units.items():
        weight, wet = sums[f"{name}_weight"], sums[f"{name}_truth_weight"]
        average = {s: sums[f"{name}_{s}"] / weight.where(weight > 0) for m in metrics for s in METRICS[m].statistics}
        for metric in metrics:
            row = METRICS[metric]
            values = row.finish(average)
            values.attrs = {"long_name": f"{row.long_name}: {name}", "units": row.units.format(units=unit)}
            result[f"{name}_{metric}"] = values
        missing = 1.0 - weight / wet.where(wet > 0)
        missing.attrs = {"long_name": f"Share of the truth's wet area without a forecast: {name}", "units": "1"}
        result[f"{name}_missing"] = missing
    order = ("model", "region", "season", "init_time", "lead_time", "depth")
    table = xr.Dataset(result).transpose(*order, missing_dims="ignore")
    table["lead_time"].attrs = DIMENSIONS["lead_time"]
    table["lead_time"].encoding = {"dtype": "int64", "units": "seconds"}
    return table
