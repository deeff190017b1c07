"""Heavy water under light, by the primitive equations as a whole: a lock that opens, and rest over a seamount."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from oceanx.physics.continuity import layer_thickness
from oceanx.physics.primitive.equations import PrimitiveEquations
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.state import State
from oceanx.vocabulary.constants import GRAVITY, REFERENCE_DENSITY

from .outcome import Curve, Outcome
from .seas import ALPHA, core, march, sea, state

ILICAK = "Ilıcak et al. (2012), doi:10.1016/j.ocemod.2011.10.003, §3.1"
BENJAMIN = "Benjamin (1968), doi:10.1017/S0022112068000133"
BECKMANN = "Beckmann & Haidvogel (1993), doi:10.1175/1520-0485(1993)023<1736:NSOFAA>2.0.CO;2"


def lock_exchange() -> list[Outcome]:
    """A channel, light water in one half and heavy in the other: how fast the fronts run, and what mixes."""
    length, depth, gravity, lighter = 64e3, 20.0, 9.81, 5.0 / 1000.0
    cold, warm = 10.0, 10.0 + lighter / ALPHA
    speeds = []
    for number, seconds in ((5, 240.0), (10, 120.0)):
        its = core(
            sea((32 * number // 5, 1), (length, 1e3), [depth / number] * number),
            gravity=gravity,
            transport="limited",
            viscosity=100.0,
            vertical_viscosity=1e-4,
        )
        g, x = its.geometry, its.geometry.longitude
        start = state(g, cold + (warm - cold) * (x > length / 2).double())

        def watch(now: State, its: PrimitiveEquations = its, x: Tensor = x) -> np.ndarray:
            t = now["thetao"][0, :, 0]
            fronts = _front(t[-1], x, cold, warm), length - _front(t[0].flip(0), x, warm, cold)
            return np.array([*fronts, _resting_energy(now, its), t.min().item(), t.max().item()])

        steps = round(43200 / seconds)
        seen, end = march(its, start, seconds, steps, watch)
        late = slice(steps // 4, None)
        times = np.arange(steps + 1) * seconds
        speeds.append([abs(np.polyfit(times[late], seen[late, side], 1)[0]) for side in (0, 1)])
    released = _released(start, g, gravity)
    mixed = seen[:, 2] - seen[0, 2]
    before, after = its.budget(start)["heat"].item(), its.budget(end)["heat"].item()
    known = 0.5 * math.sqrt(gravity * lighter * depth)
    hours = times / 3600
    run = Curve(
        "Lock exchange: the front on the floor",
        "hours",
        "km",
        {
            "oceanx": (hours, (seen[:, 0] - length / 2) / 1e3),
            "exact ½√(g'H) t": (hours, known * times / 1e3),
        },
    )
    mixing = Curve(
        "Lock exchange: growth of the energy that cannot be released, over all that could",
        "hours",
        "1",
        {"oceanx": (hours, mixed / released)},
    )
    source = f"½√(g'H); {BENJAMIN}; the set-up of {ILICAK}"
    errors = [abs(each[0] / known - 1) for each in speeds]
    why = "a front of cells 1 km wide and 2 m deep, with what is lost in it: 10 %, and less on finer ones"
    return [
        Outcome("speed of the front on the floor", "m/s", speeds[1][0], known, source, why, tolerance=0.1, curve=run),
        Outcome("speed of the front at the surface", "m/s", speeds[1][1], known, source, why, tolerance=0.1),
        Outcome(
            "error of the front's speed, over that on cells twice as wide and deep",
            "1",
            errors[1] / errors[0],
            0.75,
            "at a front every scheme is of first order: a half",
            "half-way between first order and none",
            kind="at most",
        ),
        Outcome(
            "speed of the faster front",
            "m/s",
            max(speeds[1]),
            0.527 / 0.5 * known,
            f"0.527 √(g'H), beyond which no steady front can be; {BENJAMIN}",
            "none is asked",
            kind="at most",
        ),
        Outcome(
            "coldest water of the exchange", "°C", seen[:, 3].min(), cold, "start", "no new extremes", kind="at least"
        ),
        Outcome(
            "by how much the warmest water exceeds that of the start",
            "K",
            seen[:, 4].max() - warm,
            0.0,
            "transport and mixing make no new extremes",
            "round-off",
            tolerance=1e-12,
        ),
        Outcome(
            "heat that the exchange gains, over what it holds",
            "1",
            after / before - 1,
            0.0,
            "heat is conserved",
            "round-off of 640 cells, 360 times",
            tolerance=1e-13,
        ),
        Outcome(
            "least growth of the reference potential energy in a step, over all that could be released",
            "1",
            float(np.diff(mixed).min() / released),
            -1e-13,
            "mixing raises it, nothing lowers it",
            "round-off",
            kind="at least",
            curve=mixing,
        ),
    ]


def seamount() -> list[Outcome]:
    """Layered water over a seamount: it rests exactly, and what rocks it gains no energy from the sea floor."""
    half, height, across, depth, levels = 128e3, 0.9, 40e3, 4500.0, 12
    g = _seamount(16, 2 * half, depth, levels, height, across)
    warm = 5.0 + 15.0 * torch.exp(-g.depth / 500.0)[:, None, None]
    its = core(g, density="teos10", transport="limited")
    still = state(g, warm * g.mask, so=(34.5 + 0.5 * torch.exp(-g.depth / 800.0)[:, None, None]) * g.mask)
    moved, _ = march(its, still, 1200.0, 36, _fastest)
    zos = 0.5 * torch.cos(math.pi * g.longitude / (2 * half))
    tilted = State({**still, "zos": still["zos"] + zos * g.surface})
    area = (g.area * g.surface).double()
    given = 0.5 * REFERENCE_DENSITY * GRAVITY * (zos**2 * area).sum().item()
    energy, _ = march(its, tilted, 150.0, 48, lambda now: its.budget(now)["kinetic_energy"].item() / given)
    curve = Curve(
        "A seiche over a stratified seamount: kinetic energy, over the energy given",
        "hours",
        "1",
        {"oceanx": (np.arange(49) / 24, energy)},
    )
    return [
        Outcome(
            "currents over a seamount in half a day at rest",
            "m/s",
            float(moved.max()),
            0.0,
            f"no motion; the set-up of {BECKMANN}, here in full cells",
            "none: no pressure differs along a level",
            tolerance=0.0,
        ),
        Outcome(
            "kinetic energy of a seiche over a seamount, over the energy given",
            "1",
            float(energy.max()),
            1.0,
            "what the tilted surface holds, ½ρg∫η² dA",
            "nothing else can be released",
            kind="at most",
            curve=curve,
        ),
    ]


def _front(t: Tensor, x: Tensor, behind: float, ahead: float) -> float:
    """How far from the west (m) the tracer has reached the middle of both values."""
    share = ((t - ahead) / (behind - ahead)).numpy()
    last = int(np.flatnonzero(share >= 0.5)[-1])
    part = (share[last] - 0.5) / (share[last] - share[last + 1])
    return float(x[last] + part * (x[1] - x[0]))


def _resting_energy(now: State, its: PrimitiveEquations) -> float:
    """The potential energy (J) that is left once all water lies at rest by its density, over a flat floor."""
    g = its.geometry
    volume = (layer_thickness(now["zos"], g)[0] * g.area).flatten().numpy()
    anomaly = -REFERENCE_DENSITY * ALPHA * (now["thetao"].flatten().numpy() - 10.0)
    heaviest = np.argsort(-anomaly, kind="stable")
    weight = anomaly[heaviest] * volume[heaviest]
    height = (volume[heaviest].cumsum() - volume[heaviest] / 2) / g.area.sum().item()
    return float(its.config.gravity * (weight * height).sum())


def _released(start: State, g: Geometry, gravity: float) -> float:
    """How much potential energy (J) two halves of a channel release once one lies on the other: ⅛ Δρ g H² A."""
    spread = start["thetao"].max() - start["thetao"].min()
    return float(REFERENCE_DENSITY * ALPHA * spread * gravity * g.thickness.sum() ** 2 * g.area.sum() / 8)


def _seamount(cells: int, length: float, depth: float, levels: int, height: float, across: float) -> Geometry:
    """A closed square with a Gaussian seamount in the middle, so high (over depth) and wide, in full cells."""
    edges = torch.linspace(0.0, length, cells + 1, dtype=torch.float64)
    layers = torch.full((levels,), depth / levels, dtype=torch.float64)
    x = (edges[1:] + edges[:-1]) / 2 - length / 2
    floor = depth * (1 - height * torch.exp(-(x**2 + x[:, None] ** 2) / across**2))
    middle = layers.cumsum(0) - layers / 2
    wet = (middle[:, None, None] < floor).double()
    return Geometry.plane(edges, edges, middle, layers, wet, coriolis=(1e-4, 0.0), dtype=torch.float64)


def _fastest(now: State) -> float:
    return max(now[name].abs().max().item() for name in ("uo_x", "vo_y"))


CASES = {"lock exchange": lock_exchange, "rest over a seamount": seamount}
