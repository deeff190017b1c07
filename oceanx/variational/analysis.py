"""What an analysis method is: a function from a background and a window of observations to an Analysis.

    d = y − H(x_b)        x_a = x_b + K d        K = B Hᵀ (H B Hᵀ + R)⁻¹

A method that carries an ensemble takes its members as a batch and gives every one its increment; any other takes a
batch of one. Methods know neither dates nor labels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from oceanx.tensors.geometry import Geometry
from oceanx.tensors.observe import Operator
from oceanx.tensors.state import Fields, Forcing, Increment, State
from oceanx.vocabulary.channels import Channels

# From the state at a window's beginning to those at all its times, the given one first.
Trajectory = Callable[[State], Sequence[State]]


@dataclass(frozen=True)
class Observed:
    """What was observed in a window: values y, the standard deviations σo of their errors, and the operator H."""

    values: Float[Tensor, " obs"]
    std: Float[Tensor, " obs"]
    operator: Operator

    def departures(self, states: Sequence[State]) -> Float[Tensor, "batch obs"]:
        """y − H(x)."""
        return self.values.to(next(iter(states[0].values())).dtype) - self.operator(states)

    def __len__(self) -> int:
        return self.operator.size


@dataclass(frozen=True)
class Window:
    """One assimilation window.

    Attributes
    ----------
    observed
        What was observed in it.
    trajectory
        How the model gets through it; of a window with one time, the state alone.
    forcing
        At its beginning and its end, climatology included; what a learned analysis is told.
    seed
        Of its random numbers: a function of the run's seed and of the window, never of what was computed before.
    latitude, longitude, depth
        Of the observations, for localisation, in degrees and m `[obs]`.
    age
        When they were made, in seconds after the analysis time `[obs]`.
    step
        One step of the model, by its number in the window, of which `trajectory` is made: what derives it step by
        step keeps the states between and forgets the inside of each.
    """

    observed: Observed
    trajectory: Trajectory = lambda state: [state]
    forcing: Forcing | None = None
    seed: int = 0
    latitude: Tensor | None = None
    longitude: Tensor | None = None
    depth: Tensor | None = None
    age: Tensor | None = None
    step: Callable[[State, int], State] | None = None


@dataclass(frozen=True)
class Analysis:
    """What a method gives for a window.

    Attributes
    ----------
    increment
        To the state, or to every member, at the window's beginning; batch as the background's.
    variance
        diag(H B Hᵀ), as the method takes it, `[obs]`; None where it has no opinion.
    analysed_variance
        diag(H A Hᵀ), likewise.
    chi_squared
        dᵀ (H B Hᵀ + R)⁻¹ d, which is p on average where B and R are true; of local and learned analyses, which know
        variances alone, Σ d² / (σb² + σo²), which is p likewise, but scatters more. None where unknown.
    influence
        Degrees of freedom for signal of each observation, diag(H K) `[obs]`; None where unknown.
    numbers
        What else is worth a line in the log: iterations, cost, inflation …
    """

    increment: Increment
    variance: Float[Tensor, " obs"] | None = None
    analysed_variance: Float[Tensor, " obs"] | None = None
    chi_squared: float | None = None
    influence: Float[Tensor, " obs"] | None = None
    numbers: Mapping[str, float] = field(default_factory=dict)


class Method(Protocol):
    """What turns the background of a window into its Analysis.

    `carried` is what a method brings from one window to the next beside the states (inflation, a covariance), as
    tensors by name: a cycle that is taken up again hands it back through `resume`. Without observations every method
    gives an increment of zero.
    """

    members: int  # how many states it carries; 1 where it carries no ensemble

    def __call__(self, background: State, window: Window) -> Analysis: ...

    @property
    def carried(self) -> Mapping[str, Tensor]: ...

    def resume(self, carried: Mapping[str, Tensor]) -> None: ...

    def advance(self, before: State, after: State, step: Callable[[State], State]) -> None:
        """Called after every model step between analyses, for methods that carry a covariance of their own."""


@dataclass(frozen=True)
class Setting:
    """What a method may know of the ocean that it works in.

    Attributes
    ----------
    channels, geometry
        Of the state.
    spread
        Standard deviation of the background's error by variable, `[level, lat, lon]`, 0 on land.
    length, height
        Over which horizontal (m) and vertical (m) distance it hangs together, by variable.
    samples
        Of the background's error (differences of forecasts, or anomalies) `[sample, level, lat, lon]`, or None.
    residuals
        What one step of the model leaves unexplained, likewise: samples of its error, or None.
    """

    channels: Channels
    geometry: Geometry
    spread: Mapping[str, Tensor]
    length: Mapping[str, float]
    height: Mapping[str, float]
    samples: Fields | None = None
    residuals: Fields | None = None


def nothing(background: State) -> Analysis:
    """The Analysis of a window without observations: the background, bit for bit."""
    empty = torch.zeros(0)
    zero = Increment({name: torch.zeros_like(field) for name, field in background.items()})
    return Analysis(zero, variance=empty, analysed_variance=empty, influence=empty)
