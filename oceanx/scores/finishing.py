"""From sums to scores: start dates, seasons and bands of depth are pooled, and only then a root or a ratio is taken."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr

from ..vocabulary.errors import InputError, unknown
from ..vocabulary.names import DIMENSIONS
from .bootstrap import RESAMPLES, Resampling, better, limits, resampling
from .levels import Bands, band_thickness
from .table import METRICS

GROUPS = ("region", "season", "init_time", "depth_band")
SEASONS = ("DJF", "MAM", "JJA", "SON")
_ORDER = ("model", "region", "season", "init_time", "lead_time", "depth_band", "depth", "rank", "probability")
HELD_BYTES = 256 * 2**20  # of one statistic, in all resamples, that are held at a time
_WET = "_truth_weight"
_BIN_NAMES = {"rank": "Members below the truth", "probability": "Forecast probability, to the nearest tenth"}


def finish(
    sums: xr.Dataset,
    metrics: Sequence[str] | None = None,
    *,
    by: Sequence[str] = (),
    depth_bands: Bands | None = None,
    confidence: float | None = None,
    compare: str | None = None,
    block: int | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> xr.Dataset:
    """The scores of sums that `sums` gave, or `combine` of several: `<variable>_<metric>`, as `score` gives them.

    Parameters
    ----------
    sums
        Of all start dates together.
    metrics
        All that were summed for, if None.
    by, depth_bands, confidence, compare, block, resamples, seed
        As in `score`.

    Examples
    --------
    >>> parts = [sums(fc, truth) for fc in months]                  # doctest: +SKIP
    >>> table = finish(combine(parts), confidence=0.95)              # doctest: +SKIP
    """
    metrics = _asked(sums, metrics)
    by = [by] if isinstance(by, str) else list(by)
    by += ["depth_band"] if depth_bands is not None and "depth_band" not in by else []
    if "region" in by and "" in sums["region"].values:
        raise InputError("region: these sums are of no regions; make them with sums(..., regions=...)")
    draws = None
    if confidence is not None or compare is not None:
        draws = _draws(sums, by, confidence, compare, block, resamples, seed)
    groups = _grouped(sums, by, depth_bands)
    result: dict[str, xr.DataArray] = {}
    for name in (str(key).removesuffix(_WET) for key in sums.data_vars if str(key).endswith(_WET)):
        average = _over_starts(groups, name, by)
        result |= _scores(groups, name, metrics, average)
        if draws is not None:
            result |= _lead_by_lead(groups, name, metrics, draws, confidence, compare)
        result[f"{name}_missing"] = _missing(name, average)
    return _labelled(xr.Dataset(result), sums, draws, confidence)


def _labelled(table: xr.Dataset, sums: xr.Dataset, draws: Resampling | None, confidence: float | None) -> xr.Dataset:
    """Scores in the order of dimensions, with attributes that say how they were made."""
    table = table.transpose(*_ORDER, missing_dims="ignore")
    table["lead_time"].attrs = DIMENSIONS["lead_time"]
    table["lead_time"].encoding = {"dtype": "int64", "units": "seconds"}
    for dim, words in _BIN_NAMES.items():
        if dim in table.dims:
            table[dim].attrs = {"long_name": words, "units": "1"}
    about = {key: value for key, value in sums.attrs.items() if key != "oceanx_metrics"}
    about |= {"title": "Forecast scores", "oceanx_starts": sums.sizes["init_time"]}
    if "depth_band" in table.dims:
        about["oceanx_depth_bands"] = "by the thickness of layers, which end half-way between levels"
    if draws is not None:
        about["oceanx_bootstrap"] = str(draws)
    if confidence is not None:
        about["oceanx_confidence"] = confidence
    table = table.assign_attrs(about)
    return table.squeeze("region", drop=True) if "" in table["region"].values else table


def checked_groups(by: Sequence[str]) -> None:
    """Refuse what cannot be grouped by."""
    for group in by:
        if group not in GROUPS:
            raise unknown("group to score by", group, GROUPS)


class _Averages(dict[str, xr.DataArray]):
    """Averages of statistics over cells and start dates, made when they are first asked for.

    Parameters
    ----------
    total
        The sum of a statistic, or of a weight.
    """

    def __init__(self, total: Callable[[str], xr.DataArray]) -> None:
        super().__init__()
        self._total = total
        self.weight, self.truth_weight = total("weight"), total("truth_weight")

    def __missing__(self, statistic: str) -> xr.DataArray:
        self[statistic] = self._total(statistic) / self.weight.where(self.weight > 0)
        return self[statistic]


def _asked(sums: xr.Dataset, metrics: Sequence[str] | None) -> list[str]:
    known = [str(m) for m in np.atleast_1d(sums.attrs.get("oceanx_metrics", []))]
    if not known:
        raise InputError("finish: these are not the sums of scores; make them with oceanx.scores.sums")
    asked = known if metrics is None else [metrics] if isinstance(metrics, str) else list(metrics)
    for metric in asked:
        if metric not in known:
            raise unknown("metric", metric, known)
    return asked


def _draws(
    sums: xr.Dataset,
    by: Sequence[str],
    confidence: float | None,
    compare: str | None,
    block: int | None,
    resamples: int,
    seed: int,
) -> Resampling:
    if confidence is not None and not 0 < confidence < 1:
        raise InputError(f"confidence: found {confidence}; expected a share between 0 and 1, such as 0.95")
    if compare is not None and compare not in sums["model"].values:
        raise unknown("model to compare with", compare, map(str, sums["model"].values))
    if "init_time" in by:
        raise InputError("confidence: is over start dates; leave by=['init_time'] out")
    return resampling(sums, block, resamples, seed)


def _grouped(sums: xr.Dataset, by: Sequence[str], bands: Bands | None) -> xr.Dataset:
    """Sums by season of the valid date and by band of depth, where these are wanted; start dates are kept."""
    checked_groups(by)
    if "season" in by:
        season = (sums["init_time"] + sums["lead_time"]).dt.season
        there = [s for s in SEASONS if (season == s).any()]
        parts = [sums.where(season == s, 0.0) for s in there]
        sums = xr.concat(parts, dim=xr.DataArray(there, dims="season", name="season"))
    if "depth_band" not in by:
        return sums
    if not any("depth" in v.dims for v in sums.data_vars.values()):
        raise InputError("depth_band: no variable has a depth; leave it out of `by`")
    metres = band_thickness(sums["depth"], bands)
    deep = {
        k: xr.dot(v, metres, dim="depth").assign_attrs(v.attrs) if "depth" in v.dims else v for k, v in sums.items()
    }
    return xr.Dataset(deep, attrs=sums.attrs)


def _over_starts(groups: xr.Dataset, name: str, by: Sequence[str], draws: Resampling | None = None) -> _Averages:
    """Averages over cells and start dates, these all together or as they are drawn."""
    counts = None if draws is None else draws.counts(groups.sizes["init_time"])

    def total(statistic: str) -> xr.DataArray:
        summed = groups[f"{name}_{statistic}"]
        if counts is not None:
            return xr.dot(counts, summed, dim="init_time")
        return summed if "init_time" in by else summed.sum("init_time", skipna=False)

    return _Averages(total)


def _scores(groups: xr.Dataset, name: str, metrics: Sequence[str], average: _Averages) -> dict[str, xr.DataArray]:
    units = groups[f"{name}_weight"].attrs.get("oceanx_units", "1")
    result = {}
    for metric in metrics:
        row = METRICS[metric]
        values = row.finish(average)
        attrs = {"long_name": f"{row.long_name}: {name}", "units": row.units.format(units=units)}
        result[f"{name}_{metric}"] = values.drop_attrs(deep=False).assign_attrs(attrs)
    return result


def _lead_by_lead(
    groups: xr.Dataset,
    name: str,
    metrics: Sequence[str],
    draws: Resampling,
    confidence: float | None,
    compare: str | None,
) -> dict[str, xr.DataArray]:
    """`_sureness`, of so many leads at a time as memory allows."""
    each = groups[f"{name}_weight"].isel(init_time=0, lead_time=0).size
    some = max(1, HELD_BYTES // (8 * draws.resamples * each))
    parts = []
    for first in range(0, groups.sizes["lead_time"], some):
        piece = groups.isel(lead_time=slice(first, first + some))
        parts.append(_sureness(piece, name, metrics, _over_starts(piece, name, (), draws), confidence, compare))
    return {key: xr.concat([part[key] for part in parts], "lead_time") for key in parts[0]}


def _sureness(
    groups: xr.Dataset,
    name: str,
    metrics: Sequence[str],
    drawn: _Averages,
    confidence: float | None,
    compare: str | None,
) -> dict[str, xr.DataArray]:
    """Limits of confidence, and how often each model is better than the one compared with."""
    result = {}
    for key, values in _scores(groups, name, metrics, drawn).items():
        row = METRICS[key.removeprefix(f"{name}_")]
        if confidence is not None:
            for end, limit in zip(("low", "high"), limits(values, confidence), strict=True):
                words = f"{'Lower' if end == 'low' else 'Upper'} limit of {confidence:.0%} confidence: {row.long_name}"
                result[f"{key}_{end}"] = limit.assign_attrs(values.attrs, long_name=f"{words}: {name}")
        if compare is not None and row.best is not None:
            words = f"Share of resamples in which it is better than {compare}: {row.long_name}: {name}"
            result[f"{key}_better"] = better(values, compare, row.best).assign_attrs(long_name=words, units="1")
    return result


def _missing(name: str, average: _Averages) -> xr.DataArray:
    missing = 1.0 - average.weight / average.truth_weight.where(average.truth_weight > 0)
    return missing.drop_attrs(deep=False).assign_attrs(
        long_name=f"Share of the truth's wet area without a forecast: {name}", units="1"
    )


def expanded(metrics: Sequence[str]) -> list[str]:
    """The metrics asked for, each followed by those that are given with it."""
    names = [metrics] if isinstance(metrics, str) else list(metrics)
    for metric in names:
        if metric not in METRICS:
            raise unknown("metric", metric, METRICS)
    return list(dict.fromkeys(each for metric in names for each in (metric, *METRICS[metric].beside)))
