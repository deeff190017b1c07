"""Lateral mixing and friction: blobs that spread, waves and spherical harmonics that decay at a known rate."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from oceanx.physics.mixing import biharmonic_diffusion, diffusion
from oceanx.physics.viscosity import biharmonic_viscosity, viscosity
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.integrate import repeat, ssprk3
from oceanx.tensors.state import State, Tendency
from oceanx.vocabulary.constants import EARTH_RADIUS

from .flows import belt, edges, order
from .outcome import Curve, Outcome

HARMONICS = "∇²Y = −n(n+1)Y/R² of spherical harmonics"
SECOND = "central differences are of second order; 1.8 is asked of 2.0 on finite grids"


def gaussian() -> list[Outcome]:
    """The variance of a blob grows by 2κt each way."""
    side, cells, kappa, seconds, steps = 1000e3, 50, 1e3, 5e5, 5
    ends = edges(-side / 2, side / 2, cells)
    one = torch.ones(1, dtype=torch.float64)
    geometry = Geometry.plane(ends, ends, one, one, torch.ones(1, cells, cells), dtype=torch.float64)
    x, y = geometry.longitude[None, :], geometry.latitude[:, None]
    start = torch.exp(-(x**2 / (2 * 50e3**2) + y**2 / (2 * 40e3**2)))[None, None]
    end = _after(lambda t: diffusion(t, geometry, kappa), start, seconds, steps)

    def variance(field: Tensor, along: Tensor) -> float:
        return ((along**2 * field).sum() / field.sum()).item()

    row = cells // 2
    curve = Curve(
        "A blob before and after it has spread", "x (km)", "1",
        {name: (x[0].numpy() / 1e3, field[0, 0, row].numpy()) for name, field in (("before", start), ("after", end))},
    )  # fmt: skip
    why = "second differences of x² are exact, whatever the grid; the walls are 8 widths away: e⁻³²"
    return [
        Outcome(
            f"growth of the variance along {name}", "m2", variance(end, along) - variance(start, along),
            2 * kappa * seconds, "Fick: the variance of a blob grows by 2κt", why, 1e-9,
            curve=curve if name == "x" else None,
        )
        for name, along in (("x", x), ("y", y))
    ]  # fmt: skip


def waves_decay() -> list[Outcome]:
    """A wave of tracer or of shear decays as exp(−κk²t), or exp(−κ₄k⁴t): order of the decay, and of its rate."""
    k, grids = 2 * math.pi, (8, 16, 32)
    errors: dict[str, list[float]] = {}
    for n in grids:
        plane = _doubly_periodic(n)
        wave = torch.sin(k * plane.latitude)[:, None].expand(1, 1, n, n)
        end = _after(partial(diffusion, geometry=plane, kappa=1.0), wave, 1 / k**2, n * n // 8)
        errors.setdefault("a decaying wave", []).append((end - math.exp(-1) * wave).abs().max().item())
        still = torch.zeros_like(wave)
        for name, power, change in (
            ("harmonic mixing", 2, diffusion(wave, plane, 1.0)),
            ("biharmonic mixing", 4, biharmonic_diffusion(wave, plane, 1.0)),
            ("harmonic friction", 2, viscosity(wave, still, plane, 1.0).x),
            ("biharmonic friction", 4, biharmonic_viscosity(wave, still, plane, 1.0).x),
        ):
            rate = -(wave * change).sum() / (wave**2).sum()
            errors.setdefault(f"the rate of {name}", []).append(abs(rate.item() / k**power - 1))
    curve = Curve("Waves that decay: error", "cells", "1", {n: (grids, e) for n, e in errors.items()}, log=True)
    return [
        Outcome(
            f"order of {name}", "1", order(*found[1:]), 1.8, "closed form exp(−κk²t), exp(−κ₄k⁴t)", SECOND,
            kind="at least", curve=None if i else curve,
        )
        for i, (name, found) in enumerate(errors.items())
    ]  # fmt: skip


def harmonics_decay() -> list[Outcome]:
    """From pole to pole: at what rate mixing lowers a spherical harmonic, and friction a flow along one."""
    degrees = (12.0, 6.0, 3.0)
    rates: dict[str, list[float]] = {"mixing": [], "biharmonic mixing": [], "friction": [], "biharmonic friction": []}
    for each in degrees:
        geometry = belt(each)
        tracer, u, v = _harmonic(geometry)
        masses = (geometry.area, geometry.spacing_x * geometry.length_x, geometry.spacing_y * geometry.length_y)
        for name, mixing in (("mixing", diffusion), ("biharmonic mixing", biharmonic_diffusion)):
            change = mixing(tracer, geometry, 1.0)
            rates[name].append(-((masses[0] * tracer * change).sum() / (masses[0] * tracer**2).sum()).item())
        for name, friction in (("friction", viscosity), ("biharmonic friction", biharmonic_viscosity)):
            force = friction(u, v, geometry, 1.0)
            taken = (masses[1] * u * force[0]).sum() + (masses[2] * v * force[1]).sum()
            rates[name].append(-(taken / ((masses[1] * u**2).sum() + (masses[2] * v**2).sum())).item())
    known = {"mixing": 20, "biharmonic mixing": 400, "friction": 18, "biharmonic friction": 324}
    errors = {
        name: [abs(rate * EARTH_RADIUS ** (4 if "bi" in name else 2) / known[name] - 1) for rate in found]
        for name, found in rates.items()
    }
    lines = {name: (degrees, found) for name, found in errors.items()}
    curve = Curve("Decay of a spherical harmonic of degree 4: error of the rate", "cell (°)", "1", lines, log=True)
    stress = "that of ∇² plus 2/R² for a stress without trace: n(n+1) − 2, which is 0 for a solid body"
    return [
        Outcome(
            f"order of the rate of {name} on the sphere", "1", order(*found[1:]), 1.8,
            f"{HARMONICS}; {stress}" if "friction" in name else HARMONICS, SECOND,
            kind="at least", curve=None if i else curve,
        )
        for i, (name, found) in enumerate(errors.items())
    ]  # fmt: skip


def channel() -> list[Outcome]:
    """Flow through a channel on whose walls water is at rest: the parabola of Poiseuille, F y (L − y) / 2ν."""
    errors, (nu, push, width) = [], (2.0, 3.0, 1.0)
    for n in (8, 16, 32):
        one = torch.ones(1, dtype=torch.float64)
        geometry = Geometry.plane(
            edges(0, width, n), edges(0, width, 4), one, one, torch.ones(1, n, 4), (True, False), dtype=torch.float64
        )
        # The steady flow: friction of every unit row is a matrix.
        rows = torch.eye(n, dtype=torch.float64)[:, None, :, None].expand(n, 1, n, 4)
        matrix = viscosity(rows, torch.zeros_like(rows), geometry, nu, "no").x[:, 0, :, 0].T
        flow = torch.linalg.solve(matrix, torch.full((n,), -push, dtype=torch.float64))
        y = geometry.latitude
        exact = push * y * (width - y) / (2 * nu)
        errors.append((flow - exact).abs().max().item())
    curve = Curve(
        "Poiseuille flow, 32 rows", "y (m)", "m s-1",
        {"flow": (y.numpy(), flow.numpy()), "exact": (y.numpy(), exact.numpy())},
    )  # fmt: skip
    drop = push * (1 / 32) ** 2 / (8 * nu)
    why = "a straight line from the wall to the first row misses the parabola by F Δy²/8ν, and all rows with it"
    return [
        Outcome("order between walls without slip", "1", order(*errors[1:]), 1.8, "Poiseuille", SECOND,
                kind="at least", curve=curve),
        Outcome("error between walls without slip, 32 rows", "m s-1", errors[-1], drop, "Poiseuille", why, 1e-9),
    ]  # fmt: skip


def _after(change: Callable[[Tensor], Tensor], field: Tensor, seconds: float, steps: int) -> Tensor:
    return repeat(ssprk3, lambda s: Tendency({"t": change(s["t"])}), State({"t": field}), seconds, steps)["t"]


def _doubly_periodic(n: int) -> Geometry:
    one = torch.ones(1, dtype=torch.float64)
    return Geometry.plane(
        edges(0, 1, n), edges(0, 1, n), one, one, torch.ones(1, n, n), (True, True), dtype=torch.float64
    )


def _harmonic(geometry: Geometry) -> tuple[Tensor, Tensor, Tensor]:
    """sin φ cos³ φ cos 3λ, of degree 4, at centres; and the flow that has it for a streamfunction, on faces.

    The pole is a closed point of the grid: this flow is at rest there and does not deform.
    """
    phi, lam = torch.deg2rad(geometry.latitude)[:, None], torch.deg2rad(geometry.longitude)[None, :]
    edge, face = phi + (phi[1] - phi[0]) / 2, lam + (lam[0, 1] - lam[0, 0]) / 2
    u = (3 * phi.sin() ** 2 - phi.cos() ** 2) * phi.cos() ** 2 * torch.cos(3 * face)
    v = -3 * edge.sin() * edge.cos() ** 2 * torch.sin(3 * lam)
    fields = phi.sin() * phi.cos() ** 3 * torch.cos(3 * lam), u * geometry.mask_x, v * geometry.mask_y
    tracer, u, v = (each.expand(1, 1, *geometry.area.shape) for each in fields)
    return tracer, u, v


CASES = {
    "spreading blob": gaussian,
    "decaying waves": waves_decay,
    "decaying harmonics": harmonics_decay,
    "Poiseuille flow": channel,
}
