"""Direct reading: rows of a Part from the chunks of an HDF5 file, where its layout allows, else not at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .hdf5 import Axis, Stored
    from .part import Part

SPACE = ("depth", "latitude", "longitude")
_AT_ONCE = 64 * 2**20  # bytes of float64 decoded at a time, so that memory does not grow with the file
_MOST_RUNS = 8  # of longitudes one after another; with more, a line is too short to gain by


def read(
    part: Part,
    source: Any,
    name: str,
    rows: Sequence[int],
    result: np.ndarray,
    meaning: Callable[[np.ndarray], np.ndarray],
) -> bool:
    """True if `result` (row, [depth,] latitude, longitude) was filled; False: read it through the library instead.

    A chunk that is damaged gives False too: the library decides whether it is, and says why.
    """
    field = part.fields[name]
    stored = source.stored(field.name)
    if stored is None or not len(rows):
        return False
    axes = _axes(part, name, stored, result.shape[1:])
    if axes is None:
        return False
    from . import hdf5, unpacking

    picks = np.zeros((len(rows), len(stored.shape)), int)
    for number, dim in enumerate(part.time_dims):
        picks[:, field.dims.index(dim)] = part.picks[np.asarray(rows), number]
    flat = result.reshape(len(rows), -1)
    try:
        rule = unpacking.rule(stored.dtype, field.packing, result.dtype) if result.dtype.kind == "f" else None
        if rule is not None:
            hdf5.gather(source.descriptor, stored, picks, axes, flat, rule)
            return True
        step = max(1, _AT_ONCE // max(1, 8 * flat.shape[1]))
        for start in range(0, len(rows), step):
            some = slice(start, start + step)
            native = stored.dtype.newbyteorder("=")
            same = result.dtype == native  # raw numbers are wanted, and may be put where they are wanted
            raw = flat[some] if same else np.empty((len(picks[some]), flat.shape[1]), native)
            hdf5.gather(source.descriptor, stored, picks[some], axes, raw, None)
            meant = meaning(raw)
            if meant is not raw:
                flat[some] = meant
    except OSError:
        return False
    return True


def _axes(part: Part, name: str, stored: Stored, shape: tuple[int, ...]) -> list[Axis] | None:
    """Where the spatial axes of a variable go; None for an order of axes or cells that is not read directly."""
    from .hdf5 import Axis, runs

    field, found = part.fields[name], []
    ours = dict(zip(SPACE[-len(shape) :], range(len(shape)), strict=True))
    theirs = {part.dims[dim]: dim for dim in ours if part.dims.get(dim)}
    if len(field.dims) != len(stored.shape) or not set(part.time_dims) <= set(field.dims):
        return None
    for number, (dim, size) in enumerate(zip(field.dims, stored.shape, strict=True)):
        if dim in theirs:
            order = np.arange(size)[part.order[theirs[dim]]]
            if order.size != part.axes[theirs[dim]].size:
                return None
            found.append(Axis(number, prod(shape[ours[theirs[dim]] + 1 :]), runs(order)))
        elif dim not in part.time_dims and size != 1:
            return None
    if not found or len(found) > 3 or found[-1].dim != len(stored.shape) - 1 or found[-1].stride != 1:
        return None
    broken = len(found[-1].runs) > _MOST_RUNS or any(run.step != 1 for run in found[-1].runs)
    return None if broken else found
