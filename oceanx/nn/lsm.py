"""LSM, the latent spectral model: at every scale of a U-Net, patches speak through few tokens in a basis of sines.

In each patch of each scale, a handful of learned tokens gather what the patch holds, are taken to

    T' = T + Σₖ (aₖ sin(π k T / N) + bₖ cos(π k T / N)),   k = 1 … N,

and given back to it. (The released k run from 0, whose sine is nothing.) Batch normalisation is GroupNorm here: what
is forecast of one day does not depend on which others share its batch.

References
----------
Wu et al. (2023), "Solving High-Dimensional PDEs with Latent Spectral Models", ICML, arXiv:2301.12664.
"""

from __future__ import annotations

from math import pi
from typing import Literal

import torch
from jaxtyping import Float
from pydantic import PositiveInt, model_validator
from torch import Tensor, nn
from torch.nn.functional import gelu, max_pool2d, relu

from oceanx.tensors.geometry import Geometry
from oceanx.vocabulary.config import Config

from .layers import Conv, finer, padded, silent
from .tokens import attend, split_heads


class LSMConfig(Config):
    """Width at the finest of so many scales, doubled at each but the last; tokens and basis of a patch.

    The defaults are the published 19.2 M parameters at 7 → 1 channels. Turning the map by one patch of the coarsest
    scale (64 columns) turns what is written.
    """

    kind: Literal["lsm"] = "lsm"
    width: PositiveInt = 64
    scales: PositiveInt = 5
    tokens: PositiveInt = 4
    basis: PositiveInt = 16
    patch: PositiveInt = 4
    heads: PositiveInt = 8
    groups: PositiveInt = 8
    last_width: PositiveInt = 128

    @model_validator(mode="after")
    def _check(self) -> LSMConfig:
        for name, parts in (("heads", self.heads), ("groups", self.groups)):
            if self.width % parts:
                raise ValueError(f"`{name}` = {parts} does not divide the `width` {self.width}")
        return self

    @property
    def widths(self) -> tuple[int, ...]:
        """From the finest to the coarsest scale; the coarsest is as wide as the one before."""
        doubled = [self.width * 2**scale for scale in range(self.scales)]
        return (*doubled[:-1], doubled[-2]) if self.scales > 1 else (self.width,)

    def build(self, channels_in: int, channels_out: int, geometry: Geometry) -> LSM:
        """The network, its last layer zero."""
        return LSM(self, channels_in, channels_out, geometry.periodic)


class LSM(nn.Module):
    """A latent spectral model on maps of any size. An untrained one says nothing."""

    def __init__(self, config: LSMConfig, channels_in: int, channels_out: int, periodic: bool = False):
        super().__init__()
        self.periodic, self.coarsest = periodic, 2 ** (config.scales - 1)
        self.turns_by = config.patch * self.coarsest
        widths, groups = config.widths, config.groups
        self.lift = nn.Conv2d(channels_in, widths[0], 1)
        self.down = nn.ModuleList(
            Block(a, b, b, groups, periodic) for a, b in zip((widths[0], *widths[:-1]), widths, strict=True)
        )
        self.latent = nn.ModuleList(LatentSpectral(config, width, periodic) for width in widths)
        finer = [max(width // 2, widths[0]) for width in reversed(widths[:-1])]
        joined = [2 * width for width in reversed(widths[:-1])]
        self.up = nn.ModuleList(Block(a, a // 2, b, groups, periodic) for a, b in zip(joined, finer, strict=True))
        self.mix = nn.Conv2d(widths[0], widths[0], 1)
        self.project = nn.Conv2d(widths[0], config.last_width, 1)
        self.head = silent(nn.Conv2d(config.last_width, channels_out, 1))

    def forward(self, x: Float[Tensor, "batch channel_in lat lon"]) -> Float[Tensor, "batch channel_out lat lon"]:
        rows, columns = x.shape[-2:]
        x = self.lift(padded(x, self.coarsest, self.coarsest, self.periodic))
        scales = []
        for i, block in enumerate(self.down):
            x = block(x if i == 0 else max_pool2d(x, 2))
            scales.append(x)
        scales = [latent(scale) for latent, scale in zip(self.latent, scales, strict=True)]
        x = scales.pop()
        for block in self.up:
            skip = scales.pop()
            x = block(torch.cat([skip, finer(x, skip.shape[-2:], self.periodic)], dim=1))
        return self.head(gelu(self.project(self.mix(x))))[..., :rows, :columns]


class Block(nn.Module):
    """Two 3 × 3 convolutions, each normalised."""

    def __init__(self, channels_in: int, between: int, channels_out: int, groups: int, periodic: bool):
        super().__init__()
        self.first = Conv(channels_in, between, periodic, bias=False)
        self.first_norm = nn.GroupNorm(groups, between)
        self.second = Conv(between, channels_out, periodic, bias=False)
        self.second_norm = nn.GroupNorm(groups, channels_out)

    def forward(self, x: Tensor) -> Tensor:
        x = relu(self.first_norm(self.first(x)))
        return relu(self.second_norm(self.second(x)))


class LatentSpectral(nn.Module):
    """In each patch: tokens ask its cells, go through a basis of sines and cosines, and are asked by its cells."""

    def __init__(self, config: LSMConfig, width: int, periodic: bool):
        super().__init__()
        self.patch, self.heads, self.basis, self.periodic = config.patch, config.heads, config.basis, periodic
        self.tokens = nn.Parameter(torch.rand(config.heads, config.tokens, width // config.heads) / width)
        self.weight = nn.Parameter(torch.rand(2, width, config.basis) / width)
        self.told = nn.Linear(width, 2 * width)
        self.asks = nn.Linear(width, width)

    def forward(self, x: Float[Tensor, "batch width lat lon"]) -> Float[Tensor, "batch width lat lon"]:
        (rows, columns), cells = x.shape[-2:], self._cells(padded(x, self.patch, self.patch, self.periodic))
        keys, values = (split_heads(told, self.heads) for told in self.told(cells).chunk(2, dim=-1))
        tokens = self.tokens.to(keys.dtype).expand(*keys.shape[:3], -1, -1, -1)
        # `attend` joins the heads: [batch, patch row, patch column, token, width].
        tokens = self._spectral(attend(tokens, keys, values) + tokens.transpose(-3, -2).flatten(-2))
        given = split_heads(tokens, self.heads)
        return x + self._map(attend(split_heads(self.asks(cells), self.heads), given, given))[..., :rows, :columns]

    def _spectral(self, tokens: Tensor) -> Tensor:
        """T + Σₖ (aₖ sin(π k T / N) + bₖ cos(π k T / N))."""
        wavenumber = torch.arange(1, self.basis + 1, device=tokens.device) * (pi / self.basis)
        phase = tokens[..., None] * wavenumber.to(tokens.dtype)
        sines, cosines = self.weight
        return tokens + (phase.sin() * sines).sum(-1) + (phase.cos() * cosines).sum(-1)

    def _cells(self, x: Tensor) -> Tensor:
        """`[batch, patch row, patch column, cell, width]`."""
        x = x.unflatten(-1, (-1, self.patch)).unflatten(-3, (-1, self.patch))
        return x.permute(0, 2, 4, 3, 5, 1).flatten(3, 4)

    def _map(self, cells: Tensor) -> Tensor:
        """The inverse of `_cells`."""
        cells = cells.unflatten(3, (self.patch, self.patch))
        return cells.permute(0, 5, 1, 3, 2, 4).flatten(-2).flatten(-3, -2)
