"""The hybrid: a variational analysis whose covariance is partly the members', and members that follow it.

    B = (1 − w) B_static + w B_members ∘ C

The mean is analysed by 3D-Var with both; the members by the LETKF, and moved so that their mean is that one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import inf, isfinite
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from oceanx.tensors.state import Increment, State
from oceanx.vocabulary.config import Config

from .analysis import Analysis, Setting, Window, nothing
from .background import SampledConfig, StaticConfig
from .covariance import Covariance, Sum
from .inflation import InflationConfig
from .letkf import LETKF, LETKFConfig
from .localisation import Reach
from .sampled import Correlation, Localised
from .three_d import ThreeDVar, ThreeDVarConfig

DALEY = 0.3**0.5  # the Daley length of the Gaspari–Cohn function, in half-widths


class HybridConfig(Config):
    """3D-Var with the members' covariance, and an LETKF around it.

    Attributes
    ----------
    members
        How many states are carried.
    weight
        w, the members' share of the covariance.
    static
        The rest of it.
    iterations, tolerance
        As of 3D-Var.
    localisation, over_sea, every, inflation, rotate
        As of the LETKF. The members' covariance is localised by diffusion as far as the furthest of these reach.
    """

    kind: Literal["hybrid"] = "hybrid"
    members: Annotated[int, Field(ge=2)] = 40
    weight: Annotated[float, Field(ge=0, le=1)] = 0.5
    static: StaticConfig = StaticConfig()
    iterations: Annotated[int, Field(ge=1)] = 100
    tolerance: Annotated[float, Field(gt=0, lt=1)] = 1e-3
    localisation: dict[str, Reach] = Field(default_factory=dict)
    over_sea: bool = False
    every: Annotated[int, Field(ge=1)] = 1
    inflation: InflationConfig = InflationConfig(rtps=0.5)
    rotate: bool = False

    def build(self, setting: Setting) -> Hybrid:
        """The method for one run."""
        return Hybrid(self, setting)


class Hybrid:
    """The hybrid of 3D-Var and LETKF.

    χ², variances and influence are those of 3D-Var, with both covariances.

    References
    ----------
    Hamill & Snyder (2000), doi:10.1175/1520-0493(2000)128<2905:AHEKFV>2.0.CO;2; recentring: Wang, Barker, Snyder &
    Hamill (2008), doi:10.1175/2008MWR2444.1
    """

    def __init__(self, config: HybridConfig, setting: Setting):
        shared = {name: getattr(config, name) for name in LETKFConfig.model_fields if name != "kind"}
        self._filter = LETKF(LETKFConfig(**shared), setting)
        self._config, self._setting = config, setting
        self._static = config.static.build(setting) if config.weight < 1 else None
        self._variational = ThreeDVarConfig(iterations=config.iterations, tolerance=config.tolerance)
        self._correlation: Correlation | None = None

    @property
    def members(self) -> int:
        """How many states are carried."""
        return self._filter.members

    @torch.no_grad()
    def __call__(self, background: State, window: Window) -> Analysis:
        """The Analysis of a window, with an increment for every member."""
        self._filter.check(background)
        if not len(window.observed):
            return nothing(background)
        around = self._filter(background, window)
        mean = background.map(lambda field: field.double().mean(0, keepdim=True).to(field.dtype))
        moved = ThreeDVar(self._covariance(background), self._variational)(mean, window)
        increment = {
            name: change - change.mean(0, keepdim=True) + moved.increment[name]
            for name, change in around.increment.items()
        }
        return replace(moved, increment=Increment(increment), numbers={**around.numbers, **moved.numbers})

    def _covariance(self, members: State) -> Covariance:
        """B of a window."""
        parts = [] if self._static is None else [self._static.scaled((1 - self._config.weight) ** 0.5)]
        if self._config.weight:
            parts.append(self._localised(members).scaled(self._config.weight**0.5))
        return parts[0] if len(parts) == 1 else Sum(parts)

    def _localised(self, members: State) -> Covariance:
        """That of the members; what localises it is made in the first window."""
        if self._correlation is not None:
            return Localised(members, self._correlation)
        widths = self._filter.ocean.half_widths.values()
        km = DALEY * max(each.horizontal for each in widths) / 1000
        # What is observed of the surface reaches all depths, but does not make the water relate to all depths.
        m = DALEY * max((each.vertical for each in widths if isfinite(each.vertical)), default=inf)
        config = SampledConfig(length=km if isfinite(km) else None, height=m if isfinite(m) else None)
        known = config.build(replace(self._setting, samples=members))
        if isinstance(known, Localised):
            self._correlation = known.correlation
        return known

    @property
    def carried(self) -> Mapping[str, Tensor]:
        """What the inflation has learnt."""
        return self._filter.carried

    def resume(self, carried: Mapping[str, Tensor]) -> None:
        """Go on with what was carried."""
        self._filter.resume(carried)

    def advance(self, before: State, after: State, step: Callable[[State], State]) -> None:
        """Nothing: the members carry the covariance."""
