"""The primitive equations: a small general circulation model of hydrostatic, Boussinesq water on the C-grid.

    ∂u/∂t  =  +(f + ζ) × u − ∇K − w ∂u/∂z − ∇p/ρ₀ − g ∇η + F + ∂/∂z(ν_z ∂u/∂z) + τ/(ρ₀h) − r u
    ∂η/∂t  =  −∇·U + F_w
    ∂hT/∂t =  −∇·(hu T) − δ(w T) + ∇·(h κ ∇T) + ∂/∂z(κ_z ∂T/∂z) + Q/(ρ₀c_p) + F_w T        and S, without Q and F_w S

Layers breathe with the sea surface (`continuity`), density is that of `density`, the surface's fast waves run by
themselves (`free_surface`). One step of Δt:

1. momentum: advection and lateral friction by Adams–Bashforth, all else at the old time; of the increment, vertical
   friction and bottom drag are implicit and Coriolis half implicit. Where all terms balance, nothing changes;
2. the free surface and the depth-mean flow, in short steps;
3. tracers with the new flow, by Heun's method in flux form, then vertical mixing implicit.

Volume, heat and salt are kept to round-off; a uniform tracer stays uniform. A state that nothing drives stays at rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor, nn

from oceanx.tensors.compiled import compiled
from oceanx.tensors.geometry import Geometry, below, south, west
from oceanx.tensors.operators import mean_x, mean_y, outflow
from oceanx.tensors.state import Fields, State, Tendency
from oceanx.vocabulary.constants import HEAT_CAPACITY, REFERENCE_DENSITY

from ..continuity import depth_mean_x, depth_mean_y, layer_thickness, vertical_flux
from ..courant import advection_rate, biharmonic_rate, diffusion_rate, largest, rotation_rate, wave_rate
from ..density import EQUATIONS, stratification
from ..mixing import diffusive_flux
from ..momentum import Vector, implicit_rotation
from ..pressure import surface_gradient
from ..radiation import JERLOV, absorbed, warming
from ..transport import Flux, tracer_flux
from ..vertical_mixing import implicit_mixing
from .config import PrimitiveEquationsConfig
from .free_surface import FreeSurface, Surface
from .surface import FORCING, Exchange
from .terms import Terms, less_at_top, total

Given = ParamSpec("Given")
Result = TypeVar("Result")

CARRIED = ("gained_heat", "gained_water")  # J m-2 and m, through the surface since the beginning


class PrimitiveEquations(nn.Module):
    """The primitive equations as a core (see `core.Core`). Its state holds velocity on the faces."""

    prognostic: tuple[str, ...] = ("thetao", "so", "uo", "vo", "zos")

    def __init__(self, config: PrimitiveEquationsConfig, geometry: Geometry):
        super().__init__()
        self.config, self.geometry = config, geometry
        self.forcing = FORCING[config.forced_by]
        self.its = Terms(config, geometry)
        self.free_surface = FreeSurface(geometry, config.gravity)

    def begin(self, fields: Mapping[str, Tensor]) -> State:
        """Velocity on the faces, tracers and the sea surface where they are; nothing gained yet."""
        g = self.geometry
        nothing = torch.zeros_like(fields["zos"])
        return State(
            {
                "thetao": fields["thetao"] * g.mask,
                "so": fields["so"] * g.mask,
                "uo_x": mean_x(fields["uo"]) * g.mask_x,
                "vo_y": mean_y(fields["vo"]) * g.mask_y,
                "zos": fields["zos"] * g.surface,
                **dict.fromkeys(CARRIED, nothing),
            }
        )

    def end(self, state: State) -> dict[str, Tensor]:
        """Fields at centres; velocity is the mean of a cell's open faces."""
        g = self.geometry
        wet_x, wet_y = g.mask_x + west(g.mask_x), g.mask_y + south(g.mask_y)
        u, v = state["uo_x"], state["vo_y"]
        return {
            "thetao": state["thetao"],
            "so": state["so"],
            "uo": (u + west(u)) / wet_x.clamp(min=1),
            "vo": (v + south(v)) / wet_y.clamp(min=1),
            "zos": state["zos"],
        }

    def terms(self, state: State, forcing: Fields) -> dict[str, Tendency]:
        """Each term of the equations by name, its sign included, per second, on the state's own points."""
        return self.its.named(state, self.its.exchange(state, forcing))

    def forward(self, state: State, forcing: Fields, seconds: float, steps: int) -> State:
        """The state after so many seconds, reached in so many equal steps with this forcing."""
        step, slow = seconds / steps, None
        for _ in range(steps):
            state, slow = self.step(state, forcing, step, slow)
        return state

    def step(
        self, state: State, forcing: Mapping[str, Tensor], seconds: float, before: Vector | None
    ) -> tuple[State, Vector]:
        """The state after one step, and the slow accelerations that the next one wants to know; the first has none."""
        run = compiled if self.config.compile else _plainly
        t, s, u, v, zos = (state[name] for name in ("thetao", "so", "uo_x", "vo_y", "zos"))
        # As a tensor, so that what is compiled for one length of step serves all.
        step = torch.tensor(seconds, dtype=t.dtype, device=t.device)
        times = self.free_surface.substeps(seconds)
        given = self.its.exchange(state, forcing)
        mixing = run(self.its.mixing)(t, s, u, v)

        slow = run(self.its.slow)(u, v, zos, given)
        gain = run(self._gain)(t, s, u, v, zos, slow, before, mixing.viscosity, given, step)
        new_u, new_v = run(self._turned)(u, v, gain, zos, step)
        push, mean = run(self._handed)(u, v, gain, zos, step)
        surface = self.free_surface(zos, *mean, push, given.freshwater, step, times, run)

        volume, flow = run(self._flow)(new_u, new_v, zos, surface, given, step)
        both = run(self._transported)(torch.stack((t, s)), volume, flow, zos, step)
        new_t, new_s = run(self._mixed)(both, s[:, :1], volume, mixing.diffusivity, given, step)
        new_u, new_v = run(self._joined)(new_u, new_v, surface)

        warmth = given.heat + given.light + REFERENCE_DENSITY * HEAT_CAPACITY * given.freshwater * t[:, :1]
        fields = {"thetao": new_t, "so": new_s, "uo_x": new_u, "vo_y": new_v, "zos": surface.zos}
        fields["gained_heat"] = state["gained_heat"] + step * warmth
        fields["gained_water"] = state["gained_water"] + step * given.freshwater
        return State(fields), slow

    def rates(self, state: State, forcing: Fields | None = None) -> dict[str, float]:
        """By cause the largest number of times a second that a signal crosses a cell; `limits` says how many may."""
        g = self.geometry
        t, s, u, v, zos = (state[name] for name in ("thetao", "so", "uo_x", "vo_y", "zos"))
        h, _, _ = layer_thickness(zos, g)
        flow = self.its.flow(u, v, zos, None)
        n2 = stratification(t, s, g, EQUATIONS[self.config.density], self.config.gravity)
        deep = 0.5 * (g.thickness + below(g.thickness)) * g.mask_z
        # The first internal mode's speed, ∫ N dz / π (WKB).
        speed = (n2.clamp(min=0).sqrt() * deep).sum(1, keepdim=True) / torch.pi
        rates: dict[str, float] = {
            "advection": largest(advection_rate(flow.x, flow.y, g.area * h, flow.z), g),
            "waves": largest(wave_rate(speed, g), g),
            "rotation": largest(rotation_rate(g), g),
        }
        lateral = [self.its.viscosity(u, v), self.its.coefficient("diffusivity", self.its.share1)]
        for nu in (each for each in lateral if each is not None):
            rates["diffusion"] = max(rates.get("diffusion", 0.0), largest(diffusion_rate(nu, g), g))
        if (nu4 := self.its.coefficient("viscosity4", self.its.share3)) is not None:
            rates["diffusion"] = max(rates.get("diffusion", 0.0), largest(biharmonic_rate(nu4, g), g))
        return rates

    @property
    def limits(self) -> dict[str, float]:
        """Of a step times `rates`: advection and friction as Adams–Bashforth bears them, waves as forward–backward."""
        return {"advection": 0.45, "diffusion": 0.8, "waves": 0.8, "rotation": self.config.turn}

    def budget(self, state: State) -> dict[str, Tensor]:
        """What the ocean holds, and what it gained through the surface since the beginning: `[batch]`, in SI units.

        `volume` (m3), `heat` (J, against 0 °C), `salt` (kg), `kinetic_energy` (J); `gained_volume`, `gained_heat`.
        """
        g = self.geometry
        h, h_x, h_y = layer_thickness(state["zos"], g)
        volume = (g.area * h * g.mask).double()
        held_x, held_y = g.length_x * g.spacing_x * h_x, g.length_y * g.spacing_y * h_y
        motion = (held_x * state["uo_x"] ** 2).double() + (held_y * state["vo_y"] ** 2).double()
        area = (g.area * g.surface).double()
        totals = {
            "volume": volume,
            "heat": REFERENCE_DENSITY * HEAT_CAPACITY * volume * state["thetao"],
            "salt": 1e-3 * REFERENCE_DENSITY * volume * state["so"],
            "kinetic_energy": 0.5 * REFERENCE_DENSITY * motion,
            "gained_volume": area * state["gained_water"],
            "gained_heat": area * state["gained_heat"],
        }
        return {name: field.sum((-3, -2, -1)) for name, field in totals.items()}

    # One step in parts, each as large as a compiler likes them.

    def _gain(
        self,
        t: Tensor,
        s: Tensor,
        u: Tensor,
        v: Tensor,
        zos: Tensor,
        slow: Vector,
        before: Vector | None,
        viscosity: Tensor,
        given: Exchange,
        seconds: Tensor,
    ) -> Vector:
        """What velocity gains by all terms (m s-1): slow ones carried forward, vertical friction and drag implicit."""
        g, its, e = self.geometry, self.its, self.config.epsilon
        _, h_x, h_y = layer_thickness(zos, g)
        if before is not None:
            slow = Vector(*((1.5 + e) * now - (0.5 + e) * old for now, old in zip(slow, before, strict=True)))
        fast = its.fast_terms(t, s, u, v, zos) | its.vertical_terms(u, v, zos, viscosity, given)
        push, drag = total([slow, *fast.values()]), its.drag(u, v, h_x, h_y)
        # Of the increment, friction is implicit: where all terms balance there is none, however long the step.
        return Vector(
            implicit_mixing(seconds * push.x, mean_x(viscosity), h_x, its.below_x, seconds, None, drag.x * h_x),
            implicit_mixing(seconds * push.y, mean_y(viscosity), h_y, its.below_y, seconds, None, drag.y * h_y),
        )

    def _turned(self, u: Tensor, v: Tensor, gain: Vector, zos: Tensor, seconds: Tensor) -> Vector:
        """Velocity after its gain, Coriolis half implicit."""
        g = self.geometry
        _, h_x, h_y = layer_thickness(zos, g)
        more = implicit_rotation(gain.x, gain.y, g, seconds, h_x, h_y)
        return Vector((u + more.x) * g.mask_x, (v + more.y) * g.mask_y)

    def _handed(self, u: Tensor, v: Tensor, gain: Vector, zos: Tensor, seconds: Tensor) -> tuple[Vector, Vector]:
        """What the depth mean gains less what the fast surface does by itself (m s-2), and that mean.

        The gain as it is before Coriolis is made implicit: the surface's short steps turn the flow themselves.
        """
        g = self.geometry
        mean = Vector(depth_mean_x(u, g), depth_mean_y(v, g))
        itself = total([self.free_surface.coriolis(*mean), surface_gradient(zos, g, self.config.gravity)])
        x = depth_mean_x(gain.x, g) / seconds - itself.x
        y = depth_mean_y(gain.y, g) / seconds - itself.y
        return Vector(x, y), mean

    def _flow(
        self, u: Tensor, v: Tensor, zos: Tensor, surface: Surface, given: Exchange, seconds: Tensor
    ) -> tuple[Tensor, Flux]:
        """The cells' new volume (m3), and the flow through their faces that makes it of the old (m3 s-1)."""
        g, f = self.geometry, self.free_surface
        _, h_x, h_y = layer_thickness(0.5 * (zos + surface.zos), g)
        shear_x, shear_y = u - depth_mean_x(u, g) * g.mask_x, v - depth_mean_y(v, g) * g.mask_y
        x = shear_x * h_x * g.length_x + surface.flux_x * (g.thickness * g.mask_x) * f.per_depth_x
        y = shear_y * h_y * g.length_y + surface.flux_y * (g.thickness * g.mask_y) * f.per_depth_y
        swelling = g.area * g.thickness * f.inverse_depth * (surface.zos - zos) / seconds
        h, _, _ = layer_thickness(surface.zos, g)
        return g.area * h, Flux(x, y, vertical_flux(x, y, less_at_top(swelling, g.area * given.freshwater), g))

    def _transported(self, both: Tensor, volume: Tensor, flow: Flux, zos: Tensor, seconds: Tensor) -> Tensor:
        """Tracers after transport and lateral mixing, by Heun's method, as their cells grow to `volume`."""
        cells, scheme = self.its.cells(volume), self.config.transport
        rest = both * outflow(*flow)
        if (kappa := self.its.coefficient("diffusivity", self.its.share1)) is not None:
            h, _, _ = layer_thickness(zos, self.geometry)
            rest = rest - outflow(*diffusive_flux(both, self.geometry, kappa, h))
        first = outflow(*tracer_flux(both, flow, cells, scheme))
        guess = both + seconds * (rest - first) / volume
        second = outflow(*tracer_flux(guess, flow, cells, scheme))
        return both + seconds * (rest - 0.5 * (first + second)) / volume

    def _mixed(
        self, both: Tensor, old_salt: Tensor, volume: Tensor, diffusivity: Tensor, given: Exchange, seconds: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Temperature and salinity under the surface's heat, light and water, mixed vertically."""
        g, h = self.geometry, volume / self.geometry.area
        t, s = both.unbind(0)
        t = t + seconds * warming(absorbed(given.light, h, g.mask, JERLOV[self.config.jerlov]), h)
        # Transport takes for granted that rain is as warm and salty as the surface was; but it brings no salt.
        entering = torch.stack((given.heat / (REFERENCE_DENSITY * HEAT_CAPACITY), -given.freshwater * old_salt))
        mixed = implicit_mixing(torch.stack((t, s)), diffusivity, h, g.mask_z, seconds, entering) * g.mask
        return mixed[0], mixed[1]

    def _joined(self, u: Tensor, v: Tensor, surface: Surface) -> Vector:
        """Velocity with the depth mean of the free surface in the place of its own."""
        g = self.geometry
        return Vector(
            u + (surface.u_x - depth_mean_x(u, g)) * g.mask_x, v + (surface.v_y - depth_mean_y(v, g)) * g.mask_y
        )


def _plainly(function: Callable[Given, Result]) -> Callable[Given, Result]:
    return function
