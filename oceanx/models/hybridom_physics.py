"""The physics of HybridOM: what a step of the vorticity core changes, and how it turns the water.

With climatology c, which travels as forcing where the task asks for anomalies, it is ∫ (P(x) − P(c)) dt: the core's
change of the state, less its change of the climatology under the climatology's own currents. What the mean flow does
to the mean state is balanced, in the mean, by all that the core leaves out; the climatology's change Δc holds the sum
of both and is added by the model. So the core works on totals, as its equations are meant for (density is not linear,
and an anomaly carried by the whole current would miss u'·∇c), and a state that is c stays c.

Published was the other way: the core moves anomalies as if they were totals, and density is that of anomalies.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from oceanx.physics.vorticity_core import OCEAN, VorticityCoreConfig
from oceanx.physics.vorticity_ice import ICE
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.state import Fields, Forcing, Increment, State
from oceanx.vocabulary.channels import Task
from oceanx.vocabulary.errors import InputError

from .background import climatology
from .named_network import Statistics

ANOMALIES = ("thetao", "so", "zos")  # of which the published core was given anomalies
PUBLISHED_SCALE = 1e4  # s: of vorticity, at every level and latitude


def refuse_without_ocean(task: Task) -> None:
    """Raise `InputError` unless the task forecasts what the core begins from."""
    volume, surface = set(OCEAN) - {"zos"} - set(task.prognostic.volume), {"zos"} - set(task.prognostic.surface)
    if volume or surface:
        raise InputError(
            f"task.prognostic lacks {', '.join(sorted(volume | surface))}: HybridOM's core begins from the volume "
            "variables thetao, so, uo, vo and the surface variable zos; add them"
        )


class Physics(nn.Module):
    """∫ (P(x) − P(c)) dt by the vorticity core, and the vorticity that a network is shown of it.

    Attributes
    ----------
    moved
        The variables that the core changes: temperature and salinity; concentration and thickness of sea ice too,
        where the task has both and the ice's drift.
    shown
        How many channels `forward` gives of vorticity.
    """

    spread: Tensor
    spread_of_change: Tensor

    def __init__(
        self,
        core: VorticityCoreConfig,
        substeps: int,
        task: Task,
        geometry: Geometry,
        statistics: Statistics,
        as_published: bool = False,
    ):
        super().__init__()
        refuse_without_ocean(task)
        ice = core.ice and set(ICE) <= set(task.prognostic.surface)
        self.core = core.model_copy(update={"ice": ice}).build(geometry)
        self.seconds, self.substeps, self.as_published = task.seconds, substeps, as_published
        self.moved = ("thetao", "so", *(ICE[:2] if ice else ()))
        self.shown = (1 if as_published else 2) * len(geometry.mask)
        for name, kind in (("spread", "std"), ("spread_of_change", "increment_std")):
            self.register_buffer(name, _unit(geometry, statistics, kind), persistent=False)

    def forward(self, state: State, forcing: Forcing) -> tuple[Increment, Tensor]:
        """The change of what is moved, and vorticity as a network reads it `[batch, shown, lat, lon]`."""
        mean = climatology(forcing.now, self.core.prognostic)
        if self.as_published:
            less = {name: mean[name] for name in ANOMALIES if name in mean}
            change, vorticity, _ = self.step({name: state[name] - less.get(name, 0.0) for name in self.core.prognostic})
            return change, vorticity * PUBLISHED_SCALE
        change, vorticity, turned = self.step(state)
        if mean:
            usual, vorticity_of_mean, turned_mean = self.step(mean)
            change = change + usual * -1.0
            vorticity, turned = vorticity - vorticity_of_mean, turned - turned_mean
        return change, torch.cat([vorticity / self.spread, turned / self.spread_of_change], dim=1)

    def step(self, fields: Mapping[str, Tensor]) -> tuple[Increment, Tensor, Tensor]:
        """P over a step: the change of what is moved; vorticity at the end (s-1), and by how much it has changed."""
        sought = any(value.requires_grad for value in (*fields.values(), *self.core.parameters()))
        # Where no gradient is sought the core overwrites its fields, in half the time: so begins every training step.
        with torch.set_grad_enabled(sought and torch.is_grad_enabled()):
            start = self.core.begin(fields)
            end = self.core(start, Fields({}), self.seconds, self.substeps)
        change = Increment({name: end[name] - start[name] for name in self.moved})
        return change, end["vorticity"], end["vorticity"] - start["vorticity"]


def _unit(geometry: Geometry, statistics: Statistics, kind: str) -> Tensor:
    """The vorticity (s-1) of currents of their usual spread that know nothing of their neighbours: σ(v)/Δx, σ(u)/Δy.

    It grows where cells become narrow as vorticity itself may; so what is counted in it is of order one anywhere.
    """
    wide, high = geometry.area / geometry.length_x, geometry.length_x
    u, v = (statistics[f"{name}_{kind}"].float()[:, None, None] for name in ("uo", "vo"))
    spread = torch.hypot(v / wide, u / high).float()
    return torch.where(spread > 0, spread, 1.0)
