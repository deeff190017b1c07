"""The loss of a learned analysis: what it is worth, and where it is least."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import toy_tensors as toy

from oceanx.objectives.analysis import AnalysisLoss, surprise
from oceanx.tensors.state import Fields, State

TASK, GEOMETRY = toy.task(), toy.geometry()
CHANNELS, STATISTICS = TASK.prognostic, toy.statistics(TASK)


def test_surprise_is_the_gaussians_logarithm() -> None:
    departure, variance = torch.tensor([0.3, -1.2, 0.0]), torch.tensor([0.5, 2.0, 1.0])
    normal = torch.distributions.Normal(0.0, variance.sqrt())
    expected = -(normal.log_prob(departure) + 0.5 * np.log(2 * np.pi)).mean()
    assert float(surprise(departure, variance)) == pytest.approx(float(expected), rel=1e-6)
    assert float(surprise(torch.zeros(0), torch.zeros(0))) == 0


def test_the_loss_is_least_where_the_variance_is_that_of_the_error() -> None:
    loss = AnalysisLoss(CHANNELS, GEOMETRY, STATISTICS, {"zos": 2.0}, 0.3)
    shape = GEOMETRY.area.shape
    truth = State({n: torch.zeros(1, CHANNELS.levels(n), *shape) for n in CHANNELS.names})
    off = {n: 0.5 * STATISTICS[f"{n}_std"][None, :, None, None].expand_as(truth[n]) for n in CHANNELS.names}
    flat = {n: torch.full_like(truth[n], 2 * np.log(0.5)) for n in CHANNELS.names}
    value = float(loss(State(off), truth, Fields(flat)))
    assert value == pytest.approx(np.log1p(0.25 / 0.03**2) + 0.3 * (1 + 2 * np.log(0.5)) / 2, rel=1e-4)
    for wrong in (-0.2, 0.2):
        other = {n: field + wrong for n, field in flat.items()}
        assert float(loss(State(off), truth, Fields(other))) > value


def test_a_tenth_less_counts_alike_of_large_and_small_errors() -> None:
    loss = AnalysisLoss(CHANNELS, GEOMETRY, STATISTICS, {}, 0.0)
    truth = State({n: torch.zeros(2, CHANNELS.levels(n), *GEOMETRY.area.shape) for n in CHANNELS.names})

    def of(*spreads: float) -> float:
        """Of two states, this many spreads away."""
        size = torch.tensor(spreads)[:, None, None, None]
        off = {n: size * STATISTICS[f"{n}_std"].float()[None, :, None, None].expand_as(truth[n]) for n in truth}
        return float(loss(State(off), truth, Fields(truth)))

    expected = np.log(0.9**2) / 2
    assert of(0.9, 5.0) - of(1.0, 5.0) == pytest.approx(expected, rel=0.01)
    assert of(1.0, 4.5) - of(1.0, 5.0) == pytest.approx(expected, rel=0.01)
    assert of(0.0, 0.0) == 0
