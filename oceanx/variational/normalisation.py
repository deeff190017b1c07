"""The diagonal of a diffusion, which its normalisation needs: exactly, from sources far apart, or from white noise.

With G half of the steps, the diagonal is |G e|² of every cell e. Of sources so far apart that hardly anything of one
reaches the next, one field tells as many of them: each has the sum of squares of the cells that are nearest to it.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import torch
from jaxtyping import Float
from torch import Tensor

AT_ONCE = 128  # fields that are diffused together

Spread = Callable[[Tensor], Tensor]  # G, of fields [batch, level, lat, lon]


class Line:
    """Blocks of cells along an axis, each with one source, at the same place in all of them.

    Parameters
    ----------
    cells
        How many there are.
    spacing
        How many cells lie between sources, at least.
    closed
        Whether the last cell is the first one's neighbour.
    """

    def __init__(self, cells: int, spacing: int, closed: bool):
        blocks = max(1, cells // max(1, spacing))
        self.cells, self.closed = cells, closed
        self.starts = torch.arange(blocks + 1) * cells // blocks
        self.width = int(self.starts.diff().max())

    def sources(self, place: int) -> tuple[Tensor, Tensor]:
        """In which blocks the cell of this place exists, and which cells these are."""
        at = self.starts[:-1] + place
        there = (at < self.starts[1:]).nonzero()[:, 0]
        return there, at[there]

    def nearest(self, place: int) -> Tensor:
        """Of which block's source each cell is nearest, `[cell]`."""
        moved = torch.arange(self.cells) - place + int(self.starts.diff().min()) // 2
        moved = moved % self.cells if self.closed else moved.clamp(0, self.cells - 1)
        return torch.searchsorted(self.starts, moved, right=True) - 1


def probes(rows: Line, columns: Line) -> int:
    """How many fields it takes until every cell has been a source."""
    return rows.width * columns.width


def probed(
    spread: Spread, mask: Float[Tensor, "level lat lon"], rows: Line, columns: Line
) -> Float[Tensor, "level lat lon"]:
    """The diagonal by sources in every block; exact where each axis is one block, a field for each cell."""
    found = torch.zeros_like(mask)
    places = [
        (y, x)
        for y, x in product(range(rows.width), range(columns.width))
        if bool(mask[:, rows.sources(y)[1][:, None], columns.sources(x)[1]].any())
    ]
    for start in range(0, len(places), AT_ONCE):
        some = places[start : start + AT_ONCE]
        unit = mask.new_zeros(len(some), *mask.shape)
        for one, (y, x) in zip(unit, some, strict=True):
            one[:, rows.sources(y)[1][:, None], columns.sources(x)[1]] = 1.0
        for squares, (y, x) in zip(spread(unit * mask).square(), some, strict=True):
            (above, at_y), (left, at_x) = rows.sources(y), columns.sources(x)
            shape = len(mask), mask.shape[1], len(columns.starts) - 1
            across = mask.new_zeros(shape).index_add(2, columns.nearest(x).to(mask.device), squares)
            whole = mask.new_zeros(len(mask), len(rows.starts) - 1, shape[2])
            whole = whole.index_add(1, rows.nearest(y).to(mask.device), across)
            found[:, at_y[:, None], at_x] = whole[:, above[:, None], left]
    return found


def drawn(
    spread: Spread, mask: Float[Tensor, "level lat lon"], draws: int, seed: int
) -> Float[Tensor, "level lat lon"]:
    """The diagonal from draws of white noise, with a relative error of √(2/draws)."""
    generator = torch.Generator().manual_seed(seed)
    total = torch.zeros_like(mask)
    for start in range(0, draws, AT_ONCE):
        noise = torch.randn(min(AT_ONCE, draws - start), *mask.shape, dtype=mask.dtype, generator=generator)
        total += spread(noise.to(mask.device) * mask).square().sum(0)
    return total / draws
