"""`score`: labelled forecasts against the truth, by way of `sums`, which can be combined, and `finish`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import xarray as xr

from ..ocean.labels import by_model
from ..vocabulary.errors import InputError, unknown
from ..vocabulary.progress import Progress
from .aggregate import Told, aggregate
from .bootstrap import RESAMPLES
from .checking import Thresholds, comparable, enough, seen_before, shared, thresholds_of
from .derived import derive, derived_names
from .finishing import checked_groups, expanded, finish
from .levels import Bands
from .references import planned, wanted
from .regions import Regions, resolve
from .table import METRICS, statistics_of

Side = Literal["above", "below"]


def score(
    forecast: xr.Dataset | Mapping[str, xr.Dataset],
    truth: xr.Dataset,
    *,
    climatology: xr.Dataset | None = None,
    metrics: Sequence[str] = ("rmse",),
    by: Sequence[str] = (),
    regions: Regions = None,
    depth_bands: Bands | None = None,
    variables: Sequence[str] | None = None,
    derived: Sequence[str] = (),
    threshold: Thresholds | None = None,
    side: Side = "above",
    references: bool | Sequence[str] = True,
    autocorrelation: xr.Dataset | None = None,
    confidence: float | None = None,
    compare: str | None = None,
    block: int | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
    progress: Progress | None = None,
) -> xr.Dataset:
    """`<variable>_<metric>` (model, [region, season, init_time,] lead_time[, depth]) of forecasts and of references.

    The truth of a forecast is what stands in `truth` at its `valid_time`. Averages are weighted by cell area over
    cells wet in both, and pooled over starts before any root or ratio is taken. `<variable>_missing` is the share of
    the truth's wet area that the forecast left empty.

    Parameters
    ----------
    forecast
        Labelled forecast(s), one or a mapping of names. All must have the same start dates.
    truth
        Dataset with `time` on the same grid; it may have more levels, times and variables.
    climatology
        Of `oceanx.ocean.climatology`, for the metrics of anomalies (`acc`, `nrmse`, `activity`, `activity_ratio`) and
        as a reference.
    metrics
        Names in `oceanx.scores.METRICS`. Of an ensemble the mean is scored, but for what is about members: `spread`,
        `spread_skill`, `crps`, `rank_histogram` (where members equal the truth, all ranks that they leave it have the
        same part), `brier` and its parts, `reliability`.
    by
        Any of `region`, `season` (of the valid date), `init_time`, `depth_band` (levels are then weighted by the
        thickness of their layers in the band).
    regions
        Names in `oceanx.scores.REGIONS` or `BASINS`; or a mapping of names to boxes, polygons and masks, as
        `oceanx.scores.regions.resolve` takes them; implies `by=["region"]`.
    depth_bands
        Pairs (top, bottom) in m; implies `by=["depth_band"]`.
    variables
        All that both have, if None.
    derived
        What to calculate from forecast and truth and score too, as `oceanx.scores.derived.derive` names it.
    threshold
        For the metrics of yes and no (`csi`, `sedi`, `pod`, `far`, `hss`, `base_rate`) and of probability: a number,
        a Dataset by `dayofyear`, or a mapping of variables to these.
    side
        Whether events are `above` the threshold or `below`.
    references
        Score persistence, damped persistence and climatology too, as far as truth, `climatology` and `autocorrelation`
        tell them; True, False, or some of their names. One that is among the forecasts by name is not made again.
    autocorrelation
        r(lead_time, …) of the anomalies of each variable in training years, for damped persistence.
    confidence
        Such as 0.95: adds `<variable>_<metric>_low` and `_high`, by moving-block bootstrap over start dates.
    compare
        A model: adds `<variable>_<metric>_better`, the share of resamples in which each model is better than it.
    block, resamples, seed
        Of the bootstrap: start dates in a block (enough to reach over the longest lead, if None), how many resamples,
        and where its random numbers begin.

    Raises
    ------
    InputError
        If the truth lacks a valid date, grids, units or start dates differ, a metric lacks what it needs, or a
        forecast has no value where the truth has some.

    Examples
    --------
    >>> table = score({"model": fc}, truth, climatology=clim, metrics=["rmse", "acc"])         # doctest: +SKIP
    >>> table.thetao_rmse.sel(model="model", depth=0.49, method="nearest")                     # doctest: +SKIP
    """
    by = [by] if isinstance(by, str) else list(by)
    checked_groups(by)
    if regions is None and "region" in by:
        regions = "all"
    summed = sums(
        forecast, truth, climatology=climatology, metrics=metrics, regions=regions, variables=variables,
        derived=derived, threshold=threshold, side=side, references=references, autocorrelation=autocorrelation,
        progress=progress,
    )  # fmt: skip
    table = finish(
        summed, by=by, depth_bands=depth_bands, confidence=confidence, compare=compare, block=block,
        resamples=resamples, seed=seed,
    )  # fmt: skip
    lone = isinstance(forecast, xr.Dataset) and not wanted(references, by_model(forecast))
    return table.squeeze("model", drop=True) if lone else table


def sums(
    forecast: xr.Dataset | Mapping[str, xr.Dataset],
    truth: xr.Dataset,
    *,
    climatology: xr.Dataset | None = None,
    metrics: Sequence[str] = ("rmse",),
    regions: Regions = None,
    variables: Sequence[str] | None = None,
    derived: Sequence[str] = (),
    threshold: Thresholds | None = None,
    side: Side = "above",
    references: bool | Sequence[str] = True,
    autocorrelation: xr.Dataset | None = None,
    progress: Progress | None = None,
) -> xr.Dataset:
    """What scores are made of, by start date: sums of statistics over cells, for `combine` and `finish`.

    Parts of an evaluation, some start dates each, may be summed one by one and anywhere; combined they give the same
    scores as the whole. Parameters as of `score`.
    """
    several = by_model(forecast)
    metrics = expanded(metrics)
    if side not in ("above", "below"):
        raise unknown("side", side, ("above", "below"))
    comparable(several, truth)
    if derived:
        several = {model: derive(f, derived, climatology) for model, f in several.items()}
        truth = derive(truth, derived, climatology)
        made = derived_names(derived)
        variables = variables if variables is None else list(dict.fromkeys([*np.atleast_1d(variables), *made]))
    names = shared(several, truth, variables)
    thresholds = thresholds_of(threshold, names, truth)
    enough(metrics, several, names, truth, climatology, thresholds)
    kinds, said = planned(references, several, truth, names, climatology, autocorrelation)
    valid = np.concatenate([f["valid_time"].values.ravel() for f in several.values()])
    told = _told(metrics, valid, kinds, climatology, autocorrelation, thresholds, side == "above")
    inside = {"": np.ones((truth.sizes["latitude"], truth.sizes["longitude"]), dtype=bool)}
    if regions is not None:
        named_boxes = isinstance(regions, str) and regions == "all"
        inside = resolve(None if named_boxes else regions, truth["latitude"], truth["longitude"])
    result = aggregate(several, truth, statistics_of(metrics), names, inside, told, progress)
    _not_empty(result, several, names)
    for name in names:
        result[f"{name}_weight"].attrs["oceanx_units"] = truth[name].attrs.get("units", "1")
    return result.assign_attrs(
        title="Sums of scores",
        oceanx_metrics=list(metrics),
        oceanx_weights="cell area of cells wet in forecast and truth; pooled over starts before the finish",
        **{f"oceanx_{kind}": how for kind, how in said.items()},
        **_about(told),
    )


def _told(
    metrics: Sequence[str],
    valid: np.ndarray,
    kinds: tuple[str, ...],
    climatology: xr.Dataset | None,
    autocorrelation: xr.Dataset | None,
    thresholds: Mapping[str, xr.Dataset | float],
    above: bool,
) -> Told:
    """What the sums need, and no more; with a warning of what has seen the test."""
    needs = {METRICS[metric].needs for metric in metrics}
    if not ("climatology" in needs or {"climatology", "damped_persistence"} & set(kinds)):
        climatology = None
    if climatology is not None:
        seen_before(valid, "climatology", climatology.attrs.get("oceanx_climatology_period", ""))
    if thresholds and "threshold" not in needs:
        raise InputError("threshold: no metric needs one; ask for one that does, such as csi, or leave it out")
    periods = [_period(limit) for limit in thresholds.values() if isinstance(limit, xr.Dataset)]
    for period in dict.fromkeys(periods):
        seen_before(valid, "threshold", period)
    return Told(climatology, thresholds, above, kinds, autocorrelation)


def _period(limit: xr.Dataset) -> str:
    return str(limit.attrs.get("oceanx_baseline", limit.attrs.get("oceanx_climatology_period", "")))


def _about(told: Told) -> dict[str, Any]:
    """Attributes that say what the scores were told."""
    about: dict[str, Any] = {}
    if told.climatology is not None:
        about["oceanx_climatology_period"] = told.climatology.attrs.get("oceanx_climatology_period", "")
    for name, limit in told.thresholds.items():
        how = f"{limit:g}" if isinstance(limit, float) else "the limit of the day of the year"
        if isinstance(limit, xr.Dataset) and "oceanx_percentile" in limit.attrs:
            how = f"percentile {limit.attrs['oceanx_percentile']:g} of the day of the year"
        about[f"oceanx_{name}_threshold"] = f"{'above' if told.above else 'below'} {how}"
    return about


def _not_empty(result: xr.Dataset, forecasts: Mapping[str, xr.Dataset], names: Sequence[str]) -> None:
    for name in names:
        if not float(result[f"{name}_truth_weight"].sum()):
            raise InputError(f"truth: {name} has no value at any valid date")
        for model, f in forecasts.items():
            if name in f.data_vars and not float(result[f"{name}_weight"].sel(model=model).sum()):
                raise InputError(f"{model}: {name} has no value where the truth has some")
