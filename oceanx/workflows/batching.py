"""Batches: Dataset + Task → windows of named tensors.

xbatcher describes the windows; the seam takes their labels off. A window is `steps + 1` consecutive times: it may
cross a year's end, never a gap in the time axis nor a missing day.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import psutil
import torch
import xarray as xr
import xbatcher
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from oceanx import seam
from oceanx.tensors.state import Fields, Forcing, State
from oceanx.vocabulary.channels import Channels, Task
from oceanx.vocabulary.errors import InputError

from .model import background, refuse_without_time

IN_MEMORY_SHARE = 0.25  # of the free memory that a Dataset may take to be read once and kept

Window = dict[str, dict[str, Tensor]]  # {"state" | "forcing": {name: [time, depth, lat, lon]}}


class Windows(Dataset[Window]):
    """All windows of a Dataset as a map-style torch dataset: `windows[i]` is a Window, land 0.

    A worker process gets the Dataset pickled, which for a store on disk is its address: each worker opens it anew.

    Parameters
    ----------
    ds
        With dimension `time` and every variable of the task.
    task
        What to read.
    steps
        Steps per window.
    climatology
        Laid beside the window as `<name>_climatology`, if the task wants anomalies.
    """

    def __init__(self, ds: xr.Dataset, task: Task, steps: int = 1, climatology: xr.Dataset | None = None):
        if steps < 1:
            raise InputError(f"steps: expected at least 1, found {steps}")
        refuse_without_time(ds)
        self.task, self.steps, self.climatology = task, steps, climatology
        # Selecting here makes a missing variable or level an error now, not in the first batch.
        self._parts = {
            channels: seam.select(ds, channels) for channels in (task.prognostic, task.forcing) if channels.names
        }
        self.mask = seam.wet_mask(seam.grid_of(ds, task.prognostic))
        self.times = ds.time.values
        self._valid = valid_windows(ds, task, steps)
        self._generators: dict[Channels, xbatcher.BatchGenerator] = {}
        self._kept: dict[Channels, dict[str, Tensor]] = {}

    def __len__(self) -> int:
        return len(self._valid)

    def __getitem__(self, index: int) -> Window:
        batch = self.__getitems__([index])
        return {kind: {name: field[0] for name, field in fields.items()} for kind, fields in batch.items()}

    def __getitems__(self, indices: list[int]) -> Window:
        """Several windows at once, each field `[batch, time, depth, lat, lon]`: what torch asks a dataset for."""
        firsts = [int(self._valid[index]) for index in indices]
        return {"state": _stack([self._state(at) for at in firsts]), "forcing": self._forcing(firsts)}

    def _state(self, at: int) -> dict[str, Tensor]:
        if self.task.prognostic in self._kept:
            return self._read(self.task.prognostic, at)
        return seam.fill_land(self._read(self.task.prognostic, at), self.mask, self._dates(at))

    def _forcing(self, firsts: list[int]) -> dict[str, Tensor]:
        """The atmosphere, and the climatology of all windows at once; 0 where undefined, as the network reads land."""
        told = [self._read(self.task.forcing, at) for at in firsts]
        if self.task.forcing not in self._kept:
            for at, fields in zip(firsts, told, strict=True):
                seam.refuse_nan(fields, self.mask, self._dates(at))
        forcing = _stack(told)
        times = np.concatenate([self.times[at : at + self.steps + 1] for at in firsts])
        seasonal = background(self.climatology, times, self.task)
        forcing |= {name: field.unflatten(0, (len(firsts), -1)) for name, field in seasonal.items()}
        return {name: torch.nan_to_num(field.float()) for name, field in forcing.items()}

    def _dates(self, at: int) -> str:
        return f"{_day(self.times[at])} to {_day(self.times[at + self.steps])}"

    def window_times(self, index: int) -> np.ndarray:
        """The times of one window."""
        at = int(self._valid[index])
        return self.times[at : at + self.steps + 1]

    def keep_in_memory(self) -> None:
        """Read everything once, now; the land is filled once too, and every day of every window looked at."""
        self._kept = {channels: seam.to_fields(part.load(), channels) for channels, part in self._parts.items()}
        used = np.unique(self._valid[:, None] + np.arange(self.steps + 1))
        for channels, fields in self._kept.items():
            for name, field in fields.items():
                wet = seam.wet_of(field, self.mask)
                lacking = (field.isnan() & wet).flatten(1).any(1).numpy()
                for at in used[lacking[used]][:1]:
                    seam.refuse_nan({name: field[at : at + 1]}, self.mask, _day(self.times[at]))
                state = channels == self.task.prognostic
                fields[name] = torch.where(wet, field.float(), 0.0) if state else torch.nan_to_num(field.float())

    @property
    def nbytes(self) -> int:
        """Size of everything that the windows read, in bytes."""
        return sum(part.nbytes for part in self._parts.values())

    def _read(self, channels: Channels, at: int) -> dict[str, Tensor]:
        """One window of these channels: a slice of what is kept, or what xbatcher's selector reads from the store."""
        if channels in self._kept:
            return {name: field[at : at + self.steps + 1] for name, field in self._kept[channels].items()}
        if not channels.names:
            return {}
        if channels not in self._generators:
            self._generators[channels] = _generator(self._parts[channels], self.steps)
        return seam.to_fields(self._generators[channels][at], channels)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_generators": {}}


