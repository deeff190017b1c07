"""Stores that others made, in our words: names, dimensions, axes and units, all of it lazily."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from ...vocabulary.errors import InputError
from ...vocabulary.names import DIMENSION_ALIASES, DIMENSIONS, VARIABLES, ours, variable
from .. import units
from ..axis import span
from ..formats.packing import decode
from ..formats.part import SPACE
from .stores import packing, prepared

_RATES = {("J m-2", "W m-2"), ("m", "m s-1")}  # accumulated, and its mean rate
_VALID = ("valid_time_start", "valid_time_stop")  # an archive's padded time axis holds values between these


def translated(ds: xr.Dataset, where: str, accumulated: float | None = None) -> xr.Dataset:
    """The Dataset with our names, dimensions, axes and units, of what oceanx has a word for.

    Parameters
    ----------
    ds
        Not chunked yet: what is left out must cost nothing. It comes back in dask arrays, one block a chunk.
    where
        What error messages call it.
    accumulated
        Seconds over which energy and water are accumulated, to be divided by; None leaves such variables out.

    Raises
    ------
    InputError
        If it is not on a rectilinear grid, or holds nothing that oceanx has a word for.
    """
    ds = _renamed(_dimensions(ds, where), where)
    ds, turn = _axes(_between(ds), where)
    made = {str(name): _ours(v, str(name), accumulated, turn) for name, v in ds.data_vars.items()}
    left_out = [f"{name} (in {ds[name].attrs.get('units')})" for name, v in made.items() if v is None]
    if len(left_out) == len(made):
        raise InputError(f"{where}: no variable in units of ours; left out {', '.join(left_out)}")
    kept = {name: v for name, v in made.items() if v is not None}
    ds = ds.drop_vars(list(made)).roll(longitude=turn, roll_coords=True).assign(kept)
    if left_out:
        ds.attrs["comment"] = f"left out, for want of a known unit: {', '.join(left_out)}"
    return prepared(ds)


def _dimensions(ds: xr.Dataset, where: str) -> xr.Dataset:
    """Our names of time, depth, latitude and longitude."""
    names = {}
    for role in ("time", *SPACE):
        words = (role, *DIMENSION_ALIASES[role])
        found = [n for n in words if n in ds.variables and (len(n) > 1 or n in ds.dims)]  # a letter may be a quantity
        found += [str(n) for n, v in ds.variables.items() if v.attrs.get("standard_name") == role and n in ds.dims]
        if found:
            names[found[0]] = role
    for role in ("latitude", "longitude"):
        name = next((n for n, r in names.items() if r == role), None)
        if name is None:
            raise InputError(f"{where}: no {role} among {sorted(map(str, ds.variables))[:12]}; expected a regular grid")
        if ds[name].ndim != 1:
            raise InputError(
                f"{where}: {name} has dimensions {', '.join(map(str, ds[name].dims))}; expected a regular grid"
            )
    return ds.rename({n: r for n, r in names.items() if n != r})


def _renamed(ds: xr.Dataset, where: str) -> xr.Dataset:
    """Our variables under our names, and nothing else."""
    held: dict[str, str] = {}
    for name, v in sorted(ds.data_vars.items(), key=lambda item: item[0] not in VARIABLES):
        word = ours(str(name)) or _by_standard_name(str(name), v)
        if word and word not in held.values() and _fits(v, word):
            held[str(name)] = word
    if not held:
        raise InputError(f"{where}: no variable that oceanx knows among {sorted(map(str, ds.data_vars))[:12]}")
    return ds[list(held)].rename({n: word for n, word in held.items() if n != word})


def _by_standard_name(name: str, v: xr.DataArray) -> str | None:
    """Our word for a CF name, written as the variable's name or in its attributes; it must mean one of ours alone."""
    said = {name, v.attrs.get("standard_name")} - {None, ""}
    # In the atmosphere a standard name leaves the height open: winds at 10 m and at 100 m share theirs.
    rows = [row.name for row in VARIABLES.values() if row.realm in ("ocean", "ice") and row.standard_name in said]
    return rows[0] if len(rows) == 1 else None


