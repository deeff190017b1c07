"""`skill`: the share of the room for improvement that was taken."""

from __future__ import annotations

import xarray as xr

from ..vocabulary.errors import InputError, unknown


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
