"""Scores against lead time, one curve to a model."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from ..vocabulary.errors import InputError, unknown
from ..vocabulary.names import ours, variable
from . import style, words

METRICS = {
    "rmse": "RMSE", "mse": "MSE", "bias": "Bias", "mae": "Mean absolute error", "acc": "Anomaly correlation",
    "crps": "CRPS", "nrmse": "Normalised RMSE", "activity": "Activity", "activity_ratio": "Activity over the truth's",
    "rmse_unbiased": "RMSE of infinitely many members", "spread": "Spread", "spread_skill": "Spread over error",
    "hit_rate": "Hit rate", "pod": "Hit rate", "false_alarm_ratio": "False-alarm ratio", "far": "False-alarm ratio",
    "csi": "Critical success index", "sedi": "SEDI", "hss": "Heidke skill score", "brier": "Brier score",
    "brier_fair": "Brier score, fair", "brier_skill": "Brier skill score", "frequency_bias": "Frequency bias",
    "brier_reliability": "Reliability of the Brier score", "brier_resolution": "Resolution of the Brier score",
    "brier_uncertainty": "Uncertainty of the Brier score", "base_rate": "Frequency in the truth",
    "forecast_rate": "Frequency in the forecast", "detected": "Share of events detected",
    "missing": "Missing share",
}  # fmt: skip
SHARES = (  # between 0 and 1
    "hit_rate", "pod", "false_alarm_ratio", "far", "csi", "brier", "brier_fair", "brier_reliability",
    "brier_resolution", "brier_uncertainty", "base_rate", "forecast_rate", "detected", "missing",
)  # fmt: skip
DIMENSIONLESS = (
    "acc", "nrmse", "activity_ratio", "spread_skill", "sedi", "hss", "brier_skill", "frequency_bias", "skill", *SHARES,
)  # fmt: skip
LOWER_IS_BETTER = (
    "rmse", "rmse_unbiased", "mse", "mae", "crps", "nrmse", "brier", "brier_fair", "brier_reliability",
    "false_alarm_ratio", "far",
)  # fmt: skip
SPLIT = ("region", "season", "depth_band", "depth", "category")  # a panel for each of their values
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

    Scores by region, season or band of depth have a panel for each of these too; one without a value is left out.

    Models have colours that the colour-blind tell apart; persistence, damped persistence and climatology are grey, and
    the oracle, the best that can be attained, is dashed black. Where the scores have `<variable>_<metric>_low` and
    `_high`, the confidence between them is shaded.

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
        A model to compare with: curves then show 100 % × (1 − score / score of the reference), its own at 0 %, and no
        confidence, which the scores have of each model alone.

    Raises
    ------
    InputError
        For a variable, metric or model that the scores lack, for dimensions that must be selected first, for more than
        24 panels, and for a `reference` with a metric that is not an error.
    """
    names = chosen_variables(scores, variable, metric)
    panels = [panel for name in names for panel in panels_of(scores[f"{name}_{metric}"], name)]
    panels = [panel for panel in panels if panel[0].notnull().any()] or panels  # a band may hold no observation
    if len(panels) > MOST_PANELS:
        raise InputError(
            f"{len(panels)} panels are too many to read (at most {MOST_PANELS}); choose variables, "
            f"or depths with scores.sel(depth=[0.5, 100], method='nearest')"
        )
    shown = chosen_models(scores, models, [panel.name for panel, _ in panels])
    if reference is not None:
        chosen_models(scores, [reference])
        if metric not in LOWER_IS_BETTER:
            raise InputError(f"reference: compares errors ({', '.join(LOWER_IS_BETTER)}), not {metric!r}; leave it out")
    columns = len(panels) if len(panels) <= 3 else 2 if len(panels) == 4 else 3
    rows = math.ceil(len(panels) / columns)
    figure = style.sheet(max(4.1 * columns + 0.4, 6.4), 3.1 * rows + 1.1)
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True)
    bands = [None if reference else band_of(scores, panel) for panel, _ in panels]
    for place, ax in enumerate(grid.flat):
        if place >= len(panels):
            ax.remove()
            continue
        panel, name = panels[place]
        _panel(ax, panel, name, metric=metric, models=shown, reference=reference, band=bands[place])
        if place + columns >= len(panels):
            ax.set_xlabel("Lead time (days)")
            ax.xaxis.set_tick_params(labelbottom=True)
    legend_of(figure, grid.flat[0], shade_entry(scores) if any(bands) else None)
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


def chosen_models(scores: xr.Dataset, models: Sequence[str] | None, drawn: Iterable[Any] = ()) -> list[str]:
    """The models asked for, or those of the scores that have a value in what is `drawn`."""
    if "model" not in scores.coords:
        return ["forecast"]
    known = [str(name) for name in np.atleast_1d(scores["model"].values)]
    for name in models or ():
        if name not in known:
            raise unknown("model", name, known)
    there = [scores[name] for name in drawn if "model" in scores[name].dims]
    some = [name for name in known if any(score.sel(model=name).notnull().any() for score in there)]
    return list(models or some or known)


def curve(panel: xr.DataArray, model: str) -> np.ndarray:
    """One model's scores against lead time."""
    return (panel.sel(model=model) if "model" in panel.dims else panel).values.astype(float)


