"""Transport of tracers by a flow: volume fluxes, tracer fluxes, and their divergence.

In a cell of volume V, with U the volume fluxes through its faces and T_f the tracer on them,

    ∂(VT)/∂t = −Σ_f U_f T_f        ∂V/∂t = −Σ_f U_f        ⇒        ∂T/∂t = −[Σ_f U_f T_f − T Σ_f U_f] / V

so what leaves one cell enters its neighbour (V∂T/∂t + T∂V/∂t sums to zero over the ocean to round-off), and a uniform
tracer stays uniform under any flow. No flux crosses a coast, the sea surface or the sea floor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from oceanx.tensors.geometry import Cells, Geometry, above, below, east, north, south, west
from oceanx.tensors.operators import mean_x, mean_y, outflow
from oceanx.vocabulary.errors import InputError, unknown

from .reconstruction import SCHEMES, Scheme, Way


class Flux(NamedTuple):
    """What passes through the east (`x`) and north (`y`) faces of every cell, per second, and upward through its
    bottom face (`z`), where there is such a flow."""

    x: Tensor
    y: Tensor
    z: Tensor | None = None

    def map(self, function: Callable[[Tensor], Tensor]) -> Flux:
        """The same with `function` applied to every direction."""
        return Flux(function(self.x), function(self.y), None if self.z is None else function(self.z))


def volume_flux(u: Tensor, v: Tensor, geometry: Geometry) -> Flux:
    """Volume through each face (m3 s-1) of a flow given at cell centres (m s-1)."""
    return Flux(
        mean_x(u) * (geometry.length_x * geometry.thickness * geometry.mask_x),
        mean_y(v) * (geometry.length_y * geometry.thickness * geometry.mask_y),
    )


def face_volume_flux(u_x: Tensor, v_y: Tensor, geometry: Geometry, thickness: Tensor | None = None) -> Flux:
    """Volume through each face (m3 s-1) of a flow given on the faces of the C-grid (m s-1).

    Parameters
    ----------
    u_x, v_y
        Eastward on east faces, northward on north faces.
    thickness
        Of the layers at cells (m), a face having the mean of its two cells'; that of the geometry unless given.
    """
    if thickness is None:
        thick_x = thick_y = geometry.thickness
    else:
        thick_x, thick_y = mean_x(thickness), mean_y(thickness)
    return Flux(
        u_x * thick_x * (geometry.length_x * geometry.mask_x),
        v_y * thick_y * (geometry.length_y * geometry.mask_y),
    )


def tracer_flux(tracer: Tensor, volume: Flux, cells: Cells, scheme: str = "limited") -> Flux:
    """Tracer through each face per second: the volume times the tracer on the face, as the cell that it leaves has it.

    Parameters
    ----------
    tracer
        `[batch, depth, lat, lon]`, in any unit.
    volume
        m3 s-1, zero through closed faces. With `z`, the flow is three-dimensional.
    cells
        What the tracer lives in. Its volumes also tell how thick the levels are beside one another.
    scheme
        How the tracer is reconstructed on the faces: a name of `reconstruction.SCHEMES`.
    """
    profile = _scheme(scheme)
    x = _through(tracer, volume.x, Way(east, west, cells.open_x), profile)
    y = _through(tracer, volume.y, Way(north, south, cells.open_y), profile)
    if volume.z is None:
        return Flux(x, y)
    if cells.open_z is None:
        raise InputError(
            "the volume flux has a vertical part, but these cells do not know their bottom faces; "
            "give the geometry's `layers`, or a flux without `z`"
        )
    # Levels run downwards, the flux upwards; the cells of a column are alike but for their thickness.
    way = Way(below, above, cells.open_z, cells.volume)
    return Flux(x, y, -_through(tracer, -volume.z, way, profile))


def divergence(flux: Flux, cells: Cells) -> Tensor:
    """What leaves each cell through its faces, per second and m3."""
    return outflow(*flux) / cells.volume


def transport(tracer: Tensor, volume: Flux, cells: Cells, scheme: str = "limited") -> Tensor:
    """The tracer's change per second by transport: minus the divergence of its flux, the flow's own taken out.

    Parameters
    ----------
    tracer
        `[batch, depth, lat, lon]`, in any unit.
    volume
        Of `volume_flux` or `face_volume_flux`, or its sum over depth.
    cells
        The geometry's `layers`, or its `columns` where `volume` is a sum over depth.
    scheme
        `upwind`, `centred`, `third`, `limited` or `weno`; see `reconstruction`.
    """
    flux = tracer_flux(tracer, volume, cells, scheme)
    return -(outflow(*flux) - tracer * outflow(*volume)) / cells.volume


def _scheme(name: str) -> Scheme:
    if name not in SCHEMES:
        raise unknown("transport scheme", name, SCHEMES)
    return SCHEMES[name]


def _through(tracer: Tensor, volume: Tensor, way: Way, scheme: Scheme) -> Tensor:
    """Tracer through each face ahead, of the volume through it."""
    on_ahead, on_behind = scheme(tracer, way)
    return torch.where(volume > 0, on_ahead, way.ahead(on_behind)) * volume
