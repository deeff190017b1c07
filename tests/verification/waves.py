"""Waves of one layer under gravity and rotation: how fast they turn, travel and decay, against their closed forms."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from oceanx.physics.shallow_water import ShallowWater, ShallowWaterConfig
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.state import Fields, State
from oceanx.vocabulary.constants import GRAVITY, ROTATION

from .outcome import Curve, Outcome

ORDER = "second-order differences and means; 1.8 is what polaris (E3SM) asks of the same case"
GILL = "Gill (1982), Atmosphere–Ocean Dynamics"


def plane(
    cells: tuple[int, int],
    size: tuple[float, float],
    depth: float,
    periodic: tuple[bool, bool] = (False, False),
    coriolis: tuple[float, float] = (0.0, 0.0),
    south: float = 0.0,
) -> Geometry:
    """A plane of (x, y) cells and so many metres, its south-western corner at (0, south)."""
    x = torch.linspace(0.0, size[0], cells[0] + 1, dtype=torch.float64)
    y = torch.linspace(south, south + size[1], cells[1] + 1, dtype=torch.float64)
    thickness, mask = torch.tensor([depth]).double(), torch.ones(1, cells[1], cells[0])
    return Geometry.plane(y, x, thickness / 2, thickness, mask, periodic, coriolis, dtype=torch.float64)


def places(geometry: Geometry) -> dict[str, tuple[Tensor, Tensor]]:
    """(x, y) of centres, east faces, north faces and corners, in m."""
    x, y = geometry.longitude[None], geometry.latitude[:, None]
    x_face, y_face = x + geometry.length_y[:1] / 2, y + geometry.length_x[:, :1] / 2
    return {"": (x, y), "_x": (x_face, y), "_y": (x, y_face), "_xy": (x_face, y_face)}


def state(geometry: Geometry, zos: Tensor | float = 0.0, u: Tensor | float = 0.0, v: Tensor | float = 0.0) -> State:
    """Of fields on their own points."""
    none = torch.zeros_like(geometry.mask[None])
    return State(
        {
            "uo_x": (none + u) * geometry.mask_x,
            "vo_y": (none + v) * geometry.mask_y,
            "zos": (none + zos) * geometry.mask,
        }
    )


def run(core: ShallowWater, start: State, seconds: float, crossings: float = 0.9) -> State:
    """The state after so many seconds, in steps in which waves cross at most so many cells."""
    steps = math.ceil(seconds * core.rates(start)["waves"] / crossings)
    with torch.no_grad():
        return core(start, Fields({}), seconds, steps)


def from_streamfunction(psi: Tensor, geometry: Geometry) -> tuple[Tensor, Tensor]:
    """The flow along the contours of ψ at corners (m2 s-1): it has no divergence."""
    return -(psi - psi.roll(1, -2)) / geometry.length_x, (psi - psi.roll(1, -1)) / geometry.length_y


def order(errors: list[float]) -> float:
    """At which power of the cell the last two errors fall, cells halved in between."""
    return math.log2(errors[-2] / errors[-1])


def convergence(title: str, cells: list[int], errors: list[float]) -> Curve:
    """Errors over the number of cells, beside a slope of two."""
    slope = [errors[0] * (cells[0] / n) ** 2 for n in cells]
    return Curve(
        title, "cells along x", "error", {"oceanx": (cells, errors), "exact slope 2": (cells, slope)}, log=True
    )


def phase(field: Tensor, angle: Tensor) -> float:
    """φ of what goes with cos(angle + φ)."""
    return float(torch.angle((field * torch.exp(-1j * angle)).sum()))


def inertial_oscillation() -> list[Outcome]:
    """A uniform flow turns clockwise in the north, once in 2π/f."""
    outcomes = []
    for latitude in (10.0, 30.0, 45.0, 60.0):
        f = 2 * ROTATION * math.sin(math.radians(latitude))
        geometry = plane((4, 4), (4e5, 4e5), 1000.0, (True, True), (f, 0.0))
        core, period = ShallowWater(geometry), 2 * math.pi / f
        states = [state(geometry, u=0.1)]
        for _ in range(24):
            with torch.no_grad():
                states.append(core(states[-1], Fields({}), period / 12, 4))
        u, v = (np.array([s[name].mean().item() for s in states]) for name in ("uo_x", "vo_y"))
        turned = -np.unwrap(np.arctan2(v, u))[-1]
        hours, path = np.arange(25) * period / 12 / 3600, np.linspace(0, 2 * period / 3600, 200)
        exact = 0.1 * np.cos(f * 3600 * path)
        curve = Curve("Inertial oscillation at 45°", "hours", "u (m/s)", {"oceanx": (hours, u), "exact": (path, exact)})
        outcomes.append(
            Outcome(
                f"period of inertial motion at {latitude:g}°N",
                "h",
                2 * period / 3600 * 2 * math.pi / turned,
                period / 3600,
                "2π / (2Ω sin φ)",
                "phase error of RK4, (fΔt)⁴/120, at 48 steps a period: 2.5e-6",
                tolerance=5e-6,
                curve=curve if latitude == 45.0 else None,
            )
        )
    return outcomes


def inertia_gravity() -> list[Outcome]:
    """A plane wave in a doubly periodic sea: order of accuracy after ten hours, and its frequency."""
    size, depth, f, seconds = (1e7, math.sqrt(3) / 2 * 1e7), 1000.0, 1e-4, 36000.0
    k, m = 4 * math.pi / size[0], 4 * math.pi / size[1]
    omega = math.sqrt(f**2 + GRAVITY * depth * (k**2 + m**2))
    scale = GRAVITY / (omega**2 - f**2)
    cells, errors = [24, 48, 96], []
    for n in cells:
        geometry = plane((n, n), size, depth, (True, True), (f, 0.0))
        at = {point: k * x + m * y for point, (x, y) in places(geometry).items()}
        u = scale * (omega * k * at["_x"].cos() - f * m * at["_x"].sin())
        v = scale * (omega * m * at["_y"].cos() + f * k * at["_y"].sin())
        end = run(ShallowWater(geometry, ShallowWaterConfig(linear=True)), state(geometry, at[""].cos(), u, v), seconds)
        errors.append((end["zos"] - (at[""] - omega * seconds).cos()).pow(2).mean().sqrt().item())
    passed = -phase(end["zos"], at[""]) % (2 * math.pi)
    turns = round((omega * seconds - passed) / (2 * math.pi))
    return [
        Outcome(
            "order of accuracy, inertia–gravity wave",
            "1",
            order(errors),
            1.8,
            "a second-order scheme",
            ORDER,
            kind="at least",
            curve=convergence("Inertia–gravity wave after 10 h: error of the sea surface", cells, errors),
        ),
        Outcome(
            "frequency of the inertia–gravity wave",
            "s-1",
            (passed + 2 * math.pi * turns) / seconds,
            omega,
            f"ω² = f² + gH(k² + l²); {GILL}, §7.3",
            "the four-point mean of Coriolis loses (kΔx)²/8 in each direction, a difference (kΔx)²/24",
            tolerance=(4 * math.pi / cells[-1]) ** 2 / 8,
        ),
    ]


def kelvin() -> list[Outcome]:
    """A wave that leans on a wall: its speed along it, and how it decays away from it."""
    depth, f, gravity, n = 4000.0, 1e-4, 9.81, (48, 72)
    c = math.sqrt(gravity * depth)
    size, radius = (8e6, 6 * c / f), c / f
    geometry = plane(n, size, depth, (True, False), (f, 0.0))
    at, k = places(geometry), 2 * math.pi / size[0]

    def profile(point: str) -> Tensor:
        x, y = at[point]
        return (k * x).cos() * (-y / radius).exp()

    core = ShallowWater(geometry, ShallowWaterConfig(linear=True, gravity=gravity))
    seconds = size[0] / c
    end = run(core, state(geometry, profile(""), gravity / c * profile("_x")), seconds)["zos"][0, 0]
    x, y = geometry.longitude, geometry.latitude
    late = (phase(end[:1], k * x) + math.pi) % (2 * math.pi) - math.pi
    amplitude = ((end * torch.exp(-1j * k * x)).mean(-1).abs() * 2).numpy()
    near = y.numpy() < 2 * radius
    decay = -np.polyfit(y.numpy()[near], np.log(amplitude[near]), 1)[0]
    coarse = (k * size[0] / n[0]) ** 2
    curve = Curve(
        "Kelvin wave after one period: amplitude off the wall",
        "distance (km)",
        "amplitude (m)",
        {"oceanx": (y.numpy() / 1e3, amplitude), "exact": (y.numpy() / 1e3, np.exp(-y.numpy() / radius))},
    )
    return [
        Outcome(
            "speed of the Kelvin wave",
            "m/s",
            (size[0] - late / k) / seconds,
            c,
            f"√(gH); {GILL}, §10.4",
            "second-order differences: (kΔx)²/24; the four-point mean bends it by (kΔx)²/8 at most",
            tolerance=coarse / 8,
            curve=curve,
        ),
        Outcome(
            "decay of the Kelvin wave off the wall",
            "m-1",
            float(decay),
            f / c,
            f"f/√(gH); {GILL}, §10.4",
            "the four-point mean of Coriolis loses (kΔx)²/8, the mean over y (Δy/Ld)²/12",
            tolerance=coarse / 8 + (size[1] / n[1] / radius) ** 2 / 12,
        ),
    ]


def seiche() -> list[Outcome]:
    """A basin that rocks: its period and the order at which it is found."""
    length, depth, gravity = 1e5, 50.0, 9.81
    c = math.sqrt(gravity * depth)
    period, cells, found = 2 * length / c, [20, 40, 80], []
    for n in cells:
        geometry = plane((n, 1), (length, 1e4), depth)
        at, k = places(geometry), math.pi / length
        core = ShallowWater(geometry, ShallowWaterConfig(linear=True, gravity=gravity))
        end = run(core, state(geometry, 0.01 * (k * at[""][0]).cos()), 2.25 * period)
        high = (end["zos"] * (k * at[""][0]).cos()).sum().item()
        swift = (end["uo_x"] * (k * at["_x"][0]).sin()).sum().item() * math.sqrt(depth / gravity)
        found.append(2.25 * period * 2 * math.pi / (4 * math.pi + math.atan2(swift, high)))
    errors = [abs(value / period - 1) for value in found]
    return [
        Outcome(
            "period of the seiche (Merian)",
            "h",
            found[-1] / 3600,
            period / 3600,
            "2L/√(gH), Merian (1828)",
            "frequency of second-order differences: (πΔx/L)²/24, and a hundredth of that for higher powers",
            tolerance=(math.pi / cells[-1]) ** 2 / 24 * 1.01,
            curve=convergence("Seiche: relative error of the period", cells, errors),
        ),
        Outcome(
            "order of the seiche's period", "1", order(errors), 1.8, "a second-order scheme", ORDER, kind="at least"
        ),
    ]


CASES = {
    "inertial oscillation": inertial_oscillation,
    "inertia–gravity wave": inertia_gravity,
    "Kelvin wave": kelvin,
    "seiche": seiche,
}
