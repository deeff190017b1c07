"""Layers that networks share: maps that go round, grids twice as fine, maps made longer."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx.nn.layers import Conv, Finer, padded, wrap

sizes = st.integers(1, 9)


@settings(max_examples=20, deadline=None)
@given(sizes, st.integers(0, 20))
def test_beyond_the_last_column_comes_the_first_as_often_as_it_takes(columns, width):
    x = torch.arange(float(columns)).expand(1, 1, 2, columns)
    expected = torch.arange(-width, columns + width) % columns
    assert torch.equal(wrap(x, width)[0, 0, 0], expected.float())


@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("kernel", [3, 4])
def test_finer_is_a_halving_convolution_turned_round(kernel, periodic):
    """<C x, y> = <x, Cᵀ y>."""
    torch.manual_seed(0)
    halve = Conv(3, 2, periodic, kernel=kernel, stride=2, bias=False).double()
    double = Finer(2, 3, periodic, kernel=kernel).double()
    with torch.no_grad():
        double.conv.weight.copy_(halve.conv.weight)
        double.conv.bias.zero_()
    x, y = torch.randn(1, 3, 6, 8, dtype=torch.float64), torch.randn(1, 2, 3, 4, dtype=torch.float64)
    assert halve(x).shape == y.shape
    assert double(y).shape == x.shape
    assert torch.allclose((halve(x) * y).sum(), (x * double(y)).sum())


@settings(max_examples=20, deadline=None)
@given(sizes, sizes, sizes, sizes, st.booleans())
def test_a_padded_map_is_longer_and_begins_the_same(lat, lon, rows, columns, periodic):
    x = torch.randn(2, 3, lat, lon)
    long = padded(x, rows, columns, periodic)
    assert all(size % step == 0 for size, step in zip(long.shape[-2:], (rows, columns), strict=True))
    assert long.shape[-2] < lat + rows
    assert long.shape[-1] < lon + columns
    assert torch.equal(long[..., :lat, :lon], x)
    assert not long[..., lat:, :].any()
    beyond = torch.arange(lon, long.shape[-1])
    assert torch.equal(long[..., :lat, lon:], x[..., beyond % lon] if periodic else torch.zeros(2, 3, lat, len(beyond)))
