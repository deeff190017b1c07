"""SimVP: a convolutional encoder, a translator of inception blocks on its coarse grid, and a decoder.

References
----------
Gao, Tan, Wu & Li (2022), CVPR, doi:10.1109/CVPR52688.2022.00317.
Szegedy et al. (2015), CVPR, doi:10.1109/CVPR.2015.7298594 (inception).
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor, nn

from oceanx.tensors.geometry import Geometry
from oceanx.vocabulary.config import Config

from .layers import Conv, Finer, padded, silent

Stride = Literal[1, 2]


class SimVPConfig(Config):
    """Widths and depths, by default those of the air-sea source network of Ocean-E2E.

    Parameters
    ----------
    spatial, strides
        Channels of the encoder and the decoder, and the stride of each of their layers; the first is 1.
    hidden, blocks
        Channels of the translator, and how many inception blocks go down it (as many come up).
    kernels, groups
        The kernels that stand side by side in a block, and its groups of channels.
    """

    kind: Literal["simvp"] = "simvp"
    spatial: PositiveInt = 32
    strides: Annotated[tuple[Stride, ...], Field(min_length=2)] = (1, 2, 1, 2)
    hidden: PositiveInt = 128
    blocks: Annotated[int, Field(ge=2)] = 8
    kernels: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (3, 5, 7, 11)
    groups: PositiveInt = 8

    @model_validator(mode="after")
    def _check(self) -> SimVPConfig:
        if self.strides[0] != 1:
            raise ValueError("the first of the `strides` is 1: the decoder ends with a look at the map in full")
        check_translator(self.spatial, self.hidden, self.kernels, self.groups)
        return self

    def build(self, channels_in: int, channels_out: int, geometry: Geometry) -> SimVP:
        """The network, its last layer zero."""
        return SimVP(self, channels_in, channels_out, geometry.periodic)


class SimVP(nn.Module):
    """Encoder, translator, decoder, on maps of any size. Each map is normalised by itself; untrained it says nothing.

    One map is read and one written: with one frame, the translator that mixes time and channels mixes channels.
    """

    def __init__(self, config: SimVPConfig, channels_in: int, channels_out: int, periodic: bool):
        super().__init__()
        self.periodic, self.turns_by = periodic, 2 ** config.strides.count(2)
        self.encoder = Encoder(channels_in, config.spatial, config.strides, periodic)
        self.translator = Translator(
            config.spatial, config.hidden, config.blocks, config.kernels, config.groups, periodic
        )
        self.decoder = Decoder(config.spatial, config.strides, periodic)
        self.head = silent(nn.Conv2d(config.spatial, channels_out, 1))

    def forward(self, x: Float[Tensor, "batch channel_in lat lon"]) -> Float[Tensor, "batch channel_out lat lon"]:
        rows, columns = x.shape[-2:]
        coarse, fine = self.encoder(padded(x, self.turns_by, self.turns_by, self.periodic))
        return self.head(self.decoder(self.translator(coarse), fine))[..., :rows, :columns]


class Encoder(nn.Module):
    """The map on the coarse grid, and what its first layer made of it on the fine one."""

    def __init__(self, channels_in: int, width: int, strides: tuple[int, ...], periodic: bool):
        super().__init__()
        read = (channels_in, *[width] * (len(strides) - 1))
        self.layers = nn.ModuleList(
            bent(Conv(channels, width, periodic, stride=stride), width)
            for channels, stride in zip(read, strides, strict=True)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        fine = coarse = self.layers[0](x)
        for layer in self.layers[1:]:
            coarse = layer(coarse)
        return coarse, fine


class Decoder(nn.Module):
    """The encoder's layers backwards; the last one also sees what the first one made of the fine map."""

    def __init__(self, width: int, strides: tuple[int, ...], periodic: bool):
        super().__init__()
        self.layers = nn.Sequential(
            *[bent((Finer if stride == 2 else Conv)(width, width, periodic), width) for stride in reversed(strides[1:])]
        )
        self.last = bent(Conv(2 * width, width, periodic), width)

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        return self.last(torch.cat([self.layers(coarse), fine], dim=1))


class Translator(nn.Module):
    """Inception blocks down and up again, joined in pairs.

    `innermost` is how many channels the last block on the way down is narrowed to; half of `hidden`, like all others,
    unless it is said.
    """

    def __init__(
        self,
        width: int,
        hidden: int,
        blocks: int,
        kernels: tuple[int, ...],
        groups: int,
        periodic: bool,
        innermost: int | None = None,
    ):
        super().__init__()

        def block(read: int, written: int = hidden, narrow: int = hidden // 2) -> Inception:
            return Inception(read, narrow, written, kernels, groups, periodic)

        self.down = nn.ModuleList(
            [block(width), *[block(hidden) for _ in range(blocks - 2)], block(hidden, narrow=innermost or hidden // 2)]
        )
        self.up = nn.ModuleList(
            [block(hidden), *[block(2 * hidden) for _ in range(blocks - 2)], block(2 * hidden, width)]
        )

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for block in self.down:
            x = block(x)
            skips.append(x)
        skips.pop()
        x = self.up[0](x)
        for block in self.up[1:]:
            x = block(torch.cat([x, skips.pop()], dim=1))
        return x


class Inception(nn.Module):
    """The sum of convolutions of several sizes, of a map whose channels were narrowed first."""

    def __init__(
        self, channels_in: int, narrow: int, channels_out: int, kernels: tuple[int, ...], groups: int, periodic: bool
    ):
        super().__init__()
        self.narrow = nn.Conv2d(channels_in, narrow, 1)
        self.sizes = nn.ModuleList(
            bent(Conv(narrow, channels_out, periodic, kernel=kernel, groups=groups), channels_out, groups)
            for kernel in kernels
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.narrow(x)
        total = torch.zeros_like(x[:, :1])
        for size in self.sizes:
            total = total + size(x)
        return total


def bent(layer: nn.Module, width: int, groups: int = 2) -> nn.Sequential:
    """The layer, normalised within each map, and a leaky rectifier."""
    return nn.Sequential(layer, nn.GroupNorm(groups, width), nn.LeakyReLU(0.2, inplace=True))


def check_translator(width: int, hidden: int, kernels: tuple[int, ...], groups: int) -> None:
    """Refuse what a translator cannot be built from, as a `ValueError` for pydantic."""
    if any(kernel % 2 == 0 for kernel in kernels):
        raise ValueError(f"the `kernels` are odd, so that a cell stands in the middle: found {list(kernels)}")
    if hidden % 2 or any(channels % groups for channels in (hidden // 2, width)):
        raise ValueError(
            f"`groups` = {groups} divides the width at both ends of the translator ({width}) and half of `hidden` "
            f"({hidden}): it does not"
        )