def _fits(v: xr.DataArray, word: str) -> bool:
    expected = {"latitude", "longitude"} | ({"depth"} if variable(word).volume else set())
    return expected <= set(v.dims) <= {"time", *SPACE}


def _between(ds: xr.Dataset) -> xr.Dataset:
    """Those times that an archive with a padded axis says it holds."""
    if "time" not in ds.dims or not all(key in ds.attrs for key in _VALID):
        return ds
    times, (first, last) = ds["time"].values, span(slice(*(str(ds.attrs[key]) for key in _VALID)))
    held = np.flatnonzero((times >= first) & (times <= last))
    return ds.isel(time=slice(held[0], held[-1] + 1) if held.size else slice(0))


def _axes(ds: xr.Dataset, where: str) -> tuple[xr.Dataset, int]:
    """Ascending axes, depth positive down, longitude in [-180, 180); and how far longitude is still to be turned."""
    if "depth" in ds.coords and (ds["depth"].attrs.get("positive") == "up" or bool((ds["depth"] < 0).any())):
        ds = ds.assign_coords(depth=-ds["depth"].astype(float).round(6).astype(ds["depth"].dtype))
    ds = ds.assign_coords(longitude=(ds["longitude"].astype(float) + 180.0) % 360.0 - 180.0)
    for name in ("depth", "latitude"):
        if name in ds.dims and ds[name].size > 1 and ds[name][0] > ds[name][-1]:
            ds = ds.isel({name: slice(None, None, -1)})
    lon = ds["longitude"].values
    turn = int(lon.size - np.argmin(lon)) % lon.size
    for name in ("depth", "latitude", "longitude"):
        if name in ds.dims and (np.diff(np.roll(ds[name].values, turn if name == "longitude" else 0)) <= 0).any():
            raise InputError(f"{where}: {name} is not in order; expected each value once, one way along the axis")
    for name in ("time", *SPACE):
        if name in ds.coords:
            ds[name].attrs = dict(DIMENSIONS[name])
    return ds, turn


def _ours(v: xr.DataArray, name: str, accumulated: float | None, turn: int) -> xr.Variable | None:
    """The variable in our unit with our attributes, or None where its unit cannot become ours."""
    row: Any = variable(name)
    found, methods = units.normal(str(v.attrs.get("units", row.units))), v.attrs.get("cell_methods", "")
    if (found, row.units) in _RATES and accumulated:
        change: Any = units.Conversion(over=accumulated)
        methods = "time: mean"
    elif units.convertible(found, row.units):
        change = units.conversion(found, row.units, name) if found != row.units else None
    else:
        return None
    attrs = row.attrs | ({"cell_methods": methods} if methods else {})
    cut = _chunks(v, whole=turn > 0)
    # One layer of tasks, whatever is to be done: an archive of a century of hours has very many.
    data = v.variable.chunk(cut).data.map_blocks(
        _made, packing(v.attrs), change, turn, v.dims.index("longitude"), dtype=np.float32,
        meta=np.empty((0,) * v.ndim, np.float32),
    )  # fmt: skip
    return xr.Variable(v.dims, data, attrs)


def _made(raw: np.ndarray, packed: dict[str, Any], change: Any, turn: int, axis: int) -> np.ndarray:
    """Our numbers of one block: unpacked, converted in float64, turned, and rounded once."""
    values = raw if not packed and change is None else decode(raw, packed, np.float64 if change else np.float32)
    values = change(values) if change else values
    return np.roll(values, turn, axis).astype(np.float32, copy=False) if turn else values.astype(np.float32, copy=False)


def _chunks(v: xr.DataArray, whole: bool) -> dict[Any, int]:
    """The chunks it is stored in, but with rows in one piece where they are to be turned."""
    stored = v.encoding.get("preferred_chunks", {})
    cut = {d: stored.get(d, size) for d, size in v.sizes.items()}
    return cut | ({"longitude": v.sizes["longitude"]} if whole else {})
