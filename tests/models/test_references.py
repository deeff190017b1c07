"""The references: after any lead, what their formulas say."""

from __future__ import annotations

import math

import pytest
import torch
import toy_tensors as toy

from oceanx.models.references import DAMPING, climatology, damped_persistence, persistence
from oceanx.tensors.integrate import rollout
from oceanx.tensors.state import Fields, Forcing
from oceanx.vocabulary.channels import CLIMATOLOGY

TASK, GEOMETRY = toy.task(anomalies=True), toy.geometry()
START, FORCINGS = toy.state(TASK, GEOMETRY), toy.forcings(TASK, GEOMETRY, steps=6)


def correlation(lead, shape):
    """Lag autocorrelation that differs from cell to cell and changes sign with lead."""
    rate = torch.linspace(0.1, 0.6, math.prod(shape)).reshape(shape).double()
    return torch.exp(-rate * lead) * torch.cos(0.4 * rate * lead)


def test_persistence_persists():
    for state in rollout(persistence, START, FORCINGS):
        assert all(torch.equal(state[name], START[name]) for name in START)


def test_climatology_is_the_one_at_the_end_of_the_step():
    for state, forcing in zip(rollout(climatology, START, FORCINGS), FORCINGS, strict=True):
        assert list(state) == list(START)
        assert all(torch.equal(state[name], forcing.next[name + CLIMATOLOGY]) for name in START)


def test_damped_persistence_shrinks_the_anomaly_by_the_correlation_of_the_whole_lead():
    start, forcings = START.map(torch.Tensor.double), []
    for lead, (now, later) in enumerate(FORCINGS):
        ratio = {
            name + DAMPING: correlation(lead + 1, field.shape) / correlation(lead, field.shape)
            for name, field in start.items()
        }
        forcings.append(Forcing(now.map(torch.Tensor.double), Fields(dict(later.map(torch.Tensor.double)) | ratio)))
    for lead, state in enumerate(rollout(damped_persistence, start, forcings), start=1):
        for name, field in state.items():
            anomaly = start[name] - forcings[0].now[name + CLIMATOLOGY]
            expected = forcings[lead - 1].next[name + CLIMATOLOGY] + correlation(lead, field.shape) * anomaly
            assert torch.allclose(field, expected, rtol=1e-10)


@pytest.mark.parametrize(("kept", "same_as"), [(0.0, "climatology"), (1.0, "anomaly")])
def test_damped_persistence_at_its_ends(kept, same_as):
    now, later = FORCINGS[0]
    damping = {name + DAMPING: torch.full_like(field, kept) for name, field in START.items()}
    for name, field in damped_persistence(START, Forcing(now, Fields(dict(later) | damping))).items():
        mean = later[name + CLIMATOLOGY]
        expected = mean if same_as == "climatology" else mean + START[name] - now[name + CLIMATOLOGY]
        assert torch.allclose(field, expected, atol=1e-5)
