"""Conservative regridding from cells of any shape, such as those of a curvilinear grid, to a rectilinear grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..vocabulary.errors import InputError
from .regrid_grid import latitude_edges, longitude_edges, target_axes
from .regrid_weights import Overlap

_SAME_PLACE = 1e-6  # of the Earth's radius
_AT_POLE = 90.0 - 1e-6  # degrees
_NEAR_POLE = 60.0
_THROUGH = 179.9  # degrees of longitude along a side that passes through the pole


@dataclass(frozen=True, eq=False)
class CellWeights:
    """Conservative weights from cells of any shape to a rectilinear grid.

    Attributes
    ----------
    target
        Latitudes and longitudes of the centres.
    overlap
        Areas on the unit sphere, by flat (row-major) target cell.
    notes
        Which source cells take no part, and why.
    """

    target: tuple[np.ndarray, np.ndarray]
    overlap: Overlap
    cells: int
    notes: tuple[str, ...] = ()

    def means(self, values: np.ndarray, least: float) -> np.ndarray:
        """Wet means (…, latitude, longitude) of an array (…, cell); sums are float64. Safe in many threads."""
        return self._applied(values, least, False)

    def shares(self, values: np.ndarray) -> np.ndarray:
        """Which share (…, latitude, longitude) of each target cell's area is finite in `values` (…, cell)."""
        return self._applied(values, 0.0, True)

    def _applied(self, values: np.ndarray, least: float, share: bool) -> np.ndarray:
        from .regrid_kernel import gathered  # numba takes a while to import

        flat = np.ascontiguousarray(values).reshape(-1, self.cells)
        shape = (*values.shape[:-1], *(axis.size for axis in self.target))
        means = np.empty((len(flat), self.overlap.size.size), values.dtype)
        shares = np.empty(means.shape if share else (len(flat), 0))
        o = self.overlap
        for n, level in enumerate(flat):
            gathered(level, o.start, o.index, o.weight, o.size, least - 1e-9, means[n], shares[n])
        return (shares if share else means).reshape(shape)


def cell_weights(
    latitude: np.ndarray, longitude: np.ndarray, target: Any, corners: tuple[np.ndarray, np.ndarray] | None = None
) -> CellWeights:
    """The CellWeights from a curvilinear grid with these centres (y, x) to a rectilinear target.

    A cell is the polygon of its corners, its sides straight in (longitude, sin latitude), where areas are those on the
    sphere. Its area within a rectangle of the target is the line integral of sin latitude round the polygon, held
    between those of the rectangle's sides: exact, and in sum over the target the area of the polygon. A cell round a
    pole reaches up to it. Cells without a place, without an area, or on the place of another (as at the seams of
    tripolar grids) are left out and counted in `notes`.

    Parameters
    ----------
    corners
        Latitudes and longitudes (y, x, 4) of the corners, round the cell either way; None: half-way between centres,
        as vectors on the sphere.
    target
        A `Grid`, the mapping that describes one, or a Dataset that stands on the grid.

    Raises
    ------
    InputError
        If shapes do not fit, or no cell lies on the target grid.
    """
    latitude, longitude = (np.asarray(axis, float) for axis in (latitude, longitude))
    if latitude.ndim != 2 or latitude.shape != longitude.shape or min(latitude.shape) < 2:
        raise InputError(f"latitude, longitude: found shapes {latitude.shape} and {longitude.shape}; expected two "
                         "equal ones with at least two rows and columns")  # fmt: skip
    lat, lon = corners if corners is not None else _between(latitude, longitude)
    if lat.shape != (*latitude.shape, 4) or lon.shape != lat.shape:
        raise InputError(f"corners: found shapes {lat.shape} and {lon.shape}; expected {(*latitude.shape, 4)}")
    lat, lon = (np.asarray(c, float).reshape(-1, 4) for c in (lat, lon))
    x, y, ordinary, special = _polygons(lat, lon)
    use, notes = _usable(latitude.ravel(), longitude.ravel(), x, y, special)
    axes = target_axes(target)
    edges = latitude_edges(axes[0]), longitude_edges(axes[1])
    plain = np.flatnonzero(use & ordinary)
    found = [_overlaps(x[plain], y[plain], plain, edges)]
    found += [_overlaps(*special[cell], np.array([cell]), edges) for cell in special if use[cell]]
    t, s, weight = (np.concatenate(each) for each in zip(*found, strict=True))
    if not t.size:
        raise InputError(f"the target grid, latitude {edges[0][0]:g} to {edges[0][-1]:g}, longitude {edges[1][0]:g} to "
                         f"{edges[1][-1]:g}, holds no cell of the data; choose one that does")  # fmt: skip
    size = np.outer(np.diff(np.sin(np.deg2rad(edges[0]))), np.deg2rad(np.diff(edges[1]))).ravel()
    return CellWeights(axes, Overlap.of(t, s, weight, size), latitude.size, notes)


