"""Conservative regridding from one rectilinear grid to another: no sea is lost, made, or mixed with land."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import xarray as xr

from ..vocabulary.errors import InputError
from ..vocabulary.names import DIMENSIONS, VARIABLES
from . import grid as grids
from .regrid_grid import Grid
from .regrid_weights import Weights, kept_weights, weights

__all__ = ["LEAST", "Grid", "Weights", "conservative", "kept_weights", "means", "shares", "weights", "wet_fraction"]

LEAST = 0.5  # of a cell must be wet: then about as much sea becomes land as land becomes sea
_STALE = ("cell_area", "wet_fraction")  # belong to the old cells
_NO_SHARE = np.empty((0, 0))


def conservative(
    ds: xr.Dataset,
    grid: Any,
    *,
    least: float = LEAST,
    wet_fraction: bool = False,
    threads: int | None = None,
) -> xr.Dataset:
    """The Dataset on another rectilinear grid: each value is the area-weighted mean over the wet part of its cell.

    With source cells s of area A that overlap a target cell t, and wet where the field is finite,

        f_t = Σ_s A_st f_s / Σ_s A_st,    w_t = Σ_s A_st / A_t,    both over wet s,

    so that Σ_t f_t w_t A_t is the integral of the source over all the target cells that are kept. Land never bleeds
    in, at any level or time; a uniform field stays uniform; no value lies outside those it is made of. Lazy where
    `ds` is. Variables without latitude and longitude pass unchanged.

    Parameters
    ----------
    grid
        A `Grid`, the mapping that describes one (`{"resolution": 0.5}`), a Dataset on the grid, or `Weights`.
    least
        The share of a cell's area that must be wet (and covered by the source) for it to be wet. With one half, the
        default, the coast moves neither way on average; 0 keeps every drop, and with it the whole integral.
    wet_fraction
        Add the coordinate `wet_fraction` w, from `mask` or else from all ocean variables (which reads them). A variable
        whose missing cells change with time has other fractions: see the function `wet_fraction`.
    threads
        For numpy arrays; None: one for each processor.

    Notes
    -----
    The components of a velocity are regridded as scalars. That is right on latitude-longitude grids away from the
    poles, where east and north hardly turn within a cell; next to a pole the mean of components is not that of vectors.
    `mask` is told anew by the same rule, `cell_area` by the new cells; bounds of the old axes are left out.
    `cell_methods` gain "area: mean".

    Raises
    ------
    InputError
        If an axis is missing or not ascending, a variable has only one of them or no numbers, `least` is not within 0
        and 1, or the grids have nothing in common.

    References
    ----------
    Jones (1999), doi:10.1175/1520-0493(1999)127<2204:FASOCR>2.0.CO;2 (first-order conservative remapping)

    Examples
    --------
    >>> coarse = conservative(ds, {"resolution": 1.5})  # doctest: +SKIP
    """
    refuse_least(least)
    made = _weights(ds, grid)
    ds = _without_bounds(ds)
    changed = {name: _moved(name, v, made, least, threads) for name, v in ds.variables.items() if _horizontal(name, v)}
    if wet_fraction:
        mask = ds["mask"] if "mask" in ds.variables else grids.wet_mask(ds)
        share = _applied(mask.variable, made, lambda v: shares(_dry_is_nan(v), made, threads), np.float64)
        changed["wet_fraction"] = share
        share.attrs = dict(VARIABLES["wet_fraction"].attrs)
    coords = {
        name: changed.get(name, v)
        for name, v in ds.coords.variables.items()
        if name not in (*grids.HORIZONTAL, *_STALE)
    }
    for name, values in zip(grids.HORIZONTAL, made.target, strict=True):
        coords[name] = xr.Variable(name, values, DIMENSIONS[name])
    if wet_fraction:
        coords["wet_fraction"] = changed["wet_fraction"]
    kept = {name: changed.get(name, ds[name].variable) for name in ds.data_vars if name not in _STALE}
    out = xr.Dataset(kept, coords, ds.attrs)
    if "cell_area" in ds.variables:
        area = grids.area(out["latitude"], out["longitude"])
        out = out.assign_coords(cell_area=area) if "cell_area" in ds.coords else out.assign(cell_area=area)
    return out


def wet_fraction(field: xr.DataArray, grid: Any) -> xr.DataArray:
    """The share (…, latitude, longitude) of each target cell's area where `field` is finite (a `mask`: not zero)."""
    made = _weights(field, grid)
    change = _dry_is_nan if field.name == "mask" else np.asarray
    v = _applied(field.variable, made, lambda values: shares(change(values), made), np.float64)
    keep = {n: c.variable for n, c in field.coords.items() if not set(c.dims) & set(grids.HORIZONTAL)}
    axes = {n: xr.Variable(n, a, DIMENSIONS[n]) for n, a in zip(grids.HORIZONTAL, made.target, strict=True)}
    return xr.DataArray(v, {**keep, **axes}, name="wet_fraction", attrs=VARIABLES["wet_fraction"].attrs)


def means(values: np.ndarray, made: Weights, least: float = LEAST, threads: int | None = 1) -> np.ndarray:
    """Wet means (…, latitude, longitude) of an array in the same floating type, level by level; sums are float64."""
    return _by_level(values, made, least, threads)[0]


