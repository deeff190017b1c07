"""Channels: which variables at which levels, in order. Task: what a model is asked to do."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Annotated

import pandas as pd
from pydantic import AfterValidator, model_validator

from .config import Config

CLIMATOLOGY = "_climatology"  # suffix of a climatology that travels as forcing
PARENT = "_parent"  # suffix of the fields of a coarser ocean around a region, which do so too


def _offset(text: str) -> str:
    step = pd.Timedelta(text)
    if step <= pd.Timedelta(0):
        raise ValueError("expected a positive duration such as '1D' or '6h'")
    return text


Offset = Annotated[str, AfterValidator(_offset)]  # a positive duration, such as 1D


class Channels(Config):
    """Variables × levels in a fixed order: volume variables level by level, then surface variables.

    Examples
    --------
    >>> channels = Channels(volume=("thetao", "uo"), surface=("zos",), depth=(0.494, 92.326))
    >>> len(channels), channels.slices["uo"], channels.slices["zos"]
    (5, slice(2, 4, None), slice(4, 5, None))
    """

    volume: tuple[str, ...] = ()
    surface: tuple[str, ...] = ()
    depth: tuple[float, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Channels:
        doubled = {name for name in self.names if self.names.count(name) > 1}
        if doubled:
            raise ValueError(f"{sorted(doubled)} named more than once")
        if self.volume and not self.depth:
            raise ValueError(f"volume variables {list(self.volume)} need `depth` levels")
        if list(self.depth) != sorted(set(self.depth)):
            raise ValueError("depth levels must increase downwards, each once")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Variable names in channel order."""
        return self.volume + self.surface

    def levels(self, name: str) -> int:
        """How many channels a variable has: the number of levels, or 1 at the surface."""
        return len(self.depth) if name in self.volume else 1

    @cached_property
    def slices(self) -> dict[str, slice]:
        """Where each variable stands in the stack of channels."""
        result, start = {}, 0
        for name in self.names:
            result[name] = slice(start, start + self.levels(name))
            start += self.levels(name)
        return result

    def only(self, names: Iterable[str]) -> Channels:
        """The same without the other variables."""
        wanted = set(names)
        return Channels(
            volume=tuple(name for name in self.volume if name in wanted),
            surface=tuple(name for name in self.surface if name in wanted),
            depth=self.depth,
        )

    def __len__(self) -> int:
        return sum(self.levels(name) for name in self.names)


class Task(Config):
    """What a model steps forward (`prognostic`), what it is told (`forcing`), and by how much time (`step`).

    With `anomalies`, the day-of-year climatology of everything named here travels as forcing too, under
    `<name>_climatology`, selected by the label of each day.
    """

    prognostic: Channels
    forcing: Channels = Channels()
    step: Offset = "1D"
    anomalies: bool = False

    @property
    def seconds(self) -> float:
        """The step in seconds."""
        return pd.Timedelta(self.step).total_seconds()

    @property
    def names(self) -> tuple[str, ...]:
        """Every variable that must stand in the Dataset."""
        return self.prognostic.names + self.forcing.names
