"""Part: one file (or member of a file) as seen from outside, and how its numbers are read and decoded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import xarray as xr

from ...vocabulary.errors import InputError
from ...vocabulary.names import DIMENSIONS, VARIABLES, variable
from .. import units
from . import direct
from .packing import Packing, as_declared, decode, markers, missing_in

SPACE = ("depth", "latitude", "longitude")
Meaning = Callable[[np.ndarray], np.ndarray]  # of raw numbers
_AT_ONCE = 64 * 2**20  # bytes of float64 decoded at a time, so that memory does not grow with the file


@dataclass(frozen=True)
class Wanted:
    """What to look for in a file to find one of our variables, and what to assume where the file is silent."""

    names: tuple[str, ...]
    units: str | None = None
    standard_name: str = ""


def everything() -> dict[str, Wanted]:
    """All variables that oceanx has a word for."""
    return {
        v.name: Wanted((v.name, *v.aliases), standard_name=v.standard_name)
        for v in VARIABLES.values()
        if v.realm != "static"
    }


@dataclass(frozen=True)
class Field:
    """One variable of a file: its name and dimensions there, its packing and what its values mean."""

    name: str
    dims: tuple[str, ...]
    packing: Mapping[str, Any]
    units: str
    cell_methods: str = ""
    attrs: Mapping[str, str] = field(default_factory=dict)  # further ones for the store, laid over the table's
    dtype: np.dtype | None = None  # of the raw numbers, where it is known without reading them


@dataclass(frozen=True, eq=False)
class Part:
    """Where and when the variables of one file stand; numbers are read on demand.

    Attributes
    ----------
    label
        What error messages call it.
    times
        datetime64[ns], one per row of `picks`.
    axes
        Coordinate values by our dimension name, already ascending and with longitude in [-180, 180).
    order
        For each of those dimensions, the index that leads from the file's order to ours.
    picks
        For each time, the position along every one of `time_dims` (none for a scalar time).
    open
        Gives a context in which variables are had by name and indexed as arrays of raw numbers.
    """

    label: str
    times: np.ndarray
    axes: dict[str, np.ndarray]
    order: dict[str, Any]
    dims: dict[str, str]  # our name → the file's dimension
    fields: dict[str, Field]
    open: Callable[[], AbstractContextManager[Mapping[str, Any]]]
    time_dims: tuple[str, ...] = ()
    picks: np.ndarray = field(default_factory=lambda: np.zeros((1, 0), int))
    notes: tuple[str, ...] = ()
    calendar: str = "standard"
    disorder: str = ""  # what is wrong with the order of times in the file; here they ascend
    bounds: np.ndarray | None = None  # of climatological times: (time, 2) datetime64[ns], CF section 7.4

    def with_times(self, times: np.ndarray, cell_methods: str | None = None) -> Part:
        """The same numbers under other time labels."""
        fields = self.fields
        if cell_methods is not None:
            fields = {
                name: replace(f, cell_methods=" ".join(dict.fromkeys(filter(None, (cell_methods, f.cell_methods)))))
                for name, f in fields.items()
            }
        return replace(self, times=times, fields=fields)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of one time of a variable, in our order of dimensions."""
        return tuple(self.axes[d].size for d in space(name, self.axes))

    def read(self, source: Mapping[str, Any], name: str, rows: Sequence[int], dtype: Any = np.float32) -> np.ndarray:
        """Decoded values (row, [depth,] latitude, longitude) in the file's units, NaN where there is none."""
        packing = self.fields[name].packing
        return self._read(source, name, rows, np.dtype(dtype), lambda raw: decode(raw, packing, dtype))

    def packing(self, name: str) -> Packing | None:
        """How a variable is packed; None if its raw numbers are no integers of one linear law, or no one knows."""
        found = self.fields[name]
        if found.dtype is None or "expver" in found.dims:
            return None
        return Packing.of(found.dtype, found.packing)

    def read_packed(self, source: Mapping[str, Any], name: str, rows: Sequence[int]) -> np.ndarray:
        """Raw integers (row, [depth,] latitude, longitude) of a variable that has a `packing`.

        Whatever stands for nothing (another marker, a number outside the valid range) is the packing's `fill`.
        """
        law, packing = self.packing(name), self.fields[name].packing
        assert law is not None, f"{name} has no packing"

        def unified(raw: np.ndarray) -> np.ndarray:
            raw = as_declared(raw, packing)
            if markers(raw.dtype, packing) == ([law.fill], (None, None)):
                return raw
            missing = missing_in(raw, packing)
            assert missing is not None
            return np.where(missing, raw.dtype.type(law.fill), raw)

        return self._read(source, name, rows, np.dtype(law.dtype), unified)

    def _read(
        self, source: Mapping[str, Any], name: str, rows: Sequence[int], dtype: np.dtype, meaning: Meaning
    ) -> np.ndarray:
        """What raw numbers mean, directly from the file's chunks where they can be had so, or through its library."""
        result = np.empty((len(rows), *self.shape(name)), dtype)
        if hasattr(source, "stored") and direct.read(self, source, name, rows, result, meaning):
            return result
        step = max(1, _AT_ONCE // max(1, 8 * result[:1].size))
        try:
            for start in range(0, len(rows), step):
                some = rows[start : start + step]
                found = self._rows(source[self.fields[name].name], name, some, meaning)
                result[start : start + step] = found.reshape(result[start : start + step].shape)
        except (OSError, RuntimeError, EOFError) as error:
            raise InputError(f"{self.label}: {name} cannot be read ({error}); download the file again") from None
        return result

    def _rows(self, array: Any, name: str, rows: Sequence[int], meaning: Meaning) -> np.ndarray:
        picks = self.picks[np.asarray(rows)]
        if len(self.time_dims) == 1 and np.array_equal(picks[:, 0], picks[0, 0] + np.arange(len(picks))):
            raw, dims = self._raw(array, name, (slice(int(picks[0, 0]), int(picks[-1, 0]) + 1),))
            return self._arranged(meaning(raw), dims, name)
        ones = (self._raw(array, name, tuple(int(i) for i in pick)) for pick in picks)
        return np.stack([self._arranged(meaning(raw), dims, name) for raw, dims in ones])

    def _raw(self, array: Any, name: str, pick: tuple[Any, ...]) -> tuple[np.ndarray, list[str]]:
        """Raw numbers of one variable at one pick, and the names of the dimensions that are left."""
        at = dict(zip(self.time_dims, pick, strict=True))
        ours = {theirs: dim for dim, theirs in self.dims.items()}
        keep = {"time", "expver", *space(name, self.axes)}
        index: list[Any] = []
        left: list[str] = []
        for dim in self.fields[name].dims:
            chosen = at.get(dim, slice(None) if ours.get(dim, dim) in keep else 0)
            index.append(chosen)
            if isinstance(chosen, slice):
                left.append("time" if dim in self.time_dims else ours.get(dim, dim))
        return np.asarray(array[tuple(index)]), left

    def _arranged(self, values: np.ndarray, dims: list[str], name: str) -> np.ndarray:
        """`values` with our order of dimensions and along them; `expver` merged, the final ERA5 first."""
        wanted = [d for d in ("expver", "time", *space(name, self.axes)) if d in dims]
        values = values.transpose([dims.index(d) for d in wanted])
        if "expver" in dims:
            values = values[self.order.get("expver", slice(None))]
            merged = values[0].copy()
            for later in values[1:]:
                np.copyto(merged, later, where=np.isnan(merged))
            values, wanted = merged, wanted[1:]
        for axis, dim in enumerate(wanted):
            if dim != "time" and not _is_whole(self.order[dim]):
                values = values[(slice(None),) * axis + (self.order[dim],)]
        return values


def space(name: str, axes: Mapping[str, Any]) -> tuple[str, ...]:
    """The spatial dimensions of one of our variables."""
    return SPACE if variable(name).volume and "depth" in axes else SPACE[1:]


def _is_whole(index: Any) -> bool:
    return isinstance(index, slice) and index == slice(None)


def to_dataset(parts: Sequence[Part]) -> xr.Dataset:
    """One Dataset in memory of the parts of one file: our names and dims, our units where the file's convert."""
    merged = []
    for part in parts:
        if part.disorder:
            raise InputError(part.disorder)
        with part.open() as source:
            fields = {name: _labelled(part, source, name) for name in part.fields}
        merged.append(xr.Dataset(fields))
    if not merged:
        return xr.Dataset()
    ds = xr.combine_by_coords(merged, combine_attrs="override") if len(merged) > 1 else merged[0]
    assert isinstance(ds, xr.Dataset)
    return ds


def _labelled(part: Part, source: Mapping[str, Any], name: str) -> xr.DataArray:
    found, ours = part.fields[name].units, variable(name).units
    values = part.read(source, name, range(part.times.size), np.float64)
    attrs = attributes(name, units.normal(found), part.fields[name].cell_methods, part.fields[name].attrs)
    if units.convertible(found, ours):
        values = units.conversion(found, ours, name)(values)
        attrs["units"] = ours
    return labelled(name, values.astype(np.float32), part.times, part.axes, attrs)


def labelled(
    name: str, values: np.ndarray, times: np.ndarray, axes: Mapping[str, np.ndarray], attrs: Mapping[str, str]
) -> xr.DataArray:
    """A DataArray (time, [depth,] latitude, longitude) with CF coordinates."""
    dims = ("time", *space(name, axes))
    coords = {"time": ("time", times, DIMENSIONS["time"])} | {d: (d, axes[d], DIMENSIONS[d]) for d in dims[1:]}
    return xr.DataArray(values, dims=dims, coords=coords, attrs=dict(attrs), name=name)


def attributes(
    name: str, unit: str, cell_methods: str, further: Mapping[str, str] = MappingProxyType({})
) -> dict[str, str]:
    """CF attributes of one of our variables in the unit it is in just now, `further` ones laid over them."""
    methods = {"cell_methods": cell_methods} if cell_methods else {}
    return variable(name).attrs | {"units": unit} | methods | dict(further)
