"""Layers that every network of maps needs: longitude that wraps around, and last layers that say nothing."""

from __future__ import annotations

from typing import TypeVar

from torch import Tensor, nn
from torch.nn.functional import pad

Module = TypeVar("Module", bound=nn.Module)


class Conv(nn.Module):
    """A convolution that keeps the map's size, or halves it with a stride of 2: zeros beyond the poles, and beyond
    longitude unless `periodic`. Its kernel is odd."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        periodic: bool,
        *,
        kernel: int = 3,
        stride: int = 1,
        groups: int = 1,
        dilation: int = 1,
        bias: bool = True,
    ):
        super().__init__()
        self.beyond = dilation * (kernel // 2)
        self.periodic = periodic and self.beyond > 0
        padding = (self.beyond, 0 if self.periodic else self.beyond)
        self.conv = nn.Conv2d(
            channels_in, channels_out, kernel, stride, padding, dilation=dilation, groups=groups, bias=bias
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(wrap(x, self.beyond) if self.periodic else x)


def wrap(x: Tensor, width: int = 1) -> Tensor:
    """The map with its last columns repeated before the first and its first after the last."""
    return pad(x, (width, width, 0, 0), mode="circular")


def silent(layer: Module) -> Module:
    """The layer with all its weights zero: untrained, what it writes is nothing."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer
