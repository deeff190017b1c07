"""Analyses against a truth, time by time; and the lead time that forecasts lose by starting from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from ..ocean.equivalents import equivalents
from ..ocean.flags import meanings
from ..ocean.labels import ANALYSIS, label
from ..vocabulary.errors import InputError
from ..vocabulary.names import VARIABLES
from ..vocabulary.progress import Progress
from .departing import since
from .levels import Bands
from .regions import Regions
from .scoring import score

SPREAD = "_std"  # ending of the variables that hold the spread of the analysis
EARLY, LATE = (31, 120), 90  # days of the cycle, counted from 1, and how many of its last


def analysis_scores(
    an: xr.Dataset,
    truth: xr.Dataset,
    *,
    variables: Sequence[str] | None = None,
    regions: Regions = None,
    depth_bands: Bands | None = None,
    sites: xr.Dataset | None = None,
    progress: Progress | None = None,
) -> xr.Dataset:
    """`<variable>_rmse`, `_bias` and, if known, `_spread` ([region,] time[, depth]) of analyses against a truth.

    The analysis of each time is scored as a forecast of lead 0 by `oceanx.scores.score`: over cells wet in both,
    weighted by their area. `<variable>_spread` is the root mean square of the spread that the analysis states, and
    `_spread_skill` that over the error, both over all times. `_late_over_early` is the root mean square error of the
    last 90 days over that of days 31 to 120: above 1, the cycle gets worse. NaN of a cycle of less than 210 days,
    where they would overlap.

    Parameters
    ----------
    an
        Analyses by `time`, such as those of `ox.assimilate`; `<variable>_std` is their spread.
    truth
        On the same grid, with all those times.
    variables
        All that both have, if None.
    regions, depth_bands
        As of `oceanx.scores.score`.
    sites
        An observation table: `<variable>_rmse_at_sites` and `_bias_at_sites` (time) are of the truth itself at its
        places and days, and `_count_at_sites` of how many. Give withheld observations, and they tell of places that
        no observation was near.

    Raises
    ------
    InputError
        As `oceanx.scores.score`, and if no site has a value.

    Examples
    --------
    >>> analysis_scores(an, truth, variables=["thetao", "zos"], sites=kept_back).thetao_late_over_early # doctest: +SKIP
    """
    names = _names(an, truth, variables)
    options: dict[str, Any] = {"by": ["init_time"], "regions": regions, "depth_bands": depth_bands}
    options |= {"references": False, "progress": progress}
    found = _by_time(score(_as_forecast(an[names]), truth, metrics=["rmse", "bias"], **options))
    found = found.drop_vars([str(n) for n in found.data_vars if str(n).endswith("_missing")])
    spreads = {f"{name}{SPREAD}": name for name in names if f"{name}{SPREAD}" in an.data_vars}
    if spreads:
        found = found.merge(_spread(an[list(spreads)].rename(spreads), truth, found, options))
    if sites is not None:
        found = found.merge(_at_sites(an, truth, names, sites, progress))
    for name in names:
        for kind in ("rmse", "rmse_at_sites"):
            if f"{name}_{kind}" in found:
                ratio = late_over_early(found[f"{name}_{kind}"])
                found[f"{name}_{kind.replace('rmse', 'late_over_early')}"] = ratio
    kept = {key: value for key, value in found.attrs.items() if key != "oceanx_starts"}
    return found.drop_attrs(deep=False).assign_attrs(kept | {"title": "Errors of analyses"})


def _spread(stated: xr.Dataset, truth: xr.Dataset, scores: xr.Dataset, options: dict[str, Any]) -> xr.Dataset:
    """Its root mean square by time, as its error against a truth of none; and that over the error of the analysis."""
    names = list(map(str, stated.data_vars))
    for name in names:
        stated[name].attrs = VARIABLES[name].attrs
    there = truth[names].sel(time=stated["time"])
    size = _by_time(score(_as_forecast(stated), there.where(there.isnull(), 0.0), metrics=["rmse"], **options))
    found = {}
    for name in names:
        spread = size[f"{name}_rmse"]
        error = scores[f"{name}_rmse"].where(spread.notnull())  # some methods tell it at the beginning of a window only
        ratio = ((spread**2).mean("time") / (error**2).mean("time")) ** 0.5
        found[f"{name}_spread"] = spread.assign_attrs(long_name=f"Spread of the analysis: {name}")
        found[f"{name}_spread_skill"] = ratio.assign_attrs(long_name=f"Spread over error: {name}", units="1")
    return xr.Dataset(found)


def late_over_early(error: xr.DataArray) -> xr.DataArray:
    """The root mean square of errors (time, …) over the last 90 days, over that of days 31 to 120.

    NaN where the two would overlap.
    """
    days = (error["time"].values - error["time"].values[0]) / np.timedelta64(1, "D") + 1
    late = days > days[-1] - LATE
    early = (days >= EARLY[0]) & (days < EARLY[1] + 1)
    attrs = {"long_name": "Error of the last 90 days over that of days 31 to 120", "units": "1"}
    square = [(error.isel(time=np.flatnonzero(rows)) ** 2).mean("time") for rows in (late, early)]
    whole = bool(early.any()) and not (late & early).any()
    return ((square[0] / square[1]) ** 0.5).where(whole).assign_attrs(attrs)


def lost_lead(from_analyses: xr.Dataset, from_truth: xr.Dataset, metric: str = "rmse") -> xr.Dataset:
    """`<variable>_lost_lead` (…, lead_time) in days: how much older a forecast from the truth is when it errs as much.

    With E_a(τ) the error of forecasts from analyses and E_t(τ) that of forecasts from the truth, it is the least δ with
    E_t(τ + δ) = E_a(τ), where E_t is 0 at lead 0 and a straight line between leads. NaN where E_a is beyond E_t at all
    its leads; that is not a small loss but one of at least the last lead less τ.

    Parameters
    ----------
    from_analyses, from_truth
        Of `oceanx.scores.score`, of the same model, with the same starts; leads may differ, other dimensions may not.
    metric
        One that grows with the lead, and is 0 of the truth.

    Raises
    ------
    InputError
        If they share no variable with this metric, or dimensions differ.

    Examples
    --------
    >>> lost_lead(scores_from_analyses, scores_from_truth).thetao_lost_lead.sel(lead_time="5D")   # doctest: +SKIP
    """
    ending = f"_{metric}"
    names = [str(n) for n in from_analyses.data_vars if str(n).endswith(ending) and n in from_truth.data_vars]
    names = [n for n in names if "lead_time" in from_analyses[n].dims]
    if not names:
        raise InputError(f"lost_lead: the scores share no variable with {ending!r} by lead_time")
    result = {}
    for name in names:
        ours, theirs = from_analyses[name], from_truth[name]
        if set(ours.dims) != set(theirs.dims):
            raise InputError(f"{name}: has {ours.dims} from analyses, {theirs.dims} from the truth; select alike")
        lost = xr.apply_ufunc(
            _lost, ours, _days(ours), theirs.rename(lead_time="lead"), _days(theirs).rename(lead_time="lead"),
            input_core_dims=[["lead_time"], ["lead_time"], ["lead"], ["lead"]], output_core_dims=[["lead_time"]],
            vectorize=True, dask="parallelized", output_dtypes=[float], join="exact",
        )  # fmt: skip
        said = name.removesuffix(ending)
        attrs = {"long_name": f"Lead time lost by starting from analyses: {said}", "units": "d"}
        result[f"{said}_lost_lead"] = lost.transpose(*ours.dims).assign_attrs(attrs)
    return xr.Dataset(result).assign_attrs(title="Lost lead time", oceanx_metric=metric)


def _lost(error: np.ndarray, lead: np.ndarray, reference: np.ndarray, leads: np.ndarray) -> np.ndarray:
    """Of one pair of curves."""
    there = np.isfinite(reference) & (leads > 0)
    heights, at = np.concatenate([[0.0], reference[there]]), np.concatenate([[0.0], leads[there]])
    after = np.searchsorted(np.maximum.accumulate(heights), error)  # the first that is as high
    inside = (after < heights.size) & np.isfinite(error)
    after = np.where(inside, after, 0)
    before = np.maximum(after - 1, 0)
    rise = heights[after] - heights[before]
    share = np.divide(error - heights[before], rise, out=np.ones_like(rise), where=rise > 0)
    return np.where(inside, at[before] + share * (at[after] - at[before]) - lead, np.nan)


def _days(score: xr.DataArray) -> xr.DataArray:
    return xr.DataArray(score["lead_time"].values / np.timedelta64(1, "D"), dims="lead_time")


def _names(an: xr.Dataset, truth: xr.Dataset, variables: Sequence[str] | None) -> list[str]:
    if "time" not in an.dims:
        raise InputError(f"analysis: no dimension time; found {', '.join(map(str, an.dims))}")
    if variables is not None:
        return [variables] if isinstance(variables, str) else list(variables)
    names = [str(n) for n in an.data_vars if n in VARIABLES and n in truth.data_vars and "time" in an[n].dims]
    if not names:
        raise InputError(
            f"analysis: shares no variable with the truth, which has {', '.join(map(str, truth.data_vars))}"
        )
    return names


def _as_forecast(an: xr.Dataset) -> xr.Dataset:
    """Analyses as forecasts of lead 0."""
    ds = an.rename(time="init_time").expand_dims(lead_time=np.zeros(1, "timedelta64[ns]"))
    ds = ds.drop_vars([c for c in ds.coords if c not in (*ds.dims, "mask", "cell_area", "thickness")])
    return label(ds).assign_attrs({ANALYSIS: "lead_time 0 is the analysis", "oceanx_model": "analysis"})


def _by_time(scores: xr.Dataset) -> xr.Dataset:
    return scores.isel(lead_time=0, drop=True).rename(init_time="time")


def _at_sites(
    an: xr.Dataset, truth: xr.Dataset, names: list[str], sites: xr.Dataset, progress: Progress | None
) -> xr.Dataset:
    """Errors at the places of a table (time)."""
    if not sites.sizes["obs"]:
        raise InputError("sites: the table has no row")
    times = an["time"].values
    error = (
        equivalents(an[names], sites, progress=progress) - equivalents(truth[names], sites, progress=progress)
    ).values
    of_time = np.searchsorted(since(times), sites["time"].values, side="right") - 1
    found = xr.Dataset(coords={"time": an["time"].variable})
    for code, name in meanings(sites["variable"].attrs).items():
        rows = np.isfinite(error) & (sites["variable"].values == code) & (of_time >= 0)
        if name not in names or not rows.any():
            continue
        at, e = of_time[rows], error[rows]
        count = np.bincount(at, minlength=times.size)
        with np.errstate(invalid="ignore", divide="ignore"):
            sums = {
                "rmse": np.sqrt(np.bincount(at, e**2, times.size) / count),
                "bias": np.bincount(at, e, times.size) / count,
            }
        for kind, values in sums.items():
            attrs = {"long_name": f"{kind} at the sites: {name}", "units": VARIABLES[name].units}
            found[f"{name}_{kind}_at_sites"] = ("time", values, attrs)
        found[f"{name}_count_at_sites"] = ("time", count, {"long_name": f"Sites: {name}", "units": "1"})
    if not found.data_vars:
        raise InputError("sites: at none of them both analysis and truth have a value")
    return found
