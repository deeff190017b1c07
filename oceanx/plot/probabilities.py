"""Whether probabilities mean what they say: reliability, and the rank of the truth among the members."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, MultipleLocator, NullLocator, StrMethodFormatter

from ..vocabulary.errors import InputError
from . import style, words
from .curves import (
    MOST_PANELS,
    SPLIT,
    at_lead,
    chosen_models,
    chosen_variables,
    curve,
    legend_of,
    panels_of,
    variable_text,
)

PERFECT: dict[str, Any] = {"color": "#1a1a1a", "linewidth": 1.2, "zorder": 1.5}
RAREST = 1e-5  # the least share of forecasts that is drawn
BASE: dict[str, Any] = {"color": "#777777", "linewidth": 1.2, "linestyle": ":", "zorder": 1.5}


@style.look()
def reliability(
    scores: xr.Dataset,
    variable: str | Sequence[str] | None = None,
    lead: str | None = None,
    models: Sequence[str] | None = None,
    *,
    title: str | None = None,
) -> Figure:
    """A figure of how often what was forecast with a probability came true, at one lead.

    A panel for each variable and depth, or each category of heatwave, a curve for each model. On the black diagonal
    probabilities mean what they say; above it they are too timid, below it too bold. The dotted line is how often it
    came true at all, which is what a forecast that always says so would show. The strip below has the share of
    forecasts with each probability: a point of few forecasts means little.

    Parameters
    ----------
    scores
        `<variable>_reliability` and `<variable>_forecast_share` by `probability`; or the two without a variable's
        name, as in the skill of heatwaves.
    variable
        One or more to draw; all without.
    lead
        Which lead, "10D" say; the last without.
    models
        Which to draw, in this order; all without.

    Raises
    ------
    InputError
        For a variable, lead or model that the scores lack, and for more than 24 panels.
    """
    at = at_lead(scores, lead)
    panels = _panels(at, variable, "reliability", "probability")
    shown = chosen_models(scores, models, [panel.name for panel, _ in panels])
    figure, tops = _sheet(len(panels), 3.4, strip=True)
    for (top, below), (panel, text) in zip(tops, panels, strict=True):
        ending = str(panel.name).removesuffix("reliability") + "forecast_share"
        if ending not in at:
            raise InputError(f"scores: {panel.name} without {ending}, the share of forecasts with each probability")
        shares = at[ending].sel({dim: panel[dim] for dim in SPLIT if dim in at[ending].dims})
        _reliability(top, below, panel, shares, shown)
        top.set_title(text, loc="left")
    more = {"perfect": Line2D([], [], **PERFECT), "frequency in the truth": Line2D([], [], **BASE)}
    legend_of(figure, tops[0][0], more)
    _title(figure, at, title)
    return figure


@style.look()
def rank_histogram(
    scores: xr.Dataset,
    variable: str | Sequence[str] | None = None,
    lead: str | None = None,
    models: Sequence[str] | None = None,
    *,
    title: str | None = None,
) -> Figure:
    """A figure of how often the truth took each rank among the members, at one lead.

    A panel for each variable and depth. Flat, on the dotted line, is right; high ends tell of members too much alike
    (or of a bias, where one end alone is high), a hump of members too far apart.

    Parameters
    ----------
    scores
        `<variable>_rank_histogram` by `rank`.
    variable, lead, models
        As in `reliability`.

    Raises
    ------
    InputError
        For a variable, lead or model that the scores lack, and for more than 24 panels.
    """
    at = at_lead(scores, lead)
    panels = _panels(at, variable, "rank_histogram", "rank")
    shown = chosen_models(scores, models, [panel.name for panel, _ in panels])
    figure, tops = _sheet(len(panels), 3.0, strip=False)
    for (ax, _), (panel, text) in zip(tops, panels, strict=True):
        _ranks(ax, panel, shown)
        ax.set_title(text, loc="left")
    legend_of(figure, tops[0][0], {"flat": Line2D([], [], **BASE)})
    _title(figure, at, title)
    return figure


def _panels(
    at: xr.Dataset, variable: str | Sequence[str] | None, metric: str, along: str
) -> list[tuple[xr.DataArray, str]]:
    """The pieces of a score, each with its title."""
    if not isinstance(at, xr.Dataset):
        raise InputError(f"scores: expected a Dataset, found {type(at).__name__}")
    if metric in at and variable is None:
        pieces = panels_of(at[metric], metric, along)
        panels = [(panel, words.category_text(panel)) for panel, _ in pieces]
    else:
        other = [name for name, score in at.data_vars.items() if along not in score.dims]  # as brier_reliability
        names = chosen_variables(at.drop_vars(other), variable, metric)
        pieces = [piece for name in names for piece in panels_of(at[f"{name}_{metric}"], name, along)]
        panels = [(panel, variable_text(panel, name)) for panel, name in pieces]
    if len(panels) > MOST_PANELS:
        raise InputError(
            f"{len(panels)} panels are too many to read (at most {MOST_PANELS}); choose variables or depths"
        )
    return panels


def _sheet(count: int, height: float, *, strip: bool) -> tuple[Figure, list[tuple[Axes, Axes]]]:
    """A figure of so many panels, each with a low one below it if there is a strip."""
    columns = min(count, 4 if count == 4 else 3)
    rows = -(-count // columns)
    tall = height + (1.0 if strip else 0)
    figure = style.sheet(max(3.9 * columns + 0.4, 5.4), tall * rows + 1.2)
    ratios = [height, 0.9] * rows if strip else [1] * rows
    grid = figure.subplots(len(ratios), columns, squeeze=False, height_ratios=ratios)
    step = 2 if strip else 1
    pairs = [
        (grid[step * row, column], grid[step * row + step - 1, column])
        for row in range(rows)
        for column in range(columns)
    ]
    for top, below in pairs[count:]:
        top.remove()
        if strip:
            below.remove()
    return figure, pairs[:count]


def _reliability(top: Axes, below: Axes, panel: xr.DataArray, shares: xr.DataArray, models: list[str]) -> None:
    said = panel["probability"].values.astype(float)
    looks = style.lines_of(models)
    top.plot([0, 1], [0, 1], **PERFECT)
    for number, model in enumerate(models):
        happened, share = curve(panel, model), curve(shares, model)
        look: dict[str, Any] = {"marker": "o", "markersize": 5} | looks[model]
        there = np.isfinite(happened) & (share > 0)  # few members leave some probabilities out
        if number == 0 and there.any():  # the truth's own frequency is the same for all
            top.axhline(float((happened[there] * share[there]).sum() / share[there].sum()), **BASE)
        top.plot(said[there], happened[there], label=words.model_text(model), **look)
        below.plot(said[there], share[there], **look | {"markersize": 3})
    top.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), ylabel="Frequency in the truth")
    below.set(xlim=(-0.02, 1.02), yscale="log", xlabel="Forecast probability", ylabel="Share")
    below.set_ylim(max(below.get_ylim()[0], RAREST), 2)
    below.yaxis.set_major_locator(FixedLocator([0.0001, 0.01, 1]))
    below.yaxis.set_minor_locator(NullLocator())
    below.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    top.xaxis.set_major_locator(MultipleLocator(0.2))
    top.yaxis.set_major_locator(MultipleLocator(0.2))
    below.xaxis.set_major_locator(MultipleLocator(0.2))
    top.tick_params(labelbottom=False)
    style.tidy(top, grid=True, frame=False)
    style.tidy(below, grid=True, frame=False)


def _ranks(ax: Axes, panel: xr.DataArray, models: list[str]) -> None:
    ranks = panel["rank"].values.astype(float)
    looks = style.lines_of(models)
    wide = 0.86 / len(models)
    for number, model in enumerate(models):
        shares = curve(panel, model)
        place = ranks + wide * (number - (len(models) - 1) / 2)
        ax.bar(place, shares / shares.sum(), wide, color=looks[model]["color"], label=words.model_text(model))
    ax.axhline(1 / ranks.size, **BASE | {"zorder": 3})
    of = "observations" if "observation" in str(panel.attrs.get("long_name", "")) else "cells"
    whose = "observation" if of == "observations" else "truth"
    ax.set(xlabel=f"Rank of the {whose} among the members", ylabel=f"Share of {of}")
    ax.set_xlim(ranks[0] - 0.6, ranks[-1] + 0.6)
    ax.xaxis.set_major_locator(MultipleLocator(max(1, ranks.size // 8)))
    style.tidy(ax, grid=True, frame=False)


def _title(figure: Figure, at: xr.Dataset, title: str | None) -> None:
    """The title and the lead, as far as they are known."""
    lead = f"After {words.lead_text(at['lead_time'].values)}" if "lead_time" in at.coords else ""
    said = lead if title is None else ", ".join(filter(None, (title, lead[:1].lower() + lead[1:])))
    if said:
        figure.suptitle(said, x=0.01, ha="left")
