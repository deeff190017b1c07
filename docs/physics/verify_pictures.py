"""Maps of three of the cases, for `verify.py`: the tables say how near, these say what it looks like."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor
from verification import gyres as gyre
from verification import rossby_waves
from verification.flows import along_lines_of, bell, carried, edges, square, steps
from verification.waves import run

from oceanx.physics.shallow_water import ShallowWater, ShallowWaterConfig
from oceanx.physics.viscosity import viscosity
from oceanx.plot import style
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.state import State, Tendency

Look = dict[str, Any]


@style.look()
def swirl() -> Figure:
    """A bell at the start, drawn out half-way, back at the end, and what is then wrong, with two schemes."""
    n, seconds, names = 96, 3.0, ("half-way", "end", "end − start")
    geometry, side = square(n), edges(0, 1, n)
    wave, middle = (math.pi * side).sin() ** 2, (side[1:] + side[:-1]) / 2
    flow, cells = along_lines_of(wave[:, None] * wave / math.pi, geometry), geometry.layers
    start = bell(torch.hypot(middle[:, None] - 0.5, middle - 0.3), 0.25)[None, None]

    def after(share: float, scheme: str) -> Tensor:
        times = steps(share * seconds, flow, cells, scheme)
        backwards = lambda t: math.cos(math.pi * t / seconds)  # noqa: E731
        return carried(start, flow, cells, scheme, share * seconds, times, strength=backwards)

    fields = {"start": start}
    for scheme in ("limited", "weno"):
        half, end = after(0.5, scheme), after(1.0, scheme)
        fields |= {f"{scheme}: {name}": field for name, field in zip(names, (half, end, end - start), strict=True)}
    figure = style.sheet(10.5, 5.6)
    axes = figure.subplot_mosaic(
        [["start", *(f"limited: {name}" for name in names)], ["key", *(f"weno: {name}" for name in names)]]
    )
    axes["key"].axis("off")
    for title, field in fields.items():
        wrong, ax = title.endswith("end − start"), axes[title]
        look: Look = (
            {"cmap": "RdBu_r", "vmin": -0.2, "vmax": 0.2} if wrong else {"cmap": "YlGnBu", "vmin": 0, "vmax": 1}
        )
        drawn = ax.pcolormesh(side.numpy(), side.numpy(), field[0, 0].numpy(), **look)
        ax.set(aspect="equal", xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
        ax.set_title(title, loc="left", fontsize=11)
        style.tidy(ax)
        if title in ("start", "limited: end − start"):
            scale = axes["key"].inset_axes((0.05, 0.35 if wrong else 0.8, 0.9, 0.08))
            figure.colorbar(drawn, cax=scale, orientation="horizontal", label="end − start" if wrong else "tracer")
    axes["start"].set(xlabel="x (m)", ylabel="y (m)")
    return figure


@style.look()
def gyres() -> Figure:
    """Streamlines of Stommel's and of Munk's gyre under the same wind: western boundary currents of two kinds."""
    figure = style.sheet(9.5, 4.2)
    friction: dict[str, Callable[[State, Geometry], Tendency]] = {
        "Stommel: bottom friction": lambda s, sea: Tendency({}),
        "Munk: lateral friction, no slip": held,
    }
    settings = ((1e6, 1000.0, 2e-11, {"drag": 1e-6}), (1.2e6, 5000.0, 1e-11, {"viscosity": NU}))
    for ax, (title, more), (length, depth, beta, own) in zip(
        figure.subplots(1, 2), friction.items(), settings, strict=True
    ):
        sea = gyre._sea(np.linspace(0, length, 97), length, 48, depth, beta)
        core = ShallowWater(sea, ShallowWaterConfig(linear=True, density=1000.0, **own))
        state = gyre._steady(core, gyre._wind(sea, length), lambda s, sea=sea, more=more: more(s, sea))
        carried_north = state["vo_y"][0, 0] * sea.length_y * depth
        psi = torch.nn.functional.pad(carried_north.cumsum(1), (1, 0, 1, 0)).numpy() / 1e6  # on corners, from the west
        x, y = np.linspace(0, length / 1e3, 97), np.linspace(0, length / 1e3, 49)
        each = 1.0 if psi.max() < 15 else 3.0  # Sv
        drawn = ax.contourf(x, y, psi, np.arange(0, psi.max() + each, each), cmap="YlGnBu")
        ax.contour(x, y, psi, drawn.levels[1:], colors="#333333", linewidths=0.6)
        figure.colorbar(drawn, ax=ax, label="Sv", shrink=0.8, ticks=drawn.levels[::2])
        ax.set(aspect="equal", xlabel="x (km)", ylabel="y (km)")
        ax.set_title(title, loc="left")
        style.tidy(ax)
    return figure


NU = 400.0  # m2 s-1


def held(s: State, sea: Geometry) -> Tendency:
    """What walls without slip add to those with, in the west and the east."""
    no, free = (viscosity(s["uo_x"], s["vo_y"], sea, NU, slip) for slip in ("no", "free"))
    return Tendency({"vo_y": no.y - free.y})


@style.look()
def soliton() -> Figure:
    """The sea surface of the equatorial soliton at three times on its way to the west."""
    b, (core, state) = 0.395, rossby_waves.soliton_at_start(0.395)
    figure = style.sheet(9.5, 5.2)
    axes, x = figure.subplots(3, 1, sharex=True), np.linspace(0, 48, 97)
    y = np.concatenate([-np.linspace(5, 0, 41), np.linspace(0, 5, 41)[1:]])
    for ax, time in zip(axes, (0, 60, 120), strict=True):
        state = run(core, state, 60.0, crossings=1.2) if time else state
        north = state["zos"][0, 0].numpy()
        drawn = ax.pcolormesh(x, y, np.concatenate([north[::-1], north]), cmap="YlGnBu", vmin=0, vmax=0.18)
        ax.axvline((24 - (1 / 3 + 0.395 * b**2) * time) % 48, color="black", linestyle=(0, (4, 2)), linewidth=1.2)
        ax.set_title(f"t = {time}", loc="left", fontsize=11)
        ax.set(ylabel="y", yticks=[-4, 0, 4])
        style.tidy(ax)
    axes[-1].set_xlabel("x (no units: the sea is 48 round)")
    figure.colorbar(drawn, ax=axes, label="sea surface", shrink=0.8)
    return figure


# By module: name of the picture, its caption, and what draws it.
PICTURES: dict[str, dict[str, tuple[str, Callable[[], Figure]]]] = {
    "tracers": {
        "swirl": (
            "The swirl of LeVeque with a period of 3 on 96 × 96 cells: at the end the bell should be what it was",
            swirl,
        ),
    },
    "gyres": {
        "streamlines": ("The transport stream function of two gyres under a wind of one sine, on 96 × 48 cells", gyres),
    },
    "rossby_waves": {
        "soliton": ("The equatorial soliton goes round a periodic sea; dashed: where Boyd's speed takes it", soliton),
    },
}