def at_lead(scores: xr.Dataset, lead: str | None) -> xr.Dataset:
    """Scores at one lead, the last if none is asked for."""
    if "lead_time" not in scores.dims:
        if lead is not None:
            raise InputError("scores: no dimension lead_time to choose from; leave `lead` out, or keep the dimension")
        return scores
    days = words.days(scores["lead_time"])
    if lead is None:
        return scores.isel(lead_time=-1)
    try:
        return scores.sel(lead_time=lead)
    except KeyError:
        raise InputError(f"lead: {lead!r} is not there; the scores have {days[0]:g} to {days[-1]:g} days") from None


def band_of(scores: xr.Dataset, panel: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray] | None:
    """The confidence limits of a panel, low and high, or None if the scores have none."""
    ends = [f"{panel.name}_{end}" for end in ("low", "high")]
    if not all(end in scores for end in ends):
        return None
    here = {dim: panel[dim] for dim in SPLIT if dim in scores[ends[0]].dims and dim in panel.coords}
    low, high = (scores[end].sel(here) for end in ends)
    return low, high


def shade_entry(scores: xr.Dataset) -> dict[str, Any]:
    """What a legend says of the shade: how much confidence, if the scores tell."""
    level = scores.attrs.get("oceanx_confidence")
    words_of = f"{100 * float(level):g} % confidence" if level is not None else "confidence"
    return {words_of: Patch(facecolor="#777777", alpha=0.25, linewidth=0)}


def draw_curve(
    ax: Axes, x: np.ndarray, panel: xr.DataArray, model: str, look: Mapping[str, Any], band: Any = None
) -> None:
    """One model's curve, and the shade of its confidence."""
    spot: dict[str, Any] = {"marker": "o", "markersize": 5} if x.size == 1 else {"markevery": -(-x.size // 12)}
    ax.plot(x, curve(panel, model), label=words.model_text(model), **spot | dict(look))
    if band is not None:
        low, high = (curve(limit, model) for limit in band)
        shade = 0.12 if model in style.REFERENCES else 0.22
        ax.fill_between(x, low, high, color=look["color"], alpha=shade, linewidth=0, zorder=look["zorder"] - 1)


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
    more = [str(panel[dim].item()) for dim in SPLIT[:3] if dim in panel.coords and not panel[dim].ndim]
    return ", ".join(filter(None, (text, place, *more)))


def panels_of(score: xr.DataArray, name: str, along: str = "lead_time") -> Iterable[tuple[xr.DataArray, str]]:
    """A score split into one piece per depth or category, each with the name of its variable."""
    extra = [str(dim) for dim in score.dims if dim not in ("model", along, *SPLIT)]
    if along not in score.dims or extra:
        found = " × ".join(map(str, score.dims))
        first = f"select {' and '.join(extra)} first" if extra else f"score with {along.replace('_', ' ')}s"
        raise InputError(f"{score.name}: curves stand on model × {along} (× depth), found {found}; {first}")
    pieces = [score]
    for dim in (dim for dim in SPLIT if dim in score.dims):
        pieces = [piece.isel({dim: place}) for piece in pieces for place in range(score.sizes[dim])]
    return [(piece, name) for piece in pieces]


def _panel(
    ax: Axes, panel: xr.DataArray, name: str, *, metric: str, models: list[str], reference: str | None, band: Any
) -> None:
    leads = words.days(panel["lead_time"])
    looks = style.lines_of(models)
    if reference is not None:
        base, band = panel.sel(model=reference) if "model" in panel.dims else panel, None
        panel = (100 * (1 - panel / base)).assign_attrs(panel.attrs)
    for model in models:
        draw_curve(ax, leads, panel, model, looks[model], band)
    ax.set_title(variable_text(panel, name), loc="left")
    units, text = score_units(panel, name, metric), METRICS.get(metric, words.capital(metric))
    if reference is None:
        ax.set_ylabel(words.with_units(text, units))
    else:
        ax.set_ylabel(f"Better than {words.model_text(reference)} (%)")
    if reference is not None:
        low, high = ax.get_ylim()
        ax.set_ylim(max(low, -100 * LOSS), min(high, 104))  # nothing is more than 100 % better
    if metric == "bias" or reference is not None:
        ax.axhline(0, color="#777777", linewidth=0.8, zorder=1)
    elif metric in (*LOWER_IS_BETTER, *SHARES):
        ax.set_ylim(bottom=0)
    ax.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
    style.tidy(ax, grid=True, frame=False)


def legend_of(figure: Figure, ax: Axes, more: Mapping[str, Any] | None = None) -> None:
    """One legend below the panels, in as many columns as there is room for; `more` entries by name come last."""
    handles: list[Any]
    handles, labels = ax.get_legend_handles_labels()
    handles, labels = [*handles, *(more or {}).values()], [*labels, *(more or {})]
    widths = [0.75 + 0.085 * len(label) for label in labels]  # inches, about
    room = figure.get_figwidth() - 0.4
    columns = len(labels) if sum(widths) < room else max(1, int(room / max(widths)))
    figure.legend(
        handles, labels, loc="outside lower center", ncols=columns, frameon=False, handlelength=2.6, borderaxespad=0.1
    )
