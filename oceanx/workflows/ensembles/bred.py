"""Bred members: perturbations that the model itself has let grow in the days before the start date.

    b ← M(a + b) − M(a), then made as large as before        a the analysis at the beginning of each cycle

Cycle by cycle what grows fastest comes out on top. The perturbation is added to the analysis with both signs.

References
----------
Toth & Kalnay (1997), Mon. Weather Rev. 125, 3297, doi:10.1175/1520-0493(1997)125<3297:EFANAT>2.0.CO;2.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from pydantic import PositiveInt
from torch import Tensor

from oceanx.tensors.state import Increment, State
from oceanx.vocabulary.channels import Offset
from oceanx.vocabulary.errors import InputError

from .gaussian import added
from .members import Members, Sea, possible, rows
from .perturbation import Perturbation, Perturbed

Amplitudes = dict[str, Tensor]  # of each variable, [pair, level, 1, 1]


class Bred(Perturbed):
    """`cycles` of breeding, each as long as `cycle`, end on the start date.

    The first perturbation is Gaussian noise, see `Perturbed`, which also says how large it is to be: over the volume of
    the sea and all variables, the mean square of b/σ is 1. Members 2k and 2k + 1 are the analysis plus and minus one b;
    with `control`, member 0 is the analysis and the pairs follow it. On the way the forcing is what was observed.
    """

    kind: Literal["bred"] = "bred"
    cycles: PositiveInt = 10
    cycle: Offset = "1D"

    def prepare(self, sea: Sea) -> Members:
        """Its Members."""
        breeding = Breeding(self, sea)
        return Members(self.recorded, breeding.begin, lambda member: sea.model, check=breeding.check)


class Breeding:
    """The bred perturbations of one forecast."""

    def __init__(self, config: Bred, sea: Sea):
        self.config, self.sea, self.noise = config, sea, Perturbation(config, sea)
        self.steps = sea.steps(config.cycle, "ensemble bred: cycle")
        self.volume = {name: self._volume(name) for name in sea.task.prognostic.names}

    def check(self, starts: np.ndarray) -> None:
        """`InputError` unless the Dataset has the days before these start dates."""
        self.sea.refuse_lacking(starts, self.config.cycles * self.steps, self.steps, "bred")
        self.noise.check(self._first(starts))

    def begin(self, starts: np.ndarray, members: np.ndarray) -> State:
        """Analyses and bred perturbations, with the sign of each member."""
        self.check(starts)
        number = members - int(self.config.control)
        state, moved = self.sea.analyses(starts), np.flatnonzero(number >= 0)
        if not len(moved):
            return state
        dates, which_date = np.unique(starts, return_inverse=True)
        pairs, which = np.unique(np.stack((which_date, number // 2))[:, moved], axis=1, return_inverse=True)
        bred = self.bred(dates[pairs[0]], pairs[1])
        sign = torch.from_numpy(1 - 2 * (number[moved] % 2))[:, None, None, None]
        change = bred.map(lambda field: sign * field[torch.from_numpy(which.ravel())])
        added(state, change, moved)
        return state

    def bred(self, starts: np.ndarray, pairs: np.ndarray) -> Increment:
        """The perturbations of pairs of members on their start dates."""
        first = self._first(starts)
        sigma = {date: self.noise.amplitudes(date) for date in np.unique(first)}
        drawn = [
            self.noise.of(start, int(pair), sigma[date]) for start, pair, date in zip(starts, pairs, first, strict=True)
        ]
        amplitudes = {n: torch.stack([sigma[date][n] for date in first])[..., None, None] for n in self.volume}
        change = Increment({name: torch.cat([each[name] for each in drawn]) for name in self.volume})
        change = self._rescaled(change, amplitudes, starts)
        for cycle in range(self.config.cycles):
            change = self._grown(first + cycle * self.steps * self.sea.step, change)
            change = self._rescaled(change, amplitudes, starts)
        return change

    def _first(self, starts: np.ndarray) -> np.ndarray:
        """When breeding begins."""
        return starts - self.config.cycles * self.steps * self.sea.step

    def _grown(self, dates: np.ndarray, change: Increment) -> Increment:
        """What a cycle makes of the perturbations: a batch of the analyses, each once, and of the perturbed."""
        once, which = np.unique(dates, return_inverse=True)
        analyses = self.sea.analyses(once)
        perturbed = possible(rows(analyses, which) + change)
        both = State({name: torch.cat((analyses[name], perturbed[name])) for name in analyses})
        every = np.concatenate((once, dates))
        after = self.sea.stepped(both, every, self.steps)
        grown = rows(after, np.arange(len(once), len(every))) - rows(after, which)
        return Increment({name: torch.where(self.volume[name] > 0, x, 0.0) for name, x in grown.items()})

    def _rescaled(self, change: Increment, amplitudes: Amplitudes, starts: np.ndarray) -> Increment:
        """The perturbations with norm 1: the root of the mean square of b/σ by volume, then over the variables."""
        squares = []
        for name, field in change.items():
            sigma, volume = amplitudes[name].double(), self.volume[name]
            counted = torch.where(sigma > 0, volume, 0.0)  # a level that is not perturbed has no measure
            share = (field.double() / torch.where(sigma > 0, sigma, 1.0)).square() * counted
            whole = counted.sum((1, 2, 3))
            squares.append(torch.where(whole > 0, share.sum((1, 2, 3)) / whole, torch.nan))
        norm = torch.stack(squares).nanmean(0).sqrt()
        if not (norm > 0).all():
            start = starts[int((norm > 0).int().argmin())]
            raise InputError(
                f"ensemble bred: nothing is left of the perturbation of {start}: the model forgets what it begins "
                "from; choose another ensemble, such as stochastic"
            )
        return change.map(lambda field: (field / norm[:, None, None, None]).float())

    def _volume(self, name: str) -> Tensor:
        """Of each wet cell, `[level, lat, lon]`; of what has no depth the area."""
        volume = self.sea.area * self.sea.wet(name)
        if name not in self.sea.task.prognostic.volume:
            return volume
        return volume * torch.from_numpy(self.sea.grid.thickness.values.astype("float64"))[:, None, None]
