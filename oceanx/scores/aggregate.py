"""Weighted sums of statistics, kept by start date and lead: parts of an evaluation add up to the whole exactly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from oceanx.vocabulary.progress import Progress

from ..ocean.grid import area
from ..vocabulary.errors import InputError
from . import kernel, references
from .fields import Fields
from .kernel import ANOMALIES, BASIC, Leads, Weights, stacked
from .levels import all_levels, nearest_levels, on_all_levels
from .metrics import Binned
from .probabilistic import TENTHS
from .reading import Batch, Sources, batches, keys
from .table import BINS, STATISTICS

DIMENSIONS = ("model", "region", "init_time", "lead_time", "depth")


@dataclass(frozen=True)
class Told:
    """What scores may need beside forecasts and truth.

    Attributes
    ----------
    climatology
        Of `oceanx.ocean.climatology`.
    thresholds
        By variable: a number, or a Dataset that has the variable by `dayofyear`.
    above
        Whether events are above the threshold, or below.
    references
        Which of `oceanx.scores.references.REFERENCES` to make.
    autocorrelation
        r(lead_time, …) of each variable, for damped persistence.
    """

    climatology: xr.Dataset | None = None
    thresholds: Mapping[str, xr.Dataset | float] = field(default_factory=dict)
    above: bool = True
    references: tuple[str, ...] = ()
    autocorrelation: xr.Dataset | None = None


NOTHING = Told()


def aggregate(
    forecasts: Mapping[str, xr.Dataset],
    truth: xr.Dataset,
    statistics: Sequence[str],
    variables: Sequence[str],
    regions: Mapping[str, np.ndarray],
    told: Told = NOTHING,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Sums over cells (model, region, init_time, lead_time[, depth][, bin]) of weighted statistics, and of weights.

    `<variable>_<statistic>` is the sum over cells wet in forecast and truth of area × statistic, `<variable>_weight`
    the sum of their areas, `<variable>_truth_weight` the area of the truth's wet cells. Every forecast is read once,
    a few start dates at a time; the arithmetic is the same for each start date, whatever the chunks. Leads and levels
    are all those of some forecast; where one has none, its weight is nothing.
    """
    levels = all_levels(forecasts)
    most = max(f.sizes.get("member", 1) for f in forecasts.values())
    bins = {"rank": np.arange(most + 1), "probability": TENTHS}
    coords: dict[str, Any] = {
        "model": [*forecasts, *told.references],
        "region": list(regions),
        "init_time": next(iter(forecasts.values()))["init_time"],
        "lead_time": np.unique(np.concatenate([f["lead_time"].values for f in forecasts.values()])),
        **({} if levels is None else {"depth": levels}),
        **{dim: bins[dim] for dim in {BINS[s] for s in statistics if s in BINS}},
    }
    result = xr.Dataset(coords=coords)
    weights = _weights(truth, regions)
    for name in variables:
        have = {model: f for model, f in forecasts.items() if name in f.data_vars}
        like = levels if levels is not None and on_all_levels(name, have) else next(iter(have.values()))[name]
        read = Sources.of(name, have, truth, like, told.climatology, told.thresholds.get(name), bool(told.references))
        result = result.assign(_of_variable(read, result, statistics, have, told, weights, progress))
    return result


def _of_variable(
    read: Sources,
    layout: xr.Dataset,
    statistics: Sequence[str],
    have: Mapping[str, xr.Dataset],
    told: Told,
    weights: Weights,
    progress: Progress | None,
) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
    """The sums of one variable by name, on the coordinates of a layout."""
    models, leads = layout["model"].values.tolist(), layout["lead_time"].values
    sizes = {dim: layout.sizes[dim] for dim in set(BINS.values()) if dim in layout.sizes}
    shape = (*(layout.sizes[d] for d in DIMENSIONS[:4]), read.like.sizes.get("depth", 1))
    names = (*statistics, "weight", "truth_weight")
    total = {s: np.zeros((*shape, sizes[BINS[s]]) if s in BINS else shape) for s in names}
    damped = told.autocorrelation if "damped_persistence" in told.references else None
    damping = references.damping_of(damped, read.name, read.like, leads)
    done, steps = 0, (len(have) + len(told.references)) * layout.sizes["init_time"]
    for batch in batches(read):
        for start in _starts(batch, read, told, leads, damping, have):
            own = have.get(start.model)
            at_lead = np.arange(len(leads)) if own is None else np.searchsorted(leads, own["lead_time"].values)
            where = np.ix_(at_lead, start.levels)
            for statistic, sums in start.sums(statistics, weights, sizes).items():
                for region, values in enumerate(sums.swapaxes(0, 1)):
                    total[statistic][models.index(start.model), region, start.number][where] = values
            done += 1
            if progress:
                progress(f"score of {read.name}", done, steps)
    deep = "depth" in read.like.dims
    dims = {s: (*DIMENSIONS[: 5 if deep else 4], *([BINS[s]] if s in BINS else [])) for s in names}
    return {f"{read.name}_{s}": (dims[s], sums if deep else sums[:, :, :, :, 0]) for s, sums in total.items()}


