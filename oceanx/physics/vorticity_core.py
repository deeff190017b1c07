"""The vorticity core: tracers, relative vorticity and sea ice carried by a flow that does not change within the day.

    ∂T/∂t = −u·∇T + ∇·(κ ∇T)                     and salinity likewise; u is the state's own current
    ∂ζ/∂t = −u_g·∇ζ − β v_g + ∇·(A ∇ζ)           u_g is geostrophic, of density and sea surface as the day begins
    ∂c/∂t = −∇·(u_i c),  ∂ch/∂t = −∇·(u_i c h)   c is concentration, h thickness, u_i the ice's drift

It is the dynamical core of a hybrid whose networks give tomorrow's currents, drift and sea surface. Of the equation
Dζ/Dt + β v = f ∂w/∂z + curl(τ)/ρ₀h − r ζ + A ∇²ζ, stretching, wind and bottom drag are left to them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import torch
from pydantic import Field as Within
from pydantic import NonNegativeFloat
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint as recomputed

from oceanx.tensors.compiled import compiled
from oceanx.tensors.geometry import Cells, Geometry
from oceanx.tensors.operators import Vector, back_x, back_y, mean_x, mean_y
from oceanx.tensors.state import Fields, State, Tendency
from oceanx.vocabulary.config import Config
from oceanx.vocabulary.constants import ROTATION

from .coefficients import CoefficientConfig
from .continuity import vertical_flux
from .courant import advection_rate, diffusion_rate, largest
from .density import EQUATIONS
from .exchange import Exchange, exchange, exchanged
from .explicit_limit import bearable, bounded_flow, bounded_mixing, bounded_share, mixing_rate
from .geostrophy import balanced, whole_push
from .mixing import diffusion
from .momentum import vorticity
from .sea_ice import (
    LONGEST,
    drift_flux,
    ice_rate,
    ice_thickness,
    ice_transport,
    ice_volume,
    ridged,
)
from .transport import Flux, transport, volume_flux

OCEAN = ("thetao", "so", "uo", "vo", "zos")
ICE = ("siconc", "sithick", "usi", "vsi")
ADVANCED = ("thetao", "so", "vorticity")
Three = tuple[Tensor, Tensor, Tensor]
Two = tuple[Tensor, Tensor]


class VorticityCoreConfig(Config):
    """Which terms, schemes and coefficients; diffusivity κ and viscosity A (m2 s-1) may be learned.

    `weak_latitude` is where the geostrophic balance ends towards the equator, and `balance` how: see `geostrophy`.
    `vertical` adds the vertical flow that continuity asks for to what carries the tracers. With `checkpoint` the
    backward pass keeps a step's fields alone and computes its inside again.
    """

    kind: Literal["vorticity"] = "vorticity"
    scheme: Literal["upwind", "limited"] = "upwind"
    vertical: bool = False
    ice: bool = True
    density: Literal["simplified", "teos10", "linear"] = "simplified"
    balance: Literal["taper", "cut"] = "taper"
    weak_latitude: float = Within(5.0, gt=0, le=90)
    diffusivity: CoefficientConfig = CoefficientConfig.model_validate(100.0)
    viscosity: CoefficientConfig = CoefficientConfig.model_validate(500.0)
    epsilon: NonNegativeFloat = 0.1
    checkpoint: bool = False
    compile: bool = True

    def build(self, geometry: Geometry) -> VorticityCore:
        """The core on this grid."""
        return VorticityCore(self, geometry)


class Flows(NamedTuple):
    """What does not change within the day: flows (m3 s-1; of the ice m2 s-1), and −β v_g (s-2)."""

    water: Flux
    geostrophic: Flux
    planetary: Tensor
    ice: Flux | None


class Carrier(NamedTuple):
    """What flow and mixing do to a field: the shares it exchanges with its neighbours, and the flow not among them."""

    shares: Exchange
    flow: Flux | None


Steady = tuple[Carrier, Carrier, Tensor]


class VorticityCore(nn.Module):
    """Tracers, vorticity and sea ice as a core (see `core.Core`).

    Its state holds `vorticity` (s-1) beside what it began from, all at cell centres.
    """

    forcing: tuple[str, ...] = ()
    beta: Tensor

    def __init__(self, config: VorticityCoreConfig, geometry: Geometry):
        super().__init__()
        self.config, self.geometry = config, geometry
        self.prognostic = OCEAN + ICE if config.ice else OCEAN
        self.diffusivity = config.diffusivity.build("m2 s-1")
        self.viscosity = config.viscosity.build("m2 s-1")
        self.weak = 2 * ROTATION * math.sin(math.radians(config.weak_latitude))
        edges, first = geometry.coriolis_xy, 2 * (geometry.coriolis_xy - geometry.coriolis)[:1]
        self.register_buffer("beta", torch.cat((first, edges.diff(dim=0))) / geometry.length_x, persistent=False)

    # ---- as a core ---------------------------------------------------------------------------------------------------

    def begin(self, fields: Mapping[str, Tensor]) -> State:
        """The fields, 0 on land, with the vorticity of their currents: circulation per area, free slip at coasts."""
        g = self.geometry
        state = {name: fields[name] * g.mask_of(fields[name].shape[-3]) for name in self.prognostic}
        on_faces = mean_x(state["uo"]) * g.mask_x, mean_y(state["vo"]) * g.mask_y
        return State(state | {"vorticity": back_x(back_y(vorticity(*on_faces, g))) * g.mask})

    def end(self, state: State) -> dict[str, Tensor]:
        """The fields that it began from: currents, drift and sea surface as they were."""
        return {name: state[name] for name in self.prognostic}

    def forward(self, state: State, forcing: Fields, seconds: float, steps: int) -> State:
        """The state after so many seconds, in so many equal Adams–Bashforth steps, the first of them forward Euler.

        Flow and mixing are bounded to what such steps bear, see `explicit_limit`.
        """
        flows = self.flows(state)
        dt = state["thetao"].new_tensor(seconds / steps)  # a tensor: another step is no other code
        water = self._carrier(flows.water, self.diffusivity(), dt)
        spin = self._carrier(flows.geostrophic, self.viscosity(), dt)
        moved: Three = (state["thetao"], state["so"], state["vorticity"])
        steady = (water, spin, flows.planetary)
        moved = (
            self._kept(moved, steady, dt, steps)
            if torch.is_grad_enabled()
            else self._in_place(moved, steady, dt, steps)
        )
        return State(dict(state) | dict(zip(ADVANCED, moved, strict=True)) | self._ice(state, flows.ice, dt, steps))

    def terms(self, state: State, forcing: Fields) -> dict[str, Tendency]:
        """`advection`, `planetary_vorticity`, `diffusion`; `drift` of the ice (`sithick`: of its volume, m s-1)."""
        g, scheme, flows = self.geometry, self.config.scheme, self.flows(state)
        flow = {"thetao": flows.water, "so": flows.water, "vorticity": flows.geostrophic}
        kappa, nu = self.diffusivity(), self.viscosity()
        mixed = {"thetao": kappa, "so": kappa, "vorticity": nu}
        terms = {
            "advection": Tendency({x: transport(state[x], flow[x], g.layers, scheme) for x in ADVANCED}),
            "planetary_vorticity": Tendency({"vorticity": flows.planetary}),
            "diffusion": Tendency({x: diffusion(state[x], g, mixed[x]) for x in ADVANCED}),
        }
        if flows.ice is not None:
            cover = state["siconc"], ice_volume(state["siconc"], state["sithick"])
            terms["drift"] = Tendency(dict(zip(ICE[:2], ice_transport(*cover, flows.ice, g, scheme), strict=True)))
        return terms

    def rates(self, state: State) -> dict[str, float]:
        """Of `advection` (by any of the flows) and `diffusion`, before anything is bounded (s-1)."""
        g, flows = self.geometry, self.flows(state)
        volume = g.layers.volume
        advection: list[float] = [
            largest(advection_rate(x, y, volume, z), g) for x, y, z in (flows.water, flows.geostrophic)
        ]
        advection += [] if flows.ice is None else [ice_rate(flows.ice, g)]
        mixing = [largest(diffusion_rate(each, g), g) for each in (self.diffusivity(), self.viscosity())]
        return {"advection": max(advection), "diffusion": max(mixing)}

    @property
    def limits(self) -> dict[str, float]:
        """Of a step times `rates`: below them nothing is bounded."""
        return dict.fromkeys(("advection", "diffusion"), 1 / (3 * (1 + self.config.epsilon)))

    # ---- what a day's steps share ------------------------------------------------------------------------------------

    def flows(self, state: State) -> Flows:
        """The flows of a day that begins like this."""
        t, s, u, v, zos = (state[name] for name in OCEAN)
        ice = self._run(self.drift)(*(state[name] for name in ("siconc", "usi", "vsi"))) if self.config.ice else None
        spin = self._run(self.geostrophic)(self._run(self.push)(t, s, zos))
        return Flows(self._run(self.water)(u, v), *spin, ice)

    def water(self, u: Tensor, v: Tensor) -> Flux:
        """What carries the tracers (m3 s-1)."""
        flow = volume_flux(u, v, self.geometry)
        if not self.config.vertical:
            return flow
        return Flux(flow.x, flow.y, vertical_flux(flow.x, flow.y, torch.zeros_like(flow.x), self.geometry))

    def push(self, t: Tensor, s: Tensor, zos: Tensor) -> Vector:
        """The pressure gradient's (m s-2), of totals: temperature and salinity, not anomalies."""
        anomaly = EQUATIONS[self.config.density](t, s, self.geometry.depth[:, None, None])
        return whole_push(anomaly, zos, self.geometry)

    def geostrophic(self, push: Vector) -> tuple[Flux, Tensor]:
        """What carries vorticity (m3 s-1), and −β v_g (s-2)."""
        u, v = balanced(push, self.geometry, self.config.balance, self.weak)
        return volume_flux(u, v, self.geometry), -self.beta * v

    def drift(self, cover: Tensor, usi: Tensor, vsi: Tensor) -> Flux:
        """What carries ice (m2 s-1)."""
        return drift_flux(usi, vsi, self.geometry, cover)

    def share(self, flow: Flux, kappa: Tensor | float, dt: Tensor) -> Tensor:
        """How much of a flow each cell bears in steps of dt, beside this mixing."""
        cells, most = self.geometry.layers, bearable(dt, self.config.epsilon)
        return bounded_share(flow, cells, most - mixing_rate(bounded_mixing(kappa, self.geometry, most), self.geometry))

    def carrier(self, flow: Flux, share: Tensor, kappa: Tensor | float, dt: Tensor) -> Carrier:
        """Flow and mixing as steps of dt take them."""
        g, most = self.geometry, bearable(dt, self.config.epsilon)
        mixing = bounded_mixing(kappa, g, most)
        if self.config.scheme == "upwind":
            return Carrier(exchange(flow, mixing, g, share), None)
        return Carrier(exchange(Flux(0 * flow.x, 0 * flow.y), mixing, g), bounded_flow(flow, share))

    def onward(
        self, moved: Three, before: Three, water: Carrier, spin: Carrier, planetary: Tensor, weights: Two
    ) -> tuple[Three, Three]:
        """Tracers and vorticity one step later, and their tendencies."""
        t, s, zeta = moved
        now = (self._change(t, water), self._change(s, water), self._change(zeta, spin) + planetary)
        new, old = weights
        t, s, zeta = (x + (new * n + old * b) for x, n, b in zip(moved, now, before, strict=True))
        return (t, s, zeta), now

    def onward_into(self, out: Three, moved: Three, before: Three, *given: Any) -> None:
        """The same, written over `out` and `before`."""
        new, now = self.onward(moved, before, *given)
        for target, field in zip(out + before, new + now, strict=True):
            target.copy_(field)

    def swept(self, drift: Flux, dt: Tensor) -> Flux:
        """The sea surface that drift sweeps through each face in a step of dt (m2), no more than its scheme bears."""
        sheet = Cells(self.geometry.area, self.geometry.mask_x[:1], self.geometry.mask_y[:1])
        swept = Flux(drift.x * dt, drift.y * dt)
        return bounded_flow(swept, bounded_share(swept, sheet, LONGEST))

    def ice_onward(self, area: Tensor, volume: Tensor, swept: Flux) -> Two:
        """Concentration and volume per area (m) one step of Heun's method later, the step being the unit of time."""
        g, scheme = self.geometry, self.config.scheme
        first = ice_transport(area, volume, swept, g, scheme)
        second = ice_transport(area + first[0], volume + first[1], swept, g, scheme)
        return ridged(area + 0.5 * (first[0] + second[0]), volume + 0.5 * (first[1] + second[1]))

    # ---- helpers -----------------------------------------------------------------------------------------------------

    def _carrier(self, flow: Flux, kappa: Tensor | float, dt: Tensor) -> Carrier:
        return self._run(self.carrier)(flow, self._run(self.share)(flow, kappa, dt), kappa, dt)

    def _weights(self, dt: Tensor, first: bool) -> Two:
        """Of a step's tendency and of the one before."""
        epsilon = self.config.epsilon
        return (dt, 0 * dt) if first else ((1.5 + epsilon) * dt, -(0.5 + epsilon) * dt)

    def _kept(self, moved: Three, steady: Steady, dt: Tensor, steps: int) -> Three:
        """After so many steps, all of which the backward pass will want to know."""
        before = moved  # nothing went before the first: whatever stands here weighs nothing
        for n in range(steps):
            moved, before = self._step(moved, before, *steady, self._weights(dt, n == 0))
        return moved

    def _in_place(self, moved: Three, steady: Steady, dt: Tensor, steps: int) -> Three:
        """The same in memory that is there: to ask the system for new fields each step takes as long as half a step."""
        before = tuple(map(torch.zeros_like, moved))
        out, spare = (tuple(map(torch.empty_like, moved)) for _ in range(2))
        for n in range(steps):
            self._run(self.onward_into)(out, moved, before, *steady, self._weights(dt, n == 0))
            moved, out, spare = out, spare, out
        return moved

    def _step(self, *given: Any) -> tuple[Three, Three]:
        run = self._run(self.onward)
        if self.config.checkpoint and torch.is_grad_enabled():
            return recomputed(run, *given, use_reentrant=False)
        return run(*given)

    def _change(self, field: Tensor, carrier: Carrier) -> Tensor:
        """What flow and mixing do to a field per second."""
        change = exchanged(field, carrier.shares)
        if carrier.flow is None:
            return change
        return change + transport(field, carrier.flow, self.geometry.layers, self.config.scheme)

    def _ice(self, state: State, drift: Flux | None, dt: Tensor, steps: int) -> dict[str, Tensor]:
        """Concentration and thickness of the ice after so many steps."""
        if drift is None:
            return {}
        swept = self._run(self.swept)(drift, dt)
        area, volume = state["siconc"], ice_volume(state["siconc"], state["sithick"])
        for _ in range(steps):
            area, volume = self._run(self.ice_onward)(area, volume, swept)
        return {"siconc": area, "sithick": ice_thickness(area, volume)}

    def _run(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return compiled(function, self.config.compile)
