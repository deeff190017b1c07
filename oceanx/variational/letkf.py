"""The local ensemble transform Kalman filter: every cell has an analysis of its own, of the observations near it."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field

from oceanx.tensors.state import State
from oceanx.vocabulary.config import Config

from .analysis import Analysis, Setting, Window, nothing
from .coarse import Coarse
from .ensemble import Ensemble, anomalies, equivalents, numbers
from .inflation import InflationConfig
from .local import Ocean, Seen
from .local_increments import everywhere, interpolated
from .localisation import Reach
from .square_root import solved


class LETKFConfig(Config):
    """The LETKF.

    Attributes
    ----------
    members
        How many states are carried.
    localisation
        How far observations reach, by observed variable; what is not given is diagnosed from the background's errors.
    over_sea
        Whether an observation behind land counts by its distance through water. All ways within reach are found once,
        when the method is built: seconds on 120 × 240 cells, and time that grows with the square of their number.
    every
        n: analyses in every nth row and column alone, whose weights are interpolated over the wet cells between them
        (n² fewer eigendecompositions; for n of half a half-width at most).
    inflation
        What is done against too little spread.
    rotate
        Whether the analysed anomalies are turned at random, everywhere alike, their mean and covariance kept.
    """

    kind: Literal["letkf"] = "letkf"
    members: Annotated[int, Field(ge=2)] = 40
    localisation: dict[str, Reach] = Field(default_factory=dict)
    over_sea: bool = False
    every: Annotated[int, Field(ge=1)] = 1
    inflation: InflationConfig = InflationConfig(rtps=0.5)
    rotate: bool = False

    def build(self, setting: Setting) -> LETKF:
        """The method for one run."""
        return LETKF(self, setting)


class LETKF(Ensemble):
    """The local ensemble transform Kalman filter.

    A cell out of reach of every observation keeps its members, bit for bit (unless all are rotated).

    Attributes
    ----------
    ocean
        With the half-widths of the localisation, as they are used.

    References
    ----------
    Hunt, Kostelich & Szunyogh (2007), doi:10.1016/j.physd.2006.11.008
    """

    def __init__(self, config: LETKFConfig, setting: Setting):
        super().__init__(config.members, config.inflation.build(setting), config.rotate)
        self.ocean = Ocean(setting, config.localisation, config.over_sea)
        rows, columns = setting.geometry.area.shape
        self._coarse = Coarse((rows, columns), config.every, setting.geometry.periodic) if config.every > 1 else None

    @torch.no_grad()
    def __call__(self, background: State, window: Window) -> Analysis:
        """The Analysis of a window, with an increment for every member."""
        self.check(background)
        if not len(window.observed):
            return nothing(background)
        members = equivalents(background, window)
        std = window.observed.std.double()
        departures = window.observed.values.double() - members.mean(0)
        y = anomalies(members).T.contiguous()
        variance = y.square().sum(1) / (self.members - 1)
        factor = self.inflation.learn(departures, std, variance)

        dtype = next(iter(background.values())).dtype
        seen = Seen(y, departures, std, (self.members - 1) / factor, dtype)
        local, taper = self.ocean.local(seen, window, solved)
        way, variance = self.way(window, y.device), factor * variance
        if self._coarse is None:
            increment, analysed = everywhere(background, local, way, variance)
        else:
            increment, analysed = interpolated(background, local, way, variance, self._coarse)
        return Analysis(
            self.inflation.widened(background, increment, window.seed),
            variance=variance,
            analysed_variance=analysed,
            chi_squared=float((departures.square() / (variance + std**2)).sum()),
            influence=analysed * taper / std**2,
            numbers=numbers(factor, variance / factor, analysed, std) | self.ocean.told,
        )
