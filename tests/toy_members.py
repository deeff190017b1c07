"""A Model that can be followed by hand, and the members of an ensemble of its forecasts."""

from __future__ import annotations

from typing import Any

import numpy as np
import toy_dataset
import xarray as xr

from oceanx import seam
from oceanx.tensors.state import Forcing, State
from oceanx.vocabulary.channels import Channels, Task
from oceanx.workflows.ensembles import Members, ensemble, prepare
from oceanx.workflows.model import Model

DAY = np.timedelta64(1, "D")
KINDS: dict[str, dict[str, Any]] = {
    "gaussian": {"amplitude": {"thetao": 0.3}},
    "bred": {"cycles": 3},
    "lagged": {"lag": "2D"},
    "stochastic": {"length": 100},
}


def drifting(state: State, forcing: Forcing) -> State:
    """A Step that does to each cell what the wind is, and what it is itself."""
    return State({name: x + 0.01 * x * forcing.next["u10"] for name, x in state.items()})


SURFACE = Task(prognostic=Channels(surface=("zos",)))
WINDY = Task(
    prognostic=Channels(volume=("thetao", "uo"), surface=("zos",), depth=toy_dataset.DEPTH),
    forcing=Channels(surface=("u10",)),
)
DRIFTING = Model("drifting", drifting, task=WINDY)


def prepared(words: Any, model: Model, ds: xr.Dataset, members: int = 8, seed: int = 0) -> Members:
    task = model.task_for(ds)
    where = seam.grid_of(ds, task.prognostic)
    return prepare(ensemble(words, members, seed), model, ds, task, seam.wet_mask(where), where)
