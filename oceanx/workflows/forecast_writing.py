"""Forecasts made and kept: in memory, or in a store that is written while the model goes on."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import xarray as xr
from torch import Tensor

from oceanx.ocean import labels
from oceanx.vocabulary import files
from oceanx.vocabulary.progress import Progress

from .behind import Behind
from .forecast_rollouts import Rollouts
from .forecast_store import ForecastStore, finished, unfinished
from .forecast_units import Block, Layout, Share

Full = list[tuple[str, slice, list[Tensor]]]  # of a variable, the fields of these leads


def in_memory(rollouts: Rollouts, template: xr.Dataset, layout: Layout, progress: Progress | None = None) -> xr.Dataset:
    """The template with all its forecasts."""
    arrays = {str(name): np.empty(v.shape, np.float32) for name, v in template.data_vars.items()}
    several, done = "member" in template.dims, 0
    total = template.sizes.get("member", 1) * template.sizes["init_time"]
    for block in layout.blocks(template.sizes.get("member", 1), template.sizes["init_time"]):
        for part in rollouts.parts(block):
            for lead, state in enumerate(rollouts.states(part)):
                for name, array in arrays.items():
                    room = array[(*part, lead) if several else (part.starts, lead)]
                    room[:] = rollouts.kept(name, [state[name]]).reshape(room.shape)
        done += block.size
        if progress:
            progress("forecast", done, total)
    return template.assign({name: (template[name].dims, array, template[name].attrs) for name, array in arrays.items()})


def in_store(
    rollouts: Rollouts,
    template: xr.Dataset,
    layout: Layout,
    to: Path,
    share: Share,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> xr.Dataset:
    """The store of all forecasts, opened; of one part among several that are not done, what is complete and what not.

    Processes that were started together wait for each other.
    """
    there = finished(to, template, clear=share.of == 1) if resume or share.of > 1 else None
    if there is not None:
        return there
    with unfinished(to, template, layout, share, resume=resume, overwrite=overwrite) as store:
        if store is not None:
            _fill(store, rollouts, progress)
            complete = store.publish()
            if complete is not None:
                if not share.waits:
                    return complete
                store.wait()
            return labels.open_forecast(to)
    there = finished(to, template)  # by another process, a moment ago
    return labels.open_forecast(files.refuse_existing(to)) if there is None else there


def _fill(store: ForecastStore, rollouts: Rollouts, progress: Progress | None) -> None:
    """Make and write this process's blocks; each is noted as complete once it is written."""
    left = store.mine()
    total = sum(block.size for block in store.share.mine(store.blocks))
    done = total - sum(block.size for block in left)
    with Behind() as behind:
        for block in left:
            for part in rollouts.parts(block):
                _write(store, rollouts, part, behind)
            behind.do(partial(store.note, block))
            done += block.size
            if progress:
                progress("forecast", done, total)


def _write(store: ForecastStore, rollouts: Rollouts, block: Block, behind: Behind) -> None:
    """Forecasts of one model, as one batch: written as often as a variable's chunks are full."""
    waiting: dict[str, list[Tensor]] = {name: [] for name in rollouts.task.prognostic.names}
    last = store.template.sizes["lead_time"]
    for stop, state in enumerate(rollouts.states(block), start=1):
        full: Full = []
        for name, fields in waiting.items():
            fields.append(state[name])
            if len(fields) == store.leads(name) or stop == last:
                full.append((name, slice(stop - len(fields), stop), fields))
                waiting[name] = []
        if full:
            behind.do(partial(_put, store, rollouts, block, full))
        behind.check()


def _put(store: ForecastStore, rollouts: Rollouts, block: Block, full: Full) -> None:
    for name, leads, fields in full:
        store.put(block, name, leads, rollouts.kept(name, fields))
