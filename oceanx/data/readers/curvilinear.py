"""NetCDF files on a curvilinear grid (NEMO, ROMS, POP, projected maps), regridded to a rectilinear one in reading.

The grid has two-dimensional latitude and longitude. Every level is replaced by the area-weighted means of its wet cells
over the cells of the target, from where on the file is like any other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ...ocean.regrid import LEAST, Grid, refuse_least
from ...ocean.regrid_cells import CellWeights, cell_weights
from ...vocabulary.errors import InputError
from ...vocabulary.names import VARIABLES
from ..formats import layout, netcdf
from ..formats.layout import Column
from ..formats.packing import decode
from ..formats.part import Part, Wanted, everything, to_dataset

_PLACES = ("latitude", "longitude")
_UNITS = {"latitude": ("degrees_north", "degree_north", "degree_n", "degrees_n"),
          "longitude": ("degrees_east", "degree_east", "degree_e", "degrees_e")}  # fmt: skip
_CORNERS = {"latitude": ("bounds_lat", "lat_bnds", "lat_bounds", "vertices_latitude", "lat_vertices"),
            "longitude": ("bounds_lon", "lon_bnds", "lon_bounds", "vertices_longitude", "lon_vertices")}  # fmt: skip
_TERRAIN = ("ocean_s_coordinate", "ocean_sigma", "ocean_double_sigma", "atmosphere_hybrid")


def read(path: Path | str, grid: Mapping[str, Any] | None = None, least: float = LEAST) -> xr.Dataset:
    """The Dataset of one file on the target grid, in memory: our names, dims and units."""
    return to_dataset(parts(Path(path), everything(), Path(), grid=grid, least=least))


def parts(
    path: Path,
    wanted: Mapping[str, Wanted],
    scratch: Path,
    *,
    grid: Mapping[str, Any] | None = None,
    least: float = LEAST,
) -> list[Part]:
    """What one file holds, on the target grid. `scratch` is not needed.

    Parameters
    ----------
    grid
        The target: `{resolution: 0.5}`, or `latitude` and `longitude` as [first, last, step], or `{like: store}`.
    least
        The share of a target cell that must be wet for its value not to be NaN.

    Raises
    ------
    InputError
        If no grid is given, the file's is rectilinear, levels follow the terrain, or a vector's components are along
        the grid's own axes.
    """
    if grid is None:
        raise InputError("options: grid: missing; the reader 'curvilinear' needs a target, such as "
                         "options: {grid: {resolution: 0.5}}")  # fmt: skip
    target = Grid.parse(grid, "options: grid")
    refuse_least(least)
    label = str(path)
    with netcdf.opened(path) as file, netcdf.LOCK:
        try:
            columns = {n: netcdf._column(v) for n, v in file.dataset().variables.items()}
            found = {n for n in (_held(columns, want) for want in wanted.values()) if n}
            _refuse_terrain(label, columns, found)
            places = _places(label, columns, found)
            _refuse_turned(label, columns, wanted)
            made = _weights(label, columns, places, target)
            regridding = _Regridding(path, columns[places[0]].dims, made, least, _packings(columns))
            part = layout.make_part(label, _seen(columns, regridding), wanted, partial(_reading, regridding),
                                    _roles(columns, found))  # fmt: skip
        except (OSError, RuntimeError) as error:
            raise InputError(f"{label}: is damaged or truncated ({error}); download it again") from None
    notes = (
        *part.notes,
        f"regridded from a curvilinear grid of {' × '.join(map(str, columns[places[0]].shape))} cells",
    )
    return [replace(part, notes=(*notes, *made.notes))]


# Reading


@dataclass(frozen=True, eq=False)
class _Regridding:
    """What is needed to read a file as if it were on the target grid."""

    path: Path
    dims: tuple[str, ...]  # of the curvilinear grid
    weights: CellWeights
    least: float
    packings: Mapping[str, Mapping[str, Any]]


@contextmanager
def _reading(regridding: _Regridding) -> Iterator[Mapping[str, Any]]:
    with netcdf.reading(regridding.path) as file:
        yield _Seen(file, regridding)


class _Seen(Mapping[str, Any]):
    """The variables of an open file, as they are on the target grid."""

    def __init__(self, file: netcdf.File, regridding: _Regridding) -> None:
        self._file, self._regridding = file, regridding

    def __getitem__(self, name: str) -> Any:
        return _Field(self._file[name], self._regridding, self._regridding.packings[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._file)

    def __len__(self) -> int:
        return len(self._file)


class _Field:
    """One variable: indexing it in (…, latitude, longitude) reads and regrids what that takes."""

    def __init__(self, array: Any, regridding: _Regridding, packing: Mapping[str, Any]) -> None:
        self._array, self._regridding, self._packing = array, regridding, packing

    def __getitem__(self, index: tuple[Any, ...]) -> np.ndarray:
        *others, rows, columns = index
        across, left = iter(others), []
        for dim in self._array.dimensions:
            left.append((dim, slice(None) if dim in self._regridding.dims else next(across)))
        values = decode(np.asarray(self._array[tuple(at for _, at in left)]), self._packing, np.float64)
        dims = [dim for dim, at in left if isinstance(at, slice)]
        values = np.moveaxis(values, [dims.index(dim) for dim in self._regridding.dims], [-2, -1])
        flat = values.reshape(*values.shape[:-2], -1)
        return self._regridding.weights.means(flat, self._regridding.least)[..., rows, columns]


def _seen(columns: Mapping[str, Column], regridding: _Regridding) -> dict[str, Column]:
    """The variables as the layout is to see them: on the target grid, decoded; without the curvilinear coordinates."""
    axes = dict(zip(_PLACES, regridding.weights.target, strict=True))
    seen = {}
    for name, column in columns.items():
        across = [d for d in column.dims if d in regridding.dims]
        if not across:
            seen[name] = column
        elif len(column.dims) > 2 and len(across) == 2:
            sizes = dict(zip(column.dims, column.shape, strict=True))
            rest = [d for d in column.dims if d not in across]
            attrs = {k: a for k, a in column.attrs.items() if k not in layout._PACKING}
            attrs["cell_methods"] = f"{attrs.get('cell_methods', '')} area: mean".strip()
            shape = (*(sizes[d] for d in rest), *(a.size for a in axes.values()))
            seen[name] = Column((*rest, *_PLACES), shape, attrs, None)
    return seen | {
        name: Column((name,), values.shape, {"standard_name": name}, values) for name, values in axes.items()
    }


def _packings(columns: Mapping[str, Column]) -> dict[str, dict[str, Any]]:
    return {n: {k: c.attrs[k] for k in layout._PACKING if k in c.attrs} for n, c in columns.items()}


# The grid


def _places(label: str, columns: Mapping[str, Column], found: set[str]) -> tuple[str, str]:
    """The two-dimensional latitude and longitude on which the variables stand; those that they name come first."""
    plane = {role: [n for n, c in columns.items() if len(c.dims) == 2 and _is(role, c)] for role in _PLACES}
    pairs = [(a, b) for a in plane["latitude"] for b in plane["longitude"] if columns[a].dims == columns[b].dims]
    if not pairs:
        raise InputError(
            f"{label}: no two-dimensional latitude and longitude on the same points among {sorted(columns)}; "
            "a rectilinear grid is for the reader 'cf' and the step regrid"
        )
    used = set()
    for name in sorted(found):
        here = [p for p in pairs if set(columns[p[0]].dims) <= set(columns[name].dims)]
        said = str(columns[name].attrs.get("coordinates", "")).split()
        named = [p for p in here if p[0] in said and p[1] in said] or here
        if named:
            used.add(_near_in_name(named))
    if len(used) > 1:
        told = " and ".join(sorted(f"({a}, {b})" for a, b in used))
        raise InputError(
            f"{label}: variables stand on different points, {told}; choose those on one with variables=[…]"
        )
    return next(iter(used or pairs))


def _near_in_name(pairs: list[tuple[str, str]]) -> tuple[str, str]:
    """The first pair whose names differ by lat and lon alone: not TLAT with ULONG."""
    return next((p for p in pairs if p[0][:1] == p[1][:1] or p[0][-3:] == p[1][-3:]), pairs[0])


def _is(role: str, column: Column) -> bool:
    unit = str(column.attrs.get("units", "")).lower()
    return column.attrs.get("standard_name") == role or unit in _UNITS[role]


def _weights(label: str, columns: Mapping[str, Column], places: tuple[str, str], target: Grid) -> CellWeights:
    """The weights of a file's grid: made once for all files that have the same."""
    centres = [_values(columns[name]) for name in places]
    corners = [_corners(columns, role, name) for role, name in zip(_PLACES, places, strict=True)]
    given = [c for c in corners if c is not None]
    try:
        return _made(_Cells((*centres, *(given if len(given) == 2 else ()))), target)
    except InputError as error:
        raise InputError(f"{label}: {error}") from None


