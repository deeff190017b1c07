"""Maps on latitude × longitude, the coast drawn from the grid's own mask."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Colormap, ListedColormap
from matplotlib.figure import Figure
from matplotlib.image import PcolorImage
from matplotlib.ticker import FuncFormatter, MaxNLocator

from ..vocabulary.errors import InputError
from . import style, words
from .cells import PLANE, Cells, areas, cells_of, coast, on_water, same_axis, same_depth, same_time
from .colours import Kind, Scale, scale

MANY = 200_000  # cells, beyond which they are drawn as an image, each point of it in the colour of its cell
INCHES_A_LETTER = 0.088  # of a label, about


@style.look()
def map(
    field: xr.DataArray,
    *,
    ax: Axes | None = None,
    mask: xr.DataArray | None = None,
    title: str | None = None,
    vmin: float | None = None,
    vmax: float | None = None,
    cmap: str | Colormap | None = None,
    kind: Kind | None = None,
    projection: Any = None,
) -> Figure:
    """A figure with one field on latitude × longitude, its units, date and depth, and the coast of its own grid.

    Parameters
    ----------
    field
        Dimensions `latitude` and `longitude` alone.
    ax
        Axes to draw in; a figure of its own without.
    mask
        1 where wet, 0 on land, on the same grid (of a mask with depth, the field's level or else the top one); without
        it the field's own coordinate `mask`, and without that every cell that has no value counts as land.
    title
        In place of the two lines of name and date.
    vmin, vmax, cmap
        Range and colour map (a name of cmocean or matplotlib) in place of those that suit the variable.
    kind
        "error" for a range symmetric about zero, found by itself where the name says error, bias or anomaly.
    projection
        A cartopy projection, which needs `oceanx[plot]`.

    Raises
    ------
    InputError
        For other dimensions, for a mask of another grid, for a field without a finite value, for a missing cartopy.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> at = {"latitude": np.arange(40.0, 45), "longitude": np.arange(-20.0, -12)}
    >>> sst = xr.DataArray(np.ones((5, 8)), at, ("latitude", "longitude"), "sst", {"units": "degrees_C"})
    >>> map(sst).axes[0].get_title(loc="left")
    'Sea surface temperature'
    """
    field = _one(field)
    words.expect(field, PLANE, "a map")
    field = field.compute()  # once, if it is lazy
    cells = cells_of(field, mask)
    shades = scale(on_water(field, cells), kind=kind, vmin=vmin, vmax=vmax, cmap=cmap)
    title = words.heading(field) if title is None else title
    if ax is None:
        ax = axes_for(cells, lines=title.count("\n") + 1, projection=projection)
    mesh = draw(ax, field, cells, shades)
    bar(ax, mesh, shades, field)
    ax.set_title(title, loc="left")
    return cast(Figure, ax.figure)


@style.look()
def triptych(
    truth: xr.DataArray, forecast: xr.DataArray, *, mask: xr.DataArray | None = None, title: str | None = None
) -> Figure:
    """A figure with truth, forecast and their difference in a row, the first two on one scale.

    The difference carries its root mean square and its mean, weighted by area over the cells that have both.

    Parameters
    ----------
    truth, forecast
        Dimensions `latitude` and `longitude` alone, on one grid, in one unit and valid at one time.
    mask
        As in `map`; without it the truth's own.
    title
        In place of the variable's name and depth and the date of the forecast.

    Raises
    ------
    InputError
        For other dimensions, or for grids, units, depths or valid times that differ.
    """
    for field in (truth, forecast):
        words.expect(field, PLANE, "a triptych")
    truth, forecast = truth.transpose(*PLANE).compute(), forecast.transpose(*PLANE).compute()
    _same(truth, forecast)
    cells = cells_of(truth, mask)
    wet_truth, wet_forecast = on_water(truth, cells), on_water(forecast, cells)
    error = wet_forecast.copy(data=wet_forecast.values - wet_truth.values)
    both, apart = scale(wet_truth, wet_forecast), scale(error, kind="error")

    height = min(max(3.9 * cells.tallness, 1.7), 5.2)
    width = max(height / cells.tallness, 2.6)
    figure = style.sheet(3 * width + 1.2, height + 2.1, "compressed")
    cast(Any, figure.get_layout_engine()).set(wspace=0.06)
    axes = cast(np.ndarray, figure.subplots(1, 3, sharex=True, sharey=True))
    panels = zip(axes, (truth, forecast, error), (both, both, apart), strict=True)
    meshes = [draw(ax, field, cells, shades, height / cells.tallness) for ax, field, shades in panels]
    for ax, text in zip(axes, ("Truth", "Forecast", "Forecast − truth"), strict=True):
        ax.set_title(text, loc="left")
    units = words.units_of(truth)
    name = words.title_of(truth)
    below: dict[str, Any] = {"location": "bottom", "aspect": 40, "pad": 0.03}
    _label(figure.colorbar(meshes[1], ax=axes[:2], extend=both.extend, **below), name, units)
    bar_of_error = figure.colorbar(meshes[2], ax=axes[2], extend=apart.extend, **below | {"aspect": 20})
    _label(bar_of_error, "Difference", units, "\n" + _how_far(error, truth, units), ticks=4)
    labelled = forecast if words.when(forecast) else truth
    figure.suptitle(title if title is not None else words.heading(labelled, name), x=0.01, ha="left")
    return figure


def draw(ax: Axes, field: xr.DataArray, cells: Cells, shades: Scale, width: float | None = None) -> ScalarMappable:
    """Draw a field's cells, the land and the coast; return the cells, for a colour bar.

    The `width` in inches that the axes will have, where a layout has still to be made, says how many ticks fit.
    """
    globe = _plate_carree(ax)
    ax.set_facecolor("white" if globe else style.NO_DATA)
    if globe:  # beyond the grid there is paper
        ax.pcolormesh(cells.x, cells.y, np.zeros(cells.wet.shape), cmap=flat(style.NO_DATA), gid="no data", **globe)
    paint = ax.pcolorfast if cells.wet.size > MANY and not globe else ax.pcolormesh
    values = np.ma.masked_invalid(on_water(field, cells).values)
    mesh = cast(ScalarMappable, paint(cells.x, cells.y, values, cmap=shades.cmap, norm=shades.norm, **globe))
    land = np.ma.masked_where(cells.wet, np.zeros(cells.wet.shape))
    paint(cells.x, cells.y, land, cmap=flat(style.LAND), gid="land", **globe)
    shore = {"transform": globe["transform"]._as_mpl_transform(ax)} if globe else {}
    ax.add_collection(shoreline(cells, gid="coast", **shore))
    if globe:
        lines = cast(Any, ax).gridlines(
            draw_labels=["left", "bottom"], color=style.FAINT, x_inline=False, y_inline=False
        )
        lines.xlabel_style = lines.ylabel_style = {"size": style.TICK, "rotation": 0}
        return mesh
    ax.set(xlim=(cells.x[0], cells.x[-1]), ylim=(cells.y[0], cells.y[-1]), aspect=cells.aspect)
    width = width or inches(ax, cells.tallness)[0]
    height = width * cells.tallness
    words.degree_axis(ax.xaxis, "x", cells.x[-1] - cells.x[0], int(np.clip(width / 0.75, 2, 6)))
    words.degree_axis(ax.yaxis, "y", cells.y[-1] - cells.y[0], int(np.clip(height / 0.4, 2, 6)))
    style.tidy(ax)
    return mesh


def repaint(mesh: ScalarMappable, field: xr.DataArray, cells: Cells) -> None:
    """Put other values in the cells that `draw` drew."""
    values = np.ma.masked_invalid(on_water(field, cells).values)
    mesh.set_data(cells.x, cells.y, values) if isinstance(mesh, PcolorImage) else mesh.set_array(values)


def shoreline(cells: Cells, **kwargs: Any) -> LineCollection:
    """`coast` as a thin dark line."""
    sides: Any = coast(cells)
    return LineCollection(sides, colors=style.COAST, linewidths=0.7, capstyle="projecting", **kwargs)


def flat(colour: str) -> Colormap:
    """A colour map of one colour."""
    return ListedColormap([colour])


def bar(ax: Axes, mesh: ScalarMappable, shades: Scale, field: xr.DataArray) -> None:
    """A colour bar as tall as the map beside it, whatever the map's aspect, a quarter of an inch wide.

    It says what the field is and in which unit; beside a low map, which has no room for more, the unit alone.
    """
    tallness = ax.get_data_ratio() * float(ax.get_aspect()) if ax.get_aspect() != "auto" else None
    width, height = inches(ax, tallness)
    inch = 1 / width
    name = words.title_of(field)
    if max(len(line) for line in words.label_of(field).split("\n")) * INCHES_A_LETTER > height + 0.4:
        name = ""
    inset = ax.inset_axes((1 + 0.2 * inch, 0.0, 0.24 * inch, 1.0))
    _label(cast(Figure, ax.figure).colorbar(mesh, cax=inset, extend=shades.extend), name, words.units_of(field))


def inches(ax: Axes, tallness: float | None = None) -> tuple[float, float]:
    """About how wide and tall axes will be drawn, given their aspect."""
    width, height = ax.bbox.width / ax.figure.dpi, ax.bbox.height / ax.figure.dpi
    return (width, height) if tallness is None else (min(width, height / tallness), min(height, width * tallness))


def _one(field: xr.DataArray) -> xr.DataArray:
    """The field without dimensions of a single label, such as the start date of a single forecast."""
    if not isinstance(field, xr.DataArray):
        return field  # `words.expect` says what is wrong with it
    return field.isel({dim: 0 for dim in field.dims if dim not in PLANE and field.sizes[dim] == 1})


def _label(colorbar: Any, name: str, units: str, more: str = "", ticks: int | None = None) -> None:
    """Say what a colour bar is of and in which unit, that unit with a power of ten where numbers are large or small."""
    power = words.power_of(colorbar.norm.vmin, colorbar.norm.vmax)
    units = words.counted_in(units, power)
    colorbar.set_label((words.with_units(name, units) if name else units) + more)
    if power:
        colorbar.formatter = FuncFormatter(lambda value, _: f"{value / 10.0**power:.3g}".replace("-", "−"))
        colorbar.update_ticks()
    if ticks:
        colorbar.locator = MaxNLocator(ticks)
        colorbar.update_ticks()
    colorbar.outline.set_linewidth(0.6)
    colorbar.ax.tick_params(labelsize=style.TICK)


def axes_for(cells: Cells, *, lines: int = 2, below: float = 0.0, projection: Any = None) -> Axes:
    """Axes of a new figure whose size suits the shape of the map.

    The margins are inches: a layout engine would misjudge axes that shrink to keep their aspect. There is room for
    `lines` of title above, for degrees on the left and below, for a colour bar on the right, and for `below` more.
    """
    height = min(6.4 * cells.tallness, 5.4)
    width = height / cells.tallness
    if projection is not None:
        _cartopy()
        return style.sheet(8.0, 5.4).add_subplot(projection=projection)
    left, right, under, above = 0.8, 1.35, 0.45 + below, 0.2 + 0.22 * lines
    size = (max(left + width + right, 5.2), under + height + above)
    box = (left / size[0], under / size[1], width / size[0], height / size[1])
    return style.sheet(*size, layout=None).add_axes(box)


def _cartopy() -> Any:
    try:
        import cartopy.crs
    except ImportError:
        raise InputError("projection: needs cartopy; install it with: pip install 'oceanx[plot]'") from None
    return cartopy.crs


def _plate_carree(ax: Axes) -> dict[str, Any]:
    """`transform=` for axes of cartopy, nothing for ordinary ones."""
    return {"transform": _cartopy().PlateCarree()} if hasattr(ax, "projection") else {}


def _same(truth: xr.DataArray, forecast: xr.DataArray) -> None:
    """Refuse two fields that are not of one grid, unit and time."""
    for dim in PLANE:
        same_axis(dim, truth, forecast, "truth", "forecast")
    a, b = words.units_of(truth), words.units_of(forecast)
    if a != b:
        raise InputError(f"units: truth has {a!r}, forecast {b!r}; convert one of them")
    same_time(truth, forecast)
    same_depth(truth, forecast)


def _how_far(error: xr.DataArray, grid: xr.DataArray, units: str) -> str:
    """The area-weighted RMS and mean of a difference, in words."""
    present = np.isfinite(error.values)
    weights, values = areas(grid)[present], error.values[present]
    rms, mean = np.sqrt(np.average(values**2, weights=weights)), np.average(values, weights=weights)
    power = words.power_of(rms, rms)
    rms, mean, units = rms / 10.0**power, mean / 10.0**power, words.counted_in(units, power)
    places = int(np.clip(1 - np.floor(np.log10(rms)), 0, 6)) if rms > 0 else 1
    return f"RMSE {rms:.{places}f}, mean {mean:+.{places}f}".replace("-", "−") + (f" {units}" if units else "")
