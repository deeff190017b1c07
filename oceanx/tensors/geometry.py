"""Geometry: the metrics of a rectilinear C-grid, on the sphere or on a plane, as tensors from coordinates alone.

┌──v_y──● xy        Tracers sit at cell centres. A name ending in `_x` lives on the east face of its cell, `_y` on
│   T  u_x          the north face, `_xy` on the north-east corner, and `_z` on the bottom face, between its cell
└───────┘           and the one below. Levels run downwards. A face is open where both its cells are wet; the last
                    column's east face only where longitude is periodic, the last row's north face never (on a
                    plane it may be), the last level's bottom face never.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import pad

from oceanx.vocabulary.constants import EARTH_RADIUS, ROTATION


class Cells(NamedTuple):
    """The boxes a tracer lives in: their volume (m3), and which of their east, north and bottom faces are open."""

    volume: Tensor
    open_x: Tensor
    open_y: Tensor
    open_z: Tensor | None = None


class Axes(NamedTuple):
    """What tells a sphere from a plane: lengths (m) and areas (m2) of cells, faces and corners, and rotation (s-1)."""

    latitude: Tensor
    longitude: Tensor
    area: Tensor
    area_xy: Tensor
    length_x: Tensor
    length_y: Tensor
    spacing_x: Tensor
    spacing_y: Tensor
    coriolis: Tensor
    coriolis_xy: Tensor


class Geometry(nn.Module):
    """Areas (m2), lengths (m), thickness (m), rotation (s-1) and wet masks (1 wet, 0 land) of cells, faces and corners.

    Parameters
    ----------
    latitude_bounds, longitude_bounds
        Cell edges in degrees, ascending, one more than cells; they need not be equally spaced.
    depth, thickness
        Level centres and layer thickness in m.
    mask
        1 where wet.
    periodic
        Whether the cells span 360° of longitude.
    dtype
        Of the metrics, which are computed in double precision.

    Attributes
    ----------
    flat
        Whether the coordinates are m on a plane, not degrees on the sphere.
    area, area_xy
        Of cells, and of the boxes around their north-east corners.
    length_x, length_y
        How long the east face is (a distance along a meridian) and the north face (along a parallel).
    spacing_x, spacing_y
        How far apart the cell centres are on both sides of the east and of the north face.
    coriolis, coriolis_xy
        f = 2 Ω sin φ at centres (and at east faces, which lie as far north) and at corners (and at north faces).
    mask, mask_x, mask_y, mask_z, mask_xy
        Wet cells, open faces, and corners whose four faces are open.
    interfaces
        Depth of the layers' tops and of the last one's bottom.
    """

    latitude: Tensor
    longitude: Tensor
    area: Tensor
    area_xy: Tensor
    length_x: Tensor
    length_y: Tensor
    spacing_x: Tensor
    spacing_y: Tensor
    coriolis: Tensor
    coriolis_xy: Tensor
    depth: Tensor
    thickness: Tensor
    interfaces: Tensor
    mask: Tensor
    mask_x: Tensor
    mask_y: Tensor
    mask_z: Tensor
    mask_xy: Tensor

    def __init__(
        self,
        latitude_bounds: Float[Tensor, " lat_edge"],
        longitude_bounds: Float[Tensor, " lon_edge"],
        depth: Float[Tensor, " depth"],
        thickness: Float[Tensor, " depth"],
        mask: Float[Tensor, "depth lat lon"],
        periodic: bool,
        dtype: torch.dtype = torch.float32,
    ):
        super().__init__()
        self.flat = False
        axes = _sphere(latitude_bounds.double(), longitude_bounds.double(), periodic)
        self._fill(axes, depth, thickness, mask, (periodic, False), dtype)

    @classmethod
    def plane(
        cls,
        y_bounds: Float[Tensor, " lat_edge"],
        x_bounds: Float[Tensor, " lon_edge"],
        depth: Float[Tensor, " depth"],
        thickness: Float[Tensor, " depth"],
        mask: Float[Tensor, "depth lat lon"],
        periodic: tuple[bool, bool] = (False, False),
        coriolis: tuple[float, float] = (0.0, 0.0),
        dtype: torch.dtype = torch.float32,
    ) -> Geometry:
        """The Geometry of a plane, its coordinates in m: f = f₀ + β y. For basins and channels with known solutions.

        Parameters
        ----------
        y_bounds, x_bounds
            Cell edges in m, ascending. They stand in the place of latitude and longitude.
        periodic
            Along x, and along y.
        coriolis
            f₀ (s-1) and β (m-1 s-1).
        """
        made = cls.__new__(cls)
        nn.Module.__init__(made)
        made.flat = True
        made._fill(
            _plane(y_bounds.double(), x_bounds.double(), periodic, coriolis), depth, thickness, mask, periodic, dtype
        )
        return made

    def _fill(
        self,
        axes: Axes,
        depth: Tensor,
        thickness: Tensor,
        mask: Tensor,
        periodic: tuple[bool, bool],
        dtype: torch.dtype,
    ) -> None:
        self.periodic, self.periodic_y = periodic
        thickness = thickness.double()
        mask_x = mask * east(mask) if periodic[0] else _without_last(mask * east(mask), -1)
        mask_y = mask * north(mask) if periodic[1] else _without_last(mask * north(mask), -2)
        fields = axes._asdict() | {
            "depth": depth,
            "thickness": thickness[:, None, None],
            "interfaces": torch.cat((thickness.new_zeros(1), thickness.cumsum(0))),
            "mask": mask,
            "mask_x": mask_x,
            "mask_y": mask_y,
            "mask_z": _without_last(mask * below(mask), -3),
            "mask_xy": mask_x * north(mask_x) * mask_y * east(mask_y),
        }
        for name, field in fields.items():
            self.register_buffer(name, field.to(dtype), persistent=False)

    @property
    def layers(self) -> Cells:
        """Every level's cells by themselves."""
        return Cells(self.area * self.thickness, self.mask_x, self.mask_y, self.mask_z)

    @property
    def columns(self) -> Cells:
        """Whole wet columns as single cells, as wide open as their uppermost level."""
        volume = self.area * (self.thickness * self.mask).sum(0, keepdim=True)
        return Cells(torch.where(volume > 0, volume, self.area), self.mask_x[:1], self.mask_y[:1])

    @property
    def surface(self) -> Float[Tensor, "1 lat lon"]:
        """The wet mask of the uppermost level."""
        return self.mask[:1]

    @property
    def bottom_depth(self) -> Float[Tensor, "1 lat lon"]:
        """How deep the wet column is (m); 0 on land."""
        return (self.thickness * self.mask).sum(0, keepdim=True)

    def mask_of(self, levels: int) -> Float[Tensor, "levels lat lon"]:
        """The wet mask of a field with so many levels: all of them, or the surface."""
        return self.surface if levels == 1 else self.mask


