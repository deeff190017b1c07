"""Pressure and the push of its gradient: hydrostatic, with layers that breathe with the sea surface (z*).

With η the sea surface, H the depth of the column and ρ' the density anomaly, pressure less that of resting standard
water is

    p/ρ₀ = g η + (g/ρ₀) ∫ ρ' dz,  from z up to η

The first part is the surface's, for the fast waves; the second is baroclinic. A level at mean depth d is found at
z = −d + η (1 − d/H), so along a level

    (∂p/∂x)_z = (∂p/∂x)_level + g ρ' (∂z/∂x)_level
"""

from __future__ import annotations

import torch
from torch import Tensor

from oceanx.tensors.geometry import Geometry, above
from oceanx.tensors.operators import Vector, mean_x, mean_y, step_x, step_y
from oceanx.vocabulary.constants import GRAVITY, REFERENCE_DENSITY


def hydrostatic(
    anomaly: Tensor, thickness: Tensor, gravity: float = GRAVITY, reference: float = REFERENCE_DENSITY
) -> Tensor:
    """Baroclinic pressure over reference density (m2 s-2) at cell centres, 0 at the sea surface.

    From centre to centre by the trapezoid rule, exact where density is linear in depth; half the first layer has its
    own density.

    Parameters
    ----------
    anomaly
        Of density, `[batch, depth, lat, lon]`, kg m-3.
    thickness
        Of the layers as they are, in m: `geometry.thickness`, or what the surface makes of it.
    """
    first = 0.5 * (anomaly * thickness)[..., :1, :, :]
    further = 0.25 * (anomaly + above(anomaly)) * (thickness + above(thickness))
    return (gravity / reference) * torch.cat((first, further[..., 1:, :, :]), dim=-3).cumsum(dim=-3)


def pressure_gradient(
    anomaly: Tensor, zos: Tensor, geometry: Geometry, gravity: float = GRAVITY, reference: float = REFERENCE_DENSITY
) -> Vector:
    """Acceleration by the baroclinic pressure gradient, on faces (m s-2): −(1/ρ₀) ∇p at constant depth.

    Where density depends on depth alone and the surface is flat it is exactly zero, whatever the sea floor. Under a
    sloping surface the error, beside g ∇η, is some ρ″ Δz²/(8 ρ₀), primes being derivatives in depth; where density is
    linear in depth there is only ρ′ Δz²/(4 H ρ₀), of the first half layer. Either is some 1e-5.

    Parameters
    ----------
    anomaly
        Of density at cell centres, `[batch, depth, lat, lon]`, kg m-3.
    zos
        Sea surface height, `[batch, 1, lat, lon]`, m.
    """
    depth = torch.where(geometry.bottom_depth > 0, geometry.bottom_depth, 1.0)  # on land nothing is divided by nothing
    pressure = hydrostatic(anomaly, geometry.thickness * (1 + zos / depth), gravity, reference)
    middle = (geometry.interfaces[1:] + geometry.interfaces[:-1])[:, None, None] / 2
    rise = zos * (1 - middle / depth)  # of each level above its mean depth
    weight = anomaly * (gravity / reference)
    return Vector(
        -(step_x(pressure) + mean_x(weight) * step_x(rise)) * (geometry.mask_x / geometry.spacing_x),
        -(step_y(pressure) + mean_y(weight) * step_y(rise)) * (geometry.mask_y / geometry.spacing_y),
    )


def surface_gradient(zos: Tensor, geometry: Geometry, gravity: float = GRAVITY) -> Vector:
    """Acceleration by the slope of the sea surface, on the surface's faces (m s-2): −g ∇η.

    Parameters
    ----------
    zos
        Sea surface height, `[batch, 1, lat, lon]`, m.
    """
    return Vector(
        step_x(zos) * (-gravity * geometry.mask_x[:1] / geometry.spacing_x),
        step_y(zos) * (-gravity * geometry.mask_y[:1] / geometry.spacing_y),
    )
