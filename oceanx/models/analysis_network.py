"""Learned analysis: from a background and a window's observations to an Increment, and how sure it is of it.

What was observed is told as maps g_L of every variable and level, one for each of several lengths (`analysis_gains`):
what optimal interpolation would make of the innovations around each cell. σb² in them is the variance of the
background's error as the network itself foretold it one window before. The network N reads all g_L, log(1 + σc² p) and
log(σb² / σc²), with σc the climatological spread, beside the background's anomaly, the forcing, the season, the mask
and latitude. The increment is

    x₁ = N₁ + (1 + N₂) W g(d)        x_{i+1} = x_i + (1 + N₂) W g(d − H δx_i)        δx_i = K x_i

after some sweeps. K is the identity, or adds to sea surface and currents what is in balance with the rest (`balance`),
which the network then need not find by itself. W is a 3 × 3 convolution, which goes straight from observations to all
variables: what is twice as far off is corrected twice as much, and in sweeps observations learn of each other. N₃ is
added to the background's log(σ² / σc²) and gives the analysis's, N₄ to nearly all of that and gives the next
background's. δx is 0 while the network is untrained, and where nothing was observed in the whole window.

References
----------
Bocquet et al. (2024), Chaos 34, 091104, doi:10.1063/5.0230837 (an analysis learned in the cycle); Shu et al. (2025),
doi:10.48550/arXiv.2505.22071 (Ocean-E2E).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import conv2d

from oceanx.nn.layers import Conv, silent, wrap
from oceanx.nn.registry import NetConfig
from oceanx.nn.unet import UNetConfig
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.state import Fields, Forcing, Increment, State, split, stack
from oceanx.variational.balance import Balance, BalanceConfig
from oceanx.vocabulary.channels import Task
from oceanx.vocabulary.config import Config

from .analysis_gains import Gains, Sight
from .named_network import NamedNetwork, Statistics

SURE, UNSURE = -8.0, 2.0  # the least and the greatest log(σ² / σc²) that is believed
FADES = 0.95  # of log(σ² / σc²), from one window to the next: what was learned long ago is forgotten at some time
STRAIGHT = 5.0  # W is so many times its weights, that it may grow as fast as the network learns


class Said(NamedTuple):
    """What a learned analysis says: the increment, and log(σ² / σc²) of the analysis and of the next background."""

    increment: Increment
    analysed: Fields
    following: Fields


class AnalysisNetworkConfig(Config):
    """A learned analysis in one pass of a network, the lengths L in cells, how many sweeps there are, and K if any."""

    kind: Literal["network"] = "network"
    net: NetConfig = UNetConfig()
    lengths: tuple[NonNegativeFloat, ...] = (0.0, 1.5, 4.0)
    sweeps: PositiveInt = 3
    balance: BalanceConfig | None = None

    def build(self, task: Task, geometry: Geometry, statistics: Statistics) -> LearnedAnalysis:
        """The analysis, untrained."""
        return LearnedAnalysis(
            self.net, self.lengths, task, geometry, statistics, sweeps=self.sweeps, balance=self.balance
        )


class LearnedAnalysis(nn.Module):
    """(background, what was seen, forcing, expected variance) → `Said`, one pass of a network.

    Parameters
    ----------
    lengths
        L, in cells.
    statistics
        Of the forecast model's training.
    sweeps
        How often W is applied to what is left of the departures.
    balance
        K, or None where the network is to find what goes together by itself.
    """

    beside = 2  # maps that the network reads of each variable and level beside g

    def __init__(
        self,
        net: NetConfig,
        lengths: tuple[float, ...],
        task: Task,
        geometry: Geometry,
        statistics: Statistics,
        sweeps: int = 1,
        balance: BalanceConfig | None = None,
    ):
        super().__init__()
        self.task, self.geometry, self.channels, self.balance = task, geometry, task.prognostic, balance
        self.lengths, self.sweeps, size = lengths, sweeps, len(self.channels)
        further = (len(lengths) + self.beside) * size
        self.network = NamedNetwork(net, task, geometry, statistics, further=further, maps=4, instant=True)
        self.straight = silent(Conv(len(lengths) * size, size, geometry.periodic, bias=False))
        spread = self._constant(statistics, "std")
        self.register_buffer("spread", spread, persistent=False)
        # Errors lie between what a step changes and what the climatology spreads: increments are written in that unit.
        self.register_buffer("unit", (spread * self._constant(statistics, "increment_std")).sqrt(), persistent=False)
        mask = {name: geometry.mask_of(self.channels.levels(name))[None] for name in self.channels.names}
        self.register_buffer("wet", stack(mask, self.channels), persistent=False)

    spread: Tensor
    unit: Tensor
    wet: Tensor

    def forward(
        self, background: State, seen: Sequence[Sight], forcing: Forcing, expected: Fields | None = None
    ) -> Said:
        """What it makes of a batch of backgrounds, each with its window's observations.

        Parameters
        ----------
        seen
            Of every background of the batch.
        forcing
            At the window's beginning and end, climatology included.
        expected
            log(σb² / σc²) of the background's error, as the window before foretold it; climatology by default.
        """
        before, balance = self.expectation(background, expected), self.about(background)
        gains = self.gains(seen, before)
        departures = [each.departures for each in seen]
        gained = gains(departures)
        written = self.network.written(background, forcing, more=torch.cat(self.told(gains, gained, before), dim=1))
        there, added = self.anything(seen), written.chunk(4, dim=1)[0]
        change = (added + self.corrected(gains, gained, written)) * there
        for _ in range(self.sweeps - 1):
            change = change + self.corrected(gains, gains(self.left(seen, self.increment(change, balance))), written)
        return self.said(self.increment(change, balance), before, written)

    def about(self, background: State) -> Balance | None:
        """K about each background, where there is one; no gradient leads through how its water expands."""
        if self.balance is None:
            return None
        return Balance(background.map(lambda field: field.detach()), self.geometry, self.balance)

    def expectation(self, background: State, expected: Fields | None) -> Float[Tensor, "batch channel lat lon"]:
        """log(σb² / σc²), no gradient of which reaches the window before: it is an estimate, and no secret memory."""
        if expected is None:
            return torch.zeros_like(stack(background, self.channels))
        return stack(expected, self.channels).detach()

    def anything(self, seen: Sequence[Sight]) -> Float[Tensor, "batch 1 1 1"]:
        """1 where there were observations, 0 where there was none."""
        some = [float(each.operator.size > 0) for each in seen]
        return torch.tensor(some, dtype=self.spread.dtype, device=self.spread.device)[:, None, None, None]

    def gains(self, seen: Sequence[Sight], before: Tensor) -> Gains:
        """The g_L that any departures of these windows would give."""
        variance = before.exp() * self.spread**2
        return Gains(seen, self.channels, variance, self.wet, self.lengths, self.geometry.periodic)

    def told(self, gains: Gains, gained: Tensor, before: Tensor) -> list[Tensor]:
        """What the network is told of observations: g_L in units of an increment, log(1 + σc² p), log(σb² / σc²)."""
        density = ((self.spread[gains.at] ** 2 * gains.precision).log1p() * self.wet[:, gains.at]).to(before.dtype)
        size, unit = len(self.channels), self.unit[gains.at].repeat(len(self.lengths), 1, 1)
        whole = before.new_zeros(len(before), len(self.lengths) * size, *before.shape[-2:])
        whole = whole.index_copy(1, self._among(gains), gained / unit)
        return [whole, torch.zeros_like(before).index_copy(1, gains.at, density), before * self.wet]

    def corrected(self, gains: Gains, gained: Tensor, written: Tensor) -> Float[Tensor, "batch channel lat lon"]:
        """(1 + N₂) W g, in units of an increment. Of W only what meets observed variables is computed."""
        factor = STRAIGHT * (1 + written.chunk(4, dim=1)[1])
        if not len(gains.at):
            return torch.zeros_like(factor)
        kernel = self.straight.conv.weight.index_select(1, self._among(gains))
        gained = gained / self.unit[gains.at].repeat(len(self.lengths), 1, 1)
        gained = wrap(gained) if self.straight.periodic else gained
        return factor * conv2d(gained, kernel, padding=self.straight.conv.padding)

    def _among(self, gains: Gains) -> Int[Tensor, " gain"]:
        """Where the g_L of the variables observed stand among those of all."""
        return torch.cat([gains.at + number * len(self.channels) for number in range(len(self.lengths))])

    def left(self, seen: Sequence[Sight], increment: Increment) -> list[Tensor]:
        """What departures are left after an increment, which is the same all through the window: d − H δx."""
        found = []
        for row, each in enumerate(seen):
            mine = Increment({name: field[row : row + 1] for name, field in increment.items()})
            there = each.operator([mine] * each.operator.times)[0] if each.operator.size else 0.0
            found.append(each.departures - there)
        return found

    def increment(self, change: Tensor, balance: Balance | None) -> Increment:
        """The change in the variables' units and with what is in balance with it, 0 on land."""
        alone = Increment(split(change * self.unit * self.wet, self.channels))
        return alone if balance is None else balance(alone)

    def said(self, increment: Increment, before: Tensor, written: Tensor) -> Said:
        """The increment, and what was written of its variance."""
        _, _, less, more = written.chunk(4, dim=1)
        analysed = _believed(before + less) * self.wet
        following = _believed(FADES * analysed + more) * self.wet
        return Said(increment, Fields(split(analysed, self.channels)), Fields(split(following, self.channels)))

    def deviation(self, log_variance: Fields) -> State:
        """The standard deviations, in the variables' units, that fields of log(σ² / σc²) stand for; 0 on land."""
        logs = stack(log_variance, self.channels)
        return State(split((logs / 2).exp() * self.spread * self.wet, self.channels))

    def _constant(self, statistics: Statistics, kind: str) -> Float[Tensor, "channel 1 1"]:
        """One value a channel; a level that never varies counts as it is."""
        value = torch.cat([statistics[f"{name}_{kind}"].float() for name in self.channels.names])
        return torch.where(value > 0, value, 1.0)[:, None, None]


def _believed(log_variance: Tensor) -> Tensor:
    """Within limits, beyond which the gradient still leads back."""
    return log_variance + (log_variance.clamp(SURE, UNSURE) - log_variance).detach()
