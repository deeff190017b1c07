"""Weighted sums of statistics, kept by start date and lead: parts of an evaluation add up to the whole exactly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from oceanx.vocabulary.progress import Progress

from ..ocean.climatology import at
from ..ocean.grid import area
from ..ocean.labels import wet_cells
from ..vocabulary.errors import InputError
from .metrics import STATISTICS, Fields

BATCH_BYTES = 256 * 2**20  # how much of one variable, over all models, is held at a time


def aggregate(
    forecasts: Mapping[str, xr.Dataset],
    truth: xr.Dataset,
    statistics: Sequence[str],
    variables: Sequence[str],
    regions: Mapping[str, np.ndarray],
    climatology: xr.Dataset | None = None,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Sums over cells (model, region, init_time, lead_time[, depth]) of each weighted statistic, and of the weights.

    `<variable>_<statistic>` is the sum over cells wet in forecast and truth of area × statistic, `<variable>_weight`
    the sum of their areas, `<variable>_truth_weight` the area of the truth's wet cells. Every forecast is read once,
    a few start dates at a time; the arithmetic is the same for each start date, whatever the chunks.
    """
    weights = _weights(truth, regions)
    wanted = (*statistics, "weight", "truth_weight")
    first = next(iter(forecasts.values()))
    leads = np.unique(np.concatenate([f["lead_time"].values for f in forecasts.values()]))
    result = {}
    for name in variables:
        have = {model: f for model, f in forecasts.items() if name in f.data_vars}
        one = next(iter(have.values()))[name]
        depth = one["depth"].values if "depth" in one.dims else None
        shape = (len(forecasts), len(regions), first.sizes["init_time"], len(leads), 1 if depth is None else len(depth))
        total = {statistic: np.zeros(shape) for statistic in wanted}
        for done, (i, model, fields) in enumerate(_starts(name, have, truth, climatology)):
            row = list(forecasts).index(model)
            column = np.searchsorted(leads, have[model]["lead_time"].values)
            for statistic, sums in _sums(fields, statistics, weights).items():
                total[statistic][row, :, i][:, column] = sums.transpose(1, 0, 2)
            if progress:
                progress(f"score of {name}", done + 1, len(have) * first.sizes["init_time"])
        dims = ("model", "region", "init_time", "lead_time", "depth")
        for statistic, sums in total.items():
            data = (dims, sums) if depth is not None else (dims[:-1], sums[..., 0])
            result[f"{name}_{statistic}"] = data
    coords = {"model": list(forecasts), "region": list(regions), "init_time": first["init_time"], "lead_time": leads}
    with_depth = [f["depth"] for f in forecasts.values() if "depth" in f.dims]
    return xr.Dataset(result, coords={**coords, **({"depth": with_depth[0]} if with_depth else {})})


def combine(parts: Sequence[xr.Dataset]) -> xr.Dataset:
    """One set of sums from those of several groups of start dates, as if all had been scored at once."""
    whole = xr.concat(parts, dim="init_time", join="exact").sortby("init_time")
    if whole.indexes["init_time"].has_duplicates:
        raise InputError("init_time: a start date is in more than one part; give each once")
    return whole


def _sums(x: tuple[Fields, np.ndarray], statistics: Sequence[str], weights: np.ndarray) -> dict[str, np.ndarray]:
    """Sums (lead, region, depth) of each statistic over cells."""
    fields, ocean = x
    leads, levels, cells = ocean.shape

    def over_cells(values: np.ndarray | None) -> np.ndarray:
        if values is None:
            return np.full((leads, weights.shape[1], levels), np.nan)
        summed = values.reshape(leads * levels, cells) @ weights
        return summed.reshape(leads, levels, -1).transpose(0, 2, 1)

    result = {statistic: over_cells(STATISTICS[statistic](fields)) for statistic in statistics}
    result["weight"] = over_cells(fields.valid.astype(np.float64))
    result["truth_weight"] = over_cells(ocean.astype(np.float64))
    return result