def _between(latitude: np.ndarray, longitude: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corners half-way between four centres, on the sphere; at the rim as far outside as the next ones are inside."""
    v = _vectors(latitude, longitude)
    for axis in (0, 1):
        first, second, before, last = (np.take(v, [i], axis) for i in (0, 1, -2, -1))
        v = np.concatenate([2 * first - second, v, 2 * last - before], axis)
    c = v[1:, 1:] + v[:-1, 1:] + v[1:, :-1] + v[:-1, :-1]
    lat = np.rad2deg(np.arctan2(c[..., 2], np.hypot(c[..., 0], c[..., 1])))
    lon = np.rad2deg(np.arctan2(c[..., 1], c[..., 0]))
    round_cell = [(slice(None, -1), slice(None, -1)), (slice(None, -1), slice(1, None)),
                  (slice(1, None), slice(1, None)), (slice(1, None), slice(None, -1))]  # fmt: skip
    return np.stack([lat[at] for at in round_cell], -1), np.stack([lon[at] for at in round_cell], -1)


def _vectors(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    phi, lam = np.deg2rad(latitude), np.deg2rad(longitude)
    return np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)], -1)


def _polygons(
    lat: np.ndarray, lon: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[int, tuple[np.ndarray, np.ndarray]]]:
    """Corners in (longitude, sin latitude), each near the one before; and apart from them the cells at a pole."""
    with np.errstate(invalid="ignore"):
        step = (np.diff(lon, axis=1, append=lon[:, :1]) + 180.0) % 360.0 - 180.0
        x = lon[:, :1] + np.concatenate([np.zeros((len(lon), 1)), np.cumsum(step[:, :3], axis=1)], axis=1)
        near = (np.abs(lat) > _NEAR_POLE).all(axis=1)
        through = near & (np.abs(step) > _THROUGH).any(axis=1)
        round_pole = near & (np.abs(step.sum(axis=1)) > 180.0)
        corner = (np.abs(lat) >= _AT_POLE).sum(axis=1) == 1
    apart = through | round_pole | corner
    special = {int(n): _at_pole(lat[n], lon[n]) for n in np.flatnonzero(apart)}
    return x, np.sin(np.deg2rad(lat)), ~apart, special


def _at_pole(lat: np.ndarray, lon: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A polygon round a pole, or with it on a side or at a corner, as (1, vertex): closed along the edge of the map."""
    pole = np.sign(lat.sum())
    points: list[tuple[float, float]] = []
    for k in range(4):
        if abs(lat[k]) >= _AT_POLE:  # all longitudes meet there: up along the one, down along the other
            points += [(lon[k - 1], pole), (lon[(k + 1) % 4], pole)]
        else:
            points.append((lon[k], np.sin(np.deg2rad(lat[k]))))
    ends = [*points[1:], points[0]]
    steps = np.array([(b[0] - a[0] + 180.0) % 360.0 - 180.0 for a, b in zip(points, ends, strict=True)])
    through = np.abs(steps) > _THROUGH  # a side through the pole may turn either way: so that the cell is not round it
    if through.any() and abs(steps.sum()) > 180.0:
        steps[np.argmax(through)] -= np.sign(steps.sum()) * 360.0
    x, y = [points[0][0]], [points[0][1]]
    for step, over, end in zip(steps, through, ends, strict=True):
        if over:
            x, y = [*x, x[-1], x[-1] + step], [*y, pole, pole]
            step = 0.0
        x, y = [*x, x[-1] + step], [*y, end[1]]
    if abs(x[-1] - x[0]) > 180.0:
        x, y = [*x, x[-1], x[0]], [*y, pole, pole]
    return np.array([x]), np.array([y])


def _usable(
    latitude: np.ndarray,
    longitude: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    special: dict[int, tuple[np.ndarray, np.ndarray]],
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Which cells take part, and what is to be said of the others."""
    placed = np.isfinite(latitude + longitude) & np.isfinite(x + y).all(axis=1)
    area = np.abs(np.sum(x * np.roll(y, -1, axis=1) - np.roll(x, -1, axis=1) * y, axis=1)) / 2
    flat = placed & ~(area > 1e-12)
    flat[list(special)] = False
    at = np.where(placed, np.arange(placed.size), -1)
    where = np.round(_vectors(np.nan_to_num(latitude), np.nan_to_num(longitude)) / _SAME_PLACE).astype(np.int64)
    first = np.zeros(placed.size, bool)
    usable = at[placed & ~flat]
    first[usable[np.unique(where[usable], axis=0, return_index=True)[1]]] = True
    twice = placed & ~flat & ~first
    counts = {"without a place": ~placed, "without an area": flat, "on the place of another": twice}
    notes = tuple(
        f"{c.sum()} cell{'s' if c.sum() > 1 else ''} {what} left out" for what, c in counts.items() if c.any()
    )
    return first, notes


def _overlaps(
    x: np.ndarray, y: np.ndarray, cells: np.ndarray, edges: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(target, source, area on the unit sphere) of all overlaps of polygons (cell, vertex) with the target."""
    from .regrid_kernel import clipped

    t, s, area = clipped(np.ascontiguousarray(x), np.ascontiguousarray(y), np.sin(np.deg2rad(edges[0])), edges[1])
    return t, cells[s], np.deg2rad(area)
