"""Incremental strong-constraint 4D-Var: the state at a window's beginning from which the model meets its observations.

    J(v) = ½ vᵀ v + ½ Σ_k |R_k^(−1/2) (y_k − H_k M_k(x_b + L v))|²

Every outer loop runs the model, linearises it there, and minimises the quadratic cost that comes of it by conjugate
gradients: one tangent and one adjoint of the whole window an iteration. Both go step by step: the states between are
kept, the inside of each step is computed again where it is needed.

References
----------
Courtier, Thépaut & Hollingsworth (1994), Q. J. R. Meteorol. Soc. 120, 1367, doi:10.1002/qj.49712051912; Le Dimet &
Talagrand (1986), Tellus A 38, 97, doi:10.3402/tellusa.v38i2.11706.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor

from oceanx.tensors.state import Increment, State
from oceanx.vocabulary.config import Config
from oceanx.vocabulary.errors import InputError

from .analysis import Analysis, Setting, Window, nothing
from .background import BackgroundConfig, StaticConfig
from .covariance import Covariance
from .diagnosing import Spread, Variances, diagnosed
from .minimise import Linear, Minimum, conjugate_gradients, gauss_newton, quasi_newton
from .observation_space import fitted, refuse_many, refuse_unknown
from .still import Still
from .tangent import Way, adjoint, differentiable, tangent


class FourDVarConfig(Config):
    """4D-Var.

    Attributes
    ----------
    background
        The covariance of the background's error.
    minimiser
        `gauss_newton`, linearised anew in every outer loop; `quasi_newton`, L-BFGS on the cost as it is, which needs no
        tangent of the model.
    loops
        Outer ones.
    iterations
        In each of them, at most; of `quasi_newton` in all.
    tolerance
        To which share the gradient is to fall in each.
    variances
        How those at the observations are found. Of more observations than `exact`, and by `quasi_newton`, that of the
        background is the one at the window's beginning.
    """

    kind: Literal["4dvar"] = "4dvar"
    background: BackgroundConfig = StaticConfig()
    minimiser: Literal["gauss_newton", "quasi_newton"] = "gauss_newton"
    loops: PositiveInt = 2
    iterations: PositiveInt = 20
    tolerance: float = Field(default=1e-2, gt=0, lt=1)
    variances: Variances = Variances(exact=0, draws=0)

    def build(self, setting: Setting) -> FourDVar:
        """The method for one run."""
        return FourDVar(self.background.build(setting), self)


class FourDVar(Still):
    """4D-Var without model error over any Step that can be derived.

    χ² is twice the cost where the minimisation ends. B is that of the first outer loop's background.
    """

    def __init__(self, covariance: Covariance, config: FourDVarConfig | None = None):
        self.covariance, self.config = covariance, config or FourDVarConfig()
        self._spread, self._probed = Spread(), False

    @torch.no_grad()
    def __call__(self, background: State, window: Window) -> Analysis:
        """The Analysis of a window.

        Raises
        ------
        InputError
            If the model has no gradient.
        """
        refuse_many(background, "4dvar")
        if not len(window.observed):
            return nothing(background)
        refuse_unknown(self.covariance, window.observed.operator)
        self._probe(background, window)
        covariance = self.covariance.about(background)
        problem = Problem(covariance, background, window)
        found = self._minimised(problem)
        increment = fitted(covariance.root(found.v), background)
        linear, spread = problem.about(found.v), self._spread.of(covariance)
        seen = diagnosed(found, linear, window, spread, self.config.variances, self._once_more)
        return Analysis(increment, *seen.variances, float(found.twice_cost[0]), seen.influence, seen.numbers)

    def _minimised(self, problem: Problem) -> Minimum:
        config = self.config
        if config.minimiser == "gauss_newton":
            lanczos = config.variances.draws > 0
            return gauss_newton(problem.about, config.loops, config.iterations, config.tolerance, lanczos)
        start = problem.nothing()
        v, costs = quasi_newton(problem.cost, start, config.iterations, config.tolerance)
        slopes = tuple(float(problem.cost(at)[1].norm()) for at in (start, v))
        return Minimum(v, problem.about(v).misfit, "quasi_newton", tuple(costs), slopes)

    def _once_more(self, linear: Linear) -> Minimum:
        return conjugate_gradients(linear, None, self.config.iterations, self.config.tolerance)

    def _probe(self, background: State, window: Window) -> None:
        ways = steps(window)
        if self._probed or not ways:
            return
        if not differentiable(ways[0], background):
            raise InputError(
                "4dvar: the model's step has no gradient: what it gives does not follow from the state before by "
                "operations that can be derived; use method=3dvar, or an ensemble such as letkf"
            )
        self._probed = True


@dataclass(frozen=True)
class Problem:
    """The cost of one window in control space."""

    covariance: Covariance
    background: State
    window: Window

    def nothing(self) -> Tensor:
        """v of the background."""
        return torch.zeros(1, self.covariance.size, dtype=self.covariance.dtype, device=self.covariance.device)

    def about(self, v: Tensor | None) -> Linear:
        """The model linearised along the way that it takes from x_b + L v."""
        start = self.background if v is None else self.background + fitted(self.covariance.root(v), self.background)
        ways, observed = steps(self.window), self.window.observed
        states = [start]
        for way in ways:
            states += way(states[-1])
        std = observed.std.to(self.covariance.dtype)

        def forward(v: Tensor) -> Tensor:
            changes = onwards(ways, states, fitted(self.covariance.root(v), start))
            return observed.operator(changes).to(std.dtype) / std

        def back(w: Tensor) -> Tensor:
            arriving = observed.operator.adjoint(w / std)
            change = backwards(ways, states, arriving)
            return self.covariance.adjoint(change.map(lambda field: field.to(std.dtype)))

        return Linear(forward, back, observed.departures(states).to(std.dtype) / std)

    def cost(self, v: Tensor) -> tuple[Tensor, Tensor]:
        """J and ∇J at v."""
        linear = self.about(v)
        value = (v.square().sum() + linear.misfit.square().sum()) / 2
        return value, v - linear.adjoint(linear.misfit)


def steps(window: Window) -> list[Way]:
    """The ways through a window: its steps one by one, or its trajectory as a whole."""
    times = window.observed.operator.times
    if times == 1:
        return []
    if window.step is None:
        return [lambda state: window.trajectory(state)[1:]]
    return [partial(_stepped, window.step, number) for number in range(times - 1)]


def _stepped(step: Callable[[State, int], State], number: int, state: State) -> Sequence[State]:
    return [step(state, number)]


def onwards(ways: Sequence[Way], states: Sequence[State], change: Increment) -> list[Increment]:
    """What becomes of a change at the beginning, at every time."""
    changes = [change]
    for number, way in enumerate(ways):
        changes += tangent(way, states[number], changes[-1])
    return changes


def backwards(ways: Sequence[Way], states: Sequence[State], arriving: Sequence[Increment]) -> Increment:
    """What arrives at every time, brought back to the beginning."""
    if len(ways) == 1:
        return arriving[0] + adjoint(ways[0], states[0], arriving[1:])
    change = arriving[-1]
    for number in reversed(range(len(ways))):
        change = arriving[number] + adjoint(ways[number], states[number], [change])
    return change
