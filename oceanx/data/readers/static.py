"""Fields that do not change: the grid files of GLORYS12 and GLO12, relief of land and sea floor, codes of basins."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ...vocabulary.errors import InputError
from ...vocabulary.names import DIMENSIONS, VARIABLES, variable
from .. import units
from ..formats import gridded, netcdf
from ..formats.cutting import along
from ..formats.part import Part, Wanted, decode, space
from .cf import roles

KIND = "fixed"
_NEAR = 1e-3  # degrees, or a share of the depth
Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


def everything() -> dict[str, Wanted]:
    """All fields without time that oceanx has a word for."""
    return {v.name: Wanted((v.name, *v.aliases), v.units) for v in VARIABLES.values() if v.realm == "static"}


def read(path: Path | str) -> xr.Dataset:
    """The Dataset of one file, in memory: our names and units, `cell_area` from the sides of the cells."""
    return dataset(parts(Path(path), everything(), Path()))


def parts(path: Path, wanted: Mapping[str, Wanted], scratch: Path, axes: Mapping[str, str] | None = None) -> list[Part]:
    """What one file holds, at the one time NaT. `scratch` is not needed.

    Parameters
    ----------
    axes
        The file's variable for `depth`, `latitude` or `longitude`, where CF attributes do not tell.
    """
    part = gridded.scan(path, wanted, roles=roles(path, axes), timed=False)
    if "basin" in part.fields:
        part = replace(part, fields=part.fields | {"basin": _coded(path, part)})
    return [part]


def fields(
    paths: Paths,
    latitude: np.ndarray,
    longitude: np.ndarray,
    depth: np.ndarray | None = None,
    names: Sequence[str] | None = None,
) -> xr.Dataset:
    """The Dataset of one or several grid files on a grid that is theirs, or a part of theirs.

    Parameters
    ----------
    latitude, longitude, depth
        Of the cells (degrees, m), each within 1e-3 degrees or 1e-3 of its depth of one of the files'.
    names
        Which variables; None: all but the sides of cells. A field of cell thicknesses is as large as a day of
        temperature.

    Raises
    ------
    InputError
        Naming the file and the cell it lacks, or the file that holds nothing that is known.
    """
    wanted = set(everything() if names is None else names)
    wanted |= {"e1t", "e2t"} if "cell_area" in wanted else set()
    grid = {"latitude": latitude, "longitude": longitude} | ({} if depth is None else {"depth": depth})
    found = []
    for path in [paths] if isinstance(paths, str | os.PathLike) else paths:
        for part in parts(Path(path), everything(), Path()):
            if not part.fields:
                raise InputError(f"{path}: holds none of {', '.join(everything())}; leave it out")
            deep = depth is not None
            kept = {n: f for n, f in part.fields.items() if n in wanted and (deep or not variable(n).volume)}
            found.append(_cut(replace(part, fields=kept), grid))
    ds = dataset(found).drop_vars(["e1t", "e2t"], errors="ignore")
    return ds if names is None else ds[[n for n in names if n in ds]]


def onto(
    static: xr.Dataset, latitude: np.ndarray, longitude: np.ndarray, depth: np.ndarray | None = None
) -> xr.Dataset:
    """The Dataset at the cells of a grid, each within 1e-3 degrees (or 1e-3 of its depth) of one it has."""
    grid = {"latitude": latitude, "longitude": longitude} | ({} if depth is None else {"depth": depth})
    here = {dim: _nearest("static", dim, static[dim].values, grid[dim]) for dim in grid if dim in static.dims}
    ds = static.isel(here)
    return ds.assign_coords({dim: (dim, np.asarray(grid[dim]), static[dim].attrs) for dim in here})


def dataset(found: Sequence[Part]) -> xr.Dataset:
    """The Dataset in memory of parts on one grid, without time; `mask` 1 wet, 0 land."""
    ds = xr.merge([_in_memory(part) for part in found], combine_attrs="override", join="exact", compat="override")
    if {"e1t", "e2t"} <= set(ds) and "cell_area" not in ds:
        area = ds["e1t"].astype("float64") * ds["e2t"]
        ds["cell_area"] = area.assign_attrs(VARIABLES["cell_area"].attrs)
    if "mask" in ds:
        ds["mask"] = (ds["mask"] == 1).astype(np.int8).assign_attrs(ds["mask"].attrs)
    return ds


def _in_memory(part: Part) -> xr.Dataset:
    held = {}
    with part.open() as source:
        for name, field in part.fields.items():
            values = _values(part, source, name)
            convert = units.conversion(field.units, variable(name).units, f"{part.label}: {name}")
            if units.normal(field.units) != variable(name).units:
                values = convert(values.astype(np.float64)).astype(np.float32)
            dims = space(name, part.axes)
            coords = {d: (d, part.axes[d], DIMENSIONS[d]) for d in dims}
            held[name] = xr.DataArray(values, coords, dims, name, dict(variable(name).attrs) | dict(field.attrs))
    return xr.Dataset(held)


def _values(part: Part, source: Mapping[str, Any], name: str) -> np.ndarray:
    """Values ([depth,] latitude, longitude), read level by level and no farther than the part reaches."""
    field, dims = part.fields[name], space(name, part.axes)
    theirs = {part.dims[dim]: dim for dim in dims}
    index = {dim: np.arange(part.axes[dim].size)[o] if isinstance(o := part.order[dim], slice) else o for dim in dims}
    array, flat = source[field.name], [theirs[d] for d in field.dims if theirs.get(d) in ("latitude", "longitude")]
    result = np.empty(part.shape(name), np.float32)
    for level in range(result.shape[0]) if "depth" in dims else (None,):
        key: list[Any] = []
        for dim in field.dims:
            ours = theirs.get(dim)
            if ours in ("latitude", "longitude"):
                key.append(slice(int(index[ours].min()), int(index[ours].max()) + 1))
            else:
                key.append(int(index["depth"][level]) if ours == "depth" and level is not None else 0)
        values = decode(np.asarray(array[tuple(key)]), field.packing)
        values = values if flat == ["latitude", "longitude"] else values.T
        rows, columns = (index[dim] - index[dim].min() for dim in ("latitude", "longitude"))
        result[() if level is None else level] = values[np.ix_(rows, columns)]
    return result


def _cut(part: Part, grid: Mapping[str, np.ndarray]) -> Part:
    """The part at the cells of a grid, under the grid's own coordinates."""
    for dim, wanted in grid.items():
        if dim in part.axes:
            part = along(part, dim, _nearest(part.label, dim, part.axes[dim], wanted))
            part = replace(part, axes=part.axes | {dim: np.asarray(wanted)})
    return part


def _nearest(label: str, dim: str, held: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Where the values of one axis stand in another."""
    wanted = np.atleast_1d(np.asarray(wanted, float))
    at = np.abs(held.astype(float)[:, None] - wanted).argmin(axis=0)
    apart = np.abs(held[at] - wanted) > (_NEAR * np.maximum(1.0, np.abs(wanted)) if dim == "depth" else _NEAR)
    if apart.any():
        lost = wanted[apart][0]
        raise InputError(
            f"{label}: has no {dim} {lost:g} (the nearest is {held[at][apart][0]:g}); expected a file of the same grid"
        )
    return at


def _coded(path: Path, part: Part) -> Any:
    """The field of basin codes with the meaning of each code, where the file lists them (`CLIST`)."""
    with netcdf.opened(path) as file, netcdf.LOCK:
        listed = str(getattr(file.dataset()[part.fields["basin"].name], "CLIST", ""))
    names = ["_".join(line.split()) for line in listed.splitlines() if line.strip()]
    codes = np.arange(1, len(names) + 1, dtype=np.int16)
    attrs: Any = {"flag_values": codes.tolist(), "flag_meanings": " ".join(names)} if names else {}
    return replace(part.fields["basin"], units="1", attrs=attrs)
