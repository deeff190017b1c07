"""AFNO, the network of FourCastNet: tokens of a map mixed by a small perceptron in wave space.

    x' = y + MLP(LN y),   y = x + n + F⁻¹ S_λ(W₂ ReLU(W₁ F n + b₁) + b₂),   n = LN x

The W are block-diagonal, complex and the same for every wave; S_λ shrinks real and imaginary part towards zero.
Latitude, and the longitude of a region, go on with a strip of zeros in the transform (`margin`; 0 is as published).
ReLU and shrinkage of the two parts, and one bias for all waves, know where longitude begins: that turning the map turns
what is written, this network does not promise.

References
----------
Guibas et al. (2022), "Adaptive Fourier Neural Operators", ICLR, arXiv:2111.13587.
Pathak et al. (2022), "FourCastNet", arXiv:2202.11214.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt, model_validator
from torch import Tensor, nn
from torch.nn.functional import interpolate, pixel_shuffle, softshrink

from oceanx.tensors.geometry import Geometry
from oceanx.vocabulary.config import Config

from .fourier import complex_einsum, extended, unwaved, waves
from .layers import padded, silent
from .tokens import perceptron


class AFNOConfig(Config):
    """Patches of so many cells, tokens of so many features, mixed in `blocks` groups; LayerNorm only.

    `places` is the size of a learned table of positions, along latitude and longitude, stretched over the map
    whatever its grid. By default it is of latitude alone; (90, 180) is as published at 360 × 720 cells, and makes up
    4.1 of the 7.1 M parameters there (101 → 93 channels).
    """

    kind: Literal["afno"] = "afno"
    patch: PositiveInt = 4
    width: PositiveInt = 256
    depth: PositiveInt = 4
    blocks: PositiveInt = 16
    ratio: PositiveFloat = 4.0
    shrink: NonNegativeFloat = 0.01
    places: tuple[PositiveInt, PositiveInt] = (90, 1)
    margin: NonNegativeFloat = 0.125

    @model_validator(mode="after")
    def _check(self) -> AFNOConfig:
        if self.width % self.blocks:
            raise ValueError(f"`blocks` = {self.blocks} does not divide the `width` {self.width}")
        return self

    def build(self, channels_in: int, channels_out: int, geometry: Geometry) -> AFNO:
        """The network, its last layer zero."""
        return AFNO(self, channels_in, channels_out, geometry.periodic)


class AFNO(nn.Module):
    """An adaptive Fourier neural operator on maps of any size. An untrained one says nothing."""

    def __init__(self, config: AFNOConfig, channels_in: int, channels_out: int, periodic: bool = False):
        super().__init__()
        self.patch, self.periodic = config.patch, periodic
        self.embed = nn.Conv2d(channels_in, config.width, config.patch, config.patch)
        self.places = nn.Parameter(0.02 * torch.randn(1, config.width, *config.places))
        self.blocks = nn.ModuleList(Block(config, periodic) for _ in range(config.depth))
        self.head = silent(nn.Conv2d(config.width, channels_out * config.patch**2, 1, bias=False))

    def forward(self, x: Float[Tensor, "batch channel_in lat lon"]) -> Float[Tensor, "batch channel_out lat lon"]:
        rows, columns = x.shape[-2:]
        tokens = self.embed(padded(x, self.patch, self.patch, self.periodic))
        tokens = (tokens + self._positions(tokens)).movedim(1, -1)
        for block in self.blocks:
            tokens = block(tokens)
        return pixel_shuffle(self.head(tokens.movedim(-1, 1)), self.patch)[..., :rows, :columns]

    def _positions(self, tokens: Tensor) -> Tensor:
        """The table stretched over the tokens' rows and columns; over one column, it is the same along longitude."""
        size = (tokens.shape[-2], tokens.shape[-1] if self.places.shape[-1] > 1 else 1)
        return interpolate(self.places, size, mode="bilinear", align_corners=True)


class Block(nn.Module):
    """Mixing in wave space, then a perceptron at every token."""

    def __init__(self, config: AFNOConfig, periodic: bool):
        super().__init__()
        self.norm = nn.LayerNorm(config.width, eps=1e-6)
        self.filter = Filter(config, periodic)
        self.second_norm = nn.LayerNorm(config.width, eps=1e-6)
        self.perceptron = perceptron(config.width, config.ratio)

    def forward(self, x: Float[Tensor, "batch lat lon width"]) -> Float[Tensor, "batch lat lon width"]:
        n = self.norm(x)
        x = x + n + self.filter(n)
        return x + self.perceptron(self.second_norm(x))


class Filter(nn.Module):
    """F⁻¹ S_λ(W₂ ReLU(W₁ F x + b₁) + b₂)."""

    def __init__(self, config: AFNOConfig, periodic: bool):
        super().__init__()
        self.blocks, self.shrink, self.margin, self.periodic = config.blocks, config.shrink, config.margin, periodic
        self.first = ComplexLinear(config.blocks, config.width // config.blocks)
        self.second = ComplexLinear(config.blocks, config.width // config.blocks)

    def forward(self, x: Float[Tensor, "batch lat lon width"]) -> Float[Tensor, "batch lat lon width"]:
        rows, columns = x.shape[1:3]
        size = extended((rows, columns), self.periodic, self.margin)
        with torch.autocast(x.device.type, enabled=False):
            found = waves(x, size, (1, 2)).unflatten(-2, (self.blocks, -1))
            written = softshrink(self.second(self.first(found).relu()), self.shrink).flatten(-3, -2)
            return unwaved(written, size, (1, 2))[:, :rows, :columns].to(x.dtype)


class ComplexLinear(nn.Module):
    """W z + b in each of several blocks of complex features; the parameters are pairs of real numbers."""

    def __init__(self, blocks: int, size: int):
        super().__init__()
        self.weight = nn.Parameter(0.02 * torch.randn(blocks, size, size, 2))
        self.bias = nn.Parameter(0.02 * torch.randn(blocks, size, 2))

    def forward(self, z: Float[Tensor, "*wave block size part"]) -> Float[Tensor, "*wave block size part"]:
        return complex_einsum("...ni,nio->...no", z, self.weight) + self.bias
