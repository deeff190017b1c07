"""What can be scored: forecasts that keep the contract, and everything else on their grid, dates and units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from ..ocean.grid import same_grid
from ..ocean.labels import check
from ..vocabulary.caution import caution
from ..vocabulary.errors import InputError, unknown
from .table import METRICS

_SPELLING = dict.fromkeys(("degree_C", "degC", "degree_Celsius", "degrees_Celsius", "Celsius", "°C"), "degrees_C")
_SPELLING |= dict.fromkeys(("PSU", "psu", "0.001"), "1e-3")

Threshold = float | xr.Dataset | xr.DataArray
Thresholds = Threshold | Mapping[str, Threshold]


def comparable(forecasts: Mapping[str, xr.Dataset], truth: xr.Dataset) -> None:
    """Refuse forecasts that break the contract, or stand on other grids, starts or dates than the truth."""
    if not forecasts:
        raise InputError("score: nothing to score; give a forecast or {name: forecast}")
    _is_truth(truth)
    dates = pd.DatetimeIndex(truth["time"].values)
    name, first = next(iter(forecasts.items()))
    for model, f in forecasts.items():
        check(f, values=False, where=model)
        same_grid(f.drop_vars("depth", errors="ignore"), truth)
        if not np.array_equal(f["init_time"].values, first["init_time"].values):
            raise InputError(
                f"{model}: {f.sizes['init_time']} start dates differ from the {first.sizes['init_time']} of {name}; "
                "score the same ones, with forecast.sel(init_time=...)"
            )
        valid = pd.DatetimeIndex(np.unique(f["valid_time"].values))
        absent = valid.difference(dates)
        if len(absent):
            raise InputError(
                f"truth: no {absent[0]} ({len(absent)} of {len(valid)} valid dates of {model} are missing); "
                f"it covers {dates.min()} to {dates.max()}"
            )


def shared(forecasts: Mapping[str, xr.Dataset], truth: xr.Dataset, variables: Sequence[str] | None) -> list[str]:
    """What to score: the variables asked for, or all that some forecast and the truth have, in one unit."""
    there = list(dict.fromkeys(str(n) for f in forecasts.values() for n in f.data_vars if n in truth.data_vars))
    names = there if variables is None else ([variables] if isinstance(variables, str) else list(variables))
    if not names:
        raise InputError(f"score: forecast and truth share no variable; truth has {sorted(map(str, truth.data_vars))}")
    for name in names:
        if name not in there:
            raise unknown("variable", name, there)
        for model, f in forecasts.items():
            mine, other = (ds[name].attrs.get("units") if name in ds else None for ds in (f, truth))
            _same_units(name, mine, other, f"units of {model}", "of the truth")
    return names


def enough(
    metrics: Sequence[str],
    forecasts: Mapping[str, xr.Dataset],
    names: Sequence[str],
    truth: xr.Dataset,
    climatology: xr.Dataset | None,
    thresholds: Mapping[str, xr.Dataset | float],
) -> None:
    """Refuse metrics that lack the climatology, the threshold or the members that they need."""
    for metric in metrics:
        needs = METRICS[metric].needs
        if needs == "climatology":
            lacking = [n for n in names if climatology is None or n not in climatology.data_vars]
            if lacking:
                raise InputError(f"{metric}: needs a climatology of {lacking}; give climatology=...")
        if needs == "member" and not any(f.sizes.get("member", 1) > 1 for f in forecasts.values()):
            raise InputError(f"{metric}: needs an ensemble; no forecast has two members")
        if needs == "threshold":
            lacking = [n for n in names if n not in thresholds]
            if lacking:
                raise InputError(f"{metric}: needs a threshold of {lacking}; give threshold=..., or fewer variables=")
    if climatology is not None:
        _beside("climatology", climatology, names, truth)


def thresholds_of(
    threshold: Thresholds | None, names: Sequence[str], truth: xr.Dataset
) -> dict[str, xr.Dataset | float]:
    """The threshold of each variable: a number, or a Dataset that has the variable by `dayofyear`.

    A number is for all variables. Of a Dataset by `dayofyear`, each variable takes its own name, or `threshold` if it
    is the only one; a mapping gives each variable one of these.

    Raises
    ------
    InputError
        If it is none of these, or stands on another grid.
    """
    if threshold is None:
        return {}
    if isinstance(threshold, Mapping) and not isinstance(threshold, xr.Dataset):
        for name in threshold:
            if name not in names:
                raise unknown("variable with a threshold", name, names)
        return {k: v for name, t in threshold.items() for k, v in thresholds_of(t, [name], truth).items()}
    if not isinstance(threshold, xr.Dataset | xr.DataArray):
        return dict.fromkeys(names, float(threshold))
    ds = threshold.to_dataset(name="threshold") if isinstance(threshold, xr.DataArray) else threshold
    found = {name: name for name in names if name in ds.data_vars}
    if not found and "threshold" in ds.data_vars and len(names) == 1:
        found = {names[0]: "threshold"}
    if not found:
        raise InputError(
            f"threshold: has {sorted(map(str, ds.data_vars))} and none of {', '.join(names)}; name its variables as "
            "the forecast's, or score one, with variables="
        )
    return {name: _by_day(ds, name, own, truth) for name, own in found.items()}


def _by_day(ds: xr.Dataset, name: str, own: str, truth: xr.Dataset) -> xr.Dataset:
    if "dayofyear" not in ds[own].dims:
        raise InputError(
            f"threshold: {own} has dimensions {ds[own].dims}; expected `dayofyear` 1…366, as of "
            "oceanx.heatwaves.threshold, or a number"
        )
    limit = ds[[own]].rename({} if own == name else {own: name})
    limit = limit.drop_vars([c for c in limit.coords if c not in limit[name].dims])
    if "depth" in truth[name].dims and "depth" not in limit[name].dims and truth.sizes["depth"] == 1:
        limit = limit.expand_dims(depth=truth["depth"])
    _beside("threshold", limit, [name], truth)
    return limit.assign_attrs(ds.attrs)


def seen_before(valid: np.ndarray, what: str, period: str) -> None:
    """Warn where what was learnt from a period is judged on dates of the same period."""
    first, slash, last = str(period).partition("/")
    if not slash:
        return
    dates = pd.DatetimeIndex(np.unique(valid))
    ends = pd.Timestamp(first), pd.Timestamp(last) + pd.offsets.YearEnd(0) if len(last) == 4 else pd.Timestamp(last)
    inside = dates[(dates >= ends[0]) & (dates < ends[1] + pd.Timedelta("1D"))]
    if len(inside):
        caution(
            f"{what}: was made from {first} to {last}, which includes {len(inside)} of the {len(dates)} valid dates "
            f"(the first is {inside[0]:%Y-%m-%d}): it has seen the test; make it from training years alone"
        )


def _is_truth(truth: xr.Dataset) -> None:
    if "time" in truth.dims and truth["time"].dtype.kind == "O":
        calendar = truth["time"].dt.calendar
        raise InputError(
            f"truth: its dates are of the calendar {calendar!r}; convert them with "
            "truth.convert_calendar('standard', use_cftime=False), which leaves out dates that do not exist there"
        )
    if "time" not in truth.dims or truth["time"].dtype.kind != "M":
        raise InputError("truth: no dimension `time` of datetime64; give the analysis, not a forecast")
    if "member" in truth.dims:
        raise InputError("truth: has members; give one, with truth.isel(member=0), or truth.mean('member')")
    dates = pd.DatetimeIndex(truth["time"].values)
    if dates.has_duplicates:
        raise InputError(f"truth: {dates[dates.duplicated()][0]} is there more than once")


def _beside(what: str, ds: xr.Dataset, names: Sequence[str], truth: xr.Dataset) -> None:
    """Refuse a climatology or threshold on another grid, in other units or with dimensions of its own."""
    try:
        same_grid(ds.drop_vars("depth", errors="ignore"), truth)
    except InputError as error:
        raise InputError(f"{what}: {error}") from None
    for name in names:
        if name in ds.data_vars:
            strange = set(map(str, ds[name].dims)) - {"dayofyear", "harmonic", "depth", "latitude", "longitude"}
            if strange:
                raise InputError(f"{what}: {name} has the dimension {sorted(strange)[0]!r}; select one of it")
            own, other = ds[name].attrs.get("units"), truth[name].attrs.get("units")
            _same_units(name, own, other, f"units of the {what}", "of the truth")


def _same_units(name: str, mine: str | None, other: str | None, whose: str, others: str) -> None:
    if mine and other and _SPELLING.get(mine, mine) != _SPELLING.get(other, other):
        raise InputError(f"{name}: {whose} are {mine!r}, {others} {other!r}; convert one")
