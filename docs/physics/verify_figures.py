"""Curves as small multiples, and figures as small files, for `verify.py`."""

from __future__ import annotations

import io
import math
import re
from itertools import cycle
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.ticker import FixedLocator, FuncFormatter, LogFormatter, MaxNLocator, NullFormatter, NullLocator
from matplotlib.transforms import ScaledTranslation
from PIL import Image
from verification.outcome import Curve

from oceanx.plot import style

DASHES: tuple[Any, ...] = ((0, (4, 2)), (0, (1.5, 1.5)), (0, (5, 1.5, 1, 1.5)), (0, (8, 3)))
DPI = 150
LARGEST = 100_000  # bytes
POWERS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@style.look()
def curves_of(curves: list[Curve]) -> Figure:
    """A figure with a panel for each curve, two or three beside one another."""
    columns = min(len(curves), 2 if len(curves) in (2, 4) else 3)
    rows = math.ceil(len(curves) / columns)
    figure = style.sheet(max(3.7 * columns, 5.2), 3.3 * rows)
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax, curve in zip(axes.flat, curves, strict=False):
        panel(ax, curve)
    for ax in axes.flat[len(curves) :]:
        ax.remove()
    for _ in range(3):  # what makes room for one legend may push a line under another
        move_legends(figure)
    return figure


def move_legends(figure: Figure) -> None:
    """Legends that lie on a line go below their panel, and the figure grows for them."""
    figure.draw_without_rendering()
    for ax in figure.axes:
        legend = ax.get_legend()
        if legend is None or not hides(legend, ax):
            continue
        labels = [text.get_text() for text in legend.get_texts()]
        columns = 1 if max(map(len, labels)) > 20 else 2
        below = ax.transAxes + ScaledTranslation(0, -0.5, figure.dpi_scale_trans)
        explain(ax, loc="upper center", bbox_to_anchor=(0.5, 0), bbox_transform=below, ncols=columns, columnspacing=1.2)
        figure.set_figheight(figure.get_figheight() + 0.15 * math.ceil(len(labels) / columns))


def panel(ax: Axes, curve: Curve) -> None:
    """One curve: what is exact dashed and black above what was measured."""
    exact = [label for label in curve.lines if label.startswith("exact")]
    # Exact lines that each go with a measured one are of one kind, and named once.
    ends = tuple(label.removeprefix("exact").strip(" ,") for label in exact)
    twins = all(any(label.endswith(end) for label in curve.lines if label not in exact) for end in ends)
    colours, dashes = cycle(style.PALETTE), cycle(DASHES)
    for label, (x, y) in curve.lines.items():
        if label in exact:
            name = label if not twins else "exact" if label == exact[-1] else None
            look = {"color": "black", "linestyle": DASHES[0] if twins else next(dashes), "linewidth": 1.3, "zorder": 4}
        else:
            name, look = label, {"color": next(colours), "linewidth": 2.2, "alpha": 0.85, "zorder": 3}
            look |= {"marker": "o", "markersize": 4.5} if len(x) <= 8 else {}
        ax.plot(np.asarray(x, float), np.asarray(y, float), label=raised(name) if name else None, **look)
    lines = math.ceil(len(curve.title) / 34)
    ax.set_title(fill(raised(curve.title), max(len(curve.title) // lines + 5, 24)), loc="left", fontsize=11)
    ax.set_xlabel("" if curve.x == "1" else raised(curve.x))
    ax.set_ylabel("" if curve.y == "1" else raised(curve.y))
    scale(ax, curve)
    style.tidy(ax, grid=True, frame=False)
    if len(curve.lines) > 1:
        explain(ax)


def explain(ax: Axes, **place: Any) -> None:
    """The legend, small."""
    look = {"fontsize": 8, "handlelength": 2.2, "labelspacing": 0.3, "borderpad": 0.3, "framealpha": 0.8}
    ax.legend(edgecolor="none", **look, **place)


def hides(legend: Legend, ax: Axes) -> bool:
    """Whether a legend lies on a line."""
    box = legend.get_window_extent()
    for line in ax.get_lines():
        points = ax.transData.transform(line.get_xydata())
        points = points[np.isfinite(points).all(1)]
        steps = np.linspace(0, 1, 50)[:, None, None]
        between = (points[:-1] * (1 - steps) + points[1:] * steps).reshape(-1, 2)
        if ((between > (box.x0, box.y0)) & (between < (box.x1, box.y1))).all(1).any():
            return True
    return False


def raised(text: str) -> str:
    """Powers of units raised: m s⁻¹ for m s-1."""
    return re.sub(r"\b(?:([ck]?m)([23])|(K|k?g|h|m|s)(-\d))\b", raise_power, text)


def raise_power(unit: re.Match[str]) -> str:
    name, power = (part for part in unit.groups() if part)
    return name + power.translate(POWERS)


def scale(ax: Axes, curve: Curve) -> None:
    """Logarithms where the curve asks for them; depths grow downwards; numbers that fit."""
    x = np.unique(np.concatenate([np.asarray(x, float) for x, _ in curve.lines.values()]))
    if curve.log:
        ax.set_yscale("log")
        if ax.get_ylim()[0] >= 0.01 and ax.get_ylim()[1] <= 1000:
            ax.yaxis.set_major_formatter(LogFormatter())
            ax.yaxis.set_minor_formatter(LogFormatter())
    if curve.log and geometric(x):
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(FixedLocator(list(x)))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_minor_formatter(NullFormatter())
    else:
        ax.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
        ax.ticklabel_format(axis="x", style="sci", scilimits=(-3, 5))
    if not curve.log:
        ax.ticklabel_format(axis="y", style="sci", scilimits=(-3, 5), useMathText=True)
    if curve.y.startswith("depth"):
        ax.invert_yaxis()


def geometric(x: np.ndarray) -> bool:
    """Whether each value is the one before times the same number."""
    if len(x) > 8 or x[0] <= 0:
        return False
    ratios = x[1:] / x[:-1]
    return bool(np.ptp(ratios) < 0.01 * ratios[0])


def short(value: float) -> str:
    """1/64 rather than 0.015625."""
    return f"1/{1 / value:.0f}" if value < 0.5 and abs(1 / value - round(1 / value)) < 1e-6 else f"{value:g}"


def save(figure: Figure, path: Path) -> None:
    """A PNG; in 256 colours, a quarter of the size, where it would be larger than a page should carry."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    picture = Image.open(buffer).convert("RGB")
    if buffer.tell() > LARGEST:
        picture = picture.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    picture.save(path, optimize=True, dpi=(DPI, DPI))
