"""Days: maps of a store decoded on all cores into batches, land filled and wet cells looked at on the way."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
import xarray as xr
from torch import Tensor

from oceanx.data.feeding.chunks import ChunkReader, Job
from oceanx.vocabulary.processes import cores

T = TypeVar("T")
Field = TypeVar("Field", np.ndarray, Tensor)
Variable = tuple[str, str]  # "state" or "forcing", and its name
Day = tuple[Variable, int]  # with its position in time


@dataclass(frozen=True)
class Place:
    """A patch of a map: its first row and column, and its size. Its columns may run over the last into the first."""

    row: int
    column: int
    rows: int
    columns: int

    def cut(self, field: Field) -> list[Field]:
        """The patch of a field `[…, latitude, longitude]`, as one view or as the two that meet at the seam."""
        band = field[..., self.row : self.row + self.rows, :]
        beyond = self.column + self.columns - field.shape[-1]
        first = band[..., self.column : self.column + self.columns]
        return [first, band[..., :beyond]] if beyond > 0 else [first]

    def of(self, ds: xr.Dataset) -> xr.Dataset:
        """The patch of a Dataset, lazily."""
        columns = (self.column + np.arange(self.columns)) % ds.sizes["longitude"]
        return ds.isel(latitude=slice(self.row, self.row + self.rows), longitude=columns)


@dataclass(frozen=True)
class Wanted:
    """A day to be written into `out` `[depth, latitude, longitude]`, or the patch of it at `place`.

    `memory` is that of `out`, flat, and of what lies behind it that may be written over before it is written itself.
    """

    variable: Variable
    time: int
    out: np.ndarray
    memory: np.ndarray
    place: Place | None = None


@dataclass(frozen=True)
class Source:
    """How a variable is read: its reader, where land and water alternate, and what becomes of land (`unpacking`)."""

    reader: ChunkReader
    shores: np.ndarray
    land: int

    def jobs(self, days: Mapping[int, np.ndarray], whole: set[int]) -> tuple[list[Job], list[Job]]:
        """What writes these days, first and then; those known to be whole are not looked at again."""
        return self.reader.jobs(days, self.shores, self.land, whole)


class Days:
    """The days of several variables, read as they are asked for.

    Days are kept where they are asked for again: by windows that follow each other, as a second batch with most days of
    the first one shows, and by patches. A day without a gap in its wet cells is looked at once, not in every epoch.

    Parameters
    ----------
    sources
        By variable.
    limit
        Bytes that kept days may take.
    """

    def __init__(self, sources: Mapping[Variable, Source], limit: int):
        self.sources, self.limit = dict(sources), limit
        self._kept: OrderedDict[Day, np.ndarray] = OrderedDict()
        self._before: set[Day] = set()
        self._whole: dict[Variable, set[int]] = {variable: set() for variable in self.sources}
        self._alone = threading.Lock()
        self._pool = ThreadPoolExecutor(_cores(), thread_name_prefix="oceanx-decode")

    @property
    def nbytes(self) -> int:
        """Bytes that kept days take."""
        return sum(day.nbytes for day in self._kept.values())

    def write(self, wanted: Iterable[Wanted]) -> dict[Day, int]:
        """Write every day where it is wanted; by day, how many of its wet cells are NaN, where there are any."""
        with self._alone:
            wanted = list(wanted)
            decoded, copies, kept = self._plan(wanted)
            lacking: dict[Day, int] = {}
            both = [(v, self.sources[v].jobs(days, self._whole[v])) for v, days in decoded.items()]
            for turn in (0, 1):
                jobs = [partial(_counted, variable, job) for variable, lists in both for job in lists[turn]]
                for counts in self._pool.map(_run, jobs):
                    for day, count in counts.items():
                        lacking[day] = lacking.get(day, 0) + count
            list(self._pool.map(_run, copies))
            self._kept |= {day: values for day, values in kept.items() if not lacking[day]}
            for (variable, time), count in lacking.items():
                if not count:
                    self._whole[variable].add(time)
            return {day: count for day, count in lacking.items() if count}

    def _plan(
        self, wanted: list[Wanted]
    ) -> tuple[dict[Variable, dict[int, np.ndarray]], list[Callable[[], None]], dict[Day, np.ndarray]]:
        """What to decode into which memory, what to copy then, and which days to keep."""
        made: dict[Day, np.ndarray] = {}
        decoded: dict[Variable, dict[int, np.ndarray]] = {}
        copies: list[Callable[[], None]] = []
        kept: dict[Day, np.ndarray] = {}
        asked = {(want.variable, want.time) for want in wanted}
        # These windows overlap the last by more than half, so will the next: copies are cheaper than decoding again.
        following = 2 * len(asked & self._before) > len(asked)
        for want in wanted:
            day = (want.variable, want.time)
            there = self._kept.get(day)
            if there is not None:
                self._kept.move_to_end(day)
            else:
                there = made.get(day)
            if there is None:
                there, memory = want.out, want.memory
                if following or want.place is not None:
                    slot, room = self._room(self.sources[want.variable].reader.shape[1:], asked, kept)
                    if room:
                        kept[day] = slot
                    if room or want.place is not None:
                        there, memory = slot, slot
                made[day] = there
                decoded.setdefault(want.variable, {})[want.time] = memory
            if there is not want.out:
                copies.append(partial(_copy, there, want.out, want.place))
        self._before = asked
        return decoded, copies, kept

    def _room(self, shape: tuple[int, ...], asked: set[Day], kept: Mapping[Day, np.ndarray]) -> tuple[np.ndarray, bool]:
        """Memory for a day, the least used one's that nobody wants now if need be, and whether it may be kept there."""
        size = 4 * int(np.prod(shape))
        taken = self.nbytes + sum(day.nbytes for day in kept.values())
        free: np.ndarray | None = None
        for day in [day for day in self._kept if day not in asked]:
            if taken + size <= self.limit or free is not None:
                break
            old = self._kept.pop(day)
            taken -= old.nbytes
            free = old if old.shape == shape else None
        return np.empty(shape, np.float32) if free is None else free, taken + size <= self.limit


def _run(job: Callable[[], T]) -> T:
    return job()


def _counted(variable: Variable, job: Job) -> dict[Day, int]:
    return {(variable, time): count for time, count in job().items()}


def _copy(day: np.ndarray, out: np.ndarray, place: Place | None) -> None:
    start = 0
    for piece in place.cut(day) if place else [day]:
        out[..., start : start + piece.shape[-1]] = piece
        start += piece.shape[-1]


def _cores() -> int:
    """The cores that this process may use, shared with its like on this machine."""
    return max(1, cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
