"""ERA5 single levels in every layout of the Climate Data Store: NetCDF old and new, ZIP of step types, GRIB."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import xarray as xr

from . import grib, netcdf
from .archive import unpacked
from .part import Part, Wanted, everything, to_dataset


def read(path: Path | str) -> xr.Dataset:
    """The Dataset of one file, in memory; accumulations stay in J m-2 or m, stamped at their end."""
    with tempfile.TemporaryDirectory(prefix="oceanx-") as scratch:
        return to_dataset(parts(Path(path), everything(), Path(scratch)))


def parts(path: Path, wanted: Mapping[str, Wanted], scratch: Path) -> list[Part]:
    """What one file holds; the members of a ZIP are unpacked below `scratch`."""
    start = netcdf.first_bytes(path)
    if start.startswith(b"PK"):
        members = unpacked(path, scratch)
        return [part for label, file in members for part in _plain(file, wanted, label)]
    return _plain(path, wanted, str(path))


def _plain(path: Path, wanted: Mapping[str, Wanted], label: str) -> list[Part]:
    if netcdf.first_bytes(path).startswith(b"GRIB"):
        return grib.scan(path, wanted)
    part = netcdf.scan(path, wanted, label)
    return [replace(part, notes=_preliminary(path, label))]


def _preliminary(path: Path, label: str) -> tuple[str, ...]:
    """A note if the file holds ERA5T, which may still change: expver 5 as a dimension, "0005" as text by time."""
    with netcdf.opened(path, label) as variables:
        if "expver" not in variables:
            return ()
        versions = [str(v) for v in np.atleast_1d(np.asarray(variables["expver"][...])).ravel()]
    count = sum(v.lstrip("0") == "5" for v in versions)
    name = label.rsplit("/", 1)[-1]
    if not count:
        return ()
    if len(versions) == 2:
        return (f"{name}: final ERA5 where there is a value, preliminary ERA5T (expver 5) elsewhere",)
    return (f"{name}: {count} of {len(versions)} times are preliminary ERA5T (expver 0005)",)
