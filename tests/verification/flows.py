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


def sphere(degrees: float, south: float = -90.0, north: float = 90.0) -> Geometry:
    """A layer of water 1 m thick round the Earth, its edges closed."""
    nlat, nlon = round((north - south) / degrees), round(360 / degrees)
    lat, lon = torch.linspace(south, north, nlat + 1).double(), torch.linspace(-180.0, 180.0, nlon + 1).double()
    return Geometry(
        lat, lon, torch.ones(1), torch.ones(1), torch.ones(1, nlat, nlon), periodic=True, dtype=torch.float64
    )


def box(length: float, cells: tuple[int, int], periodic: tuple[bool, bool] = (False, False)) -> Geometry:
    """A plane `length` on each side, 1 m deep, of `cells` (rows, columns)."""
    y, x = (torch.linspace(0, length, n + 1).double() for n in cells)
    return Geometry.plane(y, x, torch.ones(1), torch.ones(1), torch.ones(1, *cells), periodic, dtype=torch.float64)


def column(edges: Tensor, columns: int, length: float) -> Geometry:
    """A vertical slice, one row of `columns` over `length` m, its levels between `edges` (m, downwards)."""
    y, x = torch.tensor([0.0, 1.0]).double(), torch.linspace(0, length, columns + 1).double()
    wet = torch.ones(len(edges) - 1, 1, columns)
    return Geometry.plane(y, x, (edges[1:] + edges[:-1]) / 2, edges.diff(), wet, dtype=torch.float64)


def of_stream(psi: Tensor, geometry: Geometry) -> Flux:
    """The flow along lines of a stream function (m3 s-1) given on all corners, one more each way than cells."""
    flux_x, flux_y = psi[:-1, 1:] - psi[1:, 1:], psi[1:, 1:] - psi[1:, :-1]
    return Flux((flux_x * geometry.mask_x)[None], (flux_y * geometry.mask_y)[None])


def corners(geometry: Geometry) -> tuple[Tensor, Tensor]:
    """Latitude and longitude (radians) of the corners of `sphere`."""
    nlat, nlon = geometry.area.shape
    span = math.pi / 2 if nlat * 2 == nlon else math.pi * nlat / nlon
    return torch.linspace(-span, span, nlat + 1).double()[:, None], torch.linspace(
        -math.pi, math.pi, nlon + 1
    ).double()[None]


def rotated(phi: Tensor, lam: Tensor, tilt: float) -> Tensor:
    """The sine of the latitude about an axis tilted by so many radians."""
    return phi.sin() * math.cos(tilt) - lam.cos() * phi.cos() * math.sin(tilt)


def distance(geometry: Geometry, longitude: float) -> Tensor:
    """How far (radians) each cell is from a point on the equator."""
    phi, lam = torch.deg2rad(geometry.latitude)[:, None], torch.deg2rad(geometry.longitude)[None]
    return (phi.cos() * (lam - longitude).cos()).clamp(-1, 1).acos()[None, None]


def busiest(flow: Flux, cells: Cells) -> float:
    """The volumes of itself that the busiest cell exchanges in a second: the step 1 / busiest keeps bounds."""
    through = sum(abs(f) + abs(back(f)) for f, back in zip(flow, (west, south, above), strict=True) if f is not None)
    return (through / cells.volume).max().item()


def carried(
    tracer: Tensor, flow: Callable[[float], Flux] | Flux, cells: Cells, scheme: str, seconds: float, steps: int
) -> Tensor:
    """The tracer after so many seconds and steps; `flow` may be a function of time, and the state then holds a clock."""

    def dynamics(state: State) -> Tendency:
        now = flow if isinstance(flow, Flux) else flow(state["clock"].item())
        return Tendency({"tracer": transport(state["tracer"], now, cells, scheme), "clock": torch.ones(1, 1, 1, 1)})

    start = State({"tracer": tracer, "clock": torch.zeros(1, 1, 1, 1).double()})
    return repeat(ssprk3, dynamics, start, seconds, steps)["tracer"]


def error(field: Tensor, exact: Tensor, weight: Tensor) -> float:
    """The relative error in the root of the mean square."""
    return (((field - exact) ** 2 * weight).sum() / (exact**2 * weight).sum()).sqrt().item()


def order(errors: list[float], ratio: float = 2.0) -> float:
    """The order of accuracy between the two finest grids."""
    return math.log(errors[-2] / errors[-1], ratio)


REVOLUTION = 12 * 86400.0
SPEED = 2 * math.pi * EARTH_RADIUS / REVOLUTION


def rotation(geometry: Geometry, tilt: float, band: float) -> Flux:
    """Solid rotation in 12 days about an axis tilted by `tilt`, within `band` of its own equator (all in radians); the
    rest is still, so that nothing meets the closed poles."""
    phi, lam = corners(geometry)
    edge = math.sin(band)
    return of_stream(-EARTH_RADIUS * SPEED * rotated(phi, lam, tilt).clamp(-edge, edge), geometry)
