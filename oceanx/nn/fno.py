"""FNO: the longest waves of a map, each multiplied by a learned matrix, beside a pointwise layer.

    x' = σ(W x + F⁻¹ R F x)

Longitude that goes round is transformed as it is, so turning it by any number of columns turns what is written.
Latitude, and the longitude of a region, go on with a strip of zeros that is cropped afterwards (`margin`). The network
adds no coordinates to what it reads: it is told latitude, and longitude has no beginning.

References
----------
Li et al. (2021), "Fourier Neural Operator for Parametric Partial Differential Equations", ICLR, arXiv:2010.08895.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import gelu

from oceanx.tensors.geometry import Geometry
from oceanx.vocabulary.config import Config

from .fourier import complex_einsum, extended, unwaved, waves
from .layers import silent


class FNOConfig(Config):
    """How many waves are kept along latitude (each way) and along longitude, and how wide the network is.

    The defaults are the published 8.4 M parameters at 7 → 1 channels, a complex number counted as one. A map with
    fewer waves than `modes` keeps all it has.
    """

    kind: Literal["fno"] = "fno"
    modes: tuple[PositiveInt, PositiveInt] = (16, 16)
    width: PositiveInt = 64
    depth: PositiveInt = 4
    last_width: PositiveInt = 128
    margin: NonNegativeFloat = 0.125

    def build(self, channels_in: int, channels_out: int, geometry: Geometry) -> FNO:
        """The network, its last layer zero."""
        return FNO(self, channels_in, channels_out, geometry.periodic)


class FNO(nn.Module):
    """A Fourier neural operator on maps of any size; it has no normalisation. An untrained one says nothing."""

    def __init__(self, config: FNOConfig, channels_in: int, channels_out: int, periodic: bool = False):
        super().__init__()
        self.periodic, self.margin, self.turns_by = periodic, config.margin, 1
        width, depth = config.width, config.depth
        self.lift = nn.Conv2d(channels_in, width, 1)
        self.spectral = nn.ModuleList(SpectralConv(width, config.modes) for _ in range(depth))
        self.local = nn.ModuleList(nn.Conv2d(width, width, 1) for _ in range(depth))
        self.project = nn.Conv2d(width, config.last_width, 1)
        self.head = silent(nn.Conv2d(config.last_width, channels_out, 1))

    def forward(self, x: Float[Tensor, "batch channel_in lat lon"]) -> Float[Tensor, "batch channel_out lat lon"]:
        size = extended(x.shape[-2:], self.periodic, self.margin)
        x = self.lift(x)
        for i, (spectral, local) in enumerate(zip(self.spectral, self.local, strict=True)):
            x = spectral(x, size) + local(x)
            x = gelu(x) if i < len(self.local) - 1 else x
        return self.head(gelu(self.project(x)))


class SpectralConv(nn.Module):
    """F⁻¹ R F: waves of lowest wavenumber times a matrix each, and no others.

    Wavenumber 0 … m − 1 and −m … −1 along latitude, 0 … m − 1 along longitude. `weight` holds real and imaginary part
    as two numbers, so that it can be saved, averaged and reduced like any other; a wave has its own place in it on
    every map, however many waves there are.
    """

    def __init__(self, width: int, modes: tuple[int, int]):
        super().__init__()
        self.modes = modes
        self.weight = nn.Parameter(torch.randn(2, width, width, *modes, 2) / width)

    def forward(self, x: Float[Tensor, "batch width lat lon"], size: tuple[int, int]) -> Tensor:
        rows, columns = x.shape[-2:]
        with torch.autocast(x.device.type, enabled=False):
            found = waves(x, size)
            written = torch.zeros_like(found)
            for weight, (lat, lon) in zip(self.weight, self._kept(size), strict=True):
                matrix = weight[:, :, lat, lon]
                written[:, :, lat, lon] = complex_einsum("bi...,io...->bo...", found[:, :, lat, lon], matrix)
            return unwaved(written, size)[..., :rows, :columns].to(x.dtype)

    def _kept(self, size: tuple[int, int]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """Where waves of wavenumber ≥ 0, and < 0, along latitude lie: in the spectrum as in the weight."""
        (rows, columns), (m, n) = size, self.modes
        up, down, east = min(m, (rows + 1) // 2), min(m, rows // 2), slice(min(n, columns // 2 + 1))
        return (slice(up), east), (slice(-down, None) if down else slice(0), east)
