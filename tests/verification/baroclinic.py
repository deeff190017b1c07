"""Waves and jets of layered water, by the primitive equations as a whole: their speeds, and what has to stay steady."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.optimize import brentq

from oceanx.tensors.state import State
from oceanx.vocabulary.constants import GRAVITY

from .outcome import Curve, Outcome
from .seas import ALPHA, column, core, march, oscillation, sea, state
from .waves import GILL, ORDER, convergence, order, phase, places

DEPTH, WARMER = 1000.0, 20.0  # m, and by how many degrees the surface is warmer than the floor
DISCRETE = "eigenvalues of the discrete equations of a column, made linear by hand, and of waves in x and in time"


def internal_seiche() -> list[Outcome]:
    """A stratified channel rocks within: the speed of its first mode, where N is constant."""
    length, levels, speeds = 1e5, [4, 8, 16], []
    for number in levels:
        layers, temperature = _column(number)
        fast, slow = column(temperature, layers).speeds[:2]
        step = length / (2 * number)
        seconds = 0.25 * step / slow
        turned, growth, series = _rocked(length, layers, temperature, seconds, round(length / slow / seconds))
        known = 2 * math.asin(slow * seconds / step * math.sin(math.pi * step / length / 2))
        speeds.append(turned / seconds * length / math.pi)
    continuous = _first_mode(math.sqrt(GRAVITY * ALPHA * WARMER / DEPTH))
    errors = [abs(speed / continuous - 1) for speed in speeds]
    share = (slow / fast) ** 2
    times = np.arange(len(series)) * seconds / 3600
    rocking = Curve(
        "Internal seiche of a channel of 100 km: temperature, over its first value",
        "hours",
        "1",
        {
            "oceanx": (times, series / series[0]),
            "exact": (times, np.cos(math.pi / length * continuous * times * 3600)),
        },
    )
    split = f"the part that the surface's own steps move, (c₁/c₀)² = {share:.1e} of the whole"
    return [
        Outcome(
            "frequency of the internal seiche, against the discrete equations",
            "s-1",
            turned / seconds,
            known / seconds,
            DISCRETE,
            split,
            tolerance=share,
            curve=rocking,
        ),
        Outcome(
            "growth of the internal seiche in a step",
            "1",
            growth - 1,
            0.0,
            "forward–backward steps are neutral",
            f"{split}, times (ωΔt)²",
            tolerance=share * known**2,
        ),
        Outcome(
            "speed of the first internal mode",
            "m/s",
            speeds[-1],
            continuous,
            f"tan(NH/c) = Nc/g, which is NH/π within 0.4 %; {GILL}, §6.11",
            "(π/K)²/12 of K layers, (kΔx)²/24 of cells",
            tolerance=(math.pi / levels[-1]) ** 2 / 12 + (math.pi / levels[-1]) ** 2 / 96,
            curve=convergence("First internal mode: relative error of its speed, over layers", levels, errors),
        ),
        Outcome("its order", "1", order(errors), 1.8, "a second-order scheme", ORDER, kind="at least"),
    ]


def rossby() -> list[Outcome]:
    """A baroclinic Rossby wave, longer than the deformation radius, drifts west in a channel."""
    layers, temperature = _column(3)
    waves = column(temperature, layers)
    speed = float(waves.speeds[1])
    f, cells = 1e-4, (24, 12)
    radius = speed / f
    size, beta = (20 * radius, 6 * radius), 0.1 * f / (6 * radius)
    k, m = 2 * math.pi / size[0], math.pi / size[1]
    frequency, *wave = _rossby_mode(k, size[1], speed, f, beta, cells[1])
    g = sea(cells, size, list(layers), (True, False), (f, beta))
    its = core(g)
    seconds = 0.6 / speed / math.hypot(cells[0] / size[0], cells[1] / size[1])
    at, rest = places(g), torch.tensor(temperature)[:, None, None]
    u, v, h = (
        1e-4 * (torch.tensor(part)[:, None] * torch.exp(1j * k * at[point][0])).real
        for part, point in zip(wave, ("_x", "_y", ""), strict=True)
    )
    flow, warming = (torch.tensor(part[1])[:, None, None] for part in (waves.flow, waves.warming))
    start = state(g, rest - warming * h, flow * u, flow * v, -waves.sinking[1] * h)
    x = k * places(g)[""][0]

    def watch(now: State) -> float:
        return phase((now["thetao"][0] - rest)[1], x)

    steps = round(math.pi / 32 / abs(frequency) / seconds)
    seen, _ = march(its, start, seconds, steps, watch)
    angle, times = np.unwrap(seen), np.arange(steps + 1) * seconds
    found = -np.polyfit(times, angle, 1)[0] / k
    closed = -beta / (k**2 + m**2 + 1 / radius**2)
    second = (m * size[1] / cells[1]) ** 2 / 4 + (k * size[0] / cells[0]) ** 2 / 4
    drift = Curve(
        "Baroclinic Rossby wave: where its crest is",
        "days",
        "km",
        {
            "oceanx": (times / 86400, -(angle - angle[0]) / k / 1e3),
            "exact": (times / 86400, frequency / k * times / 1e3),
        },
    )
    return [
        Outcome(
            "phase speed of a baroclinic Rossby wave",
            "m/s",
            float(found),
            frequency / k,
            "eigenvalue of the linear shallow-water equations of the first mode's c, on fifteen times as many rows",
            "second order: the means of Coriolis, twice (kΔx)²/8 and (lΔy)²/8",
            tolerance=second,
            curve=drift,
        ),
        Outcome(
            "phase speed of a baroclinic Rossby wave, quasi-geostrophic",
            "m/s",
            float(found),
            closed,
            f"−β/(k² + l² + f²/c₁²), where −β(c₁/f)² is the limit of long waves; {GILL}, §12.3",
            "quasi-geostrophic: what it neglects is βL/f across the channel, 10 %; and second order",
            tolerance=0.1 + second,
        ),
    ]


def jet() -> list[Outcome]:
    """A jet in thermal-wind balance stays as it is: exactly without slope of the sea surface, nearly with one."""
    f, rows, layers = 1e-4, 16, [50.0] * 8
    g = sea((2, rows), (2e5, 2.4e5), layers, (True, False), (f, 0.0))
    y, dy, depth = g.latitude, 2.4e5 / rows, g.depth
    along = 0.5 * (1 + (2 * math.pi * y / 2.4e5).cos())  # 1 in the middle, no shear at the walls
    turning = f * dy * torch.cat((torch.zeros(1).double(), 0.5 * (along[1:] + along[:-1]))).cumsum(0)  # ∫ f u dy
    shear = 1e-3  # s-1
    # p = shear × turning × depth: half of the first layer weighs for itself, the rest from centre to centre.
    colder = shear * turning / (GRAVITY * ALPHA)
    column = (20.0 - 15.0 * depth / 400.0)[:, None]
    buried = state(g, (column - colder)[..., None], (-shear * depth[:, None] * along)[..., None])
    period = 2 * math.pi / f
    its = core(g)
    _, after = march(its, buried, period / 30, 150, lambda now: 0.0)
    moved = max((after[name] - buried[name]).abs().max().item() for name in ("uo_x", "vo_y"))
    # The same upside down: what the surface's slope gives, less the shear's, leaves the floor at rest.
    top = shear * 400.0
    risen = state(
        g,
        (column - colder)[..., None],
        ((top - shear * depth[:, None]) * along)[..., None],
        zos=-(top * turning / GRAVITY)[:, None],
    )
    risen = State({**risen, "zos": risen["zos"] - risen["zos"].mean()})
    seen, later = march(its, risen, period / 30, 150, lambda now: float((now["uo_x"] - risen["uo_x"]).abs().max()))
    lift = float(risen["zos"].max() - risen["zos"].min())
    section = Curve(
        "Jet in thermal-wind balance: fastest flow of each layer",
        "m/s",
        "depth (m)",
        {
            "after five inertial periods": (later["uo_x"][0].amax((-2, -1)).numpy(), depth.numpy()),
            "exact": (risen["uo_x"][0].amax((-2, -1)).numpy(), depth.numpy()),
        },
    )
    return [
        Outcome(
            "what a jet beneath a flat surface becomes in five inertial periods",
            "m/s",
            moved,
            0.0,
            "thermal-wind balance, discrete: any jet is steady",
            "round-off of 150 steps, of a pressure (gη, 1e-16 × 10 m2 s-2) that acts over 15 km for an inertial time",
            tolerance=150 * 1e-16 * 10 / dy / f,
        ),
        Outcome(
            "what a jet of 0.38 m/s beneath a sloping surface loses in five inertial periods",
            "m/s",
            float(seen.max()),
            0.0,
            "thermal-wind balance",
            "levels stand up to η from where the balance is written: Δη ∂u/∂z, and twice that where it overshoots",
            tolerance=2 * shear * lift,
            curve=section,
        ),
    ]


def _column(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Equal layers (m), and a temperature in them that is linear in depth."""
    layers = np.full(number, DEPTH / number)
    return layers, 30.0 - WARMER * (layers.cumsum() - layers / 2) / DEPTH


