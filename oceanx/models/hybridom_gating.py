"""Flux gating: the tracer flux that a fine grid does not see, told from three that are known.

Fluxes of temperature and salinity stand on the faces of the fine grid: of the fine ocean as the step begins, of the
coarse parent then, and of the parent as it ends. A gate weighs the three in each cell, for each tracer by itself, and
a network makes of their blend a correction C of the fine flux:

    w = softmax(G(F₁, F₂, F₃, f))        C = N(Σ wₖ Fₖ, f)        ∂T/∂t = −∇·(F + C)

F is followed through the step by the vorticity core; C is steady, and −∇·C Δt is its share. What C takes from one cell
it gives to the neighbour, and none of it crosses a coast or leaves the grid. The blend is only read: no coarse flux is
put in the place of a fine one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from oceanx.nn.fourier import precise
from oceanx.nn.layers import Conv
from oceanx.nn.registry import NetConfig
from oceanx.physics.mixing import Diffusivity, diffusive_flux
from oceanx.physics.transport import Flux, divergence, tracer_flux, volume_flux
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.operators import mean_x, mean_y
from oceanx.tensors.state import Fields, Forcing, Increment, State
from oceanx.vocabulary.channels import CLIMATOLOGY, Task

from .named_network import Statistics

GATED = ("thetao", "so")


class FluxGating(nn.Module):
    """−∇·C Δt of temperature and salinity; zero while untrained.

    Parameters
    ----------
    net
        N, which reads the blend.
    width
        Channels of the gate G.
    task
        Whose forcing is the atmosphere alone.
    """

    def __init__(self, net: NetConfig, width: int, task: Task, geometry: Geometry, statistics: Statistics, scheme: str):
        super().__init__()
        self.task, self.geometry, self.scheme = task, geometry, scheme
        for name in ("uo", "vo", *GATED, *task.forcing.names):
            self._keep(f"{name}_mean", statistics[f"{name}_mean"])
            self._keep(f"{name}_std", statistics[f"{name}_std"])
        for name in GATED:
            self._keep(f"{name}_increment_std", statistics[f"{name}_increment_std"])
        if task.anomalies:
            for name in ("uo", "vo", *GATED):  # fluxes are those of totals: their spread is of both parts
                of_mean, spread = (statistics[f"{name}{CLIMATOLOGY}_{kind}"] for kind in ("mean", "std"))
                self._keep(f"{name}_mean", statistics[f"{name}_mean"] + of_mean)
                self._keep(f"{name}_std", torch.hypot(statistics[f"{name}_std"], spread))
        stack, static = 2 * len(geometry.mask), 2 * len(task.forcing) + len(geometry.mask)
        self.gate = Gate(3 * len(GATED) * stack + static, width, geometry.periodic)
        self.net = net.build(len(GATED) * stack + static, len(GATED) * stack, geometry)

    def forward(self, sources: tuple[State, State, State], forcing: Forcing, kappa: Diffusivity) -> Increment:
        """The change of both tracers over the step by the correction.

        Parameters
        ----------
        sources
            The fine ocean, and the parent at both ends of the step, all on the fine grid.
        kappa
            Diffusivity of the tracers, m2 s-1.
        """
        fluxes = torch.stack([self.shown(source, kappa) for source in sources], dim=1)
        told = self._told(forcing)
        weights = self.gate(torch.cat([fluxes.flatten(1, 3), told], dim=1))
        blend = (weights[:, :, :, None] * fluxes).sum(1)
        return self.change(self.net(torch.cat([blend.flatten(1, 2), told], dim=1)))

    def flux(self, fields: State, name: str, kappa: Diffusivity) -> Flux:
        """What passes through each face of a tracer's departure from its level's mean, carried and mixed (unit m3 s-1).

        Water of the mean carries none: how large a flux is does not depend on where a thermometer has its zero.
        """
        tracer = (fields[name] - self.get_buffer(f"{name}_mean")) * self.geometry.mask
        water = volume_flux(fields["uo"], fields["vo"], self.geometry)
        carried = tracer_flux(tracer, water, self.geometry.layers, self.scheme)
        mixed = diffusive_flux(tracer, self.geometry, kappa)
        return Flux(carried.x + mixed.x, carried.y + mixed.y)

    def shown(self, fields: State, kappa: Diffusivity) -> Tensor:
        """Fluxes `[batch, tracer, 2 depth, lat, lon]` in units of what currents and tracers of usual spread carry."""
        stacks = []
        for name in GATED:
            flux, spread = self.flux(fields, name, kappa), self.get_buffer(f"{name}_std")
            x = flux.x / (self.geometry.length_x * self.geometry.thickness * spread * self.get_buffer("uo_std"))
            y = flux.y / (self.geometry.length_y * self.geometry.thickness * spread * self.get_buffer("vo_std"))
            stacks.append(torch.cat([x, y], dim=1))
        return torch.stack(stacks, dim=1)

    def correction(self, written: Tensor, name: str) -> Flux:
        """C (unit m3 s-1), of the network's numbers for one tracer: 1 changes a cell by one step's usual change."""
        g, x, y = self.geometry, *precise(written).chunk(2, dim=1)
        rate = self.get_buffer(f"{name}_increment_std") / self.task.seconds
        return Flux(x * (rate * mean_x(g.layers.volume) * g.mask_x), y * (rate * mean_y(g.layers.volume) * g.mask_y))

    def change(self, written: Tensor) -> Increment:
        """−∇·C Δt, of all that the network has written."""
        parts = zip(GATED, written.chunk(len(GATED), dim=1), strict=True)
        layers, seconds = self.geometry.layers, self.task.seconds
        return Increment({name: divergence(self.correction(part, name), layers) * -seconds for name, part in parts})

    def _told(self, forcing: Forcing) -> Tensor:
        """The atmosphere at both ends of the step, and the wet mask."""
        now, later = (self._standard(fields) for fields in forcing)
        mask = self.geometry.mask.expand(len(next(iter(forcing.now.values()))), -1, -1, -1)
        return torch.cat([*now, *later, mask], dim=1)

    def _standard(self, fields: Fields) -> list[Tensor]:
        standard = []
        for name in self.task.forcing.names:
            usual = fields.get(name + CLIMATOLOGY, 0.0) if self.task.anomalies else 0.0
            mean, spread = self.get_buffer(f"{name}_mean"), self.get_buffer(f"{name}_std")
            standard.append((fields[name] - usual - mean) / spread)
        return standard

    def _keep(self, name: str, value: Tensor) -> None:
        value = value.float()[:, None, None]
        spread = not name.endswith("_mean")
        self.register_buffer(name, torch.where(value > 0, value, 1.0) if spread else value, persistent=False)


class Gate(nn.Module):
    """The weights `[batch, source, tracer, lat, lon]` of the three sources in each cell, which sum to 1."""

    def __init__(self, channels_in: int, width: int, periodic: bool):
        super().__init__()
        self.first = Conv(channels_in, width, periodic)
        self.second = Conv(width, width, periodic)
        self.head = nn.Conv2d(width, 3 * len(GATED), 1)

    def forward(self, x: Tensor) -> Tensor:
        x = leaky_relu(self.second(leaky_relu(self.first(x), 0.2)), 0.2)
        return self.head(x).unflatten(1, (3, len(GATED))).softmax(dim=1)
