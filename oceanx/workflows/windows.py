"""Windows: `steps + 1` consecutive times of a Dataset as named tensors, and which of them there are.

xbatcher describes them. Where the numbers lie in a store on this machine they are decoded straight into the batch; of
any other Dataset xbatcher's own selection is loaded. The bits are the same.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import psutil
import torch
import xarray as xr
import xbatcher
from torch import Tensor
from torch.utils.data import Dataset

from oceanx import seam
from oceanx.data.feeding.chunks import ChunkReader
from oceanx.data.feeding.unpacking import LAND_ZERO, NAN_ZERO, shores_of
from oceanx.ocean import grid
from oceanx.vocabulary.channels import Channels, Task
from oceanx.vocabulary.errors import InputError

from .days import Days, Place, Source, Variable, Wanted
from .model import background, refuse_without_time
from .prefetch import Buffers

IN_MEMORY_SHARE = 0.25  # of the free memory that a Dataset may take to be read once and kept
KEPT_SHARE = 0.1  # of the free memory that decoded days may take

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
        self.periodic = grid.is_periodic(ds.longitude)
        self.times = ds.time.values
        self.days_kept = 0  # at least, where there is room for so many in the tenth of the memory or not
        self._valid = valid_windows(ds, task, steps)
        self._kept: dict[Channels, dict[str, Tensor]] = {}
        self._begin()

    def _begin(self) -> None:
        """What every process has of its own, made when it is needed."""
        self._generators: dict[Channels, xbatcher.BatchGenerator] = {}
        self._days: Days | None = None
        self._buffers = Buffers()

    def __len__(self) -> int:
        return len(self._valid)

    def __getitem__(self, index: int) -> Window:
        batch = self.__getitems__([index])
        return {kind: {name: field[0] for name, field in fields.items()} for kind, fields in batch.items()}

    def __getitems__(self, indices: list[int]) -> Window:
        """Several windows at once, each field `[batch, time, depth, lat, lon]`: what torch asks a dataset for."""
        return self.cut(indices, [None] * len(indices))

    def cut(self, indices: Sequence[int], places: Sequence[Place | None]) -> Window:
        """Several windows at once, of each the patch at its place, or all of it."""
        firsts = [int(self._valid[index]) for index in indices]
        decoded = self._decoded(firsts, places)
        state = _stack([self._state(at, place) for at, place in zip(firsts, places, strict=True)])
        forcing = self._forcing(firsts, places)
        state |= {name: field for (kind, name), field in decoded.items() if kind == "state"}
        forcing |= {name: field for (kind, name), field in decoded.items() if kind == "forcing"}
        return {
            "state": {name: state[name] for name in self.task.prognostic.names},
            "forcing": {name: forcing[name] for name in (*self.task.forcing.names, *forcing)},
        }

    def _decoded(self, firsts: Sequence[int], places: Sequence[Place | None]) -> dict[Variable, Tensor]:
        """The variables whose stores are read directly, finished."""
        days = self._reading()
        size = (places[0].rows, places[0].columns) if places[0] else tuple(self.mask.shape[1:])
        fields: dict[Variable, Tensor] = {}
        wanted = []
        for variable, source in days.sources.items():
            beyond = 0 if places[0] else source.reader.beyond
            field, memory = self._buffers.take((len(firsts), self.steps + 1, source.reader.shape[1], *size), beyond)
            fields[variable] = field
            length = field[0, 0].numel()
            for number, (at, place) in enumerate(zip(firsts, places, strict=True)):
                for step in range(self.steps + 1):
                    start = (number * (self.steps + 1) + step) * length
                    out = field[number, step].numpy()
                    wanted.append(Wanted(variable, at + step, out, memory[start : start + length + beyond], place))
        lacking = days.write(wanted)
        for at in firsts if lacking else ():
            for variable in fields:
                count = sum(lacking.get((variable, at + step), 0) for step in range(self.steps + 1))
                if count:
                    raise seam.lacking(variable[1], count, self._dates(at))
        return fields

    def _reading(self) -> Days:
        if self._days is None:
            sources = {} if self._kept else dict(self._sources())
            a_day = 4 * sum(int(np.prod(source.reader.shape[1:])) for source in sources.values())
            share = KEPT_SHARE * psutil.virtual_memory().available / _together()
            self._days = Days(sources, max(int(share), self.days_kept * a_day))
            self._buffers = Buffers(len(sources))
        return self._days

    def _sources(self) -> Iterator[tuple[Variable, Source]]:
        for channels, part in self._parts.items():
            state = channels == self.task.prognostic
            for name in channels.names:
                reader = ChunkReader.of(part[name])
                if reader is not None:
                    wet = self.mask if reader.shape[1] == len(self.mask) else self.mask[:1]
                    shores = shores_of(np.broadcast_to(wet.numpy() != 0, reader.shape[1:]))
                    yield (_kind(state), name), Source(reader, shores, LAND_ZERO if state else NAN_ZERO)

    def _state(self, at: int, place: Place | None) -> dict[str, Tensor]:
        fields = self._read(self.task.prognostic, at, place)
        if self.task.prognostic in self._kept:
            return fields
        return seam.fill_land(fields, _at(self.mask, place), self._dates(at))

    def _forcing(self, firsts: Sequence[int], places: Sequence[Place | None]) -> dict[str, Tensor]:
        """The atmosphere, and the climatology of all windows at once; 0 where undefined, as the network reads land."""
        told = [self._read(self.task.forcing, at, place) for at, place in zip(firsts, places, strict=True)]
        if self.task.forcing not in self._kept:
            for at, place, fields in zip(firsts, places, told, strict=True):
                seam.refuse_nan(fields, _at(self.mask, place), self._dates(at))
        forcing = _stack(told)
        times = np.concatenate([self.times[at : at + self.steps + 1] for at in firsts])
        for name, field in background(self.climatology, times, self.task).items():
            windows = field.unflatten(0, (len(firsts), -1))
            forcing[name] = torch.stack([_at(window, place) for window, place in zip(windows, places, strict=True)])
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
        self._begin()
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

    def _read(self, channels: Channels, at: int, place: Place | None) -> dict[str, Tensor]:
        """What of one window is not read directly: a slice of what is kept, or what xbatcher's selector loads."""
        if channels in self._kept:
            return {name: _at(f[at : at + self.steps + 1], place) for name, f in self._kept[channels].items()}
        kind = _kind(channels == self.task.prognostic)
        rest = channels.only(name for name in channels.names if (kind, name) not in self._reading().sources)
        if not rest.names:
            return {}
        if rest not in self._generators:
            self._generators[rest] = _generator(self._parts[channels][list(rest.names)], self.steps)
        window = self._generators[rest][at]
        return seam.to_fields(place.of(window) if place else window, rest)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_generators": {}, "_days": None, "_buffers": Buffers()}


def small(nbytes: int) -> bool:
    """Whether a quarter of the memory that is free holds so much: then it is read once and kept.

    Of processes on one machine, each keeps its own.
    """
    return nbytes * _together() < IN_MEMORY_SHARE * psutil.virtual_memory().available


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


def _stack(windows: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([window[name] for window in windows]) for name in windows[0]}


def _generator(ds: xr.Dataset, steps: int) -> xbatcher.BatchGenerator:
    """xbatcher's windows of whole maps: what is no input dimension it would stack."""
    return xbatcher.BatchGenerator(
        ds,
        input_dims={dim: steps + 1 if dim == "time" else size for dim, size in ds.sizes.items()},
        input_overlap={"time": steps},
        preload_batch=False,
    )


def _at(field: Tensor, place: Place | None) -> Tensor:
    return torch.cat(place.cut(field), -1) if place else field


def _kind(state: bool) -> str:
    return "state" if state else "forcing"


def _together() -> int:
    """Processes of one run on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def _day(time: np.datetime64) -> str:
    return str(pd.Timestamp(time))[:16].removesuffix(" 00:00")
