"""Moving-block bootstrap over start dates: how sure a score is, and whether one model is better than another.

Starts near each other share their errors, so whole blocks of neighbouring starts are drawn. What is drawn are sums
that were kept by start date: no forecast is read again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from ..vocabulary.errors import InputError
from .metrics import Best

RESAMPLES = 1000


@dataclass(frozen=True)
class Resampling:
    """How start dates are drawn.

    Attributes
    ----------
    block
        Start dates in a block.
    resamples
        How often as many start dates as there are are drawn anew.
    seed
        Of the random numbers.
    """

    block: int
    resamples: int = RESAMPLES
    seed: int = 0

    def counts(self, starts: int) -> xr.DataArray:
        """How often each start date is in each resample (resample, init_time).

        Blocks begin anywhere with the same probability and do not go round; the last is cut where the starts are
        as many as there were.

        References
        ----------
        Künsch (1989), The jackknife and the bootstrap for general stationary observations,
        doi:10.1214/aos/1176347265
        """
        rng = np.random.default_rng(self.seed)
        blocks = -(-starts // self.block)
        first = rng.integers(0, starts - self.block + 1, size=(self.resamples, blocks))
        drawn = (first[:, :, None] + np.arange(self.block)).reshape(self.resamples, -1)[:, :starts]
        counts = np.zeros((self.resamples, starts))
        np.add.at(counts, (np.arange(self.resamples)[:, None], drawn), 1.0)
        return xr.DataArray(counts, dims=("resample", "init_time"))

    def __str__(self) -> str:
        return f"{self.resamples} resamples of blocks of {self.block} start dates, seed {self.seed}"


def resampling(sums: xr.Dataset, block: int | None = None, resamples: int = RESAMPLES, seed: int = 0) -> Resampling:
    """How the start dates of some sums are drawn; blocks reach over the longest lead if they are not told.

    Without `block`, it is the larger of the longest lead over the spacing of the starts, for forecasts that overlap
    see the same days, and of the cube root of their number, the rate at which blocks should grow with the series.

    Raises
    ------
    InputError
        If there are not at least two blocks, or a number makes no sense.
    """
    starts = sums.sizes["init_time"]
    if resamples < 1 or (block is not None and block < 1):
        raise InputError(f"bootstrap: found resamples={resamples}, block={block}; expected 1 or more")
    if starts < 2:
        raise InputError("confidence: one start date tells nothing about others; score more of them")
    spacing = float(np.median(np.diff(sums["init_time"].values) / np.timedelta64(1, "s")))
    longest = float(sums["lead_time"].values.max() / np.timedelta64(1, "s"))
    length = max(math.ceil(longest / spacing - 1e-9), math.ceil(starts ** (1 / 3) - 1e-9)) if block is None else block
    if 2 * length > starts:
        days = pd.Timedelta(spacing, "s") / pd.Timedelta("1D")
        raise InputError(
            f"confidence: {starts} start dates {days:g} days apart are fewer than two blocks of {length}, which leads "
            f"of up to {longest / 86400:g} days need; score more start dates, or say block="
        )
    return Resampling(length, resamples, seed)


def limits(values: xr.DataArray, confidence: float) -> tuple[xr.DataArray, xr.DataArray]:
    """The quantiles (1 ± confidence) / 2 over `resample` of what is a number there; NaN where nothing is."""
    ordered = np.sort(values.transpose("resample", ...).values, axis=0)  # NaN last
    count = np.isfinite(ordered).sum(axis=0)
    like = values.isel(resample=0, drop=True)
    ends = []
    for q in ((1 - confidence) / 2, (1 + confidence) / 2):
        place = q * np.maximum(count - 1, 0)
        below = np.floor(place).astype(int)
        above = np.minimum(below + 1, np.maximum(count - 1, 0))
        low, high = (np.take_along_axis(ordered, at[None], axis=0)[0] for at in (below, above))
        ends.append(like.copy(data=low + (place - below) * (high - low)))
    return ends[0], ends[1]


def better(values: xr.DataArray, reference: str, best: Best) -> xr.DataArray:
    """The share of resamples in which each model scores better than the reference; a tie counts half.

    Resamples are paired: all models are scored on the same start dates. NaN for the reference itself.
    """
    distance = {"low": values, "high": -values, "zero": abs(values), "one": abs(values - 1)}[best]
    lead = distance.sel(model=reference, drop=True) - distance
    share = (xr.where(lead > 0, 1.0, xr.where(lead == 0, 0.5, 0.0))).where(lead.notnull()).mean("resample")
    return share.where(share["model"] != reference)
