"""Momentum: the terms of the vector-invariant equations on the C-grid, each with its sign (m s-2).

    ∂u/∂t = +(f + ζ) v − ∂K/∂x − w ∂u/∂z + τˣ/(ρ₀h) − r u + …
    ∂v/∂t = −(f + ζ) u − ∂K/∂y − w ∂v/∂z + τʸ/(ρ₀h) − r v + …        K = ½ (u² + v²)

With layers of thickness h on the faces, the kinetic energy is Σ ½ h Aₓ u² + Σ ½ h A_y v², where Aₓ and A_y are length
times spacing of a face. The Coriolis term and the vorticity flux do no work on it, and what −∇K and −w ∂u/∂z do is
what the continuity equation does to h: together nothing, to round-off. Velocity is 0 on closed faces, always.
"""

from __future__ import annotations

import torch
from torch import Tensor

from oceanx.tensors.geometry import Geometry, above, below, east, north
from oceanx.tensors.operators import Vector, back_x, back_y, mean_x, mean_y, step_x, step_y
from oceanx.tensors.state import Field
from oceanx.vocabulary.constants import REFERENCE_DENSITY
from oceanx.vocabulary.errors import unknown


def vorticity(u_x: Field, v_y: Field, geometry: Geometry, slip: str = "free") -> Field:
    """The relative vorticity ζ = ∂v/∂x − ∂u/∂y at corners (s-1): circulation per area (Stokes).

    Parameters
    ----------
    slip
        At corners that touch a coast: `free`, no vorticity; `no`, that of a flow which is 0 on the coast, half a cell
        away. What closes the array itself slips freely, since both its sides share one corner: let land surround a
        basin whose walls do not.
    """
    circulation = step_x(v_y * geometry.spacing_y) - step_y(u_x * geometry.spacing_x)
    corner = geometry.mask_xy[: u_x.shape[-3]]
    if slip == "no":
        corner = (2.0 - corner) * _within(geometry)
    elif slip != "free":
        raise unknown("slip", slip, ("free", "no"))
    return circulation * (corner / geometry.area_xy)


def vorticity_flux(
    u_x: Field,
    v_y: Field,
    zeta_xy: Tensor,
    thickness_x: Tensor | None,
    thickness_y: Tensor | None,
    geometry: Geometry,
    scheme: str = "energy",
) -> Vector:
    """+ζ v on east faces and −ζ u on north faces (m s-2), with any vorticity ζ at corners (s-1).

    With U = u h Δy and V = v h Δx the transports, and q = ζ/h at corners, overbars two-point means,

        energy      +(1/Δx) mean_y(q mean_x V)             −(1/Δy) mean_x(q mean_y U)
        enstrophy   +(1/Δx) mean_y(q) mean_y(mean_x V)     −(1/Δy) mean_x(q) mean_x(mean_y U)

    The first does no work whatever ζ is. The second keeps Σ ½ q² h where ζ is the absolute vorticity, on a plane with
    no coast.

    Parameters
    ----------
    thickness_x, thickness_y
        Of the layers on faces (m); `None` where it is the same all over a layer.

    References
    ----------
    Sadourny (1975), J. Atmos. Sci. 32, 680, doi:10.1175/1520-0469(1975)032<0680:TDOFDM>2.0.CO;2.
    """
    across, along = u_x * geometry.length_x, v_y * geometry.length_y
    if thickness_x is not None and thickness_y is not None:
        zeta_xy = zeta_xy / thickness_at_corners(thickness_x, thickness_y, geometry)
        across, along = across * thickness_x, along * thickness_y
    if scheme == "energy":
        turned_x, turned_y = back_y(zeta_xy * mean_x(along)), back_x(zeta_xy * mean_y(across))
    elif scheme == "enstrophy":
        turned_x, turned_y = back_y(zeta_xy) * back_y(mean_x(along)), back_x(zeta_xy) * back_x(mean_y(across))
    else:
        raise unknown("scheme", scheme, ("energy", "enstrophy"))
    levels = u_x.shape[-3]
    return Vector(
        turned_x * (geometry.mask_x[:levels] / geometry.spacing_x),
        -turned_y * (geometry.mask_y[:levels] / geometry.spacing_y),
    )


