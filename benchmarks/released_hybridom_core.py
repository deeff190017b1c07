"""The dynamical core of HybridOM as released, written out from its description: for its time and memory alone.

Its equations are kept with their faults, which are part of what it computes: longitudes twice as far apart, latitudes
from −89.5° to 89.5° whatever the grid, layers whose thickness comes out as a saw-tooth, density of anomalies, cell
velocities taken as their own faces', no cos φ in the meridional divergence, advection through coasts, neighbours by
rolling in both directions, a vertical velocity that nothing uses. `oceanx.physics.vorticity_core` is the core to use.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

RADIUS, ROTATION, GRAVITY, DENSITY = 6.371e6, 7.292115e-5, 9.81, 1026.0
TRACER_MIXING, VORTICITY_MIXING = 100.0, 500.0  # m2 s-1
EPSILON = 0.1
Fields = dict[str, Tensor]


class ReleasedCore:
    """Temperature, salinity, vorticity and sea ice advanced; currents, sea surface and ice drift as they are.

    Parameters
    ----------
    depth
        Level centres, m.
    mask
        `[depth, lat, lon]`, 1 where wet.
    """

    def __init__(self, depth: Tensor, mask: Tensor):
        rows, columns = mask.shape[1:]
        latitude = torch.deg2rad(torch.linspace(-89.5, 89.5, rows))
        self.dx = (RADIUS * latitude.cos() * 2 * (2 * math.pi / columns))[:, None].to(mask)
        self.dy = RADIUS * math.pi / rows
        self.f = (2 * ROTATION * latitude.sin())[:, None].to(mask)
        self.depth, self.thickness = depth[:, None, None], reflected(depth)[:, None, None]
        self.mask = mask
        degrees = torch.rad2deg(latitude)[:, None].abs()
        self.balanced = mask * ((degrees > 10) & (degrees < 70)).to(mask)
        self.open_x, self.open_y = mask * torch.roll(mask, -1, -1), mask * torch.roll(mask, -1, -2)

    def day(self, fields: Fields, seconds: float = 7200.0, steps: int = 12) -> Fields:
        """The fields after so many Adams–Bashforth steps, the first of them forward Euler."""
        state = {name: fields[name] for name in ("thetao", "so", "siconc", "sithick")}
        state["vorticity"] = self.vorticity(fields["uo"], fields["vo"])
        before: Fields | None = None
        for _ in range(steps):
            now = self.tendencies(state, fields)
            if before is None:
                state = {name: field + seconds * now[name] for name, field in state.items()}
            else:
                state = {
                    name: field + seconds * ((1.5 + EPSILON) * now[name] - (0.5 + EPSILON) * before[name])
                    for name, field in state.items()
                }
            before = now
        return {name: torch.cat((field[..., -1:], field[..., 1:]), -1) for name, field in state.items()}

    def tendencies(self, state: Fields, fixed: Fields) -> Fields:
        """What changes per second."""
        u, v = fixed["uo"], fixed["vo"]
        self.vertical_velocity(u, v)
        u_g, v_g = self.geostrophic(self.pressure(state["thetao"], state["so"], fixed["zos"]))
        tracers = {
            name: self.advection(state[name], u, v) + self.diffusion(state[name], TRACER_MIXING, self.mask)
            for name in ("thetao", "so")
        }
        zeta = state["vorticity"]
        turned = self.advection(zeta, u_g, v_g) + self.diffusion(zeta, VORTICITY_MIXING, self.balanced)
        ice = {name: self.advection(state[name], fixed["usi"], fixed["vsi"]) for name in ("siconc", "sithick")}
        return tracers | {"vorticity": turned} | ice

    def vorticity(self, u: Tensor, v: Tensor) -> Tensor:
        """∂v/∂x − ∂u/∂y, centred."""
        across = (torch.roll(v, -1, -1) - torch.roll(v, 1, -1)) / (2 * self.dx)
        along = (torch.roll(u, -1, -2) - torch.roll(u, 1, -2)) / (2 * self.dy)
        return (across - along) * self.balanced

    def density(self, t: Tensor, s: Tensor) -> Tensor:
        """The simplified equation, in the ten coefficients of its publication."""
        tau, sigma, z = t - 10.0, s - 35.0, self.depth
        warm = -0.1655 * (1 + 0.5 * 5.952e-2 * tau + 1.497e-4 * z) * tau
        salty = 0.76554 * (1 - 0.5 * 5.4914e-4 * sigma - 1.109e-5 * z) * sigma
        return (warm + salty - 2.4341e-3 * tau * sigma) * self.mask

    def pressure(self, t: Tensor, s: Tensor, eta: Tensor) -> Tensor:
        """Hydrostatic, of the sea surface and of the density above and half of the level's own."""
        weight = self.density(t, s) * self.thickness
        above = torch.cumsum(weight, dim=1) - weight
        return GRAVITY * DENSITY * eta + GRAVITY * above + 0.5 * GRAVITY * weight

    def geostrophic(self, p: Tensor) -> tuple[Tensor, Tensor]:
        """The balanced flow, each gradient the mean of the four around."""
        slope_x = (torch.roll(p, -1, -1) - p) / self.dx
        slope_y = (torch.roll(p, -1, -2) - p) / self.dy
        mean_x = 0.25 * (
            slope_x + torch.roll(slope_x, 1, -1) + torch.roll(slope_x, -1, -2) + torch.roll(slope_x, (1, -1), (-1, -2))
        )
        mean_y = 0.25 * (
            slope_y + torch.roll(slope_y, 1, -2) + torch.roll(slope_y, -1, -1) + torch.roll(slope_y, (1, -1), (-2, -1))
        )
        return -mean_y / (DENSITY * self.f) * self.balanced, mean_x / (DENSITY * self.f) * self.balanced

    def vertical_velocity(self, u: Tensor, v: Tensor) -> Tensor:
        """From the sea floor up by continuity."""
        spread = (u - torch.roll(u, 1, -1)) / self.dx + (v - torch.roll(v, 1, -2)) / self.dy
        return -torch.flip(torch.cumsum(torch.flip(spread * self.thickness, (1,)), dim=1), (1,))

    def advection(self, tracer: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """−∇·(u c), first-order upwind."""
        flux_x = torch.where(u > 0, u * tracer, u * torch.roll(tracer, -1, -1))
        flux_y = torch.where(v > 0, v * tracer, v * torch.roll(tracer, -1, -2))
        change = (flux_x - torch.roll(flux_x, 1, -1)) / self.dx + (flux_y - torch.roll(flux_y, 1, -2)) / self.dy
        return -change * self.mask[: tracer.shape[1]]

    def diffusion(self, tracer: Tensor, kappa: float, mask: Tensor) -> Tensor:
        """∇·(κ ∇c), nothing through coasts."""
        flux_x = kappa * (torch.roll(tracer, -1, -1) - tracer) / self.dx * self.open_x
        flux_y = kappa * (torch.roll(tracer, -1, -2) - tracer) / self.dy * self.open_y
        change = (flux_x - torch.roll(flux_x, 1, -1)) / self.dx + (flux_y - torch.roll(flux_y, 1, -2)) / self.dy
        return change * mask


def reflected(depth: Tensor) -> Tensor:
    """Layer thickness by reflecting centres from the surface down: each bottom as far below its centre as the top is
    above, which makes a saw-tooth."""
    bottoms, top = [], 0.0
    for centre in depth.tolist():
        top = 2 * centre - top
        bottoms.append(top)
    return torch.tensor([0.0, *bottoms]).diff().to(depth)
