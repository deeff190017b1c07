"""Zarr stores of others, on disk or at an address: v2 or v3, read as they are packed."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import xarray as xr

from ...vocabulary.errors import InputError
from .layout import Column, Roles, make_part
from .part import Part, Wanted

RAW: dict[str, Any] = {"decode_times": False, "mask_and_scale": False, "decode_coords": False}


def is_store(where: Path | str) -> bool:
    """True for a folder, or an address such as https://…"""
    return "://" in str(where) or Path(where).is_dir()


def dataset(where: Path | str) -> xr.Dataset:
    """The Dataset of a store, lazy and with raw numbers.

    At an address, an absent chunk counts as missing even where the object store says "forbidden" of it.

    Raises
    ------
    InputError
        If there is no store that can be opened.
    """
    store: Any = where
    if "://" in str(where):
        from ..shelf.cloud import zarr_store

        store = zarr_store(str(where))
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Failed to open Zarr store with consolidated metadata")
            warnings.filterwarnings("ignore", message="Consolidated metadata is currently not part")
            return xr.open_dataset(store, engine="zarr", chunks=None, cache=False, **RAW)
    except (ValueError, KeyError, OSError) as error:
        kind = "an address" if "://" in str(where) else "a folder"
        raise InputError(f"{where}: is {kind}, but no Zarr store that can be opened ({error})") from None


def scan(
    where: Path | str,
    wanted: Mapping[str, Wanted],
    label: str | None = None,
    roles: Roles | None = None,
    **options: Any,
) -> Part:
    """The Part of one store; `roles` and further options are those of `layout.make_part`."""
    ds = dataset(where)
    columns = {str(n): Column(tuple(map(str, v.dims)), v.shape, v.attrs, v) for n, v in ds.variables.items()}
    return make_part(label or str(where), columns, wanted, partial(reading, where), roles, **options)


@contextmanager
def reading(where: Path | str) -> Iterator[Mapping[str, Any]]:
    """The variables of a store by name, giving raw numbers."""
    with dataset(where) as ds:
        yield {str(name): v for name, v in ds.variables.items()}
