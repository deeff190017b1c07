"""Model: a Step that knows its Task, its grid and the labelled fields it wants to be told.

What `ox.load`, `ox.persistence`, `ox.damped_persistence` and `ox.climatology` return.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import nn

from oceanx import seam
from oceanx.ocean import climatology as climatologies
from oceanx.ocean import grid
from oceanx.tensors.integrate import Step
from oceanx.tensors.state import Forcing, State
from oceanx.vocabulary.channels import CLIMATOLOGY, Channels, Task
from oceanx.vocabulary.errors import InputError
from oceanx.vocabulary.names import VARIABLES

CARD = torch.device("cuda")


@dataclass(frozen=True)
class Model:
    """A Step with labels beside it.

    Attributes
    ----------
    name
        What scores and plots call it.
    step
        `(state, forcing) -> state`.
    task
        What it reads and writes; None means everything in the Dataset that belongs to the ocean.
    grid
        Coordinates it was made for (`latitude`, `longitude`, `depth`, `mask`), or None for any grid.
    climatology
        Of everything in the task, where it wants the climatology as forcing.
    damping
        `<variable>_damping(lead_time, …)`, for damped persistence.
    attrs
        Provenance, written into every forecast.
    train
        What a reference was fitted on, for scores that need more of it; None of any other model.
    """

    name: str
    step: Step
    task: Task | None = None
    grid: xr.Dataset | None = None
    climatology: xr.Dataset | None = None
    damping: xr.Dataset | None = None
    attrs: dict[str, Any] = field(default_factory=dict)
    train: xr.Dataset | None = None

    def __call__(self, state: State, forcing: Forcing) -> State:
        """A step: on a GPU where there is one, for a model that has weights; its result is where the state was."""
        if not (torch.cuda.is_available() and isinstance(self.step, nn.Module)):
            return self.step(state, forcing)
        back = next(iter(state.values())).device
        self.step.to(CARD)  # nothing to do but the first time
        told = Forcing(*(fields.map(lambda x: x.to(CARD)) for fields in forcing))
        return self.step(state.map(lambda x: x.to(CARD)), told).map(lambda x: x.to(back))

    def __repr__(self) -> str:
        task = f"{list(self.task.prognostic.names)} by {self.task.step}" if self.task else "any ocean Dataset"
        return f"<oceanx.Model {self.name!r}: {task}>"

    def task_for(self, ds: xr.Dataset) -> Task:
        """Its own Task, or the one that a Dataset implies."""
        return self.task or implied_task(ds)

    def check(self, ds: xr.Dataset) -> None:
        """Raise `InputError` unless the Dataset has this model's variables, levels and grid."""
        refuse_without_time(ds)
        task = self.task_for(ds)
        seam.select(ds, task.prognostic)
        seam.select(ds, task.forcing)
        if self.grid is not None:
            grid.same_grid(self.grid.drop_dims("depth", errors="ignore"), ds)


def background(climatology: xr.Dataset | None, times: np.ndarray, task: Task) -> dict[str, Any]:
    """The climatology of a task's variables at these times as fields `<variable>_climatology`; none without one."""
    fields: dict[str, Any] = {}
    if climatology is None:
        return fields
    for channels in (task.prognostic, task.forcing):
        known = [name for name in channels.names if name in climatology]
        if known:
            at = climatologies.at(climatology[known], times)
            kept = Channels(
                volume=tuple(n for n in channels.volume if n in known),
                surface=tuple(n for n in channels.surface if n in known),
                depth=channels.depth,
            )
            fields |= {name + CLIMATOLOGY: f for name, f in seam.to_fields(at, kept).items()}
    return fields


def refuse_without_time(ds: xr.Dataset) -> None:
    """Raise `InputError` unless the Dataset has dates along `time`."""
    if "time" not in ds.dims or ds["time"].dtype.kind != "M":
        found = f"found {', '.join(map(str, ds.dims))}"
        raise InputError(f"the data have no dimension `time` of dates, {found}; give analyses, not a forecast")


def implied_task(ds: xr.Dataset) -> Task:
    """The Task of everything in a Dataset that belongs to the ocean, stepped by its own time step."""
    ocean = [str(n) for n in ds.data_vars if n in VARIABLES and VARIABLES[str(n)].realm in ("ocean", "ice")]
    if not ocean:
        raise InputError(f"no ocean variable among {list(ds.data_vars)}; expected names such as thetao, zos or sst")
    volume = tuple(name for name in ocean if "depth" in ds[name].dims)
    surface = tuple(name for name in ocean if "depth" not in ds[name].dims)
    depth = tuple(float(z) for z in ds.depth.values) if volume else ()
    return Task(prognostic=Channels(volume=volume, surface=surface, depth=depth), step=step_of(ds))


def step_of(ds: xr.Dataset) -> str:
    """The time step of a Dataset, as an offset such as `1D`; `InputError` unless it has at least two times."""
    if ds.sizes.get("time", 0) < 2:
        raise InputError("time: a Dataset needs at least two times to tell its step")
    step = np.diff(ds.time.values).min()
    hours = step / np.timedelta64(1, "h")
    return f"{hours / 24:g}D" if hours % 24 == 0 else f"{hours:g}h"
