"""Reading ahead: the next batches are made in a thread while the model works on this one, in memory used before."""

from __future__ import annotations

import math
import weakref
from collections import defaultdict, deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

T = TypeVar("T")
AHEAD = 1  # batches: more would only take memory, since one is made while another is used


def ahead(batches: Iterator[T], count: int = AHEAD) -> Iterator[T]:
    """The same batches in the same order, `count` of them made ahead of time in one thread.

    What goes wrong there is raised here, when its batch is due. Leaving early waits for the batch in hand, no more.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="oceanx-ahead") as thread:
        coming: deque[Future[list[T]]] = deque(thread.submit(_next, batches) for _ in range(count))
        try:
            while batch := coming.popleft().result():
                coming.append(thread.submit(_next, batches))
                yield batch.pop()  # nothing here holds on to a batch that was handed over
        finally:
            for future in coming:
                future.cancel()


def _next(batches: Iterator[T]) -> list[T]:
    """The next batch in a list, which is empty at the end."""
    return list(islice(batches, 1))


class Buffers:
    """Tensors in memory that was used before: fresh memory costs as much as filling it.

    A tensor's memory comes back when nobody holds the tensor, or a view of it, any more; a batch that is kept stays as
    it is. Where there is a GPU it is pinned, and PyTorch itself sees to its use.

    Parameters
    ----------
    per_batch
        How many tensors a batch consists of: as many as a few batches need wait to be used again, no more.
    """

    def __init__(self, per_batch: int = 1) -> None:
        self._most = (AHEAD + 2) * per_batch  # of one size: made ahead, in the making, and in use
        self._spare: defaultdict[int, list[np.ndarray]] = defaultdict(list)
        self._pinned = torch.cuda.is_available() and torch.utils.data.get_worker_info() is None

    def take(self, shape: tuple[int, ...], beyond: int = 0) -> tuple[Tensor, np.ndarray]:
        """A float32 tensor of this shape, and its memory, flat, with so many numbers more behind it.

        What is in it is anybody's guess.
        """
        size = math.prod(shape)
        if self._pinned:
            whole = torch.empty(size + beyond, pin_memory=True)
        else:
            spare = self._spare[size + beyond]
            memory = spare.pop() if spare else np.empty(size + beyond, np.float32)
            lent = memory[...]  # an array of its own on the same memory: it goes when the tensor goes
            weakref.finalize(lent, _give_back, spare, memory, self._most).atexit = False
            whole = torch.from_numpy(lent)
        return whole[:size].view(shape), whole.numpy()


def _give_back(spare: list[np.ndarray], memory: np.ndarray, most: int) -> None:
    if len(spare) < most:
        spare.append(memory)
