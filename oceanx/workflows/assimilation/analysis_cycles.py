"""Cycles: some windows of analysis and forecast in a row, and the loss of what they reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from oceanx.models.analysis_gains import Sight, sight
from oceanx.models.analysis_network import LearnedAnalysis
from oceanx.objectives.analysis import AnalysisLoss, surprise
from oceanx.tensors.integrate import Step
from oceanx.tensors.observe import Operator
from oceanx.tensors.state import Fields, Forcing, Kind, State
from oceanx.variational.analysis import Observed

from .analysis_pool import Trajectories
from .analysis_sources import Reality, Twin


@dataclass
class Cycles:
    """What goes through windows of a batch of trajectories.

    Attributes
    ----------
    learned
        What learns.
    forecaster
        What steps the ocean from one window to the next, and does not learn.
    """

    learned: LearnedAnalysis
    forecaster: Step
    source: Twin | Reality
    loss: AnalysisLoss
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def __call__(
        self, begun: Trajectories, windows: int, seed: tuple[int, ...]
    ) -> tuple[Float[Tensor, ""], Trajectories]:
        """The mean loss of so many windows, and where the trajectories are after them."""
        source, rows = self.source, len(begun.time)
        stamps = begun.time.astype("datetime64[ns]")
        times = np.concatenate([stamps + window * source.step for window in range(windows + 1)])
        told = _cut(source.told(times), rows, windows + 1)
        truths = [State(x) for x in _cut(source.truth(times), rows, windows + 1)] if isinstance(source, Twin) else []
        state, expected = self._moved(begun.state), self._moved(begun.expected)
        losses: list[Tensor] = []
        for window in range(windows):
            forcing = Forcing(self._moved(Fields(told[window])), self._moved(Fields(told[window + 1])))
            dates, seeds = times[window * rows :][:rows], [(*seed, window, row) for row in range(rows)]
            if isinstance(source, Twin):
                seen = [
                    source.observed(_row(truths[window], row), dates[row], int(begun.network[row]), seeds[row])
                    for row in range(rows)
                ]
                back: list[Observed] = []
            else:
                whole = [source.observed(date) for date in dates]
                losses.append(self._surprise(state, expected, whole))
                parts = [source.parted(each, said) for each, said in zip(whole, seeds, strict=True)]
                seen, back = [shown for shown, _ in parts], [kept for _, kept in parts]
            said = self.learned(state, self._sights(state, seen), Forcing(forcing.now, forcing.now), expected)
            analysis = state + said.increment
            state, expected = self.forecaster(analysis, forcing), said.following
            if isinstance(source, Twin):
                losses.append(self.loss(analysis, self._moved(truths[window]), said.analysed))
                losses.append(self.loss(state, self._moved(truths[window + 1]), expected))
            else:
                losses.append(self._surprise(analysis, said.analysed, back))
        last = times[windows * rows :].astype(np.int64)
        return torch.stack(losses).mean(), Trajectories(state, expected, last, begun.network)

    def _sights(self, state: State, observed: Sequence[Observed]) -> list[Sight]:
        return [sight(self._here(each), [_row(state, row)]) for row, each in enumerate(observed)]

    def _surprise(self, state: State, log_variance: Fields, observed: Sequence[Observed]) -> Float[Tensor, ""]:
        """Of observations that the state has not seen."""
        deviation, departures, variances = self.learned.deviation(log_variance), [], []
        for row, each in enumerate(observed):
            here = self._here(each)
            operator: Operator = here.operator
            departures.append(here.departures([_row(state, row)])[0])
            variances.append(operator([_row(deviation, row)])[0] ** 2 + here.std.to(departures[-1].dtype) ** 2)
        return surprise(torch.cat(departures), torch.cat(variances))

    def _here(self, observed: Observed) -> Observed:
        if self.device.type == "cpu":
            return observed
        values, std = observed.values.to(self.device), observed.std.to(self.device)
        return Observed(values, std, observed.operator.to(self.device))

    def _moved(self, fields: Kind) -> Kind:
        return fields if self.device.type == "cpu" else fields.map(lambda x: x.to(self.device))


def _cut(fields: Fields, rows: int, count: int) -> list[dict[str, Tensor]]:
    """Fields of several times, one after another, each of so many rows."""
    return [{name: x[i * rows : (i + 1) * rows] for name, x in fields.items()} for i in range(count)]


def _row(state: State, row: int) -> State:
    return state.map(lambda x: x[row : row + 1])
