"""Small seas for the primitive equations as a whole: plane, flat, without friction unless it is given."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from oceanx.physics.primitive.config import PrimitiveEquationsConfig
from oceanx.physics.primitive.equations import PrimitiveEquations
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.state import Fields, State
from oceanx.vocabulary.constants import GRAVITY

ALPHA = 1.7e-4  # K-1, of the linear equation of state

# Nothing but rotation, pressure and transport.
BARE = {
    "density": "linear",
    "transport": "centred",
    "vertical": "constant",
    "vertical_viscosity": 1e-30,
    "vertical_diffusivity": 1e-30,
    "convection": 0.0,
    "drag": 0.0,
    "compile": False,
}


def sea(
    cells: tuple[int, int],
    size: tuple[float, float],
    layers: list[float],
    periodic: tuple[bool, bool] = (False, False),
    coriolis: tuple[float, float] = (0.0, 0.0),
) -> Geometry:
    """A plane of (x, y) cells over so many metres, with layers of this thickness; f = f₀ + β y, y = 0 in the middle."""
    x = torch.linspace(0.0, size[0], cells[0] + 1, dtype=torch.float64)
    y = torch.linspace(-size[1] / 2, size[1] / 2, cells[1] + 1, dtype=torch.float64)
    thickness, mask = torch.tensor(layers).double(), torch.ones(len(layers), cells[1], cells[0])
    depth = thickness.cumsum(0) - thickness / 2
    return Geometry.plane(y, x, depth, thickness, mask, periodic, coriolis, dtype=torch.float64)


def core(geometry: Geometry, **changes: object) -> PrimitiveEquations:
    """The core on this grid, `BARE` but for these changes."""
    return PrimitiveEquations(PrimitiveEquationsConfig.parse(BARE | changes), geometry)


def state(
    geometry: Geometry,
    thetao: Tensor | float = 10.0,
    u: Tensor | float = 0.0,
    v: Tensor | float = 0.0,
    zos: Tensor | float = 0.0,
    so: Tensor | float = 35.0,
) -> State:
    """Of fields on their own points; what is given need only broadcast."""
    g = geometry
    none, flat = torch.zeros_like(g.mask[None]), torch.zeros_like(g.surface[None])
    return State(
        {
            "thetao": (none + thetao) * g.mask,
            "so": (none + so) * g.mask,
            "uo_x": (none + u) * g.mask_x,
            "vo_y": (none + v) * g.mask_y,
            "zos": (flat + zos) * g.surface,
            "gained_heat": flat,
            "gained_water": flat,
        }
    )


def march(
    its: PrimitiveEquations,
    start: State,
    seconds: float,
    steps: int,
    watch: Callable[[State], float | np.ndarray],
    forcing: Fields | None = None,
) -> tuple[np.ndarray, State]:
    """What is watched at the start and after each of so many steps of `seconds`, and the last state."""
    now, slow, seen = start, None, [watch(start)]
    with torch.no_grad():
        for _ in range(steps):
            now, slow = its.step(now, forcing or Fields({}), seconds, slow)
            seen.append(watch(now))
    return np.array(seen), now


def oscillation(series: np.ndarray) -> tuple[float, float]:
    """Radians in a step and growth in a step of what oscillates: xₙ₊₁ = 2 r cos θ xₙ − r² xₙ₋₁, by least squares."""
    (first, second), *_ = np.linalg.lstsq(np.stack([series[1:-1], -series[:-2]], 1), series[2:], rcond=None)
    growth = np.sqrt(second)
    return float(np.arccos(first / 2 / growth)), float(growth)


class Column(NamedTuple):
    """Long waves of a resting column, the fastest first: speeds (m/s), and by wave, with flow û in each layer:

    what a divergence of û (s-1) does to temperature (K s-1 in each layer) and to the surface (m s-1).
    """

    speeds: np.ndarray
    flow: np.ndarray
    warming: np.ndarray
    sinking: np.ndarray


def column(temperature: np.ndarray, layers: np.ndarray) -> Column:
    """The long waves of these layers (m) at rest with this temperature (°C).

    The discrete equations, made linear by hand: divergence D moves the surface, ∂η/∂t = −Σ h D, and carries water
    through levels that move with it, W_top = W_bottom − h (D − mean D); both neighbours' mean is what W carries; and
    pressure at constant depth is that of weight, from centre to centre by the trapezoid rule. Then ∂p/∂t = −M D, and
    the squared speeds are the eigenvalues of M.
    """
    number, deep = len(layers), layers.sum()
    middle = layers.cumsum() - layers / 2
    heavy = -ALPHA * (temperature - 10.0)  # density anomaly over reference density
    weight = np.zeros((number, number))  # of density anomalies, what pressure is made of
    weight[:, 0] = layers[0] / 2
    for level in range(1, number):
        weight[level:, level - 1 : level + 1] += (layers[level - 1] + layers[level]) / 4
    rising = np.zeros((number + 1, number))  # W through the top of each layer and the floor, of D
    for level in range(number - 1, 0, -1):
        rising[level] = rising[level + 1] + layers[level] * layers / deep
        rising[level, level] -= layers[level]
    half = np.diff(heavy)[:, None] / 2
    none = np.zeros((1, number))
    # What rises through the bottom brings heavier water, and what leaves through the top takes lighter water along.
    heavier = (np.vstack((half * rising[1:-1], none)) + np.vstack((none, half * rising[1:-1]))) / layers[:, None]
    lifted = (weight @ heavy) / deep + heavy * (1 - middle / deep)
    squared, flow = np.linalg.eig(GRAVITY * (np.outer(1 + lifted, layers) - weight @ heavier))
    first = np.argsort(-squared.real)
    flow = flow[:, first].real.T
    return Column(np.sqrt(squared.real[first].clip(min=0)), flow, -flow @ heavier.T / ALPHA, -flow @ layers)
