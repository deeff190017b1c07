"""Batches: Dataset + Task → windows of named tensors.

xbatcher describes the windows; the seam takes their labels off. A window is `steps + 1` consecutive times: it may
cross a year's end, never a gap in the time axis nor a missing day.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import xarray as xr
from torch import Tensor
from torch.utils.data import DataLoader, Sampler

from oceanx.tensors.state import Fields, Forcing, State
from oceanx.vocabulary.channels import Task
from oceanx.vocabulary.errors import InputError

from .order import GlobalBatches, PatchBatches
from .patches import Patches
from .prefetch import ahead
from .windows import Window, Windows, missing_times, small, valid_windows

__all__ = [
    "GlobalBatches",
    "Window",
    "Windows",
    "batches",
    "loader",
    "missing_times",
    "small",
    "unpack",
    "valid_windows",
]


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
    patch: tuple[int, int] | None = None,
    patches_per_window: int = 16,
    wet: float = 0.1,
) -> DataLoader[Window]:
    """A torch DataLoader of windows: `{"state": …, "forcing": …}`, each field `[batch, time, depth, lat, lon]`, land 0.

    A Dataset that a quarter of the free memory holds is read once. A larger one is read batch by batch, one batch
    ahead, in threads; from a store on this machine as fast as its chunks can be decoded.

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
        Processes that read ahead; each opens the store itself. Threads (0) are faster for stores on this machine.
    patch
        Rows and columns: instead of whole maps, pieces of them at random places; `batch["at"]` holds the positions of
        their first `latitude` and `longitude`. For loops of one's own: `train` takes whole maps.
    patches_per_window
        Pieces that are cut from each window, and decoded together.
    wet
        The least share of water at the surface of a piece.

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
    pieces = Patches(windows, patch, patches_per_window, wet, seed) if patch else None
    if not workers and small(windows.nbytes):
        windows.keep_in_memory()
    if pieces is None:
        return loader(windows, GlobalBatches(len(windows), batch_size, seed=seed, shuffle=shuffle), workers)
    order = PatchBatches(len(pieces), batch_size, patches_per_window, seed=seed, shuffle=shuffle)
    return loader(pieces, order, workers)


def loader(windows: Windows | Patches, sampler: Sampler[list[int]], workers: int = 0) -> DataLoader[Window]:
    """The DataLoader of windows in a sampler's order; workers are started clean, never forked with open files."""
    if workers:
        return DataLoader(
            windows, batch_sampler=sampler, num_workers=workers, collate_fn=_as_it_is,  # type: ignore[arg-type]
            multiprocessing_context="forkserver", persistent_workers=True,
        )  # fmt: skip
    return _Ahead(windows, batch_sampler=sampler, collate_fn=_as_it_is)  # type: ignore[arg-type]


class _Ahead(DataLoader[Window]):
    """A DataLoader that makes the next batches while this one is used."""

    def __iter__(self) -> Iterator[Window]:  # type: ignore[override]
        return ahead(super().__iter__())


def unpack(batch: Window) -> tuple[State, list[Forcing], list[State]]:
    """A batch of windows as the initial state, the forcing of each step, and the state after each step.

    Raises
    ------
    InputError
        For a batch of patches: a model knows the whole map's geometry, not theirs.
    """
    if "at" in batch:
        raise InputError("patch: this is a batch of patches; models take whole maps, leave `patch` out")
    states = [State(_at(batch["state"], i)) for i in range(_times(batch))]
    told = [Fields(_at(batch["forcing"], i)) for i in range(_times(batch))]
    return states[0], [Forcing(a, b) for a, b in pairwise(told)], states[1:]


def _as_it_is(batch: Window) -> Window:
    return batch


def _at(fields: dict[str, Tensor], time: int) -> dict[str, Tensor]:
    return {name: field[:, time] for name, field in fields.items()}


def _times(batch: Window) -> int:
    return next(iter(batch["state"].values())).shape[1]
