"""How well forecasts tell marine heatwaves: scores against lead, by category."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..vocabulary.errors import InputError, unknown
from . import style, words
from .curves import METRICS, MOST_PANELS, SHARES, band_of, chosen_models, draw_curve, legend_of, shade_entry

DRAWN = (
    "hit_rate", "false_alarm_ratio", "csi", "sedi", "hss", "brier", "brier_fair", "brier_skill", "frequency_bias",
    "base_rate", "forecast_rate",
)  # fmt: skip
FIRST = ("hit_rate", "false_alarm_ratio", "csi")


@style.look()
def heatwave_skill(
    skill: xr.Dataset,
    metrics: str | Sequence[str] | None = None,
    models: Sequence[str] | None = None,
    *,
    title: str | None = None,
) -> Figure:
    """A figure of skill in marine heatwaves against lead time: a row for each metric, a column for each category.

    Parameters
    ----------
    skill
        Of `oceanx.heatwaves.skill`: `hit_rate`, `false_alarm_ratio`, `csi`, `sedi`, `hss`, `brier` on `lead_time` and,
        where there are several, `model` and `category`; with `<metric>_low` and `<metric>_high` the confidence between
        them is shaded.
    metrics
        Which to draw; the hit rate, the false-alarm ratio and the critical success index without.
    models
        Which to draw, in this order; all without.

    Raises
    ------
    InputError
        For a metric or model that is not there, for other dimensions, and for more than 24 panels.
    """
    asked = _asked(skill, metrics)
    shown = chosen_models(skill, models, asked)
    categories = list(range(skill.sizes["category"])) if "category" in skill.dims else [None]
    if len(asked) * len(categories) > MOST_PANELS:
        raise InputError(f"{len(asked) * len(categories)} panels are too many to read (at most {MOST_PANELS})")
    figure = style.sheet(max(3.4 * len(categories) + 0.6, 6.4), 2.6 * len(asked) + 1.2)
    grid = figure.subplots(len(asked), len(categories), squeeze=False, sharex=True, sharey="row")
    bands = False
    for row, metric in zip(grid, asked, strict=True):
        for ax, place in zip(row, categories, strict=True):
            panel = skill[metric] if place is None else skill[metric].isel(category=place)
            bands |= _panel(ax, skill, panel, shown)
        row[0].set_ylabel(METRICS[metric])
    for ax, place in zip(grid[0], categories, strict=True):
        ax.set_title("" if place is None else words.category_text(skill[asked[0]].isel(category=place)), loc="left")
    for ax in grid[-1]:
        ax.set_xlabel("Lead time (days)")
    legend_of(figure, grid[0, 0], shade_entry(skill) if bands else None)
    if title is not None:
        figure.suptitle(title, x=0.01, ha="left")
    return figure


def _asked(skill: xr.Dataset, metrics: str | Sequence[str] | None) -> list[str]:
    """The metrics to draw, each of which is there."""
    if not isinstance(skill, xr.Dataset):
        raise InputError(f"skill: expected a Dataset, found {type(skill).__name__}")
    known = [name for name in DRAWN if name in skill]
    if not known:
        raise InputError(f"skill: none of {', '.join(DRAWN)} in it; give the skill of heatwaves")
    asked = [metrics] if isinstance(metrics, str) else list(metrics or [m for m in FIRST if m in known] or known)
    for metric in asked:
        if metric not in known:
            raise unknown("metric", metric, known)
        other = [str(d) for d in skill[metric].dims if d not in ("model", "lead_time", "category")]
        if other or "lead_time" not in skill[metric].dims:
            found = " × ".join(map(str, skill[metric].dims))
            raise InputError(
                f"{metric}: is drawn on model × lead_time × category, found {found}; select the rest first"
            )
    return asked


def _panel(ax: Axes, skill: xr.Dataset, panel: xr.DataArray, models: list[str]) -> bool:
    """One metric of one category; whether it has a confidence."""
    leads, looks, band = words.days(panel["lead_time"]), style.lines_of(models), band_of(skill, panel)
    for model in models:
        draw_curve(ax, leads, panel, model, looks[model], band)
    if panel.name in SHARES and panel.name != "brier":
        ax.set_ylim(0, 1)
    elif not np.isfinite(panel.values).any() or float(panel.min()) >= 0:
        ax.set_ylim(bottom=0)
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    style.tidy(ax, grid=True, frame=False)
    return band is not None
