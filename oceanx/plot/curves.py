"""Scores against lead time, one curve to a model."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..vocabulary.errors import InputError, unknown
from ..vocabulary.names import ours, variable
from . import style, words

METRICS = {
    "rmse": "RMSE", "mse": "MSE", "bias": "Bias", "mae": "Mean absolute error", "acc": "Anomaly correlation",
    "crps": "CRPS", "nrmse": "Normalised RMSE", "activity": "Activity", "spread": "Spread", "csi": "CSI",
    "sedi": "SEDI", "missing": "Missing share",
}  # fmt: skip
DIMENSIONLESS = ("acc", "nrmse", "csi", "sedi", "skill")
LOWER_IS_BETTER = ("rmse", "mse", "mae", "crps", "nrmse")
MOST_PANELS = 24
LOSS = 0.6  # curves relative to a reference leave their panel below this loss, as climatology does at first


@style.look()
def skill(
    scores: xr.Dataset,
    variable: str | Sequence[str] | None = None,
    metric: str = "rmse",
    models: Sequence[str] | None = None,
    reference: str | None = None,
    *,
    title: str | None = None,
) -> Figure:
    """A figure of scores against lead time in days: a panel for each variable and depth, a curve for each model.

    Models have colours that the colour-blind tell apart; persistence, damped persistence and climatology are grey, and
    the oracle, the best that can be attained, is dashed black.

    Parameters
    ----------
    scores
        Variables `<variable>_<metric>` on `lead_time` (timedelta64) and, where there are several, `model` and `depth`.
    variable
        One or more to draw; all that have the metric without.
    metric
        "rmse", "acc", "bias" and so on.
    models
        Which to draw, in this order; all without.
    reference
        A model to compare with: curves then show 100 % × (1 − score / score of the reference), its own at 0 %.

    Raises
    ------
    InputError
        For a variable, metric or model that the scores lack, for dimensions that must be selected first, for more than
        24 panels, and for a `reference` with a metric that is not an error.
    """
    names = chosen_variables(scores, variable, metric)
    panels = [panel for name in names for panel in panels_of(scores[f"{name}_{metric}"], name)]
    if len(panels) > MOST_PANELS:
        raise InputError(
            f"{len(panels)} panels are too many to read (at most {MOST_PANELS}); choose variables, "
            f"or depths with scores.sel(depth=[0.5, 100], method='nearest')"
        )
    shown = chosen_models(scores, models)
    if reference is not None:
        chosen_models(scores, [reference])
        if metric not in LOWER_IS_BETTER:
            raise InputError(f"reference: compares errors ({', '.join(LOWER_IS_BETTER)}), not {metric!r}; leave it out")
    columns = len(panels) if len(panels) <= 3 else 2 if len(panels) == 4 else 3
    rows = math.ceil(len(panels) / columns)
    figure = style.sheet(max(4.1 * columns + 0.4, 6.4), 3.1 * rows + 1.1)
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True)
    for place, ax in enumerate(grid.flat):
        if place >= len(panels):
            ax.remove()
            continue
        _panel(ax, *panels[place], metric=metric, models=shown, reference=reference)
        if place + columns >= len(panels):
            ax.set_xlabel("Lead time (days)")
            ax.xaxis.set_tick_params(labelbottom=True)
    legend_of(figure, grid.flat[0], shown)
    if title is not None:
        figure.suptitle(title, x=0.01, ha="left")
    return figure


def chosen_variables(scores: xr.Dataset, variable: str | Sequence[str] | None, metric: str) -> list[str]:
    """The variables that have this metric, or those asked for."""
    if not isinstance(scores, xr.Dataset):
        raise InputError(f"scores: expected a Dataset, found {type(scores).__name__}")
    ending = f"_{metric}"
    known = [str(name).removesuffix(ending) for name in scores.data_vars if str(name).endswith(ending)]
    if not known:
        raise InputError(f"scores: none of {', '.join(map(str, scores.data_vars))} ends in {ending!r}; score with it")
    asked = [variable] if isinstance(variable, str) else list(variable or known)
    for name in asked:
        if name not in known:
            raise unknown("variable", name, known)
    return asked


def chosen_models(scores: xr.Dataset, models: Sequence[str] | None) -> list[str]:
    """The models of the scores, or those asked for."""
    if "model" not in scores.coords:
        return ["forecast"]
    known = [str(name) for name in np.atleast_1d(scores["model"].values)]
    for name in models or ():
        if name not in known:
            raise unknown("model", name, known)
    return list(models or known)


def curve(panel: xr.DataArray, model: str) -> np.ndarray:
    """One model's scores against lead time."""
    return (panel.sel(model=model) if "model" in panel.dims else panel).values.astype(float)


