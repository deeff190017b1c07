"""Minimising the cost of an analysis in control space, in which B is the identity: δx = L v, L Lᵀ = B.

    J(v) = ½ vᵀ v + ½ |G v − d|²        G = R^(−1/2) H L        (I + Gᵀ G) v = Gᵀ d

`d` are departures over their σo. Conjugate gradients end after as many steps as I + Gᵀ G has different eigenvalues, one
more than there are observations at most. What they learn of I + Gᵀ G on their way is kept (Lanczos), for it is the
inverse of the analysis' covariance in control space.

References
----------
Hestenes & Stiefel (1952), J. Res. Natl. Bur. Stand. 49, 409, doi:10.6028/jres.049.044; Fisher & Courtier (1995), ECMWF
Tech. Memo. 220, doi:10.21957/1dxrasjit (Lanczos); Gratton, Lawless & Nichols (2007), SIAM J. Optim. 18, 106,
doi:10.1137/050624935 (Gauss–Newton).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

Map = Callable[[Tensor], Tensor]


class Linear(NamedTuple):
    """G about some v, and what it leaves.

    Attributes
    ----------
    forward
        G, from `[batch, size]` to `[batch, obs]`.
    adjoint
        Gᵀ.
    misfit
        What the observations still ask for there, over σo `[batch, obs]`: d − G v where all is linear.
    """

    forward: Map
    adjoint: Map
    misfit: Tensor


class Ritz(NamedTuple):
    """What conjugate gradients have seen of Gᵀ G: its eigenvalues λ, its eigenvectors q, and G q.

    Attributes
    ----------
    values
        λ `[pair]`.
    vectors
        q, of length 1 `[pair, size]`.
    seen
        G q `[pair, obs]`.
    """

    values: Tensor
    vectors: Tensor
    seen: Tensor

    def inverse_hessian(self, v: Float[Tensor, "batch size"]) -> Float[Tensor, "batch size"]:
        """(I + Gᵀ G)⁻¹ v, exactly once every eigenvector is known: v − Σ λ/(1 + λ) q qᵀ v."""
        return v - (v @ self.vectors.T * (self.values / (1 + self.values))) @ self.vectors


@dataclass(frozen=True)
class Minimum:
    """Where a minimisation ended.

    Attributes
    ----------
    v
        `[batch, size]`.
    misfit
        As of `Linear`, there.
    reason
        Why it ended: `tolerance` (the gradient has fallen so far), `rounding` (it cannot fall further), `iterations`
        (there were no more), `no departures`.
    costs, gradients
        J and |∇J| before every iteration and after the last, summed over the batch.
    ritz
        Where it was asked for.
    """

    v: Float[Tensor, "batch size"]
    misfit: Float[Tensor, "batch obs"]
    reason: str
    costs: tuple[float, ...]
    gradients: tuple[float, ...]
    ritz: Ritz | None = None

    @property
    def iterations(self) -> int:
        """How many iterations it took."""
        return len(self.costs) - 1

    @property
    def twice_cost(self) -> Float[Tensor, " batch"]:
        """2 J, which at the minimum is χ² = dᵀ (H B Hᵀ + R)⁻¹ d."""
        return self.v.square().sum(1) + self.misfit.square().sum(1)


def conjugate_gradients(
    linear: Linear,
    start: Float[Tensor, "batch size"] | None = None,
    iterations: int = 100,
    tolerance: float = 1e-6,
    lanczos: bool = False,
) -> Minimum:
    """The minimum of J by conjugate gradients, every row of a batch by itself.

    Residuals are made orthogonal to all before them, so that rounding costs no iterations.

    Parameters
    ----------
    linear
        G about `start`.
    start
        v to begin from, 0 by default.
    iterations
        At most so many.
    tolerance
        How far |∇J| is to fall, as a share of what it was.
    lanczos
        Whether to keep what was learnt of Gᵀ G; for a batch of one.
    """
    misfit, pull = linear.misfit, linear.adjoint(linear.misfit)
    v = torch.zeros_like(pull) if start is None else start
    residual = pull - v  # −∇J
    squared = first = _dot(residual, residual)
    kept, path = _Basis(_unit(residual)), _Path([], [], [])
    costs, gradients = [_cost(v, misfit)], [float(squared.sum().sqrt())]
    direction = residual
    while not (reason := _ended(squared, first, len(path.seen), iterations, tolerance)):
        image = linear.forward(direction)
        alpha = _ratio(squared, _dot(direction, direction) + _dot(image, image))
        v, misfit = v + alpha * direction, misfit - alpha * image
        residual = kept.without(residual - alpha * (direction + linear.adjoint(image)))
        after = _dot(residual, residual)
        beta = _ratio(after, squared)
        path.add(image, alpha, beta)
        kept.add(_unit(residual))
        direction, squared = residual + beta * direction, after
        costs.append(_cost(v, misfit))
        gradients.append(float(squared.sum().sqrt()))
    ritz = _ritz(kept, path, first) if lanczos and path.seen else None
    return Minimum(v, misfit, reason, tuple(costs), tuple(gradients), ritz)


def gauss_newton(
    linearise: Callable[[Tensor | None], Linear],
    loops: int = 1,
    iterations: int = 100,
    tolerance: float = 1e-6,
    lanczos: bool = False,
) -> Minimum:
    """The minimum of a cost whose departures are not linear in v: linearise about v, minimise, and again.

    Parameters
    ----------
    linearise
        G and the departures about v; of None, about 0.
    loops
        How many times.
    iterations, tolerance, lanczos
        Of `conjugate_gradients` in each; the last one's information is kept.
    """
    found: Minimum | None = None
    costs: list[float] = []
    gradients: list[float] = []
    for number in range(loops):
        v = None if found is None else found.v
        last = number + 1 == loops
        found = conjugate_gradients(linearise(v), v, iterations, tolerance, lanczos and last)
        costs += found.costs[bool(number) :]
        gradients += found.gradients[bool(number) :]
    if found is None:
        raise ValueError(f"{loops} outer loops; expected one at least")
    return replace(found, costs=tuple(costs), gradients=tuple(gradients))


def quasi_newton(
    cost: Callable[[Tensor], tuple[Tensor, Tensor]],
    start: Float[Tensor, "1 size"],
    iterations: int = 100,
    tolerance: float = 1e-6,
) -> tuple[Float[Tensor, "1 size"], list[float]]:
    """The minimum of any cost by L-BFGS with a line search after Wolfe, and J at every evaluation.

    Parameters
    ----------
    cost
        From v to J and ∇J.

    References
    ----------
    Liu & Nocedal (1989), Math. Program. 45, 503, doi:10.1007/BF01589116.
    """
    v, costs = start.clone(), []
    _, first = cost(v)
    search = torch.optim.LBFGS(
        [v],
        max_iter=iterations,
        max_eval=2 * iterations,
        history_size=20,
        tolerance_grad=tolerance * float(first.abs().max()),
        tolerance_change=0.0,
        line_search_fn="strong_wolfe",
    )

    def evaluated() -> Tensor:
        value, v.grad = cost(v)
        costs.append(float(value))
        return value

    search.step(evaluated)
    return v.detach(), costs


class _Path(NamedTuple):
    """What each iteration was: G times its direction, its step, and how much of its direction the next one keeps."""

    seen: list[Tensor]
    alphas: list[Tensor]
    betas: list[Tensor]

    def add(self, image: Tensor, alpha: Tensor, beta: Tensor) -> None:
        self.seen.append(image)
        self.alphas.append(alpha)
        self.betas.append(beta)


class _Basis:
    """Unit vectors that are orthogonal to one another; in blocks, for products of matrices are quicker than sums."""

    block = 16

    def __init__(self, first: Float[Tensor, "batch size"]):
        self.blocks: list[Tensor] = []  # [batch, block, size], the last of them filled up with zeros
        self.count = 0
        self.add(first)

    def add(self, unit: Float[Tensor, "batch size"]) -> None:
        at = self.count % self.block
        if at == 0:
            self.blocks.append(unit.new_zeros(unit.shape[0], self.block, unit.shape[1]))
        self.blocks[-1][:, at] = unit
        self.count += 1

    def without(self, residual: Float[Tensor, "batch size"]) -> Float[Tensor, "batch size"]:
        """What of the residual is orthogonal to all of them; twice, for the first time leaves rounding."""
        for _ in range(2):
            for block in self.blocks:
                shares = torch.bmm(block, residual[:, :, None])
                residual = residual - torch.bmm(shares.mT, block)[:, 0]
        return residual

    def vectors(self, count: int) -> Float[Tensor, "count size"]:
        """The first so many; of a batch of one."""
        return torch.cat(self.blocks, 1)[0, :count]


def _ritz(kept: _Basis, path: _Path, first: Tensor) -> Ritz:
    """The eigenvalues and -vectors of the tridiagonal matrix that conjugate gradients make of I + Gᵀ G."""
    alpha, beta = torch.cat(path.alphas)[:, 0].double(), torch.cat(path.betas)[:, 0].double()
    diagonal = 1 / alpha
    diagonal[1:] += beta[:-1] / alpha[:-1]
    beside = -beta[:-1].sqrt() / alpha[:-1]
    values, turn = torch.linalg.eigh(torch.diag(diagonal) + torch.diag(beside, 1) + torch.diag(beside, -1))
    turn = turn.T.to(first.dtype)
    # direction = residual + β · the one before, so G residual is the difference of what was seen of both.
    images = torch.cat(path.seen)
    images = torch.cat((images[:1], images[1:] - beta[:-1, None].to(images.dtype) * images[:-1]))
    length = (first[0].double() * torch.cat((torch.ones_like(beta[:1]), beta[:-1])).cumprod(0)).sqrt()
    images = images / length[:, None].to(images.dtype)
    return Ritz((values - 1).clamp(min=0).to(images.dtype), turn @ kept.vectors(len(beta)), turn @ images)


def _ended(squared: Tensor, first: Tensor, done: int, iterations: int, tolerance: float) -> str:
    """Why to end here; empty where to go on."""
    if not first.any():
        return "no departures"
    if bool((squared <= tolerance**2 * first).all()):
        return "tolerance"
    if bool((squared <= torch.finfo(squared.dtype).eps ** 2 * first).all()):
        return "rounding"
    return "iterations" if done == iterations else ""


def _unit(residual: Tensor) -> Tensor:
    return _ratio(residual, _dot(residual, residual).sqrt())


def _dot(first: Tensor, second: Tensor) -> Tensor:
    return (first * second).sum(1, keepdim=True)


def _ratio(numerator: Tensor, denominator: Tensor) -> Tensor:
    """0 where there is nothing to divide by: a row that has arrived stays."""
    return torch.where(denominator > 0, numerator / torch.where(denominator > 0, denominator, 1.0), 0.0)


def _cost(v: Tensor, misfit: Tensor) -> float:
    return float(v.square().sum() + misfit.square().sum()) / 2
