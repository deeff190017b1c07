"""Shallow water: one layer of a rotating sea under a free surface, from an inertial oscillation to a wind-driven gyre.

    ∂u/∂t = +f v + ζ v − ∂K/∂x − g ∂η/∂x + F_u + τˣ/(ρ₀h) − r u
    ∂v/∂t = −f u − ζ u − ∂K/∂y − g ∂η/∂y + F_v + τʸ/(ρ₀h) − r v
    ∂η/∂t = −∇·(h **u**)                                          h = H + η

Velocity lives on the faces, the sea surface η at centres. `linear` leaves out ζ and K and takes h = H. Volume is kept
to round-off; so is energy, Σ ½ h (u² + v²) + ½ g η², by all terms but the last three, with the `energy` scheme.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import torch
from pydantic import NonNegativeFloat, PositiveFloat
from torch import Tensor, nn

from oceanx.tensors.geometry import Geometry
from oceanx.tensors.integrate import integrate
from oceanx.tensors.operators import back_x, back_y, mean_x, mean_y, outflow
from oceanx.tensors.state import Fields, State, Tendency
from oceanx.vocabulary.config import Config
from oceanx.vocabulary.constants import GRAVITY, REFERENCE_DENSITY
from oceanx.vocabulary.errors import InputError

from .courant import advection_rate, diffusion_rate, largest, rotation_rate, wave_rate
from .momentum import bernoulli_gradient, coriolis, kinetic_energy, vorticity, vorticity_flux, wind_stress
from .viscosity import viscosity


class ShallowWaterConfig(Config):
    """One layer: which terms its equations have, their coefficients (SI), and the integrator."""

    kind: Literal["shallow_water"] = "shallow_water"
    linear: bool = False
    gravity: PositiveFloat = GRAVITY
    density: PositiveFloat = REFERENCE_DENSITY
    drag: NonNegativeFloat = 0.0  # r, s-1
    viscosity: NonNegativeFloat = 0.0  # ν, m2 s-1
    slip: Literal["free", "no"] = "free"
    scheme: Literal["energy", "enstrophy"] = "energy"
    integrator: Literal["euler", "heun", "ab2", "ssprk3", "rk4"] = "rk4"

    def build(self, geometry: Geometry) -> ShallowWater:
        """The core, as deep as the geometry's columns."""
        return ShallowWater(geometry, self)


class Layer(NamedTuple):
    """How thick the layer is (m): at centres, at east faces and at north faces."""

    centre: Tensor
    x: Tensor
    y: Tensor


