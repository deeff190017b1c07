"""Statistics of named training years, kept inside the store that they describe."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr
import zarr

from ...ocean.statistics import statistics
from ...vocabulary.errors import InputError
from ...vocabulary.files import partial, publish, remove
from ...vocabulary.progress import Progress
from ..shelf.catalog import open_store

GROUP = "statistics"
_PERIOD, _TIMES, _PRINT = "oceanx_statistics_period", "oceanx_statistics_times", "oceanx_fingerprint"


def write(
    store: Path | str,
    period: Sequence[str | int] | None,
    recipe: str = "",
    progress: Progress | None = None,
) -> xr.Dataset:
    """The statistics of a store over a period, after writing them into its group `statistics`.

    One variable after another, in bounded memory. What is done is kept beside the group, so that an interrupted call
    goes on where it was; the group itself appears whole or not at all, in place of one that was there.

    Parameters
    ----------
    period
        First and last date, year or month, both taken in: `("1993", "2017")`. None takes all times.
    recipe
        Hash of the recipe that the store was baked by.

    Raises
    ------
    InputError
        If there is no store, or it does not hold the period.
    """
    store = Path(store)
    ds = _within(open_store(store), period, store)
    names = [str(n) for n, v in ds.data_vars.items() if "time" in v.dims and np.issubdtype(v.dtype, np.floating)]
    # Known from the labels alone, so that work of another period or another store is not taken up.
    key = _times(ds) | {_PRINT: str(ds.attrs.get(_PRINT, "unknown")), "oceanx_recipe": recipe}
    work = partial(store / GROUP)
    zarr_format: Literal[2, 3] = 3 if (store / "zarr.json").exists() else 2
    zarr.open_group(work, mode="a", zarr_format=zarr_format)  # a member of the store for as long as it is there
    parts = [_part(ds, name, work / f"{name}.nc", key, progress) for name in names]
    result = xr.merge(parts, combine_attrs="override", compat="override").assign_attrs(
        key, title=f"Statistics of {store.name.removesuffix('.zarr')}"
    )
    built = work / GROUP
    remove(built)
    result.to_zarr(built, mode="w", zarr_format=zarr_format, consolidated=False)
    publish(built, store / GROUP)
    remove(work)
    return result


def read(store: Path | str) -> xr.Dataset | None:
    """The statistics that a store carries, in memory, or None."""
    path = Path(store) / GROUP
    if not path.is_dir():
        return None
    try:
        return xr.open_zarr(path, consolidated=False, chunks=None).load()
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path}: cannot be read ({error}); bake the store again") from None


def known(ds: xr.Dataset, names: Sequence[str]) -> xr.Dataset | None:
    """The statistics of these variables that the store of `ds` carries, at the levels of `ds`; None if not these.

    They are taken only where they describe the same content (by fingerprint) over the same times as `ds` has; then
    they equal `statistics(ds)` to the bit.
    """
    source = ds.encoding.get("source")
    stored = read(source) if source and Path(source).is_dir() else None
    if stored is None or "time" not in ds.dims or not ds.sizes["time"]:
        return None
    wanted = _times(ds) | {_PRINT: ds.attrs.get(_PRINT, "none")}
    if any(stored.attrs.get(name) != value for name, value in wanted.items()):
        return None
    kinds = [f"{name}_{kind}" for name in names for kind in ("mean", "std", "increment_std")]
    if not set(kinds) <= set(stored.data_vars):
        return None
    chosen = stored[kinds]
    if "depth" in chosen.dims and "depth" in ds.dims:
        flat = any("depth" not in chosen[kind].dims for kind in kinds)
        if not np.isin(ds["depth"], chosen["depth"]).all() or (flat and ds["depth"][0] != chosen["depth"][0]):
            return None  # a surface variable is wet where the first level is
        chosen = chosen.sel(depth=ds["depth"].values)
    return chosen.drop_attrs(deep=False).assign_attrs({_PERIOD: wanted[_PERIOD]})


def _part(ds: xr.Dataset, name: str, path: Path, key: dict[str, str], progress: Progress | None) -> xr.Dataset:
    """The statistics of one variable, from the file that an interrupted call left or made anew."""
    if path.exists():
        found = xr.load_dataset(path)
        if found.attrs == key:
            return found
    made = statistics(ds, names=[name], progress=progress).assign_attrs(key)
    temporary = path.with_suffix(".new")
    made.to_netcdf(temporary)
    os.replace(temporary, path)
    return made


def _within(ds: xr.Dataset, period: Sequence[str | int] | None, store: Path) -> xr.Dataset:
    """The Dataset over a period that it must reach over."""
    if "time" not in ds.dims:
        raise InputError(f"{store}: has no time, so no statistics over years")
    if period is None:
        return ds
    if len(period) != 2:
        raise InputError(f"statistics: found {list(period)}; expected a first and a last year or date")
    first, last = (str(end) for end in period)
    have = pd.DatetimeIndex(ds["time"].values)
    try:
        begin, end = pd.Period(first).start_time, pd.Period(last).end_time
    except ValueError as error:
        raise InputError(f"statistics: {error}; expected dates such as 1993 or 1993-01-31") from None
    step = have[1] - have[0] if len(have) > 1 else pd.Timedelta("1D")
    if begin > end or begin <= have[0] - step or end >= have[-1] + step:
        raise InputError(
            f"statistics: {first} to {last} is not all in {store.name}, which has {have[0].date()} to {have[-1].date()}"
        )
    return ds.sel(time=slice(begin, end))


def _times(ds: xr.Dataset) -> dict[str, str]:
    """First and last day, and how many times."""
    ends = (str(np.datetime_as_string(t, "D")) for t in ds["time"].values[[0, -1]])
    return {_PERIOD: "/".join(ends), _TIMES: str(ds.sizes["time"])}
