"""Sections through the depth, Hovmöller diagrams and profiles."""

from __future__ import annotations

from typing import Any, Literal, cast

import numpy as np
import xarray as xr
from matplotlib.axis import Axis
from matplotlib.colors import Colormap
from matplotlib.figure import Figure

from ..vocabulary.errors import InputError
from . import cells, maps, style, words
from .colours import Kind, colormap, scale

TIMES = ("time", "init_time", "lead_time")
PLACES = ("longitude", "latitude", "distance", "depth")


@style.look()
def section(
    field: xr.DataArray,
    *,
    title: str | None = None,
    vmin: float | None = None,
    vmax: float | None = None,
    cmap: str | Colormap | None = None,
    kind: Kind | None = None,
) -> Figure:
    """A figure of one field on depth × latitude or depth × longitude, the surface on top and the sea floor in grey.

    Also on depth × distance, as `.oceanx.section(points=…)` gives. Layers reach half-way to their neighbours, the first
    from the surface. The sea floor is where the coordinate `mask` is 0, or, without one, where there is no value. Other
    arguments and errors as in `map`.
    """
    across = _one_of(field, ("longitude", "latitude", "distance"), "a section")
    words.expect(field, ("depth", across), "a section")
    field = field.transpose("depth", across).compute()
    given = field.coords.get("mask")
    wet = np.isfinite(field.values) if given is None else given.transpose("depth", across).values == 1
    grid = cells.Cells(cells.edges(field[across]), interfaces(field["depth"]), wet)
    water = field.copy(data=np.where(wet, field.values, np.nan))
    shades = scale(water, kind=kind, vmin=vmin, vmax=vmax, cmap=cmap)

    ax = style.sheet(8.6, 4.6).add_subplot()
    ax.set_facecolor(style.LAND)
    no_data = np.ma.masked_where(~(wet & ~np.isfinite(water.values)), np.zeros(wet.shape))
    ax.pcolormesh(grid.x, grid.y, no_data, cmap=maps.flat(style.NO_DATA))
    values = np.ma.masked_invalid(water.values)
    mesh = ax.pcolormesh(grid.x, grid.y, values, cmap=shades.cmap, norm=shades.norm)
    ax.add_collection(maps.shoreline(grid, gid="floor"))
    ax.set(xlim=(grid.x[0], grid.x[-1]), ylim=(grid.y[-1], 0), ylabel="Depth (m)")
    _axis(ax.xaxis, field[across])
    maps.bar(ax, mesh, shades, field)
    ax.set_title(title if title is not None else words.heading(field), loc="left")
    style.tidy(ax)
    return cast(Figure, ax.figure)


@style.look()
def hovmoller(
    field: xr.DataArray,
    *,
    title: str | None = None,
    vmin: float | None = None,
    vmax: float | None = None,
    cmap: str | Colormap | None = None,
    kind: Kind | None = None,
) -> Figure:
    """A figure of one field on time and one place: longitude to the right, or latitude, distance or depth upwards.

    The time is `time`, `init_time` or `lead_time`. Cells without a value are left grey. Other arguments and errors as
    in `map`.
    """
    time, place = _one_of(field, TIMES, "a Hovmöller diagram"), _one_of(field, PLACES, "a Hovmöller diagram")
    words.expect(field, (time, place), "a Hovmöller diagram")
    over, up = (place, time) if place == "longitude" else (time, place)
    field = field.transpose(up, over).compute()
    shades = scale(field, kind=kind, vmin=vmin, vmax=vmax, cmap=cmap)

    ax = style.sheet(*((6.4, 6.4) if place == "longitude" else (8.6, 4.6))).add_subplot()
    ax.set_facecolor(style.LAND)
    values = np.ma.masked_invalid(field.values.astype(float))
    x, y = _edges_of(field[over]), _edges_of(field[up])
    mesh = ax.pcolormesh(x, y, values, cmap=shades.cmap, norm=shades.norm)
    _axis(ax.xaxis, field[over])
    _axis(ax.yaxis, field[up])
    if place == "depth":
        ax.set_ylim(y[-1], 0)
    maps.bar(ax, mesh, shades, field)
    ax.set_title(title if title is not None else _over_time(field, time), loc="left")
    style.tidy(ax)
    return cast(Figure, ax.figure)


