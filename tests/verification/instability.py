"""Baroclinic instability by the primitive equations as a whole: Eady's fastest wave in a channel."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.linalg import eig

from oceanx.tensors.state import State
from oceanx.vocabulary.constants import GRAVITY

from .outcome import Curve, Outcome
from .seas import ALPHA, core, march, sea, state
from .waves import places

F, N, DEPTH, SHEAR = 1e-4, 5e-3, 1000.0, 5e-4  # s-1, s-1, m, s-1: a deformation radius NH/f of 50 km, Ri = 100
EADY = "Eady (1949), doi:10.3402/tellusa.v1i3.8507"


def eady() -> list[Outcome]:
    """A flow with constant shear in constant stratification grows the wave that Eady found, and at its pace."""
    cells, width, levels = (24, 12), 3e5, 8
    across = math.pi / width
    k = math.sqrt((1.606115 * F / (N * DEPTH)) ** 2 - across**2)
    closed = _closed(k, across)
    discrete, psi, buoyancy = _in_layers(k, across, levels)
    g = sea(cells, (2 * math.pi / k, width), [DEPTH / levels] * levels, (True, False), (F, 0.0))
    at, depth = places(g), g.depth[:, None, None]
    # The flow is still at the surface, and as fast as the shear makes it beneath: the surface is flat.
    warm = 20 - (N**2 * depth + F * SHEAR * at[""][1]) / (GRAVITY * ALPHA)
    mean = state(g, warm, -SHEAR * depth)

    def wave(point: str, part: np.ndarray, across: torch.Tensor) -> torch.Tensor:
        return (torch.tensor(part)[:, None, None] * torch.exp(1j * k * at[point][0]) * across).real

    even = {point: (across * at[point][1]).cos() for point in at}
    odd = {point: (across * at[point][1]).sin() for point in at}
    size = 1e-6  # m/s
    first = DEPTH / levels / 2
    more = state(
        g,
        size * wave("", buoyancy, even[""]) / (GRAVITY * ALPHA),
        size * wave("_x", psi, odd["_x"]) * across,
        size * wave("_y", 1j * k * psi, even["_y"]),
        size * wave("", (F * psi[:1] + buoyancy[:1] * first) / GRAVITY, even[""]),
        0.0,
    )
    start = State({name: mean[name] + more[name] for name in mean})
    seconds = 2700.0
    steps = math.ceil(2 / discrete.imag / k / seconds)  # by e²: what else there was at the start has died by then

    def watch(now: State) -> complex:
        change = (now["thetao"] - mean["thetao"])[0, levels // 2 - 1 : levels // 2 + 1]
        return complex((change * torch.exp(-1j * k * at[""][0]) * even[""]).sum())

    seen, _ = march(core(g), start, seconds, steps, watch)
    times, half = np.arange(steps + 1) * seconds, steps // 2
    growth = np.polyfit(times[half:], np.log(np.abs(seen[half:])), 1)[0]
    drift = -np.polyfit(times[half:], np.unwrap(np.angle(seen[half:])), 1)[0] / k
    step_x, step_y = k * 2 * math.pi / k / cells[0], across * width / cells[1]
    second = (step_x**2 + step_y**2) * (1 / 8 + 1 / 24)
    slow = 1 / (N / SHEAR) ** 2 + N**2 * DEPTH / GRAVITY
    why = (
        f"second order in x and y, (kΔx)² + (lΔy)² times 1/8 + 1/24: {second:.1%}; quasi-geostrophic, 1/Ri and N²H/g: "
        f"{slow:.1%}"
    )
    days = times / 86400
    curve = Curve(
        "Eady's fastest wave: amplitude, over its first value",
        "days",
        "1",
        {"oceanx": (days, np.abs(seen / seen[0])), "exact": (days, np.exp(k * closed.imag * times))},
        log=True,
    )
    return [
        Outcome(
            "growth rate of Eady's wave, against eight layers",
            "per day",
            float(growth) * 86400,
            k * discrete.imag * 86400,
            "eigenvalue of the quasi-geostrophic equations of as many layers",
            why,
            tolerance=second + slow,
            curve=curve,
        ),
        Outcome(
            "growth rate of Eady's fastest wave",
            "per day",
            float(growth) * 86400,
            k * closed.imag * 86400,
            f"(k/κ) (f/N) ∂U/∂z √[(coth μ/2 − μ/2)(μ/2 − tanh μ/2)], μ = κNH/f = 1.606; {EADY}",
            f"{why}; layers, (μ/K)²/12 + (π/K)²/12",
            tolerance=second + slow + (1.606**2 + math.pi**2) / levels**2 / 12,
        ),
        Outcome(
            "phase speed of Eady's fastest wave",
            "m/s",
            float(drift),
            closed.real,
            f"the speed of the flow at mid-depth; {EADY}",
            why,
            tolerance=second + slow,
        ),
    ]


def _closed(k: float, across: float) -> complex:
    """The complex phase speed (m/s) of Eady's growing wave between two lids, the upper at rest."""
    half = math.hypot(k, across) * N * DEPTH / F / 2
    grows = math.sqrt((1 / math.tanh(half) - half) * (half - math.tanh(half)))
    return SHEAR * DEPTH * complex(-0.5, grows / (2 * half))


def _in_layers(k: float, across: float, levels: int) -> tuple[complex, np.ndarray, np.ndarray]:
    """The complex phase speed (m/s) of the growing wave of so many layers, and its stream function and buoyancy.

    (U − c) κ² ψ = −f (W_top − W_bottom)/h, W = w/(ik);  (U − c) b − f ∂U/∂z ψ + N² mean W = 0; and between centres
    f (ψ_above − ψ_below)/h = mean b.
    """
    h, n = DEPTH / levels, levels
    total = k**2 + across**2
    flow = np.diag(-SHEAR * h * (np.arange(n) + 0.5))
    between = np.eye(n - 1, n), np.eye(n - 1, n, 1)
    step, mean = (between[0] - between[1]), (between[0] + between[1]) / 2
    one, none = np.eye(n), np.zeros((n, n))
    left = np.block(
        [
            [total * flow, none, -F / h * step.T],
            [-F * SHEAR * one, flow, N**2 * mean.T],
            [F / h * step, -mean, np.zeros((n - 1, n - 1))],
        ]
    )
    right = np.zeros_like(left)
    right[:n, :n], right[n : 2 * n, n : 2 * n] = total * one, one
    values, vectors = eig(left, right)
    values = np.where(np.isfinite(values) & (np.abs(values) < 10 * SHEAR * DEPTH), values, 0.0)
    fastest = int(values.imag.argmax())
    found = vectors[:, fastest] / np.abs(vectors[:n, fastest]).max()
    return complex(values[fastest]), found[:n] / k, found[n : 2 * n] / k


CASES = {"Eady's wave": eady}
