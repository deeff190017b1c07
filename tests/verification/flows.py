"""Grids, flows and errors that the tracer cases share. Everything in double precision."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from oceanx.physics.transport import Flux, transport
from oceanx.tensors.geometry import Cells, Geometry, above, south, west
from oceanx.tensors.integrate import repeat, ssprk3
from oceanx.tensors.state import State, Tendency
from oceanx.vocabulary.constants import EARTH_RADIUS


def edges(start: float, end: float, cells: int) -> Tensor:
    """Equally spaced cell edges."""
    return torch.linspace(start, end, cells + 1, dtype=torch.float64)


def belt(degrees: float, north: float = 90.0) -> Geometry:
    """A layer of water 1 m thick round the Earth, between walls (or closed poles) at both latitudes ±`north`."""
    lat, lon = edges(-north, north, round(2 * north / degrees)), edges(-180, 180, round(360 / degrees))
    wet = torch.ones(1, len(lat) - 1, len(lon) - 1)
    return Geometry(lat, lon, torch.ones(1), torch.ones(1), wet, periodic=True, dtype=torch.float64)


def square(cells: int) -> Geometry:
    """A closed square of 1 m, 1 m deep."""
    side = edges(0, 1, cells)
    return Geometry.plane(side, side, torch.ones(1), torch.ones(1), torch.ones(1, cells, cells), dtype=torch.float64)


def ring(cells: int) -> Geometry:
    """One row of cells, 1 m round."""
    wet = torch.ones(1, 1, cells)
    return Geometry.plane(
        edges(0, 1, 1), edges(0, 1, cells), torch.ones(1), torch.ones(1), wet, (True, False), dtype=torch.float64
    )


def slice_of(levels: Tensor, columns: int, length: float) -> Geometry:
    """A vertical slice, one row of `columns` over `length` m, with these edges of levels (m, downwards)."""
    wet = torch.ones(len(levels) - 1, 1, columns)
    return Geometry.plane(
        edges(0, 1, 1),
        edges(0, length, columns),
        (levels[1:] + levels[:-1]) / 2,
        levels.diff(),
        wet,
        dtype=torch.float64,
    )


def along_lines_of(psi: Tensor, geometry: Geometry) -> Flux:
    """The flow along the lines of a stream function (m3 s-1) given on all corners, one more each way than cells."""
    flux_x, flux_y = psi[:-1, 1:] - psi[1:, 1:], psi[1:, 1:] - psi[1:, :-1]
    return Flux((flux_x * geometry.mask_x)[None], (flux_y * geometry.mask_y)[None])


def rotation(geometry: Geometry, north: float, tilt: float, band: float, seconds: float) -> Flux:
    """A solid body's rotation about an axis tilted by `tilt`, within `band` of its own equator; the rest is still.

    Angles in degrees. The geometry is a `belt` up to `north`.
    """
    nlat, nlon = geometry.area.shape
    phi, lam = torch.deg2rad(edges(-north, north, nlat))[:, None], torch.deg2rad(edges(-180, 180, nlon))
    tilt, edge = math.radians(tilt), math.sin(math.radians(band))
    latitude = phi.sin() * math.cos(tilt) - lam.cos() * phi.cos() * math.sin(tilt)
    return along_lines_of(-2 * math.pi / seconds * EARTH_RADIUS**2 * latitude.clamp(-edge, edge), geometry)


def distance(geometry: Geometry, longitude: float) -> Tensor:
    """How far (radians) each cell is from a point on the equator."""
    phi, lam = torch.deg2rad(geometry.latitude)[:, None], torch.deg2rad(geometry.longitude - longitude)
    return (phi.cos() * lam.cos()).clamp(-1, 1).acos()[None, None]


def bell(distance: Tensor, radius: float) -> Tensor:
    """A hill of height 1, the square of a cosine bell: its first three derivatives are continuous."""
    return torch.where(distance < radius, 0.25 * (1 + (math.pi * distance / radius).cos()) ** 2, 0.0)


def longest(flow: Flux, cells: Cells, scheme: str) -> float:
    """A step (s) in which, with `upwind` or `limited`, no cell exchanges more than 0.9 of its water; with other schemes
    twice that, half of what three-stage Runge–Kutta would bear."""
    backs = (west, south, above)
    through = sum(abs(face) + abs(back(face)) for face, back in zip(flow, backs, strict=True) if face is not None)
    share = 0.9 if scheme in ("upwind", "limited") else 1.8
    return share / (through / cells.volume).max().item()


def steps(seconds: float, flow: Flux, cells: Cells, scheme: str) -> int:
    """How many steps of at most the longest make so many seconds."""
    return math.ceil(seconds / longest(flow, cells, scheme))


def carried(
    tracer: Tensor,
    flow: Flux,
    cells: Cells,
    scheme: str,
    seconds: float,
    times: int,
    strength: Callable[[float], float] = lambda seconds: 1.0,
) -> Tensor:
    """The tracer after so many seconds and SSP-RK3 steps; the flow's strength may vary, so the state holds a clock."""

    def dynamics(state: State) -> Tendency:
        now = flow.map(lambda face: face * strength(state["clock"].item()))
        return Tendency({"tracer": transport(state["tracer"], now, cells, scheme), "clock": torch.ones(1)})

    start = State({"tracer": tracer, "clock": torch.zeros(1, dtype=torch.float64)})
    return repeat(ssprk3, dynamics, start, seconds, times)["tracer"]


def error(field: Tensor, exact: Tensor, cells: Cells) -> float:
    """The relative error in the root of the mean square."""
    return (((field - exact) ** 2 * cells.volume).sum() / (exact**2 * cells.volume).sum()).sqrt().item()


def order(coarse: float, fine: float) -> float:
    """The order of accuracy between a grid and one of twice its cells."""
    return math.log2(coarse / fine)
