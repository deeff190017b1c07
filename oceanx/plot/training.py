"""How a training went: loss, pace and learned coefficients by iteration, and errors on days it did not see."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, StrMethodFormatter

from ..vocabulary.errors import InputError
from ..vocabulary.names import ours, variable
from . import style, words

SMOOTH = 20  # iterations of the running median, at most a tenth of all
STAGE: dict[str, Any] = {"color": "#4a4a4a", "linewidth": 1.4, "linestyle": ":", "zorder": 3}


@style.look()
def losses(log: pd.DataFrame, *, title: str | None = None) -> Figure:
    """A figure of the loss of every iteration and its running median, beside the norm of the gradient.

    Dotted lines stand where the rollout grows, from which on the loss is of more steps.

    Parameters
    ----------
    log
        `iteration`, `loss`, `gradient_norm` and `rollout`, as in a run's log.csv.

    Raises
    ------
    InputError
        For a table without these columns or rows.
    """
    _expect(log, ("iteration", "loss", "gradient_norm", "rollout"), "log")
    figure = style.sheet(10.0, 4.0)
    for ax, (column, text) in zip(
        figure.subplots(1, 2), {"loss": "Loss", "gradient_norm": "Norm of the gradient"}.items(), strict=True
    ):
        _curve(ax, log, column, text)
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    if title is not None:
        figure.suptitle(title, x=0.01, ha="left")
    return figure


@style.look()
def coefficients(log: pd.DataFrame, names: list[str], *, title: str | None = None) -> Figure:
    """A figure of learned coefficients by iteration, a panel each, in SI units.

    Raises
    ------
    InputError
        For a coefficient that the log does not have.
    """
    _expect(log, ("iteration", *names), "log")
    columns = min(len(names), 3)
    rows = math.ceil(len(names) / columns)
    figure = style.sheet(max(3.6 * columns + 0.4, 5.0), 2.7 * rows + 0.5)
    grid = figure.subplots(rows, columns, squeeze=False)
    for ax in list(grid.flat)[len(names) :]:
        ax.remove()
    for ax, name in zip(grid.flat, names, strict=False):
        ax.plot(log["iteration"], log[name], color=style.PALETTE[0], linewidth=2)
        text, _, unit = name.partition(" [")
        ax.set_title(words.capital(text.replace("_", " ").replace(".", ", ")), loc="left")
        ax.set_ylabel(words.pretty_units(unit.removesuffix("]")))
        ax.set_xlabel("Iteration")
        ax.ticklabel_format(axis="y", style="sci", scilimits=(-3, 4), useMathText=True)
        _tidy(ax)
    if title is not None:
        figure.suptitle(title, x=0.01, ha="left")
    return figure


@style.look()
def validation(errors: pd.DataFrame, *, title: str | None = None) -> Figure:
    """A figure of errors on days not trained on: a panel for each variable's top level, a line for some leads.

    Parameters
    ----------
    errors
        `iteration`, `variable`, `depth`, `lead_days` and `rmse`, as in a run's validation.csv.

    Raises
    ------
    InputError
        For a table without these columns or rows.
    """
    _expect(errors, ("iteration", "variable", "depth", "lead_days", "rmse"), "validation")
    names = list(dict.fromkeys(errors["variable"]))
    leads = np.unique(errors["lead_days"])
    shown = leads[np.unique(np.linspace(0, leads.size - 1, 3).round().astype(int))]
    columns = min(len(names), 3)
    rows = math.ceil(len(names) / columns)
    figure = style.sheet(max(3.6 * columns + 0.4, 5.0), 2.8 * rows + 0.9)
    grid = figure.subplots(rows, columns, squeeze=False)
    for ax in list(grid.flat)[len(names) :]:
        ax.remove()
    for ax, name in zip(grid.flat, names, strict=False):
        own = errors[errors["variable"] == name]
        top = own[own["depth"] == own["depth"].min()] if own["depth"].notna().any() else own
        for place, lead in enumerate(shown):
            line = top[top["lead_days"] == lead]
            look = style.line_of("", place)
            ax.plot(line["iteration"], line["rmse"], label=words.lead_text(pd.Timedelta(lead, "D").to_numpy()), **look)
        depth = f", {words.depth_text(top['depth'].iloc[0])}" if own["depth"].notna().any() else ""
        known = ours(str(name))
        ax.set_title((variable(known).long_name if known else str(name)) + depth, loc="left")
        ax.set_ylabel(words.with_units("RMSE", words.pretty_units(variable(known).units) if known else ""))
        ax.set_xlabel("Iteration")
        _tidy(ax)
    figure.legend(*grid.flat[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    if title is not None:
        figure.suptitle(title, x=0.01, ha="left")
    return figure


def _curve(ax: Axes, log: pd.DataFrame, column: str, text: str) -> None:
    """Each iteration pale, their running median strong, on a logarithmic axis where they range widely."""
    values = log[column].astype(float)
    window = max(1, min(SMOOTH, len(log) // 10))
    plain: dict[str, Any] = {"marker": "o"} if len(log) == 1 else {}
    ax.plot(log["iteration"], values, color="#b9cddb", linewidth=1.0, label="every iteration", **plain)
    if window > 1:
        median = values.rolling(window, center=True, min_periods=1).median()
        ax.plot(log["iteration"], median, color=style.PALETTE[0], linewidth=2.2, label=f"median of {window}")
    grown = log["iteration"][log["rollout"].diff() > 0]
    for number, iteration in enumerate(grown):
        ax.axvline(iteration, **STAGE, label="longer rollout" if number == 0 else None)
    if (values > 0).all() and values.max() / values.min() > 4:
        ax.set_yscale("log")
        subs = (1, 2, 5) if values.max() / values.min() < 1e3 else (1,)
        ax.yaxis.set_major_locator(LogLocator(subs=subs))
        ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        ax.yaxis.set_minor_locator(NullLocator())
    ax.set(xlabel="Iteration", ylabel=text)
    _tidy(ax)


def _tidy(ax: Axes) -> None:
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
    style.tidy(ax, grid=True, frame=False)


def _expect(table: pd.DataFrame, columns: tuple[str, ...], what: str) -> None:
    """Refuse a table that lacks a column, or has no row."""
    lacking = [column for column in columns if column not in table]
    if lacking:
        raise InputError(f"{what}: no column {', '.join(lacking)}; found {', '.join(map(str, table.columns))}")
    if not len(table):
        raise InputError(f"{what}: has no row yet; train first")
