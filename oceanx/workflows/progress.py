"""Progress of long work: bars on a terminal, plain lines elsewhere, silence on every rank but the first."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from oceanx.vocabulary.progress import Progress

_SECONDS = (5.0, 60.0)  # between plain lines about one thing, at first and after some hours


@contextmanager
def shown() -> Iterator[Progress]:
    """A callable `(what, done, total)` that shows how far the work is."""
    if int(os.environ.get("RANK", "0")):
        yield lambda what, done, total: None
    elif sys.stderr.isatty():
        with _bars() as progress:
            yield progress
    else:
        yield _lines()


@contextmanager
def _bars() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description:<32}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bars(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bars:
        known: dict[str, int] = {}

        def progress(what: str, done: int, total: int) -> None:
            # What follows a comma (a loss, a date) changes while the work stays the same.
            kind = what.split(",")[0]
            if kind not in known:
                known[kind] = int(bars.add_task(what, total=total))
            bars.update(known[kind], description=what, completed=done, total=total)  # type: ignore[arg-type]

        yield progress


def _lines() -> Progress:
    first: dict[str, float] = {}
    last: dict[str, float] = {}
    begun: set[str] = set()

    def progress(what: str, done: int, total: int) -> None:
        kind, now = what.split(",")[0], time.monotonic()
        pause = min(max((now - first.setdefault(kind, now)) / 20, _SECONDS[0]), _SECONDS[1])
        # Nothing at first: what is quickly done, or refused, needs no line about its beginning.
        if now - last.setdefault(kind, now) >= pause or (done >= total and kind in begun):
            last[kind] = now
            begun.add(kind)
            print(f"{what}: {done}/{total}", file=sys.stderr, flush=True)

    return progress
