"""Open boundaries: what a relaxation zone lets through, and what it sends back."""

from __future__ import annotations

import math

import torch

from oceanx.physics.relaxation import relax, relaxation_zone, timescale_for
from oceanx.physics.shallow_water import ShallowWaterConfig
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.state import Fields, State

from .outcome import Curve, Outcome

CELL, CELLS, DEPTH, WIDTH = 10e3, 240, 100.0, 1000e3  # m, of them, m, of the zone in m
DAVIES = "exp(−(2/c) ∫ w/τ dx), both equations damped alike: Davies (1976), doi:10.1002/qj.49710243210"


def outgoing_wave() -> list[Outcome]:
    """A bell of sea level runs out through the eastern edge: what comes back has been through the zone twice.

    Linear waves without rotation, u = c η/H, in a channel of 2400 km whose last 1000 km are the zone.
    """
    core = ShallowWaterConfig(linear=True, gravity=9.81, integrator="ssprk3").build(channel())
    speed = math.sqrt(9.81 * DEPTH)
    x = (torch.arange(CELLS, dtype=torch.float64) + 0.5) * CELL

    def bell(where: torch.Tensor) -> torch.Tensor:
        return torch.exp(-(((where - 800e3) / 150e3) ** 2))[None, None, None]

    outcomes, lines = [], {}
    for wanted in (0.1, 0.03):
        zone = relaxation_zone(core.geometry, WIDTH, timescale_for(wanted, speed, WIDTH), edges=("east",))
        state = core.begin({"uo": 0 * bell(x), "vo": 0 * bell(x), "zos": bell(x)})
        moving = speed / DEPTH * bell(x + CELL / 2) * core.geometry.mask_x
        state = State(dict(state) | {"uo_x": moving})
        rest, step = State({name: torch.zeros_like(field) for name, field in state.items()}), 0.8 * CELL / speed
        for _ in range(round(3200e3 / (speed * step))):  # to the wall, and back to where it began
            state = relax(core(state, Fields({}), step, 1), rest, zone, step)
        back = state["zos"][0, 0, 0]
        lines[f"comes back, {wanted:g} wanted"] = (x.numpy() / 1e3, back.numpy())
        outcomes.append((f"share of a wave that comes back, {wanted:g} wanted", back[:140].max().item(), wanted))
    lines["exact, from a wall"] = (x.numpy() / 1e3, bell(x).flatten().numpy())
    curve = Curve("Sea level after a bell has run to the edge and back", "x (km)", "m", lines)
    return [
        Outcome(
            quantity,
            "1",
            measured,
            wanted,
            DAVIES,
            "relaxation follows each step, implicitly: ln(1 + a) for a = wΔt/τ, at most 0.03, in an exponent up to 3.5",
            tolerance=0.05,
            curve=curve if i == 0 else None,
        )
        for i, (quantity, measured, wanted) in enumerate(outcomes)
    ]


def channel() -> Geometry:
    one = torch.ones(1, dtype=torch.float64)
    edges = torch.arange(CELLS + 1, dtype=torch.float64) * CELL
    mask = torch.ones(1, 1, CELLS, dtype=torch.float64)
    return Geometry.plane(
        torch.tensor([0.0, CELL]), edges, one, DEPTH * one, mask, periodic=(False, True), dtype=torch.float64
    )


CASES = {"outgoing wave": outgoing_wave}
