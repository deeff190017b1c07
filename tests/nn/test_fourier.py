"""Wave space: pairs of numbers that are complex ones, and walls that are kept apart."""

from __future__ import annotations

import math

import pytest
import torch

from oceanx.nn.fourier import complex_einsum, extended, unwaved, waves


@pytest.mark.parametrize("size", [(6, 8), (5, 7), (1, 4)])
def test_there_and_back_is_nowhere(size):
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    assert torch.allclose(unwaved(waves(x, size), size), x)


def test_a_wave_is_one_pair():
    rows, columns, k, amplitude, phase = 4, 12, 3, 2.0, 0.7
    longitude = 2 * math.pi * torch.arange(columns, dtype=torch.float64) / columns
    x = (amplitude * torch.cos(k * longitude - phase)).expand(1, 1, rows, columns)
    found = waves(x, (rows, columns))[0, 0]
    expected = torch.zeros_like(found)
    half = amplitude / 2 * math.sqrt(rows * columns)
    expected[0, k] = torch.tensor([half * math.cos(phase), -half * math.sin(phase)])
    assert torch.allclose(found, expected, atol=1e-12)


def test_pairs_multiply_as_complex_numbers_do():
    torch.manual_seed(0)
    z, w = torch.randn(2, 3, 4, dtype=torch.complex128), torch.randn(3, 5, 4, dtype=torch.complex128)
    found = complex_einsum("bix,iox->box", torch.view_as_real(z), torch.view_as_real(w))
    assert torch.allclose(torch.view_as_complex(found), torch.einsum("bix,iox->box", z, w))


def test_only_longitude_that_goes_round_ends_where_it_ends():
    assert extended((8, 16), periodic=True, margin=0.125) == (9, 16)
    assert extended((8, 16), periodic=False, margin=0.125) == (9, 18)
    assert extended((7, 10), periodic=False, margin=0.125) == (8, 12)  # a strip is never narrower than was asked
    assert extended((7, 10), periodic=False, margin=0.0) == (7, 10)


def test_half_precision_is_transformed_in_single():
    x = torch.randn(1, 1, 4, 6).bfloat16()
    assert waves(x, (4, 6)).dtype == torch.float32
    assert torch.equal(waves(x, (4, 6)), waves(x.float(), (4, 6)))
