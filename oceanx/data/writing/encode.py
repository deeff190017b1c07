"""Encoding: how an array of a store is cut and compressed, and its chunks written without waiting for one another.

zarr makes the arrays and their metadata; the chunks are encoded and written here, because many threads do it at once:
NumPy → Blosc → a temporary file → its name. The bytes are what zarr itself would write.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, prod
from pathlib import Path
from typing import Any, Literal

import google_crc32c
import numcodecs
import numpy as np
import zarr
from zarr.codecs import BloscCodec

from .chunking import Layout

Compression = Literal["lz4", "zstd"]
ABSENT = np.uint64(2**64 - 1)  # in a shard's index: a chunk that holds the fill value alone
_LEVEL = {"lz4": 5, "zstd": 3}


@dataclass(frozen=True)
class Target:
    """One array of a store: where its chunks lie, how they are cut and what they hold."""

    folder: Path
    shape: tuple[int, ...]
    dtype: str
    fill: float | int | None
    layout: Layout
    compression: Compression = "lz4"
    zarr_format: Literal[2, 3] = 3

    def create(self, group: zarr.Group, dims: Sequence[str], attrs: Mapping[str, Any]) -> None:
        """Make the array, without a chunk, in its group."""
        options: dict[str, Any] = {"dimension_names": list(dims), "attributes": dict(attrs)}
        item = np.dtype(self.dtype).itemsize
        compressor: Any = BloscCodec(
            cname=self.compression, clevel=_LEVEL[self.compression], shuffle="shuffle", typesize=item
        )
        separator = {"name": "default", "separator": "."}  # files beside one another, not five folders deep
        if self.zarr_format == 2:
            compressor, separator = self._blosc(), {"name": "v2", "separator": "."}
            options = {"attributes": dict(attrs) | {"_ARRAY_DIMENSIONS": list(dims)}}
        group.create_array(
            self.folder.name,
            shape=self.shape,
            dtype=self.dtype,
            chunks=self.layout.chunks,
            shards=self.layout.shards,
            compressors=compressor,
            fill_value=self.fill,
            chunk_key_encoding=separator,  # type: ignore[arg-type]
            **options,
        )

    def put(self, start: int, values: np.ndarray) -> None:
        """Write `values` (time first) from time `start` on, which must be where a chunk begins."""
        files = self.layout.shards or self.layout.chunks
        if start % files[0] or (len(values) % files[0] and start + len(values) != self.shape[0]):
            raise ValueError(f"times {start} to {start + len(values)} are not whole chunks of {files[0]}")
        counts = [ceil(size / cut) for size, cut in zip(values.shape, files, strict=True)]
        for index in itertools.product(*map(range, counts)):
            block = values[tuple(slice(i * cut, (i + 1) * cut) for i, cut in zip(index, files, strict=True))]
            content = self._shard(block) if self.layout.shards else [self._chunk(block)]
            if content and content[0] is not None:
                self._write((start // files[0] + index[0], *index[1:]), content)

    def path(self, index: Sequence[int]) -> Path:
        """The file of a chunk (of a shard, where there are shards)."""
        return self.folder / (("c." if self.zarr_format == 3 else "") + ".".join(map(str, index)))

    def files(self) -> Iterator[tuple[tuple[int, ...], Path]]:
        """Every chunk file there is, with its index."""
        for path in sorted(self.folder.iterdir()):
            words = path.name.removeprefix("c.").split(".")
            if len(words) == len(self.shape) and all(word.isdigit() for word in words):
                yield tuple(map(int, words)), path

    def _blosc(self) -> numcodecs.Blosc:
        return numcodecs.Blosc(self.compression, _LEVEL[self.compression], numcodecs.Blosc.SHUFFLE)

    def _chunk(self, values: np.ndarray) -> bytes | None:
        """One encoded chunk, filled up at the array's edge; None where there is nothing but the fill value."""
        if self._blank(values):
            return None
        if values.shape != self.layout.chunks:
            whole = np.full(self.layout.chunks, self.fill, self.dtype)
            whole[tuple(map(slice, values.shape))] = values
            values = whole
        return bytes(self._blosc().encode(np.ascontiguousarray(values, self.dtype)))

    def _blank(self, values: np.ndarray) -> bool:
        first = values.flat[0]
        same = np.isnan(first) if self.fill != self.fill else first == self.fill
        # Most chunks hold something in the first cells; only those that do not are looked through.
        return bool(same) and bool(np.isnan(values).all() if self.fill != self.fill else (values == self.fill).all())

    def _shard(self, values: np.ndarray) -> list[bytes | None]:
        """The chunks of one shard behind one another, then their places (offset, length) and a checksum."""
        assert self.layout.shards is not None
        inner = self.layout.chunks
        counts = [outer // cut for outer, cut in zip(self.layout.shards, inner, strict=True)]
        places = np.full((prod(counts), 2), ABSENT, "<u8")
        parts: list[bytes | None] = []
        offset = 0
        for number, index in enumerate(np.ndindex(*counts)):
            block = values[tuple(slice(i * cut, (i + 1) * cut) for i, cut in zip(index, inner, strict=True))]
            chunk = self._chunk(block) if block.size else None
            if chunk is not None:
                places[number] = offset, len(chunk)
                parts.append(chunk)
                offset += len(chunk)
        table = places.tobytes()
        return [*parts, table, np.uint32(google_crc32c.value(table)).astype("<u4").tobytes()] if parts else []

    def _write(self, index: Sequence[int], content: Sequence[bytes | None]) -> None:
        path = self.path(index)
        temporary = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.partial")
        with temporary.open("wb") as file:
            file.writelines(content)  # type: ignore[arg-type]  # none of them is None here
        os.replace(temporary, path)


def small_array(
    group: zarr.Group, name: str, values: np.ndarray, dims: Sequence[str], attrs: Mapping[str, Any]
) -> None:
    """A small array in one chunk, such as a coordinate; replaces one of that name."""
    version: Any = group.metadata.zarr_format
    chunks = tuple(max(1, n) for n in values.shape)
    # In Zarr v2 the value of absent chunks is the one that means missing; of integers none does here.
    fill: Any = np.nan if values.dtype.kind == "f" else None if version == 2 else 0
    target = Target(Path(name), values.shape, values.dtype.str, fill, Layout(chunks), zarr_format=version)
    if name in group:
        del group[name]
    target.create(group, dims, attrs)
    group[name][...] = values  # type: ignore[index]
