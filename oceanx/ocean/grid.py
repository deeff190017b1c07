"""The grid from its coordinates alone: cell areas, layer thicknesses, the wet mask, and whether two grids agree."""

from __future__ import annotations

import dask
import numpy as np
import xarray as xr

from ..vocabulary.constants import EARTH_RADIUS
from ..vocabulary.errors import InputError
from ..vocabulary.names import VARIABLES

HORIZONTAL = ("latitude", "longitude")


def complete(ds: xr.Dataset) -> xr.Dataset:
    """The Dataset with `cell_area`, `thickness` and `mask` as coordinates, each made only where absent.

    Variables and attributes are untouched. `thickness` needs a `depth`, `mask` an ocean variable;
    finding the mask reads each of them once.

    Raises
    ------
    InputError
        If `latitude` or `longitude` is not there, not ascending, or a single point.
    """
    added = {}
    if "cell_area" not in ds.coords:
        added["cell_area"] = area(_coordinate(ds, "latitude"), _coordinate(ds, "longitude"))
    if "depth" in ds.dims and "thickness" not in ds.coords:
        added["thickness"] = thickness(ds["depth"])
    if "mask" not in ds.coords and _ocean(ds):
        added["mask"] = wet_mask(ds)
    return ds.assign_coords(added)


def area(latitude: xr.DataArray, longitude: xr.DataArray) -> xr.DataArray:
    """Cell areas (latitude, longitude) in m2, exact on the sphere for a rectilinear grid with any spacing.

    Cells end half-way between centres and never reach beyond a pole; a row or column that stands alone takes its
    width from the other axis. With bounds φ and λ, A = R² (sin φ_north − sin φ_south) (λ_east − λ_west).

    Raises
    ------
    InputError
        If an axis is not ascending, or both have a single point.

    Examples
    --------
    >>> latitude = xr.DataArray(np.arange(-89.5, 90), dims="latitude")
    >>> longitude = xr.DataArray(np.arange(-179.5, 180), dims="longitude")
    >>> float(area(latitude, longitude).sum() / (4 * np.pi * EARTH_RADIUS**2))
    1.0
    """
    lat, lon = _ascending(latitude, "latitude"), _ascending(longitude, "longitude")
    if lat.size == 1 and lon.size == 1:
        raise InputError("latitude, longitude: a single point has no cell size; give `cell_area` as a coordinate")
    south_north = np.clip(edges(lat, alone=_spacing(lon)), -90.0, 90.0)
    height = np.diff(np.sin(np.deg2rad(south_north)))
    width = np.deg2rad(_widths(lon, alone=_spacing(lat)))
    return xr.DataArray(
        EARTH_RADIUS**2 * np.outer(height, width),
        coords={"latitude": _axis(latitude, "latitude"), "longitude": _axis(longitude, "longitude")},
        dims=HORIZONTAL,
        attrs=VARIABLES["cell_area"].attrs,
    )


def edges(centres: np.ndarray, alone: float = 0.0) -> np.ndarray:
    """Cell edges half-way between ascending centres, one more than these; the outermost mirrored about their centres.

    A centre that stands by itself gets a cell as wide as `alone`.
    """
    centres = np.asarray(centres, dtype=float)
    if centres.size == 1:
        return centres[0] + alone * np.array([-0.5, 0.5])
    middle = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - middle[0]], middle, [2 * centres[-1] - middle[-1]]])


def thickness(depth: xr.DataArray) -> xr.DataArray:
    """Layer thicknesses (depth) in m: interfaces half-way between levels, the first at the surface.

    The lowest interface lies as far below the last level as the one above it; a lone level is mid-layer.
    """
    return xr.DataArray(
        np.diff(depth_interfaces(depth)),
        coords={"depth": _axis(depth, "depth")},
        dims="depth",
        attrs=VARIABLES["thickness"].attrs,
    )


def depth_interfaces(depth: xr.DataArray) -> np.ndarray:
    """Depths in m between layers, one more than these; `thickness` says where they lie."""
    z = _ascending(depth, "depth")
    if z[0] < 0:
        raise InputError(f"depth: found {z[0]:g} m; expected metres below the surface, positive down")
    interfaces = np.concatenate([[0.0], (z[1:] + z[:-1]) / 2])
    return np.append(interfaces, 2 * z[-1] - interfaces[-1])


