"""A core that can be followed by hand: temperature carried by a current that does not change, warmed and damped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
import xarray as xr
from torch import Tensor, nn
from toy_channel import channel

import oceanx as ox
from oceanx.physics.courant import advection_rate, largest
from oceanx.physics.transport import transport, volume_flux
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.integrate import heun, repeat
from oceanx.tensors.state import Fields, State, Tendency
from oceanx.vocabulary.config import Config

CAPACITY = 4.0e6  # J m-3 K-1
START = "2000-01-01"


class CarriedConfig(Config):
    """How fast temperature is forgotten (s-1)."""

    kind: Literal["carried"] = "carried"
    damping: float = 0.0

    def build(self, geometry: Geometry) -> Carried:
        return Carried(self, geometry)


class Carried(nn.Module):
    """∂T/∂t = −∇·(uT) + Q/(C h) − r T with Q = `ssr` into the uppermost level; u does not change."""

    prognostic = ("thetao", "uo", "vo")
    forcing = ("ssr",)

    def __init__(self, config: CarriedConfig, geometry: Geometry):
        super().__init__()
        self.config, self.geometry, self.damping = config, geometry, config.damping

    def begin(self, fields: Mapping[str, Tensor]) -> State:
        return State({**fields, "gained_heat": torch.zeros_like(fields["thetao"][:, :1])})

    def end(self, state: State) -> dict[str, Tensor]:
        return {name: state[name] for name in self.prognostic}

    def terms(self, state: State, forcing: Fields) -> dict[str, Tendency]:
        flow = volume_flux(state["uo"], state["vo"], self.geometry)
        terms = {
            "advection": transport(state["thetao"], flow, self.geometry.layers, "upwind"),
            "damping": -self.damping * state["thetao"],
        }
        if "ssr" in forcing:
            heat = forcing["ssr"] / (CAPACITY * self.geometry.thickness[:1]) * self.geometry.surface
            rest = torch.zeros_like(state["thetao"][:, 1:])
            terms["shortwave"] = torch.cat((heat.expand_as(state["thetao"][:, :1]), rest), 1)
        changes = {name: Tendency({"thetao": change}) for name, change in terms.items()}
        return changes | ({"counting": Tendency({"gained_heat": forcing["ssr"]})} if "ssr" in forcing else {})

    def rates(self, state: State, forcing: Fields | None = None) -> dict[str, float]:
        flow = volume_flux(state["uo"], state["vo"], self.geometry)
        return {"advection": largest(advection_rate(flow.x, flow.y, self.geometry.layers.volume), self.geometry)}

    def forward(self, state: State, forcing: Fields, seconds: float, steps: int) -> State:
        def dynamics(x: State) -> Tendency:
            return sum(self.terms(x, forcing).values(), start=Tendency({}))

        return repeat(heun, dynamics, state, seconds, steps)

    def budget(self, state: State) -> dict[str, Tensor]:
        volume, area = self.geometry.layers.volume * self.geometry.mask, self.geometry.area * self.geometry.surface
        return {
            "heat": CAPACITY * (state["thetao"].double() * volume).sum(),
            "gained_heat": (state["gained_heat"].double() * area).sum(),
            "volume": volume.sum(),
        }


def run(ds: xr.Dataset | None = None, forcing: xr.Dataset | None = None, days: float = 3, **more: object) -> xr.Dataset:
    """A simulation with it: of the toy channel, from `START`, in double precision, unless told otherwise."""
    given = {"core": CarriedConfig(), "init_time": START, "precision": "float64"} | more
    return ox.physics.simulate(channel() if ds is None else ds, forcing, days, **given)  # type: ignore[arg-type]
