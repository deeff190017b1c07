"""An atmosphere that a Model steps beside the ocean, each told of the other as far as its Task asks.

    a′ = A(a, x)        x′ = O(x, a → a′)

First the atmosphere steps, told of the ocean as it is; then the ocean, told of the atmosphere at both ends of its step.
An atmosphere whose Task names nothing of the ocean goes its own way, and the ocean follows. Where its steps are shorter
than the ocean's, each of the ocean's is told the mean of the values from its label on, as of a stored forecast.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
import xarray as xr
from torch import Tensor

from oceanx import seam
from oceanx.ocean.regrid import means
from oceanx.ocean.regrid_weights import Weights, weights
from oceanx.tensors.state import Fields, Forcing, State
from oceanx.vocabulary.channels import Channels, Task
from oceanx.vocabulary.errors import InputError

from .atmosphere_forecast import covering, differing, on_grid
from .model import Model
from .stepping import NOW, Atmosphere, beginning, numbers, read, refuse_blow_up, told

Levels = dict[str, list[int]]  # of each variable, at which of the other's levels it is wanted


class Alongside:
    """A Model of the atmosphere fitted to an ocean: what each is told of the other, and on which grid.

    Raises
    ------
    InputError
        If it does not step what the ocean is told, at the same levels and by a part of the ocean's step, or stands on
        another grid.
    """

    def __init__(
        self, model: Model, ds: xr.Dataset, ocean: Task, starts: np.ndarray, wet: Tensor, *, regrid: bool = False
    ):
        self.model, self.ocean, self.sea, self.wet = model, ocean, ds, wet
        self.task, self.where = model.task_for(ds), f"forcing {model.name}"
        air = self.task.prognostic
        lacking = [name for name in ocean.forcing.names if name not in air.names]
        if lacking:
            raise InputError(
                f"{self.where}: does not step {lacking}, which the forecast is told; it steps {list(air.names)}"
            )
        if ocean.seconds % self.task.seconds:
            raise InputError(
                f"{self.where}: steps by {self.task.step}, of which the forecast's step of {ocean.step} is no multiple"
            )
        self.steps = int(ocean.seconds // self.task.seconds)
        try:
            self.shown, self.given = _levels(self.task.forcing, ocean.prognostic), _levels(ocean.forcing, air)
            self.kept = self.task.forcing.only(set(self.task.forcing.names) - set(self.shown))
            for channels in (air, self.kept):
                seam.select(ds, channels)
        except InputError as error:
            raise InputError(f"{self.where}: {error}") from None
        here = ds[[*dict.fromkeys(air.names + self.kept.names)]].sel(time=starts)
        self.ds = here if model.grid is None else on_grid(here, model.grid, self.where, regrid)
        self.up, self.down = _between(here, self.ds), _between(self.ds, here)
        self.mask = seam.wet_mask(seam.grid_of(model.grid if model.grid is not None and self.up else ds, air))

    def atmosphere(self) -> Atmosphere:
        """It, with what is to be said of it."""
        told_of = [f"told of {', '.join(self.shown)} as forecast"] if self.shown else []
        told_of += [f"of {', '.join(self.kept.names)} as persisted"] if self.kept.names else []
        means_of = [f"means of {self.steps} steps"] if self.steps > 1 else []
        regridded = ["regridded"] if self.up else []
        attrs = {f"oceanx_forcing_{key.removeprefix('oceanx_')}": said for key, said in self.model.attrs.items()}
        return Atmosphere(
            ", ".join([f"stepped alongside by {self.model.name}", *told_of, *means_of, *regridded]),
            lambda starts: Going(self, starts),
            attrs,
        )

    def of_the_sea(self, ocean: State, times: np.ndarray) -> dict[str, Tensor]:
        """What the atmosphere is told of an ocean: 0 on land."""
        wet = {name: torch.where(seam.wet_of(ocean[name], self.wet), ocean[name], torch.nan) for name in self.shown}
        shown = _moved({name: wet[name][:, at] for name, at in self.shown.items()}, self.up)
        if self.up:  # coasts may differ
            covering({name: field[:, :1] for name, field in shown.items()}, self.mask, times, self.where)
        return numbers(shown)

    def of_the_air(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What the ocean is told of an atmosphere."""
        return _moved({name: state[name][:, at] for name, at in self.given.items()}, self.down)


class Going:
    """The atmosphere of some start dates, as far as it has been stepped: a Weather."""

    def __init__(self, air: Alongside, starts: np.ndarray):
        self.air, self.starts = air, starts
        self.age: np.timedelta64 = NOW
        self.by = pd.Timedelta(air.task.step).to_timedelta64()
        try:
            self.state = beginning(air.ds, air.task, starts, air.mask)
            self.kept = read(air.ds, air.kept, starts, air.mask)
        except InputError as error:
            raise InputError(f"{air.where}: {error}") from None
        self.told = told(air.model, air.task, starts, NOW, self.kept)

    def __call__(self, lead: np.timedelta64, ocean: State) -> Mapping[str, Tensor]:
        if lead == NOW:
            return read(self.air.sea, self.air.ocean.forcing, self.starts, self.air.wet)
        shown = self.air.of_the_sea(ocean, self.starts + lead)
        total: dict[str, Tensor] = {}
        while self.age < lead + (self.air.steps - 1) * self.by:
            self._step(shown)
            if self.age >= lead:  # in double precision, as the means of a stored forecast are
                total = {name: self.state[name].double() + total.get(name, 0) for name in self.air.given}
        return self.air.of_the_air({name: (x / self.air.steps).float() for name, x in total.items()})

    def _step(self, shown: Mapping[str, Tensor]) -> None:
        """One step on; of the ocean at its end nobody knows yet."""
        air, age = self.air, self.age + self.by
        later = told(air.model, air.task, self.starts, age, self.kept)
        forcing = Forcing(*(Fields({**fields, **shown}) for fields in (self.told, later)))
        self.state, self.told, self.age = air.model(self.state, forcing), later, age
        refuse_blow_up(self.state, air.mask, self.starts, age, f"the atmosphere of {air.model.name}")


def _levels(asked: Channels, has: Channels) -> Levels:
    """Where the variables that one asks for and another steps stand in the other's."""
    shared = asked.only(has.names)
    for name in shared.names:
        if (name in shared.volume) != (name in has.volume):
            asks, steps = ("at levels" if name in side.volume else "at the surface" for side in (shared, has))
            raise InputError(f"{name}: is asked for {asks}, but stepped {steps}")
    at = seam.levels(xr.Dataset(coords={"depth": list(has.depth)}), shared.depth) if shared.volume else []
    return {name: at if name in shared.volume else [0] for name in shared.names}


def _between(one: xr.Dataset, other: xr.Dataset) -> Weights | None:
    """How to bring fields from one grid to another, if it is another."""
    return weights(one.latitude.values, one.longitude.values, other) if differing(one, other) else None


def _moved(fields: dict[str, Tensor], between: Weights | None) -> dict[str, Tensor]:
    if between is None:
        return fields
    return {name: torch.from_numpy(means(x.numpy(), between, least=0.0)) for name, x in fields.items()}
