"""Integrators and rollouts: make a step, then compose steps.

With f the dynamics, a change per second, and Δt the length of a step:

    euler   x' = x + f(x) Δt                                                                        first order
    heun    x' = x + ½ (k₁ + k₂) Δt         k₁ = f(x), k₂ = f(x + k₁ Δt)                            second
    ab2     x' = x + [(3/2 + ε) f(x) − (1/2 + ε) f(x before)] Δt                                    second where ε = 0
    ssprk3  x' = x + ⅙ (k₁ + k₂ + 4 k₃) Δt  k₃ = f(x + ¼ (k₁ + k₂) Δt)                              third
    rk4     x' = x + ⅙ (k₁ + 2 k₂ + 2 k₃ + k₄) Δt  k₂, k₃ at half a step, k₄ at a whole one         fourth
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import torch
from torch.utils.checkpoint import checkpoint as recomputed

from oceanx.vocabulary.errors import unknown

from .state import Forcing, State, Tendency

Dynamics = Callable[[State], Tendency]
Method = Callable[[Dynamics, State, float], State]
Step = Callable[[State, Forcing], State]
Result = TypeVar("Result")


def euler(dynamics: Dynamics, state: State, seconds: float) -> State:
    """The state after one forward Euler step; first order."""
    return state + dynamics(state).over(seconds)


def heun(dynamics: Dynamics, state: State, seconds: float) -> State:
    """The state after one step of Heun's method; second order and strong-stability preserving.

    x* = x + f(x) Δt;  x' = x + ½ (f(x) + f(x*)) Δt

    References
    ----------
    Shu & Osher (1988), J. Comput. Phys. 77, 439, doi:10.1016/0021-9991(88)90177-5.
    """
    first = dynamics(state)
    second = dynamics(state + first.over(seconds))
    return state + (first + second).over(seconds / 2)


def ssprk3(dynamics: Dynamics, state: State, seconds: float) -> State:
    """The state after one three-stage Runge–Kutta step; third order and strong-stability preserving.

    x* = x + f(x) Δt;  x** = ¾ x + ¼ (x* + f(x*) Δt);  x' = ⅓ x + ⅔ (x** + f(x**) Δt)

    Every stage is a mean of Euler steps: what one Euler step keeps (bounds, total variation), this keeps.

    References
    ----------
    Shu & Osher (1988), J. Comput. Phys. 77, 439, doi:10.1016/0021-9991(88)90177-5.
    """
    first = dynamics(state)
    second = dynamics(state + first.over(seconds))
    third = dynamics(state + (first + second).over(seconds / 4))
    return state + (first + second + third * 4.0).over(seconds / 6)


def rk4(dynamics: Dynamics, state: State, seconds: float) -> State:
    """The state after one step of the classical Runge–Kutta method; fourth order.

    References
    ----------
    Kutta (1901), Z. Math. Phys. 46, 435; Hairer, Nørsett & Wanner (1993), Solving Ordinary Differential Equations I,
    doi:10.1007/978-3-540-78862-1, §II.1.
    """
    first = dynamics(state)
    second = dynamics(state + first.over(seconds / 2))
    third = dynamics(state + second.over(seconds / 2))
    fourth = dynamics(state + third.over(seconds))
    return state + (first + (second + third) * 2.0 + fourth).over(seconds / 6)


def repeat(
    method: Method, dynamics: Dynamics, state: State, seconds: float, times: int, checkpoint: bool = False
) -> State:
    """The state after `seconds`, reached in so many equal steps of `method`.

    Parameters
    ----------
    checkpoint
        Keep only the state between steps for the backward pass, and compute the inside of each step once more there:
        the memory of one step instead of all, the same numbers and gradients, about a third more time.
    """
    for _ in range(times):
        state = _once(checkpoint, method, dynamics, state, seconds / times)
    return state


def ab2(
    dynamics: Dynamics, state: State, seconds: float, times: int, epsilon: float = 0.0, checkpoint: bool = False
) -> State:
    """The state after `seconds` in so many equal Adams–Bashforth steps, the first of them forward Euler.

    x' = x + [(3/2 + ε) f(x) − (1/2 + ε) f(x before)] Δt

    One evaluation of the dynamics a step. Second order where ε = 0, which lets oscillations grow slowly, by
    ¼ (ωΔt)⁴ a step; ε = 0.1 damps them and is first order.

    Parameters
    ----------
    epsilon
        How far the tendency is carried beyond the middle of the step, in steps.
    checkpoint
        As in `repeat`.

    References
    ----------
    Durran (2010), Numerical Methods for Fluid Dynamics, doi:10.1007/978-1-4419-6412-0, §2.4 (growth); Marshall et al.
    (1997), J. Geophys. Res. 102, 5753, doi:10.1029/96JC02775 (ε).
    """
    if times < 1:
        return state

    def onward(state: State, before: Tendency) -> tuple[State, Tendency]:
        now = dynamics(state)
        return state + (now * (1.5 + epsilon) - before * (0.5 + epsilon)).over(seconds / times), now

    before = _once(checkpoint, dynamics, state)
    state = state + before.over(seconds / times)
    for _ in range(times - 1):
        state, before = _once(checkpoint, onward, state, before)
    return state


METHODS: dict[str, Method] = {"euler": euler, "heun": heun, "ssprk3": ssprk3, "rk4": rk4}
INTEGRATORS = ("euler", "heun", "ab2", "ssprk3", "rk4")


def integrate(
    name: str, dynamics: Dynamics, state: State, seconds: float, times: int, checkpoint: bool = False
) -> State:
    """The state after `seconds`, in so many equal steps of the integrator of this name.

    Parameters
    ----------
    name
        One of `INTEGRATORS`.
    checkpoint
        As in `repeat`.
    """
    if name == "ab2":
        return ab2(dynamics, state, seconds, times, checkpoint=checkpoint)
    if name not in METHODS:
        raise unknown("integrator", name, INTEGRATORS)
    return repeat(METHODS[name], dynamics, state, seconds, times, checkpoint)


def rollout(step: Step, state: State, forcings: Iterable[Forcing]) -> Iterator[State]:
    """The states after each step: the whole of a forecast, and of training."""
    for forcing in forcings:
        state = step(state, forcing)
        yield state


def _once(checkpoint: bool, function: Callable[..., Result], *arguments: Any) -> Result:
    """What the function gives; with `checkpoint`, its inside is forgotten and computed again in the backward pass."""
    if checkpoint and torch.is_grad_enabled():
        return recomputed(function, *arguments, use_reentrant=False)
    return function(*arguments)
