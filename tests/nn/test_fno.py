"""FNO: one matrix a wave, whatever the grid; walls kept apart; longitude without a beginning."""

from __future__ import annotations

import math

import pytest
import torch
import toy_tensors as toy

from oceanx.nn.fno import FNOConfig, SpectralConv
from oceanx.nn.fourier import extended
from oceanx.vocabulary.errors import InputError


def wave(rows, columns, south_north, east, phase=0.0):
    """cos(l y + k x − phase) on a doubly periodic map."""
    y = 2 * math.pi * torch.arange(rows, dtype=torch.float64)[:, None] / rows
    x = 2 * math.pi * torch.arange(columns, dtype=torch.float64) / columns
    return torch.cos(south_north * y + east * x - phase)


def spectral(modes=(3, 4), width=2):
    torch.manual_seed(0)
    return SpectralConv(width, modes).double()


def test_as_many_parameters_as_published():
    with torch.device("meta"):
        net = FNOConfig().build(7, 1, toy.geometry())
    waves = sum(layer.weight.numel() for layer in net.spectral)
    parameters = sum(parameter.numel() for parameter in net.parameters()) - waves // 2  # a complex number is one
    assert parameters / 1e6 == pytest.approx(8.4, abs=0.05)


@pytest.mark.parametrize("north", [2, -2])
@pytest.mark.parametrize("size", [(12, 16), (24, 20), (9, 11)])
def test_a_wave_is_multiplied_by_its_own_number_on_every_grid(north, size):
    layer, east = spectral(), 1
    number = torch.view_as_complex(layer.weight.detach())[0 if north > 0 else 1][..., north, east]
    x = torch.stack([wave(*size, north, east), torch.zeros(size, dtype=torch.float64)])[None]
    written = layer(x, size)[0]
    for channel in range(2):
        gain = number[0, channel]
        expected = abs(gain) * wave(*size, north, east, phase=-torch.angle(gain))
        assert torch.allclose(written[channel], expected, atol=1e-12)


@pytest.mark.parametrize(("north", "east"), [(3, 1), (-4, 1), (0, 4)])
def test_shorter_waves_are_left_out(north, east):
    x = wave(12, 16, north, east).expand(1, 2, -1, -1)
    assert torch.allclose(spectral()(x, (12, 16)), torch.zeros(1, 2, 12, 16, dtype=torch.float64), atol=1e-12)


def test_beyond_a_wall_there_are_zeros():
    layer, x = spectral(), torch.randn(1, 2, 8, 12, dtype=torch.float64)
    longer = torch.zeros(1, 2, 10, 15, dtype=torch.float64)
    longer[..., :8, :12] = x
    assert torch.allclose(layer(x, (10, 15)), layer(longer, (10, 15))[..., :8, :12])


@pytest.mark.parametrize(("margin", "rows"), [(0.0, 7), (0.2, 9)])
def test_the_strip_keeps_the_last_row_from_the_first(margin, rows):
    """Waves turned so that all moves one row north: what leaves at one wall comes in at the other only without it."""
    size, layer = extended((7, 13), periodic=True, margin=margin), spectral(modes=(9, 9), width=1)
    assert size == (rows, 13)
    wavenumber = torch.stack([torch.arange(9), torch.arange(-9, 0)])[:, None, None, :, None].double()
    turned = torch.polar(torch.ones((), dtype=torch.float64), -2 * math.pi * wavenumber / rows)
    layer.weight.data = torch.view_as_real(turned.expand(2, 1, 1, 9, 9).contiguous())
    x = torch.randn(1, 1, 7, 13, dtype=torch.float64)
    written = layer(x, size)
    assert torch.allclose(written[..., 1:, :], x[..., :-1, :])
    assert torch.allclose(written[..., 0, :], x[..., -1, :] if margin == 0 else torch.zeros_like(x[..., 0, :]))


def test_turned_by_a_single_column_it_writes_what_it_wrote():
    net = FNOConfig(width=4, depth=2, modes=(3, 4)).build(3, 2, toy.geometry(periodic=True))
    toy.train_a_little(net)
    x, net = torch.randn(1, 3, 9, 14, dtype=torch.float64), net.double()
    assert torch.allclose(net(x.roll(1, -1)), net(x).roll(1, -1), atol=1e-12)


def test_under_bfloat16_waves_keep_single_precision():
    net = FNOConfig(width=8, depth=2, modes=(3, 4)).build(3, 2, toy.geometry())
    toy.train_a_little(net)
    x = torch.randn(2, 3, 7, 10)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        written = net(x)
    assert written.dtype == torch.bfloat16
    assert (written - net(x)).abs().max() < 0.05 * net(x).abs().max()


@pytest.mark.parametrize("values", [{"modes": [16]}, {"modes": [0, 4]}, {"margin": -0.1}])
def test_what_cannot_be_built_is_refused(values):
    with pytest.raises(InputError, match=next(iter(values))):
        FNOConfig.parse(values)
