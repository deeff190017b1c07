"""Steps that choose and order: boxes, levels, axes, names."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from ...ocean import polygons
from ...vocabulary.errors import InputError
from ...vocabulary.names import variable


def select_box(
    ds: xr.Dataset,
    latitude: tuple[float, float] = (-90.0, 90.0),
    longitude: tuple[float, float] = (-180.0, 180.0),
) -> xr.Dataset:
    """The cells whose centres lie in a box, edges included; degrees south to north, and west to east in [-180, 180]."""
    south, north = latitude
    west, east = longitude
    lon = ds["longitude"]
    if south > north or west > east or west < -180 or east > 180:
        raise InputError(
            f"select_box: latitude {south:g} to {north:g}, longitude {west:g} to {east:g}; expected ascending pairs, "
            "longitude within -180 to 180 (bake the two sides of the date line apart)"
        )
    rows = (ds["latitude"] >= south) & (ds["latitude"] <= north)
    columns = (lon >= west) & (lon <= east)
    if not (rows.any() and columns.any()):
        raise InputError(
            f"select_box: no cell in latitude {south:g} to {north:g}, longitude {longitude[0]:g} to {longitude[1]:g}; "
            f"the data reach {_reach(ds['latitude'])} and {_reach(lon)}"
        )
    return ds.isel(latitude=np.flatnonzero(rows), longitude=np.flatnonzero(columns))


def select_polygon(ds: xr.Dataset, polygon: Sequence[Sequence[float]] | str | os.PathLike[str]) -> xr.Dataset:
    """The cells whose centres lie in a polygon or on its edge, others NaN, cropped to the box around it.

    Parameters
    ----------
    polygon
        Corners `[[longitude, latitude], …]` in degrees, or the path of a GeoJSON file with a Polygon or MultiPolygon.
        Where rings overlap, a point is inside if an odd number of them holds it: a ring within another is a hole.

    Raises
    ------
    InputError
        If it is no polygon, crosses the date line, or holds no cell.
    """
    rings = polygons.rings(polygon, "select_polygon")
    west, south, east, north = polygons.box(rings)
    ds = select_box(ds, (south, north), (west, east))
    inside = polygons.inside(ds["longitude"].values, ds["latitude"].values, rings)
    if not inside.any():
        raise InputError(f"select_polygon: no cell centre lies within it; it reaches from {west:g} to {east:g} degrees "
                         f"east, {south:g} to {north:g} degrees north")  # fmt: skip
    where = xr.DataArray(inside, dims=("latitude", "longitude"))
    flat = {n: v for n, v in ds.variables.items() if {"latitude", "longitude"} <= set(v.dims)}
    masked = {n: ds[n] * where.astype(v.dtype) for n, v in flat.items() if v.dtype.kind in "iub"}
    masked |= {n: ds[n].where(where) for n, v in flat.items() if v.dtype.kind == "f" and n not in ds.coords}
    for name, v in masked.items():
        masked[name] = v.transpose(*ds[name].dims).assign_attrs(ds[name].attrs)
    return ds.assign_coords({n: v for n, v in masked.items() if n in ds.coords}).assign(
        {n: v for n, v in masked.items() if n not in ds.coords}
    )


def keep(ds: xr.Dataset, variables: Sequence[str]) -> xr.Dataset:
    """The Dataset with these variables only, so far as it has them."""
    names = {variable(name).name for name in variables}
    return ds[[name for name in ds.data_vars if name in names]]


def drop(ds: xr.Dataset, variables: Sequence[str]) -> xr.Dataset:
    """The Dataset without these variables."""
    return ds.drop_vars([variable(name).name for name in variables], errors="ignore")


def select_levels(ds: xr.Dataset, depths: Sequence[float], tolerance: float = 1.0) -> xr.Dataset:
    """The levels nearest to `depths` (m), each within `tolerance` m of the depth asked for."""
    if "depth" not in ds.dims:
        return ds
    found = ds["depth"].values
    picks = [int(np.abs(found - depth).argmin()) for depth in depths]
    for depth, pick in zip(depths, picks, strict=True):
        if abs(found[pick] - depth) > tolerance:
            raise InputError(
                f"select_levels: the level nearest to {depth:g} m is {found[pick]:g} m; tolerance is {tolerance:g} m"
            )
    if len(set(picks)) < len(picks):
        raise InputError(f"select_levels: two of the depths {list(depths)} are nearest to the same level")
    return ds.isel(depth=sorted(picks))


def sort_axes(ds: xr.Dataset) -> xr.Dataset:
    """The Dataset with ascending axes and longitude in [-180, 180)."""
    if "longitude" in ds.coords:
        lon = ds["longitude"]
        wrapped = xr.where(lon >= 180, lon - 360, lon)
        ds = ds.assign_coords(longitude=xr.where(wrapped < -180, wrapped + 360, wrapped).assign_attrs(lon.attrs))
    return ds.sortby([axis for axis in ("time", "depth", "latitude", "longitude") if axis in ds.dims])


def rename(ds: xr.Dataset, names: Mapping[str, str]) -> xr.Dataset:
    """The Dataset with variables under other names of ours, and with that name's CF attributes."""
    names = {old: variable(new).name for old, new in names.items() if old in ds.data_vars}
    ds = ds.rename(names)
    for new in names.values():
        ds[new].attrs |= {k: v for k, v in variable(new).attrs.items() if k != "units"}
    return ds


def _reach(axis: xr.DataArray) -> str:
    return f"{axis.name} {float(axis.min()):g} to {float(axis.max()):g}"
