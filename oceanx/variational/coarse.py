"""Every nth row and column of a grid, and how the cells between them are interpolated from those that are wet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class Nodes(NamedTuple):
    """Wet cells, and the four columns each is interpolated from.

    Attributes
    ----------
    cell
        Columns counted through `[lat, lon]` in C order, ascending.
    corner
        The columns it is interpolated from `[cell, 4]`; where none of them is wet, itself.
    share
        How much of each `[cell, 4]`; their sum is 1, and those of dry ones 0.
    """

    cell: np.ndarray
    corner: np.ndarray
    share: Tensor

    def pieces(self, most: int) -> Iterator[Nodes]:
        """Pieces of about so many different corners at most, one after another."""
        count = max(1, -(-len(np.unique(self.corner)) // max(1, most)))
        for some in np.array_split(np.arange(len(self.cell)), count):
            yield Nodes(self.cell[some], self.corner[some], self.share[torch.from_numpy(some)])


class Coarse:
    """Every nth row and column of a grid, its last ones too unless it is periodic.

    Parameters
    ----------
    shape
        Rows and columns.
    every
        n.
    periodic
        Whether the last column's neighbour is the first.
    """

    def __init__(self, shape: tuple[int, int], every: int, periodic: bool):
        self._shape = shape
        self._rows = _between(shape[0], every, False)
        self._columns = _between(shape[1], every, periodic)

    def nodes(self, wet: np.ndarray) -> Nodes:
        """How the wet cells of a level (mask `[column]`) are interpolated: bilinearly, counted in rows and columns."""
        cell = np.flatnonzero(wet)
        (low, high, up), (left, right, along) = (
            tuple(each[at] for each in axis)
            for axis, at in ((self._rows, cell // self._shape[1]), (self._columns, cell % self._shape[1]))
        )
        corner = np.stack([row * self._shape[1] + column for row in (low, high) for column in (left, right)], -1)
        share = np.stack([a * b for a in (1 - up, up) for b in (1 - along, along)], -1) * wet[corner]
        total = share.sum(-1, keepdims=True)
        lonely = total[:, 0] == 0
        corner[lonely], share[lonely], total[lonely] = cell[lonely, None], (1.0, 0.0, 0.0, 0.0), 1.0
        # Where nothing is taken from, the cell's own first corner stands, so that no dry column is asked for.
        corner = np.where(share > 0, corner, np.take_along_axis(corner, share.argmax(-1)[:, None], 1))
        return Nodes(cell, corner, torch.from_numpy(share / total))


def _between(size: int, every: int, periodic: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each position on an axis the nodes before and after it, and how far it is on the way between them."""
    nodes = np.arange(0, size, every)
    if periodic:
        after = np.append(nodes[1:], size)
    else:
        nodes = np.unique(np.append(nodes, size - 1))
        after = np.append(nodes[1:], nodes[-1])
    at = np.searchsorted(nodes, np.arange(size), side="right") - 1
    length = np.maximum(after[at] - nodes[at], 1)
    return nodes[at], after[at] % size, (np.arange(size) - nodes[at]) / length
