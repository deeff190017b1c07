"""Toy observations, and a method of analysis so simple that it can be followed by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from oceanx.ocean.observations import table
from oceanx.tensors.state import State
from oceanx.variational.analysis import Analysis, Setting, Window
from oceanx.vocabulary.config import Config


class Nudging(Config):
    """Of each departure a share is given back to the cells it was seen at: x + gain · Hᵀ d."""

    needs_errors: ClassVar[bool] = False
    kind: Literal["nudging"] = "nudging"
    gain: float = 0.5

    def build(self, setting: Setting) -> Nudge:
        return Nudge(self.gain)


class Nudge:
    members = 1

    def __init__(self, gain: float):
        self.gain = gain

    def __call__(self, background: State, window: Window) -> Analysis:
        departures = window.observed.departures(window.trajectory(background))
        return Analysis(window.observed.operator.adjoint(self.gain * departures)[0], numbers={"gain": self.gain})

    @property
    def carried(self) -> Mapping[str, Tensor]:
        return {}

    def resume(self, carried: Mapping[str, Tensor]) -> None:
        assert not carried

    def advance(self, before: State, after: State, step: Callable[[State], State]) -> None:
        pass


class Wobbling(Config):
    """Members nudged with random gains, which grow with what was used so far: all that may be lost."""

    needs_errors: ClassVar[bool] = False
    kind: Literal["wobbling"] = "wobbling"
    members: int = 3

    def build(self, setting: Setting) -> Wobble:
        return Wobble(self.members)


class Wobble(Nudge):
    def __init__(self, members: int):
        super().__init__(0.2)
        self.members, self.used, self.steps = members, torch.zeros(1), torch.zeros(1)

    def __call__(self, background: State, window: Window) -> Analysis:
        random = torch.Generator().manual_seed(window.seed)
        departures = window.observed.departures(window.trajectory(background))
        gains = self.gain * torch.rand(len(departures), 1, generator=random) * (1 + 0.01 * self.used + 0.1 * self.steps)
        self.used = self.used + len(window.observed)
        change = window.observed.operator.adjoint(gains * departures)[0]
        return Analysis(change, variance=torch.ones(len(window.observed)), numbers={"used": float(self.used)})

    @property
    def carried(self) -> Mapping[str, Tensor]:
        return {"used": self.used, "steps": self.steps}

    def resume(self, carried: Mapping[str, Tensor]) -> None:
        self.used, self.steps = carried["used"], carried["steps"]

    def advance(self, before: State, after: State, step: Callable[[State], State]) -> None:
        self.steps = self.steps + 1


def observations(
    columns: Mapping[str, Any], names: list[str] | None = None, platforms: list[str] | None = None
) -> xr.Dataset:
    """A table of `time`, `latitude`, `longitude` and `value`; all else has defaults, of thetao at 0.494 m."""
    size = len(columns["time"])
    usual = {
        "depth": np.full(size, 0.494),
        "variable": np.zeros(size, "int8"),
        "error_std": np.full(size, 0.5),
        "platform": np.zeros(size, "int32"),
        "feature": np.arange(size, dtype="int32"),
        "qc": np.zeros(size, "uint8"),
    }
    held = usual | dict(columns)
    held["time"] = np.asarray(held["time"], "datetime64[ns]")
    return table(held, names or ["thetao"], platforms or ["buoys", "ships"])


def scattered(ds: xr.Dataset, days: slice, count: int = 200, seed: int = 0, name: str = "thetao") -> xr.Dataset:
    """A variable, temperature unless said, at random places and moments, near the mean of the store."""
    random = np.random.default_rng(seed)
    first, last = (np.datetime64(day, "s") for day in (days.start, days.stop))
    seconds = int((last + 86400 - first) / np.timedelta64(1, "s"))
    return observations(
        {
            "time": np.sort(first + random.integers(0, seconds, count)),
            "latitude": random.uniform(31.6, 34.5, count),
            "longitude": random.uniform(-18.9, -14.5, count),
            "value": (17.0 if name == "thetao" else float(ds[name].mean())) + random.standard_normal(count),
            "platform": random.integers(0, 2, count).astype("int32"),
        },
        [name],
    )


def everywhere(
    ds: xr.Dataset, days: list[str], error: float = 1e-3, names: tuple[str, ...] = ("thetao",)
) -> xr.Dataset:
    """An observation of each wet cell on these days, at noon: what the store has there."""
    parts: dict[str, list[np.ndarray]] = {}
    for code, name in enumerate(names):
        for day in days:
            v = ds[name].sel(time=day)
            v = v.expand_dims(depth=[0.0]) if "depth" not in v.dims else v
            wet = np.isfinite(v.values)
            z, y, x = np.meshgrid(v.depth, v.latitude, v.longitude, indexing="ij")
            made = {"depth": z, "latitude": y, "longitude": x, "value": v.values.astype("float64")}
            for column, values in made.items():
                parts.setdefault(column, []).append(values[wet])
            size = int(wet.sum())
            parts.setdefault("variable", []).append(np.full(size, code, "int8"))
            parts.setdefault("time", []).append(np.full(size, np.datetime64(f"{day}T12", "ns")))
    columns = {column: np.concatenate(values) for column, values in parts.items()}
    return observations(columns | {"error_std": np.full(len(columns["time"]), error)}, list(names))
