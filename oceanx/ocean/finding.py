"""Finding variables and axes by what they mean: CF's `standard_name` first, short names second."""

from __future__ import annotations

from typing import TypeVar

import cf_xarray  # noqa: F401  (registers .cf)
import xarray as xr

from ..vocabulary.errors import InputError
from ..vocabulary.names import DIMENSION_ALIASES, DIMENSIONS, VARIABLES
from ..vocabulary.published import QUANTITY

T = TypeVar("T", xr.Dataset, xr.DataArray)

_AXES = ("depth", "latitude", "longitude", "init_time", "lead_time", "member")


def with_our_names(obj: xr.Dataset | xr.DataArray, *names: str) -> xr.Dataset:
    """A Dataset of the variables meant by our words, and their axes, under these.

    A variable is found by its `standard_name`, or else by our word or another that we know for it. Lazy.

    Parameters
    ----------
    obj
        Of a DataArray without a name, the first of `names` is taken.

    Raises
    ------
    InputError
        If a variable is not there, could be either of two, or is an anomaly.
    """
    if isinstance(obj, xr.DataArray):
        obj = obj.to_dataset(name=obj.name or names[0])
    found = {name: meant(obj, name) for name in names}
    chosen = obj[list(found.values())].rename({theirs: ours for ours, theirs in found.items() if theirs != ours})
    for name in names:
        if chosen[name].attrs.get(QUANTITY) == "anomaly":
            raise InputError(f"{found[name]}: is an anomaly; add the climatology first, ds.oceanx.totals(climatology)")
    return with_our_axes(chosen)


def meant(ds: xr.Dataset, name: str) -> str:
    """What a Dataset calls the variable that is `name` in our words."""
    row = VARIABLES[name]
    alike = ds.cf.standard_names.get(row.standard_name, []) if row.standard_name else []
    alike = [str(n) for n in alike if n in ds.data_vars]
    if name in alike:
        return name
    if len(alike) > 1:
        raise InputError(
            f"{name}: could be {' or '.join(sorted(alike))}, which share its standard_name; choose with ds[[…]]"
        )
    if alike and name in ds.data_vars:
        raise InputError(f"{name}: is there, but {alike[0]} has its standard_name {row.standard_name!r}; drop one")
    short = [n for n in (name, *row.aliases) if n in ds.data_vars]
    if not (alike or short):
        has = ", ".join(map(str, ds.data_vars)) or "none"
        raise InputError(f"needs {name} ({row.standard_name or row.long_name}); the Dataset has {has}")
    return (alike or short)[0]


def with_our_axes(obj: T) -> T:
    """The object with its axes under our words, where it has them under others.

    Space by `standard_name` or the short names that we know, the times and members of forecasts by `standard_name`.
    """
    coords = obj.coords.to_dataset()
    renamed = {}
    for axis in _AXES:
        if axis in obj.coords:
            continue
        alike = [str(n) for n in coords.cf.standard_names.get(DIMENSIONS[axis]["standard_name"], [])]
        short = [n for n in DIMENSION_ALIASES.get(axis, ()) if n in obj.coords and n in obj.dims]
        if len(alike) == 1 or short:
            renamed[(alike or short)[0]] = axis
    return obj.rename(renamed) if renamed else obj
