"""Tests of observations that need the table, the grid and a climatology, no model: each says which data fail."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from ...vocabulary.config import Config
from ...vocabulary.constants import ZERO_CELSIUS
from ...vocabulary.errors import InputError, unknown
from ...vocabulary.names import VARIABLES
from ..climatology import anomaly
from ..equivalents import equivalents
from ..flags import meanings
from ..grid import sea_floor_depth
from ..interpolation import weights
from ..labels import wet_cells

_SPREAD = "{}_std"  # what a climatology calls the standard deviation about it
_HAIR = 1e-3  # m


class Limits(Config):
    """Between which values a variable lies in a region; longitudes go east from the first to the second."""

    variable: str
    low: float
    high: float
    latitude: tuple[float, float] = (-90.0, 90.0)
    longitude: tuple[float, float] = (-180.0, 180.0)
    depth: tuple[float, float] = (0.0, 12000.0)


def rows_of(table: xr.Dataset, name: str) -> np.ndarray:
    """Which rows (obs) are of one variable."""
    codes = [code for code, word in meanings(table["variable"].attrs).items() if word == name]
    return np.isin(table["variable"].values, codes)


def names_of(table: xr.Dataset) -> list[str]:
    """The variables of which a table has data."""
    present = set(np.unique(table["variable"].values).tolist())
    return [name for code, name in meanings(table["variable"].attrs).items() if code in present]


def out_of_range(table: xr.Dataset, limits: Sequence[Limits] = ()) -> np.ndarray:
    """Which data (obs) are beyond what is possible anywhere, or in a region that `limits` tell of.

    Raises
    ------
    InputError
        If limits are of an unknown variable; or if most data of a variable are out of range, and would not be in
        another unit that is often used.
    """
    value = table["value"].values.astype(float)
    failed = np.zeros(value.size, bool)
    for name in names_of(table):
        mine, (low, high) = rows_of(table, name), VARIABLES[name].valid or (-np.inf, np.inf)
        failed[mine] = (value[mine] < low) | (value[mine] > high)
        if 2 * failed[mine].sum() > mine.sum():
            _refuse_unit(name, value[mine], low, high)
    for limit in limits:
        if limit.variable not in VARIABLES:
            raise unknown("variable", limit.variable, VARIABLES)
        failed |= _in_region(table, limit) & ((value < limit.low) | (value > limit.high))
    return failed


def _refuse_unit(name: str, value: np.ndarray, low: float, high: float) -> None:
    """`InputError` if most values would be in range in another unit that is often used."""
    ours = VARIABLES[name].units
    others = {
        "degrees_C": ("kelvins", "subtract 273.15", value - ZERO_CELSIUS),
        "m": ("centimetres or millimetres", "divide by 100 or 1000", value / 1000),
        "m s-1": ("centimetres per second", "divide by 100", value / 100),
        "1": ("per cent", "divide by 100", value / 100),
    }
    if ours not in others:
        return
    said, remedy, converted = others[ours]
    if 2 * ((converted >= low) & (converted <= high)).sum() > value.size:
        raise InputError(
            f"observations: {name}: most values, from {value.min():g} to {value.max():g}, are not in {ours} but look "
            f"like {said}; {remedy}"
        )


def _in_region(table: xr.Dataset, limit: Limits) -> np.ndarray:
    west, east = limit.longitude
    inside = rows_of(table, limit.variable)
    if east - west < 360:
        inside &= (table["longitude"].values - west) % 360.0 <= (east - west) % 360.0
    for name, (least, most) in (("latitude", limit.latitude), ("depth", limit.depth)):
        inside &= (table[name].values >= least) & (table[name].values <= most)
    return inside


def outside_times(table: xr.Dataset, first: str | None = None, last: str | None = None) -> np.ndarray:
    """Which data (obs) are before a date or after another; "now" is the machine's clock.

    Raises
    ------
    InputError
        If a date cannot be read.
    """
    time = table["time"].values
    failed = np.zeros(time.size, bool)
    if first is not None:
        failed |= time < _date(first)
    if last is not None:
        failed |= time > _date(last)
    return failed


def _date(text: str) -> np.datetime64:
    try:
        stamp = pd.Timestamp.now("UTC").tz_localize(None) if text == "now" else pd.Timestamp(text)
    except ValueError:
        raise InputError(f"quality: {text!r} is no date; expected such as '2020-01-31', or 'now'") from None
    return np.datetime64(stamp, "ns")


def outside_grid(table: xr.Dataset, grid: xr.Dataset) -> np.ndarray:
    """Which data (obs) lie beyond the outermost centres of a grid, or deeper than its last level."""
    space = [d for d in ("depth", "latitude", "longitude") if d in grid.dims]
    everywhere = np.ones([grid.sizes[d] for d in space], bool)
    found = np.zeros(table.sizes["obs"], bool)
    for rows, axes in _by_shape(table, grid):
        wet = everywhere if "depth" in axes.dims else everywhere[0] if "depth" in space else everywhere
        found[rows] = weights(axes, table.isel(obs=rows), wet=wet).found
    return ~found


def on_land(table: xr.Dataset, grid: xr.Dataset) -> np.ndarray:
    """Which data (obs) have none but dry cells around them at the surface."""
    cells, counts = _around(table, grid)
    wet = _surface(grid).ravel()[cells]
    return np.asarray(counts.any(axis=1) & ~(wet & counts).any(axis=1))


def below_sea_floor(table: xr.Dataset, grid: xr.Dataset) -> np.ndarray:
    """Which data (obs) are deeper than the deepest of the cells around them.

    The floor is the grid's `deptho`, or else where the lowest wet layer ends; a grid without depths says nothing.
    """
    if "deptho" in grid.variables:
        floor = grid["deptho"].transpose("latitude", "longitude").values
    elif "depth" in grid.dims:
        _surface(grid)
        floor = sea_floor_depth(grid).values
    else:
        return np.zeros(table.sizes["obs"], bool)
    cells, counts = _around(table, grid)
    around = np.where(counts, floor.ravel()[cells], np.nan)
    deepest = np.where(np.isnan(around), -np.inf, around).max(axis=1)
    return np.asarray(np.isfinite(deepest) & (table["depth"].values > deepest + _HAIR))


def no_equivalent(table: xr.Dataset, grid: xr.Dataset) -> np.ndarray:
    """Which data (obs) the observation operator finds no wet cells for, and does not extrapolate to."""
    found = np.zeros(table.sizes["obs"], bool)
    for rows, axes in _by_shape(table, grid):
        found[rows] = weights(axes, table.isel(obs=rows)).found
    return ~found


def far_from_climatology(table: xr.Dataset, climatology: xr.Dataset, limit: float) -> np.ndarray:
    """Which data (obs) have |y − y_clim| > limit · √(σ_clim² + σo²); those without a climatology pass.

    Parameters
    ----------
    climatology
        Of `oceanx.ocean.climatology`, with the standard deviations of `with_spread`.

    Raises
    ------
    InputError
        If it has a variable without its standard deviation.
    """
    mean, spread = np.full((2, table.sizes["obs"]), np.nan)
    for name in names_of(table):
        std = _SPREAD.format(name)
        if name not in climatology.data_vars:
            continue
        if std not in climatology.data_vars:
            raise InputError(f"climatology: has {name} without {std}; add it with observing.plausible.with_spread")
        rows = np.flatnonzero(rows_of(table, name))
        # What is lazy is computed once; but of days, of which there are many, only those that are asked for.
        both = climatology[[name, std]]
        both = both.compute() if "harmonic" in both.dims else both.assign({std: both[std].compute()})
        mean[rows] = equivalents(both[[name]], table.isel(obs=rows)).values
        dims = [d for d in ("depth", "latitude", "longitude") if d in both[std].dims]
        axes = xr.Dataset(coords={d: both[d] for d in dims})
        place = weights(axes, table.isel(obs=rows), wet=np.isfinite(both[std].transpose(*dims).values))
        spread[rows] = place.apply(both[std]).values
    allowed = limit * np.hypot(spread, table["error_std"].values)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.abs(table["value"].values - mean) > allowed)


def with_spread(climatology: xr.Dataset, ds: xr.Dataset) -> xr.Dataset:
    """The climatology with `<name>_std`, the root mean square departure from it of each variable, cell by cell.

    Lazy where the data are; NaN where there are none.

    Examples
    --------
    >>> clim = with_spread(climatology(ds), ds)                           # doctest: +SKIP
    """
    spread = {}
    for name, v in anomaly(ds, climatology).data_vars.items():
        count = v.notnull().sum("time")
        mean = (v.astype(float) ** 2).sum("time") / count.where(count > 0)
        spread[_SPREAD.format(name)] = (mean**0.5).astype(v.dtype).assign_attrs(v.attrs)
    return climatology.assign(spread)


def _by_shape(table: xr.Dataset, grid: xr.Dataset) -> list[tuple[np.ndarray, xr.Dataset]]:
    """The rows of variables with levels, and of those without, each with the axes and the mask that they meet."""
    volume = np.zeros(table.sizes["obs"], bool)
    for name in names_of(table):
        volume |= rows_of(table, name) & VARIABLES[name].volume
    kept = [c for c in ("depth", "latitude", "longitude", "mask") if c in grid.coords]
    axes = xr.Dataset(coords={c: grid[c] for c in kept})
    flat = axes.isel(depth=0, drop=True) if "depth" in axes.dims else axes
    return [(rows, a) for rows, a in ((np.flatnonzero(volume), axes), (np.flatnonzero(~volume), flat)) if rows.size]


def _around(table: xr.Dataset, grid: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """The four cells (obs, corner) around every place, and which of them count: none outside the grid."""
    axes = xr.Dataset(coords={c: grid[c] for c in ("latitude", "longitude")})
    place = weights(axes, table, wet=np.ones((axes.sizes["latitude"], axes.sizes["longitude"]), bool))
    return place.index, place.weight > 0


def _surface(grid: xr.Dataset) -> np.ndarray:
    """The wet cells (latitude, longitude) of the surface."""
    wet = wet_cells(grid, xr.DataArray(0))
    if wet is None:
        raise InputError(
            "grid: has no `mask`; make it with grid.complete(ds), or leave out on_land and below_sea_floor"
        )
    return wet
