"""MultiConv: an encoder and a decoder around blocks of gated attention whose kernels see far.

    z = E(x)        z ← z + s₁ A(z),  z ← z + s₂ M(z),  a block at a time        y = D(z + first layer of E)

A gates each channel by what stands around it: a 5 × 5 kernel, then a 7 × 7 one whose points lie 3 apart, together the
reach of 23 × 23; M mixes the channels, eight times wider inside. E halves the map twice, D doubles it twice.

The published blocks carry weights that nothing calls, a second attention and a squeeze, for which processes that train
together would wait in vain. They are left out: from one day's two channels to the next day's it has 37.97 million
weights where 40.21 were counted with the idle 2.24, and from ten days to ten 46.77 where 49.48 were with 2.71.
Batch norms became group norms, so that a map's forecast does not depend on its neighbours in the batch.

References
----------
Gao et al. (2022), CVPR, doi:10.1109/CVPR52688.2022.00317 (SimVP); Tan et al. (2025), IEEE Trans. Multimedia,
doi:10.48550/arXiv.2211.12509 (gated attention in its middle); Guo et al. (2023), Comput. Vis. Media 9, 733,
doi:10.1007/s41095-023-0364-2 (large kernels in two); Shu et al. (2025), doi:10.48550/arXiv.2505.22071 (Ocean-E2E).
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor, nn
from torch.nn.functional import gelu, pixel_shuffle, silu

from oceanx.tensors.geometry import Geometry
from oceanx.vocabulary.config import Config
from oceanx.vocabulary.errors import InputError

from .layers import Conv, padded, silent

NEAR, FAR, APART = 5, 7, 3  # the two kernels of the attention, and how far apart the second one's points lie
HALVED = 4  # the middle's grid is so many times coarser


class MultiConvConfig(Config):
    """How wide the maps are outside (`width`) and in the middle (`hidden`), and how many blocks stand there.

    With `frames`, the channels are so many instants one after the other: each is encoded and decoded by itself, by
    the same layers, and only the middle sees them together.
    """

    kind: Literal["multiconv"] = "multiconv"
    width: PositiveInt = 64
    hidden: PositiveInt = 512
    blocks: Annotated[int, Field(ge=2)] = 8
    expansion: PositiveInt = 8
    groups: PositiveInt = 2
    frames: PositiveInt = 1

    @model_validator(mode="after")
    def _check(self) -> MultiConvConfig:
        for key in ("width", "hidden"):
            if getattr(self, key) % self.groups:
                raise ValueError(f"`groups` = {self.groups} does not divide `{key}` = {getattr(self, key)}")
        return self

    def build(self, channels_in: int, channels_out: int, geometry: Geometry) -> MultiConv:
        """The network, its last layer zero."""
        for channels in (channels_in, channels_out):
            if channels % self.frames:
                raise InputError(
                    f"multiconv: {channels} channels are not {self.frames} frames of equal size; give `frames: 1`"
                )
        return MultiConv(channels_in // self.frames, channels_out // self.frames, self, periodic=geometry.periodic)


class MultiConv(nn.Module):
    """The network on maps of any size; with `periodic`, longitude wraps around.

    Parameters
    ----------
    channels_in, channels_out
        Of one frame.
    """

    def __init__(self, channels_in: int, channels_out: int, config: MultiConvConfig, *, periodic: bool = False):
        super().__init__()
        width, groups = config.width, config.groups
        self.frames, self.periodic, self.turns_by = config.frames, periodic, HALVED
        self.encoder = nn.Sequential(
            *[
                Layer(channels, width, groups, periodic, stride=stride)
                for channels, stride in ((channels_in, 1), (width, 2), (width, 1), (width, 2))
            ]
        )
        inside = (config.frames * width, *[config.hidden] * (config.blocks - 1), config.frames * width)
        middle: list[nn.Module] = []
        for before, after in pairwise(inside):
            middle.append(Block(before, config.expansion, groups, periodic))
            if before != after:
                middle.append(nn.Conv2d(before, after, 1))
        self.middle = nn.Sequential(*middle)
        self.decoder = nn.Sequential(*[Layer(width, width, groups, periodic, finer=finer) for finer in (2, 1, 2, 1)])
        self.head = silent(nn.Conv2d(width, channels_out, 1))

    def forward(self, x: Float[Tensor, "batch channel_in lat lon"]) -> Float[Tensor, "batch channel_out lat lon"]:
        rows, columns = x.shape[-2:]
        x = padded(x, HALVED, HALVED, self.periodic)
        x = x.unflatten(1, (self.frames, -1)).flatten(0, 1).contiguous(memory_format=torch.channels_last)
        fine = x = self.encoder[0](x)
        x = self.encoder[1:](x)
        x = self.middle(x.unflatten(0, (-1, self.frames)).flatten(1, 2))
        x = x.unflatten(1, (self.frames, -1)).flatten(0, 1)
        x = self.decoder[-1](self.decoder[:-1](x) + fine)
        return self.head(x).unflatten(0, (-1, self.frames)).flatten(1, 2)[..., :rows, :columns]


class Layer(nn.Module):
    """A 3 × 3 convolution, normalised, that keeps the map's size, halves it (`stride`) or doubles it (`finer`)."""

    def __init__(
        self, channels_in: int, channels_out: int, groups: int, periodic: bool, *, stride: int = 1, finer: int = 1
    ):
        super().__init__()
        self.finer = finer
        self.conv = Conv(channels_in, channels_out * finer**2, periodic, stride=stride)
        self.norm = nn.GroupNorm(groups, channels_out)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return silu(self.norm(pixel_shuffle(x, self.finer) if self.finer > 1 else x))


class Block(nn.Module):
    """z ← z + s₁ A(z), z ← z + s₂ M(z): attention around each cell, then a mixture of its channels."""

    def __init__(self, channels: int, expansion: int, groups: int, periodic: bool):
        super().__init__()
        wide = channels * expansion
        self.attend = nn.Sequential(nn.GroupNorm(groups, channels), Attention(channels, periodic))
        self.mix = nn.Sequential(
            nn.GroupNorm(groups, channels),
            nn.Conv2d(channels, wide, 1),
            Conv(wide, wide, periodic, groups=wide),
            nn.GELU(),
            nn.Conv2d(wide, channels, 1),
        )
        # A block begins as almost nothing, which is what lets many of them learn.
        self.attend_scale = nn.Parameter(torch.full((channels, 1, 1), 1e-2))
        self.mix_scale = nn.Parameter(torch.full((channels, 1, 1), 1e-2))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attend_scale * self.attend(x)
        return x + self.mix_scale * self.mix(x)


class Attention(nn.Module):
    """x + P(σ(g) f), with f and g what the large kernel sees around each cell of each channel."""

    def __init__(self, channels: int, periodic: bool):
        super().__init__()
        self.before = nn.Conv2d(channels, channels, 1)
        self.near = Conv(channels, channels, periodic, kernel=NEAR, groups=channels)
        self.far = Conv(channels, channels, periodic, kernel=FAR, groups=channels, dilation=APART)
        self.gate = nn.Conv2d(channels, 2 * channels, 1)
        self.after = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        seen, gate = self.gate(self.far(self.near(gelu(self.before(x))))).chunk(2, dim=1)
        return x + self.after(gate.sigmoid() * seen)
