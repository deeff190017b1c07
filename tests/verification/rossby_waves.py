"""Waves that live on β: Rossby waves in a channel and a soliton on the equator, against their closed forms."""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

from oceanx.physics.momentum import vorticity
from oceanx.physics.shallow_water import ShallowWater, ShallowWaterConfig
from oceanx.tensors.state import State
from oceanx.vocabulary.constants import GRAVITY

from .outcome import Curve, Outcome
from .waves import GILL, ORDER, convergence, from_streamfunction, order, phase, places, plane, run, state

BETA_45 = 1.61868e-11  # m-1 s-1, at 45°
F_45 = 1.031261e-4  # s-1


def rossby() -> list[Outcome]:
    """Rossby waves in a channel: without divergence about the equator, and held by a deformation radius at 45°."""
    k, m = 2 * math.pi / 1e6, math.pi / 1e6
    free = -BETA_45 / (k**2 + m**2)
    cells = [12, 24, 48]
    errors = [abs(_drift(n, n, 1e6, (0.0, BETA_45), 100.0, GRAVITY, free) / free - 1) for n in cells]
    narrow, radius = math.pi / 2e5, 4e4
    held = -BETA_45 / (k**2 + narrow**2 + 1 / radius**2)
    gravity = (F_45 * radius) ** 2 / 1000.0
    slow = _drift(48, 20, 2e5, (F_45, BETA_45), 1000.0, gravity, held)
    return [
        Outcome(
            "order of the Rossby wave's speed",
            "1",
            order(errors),
            1.8,
            "a second-order scheme",
            ORDER,
            kind="at least",
            curve=convergence("Rossby wave: relative error of the phase speed", cells, errors),
        ),
        Outcome(
            "phase speed of a Rossby wave, no divergence",
            "m/s",
            free * (1 - errors[-1]),
            free,
            f"−β/(k² + l²), 1000 km in a channel 1000 km wide; {GILL}, §12.3",
            "the vorticity that the energy-conserving Coriolis term makes: (lΔy)²/2 + (kΔx)²/6",
            tolerance=(math.pi / 48) ** 2 / 2 + (2 * math.pi / 48) ** 2 / 6,
        ),
        Outcome(
            "phase speed of a Rossby wave, Ld 40 km",
            "m/s",
            slow,
            held,
            f"−β/(k² + l² + 1/Ld²), 1000 km in a channel 200 km wide; {GILL}, §12.3",
            "quasi-geostrophic: what it neglects is βL/f across the channel, 3.1 %",
            tolerance=BETA_45 * 2e5 / F_45,
        ),
    ]


def _drift(
    nx: int, ny: int, width: float, coriolis: tuple[float, float], depth: float, gravity: float, expected: float
) -> float:
    """The measured phase speed (m/s) of a wave 1000 km long in a channel, over a thirty-second of its period."""
    geometry = plane((nx, ny), (1e6, width), depth, (True, False), coriolis, south=-width / 2)
    at, k = places(geometry), 2 * math.pi / 1e6

    def psi(point: str) -> Tensor:
        x, y = at[point]
        return (k * x).cos() * (math.pi * y / width).cos()

    core = ShallowWater(geometry, ShallowWaterConfig(linear=True, gravity=gravity))
    u, v = from_streamfunction(psi("_xy")[None], geometry)
    zos = geometry.coriolis / gravity * psi("")
    seconds = abs(1e6 / expected) / 32
    end = run(core, state(geometry, zos, u, v), seconds, crossings=1.2)
    # The vorticity: gravity waves from a start that is not quite balanced have next to none.
    across = (math.pi * at["_xy"][1] / width).cos()
    turning = vorticity(end["uo_x"], end["vo_y"], geometry) * across
    return -phase(-turning, k * at["_xy"][0]) / k / seconds


def soliton() -> list[Outcome]:
    """The equatorial Rossby soliton: how far it has come at t = 120, and how fast it was. No units, g = H = 1."""
    b, (core, start) = 0.395, soliton_at_start(0.395)
    geometry, zos = core.geometry, start["zos"][0, 0]
    end = run(core, start, 120.0, crossings=1.2)
    x, level = geometry.longitude.numpy(), end["zos"][0, 0].numpy().max(0)
    gone = (24.0 - _summit(x, level)) % 48.0
    gone += 48.0 if gone < 24.0 else 0.0
    curve = Curve(
        "Equatorial Rossby soliton: highest sea surface along x",
        "x",
        "sea surface",
        {"start": (x, zos.numpy().max(0)), "t = 120, once around": (x, level)},
    )
    source = "Boyd (1980), J. Phys. Oceanogr. 10, 1699"
    return [
        Outcome(
            "displacement of the Rossby soliton",
            "1",
            gone,
            47.18,
            f"{source}; FVCOM at high resolution, as thetis compares",
            "thetis accepts 2 %; cells of 0.5 × 0.125",
            tolerance=0.02,
            curve=curve,
        ),
        Outcome(
            "speed of the Rossby soliton",
            "1",
            -gone / 120.0,
            -1 / 3 - 0.395 * b**2,
            f"{source}: −1/3 − 0.395 B²",
            "thetis accepts 2 %; the start is of zeroth order, and the next is B² = 16 % of it",
            tolerance=0.02,
        ),
    ]


def soliton_at_start(b: float) -> tuple[ShallowWater, State]:
    """A sea round the equator and the soliton of zeroth order in its middle."""
    # Symmetric about the equator, where v = 0 and ζ = 0: a wall that slips freely stands for the southern half.
    geometry = plane((96, 40), (48.0, 5.0), 1.0, (True, False), (0.0, 1.0))
    at = places(geometry)

    def phi(point: str) -> Tensor:
        return 0.771 * (b / (b * (at[point][0] - 24.0)).cosh()) ** 2

    def bell(point: str) -> Tensor:
        return (-(at[point][1] ** 2) / 2).exp()

    zos = phi("") * (6 * at[""][1] ** 2 + 3) / 4 * bell("")
    u = phi("_x") * (6 * at["_x"][1] ** 2 - 9) / 4 * bell("_x")
    slope = -2 * b * (b * (at["_y"][0] - 24.0)).tanh() * phi("_y")
    core = ShallowWater(geometry, ShallowWaterConfig(gravity=1.0))
    return core, state(geometry, zos, u, 2 * at["_y"][1] * slope * bell("_y"))


def _summit(x: np.ndarray, level: np.ndarray) -> float:
    """Where a parabola through the highest value and its neighbours is highest."""
    top = int(level.argmax())
    before, here, after = level[top - 1], level[top], level[(top + 1) % len(level)]
    return float(x[top] + (x[1] - x[0]) * (before - after) / (2 * (before - 2 * here + after)))


CASES = {"Rossby wave": rossby, "Rossby soliton": soliton}