class ShallowWater(nn.Module):
    """The shallow-water equations as a core.

    Parameters
    ----------
    geometry
        Of one level; of more, the uppermost gives the coast.
    depth
        H in m at centres, `[lat, lon]`; by default that of the geometry's columns.

    Attributes
    ----------
    gravity, drag, nu
        g (m s-2), r (s-1) and ν (m2 s-1): numbers, or tensors to be learned.
    """

    prognostic = ("uo", "vo", "zos")
    forcing = ("tauuo", "tauvo")
    depth: Tensor

    def __init__(self, geometry: Geometry, config: ShallowWaterConfig | None = None, depth: Tensor | None = None):
        super().__init__()
        self.geometry, self.config = geometry, config or ShallowWaterConfig()
        self.gravity: float | Tensor = self.config.gravity
        self.drag: float | Tensor = self.config.drag
        self.nu: float | Tensor = self.config.viscosity
        self.register_buffer("depth", _depth(geometry, depth), persistent=False)

    def begin(self, fields: Mapping[str, Tensor]) -> State:
        """Velocity on the faces and the sea surface, of fields at centres."""
        return State(
            {
                "uo_x": mean_x(fields["uo"]) * self.geometry.mask_x[:1],
                "vo_y": mean_y(fields["vo"]) * self.geometry.mask_y[:1],
                "zos": fields["zos"] * self.geometry.surface,
            }
        )

    def end(self, state: State) -> dict[str, Tensor]:
        """Velocity and the sea surface at centres."""
        return {"uo": back_x(state["uo_x"]), "vo": back_y(state["vo_y"]), "zos": state["zos"]}

    def terms(self, state: State, forcing: Fields) -> dict[str, Tendency]:
        """Each term of the equations by name, its sign included, per second, on the state's own points."""
        g, (u, v, zos), h = self.geometry, _parts(state), self.layer(state)
        terms = {
            "coriolis": _moving(coriolis(u, v, g, h.x, h.y)),
            "pressure": _moving(bernoulli_gradient(self.gravity * zos, g)),
            "continuity": Tendency({"zos": -outflow(*self._volume(u, v, h)) / g.area}),
        }
        if not self.config.linear:
            zeta = vorticity(u, v, g, self.config.slip)
            terms["vorticity"] = _moving(vorticity_flux(u, v, zeta, h.x, h.y, g, self.config.scheme))
            terms["kinetic_energy"] = _moving(bernoulli_gradient(kinetic_energy(u, v, g), g))
        if _acts(self.nu):
            terms["viscosity"] = _moving(viscosity(u, v, g, self.nu, self.config.slip, self._breathing(h)))
        if _acts(self.drag):
            terms["drag"] = Tendency({"uo_x": -self.drag * u, "vo_y": -self.drag * v})
        if "tauuo" in forcing:
            stress = wind_stress(forcing["tauuo"], forcing["tauvo"], h.x, h.y, g, self.config.density)
            terms["wind_stress"] = _moving(stress)
        return terms

    def tendency(self, state: State, forcing: Fields) -> Tendency:
        """The sum of all terms."""
        return sum(self.terms(state, forcing).values(), Tendency({}))

    def rates(self, state: State, forcing: Fields | None = None) -> dict[str, float]:
        """By cause the largest number of times a second that a signal crosses a cell (see `courant`)."""
        g, (u, v, _), h = self.geometry, _parts(state), self.layer(state)
        fields = {
            "waves": wave_rate((self.gravity * h.centre.clamp(min=0)).sqrt(), g),
            "rotation": rotation_rate(g),
        }
        if not self.config.linear:
            fields["advection"] = advection_rate(*self._volume(u, v, h), g.area * h.centre)
        if _acts(self.nu):
            fields["diffusion"] = diffusion_rate(self.nu, g)
        rates: dict[str, float] = {cause: largest(field, g) for cause, field in fields.items()}
        return rates | ({"drag": float(self.drag)} if _acts(self.drag) else {})

    def forward(self, state: State, forcing: Fields, seconds: float, steps: int) -> State:
        """The state after so many seconds, reached in so many equal steps with this forcing."""
        return integrate(self.config.integrator, lambda x: self.tendency(x, forcing), state, seconds, steps)

    def energy(self, state: State) -> Tensor:
        """Kinetic and potential energy per density, ∫ ½ h (u² + v²) + ½ g η² (m5 s-2), of each of the batch."""
        g, (u, v, zos), h = self.geometry, _parts(state), self.layer(state)
        kinetic = h.x * u**2 * (g.length_x * g.spacing_x) + h.y * v**2 * (g.length_y * g.spacing_y)
        return 0.5 * (kinetic + self.gravity * zos**2 * g.area).sum((-3, -2, -1))

    def layer(self, state: Mapping[str, Tensor]) -> Layer:
        """h = H + η, or H where the equations are linear; on land 1, so that anything can be divided by it."""
        depth = self.depth if self.config.linear else self.depth + state["zos"]
        centre = torch.where(self.geometry.surface > 0, depth, 1.0).expand_as(state["zos"])
        return Layer(centre, mean_x(centre), mean_y(centre))

    def _volume(self, u: Tensor, v: Tensor, h: Layer) -> tuple[Tensor, Tensor]:
        """What flows through east and north faces, m3 s-1."""
        return u * h.x * self.geometry.length_x, v * h.y * self.geometry.length_y

    def _breathing(self, h: Layer) -> Tensor | None:
        """The thickness that friction must know of: none where it is that of rest."""
        return None if self.config.linear else h.centre


def _depth(geometry: Geometry, depth: Tensor | None) -> Tensor:
    if depth is None:
        return geometry.bottom_depth
    if depth.shape != geometry.area.shape:
        raise InputError(
            f"depth: found shape {tuple(depth.shape)}, expected {tuple(geometry.area.shape)}, one value for every cell"
        )
    if bool((~(depth > 0) & (geometry.mask[0] > 0)).any()):
        raise InputError("depth: found wet cells where it is not above 0 m; make them land in the geometry's mask")
    return depth.to(geometry.area)[None]


def _parts(state: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    return state["uo_x"], state["vo_y"], state["zos"]


def _moving(change: tuple[Tensor, Tensor]) -> Tendency:
    return Tendency({"uo_x": change[0], "vo_y": change[1]})


def _acts(coefficient: float | Tensor) -> bool:
    """Whether a term is part of the equations: a tensor always, a number unless it is zero."""
    return isinstance(coefficient, Tensor) or coefficient != 0
