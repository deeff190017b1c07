"""Surface anomaly: how currents carry the departure of sea surface temperature from its climatology.

With T = C̄ + C′ and u = ū + u′, climatology barred, what the mean flow does to the mean state is in the climatology
already, and what is left of ∂T/∂t = −u·∇T is

    ∂C′/∂t = −u·∇C′ − u′·∇C̄

Whole currents carry the anomaly, and anomalous currents carry the climatology: where a front stands in the mean, the
second term makes anomalies out of none. Both are written as the divergence of a flux with the flow's own divergence
taken out, −u·∇C = −∇·(u C) + C ∇·u, so that what leaves one cell enters its neighbour, a uniform field stays uniform
under any surface current, and nothing crosses a coast.

Along the edges of a region the flow may go on: water that comes in through an open edge has the anomaly of outside
(that of climatology, zero, unless given), water that goes out takes the cell's own along.

References
----------
Frankignoul (1985), Rev. Geophys. 23, 357, doi:10.1029/RG023i004p00357 (the anomaly's equation); van Leer (1977),
J. Comput. Phys. 23, 276, doi:10.1016/0021-9991(77)90095-X (the profile within a cell).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from oceanx.tensors.geometry import Cells, Geometry
from oceanx.tensors.integrate import integrate
from oceanx.tensors.operators import mean_x, mean_y
from oceanx.tensors.state import Fields, State, Tendency
from oceanx.vocabulary.channels import CLIMATOLOGY
from oceanx.vocabulary.config import Config
from oceanx.vocabulary.errors import InputError

from .courant import advection_rate, largest
from .relaxation import open_edges
from .transport import Flux, transport

OUTSIDE = "sst_outside"  # the anomaly of water that comes in through an open edge


class SurfaceAnomalyConfig(Config):
    """Which currents carry the anomaly, how they do it, and what happens along the edges of a region."""

    kind: Literal["surface_anomaly"] = "surface_anomaly"
    currents: tuple[str, str] = ("uo", "vo")
    edges: Literal["closed", "open"] = "closed"
    scheme: Literal["upwind", "limited"] = "limited"
    integrator: Literal["heun", "ssprk3"] = "ssprk3"

    def build(self, geometry: Geometry) -> SurfaceAnomaly:
        """The core on the surface of this geometry."""
        return SurfaceAnomaly(geometry, self)


class SurfaceAnomaly(nn.Module):
    """The anomaly's equation as a core: its state is `sst`, the departure from climatology.

    It is told the currents (m s-1), and the climatology of currents and temperature (°C) under `<name>_climatology`;
    with open edges also, where there is one, `sst_outside`, the anomaly beyond them (K).

    Parameters
    ----------
    geometry
        Of any number of levels; the uppermost counts.
    """

    prognostic = ("sst",)
    along: Tensor

    def __init__(self, geometry: Geometry, config: SurfaceAnomalyConfig | None = None):
        super().__init__()
        self.geometry, self.config = geometry, config or SurfaceAnomalyConfig()
        currents = self.config.currents
        self.forcing = (*currents, *(name + CLIMATOLOGY for name in (*currents, "sst")))
        self.edges = open_edges(geometry) if self.config.edges == "open" else ()
        along = [_along(edge, geometry) for edge in self.edges]
        self.register_buffer("along", torch.stack(along) if along else torch.zeros(0), persistent=False)

    def begin(self, fields: Mapping[str, Tensor]) -> State:
        """The anomaly `sst` of the fields, at the surface."""
        return State({"sst": fields["sst"][:, :1] * self.geometry.surface})

    def end(self, state: State) -> dict[str, Tensor]:
        """The anomaly, as `sst`."""
        return {"sst": state["sst"]}

    def terms(self, state: State, forcing: Fields) -> dict[str, Tendency]:
        """What currents do to the anomaly, anomalous currents to the climatology, and what comes in at edges: K s-1."""
        now = self._told(forcing)
        (u, v), (usual_u, usual_v) = self._currents(now), self._currents(now, CLIMATOLOGY)
        mean = now["sst" + CLIMATOLOGY]
        cells, scheme = self._cells, self.config.scheme
        terms = {
            "advection": transport(state["sst"], self._flow(u, v), cells, scheme),
            "advection_of_climatology": transport(mean, self._flow(u - usual_u, v - usual_v), cells, scheme),
        }
        if self.edges:
            beyond = forcing.get(OUTSIDE, torch.zeros_like(state["sst"]))
            terms["inflow"] = self._inflow(u, v) * (beyond - state["sst"])
        return {name: Tendency({"sst": change}) for name, change in terms.items()}

    def rates(self, state: State, forcing: Fields | None = None) -> dict[str, float]:
        """How often a second the currents of the forcing cross a cell, at most; nothing crosses without them."""
        if forcing is None:
            return {}
        u, v = self._currents(self._told(forcing))
        flow = self._flow(u, v)
        return {
            "advection": largest(advection_rate(flow.x, flow.y, self.geometry.area) + self._inflow(u, v), self.geometry)
        }

    def forward(self, state: State, forcing: Fields, seconds: float, steps: int) -> State:
        """The anomaly after so many seconds, in so many equal steps with this forcing."""

        def dynamics(now: State) -> Tendency:
            return sum(self.terms(now, forcing).values(), Tendency({}))

        return integrate(self.config.integrator, dynamics, state, seconds, steps)

    @property
    def _cells(self) -> Cells:
        g = self.geometry
        return Cells(g.area, g.mask_x[:1], g.mask_y[:1])

    def _told(self, forcing: Fields) -> dict[str, Tensor]:
        """The forcing at the surface, 0 on land."""
        missing = [name for name in self.forcing if name not in forcing]
        if missing:
            raise InputError(f"the forcing of a surface anomaly lacks {missing}; it needs {list(self.forcing)}")
        wet = self.geometry.surface > 0
        return {name: torch.where(wet, forcing[name][:, :1], 0.0) for name in self.forcing}

    def _currents(self, now: Mapping[str, Tensor], of: str = "") -> tuple[Tensor, Tensor]:
        u, v = self.config.currents
        return now[u + of], now[v + of]

    def _flow(self, u: Tensor, v: Tensor) -> Flux:
        """Through each face, m2 s-1."""
        g = self.geometry
        return Flux(mean_x(u) * (g.length_x * g.mask_x[:1]), mean_y(v) * (g.length_y * g.mask_y[:1]))

    def _inflow(self, u: Tensor, v: Tensor) -> Tensor:
        """How many times a second the water of a cell along an open edge is replaced by water from outside (s-1)."""
        inward = {"west": u, "east": -u, "south": v, "north": -v}
        entering = [inward[edge].clamp(min=0) * self.along[n] for n, edge in enumerate(self.edges)]
        return sum(entering, torch.zeros_like(u))


def _along(edge: str, geometry: Geometry) -> Tensor:
    """One over the size, across the edge, of the wet cells along one edge of the grid (m-1); 0 elsewhere."""
    across_x = edge in ("west", "east")
    size = geometry.area / geometry.length_x if across_x else geometry.length_x
    dim, end = (-1 if across_x else -2), (0 if edge in ("west", "south") else -1)
    here = torch.zeros_like(size)
    here.select(dim, end).fill_(1.0)
    return here * geometry.surface / size
