"""Where a series or a forecast is above the threshold; and how good forecasts are at marine heatwaves."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, TypeVar

import numpy as np
import xarray as xr

from ..ocean.grid import HORIZONTAL
from ..ocean.labels import by_model
from ..vocabulary.caution import caution
from ..vocabulary.errors import InputError, unknown
from ..vocabulary.names import DIMENSIONS
from ..vocabulary.progress import Progress
from .against import Rule
from .finishing import SURE, between, draws, of_the_base_rate, scores, tables
from .gluing import daily_leads, days_of_history, temperature, truth_at_start
from .limits import Field, at_the_depth_of, on_dates
from .tally import Question, tally

ANOMALY_PERSISTENCE, CLIMATOLOGY = "anomaly_persistence", "climatology"
QUESTIONS = ("event", "exceedance")
IN_MEMORY = 2**30  # bytes of a threshold or a truth that is read once, for every start asks for some of its days

T = TypeVar("T", xr.Dataset, xr.DataArray)


def exceedance(sst: Field, threshold: xr.Dataset) -> xr.DataArray:
    """1 where the temperature is above the threshold of its date, 0 where not, NaN on land; float32, as `sst`.

    The date is `valid_time` of a forecast and `time` of anything else. Lazy where `sst` is lazy.

    Parameters
    ----------
    sst
        Temperature, or a Dataset with `sst` or `thetao`: at the depths of the threshold, else its top level.
    threshold
        From `oceanx.heatwaves.threshold`, on the same grid.

    Raises
    ------
    InputError
        If there is no temperature, no date, or the grids differ.
    """
    sst = at_the_depth_of(threshold, sst)
    limit = on_dates(sst, threshold, "threshold")
    above = (sst > limit).where(sst.notnull() & limit.notnull()).astype(np.float32).transpose(*sst.dims)
    above.attrs = {"long_name": "Above the marine heatwave threshold", "units": "1"}
    return above.rename("exceedance")


def skill(
    forecast: Field | Mapping[str, Field],
    truth: Field,
    threshold: xr.Dataset,
    *,
    of: str = "event",
    analysis: Field | None = None,
    history: str = "15D",
    min_duration: int = 5,
    max_gap: int = 2,
    side: str = "above",
    decide: float = 0.5,
    regions: Mapping[str, Any] | None = None,
    confidence: float | None = None,
    progress: Progress | None = None,
) -> xr.Dataset:
    """How good forecasts are at marine heatwaves: scores by (model, [region,] lead_time, category).

    Asked of every cell and day: does it lie in a heatwave of at least this category? The forecast answers from its own
    days and the `history` of analyses before its start (`detect_forecast`), the truth from the same days of its own, so
    that both know as much and a perfect forecast scores perfectly. Days of an event below the threshold count as
    Moderate. An ensemble answers with the share of its members, and says yes where that is at least `decide`.

    With H, M, F, Q the area of hits, misses, false alarms and correct negatives, over cells with a value in both and
    summed over all starts, `h` = H / (H + M) and `f` = F / (F + Q):

    - `hit_rate` h; `false_alarm_ratio` F / (H + F); `csi` H / (H + M + F); `frequency_bias` (H + F) / (H + M)
    - `sedi` [ln f − ln h − ln(1 − f) + ln(1 − h)] / [ln f + ln h + ln(1 − f) + ln(1 − h)], which rare events do not
      send to zero
    - `hss` 2 (HQ − MF) / [(H + M)(M + Q) + (H + F)(F + Q)]
    - `base_rate` and `forecast_rate`, the shares of yes in truth and forecast
    - `brier`, the mean of (p − o)²; `brier_fair` less p (1 − p) / (K − 1), the score of infinitely many members;
      `brier_skill` 1 − brier / [b (1 − b)], b the base rate
    - `reliability` (…, probability), how often it happened where it was given this probability, in eleven bins about
      0, 0.1 … 1, and `forecast_share`, how often it was given
    - `hits`, `misses`, `false_alarms`, `correct_negatives`, in cells of mean area
    - `missing` (…, lead_time), the share of the truth's area that the forecast left empty
    - `detected` (…, lead_time): of the observed events, the share that had been in a forecast of at least this lead. An
      event is known by its `min_duration`-th day, on which it is established; the forecast had it if that day lies in
      an event of the forecast. `detection_lead` is the mean, over events, of the longest lead, in days; an event that
      was never in a forecast counts with 0.

    Beside the models stand, unless a forecast bears that name: `anomaly_persistence`, the analysis of the start date
    less its climatology, kept and added to the climatology of each day; and `climatology`, which never says yes and
    gives the base rate of the truth as its probability.

    Memory is bounded: forecasts are read once, a few start dates at a time.

    Parameters
    ----------
    forecast
        Labelled forecast(s) by name, with the same start dates and daily leads; some may have more leads than others.
    truth
        With `time`, on the same grid; it must hold every valid date and the history before each start.
    threshold
        From `oceanx.heatwaves.threshold`. A warning tells if its baseline has years of the forecasts in it.
    of
        `"event"`; or `"exceedance"`: is the day above the threshold, however long? That needs no history, and leads may
        have gaps.
    analysis
        What the forecasts began from, if that is not `truth`.
    min_duration, max_gap, side
        As of `detect`.
    decide
        The probability from which on an ensemble says yes.
    regions
        Masks (latitude, longitude), true inside, by name.
    confidence
        Such as 0.95: `<score>_low` and `<score>_high` then hold this share of 1000 resamples of the start dates, drawn
        in blocks as long as forecasts overlap.

    Raises
    ------
    InputError
        If truth or analysis lack a day, leads are not daily, start dates, grids or units differ, a forecast has no
        value where the truth has some, or the threshold is of several depths.

    References
    ----------
    Ferro and Stephenson (2011), Extremal dependence indices, doi:10.1175/WAF-D-10-05030.1
    Ferro (2014), Fair scores for ensemble forecasts, doi:10.1002/qj.2270
    Jacox et al. (2022), Global seasonal forecasts of marine heatwaves, doi:10.1038/s41586-022-04573-9

    Examples
    --------
    >>> hs = ox.heatwaves.skill({"hybrid": fc}, truth=ds, threshold=thr)           # doctest: +SKIP
    >>> hs.sedi.sel(model="hybrid", category="Strong")                             # doctest: +SKIP
    """
    if of not in QUESTIONS:
        raise unknown("question `of`", of, QUESTIONS)
    if not 0 < decide <= 1:
        raise InputError(f"decide: found {decide}; expected a probability above 0 and up to 1")
    several: dict[str, Field] = by_model(forecast)
    if not several:
        raise InputError("skill: nothing to score; give a forecast or {name: forecast}")
    rule = Rule(min_duration, max_gap, side)
    rule.check(threshold)
    before = days_of_history(history, rule) if of == "event" else 0
    labelled = daily_leads if of == "event" else temperature
    forecasts = {name: labelled(f, threshold, name) for name, f in several.items()}
    starts = _starts(forecasts)
    _warn_of_test_years(threshold, forecasts)
    threshold = _read(threshold)
    actual = _read(at_the_depth_of(threshold, truth))
    began = actual if analysis is None else _read(at_the_depth_of(threshold, analysis))
    question = Question(threshold, actual, began, before, rule, decide)
    inside = None if regions is None else {str(k): _mask(str(k), m, forecasts) for k, m in regions.items()}

    counts = {name: tally(name, f, lambda x: x, question, inside, progress) for name, f in forecasts.items()}
    _not_empty(counts)
    if ANOMALY_PERSISTENCE not in counts:
        like = max(forecasts.values(), key=lambda f: f.sizes["lead_time"])
        like = like.isel(member=0, drop=True) if "member" in like.dims else like
        kept = partial(_anomaly_kept, analysis=began, threshold=threshold)
        counts[ANOMALY_PERSISTENCE] = tally(ANOMALY_PERSISTENCE, like, kept, question, inside, progress)
    result = tables(_pooled(counts))
    if confidence is not None:
        result = result.assign(_confidence(counts, confidence)).assign_attrs(oceanx_confidence=confidence)
    return _described(result, threshold, question, of, len(starts), regions is None)


def _read(held: T) -> T:
    return held.compute() if held.nbytes <= IN_MEMORY else held


def _pooled(counts: Mapping[str, xr.Dataset], drawn: xr.DataArray | None = None) -> xr.Dataset:
    """Counts (model, …) of all start dates, or of those drawn, with the climatology beside the models."""
    pooled = {}
    for name, c in counts.items():
        by_start = [k for k, v in c.data_vars.items() if "init_time" in v.dims]
        sums = {
            k: c[k].sum("init_time") if drawn is None else xr.dot(drawn, c[k], dim="init_time", optimize=True)
            for k in by_start
        }
        pooled[name] = c.drop_vars([*by_start, "init_time"]).assign(sums)
    if CLIMATOLOGY not in pooled:
        pooled[CLIMATOLOGY] = of_the_base_rate(pooled[ANOMALY_PERSISTENCE])
    models = xr.DataArray(list(pooled), dims="model", name="model")
    return xr.concat(list(pooled.values()), dim=models, join="outer")


def _confidence(counts: Mapping[str, xr.Dataset], confidence: float) -> dict[str, xr.DataArray]:
    """`<score>_low` and `<score>_high`, from start dates drawn anew."""
    if not 0 < confidence < 1:
        raise InputError(f"confidence: found {confidence}; expected a share such as 0.95")
    some = next(iter(counts.values()))
    longest = max(c["lead_time"].values[-1] for c in counts.values())
    found = scores(_pooled(counts, draws(some["init_time"].values, longest)))
    limits = {}
    for name in SURE:
        low, high = between(found[name], confidence)
        for end, values in (("low", low), ("high", high)):
            text = f"{found[name].attrs['long_name']}, {end} end of the confidence"
            limits[f"{name}_{end}"] = values.assign_attrs(long_name=text, units="1")
    return limits


def _described(
    result: xr.Dataset, threshold: xr.Dataset, question: Question, of: str, starts: int, whole: bool
) -> xr.Dataset:
    """The table with its dimensions in order, and what was asked in its attributes."""
    result = result.isel(region=0, drop=True) if whole else result
    result = result.transpose("model", "region", "lead_time", "category", "probability", missing_dims="ignore")
    result["lead_time"].attrs = DIMENSIONS["lead_time"]
    result["lead_time"].encoding = {"dtype": "int64", "units": "seconds"}
    result["category"].attrs = {"long_name": "Category, this one or a stronger"}
    result["probability"].attrs = {"long_name": "Forecast probability", "units": "1"}
    asked = {**question.rule.attrs, "oceanx_history_days": question.before}
    return result.assign_attrs(
        {k: v for k, v in threshold.attrs.items() if str(k).startswith("oceanx_")},
        title="Skill in marine heatwaves" if of == "event" else "Skill of threshold exceedance",
        references="Hobday et al. (2016), doi:10.1016/j.pocean.2015.12.014",
        oceanx_of=of,
        oceanx_starts=starts,
        oceanx_decide=question.decide,
        oceanx_weights="cell area of cells with a value in forecast and truth; pooled over starts before any ratio",
        **(asked if of == "event" else {"oceanx_side": question.rule.side}),
    )


def _anomaly_kept(labels: xr.DataArray, analysis: xr.DataArray, threshold: xr.Dataset) -> xr.DataArray:
    """The analysis of each start date less its climatology, added to the climatology of each valid date."""
    start = truth_at_start(analysis, labels, 1, "analysis")
    anomaly = (start - on_dates(start, threshold, "climatology")).isel(lead_time=0, drop=True).drop_vars("valid_time")
    kept = on_dates(labels, threshold, "climatology") + anomaly
    kept = kept.transpose(*labels.dims).assign_coords(labels.coords)
    return kept.assign_attrs(labels.attrs)


def _mask(name: str, mask: Any, forecasts: Mapping[str, xr.DataArray]) -> np.ndarray:
    """Which cells (latitude, longitude) a region has."""
    first = next(iter(forecasts.values()))
    if not set(HORIZONTAL) <= set(first.dims):
        raise InputError(f"regions: need latitude and longitude; the forecast has {first.dims}")
    if isinstance(mask, xr.DataArray):
        if set(mask.dims) != set(HORIZONTAL):
            raise InputError(f"regions: {name} has dimensions {mask.dims}; expected {HORIZONTAL}")
        mask = mask.transpose(*HORIZONTAL)
    inside = np.asarray(mask, dtype=bool)
    shape = tuple(first.sizes[d] for d in HORIZONTAL)
    if inside.shape != shape:
        raise InputError(f"regions: {name} has {inside.shape} cells, the grid {shape}; give it on the forecast's grid")
    return inside


def _starts(forecasts: Mapping[str, xr.DataArray]) -> np.ndarray:
    """The start dates, which all forecasts share."""
    (name, first), *others = forecasts.items()
    starts = first["init_time"].values
    for other, f in others:
        if not np.array_equal(f["init_time"].values, starts):
            raise InputError(
                f"{other}: {f.sizes['init_time']} start dates differ from the {len(starts)} of {name}; "
                "score the same ones, with forecast.sel(init_time=...)"
            )
    return starts


def _not_empty(counts: Mapping[str, xr.Dataset]) -> None:
    for model, c in counts.items():
        if not float(c["wet"].sum()):
            raise InputError("truth: no value at any valid date, or none where there is a threshold")
        if not float(c["scored"].sum()):
            raise InputError(f"{model}: no value where the truth has some")


def _warn_of_test_years(threshold: xr.Dataset, forecasts: Mapping[str, xr.DataArray]) -> None:
    """A threshold that has seen the days it is used on makes its own exceedance rarer."""
    baseline = str(threshold.attrs.get("oceanx_baseline", ""))
    first, _, last = baseline.partition("/")
    if not (first[:4].isdigit() and last[:4].isdigit()):
        return
    years = {int(y) for f in forecasts.values() for y in np.unique(f["valid_time"].dt.year.values)}
    seen = sorted(year for year in years if int(first[:4]) <= year <= int(last[:4]))
    if seen:
        which = f"{seen[0]} to {seen[-1]}" if len(seen) > 1 else f"{seen[0]}"
        caution(
            f"threshold: its baseline {first} to {last} has {which} in it, which are forecast here; "
            "take a baseline of years that are not"
        )
