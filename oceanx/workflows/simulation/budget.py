"""What a core counts: the volume, heat, salt and energy its ocean holds, what came in, and what is unaccounted for.

A core may offer `budget(state)`: its contents by name, and as `gained_<name>` what came in since the beginning.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import xarray as xr

from oceanx.physics.core import Core
from oceanx.tensors.state import State

GAINED = "gained_"

# By the name a core counts under: in words, its unit, and CF's name where there is one.
CONTENTS = {
    "volume": ("Volume of the ocean", "m3", "ocean_volume"),
    "heat": ("Heat content against 0 degrees_C", "J", ""),
    "salt": ("Salt content", "kg", ""),
    "kinetic_energy": ("Kinetic energy", "J", ""),
    "potential_energy": ("Potential energy", "J", ""),
}
KEPT = ("volume", "heat", "salt")  # what only changes by what comes in


class Budget:
    """The contents of a run, output by output.

    Attributes
    ----------
    start
        What there was at the start of the run.
    """

    def __init__(self, core: Core):
        self._contents = getattr(core, "budget", None)
        self.start: dict[str, float] = {}

    @torch.no_grad()
    def counted(self, state: State) -> dict[str, float]:
        """The contents by name; empty where the core counts nothing."""
        return {name: float(value) for name, value in self._contents(state).items()} if self._contents else {}

    def at(self, state: State) -> xr.Dataset:
        """The contents at an output, over a `time` of length one."""
        made: dict[str, Any] = {}
        counted = self.counted(state)
        for name in (name for name in counted if not name.startswith(GAINED)):
            words, units, standard = CONTENTS.get(name, (name.replace("_", " ").capitalize(), "1", ""))
            made[f"total_{name}"] = _series(counted[name], words, units, standard)
            gained = counted.get(GAINED + name)
            if gained is not None:
                made[GAINED + name] = _series(gained, f"{words}: gained through the surface since the start", units)
            if name in KEPT:
                left = counted[name] - self.start[name] - (gained or 0.0)
                made[f"residual_{name}"] = _series(left, f"{words}: change since the start not accounted for", units)
        return xr.Dataset(made)


def _series(value: float, words: str, units: str, standard: str = "") -> Any:
    named = {"standard_name": standard} if standard else {}
    return ("time", np.array([value]), {**named, "long_name": words, "units": units})
