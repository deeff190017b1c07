"""Open edges of a region: a zone along them in which the state is drawn towards what is known outside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import xarray as xr

from oceanx.physics.relaxation import open_edges, relax, relaxation_zone
from oceanx.tensors.state import State
from oceanx.vocabulary.errors import unknown

from .forcing import Weather
from .march import Leg, seen_from
from .setup import Setup

CELLS = 5.0  # width of the zone
SECONDS = 6 * 3600.0  # in which the outermost cells forget

Boundary = xr.Dataset | Literal["start", "closed"]


def zone(
    setup: Setup, boundary: Boundary, period: tuple[np.datetime64, np.datetime64]
) -> Callable[[State, Leg], State] | None:
    """What the open edges do to a state over a leg; None where there is none, or where all are closed.

    Parameters
    ----------
    boundary
        `start`: the zone holds on to the fields the run starts from. `closed`: the edges are walls. Or a Dataset of
        the core's variables, with dates, between which a straight line is drawn, or without.
    """
    if isinstance(boundary, str) and boundary not in ("start", "closed"):
        raise unknown("boundary", boundary, ("start", "closed"))
    geometry = setup.geometry
    if not open_edges(geometry) or (isinstance(boundary, str) and boundary == "closed"):
        return None
    width = CELLS * float(geometry.area[geometry.surface[0] > 0].mean() ** 0.5)
    held = relaxation_zone(geometry, width, SECONDS)
    start = setup.core.begin(setup.fields)
    ours = [name for name, seen in seen_from(setup.core, start).items() if seen]
    if isinstance(boundary, str):
        fixed = start.only(tuple(ours))
        return lambda state, leg: relax(state, fixed, held, leg.seconds)
    outside = Weather(boundary, setup.channels.names, setup.like, geometry, period, "linear", what="boundary")

    def towards(state: State, leg: Leg) -> State:
        target = setup.core.begin(outside.mean(leg.start, leg.stop)).only(tuple(ours))
        return relax(state, target, held, leg.seconds)

    return towards
