"""Members of an ensemble, prepared for one forecast; what every kind of ensemble is made with.

A batch has one row for each (start date, member) pair, and every random number is a function of the seed, the start
date, the member, the lead and the name of what is drawn: never of which pairs stand in a batch, or in what order.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
import xarray as xr
from pydantic import Field, PositiveInt
from torch import Tensor

from oceanx.tensors.state import State
from oceanx.vocabulary.channels import Task
from oceanx.vocabulary.config import Config
from oceanx.vocabulary.errors import InputError
from oceanx.vocabulary.names import VARIABLES

from ..atmosphere import observed
from ..batching import missing_times
from ..model import Model
from ..stepping import Amend, beginning, of_the_air, stepped


class Kind(Config):
    """What every kind of ensemble says beside its own words: how many members, and the seed of their chances."""

    members: PositiveInt = 1
    seed: int = Field(0, ge=0, lt=2**63)

    def prepare(self, sea: Sea) -> Members:
        """Its Members for one forecast."""
        raise NotImplementedError

    @property
    def recorded(self) -> dict[str, str]:
        """The attributes of a forecast that say how its members were made."""
        return {"oceanx_ensemble": self.model_dump_json(), "oceanx_seed": str(self.seed)}


def anything(starts: np.ndarray) -> None:
    """Refuses no start date."""


@dataclass(frozen=True)
class Members:
    """The members of an ensemble, prepared for one forecast.

    Attributes
    ----------
    attrs
        What is recorded on the forecast: the config as JSON, and the seed.
    begin
        The States that pairs of start dates and members begin from, as one batch.
    model
        The Model of a member.
    amend
        What is done to each step of a member, if anything.
    check
        Raises `InputError` for start dates whose past the Dataset lacks, before anything is computed.
    """

    attrs: dict[str, str]
    begin: Callable[[np.ndarray, np.ndarray], State]
    model: Callable[[int], Model]
    amend: Amend | None = None
    check: Callable[[np.ndarray], None] = anything


@dataclass(frozen=True)
class Sea:
    """What a forecast is made of: the Model, the Dataset of analyses, the Task, the wet mask, and the grid."""

    model: Model
    ds: xr.Dataset
    task: Task
    mask: Tensor
    grid: xr.Dataset

    @property
    def step(self) -> np.timedelta64:
        """The Task's step."""
        return pd.Timedelta(self.task.step).to_timedelta64()

    @property
    def area(self) -> Tensor:
        """Of the cells, `[lat, lon]`, in m2."""
        return torch.from_numpy(self.grid.cell_area.transpose("latitude", "longitude").values.astype("float64"))

    def wet(self, name: str) -> Tensor:
        """Where a variable may be perturbed, `[level, lat, lon]`: at sea, and what belongs to the air everywhere."""
        levels = self.task.prognostic.levels(name)
        if of_the_air(name):
            return torch.ones(levels, *self.mask.shape[1:], dtype=torch.bool)
        return (self.mask if levels == len(self.mask) else self.mask[:1]).bool()

    def analyses(self, starts: np.ndarray) -> State:
        """The State on each of these dates, each date read once."""
        dates, which = np.unique(starts, return_inverse=True)
        return rows(beginning(self.ds, self.task, dates, self.mask), which)

    @torch.no_grad()
    def stepped(self, state: State, dates: np.ndarray, steps: int) -> State:
        """The States so many steps after these dates, under the forcing that was observed."""
        weather = observed(self.ds, self.task.forcing, self.mask).begin(dates)
        leads = np.arange(1, steps + 1) * self.step
        *_, last = [state, *stepped(self.model, self.task, state, dates, leads, weather, self.mask)]
        return last

    def steps(self, duration: str, what: str) -> int:
        """How many steps a duration has; `InputError` unless it is a whole number."""
        steps = pd.Timedelta(duration) / pd.Timedelta(self.task.step)
        if steps < 1 or steps % 1:
            raise InputError(f"{what} {duration}: expected a multiple of the model's step {self.task.step}")
        return int(steps)

    def refuse_lacking(self, starts: np.ndarray, steps: int, every: int, what: str) -> None:
        """`InputError` unless the Dataset has the analyses of `steps` steps before the start dates.

        Of each `every`-th step, or of all where the model is told of the atmosphere, which is needed on the way.
        """
        back = np.arange(0, steps + 1, 1 if self.task.forcing.names else every) * self.step
        have = pd.DatetimeIndex(self.ds.time.values).difference(pd.DatetimeIndex(missing_times(self.ds)))
        lacking = pd.DatetimeIndex(np.unique(starts[:, None] - back)).difference(have)
        if len(lacking):
            raise InputError(
                f"ensemble {what}: needs the Dataset on {lacking[0]}, before a start date, but there it has none (it "
                f"begins on {have[0]}); start later, or look back less"
            )


def generator(seed: int, start: np.datetime64, member: int, lead: int, what: str) -> np.random.Generator:
    """The random numbers of one start date, member and lead (in steps) for what has this name."""
    seconds = int(start.astype("datetime64[s]").astype("int64"))
    key = np.array([seed, seconds, member, lead, zlib.crc32(what.encode())], dtype="<i8")
    return np.random.default_rng(np.random.SeedSequence(key.view("<u4").tolist()))


def possible(state: State) -> State:
    """The State within what is physically possible: no negative ice, no more ice than covers the sea."""

    def held(name: str, field: Tensor) -> Tensor:
        valid = VARIABLES[name].valid if name in VARIABLES else None
        return field.clamp(*valid) if valid else field

    return State({name: held(name, field) for name, field in state.items()})


def by_member(starts: np.ndarray, members: np.ndarray, begin: Callable[[int, np.ndarray], State]) -> State:
    """The batch of these pairs, from what gives one member's States on some start dates."""
    parts = [np.flatnonzero(members == member) for member in np.unique(members)]
    begun = [begin(int(members[part[0]]), starts[part]) for part in parts]
    whole = State({name: torch.cat([state[name] for state in begun]) for name in begun[0]})
    return rows(whole, np.argsort(np.concatenate(parts)))


def rows(state: State, which: np.ndarray) -> State:
    """These rows of a batch."""
    return state.map(lambda field: field[torch.from_numpy(which)])
