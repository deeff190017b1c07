"""LSM: the published size, the latent tokens of a patch done once more by hand, patches that keep to themselves."""

from __future__ import annotations

import math

import pytest
import torch
import toy_tensors as toy

from oceanx.nn.lsm import LatentSpectral, LSMConfig
from oceanx.vocabulary.errors import InputError

SMALL = LSMConfig(width=6, scales=2, tokens=2, basis=3, patch=2, heads=2, groups=2)


def latent(periodic=False):
    torch.manual_seed(0)
    layer = LatentSpectral(SMALL, 6, periodic).double()
    toy.train_a_little(layer)
    return layer


def by_hand(layer, cells):
    """One patch: `cells` is [cell, width]."""
    told, asks = layer.told(cells), layer.asks(cells)
    written = torch.zeros_like(cells)
    for head in range(2):
        own = slice(3 * head, 3 * head + 3)
        keys, values, asked = told[:, :6][:, own], told[:, 6:][:, own], asks[:, own]
        tokens = layer.tokens[head]
        tokens = tokens + torch.softmax(tokens @ keys.T / math.sqrt(3), dim=1) @ values
        series = torch.zeros_like(tokens)
        for k in (1, 2, 3):
            a, b = layer.weight[0, own, k - 1], layer.weight[1, own, k - 1]
            series = series + a * torch.sin(math.pi * k * tokens / 3) + b * torch.cos(math.pi * k * tokens / 3)
        tokens = tokens + series
        written[:, own] = torch.softmax(asked @ tokens.T / math.sqrt(3), dim=1) @ tokens
    return cells + written


def test_as_many_parameters_as_published():
    with torch.device("meta"):
        net = LSMConfig().build(7, 1, toy.geometry())
    assert sum(parameter.numel() for parameter in net.parameters()) / 1e6 == pytest.approx(19.2, abs=0.05)


def test_a_patch_speaks_through_its_tokens_as_the_equation_says():
    layer, x = latent(), torch.randn(1, 6, 4, 6, dtype=torch.float64)
    written = layer(x)
    for row in (0, 2):
        for column in (0, 2, 4):
            where = (0, slice(None), slice(row, row + 2), slice(column, column + 2))
            expected = by_hand(layer, x[where].flatten(1).T)
            assert torch.allclose(written[where].flatten(1).T, expected)


def test_a_patch_is_not_heard_in_another():
    layer, x = latent(), torch.randn(1, 6, 4, 6, dtype=torch.float64)
    y = x.clone()
    y[..., 2, 3] += 1.0
    changed = (layer(y) != layer(x)).any(1)[0]
    assert changed[2:, 2:4].all()
    assert changed.sum() == 4


@pytest.mark.parametrize(("scales", "widths"), [(1, (6,)), (2, (6, 6)), (4, (6, 12, 24, 24))])
def test_widths_double_but_at_the_coarsest_scale(scales, widths):
    config = SMALL.model_copy(update={"scales": scales})
    assert config.widths == widths
    net = config.build(3, 2, toy.geometry())
    toy.train_a_little(net)
    assert net(torch.randn(1, 3, 5, 9)).shape == (1, 2, 5, 9)


@pytest.mark.parametrize("values", [{"width": 20}, {"width": 24, "groups": 5}])
def test_what_cannot_be_built_is_refused(values):
    with pytest.raises(InputError, match="does not divide"):
        LSMConfig.parse(values)
