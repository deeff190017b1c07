"""The ensemble transform Kalman filter: the members' own covariance as B, one analysis for the whole ocean."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from oceanx.tensors.state import Fields, Increment, State
from oceanx.vocabulary.config import Config

from .analysis import Analysis, Setting, Window, nothing
from .ensemble import Ensemble, anomalies, equivalents, numbers
from .inflation import InflationConfig
from .square_root import matrix, solved


class ETKFConfig(Config):
    """The ETKF: without localisation, so for as many members as errors have directions.

    Attributes
    ----------
    members
        How many states are carried.
    inflation
        What is done against too little spread.
    rotate
        Whether the analysed anomalies are turned at random, their mean and covariance kept: members forget outliers
        (which a nonlinear model makes of a symmetric root), and lose who they were.
    """

    kind: Literal["etkf"] = "etkf"
    members: Annotated[int, Field(ge=2)] = 40
    inflation: InflationConfig = InflationConfig(rtps=0.5)
    rotate: bool = False

    def build(self, setting: Setting) -> ETKF:
        """The method for one run."""
        return ETKF(self, setting)


class ETKF(Ensemble):
    """The ensemble transform Kalman filter with the symmetric square root.

    References
    ----------
    Bishop, Etherton & Majumdar (2001), doi:10.1175/1520-0493(2001)129<0420:ASWTET>2.0.CO;2; symmetric root: Ott et al.
    (2004), doi:10.1111/j.1600-0870.2004.00076.x; Hunt, Kostelich & Szunyogh (2007), doi:10.1016/j.physd.2006.11.008
    """

    def __init__(self, config: ETKFConfig, setting: Setting):
        super().__init__(config.members, config.inflation.build(setting), config.rotate)

    @torch.no_grad()
    def __call__(self, background: State, window: Window) -> Analysis:
        """The Analysis of a window, with an increment for every member."""
        self.check(background)
        if not len(window.observed):
            return nothing(background)
        seen = equivalents(background, window)
        std = window.observed.std.double()
        departures = window.observed.values.double() - seen.mean(0)
        y = anomalies(seen)
        variance = y.square().sum(0) / (self.members - 1)
        factor = self.inflation.learn(departures, std, variance)

        d, prior = departures / std, (self.members - 1) / factor
        found = solved(torch.cat((y / std, d[None])).T, prior)
        transform = matrix(found, self.members, self.way(window, y.device), found.pull)
        analysed = found.variance(y.T)
        return Analysis(
            self.inflation.widened(background, turned(background, transform), window.seed),
            variance=factor * variance,
            analysed_variance=analysed,
            chi_squared=float(d @ d - found.variance(found.pull[None])),
            influence=analysed / std**2,
            numbers=numbers(factor, variance, analysed, std),
        )


def turned(members: Fields, matrix: Float[Tensor, "m m"]) -> Increment:
    """What members get by one matrix for the whole ocean: Tᵀ X, as precise as they are."""

    def of(field: Tensor) -> Tensor:
        return torch.einsum("ij,i...->j...", matrix, anomalies(field)).to(field.dtype)

    return Increment({name: of(field) for name, field in members.items()})
