"""What every forecast is measured against, made while scoring: persistence, climatology and damped persistence.

Of the truth alone, at each start date t: persistence is x(t), climatology c(t + lead), and damped persistence
c(t + lead) + r(lead) (x(t) − c(t)), r the lag autocorrelation of the training years. They are the forecasts that
`ox.persistence()`, `ox.climatology(train)` and `ox.damped_persistence(train)` would give, without being stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numba
import numpy as np
import pandas as pd
import xarray as xr

from ..vocabulary.errors import unknown
from .kernel import Leads, plain
from .levels import on_levels
from .reading import Batch, cells, keys

REFERENCES = ("persistence", "damped_persistence", "climatology")


def planned(
    asked: bool | Sequence[str],
    forecasts: Mapping[str, xr.Dataset],
    truth: xr.Dataset,
    names: Sequence[str],
    climatology: xr.Dataset | None,
    autocorrelation: xr.Dataset | None,
) -> tuple[tuple[str, ...], dict[str, str]]:
    """The references that can be made; and of all that were asked for, how each is made or why it is left out."""
    starts = next(iter(forecasts.values()))["init_time"].values
    leads = np.unique(np.concatenate([f["lead_time"].values for f in forecasts.values()]))
    absent = pd.DatetimeIndex(starts).difference(pd.DatetimeIndex(truth["time"].values))
    analysis = f"the truth has no {absent[0]}, a start date" if len(absent) else None
    usual = _lacking("climatology", climatology, names)
    damped = analysis or usual or _lacking("autocorrelation", autocorrelation, names)
    if damped is None and autocorrelation is not None:
        beyond = np.setdiff1d(leads, autocorrelation["lead_time"].values)
        damped = f"the autocorrelation is not known at {pd.Timedelta(beyond[0])}" if beyond.size else None
    why_not = {"persistence": analysis, "damped_persistence": damped, "climatology": usual}
    period = "" if climatology is None else str(climatology.attrs.get("oceanx_climatology_period", ""))
    of = f" of {period.replace('/', ' to ')}" if period else ""
    how = {
        "persistence": "the truth at init_time",
        "damped_persistence": f"the climatology{of}, and the anomaly at init_time times its lag autocorrelation",
        "climatology": f"the climatology{of} at valid_time",
    }
    kinds = wanted(asked, forecasts)
    said = {kind: how[kind] if why_not[kind] is None else f"left out: {why_not[kind]}" for kind in kinds}
    return tuple(kind for kind in kinds if why_not[kind] is None), said


def wanted(asked: bool | Sequence[str], forecasts: Mapping[str, xr.Dataset]) -> tuple[str, ...]:
    """The references asked for that are not among the forecasts already."""
    names = REFERENCES if asked is True else () if asked is False else (asked,) if isinstance(asked, str) else asked
    for name in names:
        if name not in REFERENCES:
            raise unknown("reference", name, REFERENCES)
    return tuple(name for name in names if name not in forecasts)


def _lacking(what: str, ds: xr.Dataset | None, names: Sequence[str]) -> str | None:
    if ds is None:
        return f"no {what} was given"
    return None if any(name in ds.data_vars for name in names) else f"the {what} has none of {', '.join(names)}"


def damping_of(
    autocorrelation: xr.Dataset | None, name: str, like: xr.DataArray, leads: np.ndarray
) -> np.ndarray | None:
    """r (lead, level, cell) of one variable on the levels scored, or None."""
    if autocorrelation is None or name not in autocorrelation.data_vars:
        return None
    r = on_levels(autocorrelation[name], like, "autocorrelation").sel(lead_time=leads)
    return plain(cells(r.transpose("lead_time", ...)))


def made(kind: str, batch: Batch, start: np.datetime64, leads: np.ndarray, damping: np.ndarray | None) -> Leads | None:
    """The fields of a reference from one start date, on all levels; None where a variable lacks what it needs."""
    now, valid = keys(np.array([start]))[0], keys(start + leads)
    if kind == "persistence":
        return [batch.truth[now]] * len(leads)
    if batch.climatology is None:
        return None
    usual = [batch.climatology[date] for date in valid]
    if kind == "climatology":
        return usual
    if damping is None:
        return None
    away = plain(batch.truth[now] - batch.climatology[now])
    return [_damped(c, r, away) for c, r in zip(usual, damping, strict=True)]


@numba.njit(nogil=True, cache=True)
def _damped(usual: np.ndarray, r: np.ndarray, away: np.ndarray) -> np.ndarray:
    result = np.empty(usual.shape, np.float32)
    for level in range(usual.shape[0]):
        for j in range(usual.shape[1]):
            result[level, j] = usual[level, j] + r[level, j] * away[level, j]
    return result
