"""The large-kernel U-net: the published size, branches that are one convolution, and a kernel wider than the map."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import toy_tensors as toy
from pydantic import ValidationError
from torch.nn.functional import conv2d, pad
from toy_nets import SMALL

from oceanx.nn.large_kernel_unet import (
    EdgeConv,
    FarConv,
    FourierAttention,
    LargeKernelUNet,
    LargeKernelUNetConfig,
    fused,
)


@pytest.mark.parametrize(("width", "millions"), [(16, 26.0), (32, 91.7)])
def test_it_has_the_published_number_of_weights(width: int, millions: float) -> None:
    with torch.device("meta"):
        net = LargeKernelUNet(3, 3, LargeKernelUNetConfig(width=width))
    assert round(sum(weight.numel() for weight in net.parameters()) / 1e6, 1) == millions


@pytest.mark.parametrize("periodic", [True, False])
def test_the_branches_one_by_one_are_the_one_convolution(periodic: bool) -> None:
    torch.manual_seed(0)
    layer = EdgeConv(3, 4, 2, periodic).double()
    toy.train_a_little(layer)
    x = torch.randn(2, 3, 6, 8, dtype=torch.float64)

    def beyond(field: torch.Tensor) -> torch.Tensor:
        sides = torch.cat([field[..., -1:], field, field[..., :1]], -1) if periodic else pad(field, (1, 1))
        return pad(sides, (0, 0, 1, 1))

    east, north, bend = (beyond(mixed) for mixed in layer.mixtures(x).chunk(3, dim=1))
    rows = [east[..., i : i + 6, :] for i in range(3)]
    slope_x = rows[0] + 2 * rows[1] + rows[2]
    columns = [north[..., i : i + 8] for i in range(3)]
    slope_y = columns[0] + 2 * columns[1] + columns[2]
    curvature = bend[..., 1:-1, 2:] + bend[..., 1:-1, :-2] + bend[..., 2:, 1:-1] + bend[..., :-2, 1:-1]
    scales = layer.scales[:, :, None, None]
    expected = layer.plain(x) + layer.after(layer.before(x))
    expected = expected + scales[0] * (slope_x[..., :-2] - slope_x[..., 2:])
    expected = expected + scales[1] * (slope_y[..., :-2, :] - slope_y[..., 2:, :])
    expected = expected + scales[2] * (curvature - 4 * bend[..., 1:-1, 1:-1])
    assert torch.allclose(layer(x), expected, atol=1e-12)


def test_fused_it_is_the_same_network_with_fewer_weights() -> None:
    geometry = toy.geometry(True, 9, 12)
    torch.manual_seed(0)
    net = SMALL["large_kernel_unet"].build(3, 2, geometry).double()
    toy.train_a_little(net)
    x = torch.randn(2, 3, 9, 12, dtype=torch.float64)
    before, size = net(x), sum(weight.numel() for weight in net.parameters())
    after = fused(net)
    assert not any(isinstance(layer, EdgeConv) for layer in after.modules())
    assert torch.allclose(after(x), before, atol=1e-11)
    assert sum(weight.numel() for weight in after.parameters()) < size


@pytest.mark.parametrize("periodic", [True, False])
def test_a_kernel_wider_than_the_map_is_computed_as_if_whole(periodic: bool) -> None:
    torch.manual_seed(0)
    layer = FarConv(2, 15, periodic).double()
    x = torch.randn(1, 2, 5, 6, dtype=torch.float64)
    columns = np.arange(-7, 6 + 7) % 6 if periodic else slice(None)
    whole = conv2d(x[..., columns], layer.weight, layer.bias, padding=(7, 0 if periodic else 7), groups=2)
    assert torch.allclose(layer(x), whole, atol=1e-12)


def test_attention_knows_waves_by_their_length_and_not_by_their_place() -> None:
    torch.manual_seed(0)
    attend = FourierAttention(4, 2).double()
    x = torch.randn(1, 4, 16, 16, dtype=torch.float64)
    assert torch.allclose(attend(x), attend(x.roll(5, -1)), atol=1e-12)
    column = torch.arange(16, dtype=torch.float64)
    long, short = (torch.cos(2 * np.pi * k * column / 16).expand(1, 4, 16, 16) for k in (1, 6))
    assert not torch.allclose(attend(long), attend(short), atol=1e-6)


def test_settings_that_cannot_be_are_named() -> None:
    with pytest.raises(ValidationError, match="`kernel` = 8 is even"):
        LargeKernelUNetConfig(kernel=8)
    with pytest.raises(ValidationError, match="does not divide `width` = 6"):
        LargeKernelUNetConfig(width=6)
