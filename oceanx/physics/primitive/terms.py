"""The terms of the primitive equations, and what they are made of: one method a group, on the state's own points."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor, nn

from oceanx.tensors.geometry import Cells, Geometry, above, below
from oceanx.tensors.operators import back_x, back_y, mean_x, mean_y, outflow
from oceanx.tensors.state import State, Tendency

from ..continuity import layer_thickness, per_depth, vertical_flux
from ..density import EQUATIONS, stratification
from ..mixing import diffusive_flux
from ..momentum import (
    Vector,
    bernoulli_gradient,
    bottom_drag,
    coriolis,
    kinetic_energy,
    vertical_advection,
    vorticity,
    vorticity_flux,
    wind_stress,
)
from ..pressure import pressure_gradient, surface_gradient
from ..radiation import JERLOV, absorbed, warming
from ..transport import Flux, tracer_flux
from ..vertical_coefficients import Mixing, convection, pacanowski_philander, shear_squared
from ..vertical_mixing import bottom_faces
from ..viscosity import biharmonic_viscosity, smagorinsky, viscosity
from .config import PrimitiveEquationsConfig
from .surface import Exchange, exchanged

UNITS = {
    "viscosity": "m2 s-1",
    "viscosity4": "m4 s-1",
    "smagorinsky": "1",
    "diffusivity": "m2 s-1",
    "vertical_viscosity": "m2 s-1",
    "vertical_diffusivity": "m2 s-1",
}


class Terms(nn.Module):
    """What accelerates, carries and mixes, for one configuration on one grid."""

    share1: Tensor
    share3: Tensor
    middle: Tensor
    below_x: Tensor
    below_y: Tensor
    per_depth: Tensor

    def __init__(self, config: PrimitiveEquationsConfig, geometry: Geometry):
        super().__init__()
        self.config, self.geometry = config, geometry
        self.coefficients = nn.ModuleDict(
            {name: given.build(unit) for name, unit in UNITS.items() if (given := getattr(config, name)) is not None}
        )
        narrow = torch.minimum(geometry.length_x, geometry.area / geometry.length_x)
        share = narrow / narrow.max() if config.shrink else torch.ones_like(narrow)
        for name, field in {
            "share1": share,
            "share3": share**3,
            "middle": (geometry.interfaces[1:] + geometry.interfaces[:-1])[:, None, None] / 2,
            "below_x": bottom_faces(geometry.mask_x),
            "below_y": bottom_faces(geometry.mask_y),
            "per_depth": per_depth(geometry.bottom_depth),
        }.items():
            self.register_buffer(name, field, persistent=False)

    def slow(self, u: Tensor, v: Tensor, zos: Tensor, given: Exchange) -> Vector:
        """The sum of `slow_terms`."""
        return total(self.slow_terms(u, v, zos, given).values())

    def slow_terms(self, u: Tensor, v: Tensor, zos: Tensor, given: Exchange) -> dict[str, Vector]:
        """Accelerations that Adams–Bashforth carries forward (m s-2): advection and lateral friction."""
        g, c = self.geometry, self.config
        h, h_x, h_y = layer_thickness(zos, g)
        flux_z = self.flow(u, v, zos, given).z
        assert flux_z is not None  # a Flux may be horizontal; this one is not
        terms = {
            "vorticity": vorticity_flux(u, v, vorticity(u, v, g, c.slip), h_x, h_y, g),
            "kinetic_energy": bernoulli_gradient(kinetic_energy(u, v, g), g),
            "vertical_advection": vertical_advection(u, v, flux_z, h_x, h_y, g),
        }
        if (nu := self.viscosity(u, v)) is not None:
            terms["viscosity"] = viscosity(u, v, g, nu, c.slip, h)
        if (nu4 := self.coefficient("viscosity4", self.share3)) is not None:
            terms["biharmonic_viscosity"] = biharmonic_viscosity(u, v, g, nu4, c.slip, h)
        return terms

    def fast_terms(self, t: Tensor, s: Tensor, u: Tensor, v: Tensor, zos: Tensor) -> dict[str, Vector]:
        """Accelerations that balance one another (m s-2): Coriolis and pressure."""
        g, c = self.geometry, self.config
        _, h_x, h_y = layer_thickness(zos, g)
        anomaly = EQUATIONS[c.density](t, s, self.middle)
        slope = surface_gradient(zos, g, c.gravity)
        return {
            "coriolis": coriolis(u, v, g, h_x, h_y),
            "pressure": pressure_gradient(anomaly, zos, g, c.gravity),
            "surface_pressure": Vector(slope.x * g.mask_x, slope.y * g.mask_y),
        }

    def vertical_terms(
        self, u: Tensor, v: Tensor, zos: Tensor, viscosity: Tensor, given: Exchange
    ) -> dict[str, Vector]:
        """Accelerations by wind, vertical friction and drag (m s-2), with viscosity on bottom faces (m2 s-1)."""
        g = self.geometry
        _, h_x, h_y = layer_thickness(zos, g)
        wind, drag = wind_stress(given.tauuo, given.tauvo, h_x[:, :1], h_y[:, :1], g), self.drag(u, v, h_x, h_y)
        return {
            "vertical_friction": Vector(
                _spread(u, mean_x(viscosity), h_x, self.below_x), _spread(v, mean_y(viscosity), h_y, self.below_y)
            ),
            "wind_stress": Vector(at_top(wind.x, u), at_top(wind.y, v)),
            "bottom_drag": Vector(-drag.x * u, -drag.y * v),
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

    def named(self, state: State, given: Exchange) -> dict[str, Tendency]:
        """Each term of the equations by name, its sign included, per second, on the state's own points."""
        g = self.geometry
        t, s, u, v, zos = (state[name] for name in ("thetao", "so", "uo_x", "vo_y", "zos"))
        h, _, _ = layer_thickness(zos, g)
        flow, volume = self.flow(u, v, zos, given), g.area * h
        cells, mixing = self.cells(volume), self.mixing(t, s, u, v)

        moving = self.slow_terms(u, v, zos, given) | self.fast_terms(t, s, u, v, zos)
        moving |= self.vertical_terms(u, v, zos, mixing.viscosity, given)
        terms = {name: Tendency({"uo_x": each.x, "vo_y": each.y}) for name, each in moving.items()}

        def of_tracers(function: Callable[[Tensor], Tensor]) -> Tendency:
            return Tendency({"thetao": function(t), "so": function(s)})

        scheme = self.config.transport
        terms["advection"] = of_tracers(
            lambda x: -(outflow(*tracer_flux(x, flow, cells, scheme)) - x * outflow(*flow)) / volume
        )
        if (kappa := self.coefficient("diffusivity", self.share1)) is not None:
            terms["diffusion"] = of_tracers(lambda x: -outflow(*diffusive_flux(x, g, kappa, h)) / volume)
        terms["vertical_mixing"] = of_tracers(lambda x: _spread(x, mixing.diffusivity, h, g.mask_z))
        sunlit = absorbed(given.light, h, g.mask, JERLOV[self.config.jerlov])
        terms["sunlight"] = Tendency({"thetao": warming(sunlit, h)})
        terms["surface_heating"] = Tendency({"thetao": at_top(warming(given.heat, h[:, :1]), t)})
        terms["dilution"] = Tendency({"so": at_top(-given.freshwater * s[:, :1] / h[:, :1], s)})
        terms["continuity"] = Tendency({"zos": -outflow(flow.x, flow.y).sum(1, keepdim=True) * g.surface / g.area})
        terms["freshwater"] = Tendency({"zos": given.freshwater})
        return terms

    def exchange(self, state: Mapping[str, Tensor], forcing: Mapping[str, Tensor]) -> Exchange:
        """What the surface gives the sea, as warm and moving as it is."""
        u, v = back_x(state["uo_x"][:, :1]), back_y(state["vo_y"][:, :1])
        return exchanged(self.config.forced_by, forcing, state["thetao"][:, :1], (u, v), self.geometry)

    def flow(self, u: Tensor, v: Tensor, zos: Tensor, given: Exchange | None) -> Flux:
        """The flow through the faces (m3 s-1) of this moment's velocity."""
        g = self.geometry
        _, h_x, h_y = layer_thickness(zos, g)
        x, y = u * h_x * g.length_x, v * h_y * g.length_y
        falling = torch.zeros_like(zos) if given is None else g.area * given.freshwater
        rising = (falling - outflow(x, y).sum(1, keepdim=True)) * self.per_depth
        return Flux(x, y, vertical_flux(x, y, less_at_top(g.thickness * rising, falling), g))

    def cells(self, volume: Tensor) -> Cells:
        """Cells of this volume (m3), with the grid's open faces."""
        g = self.geometry
        return Cells(volume, g.mask_x, g.mask_y, g.mask_z)

    def drag(self, u: Tensor, v: Tensor, h_x: Tensor, h_y: Tensor) -> Vector:
        """At what rate the sea floor brakes the lowest layer (s-1)."""
        c = self.config
        return bottom_drag(u, v, h_x, h_y, self.geometry, c.drag_linear, c.drag)

    def coefficient(self, name: str, share: Tensor) -> Tensor | None:
        """A lateral coefficient at centres, as large a share of it as the cell asks for; None if there is none."""
        return self.coefficients[name]() * share if name in self.coefficients else None

    def viscosity(self, u: Tensor, v: Tensor) -> Tensor | None:
        """Harmonic viscosity at centres (m2 s-1): the constant one and Smagorinsky's."""
        nu = self.coefficient("viscosity", self.share1)
        if "smagorinsky" not in self.coefficients:
            return nu
        more = smagorinsky(u, v, self.geometry, self.coefficients["smagorinsky"]())
        return more if nu is None else nu + more


def _spread(field: Tensor, kappa_z: Tensor, thickness: Tensor, mask_z: Tensor) -> Tensor:
    """What vertical mixing does to a field per second."""
    down = kappa_z * mask_z * (field - below(field)) / (0.5 * (thickness + below(thickness)))
    return (above(down) - down) / thickness


def at_top(surface: Tensor, like: Tensor) -> Tensor:
    """A surface field as the uppermost level of a volume that is zero beneath."""
    return torch.cat((surface, torch.zeros_like(like[:, 1:])), 1)


def less_at_top(field: Tensor, amount: Tensor) -> Tensor:
    """The field with an amount taken from its uppermost level."""
    return torch.cat((field[:, :1] - amount, field[:, 1:]), 1)


def total(vectors: Iterable[Vector]) -> Vector:
    """The sum of vectors."""
    x, y = zip(*vectors, strict=True)
    return Vector(sum(x[1:], x[0]), sum(y[1:], y[0]))
