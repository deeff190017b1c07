"""Layout: finding time, depth, latitude and longitude among the variables of a file, and making a Part of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...vocabulary.errors import InputError
from ...vocabulary.names import DIMENSION_ALIASES, VARIABLES, variable
from .dates import calendar_of, dated
from .part import Field, Part, Wanted

_PACKING = (
    "_FillValue", "missing_value", "scale_factor", "add_offset", "valid_min", "valid_max", "valid_range", "_Unsigned",
)  # fmt: skip
_STEP_TYPES = {
    "instant": "time: point", "accum": "time: sum", "avg": "time: mean", "max": "time: maximum", "min": "time: minimum",
}  # fmt: skip


@dataclass(frozen=True)
class Column:
    """A variable as a file describes it."""

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    attrs: Mapping[str, Any]
    array: Any  # indexable, raw numbers


Roles = Mapping[str, str]  # our dimension name → the file's variable
Opener = Callable[[], AbstractContextManager[Mapping[str, Any]]]


def make_part(
    label: str,
    columns: Mapping[str, Column],
    wanted: Mapping[str, Wanted],
    opener: Opener,
    roles: Roles | None = None,
    *,
    timed: bool = True,
    level: float | None = None,
) -> Part:
    """The Part of one file, from its header and coordinates alone.

    Parameters
    ----------
    roles
        The variables of axes that are known already; the others are looked for.
    timed
        False: the fields of the file stand for no time, and are had at the one time NaT.
    level
        The depth (m) of ocean variables in a file without a depth axis.

    Raises
    ------
    InputError
        If an axis is missing, two-dimensional, unordered or undated, or a variable has a dimension we cannot place.
    """
    found = dict(roles or {}) | {role: n for role in DIMENSION_ALIASES if (n := _role(columns, role, roles))}
    for role in ("latitude", "longitude"):
        _refuse_curvilinear(label, columns, found, role)
    _refuse_points(label, columns, found)
    times, time_dims, picks, disorder = _times(label, columns, found) if timed else _UNTIMED
    axes, order, dims = {}, {}, {}
    for role in ("depth", "latitude", "longitude"):
        if role in found:
            column = columns[found[role]]
            axes[role], order[role] = _axis(label, role, column)
            dims[role] = column.dims[0] if column.dims else ""
    if level is not None and "depth" not in axes:
        axes["depth"], order["depth"], dims["depth"] = np.array([level]), slice(None), ""
    if "expver" in columns and columns["expver"].dims == ("expver",):
        order["expver"] = np.argsort(np.asarray(columns["expver"].array[...]), kind="stable")  # 1 is final, 5 not yet
    fields = _fields(label, columns, wanted, dims, time_dims)
    if not any(variable(name).volume for name in fields):
        for held in (axes, order, dims):
            held.pop("depth", None)
    calendar = calendar_of(columns[found["time"]].attrs) if timed else "standard"
    notes = () if calendar == "standard" else (_LEAPLESS,)
    return Part(label, times, axes, order, dims, fields, opener, time_dims, picks, notes, calendar, disorder=disorder)


_UNTIMED = (np.array(["NaT"], "datetime64[ns]"), (), np.zeros((1, 0), int), "")
_LEAPLESS = "the calendar of the files has no 29 February, which is missing on an axis of real days"


def _role(columns: Mapping[str, Column], role: str, given: Roles | None) -> str | None:
    """The variable that plays a role: by our name, by anyone's name, by its standard_name."""
    if given and role in given:
        return given[role]
    names = (role, *DIMENSION_ALIASES[role]) if role != "time" else ("valid_time", "time", *DIMENSION_ALIASES["time"])
    axes = {n: c for n, c in columns.items() if role != "depth" or len(c.dims) <= 1}  # a 2-D depth is a sea floor
    for name in names:
        # A single letter (T, x, z) may just as well be a quantity: as an axis it is its own dimension.
        if name in axes and (len(name) > 1 or name in axes[name].dims):
            return name
    for name, column in axes.items():
        if column.attrs.get("standard_name") == role:
            return name
    return None


