"""Integrators against closed forms: their order of accuracy, their stability polynomial, and rollouts."""

from __future__ import annotations

import math
import weakref

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from oceanx.tensors.integrate import INTEGRATORS, METHODS, ab2, euler, heun, integrate, repeat, rk4, rollout, ssprk3
from oceanx.tensors.state import Fields, Forcing, Increment, State, Tendency
from oceanx.vocabulary.errors import InputError

OMEGA, GAMMA, TIME = 2.0, 0.3, 1.5


def number(value):
    return torch.full((1, 1, 1, 1), value, dtype=torch.float64)


def swing(state):
    """A damped oscillator, x' = −γx + ωy, y' = −γy − ωx: a spiral inwards."""
    x, y = state["x"], state["y"]
    return Tendency({"x": -GAMMA * x + OMEGA * y, "y": -GAMMA * y - OMEGA * x})


def error(name, steps):
    """Distance from the exact spiral e^{−γt} (cos ωt, −sin ωt)."""
    end = integrate(name, swing, State({"x": number(1.0), "y": number(0.0)}), TIME, steps)
    shrunk = math.exp(-GAMMA * TIME)
    exact = (shrunk * math.cos(OMEGA * TIME), -shrunk * math.sin(OMEGA * TIME))
    return math.dist((end["x"].item(), end["y"].item()), exact)


@pytest.mark.parametrize(("name", "order"), [("euler", 1), ("heun", 2), ("ab2", 2), ("ssprk3", 3), ("rk4", 4)])
def test_order_of_accuracy(name, order):
    coarse, fine = error(name, 256), error(name, 512)
    assert math.log2(coarse / fine) == pytest.approx(order, abs=0.03)


@pytest.mark.parametrize(("method", "terms"), [(euler, 2), (heun, 3), (ssprk3, 4), (rk4, 5)])
def test_one_step_of_growth_is_the_start_of_the_exponential_series(method, terms):
    z = 0.7
    after = method(lambda state: Tendency({"x": state["x"] * z}), State({"x": number(3.0)}), 1.0)
    assert after["x"].item() == pytest.approx(3.0 * sum(z**n / math.factorial(n) for n in range(terms)), rel=1e-14)


@pytest.mark.parametrize("epsilon", [0.0, 0.1])
def test_ab2_begins_with_euler_and_weighs_two_tendencies(epsilon):
    def dynamics(state):
        return Tendency({"x": state["x"] ** 2})

    first = 1.0 + 0.1 * 1.0
    second = first + 0.1 * ((1.5 + epsilon) * first**2 - (0.5 + epsilon) * 1.0)
    third = second + 0.1 * ((1.5 + epsilon) * second**2 - (0.5 + epsilon) * first**2)
    found = [ab2(dynamics, State({"x": number(1.0)}), 0.1 * n, n, epsilon)["x"].item() for n in (1, 2, 3)]
    assert found == pytest.approx([first, second, third], rel=1e-14)


def test_ab2_asks_for_the_tendency_once_a_step():
    asked = []

    def dynamics(state):
        asked.append(state)
        return Tendency({"x": number(1.0)})

    ab2(dynamics, State({"x": number(0.0)}), 1.0, 7)
    assert len(asked) == 7


@pytest.mark.parametrize("name", INTEGRATORS)
def test_a_steady_tendency_is_integrated_exactly_and_the_rest_left_alone(name):
    start = State({"x": number(1.0), "y": number(5.0)})
    end = integrate(name, lambda state: Tendency({"x": number(0.25)}), start, 8.0, 4)
    assert isinstance(end, State)
    assert (end["x"].item(), end["y"].item()) == pytest.approx((3.0, 5.0), rel=1e-15)


def test_every_integrator_goes_by_its_name():
    start = State({"x": number(1.0), "y": number(0.0)})
    for name, method in METHODS.items():
        assert integrate(name, swing, start, 1.0, 5)["x"] == repeat(method, swing, start, 1.0, 5)["x"]
    assert integrate("ab2", swing, start, 1.0, 5)["x"] == ab2(swing, start, 1.0, 5)["x"]
    assert set(INTEGRATORS) == {*METHODS, "ab2"}
    with pytest.raises(InputError, match=r"unknown integrator 'rk44'; did you mean 'rk4'\?"):
        integrate("rk44", swing, start, 1.0, 5)


# Checkpoints


def deep(state):
    """Dynamics with much inside: ten layers that the backward pass needs."""
    x = state["x"]
    for _ in range(10):
        x = torch.sin(x + 0.1 * x.roll(1, -1) * state["y"])
    return Tendency({"x": x, "y": -0.1 * x})


def gradients(name, checkpoint, times=4):
    """The end of a run, and the gradients of a number of it by the start."""
    random = torch.Generator().manual_seed(0)
    start = [torch.randn(1, 1, 16, 64, generator=random, dtype=torch.float64).requires_grad_() for _ in range(2)]
    end = integrate(name, deep, State({"x": start[0], "y": start[1]}), 1.0, times, checkpoint=checkpoint)
    return end, torch.autograd.grad((end["x"] ** 2).sum() + end["y"].sum(), start)


@pytest.mark.parametrize("name", INTEGRATORS)
def test_checkpoints_change_no_number_and_no_gradient(name):
    plain, plainly = gradients(name, checkpoint=False)
    kept, again = gradients(name, checkpoint=True)
    assert all(torch.equal(kept[field], plain[field]) for field in plain)
    assert all(torch.equal(a, b) for a, b in zip(again, plainly, strict=True))
    assert all(gradient.abs().min() > 0 for gradient in plainly)


class Peak(TorchDispatchMode):
    """The most memory (bytes) that tensors made meanwhile held at once."""

    def __init__(self):
        super().__init__()
        self.now = self.most = 0
        self.seen = weakref.WeakSet()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        for tensor in tree_iter(made):
            storage = tensor.untyped_storage() if isinstance(tensor, torch.Tensor) else None
            if storage is not None and storage not in self.seen:
                self.seen.add(storage)
                self.now += storage.nbytes()
                self.most = max(self.most, self.now)
                weakref.finalize(storage, self.give_back, storage.nbytes())
        return made

    def give_back(self, size):
        self.now -= size


@pytest.mark.parametrize("name", ["heun", "ab2"])
def test_checkpoints_keep_of_a_step_its_state_and_not_its_inside(name):
    def a_step_more(checkpoint):
        """How many fields the run keeps for every step that it has more."""
        peaks = []
        for times in (4, 8):
            with Peak() as memory:
                gradients(name, checkpoint, times)
            peaks.append(memory.most / (16 * 64 * 8))
        return (peaks[1] - peaks[0]) / 4

    assert a_step_more(False) >= 20  # two fields of each of ten layers
    assert a_step_more(True) <= 5  # the state's two, and the two of the tendency that AB2 carries


def test_without_gradients_there_is_nothing_to_keep():
    start = State({"x": number(1.0), "y": number(0.0)})
    with torch.no_grad():
        assert repeat(heun, swing, start, 1.0, 3, checkpoint=True)["x"] == repeat(heun, swing, start, 1.0, 3)["x"]


def test_random_numbers_inside_are_drawn_again_alike():
    def noisy(state):
        return Tendency({"x": state["x"] * torch.rand_like(state["x"])})

    def slope(checkpoint):
        torch.manual_seed(3)
        start = number(2.0).requires_grad_()
        end = repeat(heun, noisy, State({"x": start}), 1.0, 4, checkpoint=checkpoint)
        return torch.autograd.grad(end["x"].sum(), start)[0].item()

    assert slope(True) == slope(False)


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
