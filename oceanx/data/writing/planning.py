"""Planning: what a bake would write and take, told before a byte of it is written."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, prod
from pathlib import Path

import numpy as np
import psutil

from .. import axis as axes
from .making import COPIES, hands
from .store import Draft, begun

_PROBE = 10.0  # seconds after which no further block is tried


@dataclass(frozen=True)
class Array:
    """One variable of the store to be."""

    shape: tuple[int, ...]
    dtype: str
    chunks: tuple[int, ...]
    shards: tuple[int, ...] | None

    @property
    def chunk_bytes(self) -> int:
        """Of a chunk before compression."""
        return prod(self.chunks) * np.dtype(self.dtype).itemsize

    @property
    def shard_bytes(self) -> int:
        """Of a file's content before compression."""
        return prod(self.shards or self.chunks) * np.dtype(self.dtype).itemsize

    @property
    def files(self) -> int:
        """How many files it makes at most."""
        return prod(ceil(n / cut) for n, cut in zip(self.shape, self.shards or self.chunks, strict=True))


@dataclass(frozen=True)
class Plan:
    """What a bake would write and take. `print` it.

    Attributes
    ----------
    store_bytes
        Expected size on disk, from how the probe's blocks compressed.
    memory_bytes
        Expected peak of the process.
    tasks
        Blocks to make, `workers` of them at a time.
    seconds
        Expected duration, from the probe.
    """

    dims: Mapping[str, int]
    period: tuple[str, str]
    missing: int
    files: int
    arrays: Mapping[str, Array]
    store_bytes: int
    memory_bytes: int
    tasks: int
    workers: int
    seconds: float

    def __str__(self) -> str:
        sizes = " × ".join(f"{size} {dim}" for dim, size in self.dims.items())
        lines = [
            f"{self.files} files → {sizes}, {self.period[0]} to {self.period[1]}, {self.missing} missing times",
            *(_line(name, array) for name, array in self.arrays.items()),
            f"store: about {_size(self.store_bytes)} in {sum(a.files for a in self.arrays.values())} files "
            f"({_size(sum(prod(a.shape) * np.dtype(a.dtype).itemsize for a in self.arrays.values()))} uncompressed)",
            f"{self.tasks} tasks, {self.workers} at a time; peak memory about {_size(self.memory_bytes)}; "
            f"about {_duration(self.seconds)}",
        ]
        return "\n".join(lines)


def measured(draft: Draft, folder: Path, workers: int | None = None) -> Plan:
    """The Plan of a draft; a few of its blocks are made below `folder` to see how they go."""
    job = begun(draft, folder / "probe.partial")
    blocks, spent, tried = draft.blocks, 0.0, 0
    for block in blocks[: 2 * len(draft.groups)]:
        start = time.perf_counter()
        job.make(block)
        if tried or len(blocks) <= len(draft.groups):  # the first one also warms up what is compiled and cached
            spent += time.perf_counter() - start
        tried += 1
        if spent > _PROBE:
            break
    counted = max(1, tried - (len(blocks) > len(draft.groups)))
    arrays = {
        name: Array(t.shape, t.dtype, t.layout.chunks, t.layout.shards) for name, t in sorted(job.targets.items())
    }
    written = sum(file.stat().st_size for t in job.targets.values() for _, file in t.files())
    whole = sum(a.files for a in arrays.values())
    made = sum(1 for t in job.targets.values() for _ in t.files())
    at_once = hands(draft.block_bytes, workers)
    axis = draft.sources.axis
    return Plan(
        dims={"time": axis.size, **{str(d): n for d, n in draft.template.sizes.items() if d != "time"}},
        period=(axes.day(axis[0]), axes.day(axis[-1])),
        missing=draft.sources.missing.size,
        files=len(draft.sources.paths),
        arrays=arrays,
        store_bytes=int(written * whole / max(1, made)),
        memory_bytes=psutil.Process().memory_info().rss + at_once * COPIES * draft.block_bytes,
        tasks=len(blocks),
        workers=at_once,
        seconds=spent / counted * len(blocks) / at_once,
    )


def _line(name: str, array: Array) -> str:
    cut = "×".join(map(str, array.chunks))
    text = f"  {name:10s} {array.dtype[1:]} {'×'.join(map(str, array.shape))}, chunk {cut} ({_size(array.chunk_bytes)})"
    if array.shards:
        text += f", shard {'×'.join(map(str, array.shards))} ({_size(array.shard_bytes)})"
    return text


def _size(number: float) -> str:
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if number < 1000 or unit == "TB":
            return f"{number:.3g} {unit}"
        number /= 1000
    raise AssertionError


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
