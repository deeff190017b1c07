"""ParamNet: a convolutional encoder and decoder around a core of convolution and attention blocks.

The encoder halves the map at every second layer. In its core the first and the last block are convolutions and those
between are attention: half of the heads look around within small windows, and half across the whole map, at every
n-th cell of it. The decoder brings the map back and is shown the encoder's first one again.

References
----------
Li et al. (2023), IEEE Trans. Pattern Anal. Mach. Intell. 45, 12581, doi:10.1109/TPAMI.2023.3282631 (convolution and
attention blocks); Tu et al. (2022), ECCV, doi:10.1007/978-3-031-20053-3_27 (windows and dilated grids);
Touvron et al. (2021), ICCV, doi:10.1109/ICCV48922.2021.00010 (scaled branches).
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor, nn
from torch.nn.functional import gelu, leaky_relu, scaled_dot_product_attention

from oceanx.tensors.geometry import Geometry
from oceanx.vocabulary.config import Config

from .layers import Conv, Finer, padded, silent

GROUPS, BLOCK_GROUPS = 2, 8  # of the normalisation: in encoder and decoder, and in convolution blocks
LEAST = 0.01  # rate at which the first block is dropped, where any is


class ParamNetConfig(Config):
    """Widths of encoder and core, and how many layers each has.

    Parameters
    ----------
    embed, latent
        Channels of the encoder and decoder, and of the core.
    spatial_layers, latent_layers
        Layers of the encoder (and of the decoder), every second of which halves the map; and of the core, of which
        the first and the last are convolution blocks.
    heads, window
        Of attention; windows, and the grids across the map, have so many cells on either side.
    ratio
        How many times wider the inside of a block's perceptron is.
    drop_path
        The share of samples for which the last block is skipped in training; the others less, in proportion.
    """

    kind: Literal["paramnet"] = "paramnet"
    embed: PositiveInt = 256
    latent: PositiveInt = 512
    spatial_layers: PositiveInt = 4
    latent_layers: Annotated[int, Field(ge=2)] = 8
    heads: PositiveInt = 4
    window: PositiveInt = 8
    ratio: PositiveInt = 8
    drop_path: Annotated[float, Field(ge=0, lt=1)] = 0.1

    @model_validator(mode="after")
    def _check(self) -> ParamNetConfig:
        if self.embed % BLOCK_GROUPS or self.latent % BLOCK_GROUPS:
            raise ValueError(f"`embed` = {self.embed} and `latent` = {self.latent} must be multiples of {BLOCK_GROUPS}")
        if self.heads % 2 or self.latent % self.heads:
            raise ValueError(f"`heads` = {self.heads} must be even and divide `latent` = {self.latent}")
        return self

    def build(self, channels_in: int, channels_out: int, geometry: Geometry) -> ParamNet:
        """The network, its last layer zero."""
        return ParamNet(self, channels_in, channels_out, geometry.periodic)


class ParamNet(nn.Module):
    """Encoder, core and decoder on maps of any size; with `periodic`, longitude wraps around. Untrained it is silent.

    Normalisation is over groups of channels or over the channels of one cell, never across a batch.
    """

    def __init__(self, config: ParamNetConfig, channels_in: int, channels_out: int, periodic: bool):
        super().__init__()
        strides = [1 + i % 2 for i in range(config.spatial_layers)]
        self.turns_by = config.window * 2 ** (config.spatial_layers // 2)
        widths = [channels_in] + [config.embed] * config.spatial_layers
        self.encoder = nn.ModuleList(
            Down(a, b, s, periodic) for a, b, s in zip(widths, widths[1:], strides, strict=False)
        )
        self.core = nn.Sequential(*_core(config, periodic))
        *inner, last = reversed(strides)
        self.decoder = nn.ModuleList(Up(config.embed, config.embed, s, periodic) for s in inner)
        self.last = Up(2 * config.embed, config.embed, last, periodic)
        self.head = silent(nn.Conv2d(config.embed, channels_out, 1))

    def forward(self, x: Float[Tensor, "batch channel_in lat lon"]) -> Float[Tensor, "batch channel_out lat lon"]:
        maps: list[Tensor] = []
        for layer in self.encoder:
            maps.append(layer(x if not maps else maps[-1]))
        skip, x = maps[0], self.core(maps[-1])
        for layer, before in zip(self.decoder, reversed(maps[:-1]), strict=True):
            x = layer(x, before.shape[-2:])
        return self.head(self.last(torch.cat([x, skip], dim=1), skip.shape[-2:])).contiguous()


class Down(nn.Module):
    """A convolution, normalised; with a stride of 2 it halves the map."""

    def __init__(self, channels_in: int, channels_out: int, stride: int, periodic: bool):
        super().__init__()
        self.conv = Conv(channels_in, channels_out, periodic, stride=stride)
        self.norm = nn.GroupNorm(GROUPS, channels_out)

    def forward(self, x: Tensor) -> Tensor:
        return leaky_relu(self.norm(self.conv(x)), 0.2)


class Up(nn.Module):
    """A convolution, normalised; with a stride of 2 it is transposed and doubles the map, to the size asked for."""

    def __init__(self, channels_in: int, channels_out: int, stride: int, periodic: bool):
        super().__init__()
        self.conv = (Finer if stride == 2 else Conv)(channels_in, channels_out, periodic)
        self.norm = nn.GroupNorm(GROUPS, channels_out)

    def forward(self, x: Tensor, size: torch.Size) -> Tensor:
        return leaky_relu(self.norm(self.conv(x)[..., : size[0], : size[1]]), 0.2)


class ConvBlock(nn.Module):
    """x + p(x); x + W₂ D W₁ |x|; x + MLP(|x|): p and D convolve each channel by itself, |x| is normalised."""

    def __init__(self, width: int, ratio: int, drop: float, periodic: bool):
        super().__init__()
        self.position = Conv(width, width, periodic, groups=width)
        self.norm = nn.GroupNorm(BLOCK_GROUPS, width)
        self.mix = nn.Sequential(
            nn.Conv2d(width, width, 1), Conv(width, width, periodic, kernel=5, groups=width), nn.Conv2d(width, width, 1)
        )
        self.norm_wide = nn.GroupNorm(BLOCK_GROUPS, width)
        self.perceptron = Perceptron(width, ratio)
        self.drop = DropPath(drop)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.position(x)
        x = x + self.drop(self.mix(self.norm(x)))
        return x + self.drop(self.perceptron(self.norm_wide(x)))


class AttentionBlock(nn.Module):
    """x + p(x); x + γ₁ attention(|x|); x + γ₂ MLP(|x|): each γ a factor per channel, small at first."""

    def __init__(self, width: int, heads: int, window: int, ratio: int, drop: float, periodic: bool):
        super().__init__()
        self.position = Conv(width, width, periodic, groups=width)
        self.norm = ChannelNorm(width)
        self.attention = Attention(width, heads, window, periodic)
        self.norm_wide = ChannelNorm(width)
        self.perceptron = Perceptron(width, ratio)
        self.scale = nn.Parameter(torch.full((2, width, 1, 1), 1e-6))
        self.drop = DropPath(drop)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.position(x)
        x = x + self.drop(self.scale[0] * self.attention(self.norm(x)))
        return x + self.drop(self.scale[1] * self.perceptron(self.norm_wide(x)))


class Attention(nn.Module):
    """Half of the heads within windows of n × n cells, half across a grid of n × n cells spread over the whole map.

    A map that windows do not fill is made larger, by itself where longitude goes round and elsewhere by zeros, which
    are no different from other cells: nothing is masked.
    """

    def __init__(self, width: int, heads: int, window: int, periodic: bool):
        super().__init__()
        self.heads, self.window, self.periodic = heads, window, periodic
        self.read = nn.Conv2d(width, 3 * width, 1)
        self.write = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = x.shape[-2:]
        tokens = self.read(padded(x, self.window, self.window, self.periodic)).unflatten(1, (3, self.heads, -1))
        near, far = tokens.chunk(2, dim=2)
        seen = torch.cat([self._near(near), self._far(far)], dim=1).flatten(1, 2)
        return self.write(seen[..., :rows, :columns])

    def _near(self, tokens: Tensor) -> Tensor:
        """Row is (which window, where in it), and column likewise."""
        n = self.window
        cut = tokens.unflatten(-1, (-1, n)).unflatten(-3, (-1, n))  # … rows n columns n
        found = _attended(cut.permute(1, 0, 4, 6, 2, 5, 7, 3))
        return found.permute(0, 3, 6, 1, 4, 2, 5).flatten(-4, -3).flatten(-2, -1)

    def _far(self, tokens: Tensor) -> Tensor:
        """Row is (where in the grid, which grid), and column likewise."""
        n = self.window
        cut = tokens.unflatten(-1, (n, -1)).unflatten(-3, (n, -1))  # … n rows n columns
        found = _attended(cut.permute(1, 0, 5, 7, 2, 4, 6, 3))
        return found.permute(0, 3, 6, 4, 1, 5, 2).flatten(-4, -3).flatten(-2, -1)


class Perceptron(nn.Module):
    """Two layers on the channels of each cell."""

    def __init__(self, width: int, ratio: int):
        super().__init__()
        self.wide = nn.Conv2d(width, ratio * width, 1)
        self.narrow = nn.Conv2d(ratio * width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.narrow(gelu(self.wide(x)))


class ChannelNorm(nn.Module):
    """Each cell's channels, to zero mean and unit variance."""

    def __init__(self, width: int):
        super().__init__()
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x.movedim(1, -1)).movedim(-1, 1)