def _rocked(
    length: float, layers: np.ndarray, temperature: np.ndarray, seconds: float, steps: int
) -> tuple[float, float, np.ndarray]:
    """Radians and growth in a step, and the series, of a channel let go with its first mode at its highest."""
    number = len(layers)
    g = sea((2 * number, 1), (length, 1e4), list(layers))
    lifted = np.sin(math.pi * np.arange(number + 1) / number)
    mode = torch.tensor((lifted[1:] + lifted[:-1]) / 2)[:, None, None] * (math.pi / length * g.longitude).cos()
    rest = torch.tensor(temperature)[:, None, None]
    series, _ = march(
        core(g),
        state(g, rest + 1e-5 * mode),
        seconds,
        steps,
        lambda now: ((now["thetao"][0] - rest) * mode).sum().item(),
    )
    return *oscillation(series), series


def _first_mode(n: float) -> float:
    """The speed (m/s) of the first internal mode under a free surface: tan(NH/c) = Nc/g."""
    rigid = n * DEPTH / math.pi
    return float(brentq(lambda c: math.tan(n * DEPTH / c) - n * c / GRAVITY, 0.9 * rigid, rigid))


def _rossby_mode(
    k: float, width: float, speed: float, f: float, beta: float, rows: int
) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
    """The frequency of a channel's gravest Rossby mode, and its u, v (m/s) and h where so many rows have theirs.

    ∂u/∂t = fv − c² ∂h/∂x, ∂v/∂t = −fu − c² ∂h/∂y, ∂h/∂t = −∇·u, on fifteen times as many staggered rows.
    """
    n = 15 * rows
    dy = width / n
    to_centre = (np.eye(n, n - 1) + np.eye(n, n - 1, -1)) / 2  # means of faces, nothing at the walls
    gradient = (np.eye(n - 1, n, 1) - np.eye(n - 1, n)) / dy
    turn = np.diag(f + beta * (dy * np.arange(1, n) - width / 2))
    none, wave = np.zeros((n, n)), 1j * k * np.eye(n)
    matrix = np.block(
        [
            [none, to_centre @ turn, -(speed**2) * wave],
            [-turn @ to_centre.T, np.zeros((n - 1, n - 1)), -(speed**2) * gradient],
            [-wave, gradient.T, none],
        ]
    )
    values, vectors = np.linalg.eig(matrix)
    near = -beta * k / (k**2 + (math.pi / width) ** 2 + (f / speed) ** 2)
    mode = int(np.abs(values + 1j * near).argmin())
    u, v, h = np.split(vectors[:, mode] / np.abs(vectors[:, mode]).max(), [n, 2 * n - 1])
    return -float(values[mode].imag), u[7::15], np.append(v, 0.0)[14::15], h[7::15]


CASES = {"internal seiche": internal_seiche, "baroclinic Rossby wave": rossby, "thermal-wind jet": jet}
