"""Density, hydrostatic pressure and geostrophic balance: published check values and closed forms."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import gsw
import numpy as np
import torch

from oceanx.physics.density import EQUATIONS, linear, simplified, stratification, teos10
from oceanx.physics.geostrophy import geostrophic_current, surface_current
from oceanx.physics.pressure import hydrostatic, pressure_gradient
from oceanx.physics.teos10 import absolute_salinity, density_in_situ, specific_volume, standard_density
from oceanx.tensors.geometry import Geometry
from oceanx.vocabulary.constants import GRAVITY, REFERENCE_DENSITY

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


def hydrostatic_columns() -> list[Outcome]:
    """Pressure of linear and of exponential stratification, on levels that grow downwards."""
    reference = "∫ ρ′ g dz/ρ₀ by hand"
    thickness, depth = stretched(20)
    push = GRAVITY / REFERENCE_DENSITY
    steady = hydrostatic(3e-3 * depth, thickness)
    # The first half layer has its own density: ρ' h/2 where the integral has half of it.
    half = push * 3e-3 * depth[0].item() ** 2 / 2
    linear_error = (steady - push * 1.5e-3 * depth**2 - half).abs().max().item()

    def error(levels: int) -> float:
        thickness, depth = stretched(levels)
        found = hydrostatic(-2.0 * torch.exp(-depth / 800), thickness)
        exact = push * -1600 * (1 - torch.exp(-depth / 800))
        return (found - exact).abs().max().item()

    return [
        Outcome("linear: error", "m2 s-2", linear_error, 0.0, reference, "round-off of 400 m2 s-2", tolerance=1e-11),
        convergence("exponential: order of accuracy", error, (20, 40, 80, 160), "trapezoid rule, half the first layer"),
    ]


def seamount() -> list[Outcome]:
    """Rest over a seamount in stratified water, after Beckmann & Haidvogel (1993).

    doi:10.1175/1520-0485(1993)023<1736:NSOFAA>2.0.CO;2
    """
    n, levels = 24, 20
    thickness = torch.full((levels,), 5000.0 / levels, dtype=torch.float64)
    edges = torch.linspace(0, 240e3, n + 1, dtype=torch.float64)
    middle = (edges[1:] + edges[:-1]) / 2 - 120e3
    top = 5000 * (1 - 0.9 * torch.exp(-(middle**2 + middle[:, None] ** 2) / 40e3**2))
    depth = thickness.cumsum(0) - thickness / 2
    geometry = Geometry.plane(
        edges, edges, depth, thickness, (depth[:, None, None] < top).double(), coriolis=(1e-4, 0.0)
    )
    thetao = (2 + 16 * torch.exp(-depth / 800))[:, None, None] * geometry.mask
    anomaly = teos10(thetao[None].float(), (35 * geometry.mask)[None].float(), depth[:, None, None].float())
    push = pressure_gradient(anomaly, torch.zeros(1, 1, n, n), geometry)
    worst = max(face.abs().max().item() for face in push)
    lines = {
        "exact": (middle / 1e3, torch.zeros(n)),
        "on the deepest open face": (middle / 1e3, push.x[0, :, n // 2].abs().amax(0)),
    }
    curve = Curve("Rest over a seamount", "x (km)", "acceleration (m s-2)", numpy(lines))
    return [Outcome("acceleration at rest", "m s-2", worst, 0.0, "a state of rest", "levels are flat", curve=curve)]


def sloping_surface() -> list[Outcome]:
    """Density that depends on depth alone, under a surface with a slope: levels tilt, isopycnals do not."""
    thickness, depth = stretched(30)
    edges = torch.arange(13, dtype=torch.float64) * 25e3
    geometry = Geometry.plane(
        edges[:4], edges, depth.ravel(), thickness.ravel(), torch.ones(30, 3, 12), dtype=torch.float64
    )
    zos = 1e-5 * (edges[1:] - edges[6]).expand(1, 1, 3, 12)
    below = depth * (1 + zos / geometry.bottom_depth) - zos
    push = pressure_gradient(dense(below), zos, geometry).x[0, :, 1, :-1]
    # Water of density ρ'(0) is added on top: −(g ρ'(η)/ρ₀) ∂η/∂x at every depth.
    surface = zos[0, 0, 1]
    exact = -GRAVITY / REFERENCE_DENSITY * dense(-(surface[1:] + surface[:-1]) / 2) * 1e-5
    error = (push - exact).abs().amax(1) / (GRAVITY * 1e-5)
    # The trapezoid rule is wrong by Δ³ρ″/12 and the first half layer by h²ρ′/8: both change along a tilted level, as
    # it sinks by at most η and Δ widens by Δ/H, to the sum of their derivatives.
    column, first = 4000.0, thickness.ravel()[0]
    bends = [3.0 / 400**order * torch.exp(-depth.ravel() / 400) for order in (1, 2, 3)]
    within = depth.ravel().diff() ** 3 * (bends[2] / 12 + bends[1] / (4 * column))[:-1]
    bound = (first**2 * (3 / 400**2 / 8 + 3 / 400 / (4 * column)) + within.cumsum(0)) / REFERENCE_DENSITY
    lines = {"error": (depth.ravel(), error), "bound": (depth.ravel()[1:], bound)}
    return [
        Outcome(
            "baroclinic acceleration where there is none, beside g ∂η/∂x",
            "1",
            error.max().item(),
            bound[-1].item(),
            "the trapezoid rule's error and the first half layer's, along a tilted level",
            "h² ρ″/8ρ₀ at the top, and the sum of Δ³ρ‴/12ρ₀ beneath",
            kind="at most",
            curve=Curve("Under a sloping surface", "depth (m)", "error / g ∂η/∂x", numpy(lines), log=True),
        )
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


def thermal_wind_of_a_front() -> list[Outcome]:
    """A zonal current along a front, f-plane: u grows with depth from nothing at the surface."""
    thickness, depth = stretched(40)
    f, push = 1e-4, GRAVITY / REFERENCE_DENSITY

    def run(n: int) -> tuple[torch.Tensor, torch.Tensor]:
        edges = torch.linspace(0, 400e3, n + 1, dtype=torch.float64)
        y = (edges[1:] + edges[:-1])[:, None] / 2
        geometry = Geometry.plane(
            edges,
            edges[:4],
            depth.ravel(),
            thickness.ravel(),
            torch.ones(40, n, 3),
            coriolis=(f, 0),
            dtype=torch.float64,
        )
        front = torch.tanh((y - 200e3) / 50e3)
        anomaly = (0.5 * front * torch.ones(3, dtype=torch.float64)).expand(1, 40, n, 3)
        u = geostrophic_current(anomaly, torch.zeros(1, 1, n, 3, dtype=torch.float64), geometry).u[0, :, :, 1]
        exact = -push / f * depth[:, :, 0] * (0.5 / 50e3 / torch.cosh((y[:, 0] - 200e3) / 50e3) ** 2)
        return u[:, 1:-1], exact[:, 1:-1]

    def error(n: int) -> float:
        found, exact = run(n)
        return ((found - exact).abs().max() / exact.abs().max()).item()

    found, exact = run(40)
    at = found.shape[1] // 2
    lines = {"exact": (exact[:, at], -depth.ravel()), "40 cells": (found[:, at], -depth.ravel())}
    curve = Curve("Thermal wind of a front", "u (m s-1)", "z (m)", numpy(lines))
    return [convergence("order of accuracy", error, (20, 40, 80), "second-order means of faces", curve)]


def balanced_eddy() -> list[Outcome]:
    """A Gaussian sea level on an f-plane: v = g/f ∂η/∂x, fastest at one radius from the middle."""
    f, height, radius = 1e-4, 0.3, 80e3

    def run(n: int, half: float = 400e3) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        edges = torch.linspace(-half, half, n + 1, dtype=torch.float64)
        x = (edges[1:] + edges[:-1]) / 2
        ten = torch.full((1,), 10.0)
        geometry = Geometry.plane(edges, edges, ten / 2, ten, torch.ones(1, n, n), coriolis=(f, 0), dtype=torch.float64)
        zos = height * torch.exp(-(x**2 + x[:, None] ** 2) / (2 * radius**2))
        both = torch.stack((zos, 2 * zos))[:, None]  # each of a batch by itself
        v = surface_current(both, geometry).v[:, 0]
        return v[1, n // 2] / 2, -GRAVITY / f * x / radius**2 * zos[n // 2], x

    def error(n: int) -> float:
        found, exact, _ = run(n)
        return ((found - exact).abs()[1:-1].max() / exact.abs().max()).item()

    found, exact, x = run(40)
    curve = Curve(
        "Geostrophic eddy", "x (km)", "v (m s-1)", numpy({"exact": (x / 1e3, exact), "20 km": (x / 1e3, found)})
    )
    # Cells of 5 km, one of them where the eddy is fastest.
    fastest = GRAVITY * height / (f * radius) * math.exp(-0.5)
    why = "Δx²/(3 L²) of a centred difference, 1.3e-3 at 5 km"
    return [
        Outcome(
            "greatest velocity",
            "m s-1",
            run(161, 402.5e3)[0].max().item(),
            fastest,
            "g η₀ e^-½/(f L)",
            why,
            2e-3,
            curve=curve,
        ),
        convergence("order of accuracy", error, (40, 80, 160), "second-order means of faces"),
    ]


def convergence(
    quantity: str, error: Callable[[int], float], cells: tuple[int, ...], theory: str, curve: Curve | None = None
) -> Outcome:
    """The order by which an error falls from the last but one to the last number of cells."""
    errors = [error(n) for n in cells]
    order = math.log2(errors[-2] / errors[-1])
    second = [errors[0] * (cells[0] / n) ** 2 for n in cells]
    curve = curve or Curve(
        "Convergence", "cells", "error", {"error": (cells, errors), "exact second order": (cells, second)}, log=True
    )
    why = "1.8 of a scheme of order 2, as other models' convergence tests ask"
    return Outcome(quantity, "1", order, 1.8, theory, why, kind="at least", curve=curve)


def dense(depth: torch.Tensor) -> torch.Tensor:
    """A pycnocline of 3 kg m-3, 400 m deep."""
    return 1.0 - 3.0 * torch.exp(-depth / 400)


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


CASES = (
    check_cast,
    other_equations,
    single_precision,
    nemo_reference,
    hydrostatic_columns,
    seamount,
    sloping_surface,
    buoyancy,
    thermal_wind_of_a_front,
    balanced_eddy,
)
