"""Transport of tracers by a flow: volume fluxes, tracer fluxes, and their divergence.

In a cell of volume V, with U the volume fluxes through its faces and T_f the tracer on them,

    ∂(VT)/∂t = −Σ_f U_f T_f        ∂V/∂t = −Σ_f U_f        ⇒        ∂T/∂t = −[Σ_f U_f T_f − T Σ_f U_f] / V

so what leaves one cell enters its neighbour (V∂T/∂t + T∂V/∂t sums to zero over the ocean to round-off), and a uniform
tracer stays uniform under any flow. No flux crosses a coast.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from oceanx.tensors.geometry import Cells, Geometry, east, north, south, west
from oceanx.tensors.operators import mean_x, mean_y, outflow


class Flux(NamedTuple):
    """What passes through the east (`x`) and north (`y`) faces of every cell, per second."""

    x: Tensor
    y: Tensor


def volume_flux(u: Tensor, v: Tensor, geometry: Geometry) -> Flux:
    """Volume through each face (m3 s-1) of a flow given at cell centres (m s-1)."""
    return Flux(
        mean_x(u) * (geometry.length_x * geometry.thickness * geometry.mask_x),
        mean_y(v) * (geometry.length_y * geometry.thickness * geometry.mask_y),
    )


def upwind_flux(tracer: Tensor, volume: Flux, cells: Cells) -> Flux:
    """Tracer through each face with the value of the cell the water comes from: first order, monotone.

    References
    ----------
    Courant, Isaacson & Rees (1952), Commun. Pure Appl. Math. 5, 243, doi:10.1002/cpa.3160050303.
    """
    return Flux(
        torch.where(volume.x > 0, tracer, east(tracer)) * volume.x,
        torch.where(volume.y > 0, tracer, north(tracer)) * volume.y,
    )


def limited_flux(tracer: Tensor, volume: Flux, cells: Cells) -> Flux:
    """Tracer through each face with a limited linear profile in the upwind cell: second order where smooth.

    Slopes are the monotonised central ones of van Leer, zero next to land.

    References
    ----------
    van Leer (1977), J. Comput. Phys. 23, 276, doi:10.1016/0021-9991(77)90095-X.
    """
    step_x = (east(tracer) - tracer) * cells.open_x
    step_y = (north(tracer) - tracer) * cells.open_y
    half_x = 0.5 * _monotonised(west(step_x), step_x)
    half_y = 0.5 * _monotonised(south(step_y), step_y)
    return Flux(
        torch.where(volume.x > 0, tracer + half_x, east(tracer - half_x)) * volume.x,
        torch.where(volume.y > 0, tracer + half_y, north(tracer - half_y)) * volume.y,
    )


FLUXES = {"upwind": upwind_flux, "limited": limited_flux}


def transport(tracer: Tensor, volume: Flux, cells: Cells, scheme: str = "limited") -> Tensor:
    """The tracer's change per second by transport: minus the divergence of its flux, the flow's own taken out.

    Parameters
    ----------
    tracer
        `[batch, depth, lat, lon]`, in any unit.
    volume
        Of `volume_flux`, or its sum over depth.
    cells
        The geometry's `layers`, or its `columns` where `volume` is a sum over depth.
    scheme
        `upwind` or `limited`.
    """
    flux = FLUXES[scheme](tracer, volume, cells)
    return -(outflow(*flux) - tracer * outflow(*volume)) / cells.volume


def _monotonised(behind: Tensor, ahead: Tensor) -> Tensor:
    """The central slope, no steeper than twice either neighbour's and zero at an extremum."""
    bound = 2 * torch.minimum(behind.abs(), ahead.abs())
    central = 0.5 * (behind + ahead)
    slope = torch.minimum(central.abs(), bound) * central.sign()
    return torch.where(behind * ahead > 0, slope, torch.zeros_like(slope))
