"""Mean, spread and spread of one step's change of each variable and level: what normalisation needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from oceanx.vocabulary.progress import Progress

from ..vocabulary.errors import InputError, unknown
from .climatology import BLOCK_BYTES, at, blocks
from .grid import area
from .labels import wet_cells
from .moments import Moments

_HELD = 64 * 2**20  # bytes of one day that may be read at once


def statistics(
    ds: xr.Dataset,
    *,
    climatology: xr.Dataset | None = None,
    names: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> xr.Dataset:
    """`<name>_mean`, `<name>_std` and `<name>_increment_std` of each variable, by depth where it has one.

    Weighted by cell area over wet cells and pooled over the times given, in one pass. The increment is the change
    over one step of the time axis; a change across a gap, or to or from a missing day, is left out. Memory is bounded
    and the numbers are the same to the bit, however the data are chunked.

    Parameters
    ----------
    ds
        Training times: the caller selects them.
    climatology
        If given, the statistics are of anomalies from it.
    names
        Variables; all that have a `time` if None.

    Raises
    ------
    InputError
        If a variable is unknown, has no climatology, or a level has no value at all or never changes by one step.
    """
    names = [str(n) for n, v in ds.data_vars.items() if "time" in v.dims] if names is None else list(names)
    weight = ds["cell_area"] if "cell_area" in ds.coords else area(ds["latitude"], ds["longitude"])
    result: dict[str, xr.DataArray] = {}
    for name in names:
        if name not in ds.data_vars:
            raise unknown("variable", name, map(str, ds.data_vars))
        if climatology is not None and name not in climatology.data_vars:
            raise InputError(f"{name}: the climatology has none; it has {sorted(map(str, climatology.data_vars))}")
        cycle = None if climatology is None else climatology[[name]]
        result |= _variable(ds, name, weight.transpose("latitude", "longitude").values, cycle, progress)
    period = [str(np.datetime_as_string(t, "D")) for t in ds["time"].values[[0, -1]]]
    return xr.Dataset(result, attrs={"oceanx_statistics_period": "/".join(period)})


def _variable(
    ds: xr.Dataset, name: str, weight: np.ndarray, climatology: xr.Dataset | None, progress: Progress | None
) -> dict[str, xr.DataArray]:
    v = ds[name].transpose("time", *(["depth"] if "depth" in ds[name].dims else []), "latitude", "longitude")
    wet = wet_cells(ds, v)
    weights = np.broadcast_to(weight, v.shape[1:]) * (1.0 if wet is None else wet)
    one_step = _one_step(ds["time"])
    values, changes = Moments(v.sizes.get("depth", 1)), Moments(v.sizes.get("depth", 1))
    boxes = list(_boxes(v))
    for number, box in enumerate(boxes):
        part = v.isel(box)
        sums = Moments(part.sizes.get("depth", 1)), Moments(part.sizes.get("depth", 1))
        cycle = None if climatology is None else climatology.isel(box, missing_dims="ignore")
        of_box = weights[tuple(box.get(str(d), slice(None)) for d in v.dims[1:])]
        for done in _gather(part, name, of_box, one_step, cycle, sums):
            if progress:
                progress(f"statistics of {name}", number * v.sizes["time"] + done, len(boxes) * v.sizes["time"])
        levels = box.get("depth", slice(None))
        for whole, of_part in zip((values, changes), sums, strict=True):
            at_levels = Moments(whole.levels)
            at_levels.sums[..., levels] = of_part.sums
            whole.merge(at_levels)
    return _labelled(v, values, changes, anomaly=climatology is not None)


def _gather(
    v: xr.DataArray,
    name: str,
    weights: np.ndarray,
    one_step: np.ndarray,
    climatology: xr.Dataset | None,
    sums: tuple[Moments, Moments],
) -> Iterator[int]:
    """Go through time, yielding how far; `sums` take in the values, and the changes over one step."""
    values, changes = sums
    weights = np.ascontiguousarray(weights).reshape(v.sizes.get("depth", 1), -1)
    before: np.ndarray | None = None
    for where, block in blocks(v):
        if climatology is not None:
            block = block.astype(np.float64)
            block -= at(climatology, v["time"][where])[name].transpose(*v.dims).values
        block = block.reshape(len(block), *weights.shape)
        values.add(block, weights)
        if before is not None and one_step[where.start - 1]:
            changes.add_changes(before, block[:1], weights)
        for i in np.flatnonzero(one_step[where.start : where.stop - 1]):
            changes.add_changes(block[i : i + 1], block[i + 1 : i + 2], weights)
        before = block[-1:]
        yield where.stop


def _boxes(v: xr.DataArray) -> Iterator[dict[str, slice]]:
    """Parts of space to go through time with, one after another: all of it, or a chunk where that is too much."""
    chunks = v.chunks if v.chunks and v.size else ((0,),)
    days = chunks[0][0]
    # Of chunks of many days, `blocks` would read a few at a time, and each chunk again and again.
    if days * (v.nbytes // max(1, len(v))) <= (_HELD if days == 1 else BLOCK_BYTES):
        yield {}
        return
    ends = [np.cumsum((0, *sizes)) for sizes in chunks[1:]]
    for corner in np.ndindex(*(len(e) - 1 for e in ends)):
        yield {str(d): slice(e[i], e[i + 1]) for d, e, i in zip(v.dims[1:], ends, corner, strict=True)}


def _labelled(v: xr.DataArray, values: Moments, changes: Moments, *, anomaly: bool) -> dict[str, xr.DataArray]:
    _refuse_empty(values, v, "value")
    _refuse_empty(changes, v, "pair of neighbouring days")
    kinds = {
        "mean": (values.mean, "Mean"),
        "std": (values.spread, "Spread"),
        "increment_std": (changes.spread, "Spread of one step's change"),
    }
    coords = {"depth": v["depth"]} if "depth" in v.dims else {}
    units = {"units": v.attrs["units"]} if "units" in v.attrs else {}
    what = v.attrs.get("long_name", v.name) + (" anomaly" if anomaly else "")
    result = {}
    for kind, (numbers, words) in kinds.items():
        numbers = numbers if "depth" in v.dims else numbers[0]
        attrs = {"long_name": f"{words}: {what}", **units}
        result[f"{v.name}_{kind}"] = xr.DataArray(numbers, dims=list(coords), coords=coords, attrs=attrs)
    return result


def _refuse_empty(sums: Moments, v: xr.DataArray, what: str) -> None:
    if (sums.weight == 0).any():
        level = f" at depth {float(v['depth'][int(np.argmin(sums.weight))]):g} m" if "depth" in v.dims else ""
        raise InputError(f"{v.name}{level}: no {what} at a wet cell in these times; leave the level or variable out")


def _one_step(time: xr.DataArray) -> np.ndarray:
    """Which neighbouring times (len(time) − 1) are one step apart, a step being the commonest distance."""
    steps = np.diff(time.values).astype("timedelta64[ns]") if time.dtype.kind == "M" else np.diff(time.values)
    if not len(steps):
        return np.zeros(0, dtype=bool)
    return np.asarray(steps == pd.Series(steps).mode().iloc[0])
