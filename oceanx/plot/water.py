"""Water masses: temperature against salinity, with the density they make."""

from __future__ import annotations

from typing import Any

import gsw
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, ListedColormap, Normalize, PowerNorm
from matplotlib.figure import Figure

from ..vocabulary.errors import InputError
from . import style, words
from .colours import colormap

POINTS = 20_000  # beyond so many, bins are drawn in their place
BINS = 220  # to a side
DEPTHS = (0, 10, 20, 50, 100, 200, 500, 1000, 2000, 3000, 4000, 5000, 6000)  # ticks of the colour bar, metres
COLUMN = 12  # so many columns of water are joined by lines
REFERENCE = 35.16504 / 35  # g/kg of a practical salinity of 1 in water of the standard composition


@style.look()
def ts_diagram(ds: xr.Dataset, truth: xr.Dataset | None = None, *, title: str | None = None) -> Figure:
    """A figure of potential temperature against salinity, coloured by depth, on lines of potential density.

    The lines are σ0 in kg m⁻³ (TEOS-10), of water of the mean place of the data: practical salinity becomes absolute,
    potential temperature conservative. A column of water, and the members of a forecast of one, are joined by lines;
    of a field every cell is a point, or, of more than 20 000, every bin has the mean depth of the cells in it. A truth
    stands beside a field, on the same axes and colours, and as a black line behind columns.

    Parameters
    ----------
    ds
        `thetao` and `so` with `depth` and, in memory, any other dimensions.
    truth
        The same of the truth.
    title
        In place of the place and date.

    Raises
    ------
    InputError
        Without temperature, salinity or depth, for other units, or without a cell that has both.

    References
    ----------
    IOC, SCOR and IAPSO (2010), The international thermodynamic equation of seawater – 2010.
    """
    shown = {"Forecast": _waters(ds)} if truth is None else {"Truth": _waters(truth), "Forecast": _waters(ds)}
    columns = all(_columns(water) <= COLUMN for water in shown.values())
    side_by_side = truth is not None and not columns
    figure = style.sheet(11.4 if side_by_side else 7.2, 5.8)
    axes = figure.subplots(1, len(shown) if side_by_side else 1, squeeze=False, sharex=True, sharey=True)[0]
    deepest = max(float(water["depth"].max()) for water in shown.values())
    norm = PowerNorm(0.5, 0, deepest)
    if columns:
        points = _draw_columns(axes[0], shown, norm)
    else:
        points = None
        for ax, (name, water) in zip(axes, shown.items(), strict=True):
            points = _draw_field(ax, water, norm)
            ax.set_title(name if side_by_side else "", loc="left")
    for ax in axes:
        ax.margins(0.04)
        ax.autoscale_view()
    for ax in axes:
        _isopycnals(ax, shown["Forecast"])
        ax.set_xlabel(words.label_of(shown["Forecast"]["so"]))
        style.tidy(ax, frame=False)
    axes[0].set_ylabel(words.label_of(shown["Forecast"]["thetao"]))
    ticks: list[int] = []
    for depth in DEPTHS:
        if depth <= deepest and (not ticks or norm(depth) - norm(ticks[-1]) > 0.07):
            ticks.append(depth)
    bar = figure.colorbar(points, ax=axes, ticks=ticks, label="Depth (m)", aspect=30, pad=0.02)
    bar.ax.invert_yaxis()
    bar.ax.tick_params(labelsize=style.TICK)
    bar.outline.set_linewidth(0.6)
    figure.suptitle(title if title is not None else _said(shown["Forecast"]), x=0.01, ha="left")
    return figure


def _waters(ds: xr.Dataset) -> xr.Dataset:
    """Temperature and salinity in memory, without dimensions of a single label."""
    if not isinstance(ds, xr.Dataset):
        raise InputError(f"a T–S diagram draws a Dataset with thetao and so, found {type(ds).__name__}")
    lacking = [name for name in ("thetao", "so") if name not in ds]
    if lacking:
        raise InputError(f"a T–S diagram needs {' and '.join(lacking)}; found {', '.join(map(str, ds.data_vars))}")
    water = ds[["thetao", "so"]].squeeze()
    if "depth" not in water.coords:
        raise InputError("a T–S diagram needs the coordinate depth to colour by; keep it when selecting")
    units = words.units_of(water["thetao"])
    if units != "°C":
        raise InputError(f"thetao: in {units!r}; a T–S diagram needs °C; convert it")
    water = water.load()
    if not np.isfinite(water["thetao"] + water["so"]).any():
        raise InputError("thetao and so: no cell has both; is this a missing day?")
    return water


