"""Exchange: upwind transport and mixing by a flow that stays the same, as shares of a cell's water replaced a second.

Through an open face a cell of volume V receives its neighbour's water by inflow U and by mixing K = κ A/d. With
transport's rule that the flow's own divergence is taken out, only what comes in counts, and

    ∂T/∂t = Σ_f a_f (T_f − T)        a_f = (U_f + K_f) / V ≥ 0

is `transport` with `upwind` and `mixing.diffusion` together, to round-off. The shares a_f are made once for as many
steps and tracers as the flow serves, and each of these then reads only its tracer, its neighbours and the shares.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from oceanx.tensors.geometry import Geometry, above, below, east, north, south, west

from .transport import Flux


class Exchange(NamedTuple):
    """How much of each cell's water comes from either neighbour a second (s-1)."""

    east: Tensor
    west: Tensor
    north: Tensor
    south: Tensor
    below: Tensor | None = None
    above: Tensor | None = None


def exchange(flow: Flux, kappa: Flux, geometry: Geometry, share: Tensor | None = None) -> Exchange:
    """The shares that a flow and horizontal mixing replace (s-1).

    Parameters
    ----------
    flow
        m3 s-1, zero through closed faces; with `z`, vertical inflow counts too.
    kappa
        On faces, m2 s-1.
    share
        Of the flow, that each cell can bear (see `explicit_limit`).
    """
    g = geometry
    part = 1 / (g.area * g.thickness)
    across = kappa.x * (g.length_x / g.spacing_x) * g.thickness
    along = kappa.y * (g.length_y / g.spacing_y) * g.thickness
    # Neighbours of what is stored, not of what is computed: a compiler then computes everything once.
    held_east, held_west, held_north, held_south = _held(share, (east, west, north, south))
    shares = Exchange(
        east=part * (held_east * (-flow.x).clamp(min=0) + across * g.mask_x),
        west=part * (held_west * west(flow.x).clamp(min=0) + west(across) * west(g.mask_x)),
        north=part * (held_north * (-flow.y).clamp(min=0) + along * g.mask_y),
        south=part * (held_south * south(flow.y).clamp(min=0) + south(along) * south(g.mask_y)),
    )
    if flow.z is None:
        return shares
    held_below, held_above = _held(share, (below, above))
    return shares._replace(
        below=part * held_below * flow.z.clamp(min=0), above=part * held_above * (-above(flow.z)).clamp(min=0)
    )


def exchanged(tracer: Tensor, shares: Exchange) -> Tensor:
    """The tracer's change per second."""
    change = (
        shares.east * (east(tracer) - tracer)
        + shares.west * (west(tracer) - tracer)
        + shares.north * (north(tracer) - tracer)
        + shares.south * (south(tracer) - tracer)
    )
    if shares.below is None or shares.above is None:
        return change
    return change + shares.below * (below(tracer) - tracer) + shares.above * (above(tracer) - tracer)


def _held(share: Tensor | None, neighbours: Sequence[Callable[[Tensor], Tensor]]) -> list[Tensor | float]:
    """Of the flow between a cell and each neighbour, the part that both can bear."""
    return [1.0 if share is None else torch.minimum(share, neighbour(share)) for neighbour in neighbours]
