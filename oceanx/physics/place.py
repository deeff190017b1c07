"""Where a cell is, in words: what errors and logs say of the first, the worst or the fastest one."""

from __future__ import annotations

from collections.abc import Sequence

from oceanx.tensors.geometry import Geometry


def place(geometry: Geometry, cell: Sequence[int], levels: int = 0) -> str:
    """The centre of a cell in words: '43.2°N 12°E, 55 m deep'; on a plane 'x 12 km, y 3.5 km, 55 m deep'.

    Parameters
    ----------
    cell
        Indices that end in depth, latitude, longitude.
    levels
        Of the field: one that has a single level, where the geometry has more, is at the surface.
    """
    k, j, i = cell[-3:]
    latitude, longitude = geometry.latitude[j].item(), geometry.longitude[i].item()
    words = f"x {length(longitude)}, y {length(latitude)}" if on_plane(geometry) else degrees(latitude, longitude)
    return words if levels == 1 < len(geometry.depth) else f"{words}, {geometry.depth[k].item():.4g} m deep"


def degrees(latitude: float, longitude: float) -> str:
    """A point of the sphere: '43.2°N 12°E'."""
    east = (longitude + 180) % 360 - 180
    return f"{abs(latitude):.4g}°{'S' if latitude < 0 else 'N'} {abs(east):.4g}°{'W' if east < 0 else 'E'}"


def length(metres: float) -> str:
    """A distance: '12 km', '340 m'."""
    return f"{metres / 1000:.4g} km" if abs(metres) >= 1000 else f"{metres:.4g} m"


def on_plane(geometry: Geometry) -> bool:
    """Whether coordinates are metres: cells are then as far apart as they say, and not a hundred thousand times more.

    A single cell is taken to be on the sphere.
    """
    if len(geometry.latitude) > 1:
        return bool(geometry.spacing_y[0, 0] < 2 * (geometry.latitude[1] - geometry.latitude[0]).abs())
    if len(geometry.longitude) > 1:
        return bool(geometry.spacing_x[0, 0] < 2 * (geometry.longitude[1] - geometry.longitude[0]).abs())
    return False
