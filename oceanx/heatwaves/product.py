"""Thresholds as a product: written with all that they are made of, and read back only if they say so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from ..vocabulary.errors import InputError
from ..vocabulary.files import replacing
from .limits import VERSION

REQUIRED = (
    "oceanx_threshold_version",
    "oceanx_version",
    "oceanx_baseline",
    "oceanx_percentile",
    "oceanx_half_width_days",
    "oceanx_smooth_days",
    "oceanx_detrend",
    "oceanx_source_fingerprint",
)
CHUNK_CELLS = 4096  # by 366 days: 12 MB of a chunk, read in one piece with the series of those cells


def write_threshold(threshold: xr.Dataset, to: Path | str, *, overwrite: bool = False) -> xr.Dataset:
    """The lazy Dataset of the Zarr store `to`, into which a threshold was written, whole years of some cells a chunk.

    Lazy thresholds are computed as they are written, one chunk at a time.

    Raises
    ------
    InputError
        If `to` exists and `overwrite` is not set, or this is no threshold that `threshold` made.
    """
    _check(threshold, "threshold")
    chunks = _chunks(threshold)
    ready = threshold.drop_encoding()
    ready = ready.chunk(chunks) if ready.chunks else ready
    encoding = {
        name: {"chunks": tuple(chunks.get(str(d), v.sizes[d]) for d in v.dims)}
        for name, v in ready.data_vars.items()
        if v.ndim
    }
    with replacing(to, overwrite=overwrite) as path:
        ready.to_zarr(path, mode="w", consolidated=False, encoding=encoding)
    return open_threshold(to)


def open_threshold(path: Path | str) -> xr.Dataset:
    """The threshold in a Zarr store or NetCDF file, lazy.

    Raises
    ------
    InputError
        If there is none, it does not say what it was made of, or it is of a newer version than this oceanx knows.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such threshold")
    try:
        ds = xr.open_zarr(path, consolidated=False) if path.is_dir() else xr.open_dataset(path, chunks={})
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path}: cannot be read as a threshold: {' '.join(str(error).split())[:200]}") from None
    _check(ds, str(path))
    return ds


def _check(ds: xr.Dataset, where: str) -> None:
    if not {"climatology", "threshold"} <= set(ds.data_vars):
        raise InputError(f"{where}: found {sorted(map(str, ds.data_vars))}; expected `climatology` and `threshold`")
    if int(ds.attrs.get("oceanx_threshold_version", 0)) > VERSION:
        found = ds.attrs["oceanx_threshold_version"]
        raise InputError(f"{where}: of version {found}, this oceanx reads up to {VERSION}; use a newer oceanx")
    required = () if "oceanx_fixed" in ds.attrs else REQUIRED
    lacking = [name for name in required if name not in ds.attrs]
    if lacking:
        raise InputError(
            f"{where}: does not say what it was made of ({', '.join(lacking)}); make it with oceanx.heatwaves.threshold"
        )
    if ds["threshold"].sizes.get("dayofyear") != 366 or not np.array_equal(ds["dayofyear"], np.arange(1, 367)):
        raise InputError(f"{where}: expected days of the year 1 to 366")


def _chunks(ds: xr.Dataset) -> dict[str, int]:
    """Whole years of about `CHUNK_CELLS` cells: whole rows of the last dimensions."""
    chunks, room = {"dayofyear": 366, "year": 1}, CHUNK_CELLS
    for d in reversed([str(d) for d in ds["threshold"].dims if d not in chunks]):
        chunks[d] = max(1, min(ds.sizes[d], room))
        room //= chunks[d]
    return {d: n for d, n in chunks.items() if d in ds.dims}
