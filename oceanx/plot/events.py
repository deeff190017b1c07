"""Marine heatwaves in pictures: a series against its threshold, and the categories of its strongest day on a map.

References
----------
Hobday, A. J. et al. (2018), Categorizing and naming marine heatwaves, Oceanography 31(2), doi:10.5670/oceanog.2018.205.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from ..vocabulary.errors import InputError
from . import cells as grid
from . import maps, style, words
from .colours import Scale

CATEGORIES = {"Moderate": "#ffc866", "Strong": "#ff6900", "Severe": "#9e0000", "Extreme": "#2d0000"}
COLD = {"Moderate": "#9bd3f5", "Strong": "#2f8fd8", "Severe": "#0b4aa2", "Extreme": "#041a4a"}
NONE = "#e4ebf0"  # water without an event
DETECTED = ("temperature", "climatology", "threshold")
AROUND = np.timedelta64(45, "D")  # shown before and after the strongest event


class Limits(NamedTuple):
    """A series with its climatology and threshold, on the same days."""

    series: xr.DataArray
    climatology: xr.DataArray
    threshold: xr.DataArray

    @property
    def colours(self) -> dict[str, str]:
        """The categories' colours: those of heat, or of cold where the threshold lies below the climatology."""
        return CATEGORIES if self.side > 0 else COLD

    @property
    def side(self) -> int:
        """1 for a threshold above the climatology, -1 for one below."""
        return 1 if float((self.threshold - self.climatology).mean()) >= 0 else -1


@style.look()
def heatwave(
    series: xr.DataArray | xr.Dataset,
    climatology: xr.DataArray | None = None,
    threshold: xr.DataArray | None = None,
    *,
    latitude: float | None = None,
    longitude: float | None = None,
    time: slice | None = None,
    forecasts: Mapping[str, xr.DataArray] | None = None,
    name: str | None = None,
    title: str | None = None,
) -> Figure:
    """A figure of temperature at one point with its climatology and threshold, shaded where it is above.

    The shade tells the category: n times the threshold's height above the climatology, n = 1 moderate, 2 strong,
    3 severe, 4 extreme (Hobday et al. 2018). It marks every day above; whether they last long enough to be an event is
    for `oceanx.heatwaves` to say. Given what that detected on a grid, a map beside the series has the categories on the
    day of the peak, a ring where the series is from. Cold spells, below a threshold below the climatology, are blue.

    Parameters
    ----------
    series
        Dimension `time` alone; or the Dataset of `oceanx.heatwaves.detect`, which has the next two too.
    climatology, threshold
        On the same times as the series, in its unit.
    latitude, longitude
        Which cell of a Dataset, the nearest; that of its strongest event without (the one of the greatest intensity).
    time
        Which days of a Dataset; without it 45 days more than the event to either side.
    name
        What the series is called in the legend; "Truth" beside forecasts and "Temperature" alone without.
    forecasts
        Forecasts of the same point by name, on `lead_time` with `valid_time` (or `init_time`).
    title
        In place of the variable's name and place.

    Raises
    ------
    InputError
        For other dimensions, times or units that differ, or a Dataset without an event to find.
    """
    if isinstance(series, xr.Dataset):
        given, day, detected = _found(series, latitude, longitude, time)
    elif climatology is None or threshold is None:
        raise InputError("heatwave: needs a climatology and a threshold on the days of the series; give both")
    else:
        given, day, detected = Limits(series, climatology, threshold), None, None
    _check(given)
    categories = None if detected is None or day is None else _categories(detected, day)
    if categories is None:
        figure = style.sheet(9.5, 4.6)
        ax = figure.add_subplot()
    else:
        figure = style.sheet(13.0, 4.9)
        ax, beside = figure.subplots(1, 2, width_ratios=(1.75, 1))
        _map(beside, categories, given)
    _draw(ax, given, name or ("Truth" if forecasts else "Temperature"), forecasts or {})
    place = words.where(given.series)
    between = f"{words.date(given.series['time'].values[0])} to {words.date(given.series['time'].values[-1])}"
    said = "\n".join(text for text in (place and f"{words.title_of(given.series)}, {place}", between) if text)
    ax.set_title(title if title is not None else said, loc="left")
    shown = dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
    if categories is not None:
        strongest = int(np.nanmax(categories.values))
        more = dict(list(given.colours.items())[:strongest])
        shown = {label: Patch(color=colour) for label, colour in more.items()} | shown | {"No event": Patch(color=NONE)}
    figure.legend(
        shown.values(), shown, loc="outside lower center", ncols=5 if categories is None else 9, frameon=False
    )
    return figure


def _check(given: Limits) -> None:
    """Refuse series that are not of the same days and unit."""
    series = given.series
    for what, values in zip(Limits._fields, given, strict=True):
        words.expect(values, ("time",), "a heatwave series")
        if values.sizes["time"] != series.sizes["time"] or (values["time"].values != series["time"].values).any():
            raise InputError(f"{what}: its times are not those of the series; select the same days")
        if words.units_of(values) != words.units_of(series):
            raise InputError(f"{what}: in {words.units_of(values)!r}, the series in {words.units_of(series)!r}")


