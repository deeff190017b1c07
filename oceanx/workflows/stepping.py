"""Stepping a Model from start dates: what it begins from, what it is told, and one step after another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr
from torch import Tensor

from oceanx import seam
from oceanx.models.references import DAMPING
from oceanx.tensors.state import Fields, Forcing, State
from oceanx.vocabulary.channels import Channels, Task
from oceanx.vocabulary.errors import InputError
from oceanx.vocabulary.names import VARIABLES

from .model import Model, background

NOW = np.timedelta64(0, "ns")

Weather = Callable[[np.timedelta64, State], Mapping[str, Tensor]]  # (lead, the ocean a step before) -> fields

# (before, after, starts, members, lead) -> after, amended. One row of a batch is one start date of one member.
Amend = Callable[[State, State, np.ndarray, np.ndarray, np.timedelta64], State]


@dataclass(frozen=True)
class Atmosphere:
    """What a forecast is told of the atmosphere.

    Attributes
    ----------
    said
        What it is, in a few words: the forecast's attribute `oceanx_forcing`.
    begin
        The Weather of some start dates, asked for lead by lead, from 0 on.
    attrs
        Where it comes from: further attributes of the forecast.
    """

    said: str
    begin: Callable[[np.ndarray], Weather]
    attrs: dict[str, str] = field(default_factory=dict)


def beginning(ds: xr.Dataset, task: Task, starts: np.ndarray, mask: Tensor) -> State:
    """The State on some start dates: of the sea 0 on land, of the air what there is."""
    fields = read(ds, task.prognostic, starts, mask)
    return State({n: x if of_the_air(n) else torch.where(seam.wet_of(x, mask), x, 0.0) for n, x in fields.items()})


def read(ds: xr.Dataset, channels: Channels, times: np.ndarray, mask: Tensor) -> dict[str, Tensor]:
    """The fields of these channels on some dates; none of no channels.

    Raises
    ------
    InputError
        If a wet cell has no value.
    """
    if not channels.names:
        return {}
    each, where = np.unique(times, return_inverse=True)  # members share their dates
    fields = seam.to_fields(seam.select(ds, channels).sel(time=each).load(), channels)
    seam.refuse_nan(fields, mask, f"{each[0]} to {each[-1]}")
    known = numbers(fields)
    return known if np.array_equal(each, times) else {name: x[torch.from_numpy(where)] for name, x in known.items()}


def numbers(fields: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """As float32, and 0 where there is nothing."""
    return {name: torch.nan_to_num(x.float()) for name, x in fields.items()}


def stepped(
    model: Model,
    task: Task,
    state: State,
    starts: np.ndarray,
    leads: np.ndarray,
    weather: Weather,
    mask: Tensor,
    *,
    members: np.ndarray | None = None,
    amend: Sequence[Amend] = (),
) -> Iterator[State]:
    """The states at each lead: a rollout, told of the weather as it goes, for the weather may look at the ocean.

    Parameters
    ----------
    members
        Of which member each start date is; all of member 0 by default.
    amend
        What is done to each new state, in order, before the model goes on from it.

    Raises
    ------
    InputError
        If a state is no longer a number.
    """
    members = np.zeros(len(starts), dtype=int) if members is None else members
    now = told(model, task, starts, NOW, weather(NOW, state))
    for lead in leads:
        later = told(model, task, starts, lead, weather(lead, state))
        after = model(state, Forcing(now, later))
        for amended in amend:
            after = amended(state, after, starts, members, lead)
        state, now = after, later
        refuse_blow_up(state, mask, starts, lead, "the model's sea")
        yield state


def told(model: Model, task: Task, starts: np.ndarray, lead: np.timedelta64, weather: Mapping[str, Tensor]) -> Fields:
    """Everything that a model is told of one lead: the weather, climatologies, and damping."""
    known: dict[str, Any] = background(model.climatology, starts + lead, task)
    if model.damping is not None and lead > NOW:
        known |= _damping(model.damping, task, lead, len(starts))
    return Fields({**numbers(known), **weather})


def refuse_blow_up(state: State, mask: Tensor, starts: np.ndarray, lead: np.timedelta64, what: str) -> None:
    """`InputError` naming the first variable and start date that are no longer a number."""
    for name, x in state.items():
        bad = (~x.isfinite() & (seam.wet_of(x, mask) | of_the_air(name))).flatten(1).any(1)
        if bad.any():
            raise InputError(
                f"{name}: {what} is no longer a number {pd.Timedelta(lead)} after {starts[int(bad.int().argmax())]}; "
                "nothing of this start date is kept. Train it with longer rollouts, or forecast to a shorter lead"
            )


def of_the_air(name: str) -> bool:
    """Whether a variable has values on land."""
    return name in VARIABLES and VARIABLES[name].realm == "atmosphere"


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
    return {name: x.expand(starts, -1, -1, -1) for name, x in at.items()}