def _corners(columns: Mapping[str, Column], role: str, name: str) -> np.ndarray | None:
    """Corners (y, x, 4) of the cells, if the file has them."""
    for bounds in (columns[name].attrs.get("bounds"), *_CORNERS[role]):
        column = columns.get(str(bounds))
        if (
            column is not None
            and len(column.shape) == 3
            and column.dims[:2] == columns[name].dims
            and column.shape[2] == 4
        ):
            return _values(column)
    return None


def _values(column: Column) -> np.ndarray:
    packing = {k: column.attrs[k] for k in layout._PACKING if k in column.attrs}
    return decode(np.asarray(column.array[...]), packing, np.float64)


class _Cells:
    """Centres and corners of a grid, equal to another file's if the numbers are."""

    def __init__(self, arrays: tuple[np.ndarray, ...]) -> None:
        self.arrays = arrays
        self._digest = hashlib.sha256(b"".join(a.tobytes() for a in arrays)).digest()

    def __hash__(self) -> int:
        return hash(self._digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Cells) and self._digest == other._digest


@lru_cache(maxsize=4)
def _made(cells: _Cells, target: Grid) -> CellWeights:
    latitude, longitude, *corners = cells.arrays
    return cell_weights(latitude, longitude, target, (corners[0], corners[1]) if corners else None)


