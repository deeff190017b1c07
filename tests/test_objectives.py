"""The objective against a sum written out in numpy, and what a loss must do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import toy_tensors as toy
from torch import nn

from oceanx.models.emulator import EmulatorConfig
from oceanx.nn.unet import UNetConfig
from oceanx.objectives import Objective
from oceanx.tensors.state import Increment, State

WEIGHTS = {"thetao": 4.0, "zos": 0.5}


class Drift(nn.Module):
    """x' = x + a, the same everywhere."""

    def __init__(self, change):
        super().__init__()
        self.change = nn.Parameter(torch.tensor(change))

    def forward(self, state, forcing):
        return state + Increment({name: torch.ones_like(field) * self.change for name, field in state.items()})


def objective(model, weights=WEIGHTS, task=None):
    task = task or toy.task()
    return Objective(model, task.prognostic, toy.geometry(), toy.statistics(task), weights)


def truth(steps, batch=2):
    return [toy.state(toy.task(), toy.geometry(), batch, seed=50 + i) for i in range(steps)]


def told(steps, batch=2):
    return toy.forcings(toy.task(), toy.geometry(), steps, batch)


def by_hand(states, targets, weights):
    """Cell by cell: squares in units of one step's change, mean over wet area, levels, batch and steps."""
    channels, geometry, statistics = toy.task().prognostic, toy.geometry(), toy.statistics(toy.task())
    area, mask = geometry.area.double().numpy(), geometry.mask.numpy()
    total, losses = sum(weights.get(name, 1.0) for name in channels.names), []
    for state, target in zip(states, targets, strict=True):
        for sample in range(2):
            loss = 0.0
            for name in channels.names:
                wet = mask if name in channels.volume else mask[:1]
                spread = statistics[f"{name}_increment_std"].double().numpy()
                levels = []
                for level in range(channels.levels(name)):
                    x, y = (fields[name][sample, level].double().numpy() for fields in (state, target))
                    squares = ((x - y) / spread[level]) ** 2
                    levels.append(np.average(squares[wet[level] == 1], weights=area[wet[level] == 1]))
                loss += weights.get(name, 1.0) / total * np.mean(levels)
            losses.append(loss)
    return np.mean(losses)


@pytest.mark.parametrize("weights", [WEIGHTS, {}])
def test_the_loss_is_the_sum_that_its_docstring_says(weights):
    start, targets = truth(1)[0], truth(3)
    reached = [State({name: field + 0.1 * (i + 1) for name, field in start.items()}) for i in range(3)]
    loss = objective(Drift(0.1), weights)(start, told(3), targets)
    assert loss.shape == ()
    assert loss.item() == pytest.approx(by_hand(reached, targets, weights), rel=1e-4)


def test_what_lies_on_land_does_not_count():
    start, targets = truth(1)[0], truth(1)
    dry = {n: torch.where(toy.geometry().mask_of(field.shape[1]) == 1, field, 99.0) for n, field in start.items()}
    usual = objective(Drift(0.0))(start, told(1), targets)
    assert objective(Drift(0.0))(State(dry), told(1), targets).item() == usual.item()


def test_a_perfect_model_has_no_loss_and_one_change_too_many_has_one():
    start = truth(1)[0]
    assert objective(Drift(0.0))(start, told(2), [start, start]).item() == 0.0
    statistics = toy.statistics(toy.task())
    off = State({n: field + statistics[f"{n}_increment_std"][:, None, None] for n, field in start.items()})
    assert objective(Drift(0.0))(off, told(1), [start]).item() == pytest.approx(1.0, rel=1e-4)


def test_a_level_without_water_counts_nothing():
    task, geometry = toy.task(), toy.geometry()
    geometry.mask[1] = 0
    loss = Objective(Drift(0.0), task.prognostic, geometry, toy.statistics(task), WEIGHTS)
    assert loss(truth(1)[0], told(1), truth(1)).isfinite()


def test_as_many_targets_as_steps():
    with pytest.raises(ValueError, match="zip"):
        objective(Drift(0.0))(truth(1)[0], told(2), truth(1))


def test_downhill_is_down():
    torch.manual_seed(0)
    task = toy.task()
    model = EmulatorConfig(net=UNetConfig(widths=(4, 8), groups=2)).build(task, toy.geometry(), toy.statistics(task))
    toy.train_a_little(model)
    loss = objective(model)
    before = loss(truth(1)[0], told(2), truth(2))
    before.backward()
    slope = sum(parameter.grad.square().sum() for parameter in model.parameters())
    step = 1e-3 * before.detach() / slope
    with torch.no_grad():
        for parameter in model.parameters():
            parameter -= step * parameter.grad
    gained = before.item() - loss(truth(1)[0], told(2), truth(2)).item()
    assert gained == pytest.approx((step * slope).item(), rel=0.2)  # to first order


def test_the_model_s_parameters_are_all_there_is_to_train_and_save():
    model = Drift(0.0)
    assert list(objective(model).parameters()) == list(model.parameters())
    assert set(objective(model).state_dict()) == {"model.change"}
