"""How strongly a column mixes: viscosity and diffusivity through the bottom faces of cells, from what it is like.

Each is a field of m2 s-1 on bottom faces; add what you want and give the sum to `vertical_mixing.implicit_mixing`.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from oceanx.tensors.geometry import Geometry, below
from oceanx.tensors.operators import back_x, back_y


class Mixing(NamedTuple):
    """Through bottom faces, in m2 s-1: of momentum, and of tracers."""

    viscosity: Tensor
    diffusivity: Tensor


def shear_squared(u_x: Tensor, v_y: Tensor, geometry: Geometry, thickness: Tensor | None = None) -> Tensor:
    """(∂u/∂z)² + (∂v/∂z)² on the bottom faces of cells (s-2), of velocity on east and north faces.

    Squares are averaged, not differences, so that a shear which alternates from face to face is seen.

    Parameters
    ----------
    u_x, v_y
        m s-1, 0 on closed faces.
    thickness
        Of the layers where they breathe (m); otherwise the geometry's own.
    """
    deep = geometry.thickness if thickness is None else thickness
    apart = 0.5 * (deep + below(deep))
    squares = back_x(_jump(u_x, geometry.mask_x) ** 2) + back_y(_jump(v_y, geometry.mask_y) ** 2)
    return geometry.mask_z * squares / apart**2


def pacanowski_philander(
    N2: Tensor,
    shear2: Tensor,
    nu0: float | Tensor = 1e-2,
    alpha: float | Tensor = 5.0,
    power: float | Tensor = 2.0,
    nu_background: float | Tensor = 1e-4,
    kappa_background: float | Tensor = 1e-5,
    least: float = 1e-12,
) -> Mixing:
    """Viscosity and diffusivity that fall with the Richardson number Ri = N²/S².

        ν = ν₀ / (1 + α Ri)ⁿ + ν_b        κ = ν / (1 + α Ri) + κ_b

    An unstable column counts as neutral, Ri = 0; `convection` is for that. A column at rest that is neutral, too.

    Parameters
    ----------
    N2, shear2
        s-2, on bottom faces.
    nu0, nu_background, kappa_background
        m2 s-1.
    alpha, power
        Without unit.
    least
        s-2, added to the shear squared: a column at rest has a Richardson number.

    References
    ----------
    Pacanowski & Philander (1981), J. Phys. Oceanogr. 11, 1443,
    doi:10.1175/1520-0485(1981)011<1443:POVMIN>2.0.CO;2.
    """
    shear = shear2 + least
    damping = shear / (shear + alpha * N2.clamp(min=0))  # 1 / (1 + α Ri), finite for any shear
    viscosity = nu0 * damping**power + nu_background
    return Mixing(viscosity, viscosity * damping + kappa_background)


def convection(N2: Tensor, kappa: float | Tensor = 1.0, width: float = 1e-8) -> Tensor:
    """Diffusivity (m2 s-1) that overturns an unstable column: 0 where N² ≥ 0, `kappa` where N² ≤ −width.

    Between them it follows 3s² − 2s³, so that the gradient has no jump. Given to an implicit solve, instability
    decays until −width < N².

    Parameters
    ----------
    N2
        s-2, on bottom faces.
    width
        s-2. Below what is told apart in single precision (some 1e-9), this is a switch.

    References
    ----------
    Klinger, Marshall & Send (1996), J. Geophys. Res. 101, 18175, doi:10.1029/96JC00861.
    """
    share = (N2 * (-1 / width)).clamp(0, 1)
    return kappa * share * share * (3 - 2 * share)


def _jump(velocity: Tensor, mask: Tensor) -> Tensor:
    """From one level to the next where both are open; the last level has none (`mask_z` sees to it)."""
    return (velocity - below(velocity)) * (mask * below(mask))
