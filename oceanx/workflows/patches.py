"""Patches: pieces of windows, cut at random places where there is enough water."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.utils.data import Dataset

from oceanx.vocabulary.errors import InputError

from .days import Place
from .order import TOGETHER
from .windows import Window, Windows


class Patches(Dataset[Window]):
    """Patches of windows as a map-style torch dataset: a Window of `rows` × `columns` cells, and where it was cut.

    Where, says `patch["at"]`: the positions of its first row and column on the map, `latitude` and `longitude`. On a
    map that goes around the globe a patch may run over its eastern edge into the western one. The places depend on
    the seed, the epoch and the number of the patch alone.

    Parameters
    ----------
    windows
        What to cut from.
    size
        Rows and columns.
    per_window
        Patches of each window.
    wet
        The least share of water at the surface.
    """

    def __init__(self, windows: Windows, size: tuple[int, int], per_window: int, wet: float = 0.1, seed: int = 0):
        self.windows, self.size, self.per_window, self.seed = windows, size, per_window, seed
        rows, columns = windows.mask.shape[1:]
        if not (1 <= size[0] <= rows and 1 <= size[1] <= columns):
            raise InputError(f"patch: {size[0]} × {size[1]} cells; expected at most {rows} × {columns}, the map's")
        if per_window < 1:
            raise InputError(f"patches_per_window: expected at least 1, found {per_window}")
        share = wet_share(windows.mask[0].numpy(), size, windows.periodic)
        self._corners = np.argwhere(share >= wet)
        if not len(self._corners):
            raise InputError(
                f"patch: no place of {size[0]} × {size[1]} cells has a share of {wet:g} water, the most is "
                f"{share.max():.2g}; cut larger ones, or ask for less water"
            )
        windows.days_kept = TOGETHER * (windows.steps + 1)

    def __len__(self) -> int:
        return len(self.windows) * self.per_window

    def __getitem__(self, index: int) -> Window:
        batch = self.__getitems__([index])
        return {kind: {name: field[0] for name, field in fields.items()} for kind, fields in batch.items()}

    def __getitems__(self, indices: Sequence[int]) -> Window:
        """Several patches at once, each field `[batch, time, depth, rows, columns]`."""
        places = [self.place(index) for index in indices]
        at = {
            "latitude": torch.tensor([place.row for place in places]),
            "longitude": torch.tensor([place.column for place in places]),
        }
        return self.windows.cut([index % len(self) // self.per_window for index in indices], places) | {"at": at}

    def place(self, index: int) -> Place:
        """Where a patch lies; the number counts on from epoch to epoch."""
        row, column = self._corners[np.random.default_rng([self.seed, index]).integers(len(self._corners))]
        return Place(int(row), int(column), *self.size)


def wet_share(mask: np.ndarray, size: tuple[int, int], periodic: bool) -> np.ndarray:
    """The share of water in the patch at every place `[row, column]` of its first cell."""
    rows, columns = size
    wet = np.concatenate([mask, mask[:, : columns - 1]], axis=1) if periodic else mask
    sums = np.zeros((wet.shape[0] + 1, wet.shape[1] + 1))
    sums[1:, 1:] = wet.astype(np.float64).cumsum(0).cumsum(1)
    inside = sums[rows:, columns:] - sums[:-rows, columns:] - sums[rows:, :-columns] + sums[:-rows, :-columns]
    return inside / (rows * columns)
