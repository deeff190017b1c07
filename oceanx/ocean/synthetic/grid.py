"""Where the water is: coasts, depths, and the delivered (coarse) and computed (fine, half as wide) grids.

Every coarse cell is wholly wet or wholly dry, so the mean over the fine cells within it needs no weights. Fine arrays
have one halo cell on every side: the other side's cells where the domain is periodic, land where it is not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from oceanx.vocabulary.constants import EARTH_RADIUS, ROTATION

from .config import Ocean

REFINE = 2
SLOW = 1.5e-5  # s-1: what keeps 1/f finite at the equator, as f/(f² + SLOW²)

# Islands of a basin: place as fractions of its width and height, half axes and tilt in degrees.
_ISLANDS = (
    (0.17, 0.31, 4.6, 0.9, -52.0),  # the peninsula
    (0.30, 0.17, 3.4, 0.7, -14.0),  # across the strait from it
    (0.50, 0.15, 0.8, 0.6, 0.0),
    (0.53, 0.63, 1.1, 0.8, 20.0),
    (0.70, 0.35, 0.8, 0.7, 0.0),
    (0.77, 0.77, 1.6, 0.9, 35.0),
)
# Land of the globe: longitude, latitude, half axes, tilt.
_CONTINENTS = (
    (-100.0, 52.0, 36.0, 21.0, -10.0), (-92.0, 22.0, 22.0, 6.0, -40.0), (-62.0, -15.0, 22.0, 19.0, 0.0),
    (-69.0, -40.0, 18.0, 8.0, -80.0), (-41.0, 72.0, 14.0, 11.0, 0.0), (60.0, 52.0, 66.0, 21.0, 0.0),
    (100.0, 34.0, 24.0, 24.0, 0.0), (10.0, 18.0, 27.0, 16.0, 0.0), (24.0, -10.0, 14.0, 26.0, 0.0),
    (78.0, 18.0, 7.0, 12.0, 0.0), (104.0, 12.0, 5.0, 12.0, 0.0), (134.0, -25.0, 20.0, 11.0, 0.0),
    (114.0, 0.0, 6.0, 5.0, 0.0), (141.0, -5.0, 9.0, 3.5, -15.0), (172.0, -41.0, 3.5, 6.0, -30.0),
    (47.0, -19.0, 3.0, 7.0, -15.0), (138.0, 37.0, 3.0, 7.0, -40.0), (-19.0, 65.0, 4.5, 2.0, 0.0),
)  # fmt: skip


@dataclass(frozen=True)
class Grid:
    """Both grids of an ocean. `f…` are fine arrays with halo, the rest coarse without."""

    periodic: bool
    lat: np.ndarray  # (ny) degrees
    lon: np.ndarray  # (nx)
    wet: np.ndarray  # (ny, nx) bool
    bottom: np.ndarray  # (ny, nx) m, 0 on land
    distance: np.ndarray  # (ny, nx) degrees to the coast
    flat: np.ndarray  # (2ny+2) fine latitudes with halo
    flon: np.ndarray
    fwet: np.ndarray  # (2ny+2, 2nx+2) bool
    fdistance: np.ndarray  # degrees to the coast, at centres
    cdistance: np.ndarray  # the same at north-east corners
    shelf: np.ndarray  # 0 … 1 at fine centres
    dy: float  # m, fine
    dx: np.ndarray  # (2ny+2) m, fine, through centres
    dxv: np.ndarray  # through north faces

    @property
    def f(self) -> np.ndarray:
        """Coriolis parameter at fine centres, (2ny+2)."""
        return 2 * ROTATION * np.sin(np.radians(self.flat))

    @property
    def fcorner(self) -> np.ndarray:
        """Coriolis parameter at fine north faces and corners, (2ny+2)."""
        return 2 * ROTATION * np.sin(np.radians(self.flat + self.fine_step / 2))

    @property
    def fine_step(self) -> float:
        """Width of a fine cell in degrees."""
        return float(self.flat[1] - self.flat[0])

    @property
    def open_faces(self) -> tuple[np.ndarray, np.ndarray]:
        """Fine east and north faces with water on both sides, bool."""
        east, north = np.zeros_like(self.fwet), np.zeros_like(self.fwet)
        east[:, :-1] = self.fwet[:, :-1] & self.fwet[:, 1:]
        north[:-1] = self.fwet[:-1] & self.fwet[1:]
        return self.halo(east), self.halo(north)

    def halo(self, a: np.ndarray) -> np.ndarray:
        """`a` with its halo columns set from the other side, if the domain is periodic."""
        if self.periodic:
            a[..., 0], a[..., -1] = a[..., -2], a[..., 1]
        return a

    def coarse(self, fine: np.ndarray) -> np.ndarray:
        """Mean over the fine cells of each coarse cell, (…, ny, nx)."""
        inner = fine[..., 1:-1, 1:-1]
        rows = inner[..., 0::2, :] + inner[..., 1::2, :]
        return (rows[..., 0::2] + rows[..., 1::2]) * np.float32(0.25)

    def fine(self, coarse: np.ndarray) -> np.ndarray:
        """Bilinear interpolation to the fine cells, with halo, (…, 2ny+2, 2nx+2); the same all along an edge."""
        padded = np.concatenate([coarse[..., :1, :], coarse, coarse[..., -1:, :]], axis=-2)
        left, right = (-1, 0) if self.periodic else (0, -1)
        padded = np.concatenate([padded[..., left, None], padded, padded[..., right, None]], axis=-1)
        return _halves(_halves(padded, -1), -2)  # the strided direction first, while it is small


def _halves(a: np.ndarray, axis: int) -> np.ndarray:
    """Interpolation to the quarter points between neighbours along an axis: 2(n−1) values from n."""
    a = np.moveaxis(a, axis, -1)
    result = np.empty((*a.shape[:-1], 2 * a.shape[-1] - 2), np.float32)
    near, far = np.float32(0.75), np.float32(0.25)
    result[..., 0::2] = near * a[..., :-1] + far * a[..., 1:]
    result[..., 1::2] = far * a[..., :-1] + near * a[..., 1:]
    return np.moveaxis(result, -1, axis)


def build(ocean: Ocean) -> Grid:
    """The Grid of an ocean."""
    (ny, nx), step = ocean.shape, ocean.resolution
    lat = ocean.latitude[0] + step * (np.arange(ny) + 0.5)
    lon = ocean.longitude[0] + step * (np.arange(nx) + 0.5)
    wet = _largest(~(_globe if ocean.periodic else _basin)(ocean, lat[:, None], lon[None, :]), ocean.periodic)
    half = step / REFINE
    flat = ocean.latitude[0] + half * (np.arange(REFINE * ny + 2) - 0.5)
    flon = ocean.longitude[0] + half * (np.arange(REFINE * nx + 2) - 0.5)
    fwet = np.zeros((flat.size, flon.size), bool)
    fwet[1:-1, 1:-1] = wet.repeat(REFINE, 0).repeat(REFINE, 1)
    if ocean.periodic:
        fwet[:, 0], fwet[:, -1] = fwet[:, -2], fwet[:, 1]
    coast = _distance(flat, flon, ~fwet, half / 2)
    distance = np.where(wet, coast(lat, lon), 0.0)
    fdistance = coast(flat, flon)
    bottom = np.where(wet, _depth(ocean, distance, lon), 0.0)
    dx = np.maximum(np.cos(np.radians(flat)), 0.02) * np.radians(half) * EARTH_RADIUS
    dxv = np.maximum(np.cos(np.radians(flat + half / 2)), 0.02) * np.radians(half) * EARTH_RADIUS
    return Grid(
        ocean.periodic, lat, lon, wet, bottom, distance, flat, flon, fwet, fdistance,
        coast(flat + half / 2, flon + half / 2), np.clip((600 - _depth(ocean, fdistance, flon)) / 400, 0, 1),
        np.radians(half) * EARTH_RADIUS, dx, dxv,
    )  # fmt: skip


def _ellipse(lat: np.ndarray, lon: np.ndarray, x: float, y: float, a: float, b: float, tilt: float) -> np.ndarray:
    across, up = (lon - x + 180) % 360 - 180, lat - y
    c, s = np.cos(np.radians(tilt)), np.sin(np.radians(tilt))
    return ((c * across + s * up) / a) ** 2 + ((c * up - s * across) / b) ** 2 < 1


def _basin(ocean: Ocean, lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    """Land: two coasts of two sines each, walls at north and south, islands."""
    (south, north), (west, east) = ocean.latitude, ocean.longitude
    wide, high = east - west, north - south
    s = 2 * np.pi * (lat - south) / high
    left = west + wide * (0.100 + 0.050 * np.sin(0.9 * s + 0.4) + 0.018 * np.sin(2.3 * s + 1.0))
    right = east - wide * (0.072 + 0.036 * np.sin(0.8 * s + 2.2) + 0.014 * np.sin(2.1 * s))
    wall = min(0.6, 0.1 * high)
    land = (lon < left) | (lon > right) | (lat < south + wall) | (lat > north - wall)
    for x, y, a, b, tilt in _ISLANDS:
        land |= _ellipse(lat, lon, west + x * wide, south + y * high, a, b, tilt)
    # The outermost ring is always land, however coarse the grid.
    land[[0, -1]] = True
    land[:, [0, -1]] = True
    return land


def _globe(ocean: Ocean, lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    """Land: a polar cap at either end and the continents."""
    ice = -70 + 4 * np.sin(np.radians(2 * lon + 40)) + 3 * np.sin(np.radians(3 * lon))
    land = (lat < ice) | (lat > 80) | (lat < -80)
    for continent in _CONTINENTS:
        land = land | _ellipse(lat, lon, *continent)
    return land


def _largest(wet: np.ndarray, periodic: bool) -> np.ndarray:
    """The largest connected body of water; lakes become land."""
    labels, _ = ndimage.label(np.concatenate([wet, wet], axis=1) if periodic else wet)
    sea = labels == np.bincount(labels[labels > 0]).argmax()
    return sea[:, : wet.shape[1]] | sea[:, -wet.shape[1] :]


def _sphere(lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    lat, lon = np.radians(lat), np.radians(lon)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)


def _distance(lat: np.ndarray, lon: np.ndarray, land: np.ndarray, half: float) -> Callable[..., np.ndarray]:
    """A function to the great-circle distance in degrees from the nearest land cell's edge."""
    shore = land & ndimage.binary_dilation(~land, np.ones((3, 3)))
    tree = cKDTree(_sphere(*(axis[shore] for axis in np.meshgrid(lat, lon, indexing="ij"))))

    def to(lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
        chord, _ = tree.query(_sphere(*np.meshgrid(lat, lon, indexing="ij")))
        return np.maximum(np.degrees(2 * np.arcsin(np.clip(chord / 2, 0, 1))) - half, 0)

    return to


def _depth(ocean: Ocean, d: np.ndarray, lon: np.ndarray) -> np.ndarray:
    """Sea floor depth: a shelf, wider in the west, then a slope."""
    west = np.clip(1 - (lon - ocean.longitude[0]) / (ocean.longitude[1] - ocean.longitude[0]), 0, 1)
    width = np.broadcast_to(np.where(ocean.periodic, 0.8, 0.4 + 0.7 * west**3), d.shape)
    return np.where(d < width, 60 + 120 * d / width, 180 + 3900 * (1 - np.exp(-(d - width).clip(0) / 0.7)))
