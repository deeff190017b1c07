"""The vorticity core: tracers, relative vorticity and sea ice carried by a flow that does not change within the day.

    ∂T/∂t = −u·∇T + ∇·(κ ∇T)                     and salinity likewise; u is the state's own current
    ∂ζ/∂t = −u_g·∇ζ − β v_g + ∇·(A ∇ζ)           u_g is geostrophic, of density and sea surface as the day begins
    ∂c/∂t = −∇·(u_i c),  ∂ch/∂t = −∇·(u_i c h)   c is concentration, h thickness, u_i the ice's drift

It is the dynamical core of a hybrid whose networks give tomorrow's currents, drift and sea surface. Of the equation
Dζ/Dt + β v = f ∂w/∂z + curl(τ)/ρ₀h − r ζ + A ∇²ζ, stretching, wind and bottom drag are left to them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

from pydantic import Field as Within
from pydantic import NonNegativeFloat
from torch import Tensor, nn

from oceanx.tensors.compiled import compiled
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.operators import back_x, back_y, mean_x, mean_y
from oceanx.tensors.state import Fields, State, Tendency
from oceanx.vocabulary.config import Config
from oceanx.vocabulary.constants import ROTATION

from .coefficients import CoefficientConfig
from .courant import advection_rate, diffusion_rate, largest
from .mixing import diffusion
from .momentum import vorticity
from .transport import transport
from .vorticity_day import Choices, Day, Flows
from .vorticity_ice import ICE, DriftingIce

OCEAN = ("thetao", "so", "uo", "vo", "zos")
ADVANCED = ("thetao", "so", "vorticity")


class VorticityCoreConfig(Config):
    """Which terms, schemes and coefficients; diffusivity κ and viscosity A (m2 s-1) may be learned.

    `weak_latitude` is where the geostrophic balance ends towards the equator, and `balance` how: see `geostrophy`.
    `vertical` adds the vertical flow that continuity asks for to what carries the tracers. With `checkpoint` a backward
    pass keeps less and computes more again.
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
    checkpoint: bool = True
    compile: bool = True

    def build(self, geometry: Geometry) -> VorticityCore:
        """The core on this grid."""
        return VorticityCore(self, geometry)

    def choices(self) -> Choices:
        """What a day of it depends on."""
        weak = 2 * ROTATION * math.sin(math.radians(self.weak_latitude))
        return Choices(weak=weak, **{name: getattr(self, name) for name in Choices._fields if name != "weak"})


class VorticityCore(nn.Module):
    """Tracers, vorticity and sea ice as a core (see `core.Core`).

    Its state holds `vorticity` (s-1) beside what it began from, all at cell centres.
    """

    forcing: tuple[str, ...] = ()

    def __init__(self, config: VorticityCoreConfig, geometry: Geometry):
        super().__init__()
        self.config, self.geometry = config, geometry
        self.prognostic = OCEAN + ICE if config.ice else OCEAN
        self.diffusivity = config.diffusivity.build("m2 s-1")
        self.viscosity = config.viscosity.build("m2 s-1")
        self.day = Day(geometry, config.choices())
        self.ice = DriftingIce(geometry, config.scheme, config.compile) if config.ice else None

    def begin(self, fields: Mapping[str, Tensor]) -> State:
        """The fields, 0 on land, with the vorticity of their currents: circulation per area, free slip at coasts."""
        g = self.geometry
        state = {name: fields[name] * g.mask_of(fields[name].shape[-3]) for name in self.prognostic}
        turning = compiled(self.vorticity, self.config.compile)(state["uo"], state["vo"])
        return State(state | {"vorticity": turning})

    def vorticity(self, uo: Tensor, vo: Tensor) -> Tensor:
        """Of currents at cell centres (s-1): the mean of a cell's four corners."""
        g = self.geometry
        return back_x(back_y(vorticity(mean_x(uo) * g.mask_x, mean_y(vo) * g.mask_y, g))) * g.mask

    def end(self, state: State) -> dict[str, Tensor]:
        """The fields that it began from: currents, drift and sea surface as they were."""
        return {name: state[name] for name in self.prognostic}

    def forward(self, state: State, forcing: Fields, seconds: float, steps: int) -> State:
        """The state after so many seconds, in so many equal Adams–Bashforth steps, the first of them forward Euler.

        Flow and mixing are bounded to what such steps bear, see `explicit_limit`.
        """
        dt = state["thetao"].new_tensor(seconds / steps)  # a tensor: another step is no other code
        moved = (state["thetao"], state["so"], state["vorticity"])
        current = (state["uo"], state["vo"], state["zos"])
        moved = self.day(moved, current, (self.diffusivity(), self.viscosity()), dt, steps)
        drifted = {} if self.ice is None else self.ice(state, dt, steps)
        return State(dict(state) | dict(zip(ADVANCED, moved, strict=True)) | drifted)

    def flows(self, state: State) -> Flows:
        """What carries tracers and vorticity in a day that begins like this, before anything is bounded."""
        return self.day.flows(*(state[name] for name in OCEAN))

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
        return terms if self.ice is None else terms | {"drift": self.ice.tendency(state)}

    def rates(self, state: State, forcing: Fields | None = None) -> dict[str, float]:
        """Of `advection` (by any of the flows) and `diffusion`, before anything is bounded (s-1)."""
        g, flows, volume = self.geometry, self.flows(state), self.geometry.layers.volume
        crossed: list[float] = [
            largest(advection_rate(x, y, volume, z), g) for x, y, z in (flows.water, flows.geostrophic)
        ]
        crossed += [] if self.ice is None else [self.ice.rate(state)]
        mixed = [largest(diffusion_rate(each, g), g) for each in (self.diffusivity(), self.viscosity())]
        return {"advection": max(crossed), "diffusion": max(mixed)}

    @property
    def limits(self) -> dict[str, float]:
        """Of a step times `rates`: below them nothing is bounded."""
        return dict.fromkeys(("advection", "diffusion"), 1 / (3 * (1 + self.config.epsilon)))
