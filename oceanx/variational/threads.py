"""Work in pieces side by side, each with one thread of its own for linear algebra.

Small matrices by the thousand lose more by sharing threads between them than one takes by itself, and very much more
where another job has the other cores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

Piece = TypeVar("Piece")


@contextmanager
def one_thread() -> Iterator[None]:
    """torch with a single thread within an operation; outside, as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def side_by_side(work: Callable[[Piece], object], pieces: Iterable[Piece]) -> None:
    """Do `work` on every piece, as many at a time as torch has threads. Pieces must not write to the same place."""
    pieces, workers = list(pieces), torch.get_num_threads()
    with one_thread():
        if min(workers, len(pieces)) < 2:
            for piece in pieces:
                work(piece)
            return
        with ThreadPoolExecutor(workers, "oceanx-local", initializer=torch.set_num_threads, initargs=(1,)) as pool:
            for done in pool.map(_without_gradients, ((work, piece) for piece in pieces)):
                del done


def _without_gradients(task: tuple[Callable[[Piece], object], Piece]) -> None:
    work, piece = task
    with torch.no_grad():  # which is a matter of each thread
        work(piece)
