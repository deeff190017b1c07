"""The observation operator: what gridded fields say at the points of an observation table, as explicit weights.

Weights come from coordinates and mask alone. So the operator H is linear, its adjoint is exact, and the same two
arrays serve NumPy here and, as gather, multiply and sum, any other side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeVar, get_args

import numpy as np
import pandas as pd
import scipy.sparse
import xarray as xr

from ..vocabulary.errors import InputError
from .grid import is_periodic
from .interpolation_kernel import corners
from .labels import wet_cells

When = Literal["day", "linear", "nearest"]
DIMS = ("time", "depth", "latitude", "longitude")
LEAST = 0.5
ABOVE = 10.0  # m
_HAIR = 1e-5  # degrees: float32 coordinates of one place differ by less
_ONE_LEVEL = 1e-4  # m, or as a share of depths beyond 1 m
_ON_LEVEL = 1e-3  # of the way from one level to the next: so near to one, the other need not be wet

Field = TypeVar("Field", np.ndarray, xr.DataArray)
Along = tuple[np.ndarray, np.ndarray]  # two neighbours (obs, 2) on one axis and their shares, which are 0 where none


@dataclass(frozen=True)
class Weights:
    """A sparse matrix H (obs, cell): each row has a few cells (`index`, `weight`), summing to 1, or to 0 if missing.

    `index` counts the cells of `shape` in C order. Cells of weight 0 repeat one that counts, so that nothing missing
    is ever read. `dims` and `shape` are those of the fields that it is applied to.
    """

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    index: np.ndarray
    weight: np.ndarray

    @property
    def found(self) -> np.ndarray:
        """Which observations (obs) the grid has something to say about."""
        return np.asarray(self.weight.any(axis=1))

    def rows(self, where: np.ndarray) -> Weights:
        """Those of some observations, by mask or number."""
        return Weights(self.dims, self.shape, self.index[where], self.weight[where])

    def sparse(self) -> scipy.sparse.csr_array:
        """H as a matrix (obs, cell)."""
        row, corner = np.nonzero(self.weight)
        shape = (len(self.index), int(np.prod(self.shape)))
        return scipy.sparse.csr_array((self.weight[row, corner], (row, self.index[row, corner])), shape=shape)

    def apply(self, field: Field) -> Field:
        """H x (…, obs), float64, of fields x whose last dimensions are `dims`; NaN where nothing is found.

        A DataArray may have its dimensions in any order; what it has beyond `dims` stays.
        """
        if isinstance(field, xr.DataArray):
            return self._of_labelled(field)
        return self._of_values(field)

    def _of_labelled(self, field: xr.DataArray) -> xr.DataArray:
        v = field.transpose(..., *self.dims)
        beyond = [d for d in v.dims if d not in self.dims]
        coords = {d: v[d] for d in beyond if d in v.coords}
        return xr.DataArray(self._of_values(v.values), coords, [*beyond, "obs"], field.name, field.attrs)

    def _of_values(self, values: np.ndarray) -> np.ndarray:
        before = values.ndim - len(self.shape)
        self._refuse(values.shape[before:], self.shape, "field")
        flat = values.reshape(*values.shape[:before], -1)
        return np.where(self.found, np.einsum("...nk,nk->...n", flat[..., self.index], self.weight), np.nan)

    def adjoint(self, values: np.ndarray) -> np.ndarray:
        """Hᵀ y (…, *shape) of values y (…, obs); what was not found takes no part."""
        self._refuse(values.shape[-1:], self.index.shape[:1], "values")
        flat = np.where(self.found, values, 0.0).reshape(-1, len(self.index)) @ self.sparse()
        return flat.reshape(*values.shape[:-1], *self.shape)

    @staticmethod
    def _refuse(found: tuple[int, ...], expected: tuple[int, ...], what: str) -> None:
        if found != expected:
            raise InputError(f"observation operator: {what} of shape {found}; made for {expected}")


def weights(
    grid: xr.Dataset | xr.DataArray,
    table: xr.Dataset,
    *,
    time: When | None = None,
    wet: np.ndarray | None = None,
    least: float = LEAST,
    above: float = ABOVE,
    middle: str = "12h",
) -> Weights:
    """The observation operator from a grid to the points of an observation table.

    Linear in latitude and longitude between the four cell centres around a point, over those that are wet: with wet
    w_i, f = Σ w_i f_i / Σ w_i. Linear in depth between the levels above and below, both of which must have a value.
    Nothing is extrapolated: points beyond the outermost centres of a region, below the deepest wet level or outside
    the times are missing.

    Parameters
    ----------
    grid
        With `latitude`, `longitude` and, for fields with levels, the dimension `depth`; for a surface field leave it
        out (`ds.isel(depth=0)`). A `mask` coordinate tells what is wet.
    table
        Observation table, or any Dataset with `latitude`, `longitude`, `depth` and `time` along `obs`.
    time
        None: fields of one moment, on the grid's space alone. `day`: the field stamped on the day of the observation,
        as daily means are, which speak for [D, D + 1). `linear`, `nearest`: between the moments at which fields stand.
    wet
        Instead of the mask: which cells are wet, (depth, latitude, longitude) or (latitude, longitude).
    least
        The share of the horizontal weights that must be wet.
    above
        Points less than so many metres above the first level take its value.
    middle
        How long after its stamp a field stands, for `linear` and `nearest`: half a day for daily means, "0h" for
        fields of a moment.

    Raises
    ------
    InputError
        If an axis is missing or not ascending, or an option is out of range.

    Examples
    --------
    >>> H = weights(ds, obs)                                          # doctest: +SKIP
    >>> departure = obs.value - H.apply(ds.thetao.isel(time=0))       # doctest: +SKIP
    >>> gradient = H.adjoint((departure / obs.error_std**2).values)   # doctest: +SKIP
    """
    if not 0 < least <= 1:
        raise InputError(f"least: found {least:g}; expected a share above 0, at most 1")
    if above < 0:
        raise InputError(f"above: found {above:g} m; expected no negative distance")
    latitude, longitude = _axis(grid, "latitude"), _axis(grid, "longitude")
    depth = _axis(grid, "depth") if "depth" in grid.dims else None
    of_level = _only(table.sizes["obs"]) if depth is None else _on_depth(depth, table, above)
    cells = (1 if depth is None else depth.size, latitude.size, longitude.size)
    when = _only(table.sizes["obs"])
    dims: tuple[str, ...] = DIMS[1:] if depth is not None else DIMS[2:]
    shape: tuple[int, ...] = cells if depth is not None else cells[1:]
    if time is not None:
        when = at_times(grid["time"].values, table["time"].values, time, middle)
        when = when if time == "linear" else (when[0][:, :1], when[1][:, :1])
        dims, shape = DIMS[:1] + dims, (grid.sizes["time"], *shape)
    size = table.sizes["obs"], 4 * when[0].shape[1] * of_level[0].shape[1]
    index, weight = np.empty(size, np.int64), np.empty(size)
    here = _on_latitude(latitude, table), _on_longitude(longitude, table)
    corners(when, of_level, *here, _wet(grid, cells, wet), least, _ON_LEVEL, index, weight)
    return Weights(dims, shape, index, weight)


def at_times(stamps: np.ndarray, wanted: np.ndarray, how: When, middle: str = "12h") -> Along:
    """The two fields (obs, 2) that stand for each moment, and their shares: 0 where there is none."""
    if how not in get_args(When):
        raise InputError(f"time: found {how!r}; expected one of {', '.join(get_args(When))}")
    if len(stamps) == 0 or (np.diff(stamps) <= np.timedelta64(0)).any():
        raise InputError("time: expected ascending dates, each once; sort with ds.sortby('time')")
    if how == "day":
        days, day = (x.astype("datetime64[D]") for x in (stamps, wanted))
        if (np.diff(days) == np.timedelta64(0)).any():
            raise InputError("time: more than one field a day; say time='linear' or 'nearest'")
        near = np.searchsorted(days, day).clip(max=len(days) - 1)
        return _pair(near, (days[near] == day).astype(float))
    moments = (stamps + np.timedelta64(pd.Timedelta(middle), "ns")).astype("int64").astype(float)
    at = wanted.astype("datetime64[ns]").astype("int64").astype(float)
    if how == "linear":
        return _between(moments, at, hair=0.0)
    reach = np.diff(moments).max() / 2 if len(moments) > 1 else 43200e9
    near = _nearest(moments, at)
    return _pair(near, (np.abs(moments[near] - at) <= reach).astype(float))


def _axis(grid: xr.Dataset | xr.DataArray, name: str) -> np.ndarray:
    if name not in grid.coords:
        raise InputError(f"{name}: no such coordinate; found {sorted(map(str, grid.coords))}")
    values = np.atleast_1d(grid[name].values).astype(float)
    if values.ndim != 1 or not (np.diff(values) > 0).all():
        raise InputError(f"{name}: expected ascending values along one dimension; sort with ds.sortby({name!r})")
    return values


def _wet(grid: xr.Dataset | xr.DataArray, shape: tuple[int, ...], wet: np.ndarray | None) -> np.ndarray:
    """Which cells (depth or 1, latitude, longitude) are wet: all, where nobody says."""
    if wet is None and "mask" in grid.coords:
        alone = grid["mask"].drop_vars([c for c in grid["mask"].coords if c not in DIMS])
        like = xr.DataArray(np.empty(shape), dims=DIMS[1:])
        wet = wet_cells(xr.Dataset(coords={"mask": alone}), like if "depth" in grid.dims else like[0])
    if wet is None:
        return np.ones(shape, bool)
    if wet.shape[-2:] != shape[1:] or (wet.ndim == 3 and wet.shape != shape):
        raise InputError(f"wet: found shape {wet.shape}; expected {shape} as the grid has")
    return np.broadcast_to(wet.astype(bool), shape)


def _only(count: int) -> Along:
    return np.zeros((count, 1), np.int64), np.ones((count, 1))


def _pair(near: np.ndarray, share: np.ndarray) -> Along:
    return np.stack([near, near], axis=1), np.stack([share, np.zeros_like(share)], axis=1)


def _between(axis: np.ndarray, at: np.ndarray, hair: float) -> Along:
    """The neighbours on an ascending axis and their shares; none beyond its ends by more than a hair."""
    inside = (at >= axis[0] - hair) & (at <= axis[-1] + hair)
    at = np.where(inside, np.clip(at, axis[0], axis[-1]), axis[0])
    first = np.clip(np.searchsorted(axis, at, side="right") - 1, 0, max(len(axis) - 2, 0))
    second = np.minimum(first + 1, len(axis) - 1)
    gap = np.where(second > first, axis[second] - axis[first], 1.0)
    share = (at - axis[first]) / gap
    return np.stack([first, second], axis=1), np.stack([1 - share, share], axis=1) * inside[:, None]


def _nearest(axis: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The number of the nearest value of an ascending axis; the earlier of two that are as near."""
    both, share = _between(axis, np.clip(at, axis[0], axis[-1]), hair=0.0)
    return np.where(share[:, 1] > 0.5, both[:, 1], both[:, 0])


def _on_latitude(axis: np.ndarray, table: xr.Dataset) -> Along:
    return _between(axis, table["latitude"].values.astype(float), _HAIR)


def _on_longitude(axis: np.ndarray, table: xr.Dataset) -> Along:
    """However either counts its longitudes; round the seam of a grid that goes all the way."""
    at = axis[0] + (table["longitude"].values.astype(float) - axis[0]) % 360.0
    at = np.where(at > axis[0] + 360.0 - _HAIR, axis[0], at)  # a hair west of the first centre
    if not is_periodic(xr.DataArray(axis)):
        return _between(axis, at, _HAIR)
    column, share = _between(np.append(axis, axis[0] + 360.0), at, _HAIR)
    return column % len(axis), share


def _on_depth(axis: np.ndarray, table: xr.Dataset, above: float) -> Along:
    """Constant a little above the first level."""
    at = table["depth"].values.astype(float)
    at = np.where((at < axis[0]) & (axis[0] - at <= above), axis[0], at)
    return _between(axis, at, hair=_ONE_LEVEL * max(1.0, axis[-1]))
