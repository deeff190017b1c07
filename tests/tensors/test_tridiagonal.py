"""Tridiagonal systems: the solution, its tangent and its gradient are those of the dense matrix."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx.tensors.tridiagonal import solve

COLUMNS = (2, 3)  # lat, lon


def system(seed, levels, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    a, c, d = (torch.randn(1, levels, *COLUMNS, generator=generator, dtype=dtype) for _ in range(3))
    return a, a.abs() + c.abs() + 0.5, c, d


def dense(a, b, c):
    """The matrices of all columns, `[…, lat, lon, depth, depth]`."""
    a, b, c = (row.movedim(-3, -1) for row in (a, b, c))
    return torch.diag_embed(b) + torch.diag_embed(a[..., 1:], -1) + torch.diag_embed(c[..., :-1], 1)


@given(st.integers(0, 10**6), st.integers(1, 12))
@settings(max_examples=15, deadline=None)
def test_the_solution_is_that_of_the_dense_matrix(seed, levels):
    a, b, c, d = system(seed, levels)
    exact = torch.linalg.solve(dense(a, b, c), d.movedim(-3, -1)).movedim(-1, -3)
    torch.testing.assert_close(solve(a, b, c, d), exact, rtol=1e-11, atol=1e-11)


def test_the_corners_outside_the_matrix_are_not_looked_at():
    a, b, c, d = (row.clone().requires_grad_() for row in system(1, 4))
    x = solve(a, b, c, d)
    other_a, other_c = a.detach().clone(), c.detach().clone()
    other_a[:, 0], other_c[:, -1] = 1e9, -1e9
    assert torch.equal(solve(other_a, b, other_c, d), x)
    x.sum().backward()
    assert not a.grad[:, 0].any()
    assert not c.grad[:, -1].any()


def test_fields_stacked_in_front_share_one_matrix():
    a, b, c, _ = system(2, 5)
    d = torch.randn(4, 1, 5, *COLUMNS, dtype=torch.float64)
    torch.testing.assert_close(solve(a, b, c, d), torch.stack([solve(a, b, c, each) for each in d]))


@pytest.mark.parametrize("levels", [1, 4])
def test_gradients_and_tangents_are_those_of_finite_differences(levels):
    rows = [row.requires_grad_() for row in system(3, levels)]
    assert torch.autograd.gradcheck(solve, rows, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(solve, rows)
    stacked = [*rows[:3], torch.randn(2, 1, levels, *COLUMNS, dtype=torch.float64).requires_grad_()]
    assert torch.autograd.gradcheck(solve, stacked, check_forward_ad=True)


def test_only_the_right_side_may_want_a_gradient():
    a, b, c, d = system(4, 4)
    d.requires_grad_()
    weight = torch.randn_like(d)
    (solve(a, b, c, d) * weight).sum().backward()
    exact = torch.linalg.solve(dense(a, b, c).mT, weight.movedim(-3, -1)).movedim(-1, -3)
    torch.testing.assert_close(d.grad, exact)


def test_compiled_it_is_one_graph_with_the_same_gradient():
    rows = [row.requires_grad_() for row in system(5, 4)]
    compiled = torch.compile(solve, fullgraph=True, backend="eager")
    wanted = torch.autograd.grad(solve(*rows).square().sum(), rows)
    torch.testing.assert_close(torch.autograd.grad(compiled(*rows).square().sum(), rows), wanted)


def test_single_precision_goes_in_and_comes_out():
    single = solve(*system(6, 12, torch.float32))
    assert single.dtype == torch.float32
    rows = [row.double() for row in system(6, 12, torch.float32)]
    torch.testing.assert_close(single.double(), solve(*rows), rtol=1e-4, atol=1e-4)
