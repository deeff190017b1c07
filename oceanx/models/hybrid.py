"""Hybrid: x' = x + Δc + ∫ (P(x) − P(c) + N(x, f)) dt, tracer transport and a network closure in one integrator.

P moves each tracer with the state's own currents, conservatively. With climatology, the transport of the climatology
c by the climatological currents is taken out and the climatology's change Δc over the step put in its place: what the
mean flow does to the mean state is in the climatology already, and a state that is c stays c. Untrained, the closure
N says nothing and the hybrid is its physics.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import PositiveInt
from torch import Tensor, nn

from oceanx.nn.registry import NetConfig
from oceanx.nn.unet import UNetConfig
from oceanx.physics.transport import Flux, transport, volume_flux
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.integrate import heun, repeat
from oceanx.tensors.state import Forcing, State, Tendency
from oceanx.vocabulary.channels import Task
from oceanx.vocabulary.config import Config
from oceanx.vocabulary.errors import InputError

from .background import climatology, seasonal
from .named_network import NamedNetwork, Statistics


class HybridConfig(Config):
    """Which tracers the physics moves, how finely, and the network that closes it.

    `moved` are volume tracers advanced by the physics. `guided` are surface variables whose transport by the
    column's mean current is only shown to the network, as a hint: sea surface height is no tracer, but its eddies
    drift like one.
    """

    kind: Literal["hybrid"] = "hybrid"
    net: NetConfig = UNetConfig()
    moved: tuple[str, ...] = ("thetao",)
    guided: tuple[str, ...] = ("zos",)
    scheme: Literal["upwind", "limited"] = "limited"
    substeps: PositiveInt = 4

    def build(self, task: Task, geometry: Geometry, statistics: Statistics) -> Hybrid:
        """The model, untrained."""
        needed = {"uo", "vo", *self.moved} - set(task.prognostic.volume) | set(self.guided) - set(
            task.prognostic.surface
        )
        if needed:
            raise InputError(
                f"a hybrid moves its tracers with its own currents: the task's prognostic lacks {sorted(needed)}"
            )
        return Hybrid(self, task, geometry, statistics)


class Hybrid(nn.Module):
    """x' = x + Δc + ∫ (P(x) − P(c) + N(x, f)) dt."""

    def __init__(self, config: HybridConfig, task: Task, geometry: Geometry, statistics: Statistics):
        super().__init__()
        self.task, self.config, self.geometry, self.seconds = task, config, geometry, task.seconds
        self.network = NamedNetwork(config.net, task, geometry, statistics, hints=config.moved + config.guided)

    def forward(self, state: State, forcing: Forcing) -> State:
        mean = climatology(forcing.now, self.task.prognostic.names)
        usual, drift = (self.physics(mean), self.drift(mean)) if mean else (Tendency({}), Tendency({}))
        # The network sees what transport is about to do.
        hints = (self.physics(state) - usual) + (self.drift(state) - drift)
        change = self.network(state, forcing, hints.over(self.seconds))
        steady = Tendency({name: field / self.seconds for name, field in change.items()}) - usual

        def dynamics(x: State) -> Tendency:
            return self.physics(x) + steady

        moved = repeat(heun, dynamics, state, self.seconds, self.config.substeps)
        return moved + seasonal(state, forcing)

    def physics(self, state: Mapping[str, Tensor]) -> Tendency:
        """P(x): −∇·(uT) of every moved tracer, in its unit per second."""
        flow, cells = self._flow(state), self.geometry.layers
        return Tendency({name: transport(state[name], flow, cells, self.config.scheme) for name in self.config.moved})

    def drift(self, state: Mapping[str, Tensor]) -> Tendency:
        """Transport of the guided surface fields by the column's mean current, in their units per second."""
        flow = self._flow(state).map(lambda flux: flux.sum(1, keepdim=True))
        columns = self.geometry.columns
        return Tendency(
            {name: transport(state[name], flow, columns, self.config.scheme) for name in self.config.guided}
        )

    def _flow(self, state: Mapping[str, Tensor]) -> Flux:
        return volume_flux(state["uo"], state["vo"], self.geometry)
