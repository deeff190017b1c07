"""The climatology that an export is given: a Dataset, a store, or years of the Dataset itself."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from ..ocean.climatology import climatology
from ..vocabulary.errors import InputError
from ..vocabulary.progress import Progress

_YEARS = re.compile(r"(\d{4}(?:-\d\d){0,2}):(\d{4}(?:-\d\d){0,2})")


def span(text: str) -> slice | None:
    """The dates of "1993:2017" or "1993-01-01:2017-12-31"; None for anything else."""
    match = _YEARS.fullmatch(text.strip())
    return slice(match[1], match[2]) if match else None


def chosen(ds: xr.Dataset, given: Any, names: Sequence[str], progress: Progress | None = None) -> xr.Dataset | None:
    """The climatology an export was given, or None.

    Parameters
    ----------
    given
        A Dataset with `harmonic` or `dayofyear`; the path of a store or NetCDF file with one; or years "1993:2017",
        of which that of `names` is computed.
    """
    if given is None or isinstance(given, xr.Dataset):
        return given
    dates = span(str(given))
    if dates is not None:
        return climatology(ds[list(names)].sel(time=dates), progress=progress)
    path = Path(given)
    if not path.exists():
        raise InputError(f"climatology: {given}: no such file; give years (1993:2017), a store, or a Dataset")
    return xr.open_zarr(path, chunks={}) if path.is_dir() else xr.open_dataset(path, chunks={})
