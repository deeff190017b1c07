"""3D-Var: the cost in control space, departures taken at their own time and the increment as if it persisted (FGAT)."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field, PositiveInt

from oceanx.tensors.state import State
from oceanx.vocabulary.config import Config

from .analysis import Analysis, Setting, Window, nothing
from .background import BackgroundConfig, StaticConfig
from .covariance import Covariance
from .diagnosing import Spread, Variances, diagnosed
from .minimise import Linear, Minimum, conjugate_gradients
from .observation_space import fitted, persisted, refuse_many, refuse_unknown
from .still import Still


class ThreeDVarConfig(Config):
    """3D-Var.

    Attributes
    ----------
    background
        The covariance of the background's error.
    iterations
        Of conjugate gradients, at most.
    tolerance
        To which share the gradient is to fall.
    variances
        How those at the observations are found.
    """

    kind: Literal["3dvar"] = "3dvar"
    background: BackgroundConfig = StaticConfig()
    iterations: PositiveInt = 100
    tolerance: float = Field(default=1e-3, gt=0, lt=1)
    variances: Variances = Variances()

    def build(self, setting: Setting) -> ThreeDVar:
        """The method for one run."""
        return ThreeDVar(self.background.build(setting), self)


class ThreeDVar(Still):
    """3D-Var by conjugate gradients.

    χ² is twice the cost where they end, which at the minimum is dᵀ (H B Hᵀ + R)⁻¹ d.

    References
    ----------
    Lorenc (1986), Q. J. R. Meteorol. Soc. 112, 1177, doi:10.1002/qj.49711247414; Fisher & Andersson (2001), ECMWF Tech.
    Memo. 347, doi:10.21957/oenkg5i4r (FGAT).
    """

    def __init__(self, covariance: Covariance, config: ThreeDVarConfig | None = None):
        self.covariance, self.config = covariance, config or ThreeDVarConfig()
        self._spread = Spread()

    @torch.no_grad()
    def __call__(self, background: State, window: Window) -> Analysis:
        """The Analysis of a window."""
        refuse_many(background, "3dvar")
        if not len(window.observed):
            return nothing(background)
        refuse_unknown(self.covariance, window.observed.operator)
        covariance = self.covariance.about(background)
        linear = linearised(covariance, background, window)
        how = self.config.variances
        found = self._minimum(linear, lanczos=how.draws > 0 and len(window.observed) > how.exact)
        increment = fitted(covariance.root(found.v), background)
        spread = self._spread.of(covariance)
        seen = diagnosed(found, linear, window, spread, how, self._minimum)
        return Analysis(increment, *seen.variances, float(found.twice_cost[0]), seen.influence, seen.numbers)

    def _minimum(self, linear: Linear, lanczos: bool = False) -> Minimum:
        return conjugate_gradients(linear, None, self.config.iterations, self.config.tolerance, lanczos)


def linearised(covariance: Covariance, background: State, window: Window) -> Linear:
    """G = R^(−1/2) H L with H as if increments persisted, and the departures."""
    kept, std = persisted(window.observed.operator), window.observed.std.to(covariance.dtype)
    departures = window.observed.departures(window.trajectory(background)).to(covariance.dtype)
    return Linear(
        forward=lambda v: kept(covariance.root(v)) / std,
        adjoint=lambda w: covariance.adjoint(kept.adjoint(w / std)[0]),
        misfit=departures / std,
    )
