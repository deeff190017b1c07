"""Geometry: the metrics of a rectilinear spherical C-grid as tensors, computed from coordinates alone.

y face (north)            Tracers sit at cell centres. A name ending in `_x` lives on the east face of its cell,
  ┌──v──┐                 `_y` on the north face. The last column's east face is open only where longitude is
  │  T  u  x face (east)  periodic; the last row's north face is always closed.
  └─────┘
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from oceanx.vocabulary.constants import EARTH_RADIUS


class Cells(NamedTuple):
    """The boxes a tracer lives in: their volume (m3), and which of their east and north faces are open."""

    volume: Tensor
    open_x: Tensor
    open_y: Tensor


class Geometry(nn.Module):
    """Areas (m2), lengths (m), thickness (m) and wet masks (1 wet, 0 land) of cells and faces.

    Parameters
    ----------
    latitude_bounds, longitude_bounds
        Cell edges in degrees, ascending, one more than cells.
    depth, thickness
        Level centres and layer thickness in m.
    mask
        1 where wet.
    periodic
        Whether the cells span 360° of longitude.
    """

    area: Tensor
    thickness: Tensor
    length_x: Tensor
    length_y: Tensor
    mask: Tensor
    mask_x: Tensor
    mask_y: Tensor
    latitude: Tensor
    longitude: Tensor
    depth: Tensor

    def __init__(
        self,
        latitude_bounds: Float[Tensor, " lat_edge"],
        longitude_bounds: Float[Tensor, " lon_edge"],
        depth: Float[Tensor, " depth"],
        thickness: Float[Tensor, " depth"],
        mask: Float[Tensor, "depth lat lon"],
        periodic: bool,
    ):
        super().__init__()
        self.periodic = periodic
        phi, lam = torch.deg2rad(latitude_bounds.double()), torch.deg2rad(longitude_bounds.double())
        width = lam.diff()[None, :]
        fields = {
            "latitude": (latitude_bounds[1:] + latitude_bounds[:-1]) / 2,
            "longitude": (longitude_bounds[1:] + longitude_bounds[:-1]) / 2,
            "depth": depth,
            "thickness": thickness[:, None, None],
            "area": EARTH_RADIUS**2 * phi.sin().diff()[:, None] * width,
            "length_x": EARTH_RADIUS * phi.diff()[:, None].expand(-1, width.shape[1]),
            "length_y": EARTH_RADIUS * phi[1:].cos()[:, None] * width,
            "mask": mask,
            "mask_x": mask * east(mask) if periodic else _without_last(mask * east(mask), -1),
            "mask_y": _without_last(mask * north(mask), -2),
        }
        for name, field in fields.items():
            self.register_buffer(name, field.float(), persistent=False)

    @property
    def layers(self) -> Cells:
        """Every level's cells by themselves."""
        return Cells(self.area * self.thickness, self.mask_x, self.mask_y)

    @property
    def columns(self) -> Cells:
        """Whole wet columns as single cells, as wide open as their uppermost level."""
        volume = self.area * (self.thickness * self.mask).sum(0, keepdim=True)
        return Cells(torch.where(volume > 0, volume, self.area), self.mask_x[:1], self.mask_y[:1])

    @property
    def surface(self) -> Float[Tensor, "1 lat lon"]:
        """The wet mask of the uppermost level."""
        return self.mask[:1]

    def mask_of(self, levels: int) -> Float[Tensor, "levels lat lon"]:
        """The wet mask of a field with so many levels: all of them, or the surface."""
        return self.surface if levels == 1 else self.mask


def east(field: Tensor) -> Tensor:
    """Each cell's eastern neighbour (the last column sees the first)."""
    return torch.roll(field, -1, dims=-1)


def west(field: Tensor) -> Tensor:
    """Each cell's western neighbour (the first column sees the last)."""
    return torch.roll(field, 1, dims=-1)


def north(field: Tensor) -> Tensor:
    """Each cell's northern neighbour (the last row sees the first: mask what lies between)."""
    return torch.roll(field, -1, dims=-2)


def south(field: Tensor) -> Tensor:
    """Each cell's southern neighbour (the first row sees the last: mask what lies between)."""
    return torch.roll(field, 1, dims=-2)


def _without_last(mask: Tensor, dim: int) -> Tensor:
    """The mask with its last row or column closed."""
    closed = mask.clone()
    closed.select(dim, -1).zero_()
    return closed
