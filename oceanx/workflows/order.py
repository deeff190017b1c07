"""The order of batches: it depends on the seed and the iteration alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from oceanx.vocabulary.errors import InputError

TOGETHER = 4  # windows whose patches are mixed: what stays decoded meanwhile


class GlobalBatches(Sampler[list[int]]):
    """This rank's share of every global batch, in an order that depends on the seed and the iteration alone.

    Any number of ranks therefore sees the same global batches, and training goes on from any iteration.

    Parameters
    ----------
    length
        Number of windows.
    batch_size
        Windows in a global batch; the rest of an epoch is left out.
    start
        The iteration to begin with.
    endless
        Go on with epoch after epoch, each in an order of its own.
    """

    def __init__(
        self,
        length: int,
        batch_size: int,
        *,
        seed: int = 0,
        shuffle: bool = True,
        rank: int = 0,
        ranks: int = 1,
        start: int = 0,
        endless: bool = False,
    ):
        if batch_size % ranks:
            raise InputError(f"batch_size: {batch_size} windows cannot be shared by {ranks} processes equally")
        if length < batch_size:
            raise InputError(f"batch_size: {batch_size} is more than the {length} windows there are")
        self.length, self.batch_size, self.seed, self.shuffle = length, batch_size, seed, shuffle
        self.rank, self.ranks, self.start, self.endless = rank, ranks, start, endless

    def __len__(self) -> int:
        return self.length // self.batch_size

    def __iter__(self) -> Iterator[list[int]]:
        epoch, skipped = divmod(self.start, len(self))
        yield from self._epoch(epoch)[skipped:]
        while self.endless:
            epoch += 1
            yield from self._epoch(epoch)

    def _epoch(self, number: int) -> list[list[int]]:
        order = self._order(number)
        whole = order[: len(self) * self.batch_size].reshape(len(self), self.ranks, -1)
        return [list(map(int, batch)) for batch in whole[:, self.rank]]

    def _order(self, number: int) -> np.ndarray:
        """All windows in the order of an epoch."""
        order = np.arange(self.length)
        if self.shuffle:
            np.random.default_rng([self.seed, number]).shuffle(order)
        return order


class PatchBatches(GlobalBatches):
    """Batches of patches: those of one window come close together, mixed with those of a few others.

    A number tells the epoch too (`epoch * length + patch`), so that every epoch may cut other patches.

    Parameters
    ----------
    length
        Number of patches in an epoch.
    per_window
        Patches of each window, which have consecutive numbers.
    """

    def __init__(self, length: int, batch_size: int, per_window: int, *, seed: int = 0, shuffle: bool = True):
        super().__init__(length, batch_size, seed=seed, shuffle=shuffle)
        self.per_window = per_window

    def _order(self, number: int) -> np.ndarray:
        patches = np.arange(self.length).reshape(-1, self.per_window)
        if self.shuffle:
            rng = np.random.default_rng([self.seed, number])
            rng.shuffle(patches)
            for first in range(0, len(patches), TOGETHER):
                some = patches[first : first + TOGETHER]
                some[...] = rng.permuted(some.ravel()).reshape(some.shape)
        return number * self.length + patches.ravel()
