"""The Kalman filter with its covariance written out, for states of a few thousand numbers.

    P_f = M P_a Mᵀ + Q        K = P_f Hᵀ (H P_f Hᵀ + R)⁻¹        P_a = P_f − K H P_f

M is the model's own tangent, so of a model that is not linear this is the extended Kalman filter.

References
----------
Kalman (1960), J. Basic Eng. 82, 35, doi:10.1115/1.3662552; Jazwinski (1970), Stochastic Processes and Filtering Theory,
ISBN 0-12-381550-9.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import torch
from jaxtyping import Float
from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor

from oceanx.tensors.geometry import Geometry
from oceanx.tensors.state import Fields, Increment, State
from oceanx.vocabulary.channels import Channels
from oceanx.vocabulary.config import Config
from oceanx.vocabulary.errors import InputError

from .analysis import Analysis, Setting, Window, nothing
from .background import BackgroundConfig, SampledConfig
from .covariance import Covariance
from .observation_space import fitted, refuse_many, solved
from .sampled import anomalies
from .tangent import Way, tangent

AT_ONCE = 256  # columns of a matrix that go through the model together
COVARIANCE = "covariance"


class KalmanConfig(Config):
    """The Kalman filter.

    Attributes
    ----------
    background
        The first P.
    residuals
        Q is the covariance of what one step of the model leaves unexplained (the Setting's residuals), errors being
        so many times as large.
    uncorrelated
        Q is diagonal instead: of every step an error of this share of the Setting's spread.
    most
        Larger states are refused: P has their number squared.
    """

    kind: Literal["kalman"] = "kalman"
    background: BackgroundConfig = SampledConfig(length=None)
    residuals: NonNegativeFloat = 1.0
    uncorrelated: NonNegativeFloat | None = None
    most: PositiveInt = 4000

    def build(self, setting: Setting) -> Kalman:
        """The method for one run."""
        wet = Wet(setting.channels, setting.geometry)
        if wet.size > self.most:
            raise InputError(
                f"kalman: {wet.size} wet values in a state, expected {self.most} at most; use method=letkf or 4dvar"
            )
        return Kalman(wet, matrix(self.background.build(setting), wet), self._noise(setting, wet))

    def _noise(self, setting: Setting, wet: Wet) -> Tensor:
        if self.uncorrelated is not None:
            spread = wet.vectors({name: field[None] for name, field in setting.spread.items()})[0]
            return torch.diag((self.uncorrelated * spread).square())
        if setting.residuals is None:
            raise InputError("kalman: the model's errors have no residuals; diagnose them, or say uncorrelated=0.1")
        known = wet.vectors(anomalies(setting.residuals)) * self.residuals
        return known.T @ known


class Wet:
    """The wet values of a state as one vector, variable after variable in C order, in float64."""

    def __init__(self, channels: Channels, geometry: Geometry):
        self.where = {name: geometry.mask_of(channels.levels(name)) > 0 for name in channels.names}
        self.size = sum(int(mask.sum()) for mask in self.where.values())

    def vectors(self, fields: Mapping[str, Tensor]) -> Float[Tensor, "batch size"]:
        """The wet values; a variable that is lacking is 0."""
        some = next(iter(fields.values()))
        whole = {name: fields.get(name, some.new_zeros(len(some), *mask.shape)) for name, mask in self.where.items()}
        return torch.cat([whole[name][:, mask].double() for name, mask in self.where.items()], dim=1)

    def fields(self, vectors: Float[Tensor, "batch size"]) -> Increment:
        """The inverse, 0 on land."""
        made, start = {}, 0
        for name, mask in self.where.items():
            count = int(mask.sum())
            made[name] = vectors.new_zeros(len(vectors), *mask.shape)
            made[name][:, mask] = vectors[:, start : start + count]
            start += count
        return Increment(made)

    def units(self) -> list[Increment]:
        """Changes by 1 of every value in turn, so many at once."""
        return [self.fields(part) for part in torch.eye(self.size, dtype=torch.float64).split(AT_ONCE)]


class Kalman:
    """The extended Kalman filter.

    Of a window with several times it takes the model to be perfect within it.

    Attributes
    ----------
    covariance
        P, of the wet values `[value, value]`, float64.
    noise
        Q of one step.
    """

    members = 1

    def __init__(self, wet: Wet, covariance: Float[Tensor, "value value"], noise: Float[Tensor, "value value"]):
        self.wet, self.covariance, self.noise = wet, covariance.double(), noise.double()

    @torch.no_grad()
    def __call__(self, background: State, window: Window) -> Analysis:
        """The Analysis of a window; P becomes that of the analysis."""
        refuse_many(background, "kalman")
        if not len(window.observed):
            return nothing(background)
        seen = self._seen(background, window)
        shared = self.covariance @ seen  # P Hᵀ
        told = seen.T @ shared
        told = (told + told.T) / 2
        std = window.observed.std.double()
        departures = window.observed.departures(window.trajectory(background))[0]
        found = solved(told, std, departures)
        factor = torch.linalg.cholesky(told + torch.diag(std**2))
        known = torch.linalg.solve_triangular(factor, shared.T, upper=False)
        self.covariance = self.covariance - known.T @ known
        return Analysis(
            fitted(self.wet.fields((shared @ found.weights)[None]), background),
            variance=told.diagonal().clone(),
            analysed_variance=found.analysed_variance,
            chi_squared=found.chi_squared,
            influence=found.influence,
            numbers={"spread": float(self.covariance.diagonal().clamp(min=0).mean().sqrt())},
        )

    @property
    def carried(self) -> Mapping[str, Tensor]:
        return {COVARIANCE: self.covariance}

    def resume(self, carried: Mapping[str, Tensor]) -> None:
        self.covariance = carried[COVARIANCE]

    @property
    def deviation(self) -> Fields:
        """√diag P, by variable `[1, level, lat, lon]`."""
        return self.wet.fields(self.covariance.diagonal().clamp(min=0).sqrt()[None])

    @torch.no_grad()
    def advance(self, before: State, after: State, step: Callable[[State], State]) -> None:
        """P becomes M P Mᵀ + Q, M the step's tangent before it."""
        moved = self._moved(lambda state: [step(state)], before)[0]
        found = moved.T @ self.covariance @ moved + self.noise
        self.covariance = (found + found.T) / 2

    def _moved(self, way: Way, at: State) -> list[Tensor]:
        """Mᵀ to each state that a way gives: what becomes of a change by 1 of each value, `[value, value]`."""
        parts = [[self.wet.vectors(each) for each in tangent(way, at, units)] for units in self.wet.units()]
        return [torch.cat(rows) for rows in zip(*parts, strict=True)]

    def _seen(self, background: State, window: Window) -> Float[Tensor, "value obs"]:
        """Hᵀ of the window, through the model where it has several times."""
        operator = window.observed.operator
        if operator.times == 1:
            return torch.cat([operator(units) for units in self.wet.units()])
        moved = (tangent(window.trajectory, background, units) for units in self.wet.units())
        return torch.cat([operator(changes).double() for changes in moved])


def matrix(covariance: Covariance, wet: Wet) -> Float[Tensor, "value value"]:
    """B of the wet values."""
    units = torch.eye(covariance.size, dtype=covariance.dtype)
    root = torch.cat([wet.vectors(covariance.root(part)) for part in units.split(AT_ONCE)])
    return root.T @ root
