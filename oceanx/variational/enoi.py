"""Ensemble optimal interpolation: a covariance of samples that never change moves a single state.

    B = α/(n − 1) Σ_k a_k a_kᵀ

Samples are anomalies of a long run, or differences of its forecasts: what moves together in them moves together in the
analysis, whatever was observed. With anomalies of the season this is the static core of a SEEK filter.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field

from oceanx.tensors.state import Fields, Increment, State
from oceanx.vocabulary.config import Config
from oceanx.vocabulary.errors import InputError

from .analysis import Analysis, Setting, Window, nothing
from .ensemble import anomalies
from .local import Ocean, Seen
from .local_increments import everywhere
from .localisation import Reach
from .observation_space import fitted, persisted, refuse_many
from .square_root import Way, factored
from .still import Still


class EnOIConfig(Config):
    """EnOI.

    Attributes
    ----------
    alpha
        α, by which the samples' covariance is multiplied: below 1 where they are anomalies, which vary more than a
        background errs.
    localised
        Whether observations count near them alone.
    localisation, over_sea
        How far they then reach, as of the LETKF.
    """

    kind: Literal["enoi"] = "enoi"
    alpha: Annotated[float, Field(gt=0)] = 1.0
    localised: bool = True
    localisation: dict[str, Reach] = Field(default_factory=dict)
    over_sea: bool = False

    def build(self, setting: Setting) -> EnOI:
        """The method for one run.

        Raises
        ------
        InputError
            There are no samples.
        """
        if setting.samples is None:
            raise InputError("enoi: the background's errors have no samples; diagnose them with samples=...")
        return EnOI(self, setting, setting.samples)


class EnOI(Still):
    """Ensemble optimal interpolation, departures taken at their own time (FGAT) and the increment as if it persisted.

    References
    ----------
    Evensen (2003), doi:10.1007/s10236-003-0036-9; Oke, Brassington, Griffin & Schiller (2008),
    doi:10.1016/j.ocemod.2007.11.002; SEEK: Pham, Verron & Roubaud (1998), doi:10.1016/S0924-7963(97)00109-7
    """

    def __init__(self, config: EnOIConfig, setting: Setting, samples: Fields):
        self._samples, self._alpha = samples, config.alpha
        self._ocean = Ocean(setting, config.localisation, config.over_sea) if config.localised else None

    @torch.no_grad()
    def __call__(self, background: State, window: Window) -> Analysis:
        """The Analysis of a window."""
        refuse_many(background, "enoi")
        if not len(window.observed):
            return nothing(background)
        std = window.observed.std.double()
        departures = window.observed.departures(window.trajectory(background))[0].double()
        y = anomalies(persisted(window.observed.operator)(self._samples)).T.contiguous()
        prior = (y.shape[1] - 1) / self._alpha
        variance = y.square().sum(1) / prior
        seen = Seen(y, departures, std, prior)
        if self._ocean is None:
            return self._everywhere(background, seen, variance)
        local, taper = self._ocean.local(seen, window, factored)
        change, analysed = everywhere(self._samples, local, Way(), variance, states=1)
        return Analysis(
            fitted(change, background),
            variance=variance,
            analysed_variance=analysed,
            chi_squared=float((departures.square() / (variance + std**2)).sum()),
            influence=analysed * taper / std**2,
            numbers=self._ocean.told,
        )

    def _everywhere(self, background: State, seen: Seen, variance: torch.Tensor) -> Analysis:
        """One analysis for the whole ocean."""
        d = seen.departures / seen.std
        found = factored(torch.cat((seen.anomalies / seen.std[:, None], d[:, None]), 1), seen.prior)
        weights = torch.cholesky_solve(found.pull[:, None], found.triangle)[:, 0]
        change = Increment({n: torch.tensordot(weights, anomalies(a), 1)[None] for n, a in self._samples.items()})
        analysed = found.variance(seen.anomalies)
        return Analysis(
            fitted(change, background),
            variance=variance,
            analysed_variance=analysed,
            chi_squared=float(d @ d - found.pull @ weights),
            influence=analysed / seen.std**2,
        )