def _starts(
    name: str, forecasts: Mapping[str, xr.Dataset], truth: xr.Dataset, climatology: xr.Dataset | None
) -> Iterator[tuple[int, str, tuple[Fields, np.ndarray]]]:
    """Each start date of each model as (index, model, (fields, the truth's wet cells)), shaped (lead, depth, cell)."""
    some = next(iter(forecasts.values()))
    actual = on_levels(truth[name], some[name])
    dates = pd.DatetimeIndex(truth["time"].values)
    wet = _wet(truth, actual, some[name])
    per_start = sum(f[name].isel(init_time=0).nbytes for f in forecasts.values())
    step = max(1, BATCH_BYTES // max(1, per_start))
    for start in range(0, some.sizes["init_time"], step):
        batch = slice(start, start + step)
        parts = {model: f[name].isel(init_time=batch) for model, f in forecasts.items()}
        valid = {model: f["valid_time"].isel(init_time=batch).values for model, f in forecasts.items()}
        needed = np.unique(np.concatenate([v.ravel() for v in valid.values()]))
        rows = actual.isel(time=dates.get_indexer(pd.DatetimeIndex(needed)))
        values = _cells(rows)
        cycle = None
        if climatology is not None:
            cycle = _cells(on_levels(at(climatology[[name]], rows["time"])[name], some[name]))
        for model, part in parts.items():
            ensemble = "member" in part.dims
            lead_first = ("member", "lead_time") if ensemble else ("lead_time",)
            block = _cells(part.transpose("init_time", *lead_first, ...), leading=1 + len(lead_first))
            for i, forecast in enumerate(block):
                at_valid = np.searchsorted(needed, valid[model][i])
                truth_now = values[at_valid]
                ocean = np.isfinite(truth_now) & wet
                cycle_now = None if cycle is None else cycle[at_valid]
                yield start + i, model, (Fields(forecast, truth_now, ocean, cycle_now, ensemble), ocean)


def _cells(v: xr.DataArray, leading: int = 1) -> np.ndarray:
    """Values as (leading dimensions …, depth or 1, cells), read now."""
    horizontal = ("depth", "latitude", "longitude") if "depth" in v.dims else ("latitude", "longitude")
    v = v.transpose(..., *horizontal)
    shape = (*v.shape[:leading], v.sizes.get("depth", 1), v.sizes["latitude"] * v.sizes["longitude"])
    return np.asarray(v.data).reshape(shape)


def _wet(truth: xr.Dataset, actual: xr.DataArray, like: xr.DataArray) -> np.ndarray:
    """The truth's mask (depth or 1, cells), all wet where it has none."""
    if "mask" not in truth.coords:
        return np.ones((1, 1), dtype=bool)
    mask = truth["mask"]
    if "depth" in like.dims and "depth" in mask.dims:
        mask = on_levels(mask, like)
    wet = wet_cells(xr.Dataset(coords={"mask": mask}), actual)
    assert wet is not None
    return wet.reshape(-1, wet.shape[-2] * wet.shape[-1])


def on_levels(v: xr.DataArray, like: xr.DataArray) -> xr.DataArray:
    """`v` on the levels of `like`, each of which it must have."""
    if "depth" not in like.dims:
        return v
    if "depth" not in v.dims:
        raise InputError(f"{like.name}: the forecast has a depth, the truth has none")
    have, want = v["depth"].values.astype(float), like["depth"].values.astype(float)
    nearest = np.abs(have[None, :] - want[:, None]).argmin(axis=1)
    apart = ~np.isclose(have[nearest], want, rtol=1e-4, atol=1e-4)
    if apart.any():
        level = want[np.argmax(apart)]
        raise InputError(
            f"depth: the forecast's level {level:g} m is not in the truth, whose nearest is "
            f"{have[nearest][np.argmax(apart)]:g} m; interpolate one to the other"
        )
    return v.isel(depth=nearest)


def _weights(truth: xr.Dataset, regions: Mapping[str, np.ndarray]) -> np.ndarray:
    """Cell areas (cells, regions) in m2, zero outside each region."""
    cell = truth["cell_area"] if "cell_area" in truth.coords else area(truth["latitude"], truth["longitude"])
    areas = cell.transpose("latitude", "longitude").values
    return np.stack([(areas * inside).ravel() for inside in regions.values()], axis=1)
