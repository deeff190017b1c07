"""Covariances of the background's error as plain values: static ones, those of samples, and both together.

Each builds itself of a Setting. What depends on the background itself is told of it later, by `Covariance.about`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from math import inf
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, Field, NonNegativeFloat, PositiveFloat
from torch import Tensor

from oceanx.tensors.state import Fields
from oceanx.vocabulary.config import Config
from oceanx.vocabulary.errors import InputError

from .analysis import Setting
from .balance import CURRENTS, Balance, BalanceConfig, Balanced
from .covariance import Correlation, Covariance, Sum
from .diffusion import DRAWS, EXACT, Diffusion, scale
from .sampled import Localised, Sampled
from .tapered import Tapered
from .univariate import Univariate, dimensions, univariate

Known = TypeVar("Known", float, Tensor)


def _even(steps: int) -> int:
    if steps < 2 or steps % 2:
        raise ValueError("expected an even number of steps, whose half is the root")
    return steps


Factor = PositiveFloat | Mapping[str, PositiveFloat]  # the same for all, or by variable, 1 for those not given
Steps = Annotated[int, AfterValidator(_even)]  # of diffusion; 4 at least in a plane, 2 in a channel


class StaticConfig(Config):
    """Spreads and lengths of the Setting, with correlations by diffusion.

    Attributes
    ----------
    steps
        Of diffusion, even.
    spread, length, height
        Times what the Setting says: one number, or some by variable.
    balance
        Between variables; None where they are to know nothing of each other.
    exact, draws
        As of `Diffusion`.
    """

    kind: Literal["static"] = "static"
    steps: Steps = 4
    spread: Factor = 1.0
    length: Factor = 1.0
    height: NonNegativeFloat | Mapping[str, NonNegativeFloat] = 1.0
    balance: BalanceConfig | None = None
    exact: int = Field(default=EXACT, ge=0)
    draws: int = Field(default=DRAWS, ge=1)

    def build(self, setting: Setting) -> Covariance:
        """The covariance in this Setting."""
        _refuse_cusp(self.steps, setting)
        stretched = Setting(
            setting.channels,
            setting.geometry,
            _times("spread", setting.spread, self.spread),
            _times("length", setting.length, self.length),
            _times("height", setting.height, self.height),
        )
        alone = univariate(stretched, self.steps, self.exact, self.draws)
        if self.balance is None:
            return alone
        samples = setting.samples
        if samples is not None:
            samples = type(samples)(_times("spread", samples, self.spread))
        return _balanced(alone, self.balance, setting, samples)


class SampledConfig(Config):
    """The Setting's samples.

    Attributes
    ----------
    spread
        Times that of the samples.
    localisation
        By diffusion, which knows the coast, or by the function of Gaspari and Cohn, which is 0 beyond two half-widths
        and for small grids.
    length, height
        Daley lengths, or half-widths, of the localisation: in km, and vertically in m. None: not localised; of a
        height of None, levels stay related.
    steps
        Of the diffusion that localises.
    """

    kind: Literal["samples"] = "samples"
    spread: PositiveFloat = 1.0
    localisation: Literal["diffusion", "gaspari_cohn"] = "diffusion"
    length: PositiveFloat | None = 500.0
    height: PositiveFloat | None = None
    steps: Steps = 4

    def build(self, setting: Setting) -> Covariance:
        """The covariance in this Setting; `InputError` of one without samples."""
        if setting.samples is None:
            raise InputError("covariance of samples: the background's errors have none; diagnose them with samples=...")
        samples = setting.samples.map(lambda field: field * self.spread)
        if self.length is None:
            return Sampled(samples)
        levels = max(field.shape[1] for field in samples.values())
        return Localised(samples, self._correlation(setting, levels, 1000 * self.length))

    def _correlation(self, setting: Setting, levels: int, length: float) -> Correlation:
        if self.localisation == "gaspari_cohn":
            return Tapered(setting.geometry, levels, length, self.height or inf)
        _refuse_cusp(self.steps, setting)
        across = scale(length, self.steps, dimensions(setting.geometry))
        tall = self.height or 1e3 * float(setting.geometry.interfaces[-1])
        return Diffusion(setting.geometry, levels, across, scale(tall, self.steps, 1), self.steps)


class HybridConfig(Config):
    """A static covariance and that of samples: B = (1 − w) B_s + w B_e, w being `weight`."""

    kind: Literal["hybrid"] = "hybrid"
    weight: float = Field(default=0.5, ge=0, le=1)
    static: StaticConfig = StaticConfig()
    samples: SampledConfig = SampledConfig()

    def build(self, setting: Setting) -> Covariance:
        """The covariance in this Setting."""
        parts: list[tuple[StaticConfig | SampledConfig, float]] = [
            (self.static, 1 - self.weight),
            (self.samples, self.weight),
        ]
        return Sum([part.build(setting).scaled(share**0.5) for part, share in parts if share > 0])


BackgroundConfig = Annotated[StaticConfig | SampledConfig | HybridConfig, Field(discriminator="kind")]


def _refuse_cusp(steps: int, setting: Setting) -> None:
    if 2 * steps <= dimensions(setting.geometry) + 2:
        raise InputError(f"steps: found {steps}, of which a correlation in a plane has no length; expected 4, 6, ...")


def _balanced(alone: Univariate, config: BalanceConfig, setting: Setting, samples: Fields | None) -> Balanced:
    balance = partial(Balance, geometry=setting.geometry, config=config)
    if config.unbalanced is None:
        if samples is None:
            raise InputError(
                "balance: say which share of the spread is unbalanced=..., or diagnose errors with samples"
            )
        return Balanced(alone, balance, samples)
    follow = (*CURRENTS, "zos")
    spread = {name: s * config.unbalanced if name in follow else s for name, s in alone.spread.items()}
    return Balanced(Univariate(spread, alone.correlations), balance)


def _times(word: str, known: Mapping[str, Known], factor: float | Mapping[str, float]) -> dict[str, Known]:
    """What the Setting says of each variable, times a factor or its own."""
    if not isinstance(factor, Mapping):
        return {name: value * factor for name, value in known.items()}
    strangers = sorted(set(factor) - set(known))
    if strangers:
        raise InputError(f"{word}: {strangers} are not among {list(known)}")
    return {name: value * factor.get(name, 1.0) for name, value in known.items()}
