"""The best linear unbiased estimate, solved among the observations: as many equations as there are of them.

    (H B Hᵀ + R) w = d        δx = B Hᵀ w        diag(H K) = diag(H A Hᵀ) / σo²

References
----------
Daley (1991), Atmospheric Data Analysis, ISBN 0-521-38215-7, ch. 4; Courtier (1997), Q. J. R. Meteorol. Soc. 123, 2449,
doi:10.1002/qj.49712354414.
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from oceanx.tensors.observe import Operator
from oceanx.tensors.state import Increment, State

from .covariance import Covariance
from .sampled import Sampled

AT_ONCE = 64  # columns of H B Hᵀ that are made together


class Solved(NamedTuple):
    """What the observations of one window say together.

    Attributes
    ----------
    weights
        w = (H B Hᵀ + R)⁻¹ d.
    chi_squared
        dᵀ w.
    analysed_variance
        diag(H A Hᵀ).
    influence
        diag(H K).
    """

    weights: Float[Tensor, " obs"]
    chi_squared: float
    analysed_variance: Float[Tensor, " obs"]
    influence: Float[Tensor, " obs"]


def solved(
    covariance: Float[Tensor, "obs obs"], std: Float[Tensor, " obs"], departures: Float[Tensor, " obs"]
) -> Solved:
    """What departures say, given the covariance H B Hᵀ of their background and their own σo; in float64.

    By Cholesky's factors of R^(−1/2) H B Hᵀ R^(−1/2) + I, all of whose eigenvalues are at least 1.
    """
    std, d = std.double(), departures.double() / std.double()
    told = covariance.double() / std[:, None] / std
    factor = torch.linalg.cholesky(told + torch.eye(len(d), dtype=d.dtype, device=d.device))
    w = torch.cholesky_solve(d[:, None], factor)[:, 0]
    inverse = torch.cholesky_inverse(factor)
    rest = inverse.diagonal()  # what is left of one, told little or much: whichever way does not cancel
    influence = torch.where(rest > 0.5, (told * inverse).sum(1), 1 - rest)
    return Solved(w / std, float(d @ w), influence * std**2, influence)


def background_covariance(covariance: Covariance, operator: Operator) -> Float[Tensor, "obs obs"]:
    """H B Hᵀ in float64, by applying B to the columns of Hᵀ; of samples by looking at each of them."""
    refuse_unknown(covariance, operator)
    if isinstance(covariance, Sampled):
        seen = operator(covariance.anomalies).double()
        return seen.T @ seen
    rows = []
    for start in range(0, operator.size, AT_ONCE):
        count = min(AT_ONCE, operator.size - start)
        units = torch.zeros(count, operator.size, dtype=covariance.dtype, device=covariance.device)
        units[:, start : start + count] = torch.eye(count, dtype=covariance.dtype)
        rows.append(operator(covariance(operator.adjoint(units)[0])).double())
    found = torch.cat(rows)
    return (found + found.T) / 2


def persisted(operator: Operator) -> Operator:
    """H of a window, seen as if its increment persisted: every time's cells are those of the first."""
    parts = {n: part._replace(cells=part.cells % prod(part.shape)) for n, part in operator.parts.items()}
    return Operator(parts, operator.size)


def refuse_unknown(covariance: Covariance, operator: Operator) -> None:
    """`ValueError` naming observed variables that a covariance has nothing to say about."""
    strangers = [name for name in operator.parts if name not in covariance.shapes]
    if strangers:
        known = list(covariance.shapes)
        raise ValueError(f"observations of {strangers}, but the background's covariance is of {known}")


def refuse_many(background: State, kind: str) -> None:
    """`ValueError` unless the background is one state."""
    rows = len(next(iter(background.values())))
    if rows != 1:
        raise ValueError(f"{kind} carries one state, found a batch of {rows}")


def fitted(change: Increment, background: State) -> Increment:
    """An increment in every variable of the background, and as precise."""
    return Increment(
        {n: change[n].to(field.dtype) if n in change else torch.zeros_like(field) for n, field in background.items()}
    )
