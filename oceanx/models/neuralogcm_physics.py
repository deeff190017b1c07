"""P_ν, the physics of NeuralOGCM: what carries, mixes, brakes, pushes and turns the water of each level.

    ∂T/∂t = −u·∇T + κ∇²T             and salinity likewise
    ∂u/∂t = ν∇²u − f k×u + B(x),     B(x) = −u·∇u − ∇p/ρ₀
    ∂η/∂t = ν∇²η − (1/ρ₀) ∫ ∂ρ/∂t dz

Currents of one day's mean are in balance: rotation, B, and what winds and friction in the vertical add to them, cancel
but for a little. Stepped as they stand they make inertial circles of a gyre that stood still, for the sum is never
closed to within the f u that turns it by 6 to 11 radians a day. So a step begins in balance, whatever holds it, and
only what changes since is felt,

    ∂u/∂t = ν∇²u − f k×(u − b) + B(x) − B(x₀)

where b is the current in balance: that of the beginning x₀, moved by friction and by the closure, which both speak of
currents together with their pressure. So friction takes from η what it takes from currents, which do not answer that
again; noise between neighbouring cells, which no centred slope feels, would else stay for good. As water moves, its
density pushes, and rotation turns the push, exactly and however long the step, into the current that withstands it.

What of a current was never in balance stays so for good, and errors of many days add up in it. With `settling` τ the
departures from a climatology, ′, for winds and friction in the vertical hold the mean, come to rest upon balance:

    ∂u′/∂t = … − θ²/(1 + θ²) (u′ − u_b′)/τ,   f k×u_b′ = B′,   θ = f Δt

Nothing here moves mass from column to column, and so the pressure on the sea floor stays: the surface rises over water
that becomes lighter. With the surface held instead it would be the deep water that moves.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import expm1, inf
from typing import NamedTuple

import torch
from torch import Tensor, nn

from oceanx.physics.coefficients import Coefficient
from oceanx.physics.density import EQUATIONS
from oceanx.physics.explicit_limit import bearable, bounded_flow, bounded_mixing, bounded_share, mixing_rate
from oceanx.physics.geostrophy import whole_push
from oceanx.physics.mixing import Diffusivity, diffusion
from oceanx.physics.place import on_plane
from oceanx.physics.pressure import hydrostatic, surface_gradient
from oceanx.physics.transport import Flux, transport, volume_flux
from oceanx.tensors.geometry import Geometry, south, west
from oceanx.tensors.operators import Vector
from oceanx.tensors.state import Increment, State, Tendency
from oceanx.vocabulary.constants import EARTH_RADIUS, GRAVITY

CURRENTS = ("uo", "vo")


class Mixing(NamedTuple):
    """How tracers and currents mix along levels: diffusivity κ and viscosity ν, m2 s-1."""

    kappa: Diffusivity
    nu: Diffusivity


class LevelPhysics(nn.Module):
    """The terms of P_ν on a geometry, for explicit steps of so many seconds.

    Parameters
    ----------
    tracers
        What currents carry.
    viscosity, diffusivity
        ν of currents and κ of tracers, m2 s-1.
    pressure
        `baroclinic`, `surface` or `none`.
    density
        A name of `physics.density.EQUATIONS`.
    scheme
        Of the transport: `upwind` or `limited`.
    seconds, substeps
        Of a step of the task, and how many explicit steps make one.
    bounded
        Whether flow and mixing are held back where an explicit step could not bear them, which is near a pole.
    settling
        Seconds within which currents settle into balance.
    """

    curvature: Tensor
    lowest: Tensor
    along: Tensor
    across: Tensor
    settles: Tensor

    def __init__(
        self,
        geometry: Geometry,
        tracers: tuple[str, ...],
        viscosity: Coefficient,
        diffusivity: Coefficient,
        *,
        pressure: str,
        density: str,
        scheme: str,
        seconds: float,
        substeps: int,
        bounded: bool = True,
        settling: float = inf,
    ):
        super().__init__()
        self.geometry, self.tracers, self.pressure, self.scheme = geometry, tracers, pressure, scheme
        self.viscosity, self.diffusivity, self.equation = viscosity, diffusivity, EQUATIONS[density]
        self.seconds, self.substeps, self.bounded = seconds, substeps, bounded
        turns = torch.zeros_like(geometry.latitude) if on_plane(geometry) else torch.deg2rad(geometry.latitude).tan()
        beneath = torch.cat((geometry.mask[1:], torch.zeros_like(geometry.mask[:1])))
        self.register_buffer("curvature", turns[:, None] / EARTH_RADIUS, persistent=False)
        self.register_buffer("lowest", geometry.mask * (1 - beneath), persistent=False)
        for name, share in zip(("along", "across"), ramp(geometry.coriolis, seconds), strict=True):
            self.register_buffer(name, share, persistent=False)
        self.register_buffer("settles", settles(geometry.coriolis, seconds, settling), persistent=False)

    def mixing(self) -> Mixing:
        """Both coefficients, on faces no more than an explicit step bears."""
        kappa, nu = self.diffusivity(), self.viscosity()
        if not self.bounded:
            return Mixing(kappa, nu)
        return Mixing(bounded_mixing(kappa, self.geometry, self._most), bounded_mixing(nu, self.geometry, self._most))

    def flow(self, x: Mapping[str, Tensor], mixing: Mixing) -> Flux:
        """What the state's own currents carry through each face (m3 s-1), no more than a step bears beside mixing."""
        g, flow = self.geometry, volume_flux(x["uo"], x["vo"], self.geometry)
        if not isinstance(mixing.kappa, Flux):
            return flow
        return bounded_flow(flow, bounded_share(flow, g.layers, self._most - mixing_rate(mixing.kappa, g)))

    def moving(self, x: Mapping[str, Tensor], flow: Flux, mixing: Mixing) -> Tendency:
        """−u·∇T + κ∇²T of every tracer (its unit per second); ν∇² of the surface and of either current by itself.

        A coast takes nothing.
        """
        g = self.geometry
        carried = {name: self._advected(x[name], flow) + diffusion(x[name], g, mixing.kappa) for name in self.tracers}
        braked = {name: diffusion(x[name], g, mixing.nu) for name in CURRENTS}
        if self.pressure != "none":
            braked["zos"] = diffusion(x["zos"], g, mixing.nu)[:, :1]
        return Tendency(carried | braked)

    def risen(self, x: State, moved: Increment) -> Increment:
        """How the sea surface answers what moved (m), the pressure on the floor unchanged."""
        if self.pressure != "baroclinic":
            return Increment({})
        return Increment({"zos": (self._weight(x) - self._weight(x + moved)) / GRAVITY})

    def answered(self, start: State, x: State, mixing: Mixing, eased: Tensor | float = 0.0) -> Increment:
        """How currents answer (m s-1), over a whole step of the task, what has changed in it.

        Parameters
        ----------
        start, x
            The beginning, in balance, and the end without this answer. What pushes grows evenly between them.
        eased
            What friction has done to the sea surface (m), to which it has made currents answer already.
        """
        if self.pressure == "none":
            return Increment({})
        felt = State({**x, "zos": x["zos"] - eased})
        push = self.pushed(felt, self.flow(felt, mixing)) - self.pushed(start, self.flow(start, mixing))
        u, v = (push[name] * self.seconds for name in CURRENTS)
        return Increment({"uo": self.along * u + self.across * v, "vo": self.along * v - self.across * u})

    def settled(self, x: Mapping[str, Tensor], mean: Mapping[str, Tensor], mixing: Mixing) -> Increment:
        """What brings departures of currents from a mean closer to balance (m s-1), over a whole step of the task.

        Parameters
        ----------
        mean
            The climatology: winds and friction hold it, and its currents need not be in balance with pressure alone.
        """
        f = self.geometry.coriolis
        push = self.pushed(x, self.flow(x, mixing)) - self.pushed(mean, self.flow(mean, mixing))
        u, v = (x[name] - mean[name] for name in CURRENTS)
        return Increment({"uo": self.settles * (push["vo"] - f * u), "vo": -self.settles * (push["uo"] + f * v)})

    def pushed(self, x: Mapping[str, Tensor], flow: Flux) -> Tendency:
        """B = −u·∇u − ∇p/ρ₀, m s-2. Where meridians meet, a current that goes straight turns against them."""
        u, v = x["uo"], x["vo"]
        turning, push = u * self.curvature, self._pressure_push(x)
        return Tendency(
            {
                "uo": self._advected(u, flow) + turning * v + push.x,
                "vo": self._advected(v, flow) - turning * u + push.y,
            }
        )

    def rotated(self, x: Mapping[str, Tensor]) -> Tendency:
        """−f k×u, m s-2."""
        f = self.geometry.coriolis
        return Tendency({"uo": f * x["vo"], "vo": -f * x["uo"]})

    @property
    def _most(self) -> float | Tensor:
        return bearable(self.seconds / self.substeps, 0.0)

    def _advected(self, field: Tensor, flow: Flux) -> Tensor:
        return transport(field, flow, self.geometry.layers, self.scheme)

    def _pressure_push(self, x: Mapping[str, Tensor]) -> Vector:
        """−∇p/ρ₀ at cell centres (m s-2): the mean of a cell's open faces."""
        g = self.geometry
        if self.pressure == "none":
            return Vector(torch.zeros_like(x["uo"]), torch.zeros_like(x["vo"]))
        if self.pressure == "surface":
            slope = surface_gradient(x["zos"], g)
            push = Vector(slope.x * g.mask_x, slope.y * g.mask_y)
        else:
            push = whole_push(self._anomaly(x), x["zos"], g)
        return Vector(
            (push.x + west(push.x)) / (g.mask_x + west(g.mask_x)).clamp(min=1),
            (push.y + south(push.y)) / (g.mask_y + south(g.mask_y)).clamp(min=1),
        )

    def _anomaly(self, x: Mapping[str, Tensor]) -> Tensor:
        """Of density, kg m-3."""
        return self.equation(x["thetao"], x["so"], self.geometry.depth[:, None, None])

    def _weight(self, x: Mapping[str, Tensor]) -> Tensor:
        """Baroclinic pressure over reference density at the lowest wet level (m2 s-2)."""
        return (hydrostatic(self._anomaly(x), self.geometry.thickness) * self.lowest).sum(1, keepdim=True)


