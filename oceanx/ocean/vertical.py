"""From one set of levels to another: conserving what a column holds, or reading off values at exact depths.

`remap_levels` gives means over layers. Use it to change a model's levels: heat and salt content of the layers are
those of the source. `interpolate_levels` gives values at depths. Use it to compare with something that is known at a
depth: an observation, or a reference on levels that the data lack (such as 47.37 m). It conserves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import xarray as xr

from ..vocabulary.errors import InputError
from ..vocabulary.names import DIMENSIONS, VARIABLES
from . import grid
from .regrid import LEAST, refuse_least, working_type
from .regrid_weights import Overlap

_ONE_LEVEL = 1e-4  # m, or as a share of depths beyond 1 m: float32 levels differ by that much


def remap_levels(
    ds: xr.Dataset,
    depths: Sequence[float] | None = None,
    *,
    interfaces: Sequence[float] | None = None,
    least: float = LEAST,
) -> xr.Dataset:
    """The Dataset on other levels: each value is the thickness-weighted mean over the wet part of its layer.

    With source layers k of thickness h that overlap a target layer l, and wet where the field is finite,

        f_l = Σ_k h_kl f_k / Σ_k h_kl    over wet k,

    so that the column's integral over the wet depth of the layers that are kept is that of the source. The sea floor
    never bleeds in. Lazy where `ds` is; variables without a depth pass unchanged.

    Parameters
    ----------
    depths
        Depths (m) of the new levels, ascending; interfaces lie half-way between, the first at the surface.
    interfaces
        Instead of `depths`: where the new layers begin and end (m), one more than there are layers. Levels are then
        in the middle.
    least
        The share of a layer that must be wet for its value not to be NaN.

    Notes
    -----
    The interfaces of the source are the bounds of its `depth` where it has them, else its one-dimensional
    `thickness` summed from the surface, else they lie half-way between levels. `mask` and `thickness` are told anew.

    Raises
    ------
    InputError
        If there is no depth, levels are not ascending, or no new layer lies in the old ones.
    """
    refuse_least(least)
    if (depths is None) == (interfaces is None):
        raise InputError("remap_levels: give either depths or interfaces")
    target = np.asarray(interfaces, float) if interfaces is not None else _halfway(_levels(depths, "depths"))
    if interfaces is not None and (target.size < 2 or target[0] < 0 or not (np.diff(target) > 0).all()):
        raise InputError(f"remap_levels: found interfaces {list(interfaces)}; expected ascending metres, two at least")
    levels = (target[1:] + target[:-1]) / 2 if depths is None else _levels(depths, "depths")
    overlap = _overlap(source_interfaces(ds), target)
    return _on_levels(ds, overlap, levels, np.diff(target), least)


def interpolate_levels(ds: xr.Dataset, depths: Sequence[float]) -> xr.Dataset:
    """The Dataset at exact depths, linear between the levels above and below; NaN below the sea floor.

    With levels z_k ≤ z < z_{k+1}:  f(z) = (1 − a) f_k + a f_{k+1},  a = (z − z_k) / (z_{k+1} − z_k). Where either of
    the two is NaN the result is. A depth on a level, to 1 part in 10⁴, takes its value alone. Nothing is extrapolated
    and nothing is conserved. Lazy where `ds` is; variables without a depth pass unchanged.

    Parameters
    ----------
    depths
        In m, ascending, from the first level of the data to the last.

    Raises
    ------
    InputError
        If there is no depth, or a depth is above the first level or below the last.

    Examples
    --------
    >>> oceanbench = [0.494025, 47.37369, 92.32607, 222.4752, 318.1274, 541.0889]
    >>> there = interpolate_levels(ds, oceanbench)  # doctest: +SKIP
    """
    levels = _levels(depths, "interpolate_levels: depths")
    held = _levels(_depth(ds).values, "depth")
    upper, share = _between(held, levels)
    both = np.stack([np.arange(levels.size)] * 2, axis=1).ravel()
    index = np.stack([upper, np.minimum(upper + 1, held.size - 1)], axis=1).ravel()
    weight = np.stack([1 - share, share], axis=1).ravel()
    keep = weight > 0  # a level that takes no part must not make others NaN
    overlap = Overlap.of(both[keep], index[keep], weight[keep], np.ones(levels.size))
    return _on_levels(ds, overlap, levels, np.diff(_halfway(levels)), least=1.0)


def source_interfaces(ds: xr.Dataset) -> np.ndarray:
    """Where the layers of a Dataset begin and end (m), one more than there are levels."""
    depth = _depth(ds)
    bounds = ds.variables.get(depth.attrs.get("bounds", ""))
    if bounds is not None:
        values = np.sort(np.abs(bounds.transpose("depth", ...).values.astype(float)), axis=1)
        if values.ndim != 2 or values.shape[1] != 2 or not np.allclose(values[1:, 0], values[:-1, 1], rtol=1e-4):
            raise InputError(f"{depth.attrs['bounds']}: found shape {values.shape}; expected two bounds of each level, "
                             "each layer beginning where the one above ends")  # fmt: skip
        return np.append(values[:, 0], values[-1, 1])
    if "thickness" in ds.variables and ds["thickness"].dims == ("depth",):
        interfaces = np.concatenate([[0.0], np.cumsum(ds["thickness"].values.astype(float))])
        outside = (depth.values < interfaces[:-1]) | (depth.values > interfaces[1:])
        if outside.any():
            raise InputError(
                f"thickness: layers summed from the surface leave the level {depth.values[outside][0]:g} m outside its "
                "own (levels were left out?); drop it to have interfaces half-way between levels"
            )
        return interfaces
    return _halfway(_levels(depth.values, "depth"))


def _on_levels(ds: xr.Dataset, overlap: Overlap, levels: np.ndarray, thickness: np.ndarray, least: float) -> xr.Dataset:
    """Every variable that has a depth, on the new levels."""
    attrs = {k: a for k, a in {**DIMENSIONS["depth"], **ds["depth"].attrs}.items() if k != "bounds"}
    new = {"depth": xr.Variable("depth", levels, attrs)}
    if "thickness" in ds.coords:
        new["thickness"] = xr.Variable("depth", thickness, VARIABLES["thickness"].attrs)
    ds = ds.drop_vars([n for n in ("depth", "thickness", ds["depth"].attrs.get("bounds")) if n in ds.variables])
    changed = {n: _changed(str(n), v, overlap, least) for n, v in ds.variables.items() if "depth" in v.dims}
    variables = {name: changed.get(name, v) for name, v in ds.variables.items()}
    coords = {name: variables[name] for name in ds.coords} | new
    return xr.Dataset({name: variables[name] for name in ds.data_vars}, coords, ds.attrs)


def _changed(name: str, v: xr.Variable, overlap: Overlap, least: float) -> xr.Variable:
    """One variable on the new levels; a mask says where a variable that it describes has values."""
    levels = overlap.size.size
    if name == "mask":
        return _applied(
            v, levels, lambda a: np.isfinite(_mixed(np.where(a != 0, 1.0, np.nan), overlap, least)), np.int8
        )
    if v.dtype.kind not in "fiu":
        raise InputError(f"{name}: has a depth but no numbers (type {v.dtype}); drop it before changing the levels")
    kind = working_type(v.dtype)
    return _applied(v, levels, lambda a: _mixed(a.astype(kind, copy=False), overlap, least), kind)


def _applied(v: xr.Variable, levels: int, function: Callable[[np.ndarray], np.ndarray], dtype: Any) -> xr.Variable:
    """A function of (depth, …) on a variable whose depth may stand elsewhere."""
    out = xr.apply_ufunc(
        lambda a: np.moveaxis(function(np.moveaxis(a, -1, 0)).astype(dtype, copy=False), 0, -1),
        v.chunk({"depth": -1}) if v.chunks else v,
        input_core_dims=[["depth"]],
        output_core_dims=[["depth"]],
        exclude_dims={"depth"},
        dask="parallelized",
        output_dtypes=[dtype],
        dask_gufunc_kwargs={"output_sizes": {"depth": levels}},
    ).transpose(*v.dims)
    out.attrs = dict(v.attrs)
    return out


def _mixed(values: np.ndarray, overlap: Overlap, least: float) -> np.ndarray:
    """Wet means (new level, …) of an array (level, …)."""
    from .regrid_kernel import layered  # numba takes a while to import, and only regridding should pay for it

    flat = np.ascontiguousarray(values).reshape(values.shape[0], -1)
    out = np.empty((overlap.size.size, flat.shape[1]), flat.dtype)
    layered(flat, overlap.start, overlap.index, overlap.weight, overlap.size, least - 1e-9, out)
    return out.reshape(overlap.size.size, *values.shape[1:])


def _overlap(source: np.ndarray, target: np.ndarray) -> Overlap:
    """How much (m) of each source layer lies in each target layer."""
    cuts = np.union1d(source, target)
    middle = (cuts[1:] + cuts[:-1]) / 2
    s, t = np.searchsorted(source, middle) - 1, np.searchsorted(target, middle) - 1
    both = (s >= 0) & (s < source.size - 1) & (t >= 0) & (t < target.size - 1)
    if not both.any():
        raise InputError(f"depth: the data reach from {source[0]:g} to {source[-1]:g} m, the new layers from "
                         f"{target[0]:g} to {target[-1]:g} m: nothing in common")  # fmt: skip
    return Overlap.of(t[both], s[both], np.diff(cuts)[both], np.diff(target))


def _between(held: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The level above each depth, and how far towards the next one the depth lies."""
    near = np.abs(held[:, None] - wanted).argmin(axis=0)
    apart = np.abs(held[near] - wanted)
    on = apart <= _ONE_LEVEL * np.maximum(1.0, wanted)
    outside = ((wanted < held[0]) | (wanted > held[-1])) & ~on
    if outside.any():
        raise InputError(
            f"interpolate_levels: {wanted[outside][0]:g} m is outside the levels of the data, {held[0]:g} to "
            f"{held[-1]:g} m; nothing is extrapolated: leave it out"
        )
    upper = np.where(on, near, np.searchsorted(held, wanted) - 1)
    below = np.minimum(upper + 1, held.size - 1)
    gap = np.where(below > upper, held[below] - held[upper], 1.0)
    return upper, np.where(on, 0.0, (wanted - held[upper]) / gap)


def _halfway(levels: np.ndarray) -> np.ndarray:
    """Interfaces between levels, the first at the surface, as everywhere in oceanx."""
    return grid.depth_interfaces(xr.DataArray(levels, dims="depth", name="depth"))


def _levels(depths: Any, name: str) -> np.ndarray:
    levels = np.atleast_1d(np.asarray(depths, float))
    if levels.ndim != 1 or levels.size == 0 or not (np.diff(levels) > 0).all() or levels[0] < 0:
        raise InputError(f"{name}: found {np.round(levels, 4).tolist()}; expected ascending metres below the surface")
    return levels


def _depth(ds: xr.Dataset) -> xr.DataArray:
    if "depth" not in ds.dims or "depth" not in ds.coords:
        raise InputError(f"depth: no such axis; found {sorted(map(str, ds.dims))}")
    return ds["depth"]
