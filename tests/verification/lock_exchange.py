"""Heavy water under light, by the primitive equations as a whole: a lock that opens, and rest over a seamount."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from oceanx.physics.continuity import layer_thickness
from oceanx.physics.primitive.equations import PrimitiveEquations
from oceanx.tensors.state import State
from oceanx.vocabulary.constants import REFERENCE_DENSITY

from .outcome import Outcome
from .seas import ALPHA, core, march, sea, state

ILICAK = "Ilıcak et al. (2012), doi:10.1016/j.ocemod.2011.10.003, §3.1"
BENJAMIN = "Benjamin (1968), doi:10.1017/S0022112068000133"
BECKMANN = "Beckmann & Haidvogel (1993), doi:10.1175/1520-0485(1993)023<1736:NSOFAA>2.0.CO;2"


def lock_exchange() -> list[Outcome]:
    """A channel, light water in one half and heavy in the other: how fast the fronts run, and what mixes."""
    length, depth, gravity = 64e3, 20.0, 9.81
    warmer = 5.0 / 1000.0 / ALPHA
    cold, warm = 10.0, 10.0 + warmer
    g = sea((128, 1), (length, 1e3), [1.0] * 20)
    its = core(g, gravity=gravity, transport="limited", viscosity=VISCOSITY, vertical_viscosity=1e-4)
    x = g.longitude
    start = state(g, torch.where(x < length / 2, cold, warm).double())
    held = its.budget(start)["heat"]

    def watch(now: State) -> np.ndarray:
        t = now["thetao"][0, :, 0]
        fronts = [_front(t[-1], x, cold, warm), length - _front(t[0].flip(0), x, warm, cold)]
        return np.array([*fronts, _reference_energy(now, its), t.min().item(), t.max().item()])

    seconds, steps = 240.0, 180
    seen, end = march(its, start, seconds, steps, watch)
    times = np.arange(steps + 1) * seconds
    late = times >= times[-1] / 4
    fast = math.sqrt(gravity * 5.0 / 1000.0 * depth)
    speeds = [np.polyfit(times[late], seen[late, i], 1)[0] for i in (0, 1)]
    print(speeds, seen[-1], seen[:, 2].min() - seen[0, 2], np.diff(seen[:, 2]).min(), seen[-1, 2] - seen[0, 2])
    return []


def _front(t: Tensor, x: Tensor, behind: float, ahead: float) -> float:
    """How far from the west (m) the tracer has reached the middle of both values."""
    share = ((t - ahead) / (behind - ahead)).numpy()
    last = int(np.flatnonzero(share >= 0.5)[-1])
    part = (share[last] - 0.5) / (share[last] - share[last + 1])
    return float(x[last] + part * (x[1] - x[0]))


def _reference_energy(now: State, its: PrimitiveEquations) -> float:
    """The potential energy (J) that is left once all water lies at rest by its density, over a flat floor."""
    g = its.geometry
    volume = (layer_thickness(now["zos"], g)[0] * g.area).flatten().numpy()
    anomaly = -REFERENCE_DENSITY * ALPHA * (now["thetao"].flatten().numpy() - 10.0)
    heaviest = np.argsort(-anomaly, kind="stable")
    filled = volume[heaviest].cumsum()
    height = (filled - volume[heaviest] / 2) / g.area.sum().item()
    return float(its.config.gravity * (anomaly[heaviest] * volume[heaviest] * height).sum())


CASES = {"lock exchange": lock_exchange}
VISCOSITY = None
