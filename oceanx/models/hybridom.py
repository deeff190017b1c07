"""HybridOM: y = x + Δc + ∫ (P(x) − P(c)) dt, x' = y + I(ζ(y), u, f) + N(x, f): a vorticity core and two networks.

P is the vorticity core: it carries temperature, salinity and vorticity (and sea ice, where the task has it) through
the step in twelve substeps, while currents and sea surface stay as they are. I is told how the water turns at the end
of it, ζ(y), and finds the currents that turn so: a learned stand-in for inverting ∇²ψ = ζ. N corrects everything,
and is all that moves the sea surface; it sees the state, the forcing, and what the core is about to do. Untrained, both
are silent and the model is its core. Δc, and why P(c) is taken out, is told in `hybridom_physics`.

Any forcing will do: three channels (u10, v10, t2m), four (msl too), or the eight fluxes of a bulk formula.

References
----------
Shu et al. (2026), HybridOM, doi:10.48550/arXiv.2602.00598.
"""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt
from torch import nn

from oceanx.nn.paramnet import ParamNetConfig
from oceanx.nn.registry import NetConfig
from oceanx.physics.coefficients import logged
from oceanx.physics.vorticity_core import VorticityCoreConfig
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.state import Forcing, State
from oceanx.vocabulary.channels import Task
from oceanx.vocabulary.config import Config

from .background import seasonal
from .hybridom_physics import Physics
from .named_network import NamedNetwork, Statistics

CURRENTS = ("uo", "vo")


class HybridOMConfig(Config):
    """The core, its substeps in a step of the task, and the networks I (`inverse`) and N (`net`).

    With `as_published` the core is given anomalies as if they were totals, I is shown vorticity times 10⁴ s instead of
    in units of its spread, and not by how much it changes, and N is not shown what the core does.

    With the published channels I and N have 23.99 and 42.72 million weights (3.39 and 34.45 at 0.25°). Here their first
    layers read the climatology, the mask and the core's work too: 1.4 % more (2.4 % of the smallest).
    """

    kind: Literal["hybridom"] = "hybridom"
    core: VorticityCoreConfig = VorticityCoreConfig.model_validate({})
    substeps: PositiveInt = 12
    inverse: NetConfig = ParamNetConfig(spatial_layers=6, latent_layers=4)
    net: NetConfig = ParamNetConfig()
    as_published: bool = False

    def build(self, task: Task, geometry: Geometry, statistics: Statistics) -> HybridOM:
        """The model, untrained."""
        return HybridOM(self, task, geometry, statistics)


class HybridOM(nn.Module):
    """x' = x + Δc + ∫ (P(x) − P(c)) dt + I(ζ, u, f) + N(x, f)."""

    def __init__(self, config: HybridOMConfig, task: Task, geometry: Geometry, statistics: Statistics):
        super().__init__()
        self.task = task
        self.physics = Physics(config.core, config.substeps, task, geometry, statistics, config.as_published)
        self.inverse = NamedNetwork(
            config.inverse, task, geometry, statistics, reads=CURRENTS, writes=CURRENTS, further=self.physics.shown
        )
        hints = () if config.as_published else self.physics.moved
        self.network = NamedNetwork(config.net, task, geometry, statistics, hints)

    def forward(self, state: State, forcing: Forcing) -> State:
        moved, turning = self.physics(state, forcing)
        currents = self.inverse(state, forcing, more=turning)
        corrected = self.network(state, forcing, moved)
        return possible(state + (seasonal(state, forcing) + moved + currents + corrected))

    def skeleton(self, state: State, forcing: Forcing) -> State:
        """What it is without its networks: a step of its core."""
        return possible(state + (seasonal(state, forcing) + self.physics(state, forcing)[0]))

    def coefficients(self) -> dict[str, float]:
        """Diffusivity and viscosity by their units, for a log."""
        return logged(self)


def possible(state: State) -> State:
    """The state with no less sea ice than none, and no more of it than covers the sea."""
    ice = {"siconc": (0.0, 1.0), "sithick": (0.0, None)}
    held = {name: state[name].clamp(*bounds) for name, bounds in ice.items() if name in state}
    return State(dict(state) | held)
