"""CNO, the convolutional neural operator: a U-Net of maps that stay band-limited.

A rectifier bends a wave into waves too short for the grid, which then pass for long ones. So every rectifier here acts
on a grid twice as fine, and what the grid cannot hold is filtered away before its cells are picked out again; coarser
and finer grids are reached through the same filter. What the network does then depends on the field, and hardly on
where the grid happens to have sampled it.

References
----------
Raonić, Molinaro, De Ryck, Rohner, Bartolucci, Alaifari, Mishra & de Bézenac (2023), NeurIPS,
doi:10.48550/arXiv.2302.01178.
Karras, Aittala, Laine, Härkönen, Hellsten, Lehtinen & Aila (2021), NeurIPS, doi:10.48550/arXiv.2106.12423.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from jaxtyping import Float
from pydantic import NonNegativeInt, PositiveInt, model_validator
from torch import Tensor, nn
from torch.nn.functional import conv2d, leaky_relu

from oceanx.tensors.geometry import Geometry
from oceanx.vocabulary.config import Config

from .layers import Conv, padded, silent

REACH = 3  # how many cells on either side a value between two cells is made of
BETA = 5.14  # of the Kaiser window: a band of transition 0.6 times as wide as what the grid resolves


class CNOConfig(Config):
    """Levels and widths, by default those of the published baseline.

    The published network is trained on maps brought to 128 × 128 and normalised over the batch; this one is built for
    the grid it is given, its edges continued rather than zero in the filters, and each map is normalised by itself
    (as many parameters).

    Parameters
    ----------
    levels
        How often the grid is halved.
    residual, bottleneck
        Residual blocks on each level, and on the coarsest grid.
    width
        Channels after the first halving; half as many before it, twice as many after each that follows.
    latent
        Channels inside the first and the last block.
    """

    kind: Literal["cno"] = "cno"
    levels: PositiveInt = 4
    residual: NonNegativeInt = 1
    bottleneck: NonNegativeInt = 6
    width: PositiveInt = 32
    latent: PositiveInt = 64
    groups: PositiveInt = 4

    @model_validator(mode="after")
    def _check(self) -> CNOConfig:
        if self.width % (2 * self.groups):
            raise ValueError(f"`groups` = {self.groups} does not divide half of the `width` {self.width}")
        return self

    def build(self, channels_in: int, channels_out: int, geometry: Geometry) -> CNO:
        """The network, its last layer zero."""
        return CNO(self, channels_in, channels_out, geometry.periodic)


class CNO(nn.Module):
    """Down, along the bottom and up again on band-limited maps of any size. An untrained network says nothing."""

    def __init__(self, config: CNOConfig, channels_in: int, channels_out: int, periodic: bool):
        super().__init__()
        self.periodic, self.turns_by = periodic, 2**config.levels
        widths = [config.width // 2, *[config.width * 2**level for level in range(config.levels)]]
        pairs = list(pairwise(widths))

        def block(read: int, written: int, scale: int = 0) -> Block:
            return Block(read, written, periodic, config.groups, scale)

        def residuals(width: int, count: int) -> nn.Sequential:
            return nn.Sequential(*[Residual(width, periodic, config.groups) for _ in range(count)])

        self.lift = lift(channels_in, config.latent, widths[0], periodic)
        self.down = nn.ModuleList(block(fine, coarse, -1) for fine, coarse in pairs)
        self.beside = nn.ModuleList(nn.Sequential(residuals(a, config.residual), block(a, a)) for a in widths[:-1])
        self.bottom = nn.Sequential(residuals(widths[-1], config.bottleneck), block(widths[-1], widths[-1]))
        # From the coarsest up: only there nothing comes from beside.
        reads = [widths[-1], *[2 * width for width in reversed(widths[1:-1])]]
        self.up = nn.ModuleList(
            nn.Sequential(block(read, read), block(read, fine, 1))
            for read, (fine, _) in zip(reads, reversed(pairs), strict=True)
        )
        self.project = lift(2 * widths[0], config.latent, channels_out, periodic)
        silent(self.project[-1])

    def forward(self, x: Float[Tensor, "batch channel_in lat lon"]) -> Float[Tensor, "batch channel_out lat lon"]:
        rows, columns = x.shape[-2:]
        x = padded(x, self.turns_by, self.turns_by, self.periodic).contiguous(memory_format=torch.channels_last)
        x = self.lift(x)
        skips = []
        for down, beside in zip(self.down, self.beside, strict=True):
            skips.append(beside(x))
            x = down(x)
        x = self.bottom(x)
        for up in self.up:
            x = torch.cat([up(x), skips.pop()], dim=1)
        return self.project(x)[..., :rows, :columns].contiguous()


class Block(nn.Module):
    """A 3 × 3 convolution, normalised, and an activation that may leave the grid twice as coarse or as fine."""

    def __init__(self, channels_in: int, channels_out: int, periodic: bool, groups: int, scale: int = 0):
        super().__init__()
        self.conv = Conv(channels_in, channels_out, periodic)
        self.norm = nn.GroupNorm(groups, channels_out)
        self.bend = Bend(periodic, scale)

    def forward(self, x: Tensor) -> Tensor:
        return self.bend(self.norm(self.conv(x)))


class Residual(nn.Module):
    """x + what two convolutions make of x."""

    def __init__(self, width: int, periodic: bool, groups: int):
        super().__init__()
        self.first = Block(width, width, periodic, groups)
        self.second = nn.Sequential(Conv(width, width, periodic), nn.GroupNorm(groups, width))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(self.first(x))


def lift(channels_in: int, latent: int, channels_out: int, periodic: bool) -> nn.Sequential:
    """Two convolutions with an activation between, and nothing normalised."""
    return nn.Sequential(Conv(channels_in, latent, periodic), Bend(periodic), Conv(latent, channels_out, periodic))


class Bend(nn.Module):
    """A leaky rectifier between two grids, without aliases: finer, bent, coarser.

    `scale` is by how many factors of two the map it gives is finer (1) or coarser (-1) than the one it takes.
    """

    taps: Tensor

    def __init__(self, periodic: bool, scale: int = 0):
        super().__init__()
        self.periodic = periodic
        self.up, self.down = 1 + max(scale, 0), 1 - min(scale, 0)
        self.register_buffer("taps", taps(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(self.up):
            x = finer(finer(x, self.taps, 2), self.taps, 3, self.periodic)
        x = leaky_relu(x, 0.2)
        for _ in range(self.down):
            x = coarser(coarser(x, self.taps, 2), self.taps, 3, self.periodic)
        return x


def finer(x: Tensor, taps: Tensor, dim: int, periodic: bool = False) -> Tensor:
    """The field at its cells and half way between each and the next, along one dimension."""
    between = _interpolated(continued(x, REACH - 1, REACH, dim, periodic), taps, dim)
    return torch.stack([x, between], dim=dim + 1).flatten(dim, dim + 1)


def coarser(x: Tensor, taps: Tensor, dim: int, periodic: bool = False) -> Tensor:
    """The field at every second cell, less its waves shorter than four cells, along one dimension of even length."""
    kept, left = x.unflatten(dim, (-1, 2)).unbind(dim + 1)
    return (kept + _interpolated(continued(left, REACH, REACH - 1, dim, periodic), taps, dim)) / 2


def continued(x: Tensor, before: int, after: int, dim: int, periodic: bool) -> Tensor:
    """The field with so many cells more on either side: from its other side if it is periodic, else like the last."""
    size = x.shape[dim]
    if not periodic:
        first, last = x.narrow(dim, 0, 1), x.narrow(dim, size - 1, 1)
        return torch.cat([*[first] * before, x, *[last] * after], dim)
    if max(before, after) > size:
        return x.index_select(dim, torch.arange(-before, size + after, device=x.device) % size)
    return torch.cat([x.narrow(dim, size - before, before), x, x.narrow(dim, 0, after)], dim)


def taps() -> Tensor:
    """What a value half way between two cells is made of, from west to east: cells as far as `REACH` on either side.

    sin(πx)/(πx) under a Kaiser window, scaled so that a constant stays what it is.
    """
    at = torch.arange(-REACH, REACH, dtype=torch.float64) + 0.5
    taps = torch.sinc(at) * torch.special.i0(BETA * (1 - (at / REACH) ** 2).sqrt())
    return (taps / taps.sum()).float()


def _interpolated(x: Tensor, taps: Tensor, dim: int) -> Tensor:
    """Values half way between neighbours, every channel by itself; the cells at both ends are used up."""
    kernel = taps.to(x.dtype).reshape((1, 1, -1, 1) if dim == 2 else (1, 1, 1, -1))
    return conv2d(x, kernel.expand(x.shape[1], -1, -1, -1), groups=x.shape[1])
