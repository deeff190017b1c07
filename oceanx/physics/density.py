"""Density of sea water from potential temperature, practical salinity and depth, and how stably it is layered.

Every equation gives an anomaly (kg m-3): by how much the water is denser than water of 10 °C and 35 at the same depth.
What all water at a depth shares drives no flow, and without it single precision is enough.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from oceanx.tensors.geometry import Geometry, below
from oceanx.vocabulary.constants import GRAVITY, REFERENCE_DENSITY

from .teos10 import density_anomaly as teos10

Equation = Callable[[Tensor, Tensor, Tensor], Tensor]


def simplified(
    thetao: Tensor,
    so: Tensor,
    depth: Tensor | float,
    a0: float = 0.1655,
    b0: float = 0.76554,
    lambda1: float = 5.952e-2,
    lambda2: float = 5.4914e-4,
    nu: float = 2.4341e-3,
    mu1: float = 1.497e-4,
    mu2: float = 1.109e-5,
) -> Tensor:
    """Density anomaly (kg m-3) by NEMO's simplified equation: quadratic, with cabbeling and thermobaricity.

    With T = θ − 10, S = S_p − 35 and depth z,

        ρ' = −a₀ (1 + ½ λ₁ T + μ₁ z) T + b₀ (1 − ½ λ₂ S − μ₂ z) S − ν T S

    Parameters
    ----------
    thetao, so, depth
        Potential temperature (°C), practical salinity, depth (m).
    lambda2
        The published 5.4914e-4; a misprint of it, 7.4914e-4, stands in many namelists.

    References
    ----------
    Vallis (2006), Atmospheric and Oceanic Fluid Dynamics, §1.8, doi:10.1017/CBO9780511790447; coefficients of the NEMO
    ocean engine, doi:10.5281/zenodo.1464816.
    """
    warm, salty = thetao - 10, so - 35
    heavy = b0 * (1 - 0.5 * lambda2 * salty - mu2 * depth) - nu * warm
    return heavy * salty - a0 * (1 + 0.5 * lambda1 * warm + mu1 * depth) * warm


def linear(
    thetao: Tensor, so: Tensor, depth: Tensor | float, alpha: float | Tensor = 1.7e-4, beta: float | Tensor = 7.6e-4
) -> Tensor:
    """Density anomaly (kg m-3) ρ₀ [β (S − 35) − α (θ − 10)], with α in K-1 and β per unit of salinity."""
    return REFERENCE_DENSITY * (beta * (so - 35) - alpha * (thetao - 10))


EQUATIONS: dict[str, Equation] = {"teos10": teos10, "simplified": simplified, "linear": linear}


def expansion(thetao: Tensor, so: Tensor, depth: Tensor, equation: Equation = teos10) -> Tensor:
    """Thermal expansion α = −(1/ρ₀) ∂ρ/∂θ (K-1), with respect to potential temperature."""
    return -_slope(lambda warm: equation(warm, so, depth), thetao) / REFERENCE_DENSITY


def contraction(thetao: Tensor, so: Tensor, depth: Tensor, equation: Equation = teos10) -> Tensor:
    """Haline contraction β = (1/ρ₀) ∂ρ/∂S, per unit of practical salinity."""
    return _slope(lambda salty: equation(thetao, salty, depth), so) / REFERENCE_DENSITY


def stratification(
    thetao: Tensor, so: Tensor, geometry: Geometry, equation: Equation = teos10, gravity: float = GRAVITY
) -> Tensor:
    """Squared buoyancy frequency N² (s-2) on bottom faces; 0 on closed ones, negative where water would overturn.

    Both neighbours are brought to the depth of the face between them, N² = (g/ρ₀) Δρ/Δz.

    Parameters
    ----------
    thetao, so
        `[batch, depth, lat, lon]`, °C and practical salinity.
    equation
        One of `EQUATIONS`.
    """
    face = geometry.interfaces[1:, None, None]
    heavier = equation(below(thetao), below(so), face) - equation(thetao, so, face)
    distance = 0.5 * (geometry.thickness + below(geometry.thickness))
    return heavier * (gravity / REFERENCE_DENSITY / distance * geometry.mask_z)


def _slope(function: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    """The derivative of a function that treats every cell by itself."""
    # Backwards: forwards, PyTorch derives some operations in Python, which takes twelve times as long.
    return torch.func.vjp(function, at)[1](torch.ones_like(at))[0]
