"""NeuralOGCM: x' = x + Δc + ∫ (P_ν(x) − P_ν(c) + N(x, f)) dt, physics of two learned coefficients and a closure.

P_ν carries temperature and salinity with the state's own currents, mixes them with a diffusivity κ, brakes currents,
and the sea surface that they balance, with a viscosity ν, and lets currents and surface answer what moved
(`neuralogcm_physics` has the equations). ν and κ are learned as logarithms about a prior, with the network N, through
all substeps. Physics acts on totals in SI units; with climatology c, what the mean flow does to the mean state is taken
out and the climatology's change Δc over the step put in its place.

The published branch steps −u·∇x − f k×u + ν∇²x without pressure, in one forward Euler step of a day. Rotation then
turns every current, that of eddies in balance too, and Euler's method lets it grow by |1 + i f Δt|, some 6 to 11 times
a day between 30° and 60°. `as_published` has it so.

References
----------
Wu et al. (2025), doi:10.48550/arXiv.2512.11525; Cox & Matthews (2002), J. Comput. Phys. 176, 430,
doi:10.1006/jcph.2002.6995 (the fast linear term exactly, the others in steps).
"""

from __future__ import annotations

from math import inf
from typing import Literal

from pydantic import PositiveFloat, PositiveInt, model_validator
from torch import nn

from oceanx.nn.encoder_attention import EncoderAttentionConfig
from oceanx.nn.registry import NetConfig
from oceanx.physics import courant
from oceanx.physics.coefficients import CoefficientConfig, logged
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.integrate import euler
from oceanx.tensors.state import Forcing, Increment, State, Tendency
from oceanx.vocabulary.channels import Task
from oceanx.vocabulary.config import Config
from oceanx.vocabulary.constants import SECONDS_PER_DAY
from oceanx.vocabulary.errors import InputError

from .background import climatology, seasonal
from .named_network import NamedNetwork, Statistics
from .neuralogcm_physics import CURRENTS, LevelPhysics

NARROW = 1 / 3  # of its height: in a narrower cell, beyond some 70° of latitude, flow may be held back


class NeuralOGCMConfig(Config):
    """The closure's network, what physics moves and how finely, and the priors of its coefficients.

    Parameters
    ----------
    tracers
        What currents carry.
    pressure
        What lets currents answer: `baroclinic`, sea surface and density; `surface`, the sea surface alone, which only
        the closure moves; `none`, nothing, and then currents stay in the balance they are found in but for friction
        and the closure. On the built-in ocean, untrained, temperature does not care; currents and sea level are closer
        to the truth than the persistence of their anomaly with `baroclinic`, from the first day to the sixtieth, and
        hardly or not at all with the others.
    closure
        Whether the network is asked once a step of the task (`day`), its tendency held, or at every substep.
    substeps
        So many, which must do for currents as fast as `fastest` (m s-1) wherever cells are not narrow; what is faster,
        and near a pole, is held back to what a substep bears.
    viscosity, diffusivity
        ν of currents and κ of tracers, m2 s-1.
    settling
        Days within which departures of currents from the climatology settle into balance with pressure; None: never.
        On the built-in ocean, one training, with 10 days the errors of a forecast of 330 days are smaller by 12 % for
        surface temperature, 45 % at 92 m, 24 % for sea level and 16 % for currents; of 5 days by 1 to 3 % and, for
        surface currents, 8 to 14 %, while those at 222 m are 8 % larger.
    physics_alone
        What the network adds nothing to. On the built-in ocean, one training of each, currents of a free run are as
        strong as the ocean's after half a year and 1.5 times so after one if they are left to physics, 1.3 and 4.4
        times if the network pushes them too; temperature is closer to the truth from the tenth day on, currents
        farther up to then.
    physics, network
        Without one of them the other is left alone, for comparison.
    as_published
        All terms without pressure in one forward Euler step, on x by itself, which the network is not shown: whatever
        `pressure`, `closure`, `substeps` and `settling` say.
    """

    kind: Literal["neuralogcm"] = "neuralogcm"
    net: NetConfig = EncoderAttentionConfig()
    tracers: tuple[str, ...] = ("thetao", "so")
    pressure: Literal["none", "surface", "baroclinic"] = "baroclinic"
    density: Literal["simplified", "teos10", "linear"] = "simplified"
    scheme: Literal["upwind", "limited"] = "limited"
    closure: Literal["day", "substep"] = "day"
    substeps: PositiveInt = 8
    fastest: PositiveFloat = 2.0
    viscosity: CoefficientConfig = CoefficientConfig(value=1000.0, spread=3.0, learn=True)
    diffusivity: CoefficientConfig = CoefficientConfig(value=1000.0, spread=3.0, learn=True)
    settling: PositiveFloat | None = None
    physics_alone: tuple[str, ...] = ()
    physics: bool = True
    network: bool = True
    as_published: bool = False

    @model_validator(mode="after")
    def _check(self) -> NeuralOGCMConfig:
        if not (self.physics or self.network):
            raise ValueError("`physics` and `network` are both false: nothing is left to step or to train")
        stepped = {*self.tracers, *CURRENTS} if self.physics else set()
        if strangers := sorted({*self.physics_alone} - stepped):
            raise ValueError(f"`physics_alone` names {strangers}; physics steps {sorted(stepped)}")
        if self.settling and self.pressure == "none":
            raise ValueError("`settling` is into balance with pressure; name a `pressure`, or let it be null")
        return self

    def build(self, task: Task, geometry: Geometry, statistics: Statistics) -> NeuralOGCM:
        """The model, untrained."""
        if self.physics:
            self._refuse(task)
            if not self.as_published:
                self._check_substeps(geometry, task.seconds)
        return NeuralOGCM(self, task, geometry, statistics)

    def level_physics(self, geometry: Geometry, seconds: float) -> LevelPhysics:
        """P_ν, for a step of the task that lasts so long."""
        alone = self.as_published
        return LevelPhysics(
            geometry,
            self.tracers,
            self.viscosity.build("m2 s-1"),
            self.diffusivity.build("m2 s-1"),
            pressure="none" if alone else self.pressure,
            density=self.density,
            scheme=self.scheme,
            seconds=seconds,
            substeps=self.substeps,
            bounded=not alone,
            settling=(self.settling or inf) * SECONDS_PER_DAY,
        )

    def _refuse(self, task: Task) -> None:
        pressure = "none" if self.as_published else self.pressure
        dense = ("thetao", "so") if pressure == "baroclinic" else ()
        if self.settling and not (task.anomalies or self.as_published):
            raise InputError(
                "neuralogcm: `settling` is of departures from a climatology, for winds hold the mean; set the task's "
                "`anomalies`, or take it away"
            )
        lacking = {*self.tracers, *CURRENTS, *dense} - set(task.prognostic.volume)
        lacking |= ({"zos"} if pressure != "none" else set()) - set(task.prognostic.surface)
        if lacking:
            raise InputError(
                f"neuralogcm: the task's prognostic lacks {sorted(lacking)}; "
                "forecast them too, or name other `tracers` and another `pressure`"
            )

    def _check_substeps(self, geometry: Geometry, seconds: float) -> None:
        wide = geometry.area / geometry.length_x > NARROW * geometry.length_x
        rate = courant.largest(courant.wave_rate(self.fastest, geometry) * wide, geometry)
        courant.substeps({"advection": rate}, seconds, courant.limits("heun", self.scheme), self.substeps)


