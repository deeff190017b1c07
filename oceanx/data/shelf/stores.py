"""Opening one store of this machine: Zarr v2 or v3, packed or not, a grid or points, or an Icechunk repository."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ...vocabulary.errors import InputError
from ...vocabulary.files import partial
from ..formats.packing import decode

_ZARR = ("zarr.json", ".zgroup", ".zmetadata")
_ICECHUNK = ("refs", "snapshots", "transactions")
_PACKING = ("scale_factor", "add_offset", "_FillValue", "missing_value", "_Unsigned")
_SMALL = 64 * 2**20  # bytes of a mask that is simply read


def open_store(path: str | os.PathLike[str]) -> xr.Dataset:
    """The lazy Dataset of one store on disk.

    Packed integers are decoded in float64 and rounded once, to float32; how they are packed stays in the variables'
    `encoding`, as does the store they come from (`encoding["source"]`).

    Raises
    ------
    InputError
        If there is no store, or one that cannot be read.
    """
    path = Path(path)
    if not path.exists():
        hint = "; an interrupted bake lies beside it: run it again" if partial(path).exists() else ""
        raise InputError(f"{path}: no such store{hint or '; bake it first, or name one of the catalog'}")
    if path.is_dir() and all((path / key).is_dir() for key in _ICECHUNK):
        from ..writing.targets import open_icechunk

        return open_icechunk(path)
    if not path.is_dir() or not any((path / key).exists() for key in _ZARR):
        raise InputError(f"{path}: is not a Zarr store; make one of it with `oceanx bake`")
    try:
        ds = prepared(opened(path, chunks={}))
    except (ValueError, KeyError, OSError) as error:
        raise InputError(f"{path}: cannot be opened ({error}); bake it again") from None
    for encoding in (ds.encoding, *(v.encoding for v in ds.variables.values())):
        encoding["source"] = str(path.absolute())
    return ds


def opened(store: Any, chunks: Mapping[str, int] | None) -> xr.Dataset:
    """The Dataset of anything that xarray opens as Zarr, decoded but for packed integers, which keep raw numbers."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Failed to open Zarr store with consolidated metadata")
        warnings.filterwarnings("ignore", message="Consolidated metadata is currently not part")
        raw = xr.open_dataset(store, engine="zarr", chunks=None, cache=False, decode_cf=False)
        packed = [n for n, v in raw.variables.items() if n not in raw.dims and _is_packed(v)]
        # xarray would unpack some of these in float32: each number rounded twice.
        masking: Any = dict.fromkeys(packed, False)
        return xr.open_dataset(store, engine="zarr", chunks=chunks, mask_and_scale=masking)


def prepared(ds: xr.Dataset) -> xr.Dataset:
    """A Dataset of dask arrays with packed integers decoded, small coordinates read, and days' bounds put away."""
    ds = unpacked(ds)
    ds = ds.set_coords([name for name in ("climatology_bnds",) if name in ds])
    small = {n: c.load() for n, c in ds.coords.items() if n not in ds.indexes and c.nbytes <= _SMALL}
    # The bounds of days and cells are told by the labels; `ocean.grid.bounds` gives them back.
    ds = ds.assign_coords(small).drop_vars([f"{axis}_bnds" for axis in ds.indexes], errors="ignore")
    for name in ds.indexes:
        ds[name].encoding["_FillValue"] = None  # xarray would write one, and CF has none on an axis
        ds[name].attrs.pop("bounds", None)
    return ds


def unpacked(ds: xr.Dataset) -> xr.Dataset:
    """The Dataset with every packed integer decoded as it is computed: float64 arithmetic, then float32."""
    return ds.assign({name: _decoded(v) for name, v in ds.variables.items() if name not in ds.dims and _is_packed(v)})


def _is_packed(v: xr.Variable) -> bool:
    return v.dtype.kind in "iu" and bool({"scale_factor", "add_offset"} & v.attrs.keys())


def packing(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    """How numbers are packed, with factors in float64; empty where they are not."""
    if not {"scale_factor", "add_offset"} & attrs.keys():
        return {}
    return {
        k: np.float64(attrs[k]) if k in ("scale_factor", "add_offset") else attrs[k] for k in _PACKING if k in attrs
    }


def _decoded(v: xr.Variable) -> xr.Variable:
    exact = packing(v.attrs)
    if isinstance(v.data, np.ndarray):
        data = decode(v.data, exact)
    else:
        data = v.data.map_blocks(decode, packing=exact, dtype=np.float32, meta=np.empty((0,) * v.ndim, np.float32))
    kept = {key: v.attrs[key] for key in _PACKING if key in v.attrs}
    attrs = {key: value for key, value in v.attrs.items() if key not in _PACKING}
    return xr.Variable(v.dims, data, attrs, v.encoding | kept | {"dtype": v.dtype})
