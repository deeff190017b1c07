"""ResNet: the published size, blocks that add, and noise only while it trains."""

from __future__ import annotations

import pytest
import torch
import toy_tensors as toy

from oceanx.nn.resnet import Residual, ResNetConfig
from oceanx.vocabulary.errors import InputError


@pytest.mark.parametrize(("channels", "millions"), [((7, 1), 21.1), ((99, 93), 21.6)])
def test_as_many_parameters_as_published(channels, millions):
    with torch.device("meta"):
        net = ResNetConfig().build(*channels, toy.geometry())
    assert sum(parameter.numel() for parameter in net.parameters()) / 1e6 == pytest.approx(millions, abs=0.05)


def test_as_many_parameters_as_the_drawing_has():
    def layer(a, b):
        return 9 * a * b + b + 2 * b

    net = ResNetConfig(widths=(4, 8), blocks=(2, 1), groups=2).build(3, 2, toy.geometry())
    drawn = layer(3, 4) + 2 * 2 * layer(4, 4) + layer(4, 8) + layer(8, 8) + 2 * layer(8, 8) + 9 * 8 * 2 + 2
    assert sum(parameter.numel() for parameter in net.parameters()) == drawn


def test_a_block_whose_last_norm_is_nothing_changes_nothing():
    block, x = Residual(4, periodic=True, groups=2, dropout=0.0), torch.randn(2, 4, 5, 6)
    assert not torch.equal(block(x), x)
    torch.nn.init.zeros_(block.second[1].weight)
    assert torch.equal(block(x), x)


def test_dropout_is_for_training():
    net = ResNetConfig(widths=(4,), blocks=(2,), groups=2, dropout=0.5).build(3, 2, toy.geometry())
    toy.train_a_little(net)
    x = torch.randn(1, 3, 5, 6)
    assert not torch.equal(net.train()(x), net(x))
    assert torch.equal(net.eval()(x), net(x))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"widths": [8, 10], "blocks": [1, 1], "groups": 4}, "does not divide"),
        ({"widths": [8, 16]}, "write one each"),
        ({"dropout": 1.0}, "dropout"),
        ({"widths": [], "blocks": []}, "widths"),
    ],
)
def test_what_cannot_be_built_is_refused(values, said):
    with pytest.raises(InputError, match=said):
        ResNetConfig.parse(values)
