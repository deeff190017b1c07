"""Making: one block after another read, taken through the steps, checked, encoded and recorded, by many hands."""

from __future__ import annotations

import ctypes
import errno
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numba
import numpy as np
import psutil
import xarray as xr
import zarr

from oceanx.vocabulary.progress import Progress

from ...vocabulary.errors import InputError
from ...vocabulary.processes import cores
from .. import steps
from ..formats.part import Packing, decode
from ..sources import Sources
from .blocks import Block, Record, refuse_impossible
from .encode import Target
from .rounding import rounded

COPIES = 4  # of a block that are in memory at once while it is made
_MADE, _LET_GO = itertools.count(1), 16  # blocks made in this process; after so many, free memory is given back
_SHARE = 0.5  # of the free memory that the blocks in work may take


@dataclass(frozen=True)
class Job:
    """All that is needed to make any block of a store, on any machine that sees the files.

    Attributes
    ----------
    groups
        Variables (by their names before any step) that are carried together.
    packings
        Of those variables that stay integers.
    rounding
        Precision to which a variable may be rounded, in its unit.
    before
        Number of times that are taken over from the store at `inherited`.
    """

    work: Path
    sources: Sources
    groups: list[list[str]]
    packings: dict[str, Packing]
    rounding: dict[str, float]
    targets: dict[str, Target]
    before: int = 0
    inherited: Path | None = None

    def done(self, block: Block) -> bool:
        """Whether a block is there already, made of the files as they are now."""
        record = Record.load(block.record(self.work))
        return record is not None and record.stamp == self._stamp(block)

    def make(self, block: Block) -> None:
        """Make one block and put down its record."""
        times = self._present(block)
        record = Record(self._stamp(block))
        ds = made(self.sources, self.groups[block.group], times, self.packings) if times.size else xr.Dataset()
        values = {str(name): np.ascontiguousarray(v.values) for name, v in ds.data_vars.items()}
        meant = {name: _meant(v, self.packings[name]) if name in self.packings else v for name, v in values.items()}
        refuse_impossible(meant, times, self.sources, {str(name): v.attrs for name, v in ds.data_vars.items()})
        for name, precision in self.rounding.items():
            if name in values:
                values[name] = meant[name] = rounded(values[name], precision)
        for name, v in meant.items():
            record.add(name, v, self.work)
        there = np.isin(self.sources.axis[block.start : block.stop], times)
        for name, v in values.items():
            self.targets[name].put(block.start, v if there.all() else self._whole(block, name, v, there))
        record.save(block.record(self.work))
        del ds, values, meant
        if next(_MADE) % _LET_GO == 0:
            _let_go()

    def _present(self, block: Block) -> np.ndarray:
        times = self.sources.axis[max(block.start, self.before) : block.stop]
        return times[~np.isin(times, self.sources.missing)]

    def _stamp(self, block: Block) -> str:
        return self.sources.stamp(self.groups[block.group], self._present(block))

    def _whole(self, block: Block, name: str, values: np.ndarray, there: np.ndarray) -> np.ndarray:
        """A block with missing times filled, and those that the store held before."""
        target = self.targets[name]
        whole = np.full((there.size, *values.shape[1:]), target.fill, target.dtype)
        whole[there] = values
        if self.inherited is not None and block.start < self.before:
            old = zarr.open_array(self.inherited / name, mode="r")
            whole[: self.before - block.start] = old[block.start : self.before]
        return whole


def made(sources: Sources, names: Sequence[str], times: np.ndarray, packings: dict[str, Packing]) -> xr.Dataset:
    """The variables at output `times` after every step: our units, float32, or integers where they stay packed."""
    packed = names[0] in packings
    ds = steps.apply(sources.read(names, times, "packed" if packed else sources.exact(names)), sources.steps)
    if not packed:
        ds = steps.convert_units(ds).astype(np.float32, copy=False)
    order = ("time", "depth", "latitude", "longitude")
    return ds.transpose(*(d for d in order if d in ds.dims))


def _meant(raw: np.ndarray, packing: Packing) -> np.ndarray:
    """What packed integers mean, float32."""
    if raw.itemsize != 2:
        return decode(raw, packing.attrs)
    every = np.arange(2**16, dtype=np.uint16).view(raw.dtype)
    result = np.empty(raw.shape, np.float32)
    _look_up(raw.reshape(-1).view(np.uint16), decode(every, packing.attrs), result.reshape(-1))
    return result


@numba.njit(nogil=True, cache=True)
def _look_up(raw, table, result):  # type: ignore[no-untyped-def]
    for i in range(raw.size):
        result[i] = table[raw[i]]


def _let_go() -> None:
    """Give memory that is free back to the system: the C library keeps it, apart for every thread."""
    with suppress(OSError, AttributeError):  # another C library than GNU's
        ctypes.CDLL(None).malloc_trim(0)


def hands(block_bytes: int, workers: int | None = None) -> int:
    """How many blocks are in work at once: one a core, fewer where memory would not hold them."""
    free = _SHARE * psutil.virtual_memory().available
    return max(1, min(workers or cores(), int(free // max(1, COPIES * block_bytes))))


def make_here(job: Job, blocks: Sequence[Block], workers: int, progress: Progress | None) -> None:
    """Make blocks with threads of this process; the first error stops the rest."""
    with ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(job.make, block) for block in blocks]
        try:
            _followed(as_completed(futures), len(blocks), progress)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def make_there(job: Job, blocks: Sequence[Block], scheduler: str, progress: Progress | None) -> None:
    """Make blocks on the workers of dask.distributed: `scheduler` is an address, or "slurm"."""
    try:
        from distributed import Client, as_completed
    except ImportError:
        raise InputError("scheduler: needs dask.distributed: pip install 'oceanx[cluster]'") from None
    with _cluster(scheduler) as cluster, Client(cluster) as client:
        handed = client.scatter(job, broadcast=True, hash=False)
        futures = [client.submit(_make, handed, block, pure=False) for block in blocks]
        try:
            _followed(as_completed(futures), len(blocks), progress)
        except BaseException:
            client.cancel(futures)
            raise


def _make(job: Job, block: Block) -> None:
    job.make(block)


def _cluster(scheduler: str) -> Any:
    """What a Client connects to."""
    from contextlib import nullcontext

    if scheduler != "slurm":
        return nullcontext(scheduler)
    try:
        from dask_jobqueue import SLURMCluster
    except ImportError:
        raise InputError("scheduler: slurm needs dask-jobqueue: pip install 'oceanx[cluster]'") from None
    cluster = SLURMCluster()  # queue, memory and cores come from dask's own configuration
    cluster.adapt(maximum_jobs=int(os.environ.get("OCEANX_SLURM_JOBS", "16")))
    return cluster


def _followed(finished: Iterable[Future[None] | Any], total: int, progress: Progress | None) -> None:
    for number, future in enumerate(finished, 1):
        future.result()
        if progress:
            progress("baking", number, total)


@contextmanager
def disk_watched(work: Path) -> Iterator[None]:
    """A full disk is said in a line."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise InputError(
            f"{work}: the disk is full; free some space and run the same command again, it goes on where it stopped"
        ) from None
