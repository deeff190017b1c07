"""The atmosphere that a forecast is told of: kept, observed, usual, forecast by others, or stepped alongside.

Each kind gives the fields of a model's forcing on the start dates and then at every lead.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch
import xarray as xr
from torch import Tensor

from oceanx import seam
from oceanx.models.references import DAMPING
from oceanx.tensors.state import Fields, Forcing, State
from oceanx.vocabulary.channels import CLIMATOLOGY, Channels, Task
from oceanx.vocabulary.errors import InputError

from .atmosphere_forecast import Forecasted
from .batching import missing_times
from .model import Model, background

WORDS = ("observed", "persisted", "climatology")
NOW = np.timedelta64(0, "ns")

Told = str | Path | xr.Dataset | Model


class Atmosphere(Protocol):
    """What is told of the atmosphere, and what a forecast's attributes say of that."""

    @property
    def said(self) -> str:
        """What it was, in a few words."""

    def over(self, starts: np.ndarray, leads: np.ndarray) -> Iterator[dict[str, Tensor]]:
        """The fields `[start, depth, lat, lon]` by name: on the start dates, and then at each lead."""


@dataclass(frozen=True)
class Persisted:
    """The start date's, throughout."""

    ds: xr.Dataset
    channels: Channels
    said: str = "persisted"

    def over(self, starts: np.ndarray, leads: np.ndarray) -> Iterator[dict[str, Tensor]]:
        kept = read(self.ds, self.channels, starts)
        yield from [kept] * (len(leads) + 1)


@dataclass(frozen=True)
class Observed:
    """What happened."""

    ds: xr.Dataset
    channels: Channels
    said: str = "observed (a simulation: the future atmosphere was known)"

    def over(self, starts: np.ndarray, leads: np.ndarray) -> Iterator[dict[str, Tensor]]:
        for lead in (NOW, *leads):
            yield read(self.ds, self.channels, starts + lead)


@dataclass(frozen=True)
class Usual:
    """The climatology of each date."""

    climatology: xr.Dataset
    channels: Channels
    said: str = "climatology"

    def over(self, starts: np.ndarray, leads: np.ndarray) -> Iterator[dict[str, Tensor]]:
        task = Task(prognostic=self.channels)
        for lead in (NOW, *leads):
            fields = background(self.climatology, starts + lead, task)
            yield {name: fields[name + CLIMATOLOGY] for name in self.channels.names}


@dataclass(frozen=True)
class Alongside:
    """Another Model's, which steps the atmosphere from the same start dates; what it is told itself persists."""

    model: Model
    ds: xr.Dataset
    channels: Channels
    mask: Tensor

    @property
    def said(self) -> str:
        """With the Model's name."""
        return f"stepped alongside by {self.model.name}"

    def over(self, starts: np.ndarray, leads: np.ndarray) -> Iterator[dict[str, Tensor]]:
        task = self.model.task_for(self.ds)
        state = State(_numbers(read(self.ds, task.prognostic, starts)))
        yield dict(state.only(self.channels.names))
        for forcing in steps(self.model, task, starts, leads, Persisted(self.ds, task.forcing), self.mask):
            state = self.model(state, forcing)
            yield dict(state.only(self.channels.names))


def atmosphere(
    told: Told,
    model: Model,
    ds: xr.Dataset,
    task: Task,
    starts: np.ndarray,
    leads: np.ndarray,
    *,
    within: str = "0D",
    regrid: bool = False,
) -> Atmosphere:
    """The Atmosphere meant by a word, a path, a labelled forecast or a Model.

    Raises
    ------
    InputError
        For one that lacks a variable, a start date or a lead, or lies on another grid.
    """
    channels, word = task.forcing, told if isinstance(told, str) and told in WORDS else None
    if isinstance(told, str | Path) and word is None and not Path(told).exists():
        raise InputError(
            f"forcing {str(told)!r}: choose observed, persisted or climatology, or give the path of a forecast of the "
            "atmosphere; there is no such file"
        )
    if not channels.names or word == "persisted":  # what asks for nothing is told nothing
        return Persisted(ds, channels)
    if word == "observed":
        _refuse_lacking(ds, channels, starts, leads)
        return Observed(ds, channels)
    if word == "climatology":
        if model.climatology is None or not set(channels.names) <= set(model.climatology):
            raise InputError(
                f"forcing 'climatology': this model carries none of {list(channels.names)}; choose observed or "
                "persisted, or give one, forcing=ox.climatology(train, task=…)"
            )
        return Usual(model.climatology, channels)
    if isinstance(told, Model):
        return Alongside(_able(told, ds, task), ds, channels, seam.wet_mask(seam.grid_of(ds, task.prognostic)))
    return Forecasted.of(told, ds, channels, starts, leads, within=within, regrid=regrid)


