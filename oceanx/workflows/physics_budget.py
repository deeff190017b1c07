"""What a core counts: the volume, heat, salt and energy its ocean holds, what came in, and what is unaccounted for.

A core may offer `budget(state)`, its contents by name, and `supply(state, forcing)`, what enters them per second. With
both, a run says at every output what entered since its start, and by how much the content differs from that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import xarray as xr

from oceanx.physics.core import Core
from oceanx.tensors.state import Fields, State

# By the name a core counts under: in words, its unit, and CF's name where there is one.
CONTENTS = {
    "volume": ("Volume of the ocean", "m3", "ocean_volume"),
    "heat": ("Heat content, counted from 0 degrees_C", "J", ""),
    "salt": ("Salt content", "kg", ""),
    "kinetic_energy": ("Kinetic energy", "J", ""),
    "potential_energy": ("Potential energy", "J", ""),
}


class Budget:
    """The contents of a run, output by output.

    Attributes
    ----------
    supplied
        What entered since the start, by name; part of what an interrupted run goes on from.
    """

    def __init__(self, core: Core):
        self._contents = getattr(core, "budget", None)
        self._supply = getattr(core, "supply", None) if self._contents else None
        self.start: dict[str, float] = {}
        self.supplied: dict[str, float] = {}

    @torch.no_grad()
    def begin(self, state: State) -> None:
        """Count what there is at the start."""
        self.start = self._counted(state)
        self.supplied = dict.fromkeys(self.start, 0.0) if self._supply else {}

    @torch.no_grad()
    def leg(self, state: State, told: Fields, seconds: float) -> None:
        """Add what enters during a leg from this state."""
        if self._supply:
            for name, rate in self._supply(state, told).items():
                self.supplied[name] += float(rate) * seconds

    @torch.no_grad()
    def at(self, state: State) -> xr.Dataset:
        """The contents at an output, over a `time` of length one."""
        made: dict[str, Any] = {}
        for name, value in self._counted(state).items():
            words, units, standard = CONTENTS.get(name, (name.replace("_", " ").capitalize(), "1", ""))
            named = {"standard_name": standard} if standard else {}
            made[f"total_{name}"] = _series(value, words, units, named)
            if name in self.supplied:
                came = self.supplied[name]
                made[f"{name}_supplied"] = _series(came, f"{words}: entered since the start", units)
                left = value - self.start[name] - came
                made[f"{name}_residual"] = _series(left, f"{words}: unaccounted for since the start", units)
        return xr.Dataset(made)

    def carried(self) -> dict[str, float]:
        """What an interrupted run needs to go on counting."""
        return {f"start {n}": v for n, v in self.start.items()} | {f"supplied {n}": v for n, v in self.supplied.items()}

    def resume(self, carried: Mapping[str, float]) -> None:
        """Go on counting from `carried`."""
        for key, value in carried.items():
            which, _, name = key.partition(" ")
            (self.start if which == "start" else self.supplied)[name] = value

    def _counted(self, state: State) -> dict[str, float]:
        return {name: float(value) for name, value in self._contents(state).items()} if self._contents else {}


def _series(value: float, words: str, units: str, named: Mapping[str, str] | None = None) -> Any:
    return ("time", np.array([value]), {**(named or {}), "long_name": words, "units": units})