def shares(values: np.ndarray, made: Weights, threads: int | None = 1) -> np.ndarray:
    """Which share (…, latitude, longitude) of each target cell is finite in `values`, float64."""
    return _by_level(values, made, 0.0, threads, wanted=True)[1]


def refuse_least(least: float) -> None:
    """`InputError` unless it is a share."""
    if not 0.0 <= least <= 1.0:
        raise InputError(f"least: found {least:g}; expected the wet share that a cell needs, from 0 to 1")


def working_type(dtype: np.dtype) -> np.dtype:
    """The type of the means of numbers of a type: float32 of float32, float64 of all else, in this machine's bytes."""
    return np.dtype(np.float32 if dtype.kind == "f" and dtype.itemsize == 4 else np.float64)


def _by_level(
    values: np.ndarray, made: Weights, least: float, threads: int | None, wanted: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Means and, where wanted, shares. Levels are handed to a pool of threads: the loops hold no lock."""
    from .regrid_kernel import separable  # numba takes a while to import, and only regridding should pay for it

    values = values.astype(working_type(values.dtype), copy=False)
    sizes = tuple(axis.size for axis in made.source)
    if values.shape[-2:] != sizes:
        raise InputError(f"regrid: found {values.shape[-2:]} cells; the weights are for {sizes}")
    shape = (*values.shape[:-2], *(axis.size for axis in made.target))
    levels = values.reshape(-1, *sizes)
    out = np.empty((len(levels), *shape[-2:]), values.dtype)
    share = np.empty(out.shape) if wanted else None
    r, c = made.rows, made.columns

    def one(n: int) -> None:
        to = _NO_SHARE if share is None else share[n]
        tables = (r.start, r.index, r.weight, c.start, c.index, c.weight, r.size, c.size)
        separable(np.ascontiguousarray(levels[n]), *tables, least - 1e-9, out[n], to)

    workers = min(len(levels), threads or os.cpu_count() or 1)
    if workers > 1:
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(one, range(len(levels))))
    else:
        for n in range(len(levels)):
            one(n)
    return out.reshape(shape), out if share is None else share.reshape(shape)


def _moved(name: Any, v: xr.Variable, made: Weights, least: float, threads: int | None) -> xr.Variable:
    """One variable on the target grid."""
    if name == "mask":
        return _applied(
            v, made, lambda a: (shares(_dry_is_nan(a), made, threads) >= _enough(least)).astype(np.int8), np.int8
        )
    if v.dtype.kind not in "fiu":
        raise InputError(f"{name}: found values of type {v.dtype}; expected numbers: drop it before regridding")
    out = _applied(v, made, lambda a: means(a, made, least, threads), working_type(v.dtype))
    methods = str(v.attrs.get("cell_methods", ""))
    if "area:" not in methods:
        out.attrs["cell_methods"] = f"{methods} area: mean".strip()
    return out


def _enough(least: float) -> float:
    """The wet share from which on a cell is wet, in the kernel's own terms: some, and `least` within rounding."""
    return max(least - 1e-9, np.nextafter(0.0, 1.0))


def _dry_is_nan(mask: np.ndarray) -> np.ndarray:
    return np.where(mask != 0, 1.0, np.nan)


def _applied(v: xr.Variable, made: Weights, function: Callable[[np.ndarray], np.ndarray], dtype: Any) -> xr.Variable:
    """A function of (…, latitude, longitude) on a variable whose dimensions may stand in another order."""
    space = dict(zip(grids.HORIZONTAL, (axis.size for axis in made.target), strict=True))
    out = xr.apply_ufunc(
        function,
        v.chunk(dict.fromkeys(space, -1)) if v.chunks else v,
        input_core_dims=[list(space)],
        output_core_dims=[list(space)],
        exclude_dims=set(space),
        dask="parallelized",
        output_dtypes=[dtype],
        dask_gufunc_kwargs={"output_sizes": space},
    ).transpose(*v.dims)
    out.attrs = dict(v.attrs)
    return out


def _axes(ds: xr.Dataset | xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    latitude, longitude = (grids._coordinate(ds, name) for name in grids.HORIZONTAL)
    return latitude.values, longitude.values


def _weights(ds: xr.Dataset | xr.DataArray, grid: Any) -> Weights:
    """The Weights to a grid, or those that are given, if they are from the grid of `ds`."""
    if not isinstance(grid, Weights):
        return weights(*_axes(ds), grid)
    for name, ours, theirs in zip(grids.HORIZONTAL, _axes(ds), grid.source, strict=True):
        if ours.shape != theirs.shape or not np.allclose(ours, theirs, rtol=0, atol=1e-4):
            raise InputError(f"{name}: is not the one that the weights are for; make them anew for this grid")
    return grid


def _horizontal(name: Any, v: xr.Variable) -> bool:
    """True for what is to be regridded; `InputError` for what has one horizontal dimension and not the other."""
    held = [d for d in grids.HORIZONTAL if d in v.dims]
    if name in (*grids.HORIZONTAL, *_STALE) or not held:
        return False
    if len(held) == 1:
        raise InputError(f"{name}: has {held[0]} without {'longitude' if held[0] == 'latitude' else 'latitude'}; "
                         "drop it before regridding")  # fmt: skip
    return True


def _without_bounds(ds: xr.Dataset) -> xr.Dataset:
    """Without the bounds of the old axes."""
    names = [ds[axis].attrs.get("bounds") for axis in grids.HORIZONTAL]
    return ds.drop_vars([name for name in names if name in ds.variables])
