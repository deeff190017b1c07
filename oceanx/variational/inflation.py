"""Inflation: what gives an ensemble back the spread that few members and an imperfect model make it lose.

    multiplicative   X_b → λ X_b                                      before the analysis, where there are observations
    RTPP             X_a → (1 − α) X_a + α X_b                        relaxation to the prior perturbations
    RTPS             X_a → X_a [1 + α (σ_b − σ_a)/σ_a]                relaxation to the prior spread
    additive         X_a → X_a + β (samples of the model's error)     with a mean of 0
    adaptive         λ² from the innovations, smoothed in time

They may be put together; left as they are they do nothing, bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import Field, NonNegativeFloat
from torch import Tensor

from oceanx.tensors.state import Fields, Increment, State
from oceanx.vocabulary.config import Config
from oceanx.vocabulary.errors import InputError

from .analysis import Setting


class Adaptive(Config):
    """Multiplicative inflation that follows the innovations.

    With s = Σ HBHᵀ/σo² and n observations, an estimate of λ² is α = (Σ d²/σo² − n)/s, of variance
    2/n ((λ² s + n)/s)²; a scalar Kalman filter weighs it against the λ² of the window before.

    Attributes
    ----------
    std
        How far λ² may wander from one window to the next.
    least, most
        Between which λ² stays.

    References
    ----------
    Li, Kalnay & Miyoshi (2009), doi:10.1002/qj.371; the estimate's variance: Miyoshi (2011),
    doi:10.1175/2011MWR3570.1
    """

    std: Annotated[float, Field(gt=0)] = 0.04
    least: Annotated[float, Field(gt=0)] = 1.0
    most: Annotated[float, Field(gt=0)] = 4.0


class InflationConfig(Config):
    """What is done against too little spread. Without any key: nothing.

    Attributes
    ----------
    multiplicative
        λ, by which anomalies are multiplied (so their variance by λ²); where `adaptive`, its beginning.
    rtps, rtpp
        α of the relaxations, 0 to 1.
    additive
        β, how much of a sample of the model's error every member gets: one number, or some by variable, 0 for those
        not given.
    samples
        Which: `residuals`, what one step of the model leaves unexplained, or `samples` of the background's error.
    adaptive
        How λ follows the innovations, or None.

    References
    ----------
    RTPP: Zhang, Snyder & Sun (2004), doi:10.1175/1520-0493(2004)132<1238:IOIEAO>2.0.CO;2; RTPS: Whitaker & Hamill
    (2012), doi:10.1175/MWR-D-11-00276.1
    """

    multiplicative: Annotated[float, Field(gt=0)] = 1.0
    rtps: Annotated[float, Field(ge=0, le=1)] = 0.0
    rtpp: Annotated[float, Field(ge=0, le=1)] = 0.0
    additive: NonNegativeFloat | Mapping[str, NonNegativeFloat] = 0.0
    samples: Literal["residuals", "samples"] = "residuals"
    adaptive: Adaptive | None = None

    def build(self, setting: Setting) -> Inflation:
        """The inflation of one run, at its beginning."""
        return Inflation(self, self._scaled(setting) if self.additive else None)

    def _scaled(self, setting: Setting) -> Fields:
        """β times the samples."""
        samples: Fields | None = getattr(setting, self.samples)
        if samples is None:
            raise InputError(
                f"additive inflation of {self.additive}: there are no {self.samples} of errors to draw from; "
                "give background errors that hold them, or set additive to 0"
            )
        if not isinstance(self.additive, Mapping):
            return Fields({name: self.additive * field for name, field in samples.items()})
        if strangers := sorted(self.additive.keys() - samples.keys()):
            raise InputError(f"additive inflation names {strangers}; there are {self.samples} of {sorted(samples)}")
        return Fields({name: factor * samples[name] for name, factor in self.additive.items()})


class Inflation:
    """Inflation as it goes from window to window.

    Parameters
    ----------
    samples
        What members get of, β times the model's errors; None for nothing.

    Attributes
    ----------
    variance_factor
        λ² as it is now.
    """

    def __init__(self, config: InflationConfig, samples: Fields | None = None):
        self.config, self._samples = config, samples
        self.variance_factor = config.multiplicative**2

    def learn(
        self, departures: Float[Tensor, " obs"], std: Float[Tensor, " obs"], variance: Float[Tensor, " obs"]
    ) -> float:
        """λ² for a window, of y − H(x̄_b), σo and the variance between the members; remembered for the next one."""
        adaptive = self.config.adaptive
        if adaptive is not None:
            count, weight = len(departures), std.double() ** -2
            spread = float((variance * weight).sum())
            if spread > 0:
                before = self.variance_factor
                found = (float((departures.square() * weight).sum()) - count) / spread
                doubt = 2 / count * ((before * spread + count) / spread) ** 2
                gain = adaptive.std**2 / (adaptive.std**2 + doubt)
                self.variance_factor = min(max(before + gain * (found - before), adaptive.least), adaptive.most)
        return self.variance_factor

    def widened(self, members: State, increment: Increment, seed: int) -> Increment:
        """The members' increments with RTPS and additive inflation; cells that no observation reached keep theirs."""
        if self.config.rtps:
            increment = _relaxed(members, increment, self.config.rtps)
        return self._noisy(increment, seed) if self._samples is not None else increment

    def _noisy(self, increment: Increment, seed: int) -> Increment:
        """With as many samples drawn as there are members, less their mean."""
        assert self._samples is not None
        first = next(iter(increment.values()))
        have = len(next(iter(self._samples.values())))
        drawn = torch.randint(have, (len(first),), generator=torch.Generator().manual_seed(seed + 1))
        result = dict(increment)
        for name, field in increment.items():
            if name in self._samples:
                noise = self._samples[name].to(field.device)[drawn.to(field.device)].to(field.dtype)
                result[name] = field + (noise - noise.mean(0, keepdim=True))
        return Increment(result)

    @property
    def carried(self) -> Mapping[str, Tensor]:
        """λ², where it is learnt."""
        if self.config.adaptive is None:
            return {}
        return {"inflation": torch.tensor(self.variance_factor, dtype=torch.float64)}

    def resume(self, carried: Mapping[str, Tensor]) -> None:
        """Go on with what was carried."""
        if self.config.adaptive is not None:
            self.variance_factor = float(carried["inflation"])


def _relaxed(members: State, increment: Increment, share: float) -> Increment:
    """RTPS: with the analysed anomalies multiplied by 1 + α (σ_b − σ_a)/σ_a, which is 1 where nothing changed."""
    result = {}
    for name, change in increment.items():
        after, before = _centred(members[name] + change), _centred(members[name])
        old, new = before.square().sum(0).sqrt(), after.square().sum(0).sqrt()
        result[name] = change + torch.where(new > 0, share * (old - new) / new, 0.0) * after
    return Increment(result)


def _centred(members: Tensor) -> Tensor:
    return members - members.mean(0)
