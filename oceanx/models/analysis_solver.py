"""Learned variational solver: a few steps downhill, their direction and length a network's.

    x₀ = x_b        x_{i+1} = x_i + N(∇J_o(x_i), ∇J_b(x_i), x_i)        J = J_b + J_o

with ∇J_o = −Hᵀ R⁻¹ (y − H x_i) told as the g_L of the one-pass analysis, and ∇J_b as (x_i − x_b) in units of the
background's expected error. The same network takes every step. B is nowhere stated: the network has learned it.

References
----------
Fablet et al. (2021), J. Adv. Model. Earth Syst. 13, e2021MS002572, doi:10.1029/2021MS002572.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import NonNegativeFloat, PositiveInt

from oceanx.nn.registry import NetConfig
from oceanx.nn.unet import UNetConfig
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.state import Fields, Forcing, State
from oceanx.variational.balance import BalanceConfig
from oceanx.vocabulary.channels import Task
from oceanx.vocabulary.config import Config

from .analysis_gains import Sight
from .analysis_network import LearnedAnalysis, Said
from .named_network import Statistics


class AnalysisSolverConfig(Config):
    """A learned solver: how many steps it takes, the network that takes them, the lengths L in cells, and K if any."""

    kind: Literal["solver"] = "solver"
    net: NetConfig = UNetConfig()
    lengths: tuple[NonNegativeFloat, ...] = (0.0, 1.5, 4.0)
    steps: PositiveInt = 4
    balance: BalanceConfig | None = None

    def build(self, task: Task, geometry: Geometry, statistics: Statistics) -> AnalysisSolver:
        """The solver, untrained."""
        return AnalysisSolver(self, task, geometry, statistics)


class AnalysisSolver(LearnedAnalysis):
    """(background, what was seen, forcing, expected variance) → `Said`, in several steps of one network."""

    beside = 3

    def __init__(self, config: AnalysisSolverConfig, task: Task, geometry: Geometry, statistics: Statistics):
        super().__init__(config.net, config.lengths, task, geometry, statistics, balance=config.balance)
        self.steps = config.steps

    def forward(
        self, background: State, seen: Sequence[Sight], forcing: Forcing, expected: Fields | None = None
    ) -> Said:
        """As that of `LearnedAnalysis`."""
        before, there = self.expectation(background, expected), self.anything(seen)
        balance, deviation = self.about(background), (before / 2).exp() * self.spread
        gains, change, written = self.gains(seen, before), torch.zeros_like(before), before
        for _ in range(self.steps):
            increment = self.increment(change, balance)
            gained = gains(self.left(seen, increment))
            read = [*self.told(gains, gained, before), change * self.unit / deviation * self.wet]
            written = self.network.written(background + increment, forcing, more=torch.cat(read, dim=1))
            change = change + (written.chunk(4, dim=1)[0] + self.corrected(gains, gained, written)) * there
        return self.said(self.increment(change, balance), before, written)