class DropPath(nn.Module):
    """In training, nothing for a share of the samples, and for the others as much more.

    References
    ----------
    Huang et al. (2016), ECCV, doi:10.1007/978-3-319-46493-0_39.
    """

    def __init__(self, rate: float):
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        kept = torch.rand(x.shape[0], 1, 1, 1, device=x.device) >= self.rate
        return x * (kept / (1 - self.rate)).to(x.dtype)


def _core(config: ParamNetConfig, periodic: bool) -> list[nn.Module]:
    c = config
    drops = torch.linspace(min(LEAST, c.drop_path), c.drop_path, c.latent_layers, device="cpu").tolist()
    between = [AttentionBlock(c.latent, c.heads, c.window, c.ratio, drop, periodic) for drop in drops[1:-1]]
    return [
        ConvBlock(c.embed, c.ratio, drops[0], periodic),
        nn.Conv2d(c.embed, c.latent, 1),
        *between,
        ConvBlock(c.latent, c.ratio, drops[-1], periodic),
        nn.Conv2d(c.latent, c.embed, 1),
    ]


def _attended(tokens: Tensor) -> Tensor:
    """Attention among tokens [3, batch, row, column, head, inner row, inner column, channel], less the 3."""
    _, batch, rows, columns, heads, inner, across, width = tokens.shape
    query, key, value = tokens.reshape(3, batch * rows * columns, heads, inner * across, width)
    found = scaled_dot_product_attention(query, key, value)
    return found.reshape(batch, rows, columns, heads, inner, across, width)
