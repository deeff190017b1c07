"""Stochastic members: the change of each step is multiplied by 1 + r, r a pattern that moves slowly through time.

    x′ = x + (1 + r) (M(x) − x)        r(n) = φ r(n − 1) + √(1 − φ²) σ C ε        φ = exp(−step/τ)

One pattern serves all variables and levels, so that their changes stay in proportion; C correlates it in space.

References
----------
Buizza, Miller & Palmer (1999), Q. J. R. Meteorol. Soc. 125, 2887, doi:10.1002/qj.49712556006.
Palmer et al. (2009), ECMWF Technical Memorandum 598, doi:10.21957/ps8gbwbdv: r Gaussian, and bounded.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
import torch
from pydantic import Field, PositiveFloat

from oceanx.tensors.state import State
from oceanx.vocabulary.channels import Offset

from ..gaussian_lines import correlated, in_kilometres
from .members import Kind, Members, Sea, generator, possible

Pair = tuple[np.datetime64, int]


class Stochastic(Kind):
    """All members begin from the analysis; `spread` is σ, `length` that of C in km, `time` is τ.

    1 + r is never below 1 − `limit`, nor above 1 + `limit`. With `control`, the steps of member 0 are left alone.
    """

    kind: Literal["stochastic"] = "stochastic"
    spread: float = Field(0.3, gt=0)
    length: PositiveFloat = 500.0
    time: Offset = "5D"
    limit: float = Field(1.0, gt=0, le=1)
    control: bool = False

    def prepare(self, sea: Sea) -> Members:
        """Its Members."""
        patterns = Patterns(self, sea)

        def amend(before: State, after: State, starts: np.ndarray, members: np.ndarray, lead: np.timedelta64) -> State:
            r = torch.from_numpy(patterns(starts, members, lead))[:, None].to(next(iter(after.values())).device)
            changed = possible(State({name: x + r * (x - before[name]) for name, x in after.items()}))
            return State({name: torch.where(r == 0, after[name], x) for name, x in changed.items()})

        return Members(
            self.recorded, lambda starts, members: sea.analyses(starts), lambda member: sea.model, amend=amend
        )


class Patterns:
    """r of start dates and members at a lead, `[pair, lat, lon]`, 0 on land.

    The last ones asked for are kept, and lead by lead each follows from the one before; asked for anything else it is
    made from its first step on, with the same numbers.
    """

    def __init__(self, config: Stochastic, sea: Sea):
        self.config, self.step = config, sea.step
        self.plane, self.wet = in_kilometres(sea.grid), sea.mask[:1].numpy().astype(bool)
        self.phi = float(np.exp(-pd.Timedelta(sea.task.step) / pd.Timedelta(config.time)))
        self.rest = float(np.sqrt(1 - self.phi**2))
        self._kept: dict[Pair, tuple[int, np.ndarray]] = {}

    def __call__(self, starts: np.ndarray, members: np.ndarray, lead: np.timedelta64) -> np.ndarray:
        pairs, steps = list(zip(starts, members.tolist(), strict=True)), int(lead / self.step)
        moved = {pair for pair in pairs if not (self.config.control and pair[1] == 0)}
        self._kept = {pair: kept for pair, kept in self._kept.items() if pair in moved and kept[0] <= steps}
        for number in range(1, steps + 1):
            self._advance([pair for pair in pairs if pair in moved and self._age(pair) < number], number)
        still = np.zeros(self.wet.shape[1:], "float32")
        pattern = np.stack([self._kept[pair][1] if pair in moved else still for pair in pairs])
        return np.where(self.wet, np.clip(self.config.spread * pattern, -self.config.limit, self.config.limit), 0)

    def _age(self, pair: Pair) -> int:
        """How many steps the pattern that is kept has come."""
        return self._kept[pair][0] if pair in self._kept else 0

    def _advance(self, pairs: list[Pair], number: int) -> None:
        """Bring patterns of unit variance to a step from the one before."""
        if not pairs:
            return
        random = (generator(self.config.seed, *pair, number, "step") for pair in pairs)
        white = np.stack([each.standard_normal(self.wet.shape, dtype="float32") for each in random])
        for pair, fresh in zip(pairs, correlated(white, self.wet, self.plane, self.config.length)[:, 0], strict=True):
            begun = pair in self._kept
            self._kept[pair] = number, self.phi * self._kept[pair][1] + self.rest * fresh if begun else fresh
