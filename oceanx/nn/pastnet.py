"""PastNet: a discrete bottleneck with a convolutional translator, beside a filter in Fourier space.

    N(x) = D(T(q(E(x)))) + F(x)

E and D are an encoder and a decoder by a factor of four, q puts the nearest word of a learned codebook in place of
each vector, T is the translator of SimVP, and F filters patches of the map in Fourier space.

The nearest word is a choice, and a choice has no derivative. The gradient goes straight through it: what reaches the
word that was chosen is given, unchanged, to the vector that chose it. It is given to the word as well, so the codebook
learns from the forecast's error like every other weight. (The published codebook has no gradient: it follows the mean
of what chose it, behind the optimiser's back, and the penalty that should hold vectors to their words is computed and
dropped.) Vectors and words are held together by their scale: a vector has unit variance before it chooses, as the
words have when they are drawn. A word that is never chosen never learns.

The choice also makes the network discontinuous: rounding can tip it, so two runs that differ in the last digit may
differ by a word. `codes: null` leaves the bottleneck and its scale out, and N is smooth.

References
----------
Wu, Xu, Chen, Hua, Luo & Wang (2023), doi:10.48550/arXiv.2305.11421.
van den Oord, Vinyals & Kavukcuoglu (2017), NeurIPS, doi:10.48550/arXiv.1711.00937 (codebook, straight through).
Guibas, Mardani, Li, Tao, Anandkumar & Catanzaro (2022), ICLR, doi:10.48550/arXiv.2111.13587 (Fourier filter).
"""

from __future__ import annotations

from math import lcm
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt, model_validator
from torch import Tensor, nn
from torch.nn.functional import embedding, layer_norm

from oceanx.tensors.geometry import Geometry
from oceanx.vocabulary.config import Config

from .fourier import extended, precise
from .layers import Conv, Finer, padded, silent
from .simvp import Translator, check_translator
from .tokens import perceptron


class PastNetConfig(Config):
    """Widths and depths, by default those of the published baseline of Ocean-E2E.

    Three things differ from it, besides codebook and filter (see there). Its patches of 15 cells are enlarged 16 times
    and cut off at the end, so that what F writes is displaced by up to a sixteenth of the domain: here each patch is
    written where it was read, by one layer. Its table of positions, a number for each patch and channel, ties the
    weights to one grid and gives longitude a beginning: it is left out, since latitude and coasts are among what is
    read. And it normalises over the batch; here each map is normalised by itself.

    Parameters
    ----------
    width, units, residual
        Channels of encoder and decoder, of the inside of their residual blocks, and how many of these each has.
    code, codes
        Channels of the bottleneck and words in its codebook; no codebook if None.
    hidden, blocks, kernels, groups
        The translator: see `SimVPConfig`.
    patch, fourier, depth, fourier_blocks
        Cells in a patch along each side, channels of the Fourier filter, its layers, and the blocks its matrices are
        made of.
    margin
        The strip of zeros that keeps opposite walls apart in Fourier space, as a share of the map; 0 as published.
    """

    kind: Literal["pastnet"] = "pastnet"
    width: PositiveInt = 128
    units: PositiveInt = 32
    residual: NonNegativeInt = 2
    code: PositiveInt = 64
    codes: PositiveInt | None = 512
    hidden: PositiveInt = 256
    blocks: Annotated[int, Field(ge=2)] = 8
    kernels: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (3, 5, 7, 11)
    groups: PositiveInt = 8
    patch: PositiveInt = 15
    fourier: PositiveInt = 128
    depth: PositiveInt = 1
    fourier_blocks: PositiveInt = 4
    margin: NonNegativeFloat = 0.125

    @model_validator(mode="after")
    def _check(self) -> PastNetConfig:
        check_translator(self.code, self.hidden, self.kernels, self.groups)
        uneven = [channels for channels in (self.width, self.units) if channels % self.groups]
        if uneven:
            raise ValueError(f"`groups` = {self.groups} does not divide {uneven} of `width` and `units`")
        if self.width % 2 or self.fourier % self.fourier_blocks:
            raise ValueError("`width` is even, and `fourier_blocks` divides `fourier`")
        return self

    def build(self, channels_in: int, channels_out: int, geometry: Geometry) -> PastNet:
        """The network, its last layers zero."""
        return PastNet(self, channels_in, channels_out, geometry.periodic)