def score_units(panel: xr.DataArray, name: str, metric: str) -> str:
    """Units of a score: its own attribute, or those of its variable."""
    if metric in DIMENSIONLESS:
        return ""
    if "units" not in panel.attrs and ours(name):
        panel = panel.assign_attrs(units=variable(name).units)
    return words.units_of(panel.rename(name))


def variable_text(panel: xr.DataArray, name: str) -> str:
    """The variable and depth of a score, in words."""
    text = variable(name).long_name if ours(name) else words.capital(name.replace("_", " "))
    # What has no depth says none, though the scores of a top level may carry that level's label.
    place = "" if ours(name) and not variable(name).volume else words.where(panel)
    return f"{text}, {place}" if place else text


def panels_of(score: xr.DataArray, name: str, along: str = "lead_time") -> Iterable[tuple[xr.DataArray, str]]:
    """A score split into one piece per depth, each with the name of its variable."""
    extra = [str(dim) for dim in score.dims if dim not in ("model", along, "depth")]
    if along not in score.dims or extra:
        found = " × ".join(map(str, score.dims))
        first = f"select {' and '.join(extra)} first" if extra else f"score with {along.replace('_', ' ')}s"
        raise InputError(f"{score.name}: curves stand on model × {along} (× depth), found {found}; {first}")
    levels = range(score.sizes["depth"]) if "depth" in score.dims else ()
    return [(score.isel(depth=level), name) for level in levels] or [(score, name)]


def _panel(ax: Axes, panel: xr.DataArray, name: str, *, metric: str, models: list[str], reference: str | None) -> None:
    leads = words.days(panel["lead_time"])
    looks = style.lines_of(models)
    for model in models:
        values = curve(panel, model)
        if reference is not None:
            values = 100 * (1 - values / curve(panel, reference))
        spot: dict[str, Any] = {"marker": "o", "markersize": 5} if leads.size == 1 else {}
        ax.plot(leads, values, label=words.model_text(model), **spot | looks[model])
    ax.set_title(variable_text(panel, name), loc="left")
    units, text = score_units(panel, name, metric), METRICS.get(metric, words.capital(metric))
    if reference is None:
        ax.set_ylabel(words.with_units(text, units))
    else:
        ax.set_ylabel(f"Better than {words.model_text(reference)} (%)")
    if reference is not None:
        ax.set_ylim(bottom=max(ax.get_ylim()[0], -100 * LOSS))
    if metric == "bias" or reference is not None:
        ax.axhline(0, color="#777777", linewidth=0.8, zorder=1)
    elif metric in LOWER_IS_BETTER:
        ax.set_ylim(bottom=0)
    ax.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
    style.tidy(ax, grid=True, frame=False)


def legend_of(figure: Figure, ax: Axes, models: list[str]) -> None:
    """One legend below the panels, in as many columns as there is room for."""
    handles: list[Any]
    handles, labels = ax.get_legend_handles_labels()
    widths = [0.75 + 0.085 * len(label) for label in labels]  # inches, about
    room = figure.get_figwidth() - 0.4
    columns = len(labels) if sum(widths) < room else max(1, int(room / max(widths)))
    figure.legend(
        handles, labels, loc="outside lower center", ncols=columns, frameon=False, handlelength=2.6, borderaxespad=0.1
    )
