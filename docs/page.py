"""The page of results, the folder of its figures, and its tables."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

PAGE, IMAGES = Path(__file__).with_name("results.md"), Path(__file__).with_name("images")


def markdown(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """The lines of a table."""
    head = list(head)
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows), ""]
