"""Lineage: which cells of which Zarr array a lazy variable holds, if it holds nothing else.

A variable that was only selected from (levels, a box, days) is what its store says; one that was computed with is not.
The proof is to run its own graph of tasks with `_Places` instead of blocks of numbers: they can be sliced, taken and
joined, and whatever else is done to them raises. Nothing is read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import dask
import numpy as np
import xarray as xr
import zarr

from ..formats.packing import decode, markers

_HARMLESS = {"getitem", "astype", "rechunk-merge", "rechunk-split"}  # layers that treat every block alike
_LINEAR = {"scale_factor", "add_offset", "_FillValue", "missing_value"}
_WRAPPERS = {"ImplicitToExplicitIndexingAdapter", "CopyOnWriteArray", "MemoryCachedArray"}
_NOT_FOLLOWED = (TypeError, ValueError, KeyError, IndexError, AttributeError, ArithmeticError)


@dataclass(frozen=True)
class Decoding:
    """How stored numbers become values: NaN where they are `fill`, else `number * scale + offset` in float64."""

    scale: float = 1.0
    offset: float = -0.0  # the one number that changes nothing when added, not even the sign of zero
    fill: float = np.nan


@dataclass(frozen=True)
class Origin:
    """An array of a store, the positions in it that a variable holds along each axis, and how its numbers decode."""

    array: zarr.Array
    places: tuple[np.ndarray, ...]
    decoding: Decoding


def origin(v: xr.DataArray) -> Origin | None:
    """Where a lazy variable comes from; None if it is in memory, was computed with, or cannot be followed."""
    try:
        graph = getattr(v.variable._data, "__dask_graph__", None)
        found = _of_graph(v.data, graph()) if graph else _unwrapped(v.variable._data)
    except _NOT_FOLLOWED:
        return None
    return found if found and tuple(len(p) for p in found.places) == v.shape else None


def _of_graph(data: Any, graph: Any) -> Origin | None:
    roots = [name for name, needs in graph.dependencies.items() if not needs]
    readers = [name for name, needs in graph.dependencies.items() if needs == {roots[0]}]
    if len(roots) != 1 or len(readers) != 1:
        return None
    decoders = [name for name, needs in graph.dependencies.items() if needs == {readers[0]} and _is_decoder(name)]
    others = set(graph.layers) - {roots[0], readers[0], *decoders}
    if any(name.rpartition("-")[0] not in _HARMLESS for name in others):
        return None
    (stored,) = dict(graph.layers[roots[0]]).values()
    source = _unwrapped(stored)
    if source is not None and decoders:
        source = _decoded(source, graph.layers[decoders[0]])
    if source is None or len(decoders) > 1:
        return None
    # One line of blocks along each axis tells all, since every layer treats all blocks alike.
    lines = [[_key(data, axis, i) for i in range(count)] for axis, count in enumerate(data.numblocks)]
    wanted = {key for line in lines for key in line}
    tasks = dict(graph.cull(wanted))
    tasks[roots[0]] = _Places([np.arange(len(p)) for p in source.places], stored.dtype)
    tasks |= {key: (readers[0], *key[1:]) for key in tasks if isinstance(key, tuple) and key[0] in decoders}
    blocks = dict(zip(wanted, dask.get(tasks, list(wanted)), strict=True))
    places = []
    for axis, line in enumerate(lines):
        if not all(isinstance(blocks[key], _Places) for key in line):
            return None
        along = np.concatenate([blocks[key].along[axis] for key in line])
        places.append(source.places[axis][along])
    return Origin(source.array, tuple(places), source.decoding)


def _is_decoder(layer: str) -> bool:
    return layer.rpartition("-")[0] == decode.__name__


def _decoded(source: Origin, layer: Any) -> Origin | None:
    """The origin with the packing that `open_store` decodes by, block by block."""
    task = next(iter(layer.values()))
    packing = task.kwargs.get("packing")
    if task.func is not decode or packing is None or source.decoding != Decoding() or set(packing) - _LINEAR:
        return None
    missing, _ = markers(source.array.dtype, packing)
    if len(missing) > 1 or set(task.kwargs) != {"packing"}:
        return None
    scale, offset = float(packing.get("scale_factor", 1.0)), float(packing.get("add_offset", -0.0))
    return replace(source, decoding=Decoding(scale, offset, *map(float, missing)))


def _key(data: Any, axis: int, number: int) -> tuple[Any, ...]:
    return (data.name, *(number if a == axis else 0 for a in range(data.ndim)))


def _unwrapped(held: Any) -> Origin | None:
    """What lies under xarray's lazy wrappers: a Zarr array, an index, and the functions that decode it."""
    functions: list[Callable[..., Any]] = []
    index: tuple[Any, ...] | None = None
    while type(held).__name__ != "ZarrArrayWrapper":
        kind = type(held).__name__
        if kind == "_ElementwiseFunctionArray":
            functions.insert(0, held.func)
        elif kind == "LazilyIndexedArray" and index is None:
            index = held.key.tuple
        elif kind not in _WRAPPERS:
            return None
        held = held.array
    decoding = _decoding(functions, np.dtype(held.dtype))
    index = index or (slice(None),) * len(held.shape)
    if decoding is None or not all(isinstance(k, slice | np.ndarray) for k in index):
        return None
    places = tuple(np.arange(size)[k] for size, k in zip(held.shape, index, strict=True))
    return Origin(held.get_array(), places, decoding)