class NeuralOGCM(nn.Module):
    """x' = x + Δc + ∫ (P_ν(x) − P_ν(c) + N(x, f)) dt."""

    def __init__(self, config: NeuralOGCMConfig, task: Task, geometry: Geometry, statistics: Statistics):
        super().__init__()
        self.task, self.config, self.seconds = task, config, task.seconds
        self.physics = config.level_physics(geometry, task.seconds) if config.physics else None
        risen = ("zos",) if config.pressure == "baroclinic" else ()
        hints = config.tracers + risen if config.physics and not config.as_published else ()
        self.network = NamedNetwork(config.net, task, geometry, statistics, hints) if config.network else None

    def forward(self, state: State, forcing: Forcing) -> State:
        return self._stepped(state, forcing, self.network)

    def skeleton(self, state: State, forcing: Forcing) -> State:
        """What it is without its network: physics alone."""
        return self._stepped(state, forcing, None)

    def _stepped(self, state: State, forcing: Forcing, network: NamedNetwork | None) -> State:
        if self.physics is None:
            return state + (seasonal(state, forcing) + self._closure(network, state, forcing, None))
        physics = self.physics
        if self.config.as_published:
            alone = euler(lambda x: self.published(x, physics), state, self.seconds)
            return alone + self._closure(network, state, forcing, None)
        return self.integrated(state, forcing, physics, network) + seasonal(state, forcing)

    def integrated(self, start: State, forcing: Forcing, physics: LevelPhysics, network: NamedNetwork | None) -> State:
        """x + ∫ (P_ν(x) − P_ν(c) + N(x, f)) dt, in substeps."""
        times, mixing = self.config.substeps, physics.mixing()
        step = self.seconds / times
        mean = climatology(forcing.now, start)
        usual = physics.moving(mean, physics.flow(mean, mixing), mixing) if mean else Tendency({})
        x, moved = start, Increment({})
        for done in range(times):
            flow = physics.flow(x, mixing)
            first = physics.moving(x, flow, mixing) - usual
            if done == 0 or self.config.closure == "substep":
                # The network sees what physics is about to do.
                about = first.over(self.seconds)
                closed = self._closure(network, x, forcing, about + physics.risen(x, about)) * (1 / times)
            second = physics.moving(x + first.over(step), flow, mixing) - usual
            change = (first + second).over(step / 2)
            x, moved = x + (change + closed), moved + change
        x = x + physics.risen(start, moved)
        x = x + physics.answered(start, x, mixing, eased=moved.get("zos", 0.0))
        return x + physics.settled(x, mean, mixing) if self.config.settling else x

    def published(self, x: State, physics: LevelPhysics) -> Tendency:
        """P_ν(x), all terms as they stand, per second."""
        mixing = physics.mixing()
        flow = physics.flow(x, mixing)
        return physics.moving(x, flow, mixing) + physics.pushed(x, flow) + physics.rotated(x)

    def _closure(self, network: NamedNetwork | None, x: State, forcing: Forcing, hints: Increment | None) -> Increment:
        """N(x, f): what the network adds in a step of the task; nothing where there is none."""
        if network is None:
            return Increment({})
        added = network(x, forcing, hints)
        return Increment({name: field for name, field in added.items() if name not in self.config.physics_alone})

    def coefficients(self) -> dict[str, float]:
        """Viscosity and diffusivity by their units, for a log; nothing without physics."""
        return logged(self)
