"""What a network is: settings, from which comes a sampler that says where and when it observes on a day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Annotated, Any, ClassVar, Protocol

import numpy as np
from pydantic import AfterValidator, Field

from ...vocabulary.config import Config
from ...vocabulary.errors import InputError
from ...vocabulary.names import VARIABLES
from ..interpolation import ABOVE
from .sea import Sea


def _sound(errors: float | dict[str, float]) -> float | dict[str, float]:
    for name, sigma in (errors if isinstance(errors, dict) else {"": errors}).items():
        if not 0 <= sigma < np.inf:
            raise ValueError("expected standard deviations of 0 or more" + (f", found {name}: {sigma}" if name else ""))
    return errors


Errors = Annotated[float | dict[str, float], AfterValidator(_sound)]  # of all its variables, or of each
Depths = tuple[Annotated[float, Field(ge=0, allow_inf_nan=False)], ...]
EPOCH = np.datetime64("1970-01-01", "ns")
NOON = np.timedelta64(12, "h")


@dataclass(frozen=True)
class Rows:
    """Where a network observes on one day: columns of an observation table to be.

    `variable` and `platform` are positions among the network's own; `datum` is what tells the data of a platform, day
    and variable apart, whatever else is observed.
    """

    time: np.ndarray
    latitude: np.ndarray
    longitude: np.ndarray
    depth: np.ndarray
    variable: np.ndarray
    platform: np.ndarray
    feature: np.ndarray
    datum: np.ndarray

    @classmethod
    def together(cls, **columns: Any) -> Rows:
        """Rows of columns that NumPy can broadcast, flattened."""
        arrays = np.broadcast_arrays(*(np.asarray(columns[f.name]) for f in fields(cls)))
        return cls(*(array.ravel() for array in arrays))


class Sampler(Protocol):
    """A network on a grid: `platforms` are the names of all its platforms, whether they observe on a day or not."""

    @property
    def platforms(self) -> Sequence[str]: ...

    def on(self, day: int) -> Rows:
        """Where it observes on a day, counted from 1970."""


class Network(Config):
    """What every network states; `representation` is told in the table's attributes and adds nothing to the noise.

    Attributes
    ----------
    name
        What its platforms and random numbers hang on.
    error
        Standard deviation of the instrument's error, of all its variables or of each.
    representation
        Standard deviation of what a grid cannot resolve, for whoever compares the two.
    """

    kind: str
    name: str = Field(pattern=r"^[A-Za-z][\w-]*$")
    error: Errors
    representation: Errors | None = None
    feature: ClassVar[str] = "point"

    @property
    def observes(self) -> tuple[str, ...]:
        """Its variables, by oceanx's words."""
        raise NotImplementedError

    def among(self, known: Sequence[str]) -> Network:
        """The network for a truth that has these variables, with what it left open decided."""
        return self

    def sigma(self, variable: str) -> float:
        """The standard deviation of the instrument's error."""
        if not isinstance(self.error, dict):
            return self.error
        if variable not in self.error:
            raise InputError(f"{self.name}.error: states none for {variable}; found {', '.join(self.error) or 'none'}")
        return self.error[variable]

    def sampler(self, sea: Sea, seed: int, currents: Any = None) -> Sampler:
        """Its Sampler on a grid; `currents` (of `floats.Currents`) carry what drifts."""
        raise NotImplementedError


def levels(name: str, depths: Depths | None, sea: Sea) -> np.ndarray:
    """The depths at which the network of a name observes: those it states, or those of the grid."""
    if depths is None:
        return sea.levels
    if sea.depth is None and max(depths, default=0.0) > ABOVE:
        raise InputError(f"{name}.depths: found {max(depths):g} m; the truth has a surface alone")
    return np.asarray(depths, float)


def refuse_deep(name: str, sea: Sea) -> None:
    """`InputError` where the uppermost level is too deep to stand for the surface."""
    if sea.levels[0] > ABOVE:
        raise InputError(
            f"{name}: the truth's uppermost level is at {sea.levels[0]:g} m, which is no surface; observe it with "
            f"{{kind: cells, depth: {sea.levels[0]:g}}}"
        )


def profiles(
    place: dict[str, np.ndarray],
    platform: np.ndarray,
    feature: np.ndarray,
    levels: np.ndarray,
    variables: Sequence[str],
) -> Rows:
    """Rows of profiles (each with `time`, `latitude` and `longitude`), level by level, every variable at each.

    What has no levels is observed once, at depth 0.
    """
    deep = np.array([VARIABLES[name].volume for name in variables])
    level, variable = np.nonzero(deep[None, :] | (np.arange(levels.size) == 0)[:, None])
    column = {name: values[:, None] for name, values in place.items()}
    return Rows.together(
        **column,
        depth=np.where(deep[variable], levels[level], 0.0),
        variable=variable,
        platform=platform[:, None],
        feature=feature[:, None],
        datum=level,
    )


def midday(day: int) -> np.datetime64:
    """The middle of a day counted from 1970."""
    return EPOCH + np.timedelta64(day, "D") + NOON
