"""Baroclinic instability by the primitive equations as a whole: the waves of Eady and of Phillips in a channel."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from scipy.linalg import eig

from oceanx.tensors.state import State
from oceanx.vocabulary.constants import GRAVITY

from .outcome import Curve, Outcome
from .seas import ALPHA, core, march, sea, state
from .waves import places

EADY = "Eady (1949), doi:10.3402/tellusa.v1i3.8507"
PHILLIPS = "Phillips (1954), doi:10.1111/j.2153-3490.1954.tb01123.x; Vallis (2017), doi:10.1017/9781107588417, §9.6"


class Flow(NamedTuple):
    """A flow along a channel, at rest at the surface and faster with depth, U = −Sz, in constant stratification."""

    f: float  # s-1
    n: float  # s-1
    depth: float  # m
    shear: float  # S, s-1
    levels: int
    beta: float = 0.0  # m-1 s-1


class Wave(NamedTuple):
    """What a growing wave did: amplitude over the first against time (s), growth (s-1) and phase speed (m/s)."""

    times: np.ndarray
    amplitude: np.ndarray
    growth: float
    speed: float


def eady() -> list[Outcome]:
    """A flow with constant shear in constant stratification grows the wave that Eady found, and at its pace."""
    # A deformation radius NH/f of 50 km, Ri = 100.
    flow, cells, width = Flow(1e-4, 5e-3, 1000.0, 5e-4, 8), (24, 12), 3e5
    across = math.pi / width
    k = math.sqrt((1.606115 * flow.f / (flow.n * flow.depth)) ** 2 - across**2)
    closed, discrete = _eady(flow, k, across), _in_layers(flow, k, across)[0]
    wave = _grown(flow, k, width, cells)
    second, slow = _second(cells), _slow(flow)
    why = (
        f"second order in x and y, (kΔx)² + (lΔy)² times 1/8 + 1/24: {second:.1%}; quasi-geostrophic, 1/Ri and N²H/g: "
        f"{slow:.1%}"
    )
    return [
        Outcome(
            "growth rate of Eady's wave, against eight layers",
            "per day",
            wave.growth * 86400,
            k * discrete.imag * 86400,
            "eigenvalue of the quasi-geostrophic equations of as many layers",
            why,
            tolerance=second + slow,
            curve=_curve("Eady's fastest wave: amplitude, over its first value", wave, k * closed.imag),
        ),
        Outcome(
            "growth rate of Eady's fastest wave",
            "per day",
            wave.growth * 86400,
            k * closed.imag * 86400,
            f"(k/κ) (f/N) ∂U/∂z √[(coth μ/2 − μ/2)(μ/2 − tanh μ/2)], μ = κNH/f = 1.606; {EADY}",
            f"{why}; layers, (μ/K)²/12 + (π/K)²/12",
            tolerance=second + slow + (1.606**2 + math.pi**2) / flow.levels**2 / 12,
        ),
        Outcome(
            "phase speed of Eady's fastest wave",
            "m/s",
            wave.speed,
            closed.real,
            f"the speed of the flow at mid-depth; {EADY}",
            why,
            tolerance=second + slow,
        ),
    ]


def phillips() -> list[Outcome]:
    """Two layers on β grow the wave that Phillips found, and at its pace."""
    radius, h, cells, width = 15e3, 500.0, (24, 12), 1.5e5
    flow = Flow(1e-4, 2 * 1e-4 * radius / h, 2 * h, 0.1 / h, 2, 1.5e-11)  # 0.1 m/s between the layers
    across = math.pi / width
    wave_numbers = np.linspace(0.1, 1.0, 901) / radius
    k = float(max(wave_numbers, key=lambda each: each * _phillips(flow, each, across).imag))
    closed = _phillips(flow, k, across)
    wave = _grown(flow, k, width, cells)
    second, slow = _second(cells), _slow(flow) + flow.beta / (k * flow.f)
    why = (
        f"second order in x and y, (kΔx)² + (lΔy)² times 1/8 + 1/24: {second:.1%}; quasi-geostrophic, 1/Ri, N²H/g and "
        f"β/(kf): {slow:.1%}"
    )
    return [
        Outcome(
            "growth rate of two layers on β",
            "per day",
            wave.growth * 86400,
            k * closed.imag * 86400,
            f"kβ/(K² + F) F/(2K²) √−D, D = 1 + 4K⁴(K⁴ − F²)/(k_β⁴F²), F = 1/(15 km)²; {PHILLIPS}",
            why,
            tolerance=second + slow,
            curve=_curve("Two layers on β: amplitude of the fastest wave, over its first value", wave, k * closed.imag),
        ),
        Outcome(
            "phase speed in two layers on β",
            "m/s",
            wave.speed,
            closed.real,
            f"mean flow − β/(K² + F) (1 + F/(2K²)); {PHILLIPS}",
            why,
            tolerance=second + slow,
        ),
    ]


def _second(cells: tuple[int, int]) -> float:
    """What a wave and a half of it on so many cells lose by second-order differences: (kΔx)² + (lΔy)², a sixth."""
    return ((2 * math.pi / cells[0]) ** 2 + (math.pi / cells[1]) ** 2) * (1 / 8 + 1 / 24)


def _slow(flow: Flow) -> float:
    """What quasi-geostrophy neglects, 1/Ri and N²H/g."""
    return (flow.shear / flow.n) ** 2 + flow.n**2 * flow.depth / GRAVITY


def _curve(title: str, wave: Wave, growth: float) -> Curve:
    days = wave.times / 86400
    lines = {"oceanx": (days, wave.amplitude), "exact": (days, np.exp(growth * wave.times))}
    return Curve(title, "days", "1", lines, log=True)


def _grown(flow: Flow, k: float, width: float, cells: tuple[int, int]) -> Wave:
    """The growing wave of a flow by the primitive equations, from 1e-6 m/s until it is e² as large.

    Its pace is that of the second half: by then what else there was at the start has died.
    """
    across, levels = math.pi / width, flow.levels
    speed, psi, buoyancy = _in_layers(flow, k, across)
    g = sea(cells, (2 * math.pi / k, width), [flow.depth / levels] * levels, (True, False), (flow.f, flow.beta))
    at, depth = places(g), g.depth[:, None, None]
    # The flow is still at the surface, and as fast as the shear makes it beneath: the surface is flat.
    y = at[""][1]
    turned = flow.f * y + flow.beta * y**2 / 2  # ∫ f dy
    mean = state(g, 20 - (flow.n**2 * depth + flow.shear * turned) / (GRAVITY * ALPHA), -flow.shear * depth)

    def wave(point: str, part: np.ndarray, across: torch.Tensor) -> torch.Tensor:
        return (torch.tensor(part)[:, None, None] * torch.exp(1j * k * at[point][0]) * across).real

    even = {point: (across * at[point][1]).cos() for point in at}
    odd = {point: (across * at[point][1]).sin() for point in at}
    size, first = 1e-6, flow.depth / levels / 2
    more = state(
        g,
        size * wave("", buoyancy, even[""]) / (GRAVITY * ALPHA),
        size * wave("_x", psi, odd["_x"]) * across,
        size * wave("_y", 1j * k * psi, even["_y"]),
        size * wave("", (flow.f * psi[:1] + buoyancy[:1] * first) / GRAVITY, even[""]),
        0.0,
    )
    start = State({name: mean[name] + more[name] for name in mean})
    its = core(g)
    step = 0.5 / its.rates(start)["waves"]
    steps = math.ceil(2 / speed.imag / k / step)

    def watch(now: State) -> complex:
        change = (now["thetao"] - mean["thetao"])[0, levels // 2 - 1 : levels // 2 + 1]
        return complex((change * torch.exp(-1j * k * at[""][0]) * even[""]).sum())

    seen, _ = march(its, start, step, steps, watch)
    times, half = np.arange(steps + 1) * step, steps // 2
    growth = np.polyfit(times[half:], np.log(np.abs(seen[half:])), 1)[0]
    turning = np.polyfit(times[half:], np.unwrap(np.angle(seen[half:])), 1)[0]
    return Wave(times, np.abs(seen / seen[0]), float(growth), -float(turning) / k)


def _eady(flow: Flow, k: float, across: float) -> complex:
    """The complex phase speed (m/s) of Eady's growing wave between two lids, the upper at rest."""
    half = math.hypot(k, across) * flow.n * flow.depth / flow.f / 2
    grows = math.sqrt((1 / math.tanh(half) - half) * (half - math.tanh(half)))
    return flow.shear * flow.depth * complex(-0.5, grows / (2 * half))