class GlobalBatches(Sampler[list[int]]):
    """This rank's share of every global batch, in an order that depends on the seed and the iteration alone.

    Any number of ranks therefore sees the same global batches, and training goes on from any iteration.

    Parameters
    ----------
    length
        Number of windows.
    batch_size
        Windows in a global batch; the rest of an epoch is left out.
    start
        The iteration to begin with.
    endless
        Go on with epoch after epoch, each in an order of its own.
    """

    def __init__(
        self,
        length: int,
        batch_size: int,
        *,
        seed: int = 0,
        shuffle: bool = True,
        rank: int = 0,
        ranks: int = 1,
        start: int = 0,
        endless: bool = False,
    ):
        if batch_size % ranks:
            raise InputError(f"batch_size: {batch_size} windows cannot be shared by {ranks} processes equally")
        if length < batch_size:
            raise InputError(f"batch_size: {batch_size} is more than the {length} windows there are")
        self.length, self.batch_size, self.seed, self.shuffle = length, batch_size, seed, shuffle
        self.rank, self.ranks, self.start, self.endless = rank, ranks, start, endless

    def __len__(self) -> int:
        return self.length // self.batch_size

    def __iter__(self) -> Iterator[list[int]]:
        epoch, skipped = divmod(self.start, len(self))
        yield from self._epoch(epoch)[skipped:]
        while self.endless:
            epoch += 1
            yield from self._epoch(epoch)

    def _epoch(self, number: int) -> list[list[int]]:
        order = np.arange(self.length)
        if self.shuffle:
            np.random.default_rng([self.seed, number]).shuffle(order)
        whole = order[: len(self) * self.batch_size].reshape(len(self), self.ranks, -1)
        return [list(map(int, batch)) for batch in whole[:, self.rank]]


def batches(
    ds: xr.Dataset,
    task: Task,
    steps: int = 1,
    batch_size: int = 1,
    shuffle: bool = True,
    *,
    climatology: xr.Dataset | None = None,
    workers: int = 0,
    seed: int = 0,
) -> DataLoader[Window]:
    """A torch DataLoader of windows: `{"state": …, "forcing": …}`, each field `[batch, time, depth, lat, lon]`, land 0.

    Parameters
    ----------
    ds
        A labelled Dataset, as `open` gives it.
    task
        Which variables and levels.
    steps
        Steps per window, which has `steps + 1` times.
    batch_size
        Windows per batch; the incomplete last batch is left out.
    shuffle
        In a random order, or in order of time.
    climatology
        Of `ocean.climatology`; laid beside each window as `<name>_climatology`. Fitted here if the task wants it.
    workers
        Processes that read ahead; each opens the store itself.

    Examples
    --------
    >>> loader = ox.batches(ds, task, steps=2, batch_size=8)          # doctest: +SKIP
    >>> next(iter(loader))["state"]["thetao"].shape                    # doctest: +SKIP
    torch.Size([8, 3, 4, 72, 96])
    """
    if task.anomalies and climatology is None:
        from oceanx.ocean.climatology import climatology as fit

        climatology = fit(ds[list(task.names)])
    windows = Windows(ds, task, steps, climatology)
    if not workers and small(windows.nbytes):
        windows.keep_in_memory()
    return loader(windows, GlobalBatches(len(windows), batch_size, seed=seed, shuffle=shuffle), workers)


