"""Scores as a table of numbers, with the room that each model takes between persistence and the oracle."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from ..vocabulary.errors import InputError
from . import style, words
from .curves import (
    LOWER_IS_BETTER,
    METRICS,
    chosen_models,
    chosen_variables,
    curve,
    panels_of,
    score_units,
    variable_text,
)

LEADS = (1, 3, 5, 10)
ROOM = "room taken by"


def table(
    scores: xr.Dataset,
    leads: Sequence[float] | None = None,
    metric: str = "rmse",
    *,
    variable: str | Sequence[str] | None = None,
    models: Sequence[str] | None = None,
    persistence: str = "persistence",
    oracle: str = style.ORACLE,
) -> pd.DataFrame:
    """A DataFrame of scores: a row for each variable (and depth) and model, a column for each lead.

    Where the scores are errors and hold both persistence and the oracle, each model that is neither of them nor a
    reference has one more row, the share of the room between the two that it takes,

        (persistence − model) / (persistence − oracle),

    0 for persistence and 1 for the best that can be attained.

    Parameters
    ----------
    scores
        As in `skill`.
    leads
        In days; of 1, 3, 5 and 10 those that the scores have without.
    metric, variable, models
        As in `skill`.
    persistence, oracle
        What the two are called among the models.

    Returns
    -------
    DataFrame
        Its `attrs` say how `Table` shows it: `better` ("low", "high" or "zero"), `percent` (rows that are shares) and
        `apart` (rows that do not compete).

    Raises
    ------
    InputError
        For a variable, metric, model or lead that the scores lack.
    """
    names = chosen_variables(scores, variable, metric)
    shown = chosen_models(scores, models, [f"{name}_{metric}" for name in names])
    places = _places(scores, leads)
    room = metric in LOWER_IS_BETTER and {persistence, oracle} <= set(chosen_models(scores, None))
    taking = [m for m in shown if room and not m.startswith(style.ORACLE) and m not in {*style.REFERENCES, persistence}]
    rows: dict[tuple[str, str], np.ndarray] = {}
    for name in names:
        for panel, _ in panels_of(scores[f"{name}_{metric}"], name):
            about = f"{variable_text(panel, name)}: {METRICS.get(metric, metric)}"
            about = words.with_units(about, score_units(panel, name, metric))
            value = {model: curve(panel, model)[places] for model in {*shown, *([persistence, oracle] if room else ())}}
            rows |= {(about, words.model_text(model)): value[model] for model in shown}
            rows |= {
                (about, f"{ROOM} {words.model_text(model)}"): (value[persistence] - value[model])
                / (value[persistence] - value[oracle])
                for model in taking
            }
    frame = pd.DataFrame(rows.values(), columns=_columns(scores, places))
    frame.index = pd.MultiIndex.from_tuples(rows, names=["variable", "model"])
    frame.attrs = {
        "better": "low" if metric in LOWER_IS_BETTER else "zero" if metric == "bias" else "high",
        "percent": [f"{ROOM} {words.model_text(model)}" for model in taking],
        "apart": [words.model_text(model) for model in shown if model.startswith(style.ORACLE) or model == oracle],
    }
    return frame


def _places(scores: xr.Dataset, leads: Sequence[float] | None) -> list[int]:
    """Where the leads stand on the axis."""
    if "lead_time" not in scores.coords:
        raise InputError("scores: have no lead_time; score a forecast")
    known = words.days(scores["lead_time"])
    near = {lead: int(np.abs(known - lead).argmin()) for lead in (LEADS if leads is None else leads)}
    found = {lead: place for lead, place in near.items() if abs(known[place] - lead) < 1e-6}
    lost = [lead for lead in near if lead not in found]
    if not found or (lost and leads is not None):
        raise InputError(
            f"leads: the scores have none at {', '.join(f'{lead:g}' for lead in lost)} days; "
            f"they have {', '.join(f'{lead:g}' for lead in known)}"
        )
    return list(found.values())


def _columns(scores: xr.Dataset, places: list[int]) -> pd.Index:
    return pd.Index([words.lead_text(lead) for lead in scores["lead_time"].values[places]], name="lead")
