"""Particles that drift with a current: Runge–Kutta of fourth order through fields on latitude and longitude."""

from __future__ import annotations

import numba
import numpy as np
import xarray as xr

from ..ocean.grid import is_periodic
from ..vocabulary.constants import EARTH_RADIUS

AFLOAT, GROUNDED, GONE = 0, 1, 2
Tracks = tuple[np.ndarray, np.ndarray, np.ndarray]  # latitude, longitude, and AFLOAT, GROUNDED or GONE
_POLE = 89.99  # degrees: beyond, longitude means nothing


def advect(
    u: np.ndarray,
    v: np.ndarray,
    seconds: np.ndarray,
    axes: tuple[np.ndarray, np.ndarray],
    start: tuple[np.ndarray, np.ndarray],
    step: float,
) -> Tracks:
    """Latitude and longitude (time, particle) of particles at the times of the fields, and how each fares there.

    On the sphere of radius R, dλ/dt = u / (R cos φ) and dφ/dt = v / R. Velocities are bilinear in latitude and
    longitude, with none on land, and linear in time between fields. A particle is aground (1) once the cell that it is
    nearest to is dry, and gone (2) once it leaves the outermost cell centres, or comes to a pole; either way it stays
    where it was.

    Parameters
    ----------
    u, v
        m s-1 (time, latitude, longitude), NaN on land.
    seconds
        Times of the fields, ascending.
    axes
        Latitude and longitude of the cell centres.
    start
        Latitude and longitude (particle) at the first time.
    step
        Seconds; shortened so that a whole number of steps lies between two fields.
    """
    latitude, longitude = (axis.astype(float) for axis in axes)
    periodic = is_periodic(xr.DataArray(longitude))
    if periodic:
        longitude = np.append(longitude, longitude[0] + 360.0)
        u, v = (np.concatenate([field, field[..., :1]], axis=-1) for field in (u, v))
    wet = np.isfinite(u).all(axis=0) & np.isfinite(v).all(axis=0)
    u, v = (np.where(wet, field, 0.0) for field in (u, v))
    lon = longitude[0] + (start[1] - longitude[0]) % 360.0
    place = np.stack([start[0].astype(float), lon.astype(float)], axis=1)
    return _advect(u, v, wet, seconds.astype(float), latitude, longitude, place, float(step), periodic)


@numba.njit(nogil=True, cache=True)
def _advect(
    u: np.ndarray, v: np.ndarray, wet: np.ndarray, seconds: np.ndarray, latitude: np.ndarray, longitude: np.ndarray,
    place: np.ndarray, step: float, periodic: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    times, count = len(seconds), len(place)
    lat, lon = np.empty((times, count)), np.empty((times, count))
    state = np.zeros((times, count), np.int8)
    for p in range(count):
        y, x = place[p, 0], place[p, 1]
        now = _state(wet, latitude, longitude, y, x)
        lat[0, p], lon[0, p], state[0, p] = y, x, now
        for k in range(times - 1):
            between = seconds[k + 1] - seconds[k]
            steps = max(1, int(np.ceil(between / step - 1e-9)))
            h = between / steps
            for n in range(steps):
                if now != AFLOAT:
                    break
                a, b, c = n / steps, (n + 0.5) / steps, (n + 1) / steps
                y1, x1 = _speed(u, v, k, a, latitude, longitude, y, x, periodic)
                y2, x2 = _speed(u, v, k, b, latitude, longitude, y + h / 2 * y1, x + h / 2 * x1, periodic)
                y3, x3 = _speed(u, v, k, b, latitude, longitude, y + h / 2 * y2, x + h / 2 * x2, periodic)
                y4, x4 = _speed(u, v, k, c, latitude, longitude, y + h * y3, x + h * x3, periodic)
                north = y + h / 6 * (y1 + 2 * y2 + 2 * y3 + y4)
                east = x + h / 6 * (x1 + 2 * x2 + 2 * x3 + x4)
                if periodic:
                    east = longitude[0] + (east - longitude[0]) % 360.0
                now = _state(wet, latitude, longitude, north, east)
                if now == AFLOAT:
                    y, x = north, east
            lat[k + 1, p], lon[k + 1, p], state[k + 1, p] = y, x, now
    return lat, lon, state


@numba.njit(nogil=True, cache=True)
def _cell(axis: np.ndarray, at: float) -> tuple[int, float]:
    """The cell before a place on an axis, and how far to the next one the place lies; at most the ends."""
    i = min(max(int(np.searchsorted(axis, at)) - 1, 0), len(axis) - 2)
    return i, min(max((at - axis[i]) / (axis[i + 1] - axis[i]), 0.0), 1.0)


@numba.njit(nogil=True, cache=True)
def _state(wet: np.ndarray, latitude: np.ndarray, longitude: np.ndarray, y: float, x: float) -> int:
    if not (latitude[0] <= y <= latitude[-1] and longitude[0] <= x <= longitude[-1]) or abs(y) > _POLE:
        return GONE
    j, fy = _cell(latitude, y)
    i, fx = _cell(longitude, x)
    return AFLOAT if wet[j + (fy > 0.5), i + (fx > 0.5)] else GROUNDED


@numba.njit(nogil=True, cache=True)
def _speed(
    u: np.ndarray, v: np.ndarray, k: int, share: float, latitude: np.ndarray, longitude: np.ndarray,
    y: float, x: float, periodic: bool,
) -> tuple[float, float]:  # fmt: skip
    """Degrees of latitude and longitude per second at a place, between fields k and k + 1."""
    if periodic:
        x = longitude[0] + (x - longitude[0]) % 360.0
    j, fy = _cell(latitude, y)
    i, fx = _cell(longitude, x)
    east, north = 0.0, 0.0
    for later in range(2):
        at_time = share if later else 1.0 - share
        for dj in range(2):
            for di in range(2):
                w = at_time * (fy if dj else 1.0 - fy) * (fx if di else 1.0 - fx)
                east += w * u[k + later, j + dj, i + di]
                north += w * v[k + later, j + dj, i + di]
    degrees = 180.0 / (np.pi * EARTH_RADIUS)
    return north * degrees, east * degrees / max(np.cos(np.deg2rad(y)), 1e-4)
