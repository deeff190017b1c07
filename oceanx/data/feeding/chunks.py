"""Chunk reading: values of a local Zarr array straight from its files, decoded on all cores into memory that is there.

For Blosc-compressed arrays on a disk of this machine. Whatever else there is, xarray reads.
"""

from __future__ import annotations

import math
import mmap
import os
import struct
import sys
import threading
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, product
from pathlib import Path

import google_crc32c
import numpy as np
import xarray as xr
import zarr
from numcodecs import blosc
from zarr.codecs import BloscCodec, BytesCodec, Crc32cCodec, ShardingCodec
from zarr.storage import LocalStore

from ...vocabulary.errors import InputError
from .lineage import Origin, origin
from .unpacking import AS_STORED, unpack
from .unpacking import finish as finish_in_place

_DIMENSIONS = (("time", "depth", "latitude", "longitude"), ("time", "latitude", "longitude"))
_NUMBERS = tuple(np.dtype(name) for name in ("f4", "f8", "i1", "i2", "i4", "u1", "u2", "u4"))  # in our byte order
_ABSENT = 2**64 - 1  # what a shard's index says of a chunk that was never written
Job = Callable[[], dict[int, int]]
_Day = tuple[int, int, np.ndarray, bool]  # position in time, in the chunk; where to write; whether to look for NaN
_HEADER = struct.Struct("<4B3I")  # of a Blosc buffer: version, codec's version, flags, item; bytes, block, compressed


@dataclass(frozen=True)
class Files:
    """How an array lies on disk: one Blosc chunk a file, or (`index`) a shard of several.

    `chunk` and `file` are shapes [time, (depth,) latitude, longitude] of a chunk and of what one file spans.
    """

    folder: Path
    chunk: tuple[int, ...]
    file: tuple[int, ...]
    key: Callable[[tuple[int, ...]], str]
    index: str | None = None  # where in a shard its index lies: "start", "end"


