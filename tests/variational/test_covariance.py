"""Covariances: symmetric, never negative, nothing on land; and what a single observation makes of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import toy_errors
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx.tensors.geometry import Geometry
from oceanx.tensors.observe import Operator, Part
from oceanx.tensors.state import Increment, State
from oceanx.variational.balance import Balance, BalanceConfig, Balanced
from oceanx.variational.covariance import Covariance, Dense, Sum, flattened, unflattened
from oceanx.variational.diffusion import Diffusion
from oceanx.variational.sampled import Localised, Sampled
from oceanx.variational.univariate import Univariate

KINDS = ("univariate", "sampled", "localised", "dense", "sum", "scaled", "balanced")
quick = settings(max_examples=10, deadline=None)
G = toy_errors.geometry()


def made(kind: str, seed: int = 0) -> Covariance:
    """A covariance of every kind in the toy sea."""
    names = ("thetao", "uo", "zos")
    univariate = toy_errors.univariate(G, names, seed)
    samples = toy_errors.noise(G, 5, seed).only(names)
    if kind == "univariate":
        return univariate
    if kind == "sampled":
        return Sampled(samples)
    if kind == "localised":
        return Localised(samples, Diffusion(G, 3, 3e5, 60.0))
    if kind == "dense":
        return Dense(toy_errors.dense(Sampled(samples)), univariate.shapes)
    if kind == "scaled":
        return univariate.scaled({"thetao": torch.full((3, 1, 1), 2.0), "zos": torch.tensor(0.5)}).scaled(3.0)
    if kind == "sum":
        return Sum([univariate.scaled(0.6), Sampled(samples).scaled(0.8)])
    config = BalanceConfig(mixed_layer=True)
    return Balanced(univariate, lambda state: Balance(state, G, config)).about(toy_errors.background(G))


every = pytest.mark.parametrize("kind", KINDS)


@every
@given(seed=st.integers(0, 1000))
@quick
def test_the_root_and_its_adjoint_belong_together(kind, seed):
    b = made(kind)
    random = torch.Generator().manual_seed(seed)
    v = torch.randn(2, b.size, generator=random, dtype=torch.float64)
    x = toy_errors.noise(G, 2, seed).only(tuple(b.shapes))
    whole = Increment(dict(x))
    ours = (flattened(b.root(v), b) * flattened(whole, b)).sum()
    torch.testing.assert_close(ours, (v * b.adjoint(whole)).sum(), rtol=1e-12, atol=1e-12)


@every
def test_it_is_symmetric_never_negative_and_nothing_on_land(kind):
    b = made(kind)
    matrix = toy_errors.dense(b)
    size = matrix.abs().max()
    torch.testing.assert_close(matrix, matrix.T, rtol=0, atol=1e-13 * float(size))
    assert torch.linalg.eigvalsh(matrix).min() > -1e-13 * size
    wet = torch.cat([G.mask_of(levels).flatten() for levels, _, _ in b.shapes.values()])
    assert not matrix[wet == 0].any()
    assert not matrix[:, wet == 0].any()


@every
def test_its_variance_is_its_diagonal(kind):
    b = made(kind)
    torch.testing.assert_close(flattened(b.variance(), b)[0], toy_errors.dense(b).diagonal(), rtol=1e-11, atol=1e-15)


@every
def test_draws_have_this_covariance(kind):
    b, draws = made(kind), 4000
    x = flattened(b.random(draws, torch.Generator().manual_seed(3)), b)
    found, expected = x.T @ x / draws, toy_errors.dense(b)
    var = expected.diagonal()
    expected_error = ((var[:, None] * var + expected.square()) / draws).sum().sqrt()
    assert (found - expected).norm() < 2 * expected_error


@every
def test_variables_that_an_increment_lacks_are_zero(kind):
    b = made(kind)
    lone = Increment(dict(toy_errors.noise(G, 2).only(("zos",))))
    with_zeros = b.zeros(2) + lone
    torch.testing.assert_close(b.adjoint(lone), b.adjoint(with_zeros), rtol=0, atol=0)


def test_variance_from_draws_is_right_to_what_is_stated():
    b = made("univariate")
    wet = torch.cat([G.mask_of(levels).flatten() for levels, _, _ in b.shapes.values()]) > 0
    drawn = flattened(Covariance.variance(b, 3000, torch.Generator().manual_seed(1)), b)[0, wet]
    error = drawn / flattened(b.variance(), b)[0, wet] - 1
    assert 0.6 < error.square().mean().sqrt() / (2 / 3000) ** 0.5 < 1.4


def test_two_seas_know_nothing_of_each_other():
    b = made("univariate")
    change = b.zeros(1)
    change["thetao"][0, 0, 3, 1] = 1.0
    spread = b(change)["thetao"][0]
    assert (spread[..., :3][G.mask[..., :3] > 0] > 0).all()
    assert not spread[..., 4:].any()


def test_samples_have_the_covariance_that_numpy_finds():
    samples = toy_errors.noise(G, 6).only(("thetao", "zos"))
    b = Sampled(samples)
    flat = np.concatenate([samples[name].flatten(1).numpy() for name in b.shapes], axis=1)
    np.testing.assert_allclose(toy_errors.dense(b).numpy(), np.cov(flat.T), atol=1e-14)
    about_nothing = toy_errors.dense(Sampled(samples, centred=False)).numpy()
    np.testing.assert_allclose(about_nothing, flat.T @ flat / 6, atol=1e-14)


def test_more_samples_than_values_are_made_fewer_and_say_the_same():
    samples = toy_errors.noise(G, 90).only(("zos",))
    b = Sampled(samples)
    assert b.size == 42
    np.testing.assert_allclose(toy_errors.dense(b).numpy(), np.cov(samples["zos"].flatten(1).numpy().T), atol=1e-16)


def test_localisation_is_a_product_cell_by_cell():
    samples = toy_errors.noise(G, 6).only(("thetao", "zos"))
    correlation = Diffusion(G, 3, 3e5, 60.0)
    field = toy_errors.dense(Univariate({"c": torch.ones_like(G.mask)}, {"c": correlation}))
    both = torch.arange(len(field)).reshape(3, -1)
    which = torch.cat([both.flatten(), both[0]])  # thetao's cells, then zos's at the first level
    expected = toy_errors.dense(Sampled(samples)) * field[which][:, which]
    torch.testing.assert_close(toy_errors.dense(Localised(samples, correlation)), expected, rtol=0, atol=1e-14)


def test_one_sample_has_no_covariance():
    with pytest.raises(ValueError, match="two"):
        Sampled(toy_errors.noise(G, 1))


def test_a_hybrid_is_the_sum_of_its_parts():
    static, sampled = made("univariate"), made("sampled")
    hybrid = Sum([static.scaled(0.7**0.5), sampled.scaled(0.3**0.5)])
    expected = 0.7 * toy_errors.dense(static) + 0.3 * toy_errors.dense(sampled)
    torch.testing.assert_close(toy_errors.dense(hybrid), expected, rtol=0, atol=1e-14)


def test_parts_need_not_have_the_same_variables():
    both = Sum([toy_errors.univariate(G, ("thetao",)), toy_errors.univariate(G, ("zos",))])
    change = Increment(dict(toy_errors.noise(G, 2).only(("thetao", "zos"))))
    whole = both(change)
    torch.testing.assert_close(whole["zos"], both.parts[1](change.only(("zos",)))["zos"], rtol=0, atol=0)
    torch.testing.assert_close(whole["thetao"], both.parts[0](change.only(("thetao",)))["thetao"], rtol=0, atol=0)


@pytest.mark.parametrize("matrix", [[[1.0, 2.0], [2.0, 1.0]], [[1.0, 0.5], [0.0, 1.0]]])
def test_a_matrix_that_is_no_covariance_is_refused(matrix):
    with pytest.raises(ValueError, match="no covariance"):
        Dense(torch.tensor(matrix, dtype=torch.float64), {"sst": (1, 1, 2)})


def test_a_matrix_of_another_size_is_refused():
    with pytest.raises(ValueError, match="2 rows"):
        Dense(torch.eye(2), {"sst": (1, 1, 3)})


# One observation. On a line of cells, B H^T (H B H^T + R)^-1 d has a closed form.


def channel(cells: int, length: int) -> tuple[Univariate, float]:
    """`sst` in a channel, with spread .8 and L of so many cells, two steps."""
    edges = torch.arange(cells + 1, dtype=torch.float64) * 1e3
    one = torch.ones(1, dtype=torch.float64)
    g = Geometry.plane(edges[:2], edges, one, one, torch.ones(1, 1, cells), dtype=torch.float64)
    c = Diffusion(g, 1, length * 1e3, steps=2)
    return Univariate({"sst": torch.full((1, 1, cells), 0.8, dtype=torch.float64)}, {"sst": c}), 0.8


def look(cells: list[int], shape: tuple[int, int, int]) -> Operator:
    """H of observations at the centres of cells."""
    index = torch.tensor(cells)[:, None]
    part = Part(torch.arange(len(cells)), index, torch.ones(len(cells), 1, dtype=torch.float64), shape)
    return Operator({"sst": part}, len(cells))


def interpolated(b: Covariance, h: Operator, std: torch.Tensor, d: torch.Tensor) -> tuple[Increment, torch.Tensor]:
    """Optimal interpolation: the increment, and H A H^T."""
    columns = b(h.adjoint(torch.eye(h.size, dtype=torch.float64))[0])  # B H^T, an observation a row
    seen = h(State(dict(columns)))
    gain = torch.linalg.inv(seen + torch.diag(std.square()))
    weights = (gain @ d)[:, None, None, None]
    increment = columns.map(lambda field: (field * weights).sum(0, keepdim=True))
    return increment, seen - seen @ gain @ seen


@pytest.mark.parametrize(("length", "tolerance"), [(8, 2e-3), (16, 5e-4)])
def test_one_observation_moves_its_surroundings_as_the_closed_form_says(length, tolerance):
    n = 40 * length + 1
    b, spread = channel(n, length)
    error, departure = 0.4, 1.7
    h = look([n // 2], (1, 1, n))
    numbers = (torch.tensor([x], dtype=torch.float64) for x in (error, departure))
    increment, left = interpolated(b, h, *numbers)
    gain = spread**2 / (spread**2 + error**2)
    assert gain == pytest.approx(0.8)
    unit = torch.zeros(1, 1, 1, n, dtype=torch.float64)
    unit[..., n // 2] = 1.0
    ours = b.correlations["sst"](unit)
    torch.testing.assert_close(increment["sst"], departure * gain * ours, rtol=0, atol=1e-12)
    assert float(increment["sst"][0, 0, 0, n // 2]) == pytest.approx(departure * gain, abs=1e-12)
    assert float(left) == pytest.approx(0.128, abs=1e-12)  # σb² σo² / (σb² + σo²)
    r = np.abs(np.arange(n) - n // 2) / length
    expected = gain * (1 + r) * np.exp(-r)
    assert np.abs(increment["sst"][0, 0, 0].numpy() / departure - expected).max() < tolerance


@pytest.mark.parametrize(("count", "variance"), [(4, 0.0376470588), (16, 0.0098461538)])
def test_equal_observations_leave_what_the_closed_form_says(count, variance):
    b, spread = channel(33, 4)
    h = look([16] * count, (1, 1, 33))
    _, left = interpolated(b, h, torch.full((count,), 0.4, dtype=torch.float64), torch.zeros(count).double())
    expected = spread**2 / (1 + count * spread**2 / 0.4**2)
    torch.testing.assert_close(left, torch.full_like(left, expected), rtol=0, atol=1e-12)
    assert expected == pytest.approx(variance, abs=1e-10)


def test_an_observation_moves_nothing_behind_land():
    b = toy_errors.univariate(G, ("thetao",))
    part = Part(torch.tensor([0]), torch.tensor([[3 * 7 + 1]]), torch.ones(1, 1, dtype=torch.float64), (3, 6, 7))
    increment, _ = interpolated(b, Operator({"thetao": part}, 1), torch.tensor([0.1]).double(), torch.ones(1).double())
    west, east = increment["thetao"][0, ..., :3], increment["thetao"][0, ..., 3:]
    assert (west[G.mask[..., :3] > 0] > 0).all()
    assert not east.any()


def test_flattened_and_back():
    b = made("univariate")
    change = b.random(2, torch.Generator().manual_seed(0))
    again = unflattened(flattened(change, b), b.shapes)
    assert all(torch.equal(again[name], change[name]) for name in change)
