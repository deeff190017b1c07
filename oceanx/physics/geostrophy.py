"""Currents in balance with pressure: f u = −(1/ρ₀) ∂p/∂y, f v = (1/ρ₀) ∂p/∂x, at cell centres.

Gradients are those that accelerate the water on faces (`pressure`). At a centre stands the mean of its open faces, so
that beside a coast the slope is one-sided and land has no say; a cell with no open face on an axis has no slope there.

At the equator there is no balance. `taper` multiplies 1/f by 1 − exp(−(2f/w)⁴), which is 1 to 1e-7 from |f| = w on and
brings the current smoothly, like f³, to nothing at f = 0. `cut` is 1/f, and nothing where |f| < w: honest for maps,
but its edge is a front. Neither is the common f/(f² + ε²), which is wrong at every latitude: with ε = f(2.5°) by 6 % at
10° and still by 1 % at 25°.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from oceanx.tensors.geometry import Geometry, south, west
from oceanx.tensors.operators import Vector, step_x, step_y
from oceanx.vocabulary.constants import GRAVITY, REFERENCE_DENSITY, ROTATION

from .pressure import pressure_gradient, surface_gradient

FIVE_DEGREES = 2 * ROTATION * math.sin(math.radians(5.0))  # s-1


class Current(NamedTuple):
    """Eastward (`u`) and northward (`v`) at cell centres, in m s-1 (or its shear, in s-1)."""

    u: Tensor
    v: Tensor


def taper(coriolis: Tensor, weak: float) -> Tensor:
    """1/f (s), smoothly to nothing from |f| = `weak` to 0."""
    somewhere = torch.where(coriolis == 0, 1.0, coriolis)
    return -torch.expm1(-((2 * coriolis / weak) ** 4)) / somewhere


def cut(coriolis: Tensor, weak: float) -> Tensor:
    """1/f (s), nothing where |f| is less than `weak`."""
    kept = (coriolis.abs() >= weak) & (coriolis != 0)
    return torch.where(kept, 1 / torch.where(kept, coriolis, 1.0), 0.0)


BALANCES = {"taper": taper, "cut": cut}


def balanced(push: Vector, geometry: Geometry, balance: str = "taper", weak: float = FIVE_DEGREES) -> Current:
    """The current (m s-1) at centres whose Coriolis force withstands this acceleration on faces (m s-2).

    Parameters
    ----------
    push
        Of `pressure_gradient` or `surface_gradient`, or their sum.
    balance
        What happens near the equator: `taper` or `cut`.
    weak
        |f| in s-1 below which it happens; 5 degrees of latitude unless told.
    """
    levels = push.x.shape[-3]
    inverse = BALANCES[balance](geometry.coriolis, weak)
    u = _wet_mean(push.y, south(push.y), geometry.mask_y[:levels], south(geometry.mask_y[:levels]))
    v = _wet_mean(push.x, west(push.x), geometry.mask_x[:levels], west(geometry.mask_x[:levels]))
    return Current(inverse * u, -inverse * v)


def surface_current(
    zos: Tensor, geometry: Geometry, balance: str = "taper", weak: float = FIVE_DEGREES, gravity: float = GRAVITY
) -> Current:
    """The geostrophic current (m s-1) of a sea surface `[batch, 1, lat, lon]` (m): f u = −g ∂η/∂y, f v = g ∂η/∂x."""
    return balanced(surface_gradient(zos, geometry, gravity), geometry, balance, weak)


def geostrophic_current(
    anomaly: Tensor,
    zos: Tensor,
    geometry: Geometry,
    balance: str = "taper",
    weak: float = FIVE_DEGREES,
    gravity: float = GRAVITY,
    reference: float = REFERENCE_DENSITY,
) -> Current:
    """The geostrophic current (m s-1) at every level, of the sea surface and the density beneath it.

    Parameters
    ----------
    anomaly
        Of density, `[batch, depth, lat, lon]`, kg m-3.
    zos
        Sea surface height, `[batch, 1, lat, lon]`, m.
    """
    return balanced(whole_push(anomaly, zos, geometry, gravity, reference), geometry, balance, weak)


def whole_push(
    anomaly: Tensor,
    zos: Tensor,
    geometry: Geometry,
    gravity: float = GRAVITY,
    reference: float = REFERENCE_DENSITY,
) -> Vector:
    """Acceleration by the whole pressure gradient on every level's faces (m s-2), of sea surface and density.

    Arguments as in `geostrophic_current`.
    """
    baroclinic = pressure_gradient(anomaly, zos, geometry, gravity, reference)
    surface = surface_gradient(zos, geometry, gravity)
    # The slope of the sea surface is not felt through faces that are closed at depth.
    return Vector(baroclinic.x + surface.x * geometry.mask_x, baroclinic.y + surface.y * geometry.mask_y)


def thermal_wind(
    anomaly: Tensor,
    geometry: Geometry,
    balance: str = "taper",
    weak: float = FIVE_DEGREES,
    gravity: float = GRAVITY,
    reference: float = REFERENCE_DENSITY,
) -> Current:
    """How the geostrophic current grows upwards (s-1): f ∂u/∂z = (g/ρ₀) ∂ρ/∂y, f ∂v/∂z = −(g/ρ₀) ∂ρ/∂x."""
    buoyancy = anomaly * (gravity / reference)
    push = Vector(
        step_x(buoyancy) * (geometry.mask_x / geometry.spacing_x),
        step_y(buoyancy) * (geometry.mask_y / geometry.spacing_y),
    )
    return balanced(push, geometry, balance, weak)


def _wet_mean(ahead: Tensor, behind: Tensor, open_ahead: Tensor, open_behind: Tensor) -> Tensor:
    """Of what stands on a cell's two faces along an axis (0 on closed ones); 0 where both are closed."""
    return (ahead + behind) / (open_ahead + open_behind).clamp(min=1)
