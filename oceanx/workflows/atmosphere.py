"""The atmosphere that a forecast is told of: kept, observed, usual, forecast by others, or stepped alongside."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from torch import Tensor

from oceanx.tensors.state import State
from oceanx.vocabulary.channels import CLIMATOLOGY, Channels, Task
from oceanx.vocabulary.errors import InputError

from .atmosphere_alongside import Alongside
from .atmosphere_forecast import covering, forecasted
from .batching import missing_times
from .model import Model, background
from .runs import load
from .stepping import NOW, Atmosphere, Weather, read

WORDS = ("observed", "persisted", "climatology")

Told = str | Path | xr.Dataset | Model


def atmosphere(
    told: Told,
    model: Model,
    ds: xr.Dataset,
    task: Task,
    starts: np.ndarray,
    leads: np.ndarray,
    mask: Tensor,
    *,
    within: str = "0D",
    regrid: bool = False,
) -> Atmosphere:
    """The Atmosphere meant by a word, a labelled forecast, a Model, or the path of either.

    Raises
    ------
    InputError
        For one that lacks a variable, a start date or a lead, or lies on another grid.
    """
    channels, word = task.forcing, told if isinstance(told, str) and told in WORDS else None
    if isinstance(told, str | Path) and word is None and not Path(told).exists():
        raise InputError(
            f"forcing {str(told)!r}: choose observed, persisted or climatology, or give the path of a forecast of the "
            "atmosphere or of a run; there is no such file"
        )
    if not channels.names or word == "persisted":  # what asks for nothing is told nothing
        return persisted(ds, channels, mask)
    if word == "observed":
        _refuse_lacking(ds, channels, starts, leads)
        return observed(ds, channels, mask)
    if word == "climatology":
        return usual(model.climatology, channels, mask)
    if isinstance(told, str | Path) and (Path(told) / "config.yaml").exists():
        told = load(told)
    if isinstance(told, Model):
        return Alongside(told, ds, task, starts, mask, regrid=regrid).atmosphere()
    return forecasted(told, ds, channels, starts, leads, mask, within=within, regrid=regrid)


def persisted(ds: xr.Dataset, channels: Channels, mask: Tensor) -> Atmosphere:
    """The start date's, throughout."""

    def begin(starts: np.ndarray) -> Weather:
        kept = read(ds, channels, starts, mask)
        return lambda lead, ocean: kept

    return Atmosphere("persisted", begin)


def observed(ds: xr.Dataset, channels: Channels, mask: Tensor) -> Atmosphere:
    """What happened."""

    def begin(starts: np.ndarray) -> Weather:
        return lambda lead, ocean: read(ds, channels, starts + lead, mask)

    return Atmosphere("observed (a simulation: the future atmosphere was known)", begin)


def usual(climatology: xr.Dataset | None, channels: Channels, mask: Tensor) -> Atmosphere:
    """The climatology of each date."""
    if climatology is None or not set(channels.names) <= set(climatology):
        raise InputError(
            f"forcing 'climatology': this model carries none of {list(channels.names)}; choose observed or "
            "persisted, or give one, forcing=ox.climatology(train, task=…)"
        )

    def begin(starts: np.ndarray) -> Weather:
        def weather(lead: np.timedelta64, ocean: State) -> Mapping[str, Tensor]:
            fields = background(climatology, starts + lead, Task(prognostic=channels))
            fields = {name: fields[name + CLIMATOLOGY] for name in channels.names}
            return covering(fields, mask, starts + lead, "forcing 'climatology'")

        return weather

    return Atmosphere("climatology", begin)


def _refuse_lacking(ds: xr.Dataset, channels: Channels, starts: np.ndarray, leads: np.ndarray) -> None:
    needed = pd.DatetimeIndex(np.unique((starts[:, None] + np.append(NOW, leads)).ravel()))
    have = pd.DatetimeIndex(ds.time.values).difference(pd.DatetimeIndex(missing_times(ds)))
    lacking = needed.difference(have)
    if len(lacking):
        raise InputError(
            f"forcing 'observed': the Dataset lacks {list(channels.names)} on {lacking[0]}; choose earlier "
            "start dates, a shorter lead, or forcing='persisted'"
        )
