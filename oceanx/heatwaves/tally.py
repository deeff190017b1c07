"""Forecasts against what happened, counted a few start dates at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numba
import numpy as np
import xarray as xr

from ..ocean.grid import HORIZONTAL, area
from ..vocabulary.errors import InputError
from ..vocabulary.progress import Progress
from .against import Rule
from .description import CATEGORIES
from .early import Detections
from .finishing import BINS, OUTCOMES, SQUARES
from .forecasts import follow, strength
from .gluing import glued, truth_at, truth_at_start
from .limits import on_dates
from .spells import number

BATCH_BYTES = 8 * 2**20  # how much of a forecast with its history is held at a time
MISSING = -1
LABELS = ("member", "init_time", "lead_time")

Said = Callable[[xr.DataArray], xr.DataArray]  # the temperatures of a model, given the labels of some starts


@dataclass(frozen=True)
class Question:
    """What is asked of every day: does it lie in an event (or is it above the threshold), and of which category?"""

    threshold: xr.Dataset
    truth: xr.DataArray
    analysis: xr.DataArray
    before: int  # days of history; 0 where every day stands for itself
    rule: Rule
    decide: float  # the probability from which an ensemble says yes

    def answers(self, sst: xr.DataArray, series: xr.DataArray, what: str) -> tuple[np.ndarray, np.ndarray]:
        """Category, 0 for no, `MISSING` without a value; and day of the event: (…, init_time, lead_time, cell)."""
        whole = (glued(sst, truth_at_start(series, sst, self.before, what)) if self.before else sst).load()
        whole = whole.transpose(..., "lead_time")
        limit = on_dates(whole, self.threshold, "threshold").transpose(..., "lead_time")
        excess = self.rule.sign * (whole - limit).values
        above = excess > 0
        event = number(excess, self.rule.min_duration, self.rule.max_gap) if self.before else above.astype(np.int32)
        day = follow(event, excess, above)[2]
        own = whole.isel(lead_time=slice(self.before, None))
        mean = on_dates(own, self.threshold, "climatology")
        level = strength(own, mean, limit.isel(lead_time=slice(self.before, None)), self.rule.sign).clip(min=1)
        level = level.transpose(*own.dims)
        inside, missing = (x[..., self.before :] for x in (event > 0, np.isnan(excess)))
        level = level.copy(data=np.where(missing, MISSING, np.where(inside, level.values, 0)).astype(np.int8))
        return self._flat(level, sst), self._flat(level.copy(data=day[..., self.before :]), sst)

    def _flat(self, values: xr.DataArray, like: xr.DataArray) -> np.ndarray:
        """In the forecast's order, with all cells on one axis."""
        found = values.transpose(*like.dims).values
        return found.reshape(*found.shape[: like.dims.index("lead_time") + 1], -1)


