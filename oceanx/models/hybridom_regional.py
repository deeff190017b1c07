"""HybridOM, regional: the vorticity core on a fine grid, nested in a coarse parent that is known at every step.

    y = x + Δc + ∫ (P(x) − P(c)) dt − ∇·C Δt        x' = y + I(ζ, u, f) + N(x, f, Δp)        at the edges x' → p

The parent p, a coarse forecast or the truth, travels as forcing on the fine grid under `<name>_parent`
(`oceanx.workflows.nesting.nested` lays it there). C corrects the fluxes of heat and salt, see `hybridom_gating`; N is
shown by how much the parent changes; and along the open edges the ocean is relaxed towards the parent as the step ends.
Untrained, the model is its core with these edges.

With climatology, p is the parent's anomaly over the fine ocean's own climatology: a parent that is too warm in the
mean does not warm the region.

References
----------
Shu et al. (2026), HybridOM, doi:10.48550/arXiv.2602.00598.
"""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from oceanx.nn.paramnet import ParamNetConfig
from oceanx.nn.registry import NetConfig
from oceanx.physics.coefficients import logged
from oceanx.physics.relaxation import relaxation_zone, relaxed
from oceanx.physics.vorticity_core import VorticityCoreConfig
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.state import Fields, Forcing, State
from oceanx.vocabulary.channels import CLIMATOLOGY, PARENT, Task
from oceanx.vocabulary.config import Config
from oceanx.vocabulary.errors import InputError

from .background import seasonal
from .hybridom import CURRENTS, possible
from .hybridom_gating import FluxGating
from .hybridom_physics import Physics
from .named_network import NamedNetwork, Statistics

NEEDED = ("thetao", "so", "uo", "vo")  # of the parent, for its fluxes


class HybridOMRegionalConfig(Config):
    """The core, its substeps in a step of the task, the networks, and the zone along open edges.

    `inverse` is I, `net` is N, `gate` makes the correction of the fluxes, and `gate_width` has the convolutions that
    weigh them. The zone is so many metres wide, and follows the parent within `edge_time` seconds at its outer end.
    """

    kind: Literal["hybridom_regional"] = "hybridom_regional"
    core: VorticityCoreConfig = VorticityCoreConfig.model_validate({})
    substeps: PositiveInt = 12
    inverse: NetConfig = ParamNetConfig(latent_layers=3)
    net: NetConfig = ParamNetConfig()
    gate: NetConfig = ParamNetConfig(embed=128, latent=256, latent_layers=4, ratio=4)
    gate_width: PositiveInt = 64
    edge_width: PositiveFloat = 2e5
    edge_time: PositiveFloat = 43200.0

    def build(self, task: Task, geometry: Geometry, statistics: Statistics) -> HybridOMRegional:
        """The model, untrained."""
        return HybridOMRegional(self, task, geometry, statistics)


class HybridOMRegional(nn.Module):
    """x' = x + Δc + ∫ (P(x) − P(c)) dt − ∇·C Δt + I(ζ, u, f) + N(x, f, Δp), relaxed to the parent at open edges."""

    edge: Tensor

    def __init__(self, config: HybridOMRegionalConfig, task: Task, geometry: Geometry, statistics: Statistics):
        super().__init__()
        self.task, self.geometry, self.nested = task, geometry, nested_in_parent(task)
        self.physics = Physics(config.core, config.substeps, task, geometry, statistics)
        alone = [name for name in task.forcing.names if not name.endswith(PARENT)]
        air = task.model_copy(update={"forcing": task.forcing.only(alone)})
        self.gating = FluxGating(config.gate, config.gate_width, air, geometry, statistics, config.core.scheme)
        self.inverse = NamedNetwork(
            config.inverse, air, geometry, statistics, reads=CURRENTS, writes=CURRENTS, further=self.physics.shown
        )
        self.network = NamedNetwork(config.net, air, geometry, statistics, hints=self.nested)
        zone = relaxation_zone(geometry, config.edge_width, config.edge_time)
        self.register_buffer("edge", zone.centre, persistent=False)

    def forward(self, state: State, forcing: Forcing) -> State:
        before, after = (self.parent(fields) for fields in forcing)
        season = seasonal(state, forcing)
        moved, turning = self.physics(state, forcing)
        gated = self.gating((state, before, after), forcing, self.physics.core.diffusivity())
        currents = self.inverse(state, forcing, more=turning)
        corrected = self.network(state, forcing, (after - before) + season.only(self.nested if season else ()) * -1.0)
        return self.held(possible(state + (season + moved + gated + currents + corrected)), after)

    def skeleton(self, state: State, forcing: Forcing) -> State:
        """What it is without its networks: a step of its core, and the edges."""
        moved, _ = self.physics(state, forcing)
        return self.held(possible(state + (seasonal(state, forcing) + moved)), self.parent(forcing.next))

    def parent(self, fields: Fields) -> State:
        """p: the parent, with climatology its anomaly over our own."""
        found = {}
        for name in self.nested:
            found[name] = fields[name + PARENT]
            if self.task.anomalies:
                found[name] = found[name] - fields[name + PARENT + CLIMATOLOGY] + fields[name + CLIMATOLOGY]
            found[name] = found[name] * self.geometry.mask_of(self.task.prognostic.levels(name))
        return State(found)

    def held(self, state: State, parent: State) -> State:
        """The state, relaxed towards the parent along the open edges."""

        def towards(name: str, target: Tensor) -> Tensor:
            return relaxed(state[name], target, self.edge[: target.shape[1]], self.task.seconds)

        return State(dict(state) | {name: towards(name, target) for name, target in parent.items()})

    def coefficients(self) -> dict[str, float]:
        """Diffusivity and viscosity by their units, for a log."""
        return logged(self)


def nested_in_parent(task: Task) -> tuple[str, ...]:
    """The prognostic variables whose parent is among the forcing; `InputError` unless these suffice for fluxes."""
    lacking = [name + PARENT for name in NEEDED if name + PARENT not in task.forcing.volume]
    if lacking:
        raise InputError(
            f"task.forcing.volume lacks {', '.join(lacking)}: a regional HybridOM is nested in a parent; lay it on "
            "the grid with oceanx.workflows.nesting.nested(ds, parent), and name its fields"
        )
    if task.forcing.depth != task.prognostic.depth:
        raise InputError(
            f"task.forcing.depth is {list(task.forcing.depth)} m, that of the prognostic variables "
            f"{list(task.prognostic.depth)} m: the parent stands on the levels of the fine ocean"
        )
    strangers = [
        name
        for name in task.forcing.names
        if name.endswith(PARENT) and name.removesuffix(PARENT) not in task.prognostic.names
    ]
    if strangers:
        raise InputError(f"task.forcing names {', '.join(strangers)}: the task does not forecast what they are of")
    return tuple(name for name in task.prognostic.names if name + PARENT in task.forcing.names)
