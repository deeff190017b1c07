"""The primitive equations as a whole, where the free surface, rotation and the wind have closed forms."""

from __future__ import annotations

import math

import numpy as np
import torch

from oceanx.tensors.state import Fields, State
from oceanx.vocabulary.constants import GRAVITY, REFERENCE_DENSITY

from .outcome import Curve, Outcome
from .seas import core, march, oscillation, sea, state

SPLIT = "what the weights promise is (ωΔt)²/20000 in a long step; as much again for terms of fourth order and more"


def surface_seiche() -> list[Outcome]:
    """A basin of four layers that rocks, its surface in short steps of its own: period, and what the mean takes."""
    length, depth, n = 1e5, 50.0, 40
    g = sea((n, 1), (length, 1e4), [5.0, 10.0, 15.0, 20.0])
    its, k = core(g), math.pi / length
    period = 2 * length / math.sqrt(GRAVITY * depth)
    seconds, shape = period / 100, (k * g.longitude).cos()
    short = its.free_surface.substeps(seconds)
    series, end = march(
        its, state(g, zos=1e-5 * shape), seconds, 200, lambda now: (now["zos"][0, 0, 0] * shape).sum().item()
    )
    turned, growth = oscillation(series)
    times = np.arange(201) * seconds / 3600
    curve = Curve(
        "Seiche of a layered basin: sea surface, over its first value",
        "hours",
        "1",
        {
            "oceanx": (times, series / series[0]),
            "exact": (times, np.cos(2 * math.pi * times * 3600 / period)),
        },
    )
    sheared = (end["uo_x"] - end["uo_x"][:, :1]).abs().max() / end["uo_x"].abs().max()
    return [
        Outcome(
            "period of the seiche of a layered basin (Merian)",
            "h",
            2 * math.pi / turned * seconds / 3600,
            period / 3600,
            "2L/√(gH), Merian (1828)",
            "frequency of second-order differences, (πΔx/L)²/24, and of short steps, 1/n² of (ωΔt)²/24",
            tolerance=(math.pi / n) ** 2 / 24 + (turned / short) ** 2 / 24,
            curve=curve,
        ),
        Outcome(
            "what a step leaves of the seiche",
            "1",
            growth,
            1 - _taken(turned),
            "the weights' second moment, 1e-4 of a long step squared",
            SPLIT,
            kind="at least",
        ),
        Outcome(
            "what a step makes of the seiche", "1", growth, 1.0, "it does not grow", "none is asked", kind="at most"
        ),
        Outcome(
            "shear of the seiche, over its flow",
            "1",
            float(sheared),
            0.0,
            "water of one density moves as one",
            "advection of momentum, u∂u/∂x over ωu, in layers that are alike",
            tolerance=1e-12,
        ),
    ]


def inertial() -> list[Outcome]:
    """Layers that move apart, and all of them as one, turn clockwise in the north, once in 2π/f."""
    f, layers = 1e-4, [250.0] * 4
    g = sea((4, 4), (4e5, 4e5), layers, (True, True), (f, 0.0))
    its, seconds, steps = core(g), 1800.0, 70  # two turns: forward–backward orbits are ellipses, a little
    profile = torch.tensor([1.5, 1.0, 1.0, 0.5]).double()[:, None, None]
    short = its.free_surface.substeps(seconds)

    def watch(now: State) -> np.ndarray:
        layer = [complex(now["uo_x"][0, at].mean(), now["vo_y"][0, at].mean()) for at in range(4)]
        return np.array([sum(layer) / 4, layer[0] - layer[-1]])

    seen, _ = march(its, state(g, u=0.1 * profile), seconds, steps, watch)
    turned = -np.unwrap(np.angle(seen), axis=0)[-1] / steps
    kept = (np.abs(seen[-1]) / np.abs(seen[0])) ** (1 / steps)
    _, growth = oscillation(seen[:, 0].real)
    times = np.arange(steps + 1) * seconds / 3600
    curve = Curve(
        "Inertial oscillation of the depth mean",
        "hours",
        "u (m/s)",
        {"oceanx": (times, seen[:, 0].real), "exact": (times, 0.1 * np.cos(f * times * 3600))},
    )
    angle = f * seconds
    period = 2 * math.pi / f / 3600
    return [
        Outcome(
            "period of inertial motion, between layers",
            "h",
            2 * math.pi / turned[1] * seconds / 3600,
            period,
            "2π/f",
            "Crank–Nicolson: (fΔt)²/12",
            tolerance=angle**2 / 12,
        ),
        Outcome(
            "what a step leaves of inertial motion, between layers",
            "1",
            kept[1],
            1.0,
            "Crank–Nicolson is neutral",
            "round-off",
            tolerance=1e-14,
        ),
        Outcome(
            "period of inertial motion, depth mean",
            "h",
            2 * math.pi / turned[0] * seconds / 3600,
            period,
            "2π/f",
            "Crank–Nicolson in short steps: (fΔt/n)²/12",
            tolerance=(angle / short) ** 2 / 12,
            curve=curve,
        ),
        Outcome(
            "what a step leaves of inertial motion, depth mean",
            "1",
            growth,
            1 - _taken(angle),
            "the weights' second moment, 1e-4 of a long step squared",
            SPLIT,
            kind="at least",
        ),
        Outcome(
            "what a step makes of inertial motion",
            "1",
            growth,
            1.0,
            "it does not grow",
            "none is asked",
            kind="at most",
        ),
    ]


