"""The command line, run in the test's own process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest


class Answer(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


Oceanx = Callable[..., Answer]


def exit_code(*words: object) -> int:
    """With which code `oceanx WORDS` leaves."""
    from oceanx import cli  # not above: this is imported before types are looked at

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sys, "argv", ["oceanx", *map(str, words)])
        with pytest.raises(SystemExit) as left:
            cli.main()
    return int(left.value.code or 0)
