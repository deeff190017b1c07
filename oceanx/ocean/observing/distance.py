"""How far observations are from each other, in km through the Earth, metres and hours; and thinning by it.

A chord is shorter than the arc along the surface by (s / 2R)² / 6 of it: 1e-5 at 100 km.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr
from scipy.spatial import cKDTree

from ...vocabulary.constants import EARTH_RADIUS

KM_RADIUS = EARTH_RADIUS / 1000.0
_SLACK = 1.0 + 1e-9


def cartesian(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    """Places (obs, 3) in km from the centre of the Earth."""
    phi, lam = np.deg2rad(np.asarray(latitude, float)), np.deg2rad(np.asarray(longitude, float))
    return KM_RADIUS * np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)], axis=-1)


def spherical(places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Latitude and longitude in [-180, 180) of places (…, 3) from the centre of the Earth, however far."""
    x, y, z = np.moveaxis(places, -1, 0)
    longitude = np.rad2deg(np.arctan2(y, x))
    return np.rad2deg(np.arctan2(z, np.hypot(x, y))), np.where(longitude >= 180.0, -180.0, longitude)


def hours_of(table: xr.Dataset) -> np.ndarray:
    """Time (obs) in hours since that of the first row."""
    time = table["time"].values
    return (time - time[:1]).astype("timedelta64[ns]").astype(np.int64) / 3.6e12


def scaled(table: xr.Dataset, km: float, metres: float | None, hours: float | None) -> np.ndarray:
    """Coordinates (obs, axis) in which one is `km`, `metres` or `hours`; None leaves that axis out."""
    axes = [cartesian(table["latitude"].values, table["longitude"].values) / km]
    if metres is not None:
        axes.append(table["depth"].values.astype(float)[:, None] / metres)
    if hours is not None:
        axes.append(hours_of(table)[:, None] / hours)
    return np.concatenate(axes, axis=1)


def instead(at: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Which point stands for each if, in the order of preference, each kept one forbids those near it; -1: itself.

    Near is less than one apart in the three coordinates of place, and in each of those beyond.
    """
    keeper = np.full(len(at), -1)
    if not len(at):
        return keeper
    tree = cKDTree(at)
    reach = _SLACK * np.sqrt(at.shape[1] - 2)
    for one in order:
        if keeper[one] >= 0:
            continue
        near = np.array(tree.query_ball_point(at[one], reach))
        away = np.abs(at[near] - at[one])
        away[:, 2] = np.sqrt((away[:, :3] ** 2).sum(axis=1))
        near = near[(away[:, 2:] < 1).all(axis=1) & (keeper[near] < 0) & (near != one)]
        keeper[near] = one
    return keeper


def groups(*keys: np.ndarray) -> np.ndarray:
    """The number (obs), from 0, of each combination of integer keys."""
    found = np.zeros(keys[0].size, np.int64)
    for key in keys:
        _, code = np.unique(key, return_inverse=True)
        _, found = np.unique(found * (code.max(initial=0) + 1) + code.reshape(-1), return_inverse=True)
        found = found.reshape(-1)
    return found


def canonical(table: xr.Dataset, first: Mapping[str, np.ndarray] | None = None) -> np.ndarray:
    """An order of the rows that is the same however they are shuffled: by `first`, then by all that they hold."""
    names = ("value", "error_std", "feature", "platform", "depth", "longitude", "latitude", "time", "variable")
    return np.lexsort([*(table[n].values for n in names), *reversed(list((first or {}).values()))])


def closest(axis: np.ndarray, wanted: np.ndarray, period: float | None = None) -> np.ndarray:
    """Positions on an ascending axis of the values nearest to those wanted."""
    place, axis, wanted = np.arange(axis.size), axis.astype(float), wanted.astype(float)
    if period:
        wanted = axis[0] + (wanted - axis[0]) % period
        axis, place = np.append(axis, axis[0] + period), np.append(place, 0)
    return place[np.searchsorted((axis[1:] + axis[:-1]) / 2, wanted)]