def coriolis(
    u_x: Field,
    v_y: Field,
    geometry: Geometry,
    thickness_x: Tensor | None = None,
    thickness_y: Tensor | None = None,
) -> Vector:
    """+f v on east faces and −f u on north faces (m s-2): the energy-conserving vorticity flux of f at corners.

    It does no work. On an f-plane it is f times the mean of the four faces around.
    """
    return vorticity_flux(u_x, v_y, geometry.coriolis_xy, thickness_x, thickness_y, geometry)


def implicit_rotation(
    increment_x: Field,
    increment_y: Field,
    geometry: Geometry,
    seconds: float | Tensor,
    thickness_x: Tensor | None = None,
    thickness_y: Tensor | None = None,
) -> Vector:
    """The increments of velocity (m s-1) that are stable for any step, of explicit ones that hold Coriolis already.

    Crank–Nicolson for the Coriolis term C asks for (1 − K) δ = Δt G, where K = ½ Δt C and G is all that accelerates
    at the old time, Coriolis included. As C turns by a right angle, (1 − K)⁻¹ = (1 + K) / (1 − K²), and −K² ≈ (½fΔt)²:

        δ = (1 + K) Δt G / (1 + a²)

    which is local, leaves a steady state (G = 0) steady, and is Crank–Nicolson itself where the flow is smooth. It
    amplifies nothing, for any fΔt: with G = Cx alone and y = Kx, in the energy of (1 + a²)^½ x,

        |x + δ|² − |x|² = 4 ⟨(1 + K) y, (1 + K) y / (1 + a²)⟩ − 4 ⟨y, y⟩ ≤ 0    if −K² ≤ a²

    which a² = (½Δt)² |C| |C| 1 ensures, the operator of absolute values twice applied to one (Schur's test): f² on
    a plane, its mean over the nearest corners elsewhere, less beside a coast. The largest scales are neutral.

    Parameters
    ----------
    increment_x, increment_y
        Δt G on faces.
    thickness_x, thickness_y
        As `coriolis` was given them.
    """
    half = seconds / 2
    turned = coriolis(increment_x, increment_y, geometry, thickness_x, thickness_y)
    bound = _bound(geometry, thickness_x, thickness_y)
    return Vector(
        (increment_x + half * turned.x) / (1 + half**2 * bound.x),
        (increment_y + half * turned.y) / (1 + half**2 * bound.y),
    )


def kinetic_energy(u_x: Field, v_y: Field, geometry: Geometry) -> Field:
    """K = ½ (u² + v²) at centres (m2 s-2): half of what each face holds, Aₓ u² and A_y v², shared by its two cells."""
    held_x = u_x**2 * (geometry.length_x * geometry.spacing_x)
    held_y = v_y**2 * (geometry.length_y * geometry.spacing_y)
    return (back_x(held_x) + back_y(held_y)) / (2 * geometry.area)


def bernoulli_gradient(bernoulli: Field, geometry: Geometry) -> Vector:
    """−∇B on faces (m s-2), of kinetic energy per mass at centres or of any other potential (m2 s-2)."""
    levels = bernoulli.shape[-3]
    return Vector(
        -step_x(bernoulli) * (geometry.mask_x[:levels] / geometry.spacing_x),
        -step_y(bernoulli) * (geometry.mask_y[:levels] / geometry.spacing_y),
    )


def vertical_advection(
    u_x: Field,
    v_y: Field,
    flux_z: Field,
    thickness_x: Tensor,
    thickness_y: Tensor,
    geometry: Geometry,
) -> Vector:
    """−w ∂u/∂z on east faces and −w ∂v/∂z on north faces (m s-2): the mean of what both interfaces bring.

    −(1/h) ½ [w_top (u_above − u) + w_bottom (u − u_below)], where w is the mean of the columns on both sides.

    Parameters
    ----------
    flux_z
        Volume through the bottom face of every cell, upward (m3 s-1); nothing goes through the sea surface.
    thickness_x, thickness_y
        Of the layers on faces (m).
    """
    w = flux_z * (geometry.mask_z / geometry.area)
    return Vector(
        -_carried_up(u_x, mean_x(w)) * _per(thickness_x, geometry.mask_x),
        -_carried_up(v_y, mean_y(w)) * _per(thickness_y, geometry.mask_y),
    )


