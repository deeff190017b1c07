"""Conjugate gradients, outer loops and L-BFGS: against direct solutions, and each for the reason that it ends."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ring import draw

from oceanx.variational.minimise import Linear, conjugate_gradients, gauss_newton, quasi_newton
from oceanx.variational.tangent import gradient_test

pytestmark = pytest.mark.filterwarnings(
    "ignore:`torch.jit.script` is deprecated"
)  # torch's own, where it derives forwards


def linear(G, d):
    return Linear(lambda v: v @ G.T, lambda w: w @ G, d)


def spectrum(size, observations, condition, seed=0):
    """A G for which I + Gᵀ G has this condition, its other eigenvalues spread between in equal ratios."""
    left, _ = torch.linalg.qr(draw(seed, observations, observations))
    right, _ = torch.linalg.qr(draw(seed + 1, size, size))
    values = torch.logspace(0, 1, observations, base=condition, dtype=torch.float64) - 1
    return left @ torch.diag(values.sqrt()) @ right[:observations]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), size=st.integers(1, 60), observations=st.integers(1, 40))
def test_they_end_at_the_minimum_within_one_more_than_there_are_observations(seed, size, observations):
    G, d = draw(seed, observations, size), draw(seed + 1, 1, observations)
    found = conjugate_gradients(linear(G, d), tolerance=1e-11)
    expected = torch.linalg.solve(torch.eye(size, dtype=torch.float64) + G.T @ G, (d @ G)[0])
    assert torch.allclose(found.v[0], expected, rtol=0, atol=1e-10)
    assert torch.allclose(found.misfit, d - found.v @ G.T, rtol=0, atol=1e-10)
    assert found.iterations <= observations + 1
    assert found.reason == "tolerance"


def test_they_converge_at_least_as_fast_as_the_condition_promises():
    found = conjugate_gradients(linear(spectrum(64, 60, 154.0), draw(3, 1, 60)), tolerance=1e-10)
    # |e_k| ≤ 2 ((√κ − 1)/(√κ + 1))^k in the norm of the matrix
    rate = (154**0.5 - 1) / (154**0.5 + 1)
    excess = torch.tensor(found.costs) - found.costs[-1]
    for k in range(1, found.iterations - 8):
        assert excess[k] <= 4 * rate ** (2 * k) * excess[0]


def test_costs_fall_and_are_what_they_say():
    G, d = draw(1, 12, 30), draw(2, 1, 12)
    found = conjugate_gradients(linear(G, d), tolerance=1e-10)
    assert all(later <= earlier + 1e-12 for earlier, later in zip(found.costs, found.costs[1:], strict=False))
    v = found.v
    assert found.costs[0] == pytest.approx(float(d.square().sum()) / 2)
    assert found.costs[-1] == pytest.approx(float(v.square().sum() + (d - v @ G.T).square().sum()) / 2)
    assert found.gradients[0] == pytest.approx(float((d @ G).norm()))
    assert found.gradients[-1] <= 1e-10 * found.gradients[0]
    whole = torch.eye(12, dtype=torch.float64) + G @ G.T
    assert float(found.twice_cost[0]) == pytest.approx(float(d[0] @ torch.linalg.solve(whole, d[0])), rel=1e-10)


def test_every_row_of_a_batch_goes_its_own_way():
    G, d = draw(1, 12, 30), draw(2, 4, 12)
    d[2] = 0  # is there from the beginning
    together = conjugate_gradients(linear(G, d), tolerance=1e-11)
    for row in range(4):
        single = conjugate_gradients(linear(G, d[row : row + 1]), tolerance=1e-11)
        assert torch.allclose(together.v[row], single.v[0], rtol=0, atol=1e-10)
    assert not together.v[2].any()


def test_they_go_on_from_where_they_are_told():
    """About v the misfit is d − G v: the minimum is the same."""
    G, d, v = draw(1, 12, 30), draw(2, 1, 12), draw(3, 1, 30)
    expected = conjugate_gradients(linear(G, d), tolerance=1e-11).v
    assert torch.allclose(
        conjugate_gradients(linear(G, d - v @ G.T), v, tolerance=1e-11).v, expected, rtol=0, atol=1e-10
    )


def test_why_they_end():
    G, d = draw(1, 12, 30), draw(2, 1, 12)
    assert conjugate_gradients(linear(G, d), iterations=3).reason == "iterations"
    assert conjugate_gradients(linear(G, 0 * d)).reason == "no departures"
    single = Linear(lambda v: v @ G.float().T, lambda w: w @ G.float(), d.float())
    found = conjugate_gradients(single, tolerance=1e-30)
    assert found.reason == "rounding"
    assert found.iterations <= 15
    assert found.v.dtype == torch.float32
    assert torch.allclose(found.v.double(), conjugate_gradients(linear(G, d), tolerance=1e-11).v, rtol=0, atol=1e-5)


def test_lanczos_knows_the_inverse_hessian():
    """What has been seen are eigenvalues of Gᵀ G; with all of them, (I + Gᵀ G)⁻¹ is known."""
    G, d = draw(1, 12, 30), draw(2, 1, 12)
    ritz = conjugate_gradients(linear(G, d), tolerance=1e-13, lanczos=True).ritz
    values = torch.linalg.eigvalsh(G @ G.T)
    assert torch.allclose(ritz.values.sort().values[-12:], values, rtol=1e-9)
    are_of(ritz, G)
    inverse = torch.linalg.inv(torch.eye(30, dtype=torch.float64) + G.T @ G)
    assert torch.allclose(ritz.inverse_hessian(torch.eye(30, dtype=torch.float64)), inverse, rtol=0, atol=1e-10)


@pytest.mark.parametrize("iterations", [15, 16, 17, 40])
def test_directions_stay_orthogonal_however_many_there_are(iterations):
    """Where they are not, conjugate gradients see the largest eigenvalues twice."""
    G = spectrum(90, 80, 1e6)
    ritz = conjugate_gradients(linear(G, draw(3, 1, 80)), iterations=iterations, tolerance=1e-13, lanczos=True).ritz
    assert len(ritz.values) == iterations
    are_of(ritz, G, scale=1e6)


def are_of(ritz, G, scale=1.0):
    """Vectors of length 1 that are orthogonal, G times them, and |G q|² as their values."""
    unit = torch.eye(len(ritz.values), dtype=torch.float64)
    assert torch.allclose(ritz.vectors @ ritz.vectors.T, unit, rtol=0, atol=1e-10)
    assert torch.allclose(ritz.seen, ritz.vectors @ G.T, rtol=0, atol=1e-9 * scale**0.5)
    assert torch.allclose(ritz.seen.square().sum(1), ritz.values, rtol=1e-9, atol=1e-9 * scale)


def curved(v):
    """Departures that are not linear in v."""
    return torch.stack((v[:, 0].exp() + v[:, 1], v[:, 1] * v[:, 2], (v[:, 2] - 0.3 * v[:, 0]).sin()), 1) - 0.7


def about(v):
    v = torch.zeros(1, 3, dtype=torch.float64) if v is None else v
    jacobian = torch.func.jacfwd(curved)(v)[0, :, 0]
    return linear(jacobian, -curved(v))


def cost(v):
    G = torch.func.jacfwd(curved)(v)[0, :, 0]
    return (v.square().sum() + curved(v).square().sum()) / 2, v + curved(v) @ G


def test_outer_loops_find_the_minimum_of_a_curved_cost():
    found = gauss_newton(about, loops=30, tolerance=1e-12)
    assert float(cost(found.v)[1].norm()) < 1e-10
    assert len(found.costs) == found.iterations + 1
    one = gauss_newton(about, loops=1, tolerance=1e-12)
    assert cost(found.v)[0] < cost(one.v)[0]
    with pytest.raises(ValueError, match="0 outer loops"):
        gauss_newton(about, loops=0)


def test_l_bfgs_finds_it_too():
    v, costs = quasi_newton(cost, torch.zeros(1, 3, dtype=torch.float64), tolerance=1e-11)
    assert torch.allclose(v, gauss_newton(about, loops=30, tolerance=1e-12).v, rtol=0, atol=1e-9)
    assert costs[-1] == pytest.approx(min(costs))
    assert costs[0] == pytest.approx(float(cost(torch.zeros(1, 3, dtype=torch.float64))[0]))


def test_the_gradient_test_tells_a_gradient_from_another():
    v, h = draw(5, 1, 3), draw(6, 1, 3)
    off = gradient_test(cost, v, h / h.norm()) - 1
    assert (off[1:] / off[:-1]).sub(0.1).abs().max() < 0.05  # six times a tenth
    wrong = gradient_test(lambda at: (cost(at)[0], 1.01 * cost(at)[1]), v, h / h.norm()) - 1
    assert abs(wrong[-1]) > 5e-3
