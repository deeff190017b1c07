"""What is asked of a service: a wish, cut into tiles of a day or a month, one file each."""

from __future__ import annotations

import importlib
import os
from collections.abc import Collection
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np

from ...vocabulary.errors import InputError

DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class Wish:
    """Which days (both included), region, depths and variables (our words) are wanted."""

    first: np.datetime64
    last: np.datetime64
    box: tuple[float, float, float, float] | None = None  # west, east, south, north
    depth: tuple[float, float] | None = None
    variables: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.box is not None:
            _refuse_box(self.box)
        if self.depth is not None and not 0 <= self.depth[0] <= self.depth[1]:
            raise InputError(f"depth: {self.depth[0]:g}:{self.depth[1]:g}; expected metres, upper:lower, from 0 down")

    @property
    def days(self) -> np.ndarray:
        """All days, datetime64[D]."""
        return np.arange(self.first, self.last + DAY, dtype="datetime64[D]")

    def plain(self) -> dict[str, Any]:
        """What every file of a folder must have been asked for alike; dates are not part of it."""
        return {"box": self.box, "depth": self.depth, "variables": sorted(self.variables)}


@dataclass(frozen=True)
class Tile:
    """One file: its name, the times and variables (our words) it must hold, and what the client is asked."""

    name: str
    times: np.ndarray
    variables: tuple[str, ...]
    request: dict[str, Any] = field(default_factory=dict)


def client(module: str, extra: str) -> ModuleType:
    """The module of a service's client; `InputError` naming the extra that brings it."""
    try:
        return importlib.import_module(module)
    except ImportError:
        raise InputError(f"{module} is not installed; pip install 'oceanx[{extra}]'") from None


def credentials(*names: str) -> list[str]:
    """The values of environment variables; `InputError` naming those that are not set."""
    lacking = [name for name in names if not os.environ.get(name)]
    if lacking:
        raise InputError(f"credentials: set {' and '.join(lacking)} in the environment; they are kept nowhere else")
    return [os.environ[name] for name in names]


def chosen(
    variables: tuple[str, ...], known: Collection[str], default: tuple[str, ...], service: str
) -> tuple[str, ...]:
    """The variables to ask for, in our words; `InputError` for one that the service does not hold."""
    for name in variables:
        if name not in known:
            raise InputError(f"variable {name!r} is none of {service}; choose from {', '.join(known)}")
    return tuple(dict.fromkeys(variables)) or default


def _refuse_box(box: tuple[float, float, float, float]) -> None:
    west, east, south, north = box
    said = ",".join(f"{edge:g}" for edge in box)
    if not -90 <= south < north <= 90:
        raise InputError(f"box: {said}; expected west,east,south,north with south below north, within -90 and 90")
    if not -180 <= west < east <= 180:
        raise InputError(f"box: {said}; expected west below east, within -180 and 180; "
                         "stage the two sides of the date line apart")  # fmt: skip
