"""Lateral mixing of tracers: what eddies too small for the grid carry down the gradient, through faces between cells.

    harmonic      F = −κ ∇T          ∂T/∂t = −∇·F = ∇·(κ∇T)
    biharmonic    F = +∇(κ₄ ∇²T)     ∂T/∂t = −∇·F = −∇²(κ₄ ∇²T)

Both are self-adjoint and lower the variance, wherever the coefficient varies. What leaves one cell enters its
neighbour, and nothing crosses a coast.
"""

from __future__ import annotations

import torch
from torch import Tensor

from oceanx.tensors.geometry import Geometry
from oceanx.tensors.operators import mean_x, mean_y, outflow, step_x, step_y

from .transport import Flux

Diffusivity = float | Tensor | Flux


def diffusive_flux(
    tracer: Tensor, geometry: Geometry, kappa: Diffusivity, thickness: Tensor | float | None = None
) -> Flux:
    """The tracer through each face down its gradient, −κ A ∂T/∂n, in its unit times m3 s-1.

    Parameters
    ----------
    tracer
        `[batch, depth, lat, lon]`, in any unit.
    geometry
        Its closed faces let nothing through.
    kappa
        m2 s-1: one value, a field at cell centres (averaged to faces), or a `Flux` of fields on faces.
    thickness
        Of the layers where they breathe, `[…, depth, lat, lon]` in m; otherwise the geometry's own.
    """
    on = on_faces(kappa)
    deep = Flux(geometry.thickness, geometry.thickness) if thickness is None else on_faces(thickness)
    return Flux(
        step_x(tracer) * (geometry.length_x / geometry.spacing_x) * (-on.x * deep.x * geometry.mask_x),
        step_y(tracer) * (geometry.length_y / geometry.spacing_y) * (-on.y * deep.y * geometry.mask_y),
    )


def biharmonic_flux(
    tracer: Tensor, geometry: Geometry, kappa4: float | Tensor, thickness: Tensor | None = None
) -> Flux:
    """The tracer through each face up the gradient of κ₄∇²T, which mixes the smallest scales and spares the larger.

    Parameters
    ----------
    tracer, geometry, thickness
        As in `diffusive_flux`.
    kappa4
        m4 s-1: one value, or a field at cell centres.

    References
    ----------
    Griffies & Hallberg (2000), Mon. Weather Rev. 128, 2935,
    doi:10.1175/1520-0493(2000)128<2935:BFWASL>2.0.CO;2.
    """
    return diffusive_flux(-kappa4 * diffusion(tracer, geometry, 1.0, thickness), geometry, 1.0, thickness)


def diffusion(tracer: Tensor, geometry: Geometry, kappa: Diffusivity, thickness: Tensor | None = None) -> Tensor:
    """The tracer's change per second by harmonic mixing, ∇·(κ∇T); arguments as in `diffusive_flux`."""
    return _gain(diffusive_flux(tracer, geometry, kappa, thickness), geometry, thickness)


def biharmonic_diffusion(
    tracer: Tensor, geometry: Geometry, kappa4: float | Tensor, thickness: Tensor | None = None
) -> Tensor:
    """The tracer's change per second by biharmonic mixing, −∇²(κ₄∇²T); arguments as in `biharmonic_flux`."""
    return _gain(biharmonic_flux(tracer, geometry, kappa4, thickness), geometry, thickness)


def _gain(flux: Flux, geometry: Geometry, thickness: Tensor | None) -> Tensor:
    deep = geometry.thickness if thickness is None else thickness
    volume = geometry.area * deep
    # Land may have layers of no thickness: nothing flows there, and nothing over one is nothing.
    return -outflow(*flux) / torch.where(volume > 0, volume, torch.ones_like(volume))


def on_faces(value: Diffusivity) -> Flux:
    """A value of everywhere, of cells or of faces, on faces."""
    if isinstance(value, Flux):
        return value
    if isinstance(value, Tensor) and value.dim() > 1:
        return Flux(mean_x(value), mean_y(value))
    return Flux(value, value)  # type: ignore[arg-type]