def sea_floor_depth(ds: xr.Dataset) -> xr.DataArray:
    """Depth `deptho` (latitude, longitude) in m of the sea floor: where the lowest wet layer ends; NaN on land.

    As deep as the levels tell: partial bottom cells count as whole ones, and where the ocean goes on below the last
    level, its lower interface is what is known.

    Raises
    ------
    InputError
        If the Dataset has no `depth` or no `mask`.
    """
    if "mask" not in ds.coords or "depth" not in ds["mask"].dims:
        raise InputError("sea_floor_depth: needs a `mask` by depth; make it with grid.complete(ds)")
    lower = depth_interfaces(ds["depth"])[1:]
    wet = ds["mask"].transpose("depth", *HORIZONTAL).values == 1
    lowest = np.where(wet, np.arange(len(lower))[:, None, None], -1).max(axis=0)
    floor = np.where(lowest >= 0, lower[lowest], np.nan)
    coords = {axis: _axis(ds[axis], axis) for axis in HORIZONTAL}
    return xr.DataArray(floor, coords=coords, dims=HORIZONTAL, attrs=VARIABLES["deptho"].attrs, name="deptho")


def bounds(ds: xr.Dataset) -> dict[str, xr.DataArray]:
    """`latitude_bnds`, `longitude_bnds` and `depth_bnds` (axis, bnds): the edges that areas and thicknesses are of.

    CF wants them named by the attribute `bounds` of their axis, and without attributes of their own.

    Raises
    ------
    InputError
        If an axis is not ascending, or both latitude and longitude have a single point.
    """
    lat, lon = _ascending(ds["latitude"], "latitude"), _ascending(ds["longitude"], "longitude")
    if lat.size == 1 and lon.size == 1:
        raise InputError("latitude, longitude: a single point has no cell size; give `cell_area` as a coordinate")
    edge = {
        "latitude": np.clip(edges(lat, alone=_spacing(lon)), -90.0, 90.0),
        "longitude": _longitude_edges(lon, alone=_spacing(lat)),
    }
    if "depth" in ds.dims:
        edge["depth"] = depth_interfaces(ds["depth"])
    return {
        f"{axis}_bnds": xr.DataArray(
            np.stack([values[:-1], values[1:]], axis=1),
            coords={axis: _axis(ds[axis], axis)},
            dims=(axis, "bnds"),
            name=f"{axis}_bnds",
        )
        for axis, values in edge.items()
    }


def wet_mask(ds: xr.Dataset) -> xr.DataArray:
    """The mask (depth, latitude, longitude), int8, 1 where every ocean variable is finite on every present day.

    Without a `depth` the mask is (latitude, longitude). Surface variables speak for the top level. A day on which a
    variable has no value anywhere is absent, not dry. Reads each ocean variable once, chunk by chunk.

    Raises
    ------
    InputError
        If there is no ocean variable on a horizontal grid.
    """
    names = _ocean(ds)
    if not names:
        raise InputError(f"no ocean variable to take the wet mask from; found {sorted(map(str, ds.data_vars))}")
    volume = [name for name in names if "depth" in ds[name].dims]
    wet = dict(zip(names, dask.compute(*(_always_finite(ds[name]) for name in names)), strict=True))
    mask: xr.DataArray | None = None
    for name in volume:
        mask = wet[name] if mask is None else mask & wet[name]
    for name in names:
        if name in volume:
            continue
        if mask is None:
            mask = wet[name]
        elif volume:
            top = xr.DataArray(np.arange(mask.sizes["depth"]) == 0, dims="depth")
            mask = mask & (wet[name] | ~top)
        else:
            mask = mask & wet[name]
    assert mask is not None
    order = [d for d in ("depth", *HORIZONTAL) if d in mask.dims]
    result = mask.transpose(*order).astype(np.int8).drop_vars([c for c in mask.coords if c not in order])
    result.attrs = VARIABLES["mask"].attrs
    return result.rename("mask")


