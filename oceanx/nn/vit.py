"""ViT: convolutions to a grid four times as coarse, a transformer there, and convolutions back.

    x' = y + g₂ MLP(LN y),   y = x + g₁ A(LN x)

This is the diffusion transformer (DiT) used as a regressor. There is no diffusion time to be told, so the shift,
scale and gate that DiT computes from it are the constants they amount to: those of LayerNorm, and g₁ and g₂, zero
at first. That saves 3.4 of the published 11.1 M parameters at 99 → 93 channels, and no function is lost.

Attention by itself knows no order. By default queries and keys are turned by angles that grow with row and column
(rotary positions), in whole turns around the globe where longitude is periodic: what one token sees of another depends
on how far apart they are, and turning the map by one token turns what is written. Latitude itself is among what a
model's network reads. All this fits any grid.

References
----------
Dosovitskiy et al. (2021), "An Image is Worth 16x16 Words", ICLR, arXiv:2010.11929.
Peebles & Xie (2023), "Scalable Diffusion Models with Transformers", ICCV, doi:10.1109/ICCV51070.2023.00387.
Su et al. (2024), "RoFormer: Enhanced Transformer with Rotary Position Embedding", Neurocomputing 568,
doi:10.1016/j.neucom.2023.127063.
"""

from __future__ import annotations

from math import log, log10, pi
from typing import Literal

import torch
from jaxtyping import Float
from pydantic import PositiveFloat, PositiveInt, model_validator
from torch import Tensor, nn

from oceanx.tensors.geometry import Geometry
from oceanx.vocabulary.config import Config

from .layers import padded, silent
from .simvp import Decoder, Encoder
from .tokens import attend, perceptron, split_heads


class ViTConfig(Config):
    """Width of the convolutions (`channels`) and of the transformer; how often the grid is halved between.

    The defaults are HybridOM's baseline: 11.1 M parameters at 99 → 93 channels with DiT's constants, 7.7 M without.
    Ocean-E2E's has 32 `channels`, a `depth` of 12 and 2 `heads`: 14.6 M at 7 → 1 channels with the constants, and 9.6 M
    without; 17.1 M were published, of which what is released of it does not explain 2.5 M. `positions` that are
    `as_published` are a table of sines of row and column, added once: longitude then has a beginning. The encoder and
    the decoder are SimVP's, with GroupNorm where batch normalisation was published.
    """

    kind: Literal["vit"] = "vit"
    channels: PositiveInt = 128
    halvings: PositiveInt = 2
    width: PositiveInt = 256
    depth: PositiveInt = 8
    heads: PositiveInt = 4
    ratio: PositiveFloat = 4.0
    positions: Literal["rotary", "as_published"] = "rotary"

    @model_validator(mode="after")
    def _check(self) -> ViTConfig:
        if self.width % (4 * self.heads):
            raise ValueError(f"the `width` {self.width} must be a multiple of 4 × `heads` = {4 * self.heads}")
        if self.channels % 2:
            raise ValueError(f"the `channels` are normalised in two groups: {self.channels} is odd")
        return self

    def build(self, channels_in: int, channels_out: int, geometry: Geometry) -> ViT:
        """The network, its last layer zero."""
        return ViT(self, channels_in, channels_out, geometry.periodic)


