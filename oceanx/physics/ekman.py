"""Ekman: what the wind's stress moves in a rotating sea, steady, with a linear drag that keeps the equator finite.

    −f v = ∂/∂z (ν ∂u/∂z) − r u        f u = ∂/∂z (ν ∂v/∂z) − r v

Over the whole layer, whatever the viscosity ν,

    U = (r τ_x + f τ_y) / (ρ₀ (r² + f²))        V = (r τ_y − f τ_x) / (ρ₀ (r² + f²))

Away from the equator f ≫ r and the transport is to the right of the wind (to its left in the south); on the equator it
is along the wind. The drag r is a choice, so it has no default: 2.15e-4 m s-1 over 32.5 m, which is 6.6e-6 s-1, fits
drifters of the tropical Pacific (Lagerloef et al. 1999). It equals f at 2.6° of latitude.

References
----------
Ekman (1905), On the influence of the Earth's rotation on ocean currents, Ark. Mat. Astron. Fys. 2(11).
Lagerloef et al. (1999), J. Geophys. Res. 104, 23313, doi:10.1029/1999JC900197.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from oceanx.tensors.geometry import Geometry
from oceanx.tensors.operators import mean_x, mean_y, outflow
from oceanx.vocabulary.constants import REFERENCE_DENSITY

Cells = Float[Tensor, "*cells"]


def ekman_transport(
    tauuo: Cells,
    tauvo: Cells,
    coriolis: Tensor,
    drag: float | Tensor,
    density: float | Tensor = REFERENCE_DENSITY,
) -> tuple[Cells, Cells]:
    """What the wind's stress moves eastward and northward, over the whole Ekman layer, m2 s-1.

    Parameters
    ----------
    tauuo, tauvo
        Stress on the sea, Pa.
    coriolis
        f at the same points, s-1.
    drag
        r, s-1. It must be above 0 where the grid holds the equator.
    """
    share = 1.0 / (density * (drag**2 + coriolis**2))
    return (drag * tauuo + coriolis * tauvo) * share, (drag * tauvo - coriolis * tauuo) * share


def ekman_velocity(
    tauuo: Cells,
    tauvo: Cells,
    depth: Cells,
    coriolis: Tensor,
    drag: float | Tensor,
    density: float | Tensor = REFERENCE_DENSITY,
) -> tuple[Cells, Cells]:
    """The wind-driven current, eastward and northward (m s-1), if a layer of this depth (m) moves as a slab."""
    u, v = ekman_transport(tauuo, tauvo, coriolis, drag, density)
    return u / depth, v / depth


def ekman_spiral(
    tauuo: Cells,
    tauvo: Cells,
    depth: float | Tensor,
    coriolis: Tensor,
    viscosity: float | Tensor,
    drag: float | Tensor,
    density: float | Tensor = REFERENCE_DENSITY,
) -> tuple[Tensor, Tensor]:
    """The wind-driven current, eastward and northward (m s-1), at a depth (m) of a deep sea of this viscosity (m2 s-1).

    u + i v = (τ_x + i τ_y) / (ρ₀ ν k) · exp(−k z),  k = √((r + i f) / ν),

    which with r = 0 is Ekman's spiral, e-folding over √(2ν/|f|), 45° to the right of the wind at the surface. Its sum
    over depth is `ekman_transport`.
    """
    modulus = (drag**2 + coriolis**2).sqrt()
    # k = a + i b, written so that b is smooth in f through the equator.
    a = ((modulus + drag) / (2.0 * viscosity)).sqrt()
    b = coriolis / (2.0 * viscosity * a)
    size = (-a * depth).exp() / (density * viscosity * (a**2 + b**2))
    # exp(−i b z) / (a + i b) = (a cos − b sin − i (b cos + a sin)) / (a² + b²)
    cosine, sine = (b * depth).cos(), (b * depth).sin()
    along, across = (a * cosine - b * sine) * size, -(b * cosine + a * sine) * size
    return along * tauuo - across * tauvo, along * tauvo + across * tauuo


def ekman_pumping(
    tauuo: Float[Tensor, "batch 1 lat lon"],
    tauvo: Float[Tensor, "batch 1 lat lon"],
    geometry: Geometry,
    drag: float | Tensor,
    density: float | Tensor = REFERENCE_DENSITY,
) -> Float[Tensor, "batch 1 lat lon"]:
    """How fast water rises (positive) into the Ekman layer, m s-1: w = ∇·U, which is curl(τ / ρ₀f) where f ≫ r.

    Nothing passes a coast: where the wind drives the layer off it, the whole transport rises in the cell beside it, and
    over a closed basin as much sinks as rises.
    """
    u, v = ekman_transport(tauuo, tauvo, geometry.coriolis, drag, density)
    through_x = mean_x(u) * (geometry.length_x * geometry.mask_x[:1])
    through_y = mean_y(v) * (geometry.length_y * geometry.mask_y[:1])
    return outflow(through_x, through_y) / geometry.area
