"""How much explicit Adams–Bashforth steps can bear, and less flow and mixing where that would be exceeded.

In one step Δt a share of a cell's water is replaced through its faces, by flow (inflow U) and mixing (K = κ A/d):

    Δt (Σ_f U_f + Σ_f K_f) / V  ≤  1 / (2 (1 + ε))

is what the scheme bears: with first-order upwind fluxes the eigenvalues of a step then lie in the disc that touches 0
and −1/(1+ε), and all of that disc is stable. The limit is met where meridians converge, hardly elsewhere: at 2 h and
0.5°, within 3° of the pole with κ = 100 m2 s-1.
"""

from __future__ import annotations

import torch
from torch import Tensor

from oceanx.tensors.geometry import Cells, Geometry, below, east, north, south, west

from .courant import advection_rate
from .transport import Flux

_EACH = 1 / 6  # of the limit: what mixing may take through one face, so that two leave two thirds for the flow


def bearable(seconds: Tensor | float, epsilon: float) -> Tensor | float:
    """How many times a second a cell's water may be replaced (s-1)."""
    return 1 / (2 * (1 + epsilon) * seconds)


def bounded_mixing(kappa: Tensor | float, geometry: Geometry, most: Tensor | float) -> Flux:
    """κ on faces (m2 s-1), smaller where a face would pass more than a sixth of `most` times a neighbour's volume.

    Parameters
    ----------
    kappa
        m2 s-1: one value.
    most
        Of `bearable`, s-1.
    """
    across = torch.minimum(geometry.area, east(geometry.area)) * geometry.spacing_x / geometry.length_x
    along = torch.minimum(geometry.area, north(geometry.area)) * geometry.spacing_y / geometry.length_y
    return Flux(*(torch.minimum(most * _EACH * each, each.new_ones(()) * kappa) for each in (across, along)))


def mixing_rate(kappa: Flux, geometry: Geometry) -> Tensor:
    """How many times a second mixing replaces a cell's water (s-1): Σ_f κ A / (d V), at most: were all faces open."""
    x = kappa.x * geometry.length_x / geometry.spacing_x
    y = kappa.y * geometry.length_y / geometry.spacing_y
    return (x + west(x) + y + south(y)) / geometry.area


def bounded_share(flow: Flux, cells: Cells, allowed: Tensor | float) -> Tensor:
    """How much of the flow each cell can bear: 1, or less where too much would pass through it.

    Parameters
    ----------
    flow
        m3 s-1, zero through closed faces.
    allowed
        How many times a second each cell's volume may pass through it (s-1); positive.
    """
    rate = advection_rate(flow.x, flow.y, cells.volume, flow.z)
    return allowed / torch.maximum(rate, rate.new_ones(()) * allowed)


def bounded_flow(flow: Flux, share: Tensor) -> Flux:
    """The volume fluxes (m3 s-1), on every face the smaller share of its two cells.

    What leaves one cell still enters its neighbour. Where both shares are 1 nothing is changed.
    """
    return Flux(
        flow.x * torch.minimum(share, east(share)),
        flow.y * torch.minimum(share, north(share)),
        None if flow.z is None else flow.z * torch.minimum(share, below(share)),
    )
