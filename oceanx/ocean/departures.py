"""Anomalies of forecasts and analyses, marked as such, on any part of the climatology's grid; and totals again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import xarray as xr

from ..vocabulary.errors import InputError
from ..vocabulary.published import QUANTITY
from . import climatology as seasons

T = TypeVar("T", xr.Dataset, xr.DataArray)

ANOMALY = "anomaly"
_SAID = " anomaly"
_TOLERANCE = 1e-4  # degrees; of a depth the share, beyond 1 m


def anomaly(obj: T, climatology: xr.Dataset) -> T:
    """The departure from the climatology of each valid date, lazy where the data are; inverse of `totals`.

    Attributes are kept, and say that it is an anomaly (`oceanx_quantity`, `long_name`, and of temperatures
    `units_metadata`). Variables that the climatology lacks are left out.

    Parameters
    ----------
    climatology
        With `harmonic` or `dayofyear`, on the grid of `obj`, or on one that `obj` was selected from.

    Raises
    ------
    InputError
        If a variable is an anomaly already, in another unit, or on another grid; or the climatology has none of them.
    """
    return _shifted(obj, climatology, seasons.anomaly, _away)


def totals(obj: T, climatology: xr.Dataset) -> T:
    """Anomalies with the climatology of each valid date added back; inverse of `anomaly` to rounding.

    Raises
    ------
    InputError
        If a variable does not say that it is an anomaly, or as `anomaly` does.
    """
    return _shifted(obj, climatology, seasons.total, _back)


def _shifted(
    obj: T,
    climatology: xr.Dataset,
    shift: Callable[[xr.Dataset, xr.Dataset], xr.Dataset],
    mark: Callable[[str, dict[str, Any]], dict[str, Any]],
) -> T:
    if isinstance(obj, xr.DataArray):
        if obj.name is None:
            raise InputError("climatology: the DataArray has no name; name it as its variable is in the climatology")
        found: T = _shifted(obj.to_dataset(), climatology, shift, mark)[obj.name]
        return found
    names = [str(n) for n in obj.data_vars if n in climatology.data_vars]
    marked = {name: mark(name, obj[name].attrs) for name in names}
    for name in names:
        ours, theirs = obj[name].attrs.get("units"), climatology[name].attrs.get("units")
        if ours and theirs and ours != theirs:
            raise InputError(f"{name}: is in {ours!r}, its climatology in {theirs!r}; convert one of them first")
    if names and "valid_time" not in obj.coords and "time" not in obj.coords:
        raise InputError(f"{names[0]}: has neither valid_time nor time, so no date; label it with labels.label(ds)")
    result = shift(obj, _part(climatology[names], obj) if names else climatology)
    for name in names:
        result[name].attrs = marked[name]
    return result


def _part(climatology: xr.Dataset, obj: xr.Dataset) -> xr.Dataset:
    """The cells of the climatology that the object has."""
    for dim in ("depth", "latitude", "longitude"):
        if dim not in climatology.dims:
            continue
        if dim not in obj.coords:
            raise InputError(f"climatology: has {dim}, the data have not; select it there too")
        here, there = obj[dim], climatology[dim].values.astype(float)
        if here.ndim == 1 and here.size == there.size and np.array_equal(here.values, there):
            continue
        nearest = np.abs(np.subtract.outer(here.values.astype(float), there)).argmin(axis=-1)
        apart = np.abs(there[nearest] - here.values)
        allowed = _TOLERANCE * (np.maximum(1.0, np.abs(here.values)) if dim == "depth" else 1.0)
        if (apart > allowed).any():
            off = np.atleast_1d(here.values)[np.atleast_1d(apart > allowed)][0]
            raise InputError(f"climatology: has no {dim} {off:g}, which the data have; bring them to one grid first")
        climatology = climatology.isel({dim: xr.DataArray(nearest, dims=here.dims)}).assign_coords({dim: here.variable})
    return climatology


def _away(name: str, attrs: dict[str, Any]) -> dict[str, Any]:
    if attrs.get(QUANTITY) == ANOMALY:
        raise InputError(f"anomaly: {name} is an anomaly already")
    said = {"long_name": f"{attrs.get('long_name', name)}{_SAID}", QUANTITY: ANOMALY}
    return attrs | said | _scale(attrs, "difference")


def _back(name: str, attrs: dict[str, Any]) -> dict[str, Any]:
    if attrs.get(QUANTITY) != ANOMALY:
        raise InputError(f"totals: {name} does not say that it is an anomaly ({QUANTITY}={ANOMALY!r})")
    kept = {key: value for key, value in attrs.items() if key != QUANTITY}
    return kept | {"long_name": str(attrs.get("long_name", name)).removesuffix(_SAID)} | _scale(attrs, "on_scale")


def _scale(attrs: dict[str, Any], kind: str) -> dict[str, str]:
    """CF's word for kelvins or degrees that are those of a thermometer, or between two readings of it."""
    return {"units_metadata": f"temperature: {kind}"} if "units_metadata" in attrs else {}
