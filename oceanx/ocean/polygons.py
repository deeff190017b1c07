"""Polygons on the map: read from YAML or GeoJSON, and which points lie inside."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..vocabulary.errors import InputError

_ON_EDGE = 1e-9  # degrees


def rings(
    polygon: Sequence[Sequence[float]] | str | os.PathLike[str], where: str = "polygon", *, across: bool = False
) -> list[np.ndarray]:
    """The rings (corner, longitude and latitude) of a polygon given by its corners or as a GeoJSON file.

    Parameters
    ----------
    where
        What errors call it.
    across
        Whether it may reach over the date line, where longitudes then go on beyond ±180.

    Raises
    ------
    InputError
        If there are none, one has fewer than three corners, or one crosses the date line and may not.
    """
    if isinstance(polygon, str | os.PathLike):
        where = f"{where}: {os.fspath(polygon)}"
        found = _of_geojson(_read(Path(polygon), where))
    else:
        found = [polygon]
    if not found:
        raise InputError(f"{where}: holds no Polygon or MultiPolygon")
    return [_ring(corners, where, 540.0 if across else 180.0) for corners in found]


def box(rings: Sequence[np.ndarray]) -> tuple[float, float, float, float]:
    """West, south, east and north of the rings, in degrees."""
    corners = np.concatenate(rings)
    (west, south), (east, north) = corners.min(axis=0), corners.max(axis=0)
    return float(west), float(south), float(east), float(north)


def inside(longitude: np.ndarray, latitude: np.ndarray, rings: Sequence[np.ndarray]) -> np.ndarray:
    """Which points of a grid (latitude, longitude) lie in an odd number of rings, or on an edge of one.

    A point is in a ring if the line from it to the east crosses the ring an odd number of times.
    """
    x, y = np.meshgrid(np.asarray(longitude, float), np.asarray(latitude, float))
    odd, edge = np.zeros(x.shape, bool), np.zeros(x.shape, bool)
    for ring in rings:
        for (x0, y0), (x1, y1) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
            length = np.hypot(x1 - x0, y1 - y0)
            if length == 0:
                continue
            # Distances from the line through the edge, and along it from its first corner.
            off = ((x - x0) * (y1 - y0) - (y - y0) * (x1 - x0)) / length
            along = ((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / length
            edge |= (np.abs(off) <= _ON_EDGE) & (along >= -_ON_EDGE) & (along <= length + _ON_EDGE)
            # The edge crosses the line if one end is above it and the other not; `off` tells on which side.
            crosses = (y0 > y) != (y1 > y)
            odd ^= crosses & ((off < 0) if y1 > y0 else (off > 0))
    return odd | edge


def _ring(corners: Any, where: str, widest: float) -> np.ndarray:
    try:
        ring = np.array([[float(number) for number in corner[:2]] for corner in corners])
    except (TypeError, ValueError, IndexError):
        ring = np.empty((0, 0))
    if ring.ndim != 2 or ring.shape[1] != 2 or len(np.unique(ring, axis=0)) < 3 or not np.isfinite(ring).all():
        raise InputError(f"{where}: expected at least three corners [longitude, latitude] in degrees")
    west, east = ring[:, 0].min(), ring[:, 0].max()
    south, north = ring[:, 1].min(), ring[:, 1].max()
    if west < -widest or east > widest or south < -90 or north > 90:
        raise InputError(
            f"{where}: reaches from {west:g} to {east:g} degrees east, {south:g} to {north:g} degrees north; expected "
            f"longitude first, within {-widest:g} to {widest:g}"
        )
    steps = np.abs(np.diff(np.append(ring[:, 0], ring[0, 0])))
    if ((steps > 180) & (steps < 360)).any():  # from -180 to 180 is all the way round
        raise InputError(f"{where}: crosses the date line; let its longitudes go on, or give its sides apart")
    return ring


def _read(path: Path, where: str) -> Any:
    try:
        return json.loads(path.read_text())
    except OSError as error:
        raise InputError(f"{where}: cannot be read ({error.strerror}); give the path of a GeoJSON file") from None
    except ValueError as error:
        raise InputError(f"{where}: is not GeoJSON ({error})") from None


def _of_geojson(content: Any) -> list[Any]:
    """All rings of a geometry, a feature or a collection of either."""
    if not isinstance(content, dict):
        return []
    kind = content.get("type")
    if kind == "Polygon":
        return list(content.get("coordinates") or [])
    if kind == "MultiPolygon":
        return [ring for one in content.get("coordinates") or [] for ring in one]
    if kind == "Feature":
        return _of_geojson(content.get("geometry"))
    members = content.get("features") or content.get("geometries") or []
    return [ring for member in members for ring in _of_geojson(member)]