def _refuse_curvilinear(label: str, columns: Mapping[str, Column], found: Mapping[str, str], role: str) -> None:
    if role not in found:
        raise InputError(
            f"{label}: no {role} found among {sorted(columns)}; expected a rectilinear grid, "
            f"or the variable's name in the recipe: options: {{axes: {{{role}: …}}}}"
        )
    column = columns[found[role]]
    if len(column.dims) > 1:
        raise InputError(
            f"{label}: the grid is curvilinear ({found[role]} has dimensions {', '.join(column.dims)}); "
            "regrid it with the reader 'curvilinear' and a target grid"
        )


def _refuse_points(label: str, columns: Mapping[str, Column], found: Mapping[str, str]) -> None:
    dims = columns[found["latitude"]].dims
    if dims and dims == columns[found["longitude"]].dims:
        raise InputError(f"{label}: latitude and longitude share the dimension {dims[0]}: points, not a grid to bake")


def _axis(label: str, role: str, column: Column) -> tuple[np.ndarray, Any]:
    """Coordinate values in our order, and the index that leads there."""
    values = np.atleast_1d(np.asarray(column.array[...]))
    if not np.isfinite(values).all() or values.size == 0:
        raise InputError(f"{label}: {role} has missing values; expected a complete axis")
    moved = False
    if role == "longitude":
        moved = bool(((values >= 180) | (values < -180)).any())
        values = np.where(values >= 180, values - 360, values)
        values = np.where(values < -180, values + 360, values)
    elif role == "depth" and (column.attrs.get("positive") == "up" or (values <= 0).all()):
        values = np.abs(values)
    if role == "latitude" and np.abs(values).max() > 90.001:
        raise InputError(f"{label}: latitude reaches {values[np.abs(values).argmax()]:g}; expected degrees_north")
    steps = np.diff(values)
    index: Any = slice(None)
    if (steps < 0).all() and values.size > 1:
        index = slice(None, None, -1)
    elif not (steps > 0).all():
        index = np.argsort(values, kind="stable")
    values = values[index]
    if (np.diff(values) <= 0).any():
        remedy = "; leave the meridian that is repeated out first" if role == "longitude" else ""
        at = values[np.argmin(np.diff(values))]
        raise InputError(f"{label}: {role} {at:g} occurs twice; expected each once{remedy}")
    if role == "longitude":
        _refuse_split(label, values, moved)
    return values, index


def _refuse_split(label: str, values: np.ndarray, moved: bool) -> None:
    """`InputError` if bringing longitudes into [-180, 180) tore a region in two."""
    steps = np.diff(values)
    if moved and steps.size and steps.max() > 2 * np.median(steps):
        raise InputError(
            f"{label}: the region lies across the date line, which longitude in [-180, 180) cannot hold in one piece; "
            "bake its two sides apart"
        )


def _times(
    label: str, columns: Mapping[str, Column], found: Mapping[str, str]
) -> tuple[np.ndarray, tuple[str, ...], np.ndarray, str]:
    """Ascending times, the file's dimensions of time, where each time stands along them, and a word on disorder."""
    if "time" not in found:
        raise InputError(f"{label}: no time found among {sorted(columns)}; expected a time coordinate "
                         "(fields that have none are for a recipe with the reader 'static')")  # fmt: skip
    column = columns[found["time"]]
    where = f"{label}: {found['time']}"
    times = dated(np.asarray(column.array[...]), column.attrs, where)
    picks = np.argwhere(np.ones(times.shape, bool)).reshape(times.size, times.ndim)
    flat = times.ravel()
    if times.ndim > 1:
        picks, flat = _flattened(where, flat, picks)
    back = np.flatnonzero(np.diff(flat) <= np.timedelta64(0))
    if not back.size:
        return flat, column.dims, picks, ""
    order = np.argsort(flat, kind="stable")
    disorder = f"{where}: {flat[back[0]]} is followed by {flat[back[0] + 1]}; expected ascending times"
    return flat[order], column.dims, picks[order], disorder


