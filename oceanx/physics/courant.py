"""How long a step may be: signals crossing cells, the limits of integrators, and the substeps that follow.

Rates are per second and grow with what moves: a step Δt is stable while Δt × rate stays below the integrator's limit.

    advection   max(Σ inflow, Σ outflow) / V         volumes of a cell that pass through it
    diffusion   2 Σ_faces κ A / (d V)                4κ/Δx² + 4κ/Δy² + 4κ/Δz²: decay of the checkerboard
    waves       c √(1/Δx² + 1/Δy²)                   cells a wave of speed c crosses; its frequency is at most twice it
    rotation    |f|                                  radians
    drag        r                                    decay
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from oceanx.tensors.geometry import Geometry, above, south, west
from oceanx.vocabulary.constants import SECONDS_PER_DAY
from oceanx.vocabulary.errors import InputError, unknown

from .place import place

log = logging.getLogger("oceanx.physics")

# Where |growth| ≤ 1 in one step of x' = λx, for λ = −1/s and for λ = i/s: Hairer & Wanner (1996), Solving Ordinary
# Differential Equations II, doi:10.1007/978-3-642-05221-7, §IV.2 and §V.1. Euler, Heun and AB2 let every undamped
# oscillation grow.
DECAY = {"euler": 2.0, "heun": 2.0, "ab2": 1.0, "ssprk3": 2.512, "rk4": 2.785}
OSCILLATION = {"euler": 0.0, "heun": 0.0, "ab2": 0.0, "ssprk3": math.sqrt(3), "rk4": math.sqrt(8)}

# Crossings of a cell up to which total variation does not grow (Shu & Osher 1988, doi:10.1016/0021-9991(88)90177-5;
# Harten 1983, doi:10.1016/0021-9991(83)90136-5). With AB2, which makes no such promise, and for schemes that make none,
# up to which no wave does (von Neumann; Baldauf 2008, doi:10.1016/j.jcp.2008.03.025), WENO taken for the fifth-order
# scheme that it is where all is smooth.
ADVECTION = {
    "upwind": {"euler": 1.0, "heun": 1.0, "ab2": 0.5, "ssprk3": 1.0, "rk4": 1.0},
    "limited": {"euler": 0.5, "heun": 0.5, "ab2": 0.25, "ssprk3": 0.5, "rk4": 0.5},
    "centred": OSCILLATION,
    "third": {"euler": 0.0, "heun": 0.873, "ab2": 0.579, "ssprk3": 1.625, "rk4": 1.745},
    "weno": {"euler": 0.0, "heun": 0.099, "ab2": 0.080, "ssprk3": 1.434, "rk4": 1.731},
}

WORDS = {
    "advection": "currents cross {} cells",
    "diffusion": "diffusion decays {} times",
    "waves": "waves cross {} cells",
    "rotation": "inertial motion turns {} radians",
    "drag": "drag decays {} times",
}


class Rate(float):
    """A number per second, and where it was found."""

    place: str

    def __new__(cls, value: float, place: str = "") -> Rate:
        made = super().__new__(cls, value)
        made.place = place
        return made


class Substeps(NamedTuple):
    """How many equal substeps, why in one line, and by cause the crossings per substep and their limit."""

    number: int
    reason: str
    table: dict[str, tuple[float, float]]


def advection_rate(flux_x: Tensor, flux_y: Tensor, volume: Tensor, flux_z: Tensor | None = None) -> Tensor:
    """How many times a second each cell's volume passes through it (s-1): the larger of inflow and outflow.

    Parameters
    ----------
    flux_x, flux_y, flux_z
        Volume through the east, north and bottom faces, m3 s-1; upward is positive.
    volume
        Of the cells, m3.
    """
    from_west, from_south = west(flux_x), south(flux_y)
    inflow = from_west.clamp(min=0) - flux_x.clamp(max=0) + from_south.clamp(min=0) - flux_y.clamp(max=0)
    outflow = flux_x.clamp(min=0) - from_west.clamp(max=0) + flux_y.clamp(min=0) - from_south.clamp(max=0)
    if flux_z is not None:
        from_top = -above(flux_z)
        inflow = inflow + flux_z.clamp(min=0) + from_top.clamp(min=0)
        outflow = outflow - flux_z.clamp(max=0) - from_top.clamp(max=0)
    return torch.maximum(outflow, inflow) / volume


def diffusion_rate(coefficient: Tensor | float, geometry: Geometry) -> Tensor:
    """How fast horizontal diffusion removes what alternates from cell to cell (s-1): 4κ/Δx² + 4κ/Δy².

    Parameters
    ----------
    coefficient
        κ, m2 s-1: a number, or a field at cells.
    """
    return coefficient * _sharpness(geometry)


def biharmonic_rate(coefficient: Tensor | float, geometry: Geometry) -> Tensor:
    """How fast biharmonic mixing removes what alternates from cell to cell (s-1): B (4/Δx² + 4/Δy²)², B in m4 s-1."""
    return coefficient * _sharpness(geometry) ** 2


def vertical_diffusion_rate(coefficient: Tensor | float, geometry: Geometry) -> Tensor:
    """The same of explicit vertical diffusion (s-1): 2 Σ κ / (d Δz) over a layer's top and bottom; an implicit one has
    no limit."""
    apart = geometry.depth.diff(append=geometry.depth[-1:] + 1)[:, None, None]
    through = coefficient * geometry.mask_z / apart
    return 2 * (through + above(through)) / geometry.thickness


def wave_rate(speed: Tensor | float, geometry: Geometry) -> Tensor:
    """How many cells a wave crosses a second (s-1): c √(1/Δx² + 1/Δy²) on wet cells.

    Parameters
    ----------
    speed
        c, m s-1: √(gH) for the sea surface's (`gravity_wave_speed`), a few m/s for internal waves.
    """
    width = geometry.area / geometry.length_x
    return speed * (width**-2 + geometry.length_x**-2).sqrt() * geometry.surface


def gravity_wave_speed(geometry: Geometry, gravity: float) -> Tensor:
    """Speed of long surface waves, √(gH) (m s-1)."""
    return (gravity * geometry.bottom_depth).sqrt()


def rotation_rate(geometry: Geometry) -> Tensor:
    """How far inertial oscillations turn, |f| (rad s-1)."""
    return geometry.coriolis.abs() * geometry.surface


def largest(rates: Tensor, geometry: Geometry) -> Rate:
    """The largest of these rates (s-1), and the cell where it is found."""
    field = rates.detach().expand(torch.broadcast_shapes(rates.shape, (1, 1, 1, 1)))
    where = int(field.argmax())
    cell = [int(n) for n in torch.unravel_index(torch.tensor(where), field.shape)]
    return Rate(field.flatten()[where].item(), place(geometry, cell, field.shape[1]))


def limits(integrator: str, advection: str = "upwind", safety: float = 0.9) -> dict[str, float]:
    """By cause the largest Δt × rate at which a step of this integrator is stable, times `safety`.

    Parameters
    ----------
    integrator
        One of `oceanx.tensors.integrate.INTEGRATORS`.
    advection
        One of `ADVECTION`.
    safety
        Causes are looked at one by one; what this leaves is for their sum.
    """
    if integrator not in DECAY:
        raise unknown("integrator", integrator, DECAY)
    if advection not in ADVECTION:
        raise unknown("advection scheme", advection, ADVECTION)
    exact = {
        "advection": ADVECTION[advection][integrator],
        "diffusion": DECAY[integrator],
        "drag": DECAY[integrator],
        "waves": OSCILLATION[integrator] / 2,
        "rotation": OSCILLATION[integrator],
    }
    return {cause: safety * limit for cause, limit in exact.items()}


def substeps(
    rates: Mapping[str, float], seconds: float, limits: Mapping[str, float], fixed: int | None = None
) -> Substeps:
    """The fewest equal substeps of `seconds` that keep every cause below its limit; the reason is logged.

    Parameters
    ----------
    rates
        Per second, by cause. A `Rate` brings its place along.
    limits
        Of Δt × rate, by the same causes.
    fixed
        So many and no other.

    Raises
    ------
    InputError
        Where a rate is no number, no step is short enough, or the fixed number is too small.
    """
    strangers = [cause for cause in rates if cause not in limits]
    if strangers:
        raise InputError(f"no limit is known for {', '.join(strangers)}; the limits are of {', '.join(limits)}")
    needed = {cause: _needed(cause, rate, seconds, limits[cause]) for cause, rate in rates.items()}
    number = max(needed.values(), default=1)
    worst = max(rates, key=lambda cause: rates[cause] * seconds / limits[cause] if rates[cause] else 0.0, default="")
    if fixed is not None and fixed < number:
        found = f"{_said(worst, rates, seconds / fixed, limits)}"
        raise InputError(f"{_times(fixed, seconds)} will not do: {found}; {number} substeps would do")
    number = fixed or number
    reason = _times(number, seconds)
    if worst:
        reason += f": {_said(worst, rates, seconds / number, limits)}"
    log.info(reason)
    return Substeps(number, reason, {c: (rate * seconds / number, limits[c]) for c, rate in rates.items()})


def duration(seconds: float) -> str:
    """A length of time in its natural unit: '2 d', '1.5 h', '20 min', '45 s'."""
    for unit, size in (("d", SECONDS_PER_DAY), ("h", 3600.0), ("min", 60.0)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


def _sharpness(geometry: Geometry) -> Tensor:
    """2 Σ_faces A / (d V) (m-2): the fastest that a Laplacian on this grid can take something away."""
    through_x = geometry.length_x / geometry.spacing_x * geometry.mask_x
    through_y = geometry.length_y / geometry.spacing_y * geometry.mask_y
    return 2 * (through_x + west(through_x) + through_y + south(through_y)) / geometry.area


def _needed(cause: str, rate: float, seconds: float, limit: float) -> int:
    """The fewest substeps that keep one cause below its limit."""
    where = _where(rate)
    if not math.isfinite(rate):
        raise InputError(f"{cause} is {rate:g} a second{where}: the state holds what is no number, or a cell no volume")
    if rate > 0 and limit <= 0:
        raise InputError(
            f"{cause} is {rate:.3g} a second{where}, and this integrator lets it grow with any step: use ssprk3 or rk4"
        )
    # A hair's breadth of round-off is no reason for another substep.
    return max(1, math.ceil(rate * seconds / limit * (1 - 1e-9))) if rate > 0 else 1


def _times(number: int, seconds: float) -> str:
    return f"{number} substep{'s' * (number > 1)} of {duration(seconds / number)}"


def _said(cause: str, rates: Mapping[str, float], seconds: float, limits: Mapping[str, float]) -> str:
    """'waves cross 0.68 cells a substep at 79.5°N 12°E (limit 0.7)'."""
    what = WORDS.get(cause, f"{cause} acts {{}} times").format(f"{rates[cause] * seconds:.3g}")
    return f"{what} a substep{_where(rates[cause])} (limit {limits[cause]:.3g})"


def _where(rate: float) -> str:
    where = getattr(rate, "place", "")
    return f" at {where}" if where else ""
