"""Large-kernel U-Net: convolutions that see edges, and a middle that sees the whole map.

A level's convolution is the sum of branches that are linear each: 3 × 3; 1 × 1 and then 3 × 3; 1 × 1 and then each of
two slopes and a curvature. Their sum is one 3 × 3 convolution, which is computed in their place: `fused` leaves it
alone, for use. All levels, pooled to the coarsest grid, meet in one bottleneck, whose blocks mix

    z ← z + s₁ F(z) · O(K * I(z)),  z ← z + s₂ M(z)

with K a kernel 63 cells wide for each channel, and F an attention to channels by the amplitudes of their Fourier
coefficients, of long waves and of short ones.

The released analysis network of this kind was published without training or use; its layout is known by its parts and
by its weights alone (26.0 million at width 16, 91.7 at 32), and ours is our own.

References
----------
Zhang, Zeng & Zhang (2021), ACM MM, doi:10.1145/3474085.3475291 (edges); Ding et al. (2022), CVPR,
doi:10.1109/CVPR52688.2022.01166 (large kernels); Qin et al. (2021), ICCV, doi:10.1109/ICCV48922.2021.00082 (Fourier
channel attention); Shu et al. (2025), doi:10.48550/arXiv.2505.22071 (Ocean-E2E).
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d, gelu

from oceanx.tensors.geometry import Geometry
from oceanx.vocabulary.config import Config

from .fourier import precise
from .layers import Conv, finer, silent, wrap

# ∂/∂x, ∂/∂y and ∇² on 3 × 3 cells, of the size of a 3 × 3 kernel's usual weights.
SLOPES = torch.tensor(
    [
        [[1.0, 0.0, -1.0], [2.0, 0.0, -2.0], [1.0, 0.0, -1.0]],
        [[1.0, 2.0, 1.0], [0.0, 0.0, 0.0], [-1.0, -2.0, -1.0]],
        [[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]],
    ]
)


class LargeKernelUNetConfig(Config):
    """Maps are `width` · 1, 2, 4 … channels wide; the bottleneck is as wide as the last. The defaults are as published.

    Attributes
    ----------
    levels
        How often the grid is halved.
    convolutions
        Of each level, on its way down and on its way up.
    wider
        How much wider than a level the inside of its branch of two convolutions is.
    kernel
        Of the bottleneck, in cells of the coarsest grid: odd.
    blocks, expansion
        Of the bottleneck, and how much wider the mixture of its channels is inside.
    """

    kind: Literal["large_kernel_unet"] = "large_kernel_unet"
    width: PositiveInt = 16
    levels: Annotated[int, Field(ge=1)] = 4
    convolutions: PositiveInt = 3
    wider: PositiveInt = 4
    kernel: PositiveInt = 63
    blocks: PositiveInt = 6
    expansion: PositiveInt = 2
    groups: PositiveInt = 4

    @model_validator(mode="after")
    def _check(self) -> LargeKernelUNetConfig:
        if self.width % self.groups:
            raise ValueError(f"`groups` = {self.groups} does not divide `width` = {self.width}")
        if self.kernel % 2 == 0:
            raise ValueError(f"`kernel` = {self.kernel} is even, and has no middle")
        return self

    def build(self, channels_in: int, channels_out: int, geometry: Geometry) -> LargeKernelUNet:
        """The network, its last layer zero."""
        return LargeKernelUNet(channels_in, channels_out, self, periodic=geometry.periodic)


class LargeKernelUNet(nn.Module):
    """The network on maps of any size; with `periodic`, longitude wraps around. An untrained one says nothing."""

    def __init__(self, channels_in: int, channels_out: int, config: LargeKernelUNetConfig, *, periodic: bool = False):
        super().__init__()
        widths = [config.width * 2**level for level in range(config.levels + 1)]
        beyond = (config, periodic)
        self.periodic, self.turns_by = periodic, 2**config.levels
        self.down = nn.ModuleList(Level(a, b, *beyond) for a, b in pairwise((channels_in, *widths)))
        self.gather = nn.Conv2d(sum(widths), widths[-1], 1)
        self.blocks = nn.Sequential(*[Block(widths[-1], *beyond) for _ in range(config.blocks)])
        self.spread = nn.Conv2d(widths[-1], widths[-1], 1)
        self.up = nn.ModuleList(Level(a + b, b, *beyond) for b, a in pairwise(widths))[::-1]
        self.head = silent(nn.Conv2d(widths[0], channels_out, 1))

    def forward(self, x: Float[Tensor, "batch channel_in lat lon"]) -> Float[Tensor, "batch channel_out lat lon"]:
        x = x.contiguous(memory_format=torch.channels_last)
        skips: list[Tensor] = []
        for i, level in enumerate(self.down):
            x = level(x if i == 0 else _coarser(x))
            skips.append(x)
        x = x + self.spread(self.blocks(self.gather(_together(skips))))
        for level, skip in zip(self.up, reversed(skips[:-1]), strict=True):
            x = level(torch.cat([finer(x, skip.shape[-2:], self.periodic), skip], dim=1))
        return self.head(x).contiguous()


class Level(nn.Module):
    """Convolutions that see edges, each normalised."""

    def __init__(self, channels_in: int, channels_out: int, config: LargeKernelUNetConfig, periodic: bool):
        super().__init__()
        widths = (channels_in, *[channels_out] * config.convolutions)
        self.layers = nn.ModuleList(EdgeConv(a, b, config.wider, periodic) for a, b in pairwise(widths))
        self.norms = nn.ModuleList(nn.GroupNorm(config.groups, channels_out) for _ in self.layers)

    def forward(self, x: Tensor) -> Tensor:
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = gelu(norm(layer(x)))
        return x


class EdgeConv(nn.Module):
    """A 3 × 3 convolution made of branches: itself, one through more channels, and slopes and curvature of mixtures."""

    slopes: Tensor

    def __init__(self, channels_in: int, channels_out: int, wider: int, periodic: bool):
        super().__init__()
        inside = wider * channels_out
        self.plain = Conv(channels_in, channels_out, periodic)
        self.before = nn.Conv2d(channels_in, inside, 1, bias=False)
        self.after = Conv(inside, channels_out, periodic, bias=False)
        self.mixtures = nn.Conv2d(channels_in, len(SLOPES) * channels_out, 1, bias=False)
        self.scales = nn.Parameter(torch.full((len(SLOPES), channels_out), 0.1))
        self.register_buffer("slopes", SLOPES.clone(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.with_kernel(x, self.kernel())

    def kernel(self) -> Float[Tensor, "channel_out channel_in 3 3"]:
        """The sum of all branches, as one kernel."""
        total = self.plain.conv.weight
        total = total + torch.einsum("omyx,mi->oiyx", self.after.conv.weight, self.before.weight[..., 0, 0])
        mixtures = self.mixtures.weight[..., 0, 0].chunk(len(SLOPES))
        for mixed, scale, slope in zip(mixtures, self.scales, self.slopes, strict=True):
            total = total + (scale[:, None] * mixed)[..., None, None] * slope
        return total

    def with_kernel(self, x: Tensor, kernel: Tensor) -> Tensor:
        """The convolution with a kernel in the place of the plain one."""
        plain = self.plain
        return conv2d(wrap(x) if plain.periodic else x, kernel, plain.conv.bias, padding=plain.conv.padding)

    def fused(self) -> Conv:
        """One plain convolution that does the same."""
        weight = self.kernel()
        alone = Conv(weight.shape[1], weight.shape[0], self.plain.periodic).to(weight)
        with torch.no_grad():
            alone.conv.weight.copy_(weight)
            assert alone.conv.bias is not None
            assert self.plain.conv.bias is not None
            alone.conv.bias.copy_(self.plain.conv.bias)
        return alone


class Block(nn.Module):
    """z ← z + s₁ F(z) · O(K * I(z)), z ← z + s₂ M(z)."""

    def __init__(self, channels: int, config: LargeKernelUNetConfig, periodic: bool):
        super().__init__()
        self.near = nn.GroupNorm(config.groups, channels)
        self.before = nn.Conv2d(channels, channels, 1)
        self.far = FarConv(channels, config.kernel, periodic)
        self.after = nn.Conv2d(channels, channels, 1)
        self.attention = FourierAttention(channels, config.groups)
        inside = config.expansion * channels
        self.mix = nn.Sequential(
            nn.GroupNorm(config.groups, channels), nn.Conv2d(channels, inside, 1), nn.GELU(),
            nn.Conv2d(inside, channels, 1),
        )  # fmt: skip
        # A block begins as almost nothing, which is what lets many of them learn.
        self.far_scale = nn.Parameter(torch.full((channels, 1, 1), 1e-1))
        self.mix_scale = nn.Parameter(torch.full((channels, 1, 1), 1e-1))

    def forward(self, x: Tensor) -> Tensor:
        known = self.near(x)
        x = x + self.far_scale * self.attention(known) * self.after(self.far(gelu(self.before(known))))
        return x + self.mix_scale * self.mix(x)


class FarConv(nn.Module):
    """A kernel of its own for each channel, wider than the map perhaps: what never meets the map is not computed."""

    def __init__(self, channels: int, kernel: int, periodic: bool):
        super().__init__()
        self.periodic, self.reach = periodic, kernel // 2
        self.weight = nn.Parameter(torch.empty(channels, 1, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(channels))
        # Near cells count more from the start: the standard deviation falls off with the distance.
        away = torch.linspace(-1, 1, kernel) if kernel > 1 else torch.zeros(1)
        near = torch.exp(-8 * (away[:, None] ** 2 + away**2))
        nn.init.normal_(self.weight)
        with torch.no_grad():
            self.weight.mul_(near / near.square().sum().sqrt())

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = (min(self.reach, size - 1) for size in x.shape[-2:])
        columns = self.reach if self.periodic else columns
        weight = self.weight[..., self.reach - rows :, self.reach - columns :]
        weight = weight[..., : 2 * rows + 1, : 2 * columns + 1]
        x = wrap(x, columns) if self.periodic and columns else x
        return conv2d(x, weight, self.bias, padding=(rows, 0 if self.periodic else columns), groups=len(weight))


class FourierAttention(nn.Module):
    """A weight for each channel between 0 and 1, from the amplitudes of its long and of its short waves."""

    def __init__(self, channels: int, narrower: int):
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(2 * channels, channels // narrower), nn.GELU(), nn.Linear(channels // narrower, channels)
        )

    def forward(self, x: Tensor) -> Float[Tensor, "batch channel 1 1"]:
        amplitude = torch.fft.rfft2(precise(x), norm="ortho").abs().log1p()
        rows, columns = amplitude.shape[-2:]
        north = torch.fft.fftfreq(rows, device=x.device).abs()[:, None]
        east = torch.arange(columns, device=x.device) / max(x.shape[-1], 1)
        long = ((north**2 + east**2) <= 0.125**2).to(amplitude.dtype)
        parts = [(amplitude * kept).sum((-2, -1)) / kept.sum().clamp(min=1.0) for kept in (long, 1 - long)]
        return self.mlp(torch.cat(parts, dim=1).to(x.dtype)).sigmoid()[..., None, None]


def fused(net: nn.Module) -> nn.Module:
    """The network with each sum of branches computed once and for all, in place: for use, not for training."""
    for name, child in net.named_children():
        if isinstance(child, EdgeConv):
            setattr(net, name, child.fused())
        else:
            fused(child)
    return net


def _coarser(x: Tensor) -> Tensor:
    return avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False)


def _together(levels: list[Tensor]) -> Tensor:
    """All levels on the last one's grid, side by side."""
    pooled: list[Tensor] = []
    for level in levels:
        pooled = [_coarser(each) for each in pooled] + [level]
    return torch.cat(pooled, dim=1)