def wind_stress(
    tauuo: Field,
    tauvo: Field,
    thickness_x: Tensor,
    thickness_y: Tensor,
    geometry: Geometry,
    density: float = REFERENCE_DENSITY,
) -> Vector:
    """τ/(ρ₀h) on the faces of the uppermost layer (m s-2), of the stress at centres (Pa).

    Parameters
    ----------
    thickness_x, thickness_y
        Of the uppermost layer on faces (m).
    density
        ρ₀ in kg m-3.
    """
    return Vector(
        mean_x(tauuo) / density * _per(thickness_x, geometry.mask_x[:1]),
        mean_y(tauvo) / density * _per(thickness_y, geometry.mask_y[:1]),
    )


def bottom_drag(
    u_x: Field,
    v_y: Field,
    thickness_x: Tensor,
    thickness_y: Tensor,
    geometry: Geometry,
    linear: float | Tensor = 0.0,
    quadratic: float | Tensor = 0.0,
    background: float = 0.01,
) -> Vector:
    """The rate r ≥ 0 (s-1) at which the sea floor brakes each face, ∂u/∂t = −r u: in its lowest open layer, else 0.

        r = (linear + quadratic √(|u|² + background²)) / h

    As a rate it can be taken implicitly, u' = (u + Δt G) / (1 + r Δt), and then is stable for any step.

    Parameters
    ----------
    thickness_x, thickness_y
        Of the layers on faces (m).
    linear
        A friction velocity, m s-1.
    quadratic
        The drag coefficient, 1.
    background
        The speed (m s-1) of what is not resolved, above 0.
    """
    other_y, other_x = back_y(mean_x(v_y)), back_x(mean_y(u_x))
    speed_x = torch.sqrt(u_x**2 + other_y**2 + background**2)
    speed_y = torch.sqrt(v_y**2 + other_x**2 + background**2)
    levels = u_x.shape[-3]
    return Vector(
        (linear + quadratic * speed_x) * _per(thickness_x, _lowest(geometry.mask_x[:levels])),
        (linear + quadratic * speed_y) * _per(thickness_y, _lowest(geometry.mask_y[:levels])),
    )


def thickness_at_corners(thickness_x: Tensor, thickness_y: Tensor, geometry: Geometry) -> Tensor:
    """How thick a layer is at corners (m): the mean of the open faces around; 1 where none is."""
    levels = thickness_x.shape[-3]
    open_x, open_y = geometry.mask_x[:levels], geometry.mask_y[:levels]
    held_x, held_y = thickness_x * open_x, thickness_y * open_y
    number = open_x + north(open_x) + open_y + east(open_y)
    total = held_x + north(held_x) + held_y + east(held_y)
    return torch.where(number > 0, total / number.clamp(min=1), 1.0)


def _bound(geometry: Geometry, thickness_x: Tensor | None, thickness_y: Tensor | None) -> Vector:
    """|C| |C| 1 on faces (s-2): how strongly the Coriolis term can act twice. Of all layers where they are alike."""
    levels = 1 if thickness_x is None else thickness_x.shape[-3]
    once = Vector(geometry.mask_x[None, :levels], geometry.mask_y[None, :levels])
    size = geometry.coriolis_xy.abs()
    for _ in range(2):
        turned = vorticity_flux(once.x, once.y, size, thickness_x, thickness_y, geometry)
        once = Vector(turned.x, -turned.y)
    return once


def _within(geometry: Geometry) -> Tensor:
    """1 at corners, and 0 at those on the closed edge of the array."""
    inside = torch.ones_like(geometry.area)
    if not geometry.periodic:
        inside[:, -1] = 0
    if not geometry.periodic_y:
        inside[-1] = 0
    return inside


def _carried_up(field: Tensor, w: Tensor) -> Tensor:
    """w ∂/∂z times thickness: half of w times the difference across both interfaces of each layer."""
    exchanged = 0.5 * w * (field - below(field))
    return exchanged + above(exchanged)


def _per(thickness: Tensor, open_: Tensor) -> Tensor:
    """1 / thickness where a face is open, 0 elsewhere, whatever is said of the thickness there."""
    return open_ / torch.where(open_ > 0, thickness, 1.0)


def _lowest(open_: Tensor) -> Tensor:
    """1 where a face is open and the one below it is not."""
    beneath = torch.cat((open_[1:], torch.zeros_like(open_[:1])))
    return open_ * (1 - beneath)