def is_periodic(longitude: xr.DataArray) -> bool:
    """True where the cells go all the way round, so that the last is the first one's western neighbour."""
    lon = np.asarray(longitude, dtype=float)
    if lon.size < 2:
        return False
    gap, steps = lon[0] + 360.0 - lon[-1], np.diff(lon)
    return bool(0.99 * steps.min() <= gap <= 1.01 * steps.max())


def same_grid(a: xr.Dataset | xr.DataArray, b: xr.Dataset | xr.DataArray, tolerance: float = 1e-4) -> None:
    """None where two objects stand on one grid: equal latitude, longitude and, where both have it, depth.

    Parameters
    ----------
    tolerance
        In degrees; for depth in m, or as a share of depths beyond 1 m (float32 levels differ by that much).

    Raises
    ------
    InputError
        Naming the coordinate that differs, and how.
    """
    for name in (*HORIZONTAL, "depth"):
        if name == "depth" and not (name in a.coords and name in b.coords):
            continue
        x, y = (np.atleast_1d(_coordinate(side, name).values).astype(float) for side in (a, b))
        if x.shape != y.shape:
            raise InputError(f"{name}: grids differ: {_range(x)} against {_range(y)}; interpolate one to the other")
        allowed = tolerance * np.maximum(1.0, np.abs(y)) if name == "depth" else tolerance
        apart = np.abs(x - y) > allowed
        if apart.any():
            i = int(np.argmax(apart))
            raise InputError(
                f"{name}: grids differ: value {i} is {x[i]:g} against {y[i]:g}; interpolate one to the other"
            )


def _ocean(ds: xr.Dataset) -> list[str]:
    """Names of ocean variables that lie on the horizontal grid."""
    return [
        str(name)
        for name, v in ds.data_vars.items()
        if name in VARIABLES and VARIABLES[str(name)].realm == "ocean" and set(HORIZONTAL) <= set(v.dims)
    ]


def _always_finite(v: xr.DataArray) -> xr.DataArray:
    """Cells that have a value whenever the variable has one anywhere."""
    finite = v.notnull()
    space = [d for d in v.dims if d in ("depth", *HORIZONTAL)]
    other = [d for d in v.dims if d not in space]
    if not other:
        return finite
    return (finite.sum(other) == finite.any(space).sum()) & finite.any(other)


def _coordinate(ds: xr.Dataset | xr.DataArray, name: str) -> xr.DataArray:
    if name not in ds.coords:
        raise InputError(f"{name}: no such coordinate; found {sorted(map(str, ds.coords))}")
    return ds[name]


def _axis(axis: xr.DataArray, name: str) -> xr.DataArray:
    """The one-dimensional coordinate itself, without the coordinates that travel with it."""
    return xr.DataArray(np.atleast_1d(axis.values), dims=name, attrs=axis.attrs, name=name)


def _ascending(axis: xr.DataArray, name: str) -> np.ndarray:
    values = np.atleast_1d(np.asarray(axis, dtype=float))
    if values.ndim != 1 or values.size == 0:
        raise InputError(f"{name}: expected one dimension, found shape {values.shape}")
    if not (np.diff(values) > 0).all():
        raise InputError(f"{name}: expected ascending values; sort with ds.sortby({name!r})")
    return values


def _spacing(centres: np.ndarray) -> float:
    return float(np.diff(centres).mean()) if centres.size > 1 else 0.0


def _widths(lon: np.ndarray, alone: float) -> np.ndarray:
    """Cell widths in degrees; on a periodic axis the seam is half-way between last and first."""
    if not is_periodic(xr.DataArray(lon, dims="longitude")):
        return np.diff(edges(lon, alone))
    steps = np.diff(np.append(lon, lon[0] + 360.0))
    return (steps + np.roll(steps, 1)) / 2


def _longitude_edges(lon: np.ndarray, alone: float) -> np.ndarray:
    """Cell edges; on a periodic axis both ends are the seam half-way between last and first, 360° apart."""
    if not is_periodic(xr.DataArray(lon, dims="longitude")):
        return edges(lon, alone)
    seam = (lon[-1] + lon[0] + 360.0) / 2
    return np.concatenate([[seam - 360.0], (lon[1:] + lon[:-1]) / 2, [seam]])


def _range(values: np.ndarray) -> str:
    return f"{values.size} values from {values.min():g} to {values.max():g}" if values.size else "no values"