def _phillips(flow: Flow, k: float, across: float) -> complex:
    """The complex phase speed (m/s) of the growing wave of two layers on β, the surface at rest.

    Buoyancy that two levels carry, and the mean of which holds the wind between them, is one interface's with
    g′ = N²h/2: f²/(g′h) is F/2.
    """
    h = flow.depth / 2
    total, coupling = k**2 + across**2, 4 * (flow.f / (flow.n * h)) ** 2
    kb4 = (2 * flow.beta / (flow.shear * h)) ** 2
    root = np.sqrt(complex(1 + 4 * total**2 * (total**2 - coupling**2) / (kb4 * coupling**2)))
    slow = -flow.beta / (total + coupling) * (1 + coupling / (2 * total) * (1 - root))
    return complex(-flow.shear * h + slow.real, abs(slow.imag))


def _in_layers(flow: Flow, k: float, across: float) -> tuple[complex, np.ndarray, np.ndarray]:
    """The complex phase speed (m/s) of the growing wave of so many layers, and its stream function and buoyancy.

    ((U − c) κ² − β) ψ = −f (W_top − W_bottom)/h, W = w/(ik);  (U − c) b − f ∂U/∂z ψ + N² mean W = 0; and between
    centres f (ψ_above − ψ_below)/h = mean b.
    """
    n, h = flow.levels, flow.depth / flow.levels
    total = k**2 + across**2
    moving = np.diag(-flow.shear * h * (np.arange(n) + 0.5))
    between = np.eye(n - 1, n), np.eye(n - 1, n, 1)
    step, mean = (between[0] - between[1]), (between[0] + between[1]) / 2
    one, none = np.eye(n), np.zeros((n, n))
    left = np.block(
        [
            [total * moving - flow.beta * one, none, -flow.f / h * step.T],
            [-flow.f * flow.shear * one, moving, flow.n**2 * mean.T],
            [flow.f / h * step, -mean, np.zeros((n - 1, n - 1))],
        ]
    )
    right = np.zeros_like(left)
    right[:n, :n], right[n : 2 * n, n : 2 * n] = total * one, one
    values, vectors = eig(left, right)
    fastest_flow = flow.shear * flow.depth
    values = np.where(np.isfinite(values) & (np.abs(values) < 10 * fastest_flow + flow.beta / total), values, 0.0)
    fastest = int(values.imag.argmax())
    found = vectors[:, fastest] / np.abs(vectors[:n, fastest]).max()
    return complex(values[fastest]), found[:n] / k, found[n : 2 * n] / k


CASES = {"Eady's wave": eady, "Phillips' two layers": phillips}
