"""Taking variables out of a Dataset to calculate with: there, in our units, and not made twice."""

from __future__ import annotations

from collections.abc import Iterable

import xarray as xr

from ..vocabulary.errors import InputError
from ..vocabulary.names import VARIABLES


def field(ds: xr.Dataset, name: str, what: str) -> xr.DataArray:
    """The variable `name`, which must be in our unit if it states one.

    Parameters
    ----------
    what
        What it is needed for, to say so in the message.

    Raises
    ------
    InputError
        If it is not there, or is in another unit.
    """
    if name not in ds.data_vars:
        has = ", ".join(map(str, ds.data_vars)) or "none"
        raise InputError(f"{what}: needs the variable {name}; the Dataset has {has}")
    v = ds[name]
    expected, found = VARIABLES[name].units, v.attrs.get("units", VARIABLES[name].units)
    if found != expected:
        raise InputError(
            f"{what}: {name} is in {found!r}, expected {expected!r}; convert it first (step convert_units)"
        )
    return v


def surface(v: xr.DataArray) -> xr.DataArray:
    """The topmost level of a variable, or the variable itself if it has none."""
    if "depth" not in v.dims:
        return v
    of_levels = [c for c in v.coords if "depth" in v[c].dims and c != "depth"]  # a mask by depth would lose its depth
    return v.isel(depth=0, drop=True).drop_vars(of_levels, errors="ignore")


def refuse_present(ds: xr.Dataset, names: Iterable[str], what: str) -> None:
    """`InputError` if the Dataset has one of the variables that are to be calculated."""
    for name in names:
        if name in ds.data_vars:
            raise InputError(f"{what}: the Dataset has {name} already; leave it out, or do not calculate it")


def whole(v: xr.DataArray, *dims: str) -> xr.DataArray:
    """The variable, lazy if it was, with each of these dimensions in one chunk."""
    return v.chunk(dict.fromkeys((d for d in dims if d in v.dims), -1)) if v.chunks else v


def named(v: xr.DataArray, name: str, **attrs: str) -> xr.DataArray:
    """The variable under a name of ours with its attributes, and more of them."""
    v = v.rename(name)
    v.attrs = VARIABLES[name].attrs | attrs
    return v
