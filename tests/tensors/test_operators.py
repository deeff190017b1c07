"""Operators: means on faces, and a divergence that gains nothing."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx.tensors.operators import mean_x, mean_y, outflow


def random(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_means_lie_half_way():
    column, row = torch.arange(5.0).expand(4, 5), torch.arange(4.0)[:, None].expand(4, 5)
    assert torch.equal(mean_x(column)[:, :-1], column[:, :-1] + 0.5)
    assert torch.equal(mean_x(row), row)
    assert torch.equal(mean_y(row)[:-1], row[:-1] + 0.5)
    assert torch.equal(mean_y(column), column)


def test_one_open_face_empties_one_cell_into_its_neighbour():
    nothing, flux = torch.zeros(3, 4), torch.zeros(3, 4)
    flux[1, 1] = 2.0
    eastwards, northwards = torch.zeros(3, 4), torch.zeros(3, 4)
    eastwards[1, 1], eastwards[1, 2] = 2.0, -2.0
    northwards[1, 1], northwards[2, 1] = 2.0, -2.0
    assert torch.equal(outflow(flux, nothing), eastwards)
    assert torch.equal(outflow(nothing, flux), northwards)


@given(st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_what_leaves_one_cell_enters_another(seed):
    flux_x, flux_y = random(seed, 2, 3, 7, 6), random(seed + 1, 2, 3, 7, 6)
    total = outflow(flux_x, flux_y).sum(dim=(-2, -1))
    assert torch.allclose(total, torch.zeros_like(total), atol=1e-12)


def test_the_curl_of_a_stream_function_has_no_divergence():
    psi = random(0, 6, 8)  # on north-east corners
    flux_x, flux_y = -(psi - psi.roll(1, -2)), psi - psi.roll(1, -1)
    assert torch.allclose(outflow(flux_x, flux_y), torch.zeros(6, 8, dtype=torch.float64), atol=1e-13)