# What cannot be had


def _held(columns: Mapping[str, Column], want: Wanted) -> str | None:
    return layout._by_name(columns, want) or layout._by_standard_name(columns, want, set())


def _refuse_terrain(label: str, columns: Mapping[str, Column], found: set[str]) -> None:
    """`InputError` if the levels of what is wanted, or of all there is, have no depth of their own."""
    for dim, column in columns.items():
        kind = str(column.attrs.get("standard_name", ""))
        if column.dims != (dim,) or not kind.startswith(_TERRAIN):
            continue
        on_it = sorted(n for n, c in columns.items() if dim in c.dims and len(c.dims) > 2)
        wanted = [n for n in on_it if n in found]
        if wanted or (on_it and not found):
            raise InputError(
                f"{label}: the levels of {(wanted or on_it)[0]} follow the terrain ({dim}: {kind}), so they have no "
                "depths; interpolate to fixed depths first, or choose surface variables with variables=[…]"
            )


def _refuse_turned(label: str, columns: Mapping[str, Column], wanted: Mapping[str, Wanted]) -> None:
    """`InputError` for a component of a vector that is not said to be eastward or northward."""
    for ours, want in wanted.items():
        meant = VARIABLES[ours].standard_name
        if "eastward" not in meant and "northward" not in meant:
            continue
        name = _held(columns, want)
        said = str(columns[name].attrs.get("standard_name", "missing")) if name else ""
        if name and not {"eastward", "northward"} & set(said.split("_")):
            raise InputError(
                f"{label}: {name} is not said to be {meant} (its standard_name: {said}): on a curvilinear grid it is "
                "along the grid's own axes; turn it to east and north first, or leave it out with variables=[…]"
            )


def _roles(columns: Mapping[str, Column], found: set[str]) -> dict[str, str]:
    """The axes of the target, and the time that counts from a date: NEMO has one that does not beside one that does."""
    roles = {role: role for role in _PLACES}
    across = {d for name in found for d in columns[name].dims}
    dated = [
        n for n, c in columns.items() if " since " in str(c.attrs.get("units", "")) and c.dims and set(c.dims) <= across
    ]
    best = [n for n in dated if columns[n].attrs.get("standard_name") == "time"] or [n for n in dated if n in across]
    return roles | ({"time": best[0]} if best else {})