def tally(
    name: str,
    forecast: xr.DataArray,
    said: Said,
    question: Question,
    regions: Mapping[str, np.ndarray] | None = None,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Counts (region, init_time, lead_time, category) of what was said and came, and how early events were seen."""
    weight = weights(forecast, regions)
    starts, leads = forecast.sizes["init_time"], forecast.sizes["lead_time"]
    sums = np.zeros((starts, len(weight), leads, len(CATEGORIES), len(OUTCOMES) + len(SQUARES)))
    bins = np.zeros((len(weight), leads, len(CATEGORIES), len(BINS), 2))
    wet = np.zeros((len(weight), leads, 2))
    seen = Detections()
    for batch in _batches(forecast, question.before):
        labels = forecast.isel(init_time=batch)
        model, _ = question.answers(said(labels), question.analysis, "analysis")
        one = labels.isel(member=0, drop=True) if "member" in labels.dims else labels
        came, day = question.answers(truth_at(question.truth, one), question.truth, "truth")
        members = model if model.ndim == 4 else model[None]
        _count(members, came, weight, question.decide, sums[batch], bins, wet)
        if question.before:
            first = (day == question.rule.min_duration) & (members > MISSING).all(axis=0)
            seen.add(one["valid_time"].values, first, (members >= 1).mean(axis=0) >= question.decide)
        if progress:
            progress(f"heatwaves of {name}", batch.stop, starts)
    shares, mean = seen.summary(weight, leads)
    dims = ("init_time", "region", "lead_time", "category")
    counts = {k: (dims, sums[..., i]) for i, k in enumerate((*OUTCOMES, *SQUARES))}
    of_bins = {k: ((*dims[1:], "probability"), bins[..., i]) for i, k in enumerate(("said", "came"))}
    area_sums = {k: (dims[1:3], wet[..., i]) for i, k in enumerate(("wet", "scored"))}
    early = {"detected": (dims[1:3], shares), "detection_lead": (dims[1:2], mean)} if question.before else {}
    return xr.Dataset(
        {**counts, **of_bins, **area_sums, **early},
        coords={
            "init_time": forecast["init_time"].values,
            "region": list(regions or [""]),
            "lead_time": forecast["lead_time"].values,
            "category": list(CATEGORIES),
            "probability": BINS,
        },
    )


def weights(forecast: xr.DataArray, regions: Mapping[str, np.ndarray] | None = None) -> np.ndarray:
    """Cell areas over the mean one, (region, cell), 0 outside each region; 1 where there is no grid."""
    cells = [d for d in forecast.dims if d not in LABELS]
    more = [d for d in cells if d not in HORIZONTAL]
    if more and len(more) < len(cells):
        raise InputError(
            f"{more[0]}: heatwaves are scored on one at a time; choose with threshold.sel({more[0]}=...), or make a "
            "threshold of one (--depth)"
        )
    if set(cells) != set(HORIZONTAL):
        return np.ones((1, int(np.prod([forecast.sizes[d] for d in cells]))))
    known = "cell_area" in forecast.coords
    areas = forecast["cell_area"] if known else area(forecast["latitude"], forecast["longitude"])
    share = (areas / areas.mean()).transpose(*cells).values.ravel()
    if not regions:
        return share[None]
    inside = [xr.DataArray(mask, dims=HORIZONTAL).transpose(*cells).values.ravel() for mask in regions.values()]
    return np.stack([np.where(mask, share, 0.0) for mask in inside])


def _batches(forecast: xr.DataArray, before: int) -> Iterator[slice]:
    """Consecutive start dates, whole chunks of them where that many fit."""
    starts, leads = forecast.sizes["init_time"], forecast.sizes["lead_time"]
    one = max(1, forecast.isel(init_time=0).nbytes * (before + leads) // leads)
    step = max(1, BATCH_BYTES // one)
    chunk = max(forecast.variable.chunksizes.get("init_time", (1,)))
    step = step // chunk * chunk or step
    for start in range(0, starts, step):
        yield slice(start, min(start + step, starts))


@numba.njit(cache=True, nogil=True)
def _count(
    members: np.ndarray,
    came: np.ndarray,
    weight: np.ndarray,
    decide: float,
    sums: np.ndarray,
    bins: np.ndarray,
    wet: np.ndarray,
) -> None:
    """Add what members (member, init, lead, cell) said and what came (init, lead, cell) to the sums by region."""
    count = members.shape[0]
    starts, leads, cells = came.shape
    for i in range(starts):
        for j in range(leads):
            for c in range(cells):
                if came[i, j, c] < 0:
                    continue
                there = True
                for m in range(count):
                    there = there and members[m, i, j, c] >= 0
                for r in range(len(weight)):
                    wet[r, j, 0] += weight[r, c]
                    wet[r, j, 1] += weight[r, c] if there else 0.0
                if not there:
                    continue
                for k in range(sums.shape[3]):
                    yes = 0
                    for m in range(count):
                        yes += members[m, i, j, c] > k
                    share = yes / count
                    happened = came[i, j, c] > k
                    outcome = (0 if happened else 2) if share >= decide else (1 if happened else 3)
                    square = (share - happened) ** 2
                    fair = square - share * (1 - share) / (count - 1) if count > 1 else square
                    place = int(share * 10 + 0.5)
                    for r in range(len(weight)):
                        w = weight[r, c]
                        sums[i, r, j, k, outcome] += w
                        sums[i, r, j, k, 4] += w * square
                        sums[i, r, j, k, 5] += w * fair
                        bins[r, j, k, place, 0] += w
                        bins[r, j, k, place, 1] += w * happened
