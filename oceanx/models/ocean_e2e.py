"""Ocean-E2E: currents are forecast, they carry the anomaly of sea surface temperature, and the air adds to it.

    V′ = V + Δc + M(V, A)                                  velocity: currents, or the sea level they balance
    C* = ∫ [−u·∇C − (u − ū)·∇C̄] dt                         advection
         u = ½ (u(V) + u(V′)) + G(C, u, A)                 correction
    C′ = C* + S(A, A′, C)                                  source

C is the temperature's anomaly against the climatology C̄ (ū that of currents), A the forcing, Δc the climatology's
change over the step. The state holds the temperature itself. Untrained, M, G and S say nothing: the currents keep their
anomaly, and carry that of the temperature.

The three networks are the parts `velocity`, `correction` and `source`: the first is trained by itself and frozen while
the others are. A forecast runs from the currents that it has itself forecast, and begins from any state that has the
task's fields, whoever analysed it.

References
----------
Shu et al. (2025), doi:10.48550/arXiv.2505.22071; the advection is that of `oceanx.physics.surface_anomaly`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from oceanx.nn.multiconv import MultiConvConfig
from oceanx.nn.registry import NetConfig
from oceanx.nn.simvp import SimVPConfig
from oceanx.physics.courant import ADVECTION
from oceanx.physics.geostrophy import surface_current
from oceanx.physics.surface_anomaly import SurfaceAnomalyConfig
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.state import Fields, Forcing, Increment, State
from oceanx.vocabulary.channels import CLIMATOLOGY, Channels, Task
from oceanx.vocabulary.config import Config
from oceanx.vocabulary.errors import InputError

from .background import seasonal
from .named_network import NamedNetwork, Statistics

CARRYING = ("u", "v")  # the current that carries, whatever the state calls its own
TYPICAL = 0.2  # m s-1, by which the correction's network is shown currents in units of about one


class OceanE2EConfig(Config):
    """Which variables it steps, where its currents come from, how finely they carry, and its three networks.

    `currents` are the eastward and northward velocity of the state; None takes those in balance with its `sea_level`.
    With `velocity: given` they are not forecast but read from the forcing, where they are called as `given` says. If
    that is the truth, the forecast is an upper bound of what the model can do, and labelled so.

    In each of the day's `substeps` water crosses at most half a cell (`limited`), or one (`upwind`): a current with
    |u|/Δx + |v|/Δy beyond that is held back to it. Eastward at 40°N that is 2.9 m/s at 0.5° and 2 h, and 1.9 m/s at
    1/12° and 30 min; less where meridians meet. `small` is what the correction adds, in m/s, where its network says 1.

    `as_published` leaves out −(u − ū)·∇C̄, lets the currents of the day's beginning carry throughout, and shows the
    atmosphere to `source` alone, which sees nothing of the ocean but C. The published kernel is not to be had: its
    centred differences grow with any step but for a filter after each, which smooths the eddies away, and it sets the
    sea near the equator to zero. The advective form, −u·∇C rather than −∇·(uC), is in both.
    """

    kind: Literal["ocean_e2e"] = "ocean_e2e"
    temperature: str = "sst"
    currents: tuple[str, str] | None = ("ugos", "vgos")
    sea_level: str = "zos"
    velocity: Literal["predicted", "given"] = "predicted"
    given: tuple[str, str] = ("uo", "vo")
    scheme: Literal["upwind", "limited"] = "limited"
    edges: Literal["closed", "open"] = "closed"
    substeps: PositiveInt = 12
    small: PositiveFloat = 0.1
    forecaster: NetConfig = MultiConvConfig()
    correction: NetConfig = SimVPConfig()
    source: NetConfig = SimVPConfig()
    as_published: bool = False

    def build(self, task: Task, geometry: Geometry, statistics: Statistics) -> OceanE2E:
        """The model, untrained."""
        state, told = task.prognostic, task.forcing.names
        lacking = {self.temperature, *(self.currents or (self.sea_level,))} - set(state.names)
        if lacking:
            raise InputError(f"ocean_e2e: the task's prognostic lacks {sorted(lacking)}; it has {list(state.names)}")
        if max(state.levels(name) for name in state.names) > 1:
            raise InputError(f"ocean_e2e knows the surface alone: give one level of {list(state.depth)} m")
        if not task.anomalies:
            raise InputError("ocean_e2e carries anomalies: the task needs `anomalies: true`")
        if self.velocity == "given" and not set(self.given) <= set(told) - set(state.names):
            raise InputError(
                f"ocean_e2e: `given` is {list(self.given)}; expected names of the task's forcing, {list(told)}, that "
                "the state does not hold"
            )
        return OceanE2E(self, task, geometry, statistics)


class OceanE2E(nn.Module):
    """V′ = V + Δc + M(V, A);  C′ = ∫ [−u·∇C − (u − ū)·∇C̄] dt + S(A, A′, C)."""

    def __init__(self, config: OceanE2EConfig, task: Task, geometry: Geometry, statistics: Statistics):
        super().__init__()
        self.task, self.config, self.geometry, self.seconds = task, config, geometry, task.seconds
        temperature, more = config.temperature, not config.as_published
        stepped = tuple(name for name in task.prognostic.names if name != temperature)
        # Networks that forecast may not look at currents that are given.
        told = tuple(name for name in task.forcing.names if config.velocity != "given" or name not in config.given)
        seen = task.model_copy(update={"forcing": task.forcing.only(told)})
        carried = seen.model_copy(update={"prognostic": Channels(surface=(temperature, *CARRYING))})
        self.velocity = NamedNetwork(
            config.forecaster, seen, geometry, statistics, reads=stepped, writes=stepped, forced=more
        )
        self.correction = NamedNetwork(
            config.correction, carried, geometry, {**statistics, **_speeds(config.small)}, writes=CARRYING, forced=more
        )
        self.source = NamedNetwork(
            config.source, seen, geometry, statistics, reads=None if more else (temperature,), writes=(temperature,)
        )
        self.advection = SurfaceAnomalyConfig(
            currents=CARRYING, edges=config.edges, scheme=config.scheme, integrator="heun"
        ).build(geometry)

    @property
    def attrs(self) -> dict[str, str]:
        """What a forecast should say of itself."""
        given = f"given as {', '.join(self.config.given)} (an upper bound where that is the truth)"
        return {"oceanx_velocity": given if self.config.velocity == "given" else "predicted"}

    def forward(self, state: State, forcing: Forcing) -> State:
        later = state + (seasonal(state, forcing) + self.velocity(state, forcing))
        current, usual = self.currents(state, later, forcing)
        current = current + self.corrected(state, current, usual, forcing)
        return self.carried(state, later, current, usual, forcing) + self.source(state, forcing)

    def skeleton(self, state: State, forcing: Forcing) -> State:
        """What remains without the networks: currents that keep their anomaly, and carry that of temperature."""
        later = state + seasonal(state, forcing)
        return self.carried(state, later, *self.currents(state, later, forcing), forcing)

    def currents(self, state: State, later: State, forcing: Forcing) -> tuple[State, list[State]]:
        """The current throughout the step, and what it usually is at its beginning and its end."""
        first, last = forcing if self.config.velocity == "given" else (state, later)
        usual = [self.current(fields, CLIMATOLOGY) for fields in forcing]
        return self.during(self.current(first), self.current(last)), usual

    def current(self, fields: Mapping[str, Tensor], of: str = "") -> State:
        """The eastward `u` and northward `v` of these fields (m s-1), as they are or as they usually are."""
        names = self.config.given if self.config.velocity == "given" else self.config.currents
        if names is None:
            return State(surface_current(fields[self.config.sea_level + of], self.geometry)._asdict())
        return State({ours: fields[name + of] for ours, name in zip(CARRYING, names, strict=True)})

    def during(self, first: State, last: State) -> State:
        """The current throughout the step."""
        return first if self.config.as_published else first + (last - first) * 0.5

    def corrected(self, state: State, current: State, usual: list[State], forcing: Forcing) -> Increment:
        """u_θ = G(C, u, A), in m s-1."""
        ends = zip(forcing, usual, strict=True)
        told = Forcing(*(Fields({**fields, **_as_climatology(mean)}) for fields, mean in ends))
        return self.correction(State({**state.only((self.config.temperature,)), **current}), told)

    def carried(self, state: State, later: State, current: State, usual: list[State], forcing: Forcing) -> State:
        """The state after the step, its temperature where currents alone have brought it."""
        name = self.config.temperature
        before, after = (fields[name + CLIMATOLOGY] for fields in forcing)
        anomaly = self.advection.begin({"sst": state[name] - before})
        current = self._held(current)
        unmoved = current if self.config.as_published else self._held(self.during(*usual))
        told = {**current, **_as_climatology(unmoved), **_as_climatology({"sst": 0.5 * (before + after)})}
        anomaly = self.advection(anomaly, Fields(told), self.seconds, self.config.substeps)
        return State({**later, name: after + anomaly["sst"]})

    def _held(self, current: State) -> State:
        """The current, held back to what its advection can bear: so much of a cell in a substep."""
        g, most = self.geometry, ADVECTION[self.config.scheme]["heun"]
        seconds = self.seconds / self.config.substeps
        u, v = (current[name] for name in CARRYING)
        crossed = seconds * (u.abs() / (g.area / g.length_x) + v.abs() / g.length_x)
        return current.map(lambda speed: speed * (most / crossed.clamp(min=most)))


def _as_climatology(fields: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The fields as a forcing calls their climatology."""
    return {name + CLIMATOLOGY: field for name, field in fields.items()}


def _speeds(small: float) -> dict[str, Tensor]:
    """What a network is told of the size of currents: about zero, of typical speed, and `small` where it says 1."""
    sizes = {"mean": 0.0, "std": TYPICAL, "increment_std": small}
    sizes |= {CLIMATOLOGY[1:] + "_mean": 0.0, CLIMATOLOGY[1:] + "_std": TYPICAL}
    return {f"{name}_{size}": torch.tensor([value]) for name in CARRYING for size, value in sizes.items()}
