"""Where a threshold is exceeded: hits, misses and false alarms on a map."""

from __future__ import annotations

from typing import cast

import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from ..vocabulary.errors import InputError
from . import cells as grid
from . import maps, style, words
from .colours import Scale

OUTCOMES = {"Neither": "#e4ebf0", "Hit": "#0072B2", "Miss": "#D55E00", "False alarm": "#F0C808"}


@style.look()
def exceedance(
    forecast: xr.DataArray,
    truth: xr.DataArray | None = None,
    *,
    mask: xr.DataArray | None = None,
    title: str | None = None,
) -> Figure:
    """A map of where a forecast exceeds a threshold: hits, misses and false alarms, or a number of days or a share.

    Parameters
    ----------
    forecast
        On `latitude` and `longitude`: with `truth` true (1) or false (0) for one day, alone also a number or a share.
    truth
        What happened, true or false; without it the forecast's own numbers are drawn.
    mask
        As in `map`; true and false have no NaN, so without a mask all their cells count as water.
    title
        In place of the name and date.

    Raises
    ------
    InputError
        For other dimensions, other grids, other days, or values between 0 and 1 where true or false is asked for.
    """
    words.expect(forecast, grid.PLANE, "a map of exceedances")
    if truth is None:
        share = words.units_of(forecast) == "" and float(forecast.max()) <= 1
        field = forecast.astype(float)
        return maps.map(field, mask=mask, title=title, vmin=0, vmax=1 if share else None, cmap="amp")
    words.expect(truth, grid.PLANE, "a map of exceedances")
    truth, forecast = truth.compute(), forecast.compute()
    grid.same_time(truth, forecast)
    cells = grid.cells_of(truth, mask)
    for dim in grid.PLANE:
        grid.same_axis(dim, truth, forecast, "truth", "forecast")
    happened, said = grid.on_water(truth, cells).values, grid.on_water(forecast, cells).values
    for name, values in (("truth", happened), ("forecast", said)):
        if not np.isin(values[np.isfinite(values)], (0, 1)).all():
            raise InputError(f"{name}: expected true or false in every cell; compare with the threshold first")
    outcome = np.where(said == 1, np.where(happened == 1, 1.0, 3.0), np.where(happened == 1, 2.0, 0.0))
    outcome[~np.isfinite(said + happened)] = np.nan

    field = truth.transpose(*grid.PLANE).copy(data=outcome)
    ax = maps.axes_for(cells, below=0.7)
    shades = Scale(ListedColormap(list(OUTCOMES.values())), BoundaryNorm(np.arange(-0.5, 4), 4), "neither")
    maps.draw(ax, field, cells, shades)
    shares = [grid.share(outcome == place, field) for place in range(len(OUTCOMES))]
    patches: list[Artist] = [
        Patch(facecolor=colour, edgecolor="#777777", linewidth=0.5, label=f"{name} {_percent(part)}")
        for (name, colour), part in zip(OUTCOMES.items(), shares, strict=True)
    ]
    ax.legend(
        handles=[*patches[1:], patches[0]],
        loc="upper left",
        bbox_to_anchor=(0, -0.4 / maps.inches(ax)[1]),  # inches below the axes
        ncols=2,
        frameon=False,
        borderpad=0,
        borderaxespad=0,
    )
    ax.set_title(title if title is not None else words.heading(forecast, "Threshold exceeded"), loc="left")
    return cast(Figure, ax.figure)


def _percent(part: float) -> str:
    """A share in percent, small ones with one decimal."""
    return f"{100 * part:.1f} %" if 0 < part < 0.0095 else f"{100 * part:.0f} %"