def _flattened(where: str, flat: np.ndarray, picks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A (reference time, period) table of valid times as one ascending axis, if each time occurs once."""
    order = np.argsort(flat, kind="stable")
    flat, picks = flat[order], picks[order]
    same = np.flatnonzero(np.diff(flat) == np.timedelta64(0))
    if same.size:
        raise InputError(
            f"{where}: {flat[same[0]]} is forecast from two reference times; "
            "select one run, or periods that do not overlap, before baking"
        )
    return picks, flat


def _fields(
    label: str,
    columns: Mapping[str, Column],
    wanted: Mapping[str, Wanted],
    dims: Mapping[str, str],
    time_dims: tuple[str, ...],
) -> dict[str, Field]:
    """Those of the wanted variables that the file has."""
    fields = {}
    named = {ours: _by_name(columns, want) for ours, want in wanted.items()}
    for ours, want in wanted.items():
        name = named[ours] or _by_standard_name(columns, want, set(named.values()))
        if name is None:
            continue
        column = columns[name]
        _refuse_misplaced(label, name, ours, column, dims, time_dims)
        unit = column.attrs.get("units", want.units)
        if unit is None:
            raise InputError(f"{label}: {name} has no units; say them in the recipe: {ours}: {{units: …}}")
        packing = {key: column.attrs[key] for key in _PACKING if key in column.attrs}
        methods = column.attrs.get("cell_methods") or _STEP_TYPES.get(str(column.attrs.get("GRIB_stepType")), "")
        fields[ours] = Field(
            name, column.dims, packing, str(unit), str(methods), dtype=getattr(column.array, "dtype", None)
        )
    return fields


def _refuse_misplaced(
    label: str, name: str, ours: str, column: Column, dims: Mapping[str, str], time_dims: tuple[str, ...]
) -> None:
    """`InputError` for a variable that lacks a dimension it needs, or has one that says nothing to us."""
    volume, depth = variable(ours).volume, dims.get("depth")
    needed = {d for d in (dims["latitude"], dims["longitude"], depth if volume else "", *time_dims) if d}
    if volume and depth is None:
        raise InputError(
            f"{label}: {name} has dimensions {', '.join(column.dims)}; expected a depth axis "
            "(or its depth said in the recipe: options: {depth: metres})"
        )
    if not needed <= set(column.dims):
        lacking = ", ".join(sorted(needed - set(column.dims)))
        raise InputError(f"{label}: {name} has dimensions {', '.join(column.dims)}; expected {lacking} among them")
    for dim, size in zip(column.dims, column.shape, strict=True):
        if dim not in needed and dim != "expver" and size > 1:
            raise InputError(f"{label}: {name} has {size} values along {dim}; choose one before baking")


def _by_name(columns: Mapping[str, Column], want: Wanted) -> str | None:
    for name in want.names:
        if name in columns and not _is_another(columns[name], name, want):
            return name
    return None


def _is_another(column: Column, name: str, want: Wanted) -> bool:
    """True if a file that uses someone's short name says that it means another variable of our table.

    So `TEMP` with the standard name of in-situ temperature is not taken for potential temperature.
    """
    said = column.attrs.get("standard_name")
    return bool(want.standard_name) and name != want.names[0] and said != want.standard_name and said in _STANDARD_NAMES


_STANDARD_NAMES = {v.standard_name for v in VARIABLES.values() if v.standard_name}


def _by_standard_name(columns: Mapping[str, Column], want: Wanted, taken: set[str | None]) -> str | None:
    if want.standard_name:
        for name, column in columns.items():
            if column.attrs.get("standard_name") == want.standard_name and len(column.dims) >= 2 and name not in taken:
                return name
    return None
