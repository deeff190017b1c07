"""Class-4 scores: systems against observations, by lead and depth, over the observations that all can answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ..ocean.equivalents import days_of, equivalents
from ..ocean.flags import meanings
from ..ocean.interpolation import ABOVE, LEAST
from ..ocean.labels import by_model
from ..ocean.labels import check as check_forecast
from ..ocean.observations import check
from ..vocabulary.errors import InputError, unknown
from ..vocabulary.names import DIMENSIONS, VARIABLES
from ..vocabulary.progress import Progress
from .levels import Bands
from .regions import REGIONS, Regions, in_region

BANDS: Bands = ((0, 5), (5, 100), (100, 300), (300, 600), (600, 1000), (1000, 2000), (2000, 6000))
COLUMNS = ("forecast", "persistence", "climatology", "best_estimate", "nrt_analysis")  # of Class-4 files
GROUPS = ("depth_band", "region")
_AT_ONCE = 32
SCORES = {
    "rmse": ("Root mean square error", "{units}"),
    "bias": ("Mean error", "{units}"),
    "mae": ("Mean absolute error", "{units}"),
    "count": ("Observations that are scored", "1"),
    "missing": ("Share of the observations without a value", "1"),
}


def class4(
    obs: xr.Dataset,
    forecast: xr.Dataset | Mapping[str, xr.Dataset] | None = None,
    *,
    climatology: xr.Dataset | None = None,
    by: Sequence[str] = ("depth_band",),
    depth_bands: Bands = BANDS,
    regions: Regions = None,
    variables: Sequence[str] | None = None,
    least: float = LEAST,
    above: float = ABOVE,
    progress: Progress | None = None,
) -> xr.Dataset:
    """`<variable>_<score>` (model[, region][, depth_band], lead_time) of systems against observations.

    Scores are `rmse`, `bias` (system less observation), `mae`, `count` and `missing`. At every lead, all systems that
    have any value of the variable are scored over the observations flagged good for which each of them has one; every
    observation counts alike. `missing` is the share of the observations on valid days that a system has no value for.

    Parameters
    ----------
    obs
        Observation table. Without `forecast`, the systems are the model's equivalents that it carries, as those of
        Class-4 files: forecast, persistence, climatology, best_estimate, nrt_analysis.
    forecast
        Labelled forecast(s), brought to the observations by `oceanx.ocean.equivalents`: an observation at t belongs to
        the daily mean of its day. A mapping {name: forecast} scores several, such as persistence, beside each other.
    climatology
        Of `oceanx.ocean.climatology`: a system of its own.
    by
        Any of `depth_band`, `region`. Variables without levels have no bands.
    depth_bands
        (top, bottom) in m; a band has its top and not its bottom.
    regions
        Names, boxes or polygons, as `oceanx.scores.regions.resolve` takes them; implies `by=["region"]`.
    variables
        Of the observed ones, those to score; all that some system has, if None.
    least, above
        Of `oceanx.ocean.interpolation.weights`: the share that must be wet, and metres above the first level.

    Raises
    ------
    InputError
        If the table is none, has nothing to score or no good observation, or no system has anything to say.

    References
    ----------
    Ryan et al. (2015), GODAE OceanView Class 4 forecast verification framework, doi:10.1080/1755876X.2015.1022330

    Examples
    --------
    >>> table = class4(obs, {"hybrid": fc, "persistence": ref}, climatology=clim)    # doctest: +SKIP
    >>> table.thetao_rmse.sel(model="hybrid", depth_band="5-100 m")                  # doctest: +SKIP
    """
    check(obs)
    by = list(dict.fromkeys([*([by] if isinstance(by, str) else by), *(["region"] if regions is not None else [])]))
    for group in by:
        if group not in GROUPS:
            raise unknown("group to score by", group, GROUPS)
    good = _good(obs, variables)
    options: dict[str, Any] = {"least": least, "above": above, "progress": progress}
    systems, asked = _systems(good, forecast, climatology, options)
    leads = next((s["lead_time"] for s in systems.values() if "lead_time" in s.dims), None)
    bands = _bands(depth_bands) if "depth_band" in by else {}
    where = _regions(regions, good) if "region" in by else {}
    result: dict[str, xr.Variable] = {}
    for code, name in meanings(good["variable"].attrs).items():
        rows = np.flatnonzero(good["variable"].values == code)
        if any(np.isfinite(s.values[rows]).any() for s in systems.values()):
            part, deep = good.isel(obs=rows), bool(bands) and VARIABLES[name].volume
            values = np.stack([_at_leads(s, rows, leads) for s in systems.values()])
            inside = [cells[rows] for cells in where.values()] or [np.ones(rows.size, bool)]
            sums = _sums(values, part["value"].values, asked[rows], inside, _layers(part, bands if deep else {}))
            result |= _named(name, sums, deep, bool(where), leads is not None)
        elif variables is not None and rows.size:
            raise InputError(f"{name}: no system has a value at any of {rows.size} observations")
    if not result:
        observed = ", ".join(meanings(good["variable"].attrs).values())
        raise InputError(f"class4: observed are {observed}; {', '.join(systems)} have no value there")
    notes = {"comment": obs.attrs["comment"]} if "comment" in obs.attrs else {}
    return _table(result, list(systems), list(where), list(bands), leads).assign_attrs(
        title="Class-4 scores",
        oceanx_population="at each lead, the observations that every system with any value of the variable has one for",
        **notes,
    )


def _good(obs: xr.Dataset, variables: Sequence[str] | None) -> xr.Dataset:
    """Observations that are flagged good, of the variables asked for."""
    observed = meanings(obs["variable"].attrs)
    wanted = list(observed.values()) if variables is None else np.atleast_1d(variables).tolist()
    for name in wanted:
        if name not in observed.values():
            raise unknown("observed variable", name, observed.values())
    codes = [code for code, name in observed.items() if name in wanted]
    rows = np.flatnonzero((obs["qc"].values == 0) & np.isin(obs["variable"].values, codes))
    if not rows.size:
        raise InputError(f"observations of {', '.join(wanted)}: none is flagged good (qc 0)")
    return obs.isel(obs=rows)


def _systems(
    obs: xr.Dataset, forecast: Any, climatology: xr.Dataset | None, options: Mapping[str, Any]
) -> tuple[dict[str, xr.DataArray], np.ndarray]:
    """What each system says (obs[, lead_time]), all at the same leads; and which observations (obs, lead) count."""
    if forecast is None:
        found = {name: obs[name] for name in COLUMNS if name in obs.data_vars}
        if climatology is not None:
            found["climatology"] = equivalents(climatology, obs, **options)
        if not found:
            raise InputError(
                f"class4: the table has none of {', '.join(COLUMNS)}; give a forecast, or read a Class-4 file"
            )
        return found, np.ones((obs.sizes["obs"], 1), bool)
    several = by_model(forecast)
    if not several:
        raise InputError("class4: nothing to score; give a forecast or {name: forecast}")
    for name, f in several.items():
        check_forecast(f, values=False, where=name)
    found = {name: equivalents(f, obs, **options) for name, f in several.items()}
    leads = np.unique(np.concatenate([f["lead_time"].values for f in several.values()]))
    days, asked = obs["time"].values.astype("datetime64[D]"), np.zeros((obs.sizes["obs"], len(leads)), bool)
    for f in several.values():
        for lead, valid in zip(f["lead_time"].values, days_of(f), strict=True):
            asked[:, np.searchsorted(leads, lead)] |= np.isin(days, valid)
    if not asked.any():
        raise InputError(
            f"class4: no forecast is valid on a day with observations, {pd.Timestamp(days[0]):%Y-%m-%d} to "
            f"{pd.Timestamp(days[-1]):%Y-%m-%d}"
        )
    found = {name: s.reindex(lead_time=leads) for name, s in found.items()}
    if climatology is not None:
        found["climatology"] = equivalents(climatology, obs, **options)
    return found, asked


def _at_leads(system: xr.DataArray, rows: np.ndarray, leads: xr.DataArray | None) -> np.ndarray:
    """Values (obs, lead or 1); what does not depend on the lead says the same at each."""
    values = system.transpose("obs", ...).values[rows].astype(np.float64).reshape(rows.size, -1)
    return np.broadcast_to(values, (rows.size, 1 if leads is None else leads.size))


def _sums(
    values: np.ndarray,
    truth: np.ndarray,
    asked: np.ndarray,
    inside: Sequence[np.ndarray],
    layers: Sequence[np.ndarray],
) -> dict[str, np.ndarray]:
    """Scores (model, region, band, lead) of values (model, obs, lead); `count` has no model."""
    error = values - truth[None, :, None]
    there = np.isfinite(error)
    speaks = there.any(axis=1)  # (model, lead): one that says nothing at all takes no part, and no one's place
    shared = (there | ~speaks[:, None]).all(axis=0) & there.any(axis=0)
    asked = np.broadcast_to(asked, shared.shape)

    def total(v: np.ndarray) -> np.ndarray:
        """Of (…, obs, lead) over the observations of each region and band: (…, region, band, lead)."""
        parts = [[v[..., rows & layer, :].sum(axis=-2) for layer in layers] for rows in inside]
        return np.moveaxis(np.array(parts), (0, 1), (-3, -2))

    counted = np.where(shared & there, error, 0.0)
    count, wanted = total(shared.astype(float)), total(asked.astype(float))
    with np.errstate(invalid="ignore", divide="ignore"):
        of_each = count * np.where(speaks, 1.0, np.nan)[:, None, None]
        return {
            "rmse": np.sqrt(total(counted**2) / of_each),
            "bias": total(counted) / of_each,
            "mae": total(np.abs(counted)) / of_each,
            "count": count.astype(np.int64),
            "missing": 1.0 - total((there & asked).astype(float)) / wanted,
        }


def _named(
    name: str, sums: Mapping[str, np.ndarray], deep: bool, regional: bool, leads: bool
) -> dict[str, xr.Variable]:
    """The scores of a variable with the dimensions that it has."""
    result = {}
    for score, values in sums.items():
        dims = (["model"] if values.ndim == 4 else []) + ["region", "depth_band", "lead_time"]
        keep = {"model": True, "region": regional, "depth_band": deep, "lead_time": leads}
        values = values[tuple(slice(None) if keep[d] else 0 for d in dims)]
        said, units = SCORES[score]
        attrs = {"long_name": f"{said}: {name}", "units": units.format(units=VARIABLES[name].units)}
        result[f"{name}_{score}"] = xr.Variable([d for d in dims if keep[d]], values, attrs)
    return result


def _bands(pairs: Bands) -> dict[str, tuple[float, float]]:
    """Bands by their names."""
    for top, low in pairs:
        if not 0 <= top < low:
            raise InputError(f"depth_bands: found {top:g} to {low:g} m; expected (top, bottom), the top first")
    return {f"{top:g}-{low:g} m": (top, low) for top, low in pairs}


def _layers(obs: xr.Dataset, bands: Mapping[str, tuple[float, float]]) -> list[np.ndarray]:
    """Which observations lie in each band; all of them, without bands."""
    depth = obs["depth"].values
    return [(depth >= top) & (depth < low) for top, low in bands.values()] or [np.ones(depth.size, bool)]


def _table(
    scores: Mapping[str, xr.Variable], systems: list[str], regions: list[str], bands: list[str], leads: Any
) -> xr.Dataset:
    """The scores with the labels of the dimensions that they have."""
    labels: dict[str, Any] = {"model": systems, "region": regions, "depth_band": bands}
    if leads is not None:
        labels["lead_time"] = ("lead_time", leads.values, DIMENSIONS["lead_time"])
    there = {d for v in scores.values() for d in v.dims}
    table = xr.Dataset(scores, {d: values for d, values in labels.items() if d in there})
    if leads is not None:
        table["lead_time"].encoding = {"dtype": "int64", "units": "seconds"}
    return table


def _regions(regions: Any, obs: xr.Dataset) -> dict[str, np.ndarray]:
    """Which observations lie in each region; of the named boxes, those that have some."""
    given = dict.fromkeys(REGIONS) if regions is None else [regions] if isinstance(regions, str) else regions
    if isinstance(given, xr.DataArray):
        raise InputError("regions: found a field of labels, which tells of cells; give names, boxes or polygons")
    table = dict(given) if regions is not None and isinstance(given, Mapping) else {name: name for name in given}
    found = {name: _inside(name, region, obs) for name, region in table.items()}
    return {name: rows for name, rows in found.items() if regions is not None or rows.any()}


def _inside(name: str, region: Any, obs: xr.Dataset) -> np.ndarray:
    """Which observations lie in a region, a few at a time: it is asked about a grid, of which they are the diagonal."""
    if isinstance(region, xr.DataArray):
        raise InputError(f"region {name!r}: found a mask, which tells of cells; give a name, a box or a polygon")
    result = np.empty(obs.sizes["obs"], bool)
    for start in range(0, result.size, _AT_ONCE):
        few = slice(start, start + _AT_ONCE)
        grid = xr.Dataset(coords={axis: obs[axis].values[few].astype(float) for axis in ("latitude", "longitude")})
        result[few] = np.diagonal(in_region(name, region, grid))
    return result