def _draw(ax: Axes, given: Limits, name: str, forecasts: Mapping[str, xr.DataArray]) -> None:
    """The series, its climatology and threshold, forecasts of it, and the shade of each category."""
    days = words.dates(given.series["time"])
    value, mean, limit = (values.values.astype(float) for values in given)
    for times, (category, colour) in enumerate(given.colours.items(), start=1):
        bound = mean + times * (limit - mean)
        beyond = given.side * (value - bound) > 0
        if beyond.any():
            ax.fill_between(
                days, bound, value, where=beyond.tolist(), interpolate=True, color=colour, label=category, linewidth=0
            )
    ax.plot(days, mean, color="#5a7d9a", linewidth=1.6, label="Climatology")
    ax.plot(days, limit, color="#1b7837", linewidth=1.6, linestyle="--", label="Threshold")
    ax.plot(days, value, color="black", linewidth=1.6, label=name)
    looks = style.lines_of(list(forecasts))
    for model, forecast in forecasts.items():
        ax.plot(*_forecast(model, forecast), label=words.model_text(model), **looks[model] | {"markersize": 3.5})
    ax.set_ylabel(words.label_of(given.series))
    ax.margins(x=0.01)
    words.date_axis(ax.xaxis)
    style.tidy(ax, grid=True, frame=False)


def _found(
    detected: xr.Dataset, latitude: float | None, longitude: float | None, time: slice | None
) -> tuple[Limits, Any, xr.Dataset]:
    """The series at a cell of what was detected, over some days; the day of its peak; and what was detected."""
    lacking = [name for name in (*DETECTED, "event") if name not in detected]
    if lacking:
        raise InputError(f"heatwave: no {', '.join(lacking)}; give what oceanx.heatwaves.detect returns")
    other = [d for d in detected["event"].dims if d not in ("time", *grid.PLANE)]
    if other:
        raise InputError(f"heatwave: select {' and '.join(map(str, other))} first")
    if time is not None:
        detected = detected.sel(time=time)
        if not detected.sizes["time"]:
            raise InputError(f"heatwave: no day from {time.start} to {time.stop}; choose others")
    asked = {"latitude": latitude, "longitude": longitude}
    flat = [dim for dim in grid.PLANE if dim in detected["event"].dims]
    if any(asked[dim] is not None for dim in flat):
        lacking = [dim for dim in flat if asked[dim] is None]
        if lacking:
            raise InputError(f"heatwave: give {lacking[0]} too, or neither for the strongest event")
        cell = detected.sel({dim: asked[dim] for dim in flat}, method="nearest")
    else:
        cell = detected.sel(_hottest(detected, flat))
    cell = cell[[*DETECTED, "event"]].load()
    anomaly = abs(cell["temperature"] - cell["climatology"])
    if not anomaly.notnull().any():
        raise InputError(f"heatwave: no temperature at {words.where(cell['event'])}; is it land? choose another place")
    during = anomaly.where(cell["event"] > 0)
    day = (during if during.notnull().any() else anomaly).idxmax("time").values[()]
    if time is None and during.notnull().any():
        lasting = cell["time"].values[cell["event"].values == int(cell["event"].sel(time=day))]
        cell = cell.sel(time=slice(lasting[0] - AROUND, lasting[-1] + AROUND))
    return Limits(*(cell[name] for name in DETECTED)), day, detected


def _hottest(detected: xr.Dataset, flat: list[str]) -> dict[Hashable, Any]:
    """The cell in which an event is furthest from the climatology."""
    anomaly = abs(detected["temperature"] - detected["climatology"]).where(detected["event"] > 0)
    most = anomaly.max("time").compute()
    if not most.notnull().any():
        raise InputError("heatwave: no event in these days; give latitude and longitude, or other days")
    return {dim: most[dim].values[int(at)] for dim, at in most.fillna(-1).argmax(flat).items()} if flat else {}


def _categories(detected: xr.Dataset, day: Any) -> xr.DataArray | None:
    """The categories of a day on the grid, NaN on land; None where there is no grid or no category."""
    if "category" not in detected or not set(grid.PLANE) <= set(detected["category"].dims):
        return None
    on = detected[["category", "temperature"]].sel(time=day).load()
    return on["category"].where(on["temperature"].notnull()).astype(float)


def _map(ax: Axes, categories: xr.DataArray, given: Limits) -> None:
    """The categories of one day, with a ring where the series is from."""
    cells = grid.cells_of(categories)
    colours = ListedColormap([NONE, *given.colours.values()])
    maps.draw(ax, categories, cells, Scale(colours, BoundaryNorm(np.arange(-0.5, 5), 5), "neither"), 3.6)
    at = (float(given.series["longitude"]), float(given.series["latitude"]))
    ax.plot(*at, "o", markersize=11, markerfacecolor="none", markeredgecolor="white", markeredgewidth=4, gid="halo")
    ax.plot(*at, "o", markersize=11, markerfacecolor="none", markeredgecolor="black", markeredgewidth=1.8, gid="here")
    ax.set_title(f"Category on {words.date(categories['time'].values[()])}", loc="left")


def _forecast(name: str, forecast: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    """Day numbers and values of one forecast."""
    words.expect(forecast, ("lead_time",), f"the forecast {name!r}")
    if "valid_time" in forecast.coords:
        return words.dates(forecast["valid_time"]), forecast.values.astype(float)
    if "init_time" in forecast.coords:
        return words.dates(forecast["init_time"] + forecast["lead_time"]), forecast.values.astype(float)
    raise InputError(f"forecast {name!r}: has neither valid_time nor init_time; keep them when selecting")