def ekman() -> list[Outcome]:
    """A steady wind on a deep column: Ekman's spiral stays, and his transport is what the wind makes in the mean."""
    tau, nu, f, levels = 0.1027 * REFERENCE_DENSITY / 1000.0, 5e-4, 1e-4, 100
    d = math.sqrt(2 * nu / f)
    layers = [8 * d / levels] * levels
    g = sea((2, 2), (2e5, 2e5), layers, (True, True), (f, 0.0))
    its = core(g, forced_by="wind", vertical_viscosity=nu)
    period, steps = 2 * math.pi / f, 40
    stress = torch.full((1, 1, 2, 2), tau, dtype=torch.float64)
    wind = Fields({"tauuo": stress, "tauvo": torch.zeros_like(stress)})
    z = -g.depth / d
    speed = math.sqrt(2) * tau / (REFERENCE_DENSITY * f * d)
    spiral = torch.stack([(z - math.pi / 4).cos(), (z - math.pi / 4).sin()]) * speed * z.exp()

    def watch(now: State) -> np.ndarray:
        return torch.stack([now[name][0, :, 0, 0] for name in ("uo_x", "vo_y")]).numpy()

    start = state(g, u=spiral[0][:, None, None], v=spiral[1][:, None, None])
    held, _ = march(its, start, period / steps, steps, watch, wind)
    off = np.sqrt(((held - spiral.numpy()) ** 2).sum((1, 2)) / (spiral.numpy() ** 2).sum()).max()
    risen, _ = march(its, state(g), period / steps, steps, watch, wind)
    along, across = risen.sum(-1)[:-1].mean(0) * layers[0]
    ratio, angle = layers[0] / d, 2 * math.pi / steps
    deep = g.depth.numpy() < 4 * d
    curve = Curve(
        "Ekman spiral of the primitive equations after an inertial period",
        "m/s",
        "z (m)",
        {
            "u": (held[-1, 0][deep], -g.depth.numpy()[deep]),
            "v": (held[-1, 1][deep], -g.depth.numpy()[deep]),
            "exact u": (spiral.numpy()[0][deep], -g.depth.numpy()[deep]),
            "exact v": (spiral.numpy()[1][deep], -g.depth.numpy()[deep]),
        },
    )
    return [
        Outcome(
            "how far Ekman's spiral drifts in an inertial period, over its size",
            "1",
            float(off),
            0.0,
            "d = √(2ν/f), V₀ = √2 τ/(ρfd), closed form",
            "steady in layers, however long the step: (Δz/d)²/6, and twice that where it overshoots",
            tolerance=ratio**2 / 3,
            curve=curve,
        ),
        Outcome(
            "transport to the right of the wind, mean of an inertial period from rest",
            "m2/s",
            float(-across),
            0.1027 / f / 1000.0,
            "τ/(ρf)",
            "steps: (fΔt)²/6",
            tolerance=angle**2 / 6,
        ),
        Outcome(
            "transport along the wind, mean of an inertial period from rest",
            "m2/s",
            float(along),
            0.0,
            "none",
            "steps: the inertial circle, of τ/(ρf), loses (fΔt)²/10000 at most in each, and the mean half of all that",
            tolerance=steps / 2 * _taken(angle) * 0.1027 / f / 1000.0,
        ),
    ]


def _taken(angle: float) -> float:
    """What the mean over short steps takes of a wave that turns by so much in a long one."""
    return angle**2 / 10000


CASES = {"seiche of layers": surface_seiche, "inertial motion of layers": inertial, "Ekman's column": ekman}
