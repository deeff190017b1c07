"""Any CF NetCDF file or Zarr store on a rectilinear grid; axes are found by their CF roles."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cf_xarray  # noqa: F401  (registers the .cf accessor)
import xarray as xr

from ...vocabulary.errors import InputError, unknown
from ...vocabulary.names import DIMENSION_ALIASES
from ..formats import gridded, netcdf, zarrs
from ..formats.part import Part, Wanted, everything, to_dataset

_ROLES = {"time": "time", "depth": "vertical", "latitude": "latitude", "longitude": "longitude"}
_AXES = {"time": "T", "depth": "Z"}


def read(path: Path | str) -> xr.Dataset:
    """The Dataset of one file or store, in memory: our names, dims and units."""
    return to_dataset(parts(Path(path), everything(), Path()))


def parts(
    path: Path,
    wanted: Mapping[str, Wanted],
    scratch: Path,
    axes: Mapping[str, str] | None = None,
    depth: float | None = None,
) -> list[Part]:
    """What one file or store holds. `scratch` is not needed.

    Parameters
    ----------
    axes
        The file's variable for `time`, `depth`, `latitude` or `longitude`, where CF attributes do not tell.
    depth
        Depth (m) of ocean variables in files without a depth axis.
    """
    return [gridded.scan(path, wanted, roles=roles(path, axes), level=depth)]


def roles(path: Path, given: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variable in each role, if CF attributes tell or it is `given`; dimension coordinates before others."""
    for role in given or {}:
        if role not in DIMENSION_ALIASES:
            raise unknown("axis", role, DIMENSION_ALIASES)
    if zarrs.is_store(path):
        return _roles(path, zarrs.dataset(path), given)
    gridded.refuse_other_kinds(path)
    with netcdf.opened(path), netcdf.LOCK, xr.open_dataset(path, engine="netcdf4", lock=False, **zarrs.RAW) as ds:
        return _roles(path, ds, given)  # opened twice: we say what is wrong with a file better than xarray does


def _roles(path: Path, ds: xr.Dataset, given: Mapping[str, str] | None) -> dict[str, str]:
    found = {}
    for ours, role in _ROLES.items():
        names = [str(n) for n in (*ds.cf.coordinates.get(role, ()), *ds.cf.axes.get(_AXES.get(ours, ""), ()))]
        names = [n for n in names if n in ds.variables]
        best = [n for n in names if n in ds.dims] or names
        if best:
            found[ours] = best[0]
    for ours, name in (given or {}).items():
        if name not in ds.variables:
            raise InputError(f"{path}: no variable {name}, which the recipe names for {ours}; "
                             f"found {sorted(map(str, ds.variables))}")  # fmt: skip
    return found | dict(given or {})
