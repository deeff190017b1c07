"""The cells of a map: edges, wet or dry, areas; and whether two fields stand on the same ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from ..ocean import grid
from ..vocabulary.errors import InputError
from . import words

PLANE = ("latitude", "longitude")


@dataclass(frozen=True)
class Cells:
    """The cells of a map: their edges in degrees, (rows + 1) and (columns + 1) of them, and which are wet."""

    x: np.ndarray
    y: np.ndarray
    wet: np.ndarray

    @property
    def aspect(self) -> float:
        """How much longer a degree of latitude is than one of longitude, in the middle of the map."""
        return 1 / max(float(np.cos(np.deg2rad((self.y[0] + self.y[-1]) / 2))), 0.1)

    @property
    def tallness(self) -> float:
        """Height over width as drawn."""
        return float((self.y[-1] - self.y[0]) / (self.x[-1] - self.x[0])) * self.aspect


def cells_of(field: xr.DataArray, mask: xr.DataArray | None = None) -> Cells:
    """The cells of a field on latitude × longitude, wet by the mask given, its own, or its finite values."""
    x, y = edges(field["longitude"]), edges(field["latitude"])
    given = mask if mask is not None else field.coords.get("mask")
    if given is None:
        return Cells(x, np.clip(y, -90, 90), np.isfinite(field.transpose(*PLANE).values))
    if "depth" in given.dims:
        level = field.coords["depth"].item() if "depth" in field.coords else given["depth"].values[0]
        if level not in given["depth"].values:
            raise InputError(f"mask: has no level at the field's depth, {level:g} m; give the mask of the same grid")
        given = given.sel(depth=level)
    words.expect(given, PLANE, "a mask")
    for dim in PLANE:
        same_axis(dim, given, field, "mask", str(field.name or "the field"))
    return Cells(x, np.clip(y, -90, 90), given.transpose(*PLANE).values == 1)


def edges(centres: xr.DataArray) -> np.ndarray:
    """Edges of cells from their centres: half-way between neighbours, the outermost mirrored; one more than centres."""
    values = centres.values.astype(float)
    if values.size < 2 or not (np.diff(values) > 0).all():
        raise InputError(
            f"{centres.name}: a map needs two or more ascending values, found {values.size}; sort it first"
        )
    return grid.edges(values)


def on_water(field: xr.DataArray, cells: Cells) -> xr.DataArray:
    """The field as latitude × longitude in memory, NaN on land."""
    field = field.transpose(*PLANE)
    return field.copy(data=np.where(cells.wet, field.values, np.nan))


def coast(cells: Cells) -> np.ndarray:
    """The sides that wet cells share with land, as line segments (segment, end, x and y)."""
    x, y, wet = cells.x, cells.y, cells.wet
    j, i = np.nonzero(wet[:, 1:] != wet[:, :-1])
    upright = np.stack([np.stack([x[i + 1], y[j]], -1), np.stack([x[i + 1], y[j + 1]], -1)], 1)
    j, i = np.nonzero(wet[1:] != wet[:-1])
    level = np.stack([np.stack([x[i], y[j + 1]], -1), np.stack([x[i + 1], y[j + 1]], -1)], 1)
    return np.concatenate([upright, level])


def areas(field: xr.DataArray) -> np.ndarray:
    """Areas of cells: the coordinate `cell_area`, or else in proportion to the cosine of latitude."""
    if "cell_area" in field.coords:
        return field.coords["cell_area"].transpose(*PLANE).values
    shape = (field.sizes["latitude"], field.sizes["longitude"])
    return np.broadcast_to(np.cos(np.deg2rad(field["latitude"].values))[:, None], shape)


def share(chosen: np.ndarray, field: xr.DataArray) -> float:
    """The share of a field's area with values that the chosen cells take."""
    area, present = areas(field), np.isfinite(field.values)
    return float(area[chosen & present].sum() / area[present].sum())


def same_axis(dim: str, a: xr.DataArray, b: xr.DataArray, one: str, other: str) -> None:
    """Refuse two arrays whose coordinate differs."""
    here, there = a[dim].values, b[dim].values
    if here.shape != there.shape or not np.allclose(here, there, rtol=0, atol=1e-4):
        raise InputError(
            f"{dim}: {one} has {here.size} values from {here[0]:g}, {other} {there.size} from {there[0]:g}; "
            f"give both on one grid"
        )


def same_depth(truth: xr.DataArray, forecast: xr.DataArray) -> None:
    """Refuse a truth and a forecast that both say how deep they are, and differ by more than a hundredth."""
    depths = [field.coords.get("depth") for field in (truth, forecast)]
    if any(depth is None or depth.ndim for depth in depths):
        return
    here, there = (float(depth) for depth in depths if depth is not None)
    if not np.isclose(here, there, rtol=0.01):
        raise InputError(f"depth: truth is of {here:g} m, forecast of {there:g} m; select one level")


def same_time(truth: xr.DataArray, forecast: xr.DataArray) -> None:
    """Refuse a truth and a forecast that both say when they are valid, and differ."""
    at, on = words.valid_time(truth), words.valid_time(forecast)
    if at is not None and on is not None and at != on:
        raise InputError(f"truth is of {words.date(at)}, forecast valid on {words.date(on)}; select one date")
