"""Several observation tables as one, without reading more than their times and their platforms."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from ...vocabulary.errors import InputError
from ..flags import meanings
from ..observations import (
    CODES,
    COLUMNS,
    COORDINATES,
    FEATURE,
    column_attrs,
    joined_attrs,
    tally,
    with_codes,
    with_rejections,
)
from .repeats import repeated

_CODED = ("variable", "platform")
_AT_ONCE = 2**20  # rows of a chunk


def joined(parts: Sequence[xr.Dataset], names: Sequence[str]) -> xr.Dataset:
    """One table of several, sorted by time, lazy where they are; data that are in two of them are flagged "repeated".

    Of equal times the earlier part's come first. Only times are read and, of platforms that are in several parts, what
    tells whether their data are the same.

    Parameters
    ----------
    names
        What errors call the parts.

    Raises
    ------
    InputError
        If a part is no table of observations, is not sorted by time, or has a column that another lacks.
    """
    for ds, name in zip(parts, names, strict=True):
        absent = [c for c in (*COORDINATES, *COLUMNS) if c not in ds.variables]
        if absent:
            raise InputError(f"{name}: has no {', '.join(absent)}; expected a table of observations")
    _refuse_other_columns(parts, names)
    order = _order(parts, names)
    chunks = [] if order is None else _taken(order, [ds.sizes["obs"] for ds in parts])
    words = {c: list(dict.fromkeys(w for ds in parts for w in meanings(ds[c].attrs).values())) for c in _CODED}
    kinds = {str(ds.attrs.get(FEATURE, "point")) for ds in parts}
    kind = kinds.pop() if len(kinds) == 1 else "point"
    codes = {code for ds in parts for code in meanings(ds["qc"].attrs)}
    attrs = column_attrs(words["variable"], words["platform"], codes, kind)
    whole: dict[str, xr.Variable] = {}
    for name in (*COORDINATES, *COLUMNS, *_further(parts[0])):
        v = _merged([_recoded(ds, name, words) for ds in parts], order, chunks)
        whole[name] = xr.Variable(v.dims, v.data, attrs.get(name, parts[0][name].attrs))
    coords: dict[str, Any] = {str(n): c.variable for n, c in parts[0].coords.items() if "obs" not in c.dims}
    coords |= {n: whole.pop(n) for n in COORDINATES}
    told = {"Conventions": "CF-1.11", "featureType": "point", FEATURE: kind}
    ds = xr.Dataset(whole, coords, joined_attrs([part.attrs for part in parts]) | told)
    return _flagged(ds, parts, order)


def _further(ds: xr.Dataset) -> list[str]:
    return [str(n) for n in ds.data_vars if n not in COLUMNS]


def _refuse_other_columns(parts: Sequence[xr.Dataset], names: Sequence[str]) -> None:
    first = set(_further(parts[0]))
    for ds, name in zip(parts[1:], names[1:], strict=True):
        for column in sorted(first ^ set(_further(ds))):
            has, lacks = (names[0], name) if column in first else (name, names[0])
            raise InputError(f"{column}: is a column of {has}, not of {lacks}; leave it out with ds.drop_vars")
        for label, c in parts[0].coords.items():
            if "obs" not in c.dims and not (label in ds.coords and c.equals(ds[label])):
                raise InputError(f"{label}: differs between {names[0]} and {name}; open those of one {label}")


def _order(parts: Sequence[xr.Dataset], names: Sequence[str]) -> np.ndarray | None:
    """The rows of the parts, one part after another, in the order of time; None where they are so already."""
    times = [ds["time"].values for ds in parts]
    for time, name in zip(times, names, strict=True):
        if (np.diff(time) < np.timedelta64(0)).any():
            raise InputError(f"{name}: is not sorted by time; sort with ds.sortby('time')")
    whole = np.concatenate(times)
    return None if (np.diff(whole) >= np.timedelta64(0)).all() else np.argsort(whole, kind="stable")


def _taken(order: np.ndarray, sizes: Sequence[int]) -> list[tuple[list[slice], np.ndarray]]:
    """For every chunk of the whole, which rows of it all it takes and their order: of each part, rows that follow."""
    ends = np.cumsum([0, *sizes])
    begins, made = ends[:-1].copy(), []
    for first in range(0, order.size, _AT_ONCE):
        rows = order[first : first + _AT_ONCE]
        part = np.searchsorted(ends, rows, side="right") - 1
        counts = np.bincount(part, minlength=len(sizes))
        place = rows - begins[part] + (np.cumsum(counts) - counts)[part]
        made.append(([slice(a, a + n) for a, n in zip(begins, counts, strict=True) if n], place))
        begins += counts
    return made


def _merged(
    parts: Sequence[xr.Variable], order: np.ndarray | None, chunks: Sequence[tuple[list[slice], np.ndarray]]
) -> xr.Variable:
    """A column of all parts in order, chunk by chunk where it is lazy."""
    whole = xr.Variable.concat(parts, "obs")
    if order is None or not whole.chunks:
        return whole if order is None else whole.isel(obs=order)
    made = []
    for pieces, place in chunks:
        here = xr.Variable.concat([whole.isel(obs=piece) for piece in pieces], "obs").chunk(-1)
        taken = partial(np.take, indices=place, axis=0)
        made.append(xr.apply_ufunc(taken, here, dask="parallelized", output_dtypes=[whole.dtype]))
    return xr.Variable.concat(made, "obs")


def _recoded(ds: xr.Dataset, name: str, words: dict[str, list[str]]) -> xr.Variable:
    v = ds[name].variable
    if name not in _CODED:
        return v
    known = meanings(v.attrs)
    new = np.zeros(max([0, *known]) + 1, v.dtype)
    for code, word in known.items():
        new[code] = words[name].index(word)
    return xr.apply_ufunc(lambda codes: new[codes], v, dask="parallelized", output_dtypes=[v.dtype])


def _flagged(ds: xr.Dataset, parts: Sequence[xr.Dataset], order: np.ndarray | None) -> xr.Dataset:
    """The table with what is in two parts under the code of repeated data."""
    held = [set(meanings(part["platform"].attrs).values()) for part in parts]
    shared = {name for k, mine in enumerate(held) for other in held[k + 1 :] for name in mine & other}
    if not shared:
        return ds
    times = [part["time"].values for part in parts]
    met = np.concatenate([np.isin(t, np.concatenate([*times[:k], *times[k + 1 :]])) for k, t in enumerate(times)])
    codes = [code for code, name in meanings(ds["platform"].attrs).items() if name in shared]
    rows = np.flatnonzero(met if order is None else met[order])
    rows = rows[np.isin(ds["platform"].isel(obs=rows).values, codes)]
    few = ds[[*COLUMNS]].isel(obs=rows).load()
    again = np.zeros(ds.sizes["obs"], bool)
    again[rows] = repeated(few)
    qc = ds["qc"].values
    new = np.where(again & (qc == 0), CODES["repeated"], 0)
    counted = tally(few, new[rows])
    return with_rejections(with_codes(ds, np.where(new > 0, new, qc)), counted)
