"""The catalog: which datasets we know how to open, and `open`, which takes names or paths."""

from __future__ import annotations

import hashlib
import os
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ..ocean import grid
from ..vocabulary.config import Config
from ..vocabulary.errors import InputError, unknown
from ..vocabulary.files import content, partial

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")
ROOT = "OCEANX_DATA"
_SMALL = 64 * 2**20  # bytes of a mask that is simply read


class Entry(Config):
    """A dataset of the catalog; `path` is below the folder that OCEANX_DATA names, unless it is absolute."""

    name: str
    description: str
    path: str
    recipe: str | None = None
    licence: str = ""


def open(*names: str | os.PathLike[str], catalog: str | os.PathLike[str] | None = None) -> xr.Dataset:
    """One lazy Dataset of catalog names or store paths, merged by coordinates.

    Grids must agree within 1e-4 degrees (the first one's coordinates are taken); only times that all have are kept.

    Parameters
    ----------
    names
        Names of the catalog ("glorys12") or paths of stores ("glorys.zarr").
    catalog
        A folder of further YAML entries, laid over the user's and the packaged ones.

    Raises
    ------
    InputError
        For an unknown name, a path without a store, grids that differ, times that do not meet, or a variable that
        is in two of the stores.

    Examples
    --------
    >>> ds = open("glorys.zarr", "era5_daily.zarr")  # doctest: +SKIP
    """
    if not names:
        raise InputError("open: no name given; choose from `oceanx catalog`, or give the path of a store")
    return merge([open_store(_path(name, catalog)) for name in names], [str(name) for name in names])