class ChunkReader:
    """The values of one variable of a local store, read without xarray: float32, `[time, depth, latitude, longitude]`.

    A surface variable has one level. Of a variable that `of` accepts, what `read` gives is bit for bit
    `v.values.astype("float32")`.
    """

    def __init__(self, source: Origin, files: Files):
        array, places = source.array, list(source.places)
        self.decoding, self.files = source.decoding, files
        self.dtype, self.fill = np.dtype(array.dtype), _fill_value(array)
        self.name = array.path.rpartition("/")[2]
        self._flat = len(places) == 3
        if self._flat:
            places.insert(1, np.zeros(1, dtype=np.int64))
        self._chunk = _with_level(files.chunk) if self._flat else files.chunk
        self.shape = tuple(len(p) for p in places)
        self._times = places[0]
        # For each axis of a day: which chunks it needs, and of each the positions in the chunk and in the day.
        self._parts = [_parts(p, size) for p, size in zip(places[1:], self._chunk[1:], strict=True)]
        self._plain = self.dtype == np.float32 and source.decoding == type(source.decoding)()
        self._runs: dict[tuple[int, ...], np.ndarray] = {}

    @classmethod
    def of(cls, v: xr.DataArray) -> ChunkReader | None:
        """The reader of a lazy variable; None if it was computed with, or its store is not one that can be read so."""
        if v.dims not in _DIMENSIONS or v.size == 0:
            return None
        source = origin(v)
        if source is None or (np.diff(source.places[-1]) != 1).any():
            return None
        files = files_of(source.array)
        return cls(source, files) if files else None

    def read(self, times: Sequence[int]) -> np.ndarray:
        """The values at these positions in time, NaN where none are."""
        out = np.empty((len(times), *self.shape[1:]), np.float32)
        whole = np.array([0, 0, out[0].size] if len(times) else [0])
        for number, time in enumerate(times):
            for job in chain(*self.jobs({time: out[number]}, whole, AS_STORED)):
                job()
        return out

    @property
    def beyond(self) -> int:
        """How many numbers behind a day may be written over, so that its last levels can be decoded in place too."""
        stops = [self._stop_in_place(self._runs_of(where), sys.maxsize) for where in product(*self._parts)]
        return max(0, max(stops) - math.prod(self.shape[1:]))

    def jobs(
        self, wanted: Mapping[int, np.ndarray], shores: np.ndarray, land: int, whole: Container[int] = ()
    ) -> tuple[list[Job], list[Job]]:
        """Pieces of work, one a chunk, that together write these days; any thread may do any of them.

        Those of the second list must wait until all of the first are done, which write beyond the end of their day.
        Each gives the number of wet cells that turned out NaN, by position in time.

        Parameters
        ----------
        wanted
            By position in time, where to write: float32 `[depth, latitude, longitude]`, contiguous; or flat and longer,
            up to `beyond`, where what lies behind the day may be written over before the second list.
        shores
            Of `shores_of` for the days' mask.
        land
            What becomes of land, of `unpacking`.
        whole
            Positions in time that are known to lack nothing: not looked at again.
        """
        together: dict[int, list[_Day]] = {}
        for time, day in wanted.items():
            chunk, within = divmod(int(self._times[time]), self._chunk[0])
            together.setdefault(chunk, []).append((time, within, day.reshape(-1), time not in whole))
        first: list[Job] = []
        then: list[Job] = []
        day_size = math.prod(self.shape[1:])
        for chunk, days in together.items():
            for where in product(*self._parts):
                stop = self._stop_in_place(self._runs_of(where), min(len(day) for _, _, day, _ in days))
                job = partial(self._read_chunk, (chunk, *where), days, shores, land, stop > 0)
                (first if stop > day_size else then).append(job)
        return first, then

    def _stop_in_place(self, runs: np.ndarray, room: int) -> int:
        """Where a chunk ends that is decoded into the day itself, 0 for one that cannot be."""
        if not self._plain or self._chunk[0] > 1 or len(runs) > 1 or runs[0, 0] > 0:
            return 0
        start, last, day = int(runs[0, 1]), int(runs[0, 1] + runs[0, 2]), math.prod(self.shape[1:])
        stop = start + math.prod(self._chunk)
        # What a chunk holds beyond the selected levels may only fall behind the day, not on other levels of it, and not
        # so far that it meets what the following day writes in the same turn.
        behind = last == day and stop - day <= start
        return stop if stop <= room and (last == stop or behind) else 0

    def _read_chunk(
        self, where: tuple[int, ...], days: list[_Day], shores: np.ndarray, land: int, in_place: bool
    ) -> dict[int, int]:
        runs = self._runs_of(where[1:])
        size, day_size = math.prod(self._chunk), math.prod(self._chunk[1:])
        with _Bytes(self.files, self._where(where)) as source:
            if in_place and source is not None:
                start, length = int(runs[0, 1]), int(runs[0, 2])
                counts = {}
                for time, _, day, look in days:
                    source.decode(day[start : start + size])
                    counts[time] = finish_in_place(day, start, start + length, shores, land, look)
                return counts
            raw = _scratch(size, self.dtype)
            if source is None:
                raw[:] = self.fill
            else:
                source.decode(raw)
        d = self.decoding
        return {
            time: unpack(
                raw[within * day_size : (within + 1) * day_size],
                day, runs, shores, d.scale, d.offset, d.fill, self._plain, land, look,
            )
            for time, within, day, look in days
        }  # fmt: skip

    def _where(self, where: tuple[int, ...]) -> tuple[int, ...]:
        return (where[0], *where[2:]) if self._flat else where

    def _runs_of(self, where: tuple[int, ...]) -> np.ndarray:
        """The runs of a chunk's day: start in the chunk, start in the day, length. Longitudes stand side by side."""
        if where not in self._runs:
            (zc, zd), (yc, yd), (xc, xd) = (part[at] for part, at in zip(self._parts, where, strict=True))
            _, _, rows, columns = self._chunk
            begin = (zc[:, None] * rows + yc) * columns + xc[0]
            into = (zd[:, None] * self.shape[2] + yd) * self.shape[3] + xd[0]
            self._runs[where] = _merged(begin.ravel(), into.ravel(), len(xc))
        return self._runs[where]


def files_of(array: zarr.Array) -> Files | None:
    """How an array lies on this machine's disk; None if it lies elsewhere, or is encoded in another way than Blosc."""
    store, metadata = array.store, array.metadata
    if not isinstance(store, LocalStore) or array.dtype not in _NUMBERS:
        return None
    folder = Path(store.root) / array.path
    if metadata.zarr_format == 2:
        if getattr(metadata.compressor, "codec_id", None) != "blosc" or metadata.filters or metadata.order != "C":
            return None
        return Files(folder, metadata.chunks, metadata.chunks, metadata.encode_chunk_key)
    grid = getattr(metadata.chunk_grid, "chunk_shape", None)
    if grid is None:
        return None
    codecs = metadata.codecs
    if len(codecs) == 1 and isinstance(codecs[0], ShardingCodec):
        shard = codecs[0]
        checked = [type(codec) for codec in shard.index_codecs] == [BytesCodec, Crc32cCodec]
        if not checked or not _little(shard.index_codecs[0]) or not _is_blosc(shard.codecs):
            return None
        return Files(folder, shard.chunk_shape, grid, metadata.encode_chunk_key, shard.index_location.value)
    return Files(folder, grid, grid, metadata.encode_chunk_key) if _is_blosc(codecs) else None


