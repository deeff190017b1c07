"""Fewer observations, whose errors hang together less: thinned, or averaged into superobservations.

    ȳ = (1/n) Σ y_i        σ̄² = (1 − c) Σ σ_i² / n² + c (Σ σ_i / n)²

is the variance of the error of a mean of n data of which c is the correlation of any two errors: σ²/n for c = 0, σ² for
c = 1. Rows that have failed a test take no part and stay as they are.

References
----------
Liu and Rabier (2002), The interaction between model resolution, observation resolution and observation density in data
assimilation, https://doi.org/10.1256/003590002320373210
"""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import xarray as xr

from ...vocabulary.errors import InputError
from ..flags import meanings
from ..observations import CODES, COLUMNS, COORDINATES, FEATURE, check, table, tally, with_rejections
from .distance import KM_RADIUS, canonical, cartesian, closest, groups, hours_of, instead, scaled, spherical
from .plausible import outside_grid

SUPEROBSERVATIONS = "oceanx_superobservations"  # global attribute: how they were made, as JSON
_DAY = 24.0
_BREAK = 3.0  # spacings of a pass, beyond which it is interrupted


def thin(observed: xr.Dataset, *, km: float, metres: float | None = None, hours: float | None = None) -> xr.Dataset:
    """The table without data that are near a better one of the same variable; what is left out is counted as "thinned".

    Better is the one with the smaller error; of equals the earlier, then the one further south. Every datum left out is
    near one that is kept, and no two that are kept are near each other.

    Parameters
    ----------
    km, metres, hours
        Nearer than these, all of them, is near; None does not look at depth or time.

    Raises
    ------
    InputError
        If a distance is not above 0.
    """
    check(observed)
    for name, distance in (("km", km), ("metres", metres), ("hours", hours)):
        if distance is not None and not distance > 0:
            raise InputError(f"thin: {name}: found {distance}; expected a distance above 0, or none")
    good = observed["qc"].values == 0
    out = np.zeros(good.size, bool)
    for code in np.unique(observed["variable"].values[good]):
        rows = np.flatnonzero(good & (observed["variable"].values == code))
        part = observed.isel(obs=rows)
        order = canonical(part, {"error_std": part["error_std"].values})
        out[rows] = instead(scaled(part, km, metres, hours), order) >= 0
    kept = with_rejections(observed, tally(observed, np.where(out, CODES["thinned"], 0)))
    return kept.isel(obs=np.flatnonzero(~out))


def superobservations(
    observed: xr.Dataset,
    *,
    along: int | None = None,
    cells: xr.Dataset | None = None,
    km: float | None = None,
    hours: float = _DAY,
    correlation: float = 0.0,
) -> xr.Dataset:
    """The table of means of neighbouring data of one platform, feature and variable, with the error of each mean.

    A datum enters one mean; places are averaged on the sphere, and so across the date line. Columns beyond the
    contract's are averaged too.

    Parameters
    ----------
    along, cells, km
        One of them: blocks of so many data along a pass, of which the last may be shorter and none reaches over a gap;
        the cells of a grid with `latitude` and `longitude` and, for what has levels, `depth`; or cells of so many km.
    hours
        Means over cells are of data from the same such interval since midnight, 1 January 1970.
    correlation
        c, of the errors of any two data in a mean.

    Raises
    ------
    InputError
        If not exactly one way is chosen, or a number is out of range.

    Examples
    --------
    >>> superobservations(select(obs, variable="sla"), along=7)            # doctest: +SKIP
    """
    check(observed)
    good = np.flatnonzero(observed["qc"].values == 0)
    failed = np.flatnonzero(observed["qc"].values != 0)
    if not 0 <= correlation <= 1:
        raise InputError(f"superobservations: correlation {correlation:g}; expected 0 to 1")
    part = observed.isel(obs=good)
    number = blocks(part, along=along, cells=cells, km=km, hours=hours)
    made = _means(part, number, correlation)
    left = observed.isel(obs=failed)
    columns = {n: np.concatenate([made[n], left[n].values]) for n in (*COORDINATES, *COLUMNS)}
    extras = {
        str(n): xr.Variable(v.dims, np.concatenate([_mean(v.values[good], number), v.values[failed]]), v.attrs)
        for n, v in observed.data_vars.items()
        if n not in COLUMNS
    }
    how = {"along": along, "cells": cells is not None, "km": km, "hours": hours, "correlation": correlation}
    how |= {"before": int(good.size), "after": int(made["time"].size)}
    return table(
        columns,
        [*meanings(observed["variable"].attrs).values()],
        [*meanings(observed["platform"].attrs).values()],
        kind=str(observed.attrs.get(FEATURE, "point")),
        extras=extras,
        coords={str(n): c for n, c in observed.coords.items() if "obs" not in c.dims},
        attrs=observed.attrs | {SUPEROBSERVATIONS: json.dumps(how)},
    )