def catalog(folder: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """The shelf: one row a dataset, with where it lies and whether it has been baked."""
    rows = []
    for entry in entries(folder).values():
        try:
            path = str(_place(entry))
        except InputError:
            path = f"${ROOT}/{entry.path}"
        rows.append({**entry.dump(), "path": path, "baked": Path(path).is_dir()})
    return pd.DataFrame(rows, columns=[*Entry.model_fields, "baked"]).set_index("name")


def entries(folder: str | os.PathLike[str] | None = None) -> dict[str, Entry]:
    """All entries by name; a user's own (~/.config/oceanx/catalog) lie over the packaged ones."""
    home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    folders = [content("data_catalog"), home / "oceanx" / "catalog", *([Path(folder)] if folder else [])]
    found = {}
    for file in (file for place in folders for file in sorted(place.glob("*.yaml"))):
        entry = Entry.load(file)
        if not _NAME.fullmatch(entry.name) or ".." in entry.name:
            raise InputError(f"{file}: name {entry.name!r}; expected letters, digits, _ . + -")
        if ".." in Path(entry.path).parts:
            raise InputError(f"{file}: path {entry.path!r} leads out of the data folder; name a place below it")
        found[entry.name] = entry
    return found


def open_store(path: str | os.PathLike[str]) -> xr.Dataset:
    """The lazy Dataset of one Zarr store."""
    path = Path(path)
    if not path.exists():
        hint = "; an interrupted bake lies beside it: run it again" if partial(path).exists() else ""
        raise InputError(f"{path}: no such store{hint or '; bake it first, or name one of the catalog'}")
    if not path.is_dir() or not any((path / key).exists() for key in ("zarr.json", ".zgroup", ".zmetadata")):
        raise InputError(f"{path}: is not a Zarr store; make one of it with `oceanx bake`")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Failed to open Zarr store with consolidated metadata")
            ds = xr.open_zarr(path, chunks={})
        small = {n: c.load() for n, c in ds.coords.items() if n not in ds.indexes and c.nbytes <= _SMALL}
    except (ValueError, KeyError, OSError) as error:
        raise InputError(f"{path}: cannot be opened ({error}); bake it again") from None
    ds = ds.assign_coords(small).drop_vars("time_bnds", errors="ignore")  # a day's bounds are the day's
    if "time" in ds.coords:
        ds["time"].attrs.pop("bounds", None)
    return ds


def merge(parts: Sequence[xr.Dataset], names: Sequence[str]) -> xr.Dataset:
    """One Dataset of several on one grid: common times, the first one's coordinates, cells wet in all."""
    first = parts[0]
    if len(parts) == 1:
        return first
    home: dict[str, str] = {}
    for ds, name in zip(parts, names, strict=True):
        for v in map(str, ds.data_vars):
            if v in home:
                raise InputError(f"{v}: is in both {home[v]} and {name}; open one of them without it")
            home[v] = name
    depth = next((ds["depth"] for ds in parts if "depth" in ds.dims), None)
    moved = []
    for ds, name in zip(parts, names, strict=True):
        try:
            grid.same_grid(first, ds)
            if depth is not None and "depth" in ds.dims:
                grid.same_grid(first.assign_coords(depth=depth) if "depth" not in first.dims else first, ds)
        except InputError as error:
            raise InputError(f"{names[0]} and {name}: {error}") from None
        model = {"latitude": first["latitude"], "longitude": first["longitude"]}
        moved.append(ds.assign_coords(model | ({"depth": depth} if "depth" in ds.dims else {})))
    times = _common_times(moved, names)
    masks = [ds["mask"] for ds in moved if "mask" in ds.coords]
    moved = [ds.sel(time=times).drop_vars("mask", errors="ignore") if "time" in ds.dims else ds for ds in moved]
    ds = xr.merge(moved, compat="override", join="exact", combine_attrs="override")
    if masks:
        ds = ds.assign_coords(mask=_common_mask(masks))
    return ds.assign_attrs(_attrs(parts, times))


def _common_times(parts: Sequence[xr.Dataset], names: Sequence[str]) -> np.ndarray:
    dated = [(ds["time"].values, name) for ds, name in zip(parts, names, strict=True) if "time" in ds.dims]
    times = dated[0][0] if dated else np.array([], "datetime64[ns]")
    for other, _ in dated[1:]:
        times = np.intersect1d(times, other)
    if dated and not times.size:
        spans = "; ".join(f"{name} {str(t[0])[:10]} to {str(t[-1])[:10]}" for t, name in dated)
        raise InputError(f"time: the stores have no time in common ({spans})")
    return times


def _common_mask(masks: Sequence[xr.DataArray]) -> xr.DataArray:
    """Cells that are wet in every mask; one without depth speaks for the top level."""
    common = next((mask for mask in masks if "depth" in mask.dims), masks[0])
    wet = common.values == 1
    for mask in masks:
        top = wet[0] if wet.ndim > mask.ndim else wet
        top &= mask.values == 1
    return xr.DataArray(wet.astype(np.int8), dims=common.dims, attrs=common.attrs)


def _attrs(parts: Sequence[xr.Dataset], times: np.ndarray) -> dict[str, Any]:
    """Attributes of a merged Dataset: titles joined, missing times united, one fingerprint of all."""
    held = {np.datetime_as_string(t, unit="s").removesuffix("T00:00:00") for t in times}
    missing = sorted({t for ds in parts for t in np.atleast_1d(ds.attrs.get("missing_times", []))} & held)
    prints = "+".join(str(ds.attrs.get("oceanx_fingerprint", "")) for ds in parts)
    same = {k: v for k, v in parts[0].attrs.items() if all(ds.attrs.get(k) == v for ds in parts[1:])}
    return same | {
        "title": " + ".join(dict.fromkeys(str(ds.attrs.get("title", "untitled")) for ds in parts)),
        "missing_times": missing,
        "oceanx_fingerprint": hashlib.sha256(prints.encode()).hexdigest()[:32],
        "source_files": [str(f) for ds in parts for f in np.atleast_1d(ds.attrs.get("source_files", []))],
    }


def _path(name: str | os.PathLike[str], folder: str | os.PathLike[str] | None) -> Path:
    """Where a catalog name or a path leads."""
    path = Path(name)
    if isinstance(name, os.PathLike) or len(path.parts) > 1 or path.suffix == ".zarr" or path.is_dir():
        return path
    known = entries(folder)
    if name not in known:
        raise unknown("dataset", str(name), known)
    return _place(known[str(name)])


def _place(entry: Entry) -> Path:
    path = Path(entry.path).expanduser()
    if path.is_absolute():
        return path
    root = os.environ.get(ROOT)
    if not root:
        raise InputError(f"{entry.name}: set {ROOT} to the folder that holds {entry.path}, or give its path")
    return Path(root).expanduser() / path
