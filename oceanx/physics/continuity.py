"""Continuity: layers that breathe with the sea surface, volume through their faces, and the vertical flow that follows.

Layers share the sea surface in proportion to their thickness (z*): with the column's depth at rest H,

    h = Δz (1 + η/H)        A ∂h/∂t = −∇·U − δW + A δ(F)

U is the volume through the sides, W through top and bottom, F the water that falls on the surface. Summed over a
column, A ∂η/∂t = −∇·ΣU + A F; W is what remains for every layer to keep its share.

References
----------
Adcroft & Campin (2004), Ocean Modelling 7, 269, doi:10.1016/j.ocemod.2003.09.003.
"""

from __future__ import annotations

import torch
from torch import Tensor

from oceanx.tensors.geometry import Geometry, below
from oceanx.tensors.operators import mean_x, mean_y, outflow


def stretch(zos: Tensor, geometry: Geometry) -> Tensor:
    """By which factor each column's layers are thicker than at rest: 1 + η/H; 1 on land."""
    return 1 + zos * per_depth(geometry.bottom_depth)


def per_depth(depth: Tensor) -> Tensor:
    """1 / depth (m-1); 0 where there is none."""
    return torch.where(depth > 0, 1 / depth.clamp(min=1e-6), torch.zeros_like(depth))


def layer_thickness(zos: Tensor, geometry: Geometry) -> tuple[Tensor, Tensor, Tensor]:
    """Thickness (m) of the layers at cells, at east faces and at north faces; positive on land too."""
    factor = stretch(zos, geometry)
    return (
        geometry.thickness * factor,
        geometry.thickness * mean_x(factor),
        geometry.thickness * mean_y(factor),
    )


def vertical_flux(flux_x: Tensor, flux_y: Tensor, swelling: Tensor, geometry: Geometry) -> Tensor:
    """Volume upward through each bottom face (m3 s-1), of the volume through the sides and each cell's own growth.

    From the sea floor up, W(above) = W(below) − ∇·U − ∂V/∂t.

    Parameters
    ----------
    flux_x, flux_y
        Volume through the east and north faces, m3 s-1.
    swelling
        ∂V/∂t of each cell, m3 s-1.
    """
    excess = (outflow(flux_x, flux_y) + swelling) * geometry.mask
    beneath = excess.flip(-3).cumsum(-3).flip(-3)  # all that the cells from here down give away
    return -below(beneath) * geometry.mask_z


def depth_mean_x(field_x: Tensor, geometry: Geometry) -> Tensor:
    """Values on east faces averaged over the open column; 0 where it is closed."""
    return _depth_mean(field_x, geometry.thickness * geometry.mask_x)


def depth_mean_y(field_y: Tensor, geometry: Geometry) -> Tensor:
    """Values on north faces averaged over the open column; 0 where it is closed."""
    return _depth_mean(field_y, geometry.thickness * geometry.mask_y)


def _depth_mean(field: Tensor, weight: Tensor) -> Tensor:
    total = weight.sum(-3, keepdim=True)
    return (field * weight).sum(-3, keepdim=True) / torch.where(total > 0, total, torch.ones_like(total))
