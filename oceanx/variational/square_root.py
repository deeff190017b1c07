"""The algebra of an ensemble's analysis: the square root that turns background anomalies into analysed ones.

With anomalies X, Y = H X, inflation λ and m members, in the space that the members span:

    C = p I + Yᵀ R⁻¹ Y        p = (m − 1)/λ²        w = C⁻¹ Yᵀ R⁻¹ d        W = √(m − 1) C^(−1/2)
    x̄_a = x̄_b + X w           X_a = X W

C is symmetric and so is its root, which is the one that changes the members least and keeps their anomalies' sum 0.
Rows of S = R^(−1/2) Y are observations; the last column of what the functions here take has their departures over σo.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor


class Way(NamedTuple):
    """What is done to the analysed anomalies, everywhere alike.

    Attributes
    ----------
    relaxation
        Share of the background's anomalies that they are mixed with (RTPP).
    rotation
        Orthogonal matrix that keeps the mean, or None.
    """

    relaxation: float = 0.0
    rotation: Tensor | None = None

    def after(self, before: Tensor, after: Tensor) -> Tensor:
        """The anomalies relaxed to those before, with a mean of 0, and rotated."""
        after = after - after.mean(-1, keepdim=True)
        if self.relaxation:
            after = after + self.relaxation * (before - after)
        return after if self.rotation is None else after @ self.rotation


@runtime_checkable
class Solution(Protocol):
    """What an analysis, or many, make of members. One state that samples move is changed by `increments` likewise."""

    def increments(self, anomalies: Float[Tensor, "... point m"], way: Way) -> Float[Tensor, "... point state"]:
        """What every state gets: X w + X W − X, after relaxation and rotation."""

    def variance(self, rows: Float[Tensor, "... row m"]) -> Float[Tensor, "... row"]:
        """diag(H A Hᵀ) = y C⁻¹ yᵀ of rows y, the anomalies of what is observed."""


class Root(NamedTuple):
    """C = V diag(e) Vᵀ, the members' Solution where there are as many observations as members.

    Attributes
    ----------
    values
        Eigenvalues e, `[…, m]`.
    vectors
        V, `[…, m, m]`.
    pull
        Sᵀ d, `[…, m]`.
    """

    values: Tensor
    vectors: Tensor
    pull: Tensor

    def increments(self, anomalies: Float[Tensor, "... point m"], way: Way) -> Float[Tensor, "... point m"]:
        turned = torch.cat((anomalies, self.pull[..., None, :]), -2) @ self.vectors
        turned, pull = turned[..., :-1, :], turned[..., -1, :]
        shift = turned @ (pull / self.values)[..., None]
        root = (self.values.shape[-1] - 1) ** 0.5 / self.values.sqrt()
        after = way.after(anomalies, (turned * root[..., None, :]) @ self.vectors.mT)
        return shift + after - anomalies

    def variance(self, rows: Float[Tensor, "... row m"]) -> Float[Tensor, "... row"]:
        return ((rows @ self.vectors).square() @ self.values.reciprocal()[..., None]).squeeze(-1)


class Thin(NamedTuple):
    """C = p I + N Nᵀ, the members' Solution where there are fewer observations: N has as many columns as they are.

    With S Sᵀ = U diag(e) Uᵀ, N = Sᵀ U has orthogonal columns of length √e, so that

        C⁻¹ = (I − N diag(1/(p + e)) Nᵀ)/p        C^(−1/2) = I/√p − N diag(1/(√p √(p + e) (√p + √(p + e)))) Nᵀ

    Attributes
    ----------
    values
        e, `[…, observation]`.
    modes
        N, `[…, m, observation]`.
    pull
        Sᵀ d, `[…, m]`.
    prior
        p.
    """

    values: Tensor
    modes: Tensor
    pull: Tensor
    prior: float

    def increments(self, anomalies: Float[Tensor, "... point m"], way: Way) -> Float[Tensor, "... point m"]:
        p, more = self.prior, self.prior + self.values
        turned = torch.cat((anomalies, self.pull[..., None, :]), -2) @ self.modes
        turned, pull = turned[..., :-1, :], turned[..., -1, :]
        shift = (anomalies @ self.pull[..., None] - turned @ (pull / more)[..., None]) / p
        less = 1 / (p**0.5 * more.sqrt() * (p**0.5 + more.sqrt()))
        root = anomalies / p**0.5 - (turned * less[..., None, :]) @ self.modes.mT
        after = way.after(anomalies, (self.pull.shape[-1] - 1) ** 0.5 * root)
        return shift + after - anomalies

    def variance(self, rows: Float[Tensor, "... row m"]) -> Float[Tensor, "... row"]:
        seen = (rows @ self.modes).square() @ (1 / (self.prior + self.values))[..., None]
        return (rows.square().sum(-1) - seen.squeeze(-1)) / self.prior


class Factor(NamedTuple):
    """C = L Lᵀ, the Solution for a single state that samples move.

    Attributes
    ----------
    triangle
        L, `[…, m, m]`.
    pull
        Sᵀ d, `[…, m]`.
    """

    triangle: Tensor
    pull: Tensor

    def increments(self, anomalies: Float[Tensor, "... point m"], way: Way) -> Float[Tensor, "... point 1"]:
        return anomalies @ torch.cholesky_solve(self.pull[..., None], self.triangle)

    def variance(self, rows: Float[Tensor, "... row m"]) -> Float[Tensor, "... row"]:
        return torch.linalg.solve_triangular(self.triangle, rows.mT, upper=False).square().sum(-2)


def solved(scaled: Float[Tensor, "... row more"], prior: float) -> Root | Thin:
    """The members' Solution of observations, in double precision: products are as precise as what is given.

    In a batch of analyses, rows of 0 fill up those that have fewer observations.

    Parameters
    ----------
    scaled
        S, and in its last column d, `[…, observation, m + 1]`.
    prior
        p.
    """
    if scaled.shape[-2] >= scaled.shape[-1] - 1:
        precision, pull = _normal(scaled, prior)
        values, vectors = torch.linalg.eigh(precision)
        return Root(values, vectors, pull)
    seen, departures = scaled[..., :-1], scaled[..., -1:]
    values, vectors = torch.linalg.eigh((seen @ seen.mT).double())
    pull = (seen.mT @ departures).squeeze(-1).double()
    return Thin(values.clamp(min=0), seen.mT.double() @ vectors, pull, prior)


def factored(scaled: Float[Tensor, "... row more"], prior: float) -> Factor:
    """The Solution for a single state; parameters as of `solved`."""
    precision, pull = _normal(scaled, prior)
    return Factor(torch.linalg.cholesky(precision), pull)


def _normal(scaled: Tensor, prior: float) -> tuple[Tensor, Tensor]:
    """C and Sᵀ d."""
    product = (scaled.mT @ scaled).double()
    precision = product[..., :-1, :-1]
    precision.diagonal(dim1=-2, dim2=-1).add_(prior)
    return precision, product[..., :-1, -1]


def matrix(solution: Solution, members: int, way: Way, like: Tensor) -> Float[Tensor, "... m m"]:
    """The matrix T of a Solution, whose increments are X T; in the dtype, on the device and in the batch of `like`."""
    identity = torch.eye(members, dtype=like.dtype, device=like.device)
    return solution.increments(identity.expand(*like.shape[:-1], members, members), way)


def rotation(members: int, seed: int) -> Float[Tensor, "m m"]:
    """A random orthogonal matrix U with U 1 = 1: X U has the covariance of X, and its mean.

    Uniform over all of them: the orthogonal complement of 1 is turned by a matrix of Haar measure.

    References
    ----------
    Sakov & Oke (2008), Implications of the form of the ensemble transformation, doi:10.1175/2007MWR2021.1

    Examples
    --------
    >>> rotation(5, seed=1).sum(0)
    tensor([1.0000, 1.0000, 1.0000, 1.0000, 1.0000], dtype=torch.float64)
    """
    random = torch.Generator().manual_seed(seed)
    beside = torch.eye(members, dtype=torch.float64)
    beside[:, 0] = 1.0
    basis = torch.linalg.qr(beside).Q  # its first column is ± 1/√m
    normal = torch.randn(members - 1, members - 1, generator=random, dtype=torch.float64)
    orthogonal, triangle = torch.linalg.qr(normal)
    turn = torch.eye(members, dtype=torch.float64)
    turn[1:, 1:] = orthogonal * triangle.diagonal().sign()
    return basis @ turn @ basis.T
