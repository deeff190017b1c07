"""The primitive equations: a small general circulation model of hydrostatic, Boussinesq water on the C-grid.

    ∂u/∂t  =  +(f + ζ) × u − ∇K − w ∂u/∂z − ∇p/ρ₀ − g ∇η + F + ∂/∂z(ν_z ∂u/∂z) + τ/(ρ₀h) − r u
    ∂η/∂t  =  −∇·U + F_w
    ∂hT/∂t =  −∇·(hu T) − δ(w T) + ∇·(h κ ∇T) + ∂/∂z(κ_z ∂T/∂z) + Q/(ρ₀c_p) + F_w T        and S, without Q and F_w S

Layers breathe with the sea surface (`continuity`), density is that of `density`, the surface's fast waves run by
themselves (`free_surface`). One step of Δt:

1. momentum: advection and friction by Adams–Bashforth, pressure and Coriolis at the old time and half implicit, then
   wind, vertical friction and bottom drag implicit;
2. the free surface and the depth-mean flow, in short steps;
3. tracers with the new flow, by Heun's method in flux form, then vertical mixing implicit.

Volume, heat and salt are kept to round-off; a uniform tracer stays uniform. A state that nothing drives stays at rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Literal, NamedTuple, ParamSpec, TypeVar

import torch
from pydantic import NonNegativeFloat, PositiveFloat
from torch import Tensor, nn

from oceanx.tensors.compiled import compiled
from oceanx.tensors.geometry import Cells, Geometry, above, below, south, west
from oceanx.tensors.operators import back_x, back_y, mean_x, mean_y, outflow
from oceanx.tensors.state import Fields, State, Tendency
from oceanx.vocabulary.config import Config
from oceanx.vocabulary.constants import GRAVITY, HEAT_CAPACITY, REFERENCE_DENSITY

from .coefficients import CoefficientConfig
from .continuity import depth_mean_x, depth_mean_y, layer_thickness, vertical_flux
from .courant import advection_rate, biharmonic_rate, diffusion_rate, largest, wave_rate
from .density import EQUATIONS, stratification
from .free_surface import FreeSurface, Surface
from .mixing import diffusive_flux
from .momentum import (
    Vector,
    bernoulli_gradient,
    bottom_drag,
    coriolis,
    implicit_rotation,
    kinetic_energy,
    vertical_advection,
    vorticity,
    vorticity_flux,
    wind_stress,
)
from .pressure import pressure_gradient, surface_gradient
from .primitive_surface import FORCING, Exchange, exchanged
from .radiation import JERLOV, absorbed, warming
from .transport import Flux, tracer_flux
from .vertical_coefficients import Mixing, convection, pacanowski_philander, shear_squared
from .vertical_mixing import bottom_faces, implicit_mixing
from .viscosity import biharmonic_viscosity, smagorinsky, viscosity

Given = ParamSpec("Given")
Result = TypeVar("Result")

PROGNOSTIC = ("thetao", "so", "uo", "vo", "zos")
CARRIED = ("gained_heat", "gained_water")  # J m-2 and m, through the surface since the beginning


class PrimitiveEquationsConfig(Config):
    """Which terms the equations have, and their coefficients in SI units; a coefficient may be learned.

    `viscosity` and `diffusivity` (m2 s-1) and their biharmonic sisters (m4 s-1) hold where cells are widest;
    elsewhere they shrink with the cell's narrower side (squared, or to the fourth power) if `shrink` is set, so that
    narrow cells near a pole ask for no shorter step. `vertical` is constant, or by the Richardson number.
    """

    kind: Literal["primitive_equations"] = "primitive_equations"
    density: Literal["teos10", "simplified", "linear"] = "teos10"
    transport: Literal["upwind", "centred", "third", "limited", "weno"] = "limited"
    forced_by: Literal["nothing", "wind", "fluxes", "weather"] = "nothing"
    gravity: PositiveFloat = GRAVITY
    viscosity: CoefficientConfig | None = None
    viscosity4: CoefficientConfig | None = None
    smagorinsky: CoefficientConfig | None = None  # Υ, without unit
    diffusivity: CoefficientConfig | None = None
    shrink: bool = True
    slip: Literal["free", "no"] = "free"
    vertical: Literal["constant", "richardson"] = "richardson"
    vertical_viscosity: CoefficientConfig = CoefficientConfig.model_validate(1e-4)
    vertical_diffusivity: CoefficientConfig = CoefficientConfig.model_validate(1e-5)
    convection: NonNegativeFloat = 1.0  # m2 s-1 where water would overturn
    drag: NonNegativeFloat = 2.5e-3  # quadratic, without unit
    drag_linear: NonNegativeFloat = 0.0  # m s-1
    jerlov: Literal["I", "IA", "IB", "II", "III"] = "I"
    epsilon: NonNegativeFloat = 0.1  # of Adams–Bashforth
    compile: bool = True

    def build(self, geometry: Geometry) -> PrimitiveEquations:
        """The core on this grid."""
        return PrimitiveEquations(self, geometry)


class Momentum(NamedTuple):
    """What the first part of a step hands on: velocity but for the depth mean's fast part, and what drives that."""

    u_x: Tensor
    v_y: Tensor
    push: Vector
    mean: Vector
    slow: Vector


