"""Selecting in space: sections along an axis or great circles, and the profile of a place."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import xarray as xr

from ..vocabulary.constants import EARTH_RADIUS
from ..vocabulary.errors import InputError
from .grid import HORIZONTAL, is_periodic

T = TypeVar("T", xr.Dataset, xr.DataArray)

_KM = EARTH_RADIUS / 1000.0
_ROUNDING = 1e-6  # degrees
_DISTANCE = {"long_name": "Distance along the section", "units": "km"}


def section(
    obj: T,
    *,
    lon: float | None = None,
    lat: float | None = None,
    points: Iterable[tuple[float, float]] | None = None,
    spacing: float | None = None,
) -> T:
    """The cells at a longitude or latitude, or values interpolated along great circles from point to point. Lazy.

    At a longitude or latitude the section is the column or row of cells that it lies in, untouched; the coordinate
    says which. Between points, values are bilinear in latitude and longitude between the four cells around, over those
    of them that are wet; where the nearest of the four is land, the value is NaN. The section has the dimension
    `distance` (km) with `latitude` and `longitude` beside it, and includes every point.

    Parameters
    ----------
    lon, lat
        Degrees; longitudes may be counted to 180 or to 360.
    points
        Two or more (latitude, longitude).
    spacing
        In km, at most; None: the distance between two rows of the grid.

    Raises
    ------
    InputError
        If not exactly one of the three is given, or it is outside the grid.

    Examples
    --------
    >>> section(ds.thetao, points=[(38, -74), (32, -64)])    # doctest: +SKIP
    """
    given = [name for name, value in (("lon", lon), ("lat", lat), ("points", points)) if value is not None]
    if len(given) != 1:
        raise InputError(f"section: found {' and '.join(given) or 'nothing'}; give one of lon=, lat= and points=")
    latitude, longitude = _axes(obj)
    if lon is not None:
        return obj.isel(longitude=_cell(longitude, lon, "longitude", _half(longitude, latitude)))
    if lat is not None:
        return obj.isel(latitude=_cell(latitude, lat, "latitude", _half(latitude, longitude)))
    assert points is not None
    step = _KM * np.deg2rad(2 * _half(latitude, longitude)) if spacing is None else float(spacing)
    if not step > 0:
        raise InputError(f"section: found spacing={step:g}; expected km")
    return _along(obj, *_great_circle(points, step))


def profile(obj: T, lat: float, lon: float) -> T:
    """The column of the cell that a place lies in. Lazy; without a `mask` coordinate, one map is read.

    Raises
    ------
    InputError
        If the place is outside the grid, or on land: the nearest wet cell is named.
    """
    latitude, longitude = _axes(obj)
    i = _cell(latitude, lat, "latitude", _half(latitude, longitude))
    j = _cell(longitude, lon, "longitude", _half(longitude, latitude))
    wet = _wet(obj)
    if not wet[i, j]:
        away = great_circle(lat, lon, latitude[:, None], longitude[None, :])
        k, m = np.unravel_index(np.where(wet, away, np.inf).argmin(), wet.shape)
        remedy = (
            f"the nearest wet cell is at {latitude[k]:g}, {longitude[m]:g}, {away[k, m]:.0f} km away"
            if wet.any()
            else "no cell is wet"
        )
        raise InputError(f"profile: {lat:g}, {lon:g} is on land; {remedy}")
    return obj.isel(latitude=i, longitude=j)


def _axes(obj: xr.Dataset | xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    for name in HORIZONTAL:
        if name not in obj.dims or name not in obj.coords:
            raise InputError(f"no dimension {name!r} with labels; found {sorted(map(str, obj.dims))}")
    return obj["latitude"].values.astype(float), obj["longitude"].values.astype(float)


def _half(axis: np.ndarray, other: np.ndarray) -> float:
    """Half a cell, in degrees; of a single row or column as wide as those of the other axis."""
    steps = np.abs(np.diff(axis if axis.size > 1 else other))
    return float(steps.max()) / 2 if steps.size else 0.0


def _cell(axis: np.ndarray, wanted: float, name: str, within: float) -> int:
    """The cell of an axis that a value lies in."""
    apart = np.abs(_turned(axis - wanted) if name == "longitude" else axis - wanted)
    nearest = int(apart.argmin())
    if not apart[nearest] <= within + _ROUNDING:
        raise InputError(f"{name} {wanted:g}: outside the grid, which reaches from {axis.min():g} to {axis.max():g}")
    return nearest


def _turned(degrees: Any) -> Any:
    """Differences of longitude within [-180, 180)."""
    return (degrees + 180.0) % 360.0 - 180.0


def _wet(obj: xr.Dataset | xr.DataArray) -> np.ndarray:
    """Which columns have water, (latitude, longitude)."""
    if "mask" in obj.coords:
        wet = obj["mask"] != 0
    else:
        fields = obj.data_vars.values() if isinstance(obj, xr.Dataset) else [obj]
        one = next((v for v in fields if set(HORIZONTAL) <= set(v.dims)), None)
        if one is None:
            raise InputError("profile: nothing has latitude and longitude")
        wet = one.isel({d: 0 for d in one.dims if d not in HORIZONTAL}).notnull()
    if "depth" in wet.dims:
        wet = wet.isel(depth=0)
    return np.asarray(wet.transpose(*HORIZONTAL).values)


def great_circle(lat: Any, lon: Any, latitude: Any, longitude: Any) -> np.ndarray:
    """Distance in km between places in degrees, by the haversine, exact for near ones too."""
    a, b = np.deg2rad(lat), np.deg2rad(latitude)
    east = np.deg2rad(np.asarray(longitude) - lon)
    h = np.sin((b - a) / 2) ** 2 + np.cos(a) * np.cos(b) * np.sin(east / 2) ** 2
    return np.asarray(2 * _KM * np.arcsin(np.sqrt(np.minimum(h, 1.0))))


def _great_circle(points: Iterable[tuple[float, float]], step: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Latitudes, longitudes and distances (km) from point to point, each leg in equal steps of at most `step`."""
    corners = np.asarray(list(points), float)
    if corners.ndim != 2 or len(corners) < 2 or corners.shape[1] != 2:
        raise InputError(f"section: found points of shape {corners.shape}; expected two or more (latitude, longitude)")
    phi, lam = np.deg2rad(corners.T)
    unit = np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)], axis=1)
    places, distances, so_far = [unit[:1]], [np.zeros(1)], 0.0
    for n, (a, b) in enumerate(pairwise(unit)):
        length = float(great_circle(*corners[n], *corners[n + 1])) / _KM  # as an angle
        if not 0 < length < np.pi - 1e-6:
            raise InputError(
                f"section: points {n} and {n + 1} are {'one' if not length else 'on opposite sides of the globe'}; "
                "expected a great circle between them"
            )
        share = np.linspace(0, 1, int(np.ceil(length * _KM / step - 1e-9)) + 1)[1:, None]
        places.append((np.sin((1 - share) * length) * a + np.sin(share * length) * b) / np.sin(length))
        distances.append(so_far + share[:, 0] * length * _KM)
        so_far += length * _KM
    x, y, z = np.concatenate(places).T
    return np.rad2deg(np.arctan2(z, np.hypot(x, y))), np.rad2deg(np.arctan2(y, x)), np.concatenate(distances)


