"""CirT: every ring of latitude is one token, and rings attend to one another in the wave space of their features.

    x' = y + MLP(LN y),   y = x + F⁻¹ W softmax(q kᵀ / √d) v,   (q, k, v) = (W_q, W_k, W_v) F LN x

F transforms along the features of a token. A ring is embedded and written as a whole, so a network knows its grid: the
weights of one do not fit another. Every head attends with its own features of all rings (the released heads each had a
share of the rings), and there are no parameters without a use: of the published 44.2 M at 360 × 720 cells and
101 → 93 channels, 42.4 M are used.

References
----------
Liu et al. (2025), "CirT: Global Subseasonal-to-Seasonal Forecasting with Geometry-inspired Transformer", ICLR,
arXiv:2502.19750.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator
from torch import Tensor, nn

from oceanx.tensors.geometry import Geometry
from oceanx.vocabulary.config import Config
from oceanx.vocabulary.errors import InputError

from .fourier import precise
from .layers import silent
from .tokens import attend, perceptron, split_heads

Share = Annotated[float, Field(ge=0, lt=1)]


class CirTConfig(Config):
    """Tokens of so many features; `decoder_depth` layers before the one that writes a ring. LayerNorm only.

    While it trains, features are left out at random after the embedding (`dropout`), and whole branches of a map at
    random, the deeper the more often (`drop_path`).
    """

    kind: Literal["cirt"] = "cirt"
    width: PositiveInt = 256
    depth: PositiveInt = 8
    heads: PositiveInt = 16
    ratio: PositiveFloat = 4.0
    decoder_depth: NonNegativeInt = 2
    dropout: Share = 0.1
    drop_path: Share = 0.1

    @model_validator(mode="after")
    def _check(self) -> CirTConfig:
        if self.width % 2 or self.width % self.heads:
            raise ValueError(f"the `width` {self.width} must be even, and a multiple of `heads` = {self.heads}")
        return self

    def build(self, channels_in: int, channels_out: int, geometry: Geometry) -> CirT:
        """The network of this grid, its last layer zero."""
        rows, columns = geometry.area.shape[-2:]
        return CirT(self, channels_in, channels_out, (rows, columns))


class CirT(nn.Module):
    """A transformer over rings of latitude, on maps of one size. An untrained one says nothing."""

    def __init__(self, config: CirTConfig, channels_in: int, channels_out: int, size: tuple[int, int]):
        super().__init__()
        self.size, width = size, config.width
        rows, columns = size
        self.embed = nn.Linear(channels_in * columns, width)
        self.places = nn.Parameter(torch.zeros(rows, width))
        self.dropout = nn.Dropout(config.dropout)
        shares = [config.drop_path * i / max(config.depth - 1, 1) for i in range(config.depth)]
        self.blocks = nn.ModuleList(Block(config, share) for share in shares)
        self.norm = nn.LayerNorm(width)
        decoder = [layer for _ in range(config.decoder_depth) for layer in (nn.Linear(width, width), nn.GELU())]
        self.decoder = nn.Sequential(*decoder)
        self.head = silent(nn.Linear(width, channels_out * columns))

    def forward(self, x: Float[Tensor, "batch channel_in lat lon"]) -> Float[Tensor, "batch channel_out lat lon"]:
        if tuple(x.shape[-2:]) != self.size:
            found, known = ("×".join(map(str, size)) for size in (x.shape[-2:], self.size))
            raise InputError(f"this CirT reads rings of {known} cells, not {found}: build it for the other grid")
        rings = self.dropout(self.embed(x.transpose(1, 2).flatten(2)) + self.places)
        for block in self.blocks:
            rings = block(rings)
        return self.head(self.decoder(self.norm(rings))).unflatten(-1, (-1, self.size[1])).transpose(1, 2)


class Block(nn.Module):
    """Attention between rings, then a perceptron at each; either is left out of some maps while training."""

    def __init__(self, config: CirTConfig, drop_path: float):
        super().__init__()
        self.norm, self.second_norm = nn.LayerNorm(config.width), nn.LayerNorm(config.width)
        self.attention = FourierAttention(config.width, config.heads)
        self.perceptron = perceptron(config.width, config.ratio)
        self.drop_path = drop_path

    def forward(self, x: Float[Tensor, "batch ring width"]) -> Float[Tensor, "batch ring width"]:
        x = x + self._some(self.attention(self.norm(x)))
        return x + self._some(self.perceptron(self.second_norm(x)))

    def _some(self, branch: Tensor) -> Tensor:
        """The branch, but nothing for a random `drop_path` of the maps; larger in the others by as much."""
        if not self.training or not self.drop_path:
            return branch
        kept = torch.rand(branch.shape[0], 1, 1, device=branch.device) >= self.drop_path
        return branch * kept / (1 - self.drop_path)


class FourierAttention(nn.Module):
    """Attention whose queries, keys and values are made of the Fourier coefficients of each token's features."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.width, self.heads = width, heads
        self.query, self.key, self.value = (nn.Linear(width + 2, width) for _ in range(3))
        self.join = nn.Linear(width, width)

    def forward(self, x: Float[Tensor, "batch ring width"]) -> Float[Tensor, "batch ring width"]:
        waves = torch.fft.rfft(precise(x), norm="ortho")
        waves = torch.cat([waves.real, waves.imag], dim=-1)
        q, k, v = (split_heads(layer(waves), self.heads) for layer in (self.query, self.key, self.value))
        # There are as many numbers as features, so the shortest wave is left out: the transform takes it for zero.
        real, imaginary = precise(self.join(attend(q, k, v))).chunk(2, dim=-1)
        return torch.fft.irfft(torch.complex(real, imaginary), self.width, norm="ortho").to(x.dtype)
