"""Which forecasts are made together, and by whom: blocks of members and start dates, shared out among processes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import NamedTuple

from oceanx.vocabulary.processes import part_of


class Block(NamedTuple):
    """Forecasts that are made as one batch and written together: some members of some start dates, by position."""

    members: slice
    starts: slice

    @property
    def name(self) -> str:
        """What it is noted by."""
        return "-".join(f"{at.start}.{at.stop}" for at in self)

    @property
    def size(self) -> int:
        """How many forecasts."""
        return (self.members.stop - self.members.start) * (self.starts.stop - self.starts.start)


class Layout(NamedTuple):
    """How many members and start dates there are in a block, at most."""

    members: int
    starts: int

    def blocks(self, members: int, starts: int) -> list[Block]:
        """All forecasts, member by member."""
        return [
            Block(slice(m, min(m + self.members, members)), slice(s, min(s + self.starts, starts)))
            for m in range(0, members, self.members)
            for s in range(0, starts, self.starts)
        ]


def layout(members: int, starts: int, most: int, processes: int = 1) -> Layout:
    """The largest blocks of at most so many forecasts: all start dates of several members, or some of one.

    With several processes there is one for each, where there are as many forecasts.

    Examples
    --------
    >>> layout(members=1, starts=52, most=30)
    Layout(members=1, starts=30)
    >>> layout(members=8, starts=52, most=1000, processes=12)
    Layout(members=1, starts=26)
    """
    each = -(-members * starts // processes)
    if min(each, most) >= starts:
        return Layout(min(members, most // starts, -(-each // starts)), starts)
    if processes == 1:
        return Layout(1, most)
    return Layout(1, -(-starts // -(-starts // min(each, most))))


@dataclass(frozen=True)
class Share:
    """One of several processes that share the forecasts: number `number` of `of`, counted from 1.

    Attributes
    ----------
    waits
        Whether it waits at the end until the others are done: they were started together.
    """

    number: int = 1
    of: int = 1
    waits: bool = False

    @property
    def lock(self) -> tuple[int, int] | None:
        """What an unfinished store is held by; None where there are no others."""
        return (self.number, self.of) if self.of > 1 else None

    def mine(self, blocks: list[Block]) -> list[Block]:
        """This process's blocks."""
        return blocks[self.number - 1 :: self.of]


def share(part: str | None, ranks: bool = True) -> Share:
    """The Share that `part` says, "3/16", and the processes of torchrun, which share it among them."""
    rank, count = (int(os.environ.get(name, default)) for name, default in (("RANK", "0"), ("WORLD_SIZE", "1")))
    if not ranks:
        rank, count = 0, 1
    if part is None:
        return Share(rank + 1, count, waits=count > 1)
    number, total = part_of(part)
    return Share((number - 1) * count + rank + 1, total * count)
