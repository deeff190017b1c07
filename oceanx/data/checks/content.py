"""Checks of what is stored: chunks, values on a few days, statistics and the record of where it is from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil, prod
from pathlib import Path

import numpy as np
import xarray as xr

from ...vocabulary.names import VARIABLES
from .finding import Finding

_WASTE = 4.0  # bytes read for one map, over the bytes of the map, above which another layout pays
_HUGE = 512 * 2**20  # bytes of one chunk
_SAMPLE = 64 * 2**20  # values looked at of one variable at one time
_SPACE = ("depth", "latitude", "longitude")


def chunks(ds: xr.Dataset, for_: Sequence[str], store: str) -> Iterator[Finding]:
    """Whether a map can be read without reading much more; training and forecasting read maps."""
    worst, which = 1.0, ""
    for name, v in ds.data_vars.items():
        shape = _chunk(v)
        if "time" not in v.dims or shape is None:
            continue
        size = prod(shape) * 4
        if size > _HUGE:
            mend = f"oceanx rechunk {store} --for training --to NEW.zarr"
            yield Finding("warn", f"{name}: chunks of {size / 2**20:.0f} MiB", "at most some tens of MiB", mend)
        days = shape[v.dims.index("time")]
        map_size = prod(v.sizes[d] for d in v.dims if d != "time")
        read = days * prod(ceil(v.sizes[d] / n) * n for d, n in zip(v.dims, shape, strict=True) if d != "time")
        # A few small maps in one chunk are cheap: what counts is decoding much for little.
        if read / map_size > worst and size > 2**22:
            worst, which = read / map_size, str(name)
    if worst > _WASTE and {"training", "forecasting"} & set(for_):
        said = f"{which}: one map costs reading {worst:.0f} times as much, for chunks {_chunk(ds[which])}"
        mend = f"oceanx rechunk {store} --for training --to NEW.zarr"
        yield Finding("warn", said, "whole maps in a chunk", mend)


def _chunk(v: xr.DataArray) -> tuple[int, ...] | None:
    """The shape of a chunk as stored, or as dask has it."""
    stored = v.encoding.get("chunks")
    if stored is not None and len(stored) == v.ndim:
        return tuple(stored)
    return tuple(c[0] for c in v.chunks) if v.chunks else None


def values(ds: xr.Dataset, store: str) -> Iterator[Finding]:
    """Holes in wet cells, absent days that are not listed, and numbers that cannot be, on up to three days."""
    if "time" not in ds.dims or not ds.sizes["time"]:
        return
    listed = {str(t) for t in np.atleast_1d(ds.attrs.get("missing_times", []))}
    present = [at for at, t in enumerate(ds["time"].values) if not _names(t) & listed]
    days = sorted({present[at] for at in (0, len(present) // 2, -1)}) if present else []
    clean = True
    for name in map(str, ds.data_vars):
        if name not in VARIABLES or "time" not in ds[name].dims:
            continue
        for at in days:
            found = list(_day(ds, name, at))
            yield from found
            clean = clean and not found
    if clean and days:
        yield Finding("ok", f"values of {len(days)} days looked at: no holes in wet cells, nothing impossible")


def _names(time: np.datetime64) -> set[str]:
    text = np.datetime_as_string(time, unit="s")
    return {text, text.removesuffix("T00:00:00")}


def _day(ds: xr.Dataset, name: str, at: int) -> Iterator[Finding]:
    v = ds[name].isel(time=at)
    day = np.datetime_as_string(ds["time"].values[at], unit="D")
    if v.size > _SAMPLE and "depth" in v.dims:
        v = v.isel(depth=[0, v.sizes["depth"] // 2, -1])
    data = v.load()
    finite = np.isfinite(data)
    if not bool(finite.any()):
        mend = "bake again, or list the day in the attribute missing_times"
        yield Finding("error", f"{name}: no value at all on {day}", "values, or a day listed as missing", mend)
        return
    row = VARIABLES[name]
    if "mask" in ds.coords and row.realm == "ocean":
        mask = ds["mask"]
        if "depth" in mask.dims:
            mask = mask.sel(depth=v["depth"]) if "depth" in v.dims else mask.isel(depth=0, drop=True)
        holes = int(((mask == 1) & ~finite).sum())
        if holes:
            mend = "ox.ocean.grid.complete(ds.drop_vars('mask')), or bake again"
            yield Finding("error", f"{name}: {holes} wet cells without a value on {day}", "a value in each", mend)
    if row.valid:
        low, high = float(data.min()), float(data.max())
        if low < row.valid[0] or high > row.valid[1]:
            said = f"{name}: from {low:.4g} to {high:.4g} {row.units} on {day}"
            mend = "look for a wrong unit, packing or fill value in the files"
            yield Finding("error", said, f"within {row.valid[0]:g} and {row.valid[1]:g}", mend)


def records(ds: xr.Dataset, for_: Sequence[str], store: str) -> Iterator[Finding]:
    """The fingerprint, and statistics beside the data."""
    if not ds.attrs.get("oceanx_fingerprint"):
        said = "no oceanx_fingerprint: runs and forecasts cannot say which data they are from"
        yield Finding("warn", said, "a baked store", f"oceanx bake cf --source {store} --to NEW.zarr")
    if "training" not in for_:
        return
    sources = {v.encoding["source"] for v in ds.data_vars.values() if "source" in v.encoding}
    if sources and not all((Path(source) / "statistics").exists() for source in sources):
        said = "no statistics beside the data: training reads its years once to compute them"
        yield Finding("warn", said, "group `statistics` over the training years", "bake with statistics=[first, last]")
    if not any(str(n) in VARIABLES and VARIABLES[str(n)].realm == "atmosphere" for n in ds.data_vars):
        yield Finding("ok", "no atmosphere: enough for models without forcing; else open an ERA5 store beside it")
