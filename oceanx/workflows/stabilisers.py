"""Stabilisers: what some systems do to long forecasts beside their model. Off unless asked for, and then recorded.

    clip    |Δx| ≤ limit               the change of each step is held within limits
    damp    x + factor · Δx            and is made smaller, more so with lead
    smooth  of what is stored          by a Gaussian over water alone; the forecast itself goes on unsmoothed

All three lower the error of a long forecast by taking variance from it: look at its spectrum as well as at its error.
Steps are counted from 1, the one that ends one step after the analysis.

References
----------
Shu et al. (2026), HybridOM, doi:10.48550/arXiv.2602.00598: `AS_PUBLISHED`, which smooths over land too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
import torch
import xarray as xr
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor

from oceanx import seam
from oceanx.tensors.state import State
from oceanx.vocabulary.channels import PARENT, Task
from oceanx.vocabulary.config import Config
from oceanx.vocabulary.errors import InputError, unknown

from .gaussian_lines import Plane, in_cells, in_kilometres, smoothed
from .stepping import Amend, of_the_air

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Width = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Clip(Config):
    """From step `begins` on, no change of one step is larger than its variable's limit, in the variable's unit."""

    limits: dict[str, Positive]
    begins: PositiveInt = 1


class Ramped(Config):
    """Values that go linearly from a first to a last one between two steps, and stay there; from step `begins` on."""

    begins: PositiveInt = 1
    between: tuple[PositiveInt, PositiveInt] | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Ramped:
        if self.between is not None and self.between[0] >= self.between[1]:
            raise ValueError("`between`: expected the first step before the last")
        changing = [name for name, (first, last) in self.values.items() if first != last]
        if self.between is None and changing:
            raise ValueError(f"`between` which steps does {changing[0]} go from its first value to its last?")
        return self

    @property
    def values(self) -> Mapping[str, tuple[float, float]]:
        """The first and the last value of each variable."""
        return {}

    def at(self, step: int) -> dict[str, float]:
        """The value of each variable at a step; none before it begins."""
        if step < self.begins:
            return {}
        first, last = self.between or (step, step + 1)
        along = min(max((step - first) / (last - first), 0.0), 1.0)
        return {name: first + along * (last - first) for name, (first, last) in self.values.items()}


class Damp(Ramped):
    """The change of one step is multiplied by a factor, first and last of each variable."""

    factors: dict[str, tuple[Share, Share]]

    @property
    def values(self) -> Mapping[str, tuple[float, float]]:
        return self.factors


class Smooth(Ramped):
    """What is stored is smoothed with a standard deviation, first and last of each variable, in cells or in km."""

    sigma: dict[str, tuple[Width, Width]]
    unit: Literal["cells", "km"] = "cells"

    @property
    def values(self) -> Mapping[str, tuple[float, float]]:
        return self.sigma


class Stabilise(Config):
    """What is to be done; None is not done. First it is clipped, then damped."""

    clip: Clip | None = None
    damp: Damp | None = None
    smooth: Smooth | None = None

    @property
    def variables(self) -> set[str]:
        """The variables that something is done to."""
        clipped = set(self.clip.limits) if self.clip else set()
        return clipped.union(*(part.values for part in (self.damp, self.smooth) if part))

    def only(self, names: tuple[str, ...]) -> Stabilise:
        """The same for these variables alone."""
        values = self.dump()
        for part, key in (("clip", "limits"), ("damp", "factors"), ("smooth", "sigma")):
            if values[part]:
                values[part][key] = {name: value for name, value in values[part][key].items() if name in names}
        return Stabilise.parse(values)


Words = str | Path | Mapping[str, Any] | Stabilise | None


def _of(temperature: Any, salinity: Any, velocity: Any, **others: Any) -> dict[str, Any]:
    return {"thetao": temperature, "so": salinity, "uo": velocity, "vo": velocity, **others}


# Their steps are days. They ramp from the eleventh on, and begin to clip and to damp a step later.
AS_PUBLISHED = {
    "global": Stabilise(
        clip=Clip(limits=_of(0.5, 0.5, 0.2), begins=12),
        damp=Damp(factors=_of((1.0, 0.5), (1.0, 0.2), (1.0, 0.9)), begins=12, between=(11, 61)),
        smooth=Smooth(sigma=_of((0.5, 0.5), (0.5, 0.7), (0.5, 0.7), zos=(0.5, 0.7)), begins=11, between=(11, 40)),
    ),
    "regional": Stabilise(
        clip=Clip(limits=_of(1.0, 1.0, 1.5), begins=12),
        damp=Damp(factors=_of((0.95, 0.6), (0.95, 0.6), (1.0, 0.9)), begins=12, between=(11, 51)),
        smooth=Smooth(sigma=_of((1.0, 1.0), (1.0, 1.0), (1.0, 1.0), zos=(1.0, 1.0)), begins=11),
    ),
}


@dataclass(frozen=True)
class Stabiliser:
    """What is done to a forecast's steps and to what is stored of it.

    Attributes
    ----------
    amend
        Of each step, or None.
    output
        Of what is stored, or None.
    attrs
        What is recorded on the forecast.
    """

    amend: Amend | None = None
    output: Amend | None = None
    attrs: dict[str, str] = field(default_factory=dict)


def stabiliser(words: Words, grid: xr.Dataset, task: Task, mask: Tensor) -> Stabiliser:
    """The Stabiliser that is meant; the one that does nothing by None.

    Parameters
    ----------
    words
        A Stabilise, a mapping of its settings, the path of a YAML file that holds them, or `as_published`: those of
        the regional system where the Task is told of a parent, else of the global one, as far as the Task has their
        variables.
    grid, mask
        Of `seam.grid_of` and `seam.wet_mask`.

    Raises
    ------
    InputError
        For unknown words or settings, or a variable that the Task does not forecast.
    """
    config = _meant(words, task)
    if config == Stabilise():
        return Stabiliser()
    for name in sorted(config.variables):
        if name not in task.prognostic.names:
            raise unknown("variable of stabilise", name, task.prognostic.names)
    if not config.variables:
        raise InputError(f"stabilise: names no variable; this model forecasts {', '.join(task.prognostic.names)}")
    step = pd.Timedelta(task.step).to_timedelta64()
    changed = _changed(config, step) if config.clip or config.damp else None
    output = _smoothed(config.smooth, step, grid, mask) if config.smooth else None
    return Stabiliser(changed, output, {"oceanx_stabilise": config.model_dump_json(exclude_none=True)})


def _meant(words: Words, task: Task) -> Stabilise:
    if words is None or isinstance(words, Stabilise):
        return words or Stabilise()
    if isinstance(words, Mapping):
        return Stabilise.parse(words, "stabilise")
    if str(words).endswith((".yaml", ".yml")):
        return Stabilise.load(words)
    if words != "as_published":
        raise InputError(
            f"stabilise {str(words)!r}: expected 'as_published', a YAML file, or settings of clip, damp, smooth"
        )
    regional = any(name.endswith(PARENT) for name in task.forcing.names)
    return AS_PUBLISHED["regional" if regional else "global"].only(task.prognostic.names)


def _changed(config: Stabilise, step: np.timedelta64) -> Amend:
    """Clips and damps the change of a step."""

    def amend(before: State, after: State, starts: np.ndarray, members: np.ndarray, lead: np.timedelta64) -> State:
        number = int(lead / step)
        limits = config.clip.limits if config.clip and number >= config.clip.begins else {}
        factors = config.damp.at(number) if config.damp else {}

        def one(name: str, x: Tensor) -> Tensor:
            if name not in limits and name not in factors:
                return after[name]
            change = after[name] - x
            change = change.clamp(-limits[name], limits[name]) if name in limits else change
            return x + factors.get(name, 1.0) * change

        return State({name: one(name, x) for name, x in before.items()})

    return amend


def _smoothed(config: Smooth, step: np.timedelta64, grid: xr.Dataset, mask: Tensor) -> Amend:
    """Smooths what is stored."""
    plane: Plane = in_cells(grid) if config.unit == "cells" else in_kilometres(grid)

    def output(before: State, after: State, starts: np.ndarray, members: np.ndarray, lead: np.timedelta64) -> State:
        sigma = config.at(int(lead / step))

        def one(name: str, x: Tensor) -> Tensor:
            if not sigma.get(name):
                return x
            wet = seam.wet_of(x, mask) if not of_the_air(name) else torch.ones(x.shape[1:], dtype=torch.bool)
            made = smoothed(x.cpu().numpy(), wet.cpu().numpy(), plane, sigma[name])
            return torch.from_numpy(np.ascontiguousarray(made)).to(x.device)

        return State({name: one(name, x) for name, x in after.items()})

    return output
