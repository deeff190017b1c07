"""Density and stratification: published check values and closed forms."""

from __future__ import annotations

from functools import partial

import gsw
import numpy as np
import torch

from oceanx.physics.density import EQUATIONS, linear, simplified, stratification, teos10
from oceanx.physics.teos10 import absolute_salinity, density_in_situ, specific_volume, standard_density
from oceanx.tensors.geometry import Geometry
from oceanx.vocabulary.constants import GRAVITY

from .outcome import Curve, Outcome

CAST = "TEOS-10 check values v3.0, first cast, surface, 11° N 142° E (doi:10.1016/j.ocemod.2015.04.002)"
DIGITS = "half of the last digit that is printed"


def check_cast() -> list[Outcome]:
    """The first of the three casts against which every TEOS-10 library is checked."""
    SA, CT = (number(value).requires_grad_() for value in (34.46823643, 27.99643641))
    volume = specific_volume(SA, CT, 0.0)
    contraction, expansion = (slope / volume for slope in torch.autograd.grad(volume, (SA, CT)))
    salinity = absolute_salinity(number(34.30628739))
    neglected = "the anomaly of composition, left out here, is at most 0.027 g/kg in the open ocean (McDougall 2012)"
    return [
        Outcome("density", "kg m-3", (1 / volume).item(), 1021.88630445, CAST, DIGITS, tolerance=5e-12),
        Outcome("thermal expansion", "K-1", expansion.item(), 3.1826e-4, CAST, DIGITS, tolerance=1.6e-5),
        Outcome("haline contraction", "kg g-1", -contraction.item(), 7.1893e-4, CAST, DIGITS, tolerance=7e-6),
        Outcome("absolute salinity", "g kg-1", salinity.item(), 34.46823643, CAST, neglected, tolerance=0.027 / 34.47),
    ]


def other_equations() -> list[Outcome]:
    """Check values of the older equations of state: the same sea, other fits."""
    why = "three times the 9e-6 cm3 g-1 that the high-pressure equation of 1980 fits its measurements to"
    source = "check values in MITgcm, model/src/ini_eos.F"
    values = (  # equation, salinity, temperature, whether in situ, pressure, density
        ("JMD95", 35.5, 3.0, False, 3000.0, 1041.83267),
        ("MDJWF", 35.0, 25.0, False, 2000.0, 1031.654229),
        ("MDJWF", 20.0, 20.0, False, 1000.0, 1017.726743),
        ("MDJWF", 40.0, 12.0, False, 8000.0, 1062.928258),
        ("UNESCO", 0.0, 5.0, True, 0.0, 999.96675),
        ("UNESCO", 35.0, 5.0, True, 0.0, 1027.67547),
        ("UNESCO", 35.0, 25.0, True, 0.0, 1023.34306),
        ("UNESCO", 35.0, 5.0, True, 10000.0, 1069.48914),
    )
    outcomes = []
    for name, so, warm, in_situ, pressure, known in values:
        thetao = gsw.pt0_from_t(so * 35.16504 / 35, warm, pressure) if in_situ else warm
        found = density_in_situ(number(float(thetao)), number(so), pressure).item()
        at = f"density beside {name} at {so:g}, {warm:g} °C, {pressure:g} dbar"
        outcomes.append(Outcome(at, "kg m-3", found, known, source, why, tolerance=0.027 / known))
    return outcomes


def single_precision() -> list[Outcome]:
    """What single precision leaves of density, over the ocean's range."""
    thetao, so, depth = ocean(60)
    exact = teos10(thetao, so, depth)
    rounded = (field.float() for field in (thetao, so, depth))
    found = teos10(*rounded)
    worst = (found.double() - exact).abs().amax((0, 2, 3))
    whole = (found + standard_density(depth.float())).double() - (exact + standard_density(depth))
    errors = {
        "anomaly": (depth.ravel(), worst),
        "whole density": (depth.ravel(), whole.abs().amax((0, 2, 3))),
    }
    return [
        Outcome(
            "largest error of the anomaly in single precision",
            "kg m-3",
            worst.max().item(),
            1e-4,
            "1e-4 kg m-3 through 4000 m is 0.4 mm of sea level",
            "what a density anomaly must be known to",
            kind="at most",
            curve=Curve("Single precision", "depth (m)", "largest error (kg m-3)", numpy(errors), log=True),
        )
    ]


