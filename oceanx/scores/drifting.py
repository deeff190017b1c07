"""Lagrangian drift: how far apart particles come that are carried by the forecast's and by the truth's currents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ..ocean.fields import field
from ..ocean.grid import area, edges
from ..ocean.labels import by_model, wet_cells
from ..ocean.places import great_circle
from ..vocabulary.errors import InputError, unknown
from ..vocabulary.names import DIMENSIONS
from ..vocabulary.progress import Progress
from .checking import comparable
from .levels import on_levels
from .particles import AFLOAT, GONE, GROUNDED, Tracks, advect
from .regions import resolve

SCORES = {
    "separation_mean": ("Mean distance between the particles of forecast and truth", "km"),
    "separation_median": ("Median distance between the particles of forecast and truth", "km"),
    "displacement_mean": ("Mean length of the truth's trajectories", "km"),
    "drift_skill": ("1 less the summed separation over the summed length of the truth's trajectories, at least 0", "1"),
    "count": ("Pairs of particles both afloat", "1"),
    "grounded": ("Share of the pairs of which one is aground", "1"),
    "gone": ("Share of the pairs of which one has left the grid", "1"),
}


def drift(
    forecast: xr.Dataset | Mapping[str, xr.Dataset],
    truth: xr.Dataset,
    *,
    particles: int | xr.Dataset = 1000,
    seed: int = 0,
    depth: float | None = None,
    region: Any = None,
    step: str = "1h",
    by: Sequence[str] = (),
    progress: Progress | None = None,
) -> xr.Dataset:
    """Separation in km ([model, init_time,] lead_time) of particles carried by forecast and by truth, and how many.

    From each start, particles are released into both at the first lead, at the same places, and carried through uo
    and vo to the last: Runge–Kutta of fourth order, currents bilinear in latitude and longitude, none on land, and
    linear in time between the stamps of the fields. Scores are over pairs of which both are afloat. A particle is
    aground once the cell it is nearest to is dry, and gone once it leaves the outermost cell centres.

    `drift_skill` is that of Liu and Weisberg: with separations d_i and lengths l_i of the truth's trajectory so far,
    1 − Σ d_i / Σ l_i over the leads up to each, averaged over pairs, each at least 0.

    Parameters
    ----------
    forecast
        Labelled forecast(s) with uo and vo; a mapping gains a dimension `model`. Each member drifts on its own.
    truth
        Dataset with `time` on the same grid that covers every valid time.
    particles
        How many, drawn with equal chance for equal areas of cells that are wet in all; or a Dataset with their
        `latitude` and `longitude`. The same in every start and model.
    seed
        Of the draw.
    depth
        The level (m), one of the forecast's; the first, if None.
    region
        Where they are released: a name in `oceanx.scores.REGIONS`, or a box. They may leave it.
    step
        Time step.
    by
        `init_time` keeps start dates apart.

    Raises
    ------
    InputError
        As `score`; if uo or vo is missing, there is no such level, fewer than two leads, or nowhere to release.

    References
    ----------
    Liu and Weisberg (2011), Evaluation of trajectory modeling in different dynamic regions using normalized
    cumulative Lagrangian separation, doi:10.1029/2010JC006837

    Examples
    --------
    >>> drift({"hybrid": fc, "persistence": ref}, truth, region="gulf_stream").separation_mean    # doctest: +SKIP
    """
    several = by_model(forecast)
    comparable(several, truth)
    by = [by] if isinstance(by, str) else list(by)
    for group in by:
        if group != "init_time":
            raise unknown("group to score by", group, ["init_time"])
    leads = _leads(several)
    seconds = (leads - leads[0]) / np.timedelta64(1, "s")
    levels = {name: _level(f, depth, name) for name, f in several.items()}
    currents = {name: f.squeeze("depth") if "depth" in f.dims else f for name, f in levels.items()}
    first = next(iter(currents.values()))
    true = _like(truth, levels)
    start = _released(particles, seed, region, truth, currents, true)
    substep = pd.Timedelta(step).total_seconds()
    if not substep > 0:
        raise InputError(f"step: found {step!r}; expected a duration above 0, such as '1h'")
    axes = truth["latitude"].values, truth["longitude"].values

    def carried(fields: xr.Dataset) -> Tracks:
        return advect(_values(fields["uo"]), _values(fields["vo"]), seconds, axes, start, substep)

    pairs: dict[str, list[_Pairs]] = {name: [] for name in currents}
    for i, init in enumerate(first["init_time"].values):
        there = carried(true.sel(time=init + leads))
        for name, f in currents.items():
            one = f.isel(init_time=i)
            members = [one.isel(member=m) for m in range(one.sizes["member"])] if "member" in one.dims else [one]
            pairs[name].append(_pairs([carried(member) for member in members], there))
        if progress:
            progress("drift", i + 1, first.sizes["init_time"])
    tables = [_scored(of_model, leads, first["init_time"], "init_time" in by) for of_model in pairs.values()]
    told: dict[str, Any] = {"oceanx_particles": start[0].size, "oceanx_step": step}
    told |= {} if isinstance(particles, xr.Dataset) else {"oceanx_seed": seed}
    told |= {"oceanx_depth": float(first["depth"])} if "depth" in first.coords else {}
    table = _labelled(tables, list(several)).assign_attrs(title="Lagrangian drift", **told)
    return table.squeeze("model", drop=True) if isinstance(forecast, xr.Dataset) else table


def _labelled(tables: Sequence[xr.Dataset], models: list[str]) -> xr.Dataset:
    """The scores of all models, with their attributes."""
    table = xr.concat(tables, xr.DataArray(models, dims="model", name="model"))
    for name, (said, units) in SCORES.items():
        table[name].attrs = {"long_name": said, "units": units}
    table["lead_time"].attrs = DIMENSIONS["lead_time"]
    table["lead_time"].encoding = {"dtype": "int64", "units": "seconds"}
    return table


_Pairs = tuple[np.ndarray, np.ndarray, np.ndarray]  # separation, length so far (lead, pair), and state of the pair


def _leads(forecasts: Mapping[str, xr.Dataset]) -> np.ndarray:
    """The leads of all forecasts, which must be the same, and two at least."""
    name, first = next(iter(forecasts.items()))
    leads = first["lead_time"].values
    for other, f in forecasts.items():
        if not np.array_equal(f["lead_time"].values, leads):
            raise InputError(f"lead_time: {other} has other leads than {name}; select those that both have")
    if len(leads) < 2:
        raise InputError("lead_time: found one lead; particles need two or more to drift between")
    return leads


def _level(f: xr.Dataset, depth: float | None, model: str) -> xr.Dataset:
    """Currents at one level, along a dimension of one where there are levels."""
    flow = xr.Dataset({n: field(f, n, f"drift: {model}") for n in ("uo", "vo")})
    if "depth" not in flow.dims:
        return flow
    if depth is None:
        return flow.isel(depth=[0])
    levels = flow["depth"].values.astype(float)
    near = int(np.abs(levels - depth).argmin())
    if not np.isclose(levels[near], depth, rtol=1e-2, atol=1e-2):
        raise InputError(f"depth: {model} has no level at {depth:g} m; the nearest is {levels[near]:g} m")
    return flow.isel(depth=[near])


def _like(truth: xr.Dataset, levels: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """The truth's currents at the level of the forecasts, which must be the same one."""
    rows = [xr.Dataset({n: on_levels(field(truth, n, "drift"), f[n]) for n in ("uo", "vo")}) for f in levels.values()]
    depths = {name: float(v["depth"][0]) for name, v in zip(levels, rows, strict=True) if "depth" in v.dims}
    if len(set(depths.values())) > 1:
        raise InputError(f"depth: the first levels of {', '.join(depths)} differ ({depths}); say one with depth=...")
    flow = rows[0]
    if "depth" not in flow.dims:
        return flow
    if flow.sizes["depth"] > 1:
        raise InputError("depth: the truth has levels, the forecast none; select the level of the truth")
    return flow.squeeze("depth")