def _columns(water: xr.Dataset) -> int:
    """How many columns of water there are; none where there is no depth to go along."""
    sizes = water["thetao"].sizes
    return int(np.prod([size for dim, size in sizes.items() if dim != "depth"])) if "depth" in sizes else COLUMN + 1


def _flat(water: xr.Dataset) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Salinity, temperature and depth of all cells that have them, the deepest first."""
    salinity, temperature, depth = (
        values.values.ravel().astype(float) for values in xr.broadcast(water["so"], water["thetao"], water["depth"])
    )
    there = np.isfinite(salinity + temperature)
    order = np.argsort(-depth[there], kind="stable")
    return salinity[there][order], temperature[there][order], depth[there][order]


def _draw_field(ax: Axes, water: xr.Dataset, norm: Normalize) -> Any:
    """Points, or bins where there are too many points, by their depth."""
    salinity, temperature, depth = _flat(water)
    if salinity.size <= POINTS:
        return ax.scatter(salinity, temperature, 9, depth, cmap=_depths(), norm=norm, linewidths=0)
    count, x, y = np.histogram2d(salinity, temperature, BINS)
    total, _, _ = np.histogram2d(salinity, temperature, (x, y), weights=depth)
    mean = np.ma.masked_invalid(np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0))
    return ax.pcolormesh(x, y, mean.T, cmap=_depths(), norm=norm)


def _draw_columns(ax: Axes, shown: dict[str, xr.Dataset], norm: Normalize) -> Any:
    """Columns of water as lines, the forecast's with points by their depth, the truth's black behind them."""
    points = None
    for name, water in shown.items():
        whole = water.broadcast_like(water["thetao"])
        other = [dim for dim in whole["thetao"].dims if dim != "depth"]
        lines = whole.stack(column=other, create_index=False) if other else whole.expand_dims("column")
        look: dict[str, Any] = {"color": "black", "linewidth": 2.2} if name == "Truth" else {"color": "#8c8c8c"}
        for number in range(lines.sizes["column"]):
            one = lines.isel(column=number)
            ax.plot(one["so"], one["thetao"], label=name if number == 0 else None, **{"linewidth": 1.2} | look)
        if name == "Forecast":
            salinity, temperature, depth = _flat(water)
            points = ax.scatter(
                salinity,
                temperature,
                36,
                depth,
                cmap=_depths(),
                norm=norm,
                edgecolors="#4d4d4d",
                linewidths=0.5,
                zorder=3,
            )
    if len(shown) > 1:
        ax.legend(frameon=False)
    return points


def _depths() -> Colormap:
    """cmocean's deep without its palest part, which white paper would swallow."""
    return ListedColormap(colormap("deep")(np.linspace(0.15, 1, 256)))


def _isopycnals(ax: Axes, water: xr.Dataset) -> None:
    """Lines of σ0 across the axes, each with its number."""
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    salinity, temperature = np.meshgrid(np.linspace(max(left, 0), right, 80), np.linspace(low, high, 80))
    lines = ax.contour(
        salinity, temperature, sigma0(salinity, temperature, water), 8, colors="#9a9a9a", linewidths=0.8, zorder=0.5
    )
    ax.clabel(lines, fontsize=style.TICK, fmt="%g", inline_spacing=3)
    ax.set(xlim=(left, right), ylim=(low, high))


def sigma0(salinity: np.ndarray, temperature: np.ndarray, water: xr.Dataset) -> np.ndarray:
    """σ0 (kg m⁻³) of practical salinity and potential temperature (°C) at the mean place of the water."""
    if all(dim in water.coords for dim in ("latitude", "longitude")):
        place = (float(water["longitude"].mean()), float(water["latitude"].mean()))
        absolute = gsw.SA_from_SP(salinity, 0.0, *place)
    else:
        absolute = REFERENCE * salinity
    return np.asarray(gsw.sigma0(absolute, gsw.CT_from_pt(absolute, temperature)))


def _said(water: xr.Dataset) -> str:
    """Where and when the water is."""
    parts = ["Temperature and salinity"]
    place = words.where(
        water["thetao"].reset_coords("depth", drop=True) if water["depth"].ndim == 0 else water["thetao"]
    )
    parts += [place] if place else []
    when = words.when(water["thetao"])
    return ", ".join(parts) + (f"\n{when}" if when else "") + "\nLines: potential density σ0 (kg m⁻³)"
