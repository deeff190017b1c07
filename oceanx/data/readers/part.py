"""Part: one file (or member of a file) as seen from outside, and how its numbers are read and decoded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import xarray as xr

from ...vocabulary.errors import InputError
from ...vocabulary.names import DIMENSIONS, VARIABLES, variable
from .. import units

SPACE = ("depth", "latitude", "longitude")
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
        result = np.empty((len(rows), *self.shape(name)), dtype)
        step = max(1, _AT_ONCE // max(1, 8 * result[:1].size))
        try:
            for start in range(0, len(rows), step):
                some = rows[start : start + step]
                result[start : start + step] = self._rows(source[self.fields[name].name], name, some, dtype)
        except (OSError, RuntimeError, EOFError) as error:
            raise InputError(f"{self.label}: {name} cannot be read ({error}); download the file again") from None
        return result

    def _rows(self, array: Any, name: str, rows: Sequence[int], dtype: Any) -> np.ndarray:
        picks = self.picks[np.asarray(rows)]
        if len(self.time_dims) == 1 and np.array_equal(picks[:, 0], picks[0, 0] + np.arange(len(picks))):
            raw, dims = self._raw(array, name, (slice(int(picks[0, 0]), int(picks[-1, 0]) + 1),))
            return self._arranged(decode(raw, self.fields[name].packing, dtype), dims, name)
        ones = (self._raw(array, name, tuple(int(i) for i in pick)) for pick in picks)
        return np.stack(
            [self._arranged(decode(raw, self.fields[name].packing, dtype), dims, name) for raw, dims in ones]
        )

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


def decode(raw: np.ndarray, packing: Mapping[str, Any], dtype: Any = np.float32) -> np.ndarray:
    """What packed numbers mean: missing ones NaN, told from the raw number, the rest scaled and then rounded once.

    The arithmetic is that of the packing (float64 for a float64 `scale_factor`), as netCDF4 does it.
    """
    if str(packing.get("_Unsigned", "false")).lower() == "true" and raw.dtype.kind == "i":
        raw = raw.view(f"u{raw.dtype.itemsize}")
    with np.errstate(over="ignore", invalid="ignore"):  # markers of missing values may be beyond float32
        missing = _missing(raw, packing)
        values = raw
        if "scale_factor" in packing:
            values = values * packing["scale_factor"]
        if "add_offset" in packing:
            values = values + packing["add_offset"]
        result = values.astype(dtype)
    if missing is not None:
        result[missing] = np.nan
    return result


def _missing(raw: np.ndarray, packing: Mapping[str, Any]) -> np.ndarray | None:
    """Where raw numbers stand for nothing, or None where all of them count."""
    tests = []
    for key in ("_FillValue", "missing_value"):
        for value in np.atleast_1d(packing.get(key, ())):
            if value == value and (marker := _as_raw(value, raw.dtype)) is not None:
                tests.append(raw == marker)
    low, high = packing.get("valid_range", (packing.get("valid_min"), packing.get("valid_max")))
    if low is not None and (limit := _as_raw(low, raw.dtype)) is not None:
        tests.append(raw < limit)
    if high is not None and (limit := _as_raw(high, raw.dtype)) is not None:
        tests.append(raw > limit)
    if not tests:
        return None
    result = tests[0]
    for other in tests[1:]:
        result |= other
    return result


def _as_raw(value: Any, dtype: np.dtype) -> Any:
    """`value` in the type of the raw numbers, or None where that type cannot hold it."""
    if np.asarray(value).dtype.kind not in "iuf":
        return None
    if dtype.kind in "iu" and not (np.iinfo(dtype).min <= value <= np.iinfo(dtype).max):
        # Signed markers of unsigned data are written with the bits of the signed type.
        return np.asarray(value).astype(f"i{dtype.itemsize}").view(dtype)[()] if dtype.kind == "u" else None
    return np.asarray(value).astype(dtype)[()]


def _is_whole(index: Any) -> bool:
    return isinstance(index, slice) and index == slice(None)


def to_dataset(parts: Sequence[Part]) -> xr.Dataset:
    """One Dataset in memory of the parts of one file: our names and dims, our units where the file's convert."""
    merged = []
    for part in parts:
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
    attrs = attributes(name, units.normal(found), part.fields[name].cell_methods)
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


def attributes(name: str, unit: str, cell_methods: str) -> dict[str, str]:
    """CF attributes of one of our variables in the unit it is in just now."""
    return variable(name).attrs | {"units": unit} | ({"cell_methods": cell_methods} if cell_methods else {})
