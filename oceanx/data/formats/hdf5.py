"""HDF5 without the library's lock: it tells once where the chunks of a file lie, and threads read them by themselves.

The library inflates one chunk at a time in the whole process. Here it is only asked for types, filters and addresses;
bytes are read with `pread`, inflated by ISA-L (which releases the interpreter's lock) and unpacked in one pass.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import product
from math import prod
from typing import NamedTuple

import h5py
import numba
import numpy as np
from isal import isal_zlib

from .keeping import Kept, identity
from .unpacking import Box, Line, Rule, place

_DEFLATE, _SHUFFLE, _FLETCHER32 = 1, 2, 3
_AT_ONCE = 2**20  # bytes of contiguous data taken as one chunk
_ABSENT = -1
_KEPT = Kept()


@dataclass(frozen=True, eq=False)
class Stored:
    """How one variable lies in its file; contiguous data are chunks without a filter.

    Attributes
    ----------
    filters
        In the order in which they were applied.
    offsets, sizes, skipped
        Of every chunk of the grid: its first byte (-1: never written), its bytes, the filters it went without.
    """

    dtype: np.dtype
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    fill: np.ndarray
    filters: tuple[int, ...]
    offsets: np.ndarray
    sizes: np.ndarray
    skipped: np.ndarray
    contiguous: bool = False


class Run(NamedTuple):
    """Consecutive cells [first, stop) of an axis in the file; the first goes to `to`, the next to `to + step`."""

    first: int
    stop: int
    to: int
    step: int


@dataclass(frozen=True)
class Axis:
    """A spatial axis of a variable: its place among the file's dimensions, and where its cells go in the result.

    Attributes
    ----------
    stride
        Elements of the result between neighbours along the axis.
    runs
        The cells that are wanted.
    """

    dim: int
    stride: int
    runs: tuple[Run, ...]


def runs(order: np.ndarray) -> tuple[Run, ...]:
    """The runs of an order: the position in the file of each cell of the result."""
    steps = np.diff(order)
    found, start = [], 0
    while start < order.size:
        step = int(steps[start]) if start < steps.size and abs(steps[start]) == 1 else 1
        same = steps[start:] == step
        stop = start + 1 + (int(np.argmin(same)) if not same.all() else same.size)
        if step == 1:
            found.append(Run(int(order[start]), int(order[stop - 1]) + 1, start, 1))
        else:
            found.append(Run(int(order[stop - 1]), int(order[start]) + 1, stop - 1, -1))
        start = stop
    return tuple(found)


@lru_cache(maxsize=64)
def contents(path: str, stamp: tuple[int, int]) -> dict[str, Stored]:
    """The variables of a file (of that date and size) that can be read directly; call it under the library's lock."""
    found = {}
    with h5py.File(path, "r") as file:
        if file.userblock_size or not hasattr(h5py.h5d.DatasetID, "chunk_iter"):
            return {}
        for name in file.id:
            info = h5py.h5o.get_info(file.id, name)
            if info.type == h5py.h5o.TYPE_DATASET:
                stored = _stored(h5py.h5d.open(file.id, name))
                if stored is not None:
                    found[name.decode()] = stored
    return found


def _stored(dataset: h5py.h5d.DatasetID) -> Stored | None:
    """How a gridded variable lies in its file; None for types, filters and layouts that are left to the library."""
    shape, kind = dataset.shape, dataset.get_type()
    if not shape or len(shape) < 2 or 0 in shape or kind.get_class() not in (h5py.h5t.INTEGER, h5py.h5t.FLOAT):
        return None
    dtype, plan = dataset.dtype, dataset.get_create_plist()
    if dtype.kind not in "iuf" or dtype.itemsize > 8 or not kind.equal(h5py.h5t.py_create(dtype)):
        return None
    filters = tuple(plan.get_filter(n)[0] for n in range(plan.get_nfilters()))
    fill = np.zeros(1, dtype)
    if plan.fill_value_defined() != h5py.h5d.FILL_VALUE_UNDEFINED:
        plan.get_fill_value(fill)
    if plan.get_layout() == h5py.h5d.CHUNKED:
        if not set(filters) <= {_DEFLATE, _SHUFFLE, _FLETCHER32}:
            return None
        return _chunked(dataset, plan.get_chunk(), fill, filters)
    if plan.get_layout() == h5py.h5d.CONTIGUOUS and not plan.get_external_count():
        return _contiguous(dataset, fill)
    return None


