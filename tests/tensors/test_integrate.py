"""Integrators against closed forms: their order of accuracy, their stability polynomial, and rollouts."""

from __future__ import annotations

import math

import pytest
import torch

from oceanx.tensors.integrate import euler, heun, repeat, rollout
from oceanx.tensors.state import Fields, Forcing, Increment, State, Tendency

OMEGA, GAMMA, TIME = 2.0, 0.3, 1.5


def number(value):
    return torch.full((1, 1, 1, 1), value, dtype=torch.float64)


def swing(state):
    """A damped oscillator, x' = −γx + ωy, y' = −γy − ωx: a spiral inwards."""
    x, y = state["x"], state["y"]
    return Tendency({"x": -GAMMA * x + OMEGA * y, "y": -GAMMA * y - OMEGA * x})


def error(method, steps):
    """Distance from the exact spiral e^{−γt} (cos ωt, −sin ωt)."""
    end = repeat(method, swing, State({"x": number(1.0), "y": number(0.0)}), TIME, steps)
    shrunk = math.exp(-GAMMA * TIME)
    exact = (shrunk * math.cos(OMEGA * TIME), -shrunk * math.sin(OMEGA * TIME))
    return math.dist((end["x"].item(), end["y"].item()), exact)


@pytest.mark.parametrize(("method", "order"), [(euler, 1), (heun, 2)])
def test_order_of_accuracy(method, order):
    coarse, fine = error(method, 256), error(method, 512)
    assert math.log2(coarse / fine) == pytest.approx(order, abs=0.03)


@pytest.mark.parametrize(("method", "terms"), [(euler, 2), (heun, 3)])
def test_one_step_of_growth_is_the_start_of_the_exponential_series(method, terms):
    z = 0.7
    after = method(lambda state: Tendency({"x": state["x"] * z}), State({"x": number(3.0)}), 1.0)
    assert after["x"].item() == pytest.approx(3.0 * sum(z**n / math.factorial(n) for n in range(terms)), rel=1e-14)


@pytest.mark.parametrize("method", [euler, heun])
def test_a_steady_tendency_is_integrated_exactly_and_the_rest_left_alone(method):
    start = State({"x": number(1.0), "y": number(5.0)})
    end = repeat(method, lambda state: Tendency({"x": number(0.25)}), start, 8.0, 4)
    assert isinstance(end, State)
    assert (end["x"].item(), end["y"].item()) == (3.0, 5.0)


def test_a_rollout_yields_every_state_and_tells_each_step_its_forcing():
    def step(state, forcing):
        return state + Increment({"x": state["x"] * forcing.next["f"]})

    forcings = [Forcing(Fields({}), Fields({"f": number(value)})) for value in (1.0, 2.0, 3.0)]
    states = rollout(step, State({"x": number(1.0)}), iter(forcings))
    assert [state["x"].item() for state in states] == [2.0, 6.0, 24.0]
    assert list(rollout(step, State({}), [])) == []


def test_a_rollout_steps_only_when_asked():
    steps = []

    def step(state, forcing):
        steps.append(state)
        return state

    states = rollout(step, State({}), [Forcing(Fields({}), Fields({}))] * 5)
    next(states)
    assert len(steps) == 1
