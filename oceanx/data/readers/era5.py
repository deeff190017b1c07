"""ERA5 single levels in every layout: old and new NetCDF, ZIP of step types, GRIB, ARCO and WeatherBench2 stores."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ...vocabulary.errors import InputError
from ...vocabulary.names import VARIABLES
from .. import axis
from ..formats import grib, netcdf, zarrs
from ..formats.archive import unpacked
from ..formats.cutting import at_rows
from ..formats.part import Part, Wanted, everything, to_dataset

_OCEAN = {"sst", "siconc"}  # of which ERA5 holds what it was given
_VALID = ("valid_time_start", "valid_time_stop")


def read(path: Path | str) -> xr.Dataset:
    """The Dataset of one file, in memory; accumulations stay in J m-2 or m, stamped at their end."""
    wanted = {n: w for n, w in everything().items() if n in _OCEAN or VARIABLES[n].realm == "atmosphere"}
    with tempfile.TemporaryDirectory(prefix="oceanx-") as scratch:
        return to_dataset(parts(Path(path), wanted, Path(scratch)))


def parts(path: Path, wanted: Mapping[str, Wanted], scratch: Path) -> list[Part]:
    """What one file or store holds; the members of a ZIP are unpacked below `scratch`."""
    if zarrs.is_store(path):
        return [_between(zarrs.scan(path, wanted), zarrs.dataset(path).attrs)]
    start = netcdf.first_bytes(path)
    if start.startswith(b"PK"):
        members = unpacked(path, scratch)
        return [part for label, file in members for part in _plain(file, wanted, label)]
    return _plain(path, wanted, str(path))


def _plain(path: Path, wanted: Mapping[str, Wanted], label: str) -> list[Part]:
    if netcdf.first_bytes(path).startswith(b"GRIB"):
        return grib.scan(path, wanted, label)
    part = netcdf.scan(path, wanted, label)
    return [replace(part, notes=(*part.notes, *_preliminary(path, label)))]


def _between(part: Part, attrs: Mapping[str, Any]) -> Part:
    """A part without the times that a store has room for but does not hold, as its attributes say."""
    if not set(_VALID) <= attrs.keys():
        return part
    first, last = (str(attrs[key]) for key in _VALID)
    keep = np.isin(part.times, axis.within(part.times, axis.span(slice(first, last))))
    if not keep.any():
        raise InputError(f"{part.label}: holds nothing between its own {_VALID[0]} {first} and {_VALID[1]} {last}")
    return at_rows(part, keep)


def _preliminary(path: Path, label: str) -> tuple[str, ...]:
    """A note if the file holds ERA5T, which may still change: expver 5 as a dimension, "0005" as text by time."""
    with netcdf.opened(path, label) as variables:
        if "expver" not in variables:
            return ()
        versions = [str(v) for v in np.atleast_1d(np.asarray(variables["expver"][...])).ravel()]
        is_dimension = variables["expver"].dimensions == ("expver",)
    count = sum(v.lstrip("0") == "5" for v in versions)
    name = label.rsplit("/", 1)[-1]
    if not count:
        return ()
    if is_dimension and len(versions) > 1:
        return (f"{name}: final ERA5 where there is a value, preliminary ERA5T (expver 5) elsewhere",)
    return (f"{name}: {count} of {len(versions)} times are preliminary ERA5T (expver 0005)",)
