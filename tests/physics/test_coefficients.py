"""Coefficients: positive, in SI units, near their prior, and learned by gradient where they may be."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from toy_coasts import basin, field

from oceanx.physics.coefficients import Coefficient, CoefficientConfig, logged, penalty
from oceanx.physics.mixing import diffusion
from oceanx.vocabulary.config import Config
from oceanx.vocabulary.errors import InputError


class Toy(nn.Module):
    def __init__(self):
        super().__init__()
        self.kappa = Coefficient(500.0, "m2 s-1", spread=3.0)
        self.drag = Coefficient(1e-3, "1", learn=False)


@given(st.floats(1e-6, 1e6), st.floats(1.1, 10.0), st.floats(-3.0, 3.0))
@settings(max_examples=15, deadline=None)
def test_the_value_is_so_many_spreads_from_the_prior(value, spread, z):
    coefficient = Coefficient(value, "m2 s-1", spread)
    coefficient.z.data.fill_(z)
    assert coefficient.value() == pytest.approx(value * spread**z, rel=1e-5)
    assert coefficient().item() == pytest.approx(coefficient.value(), rel=1e-5)
    assert coefficient.penalty().item() == pytest.approx(z**2, rel=1e-5)


def test_it_begins_at_its_prior_and_is_logged_in_its_unit():
    model = Toy()
    assert logged(model) == {"kappa [m2 s-1]": 500.0, "drag [1]": 1e-3}
    assert model.kappa.logged() == {"m2 s-1": 500.0}
    assert penalty(model).item() == 0.0
    assert penalty(nn.Linear(1, 1)).item() == 0.0
    assert "500 m2 s-1, learned, spread 3" in repr(model)
    assert "0.001 1, fixed" in repr(model)


def test_a_fixed_one_is_a_plain_number():
    fixed = Coefficient(0.1, "1", learn=False)
    assert fixed() == fixed.value() == 0.1
    assert not list(fixed.parameters())
    assert fixed.penalty().item() == 0.0


def test_training_finds_the_coefficient_that_made_the_data():
    geometry, tracer = basin(1), field(2)
    truth = diffusion(tracer, geometry, 1500.0)
    model = Toy().double()
    optimiser = torch.optim.Adam(model.parameters(), lr=0.1)
    for _ in range(200):
        optimiser.zero_grad()
        error = (diffusion(tracer, geometry, model.kappa()) - truth) / truth.std()
        error.square().mean().backward()
        optimiser.step()
    assert logged(model)["kappa [m2 s-1]"] == pytest.approx(1500.0, rel=1e-3)
    assert penalty(model).item() == pytest.approx(1.0, rel=1e-2)  # 1500 is one factor of 3 from 500


def test_the_gradient_is_that_of_finite_differences():
    coefficient = Coefficient(2.0, "1", spread=math.e).double()
    coefficient.z.data.fill_(0.3)
    (slope,) = torch.autograd.grad(coefficient(), coefficient.z)
    assert slope.item() == pytest.approx(2 * math.exp(0.3))


def test_it_survives_a_checkpoint():
    model = Toy()
    model.kappa.z.data.fill_(0.5)
    other = Toy()
    other.load_state_dict(model.state_dict())
    assert logged(other) == logged(model)


class Holder(Config):
    kappa: CoefficientConfig = CoefficientConfig(value=500)


def test_yaml_says_a_number_or_more():
    assert Holder.parse({"kappa": 1000}).kappa == CoefficientConfig(value=1000.0)
    learned = Holder.parse({"kappa": {"value": 1000, "spread": 3, "learn": True}}).kappa.build("m2 s-1")
    assert (learned.value(), learned.unit, learned.spread, learned.learn) == (1000.0, "m2 s-1", 3.0, True)
    assert Holder.parse(Holder().dump()) == Holder()
    assert Holder().kappa.build("1")() == 500.0


@pytest.mark.parametrize("given", [0, -1, {"value": 1, "spread": 1}, {"value": 1, "learned": True}, {}])
def test_yaml_that_makes_no_coefficient_is_refused(given):
    with pytest.raises(InputError, match="kappa"):
        Holder.parse({"kappa": given})


@pytest.mark.parametrize("given", [{"value": 0.0}, {"value": -1.0}, {"value": math.nan}, {"value": 1.0, "spread": 1.0}])
def test_a_value_without_a_logarithm_is_refused(given):
    with pytest.raises(InputError, match="coefficient"):
        Coefficient(unit="m2 s-1", **given)


def test_compiled_it_is_one_graph():
    model, x = Toy(), torch.randn(3)
    compiled = torch.compile(lambda x: model.kappa() * model.drag() * x, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x), model.kappa() * model.drag() * x)
