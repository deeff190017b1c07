"""Core: equations of motion as a user meets them, whatever they advance.

A core begins from named fields at cell centres, holds its state where its equations want it (velocity on the faces,
say), advances it, names the terms of its equations, and gives fields at cell centres back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from torch import Tensor

from oceanx.tensors.geometry import Geometry
from oceanx.tensors.state import Fields, State, Tendency


@runtime_checkable
class Core(Protocol):
    """What every core offers. All fields are `[batch, depth, lat, lon]`, surface fields with depth 1, 0 on land.

    Attributes
    ----------
    geometry
        The grid it was built for.
    prognostic
        Variables that it begins from and gives back, by our names (`thetao`, `so`, `uo`, `vo`, `zos` …).
    forcing
        Variables that drive it, in SI units, at the surface (`tauuo`, `hfds` …) or in the volume.
    """

    geometry: Geometry
    prognostic: tuple[str, ...]
    forcing: tuple[str, ...]

    def begin(self, fields: Mapping[str, Tensor]) -> State:
        """The core's own state, of the prognostic fields at cell centres."""

    def end(self, state: State) -> dict[str, Tensor]:
        """The prognostic fields at cell centres, of the core's own state."""

    def terms(self, state: State, forcing: Fields) -> dict[str, Tendency]:
        """Each term of the equations by name, its sign included, per second, on the state's own points."""

    def rates(self, state: State, forcing: Fields | None = None) -> dict[str, float]:
        """By cause (`advection`, `diffusion`, `waves`, …) the largest number of times a second that a signal crosses a
        cell: a step Δt is stable while Δt × rate stays below the limit of the core's scheme. What carries signals
        may be given rather than held."""

    def __call__(self, state: State, forcing: Fields, seconds: float, steps: int) -> State:
        """The state after so many seconds, reached in so many equal steps with this forcing."""