@style.look()
def profile(field: xr.DataArray, *, title: str | None = None) -> Figure:
    """A figure of values against depth, the surface on top; a line for each value of one more dimension, if any.

    Parameters
    ----------
    field
        Dimension `depth`, and at most one other such as `model`, `time` or `lead_time`, of up to 12 values.
    title
        In place of the name, place and date.

    Raises
    ------
    InputError
        For other dimensions or more lines than can be told apart.
    """
    others = [str(dim) for dim in getattr(field, "dims", ()) if dim != "depth"]
    words.expect(field, ("depth", *others[:1]), "a profile")
    field = field.compute()
    lines = {_said(piece, others[0]): piece for piece in _along(field, others[0])} if others else {"": field}
    if len(lines) > 12:
        raise InputError(f"{others[0]}: {len(lines)} lines are too many to tell apart; select 12 or fewer")
    figure = style.sheet(5.4, 6.0)
    ax = figure.add_subplot()
    looks = _in_order(list(lines)) if others and others[0] in TIMES else style.lines_of(list(lines))
    for name, piece in lines.items():
        ax.plot(piece.values, piece["depth"].values, label=words.model_text(name), **looks[name] | {"markersize": 3.5})
    ax.set(xlabel=words.label_of(field), ylabel="Depth (m)")
    ax.set_ylim(float(field["depth"].max()), 0)
    if others:
        figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    ax.set_title(title if title is not None else words.heading(field), loc="left")
    style.tidy(ax, grid=True, frame=False)
    return figure


def _in_order(names: list[str]) -> dict[str, dict[str, Any]]:
    """How lines look whose order matters: from pale to dark."""
    shades = colormap("dense")(np.linspace(0.25, 0.95, len(names)))
    return {name: {"color": shade, "linewidth": 2.2} for name, shade in zip(names, shades, strict=True)}


def interfaces(depth: xr.DataArray) -> np.ndarray:
    """Interfaces of layers in metres: the surface, half-way between levels, the last mirrored; one more than levels."""
    if depth.size < 2:
        raise InputError("depth: needs two or more levels")
    return np.concatenate([[0.0], cells.edges(depth)[1:]])


def _one_of(field: Any, choices: tuple[str, ...], what: str) -> str:
    """The one dimension of the field that is among the choices."""
    found = [dim for dim in choices if dim in getattr(field, "dims", ())]
    if not found:
        words.expect(field, choices[:1], what)
    return found[0]


def _edges_of(values: xr.DataArray) -> np.ndarray:
    """Edges of cells along any axis: days, dates, depths or degrees."""
    if values.name == "depth":
        return interfaces(values)
    return cells.edges(_numbers(values))


def _numbers(values: xr.DataArray) -> xr.DataArray:
    if values.name == "lead_time":
        return values.copy(data=words.days(values))
    return values.copy(data=words.dates(values)) if values.name in TIMES else values


def _axis(axis: Axis, values: xr.DataArray) -> None:
    """Ticks and a label for an axis of degrees, depths, leads or dates."""
    which: Literal["x", "y"] = "x" if values.name == "longitude" else "y"
    if values.name in ("longitude", "latitude"):
        words.degree_axis(axis, which, float(values.max() - values.min()), 6)
    elif values.name == "depth":
        axis.set_label_text("Depth (m)")
    elif values.name == "distance":
        axis.set_label_text("Distance (km)")
    elif values.name == "lead_time":
        axis.set_label_text("Lead time (days)")
    else:
        words.date_axis(axis)


def _over_time(field: xr.DataArray, time: str) -> str:
    """The title of a Hovmöller diagram: what and where; from when to when."""
    first = words.heading(field)
    if time == "lead_time":
        return first
    return f"{first}\n{words.date(field[time].values[0])} to {words.date(field[time].values[-1])}"


def _along(field: xr.DataArray, dim: str) -> list[xr.DataArray]:
    return [field.isel({dim: place}) for place in range(field.sizes[dim])]


def _said(piece: xr.DataArray, dim: str) -> str:
    """One value of a dimension, as a legend says it."""
    if dim not in piece.coords:
        raise InputError(f"the dimension {dim} has no coordinate to name its lines by")
    value = piece[dim].values[()]
    if dim == "lead_time":
        return words.lead_text(value)
    if dim in ("time", "init_time"):
        return words.date(value)
    return f"member {value}" if dim == "member" else str(value)
