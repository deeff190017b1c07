"""Layers that every network of maps needs: longitude that wraps around, and last layers that say nothing."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad

Module = TypeVar("Module", bound=nn.Module)


class Conv(nn.Module):
    """A convolution that keeps the map's size, or halves it with a stride of 2: zeros beyond the poles, and beyond
    longitude unless `periodic`. Its kernel is odd or, with a stride of 2, even."""

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
        self.beyond = dilation * (kernel - 1) // 2
        self.periodic = periodic and self.beyond > 0
        padding = (self.beyond, 0 if self.periodic else self.beyond)
        self.conv = nn.Conv2d(
            channels_in, channels_out, kernel, stride, padding, dilation=dilation, groups=groups, bias=bias
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(wrap(x, self.beyond) if self.periodic else x)


class Finer(nn.Module):
    """A transposed convolution that doubles the map's size; its kernel is 3 or 4."""

    def __init__(self, channels_in: int, channels_out: int, periodic: bool, *, kernel: int = 3):
        super().__init__()
        self.periodic = periodic
        self.conv = nn.ConvTranspose2d(channels_in, channels_out, kernel, 2, padding=1, output_padding=4 - kernel)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(wrap(x))[..., 2:-2] if self.periodic else self.conv(x)


def wrap(x: Tensor, width: int = 1) -> Tensor:
    """The map with its last columns repeated before the first and its first after the last, as often as it takes."""
    while width > x.shape[-1]:
        width, x = width - x.shape[-1], torch.cat([x, x, x], dim=-1)
    return pad(x, (width, width, 0, 0), mode="circular")


def finer(x: Tensor, size: torch.Size, periodic: bool) -> Tensor:
    """The map on a grid twice as fine, less the row or column that pooling added to an odd one."""
    x = interpolate(wrap(x) if periodic else x, scale_factor=2.0, mode="bilinear", align_corners=False)
    return (x[..., 2:-2] if periodic else x)[..., : size[0], : size[1]]


def padded(x: Tensor, rows: int, columns: int, periodic: bool) -> Tensor:
    """The map made longer at its northern and eastern ends, to the next multiples of so many rows and columns.

    What is added is 0 or, in longitude that is `periodic`, the map from its beginning. `[..., :lat, :lon]` takes it
    off again.
    """
    north, east = -x.shape[-2] % rows, -x.shape[-1] % columns
    if periodic and east:
        x = x[..., torch.arange(x.shape[-1] + east, device=x.device) % x.shape[-1]]
    return pad(x, (0, 0 if periodic else east, 0, north))


def silent(layer: Module) -> Module:
    """The layer with all its weights zero: untrained, what it writes is nothing."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    layer.begins_silent = True  # type: ignore[assignment]
    return layer


def says_nothing(net: Module) -> bool:
    """Whether a network of this package is still as silent as it was made."""
    last = [layer for layer in net.modules() if getattr(layer, "begins_silent", False)]
    return bool(last) and not any(parameter.any() for layer in last for parameter in layer.parameters())