class ViT(nn.Module):
    """A transformer between an encoder and a decoder, on maps of any size. An untrained one says nothing."""

    def __init__(self, config: ViTConfig, channels_in: int, channels_out: int, periodic: bool = False):
        super().__init__()
        self.config, self.periodic, self.factor = config, periodic, 2**config.halvings
        # A table of positions marks where longitude begins.
        self.turns_by = self.factor if config.positions == "rotary" else None
        channels, strides = config.channels, (1, 2) * config.halvings
        self.encoder = Encoder(channels_in, channels, strides, periodic)
        self.enter = nn.Linear(channels, config.width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.leave = nn.Sequential(nn.LayerNorm(config.width, eps=1e-6), nn.Linear(config.width, channels))
        self.decoder = Decoder(channels, strides, periodic)
        self.head = silent(nn.Conv2d(channels, channels_out, 1))

    def forward(self, x: Float[Tensor, "batch channel_in lat lon"]) -> Float[Tensor, "batch channel_out lat lon"]:
        rows, columns = x.shape[-2:]
        coarse, fine = self.encoder(padded(x, self.factor, self.factor, self.periodic))
        return self.head(self.decoder(self._attended(coarse), fine))[..., :rows, :columns]

    def _attended(self, x: Float[Tensor, "batch channel lat lon"]) -> Float[Tensor, "batch channel lat lon"]:
        (rows, columns), width, turns = x.shape[-2:], self.config.width, None
        tokens = self.enter(x.flatten(2).transpose(1, 2))
        if self.config.positions == "rotary":
            angles = rotary_angles(rows, columns, width // self.config.heads, self.periodic, device=x.device)
            turns = angles.cos(), angles.sin()
        else:
            tokens = tokens + sine_table(rows, columns, width, device=x.device).to(tokens.dtype)
        for block in self.blocks:
            tokens = block(tokens, turns)
        return self.leave(tokens).transpose(1, 2).unflatten(-1, (rows, columns))


class Block(nn.Module):
    """Attention of every token to all, then a perceptron at each; both gated, the gates zero at first."""

    def __init__(self, config: ViTConfig):
        super().__init__()
        width, self.heads = config.width, config.heads
        self.norm, self.second_norm = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.ask, self.join = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.perceptron = perceptron(width, config.ratio)
        self.gate, self.second_gate = nn.Parameter(torch.zeros(width)), nn.Parameter(torch.zeros(width))

    def forward(self, x: Float[Tensor, "batch token width"], turns: tuple[Tensor, Tensor] | None) -> Tensor:
        q, k, v = (split_heads(asked, self.heads) for asked in self.ask(self.norm(x)).chunk(3, dim=-1))
        if turns is not None:
            q, k = rotated(q, *turns), rotated(k, *turns)
        x = x + self.gate * self.join(attend(q, k, v))
        return x + self.second_gate * self.perceptron(self.second_norm(x))


def rotary_angles(
    rows: int, columns: int, features: int, periodic: bool, device: torch.device | None = None
) -> Float[Tensor, "token half_features"]:
    """By what angle each pair of a token's features is turned: half of them with its column, half with its row.

    The angles are whole multiples of one turn around a periodic map, and of half a turn along any other side, from
    the longest wave to the one of two tokens; their steps are as even, on a scale of octaves, as integers can be.
    """
    east = _turns(columns, columns if periodic else 2 * columns, features // 4, device)
    north = _turns(rows, 2 * rows, features // 4, device)
    return torch.cat([east.repeat(rows, 1), north.repeat_interleave(columns, 0)], dim=1)


def rotated(x: Float[Tensor, "batch head token features"], cos: Tensor, sin: Tensor) -> Tensor:
    """The features as pairs (one of the first half, one of the second), each turned by an angle of its own."""
    cos, sin = cos.to(x.dtype), sin.to(x.dtype)
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=-1)


def sine_table(rows: int, columns: int, width: int, device: torch.device | None = None) -> Float[Tensor, "token width"]:
    """The published positions: sines and cosines of the column and of the row, of wavelengths from 2π to 20 000 π."""
    rates = torch.exp(torch.arange(width // 4, device=device) * (-4 * log(10000) / width))
    column, row = (torch.arange(size, device=device)[:, None] * rates for size in (columns, rows))
    phases = torch.stack([column.repeat(rows, 1), row.repeat_interleave(columns, 0)], dim=1)
    return torch.cat([phases.sin(), phases.cos()], dim=-1).flatten(1)


def _turns(tokens: int, period: int, count: int, device: torch.device | None) -> Float[Tensor, "token count"]:
    """Angles of `tokens` places on a circle of so many, for `count` wavenumbers from 1 to `period` / 2."""
    last = log10(max(period // 2, 1))
    wavenumber = torch.logspace(0, last, count, dtype=torch.float64, device=device).round()
    places = torch.arange(tokens, dtype=torch.float64, device=device) * (2 * pi / period)
    return places[:, None] * wavenumber
