"""The catalog: which datasets we know how to open, and `open`, which takes names or paths."""

from __future__ import annotations

import os
from pathlib import Path

import xarray as xr

from ...vocabulary.errors import InputError, unknown
from .entries import Entry, entries, place, shelved
from .listing import catalog, describe, printed
from .merging import merge
from .stores import open_store

__all__ = ["Entry", "catalog", "describe", "entries", "merge", "open", "open_store", "printed", "shelved"]


def open(*names: str | os.PathLike[str], catalog: str | os.PathLike[str] | None = None) -> xr.Dataset:
    """One lazy Dataset of catalog names, store paths or cloud addresses, merged by coordinates.

    Grids must agree within 1e-4 degrees (the first one's coordinates are taken); only times that all have are kept.
    Stores of observations become one table, sorted by time, in which data that are in two of them are flagged.

    Parameters
    ----------
    names
        Names of the catalog ("glorys12"), paths of stores ("glorys.zarr") or addresses ("gs://bucket/era5.zarr").
    catalog
        A folder of further YAML entries, laid over the user's, the site's and the packaged ones.

    Raises
    ------
    InputError
        For an unknown name, a path without a store, an address that cannot be reached, grids that differ, times that
        do not meet, a variable that is in two of the stores, or observations beside fields on a grid.

    Examples
    --------
    >>> ds = open("glorys.zarr", "era5_daily.zarr")  # doctest: +SKIP
    """
    if not names:
        raise InputError("open: no name given; choose from `oceanx catalog`, or give the path of a store")
    return merge([_opened(name, catalog) for name in names], [str(name) for name in names])


def _opened(name: str | os.PathLike[str], folder: str | os.PathLike[str] | None) -> xr.Dataset:
    """The Dataset of one catalog name, address or path."""
    text, path = str(name), Path(name)
    if isinstance(name, str) and "://" in name:
        from .cloud import open_entry

        return open_entry(Entry.parse({"name": text, "description": text, "url": text}, text))
    if isinstance(name, os.PathLike) or len(path.parts) > 1 or path.suffix == ".zarr" or path.is_dir():
        return open_store(path)
    known = entries(folder)
    if text not in known:
        raise unknown("dataset", text, known)
    entry = known[text]
    if entry.url is None:
        return open_store(place(entry))
    from .cloud import open_entry

    return open_entry(entry)
