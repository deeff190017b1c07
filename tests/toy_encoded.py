"""Forecasts whose every number says what it is of: start date, member, lead, level and cell, exactly in float32."""

from __future__ import annotations

import numpy as np
import pytest
import toy_dataset
import xarray as xr

from oceanx.tensors.state import Forcing, State
from oceanx.vocabulary.channels import Channels, Task
from oceanx.workflows import ensembles
from oceanx.workflows.ensembles import Members
from oceanx.workflows.model import Model
from oceanx.workflows.stepping import beginning

DAYS = 30
TASK = Task(prognostic=Channels(volume=("thetao",), surface=("zos",), depth=toy_dataset.DEPTH))


def ocean() -> xr.Dataset:
    """Analyses: 4096 for each day, 64 for each level, 1/128 for each cell."""
    ds = toy_dataset.ocean(DAYS)
    day, cell = np.arange(DAYS) * 4096.0, np.arange(120).reshape(10, 12) / 128
    zos = np.broadcast_to(day[:, None, None] + cell, ds.zos.shape)
    level = np.arange(3)[:, None, None] * 64
    thetao = day[:, None, None, None] + level + cell
    ds["zos"] = ds.zos.copy(data=zos.astype("float32")).where(ds.mask.isel(depth=0, drop=True) == 1)
    ds["thetao"] = ds.thetao.copy(data=thetao.astype("float32")).where(ds.mask == 1)
    return ds


def later(state: State, forcing: Forcing) -> State:
    """A Step that counts: 1 for each lead."""
    return state.map(lambda field: field + 1.0)


MODEL = Model("encoded", later, task=TASK)


def members_encoded(patched: pytest.MonkeyPatch) -> None:
    """Members that begin with 256 more each, on land too."""

    def prepare(ensemble, model, ds, task, mask, grid):
        def begin(starts, members):
            state = beginning(ds, task, starts, mask)
            more = np.asarray(members, dtype="float32")[:, None, None, None] * 256
            return state.map(lambda field: field + field.new_tensor(more))

        return Members({"oceanx_ensemble": "encoded"}, begin, lambda member: model)

    patched.setattr(ensembles, "prepare", prepare)


def expected(ds: xr.Dataset, start: int, lead: int, member: int = 0) -> xr.Dataset:
    """What stands there of one start date, lead and member, NaN on land: from the numbers' meaning alone."""
    cell = np.arange(120).reshape(10, 12) / 128
    zos = start * 4096 + member * 256 + lead + cell
    thetao = zos + np.arange(3)[:, None, None] * 64
    mask = ds.mask.values == 1
    return xr.Dataset(
        {
            "zos": (("latitude", "longitude"), np.where(mask[0], zos, np.nan)),
            "thetao": (("depth", "latitude", "longitude"), np.where(mask, thetao, np.nan)),
        }
    )
