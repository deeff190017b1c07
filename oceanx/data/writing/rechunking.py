"""Rechunk: a store cut otherwise, for maps or for time series, with the same content, in bounded memory."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial as partially
from pathlib import Path
from typing import Any, get_args

import numcodecs
import numpy as np
import xarray as xr
import zarr
from dask.utils import parse_bytes

from ...vocabulary.errors import InputError, unknown
from ...vocabulary.files import partial, publish, refuse_existing, remove
from ...vocabulary.progress import Progress
from ..shelf.stores import open_store
from . import regions
from .chunking import Layout, Purpose, days_at_once, layout
from .regions import Box, Route
from .unfinished import held, manifest_of, taken_up

_YEAR = 366  # times that a chunk of a time series spans at least, where there are so many
_SHARE = 3  # of the memory: a box, what zarr makes of it, and room
_VERSION = 1  # of the layout of an unfinished store


@dataclass(frozen=True)
class Move:
    """One variable on its way."""

    name: str
    source: Any  # zarr.Array
    layout: Layout
    route: Route

    @property
    def reading(self) -> list[Box]:
        """What is read at once into pieces; nothing where one passage does."""
        return regions.boxes(self.route.shape, self.route.reading) if self.route.reading else []

    @property
    def writing(self) -> list[Box]:
        """What is written at once."""
        return regions.boxes(self.route.shape, self.route.writing)


def rechunk(
    store: str | os.PathLike[str],
    to: str | os.PathLike[str],
    purpose: Purpose = "timeseries",
    *,
    overwrite: bool = False,
    resume: bool = True,
    memory: str | int = "512MB",
    progress: Progress | None = None,
) -> xr.Dataset:
    """The lazy Dataset of a store with the content of another, cut for maps ("training") or for time series.

    Raw numbers are moved, packed or not; attributes, coordinates, groups, codecs and the fingerprint stay.

    Parameters
    ----------
    store
        A Zarr store on disk, v2 or v3.
    to
        Where the other goes; refused if it exists, unless `overwrite`, and then replaced when the new one is complete.
    resume
        Go on with what an interrupted call left in `<to>.partial`.
    memory
        Bytes that may be used. The less, the more is written to disk between: what is read at once is not what is
        written at once.

    Raises
    ------
    InputError
        If there is no such store, or memory does not hold one of its chunks.

    Examples
    --------
    >>> ds = rechunk("glorys.zarr", "series.zarr")  # doctest: +SKIP
    """
    if purpose not in get_args(Purpose):
        raise unknown("purpose", purpose, get_args(Purpose))
    path, target = Path(store), Path(to)
    group = _group(path)
    moves = _moves(path, group, purpose, parse_bytes(memory))
    key = _key(path, group, moves)
    work = partial(target)
    if target.is_dir() and not (work / "store").exists() and manifest_of(work).get("key") == key:
        remove(work)  # it was given its name a moment before its maker was stopped
        return open_store(target)
    refuse_existing(target, overwrite=overwrite)
    with held(work):
        date = taken_up(work, key, resume)
        _create(path, group, moves, work, f"{date}Z: oceanx rechunk of {path.name} for {purpose}", purpose)
        _move(moves, work, parse_bytes(memory), progress)
        if group.metadata.consolidated_metadata:
            from .store import consolidate

            consolidate(work / "store", group.metadata.zarr_format)
        publish(work / "store", target)
    remove(work)
    return open_store(target)


def _group(path: Path) -> zarr.Group:
    if not path.exists():
        raise InputError(f"{path}: no such store")
    try:
        return zarr.open_group(path, mode="r")
    except (ValueError, KeyError, OSError) as error:
        raise InputError(f"{path}: is no Zarr store that can be opened ({error})") from None


def _moves(path: Path, group: zarr.Group, purpose: Purpose, memory: int) -> list[Move]:
    """The variables in time of a store, and how each is moved."""
    arrays = {
        name: array for name, array in sorted(group.arrays()) if dims_of(array)[:1] == ("time",) and array.ndim > 2
    }
    if not arrays:
        raise InputError(f"{path}: has no variable in time, latitude and longitude to be cut otherwise")
    times = next(iter(arrays.values())).shape[0]
    item = max(array.dtype.itemsize for array in arrays.values())
    length = days_at_once({name: array.shape[1:] for name, array in arrays.items()}, times, purpose, item)
    if purpose == "timeseries":
        length = max(length, min(times, _YEAR))
    moves = []
    for name, array in arrays.items():
        shards = group.metadata.zarr_format == 3
        cut = layout(array.shape[1:], length, purpose, item=array.dtype.itemsize, shards=shards)
        chunks, files = array.chunks, cut.shards or cut.chunks
        most = min(memory // _SHARE, 2**30)
        found = regions.route(array.shape, chunks, files, array.dtype.itemsize, most)
        if found is None or not regions.fits(chunks, array.dtype.itemsize, most):
            largest = max(int(np.prod(chunks)), int(np.prod(files))) * array.dtype.itemsize
            raise InputError(
                f"{path}: {name} has, or is to have, chunks of {largest / 1e6:.0f} MB; give memory={_SHARE * largest}"
            )
        moves.append(Move(name, array, cut, found))
    return moves


def dims_of(array: zarr.Array) -> tuple[str, ...]:
    """The names of the dimensions of an array of a store, v2 or v3."""
    named: Any = getattr(array.metadata, "dimension_names", None) or array.attrs.get("_ARRAY_DIMENSIONS", ())
    return tuple(map(str, named))


def _key(path: Path, group: zarr.Group, moves: Sequence[Move]) -> dict[str, Any]:
    """What must be the same for an interrupted call to be taken up again."""
    head = path / ("zarr.json" if group.metadata.zarr_format == 3 else ".zattrs")
    return {
        "rechunk": _VERSION,
        "source": str(path.absolute()),
        "changed": head.stat().st_mtime_ns if head.exists() else 0,
        "fingerprint": str(group.attrs.get("oceanx_fingerprint", "")),
        "moves": {
            m.name: [list(part) for part in (m.route.shape, m.layout.chunks, m.route.reading or (), m.route.writing)]
            for m in moves
        },
    }


def _create(path: Path, group: zarr.Group, moves: Sequence[Move], work: Path, word: str, purpose: str) -> None:
    """Make the new store with all that stays as it is, and empty variables, unless an interrupted call has."""
    if (work / "done").is_dir():
        return
    new = work / "store"
    remove(new)
    moved = {move.name for move in moves}
    kept = group.metadata.zarr_format
    made = zarr.open_group(new, mode="w", zarr_format=kept)
    for member in sorted(path.iterdir()):
        if member.is_dir() and member.name not in moved and member.suffix != ".partial":
            shutil.copytree(member, new / member.name)
    attrs = dict(group.attrs)
    attrs["history"] = "\n".join(filter(None, (str(attrs.get("history", "")), word)))
    attrs["oceanx_purpose"] = purpose
    made.attrs.put(attrs)
    for move in moves:
        array = move.source
        options: dict[str, Any] = {"dimension_names": dims_of(array)} if kept == 3 else {}
        made.create_array(
            move.name,
            shape=array.shape,
            dtype=array.dtype,
            chunks=move.layout.chunks,
            shards=move.layout.shards,
            filters=array.filters or None,
            compressors=array.compressors or None,
            fill_value=array.metadata.fill_value,
            chunk_key_encoding={"name": "default" if kept == 3 else "v2", "separator": "."},
            attributes=dict(array.attrs),
            **options,
        )
    (work / "done").mkdir()


def _move(moves: Sequence[Move], work: Path, memory: int, progress: Progress | None) -> None:
    """Take every variable over, box after box, leaving out those that are done."""
    made = zarr.open_group(work / "store", mode="r+")
    tasks = [task for move in moves for task in _tasks(move, made[move.name], work)]
    largest = max(
        int(np.prod(cut)) * m.source.dtype.itemsize
        for m in moves
        for cut in (m.source.chunks, m.layout.shards or m.layout.chunks)
    )
    with zarr.config.set({"async.concurrency": max(1, min(8, memory // (2 * _SHARE * largest)))}):
        for number, (record, run) in enumerate(tasks):
            if progress:
                progress("rechunking", number, len(tasks))
            if not (work / "done" / record).exists():
                run()
                (work / "done" / record).touch()
    if progress:
        progress("rechunking", len(tasks), len(tasks))


def _tasks(move: Move, target: Any, work: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    """What is to be done for one variable, in order: the name of its record, and the doing."""
    for number, box in enumerate(move.reading):
        yield f"{move.name}-read-{number:06d}", partially(_cut, move, work, number, box)
    for number, box in enumerate(move.writing):
        yield f"{move.name}-write-{number:06d}", partially(_put, move, target, work, number, box)


def _cut(move: Move, work: Path, number: int, box: Box) -> None:
    """Read a box, and leave its pieces for the boxes that will be written."""
    values = move.source[box]
    codec = numcodecs.Blosc("lz4", 1, numcodecs.Blosc.SHUFFLE)
    for other, common in regions.pieces(box, move.route.shape, move.route.writing):
        path = _piece(work, move.name, other, number)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".new")
        temporary.write_bytes(codec.encode(np.ascontiguousarray(values[regions.inside(common, box)])))
        os.replace(temporary, path)


def _put(move: Move, target: Any, work: Path, number: int, box: Box) -> None:
    """Write a box, from its pieces or straight from the source."""
    if move.route.reading is None:
        target[box] = move.source[box]
        return
    values = np.empty([b.stop - b.start for b in box], move.source.dtype)
    folder = _piece(work, move.name, number, 0).parent
    for other, common in regions.pieces(box, move.route.shape, move.route.reading):
        part = values[regions.inside(common, box)]
        content = numcodecs.Blosc().decode(_piece(work, move.name, number, other).read_bytes())
        part[...] = np.frombuffer(content, move.source.dtype).reshape(part.shape)
    target[box] = values
    (work / "done" / f"{move.name}-write-{number:06d}").touch()  # before its pieces go
    remove(folder)


def _piece(work: Path, name: str, writing: int, reading: int) -> Path:
    return work / "scratch" / name / f"{writing:06d}" / f"{reading:06d}.blosc"