def _values(v: xr.DataArray) -> np.ndarray:
    """(time or lead, latitude, longitude), read now."""
    return v.transpose(..., "latitude", "longitude").values


def _released(
    particles: int | xr.Dataset, seed: int, region: Any, truth: xr.Dataset, currents: Mapping[str, xr.Dataset],
    true: xr.Dataset,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Latitude and longitude where particles are let go."""
    if isinstance(particles, xr.Dataset):
        return particles["latitude"].values.ravel(), particles["longitude"].values.ravel()
    if particles < 1:
        raise InputError(f"particles: found {particles}; expected one or more")
    some = next(iter(currents.values()))
    wet = np.isfinite(_values(true["uo"].sel(time=some["valid_time"].values[0, 0])))
    for f in currents.values():
        one = f["uo"].isel(init_time=0, lead_time=0)
        wet = wet & np.isfinite(_values(one.isel(member=0) if "member" in one.dims else one))
    if "mask" in truth.coords and "depth" not in truth["mask"].dims:
        wet = wet & np.asarray(wet_cells(truth, true["uo"]))
    if region is not None:
        given = {region if isinstance(region, str) else "box": region}
        (inside,) = resolve(given, truth["latitude"], truth["longitude"]).values()
        wet = wet & inside
    cell = truth["cell_area"] if "cell_area" in truth.coords else area(truth["latitude"], truth["longitude"])
    chance = np.where(wet, cell.transpose("latitude", "longitude").values, 0.0).ravel()
    if not chance.any():
        raise InputError("drift: no cell is wet in forecast and truth where particles should be released")
    draw = np.random.default_rng(seed)
    row, column = np.unravel_index(draw.choice(chance.size, particles, p=chance / chance.sum()), wet.shape)
    latitude, longitude = truth["latitude"].values.astype(float), truth["longitude"].values.astype(float)
    south_north = np.sin(np.deg2rad(np.clip(edges(latitude), latitude[0], latitude[-1])))
    lat = np.rad2deg(np.arcsin(_within(south_north, row, draw)))
    return lat, _within(np.clip(edges(longitude), longitude[0], longitude[-1]), column, draw)


def _within(edge: np.ndarray, cell: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Somewhere between the edges of each cell."""
    return edge[cell] + draw.random(cell.size) * (edge[cell + 1] - edge[cell])


def _pairs(members: Sequence[Tracks], there: Tracks) -> _Pairs:
    """Of each particle of each member with its own in the truth."""
    steps = great_circle(there[0][1:], there[1][1:], there[0][:-1], there[1][:-1])
    length = np.concatenate([np.zeros((1, steps.shape[1])), np.cumsum(steps, axis=0)])
    apart = np.concatenate([great_circle(m[0], m[1], there[0], there[1]) for m in members], axis=1)
    state = np.concatenate([np.maximum(m[2], there[2]) for m in members], axis=1)
    return apart, np.tile(length, (1, len(members))), state


def _scored(pairs: Sequence[_Pairs], leads: np.ndarray, init: xr.DataArray, apart: bool) -> xr.Dataset:
    """Scores over all starts, or of each."""
    groups = [[one] for one in pairs] if apart else [list(pairs)]
    rows = [_scores(*(np.concatenate([one[k] for one in group], axis=1) for k in range(3))) for group in groups]
    data = {name: (("init_time", "lead_time"), np.stack([row[name] for row in rows])) for name in SCORES}
    table = xr.Dataset(data, coords={"lead_time": leads} | ({"init_time": init.values} if apart else {}))
    return table if apart else table.squeeze("init_time")


def _scores(separation: np.ndarray, length: np.ndarray, state: np.ndarray) -> dict[str, np.ndarray]:
    """By lead, of values (lead, pair)."""
    afloat = state == AFLOAT
    count = afloat.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        lost = np.cumsum(separation, axis=0) / np.cumsum(length, axis=0)
        skill = np.where(np.isfinite(lost), np.maximum(0.0, 1.0 - lost), np.nan)

        def mean(values: np.ndarray) -> np.ndarray:
            good = afloat & np.isfinite(values)
            return np.where(good, values, 0.0).sum(axis=1) / good.sum(axis=1)

        median = [
            float(np.median(row[good])) if good.any() else np.nan for row, good in zip(separation, afloat, strict=True)
        ]
        return {
            "separation_mean": mean(separation),
            "separation_median": np.array(median),
            "displacement_mean": mean(length),
            "drift_skill": mean(skill),
            "count": count,
            "grounded": (state == GROUNDED).mean(axis=1),
            "gone": (state == GONE).mean(axis=1),
        }