def steps(
    model: Model, task: Task, starts: np.ndarray, leads: np.ndarray, air: Atmosphere, mask: Tensor
) -> Iterator[Forcing]:
    """What a model is told of each step from a start date to the last lead."""
    for now, later in pairwise(_told(model, task, starts, leads, air, mask)):
        yield Forcing(now, later)


def read(ds: xr.Dataset, channels: Channels, times: np.ndarray) -> dict[str, Tensor]:
    """The fields of these channels on some dates; none of no channels."""
    return seam.to_fields(seam.select(ds, channels).sel(time=times).load(), channels) if channels.names else {}


def _told(
    model: Model, task: Task, starts: np.ndarray, leads: np.ndarray, air: Atmosphere, mask: Tensor
) -> Iterator[Fields]:
    """Everything a model is told about each lead: the atmosphere, climatologies, and damping."""
    for lead, weather in zip((NOW, *leads), air.over(starts, leads), strict=True):
        valid = starts + lead
        _refuse_nan(weather, mask, valid, air)
        fields: dict[str, Any] = background(model.climatology, valid, task) | weather
        if model.damping is not None and lead > NOW:
            fields |= _damping(model.damping, task, lead, len(starts))
        yield Fields(_numbers(fields))


def _refuse_nan(weather: dict[str, Tensor], mask: Tensor, valid: np.ndarray, air: Atmosphere) -> None:
    try:
        seam.refuse_nan(weather, mask, f"{valid[0]} to {valid[-1]}")
    except InputError as error:
        if isinstance(air, Persisted | Observed):
            raise
        raise InputError(f"forcing, {air.said}: {str(error).partition(';')[0]}; it must cover the whole sea") from None


def _numbers(fields: dict[str, Tensor]) -> dict[str, Tensor]:
    """As float32, and 0 where there is nothing."""
    return {name: torch.nan_to_num(field.float()) for name, field in fields.items()}


def _damping(damping: xr.Dataset, task: Task, lead: np.timedelta64, starts: int) -> dict[str, Any]:
    if lead > damping.lead_time.values[-1]:
        longest = pd.Timedelta(damping.lead_time.values[-1])
        raise InputError(
            f"lead {pd.Timedelta(lead)}: damped persistence was fitted up to {longest}; say a longer lead="
        )
    channels = Channels(
        volume=tuple(n + DAMPING for n in task.prognostic.volume),
        surface=tuple(n + DAMPING for n in task.prognostic.surface),
        depth=task.prognostic.depth,
    )
    at = seam.to_fields(damping.sel(lead_time=[lead]), channels)
    return {name: field.expand(starts, -1, -1, -1) for name, field in at.items()}


def _able(model: Model, ds: xr.Dataset, task: Task) -> Model:
    """The Model, if it steps the atmosphere that the task wants, by the task's own step."""
    own = model.task_for(ds)
    lacking = [name for name in task.forcing.names if name not in own.prognostic.names]
    if lacking:
        raise InputError(
            f"forcing {model.name}: does not step {lacking}, which the forecast is told; it steps "
            f"{list(own.prognostic.names)}"
        )
    if own.seconds != task.seconds:
        raise InputError(f"forcing {model.name}: steps by {own.step}, the forecast by {task.step}")
    model.check(ds)
    return model


def _refuse_lacking(ds: xr.Dataset, channels: Channels, starts: np.ndarray, leads: np.ndarray) -> None:
    needed = pd.DatetimeIndex(np.unique((starts[:, None] + np.append(NOW, leads)).ravel()))
    have = pd.DatetimeIndex(ds.time.values).difference(pd.DatetimeIndex(missing_times(ds)))
    lacking = needed.difference(have)
    if len(lacking):
        raise InputError(
            f"forcing 'observed': the Dataset lacks {list(channels.names)} on {lacking[0]}; choose earlier "
            "start dates, a shorter lead, or forcing='persisted'"
        )
