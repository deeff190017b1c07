"""The box of veros.py in oceanx, in a process of its own: reads `steps` or `look` from its input, answers in JSON."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import numpy as np
import torch

from oceanx.physics.primitive.config import PrimitiveEquationsConfig
from oceanx.physics.primitive.equations import PrimitiveEquations
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.state import Fields
from oceanx.vocabulary.constants import HEAT_CAPACITY, REFERENCE_DENSITY


def main() -> None:
    given = json.loads(sys.argv[1])
    os.sched_setaffinity(0, range(given["threads"]))
    torch.set_num_threads(given["threads"])
    with torch.inference_mode():
        box = Box(given)
        print(json.dumps("ready"), flush=True)
        for line in sys.stdin:
            word, *number = line.split()
            print(json.dumps(box.steps(int(number[0])) if word == "steps" else box.look()), flush=True)


class Box:
    """The core, and the state it has come to."""

    def __init__(self, given: dict[str, Any]):
        dtype = getattr(torch, given["precision"])
        box = {name: torch.from_numpy(field) for name, field in np.load(given["box"]).items()}
        thickness, wet = box["thickness"], box["wet"].double()
        mask = wet.expand(len(thickness), *wet.shape)
        depth = thickness.cumsum(0) - thickness / 2
        geometry = Geometry(box["latitude"], box["longitude"], depth, thickness, mask, True, dtype)
        config = {
            "density": "linear",
            "transport": given["advection"],
            "forced_by": "wind",
            "viscosity": given["viscosity"],
            "shrink": False,
            "vertical": "constant",
            "vertical_viscosity": given["vertical_viscosity"],
            "vertical_diffusivity": given["vertical_diffusivity"],
            "drag": 0.0,
            "drag_linear": given["drag"],
            "compile": given["backend"] == "compiled",
        }
        self.core, self.step = PrimitiveEquations(PrimitiveEquationsConfig.parse(config), geometry), given["step"]
        volume, surface = torch.zeros(1, *mask.shape, dtype=dtype), torch.zeros(1, 1, *wet.shape, dtype=dtype)
        fields = {"thetao": box["thetao"][None].to(dtype), "so": volume + 35, "uo": volume, "vo": volume}
        self.state, self.slow = self.core.begin(fields | {"zos": surface}), None
        self.forcing = Fields({"tauuo": surface + box["tauuo"][:, None].to(dtype), "tauvo": surface})

    def steps(self, number: int) -> float:
        """Seconds that so many steps take."""
        start = time.perf_counter()
        for _ in range(number):
            self.state, self.slow = self.core.step(self.state, self.forcing, self.step, self.slow)
        return time.perf_counter() - start

    def look(self) -> dict[str, float]:
        """Kinetic energy (m2 s-2), fastest current (m s-1), mean temperature (°C): that all solve the same."""
        held = {name: float(total) for name, total in self.core.budget(self.state).items()}
        return {
            "kinetic energy": held["kinetic_energy"] / held["volume"] / REFERENCE_DENSITY,
            "fastest": float(max(self.state[name].abs().max() for name in ("uo_x", "vo_y"))),
            "temperature": held["heat"] / held["volume"] / REFERENCE_DENSITY / HEAT_CAPACITY,
        }


if __name__ == "__main__":
    main()
