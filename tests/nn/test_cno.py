"""CNO: filters that keep what the grid holds and nothing else, rectifiers without aliases, the published size."""

from __future__ import annotations

import math

import pytest
import torch
import toy_tensors as toy
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import leaky_relu

from oceanx.nn import cno
from oceanx.nn.cno import Bend, CNOConfig
from oceanx.vocabulary.errors import InputError

CELLS = 48


def finer(x, dim=3, periodic=True):
    return cno.finer(x, cno.taps(), dim, periodic)


def coarser(x, dim=3, periodic=True):
    return cno.coarser(x, cno.taps(), dim, periodic)


def wave(number, shift=0.0, cells=CELLS):
    """cos along longitude, so many times round, sampled `shift` cells further on."""
    at = torch.arange(cells, dtype=torch.float64) + shift
    return torch.cos(2 * math.pi * number * at / cells).expand(1, 1, 1, cells)


def test_as_many_parameters_as_published():
    """0.5 % fewer: without a block that is built and never called, and the biases of the rectifiers."""
    with torch.device("meta"):
        net = CNOConfig().build(7, 1, toy.geometry())
    assert sum(parameter.numel() for parameter in net.parameters()) / 1e6 == pytest.approx(10.6, rel=0.006)


@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("cells", [1, 2, 3, 7, 12])
def test_a_constant_stays_what_it_is(periodic, cells):
    x = torch.full((1, 1, 2, cells), 3.0, dtype=torch.float64)
    twice = finer(x, periodic=periodic)
    assert torch.allclose(twice, torch.full((1, 1, 2, 2 * cells), 3.0, dtype=torch.float64))
    assert torch.allclose(coarser(twice, periodic=periodic), x)


@pytest.mark.parametrize("number", [1, 4, 9])
def test_between_its_cells_a_wave_goes_on(number):
    assert torch.allclose(finer(wave(number)), wave(number, cells=CELLS * 2), atol=0.01)


@pytest.mark.parametrize(("number", "kept"), [(1, 1.0), (5, 1.0), (12, 0.5), (20, 0.0), (24, 0.0)])
def test_on_every_second_cell_waves_shorter_than_four_cells_are_gone(number, kept):
    assert torch.allclose(coarser(wave(number)), kept * wave(number)[..., ::2], atol=0.01)


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 9), st.integers(0, 100))
def test_on_a_ring_each_filter_is_the_other_one_turned_round(cells, seed):
    """<finer x, y> = 2 <x, coarser y>."""
    random = torch.Generator().manual_seed(seed)
    x = torch.randn(1, 1, 2, cells, generator=random, dtype=torch.float64)
    y = torch.randn(1, 1, 2, 2 * cells, generator=random, dtype=torch.float64)
    assert torch.allclose((finer(x) * y).sum(), 2 * (x * coarser(y)).sum())


def test_latitude_is_filtered_like_longitude():
    x = torch.randn(1, 2, 4, 6, dtype=torch.float64)
    for resample in (finer, coarser):
        assert torch.allclose(resample(x, 2, False), resample(x.mT, 3, False).mT)


def test_a_bent_wave_does_not_know_where_the_cells_are():
    """Half a cell further on, it is bent into the same wave half a cell further on; a plain rectifier bends another."""

    def misplaced(bend):
        waves = torch.fft.rfft(bend(wave(9)))[0, 0, 0, : CELLS // 4 + 1]
        moved = torch.fft.rfft(bend(wave(9, shift=0.5)))[0, 0, 0, : CELLS // 4 + 1]
        turned = waves * torch.exp(1j * math.pi * torch.arange(len(waves)) / CELLS)
        return (moved - turned).abs().max() / waves.abs().max()

    ours = misplaced(lambda x: Bend(periodic=True)(x.expand(1, 1, 4, CELLS))[:, :, :1])
    plain = misplaced(lambda x: leaky_relu(x, 0.2))
    assert ours < 0.05 * plain


@pytest.mark.parametrize(("scale", "size"), [(-1, (4, 6)), (0, (8, 12)), (1, (16, 24))])
def test_a_rectifier_leaves_the_grid_as_coarse_as_it_is_told(scale, size):
    assert Bend(periodic=True, scale=scale)(torch.randn(2, 3, 8, 12)).shape == (2, 3, *size)


@pytest.mark.parametrize(
    ("values", "said"), [({"width": 12, "groups": 4}, "does not divide"), ({"levels": 0}, "levels")]
)
def test_what_cannot_be_built_is_refused(values, said):
    with pytest.raises(InputError, match=said):
        CNOConfig.parse(values)
