"""SimVP: the published sizes, its blocks against their drawing, and a decoder that sees the fine map."""

from __future__ import annotations

import pytest
import torch
import toy_tensors as toy
from torch.nn.functional import conv2d, group_norm, leaky_relu, pad

from oceanx.nn.simvp import Inception, SimVPConfig, Translator
from oceanx.vocabulary.errors import InputError


@pytest.mark.parametrize(
    ("settings", "channels", "millions"),
    [
        ({}, (7, 1), 3.469),  # Ocean-E2E: its air-sea source
        ({}, (3, 2), 3.468),  # and its velocity correction
        ({"spatial": 128, "hidden": 256, "blocks": 4}, (99, 93), 7.94),  # a baseline of HybridOM
    ],
)
def test_as_many_parameters_as_published(settings, channels, millions):
    with torch.device("meta"):
        net = SimVPConfig(**settings).build(*channels, toy.geometry())
    assert sum(parameter.numel() for parameter in net.parameters()) / 1e6 == pytest.approx(millions, rel=1e-3)


def test_a_block_is_the_sum_of_its_convolutions():
    torch.manual_seed(0)
    block, x = Inception(3, 4, 6, (3, 5), groups=2, periodic=True), torch.randn(2, 3, 7, 8)
    toy.train_a_little(block)
    narrow = conv2d(x, block.narrow.weight, block.narrow.bias)
    expected = torch.zeros(2, 6, 7, 8)
    for reach, (conv, norm, _) in zip((1, 2), block.sizes, strict=True):
        around = pad(pad(narrow, (reach, reach, 0, 0), mode="circular"), (0, 0, reach, reach))
        found = conv2d(around, conv.conv.weight, conv.conv.bias, groups=2)
        expected += leaky_relu(group_norm(found, 2, norm.weight, norm.bias), 0.2)
    assert torch.allclose(block(x), expected, atol=1e-5)


def test_the_translator_joins_its_blocks_in_pairs():
    read = [block.narrow.in_channels for block in Translator(4, 8, 3, (3,), groups=2, periodic=False).up]
    assert read == [8, 16, 16]


def test_the_decoder_sees_the_fine_map():
    """Even where nothing comes back from the coarse grid."""
    net = SimVPConfig(spatial=4, hidden=8, blocks=2, kernels=(3,), groups=2).build(1, 1, toy.geometry(True))
    toy.train_a_little(net)
    for parameter in net.translator.up[-1].sizes[0][1].parameters():
        torch.nn.init.zeros_(parameter)
    x = torch.randn(1, 1, 8, 8, requires_grad=True)
    assert not net.translator(torch.randn(1, 4, 2, 2)).any()
    assert torch.autograd.grad(net(x).square().sum(), x)[0].all()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"strides": [2, 1]}, "first of the `strides`"),
        ({"strides": [1, 3]}, "strides"),
        ({"kernels": [3, 4]}, "odd"),
        ({"hidden": 24}, "does not"),
        ({"spatial": 12}, "does not"),
        ({"blocks": 1}, "blocks"),
    ],
)
def test_what_cannot_be_built_is_refused(values, said):
    with pytest.raises(InputError, match=said):
        SimVPConfig.parse(values)
