"""The seam: the only module that knows both xarray and torch. Labels come off once here, and go back on once.

Dataset ──to_fields──▶ named tensors ──to_dataset──▶ Dataset          Dataset ──geometry──▶ Geometry
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import xarray as xr
from jaxtyping import Bool, Float
from torch import Tensor

from oceanx.ocean import grid
from oceanx.ocean.flags import meanings
from oceanx.ocean.interpolation import When, weights
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.observe import Operator, Part
from oceanx.tensors.state import split, stack
from oceanx.vocabulary.channels import Channels
from oceanx.vocabulary.errors import InputError, unknown
from oceanx.vocabulary.names import VARIABLES

DEPTH_TOLERANCE = 0.02  # of the depth itself, plus 0.1 m: how far a named level may lie from the grid's


def select(ds: xr.Dataset, channels: Channels) -> xr.Dataset:
    """The variables of `channels` at its levels, lazily; `InputError` names what the Dataset lacks."""
    for name in channels.names:
        if name not in ds.data_vars and name not in VARIABLES:
            raise unknown("variable", name, map(str, ds.data_vars))
        if name not in ds.data_vars:
            has = ", ".join(map(str, ds.data_vars)) or "none"
            raise InputError(f"{name}: the Dataset lacks this variable, it has {has}; open the store that holds it too")
        if ("depth" in ds[name].dims) != (name in channels.volume):
            expected = "a volume" if name in channels.volume else "a surface"
            raise InputError(f"{name}: expected {expected} variable, found dimensions {ds[name].dims}")
    chosen = ds[list(channels.names)]
    if not channels.volume:
        return chosen
    found = levels(ds, channels.depth)
    together = found == list(range(found[0], found[-1] + 1))  # side by side: a view, no copy of what is in memory
    return chosen.isel(depth=slice(found[0], found[-1] + 1) if together else found)


def levels(ds: xr.Dataset, depth: tuple[float, ...]) -> list[int]:
    """Positions of the levels nearest to `depth`; `InputError` if one is further away than the tolerance."""
    if "depth" not in ds.coords:
        raise InputError(f"the Dataset has no `depth`; expected levels {list(depth)} m")
    have = np.atleast_1d(ds.depth.values)
    found = [int(np.abs(have - wanted).argmin()) for wanted in depth]
    for wanted, at in zip(depth, found, strict=True):
        if abs(have[at] - wanted) > 0.1 + DEPTH_TOLERANCE * wanted:
            listed = ", ".join(f"{value:g}" for value in have)
            raise InputError(f"depth: no level near {wanted:g} m; the Dataset has {listed} m")
    if len(set(found)) < len(found):
        raise InputError(f"depth: {list(depth)} m name one level twice; the nearest are {have[found].tolist()} m")
    return found


def to_fields(ds: xr.Dataset, channels: Channels) -> dict[str, Float[Tensor, "time level lat lon"]]:
    """The named tensors of a Dataset along its leading dimension (time); land stays NaN; the dtype is kept.

    A surface variable gets a depth of 1. Dimensions may stand in any order in the Dataset.
    """
    chosen = select(ds, channels)
    fields = {}
    for name in channels.names:
        lead = [dim for dim in chosen[name].dims if dim not in ("depth", "latitude", "longitude")]
        if len(lead) != 1:
            raise InputError(f"{name}: expected one dimension beside the grid's (time), found {lead}; select first")
        depth = ["depth"] if name in channels.volume else []
        values = chosen[name].transpose(*lead, *depth, "latitude", "longitude").values
        # torch takes neither read-only memory (of a broadcast) nor the foreign byte order of some NetCDF files.
        tensor = torch.from_numpy(np.require(values, values.dtype.newbyteorder("="), ["C", "W"]))
        fields[name] = tensor if depth else tensor[:, None]
    return fields


def to_tensor(ds: xr.Dataset, channels: Channels) -> Float[Tensor, "time channel lat lon"]:
    """The Dataset's variables stacked in channel order; land stays NaN. Inverse: `to_dataset`."""
    return stack(to_fields(ds, channels), channels)


def to_dataset(
    fields: Mapping[str, Tensor] | Float[Tensor, "time channel lat lon"],
    channels: Channels,
    like: xr.Dataset,
    dim: str = "time",
) -> xr.Dataset:
    """A Dataset of named tensors (or of their stack) with the coordinates and attributes of `like`.

    Parameters
    ----------
    like
        A Dataset with the same variables, levels and grid; its coordinates along `dim`, if they have the right
        length, are taken too.
    dim
        Name of the leading dimension.
    """
    named = split(fields, channels) if isinstance(fields, Tensor) else fields
    template = select(like, channels)
    variables = {}
    for name in channels.names:
        values = named[name].detach().cpu().numpy()
        depth = ["depth"] if name in channels.volume else []
        dims = (dim, *depth, "latitude", "longitude")
        variables[name] = (dims, values if depth else values[:, 0], template[name].attrs)
    result = xr.Dataset(variables, attrs=like.attrs)
    coords = template.coords.to_dataset()
    misfits = [name for name, size in coords.sizes.items() if result.sizes.get(name) != size]
    return result.assign_coords(coords.drop_dims(misfits).coords)


def fill_land(
    fields: Mapping[str, Tensor], mask: Float[Tensor, "depth lat lon"], where: str
) -> dict[str, Float[Tensor, "time level lat lon"]]:
    """The fields as float32 with 0 on land; `InputError` names the first variable that lacks a wet cell.

    Parameters
    ----------
    where
        What to call these fields in the message, such as their dates.
    """
    refuse_nan(fields, mask, where)
    return {name: torch.where(wet_of(field, mask), field.float(), 0.0) for name, field in fields.items()}


