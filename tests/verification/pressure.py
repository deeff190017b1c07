"""Hydrostatic pressure, its gradient at rest and under a sloping surface, and geostrophic balance: closed forms."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from oceanx.physics.density import teos10
from oceanx.physics.geostrophy import geostrophic_current, surface_current
from oceanx.physics.pressure import hydrostatic, pressure_gradient
from oceanx.tensors.geometry import Geometry
from oceanx.vocabulary.constants import GRAVITY, REFERENCE_DENSITY

from .density import numpy, stretched
from .outcome import Curve, Outcome


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
            coriolis=(f, 0.0),
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
        geometry = Geometry.plane(
            edges, edges, ten / 2, ten, torch.ones(1, n, n), (False, False), (f, 0.0), torch.float64
        )
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


CASES = {
    "hydrostatic columns": hydrostatic_columns,
    "seamount": seamount,
    "sloping surface": sloping_surface,
    "thermal wind of a front": thermal_wind_of_a_front,
    "balanced eddy": balanced_eddy,
}
