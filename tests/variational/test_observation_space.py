"""The estimate solved among the observations: against the textbook's inverses, and in its limits."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ring import CELLS, averages, covariance, dense, draw, matrix, operator, state

from oceanx.tensors.observe import Operator
from oceanx.tensors.state import Fields, State
from oceanx.variational.covariance import Dense
from oceanx.variational.observation_space import background_covariance, fitted, persisted, refuse_many, solved
from oceanx.variational.sampled import Sampled


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), size=st.integers(1, 12))
def test_it_is_what_inverses_say(seed, size):
    root, d = draw(seed, size, size), draw(seed + 1, size)
    covariance, std = root @ root.T, 0.3 + draw(seed + 2, size).abs()
    whole = covariance + torch.diag(std**2)
    found = solved(covariance, std, d)
    assert torch.allclose(found.weights, torch.linalg.inv(whole) @ d, rtol=1e-9, atol=1e-10)
    assert found.chi_squared == pytest.approx(float(d @ torch.linalg.inv(whole) @ d), rel=1e-9)
    gain = covariance @ torch.linalg.inv(whole)
    assert torch.allclose(found.influence, gain.diagonal(), rtol=0, atol=1e-10)
    assert torch.allclose(found.analysed_variance, (covariance - gain @ covariance).diagonal(), rtol=0, atol=1e-9)


def test_observations_that_say_little_keep_their_digits():
    """One that is 10⁸ times less sure than the background: influence σb²/(σb² + σo²), to all digits."""
    for std in (1e-6, 1.0, 1e8):
        found = solved(torch.ones(1, 1), torch.tensor([std]), torch.ones(1))
        assert float(found.influence[0]) == pytest.approx(1 / (1 + std**2), rel=1e-9)
        assert float(found.analysed_variance[0]) == pytest.approx(std**2 / (1 + std**2), rel=1e-9)


def test_the_background_s_covariance_at_observations():
    seen = averages(70)  # more than are taken together
    H = matrix(seen)
    assert torch.allclose(background_covariance(dense(), seen), H @ covariance() @ H.T, rtol=0, atol=1e-12)


def test_of_samples_it_is_their_own_covariance():
    samples, seen = draw(3, 9, 1, 1, CELLS), averages(70)
    found = background_covariance(Sampled(Fields({"zos": samples})), seen)
    assert torch.allclose(found, torch.cov(matrix(seen) @ samples[:, 0, 0].T), rtol=0, atol=1e-12)


def test_where_increments_persist_every_time_sees_the_first():
    kept = persisted(operator(torch.tensor([3, CELLS + 3, 2 * CELLS + 5]), times=3))
    assert kept.times == 1
    assert torch.equal(kept(state(draw(0, 1, CELLS)))[0], draw(0, CELLS)[[3, 3, 5]])


def test_a_variable_that_the_covariance_does_not_know_is_refused():
    part = operator(torch.tensor([1])).parts["zos"]
    with pytest.raises(ValueError, match=r"observations of \['so'\].* of \['zos'\]"):
        background_covariance(dense(), Operator({"so": part}, 1))


def test_a_batch_is_refused_by_what_carries_one_state():
    with pytest.raises(ValueError, match="3dvar carries one state, found a batch of 2"):
        refuse_many(state(torch.zeros(2, CELLS)), "3dvar")


def test_an_increment_is_fitted_to_its_background():
    background = State({"x": torch.zeros(1, 1, 1, 2), "y": torch.zeros(1, 1, 1, 2)})
    change = Dense(torch.eye(2, dtype=torch.float64), {"x": (1, 1, 2)}).root(torch.ones(1, 2, dtype=torch.float64))
    made = fitted(change, background)
    assert made["x"].dtype == torch.float32
    assert made["x"].sum() == 2
    assert not made["y"].any()
