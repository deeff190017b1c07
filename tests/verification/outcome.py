"""What a case measured, beside what is known, and the curves that show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np


@dataclass(frozen=True)
class Curve:
    """One panel of a figure: lines by label (x, y); a label that begins with 'exact' is drawn dashed."""

    title: str
    x: str
    y: str
    lines: Mapping[str, tuple[Sequence[float] | np.ndarray, Sequence[float] | np.ndarray]]
    log: bool = False


@dataclass(frozen=True)
class Outcome:
    """A quantity measured in a case, what it should be, how near, and where both numbers come from.

    `tolerance` is relative where `known` is not zero, absolute (in `unit`) where it is. `at least` and `at most` have
    none.
    """

    quantity: str
    unit: str
    measured: float
    known: float
    source: str  # of the known value
    why: str  # of the tolerance: where it comes from
    tolerance: float = 0.0
    kind: Literal["equal", "at least", "at most"] = "equal"
    curve: Curve | None = field(default=None, repr=False, compare=False)

    @property
    def holds(self) -> bool:
        """Whether the measured value is what it should be; never where it is not a number."""
        if self.kind == "at least":
            return self.measured >= self.known
        if self.kind == "at most":
            return self.measured <= self.known
        return abs(self.measured - self.known) <= self.tolerance * (abs(self.known) or 1.0)
