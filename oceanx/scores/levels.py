"""Levels and bands of depth: which stand for the same, and how much of a layer lies in a band."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from ..ocean.grid import depth_interfaces
from ..vocabulary.errors import InputError

Bands = Sequence[tuple[float, float]]

DEPTH_BANDS: Bands = ((0, 50), (50, 200), (200, 600), (600, 2000), (2000, 6000))


def all_levels(forecasts: Mapping[str, xr.Dataset]) -> xr.DataArray | None:
    """Every level that some forecast has, from the top."""
    with_depth = [f["depth"] for f in forecasts.values() if "depth" in f.dims]
    if not with_depth:
        return None
    levels = with_depth[0]
    for other in with_depth[1:]:
        new = ~_same(levels.values[nearest_levels(levels, other)], other.values)
        if new.any():
            levels = xr.concat([levels, other[new]], "depth", coords="minimal", compat="override").sortby("depth")
    return levels


def on_all_levels(name: str, forecasts: Mapping[str, xr.Dataset]) -> bool:
    """Whether a variable stands on levels: in all forecasts, or in none."""
    having = [model for model, f in forecasts.items() if "depth" in f[name].dims]
    lacking = [model for model in forecasts if model not in having]
    if having and lacking:
        raise InputError(
            f"{name}: has a depth in {having[0]} and none in {lacking[0]}; select its level in both or none"
        )
    return bool(having)


def nearest_levels(v: xr.Dataset | xr.DataArray, like: xr.Dataset | xr.DataArray) -> np.ndarray:
    """Where among the levels of `v` those nearest to each level of `like` stand."""
    have, want = v["depth"].values.astype(float), like["depth"].values.astype(float)
    return np.abs(have[None, :] - want[:, None]).argmin(axis=1)


def on_levels(v: xr.DataArray, like: xr.DataArray, what: str = "truth") -> xr.DataArray:
    """`v` on the levels of `like`, each of which it must have; `what` is what errors call it."""
    if "depth" not in like.dims:
        return v
    if "depth" not in v.dims:
        raise InputError(f"{v.name}: the forecast has a depth, the {what} has none")
    nearest = nearest_levels(v, like)
    have, want = v["depth"].values, like["depth"].values
    apart = ~_same(have[nearest], want)
    if apart.any():
        level = want[np.argmax(apart)]
        raise InputError(
            f"depth: the forecast's level {level:g} m is not in the {what}, whose nearest is "
            f"{have[nearest][np.argmax(apart)]:g} m; interpolate one to the other"
        )
    return v.isel(depth=nearest)


def band_thickness(depth: xr.DataArray, bands: Bands | None) -> xr.DataArray:
    """How many metres of each level's layer lie in each band (depth_band, depth).

    Layers end half-way between levels, as in `oceanx.ocean.grid.thickness`; one that a band's edge cuts counts in both
    bands, with its part in each. Without bands, those of `DEPTH_BANDS` that the levels reach.

    Raises
    ------
    InputError
        If a band is upside down, or no layer lies in it.
    """
    edges = depth_interfaces(depth)
    wanted = [(float(top), float(bottom)) for top, bottom in (DEPTH_BANDS if bands is None else bands)]
    rows = [np.clip(np.minimum(edges[1:], low) - np.maximum(edges[:-1], top), 0, None) for top, low in wanted]
    if bands is None:
        there = [(band, row) for band, row in zip(wanted, rows, strict=True) if row.any()]
        wanted, rows = [band for band, _ in there], [row for _, row in there]
    for (top, low), row in zip(wanted, rows, strict=True):
        if not 0 <= top < low or not row.any():
            raise InputError(
                f"depth_bands: no layer lies in {top:g} to {low:g} m; expected (top, bottom) in metres within "
                f"{edges[0]:g} to {edges[-1]:g}"
            )
    names = [f"{top:g}-{low:g} m" for top, low in wanted]
    return xr.DataArray(
        np.stack(rows), coords={"depth_band": names, "depth": depth.values}, dims=("depth_band", "depth")
    )


def _same(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Whether depths (m) are those of one level."""
    return np.isclose(a.astype(float), b.astype(float), rtol=1e-4, atol=1e-4)
