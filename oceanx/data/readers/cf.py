"""Any CF NetCDF file or Zarr store on a rectilinear grid; axes are found by their CF roles."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cf_xarray  # noqa: F401  (registers the .cf accessor)
import xarray as xr

from ...vocabulary.errors import InputError
from . import netcdf
from .layout import Column, make_part
from .part import Part, Wanted, everything, to_dataset

_ROLES = {"time": "time", "depth": "vertical", "latitude": "latitude", "longitude": "longitude"}
_AXES = {"time": "T", "depth": "Z"}


def read(path: Path | str) -> xr.Dataset:
    """The Dataset of one file or store, in memory: our names, dims and units."""
    return to_dataset(parts(Path(path), everything(), Path()))


def parts(path: Path, wanted: Mapping[str, Wanted], scratch: Path) -> list[Part]:
    """What one file or store holds. `scratch` is not needed."""
    if path.is_dir():
        return [_zarr(path, wanted)]
    with netcdf.opened(path):  # says what is wrong with a file better than xarray does
        pass
    with xr.open_dataset(path, engine="netcdf4", **_RAW) as ds:
        roles = _roles(ds)
    return [netcdf.scan(path, wanted, roles=roles)]


_RAW: dict[str, Any] = {"decode_times": False, "mask_and_scale": False, "decode_coords": False}


def _zarr(path: Path, wanted: Mapping[str, Wanted]) -> Part:
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Failed to open Zarr store with consolidated metadata")
            ds = xr.open_zarr(path, chunks=None, **_RAW)
    except (ValueError, KeyError, OSError) as error:
        raise InputError(f"{path}: is a folder, but no Zarr store that can be opened ({error})") from None
    columns = {str(n): Column(tuple(map(str, v.dims)), v.shape, v.attrs, v) for n, v in ds.variables.items()}

    @contextmanager
    def opened() -> Iterator[Mapping[str, Any]]:
        yield ds.variables

    return make_part(str(path), columns, wanted, opened, _roles(ds))


def _roles(ds: xr.Dataset) -> dict[str, str]:
    """The variable in each role, if CF attributes tell; dimension coordinates before others."""
    roles = {}
    for ours, role in _ROLES.items():
        names = [str(n) for n in (*ds.cf.coordinates.get(role, ()), *ds.cf.axes.get(_AXES.get(ours, ""), ()))]
        names = [n for n in names if n in ds.variables]
        best = [n for n in names if n in ds.dims] or names
        if best:
            roles[ours] = best[0]
    return roles