def _along(obj: T, lat: np.ndarray, lon: np.ndarray, distance: np.ndarray) -> T:
    """The object at places, bilinear."""
    latitude, longitude = _axes(obj)
    i, weight_i = _between(latitude, lat, "latitude")
    j, weight_j = _between(longitude, lon, "longitude")
    corner = [(a, b) for a in (0, 1) for b in (0, 1)]
    dims = ("corner", "distance")
    rows = xr.DataArray(np.stack([i[a] for a, _ in corner]), dims=dims)
    columns = xr.DataArray(np.stack([j[b] for _, b in corner]), dims=dims)
    weights = xr.DataArray(np.stack([weight_i[a] * weight_j[b] for a, b in corner]), dims=dims)
    coords: dict[Hashable, Any] = {
        "distance": ("distance", distance, _DISTANCE),
        "latitude": ("distance", lat, obj["latitude"].attrs),
        "longitude": ("distance", np.where(lon >= 180, lon - 360, lon), obj["longitude"].attrs),
    }

    def moved(v: xr.DataArray) -> xr.DataArray:
        alone = v.reset_coords(drop=True)
        return _mixed(alone, rows, columns, weights) if set(HORIZONTAL) <= set(v.dims) else alone

    coords |= {n: moved(c) for n, c in obj.coords.items() if n not in (*HORIZONTAL, "cell_area")}
    if isinstance(obj, xr.DataArray):
        return moved(obj).assign_coords(coords)
    return xr.Dataset({n: moved(v) for n, v in obj.data_vars.items()}, coords, obj.attrs)


def _mixed(v: xr.DataArray, rows: xr.DataArray, columns: xr.DataArray, weights: xr.DataArray) -> xr.DataArray:
    """The weighted mean over wet corners, NaN where the nearest is dry; of what is no field, the nearest corner's."""
    corners = v.drop_vars(HORIZONTAL).isel(latitude=rows, longitude=columns)
    nearest = weights.argmax("corner")
    if v.dtype.kind != "f":
        return corners.isel(corner=nearest)
    wet = corners.notnull()
    share = (wet * weights).sum("corner")
    mean = (corners.fillna(0.0) * weights).sum("corner") / share.where(share > 0)
    mean = mean.where(wet.isel(corner=nearest)).astype(v.dtype)
    mean.attrs = v.attrs
    return mean.transpose(..., "distance").rename(v.name)


def _between(axis: np.ndarray, wanted: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """The cells before and after each place on an axis (2, place), and their weights."""
    order = np.argsort(axis)
    held = axis[order]
    round_the_globe = name == "longitude" and is_periodic(xr.DataArray(held, dims="longitude"))
    if name == "longitude":
        wanted = held[0] + (wanted - held[0]) % 360.0
    if round_the_globe:
        held, order = np.append(held, held[0] + 360.0), np.append(order, order[0])
    elif name == "longitude":  # half a cell west of the first is still its own
        wanted = np.where(wanted - 360.0 >= held[0] - _half(held, held) - _ROUNDING, wanted - 360.0, wanted)
    edge = _half(held, held) + _ROUNDING
    outside = (wanted < held[0] - edge) | (wanted > held[-1] + edge)
    if held.size < 2 or outside.any():
        raise InputError(
            f"section: {name} {wanted[outside][0] if outside.any() else wanted[0]:g} is outside the grid, which "
            f"reaches from {held[0]:g} to {held[-1]:g}"
        )
    before = np.clip(np.searchsorted(held, wanted, side="right") - 1, 0, held.size - 2)
    share = np.clip((wanted - held[before]) / (held[before + 1] - held[before]), 0.0, 1.0)
    return np.stack([order[before], order[before + 1]]), np.stack([1.0 - share, share])
