"""Which observations are there twice: the same datum in two files, or one cast down and one up at one place."""

from __future__ import annotations

import numpy as np
import xarray as xr
from pydantic import PositiveFloat

from ...vocabulary.config import Config
from .distance import cartesian, groups, hours_of, instead

_APART = 10.0  # in units of distance: far enough for platforms never to meet


class Repeats(Config):
    """How near in time and place two casts of one platform are for one of them to be left out."""

    hours: PositiveFloat = 6.0
    km: PositiveFloat = 20.0


def repeated(table: xr.Dataset) -> np.ndarray:
    """Which data (obs) have a better one of the same platform, variable, time, place and depth.

    Better is what has not failed, then the one with the smaller error; of equals, the one with the smaller value.
    """
    keys = [table[n].values for n in ("platform", "variable", "time", "latitude", "longitude", "depth")]
    better = [table[n].values for n in ("feature", "value", "error_std")]
    order = np.lexsort([*better, table["qc"].values != 0, *keys])
    same = np.ones(max(order.size - 1, 0), bool)
    for key in keys:
        same &= key[order][1:] == key[order][:-1]
    failed = np.zeros(order.size, bool)
    failed[order[1:][same]] = True
    return failed


def nearly_repeated(table: xr.Dataset, near: Repeats) -> np.ndarray:
    """Which data (obs) belong to a cast beside which the same platform made a better one: one going down, one up.

    A cast is a feature at one time and place with at least two depths; of those less than so many hours and km apart,
    the one with more data is kept whole, of equals the earlier. Of the others remain what lies above or below what the
    kept one measured. A mooring that casts more often is thinned by this.
    """
    failed = np.zeros(table.sizes["obs"], bool)
    good = np.flatnonzero(table["qc"].values == 0)
    if not good.size:
        return failed
    number = groups(table["platform"].values[good], table["feature"].values[good])
    order = np.argsort(number, kind="stable")
    begins = np.flatnonzero(np.r_[True, np.diff(number[order]) != 0])

    def across(name: str) -> np.ndarray:
        values = table[name].values[good][order]
        return np.asarray(np.maximum.reduceat(values, begins) != np.minimum.reduceat(values, begins))

    casts = np.flatnonzero(~across("time") & ~across("latitude") & ~across("longitude") & across("depth"))
    count, rows = np.diff(np.r_[begins, good.size])[casts], good[order[begins[casts]]]
    hours, platform = hours_of(table)[rows], groups(table["platform"].values[rows])
    place = cartesian(table["latitude"].values[rows], table["longitude"].values[rows]) / near.km
    at = np.column_stack([place, hours / near.hours, _APART * platform])
    kept = instead(at, np.lexsort([table["feature"].values[rows], hours, -count, platform]))
    better = np.full(begins.size, -1)
    better[casts] = np.where(kept >= 0, casts[kept], -1) if casts.size else kept
    failed[good] = _reached(table.isel(obs=good), number, better[number])
    return failed


def _reached(table: xr.Dataset, number: np.ndarray, better: np.ndarray) -> np.ndarray:
    """Which data (obs) lie between the depths at which the `better` cast measured the same variable; -1 is none."""
    depth, variable = table["depth"].values, table["variable"].values
    shape = (number.max(initial=0) + 1, variable.max(initial=0) + 1)
    top, bottom = np.full(shape, np.inf), np.full(shape, -np.inf)
    np.minimum.at(top, (number, variable), depth)
    np.maximum.at(bottom, (number, variable), depth)
    between = (depth >= top[better, variable]) & (depth <= bottom[better, variable])
    return np.asarray((better >= 0) & between)
