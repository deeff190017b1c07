"""NetCDF or Zarr, whichever a path leads to; other kinds of files are refused with what to do about them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...vocabulary.errors import InputError
from . import netcdf, zarrs
from .layout import Roles
from .part import Part, Wanted

_TEXT = (".csv", ".tsv", ".txt", ".dat")


def scan(
    path: Path | str,
    wanted: Mapping[str, Wanted],
    label: str | None = None,
    roles: Roles | None = None,
    **options: Any,
) -> Part:
    """The Part of one NetCDF file or Zarr store; further options are those of `layout.make_part`."""
    if zarrs.is_store(path):
        return zarrs.scan(path, wanted, label, roles, **options)
    refuse_other_kinds(Path(path))
    return netcdf.scan(Path(path), wanted, label, roles, **options)


def refuse_other_kinds(path: Path) -> None:
    """`InputError` for a file of a kind that is known, but is neither NetCDF nor Zarr."""
    start = netcdf.first_bytes(path)
    if start.startswith(b"\x93NUMPY") or (start.startswith(b"PK") and path.suffix == ".npz"):
        raise InputError(f"{path}: is not NetCDF but NumPy arrays; "
                         "make a Dataset of them with latitude and longitude, and write it with to_netcdf")  # fmt: skip
    if start.startswith(b"PK"):
        raise InputError(f"{path}: is not NetCDF but a ZIP archive; unpack it, "
                         "or take the recipe 'era5' if it comes from the Climate Data Store")  # fmt: skip
    if start.startswith(b"GRIB"):
        raise InputError(f"{path}: is not NetCDF but GRIB; take the recipe 'era5', or convert it with cfgrib")
    if path.suffix.lower() in _TEXT and start.isascii():
        raise InputError(
            f"{path}: is not NetCDF but text, a table or a series at one place and no grid; "
            "make a Dataset of it with time, latitude and longitude, and write it with to_netcdf"
        )
