"""Mean, spread and spread of one step's change of each variable and level: what normalisation needs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from oceanx.vocabulary.progress import Progress

from ..vocabulary.errors import InputError, unknown
from .climatology import at, blocks
from .grid import area
from .labels import wet_cells


def statistics(
    ds: xr.Dataset,
    *,
    climatology: xr.Dataset | None = None,
    names: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> xr.Dataset:
    """`<name>_mean`, `<name>_std` and `<name>_increment_std` of each variable, by depth where it has one.

    Weighted by cell area over wet cells and pooled over the times given, in one pass. The increment is the change
    over one step of the time axis; a change across a gap, or to or from a missing day, is left out.

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
    levels = v.sizes.get("depth", 1)
    weights = weights.reshape(levels, -1)
    one_step = _one_step(ds["time"])
    values_sums, change_sums = np.zeros((3, levels)), np.zeros((3, levels))
    before: np.ndarray | None = None
    for where, values in blocks(v):
        values = values.reshape(len(values), levels, -1).astype(np.float64)
        if climatology is not None:
            values -= at(climatology, ds["time"][where])[name].values.reshape(values.shape)
        values_sums += _sums(values, weights)
        if before is not None and one_step[where.start - 1]:
            change_sums += _sums(values[:1] - before, weights)
        inside = one_step[where.start : where.stop - 1]
        change_sums += _sums((values[1:] - values[:-1])[inside], weights)
        before = values[-1:]
        if progress:
            progress(f"statistics of {name}", where.stop, v.sizes["time"])
    mean, std = _finish(values_sums, v, "value")
    _, increment = _finish(change_sums, v, "pair of neighbouring days")
    kinds = {
        "mean": (mean, "Mean"),
        "std": (std, "Spread"),
        "increment_std": (increment, "Spread of one step's change"),
    }
    coords = {"depth": ds["depth"]} if "depth" in v.dims else {}
    units = {"units": v.attrs["units"]} if "units" in v.attrs else {}
    what = v.attrs.get("long_name", name) + ("" if climatology is None else " anomaly")
    result = {}
    for kind, (values, words) in kinds.items():
        values = values if "depth" in v.dims else values[0]
        attrs = {"long_name": f"{words}: {what}", **units}
        result[f"{name}_{kind}"] = xr.DataArray(values, dims=list(coords), coords=coords, attrs=attrs)
    return result


def _sums(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Sums of weight, weighted value and weighted square (3, levels) of finite values (time, levels, cells)."""
    result = np.empty((3, values.shape[1]))
    for k, weight in enumerate(weights):
        wet = weight > 0
        weight, level = weight[wet], values[:, k, wet]
        first = level @ weight
        whole = np.isfinite(first)  # days without a gap, nearly all: they need no mask
        total, rest = whole.sum() * weight.sum(), level[~whole]
        finite = np.isfinite(rest)
        rest = np.where(finite, rest, 0.0)
        level = level if whole.all() else level[whole]
        np.square(level, out=level)
        result[:, k] = (
            total + (finite @ weight).sum(),
            first[whole].sum() + (rest @ weight).sum(),
            (level @ weight).sum() + (rest**2 @ weight).sum(),
        )
    return result


def _finish(sums: np.ndarray, v: xr.DataArray, what: str) -> tuple[np.ndarray, np.ndarray]:
    total, first, second = sums
    if (total == 0).any():
        level = f" at depth {float(v['depth'][int(np.argmin(total))]):g} m" if "depth" in v.dims else ""
        raise InputError(f"{v.name}{level}: no {what} at a wet cell in these times; leave the level or variable out")
    mean = first / total
    return mean, np.sqrt(np.maximum(second / total - mean**2, 0.0))


def _one_step(time: xr.DataArray) -> np.ndarray:
    """Which neighbouring times (len(time) − 1) are one step apart, a step being the commonest distance."""
    steps = np.diff(time.values).astype("timedelta64[ns]") if time.dtype.kind == "M" else np.diff(time.values)
    if not len(steps):
        return np.zeros(0, dtype=bool)
    return np.asarray(steps == pd.Series(steps).mode().iloc[0])
