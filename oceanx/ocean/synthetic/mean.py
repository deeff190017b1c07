"""What the ocean is pulled to and carried by: the steady deep flow, the mean sea level, where eddies grow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.special import erf

from oceanx.vocabulary.constants import EARTH_RADIUS, GRAVITY

from .config import Ocean
from .grid import SLOW, Grid

DEGREE = np.radians(1.0) * EARTH_RADIUS  # m

# The deep flow: speed (m/s), half width (degrees), place (fraction of a basin's height, or latitude on the globe).
_STREAMS = ((0.18, 2.5, 0.56, 38.0), (-0.054, 6.0, 0.24, 20.0), (-0.022, 3.0, 0.85, 54.0))


@dataclass(frozen=True)
class Mean:
    """Steady fields: fine with halo, but for `limit`."""

    ub: np.ndarray  # m/s on east faces
    vb: np.ndarray  # on north faces
    deep_ssh: np.ndarray  # m, of the deep flow, centres
    ssh: np.ndarray  # m, what the first mode is relaxed to, centres
    limit: np.ndarray  # (ny, nx) m, the level of eddies at which growth ends


def _jet_latitude(ocean: Ocean, lon: np.ndarray) -> np.ndarray:
    """Latitude of the jet: meandering, and tilted polewards to the east in a basin."""
    south, north = ocean.latitude
    x = (lon - ocean.longitude[0]) / (ocean.longitude[1] - ocean.longitude[0])
    if ocean.periodic:
        return 38 + 2.5 * np.sin(2 * np.pi * 6 * x)
    poleward = x - 0.5 if south >= 0 else 0.5 - x
    place = 0.56 if south >= 0 else 0.44
    return south + (north - south) * (place + 0.035 * np.sin(2 * np.pi * 2 * x + 0.5) + 0.04 * poleward)


def _places(ocean: Ocean) -> list[tuple[float, float, float]]:
    """Speed, half width and latitude of every stream; both hemispheres on the globe."""
    if ocean.periodic:
        return [(u, w, sign * lat) for u, w, _, lat in _STREAMS for sign in (1, -1)]
    south, north = ocean.latitude
    return [(u, w, south + (north - south) * (place if south >= 0 else 1 - place)) for u, w, place, _ in _STREAMS]


def _streamfunction(ocean: Ocean, lat: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """ψ_b with u_b = −∂ψ/∂y, closing smoothly along every coast."""

    def profile(lat: np.ndarray) -> np.ndarray:
        return -sum(u * w * DEGREE * np.sqrt(np.pi) / 2 * erf((lat - place) / w) for u, w, place in _places(ocean))

    offset = profile(np.linspace(*ocean.latitude, 361)).mean()
    return (profile(lat) - offset)[:, None] * np.tanh((_rounded(ocean, distance) / 3.5) ** 1.5)


def _rounded(ocean: Ocean, distance: np.ndarray) -> np.ndarray:
    """Distance to the coast with the corners of its cells smoothed away, over three quarters of a degree."""
    width = 1.5 / ocean.resolution  # fine cells
    return ndimage.gaussian_filter(distance, width, mode=("nearest", "wrap" if ocean.periodic else "nearest"))


def _sea_level(ocean: Ocean, grid: Grid) -> np.ndarray:
    lat, lon = grid.flat[:, None], grid.flon[None, :]
    x = np.clip((lon - ocean.longitude[0]) / (ocean.longitude[1] - ocean.longitude[0]), 0, 1)
    fade = np.ones_like(x) if ocean.periodic else 1 - 0.7 * x
    width = max(1.3, 2 * ocean.resolution)
    jet = _jet_latitude(ocean, lon)
    side = np.abs(lat) if ocean.periodic else lat * np.sign(ocean.latitude[0] + ocean.latitude[1])
    middle = jet if ocean.periodic else jet * np.sign(ocean.latitude[0] + ocean.latitude[1])
    high = 36.0 if ocean.periodic else ocean.latitude[1] - ocean.latitude[0]
    level = -0.5 * 0.28 * fade * np.tanh((side - middle) / width)
    level = level + 0.10 * np.exp(-(((side - middle + 0.19 * high) / (0.15 * high)) ** 2)) * (
        1 - 0.5 * x * (not ocean.periodic)
    )
    level = level - 0.03 * np.exp(-(((side - middle - 0.22 * high) / (0.12 * high)) ** 2))
    level = level - (level * grid.fwet).sum() / grid.fwet.sum()
    return level * (1 - 0.8 * grid.shelf)


def build(ocean: Ocean, grid: Grid) -> Mean:
    """The Mean of an ocean."""
    east, north = grid.open_faces
    psi = _streamfunction(ocean, grid.flat + grid.fine_step / 2, grid.cdistance) * clear_corners(grid)
    ub, vb = np.zeros_like(psi), np.zeros_like(psi)
    ub[1:] = -(psi[1:] - psi[:-1]) / grid.dy
    vb[:, 1:] = (psi[:, 1:] - psi[:, :-1]) / grid.dxv[:, None]
    centre = _streamfunction(ocean, grid.flat, grid.fdistance)
    f = grid.f[:, None]
    x = (grid.lon - ocean.longitude[0]) / (ocean.longitude[1] - ocean.longitude[0])
    side = np.abs(grid.lat[:, None]) if ocean.periodic else grid.lat[:, None]
    level = 0.06 + 0.05 * np.exp(-(((side - _jet_latitude(ocean, grid.lon)) / 4) ** 2)) * (
        1 - x / 2 * (not ocean.periodic)
    )
    calm = f / np.sqrt(f**2 + SLOW**2)  # the deep flow's sea level is f ψ/g, nothing at the equator
    return Mean(
        grid.halo(ub) * east, grid.halo(vb) * north, f * calm**2 * centre / GRAVITY * grid.fwet,
        _sea_level(ocean, grid) * grid.fwet, level,
    )  # fmt: skip


def clear_corners(grid: Grid) -> np.ndarray:
    """1 at north-east corners with water on all four sides, else 0."""
    wet, clear = grid.fwet, np.zeros(grid.fwet.shape)
    clear[:-1, :-1] = wet[:-1, :-1] & wet[1:, :-1] & wet[:-1, 1:] & wet[1:, 1:]
    return grid.halo(clear)
