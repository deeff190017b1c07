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
    a few start dates at a time; the arithmetic is the same for each start date, whatever the chunks. Leads and levels
    are all those of some forecast; where one has none, its weight is nothing.
    """
    weights = _weights(truth, regions)
    wanted = (*statistics, "weight", "truth_weight")
    first = next(iter(forecasts.values()))
    leads = np.unique(np.concatenate([f["lead_time"].values for f in forecasts.values()]))
    levels = _levels(forecasts)
    result = {}
    for name in variables:
        have = {model: f for model, f in forecasts.items() if name in f.data_vars}
        like = levels if levels is not None and _deep(name, have) else next(iter(have.values()))[name]
        deep = "depth" in like.dims
        shape = (len(forecasts), len(regions), first.sizes["init_time"], len(leads), like.size if deep else 1)
        total = {statistic: np.zeros(shape) for statistic in wanted}
        for done, (i, model, fields) in enumerate(_starts(name, have, truth, like, climatology)):
            row = list(forecasts).index(model)
            at_lead = np.searchsorted(leads, have[model]["lead_time"].values)
            at_level = nearest_levels(like, have[model]) if deep else np.arange(1)
            where = np.ix_(at_lead, at_level)
            for statistic, sums in _sums(fields, statistics, weights).items():
                for region, values in enumerate(sums.transpose(1, 0, 2)):
                    total[statistic][row, region, i][where] = values
            if progress:
                progress(f"score of {name}", done + 1, len(have) * first.sizes["init_time"])
        dims = ("model", "region", "init_time", "lead_time", "depth")
        for statistic, sums in total.items():
            data = (dims, sums) if deep else (dims[:-1], sums[..., 0])
            result[f"{name}_{statistic}"] = data
    coords = {"model": list(forecasts), "region": list(regions), "init_time": first["init_time"], "lead_time": leads}
    return xr.Dataset(result, coords={**coords, **({} if levels is None else {"depth": levels})})


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
    name: str,
    forecasts: Mapping[str, xr.Dataset],
    truth: xr.Dataset,
    like: xr.DataArray,
    climatology: xr.Dataset | None,
) -> Iterator[tuple[int, str, tuple[Fields, np.ndarray]]]:
    """Each start date of each model as (index, model, (fields, the truth's wet cells)), shaped (lead, depth, cell).

    `like` has all levels, a model some of them.
    """
    some = next(iter(forecasts.values()))
    actual = on_levels(truth[name], like)
    dates = pd.DatetimeIndex(truth["time"].values)
    wet = _wet(truth, actual, like)
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
            cycle = _cells(on_levels(at(climatology[[name]], rows["time"])[name], like))
        for model, part in parts.items():
            own = nearest_levels(like, part) if "depth" in part.dims else np.arange(1)
            ensemble = "member" in part.dims
            lead_first = ("member", "lead_time") if ensemble else ("lead_time",)
            block = _cells(part.transpose("init_time", *lead_first, ...), leading=1 + len(lead_first))
            for i, forecast in enumerate(block):
                at_valid = np.searchsorted(needed, valid[model][i])[:, None]
                truth_now = values[at_valid, own]
                ocean = np.isfinite(truth_now) & (wet[own] if len(wet) > 1 else wet)
                cycle_now = None if cycle is None else cycle[at_valid, own]
                yield start + i, model, (Fields(forecast, truth_now, ocean, cycle_now, ensemble), ocean)


def _cells(v: xr.DataArray, leading: int = 1) -> np.ndarray:
    """Values as (leading dimensions …, depth or 1, cells), read now."""
    horizontal = ("depth", "latitude", "longitude") if "depth" in v.dims else ("latitude", "longitude")
    v = v.transpose(..., *horizontal)
    shape = (*v.shape[:leading], v.sizes.get("depth", 1), v.sizes["latitude"] * v.sizes["longitude"])
    return np.asarray(v.data).reshape(shape)


def _levels(forecasts: Mapping[str, xr.Dataset]) -> xr.DataArray | None:
    """Every level that some forecast has, from the top."""
    with_depth = [f["depth"] for f in forecasts.values() if "depth" in f.dims]
    if not with_depth:
        return None
    levels = with_depth[0]
    for other in with_depth[1:]:
        new = ~_same(levels.values[nearest_levels(levels, other)], other.values)
        if new.any():
            levels = xr.concat([levels, other[new]], "depth", coords="minimal", compat="override").sortby("depth")
    return levels


def _deep(name: str, forecasts: Mapping[str, xr.Dataset]) -> bool:
    """Whether a variable stands on levels: in all forecasts, or in none."""
    having = [model for model, f in forecasts.items() if "depth" in f[name].dims]
    lacking = [model for model in forecasts if model not in having]
    if having and lacking:
        raise InputError(
            f"{name}: has a depth in {having[0]} and none in {lacking[0]}; select its level in both or none"
        )
    return bool(having)


def _same(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Whether depths (m) are those of one level."""
    return np.isclose(a.astype(float), b.astype(float), rtol=1e-4, atol=1e-4)


def nearest_levels(v: xr.Dataset | xr.DataArray, like: xr.Dataset | xr.DataArray) -> np.ndarray:
    """Where among the levels of `v` those nearest to each level of `like` stand."""
    have, want = v["depth"].values.astype(float), like["depth"].values.astype(float)
    return np.abs(have[None, :] - want[:, None]).argmin(axis=1)


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
        raise InputError(f"{v.name}: the forecast has a depth, the truth has none")
    nearest = nearest_levels(v, like)
    have, want = v["depth"].values, like["depth"].values
    apart = ~_same(have[nearest], want)
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