def refuse_nan(fields: Mapping[str, Tensor], mask: Float[Tensor, "depth lat lon"], where: str) -> None:
    """Raise `InputError` naming the first variable that is NaN in a wet cell, and in how many."""
    for name, field in fields.items():
        count = int((field.isnan() & wet_of(field, mask)).sum())
        if count:
            raise lacking(name, count, where)


def lacking(name: str, count: int, where: str) -> InputError:
    """What is said of a variable that is NaN in so many wet cells."""
    return InputError(
        f"{name}: {count} wet cells are NaN at {where}; list the day under missing_times, or bake again so "
        "that the mask fits the data"
    )


def wet_of(field: Tensor, mask: Float[Tensor, "depth lat lon"]) -> Bool[Tensor, "level lat lon"]:
    """The wet cells of a field with as many levels as the mask has, or of a surface field."""
    return (mask if field.shape[1] == len(mask) else mask[:1]).bool()


def grid_of(ds: xr.Dataset, channels: Channels) -> xr.Dataset:
    """The grid at the levels of `channels` by itself: coordinates with mask, area and thickness, in memory.

    Layers are as thick as they are among the chosen levels. Surface channels have no depth.
    """
    full = grid.complete(ds)
    if "depth" in full.dims:
        full = full.isel(depth=levels(full, channels.depth)) if channels.volume else full.isel(depth=0, drop=True)
    coords = {name: full[name].load() for name in ("latitude", "longitude", "mask", "cell_area")}
    if channels.volume:
        coords |= {"depth": full.depth, "thickness": grid.thickness(full.depth)}
    return xr.Dataset(coords=coords)


def wet_mask(labelled: xr.Dataset) -> Float[Tensor, "depth lat lon"]:
    """The mask of `grid_of`, 1 where wet."""
    mask = labelled.mask if "depth" in labelled.mask.dims else labelled.mask.expand_dims("depth")
    return torch.from_numpy(mask.transpose("depth", "latitude", "longitude").values.astype("float32"))


def geometry(labelled: xr.Dataset, dtype: torch.dtype = torch.float32) -> Geometry:
    """The Geometry of `grid_of`: metrics of its cells and faces as tensors; one layer 1 m thick if it has no depth."""
    if min(labelled.sizes["latitude"], labelled.sizes["longitude"]) < 2:
        raise InputError("the grid has a single row or column; a model needs at least 2 × 2 cells")
    volume = "depth" in labelled.dims
    return Geometry(
        torch.from_numpy(_edges(labelled, "latitude")),
        torch.from_numpy(_edges(labelled, "longitude")),
        torch.from_numpy(labelled.depth.values.astype("float64") if volume else np.zeros(1)),
        torch.from_numpy(labelled.thickness.values.astype("float64") if volume else np.ones(1)),
        wet_mask(labelled),
        periodic=grid.is_periodic(labelled.longitude),
        dtype=dtype,
    )


def _edges(labelled: xr.Dataset, axis: str) -> np.ndarray:
    """Cell edges as areas have them: of a periodic axis with unequal spacing they span 360° all the same."""
    bounds = grid.bounds(labelled)[f"{axis}_bnds"].values
    return np.append(bounds[:, 0], bounds[-1, 1])


def operator(
    table: xr.Dataset, labelled: xr.Dataset, channels: Channels, time: When | None = None
) -> tuple[Operator, Bool[np.ndarray, " obs"]]:
    """The observation operator of those rows of a table that the grid has something to say about, and which those are.

    Parameters
    ----------
    table
        Observation table. Rows of variables that are none of `channels` are not found.
    labelled
        The grid, of `grid_of`; with `time`, the dates of a window's states too.
    time
        None: of one state, whatever the time of the observations; else as `oceanx.ocean.interpolation.weights` has it.
    """
    parts: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray, tuple[int, int, int]]] = {}
    found = np.zeros(table.sizes["obs"], bool)
    points = table[["time", "latitude", "longitude", "depth"]]
    area = {name: labelled.sizes[name] for name in ("latitude", "longitude")}
    for code, name in meanings(table["variable"].attrs).items():
        rows = np.flatnonzero(table["variable"].values == code)
        if not rows.size or name not in channels.names:
            continue
        volume = name in channels.volume
        space = labelled if volume or "depth" not in labelled.dims else labelled.isel(depth=0, drop=True)
        made = weights(space, points.isel(obs=rows), time=time)
        there = made.found
        rows, made = rows[there], made.rows(there)
        found[rows] = True
        shape = (len(channels.depth) if volume else 1, area["latitude"], area["longitude"])
        parts[name] = rows, made.index, made.weight, shape
    place = np.cumsum(found) - 1
    tensors = {
        name: Part(torch.from_numpy(place[rows]), torch.from_numpy(index), torch.from_numpy(weight), shape)
        for name, (rows, index, weight, shape) in parts.items()
        if rows.size
    }
    times = labelled.sizes["time"] if time else 1
    return Operator(tensors, int(found.sum()), times), found


def statistics(ds: xr.Dataset) -> dict[str, Float[Tensor, " level"]]:
    """The statistics of `ocean.statistics` as tensors, one value a level (one for a surface variable)."""
    return {str(name): torch.from_numpy(np.atleast_1d(ds[name].values).astype("float32")) for name in ds.data_vars}