def nemo_reference() -> list[Outcome]:
    """The simplified equation where it is anchored, with the slopes that it is named for."""
    at = (number(10.0), number(35.0), number(0.0))
    warm, salty = (torch.func.jacrev(simplified, argnums=n)(*at).item() for n in (0, 1))
    source = "its own equation at θ 10 °C, S 35, the surface"
    warmth = torch.linspace(-2, 30, 65, dtype=torch.float64)
    lines = {name: (warmth, equation(warmth, number(35.0), number(0.0))) for name, equation in EQUATIONS.items()}
    SA = np.float64(35.16504)
    exact = gsw.rho(SA, gsw.CT_from_pt(SA, warmth.numpy()), 0.0) - gsw.rho(SA, gsw.CT_from_pt(SA, 10.0), 0.0)
    curve = Curve(
        "Density at the surface, S = 35", "θ (°C)", "anomaly (kg m-3)", numpy(lines | {"exact": (warmth, exact)})
    )
    return [
        Outcome("anomaly", "kg m-3", simplified(*at).item(), 0.0, source, "an identity", curve=curve),
        Outcome("−∂ρ/∂θ", "kg m-3 K-1", -warm, 0.1655, source, "an identity", tolerance=1e-14),
        Outcome("∂ρ/∂S", "kg m-3", salty, 0.76554, source, "an identity", tolerance=1e-14),
    ]


def buoyancy() -> list[Outcome]:
    """N² of a linear profile, and of water stirred from top to bottom."""
    thickness, depth = stretched(20)
    edges = torch.arange(4, dtype=torch.float64) * 1e4
    geometry = Geometry.plane(edges, edges, depth.ravel(), thickness.ravel(), torch.ones(20, 3, 3), dtype=torch.float64)
    same = torch.ones(1, 20, 3, 3, dtype=torch.float64)
    slope = partial(linear, alpha=2e-4, beta=0.0)
    squared = stratification(20 - 2e-3 * depth * same, 35 * same, geometry, slope)
    stirred = stratification(4 * same, 34.7 * same, geometry)
    return [
        Outcome(
            "N² of 2 K per km",
            "s-2",
            squared[0, :-1].mean().item(),
            GRAVITY * 2e-4 * 2e-3,
            "g α ∂θ/∂z",
            "round-off",
            1e-12,
        ),
        Outcome(
            "largest N² of stirred water", "s-2", stirred.abs().max().item(), 0.0, "local reference", "an identity"
        ),
    ]


def stretched(levels: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Thickness and mid-depth `[depth, 1, 1]` of levels down to 4000 m, the last ten times as thick as the first."""
    at = torch.linspace(0, 1, levels + 1, dtype=torch.float64)
    faces = 4000 * (at / 5.5 + at**2 * (1 - 1 / 5.5))
    return faces.diff()[:, None, None], ((faces[1:] + faces[:-1]) / 2)[:, None, None]


def ocean(levels: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Temperature and salinity over the range of the ocean, at depths down to 6000 m."""
    draw = torch.Generator().manual_seed(0)
    shape = (4, levels, 20, 20)
    depth = torch.linspace(0, 6000, levels, dtype=torch.float64)[:, None, None]
    thetao = torch.rand(shape, generator=draw, dtype=torch.float64) * (6 + 28 * torch.exp(-depth / 800)) - 2
    return thetao, torch.rand(shape, generator=draw, dtype=torch.float64) * 10 + 30, depth


def number(value: float) -> torch.Tensor:
    return torch.tensor(value, dtype=torch.float64)


def numpy(lines: dict) -> dict:
    return {name: tuple(np.asarray(axis) for axis in line) for name, line in lines.items()}


CASES = {
    "check cast": check_cast,
    "other equations": other_equations,
    "single precision": single_precision,
    "nemo reference": nemo_reference,
    "buoyancy": buoyancy,
}
