"""Lagged members: each begins from an earlier analysis, and is stepped to the start date.

References
----------
Hoffman & Kalnay (1983), Tellus A 35, 100, doi:10.1111/j.1600-0870.1983.tb00189.x.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from oceanx.tensors.state import State
from oceanx.vocabulary.channels import Offset

from .members import Kind, Members, Sea, by_member, rows


class Lagged(Kind):
    """Member k begins k `lag`s before the start date; up to it the forcing is what was observed, for that is known.

    Member 0 begins from the start date's own analysis. Nothing is random.
    """

    kind: Literal["lagged"] = "lagged"
    lag: Offset = "1D"

    def prepare(self, sea: Sea) -> Members:
        """Its Members."""
        steps = sea.steps(self.lag, "ensemble lagged: lag")

        def check(starts: np.ndarray) -> None:
            sea.refuse_lacking(starts, (self.members - 1) * steps, steps, "lagged")

        def begin(starts: np.ndarray, members: np.ndarray) -> State:
            sea.refuse_lacking(starts, int(members.max()) * steps, steps, "lagged")
            return by_member(starts, members, lambda member, starts: _brought(sea, starts, member * steps))

        return Members(self.recorded, begin, lambda member: sea.model, check=check)


def _brought(sea: Sea, starts: np.ndarray, steps: int) -> State:
    """The States on the start dates, made from the analyses so many steps before."""
    dates, which = np.unique(starts - steps * sea.step, return_inverse=True)
    return rows(sea.stepped(sea.analyses(dates), dates, steps), which)
