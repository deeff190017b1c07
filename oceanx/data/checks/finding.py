"""One finding, and how it is said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

_SIGNS = {"ok": "ok   ", "warn": "warn ", "error": "ERROR"}


Level = Literal["ok", "warn", "error"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: how it stands, what was found, what is needed, and the remedy."""

    level: Level
    found: str
    needed: str = ""
    mend: str = ""

    def __str__(self) -> str:
        words = [self.found, self.needed and f"needed: {self.needed}", self.mend and f"to mend: {self.mend}"]
        return f"{_SIGNS[self.level]} {'; '.join(filter(None, words))}"