def _is_blosc(codecs: Sequence[object]) -> bool:
    return [type(codec) for codec in codecs] == [BytesCodec, BloscCodec] and _little(codecs[0])


def _little(codec: object) -> bool:
    return getattr(getattr(codec, "endian", None), "value", "little") == "little"


def _fill_value(array: zarr.Array) -> np.generic:
    fill = array.metadata.fill_value
    return array.dtype.type(0 if fill is None else fill)


def _with_level(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (shape[0], 1, *shape[1:])


def _parts(places: np.ndarray, size: int) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """By chunk along an axis: positions in the chunk, and in the selection."""
    chunks, within = np.divmod(places, size)
    return {int(c): (within[chunks == c], np.flatnonzero(chunks == c)) for c in np.unique(chunks)}


def _merged(begin: np.ndarray, into: np.ndarray, length: int) -> np.ndarray:
    """Runs of one length each, joined where one goes on where another ends, in the chunk and in the day."""
    breaks = (np.diff(begin) != length) | (np.diff(into) != length)
    first = np.flatnonzero(np.concatenate([[True], breaks]))
    lengths = np.diff(np.append(first, len(begin))) * length
    return np.stack([begin[first], into[first], lengths], axis=1).astype(np.int64)


class _Bytes:
    """A chunk's compressed bytes, mapped from its file; None if it was never written."""

    def __init__(self, files: Files, where: tuple[int, ...]):
        self._files = files
        inside = [math.ceil(f / c) for f, c in zip(files.file, files.chunk, strict=True)]
        self._within = tuple(w % n for w, n in zip(where, inside, strict=True))
        self._inside = inside
        self._file = files.folder / files.key(tuple(w // n for w, n in zip(where, inside, strict=True)))

    def __enter__(self) -> _Bytes | None:
        try:
            handle = os.open(self._file, os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            size = os.fstat(handle).st_size
            if not size:
                raise self._damaged("is empty")
            self._map = mmap.mmap(handle, size, access=mmap.ACCESS_READ)
        finally:
            os.close(handle)
        self._view = memoryview(self._map)
        if self._files.index:
            start, length = self._position(size)
            if start == _ABSENT:
                self.__exit__()
                return None
            if start + length > size:
                raise self._damaged("ends too early")
            self._source = self._view[start : start + length]
        else:
            self._source = self._view[:]
        return self

    def __exit__(self, *_: object) -> None:
        for view in ("_source", "_view"):
            if hasattr(self, view):
                getattr(self, view).release()
        if hasattr(self, "_map"):
            self._map.close()

    def decode(self, out: np.ndarray) -> None:
        """Decompress into `out`, which is contiguous and has the chunk's size."""
        length = len(self._source)
        header = _HEADER.unpack(self._source[: _HEADER.size]) if length >= _HEADER.size else (0,) * 7
        if header[4] != out.nbytes or header[6] != length:
            raise self._damaged(f"holds {header[4]} bytes, expected {out.nbytes}, or is cut short")
        try:
            blosc.decompress(self._source, out)
        except RuntimeError as error:
            raise self._damaged(str(error)) from None

    def _position(self, size: int) -> tuple[int, int]:
        """Where the chunk begins in its shard, and its length."""
        count = math.prod(self._inside)
        length = 16 * count + 4
        if size < length:
            raise self._damaged("has no room for its index")
        index = bytes(self._view[:length] if self._files.index == "start" else self._view[size - length :])
        if google_crc32c.value(index[:-4]) != int.from_bytes(index[-4:], "little"):
            raise self._damaged("has an index that does not fit its checksum")
        number = int(np.ravel_multi_index(self._within, self._inside))
        start, extent = struct.unpack_from("<2Q", index, 16 * number)
        return start, extent

    def _damaged(self, how: str) -> InputError:
        return InputError(f"{self._file}: {how}; the store is damaged, bake it again")


_local = threading.local()


def _scratch(size: int, dtype: np.dtype) -> np.ndarray:
    """Memory of this thread's own for one chunk, used again and again."""
    held = getattr(_local, "held", None)
    if held is None or held.nbytes < size * dtype.itemsize:
        held = _local.held = np.empty(size * dtype.itemsize, np.uint8)
    return held[: size * dtype.itemsize].view(dtype)
