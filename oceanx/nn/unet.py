"""U-Net: an encoder and a decoder joined at every scale.

References
----------
Ronneberger, Fischer & Brox (2015), MICCAI, doi:10.1007/978-3-319-24574-4_28.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, gelu

from oceanx.tensors.geometry import Geometry
from oceanx.vocabulary.config import Config

from .layers import Conv, finer, silent


class UNetConfig(Config):
    """Widths from the finest to the coarsest scale; each scale halves the grid."""

    kind: Literal["unet"] = "unet"
    widths: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (24, 48, 64, 96)
    groups: PositiveInt = 4

    @model_validator(mode="after")
    def _check(self) -> UNetConfig:
        uneven = [width for width in self.widths if width % self.groups]
        if uneven:
            raise ValueError(f"`groups` = {self.groups} does not divide the `widths` {uneven}")
        return self

    def build(self, channels_in: int, channels_out: int, geometry: Geometry) -> UNet:
        """The network, its last layer zero."""
        return UNet(channels_in, channels_out, self.widths, groups=self.groups, periodic=geometry.periodic)


class UNet(nn.Module):
    """A U-Net on maps of any size; with `periodic`, longitude wraps around. An untrained one says nothing."""

    def __init__(
        self, channels_in: int, channels_out: int, widths: tuple[int, ...], *, groups: int = 4, periodic: bool = False
    ):
        super().__init__()
        self.periodic, self.turns_by = periodic, 2 ** (len(widths) - 1)
        self.down = nn.ModuleList(
            Block(a, b, groups, periodic) for a, b in zip((channels_in, *widths[:-1]), widths, strict=True)
        )
        self.up = nn.ModuleList(
            Block(a + b, b, groups, periodic) for a, b in zip(reversed(widths[1:]), reversed(widths[:-1]), strict=True)
        )
        self.head = silent(nn.Conv2d(widths[0], channels_out, 1))

    def forward(self, x: Float[Tensor, "batch channel_in lat lon"]) -> Float[Tensor, "batch channel_out lat lon"]:
        x = x.contiguous(memory_format=torch.channels_last)
        skips = []
        for i, block in enumerate(self.down):
            x = block(x if i == 0 else avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False))
            skips.append(x)
        skips.pop()
        for block in self.up:
            skip = skips.pop()
            x = block(torch.cat([finer(x, skip.shape[-2:], self.periodic), skip], dim=1))
        return self.head(x).contiguous()


class Block(nn.Module):
    """Two 3 × 3 convolutions, normalised after the first."""

    def __init__(self, channels_in: int, channels_out: int, groups: int, periodic: bool):
        super().__init__()
        self.first = Conv(channels_in, channels_out, periodic)
        self.norm = nn.GroupNorm(groups, channels_out)
        self.second = Conv(channels_out, channels_out, periodic)

    def forward(self, x: Tensor) -> Tensor:
        return gelu(self.second(gelu(self.norm(self.first(x)))))
