"""Regions: boxes by which an array goes from one set of chunks to another, each small enough for the memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import ceil, prod

import numpy as np

_WORTH = 3.0  # readings of every chunk that cost as much as writing the array once between, and reading it again

Shape = tuple[int, ...]
Box = tuple[slice, ...]


@dataclass(frozen=True)
class Route:
    """How an array is taken from its chunks to others.

    Attributes
    ----------
    reading
        Shape of the boxes that are read at once, or None where one passage does: each box that is written is read
        straight from the array.
    writing
        Shape of the boxes that are written at once: whole chunks (shards) of the target.
    readings
        How often a chunk of the array is read on the average.
    """

    shape: Shape
    reading: Shape | None
    writing: Shape
    readings: float


def route(shape: Shape, source: Shape, target: Shape, item: int, most: int) -> Route | None:
    """The route of an array of `item` bytes a value with at most `most` bytes in memory; None if that is too little.

    A box of the target's chunks is read from every source chunk that it meets. Where so many boxes meet a chunk that
    it would be read more than about three times, the array goes through pieces on disk: boxes of whole source chunks
    are cut into the pieces that the boxes of the target are put together from, so that everything is read once.
    """
    writing = _grown(shape, target, source, item, most)
    if writing is None:
        return None
    readings = prod(_readings(n, s, w) for n, s, w in zip(shape, source, writing, strict=True))
    if readings <= _WORTH:
        return Route(shape, None, writing, readings)
    reading = _grown(shape, source, writing, item, most)
    if reading is None:  # a source chunk is too large to be cut: it must be read again and again
        return Route(shape, None, writing, readings)
    return Route(shape, reading, writing, 1.0)


def boxes(shape: Shape, size: Shape) -> list[Box]:
    """All boxes of a size that an array falls into."""
    edges = ([slice(a, min(n, a + s)) for a in range(0, n, s)] for n, s in zip(shape, size, strict=True))
    return list(product(*edges))


def pieces(box: Box, shape: Shape, size: Shape) -> Iterator[tuple[int, Box]]:
    """The boxes of a size that one box meets: their numbers in `boxes`, and what they have in common with it."""
    counts = [ceil(n / s) for n, s in zip(shape, size, strict=True)]
    met = [range(b.start // s, ceil(b.stop / s)) for b, s in zip(box, size, strict=True)]
    for index in product(*met):
        common = tuple(
            slice(max(b.start, i * s), min(b.stop, (i + 1) * s)) for b, i, s in zip(box, index, size, strict=True)
        )
        yield int(np.ravel_multi_index(index, counts)), common


def inside(box: Box, outer: Box) -> Box:
    """A box counted from the corner of one that holds it."""
    return tuple(slice(b.start - o.start, b.stop - o.start) for b, o in zip(box, outer, strict=True))


def _grown(shape: Shape, unit: Shape, other: Shape, item: int, most: int) -> Shape | None:
    """Whole `unit`s, as many as memory holds, along the axes where that spares most readings of `other` chunks."""
    size = tuple(min(n, u) for n, u in zip(shape, unit, strict=True))
    if item * prod(size) > most:
        return None
    while True:
        best, gain = None, 0.0
        for axis, (n, unit_, other_) in enumerate(zip(shape, unit, other, strict=True)):
            if size[axis] >= n:
                continue
            larger = (*size[:axis], min(n, 2 * max(size[axis], unit_)), *size[axis + 1 :])
            if item * prod(larger) > most:
                continue
            spared = _readings(n, other_, size[axis]) / _readings(n, other_, larger[axis])
            if spared > 1 and np.log(spared) / np.log(larger[axis] / size[axis]) > gain:
                best, gain = larger, np.log(spared) / np.log(larger[axis] / size[axis])
        if best is None:
            return size
        size = best


def _readings(length: int, chunk: int, step: int) -> float:
    """How often a chunk is met on the average when an axis is gone along in steps."""
    starts = np.arange(0, length, step)
    stops = np.minimum(starts + step, length)
    return float((-(-stops // chunk) - starts // chunk).sum() / ceil(length / chunk))


def fits(shape: Sequence[int], item: int, most: int) -> bool:
    """Whether a box fits into so many bytes."""
    return item * prod(shape) <= most
