"""Bilinear regridding to a finer rectilinear grid, over water alone. To a coarser one, `conservative` is right."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse
import xarray as xr

from ..vocabulary.errors import InputError
from ..vocabulary.names import DIMENSIONS
from . import grid as grids
from .regrid import LEAST, refuse_least, working_type
from .regrid_grid import target_axes

_EDGE = 1e-6  # degrees


def bilinear(ds: xr.Dataset, grid: Any, *, least: float = LEAST) -> xr.Dataset:
    """The Dataset on another rectilinear grid: linear in latitude and longitude between the four cells around.

    With weights w_i of these four, and wet where the field is finite,

        f = Σ w_i f_i / Σ w_i    over wet i,

    so that land never bleeds in and a uniform field stays uniform. Round the globe across the seam where the grid is
    periodic; within half a cell beyond its outermost centres, the value is that of the edge. Lazy where `ds` is.
    Variables without latitude and longitude pass unchanged; `mask` is told anew by the same rule; `cell_area` is that
    of the new cells.

    Parameters
    ----------
    grid
        A `Grid`, the mapping that describes one (`{"resolution": 0.25}`), or a Dataset on the grid.
    least
        The share of the weights that must be wet for a value not to be NaN.

    Raises
    ------
    InputError
        If an axis is missing or not ascending, or `least` is not within 0 and 1.

    Examples
    --------
    >>> fine = bilinear(ds, {"resolution": 0.25})  # doctest: +SKIP
    """
    refuse_least(least)
    target = target_axes(grid)
    rows = _matrix(_held(ds, "latitude"), target[0], periodic=False)
    columns = _matrix(_held(ds, "longitude"), target[1], periodic=grids.is_periodic(ds["longitude"]))
    changed = {}
    for name, v in ds.variables.items():
        if set(grids.HORIZONTAL) <= set(v.dims) and name != "cell_area":
            changed[name] = _applied(str(name), v, rows, columns, least)
    coords = {n: changed.get(n, v) for n, v in ds.coords.variables.items() if n not in (*grids.HORIZONTAL, "cell_area")}
    for name, values in zip(grids.HORIZONTAL, target, strict=True):
        coords[name] = xr.Variable(name, values, DIMENSIONS[name])
    out = xr.Dataset({n: changed.get(n, ds[n].variable) for n in ds.data_vars}, coords, ds.attrs)
    if "cell_area" in ds.coords:
        out = out.assign_coords(cell_area=grids.area(out["latitude"], out["longitude"]))
    return out


def _held(ds: xr.Dataset, name: str) -> np.ndarray:
    if name not in ds.dims or name not in ds.coords:
        raise InputError(f"{name}: no such axis; found {sorted(map(str, ds.dims))}")
    values = ds[name].values.astype(float)
    if values.size < 2 or not (np.diff(values) > 0).all():
        raise InputError(f"{name}: expected two or more ascending values; sort with ds.sortby({name!r})")
    return values


def _matrix(held: np.ndarray, wanted: np.ndarray, periodic: bool) -> scipy.sparse.csr_array:
    """Weights (wanted, held) of the two neighbours on an axis; none beyond half a cell outside."""
    number = np.arange(held.size)
    if periodic:
        held, number = np.append(held, held[0] + 360.0), np.append(number, 0)
        wanted = held[0] + (wanted - held[0]) % 360.0
    half = np.diff(held)[[0, -1]] / 2 + _EDGE
    inside = (wanted >= held[0] - half[0]) & (wanted <= held[-1] + half[1])
    before = np.clip(np.searchsorted(held, wanted, side="right") - 1, 0, held.size - 2)
    share = np.clip((wanted - held[before]) / (held[before + 1] - held[before]), 0.0, 1.0)
    at = np.arange(wanted.size)
    weight = np.concatenate([(1 - share) * inside, share * inside])
    place = (np.concatenate([at, at]), number[np.concatenate([before, before + 1])])
    return scipy.sparse.csr_array((weight, place), shape=(wanted.size, number.max() + 1))


def _applied(
    name: str, v: xr.Variable, rows: scipy.sparse.csr_array, columns: scipy.sparse.csr_array, least: float
) -> xr.Variable:
    """One variable on the new grid."""
    is_mask = name == "mask"
    if not is_mask and v.dtype.kind not in "fiu":
        raise InputError(f"{name}: found values of type {v.dtype}; expected numbers: drop it before regridding")
    dtype = np.dtype(np.int8) if is_mask else working_type(v.dtype)
    space = dict(zip(grids.HORIZONTAL, (rows.shape[0], columns.shape[0]), strict=True))
    out = xr.apply_ufunc(
        _mask if is_mask else _means,
        v.chunk(dict.fromkeys(space, -1)) if v.chunks else v,
        input_core_dims=[list(space)],
        output_core_dims=[list(space)],
        exclude_dims=set(space),
        kwargs={"rows": rows, "columns": columns, "least": least, "dtype": dtype},
        dask="parallelized",
        output_dtypes=[dtype],
        dask_gufunc_kwargs={"output_sizes": space},
    ).transpose(*v.dims)
    out.attrs = dict(v.attrs)
    return out


def _means(values: np.ndarray, rows: Any, columns: Any, least: float, dtype: np.dtype) -> np.ndarray:
    result = np.empty((*values.shape[:-2], rows.shape[0], columns.shape[0]), dtype)
    for at in np.ndindex(values.shape[:-2]):
        wet = np.isfinite(values[at])
        share = _both(wet.astype(float), rows, columns)
        total = _both(np.where(wet, values[at], 0.0), rows, columns)
        enough = (share >= least - 1e-9) & (share > 0)
        result[at] = np.divide(total, share, out=np.full(share.shape, np.nan), where=enough)
    return result


def _mask(values: np.ndarray, rows: Any, columns: Any, least: float, dtype: np.dtype) -> np.ndarray:
    return np.isfinite(_means(np.where(values != 0, 1.0, np.nan), rows, columns, least, np.dtype(float))).astype(dtype)


def _both(plane: np.ndarray, rows: Any, columns: Any) -> np.ndarray:
    return np.asarray((columns @ (rows @ plane).T).T)