def _chunked(
    dataset: h5py.h5d.DatasetID, chunks: tuple[int, ...], fill: np.ndarray, filters: tuple[int, ...]
) -> Stored:
    grid = tuple(-(-n // c) for n, c in zip(dataset.shape, chunks, strict=True))
    offsets, sizes, skipped = np.full(grid, _ABSENT), np.zeros(grid, int), np.zeros(grid, int)

    def note(chunk: h5py.h5d.StoreInfo) -> None:
        at = tuple(n // c for n, c in zip(chunk.chunk_offset, chunks, strict=True))
        if all(n < size for n, size in zip(at, grid, strict=True)):
            offsets[at], sizes[at], skipped[at] = chunk.byte_offset, chunk.size, chunk.filter_mask

    if dataset.get_num_chunks():
        dataset.chunk_iter(note)
    return Stored(dataset.dtype, dataset.shape, tuple(chunks), fill, filters, offsets, sizes, skipped)


def _contiguous(dataset: h5py.h5d.DatasetID, fill: np.ndarray) -> Stored:
    """Contiguous data cut into chunks of at most `_AT_ONCE` bytes, whole rows of the first axis that allows it."""
    shape, item = dataset.shape, dataset.dtype.itemsize
    deep = next((d for d in range(len(shape)) if item * prod(shape[d + 1 :]) <= _AT_ONCE), len(shape) - 1)
    rows = max(1, min(shape[deep], _AT_ONCE // (item * prod(shape[deep + 1 :]))))
    chunks = (*(1 for _ in shape[:deep]), rows, *shape[deep + 1 :])
    grid = tuple(-(-n // c) for n, c in zip(shape, chunks, strict=True))
    start = dataset.get_offset()
    if start is None:
        offsets = np.full(grid, _ABSENT)
    else:
        firsts = np.ogrid[tuple(slice(0, n * c, c) for n, c in zip(grid, chunks, strict=True))]
        offsets = sum(first * (item * prod(shape[d + 1 :])) for d, first in enumerate(firsts)) + start
    sizes = np.full(grid, item * prod(chunks))
    sizes[(slice(None),) * deep + (-1,)] = item * prod((shape[deep] - (grid[deep] - 1) * rows, *shape[deep + 1 :]))
    return Stored(dataset.dtype, shape, chunks, fill, (), np.asarray(offsets), sizes, np.zeros(grid, int), True)


def gather(
    file: int, stored: Stored, picks: np.ndarray, axes: Sequence[Axis], out: np.ndarray, how: Rule | None
) -> None:
    """Fill `out` (row, cell): row k with the cells at `picks[k]` along every dimension that is not among `axes`.

    Parameters
    ----------
    file
        Descriptor of the open file.
    axes
        In the file's order, at most three; the last is the file's last dimension, and its cells go one after another.
    how
        The unpacking, or None for raw numbers in native byte order.

    Raises
    ------
    OSError
        If a chunk cannot be read, inflated, or has a wrong checksum.
    """
    spatial = [axis.dim for axis in axes]
    fixed = [d for d in range(len(stored.shape)) if d not in spatial]
    steps = [prod(stored.chunks[d + 1 :]) for d in range(len(stored.shape))]
    line = Line.of(stored.chunks[-1], stored.dtype.newbyteorder("="))
    size = np.array(stored.chunks)[fixed]
    members: dict[tuple[int, ...], list[int]] = {}
    for row, pick in enumerate(picks[:, fixed] // size):
        members.setdefault(tuple(map(int, pick)), []).append(row)
    flat, whose = out.reshape(-1), identity(file)
    for held, rows in members.items():
        inside = [int((picks[row, fixed] % size) @ np.array([steps[d] for d in fixed], int)) for row in rows]
        for corner in product(*(_touched(stored.chunks[axis.dim], axis) for axis in axes)):
            boxes = list(_boxes(stored, axes, steps, corner))
            at = np.zeros(len(stored.shape), int)
            at[fixed], at[spatial] = held, corner
            index = tuple(map(int, at))
            make = partial(_chunk, file, stored, index)
            again = size.prod() > len(rows) and stored.offsets[index] != _ABSENT  # it holds more than is asked for now
            data, planes = _KEPT.get((*whose, int(stored.offsets[index])), make) if again else make()
            for row, first in zip(rows, inside, strict=True):
                for box in boxes:
                    moved = replace(box, base=box.base + first, to=box.to + row * out.shape[1])
                    place(data, planes, moved, line, flat, how)


def _touched(chunk: int, axis: Axis) -> list[int]:
    """The numbers of the chunks along an axis that hold a wanted cell."""
    return sorted({number for run in axis.runs for number in range(run.first // chunk, -(-run.stop // chunk))})


def _boxes(stored: Stored, axes: Sequence[Axis], steps: Sequence[int], corner: Sequence[int]) -> Iterator[Box]:
    """The boxes of one chunk that are wanted: more than one where runs break within it."""
    parts = []
    for axis, number in zip(axes, corner, strict=True):
        begin = number * stored.chunks[axis.dim]
        end = begin + stored.chunks[axis.dim]
        parts.append([(run, max(run.first, begin), min(run.stop, end)) for run in axis.runs])
    for chosen in product(*([p for p in part if p[1] < p[2]] for part in parts)):
        counts, between, strides, base, to = [1, 1], [0, 0], [0, 0], 0, 0
        for axis, number, (run, first, stop) in zip(axes, corner, chosen, strict=True):
            counts.append(stop - first)
            between.append(steps[axis.dim])
            strides.append(axis.stride * run.step)
            base += (first - number * stored.chunks[axis.dim]) * steps[axis.dim]
            to += axis.stride * (run.to + run.step * (first - run.first))
        yield Box(
            base, (counts[-3], counts[-2], counts[-1]), (between[-3], between[-2]), to, (strides[-3], strides[-2])
        )


def _chunk(file: int, stored: Stored, at: tuple[int, ...]) -> tuple[np.ndarray, tuple[bool, bool]]:
    """The bytes of one chunk, whether they are shuffled, and whether in the other byte order."""
    swapped = not stored.dtype.isnative
    offset, size = int(stored.offsets[at]), int(stored.sizes[at])
    if offset == _ABSENT:
        return np.repeat(stored.fill, prod(stored.chunks)).view(np.uint8), (False, swapped)
    data = os.pread(file, size, offset)
    if len(data) < size:
        raise OSError("the file ends within it")
    whole = prod(stored.chunks) * stored.dtype.itemsize
    shuffled, skipped = False, int(stored.skipped[at])
    for number, code in reversed(list(enumerate(stored.filters))):
        if skipped >> number & 1:
            continue
        if code == _DEFLATE:
            data = _inflated(data, whole + 4)
        elif code == _FLETCHER32:
            data = _checked(data)
        elif number == 0 or all(skipped >> before & 1 for before in range(number)):
            shuffled = stored.dtype.itemsize > 1  # undone with the unpacking
        else:
            data = _unshuffled(data, stored.dtype.itemsize)
    if stored.filters and len(data) != whole:
        raise OSError(f"a chunk has {len(data)} bytes, expected {whole}")
    return np.frombuffer(data, np.uint8), (shuffled, swapped)


def _inflated(data: bytes, size: int) -> bytes:
    try:
        return isal_zlib.decompress(data, bufsize=size)
    except isal_zlib.error as error:  # type: ignore[misc]
        raise OSError(f"a chunk cannot be inflated: {error}") from None


def _unshuffled(data: bytes, size: int) -> bytes:
    """Numbers of so many bytes whose first bytes came first, then their second ones; what is left over as it is."""
    count = len(data) // size
    planes = np.frombuffer(data, np.uint8, count * size).reshape(size, count)
    return planes.T.tobytes() + data[count * size :]


def _checked(data: bytes) -> bytes:
    """The bytes before a Fletcher-32 checksum, which must be theirs."""
    (told,) = struct.unpack("<I", data[-4:])
    low, high = _fletcher(np.frombuffer(data, np.uint8)[:-4])
    if (told & 0xFFFF) % 65535 != low or (told >> 16) % 65535 != high:
        raise OSError("a chunk has a wrong checksum")
    return data[:-4]


@numba.njit(cache=True, nogil=True)
def _fletcher(data):  # type: ignore[no-untyped-def]
    """Both sums of Fletcher's checksum over big-endian 16-bit words, modulo 65535."""
    low, high, words = np.uint64(0), np.uint64(0), data.size // 2
    for start in range(0, words, 4096):  # as many as 64 bits surely hold
        for k in range(start, min(words, start + 4096)):
            low += np.uint64(data[2 * k]) * np.uint64(256) + np.uint64(data[2 * k + 1])
            high += low
        low, high = low % np.uint64(65535), high % np.uint64(65535)
    if data.size % 2:
        low = (low + np.uint64(data[-1]) * np.uint64(256)) % np.uint64(65535)
        high = (high + low) % np.uint64(65535)
    return low, high
