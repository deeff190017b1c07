"""What a minimisation knows of the variances at the observations: exactly of a few, by its own way of many.

With G = R^(−1/2) H L, in units of σo, H B Hᵀ is G Gᵀ and H A Hᵀ is G (I + Gᵀ G)⁻¹ Gᵀ, whose diagonal is the influence.
Of a few observations both are computed. Of many,

    diag(H B Hᵀ) ≈ (H σ)²        diag(H A Hᵀ) ≈ Σ_i (G q_i)² / (1 + λ_i) + f r / (1 + r)

with σ the background's standard deviation at cells (too much where H averages over cells that know little of each
other), λ and q what conjugate gradients have found of Gᵀ G, and r what they leave of diag(H B Hᵀ), all in units of σo.
f makes the influence add up to the trace of H K, of which ξᵀ H K ξ is an unbiased estimate for random signs ξ, at the
price of one more minimisation for each ξ; without any it is unknown, and so is the influence. Where the iterations have
found everything there is no r, and the variances are exact.

References
----------
Girard (1989), Numer. Math. 56, 1, doi:10.1007/BF01395775; Desroziers & Ivanov (2001), Q. J. R. Meteorol. Soc. 127,
1433, doi:10.1002/qj.49712757417 (the trace by perturbed observations).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float
from pydantic import NonNegativeInt
from torch import Tensor

from oceanx.tensors.state import Increment
from oceanx.vocabulary.config import Config

from .analysis import Window
from .covariance import Covariance
from .minimise import Linear, Minimum
from .observation_space import persisted, solved

AT_ONCE = 64  # columns that are made together
DRAWS = 200  # of a covariance that does not know its variance: it is then known to 10 %


class Diagnosed(NamedTuple):
    """Variances at the observations, and what is worth a line in the log."""

    variance: Float[Tensor, " obs"]
    analysed_variance: Float[Tensor, " obs"] | None
    influence: Float[Tensor, " obs"] | None
    numbers: Mapping[str, float]

    @property
    def variances(self) -> tuple[Tensor, Tensor | None]:
        """Of background and analysis."""
        return self.variance, self.analysed_variance


class Variances(Config):
    """How variances at the observations are found.

    Attributes
    ----------
    exact
        Up to so many observations they are exact, at the price of as many tangents and adjoints.
    draws
        How many minimisations more, of more observations, tell how much they say in all; of none that is not told.
    """

    exact: NonNegativeInt = 100
    draws: NonNegativeInt = 1


class Spread:
    """The background's standard deviation at cells, looked up once: where B depends on the background, of the first."""

    def __init__(self) -> None:
        self._known: Increment | None = None

    def of(self, covariance: Covariance) -> Increment:
        """√diag B, a batch of one."""
        if self._known is None:
            random = torch.Generator().manual_seed(0)
            self._known = covariance.variance(DRAWS, random).map(lambda field: field.clamp(min=0).sqrt())
        return self._known


def diagnosed(
    found: Minimum,
    linear: Linear,
    window: Window,
    spread: Increment,
    how: Variances,
    minimise: Callable[[Linear], Minimum],
) -> Diagnosed:
    """The variances at the observations of a window, and what is worth knowing of its minimum.

    Parameters
    ----------
    found, linear
        The minimum, and G there.
    spread
        σ at cells.
    minimise
        How a minimum is found.
    """
    std = window.observed.std.double()
    numbers = {
        "iterations": float(found.iterations),
        "cost": found.costs[-1],
        "gradient": found.gradients[-1] / max(found.gradients[0], 1e-300),
    }
    if len(std) <= how.exact:
        told = _columns(linear) * std[:, None] * std
        seen = solved(told, std, torch.zeros_like(std))
        return Diagnosed(told.diagonal().clone(), seen.analysed_variance, seen.influence, numbers)
    variance = persisted(window.observed.operator)(spread)[0].double().square()
    if found.ritz is None or not how.draws:
        return Diagnosed(variance, None, None, numbers)
    images = found.ritz.seen.double().square()
    known = (images / (1 + found.ritz.values.double()[:, None])).sum(0)
    rest = (variance / std**2 - images.sum(0)).clamp(min=0)
    alone = rest / (1 + rest)
    trace = _trace(linear, window.seed, how.draws, minimise) if alone.any() else 0.0
    share = min(max((trace - float(known.sum())) / max(float(alone.sum()), 1e-300), 0.0), 1.0)
    influence = known + share * alone
    return Diagnosed(variance, influence * std**2, influence, numbers)


def _trace(linear: Linear, seed: int, draws: int, minimise: Callable[[Linear], Minimum]) -> float:
    """The mean of ξᵀ H K ξ over random signs ξ."""
    random = torch.Generator().manual_seed(seed)
    signs = 2.0 * torch.randint(2, (draws, linear.misfit.shape[1]), generator=random).to(linear.misfit) - 1
    left = minimise(linear._replace(misfit=signs)).misfit  # (I − H K) ξ
    return float((signs * (signs - left)).sum() / draws)


def _columns(linear: Linear) -> Float[Tensor, "obs obs"]:
    """G Gᵀ."""
    size = linear.misfit.shape[1]
    units = torch.eye(size, dtype=linear.misfit.dtype, device=linear.misfit.device)
    found = torch.cat([linear.forward(linear.adjoint(part)).double() for part in units.split(AT_ONCE)])
    return (found + found.T) / 2