class PrimitiveEquations(nn.Module):
    """The primitive equations as a core (see `core.Core`). Its state holds velocity on the faces."""

    prognostic = PROGNOSTIC
    share2: Tensor
    share4: Tensor
    middle: Tensor
    below_x: Tensor
    below_y: Tensor

    def __init__(self, config: PrimitiveEquationsConfig, geometry: Geometry):
        super().__init__()
        self.config, self.geometry = config, geometry
        self.forcing = FORCING[config.forced_by]
        self.free_surface = FreeSurface(geometry, config.gravity)
        units = {
            "viscosity": "m2 s-1",
            "viscosity4": "m4 s-1",
            "smagorinsky": "1",
            "diffusivity": "m2 s-1",
            "vertical_viscosity": "m2 s-1",
            "vertical_diffusivity": "m2 s-1",
        }
        self.coefficients = nn.ModuleDict(
            {name: given.build(unit) for name, unit in units.items() if (given := getattr(config, name)) is not None}
        )
        narrow = torch.minimum(geometry.length_x, geometry.area / geometry.length_x)
        share = narrow / narrow.max() if config.shrink else torch.ones_like(narrow)
        depth = (geometry.interfaces[1:] + geometry.interfaces[:-1])[:, None, None] / 2
        for name, field in {
            "share2": share**2,
            "share4": share**4,
            "middle": depth,
            "below_x": bottom_faces(geometry.mask_x),
            "below_y": bottom_faces(geometry.mask_y),
        }.items():
            self.register_buffer(name, field, persistent=False)

    # ---- as a core ---------------------------------------------------------------------------------------------------

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
        given = self.exchange(state, forcing)
        moved = run(self.momentum)(t, s, u, v, zos, given, before, seconds)
        times = self.free_surface.substeps(seconds)
        surface = self.free_surface(zos, *moved.mean, moved.push, given.freshwater, seconds, times, run)
        u, v, t, s = run(self.tracers)(t, s, u, v, moved.u_x, moved.v_y, zos, surface, given, seconds)
        warmth = (
            given.heat + given.light + REFERENCE_DENSITY * HEAT_CAPACITY * given.freshwater * state["thetao"][:, :1]
        )
        carried = {
            "gained_heat": state["gained_heat"] + seconds * warmth,
            "gained_water": state["gained_water"] + seconds * given.freshwater,
        }
        fields = {"thetao": t, "so": s, "uo_x": u, "vo_y": v, "zos": surface.zos, **carried}
        return State(fields), moved.slow

    # ---- one step, in three parts ------------------------------------------------------------------------------------

    def momentum(
        self,
        t: Tensor,
        s: Tensor,
        u: Tensor,
        v: Tensor,
        zos: Tensor,
        given: Exchange,
        before: Vector | None,
        seconds: float,
    ) -> Momentum:
        """Velocity after all but what the fast surface still changes of its depth mean."""
        g, e = self.geometry, self.config.epsilon
        _, h_x, h_y = layer_thickness(zos, g)
        slow = _sum(self.slow_terms(u, v, zos, given).values())
        late = (
            slow
            if before is None
            else Vector(*((1.5 + e) * n - (0.5 + e) * b for n, b in zip(slow, before, strict=True)))
        )
        fast = self.fast_terms(t, s, u, v, zos)
        pushed = _sum([late, *fast.values()])
        gain = implicit_rotation(seconds * pushed.x, seconds * pushed.y, g, seconds, h_x, h_y)
        mixing = self.mixing(t, s, u, v)
        drag = self._drag(u, v, h_x, h_y)
        new_u = implicit_mixing(
            u + gain.x,
            mean_x(mixing.viscosity),
            h_x,
            self.below_x,
            seconds,
            mean_x(given.tauuo) / REFERENCE_DENSITY * g.mask_x[:1],
            drag.x * h_x,
        )
        new_v = implicit_mixing(
            v + gain.y,
            mean_y(mixing.viscosity),
            h_y,
            self.below_y,
            seconds,
            mean_y(given.tauvo) / REFERENCE_DENSITY * g.mask_y[:1],
            drag.y * h_y,
        )
        new_u, new_v = new_u * g.mask_x, new_v * g.mask_y
        # What the slow terms did to the depth mean, less what the fast surface will do by itself.
        mean = Vector(depth_mean_x(u, g), depth_mean_y(v, g))
        by_itself = _sum([self.free_surface.coriolis(*mean), Vector(*surface_gradient(zos, g, self.config.gravity))])
        push = Vector(
            depth_mean_x(new_u - u, g) / seconds - by_itself.x, depth_mean_y(new_v - v, g) / seconds - by_itself.y
        )
        return Momentum(new_u, new_v, push, mean, slow)

    def tracers(
        self,
        t: Tensor,
        s: Tensor,
        old_u: Tensor,
        old_v: Tensor,
        u: Tensor,
        v: Tensor,
        zos: Tensor,
        surface: Surface,
        given: Exchange,
        seconds: float,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Velocity with the depth mean of the free surface, and the tracers that it carried and the water mixed."""
        g = self.geometry
        mean_u, mean_v = depth_mean_x(u, g), depth_mean_y(v, g)
        volume, flow = self._flow(u - mean_u * g.mask_x, v - mean_v * g.mask_y, zos, surface, given, seconds)
        both = torch.cat((t, s))
        old, _, _ = layer_thickness(zos, g)
        t, s = self._transported(both, volume, flow, old, seconds).chunk(2)
        h = volume / g.area
        heat = given.heat / (REFERENCE_DENSITY * HEAT_CAPACITY)
        t = t + seconds * warming(absorbed(given.light, h, g.mask, JERLOV[self.config.jerlov]), h)
        # Rain brings no salt; that it is as warm as the surface is what transport takes for granted.
        entering = torch.stack((heat, -given.freshwater * s[:, :1]))
        kappa = self.mixing(t, s, old_u, old_v).diffusivity
        t, s = implicit_mixing(torch.stack((t, s)), kappa, h, g.mask_z, seconds, entering) * g.mask
        u = u + (surface.u_x - mean_u) * g.mask_x
        v = v + (surface.v_y - mean_v) * g.mask_y
        return u, v, t, s

    # ---- the terms ---------------------------------------------------------------------------------------------------

    def slow_terms(self, u: Tensor, v: Tensor, zos: Tensor, given: Exchange) -> dict[str, Vector]:
        """Accelerations that Adams–Bashforth carries forward (m s-2): advection and lateral friction."""
        g, c = self.geometry, self.config
        h, h_x, h_y = layer_thickness(zos, g)
        flux_z = self._instant(u, v, zos, given).z
        assert flux_z is not None  # a Flux may be horizontal; this one is not
        terms = {
            "vorticity": vorticity_flux(u, v, vorticity(u, v, g, c.slip), h_x, h_y, g),
            "kinetic_energy": bernoulli_gradient(kinetic_energy(u, v, g), g),
            "vertical_advection": vertical_advection(u, v, flux_z, h_x, h_y, g),
        }
        if (nu := self._viscosity(u, v)) is not None:
            terms["viscosity"] = Vector(*viscosity(u, v, g, nu, c.slip, h))
        if (nu4 := self._coefficient("viscosity4", self.share4)) is not None:
            terms["biharmonic_viscosity"] = Vector(*biharmonic_viscosity(u, v, g, nu4, c.slip, h))
        return terms

    def fast_terms(self, t: Tensor, s: Tensor, u: Tensor, v: Tensor, zos: Tensor) -> dict[str, Vector]:
        """Accelerations that balance one another (m s-2): Coriolis and pressure."""
        g, c = self.geometry, self.config
        _, h_x, h_y = layer_thickness(zos, g)
        anomaly = EQUATIONS[c.density](t, s, self.middle)
        return {
            "coriolis": coriolis(u, v, g, h_x, h_y),
            "pressure": Vector(*pressure_gradient(anomaly, zos, g, c.gravity)),
            "surface_pressure": Vector(*surface_gradient(zos, g, c.gravity)),
        }

    def mixing(self, t: Tensor, s: Tensor, u: Tensor, v: Tensor) -> Mixing:
        """Viscosity and diffusivity through bottom faces (m2 s-1)."""
        c, g = self.config, self.geometry
        nu, kappa = self.coefficients["vertical_viscosity"](), self.coefficients["vertical_diffusivity"]()
        n2 = stratification(t, s, g, EQUATIONS[c.density], c.gravity)
        if c.vertical == "richardson":
            mixing = pacanowski_philander(n2, shear_squared(u, v, g), nu_background=nu, kappa_background=kappa)
        else:
            mixing = Mixing(nu + torch.zeros_like(n2), kappa + torch.zeros_like(n2))
        over = convection(n2, c.convection)
        return Mixing(mixing.viscosity + over, mixing.diffusivity + over)

    def terms(self, state: State, forcing: Fields) -> dict[str, Tendency]:
        """Each term of the equations by name, its sign included, per second, on the state's own points."""
        g = self.geometry
        t, s, u, v, zos = (state[name] for name in ("thetao", "so", "uo_x", "vo_y", "zos"))
        given = self.exchange(state, forcing)
        h, h_x, h_y = layer_thickness(zos, g)
        flow, volume = self._instant(u, v, zos, given), g.area * h
        cells, mixing, drag = self._cells(volume), self.mixing(t, s, u, v), self._drag(u, v, h_x, h_y)

        moving = self.slow_terms(u, v, zos, given) | self.fast_terms(t, s, u, v, zos)
        moving["vertical_friction"] = Vector(
            _spread(u, mean_x(mixing.viscosity), h_x, self.below_x),
            _spread(v, mean_y(mixing.viscosity), h_y, self.below_y),
        )
        moving["wind_stress"] = wind_stress(given.tauuo, given.tauvo, h_x[:, :1], h_y[:, :1], g)
        moving["bottom_drag"] = Vector(-drag.x * u, -drag.y * v)
        terms = {name: Tendency({"uo_x": each.x, "vo_y": each.y}) for name, each in moving.items()}

        def of_tracers(function: Callable[[Tensor], Tensor]) -> Tendency:
            return Tendency({"thetao": function(t), "so": function(s)})

        scheme = self.config.transport
        terms["advection"] = of_tracers(
            lambda x: -(outflow(*tracer_flux(x, flow, cells, scheme)) - x * outflow(*flow)) / volume
        )
        if (kappa := self._coefficient("diffusivity", self.share2)) is not None:
            terms["diffusion"] = of_tracers(lambda x: -outflow(*diffusive_flux(x, g, kappa, h)) / volume)
        terms["vertical_mixing"] = of_tracers(lambda x: _spread(x, mixing.diffusivity, h, g.mask_z))
        sunlit = absorbed(given.light, h, g.mask, JERLOV[self.config.jerlov])
        terms["sunlight"] = Tendency({"thetao": warming(sunlit, h)})
        top = torch.zeros_like(t)
        top[:, :1] = 1 / h[:, :1]
        terms["surface_heating"] = Tendency({"thetao": given.heat / (REFERENCE_DENSITY * HEAT_CAPACITY) * top})
        terms["dilution"] = Tendency({"so": -given.freshwater * s[:, :1] * top})
        terms["continuity"] = Tendency({"zos": -outflow(flow.x, flow.y).sum(1, keepdim=True) * g.surface / g.area})
        terms["freshwater"] = Tendency({"zos": given.freshwater})
        return terms

    def rates(self, state: State) -> dict[str, float]:
        """By cause the largest number of times a second that a signal crosses a cell; `limits` says how many may."""
        g = self.geometry
        t, s, u, v, zos = (state[name] for name in ("thetao", "so", "uo_x", "vo_y", "zos"))
        h, _, _ = layer_thickness(zos, g)
        flow = self._instant(u, v, zos, None)
        n2 = stratification(t, s, g, EQUATIONS[self.config.density], self.config.gravity)
        deep = 0.5 * (g.thickness + below(g.thickness)) * g.mask_z
        # The first internal mode's speed, ∫ N dz / π (WKB).
        speed = (n2.clamp(min=0).sqrt() * deep).sum(1, keepdim=True) / torch.pi
        rates: dict[str, float] = {
            "advection": largest(advection_rate(flow.x, flow.y, g.area * h, flow.z), g),
            "waves": largest(wave_rate(speed, g), g),
        }
        lateral = [self._viscosity(u, v), self._coefficient("diffusivity", self.share2)]
        for nu in (each for each in lateral if each is not None):
            rates["diffusion"] = max(rates.get("diffusion", 0.0), largest(diffusion_rate(nu, g), g))
        if (nu4 := self._coefficient("viscosity4", self.share4)) is not None:
            rates["diffusion"] = max(rates.get("diffusion", 0.0), largest(biharmonic_rate(nu4, g), g))
        return rates

    @property
    def limits(self) -> dict[str, float]:
        """Of a step times `rates`: advection and friction as Adams–Bashforth bears them, waves as forward–backward."""
        return {"advection": 0.45, "diffusion": 0.8, "waves": 0.8}

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

    # ---- helpers -----------------------------------------------------------------------------------------------------

    def exchange(self, state: Mapping[str, Tensor], forcing: Mapping[str, Tensor]) -> Exchange:
        """What the surface gives the sea, as warm and moving as it is."""
        u, v = back_x(state["uo_x"][:, :1]), back_y(state["vo_y"][:, :1])
        return exchanged(self.config.forced_by, forcing, state["thetao"][:, :1], (u, v), self.geometry)

    def _transported(self, both: Tensor, volume: Tensor, flow: Flux, old: Tensor, seconds: float) -> Tensor:
        """Tracers after transport and lateral mixing, by Heun's method, as their cells grow to `volume`."""
        cells, scheme = self._cells(volume), self.config.transport
        own = both * outflow(*flow)
        mixed: Tensor | float = 0.0
        if (kappa := self._coefficient("diffusivity", self.share2)) is not None:
            mixed = outflow(*diffusive_flux(both, self.geometry, kappa, old))
        first = outflow(*tracer_flux(both, flow, cells, scheme))
        guess = both + seconds * (own - mixed - first) / volume
        second = outflow(*tracer_flux(guess, flow, cells, scheme))
        return both + seconds * (own - mixed - 0.5 * (first + second)) / volume

    def _flow(
        self, shear_x: Tensor, shear_y: Tensor, zos: Tensor, surface: Surface, given: Exchange, seconds: float
    ) -> tuple[Tensor, Flux]:
        """The cells' new volume (m3), and the flow through their faces that makes it of the old (m3 s-1)."""
        g, f = self.geometry, self.free_surface
        _, h_x, h_y = layer_thickness(0.5 * (zos + surface.zos), g)
        x = shear_x * h_x * g.length_x + surface.flux_x * (g.thickness * g.mask_x) * f.per_depth_x
        y = shear_y * h_y * g.length_y + surface.flux_y * (g.thickness * g.mask_y) * f.per_depth_y
        h, _, _ = layer_thickness(surface.zos, g)
        swelling = g.area * g.thickness * f.inverse_depth * (surface.zos - zos) / seconds
        return g.area * h, Flux(x, y, vertical_flux(x, y, _less_at_top(swelling, g.area * given.freshwater), g))

    def _instant(self, u: Tensor, v: Tensor, zos: Tensor, given: Exchange | None) -> Flux:
        """The flow through the faces (m3 s-1) of this moment's velocity."""
        g = self.geometry
        _, h_x, h_y = layer_thickness(zos, g)
        x, y = u * h_x * g.length_x, v * h_y * g.length_y
        falling = torch.zeros_like(zos) if given is None else g.area * given.freshwater
        rising = (falling - outflow(x, y).sum(1, keepdim=True)) * self.free_surface.inverse_depth
        return Flux(x, y, vertical_flux(x, y, _less_at_top(g.thickness * rising, falling), g))

    def _cells(self, volume: Tensor) -> Cells:
        g = self.geometry
        return Cells(volume, g.mask_x, g.mask_y, g.mask_z)

    def _drag(self, u: Tensor, v: Tensor, h_x: Tensor, h_y: Tensor) -> Vector:
        c = self.config
        return bottom_drag(u, v, h_x, h_y, self.geometry, c.drag_linear, c.drag)

    def _coefficient(self, name: str, share: Tensor) -> Tensor | None:
        return self.coefficients[name]() * share if name in self.coefficients else None

    def _viscosity(self, u: Tensor, v: Tensor) -> Tensor | None:
        """Harmonic viscosity at centres (m2 s-1): the constant one and Smagorinsky's."""
        nu = self._coefficient("viscosity", self.share2)
        if "smagorinsky" not in self.coefficients:
            return nu
        more = smagorinsky(u, v, self.geometry, self.coefficients["smagorinsky"]())
        return more if nu is None else nu + more


def _spread(field: Tensor, kappa_z: Tensor, thickness: Tensor, mask_z: Tensor) -> Tensor:
    """What vertical mixing does to a field per second."""
    down = kappa_z * mask_z * (field - below(field)) / (0.5 * (thickness + below(thickness)))
    return (above(down) - down) / thickness


def _less_at_top(field: Tensor, amount: Tensor) -> Tensor:
    return torch.cat((field[:, :1] - amount, field[:, 1:].expand(-1, -1, -1, -1)), 1)


def _sum(vectors: Iterable[Vector]) -> Vector:
    x, y = zip(*vectors, strict=True)
    return Vector(sum(x[1:], x[0]), sum(y[1:], y[0]))


def _plainly(function: Callable[Given, Result]) -> Callable[Given, Result]:
    return function