def blocks(
    observed: xr.Dataset,
    *,
    along: int | None = None,
    cells: xr.Dataset | None = None,
    km: float | None = None,
    hours: float = _DAY,
) -> np.ndarray:
    """Which mean (obs), numbered from 0, every datum of a table enters; parameters are those of `superobservations`."""
    chosen = [name for name, given in (("along", along), ("cells", cells), ("km", km)) if given is not None]
    if len(chosen) != 1:
        raise InputError(
            f"superobservations: found {' and '.join(chosen) or 'nothing'}; give one of along=, cells= and km="
        )
    for name, given in (("along", along), ("km", km), ("hours", hours)):
        if given is not None and not given > 0:
            raise InputError(f"superobservations: {name}: found {given}; expected a number above 0")
    own = groups(*(observed[n].values.astype(np.int64) for n in ("platform", "feature", "variable")))
    if along is not None:
        return _along(observed, own, along)
    interval = (observed["time"].values.astype("datetime64[ns]").astype(np.int64) // int(hours * 3.6e12)).astype(int)
    cell = _cells(observed, cells) if cells is not None else _boxes(observed, km or 0.0)
    return groups(own, interval, *cell)


def _along(observed: xr.Dataset, own: np.ndarray, size: int) -> np.ndarray:
    """Blocks along each pass and depth, begun anew after a gap of more than three of its spacings."""
    own = groups(own, _bits(observed["depth"].values))
    order = canonical(observed, {"own": own, "time": observed["time"].values})
    number = own[order]
    begins = np.r_[True, np.diff(number) != 0][: number.size]
    place = cartesian(observed["latitude"].values, observed["longitude"].values)[order]
    step = np.r_[0.0, np.sqrt((np.diff(place, axis=0) ** 2).sum(axis=1))][: number.size]
    usual = np.asarray(pd.Series(np.where(begins, np.nan, step)).groupby(number).transform("median"), float)
    with np.errstate(invalid="ignore"):
        begins |= (step > _BREAK * usual) & (usual > 0)
    run = np.cumsum(begins) - 1
    rank = np.arange(number.size) - np.flatnonzero(begins)[run] if number.size else number
    result = np.empty(number.size, np.int64)
    result[order] = groups(run, rank // size) if number.size else number
    return result


def _boxes(observed: xr.Dataset, km: float) -> list[np.ndarray]:
    """Row, column and depth of cells about `km` wide, of which none crosses the date line."""
    height = np.rad2deg(km / KM_RADIUS)
    row = np.floor((observed["latitude"].values + 90.0) / height).astype(np.int64)
    middle = np.deg2rad(np.clip((row + 0.5) * height - 90.0, -90.0, 90.0))
    count = np.maximum(1, np.round(360.0 * np.cos(middle) / height)).astype(np.int64)
    column = np.floor((observed["longitude"].values + 180.0) / 360.0 * count).astype(np.int64)
    return [row, column, _bits(observed["depth"].values)]


def _cells(observed: xr.Dataset, grid: xr.Dataset) -> list[np.ndarray]:
    """Row, column and level of the nearest centres; what lies outside the grid has a cell of its own."""
    beyond = outside_grid(observed, grid)
    found = [np.where(beyond, np.arange(beyond.size), -1)]  # what no cell is near stays alone
    found.append(closest(grid["latitude"].values, observed["latitude"].values))
    found.append(closest(grid["longitude"].values, observed["longitude"].values, 360.0))
    depth = observed["depth"].values
    found.append(closest(grid["depth"].values, depth) if "depth" in grid.dims else _bits(depth))
    return found


def _bits(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float64).view(np.int64)


def _means(observed: xr.Dataset, number: np.ndarray, correlation: float) -> dict[str, np.ndarray]:
    """Every column of the means."""
    _, first = np.unique(number, return_index=True)
    count = np.bincount(number) if number.size else np.zeros(0, int)
    result = {n: observed[n].values[first] for n in ("variable", "platform", "feature", "qc")}
    for name in ("value", "depth"):
        result[name] = _mean(observed[name].values, number)
    since = observed["time"].values[:1].astype("datetime64[ns]")
    hours = _mean(hours_of(observed), number)
    result["time"] = since + np.floor(3.6e6 * hours + 1e-3).astype("timedelta64[ms]") if since.size else since
    place = _mean(cartesian(observed["latitude"].values, observed["longitude"].values), number)
    result["latitude"], result["longitude"] = spherical(place)
    sigma = observed["error_std"].values.astype(float)
    squares, sums = (np.bincount(number, x) if number.size else np.zeros(0) for x in (sigma**2, sigma))
    variance = (1 - correlation) * squares / count**2 + correlation * (sums / count) ** 2
    result["error_std"] = np.sqrt(variance).astype(observed["error_std"].dtype)
    return result


def _mean(values: np.ndarray, number: np.ndarray) -> np.ndarray:
    """Means (group, …) of rows in float64, in the type of the values."""
    if values.dtype.kind != "f":
        raise InputError("superobservations: a column beyond the contract's is not of numbers; leave it out")
    if not len(values):
        return values
    flat = values.reshape(len(values), -1).astype(float)
    total = np.stack([np.bincount(number, column) for column in flat.T], axis=1)
    return (total / np.bincount(number)[:, None]).reshape(-1, *values.shape[1:]).astype(values.dtype)
