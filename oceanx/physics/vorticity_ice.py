"""Sea ice of the vorticity core: carried by a drift that stays the same, a step at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from oceanx.tensors.compiled import compiled
from oceanx.tensors.geometry import Cells, Geometry
from oceanx.tensors.state import State, Tendency

from .courant import Rate
from .explicit_limit import bounded_flow, bounded_share
from .sea_ice import LONGEST, drift_flux, ice_rate, ice_thickness, ice_transport, ice_volume, ridged
from .transport import Flux

ICE = ("siconc", "sithick", "usi", "vsi")
Cover = tuple[Tensor, Tensor]  # concentration, and volume per area (m)


class DriftingIce(nn.Module):
    """Concentration and thickness after a day of drift (see `sea_ice`); drift is bounded where its scheme asks."""

    def __init__(self, geometry: Geometry, scheme: str, compile: bool):
        super().__init__()
        self.geometry, self.scheme, self.compile_it = geometry, scheme, compile

    def forward(self, state: State, dt: Tensor, steps: int) -> dict[str, Tensor]:
        """Both after so many steps of dt."""
        swept = self._run(self.swept)(state["siconc"], state["usi"], state["vsi"], dt)
        cover = self._begin(state)
        for _ in range(steps):
            cover = self._run(self.onward)(*cover, swept)
        return {"siconc": cover[0], "sithick": ice_thickness(*cover)}

    def tendency(self, state: State) -> Tendency:
        """What drift changes per second: `siconc` (s-1), and as `sithick` the volume per area (m s-1)."""
        change = ice_transport(*self._begin(state), self._drift(state), self.geometry, self.scheme)
        return Tendency(dict(zip(ICE[:2], change, strict=True)))

    def rate(self, state: State) -> Rate | float:
        """How many times a second drift crosses a cell, at most."""
        return ice_rate(self._drift(state), self.geometry)

    def swept(self, cover: Tensor, usi: Tensor, vsi: Tensor, dt: Tensor) -> Flux:
        """The sea surface that drift sweeps through each face in a step of dt (m2), no more than its scheme bears."""
        drift = drift_flux(usi, vsi, self.geometry, cover)
        swept = Flux(drift.x * dt, drift.y * dt)
        sheet = Cells(self.geometry.area, self.geometry.mask_x[:1], self.geometry.mask_y[:1])
        return bounded_flow(swept, bounded_share(swept, sheet, LONGEST))

    def onward(self, area: Tensor, volume: Tensor, swept: Flux) -> Cover:
        """The ice one step of Heun's method later, the step being the unit of time."""
        first = ice_transport(area, volume, swept, self.geometry, self.scheme)
        second = ice_transport(area + first[0], volume + first[1], swept, self.geometry, self.scheme)
        return ridged(area + 0.5 * (first[0] + second[0]), volume + 0.5 * (first[1] + second[1]))

    def _begin(self, state: State) -> Cover:
        return state["siconc"], ice_volume(state["siconc"], state["sithick"])

    def _drift(self, state: State) -> Flux:
        return drift_flux(state["usi"], state["vsi"], self.geometry, state["siconc"])

    def _run(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return compiled(function, self.compile_it)
