"""Gaussian members: each begins from the analysis with a perturbation of its own."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch

from oceanx.tensors.state import Increment, State

from .members import Members, Sea, possible, rows
from .perturbation import Perturbation, Perturbed


class Gaussian(Perturbed):
    """x(0) = analysis + b, b Gaussian noise: see `Perturbed`."""

    kind: Literal["gaussian"] = "gaussian"

    def prepare(self, sea: Sea) -> Members:
        """Its Members."""
        perturbation = Perturbation(self, sea)

        def begin(starts: np.ndarray, members: np.ndarray) -> State:
            perturbation.check(starts)
            sigma = {start: perturbation.amplitudes(start) for start in np.unique(starts)}
            state = sea.analyses(starts)
            for row in np.flatnonzero(members > 0) if self.control else range(len(members)):
                start, member = starts[row], int(members[row])
                added(state, perturbation.of(start, member, sigma[start]), np.array([row]))
            return state

        return Members(self.recorded, begin, lambda member: sea.model, check=perturbation.check)


def added(state: State, change: Increment, moved: np.ndarray) -> None:
    """Add a change to these rows of a batch, within what is possible."""
    perturbed = possible(rows(state, moved) + change)
    for name, field in state.items():
        field[torch.from_numpy(moved)] = perturbed[name]
