"""Several stores as one Dataset: on one grid, on common times; or of observations as one table."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from ...ocean import grid
from ...ocean.observations import reasons
from ...ocean.observing.joining import joined
from ...vocabulary.errors import InputError


def merge(parts: Sequence[xr.Dataset], names: Sequence[str]) -> xr.Dataset:
    """One Dataset of several on one grid: common times, the first one's coordinates, cells wet in all.

    Several tables of observations become one, sorted by time.
    """
    first = parts[0]
    if len(parts) == 1:
        return first
    points = ["obs" in ds.dims and "latitude" not in ds.dims for ds in parts]  # analyses have departures along obs
    if all(points):
        return _table(parts, names)
    if any(points):
        raise InputError(
            f"{names[points.index(True)]}: holds observations (dimension obs), {names[points.index(False)]} fields on "
            "a grid; open them apart"
        )
    home: dict[str, str] = {}
    for ds, name in zip(parts, names, strict=True):
        for v in map(str, ds.data_vars):
            if v in home:
                raise InputError(f"{v}: is in both {home[v]} and {name}; open one of them without it")
            home[v] = name
    depth = next((ds["depth"] for ds in parts if "depth" in ds.dims), None)
    moved = []
    for ds, name in zip(parts, names, strict=True):
        try:
            grid.same_grid(first, ds)
            if depth is not None and "depth" in ds.dims:
                grid.same_grid(first.assign_coords(depth=depth) if "depth" not in first.dims else first, ds)
        except InputError as error:
            raise InputError(f"{names[0]} and {name}: {error}") from None
        model = {"latitude": first["latitude"], "longitude": first["longitude"]}
        moved.append(ds.assign_coords(model | ({"depth": depth} if "depth" in ds.dims else {})))
    times = _common_times(moved, names)
    masks = [ds["mask"] for ds in moved if "mask" in ds.coords]
    moved = [ds.sel(time=times).drop_vars("mask", errors="ignore") if "time" in ds.dims else ds for ds in moved]
    ds = xr.merge(moved, compat="override", join="exact", combine_attrs="override")
    if masks:
        ds = ds.assign_coords(mask=_common_mask(masks))
    return ds.assign_attrs(_attrs(parts, times))


def _table(parts: Sequence[xr.Dataset], names: Sequence[str]) -> xr.Dataset:
    ds = joined(parts, names)
    return ds.assign_attrs(_together(parts), rejected_total=json.dumps(reasons(ds.attrs)))


def _common_times(parts: Sequence[xr.Dataset], names: Sequence[str]) -> np.ndarray:
    dated = [(ds["time"].values, name) for ds, name in zip(parts, names, strict=True) if "time" in ds.dims]
    times = dated[0][0] if dated else np.array([], "datetime64[ns]")
    for other, _ in dated[1:]:
        times = np.intersect1d(times, other)
    if dated and not times.size:
        spans = "; ".join(f"{name} {str(t[0])[:10]} to {str(t[-1])[:10]}" for t, name in dated)
        raise InputError(f"time: the stores have no time in common ({spans})")
    return times


def _common_mask(masks: Sequence[xr.DataArray]) -> xr.DataArray:
    """Cells that are wet in every mask; one without depth speaks for the top level."""
    common = next((mask for mask in masks if "depth" in mask.dims), masks[0])
    wet = common.values == 1
    for mask in masks:
        top = wet[0] if wet.ndim > mask.ndim else wet
        top &= mask.values == 1
    return xr.DataArray(wet.astype(np.int8), dims=common.dims, attrs=common.attrs)


def _attrs(parts: Sequence[xr.Dataset], times: np.ndarray) -> dict[str, Any]:
    """Attributes of a merged Dataset: titles joined, missing times united, one fingerprint of all."""
    held = {np.datetime_as_string(t, unit="s").removesuffix("T00:00:00") for t in times}
    missing = sorted({t for ds in parts for t in np.atleast_1d(ds.attrs.get("missing_times", []))} & held)
    same = {k: v for k, v in parts[0].attrs.items() if all(ds.attrs.get(k) == v for ds in parts[1:])}
    return same | {"missing_times": missing} | _together(parts)


def _together(parts: Sequence[xr.Dataset]) -> dict[str, Any]:
    """Titles joined, one fingerprint of all, and every file."""
    prints = "+".join(str(ds.attrs.get("oceanx_fingerprint", "")) for ds in parts)
    return {
        "title": " + ".join(dict.fromkeys(str(ds.attrs.get("title", "untitled")) for ds in parts)),
        "oceanx_fingerprint": hashlib.sha256(prints.encode()).hexdigest()[:32],
        "source_files": [str(f) for ds in parts for f in np.atleast_1d(ds.attrs.get("source_files", []))],
    }
