"""Integrators and rollouts: make a step, then compose steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from .state import Forcing, State, Tendency

Dynamics = Callable[[State], Tendency]
Step = Callable[[State, Forcing], State]


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


def repeat(
    method: Callable[[Dynamics, State, float], State], dynamics: Dynamics, state: State, seconds: float, times: int
) -> State:
    """The state after `seconds`, reached in so many equal steps of `method`."""
    for _ in range(times):
        state = method(dynamics, state, seconds / times)
    return state


def rollout(step: Step, state: State, forcings: Iterable[Forcing]) -> Iterator[State]:
    """The states after each step: the whole of a forecast, and of training."""
    for forcing in forcings:
        state = step(state, forcing)
        yield state
