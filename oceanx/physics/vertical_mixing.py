"""Vertical mixing, implicit: a column's exchange through the bottom faces of its cells, stable for any step.

With h the thickness of a layer, Δ the distance between the centres of two and G_k what passes down through the bottom
face of layer k in one step Δt,

    x'_k = x_k + (G_{k−1} − G_k) / h_k        G_k = Δt κ_k (x°_k − x°_{k+1}) / Δ_k        x° = θ x' + (1 − θ) x

What is solved for is G, so that what leaves a layer enters the next to round-off even where a layer is mixed in one
step many times over, and a uniform column stays exactly as it is. θ = 1 is backward Euler: no new extremes, any step.

How strongly a column mixes is in `vertical_coefficients`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from oceanx.tensors.geometry import above, below
from oceanx.tensors.tridiagonal import DEPTH, solve


def implicit_mixing(
    field: Tensor,
    kappa_z: Tensor | float,
    thickness: Tensor,
    mask_z: Tensor,
    seconds: float | Tensor,
    surface_flux: Tensor | None = None,
    bottom_drag: Tensor | float | None = None,
    implicitness: float = 1.0,
) -> Tensor:
    """The field after `seconds` of vertical mixing, in its own unit.

    Parameters
    ----------
    field
        `[…, depth, lat, lon]`: a tracer at centres, a velocity on its faces, or several stacked in front.
    kappa_z
        m2 s-1 through bottom faces; ≥ 0.
    thickness
        Of the layers where the field stands (m).
    mask_z
        Which bottom faces are open where the field stands: the geometry's for tracers, `bottom_faces(mask_x)` for
        velocity on east faces.
    surface_flux
        Into the top layer, unit × m s-1, positive downward, depth 1: heat / (ρ cp), or stress / ρ. 0 on land.
    bottom_drag
        r in m s-1: the sea floor takes r x' out of the lowest layer. For velocities; ≥ 0.
    implicitness
        θ: 1 backward Euler, first order in time; ½ Crank–Nicolson, second order, which may overshoot.
    """
    deep = torch.where(thickness > 0, thickness, torch.ones_like(thickness))  # land may have layers of no thickness
    # How much passes down per unit of difference, in m: between two layers, or between the last one and the sea floor.
    pull = seconds * mask_z * kappa_z / (0.5 * (deep + below(deep)))
    if bottom_drag is not None:
        pull = pull + seconds * bottom_drag * (1 - mask_z)
    open_above = torch.cat((torch.zeros_like(mask_z.narrow(DEPTH, 0, 1)), _upper(mask_z)), DEPTH)
    gained, lost = implicitness * pull / deep, implicitness * pull * mask_z / below(deep)
    right = pull * (field - mask_z * below(field))
    entering = None if surface_flux is None else seconds * surface_flux
    if entering is not None:
        right = _with_top(right, gained.narrow(DEPTH, 0, 1) * entering)
    passed = solve(-gained * open_above, 1 + gained + lost, -lost, right)
    change = open_above * above(passed) - passed
    return field + (change if entering is None else _with_top(change, entering)) / deep


def bottom_faces(mask: Tensor) -> Tensor:
    """Which bottom faces are open, 1 or 0, of wet cells or open faces: those with water above and below."""
    following = mask.narrow(DEPTH, 1, mask.shape[DEPTH] - 1)
    return torch.cat((_upper(mask) * following, torch.zeros_like(mask.narrow(DEPTH, 0, 1))), DEPTH)


def _upper(field: Tensor) -> Tensor:
    """All levels but the last."""
    return field.narrow(DEPTH, 0, field.shape[DEPTH] - 1)


def _with_top(field: Tensor, more: Tensor) -> Tensor:
    """The field with something added to its top level."""
    rest = field.narrow(DEPTH, 1, field.shape[DEPTH] - 1)
    return torch.cat((field.narrow(DEPTH, 0, 1) + more, rest), DEPTH)