def loader(windows: Windows, sampler: Sampler[list[int]], workers: int = 0) -> DataLoader[Window]:
    """The DataLoader of windows in a sampler's order; workers are started clean, never forked with open files."""
    context = {"multiprocessing_context": "forkserver", "persistent_workers": True} if workers else {}
    return DataLoader(windows, batch_sampler=sampler, num_workers=workers, collate_fn=_as_it_is, **context)  # type: ignore[arg-type]


def small(nbytes: int) -> bool:
    """Whether a quarter of the memory that is free holds so much: then it is read once and kept.

    Of processes on one machine, each keeps its own.
    """
    together = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return nbytes * together < IN_MEMORY_SHARE * psutil.virtual_memory().available


def valid_windows(ds: xr.Dataset, task: Task, steps: int) -> np.ndarray:
    """First positions of all windows whose times are one step apart and none of them missing.

    Raises
    ------
    InputError
        If there is no such window.
    """
    times = ds.time.values
    apart = np.diff(times) == pd.Timedelta(task.step).to_timedelta64()
    gaps = np.flatnonzero(~apart) + 0.5
    missing = np.flatnonzero(np.isin(times, missing_times(ds)))
    first = np.arange(max(0, len(times) - steps))
    broken = np.zeros(len(first), dtype=bool)
    for position in [*gaps, *missing]:
        broken |= (first <= position) & (position <= first + steps)
    if broken.all():
        span = f"between {_day(times[0])} and {_day(times[-1])}" if len(times) else "at all"
        raise InputError(f"time: no {steps + 1} consecutive times {task.step} apart {span}")
    return first[~broken]


def missing_times(ds: xr.Dataset) -> np.ndarray:
    """The times a store lists as missing (all NaN)."""
    listed = ds.attrs.get("missing_times", [])
    return np.array([listed] if isinstance(listed, str) else list(listed), dtype="datetime64[ns]")


def unpack(batch: Window) -> tuple[State, list[Forcing], list[State]]:
    """A batch of windows as the initial state, the forcing of each step, and the state after each step."""
    states = [State(_at(batch["state"], i)) for i in range(_times(batch))]
    told = [Fields(_at(batch["forcing"], i)) for i in range(_times(batch))]
    return states[0], [Forcing(a, b) for a, b in pairwise(told)], states[1:]


def _stack(windows: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([window[name] for window in windows]) for name in windows[0]}


def _as_it_is(batch: Window) -> Window:
    return batch


def _generator(ds: xr.Dataset, steps: int) -> xbatcher.BatchGenerator:
    """xbatcher's windows of whole maps: what is no input dimension it would stack."""
    return xbatcher.BatchGenerator(
        ds,
        input_dims={dim: steps + 1 if dim == "time" else size for dim, size in ds.sizes.items()},
        input_overlap={"time": steps},
        preload_batch=False,
    )


def _at(fields: dict[str, Tensor], time: int) -> dict[str, Tensor]:
    return {name: field[:, time] for name, field in fields.items()}


def _times(batch: Window) -> int:
    return next(iter(batch["state"].values())).shape[1]


def _day(time: np.datetime64) -> str:
    return str(pd.Timestamp(time))[:16].removesuffix(" 00:00")
