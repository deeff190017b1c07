"""Relaxation: open lateral boundaries of a regional ocean, and restoring of its surface.

Towards a target x̂, within a time τ, with a weight w that falls from 1 at the open edge to 0 at the inner end of a zone:

    ∂x/∂t = −(w/τ) (x − x̂)        implicitly, x' = (x + a x̂) / (1 + a) with a = w Δt/τ, stable for any step

The grid ends in a wall (its outermost faces are closed); what runs towards it loses its way in the zone. A wave of
speed c that enters, reaches the wall and comes back is smaller by exp(−(2/c) ∫ w/τ dx), if sea surface and velocity
are relaxed alike.

References
----------
Davies (1976), Q. J. R. Meteorol. Soc. 102, 405, doi:10.1002/qj.49710243210; Martinsen & Engedahl (1987), Coastal
Engineering 11, 603, doi:10.1016/0378-3839(87)90028-7.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from oceanx.tensors.geometry import Geometry
from oceanx.tensors.operators import mean_x, mean_y
from oceanx.tensors.state import State
from oceanx.vocabulary.constants import EARTH_RADIUS
from oceanx.vocabulary.errors import InputError, unknown

from .place import on_plane

EDGES = ("west", "east", "south", "north")

# The weight at a distance s from the edge, 0 at the edge and 1 at the inner end of the zone.
PROFILES: dict[str, Callable[[Tensor], Tensor]] = {
    "cosine": lambda s: torch.where(s < 1, (0.5 * math.pi * s).cos() ** 2, torch.zeros_like(s)),
    "linear": lambda s: 1 - s.clamp(0, 1),
    "tanh": lambda s: torch.where(s < 1, 1 - (5 * s).tanh(), torch.zeros_like(s)),  # Martinsen & Engedahl over 10 cells
}


class Zone(NamedTuple):
    """How firmly wet cells (`centre`), open east faces (`x`) and north faces (`y`) are held to their target, s-1."""

    centre: Tensor
    x: Tensor
    y: Tensor

    def at(self, name: str, levels: int) -> Tensor:
        """The rate for a field of this name and depth, by where on its cell it lives."""
        rate = self.x if name.endswith("_x") else self.y if name.endswith("_y") else self.centre
        return rate[:levels]


def open_edges(geometry: Geometry) -> tuple[str, ...]:
    """The edges of the grid through which the sea goes on: with wet cells, not periodic, and not a pole."""
    ends = {
        "west": geometry.mask[..., 0] * (not geometry.periodic),
        "east": geometry.mask[..., -1] * (not geometry.periodic),
        "south": geometry.mask[:, 0] * (not geometry.periodic_y) * _beyond(geometry, 0),
        "north": geometry.mask[:, -1] * (not geometry.periodic_y) * _beyond(geometry, -1),
    }
    return tuple(edge for edge, wet in ends.items() if wet.any())


def distance_to(edge: str, geometry: Geometry) -> Tensor:
    """How far each cell's centre is from this edge of the grid, along its own row or column (m)."""
    if edge not in EDGES:
        raise unknown("edge", edge, EDGES)
    size = geometry.area / geometry.length_x if edge in ("west", "east") else geometry.length_x
    dim = -1 if edge in ("west", "east") else -2
    if edge in ("east", "north"):
        return (size.flip(dim).cumsum(dim)).flip(dim) - size / 2
    return size.cumsum(dim) - size / 2


def relaxation_zone(
    geometry: Geometry,
    width: float,
    timescale: float,
    edges: Iterable[str] | None = None,
    profile: str = "cosine",
) -> Zone:
    """The zone along the open edges of a regional grid.

    Parameters
    ----------
    width
        Of the zone, m.
    timescale
        τ at the edge, s.
    edges
        Some of `EDGES`; all `open_edges` if none are given.
    profile
        How the weight falls inwards: `cosine` (smoothest), `linear`, or `tanh` of Martinsen & Engedahl.
    """
    if not (width > 0 and timescale > 0):
        raise InputError(f"a relaxation zone needs a width and a time above 0, not {width:g} m and {timescale:g} s")
    if profile not in PROFILES:
        raise unknown("profile", profile, PROFILES)
    weight = torch.zeros_like(geometry.area)
    for edge in open_edges(geometry) if edges is None else edges:
        weight = torch.maximum(weight, PROFILES[profile](distance_to(edge, geometry) / width))
    rate = weight / timescale
    return Zone(rate * geometry.mask, mean_x(rate) * geometry.mask_x, mean_y(rate) * geometry.mask_y)


def timescale_for(reflection: float, speed: float, width: float) -> float:
    """The τ (s) of a cosine zone that sends this share of a wave's amplitude back: width / (c ln 1/R).

    Parameters
    ----------
    reflection
        R, between 0 and 1.
    speed
        c of the wave, m s-1.
    width
        Of the zone, m. It has to be resolved: where the rate changes much within a cell or a wavelength, that too
        reflects.
    """
    if not 0 < reflection < 1:
        raise InputError(f"a reflected share lies between 0 and 1, not {reflection:g}")
    return width / (speed * math.log(1 / reflection))


def relaxation(field: Tensor, target: Tensor, rate: Tensor) -> Tensor:
    """The change per second towards the target: −(w/τ) (x − x̂).

    Parameters
    ----------
    rate
        w/τ, s-1, as a `Zone` has it.
    """
    return rate * (target - field)


def relaxed(field: Tensor, target: Tensor, rate: Tensor, seconds: float) -> Tensor:
    """The field after so many seconds of relaxation, implicitly: between field and target for any step."""
    share = rate * seconds
    return field + (share / (1 + share)) * (target - field)


def relax(state: State, targets: Mapping[str, Tensor], zone: Zone, seconds: float) -> State:
    """The state after so many seconds of relaxation of every field that has a target.

    Parameters
    ----------
    targets
        On the state's own points: the initial state, a climatology, or a larger model's fields.
    """
    held = {
        name: relaxed(state[name], target, zone.at(name, state[name].shape[1]), seconds)
        for name, target in targets.items()
    }
    return State(dict(state.items()) | held)


def restoring(surface: Tensor, target: Tensor, strength: Tensor | float) -> Tensor:
    """The flux into the sea that restores its surface: strength × (x̂ − x), positive where the sea is below its target.

    Parameters
    ----------
    surface, target
        `[batch, 1, lat, lon]`: temperature, salinity.
    strength
        W m-2 K-1 for a heat flux in W m-2 (some 40 for the exchange with the atmosphere), or a piston velocity in m s-1
        for the field's own unit × m s-1: a layer of thickness h has then the time scale h / strength.

    References
    ----------
    Haney (1971), J. Phys. Oceanogr. 1, 241, doi:10.1175/1520-0485(1971)001<0241:STBCFO>2.0.CO;2.
    """
    return strength * (target - surface)


def _beyond(geometry: Geometry, row: int) -> bool:
    """Whether the grid's first or last row ends before the pole."""
    if on_plane(geometry):
        return True
    half = math.degrees(geometry.length_x[row, 0].item() / EARTH_RADIUS) / 2
    return abs(geometry.latitude[row].item()) + half < 90 - 1e-3
