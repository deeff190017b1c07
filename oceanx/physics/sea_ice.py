"""Sea ice carried by its drift: how much of each cell it covers, and how much of it there is.

With A the concentration (the share of a cell that ice covers), h the ice's thickness where it is, V = A h its volume
per area of sea, and u the drift,

    ∂A/∂t = −∇·(u A)        ∂V/∂t = −∇·(u A h)

The volume goes with the covered area, at the thickness of the ice that crosses the face: ice of one thickness keeps
it under any drift. Where drift converges ice closes up, A grows; what would be more than a whole cell piles up into
ridges, that is, A is held at 1 while V stays, and h grows. Drift that diverges opens water and leaves h alone. Nothing
freezes or melts here. No ice crosses a coast; volume is kept to round-off, area but for what ridging takes.

References
----------
Hibler (1979), J. Phys. Oceanogr. 9, 815, doi:10.1175/1520-0485(1979)009<0815:ADTSIM>2.0.CO;2 (ridging as a cap);
Lipscomb & Hunke (2004), Mon. Weather Rev. 132, 1341, doi:10.1175/1520-0493(2004)132<1341:MSITUI>2.0.CO;2 (thickness
carried by the area).
"""

from __future__ import annotations

import torch
from torch import Tensor

from oceanx.tensors.geometry import Cells, Geometry, east, north
from oceanx.tensors.integrate import heun
from oceanx.tensors.operators import outflow
from oceanx.tensors.state import State, Tendency

from .courant import advection_rate, largest
from .transport import Flux, tracer_flux

LEAST = 1e-6  # concentration up to which ice has no thickness to speak of, and stays where it is
LONGEST = 0.25  # largest Δt × `ice_rate` for which area and volume stay positive and thickness makes no new extremes


def ice_volume(siconc: Tensor, sithick: Tensor) -> Tensor:
    """Volume of ice per area of sea (m), of its concentration and its thickness where it is (m)."""
    return siconc * sithick


def ice_thickness(siconc: Tensor, volume: Tensor) -> Tensor:
    """Thickness of the ice where it is (m), of its concentration and volume per area of sea; 0 where there is none."""
    there = siconc > LEAST
    return torch.where(there, volume / torch.where(there, siconc, 1.0), 0.0)


def drift_flux(usi: Tensor, vsi: Tensor, geometry: Geometry, siconc: Tensor | None = None) -> Flux:
    """How much sea surface the drift sweeps through each face (m2 s-1), of its velocity at cell centres (m s-1).

    Parameters
    ----------
    usi, vsi
        `[batch, 1, lat, lon]`, 0 where there is none.
    siconc
        With it, a face between a cell with ice and one without has the velocity of the ice, not half of it.
    """
    weight = torch.ones_like(usi) if siconc is None else (siconc > LEAST).to(usi.dtype)
    both_x, both_y = (weight + east(weight)).clamp(min=1), (weight + north(weight)).clamp(min=1)
    u_x, v_y = (weight * usi + east(weight * usi)) / both_x, (weight * vsi + north(weight * vsi)) / both_y
    return Flux(
        u_x * (geometry.length_x * geometry.mask_x[:1]),
        v_y * (geometry.length_y * geometry.mask_y[:1]),
    )


def ice_rate(drift: Flux, geometry: Geometry) -> float:
    """How many times a second drift crosses a cell, at most: keep Δt × rate below `LONGEST`."""
    return largest(advection_rate(drift.x, drift.y, geometry.area), geometry)


def ice_transport(
    siconc: Tensor, volume: Tensor, drift: Flux, geometry: Geometry, scheme: str = "limited"
) -> tuple[Tensor, Tensor]:
    """The change per second of concentration (s-1) and of volume per area (m s-1) by drift, before any ridging.

    Parameters
    ----------
    siconc, volume
        `[batch, 1, lat, lon]`; volume as of `ice_volume`.
    drift
        Of `drift_flux`.
    scheme
        `upwind` or `limited`: the others would make less than no ice.
    """
    sea = Cells(geometry.area, geometry.mask_x[:1], geometry.mask_y[:1])
    there = (siconc > LEAST).to(siconc.dtype)
    area = tracer_flux(siconc * there, drift, sea, scheme)
    # Thickness is known where ice is: its profile does not slope towards open water.
    ice = Cells(geometry.area, sea.open_x * there * east(there), sea.open_y * there * north(there))
    amount = tracer_flux(ice_thickness(siconc, volume), area, ice, scheme)
    return -outflow(*area) / geometry.area, -outflow(*amount) / geometry.area


def ridged(siconc: Tensor, volume: Tensor) -> tuple[Tensor, Tensor]:
    """Concentration held between 0 and 1, and the volume, which stays: what does not fit side by side piles up."""
    return siconc.clamp(0.0, 1.0), volume.clamp(min=0.0)


def ice_step(
    siconc: Tensor,
    volume: Tensor,
    drift: Flux,
    geometry: Geometry,
    seconds: float,
    steps: int,
    scheme: str = "limited",
) -> tuple[Tensor, Tensor]:
    """Concentration and volume per area (m) after so many seconds of drift, in equal steps of Heun's method, with
    ridging after each.

    Parameters
    ----------
    siconc, volume
        `[batch, 1, lat, lon]`; volume as of `ice_volume`.
    drift
        Of `drift_flux`, held meanwhile.
    steps
        At least seconds × `ice_rate` / `LONGEST`.
    """

    def dynamics(state: State) -> Tendency:
        area, amount = ice_transport(state["siconc"], state["volume"], drift, geometry, scheme)
        return Tendency({"siconc": area, "volume": amount})

    for _ in range(steps):
        moved = heun(dynamics, State({"siconc": siconc, "volume": volume}), seconds / steps)
        siconc, volume = ridged(moved["siconc"], moved["volume"])
    return siconc, volume