def east(field: Tensor) -> Tensor:
    """Each cell's eastern neighbour (the last column sees the first)."""
    return _turned(field, -1)


def west(field: Tensor) -> Tensor:
    """Each cell's western neighbour (the first column sees the last)."""
    return _turned(field, 1)


def north(field: Tensor) -> Tensor:
    """Each cell's northern neighbour (the last row sees the first: mask what lies between)."""
    return torch.roll(field, -1, dims=-2)


def south(field: Tensor) -> Tensor:
    """Each cell's southern neighbour (the first row sees the last: mask what lies between)."""
    return torch.roll(field, 1, dims=-2)


def below(field: Tensor) -> Tensor:
    """Each cell's neighbour one level down (the last level sees the first: mask what lies between)."""
    return torch.roll(field, -1, dims=-3)


def above(field: Tensor) -> Tensor:
    """Each cell's neighbour one level up (the first level sees the last: mask what lies between)."""
    return torch.roll(field, 1, dims=-3)


def _turned(field: Tensor, columns: int) -> Tensor:
    """`torch.roll` along a row, by one column either way.

    A compiler makes vectors of slices, and goes one by one through what is counted modulo the length of a row: so for
    it the row is put together of two slices, each padded with zeros, and added.
    """
    if not torch.compiler.is_compiling():
        return torch.roll(field, columns, dims=-1)
    rest = field.shape[-1] - 1
    if columns < 0:
        return pad(field[..., 1:], (0, 1)) + pad(field[..., :1], (rest, 0))
    return pad(field[..., :-1], (1, 0)) + pad(field[..., -1:], (0, rest))


def _sphere(phi: Tensor, lam: Tensor, periodic: bool) -> Axes:
    edges, middles = torch.deg2rad(phi), torch.deg2rad((phi[1:] + phi[:-1]) / 2)
    width, height = torch.deg2rad(lam).diff()[None, :], edges.diff()[:, None]
    between = _between(width, periodic)
    # Beyond the last row there is no centre: the pole or the wall stands in for it, so that no corner has no area.
    beyond = torch.cat((middles[1:], edges[-1:]))
    return Axes(
        latitude=(phi[1:] + phi[:-1]) / 2,
        longitude=(lam[1:] + lam[:-1]) / 2,
        area=EARTH_RADIUS**2 * edges.sin().diff()[:, None] * width,
        area_xy=EARTH_RADIUS**2 * (beyond.sin() - middles.sin())[:, None] * between,
        length_x=EARTH_RADIUS * height.expand(-1, width.shape[1]),
        length_y=EARTH_RADIUS * edges[1:].cos()[:, None] * width,
        spacing_x=EARTH_RADIUS * middles.cos()[:, None] * between,
        spacing_y=EARTH_RADIUS * (beyond - middles)[:, None].expand(-1, width.shape[1]),
        coriolis=2 * ROTATION * middles.sin()[:, None].expand(-1, width.shape[1]),
        coriolis_xy=2 * ROTATION * edges[1:].sin()[:, None].expand(-1, width.shape[1]),
    )


def _plane(y: Tensor, x: Tensor, periodic: tuple[bool, bool], coriolis: tuple[float, float]) -> Axes:
    width, height = x.diff()[None, :], y.diff()[:, None]
    across, along = _between(width, periodic[0]), _between(height.T, periodic[1]).T
    everywhere = torch.ones_like(height * width)
    middles = (y[1:] + y[:-1])[:, None] / 2
    return Axes(
        latitude=(y[1:] + y[:-1]) / 2,
        longitude=(x[1:] + x[:-1]) / 2,
        area=height * width,
        area_xy=along * across,
        length_x=height * everywhere,
        length_y=width * everywhere,
        spacing_x=across * everywhere,
        spacing_y=along * everywhere,
        coriolis=(coriolis[0] + coriolis[1] * middles) * everywhere,
        coriolis_xy=(coriolis[0] + coriolis[1] * y[1:, None]) * everywhere,
    )


def _between(width: Tensor, periodic: bool) -> Tensor:
    """From the middle of each cell to that of the next along the last axis; half a cell beyond the last one."""
    following = torch.cat((width[..., 1:], width[..., :1] if periodic else torch.zeros_like(width[..., :1])), -1)
    return (width + following) / 2


def _without_last(mask: Tensor, dim: int) -> Tensor:
    """The mask with its last row, column or level closed."""
    closed = mask.clone()
    closed.select(dim, -1).zero_()
    return closed
