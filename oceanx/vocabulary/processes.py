"""How many processes there are to share some work, and how many cores one of them has."""

from __future__ import annotations

import os

from .errors import InputError


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def part_of(part: str) -> tuple[int, int]:
    """ "3/16" as (3, 16): the third of sixteen parts, counted from 1."""
    number, _, total = str(part).partition("/")
    if not (number.isdigit() and total.isdigit() and 1 <= int(number) <= int(total)):
        raise InputError(f"part: {part!r}; expected such as 3/16, counted from 1")
    return int(number), int(total)
