"""Encoder, attention, decoder: a map is made coarse, its cells look at one another wherever they are, and it is made
fine again.

Each scale of the encoder halves the map. On the coarsest one every cell is a token, and a stack of evolution blocks
lets all tokens attend to all others: of 120 × 240 cells made coarse three times there are 450. The decoder doubles the
map as often, and is shown the encoder's finest one again.

References
----------
Chu et al. (2023), Conditional positional encodings for vision transformers, ICLR, doi:10.48550/arXiv.2102.10882 (where
a token is, from its neighbours); Vaswani et al. (2017), NeurIPS, doi:10.48550/arXiv.1706.03762 (attention).
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

from oceanx.tensors.geometry import Geometry
from oceanx.vocabulary.config import Config

from .layers import Conv, Finer, silent


class EncoderAttentionConfig(Config):
    """Widths from the finest to the coarsest scale, each of which halves the map, and the blocks between.

    The published drawing gives the order of the layers but no sizes, and no number of parameters: these are ours.

    Parameters
    ----------
    widths
        Channels of each scale; the last is that of the tokens.
    blocks, heads
        Evolution blocks, and the heads of attention in each.
    ratio
        How many times wider the inside of a block's perceptron is.
    dropout
        The share of what a block adds that is left out in training.
    groups
        Of the normalisation in encoder and decoder.
    """

    kind: Literal["encoder_attention"] = "encoder_attention"
    widths: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (64, 64, 128, 256)
    blocks: PositiveInt = 6
    heads: PositiveInt = 8
    ratio: PositiveInt = 4
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    groups: PositiveInt = 8

    @model_validator(mode="after")
    def _check(self) -> EncoderAttentionConfig:
        uneven = [width for width in self.widths if width % self.groups]
        if uneven:
            raise ValueError(f"`groups` = {self.groups} does not divide the `widths` {uneven}")
        if self.widths[-1] % self.heads:
            raise ValueError(f"`heads` = {self.heads} does not divide the last of the `widths`, {self.widths[-1]}")
        return self

    def build(self, channels_in: int, channels_out: int, geometry: Geometry) -> EncoderAttention:
        """The network, its last layer zero."""
        return EncoderAttention(self, channels_in, channels_out, geometry.periodic)


class EncoderAttention(nn.Module):
    """Encoder, evolution blocks and decoder on maps of any size; with `periodic`, longitude wraps around.

    Untrained it is silent. Normalisation is over groups of channels or over the channels of one token, never across a
    batch. Attention costs the square of the number of tokens: coarsen a larger map once more.
    """

    def __init__(self, config: EncoderAttentionConfig, channels_in: int, channels_out: int, periodic: bool):
        super().__init__()
        widths, groups = config.widths, config.groups
        self.turns_by = 2 ** (len(widths) - 1)
        finest, coarsest = widths[0], widths[-1]
        self.first = Scale(Conv(channels_in, finest, periodic), finest, groups)
        steps = list(pairwise(widths))
        self.down = nn.ModuleList(Scale(Conv(a, b, periodic, stride=2), b, groups) for a, b in steps)
        self.blocks = nn.Sequential(
            *(Evolution(coarsest, config.heads, config.ratio, config.dropout, periodic) for _ in range(config.blocks))
        )
        self.up = nn.ModuleList(Scale(Finer(b, a, periodic), a, groups) for a, b in reversed(steps))
        self.last = Scale(Conv(2 * finest, finest, periodic), finest, groups)
        self.head = silent(nn.Conv2d(finest, channels_out, 1))

    def forward(self, x: Float[Tensor, "batch channel_in lat lon"]) -> Float[Tensor, "batch channel_out lat lon"]:
        skip = x = self.first(x)
        sizes = []
        for scale in self.down:
            sizes.append(x.shape[-2:])
            x = scale(x)
        x = self.blocks(x)
        for scale, size in zip(self.up, reversed(sizes), strict=True):
            x = scale(x)[..., : size[0], : size[1]]
        return self.head(self.last(torch.cat([x, skip], dim=1)))


class Scale(nn.Module):
    """A convolution that keeps, halves or doubles the map, normalised."""

    def __init__(self, conv: nn.Module, width: int, groups: int):
        super().__init__()
        self.conv, self.norm = conv, nn.GroupNorm(groups, width)

    def forward(self, x: Tensor) -> Tensor:
        return gelu(self.norm(self.conv(x)))


class Evolution(nn.Module):
    """x + p(x); x + attention(|x|); x + MLP(|x|): p convolves each channel by itself, |x| is normalised."""

    def __init__(self, width: int, heads: int, ratio: int, dropout: float, periodic: bool):
        super().__init__()
        self.position = Conv(width, width, periodic, groups=width)
        self.norm, self.norm_wide = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.perceptron = nn.Sequential(
            nn.Linear(width, ratio * width), nn.GELU(), nn.Dropout(dropout), nn.Linear(ratio * width, width)
        )
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.position(x)
        tokens = x.flatten(2).transpose(1, 2)
        tokens = tokens + self.drop(self.attention(self.norm(tokens)))
        tokens = tokens + self.drop(self.perceptron(self.norm_wide(tokens)))
        return tokens.transpose(1, 2).reshape(x.shape)


class Attention(nn.Module):
    """What each token finds at all the others, in several heads."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.read = nn.Linear(width, 3 * width)
        self.write = nn.Linear(width, width)

    def forward(self, tokens: Float[Tensor, "batch token channel"]) -> Float[Tensor, "batch token channel"]:
        asked, known, told = self.read(tokens).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        found = scaled_dot_product_attention(asked, known, told)
        return self.write(found.transpose(1, 2).flatten(2))
