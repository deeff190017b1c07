"""Marine heatwaves in pictures: a series against its threshold, and exceedances on a map.

References
----------
Hobday, A. J. et al. (2018), Categorizing and naming marine heatwaves, Oceanography 31(2), doi:10.5670/oceanog.2018.205.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axis import Axis
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from ..vocabulary.errors import InputError
from . import cells as grid
from . import maps, style, words
from .colours import Scale

CATEGORIES = {"Moderate": "#ffc866", "Strong": "#ff6900", "Severe": "#9e0000", "Extreme": "#2d0000"}
OUTCOMES = {"Neither": "#e4ebf0", "Hit": "#0072B2", "Miss": "#D55E00", "False alarm": "#F0C808"}


@style.look()
def heatwave(
    series: xr.DataArray,
    climatology: xr.DataArray,
    threshold: xr.DataArray,
    *,
    forecasts: Mapping[str, xr.DataArray] | None = None,
    name: str = "Truth",
    title: str | None = None,
) -> Figure:
    """A figure of temperature at one point with its climatology and threshold, shaded where it is above.

    The shade tells the category: n times the threshold's height above the climatology, n = 1 moderate, 2 strong,
    3 severe, 4 extreme (Hobday et al. 2018). It marks every day above; whether they last long enough to be an event is
    for `oceanx.heatwaves` to say.

    Parameters
    ----------
    series, climatology, threshold
        Dimension `time` alone, on the same times, in one unit.
    name
        What the series is called in the legend.
    forecasts
        Forecasts of the same point by name, on `lead_time` with `valid_time` (or `init_time`).
    title
        In place of the variable's name and place.

    Raises
    ------
    InputError
        For other dimensions, or times or units that differ.
    """
    for what, given in (("series", series), ("climatology", climatology), ("threshold", threshold)):
        words.expect(given, ("time",), "a heatwave series")
        if given.sizes["time"] != series.sizes["time"] or (given["time"].values != series["time"].values).any():
            raise InputError(f"{what}: its times are not those of the series; select the same days")
        if words.units_of(given) != words.units_of(series):
            raise InputError(f"{what}: in {words.units_of(given)!r}, the series in {words.units_of(series)!r}")
    days, value = dates(series["time"]), series.values.astype(float)
    mean, limit = climatology.values.astype(float), threshold.values.astype(float)

    figure = style.sheet(9.5, 4.6)
    ax = figure.add_subplot()
    for times, (category, colour) in enumerate(CATEGORIES.items(), start=1):
        lower = mean + times * (limit - mean)
        above = value > lower
        if above.any():
            ax.fill_between(
                days, lower, value, where=above.tolist(), interpolate=True, color=colour, label=category, linewidth=0
            )
    ax.plot(days, mean, color="#5a7d9a", linewidth=1.6, label="Climatology")
    ax.plot(days, limit, color="#1b7837", linewidth=1.6, linestyle="--", label="Threshold")
    ax.plot(days, value, color="black", linewidth=1.6, label=name)
    looks = style.lines_of(list(forecasts or {}))
    for model, forecast in (forecasts or {}).items():
        ax.plot(*_forecast(model, forecast), label=words.model_text(model), **looks[model] | {"markersize": 3.5})
    ax.set_ylabel(words.label_of(series))
    place = words.where(series)
    between = f"{words.date(series['time'].values[0])} to {words.date(series['time'].values[-1])}"
    above_both = "\n".join(text for text in (place and f"{words.title_of(series)}, {place}", between) if text)
    ax.set_title(title if title is not None else above_both, loc="left")
    ax.margins(x=0.01)
    date_axis(ax.xaxis)
    style.tidy(ax, grid=True, frame=False)
    figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False)
    return figure


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


def dates(time: xr.DataArray) -> np.ndarray:
    """Times as matplotlib's day numbers; only the standard calendar has dates that matplotlib knows."""
    if not np.issubdtype(time.dtype, np.datetime64):
        raise InputError(f"{time.name}: expected datetime64, found {time.dtype}; use convert_calendar('standard')")
    return np.asarray(date2num(time.values))


def date_axis(axis: Axis) -> None:
    """Give an axis of day numbers ticks that are dates."""
    axis.axes.xaxis_date() if axis.axis_name == "x" else axis.axes.yaxis_date()  # type: ignore[attr-defined]
    locator = AutoDateLocator(minticks=3, maxticks=9)
    axis.set_major_locator(locator)
    axis.set_major_formatter(ConciseDateFormatter(locator))


def _forecast(name: str, forecast: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    """Day numbers and values of one forecast."""
    words.expect(forecast, ("lead_time",), f"the forecast {name!r}")
    if "valid_time" in forecast.coords:
        return dates(forecast["valid_time"]), forecast.values.astype(float)
    if "init_time" in forecast.coords:
        return dates(forecast["init_time"] + forecast["lead_time"]), forecast.values.astype(float)
    raise InputError(f"forecast {name!r}: has neither valid_time nor init_time; keep them when selecting")