def _decoding(functions: Sequence[Callable[..., Any]], stored: np.dtype) -> Decoding | None:
    """xarray's decoding functions, first one first, as numbers; None for one that is done otherwise here."""
    named = {f.func.__name__: f.keywords for f in functions if isinstance(f, partial)}
    if len(named) != len(functions) or list(named) not in (
        [],
        ["_apply_mask"],
        ["_scale_offset_decoding"],
        ["_apply_mask", "_scale_offset_decoding"],
    ):
        return None
    decoding = Decoding()
    if masked := named.get("_apply_mask"):
        fills = list(masked["encoded_fill_values"])
        if len(fills) != 1 or float(stored.type(fills[0])) != float(fills[0]):
            return None
        decoding = Decoding(fill=float(fills[0]))
    if scaled := named.get("_scale_offset_decoding"):
        if np.dtype(scaled["dtype"]) != np.float64:
            return None
        scale, offset = scaled["scale_factor"], scaled["add_offset"]
        decoding = Decoding(
            1.0 if scale is None else float(scale), -0.0 if offset is None else float(offset), decoding.fill
        )
    return decoding


class _Places:
    """What stands for a block of numbers while a graph is followed: the positions that it holds along each axis."""

    __array_ufunc__ = None

    def __init__(self, along: Sequence[np.ndarray], dtype: Any):
        self.along, self.dtype = list(along), np.dtype(dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(len(places) for places in self.along)

    @property
    def ndim(self) -> int:
        return len(self.along)

    def __array__(self, *args: Any, **kwargs: Any) -> np.ndarray:
        raise TypeError("numbers are wanted")

    def __getitem__(self, key: Any) -> _Places:
        keys = key if isinstance(key, tuple) else (key,)
        picked = [k for k in keys if not isinstance(k, slice)]
        if len(keys) > self.ndim or len(picked) > 1 or any(np.ndim(k) != 1 for k in picked):
            raise TypeError("not a selection along the axes")
        keys = (*keys, *[slice(None)] * (self.ndim - len(keys)))
        return _Places([places[k] for places, k in zip(self.along, keys, strict=True)], self.dtype)

    def astype(self, dtype: Any, **kwargs: Any) -> _Places:
        """As float32 or float64 of at least 32 bits: in the end all becomes float32, and is rounded once only."""
        if np.dtype(dtype) not in (np.float32, np.float64):
            raise TypeError("not a float")
        return _Places(self.along, dtype)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> _Places:
        if function is np.concatenate:
            return _joined(*args, **kwargs)
        if function is np.take:
            return _taken(*args, **kwargs)
        raise TypeError(f"{function.__name__} is computed")


def _joined(blocks: Sequence[_Places], axis: int = 0) -> _Places:
    first = blocks[0]
    for block in blocks:
        for a in range(first.ndim):
            if a != axis and not np.array_equal(block.along[a], first.along[a]):
                raise TypeError("blocks of different cells")
    along = [np.concatenate([b.along[a] for b in blocks]) if a == axis else first.along[a] for a in range(first.ndim)]
    return _Places(along, first.dtype)


def _taken(block: _Places, indices: Any, axis: int) -> _Places:
    return block[(*[slice(None)] * axis, np.asarray(indices))]
