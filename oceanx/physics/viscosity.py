"""Lateral friction of velocity on the faces of a C-grid: the divergence of a symmetric, trace-free stress tensor.

With h₁ = R cos φ and h₂ = R (1 and 1 on a plane), a flow deforms by tension and shear,

    D_T = ∂₁u/h₁ − (h₁/h₂) ∂₂(v/h₁)        at centres
    D_S = (h₁/h₂) ∂₂(u/h₁) + ∂₁v/h₁        at corners

and friction is what the stresses ν D_T and ν D_S do per mass,

    F_u = ∂₁(ν D_T)/h₁ + ∂₂(h₁² ν D_S)/(h₁² h₂)
    F_v = ∂₁(ν D_S)/h₁ − ∂₂(h₁² ν D_T)/(h₁² h₂)

The differences of the second pair are the first's transposed, so that the power of friction is −Σ ν D² of the same D:
never positive, wherever ν varies. A sea that turns about the axis as a solid body does not deform and feels nothing.

References
----------
Smagorinsky (1963), Mon. Weather Rev. 91, 99, doi:10.1175/1520-0493(1963)091<0099:GCEWTP>2.3.CO;2.
Griffies & Hallberg (2000), Mon. Weather Rev. 128, 2935, doi:10.1175/1520-0493(2000)128<2935:BFWASL>2.0.CO;2.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from oceanx.tensors.geometry import Geometry, south, west
from oceanx.tensors.operators import Vector, back_x, back_y, mean_x, mean_y, step_x, step_y
from oceanx.vocabulary.errors import unknown

from .mixing import on_faces

SLIPS = ("free", "no")


class Deformation(NamedTuple):
    """How a flow deforms (s-1): by tension, at centres, and by shear, at corners."""

    tension: Tensor
    shear: Tensor


def deformation(u_x: Tensor, v_y: Tensor, geometry: Geometry) -> Deformation:
    """Tension D_T at cell centres and shear D_S at north-east corners, 0 where a corner touches a coast (s-1).

    Parameters
    ----------
    u_x, v_y
        m s-1, on east and north faces, 0 on closed ones.
    """
    g, width, width_xy = geometry, _width(geometry), _width_xy(geometry)
    turned = v_y * (g.mask_y / g.length_y)
    tension = (u_x - west(u_x)) / width - (turned - south(turned)) * (width / g.length_x)
    shear = step_y(u_x / g.spacing_x) * (width_xy / g.spacing_y) + step_x(v_y) / width_xy
    return Deformation(tension * g.mask, shear * g.mask_xy)


def viscosity(
    u_x: Tensor,
    v_y: Tensor,
    geometry: Geometry,
    nu: float | Tensor,
    slip: str = "free",
    thickness: Tensor | None = None,
) -> Vector:
    """Harmonic friction: what the stress ν D does to the flow per mass.

    Parameters
    ----------
    u_x, v_y
        m s-1, on east and north faces, 0 on closed ones.
    nu
        m2 s-1: one value, or a field at cell centres.
    slip
        `free`: a coast takes no momentum. `no`: water is at rest on it, half a cell from the nearest velocity.
    thickness
        Of the layers at cell centres, where they breathe (m): a stress acts on its layer, a mass moves with it.
    """
    if slip not in SLIPS:
        raise unknown("slip", slip, SLIPS)
    tension, shear = deformation(u_x, v_y, geometry)
    tension, shear = nu * tension, _at_corners(nu) * shear
    if thickness is None:
        force = _divergence(tension, shear, geometry)
    else:
        force = _divergence(thickness * tension, _at_corners(thickness) * shear, geometry)
        force = Vector(force.x / _not_zero(mean_x(thickness)), force.y / _not_zero(mean_y(thickness)))
    return force if slip == "free" else _plus(force, _coastal_drag(u_x, v_y, geometry, nu))


def biharmonic_viscosity(
    u_x: Tensor,
    v_y: Tensor,
    geometry: Geometry,
    nu4: float | Tensor,
    slip: str = "free",
    thickness: Tensor | None = None,
) -> Vector:
    """Biharmonic friction, −L(ν₄ L(u)) with L the harmonic one of ν = 1: it damps the smallest scales most.

    Parameters
    ----------
    nu4
        m4 s-1: one value, or a field at cell centres.

    The others are those of `viscosity`.
    """
    first = viscosity(u_x, v_y, geometry, 1.0, slip, thickness)
    on = on_faces(nu4)
    return viscosity(-on.x * first.x, -on.y * first.y, geometry, 1.0, slip, thickness)


def smagorinsky(
    u_x: Tensor, v_y: Tensor, geometry: Geometry, constant: float | Tensor = 3.0, least: float = 1e-12
) -> Tensor:
    """Viscosity at cell centres that grows with the deformation, ν = (Υ Δ/π)² |D|, in m2 s-1.

    Δ² is the harmonic mean of the cell's width squared and height squared, so that a narrow cell is not overrun.

    Parameters
    ----------
    u_x, v_y
        m s-1, on east and north faces, 0 on closed ones.
    constant
        Υ, without unit: 2.2 to 4 (Griffies & Hallberg).
    least
        s-1: of the deformation, whose size has no slope at rest without it.
    """
    tension, shear = deformation(u_x, v_y, geometry)
    size = (tension**2 + back_x(back_y(shear**2)) + least**2).sqrt()
    return (constant / math.pi) ** 2 * _scale_squared(geometry) * size


def smagorinsky_biharmonic(
    u_x: Tensor, v_y: Tensor, geometry: Geometry, constant: float | Tensor = 3.0, least: float = 1e-12
) -> Tensor:
    """Biharmonic viscosity at cell centres, ν₄ = ν Δ²/8 with the ν of `smagorinsky` (m4 s-1; Griffies & Hallberg)."""
    return smagorinsky(u_x, v_y, geometry, constant, least) * (_scale_squared(geometry) / 8)


def _divergence(tension: Tensor, shear: Tensor, geometry: Geometry) -> Vector:
    """Force of the stresses on both velocities, on open faces: the transpose of `deformation`, areas counted."""
    g, width, width_xy = geometry, _width(geometry), _width_xy(geometry)
    along, across = shear * width_xy**2, shear * g.spacing_y
    area_x, area_y = g.spacing_x * g.length_x, g.spacing_y * g.length_y
    du = step_x(tension * g.length_x) + (along - south(along)) / g.spacing_x
    dv = (across - west(across)) * (g.mask_y / area_y) - step_y(tension * width**2) * (g.mask_y / (area_y * g.length_y))
    return Vector(du * (g.mask_x / area_x), dv)


def _coastal_drag(u_x: Tensor, v_y: Tensor, geometry: Geometry, nu: float | Tensor) -> Vector:
    """What a coast along the flow takes: the stress of water that comes to rest over half a cell, on either side."""
    g, on = geometry, on_faces(nu)
    coast = 1 - g.mask_xy  # beside an open face, a corner that is not open lies on a coast or a wall
    return Vector(
        u_x * (-2 * on.x * (g.mask_x * (coast + south(coast)) / g.length_x**2)),
        v_y * (-2 * on.y * (g.mask_y * (coast + west(coast)) / g.length_y**2)),
    )


def _width(geometry: Geometry) -> Tensor:
    """Of cells along their parallel, through the centre (m)."""
    return geometry.area / geometry.length_x


def _width_xy(geometry: Geometry) -> Tensor:
    """Of the boxes around corners along their parallel (m)."""
    return geometry.area_xy / geometry.spacing_y


def _scale_squared(geometry: Geometry) -> Tensor:
    """The harmonic mean of a cell's width squared and height squared (m2)."""
    wide, high = _width(geometry) ** 2, geometry.length_x**2
    return 2 * wide * high / (wide + high)


def _at_corners(value: float | Tensor) -> float | Tensor:
    """A value of everywhere or of cells, at corners."""
    return mean_y(mean_x(value)) if isinstance(value, Tensor) and value.dim() > 1 else value


def _plus(one: Vector, other: Vector) -> Vector:
    return Vector(one.x + other.x, one.y + other.y)


def _not_zero(thickness: Tensor) -> Tensor:
    """Thickness, where there is any: land may have none."""
    return torch.where(thickness > 0, thickness, torch.ones_like(thickness))
