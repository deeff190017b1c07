"""What networks in wave space share: how far maps go on beyond their walls, and numbers that can be transformed."""

from __future__ import annotations

from math import ceil

import torch
from jaxtyping import Float
from torch import Tensor


def extended(size: torch.Size | tuple[int, int], periodic: bool, margin: float) -> tuple[int, int]:
    """How many rows and columns to transform, so that opposite walls are not neighbours.

    A discrete Fourier transform takes every map for periodic. Longitude that goes round is; latitude never is, nor is
    the longitude of a region. There the map goes on with a strip of zeros, a share `margin` of its length, and the
    strip is cropped afterwards: one strip keeps both walls apart, for the transform joins its far end to the other one.
    """
    rows, columns = size
    return rows + ceil(margin * rows), columns if periodic else columns + ceil(margin * columns)


def precise(x: Tensor) -> Tensor:
    """The map in single precision at least: there is no transform of bfloat16."""
    return x if x.dtype == torch.float64 else x.float()


def waves(x: Tensor, size: tuple[int, int], dim: tuple[int, int] = (-2, -1)) -> Float[Tensor, "*wave part"]:
    """The Fourier coefficients of a real map that goes on with zeros to `size`, each a pair: real and imaginary part.

    Compilers know pairs of real numbers better than complex ones.
    """
    return torch.view_as_real(torch.fft.rfft2(precise(x), s=size, dim=dim, norm="ortho"))


def unwaved(pairs: Float[Tensor, "*wave part"], size: tuple[int, int], dim: tuple[int, int] = (-2, -1)) -> Tensor:
    """The map of `size` with these Fourier coefficients: the inverse of `waves`."""
    return torch.fft.irfft2(torch.view_as_complex(pairs.contiguous()), s=size, dim=dim, norm="ortho")


def complex_einsum(equation: str, z: Float[Tensor, "*z part"], w: Float[Tensor, "*w part"]) -> Tensor:
    """`torch.einsum` of two tensors of complex numbers, all of them pairs along the last axis."""
    (a, b), (c, d) = z.unbind(-1), w.unbind(-1)
    real = torch.einsum(equation, a, c) - torch.einsum(equation, b, d)
    return torch.stack([real, torch.einsum(equation, a, d) + torch.einsum(equation, b, c)], dim=-1)
