"""A Zarr store of a forecast, written part by part in bounded memory."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import xarray as xr
import zarr

from ..vocabulary.files import replacing
from ..vocabulary.progress import Progress

BLOCK = 256 * 2**20  # bytes that are held at a time, where one lead is not more
_MEMBERS = ("member", "number")


def write(
    ds: xr.Dataset,
    to: Path,
    along: tuple[str, str],
    *,
    zarr_format: Literal[2, 3] = 2,
    overwrite: bool = False,
    progress: Progress | None = None,
    looked_at: Callable[[xr.Dataset], None] | None = None,
) -> Path:
    """The consolidated store written at `to`, start date by start date, as many leads at a time as `BLOCK` holds.

    A chunk is one map, or the maps of all levels, of one lead. Zarr 2 by default, which every tool reads.

    Parameters
    ----------
    along
        The dimensions of the start dates and the leads.
    looked_at
        Called with each part that is about to be written, so that it may raise.
    """
    ds = ds.drop_encoding()
    ds = ds.assign_coords({name: c.load() for name, c in ds.coords.items()})
    ds = ds.assign({name: v.chunk(dict.fromkeys(along, 1)) for name, v in ds.data_vars.items()})
    encoding = {
        str(name): {"chunks": tuple(1 if dim in (*along, *_MEMBERS) else size for dim, size in v.sizes.items())}
        for name, v in ds.data_vars.items()
    }
    parts = list(_parts(ds, along))
    with replacing(to, overwrite=overwrite) as path, warnings.catch_warnings():
        # Consolidated metadata is an extension of Zarr v3 that every reader may ignore.
        warnings.filterwarnings("ignore", message="Consolidated metadata is currently not part")
        # Lazy as it is, everything is laid out and nothing written but the coordinates.
        ds.to_zarr(
            path, compute=False, zarr_format=zarr_format, consolidated=False, encoding=encoding, safe_chunks=False
        )
        for done, where in enumerate(parts, 1):
            part = ds.isel(where).load()
            if looked_at:
                looked_at(part)
            part.drop_vars(list(part.coords)).to_zarr(path, region=where, zarr_format=zarr_format, consolidated=False)
            if progress:
                progress(f"writing, {to.name}", done, len(parts))
        zarr.consolidate_metadata(str(path), zarr_format=zarr_format)
    return to


def _parts(ds: xr.Dataset, along: tuple[str, str]) -> Iterator[dict[str, slice]]:
    """Where the parts stand that are written one after another."""
    starts, leads = (ds.sizes[dim] for dim in along)
    one = max(1, ds.nbytes // (starts * leads))
    together = max(1, min(leads, BLOCK // one))
    for start in range(starts):
        for lead in range(0, leads, together):
            yield dict(zip(along, (slice(start, start + 1), slice(lead, min(lead + together, leads))), strict=True))
