"""The look of every figure: sizes, inks, and a Figure that needs no pyplot."""

from __future__ import annotations

import io
from typing import Any, Literal

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

DPI = 130
LAND = "#c9c6c1"
COAST = "#4d4a46"
NO_DATA = "#f3eee2"  # wet, but nothing was given there
FAINT = "#d9d9d9"

# Colours that stay apart for the colour-blind, the lightest left out.
# Okabe, M. and Ito, K. (2008), Color universal design.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
MARKERS = ("o", "s", "^", "D", "v", "P")

# References stand back in grey, told apart by their dashes; the limit of predictability is black.
REFERENCES: dict[str, dict[str, Any]] = {
    "persistence": {"color": "#4a4a4a", "linestyle": "-"},
    "anomaly_persistence": {"color": "#4a4a4a", "linestyle": (0, (7, 2))},
    "damped_persistence": {"color": "#8c8c8c", "linestyle": "-."},
    "climatology": {"color": "#8c8c8c", "linestyle": ":"},
}
ORACLE = "oracle"

# The sizes in points. Ticks are made as late as at drawing, so `tidy` gives them their size once more.
TICK = 10
LOOK: Any = {
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.labelsize": 11,
    "xtick.labelsize": TICK,
    "ytick.labelsize": TICK,
    "legend.fontsize": 10,
    "figure.titlesize": 13,
    "axes.linewidth": 0.8,
    "axes.titlepad": 8,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "text.color": "#1a1a1a",
    "axes.labelcolor": "#1a1a1a",
    "xtick.color": "#333333",
    "ytick.color": "#333333",
    "axes.edgecolor": "#555555",
}


class Sheet(Figure):
    """A Figure that shows itself in a notebook, though pyplot knows nothing of it."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png")
        return buffer.getvalue()


def look() -> Any:
    """A decorator (or context) in which figures are made with our sizes, whatever the user's settings."""
    return rc_context(LOOK)


def sheet(width: float, height: float, layout: Literal["constrained", "compressed"] | None = "constrained") -> Sheet:
    """An empty figure of this size in inches, its parts kept from overlapping if it has a `layout`."""
    figure = Sheet(figsize=(width, height), dpi=DPI, layout=layout)
    engine: Any = figure.get_layout_engine()
    if engine is not None:
        engine.set(w_pad=0.1, h_pad=0.06)
    return figure


def tidy(axes: Axes, *, grid: bool = False, frame: bool = True) -> None:
    """Fix the size of the ticks; draw a faint grid, or take the frame's upper and right sides away."""
    axes.tick_params(labelsize=TICK, color="#555555")
    if grid:
        axes.grid(True, color=FAINT, linewidth=0.7)
        axes.set_axisbelow(True)
    if not frame:
        axes.spines[["top", "right"]].set_visible(False)


def line_of(model: str, place: int) -> dict[str, Any]:
    """How a model's curve is drawn: the oracle black and dashed, references grey, others from the palette."""
    if model.startswith(ORACLE):
        dashes: Any = "--" if model == ORACLE else (0, (6, 2, 1, 2))
        return {"color": "black", "linestyle": dashes, "linewidth": 1.8, "zorder": 2.5}
    if model in REFERENCES:
        return REFERENCES[model] | {"linewidth": 1.8, "zorder": 2}
    turn, colour = divmod(place, len(PALETTE))
    return {
        "color": PALETTE[colour],
        "linestyle": ("-", "--", ":")[turn % 3],
        "marker": MARKERS[colour],
        "markersize": 5,
        "linewidth": 2.2,
        "zorder": 3,
    }


def lines_of(models: list[str]) -> dict[str, dict[str, Any]]:
    """`line_of` for each model, colours given out in order to those that are neither oracle nor reference."""
    own = [model for model in models if not model.startswith(ORACLE) and model not in REFERENCES]
    return {model: line_of(model, own.index(model) if model in own else 0) for model in models}
