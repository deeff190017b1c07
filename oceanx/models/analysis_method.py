"""A learned analysis as a Method: what a cycle calls in the place of 3D-Var or a filter."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from oceanx.tensors.observe import Operator
from oceanx.tensors.state import Fields, Forcing, State
from oceanx.variational.analysis import Analysis, Window

from .analysis_gains import Sight, sight
from .analysis_network import LearnedAnalysis

_EXPECTED, _STEPS = "log_variance_", "steps"
LONGEST = 60  # steps without an analysis after which the variance grows no more


class LearnedMethod:
    """A trained `LearnedAnalysis` with the variance that it carries from window to window.

    HBHᵀ and HAHᵀ are taken from its variances as if the few cells around an observation erred together, χ² as if
    observations erred apart, Σ d² / (σb² + σo²), which is p on average all the same, and the influence as σa² / σo².

    The network foretells the variance one model step ahead, as it was trained. Of more steps to the next observations
    it is asked as often, with nothing to see.

    Attributes
    ----------
    deviation
        σ of the last analysis' error, in the variables' units; None before the first.
    """

    members = 1

    def __init__(self, learned: LearnedAnalysis):
        self.learned = learned.eval()
        self.expected: Fields | None = None
        self.deviation: State | None = None
        self.steps = 1  # of the model since the last analysis

    @torch.no_grad()
    def __call__(self, background: State, window: Window) -> Analysis:
        if window.forcing is None:
            raise ValueError("a learned analysis is told the forcing at its window's beginning and end; found none")
        observed, forcing = window.observed, Forcing(window.forcing.now, window.forcing.now)
        states = list(window.trajectory(background)) if observed.operator.times > 1 else [background]
        seen = sight(observed, states)
        expected = self._grown(background, forcing)
        said = self.learned(background, [seen], forcing, expected)
        before, after = (self._deviations(logs, observed.operator) for logs in (expected, said.analysed))
        self.expected, self.steps = said.following, 0
        self.deviation = self.learned.deviation(said.analysed)
        error = observed.std.to(before.dtype) ** 2
        chi_squared = float((seen.departures**2 / (before**2 + error)).sum())
        return Analysis(
            said.increment,
            variance=before**2,
            analysed_variance=after**2,
            chi_squared=chi_squared,
            influence=(after**2 / error).clamp(max=1.0),
        )

    @property
    def carried(self) -> Mapping[str, Tensor]:
        """The variance expected one step after the last analysis, as log(σ² / σc²), and how many steps ago that was."""
        if self.expected is None:
            return {}
        named = {_EXPECTED + name: field for name, field in self.expected.items()}
        return named | {_STEPS: torch.tensor(self.steps)}

    def resume(self, carried: Mapping[str, Tensor]) -> None:
        """Take up the variance that an earlier cycle expected."""
        known = {n.removeprefix(_EXPECTED): x for n, x in carried.items() if n.startswith(_EXPECTED)}
        self.expected = Fields(known) if known else None
        self.steps = int(carried.get(_STEPS, torch.tensor(1)))

    def advance(self, before: State, after: State, step: Callable[[State], State]) -> None:
        """Count the step."""
        self.steps += 1

    def _grown(self, background: State, forcing: Forcing) -> Fields:
        """The variance expected of this background: the climatology's at first."""
        expected = self.expected or Fields({name: torch.zeros_like(field) for name, field in background.items()})
        none = next(iter(background.values())).new_zeros(0)
        blind = Sight(none, none, Operator({}, 0))
        for _ in range(min(self.steps - 1, LONGEST)):
            expected = self.learned(background, [blind], forcing, expected).following
        return expected

    def _deviations(self, logs: Fields, operator: Operator) -> Float[Tensor, " obs"]:
        state = self.learned.deviation(logs)
        return operator([state] * operator.times)[0]
