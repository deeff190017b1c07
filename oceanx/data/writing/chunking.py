"""Chunks and shards: how a variable is cut up for training (whole maps) or for time series (tiles)."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, isqrt, prod
from typing import Literal

Purpose = Literal["training", "timeseries"]

_SMALL, _LARGE = 2 * 2**20, 8 * 2**20  # bytes in a chunk: at least, where there are days enough; at most
_IN_MEMORY = 192 * 2**20  # bytes of one variable held while time series are cut into tiles


@dataclass(frozen=True)
class Layout:
    """Chunk shape of a variable (time first), and its shard shape where chunks are gathered in one file."""

    chunks: tuple[int, ...]
    shards: tuple[int, ...] | None = None


def days_at_once(shapes: dict[str, tuple[int, ...]], times: int, purpose: Purpose, item: int = 4) -> int:
    """How many times one chunk spans, the same for every variable; `shapes` are those of one time."""
    largest = max(item * prod(shape) for shape in shapes.values())
    target = _SMALL if purpose == "training" else _IN_MEMORY
    return max(1, min(times, target // largest))


def layout(shape: tuple[int, ...], times: int, purpose: Purpose, *, item: int = 4, shards: bool = True) -> Layout:
    """The layout of a variable whose single time has `shape` ([depth,] latitude, longitude) and `item` bytes a value.

    Without `shards` (Zarr v2 has none) every chunk is a file.
    """
    if purpose == "timeseries":
        return Layout((times, *(1 for _ in shape[:-2]), *_tile(shape[-2:], _LARGE // (item * times))))
    if item * prod(shape) * times <= _LARGE:
        return Layout((times, *shape))
    # One day is too much for a chunk: levels apart, then bands of rows, all in one shard so that files stay few.
    level = item * shape[-1] * shape[-2]
    rows = shape[-2] if level <= _LARGE else max(1, _LARGE // (item * shape[-1]))
    deep = tuple(max(1, min(size, _LARGE // level)) for size in shape[:-2])
    inner = (1, *deep, rows, shape[-1])
    outer = (1, *(ceil(n / k) * k for n, k in zip(shape, inner[1:], strict=True)))
    return Layout(inner, outer if shards and outer != inner else None)


def _tile(horizontal: tuple[int, ...], cells: int) -> tuple[int, int]:
    """A nearly square tile of at most `cells` cells (at least one)."""
    rows = max(1, min(horizontal[0], isqrt(cells)))
    columns = max(1, min(horizontal[1], cells // rows))
    return max(1, min(horizontal[0], cells // columns)), columns