class PastNet(nn.Module):
    """N(x) = D(T(q(E(x)))) + F(x), on maps of any size. Untrained, both say nothing."""

    def __init__(self, config: PastNetConfig, channels_in: int, channels_out: int, periodic: bool):
        super().__init__()
        self.periodic, self.turns_by, width = periodic, lcm(4, config.patch), config.width
        self.encoder = nn.Sequential(
            Conv(channels_in, width // 2, periodic, kernel=4, stride=2),
            nn.ReLU(),
            Conv(width // 2, width, periodic, kernel=4, stride=2),
            nn.ReLU(),
            Conv(width, width, periodic),
            *residuals(config, periodic),
            nn.Conv2d(width, config.code, 1),
        )
        self.codebook = Codebook(config.codes, config.code) if config.codes else nn.Identity()
        self.translator = Translator(
            config.code, config.hidden, config.blocks, config.kernels, config.groups, periodic, innermost=config.hidden
        )
        self.decoder = nn.Sequential(
            Conv(config.code, width, periodic),
            *residuals(config, periodic),
            Finer(width, width // 2, periodic, kernel=4),
            nn.ReLU(),
            silent(Finer(width // 2, channels_out, periodic, kernel=4)),
        )
        self.fourier = FourierFilter(config, channels_in, channels_out, periodic)

    def forward(self, x: Float[Tensor, "batch channel_in lat lon"]) -> Float[Tensor, "batch channel_out lat lon"]:
        rows, columns = x.shape[-2:]
        code = self.codebook(self.encoder(padded(x, 4, 4, self.periodic)))
        near = self.decoder(self.translator(code))[..., :rows, :columns]
        return near + self.fourier(x)


def residuals(config: PastNetConfig, periodic: bool) -> list[nn.Module]:
    """The residual blocks at the end of the encoder and the beginning of the decoder, and a rectifier."""
    return [
        *[Residual(config.width, config.units, config.groups, periodic) for _ in range(config.residual)],
        nn.ReLU(),
    ]


class Residual(nn.Module):
    """x + what a narrow convolution finds in x."""

    def __init__(self, width: int, units: int, groups: int, periodic: bool):
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReLU(),
            Conv(width, units, periodic, bias=False),
            nn.GroupNorm(groups, units),
            nn.ReLU(),
            nn.Conv2d(units, width, 1, bias=False),
            nn.GroupNorm(groups, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class Codebook(nn.Module):
    """The nearest word to each cell's vector; both hear its gradient."""

    def __init__(self, codes: int, code: int):
        super().__init__()
        self.words = nn.Parameter(torch.randn(codes, code))

    def forward(self, x: Tensor) -> Tensor:
        # Between close words, a product in low precision would choose at random.
        with torch.autocast(x.device.type, enabled=False):
            vector = x.movedim(1, -1).to(self.words.dtype)
            vector = layer_norm(vector, vector.shape[-1:])
            word = embedding(self.nearest(vector), self.words)
        return (word + (vector - vector.detach())).movedim(-1, 1).to(x.dtype)

    def nearest(self, vector: Tensor) -> Tensor:
        """Which word is nearest: |v − w|² less |v|², which is the same for all words."""
        return (self.words.square().sum(-1) - 2 * vector @ self.words.T).detach().argmin(-1)


class FourierFilter(nn.Module):
    """F: patches of the map, mixed in wave space, written where they were read."""

    def __init__(self, config: PastNetConfig, channels_in: int, channels_out: int, periodic: bool):
        super().__init__()
        self.patch, self.periodic = config.patch, periodic
        self.read = nn.Conv2d(channels_in, config.fourier, config.patch, config.patch)
        self.blocks = nn.Sequential(
            *[FourierBlock(config, periodic) for _ in range(config.depth)], nn.LayerNorm(config.fourier, eps=1e-6)
        )
        self.write = silent(nn.ConvTranspose2d(config.fourier, channels_out, config.patch, config.patch))

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = x.shape[-2:]
        patches = self.read(padded(x, self.patch, self.patch, self.periodic)).movedim(1, -1)
        return self.write(self.blocks(patches).movedim(-1, 1))[..., :rows, :columns]


class FourierBlock(nn.Module):
    """y = x + F⁻¹ W₂ g(W₁ F n) with n = LN x, then y + MLP(LN y).

    The W are complex, block-diagonal and alike for all waves. g(z) = σ(|z| + b) z bends a wave by its amplitude alone:
    the published filter rectifies real and imaginary part, and adds to both, which depends on where longitude begins.
    """

    def __init__(self, config: PastNetConfig, periodic: bool):
        super().__init__()
        width, size = config.fourier, config.fourier // config.fourier_blocks
        self.margin, self.periodic = config.margin, periodic
        self.norm, self.second_norm = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.first = nn.Parameter(0.02 * torch.randn(config.fourier_blocks, size, size, 2))
        self.second = nn.Parameter(0.02 * torch.randn(config.fourier_blocks, size, size, 2))
        self.bias = nn.Parameter(0.02 * torch.randn(config.fourier_blocks, size))
        self.perceptron = perceptron(width, 2.0)

    def forward(self, x: Float[Tensor, "batch lat lon width"]) -> Float[Tensor, "batch lat lon width"]:
        x = x + self.filtered(self.norm(x))
        return x + self.perceptron(self.second_norm(x))

    def filtered(self, x: Tensor) -> Tensor:
        """F⁻¹ W₂ g(W₁ F x), in single precision at least."""
        rows, columns = x.shape[1:3]
        size = extended((rows, columns), self.periodic, self.margin)
        with torch.autocast(x.device.type, enabled=False):
            waves = torch.fft.rfft2(precise(x), s=size, dim=(1, 2), norm="ortho").unflatten(-1, (len(self.bias), -1))
            waves = torch.einsum("...ni,nio->...no", waves, torch.view_as_complex(self.first.contiguous()))
            waves = waves * (waves.abs() + self.bias).sigmoid()
            waves = torch.einsum("...ni,nio->...no", waves, torch.view_as_complex(self.second.contiguous())).flatten(-2)
            return torch.fft.irfft2(waves, s=size, dim=(1, 2), norm="ortho")[:, :rows, :columns].to(x.dtype)