def ramp(coriolis: Tensor, seconds: float) -> tuple[Tensor, Tensor]:
    """What a push that grows evenly from nothing to G does to a current in balance while it turns: two shares of G Δt.

    With z = u + i v, ∂z/∂t = G t/Δt − i f (z − z₀) has at its end, for any step and any f, exactly

        z − z₀ = (p − i q) G Δt,      p = (1 − cos θ) / θ²,  q = (1 − sin θ / θ) / θ,  θ = f Δt

    For large θ that is −i G/f, the current in balance with G, to within 1/θ of it.

    Returns
    -------
    p, q
        Along G and to its right (to its left in the south).
    """
    angle = coriolis.double() * seconds
    safe = torch.where(angle == 0, 1.0, angle)
    along = 0.5 * torch.sinc(angle / (2 * torch.pi)) ** 2
    across = torch.where(angle == 0, 0.0, (1 - torch.sinc(angle / torch.pi)) / safe)
    return along.to(coriolis.dtype), across.to(coriolis.dtype)


def settles(coriolis: Tensor, seconds: float, settling: float) -> Tensor:
    """What of an acceleration that is not in balance with rotation, f (z − z_b), is taken from a current in a step (s).

    Where rotation turns a current by many radians in a step, θ = f Δt, the current comes nearer to balance by
    1 − exp(−Δt/τ); where it turns it by few, that share is θ²/(1 + θ²) of this: at the equator there is no balance.
    """
    angle = coriolis.double() * seconds
    share = -expm1(-seconds / settling) * seconds * angle / (1 + angle**2)
    return share.to(coriolis.dtype)