def combine(parts: Sequence[xr.Dataset]) -> xr.Dataset:
    """One set of sums from those of several groups of start dates, as if all had been scored at once.

    Raises
    ------
    InputError
        If a start date is in more than one part, or the parts are not of the same scores.
    """
    if not parts:
        raise InputError("combine: nothing to combine; give the sums of each part")
    try:
        whole = xr.concat(parts, dim="init_time", data_vars="all", join="exact", combine_attrs="no_conflicts")
    except (ValueError, xr.MergeError) as error:
        said = " ".join(str(error).split())[:200]
        raise InputError(f"combine: the parts are not of the same scores: {said}; score all alike") from None
    whole = whole.sortby("init_time")
    if whole.indexes["init_time"].has_duplicates:
        raise InputError("init_time: a start date is in more than one part; give each once")
    return whole


@dataclass(frozen=True)
class Start:
    """One model's forecast from one start date, and what it is scored with.

    Attributes
    ----------
    members
        Values (member, lead, level, cell), or None.
    levels
        Where its levels stand among all.
    """

    model: str
    number: int
    forecast: Leads
    members: np.ndarray | None
    truth: Leads
    climatology: Leads | None
    threshold: Leads | float | None
    levels: np.ndarray
    wet: np.ndarray
    above: bool

    def sums(self, statistics: Sequence[str], weights: Weights, sizes: Mapping[str, int]) -> dict[str, np.ndarray]:
        """Sums (lead, region, level[, bin]) of each statistic over cells, and of the weights."""
        anomalies = self.climatology if set(ANOMALIES) & set(statistics) else None
        found = kernel.moments(self.forecast, self.truth, anomalies, self.levels, self.wet, weights)
        result = {s: found[s] for s in (*statistics, "weight", "truth_weight") if s in found}
        others = [s for s in statistics if s not in (*BASIC, *ANOMALIES)]
        fields = self._fields() if others else None
        for statistic in others:
            assert fields is not None
            result[statistic] = self._sum(STATISTICS[statistic](fields), statistic, weights, sizes, fields.size)
        empty = np.full_like(result["weight"], np.nan)
        return result | {s: empty for s in statistics if s not in result}

    def _fields(self) -> Fields:
        beyond = self.threshold
        limit = beyond if beyond is None or isinstance(beyond, float) else stacked(beyond, self.levels)
        usual = None if self.climatology is None else stacked(self.climatology, self.levels)
        forecast = stacked(self.forecast) if self.members is None else self.members
        truth, wet = stacked(self.truth, self.levels), self.wet[None]
        return Fields(forecast, truth, wet, usual, self.members is not None, limit, self.above)

    def _sum(
        self, values: np.ndarray | Binned | None, name: str, weights: Weights, sizes: Mapping[str, int], members: int
    ) -> np.ndarray:
        shape = (len(self.truth), len(weights.weights), len(self.levels))
        if values is None:
            return np.full((*shape, sizes[BINS[name]]) if name in BINS else shape, np.nan)
        if not isinstance(values, Binned):
            return kernel.weighted(values, weights)
        sums = kernel.counted(*values, sizes[BINS[name]], weights)
        if name == "rank":
            sums[..., members + 1 :] = np.nan  # ranks that so few members do not have
        return sums


def _starts(
    batch: Batch,
    s: Sources,
    told: Told,
    leads: np.ndarray,
    damping: np.ndarray | None,
    have: Mapping[str, xr.Dataset],
) -> Iterator[Start]:
    """Every start date of a batch, of every model and then every reference."""
    limit = batch.threshold

    def start(
        model: str, number: int, forecast: Leads, members: np.ndarray | None, valid: np.ndarray, levels: np.ndarray
    ) -> Start:
        dates = keys(valid)
        usual = None if batch.climatology is None else [batch.climatology[date] for date in dates]
        beyond = [limit[date] for date in dates] if isinstance(limit, dict) else limit
        wet = s.wet[levels] if len(s.wet) > 1 else s.wet
        truth, first = [batch.truth[date] for date in dates], batch.first + number
        return Start(model, first, forecast, members, truth, usual, beyond, levels, wet, told.above)

    for model, blocks in batch.forecasts.items():
        v = have[model][s.name]
        levels = nearest_levels(s.like, v) if "depth" in v.dims else np.arange(1)
        for i, block in enumerate(blocks):
            members = block if isinstance(block, np.ndarray) else None
            fields: Leads = block if members is None else members.mean(axis=0, dtype=np.float64)
            yield start(model, i, fields, members, batch.valid[model][i], levels)
    everywhere = np.arange(s.like.sizes.get("depth", 1))
    for kind in told.references:
        for i, day in enumerate(batch.starts):
            reference = references.made(kind, batch, day, leads, damping)
            if reference is not None:
                yield start(kind, i, reference, None, day + leads, everywhere)


def _weights(truth: xr.Dataset, regions: Mapping[str, np.ndarray]) -> Weights:
    """Cell areas (region, cell) in m2, zero outside each region."""
    cell = truth["cell_area"] if "cell_area" in truth.coords else area(truth["latitude"], truth["longitude"])
    areas = cell.transpose("latitude", "longitude").values
    return Weights(np.stack([(areas * inside).ravel() for inside in regions.values()]))
