"""Optimal interpolation: K = B Hᵀ (H B Hᵀ + R)⁻¹, solved among the observations, without iterations."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import Field, PositiveInt
from torch import Tensor

from oceanx.tensors.state import Increment, State
from oceanx.vocabulary.config import Config
from oceanx.vocabulary.errors import InputError

from .analysis import Analysis, Setting, Window, nothing
from .background import HybridConfig, SampledConfig, StaticConfig
from .covariance import Covariance
from .observation_space import background_covariance, fitted, persisted, refuse_many, solved
from .space_time import AnalyticConfig, SpaceTime
from .still import Still


class OptimalInterpolationConfig(Config):
    """Optimal interpolation.

    Attributes
    ----------
    background
        The covariance of the background's error.
    most
        More observations in one window are refused: the equations among them take their third power of time.
    """

    kind: Literal["oi"] = "oi"
    background: Annotated[StaticConfig | SampledConfig | HybridConfig | AnalyticConfig, Field(discriminator="kind")] = (
        StaticConfig()
    )
    most: PositiveInt = 10000

    def build(self, setting: Setting) -> OptimalInterpolation:
        """The method for one run."""
        prior = self.background.build(setting)
        return OptimalInterpolation(Applied(prior) if isinstance(prior, Covariance) else prior, self.most)


class Applied:
    """A Covariance as OI asks for it: between observations, and between them and cells."""

    def __init__(self, covariance: Covariance):
        self.covariance = covariance

    def about(self, background: State) -> Applied:
        """The same about a background, where B depends on it."""
        return Applied(self.covariance.about(background))

    def observed(self, window: Window) -> Float[Tensor, "obs obs"]:
        """H B Hᵀ, float64."""
        return background_covariance(self.covariance, persisted(window.observed.operator))

    def increment(self, weights: Float[Tensor, " obs"], window: Window) -> Increment:
        """B Hᵀ w, a batch of one."""
        values = weights.to(self.covariance.dtype)[None]
        return self.covariance(persisted(window.observed.operator).adjoint(values)[0])


class OptimalInterpolation(Still):
    """Optimal interpolation, departures taken at their own time (FGAT) and the increment as if it persisted.

    Its variances, χ² and influence are exact.

    References
    ----------
    Gandin (1963), Objective Analysis of Meteorological Fields; Daley (1991), Atmospheric Data Analysis, ch. 4.
    """

    def __init__(self, prior: Applied | SpaceTime, most: int = 10000):
        self.prior, self.most = prior, most

    @torch.no_grad()
    def __call__(self, background: State, window: Window) -> Analysis:
        """The Analysis of a window.

        Raises
        ------
        InputError
            If the window has too many observations.
        """
        refuse_many(background, "oi")
        size = len(window.observed)
        if not size:
            return nothing(background)
        if size > self.most:
            raise InputError(
                f"oi: {size} observations in one window, expected {self.most} at most; "
                "thin them, shorten the window, or use method=3dvar"
            )
        prior = self.prior.about(background) if isinstance(self.prior, Applied) else self.prior
        covariance = prior.observed(window)
        departures = window.observed.departures(window.trajectory(background))[0]
        found = solved(covariance, window.observed.std, departures)
        return Analysis(
            fitted(prior.increment(found.weights, window), background),
            variance=covariance.diagonal().clone(),
            analysed_variance=found.analysed_variance,
            chi_squared=found.chi_squared,
            influence=found.influence,
        )
