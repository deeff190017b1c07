"""Whether an assimilation is consistent: departures in time, and the errors that they show beside those stated."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from ..vocabulary.errors import InputError, unknown
from . import style, words
from .curves import MOST_PANELS, chosen_variables, legend_of, score_units, variable_text

BACKGROUND, ANALYSIS, OTHER = style.PALETTE[0], style.PALETTE[1], style.PALETTE[2]
SERIES = {  # role, diagnostic: how it is drawn
    ("used", "ob_rms"): {"label": "O−B, root mean square", "color": BACKGROUND, "linewidth": 1.8},
    ("used", "oa_rms"): {"label": "O−A, root mean square", "color": ANALYSIS, "linewidth": 1.8},
    ("withheld", "oa_rms"): {"label": "O−A, not used", "color": OTHER, "linewidth": 1.8},
    ("used", "ob_mean"): {"label": "O−B, mean", "color": BACKGROUND, "linewidth": 1.3, "linestyle": "--"},
    ("used", "oa_mean"): {"label": "O−A, mean", "color": ANALYSIS, "linewidth": 1.3, "linestyle": "--"},
}
REFUSED = "count of those refused"
SIGMAS = {"sigma_o": ("σo", BACKGROUND), "sigma_b": ("σb", ANALYSIS)}


@style.look()
def innovations(
    diagnostics: xr.Dataset, variable: str | Sequence[str] | None = None, *, title: str | None = None
) -> Figure:
    """A figure of departures in time: a panel for each variable, its counts below it, and at the foot χ² of windows.

    Root mean squares of observation less background (O−B) and less analysis (O−A) are full lines, means dashed; that of
    observations that were not used is drawn beside them. χ² per observation is 1 where the statistics are true: the
    shade is where it then lies nineteen times in twenty.

    Parameters
    ----------
    diagnostics
        Of `ox.innovations` with `by=["variable", "window"]`, or `windows="10D"`.
    variable
        One or more to draw; all without.

    Raises
    ------
    InputError
        If they are not by window, for a variable that is not there, and for more than 24 panels.
    """
    names = chosen_variables(diagnostics, variable, "oa_rms")
    if "window" not in diagnostics.dims or diagnostics.sizes["window"] < 2:
        raise InputError(
            "innovations: is drawn over windows; diagnose with windows='10D', or by=['variable', 'window']"
        )
    panels = [panel for name in names for panel in _pieces(diagnostics, name, ("platform", "depth_band"))]
    if len(panels) > MOST_PANELS:
        raise InputError(f"{len(panels)} panels are too many to read (at most {MOST_PANELS}); select some first")
    chi = [name for name in ("chi_squared",) if name in diagnostics and "window" in diagnostics[name].dims]
    figure = style.sheet(9.0, 2.9 * len(panels) + 1.7 * len(chi) + 0.8)
    ratios = [2.2, 0.7] * len(panels) + [1.5] * len(chi)
    grid = figure.subplots(len(ratios), 1, squeeze=False, sharex=True, height_ratios=ratios)[:, 0]
    times = words.dates(diagnostics["window"])
    wide = float(np.diff(times).min())
    for place, (piece, name) in enumerate(panels):
        _series(grid[2 * place], piece, name, times)
        _counts(grid[2 * place + 1], piece, name, times, wide)
    if chi:
        _chi(grid[-1], diagnostics, times)
    words.date_axis(grid[-1].xaxis)
    _legend(figure, grid[: 2 * len(panels)])
    if title is not None:
        figure.suptitle(title, x=0.01, ha="left")
    return figure


@style.look()
def consistency(
    diagnostics: xr.Dataset, variable: str | Sequence[str] | None = None, *, title: str | None = None
) -> Figure:
    """A figure of errors as the departures show them (full marks) beside those that the analysis took (open marks).

    A panel for each variable, a row for each platform or band of depth, or both; bars are two standard deviations of
    the sampling error. Where full and open marks of a colour agree, the statistics are consistent.

    Parameters
    ----------
    diagnostics
        Of `ox.innovations`, by `platform`, `depth_band`, both or neither.
    variable
        One or more to draw; all without.

    Raises
    ------
    InputError
        If they are by window, say nothing of the observations used, or for a variable that is not there.
    """
    names = chosen_variables(diagnostics, variable, "sigma_o")
    if "used" not in diagnostics["role"].values:
        raise InputError("consistency: needs the observations that were used; diagnose with the assimilated table")
    if "window" in diagnostics.dims:
        raise InputError("consistency: found windows; select one first, as .isel(window=0), or diagnose without")
    at = diagnostics.sel(role="used")
    rows = [_rows(at, name) for name in names]
    if len(names) > MOST_PANELS:
        raise InputError(f"{len(names)} panels are too many to read (at most {MOST_PANELS}); choose variables")
    columns = 2 if len(names) == 4 else min(3, len(names))
    lines = -(-len(names) // columns)
    tall = max(1.6, 0.42 * max(map(len, rows)) + 1.1)
    figure = style.sheet(max(4.3 * columns + 1.0, 6.4), tall * lines + 0.9)
    grid = figure.subplots(lines, columns, squeeze=False)
    for place, ax in enumerate(grid.flat):
        if place >= len(names):
            ax.remove()
        else:
            _sigmas(ax, at, names[place], rows[place])
    marks: dict[str, Any] = {"markersize": 7, "linestyle": "none", "color": "#555555", "marker": "o"}
    legend_of(figure, grid.flat[0], {
        "as stated": Line2D([], [], markerfacecolor="white", **marks),
    })  # fmt: skip
    if title is not None:
        figure.suptitle(title, x=0.01, ha="left")
    return figure


def _pieces(ds: xr.Dataset, name: str, dims: Sequence[str]) -> list[tuple[xr.Dataset, str]]:
    """The Dataset at each platform and band of depth at which the variable was observed."""
    pieces = [ds]
    for dim in (d for d in dims if d in ds[f"{name}_count"].dims):
        pieces = [piece.isel({dim: place}) for piece in pieces for place in range(piece.sizes[dim])]
    return [(piece, name) for piece in pieces if int(piece[f"{name}_count"].sum())]


def _series(ax: Axes, ds: xr.Dataset, name: str, times: np.ndarray) -> None:
    roles = [str(role) for role in ds["role"].values]
    for (role, kind), look in SERIES.items():
        score = ds.get(f"{name}_{kind}")
        if role in roles and score is not None and score.sel(role=role).notnull().any():
            spot: dict[str, Any] = {"marker": "o", "markersize": 3.5} if times.size < 25 else {}
            ax.plot(times, score.sel(role=role).values, **spot | look)
    ax.axhline(0, color="#777777", linewidth=0.8, zorder=1)
    where = [str(ds[dim].item()) for dim in ("platform", "depth_band") if dim in ds.coords and not ds[dim].ndim]
    ax.set_title(", ".join([variable_text(ds[f"{name}_oa_rms"], name).split(",")[0], *where]), loc="left")
    ax.set_ylabel(words.with_units("Departure", score_units(ds[f"{name}_oa_rms"], name, "rmse")))
    style.tidy(ax, grid=True, frame=False)


def _counts(ax: Axes, ds: xr.Dataset, name: str, times: np.ndarray, wide: float) -> None:
    """How many were used, and on top of these how many were refused."""
    count = ds[f"{name}_count"]
    role = "used" if "used" in count["role"].values else str(count["role"].values[0])
    used = count.sel(role=role).values
    bars: dict[str, Any] = {"width": wide * (1.0 if times.size > 60 else 0.85), "align": "center"}
    ax.bar(times, used, color="#9a9a9a", **bars)
    if f"{name}_rejected" in ds:
        refused = ds[f"{name}_rejected"].sel(role=role).sum("test").values
        if refused.any():
            ax.bar(times, refused, bottom=used, color=style.PALETTE[3], label=REFUSED, **bars)
    ax.set_ylabel("Count")
    ax.yaxis.set_major_locator(MaxNLocator(2, integer=True))
    style.tidy(ax, grid=True, frame=False)


def _chi(ax: Axes, ds: xr.Dataset, times: np.ndarray) -> None:
    half = 1.96 * ds["chi_squared_error"].values
    ax.fill_between(times, 1 - half, 1 + half, color="#777777", alpha=0.25, linewidth=0)
    ax.axhline(1, color="#777777", linewidth=0.8)
    spot: dict[str, Any] = {"marker": "o", "markersize": 3.5} if times.size < 25 else {}
    ax.plot(times, ds["chi_squared"].values, color="#1a1a1a", linewidth=1.6, **spot)
    ax.set_title("All observations of a window", loc="left")
    ax.set_ylabel("χ² / p")
    style.tidy(ax, grid=True, frame=False)


def _legend(figure: Figure, axes: Iterable[Axes]) -> None:
    """One legend of all that some panel has."""
    found: dict[str, Any] = {}
    for ax in axes:
        handles, labels = ax.get_legend_handles_labels()
        found |= dict(zip(labels, handles, strict=True))
    own = [*(str(look["label"]) for look in SERIES.values()), REFUSED]
    ordered = [label for label in own if label in found]
    figure.legend(
        [found[label] for label in ordered], ordered, loc="outside lower center", ncols=3, frameon=False,
        handlelength=2.6,
    )  # fmt: skip


def _rows(ds: xr.Dataset, name: str) -> list[tuple[str, dict[str, int]]]:
    """The cells at which the variable was used, each with its name."""
    dims: list[str] = [dim for dim in ("platform", "depth_band") if dim in ds[f"{name}_count"].dims]
    count = ds[f"{name}_count"].transpose(*dims)
    found = []
    for at in np.argwhere(np.atleast_1d(count.values) > 0).tolist():
        chosen = dict(zip(dims, at, strict=False))
        labels = [words.model_text(str(ds[dim].values[place])) for dim, place in chosen.items()]
        found.append((", ".join(labels) or "all", chosen))
    if not found:
        raise unknown("variable with observations used", name, ())
    return found


def _sigmas(ax: Axes, ds: xr.Dataset, name: str, rows: list[tuple[str, dict[str, int]]]) -> None:
    places = np.arange(len(rows), dtype=float)
    for number, (kind, (said, colour)) in enumerate(SIGMAS.items()):
        told = [[float(ds[f"{name}_{kind}{end}"].isel(at)) for _, at in rows] for end in ("", "_error", "_stated")]
        diagnosed, error, stated = map(np.array, told)
        y = places + 0.24 * (number - 0.5)
        bar = np.where(np.isfinite(error), 2 * error, 0.0)
        look: dict[str, Any] = {"color": colour, "marker": "o", "linestyle": "none", "markersize": 6.5}
        ax.errorbar(diagnosed, y, xerr=bar, label=f"{said} diagnosed", elinewidth=1.6, **look)
        ax.plot(stated, y, **look | {"markerfacecolor": "white", "markersize": 7, "zorder": 1.9})
    ax.set_yticks(places, [label for label, _ in rows])
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_xlim(left=0)
    ax.set_title(variable_text(ds[f"{name}_sigma_o"], name).split(",")[0], loc="left")
    ax.set_xlabel(words.with_units("Standard deviation", score_units(ds[f"{name}_sigma_o"], name, "rmse")))
    style.tidy(ax, grid=True, frame=False)
