"""From counts of what was said and what came to the scores that the field uses."""

from __future__ import annotations

import math

import numpy as np
import xarray as xr

from ..ocean import contingency
from ..vocabulary.errors import InputError

OUTCOMES = {
    "hits": "Hits",
    "misses": "Misses",
    "false_alarms": "False alarms",
    "correct_negatives": "Correct negatives",
}
SQUARES = ("brier", "brier_fair")  # sums of squared errors of the probability, of the members and of infinitely many
BINS = np.round(np.linspace(0, 1, 11), 1)  # the probabilities that are counted together are those nearest to each
SURE = (  # what has a confidence
    *("hit_rate", "false_alarm_ratio", "csi", "sedi", "hss", "frequency_bias"),
    *("brier", "brier_fair", "brier_skill"),
)
RESAMPLES, SEED = 1000, 0


def scores(counts: xr.Dataset) -> xr.Dataset:
    """The scores of counts (`OUTCOMES`) and sums (`SQUARES`), in their dimensions; NaN where a divisor is nothing."""
    four = tuple(counts[name] for name in OUTCOMES)
    hits, misses, alarms, _ = four
    total = _some(sum(four, start=xr.zeros_like(hits)))
    base = contingency.base_rate(*four)
    found = {
        "hit_rate": (contingency.hit_rate(*four), "Hit rate"),
        "false_alarm_ratio": (contingency.false_alarm_ratio(*four), "False-alarm ratio"),
        "csi": (contingency.critical_success_index(*four), "Critical success index"),
        "sedi": (contingency.sedi(*four), "Symmetric extremal dependence index"),
        "hss": (contingency.heidke(*four), "Heidke skill score"),
        "frequency_bias": ((hits + alarms) / _some(hits + misses), "Frequency forecast over frequency observed"),
        "base_rate": (base, "Share observed"),
        "forecast_rate": ((hits + alarms) / total, "Share forecast"),
        "brier": (counts["brier"] / total, "Brier score"),
        "brier_fair": (counts["brier_fair"] / total, "Brier score of infinitely many members"),
        "brier_skill": (1 - counts["brier"] / _some(total * base * (1 - base)), "Brier skill score"),
    }
    return xr.Dataset({name: v.assign_attrs(long_name=text, units="1") for name, (v, text) in found.items()})


def tables(counts: xr.Dataset) -> xr.Dataset:
    """All that `skill` returns but for the confidence, from pooled counts."""
    result = scores(counts)
    for name, text in OUTCOMES.items():
        result[name] = counts[name].assign_attrs(long_name=f"{text}, in cells of mean area", units="1")
    shares = {
        "reliability": (counts["came"] / _some(counts["said"]), "Share that came where this probability was given"),
        "forecast_share": (counts["said"] / _some(counts["said"].sum("probability")), "Share given this probability"),
        "missing": (1 - counts["scored"] / _some(counts["wet"]), "Share of the truth's wet area without a forecast"),
    }
    if "detected" in counts:
        shares["detected"] = (counts["detected"], "Share of events that a forecast of this lead or a longer one had")
    for name, (values, text) in shares.items():
        result[name] = values.assign_attrs(long_name=text, units="1")
    if "detection_lead" in counts:  # `days` would be read back as a duration
        text = "Mean over events of the longest lead that had them"
        result["detection_lead"] = counts["detection_lead"].assign_attrs(long_name=text, units="d")
    return result


def of_the_base_rate(counts: xr.Dataset) -> xr.Dataset:
    """The pooled counts of a climatology: it never says yes, and always gives the base rate as its probability."""
    hits, misses, alarms, quiet = (counts[name] for name in OUTCOMES)
    came, total = hits + misses, hits + misses + alarms + quiet
    base = (came / _some(total)).fillna(0)
    bins = xr.DataArray(BINS, dims="probability", coords={"probability": BINS})
    here = np.floor(base * 10 + 0.5) == np.round(bins * 10)
    pooled = counts.assign(
        hits=came * 0,
        misses=came,
        false_alarms=came * 0,
        correct_negatives=total - came,
        brier=came * (1 - base),
        brier_fair=came * (1 - base),
        said=total.where(here, 0.0).transpose(..., "probability"),
        came=came.where(here, 0.0).transpose(..., "probability"),
    )
    return pooled.assign({name: counts[name] * 0 for name in ("detected", "detection_lead") if name in counts})


def draws(starts: np.ndarray, longest: np.timedelta64) -> xr.DataArray:
    """How often each start date is in each resample (resample, init_time): blocks as long as forecasts overlap.

    Blocks of neighbouring starts begin anywhere and do not go round. They reach over the longest lead, for forecasts
    that overlap see the same days, and hold the cube root of the number of starts at least.

    Raises
    ------
    InputError
        If there are not two blocks.

    References
    ----------
    Künsch (1989), The jackknife and the bootstrap for general stationary observations, doi:10.1214/aos/1176347265
    """
    number = len(starts)
    if number < 2:
        raise InputError("confidence: one start date tells nothing about others; score more of them")
    block = max(math.ceil(longest / np.median(np.diff(starts))), math.ceil(number ** (1 / 3)))
    if 2 * block > number:
        raise InputError(f"confidence: {number} start dates are fewer than two blocks of {block}; score more of them")
    rng = np.random.default_rng(SEED)
    first = rng.integers(0, number - block + 1, size=(RESAMPLES, -(-number // block)))
    drawn = (first[:, :, None] + np.arange(block)).reshape(RESAMPLES, -1)[:, :number]
    times = np.zeros((RESAMPLES, number))
    np.add.at(times, (np.arange(RESAMPLES)[:, None], drawn), 1.0)
    return xr.DataArray(times, dims=("resample", "init_time"))


def between(values: xr.DataArray, confidence: float) -> tuple[xr.DataArray, xr.DataArray]:
    """The quantiles (1 ± confidence) / 2 over `resample`, of the resamples that have the score; NaN where none has."""
    ordered = np.sort(values.transpose("resample", ...).values, axis=0)  # NaN last
    last = np.maximum(np.isfinite(ordered).sum(axis=0) - 1, 0)
    like = values.isel(resample=0, drop=True)

    def quantile(q: float) -> xr.DataArray:
        below = np.floor(q * last).astype(int)
        low, high = (np.take_along_axis(ordered, at[None], 0)[0] for at in (below, np.minimum(below + 1, last)))
        return like.copy(data=low + (q * last - below) * (high - low))

    return quantile((1 - confidence) / 2), quantile((1 + confidence) / 2)


def _some(values: xr.DataArray) -> xr.DataArray:
    """Divisors, NaN where there is nothing to divide by."""
    return values.where(values > 0)
