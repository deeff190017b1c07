"""Integrators: their order, how far they are stable, and what they keep."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from oceanx.physics.transport import Flux, transport
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.integrate import ab2, integrate
from oceanx.tensors.state import State, Tendency

from .outcome import Curve, Outcome

ORDERS = {"euler": 1, "heun": 2, "ab2": 2, "ssprk3": 3, "rk4": 4}
HAIRER = (
    "Hairer & Wanner (1996), Solving Ordinary Differential Equations II, doi:10.1007/978-3-642-05221-7, §IV.2, §V.1"
)
BALDAUF = "von Neumann analysis: Baldauf (2008), J. Comput. Phys. 227, 6638, doi:10.1016/j.jcp.2008.03.025"
Lines = dict[str, tuple[np.ndarray, np.ndarray]]


def oscillator() -> list[Outcome]:
    """x' = ix: after two units of time x = e²ⁱ."""
    return orders("an oscillator", lambda x: 1j * x, 1.0, np.exp(2j))


def logistic_growth() -> list[Outcome]:
    """x' = x (1 − x), not linear: from 1/10, x = 1 / (1 + 9 e⁻ᵗ)."""
    return orders("logistic growth", lambda x: x * (1 - x), 0.1, 1 / (1 + 9 * math.exp(-2)))


def orders(problem: str, f: Callable[[Tensor], Tensor], start: float, exact: complex) -> list[Outcome]:
    """The order of every integrator: how its error at time 2 falls when steps are halved."""
    counts = np.array([16, 32, 64, 128, 256])
    errors = {name: np.array([abs(end(name, f, start, n) - exact) for n in counts]) for name in ORDERS}
    lines: Lines = {name: (2 / counts, error) for name, error in errors.items()}
    for order in sorted(set(ORDERS.values())):
        lines[f"exact slope {order}"] = (2 / counts, (2 / counts) ** order / 4)
    curve = Curve(f"Error at time 2: {problem}", "step", "error", lines, log=True)
    return [
        Outcome(
            f"order of {name}, {problem}",
            "1",
            math.log2(errors[name][-2] / errors[name][-1]),
            order,
            "order conditions: Hairer, Nørsett & Wanner (1993), doi:10.1007/978-3-540-78862-1, §II.1, §III.1",
            "halving a step of 1/64 leaves the next term of the error, smaller by the step: some hundredths",
            tolerance=0.03,
            curve=curve if name == "euler" else None,
        )
        for name, order in ORDERS.items()
    ]


def end(name: str, f: Callable[[Tensor], Tensor], start: float, times: int) -> complex:
    state = State({"x": torch.full((1, 1, 1, 1), start, dtype=torch.complex128)})
    return complex(integrate(name, lambda s: Tendency({"x": f(s["x"])}), state, 2.0, int(times))["x"].item())


def decay() -> list[Outcome]:
    """x' = −x/s: up to which step it decays."""
    known = {"euler": 2.0, "heun": 2.0, "ab2": 1.0, "ssprk3": 2.5127, "rk4": 2.7853}
    return limits("decay", -1.0, known)


def oscillation() -> list[Outcome]:
    """x' = ix: up to which step it does not grow, or how fast it does where it always grows."""
    known = {"ssprk3": math.sqrt(3), "rk4": math.sqrt(8)}
    return limits("oscillation", 1j, known) + [
        Outcome(
            f"growth of an oscillation in a step of half a radian, {label}",
            "1",
            float(growth(name, np.array([0.5j]), epsilon)[0]),
            known,
            source,
            "round-off; for ab2 what is left of its second solution after 100 steps",
            tolerance=1e-10,
        )
        for label, name, epsilon, known, source in (
            ("euler", "euler", 0.0, math.sqrt(1 + 0.5**2), "|1 + iz|"),
            ("heun", "heun", 0.0, math.sqrt(1 + 0.5**4 / 4), "|1 + iz − z²/2|"),
            ("ab2", "ab2", 0.0, two_step_root(0.5j, 0.0), "r² − (1 + 3z/2) r + z/2 = 0"),
            ("ab2 with ε = 0.1", "ab2", 0.1, two_step_root(0.5j, 0.1), "r² − (1 + (3/2 + ε) z) r + (1/2 + ε) z = 0"),
        )
    ]


def two_step_root(z: complex, epsilon: float) -> float:
    """The larger root of AB2's characteristic equation."""
    return float(np.abs(np.roots([1, -1 - (1.5 + epsilon) * z, (0.5 + epsilon) * z])).max())


def limits(problem: str, direction: complex, known: dict[str, float]) -> list[Outcome]:
    """The longest stable step along one axis of the complex plane."""
    steps = np.arange(0.001, 3.2, 0.001)
    factors = {name: growth(name, direction * steps) for name in ORDERS}
    curve = Curve(
        f"Growth in a step of an undamped {problem}" if direction == 1j else f"Growth in a step of a {problem}",
        "|λ| Δt",
        "|x'/x|",
        {name: (steps, np.minimum(factor, 1.5)) for name, factor in factors.items()},
    )
    return [
        Outcome(
            f"longest stable step, {problem}, {name}",
            "1",
            longest(steps, factors[name]),
            limit,
            HAIRER,
            "searched in steps of 0.001",
            tolerance=0.002 / limit,
            curve=curve if name == next(iter(known)) else None,
        )
        for name, limit in known.items()
    ]


def longest(steps: np.ndarray, factors: np.ndarray) -> float:
    """The last of the steps before the first that grows."""
    grows = factors > 1 + 1e-9
    return float(steps[max(int(grows.argmax()) - 1, 0)]) if grows.any() else math.inf


def growth(name: str, z: np.ndarray, epsilon: float = 0.0) -> np.ndarray:
    """By which factor x' = λx grows in a step, z = λΔt: from 100 steps to 200, when one solution is left."""
    rate = torch.as_tensor(z, dtype=torch.complex128).reshape(1, 1, 1, -1)
    start = State({"x": torch.ones_like(rate)})

    def size(times: int) -> np.ndarray:
        if name == "ab2":
            found = ab2(lambda s: Tendency({"x": rate * s["x"]}), start, float(times), times, epsilon)
        else:
            found = integrate(name, lambda s: Tendency({"x": rate * s["x"]}), start, float(times), times)
        return found["x"].abs().flatten().numpy()

    return (size(200) / size(100)) ** 0.01 if name == "ab2" else size(1)


def advection_limits() -> list[Outcome]:
    """How far a wave may be carried in a step by a scheme and an integrator before some wavelength grows."""
    known = {
        "upwind": {"euler": 1.0, "heun": 1.0, "ssprk3": 1.256, "rk4": 1.393},
        "centred": {"ssprk3": 1.732, "rk4": 2.828},
        "third": {"heun": 0.874, "ssprk3": 1.626, "rk4": 1.745},
    }
    courant = np.arange(0.002, 3.0, 0.002)
    return [
        Outcome(
            f"largest stable Courant number, {scheme}, {name}",
            "1",
            longest(courant, growth(name, np.outer(courant, symbol(scheme)).ravel()).reshape(len(courant), -1).max(1)),
            limit,
            BALDAUF,
            "searched in steps of 0.002, among the 128 wavelengths of the grid",
            tolerance=0.004 / limit,
        )
        for scheme, by_integrator in known.items()
        for name, limit in by_integrator.items()
    ]


def symbol(scheme: str) -> np.ndarray:
    """By which number a second the scheme multiplies each wave on a ring of 128 cells of 1 m, at 1 m/s."""
    geometry, flow = ring(128)
    impulse = torch.zeros(1, 1, 1, 128, dtype=torch.float64)
    impulse[..., 0] = 1
    return np.fft.fft(transport(impulse, flow, geometry.layers, scheme).flatten().numpy())


def ring(cells: int) -> tuple[Geometry, Flux]:
    one = torch.ones(1, dtype=torch.float64)
    geometry = Geometry.plane(
        torch.arange(2.0), torch.arange(cells + 1.0), one, one, one.expand(1, 1, cells), (True, True), dtype=one.dtype
    )
    flow = torch.ones(1, 1, 1, cells, dtype=one.dtype)
    return geometry, Flux(flow, torch.zeros_like(flow))


def total_variation() -> list[Outcome]:
    """A box on a ring, carried at the longest step that promises no new wiggles: Σ |ΔT| never grows."""
    geometry, flow = ring(64)
    box = ((torch.arange(64) > 10) & (torch.arange(64) < 30)).double()[None, None, None]
    outcomes, after = [], {}
    for scheme, courant in (("upwind", 1.0), ("limited", 0.5)):

        def dynamics(state: State, scheme: str = scheme) -> Tendency:
            return Tendency({"T": transport(state["T"], flow, geometry.layers, scheme)})

        for name in ("euler", "heun", "ssprk3"):
            state, variation = State({"T": box}), [2.0]
            for _ in range(60):
                state = integrate(name, dynamics, state, courant, 1)
                variation.append((state["T"] - state["T"].roll(1, -1)).abs().sum().item())
            after[f"{scheme}, {name}"] = (np.arange(64), state["T"].flatten().numpy())
            outcomes.append(
                (f"largest growth of total variation in a step, {scheme}, {name}", np.diff(variation).max())
            )
    curve = Curve("A box after 60 steps at the longest step of each scheme", "cell", "tracer", after)
    return [
        Outcome(
            quantity,
            "1",
            float(grown),
            1e-13,
            "Harten (1983), doi:10.1016/0021-9991(83)90136-5; Shu & Osher (1988), doi:10.1016/0021-9991(88)90177-5",
            "round-off of a sum of 64 differences",
            kind="at most",
            curve=curve if i == 0 else None,
        )
        for i, (quantity, grown) in enumerate(outcomes)
    ]


CASES = {
    "oscillator": oscillator,
    "logistic growth": logistic_growth,
    "decay": decay,
    "oscillation": oscillation,
    "advection limits": advection_limits,
    "total variation": total_variation,
}
