"""The files in which others want observations: CF discrete sampling geometries, one variable per quantity.

A table becomes `point` (a row a place and moment), or `profile` or `trajectory` as contiguous ragged arrays. Beside
each quantity stand `<name>_standard_error` and `<name>_status_flag`, which is 255 where there is no datum.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from ..vocabulary.errors import InputError, unknown
from ..vocabulary.names import variable
from .flags import meanings
from .observations import COLUMNS, COORDINATES, FEATURE, KINDS, check, table

ABSENT = 255
_OF_INSTANCE = {"point": (), "trajectory": ("platform", "feature"),
                "profile": ("platform", "feature", "time", "latitude", "longitude")}  # fmt: skip


def to_wide(ds: xr.Dataset, kind: str | None = None) -> xr.Dataset:
    """The CF discrete sampling geometry of an observation table; `from_wide` gives the table back, bit for bit.

    Parameters
    ----------
    kind
        "point", "profile" or "trajectory"; by default what the table's features are.

    Raises
    ------
    InputError
        If `ds` is no observation table, or a profile in it has several times or places.
    """
    check(ds)
    kind = kind or str(ds.attrs.get(FEATURE, "point"))
    if kind not in KINDS:
        raise unknown("kind of feature", kind, KINDS)
    row, first = _rows(ds)
    instance = _instances(ds, kind)
    order = np.lexsort((first, instance[first])) if kind != "point" else np.argsort(first, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(order.size)
    row, first = place[row], first[order]
    names = list(meanings(ds["variable"].attrs).values())
    extras = [str(n) for n in ds.data_vars if n not in COLUMNS]
    held: dict[str, xr.Variable] = _places(ds, kind, first, instance)
    plain = _is_plain(ds, row)
    for code, name in enumerate(names):
        mine = np.flatnonzero(ds["variable"].values == code)
        held |= _quantity(ds, name, mine, row[mine], first.size, extras)
        if not plain:
            index = np.full(first.size, -1, np.int64)
            index[row[mine]] = mine
            held[f"{name}_row"] = xr.Variable("obs", index, {"long_name": f"Row of {name} in the table, -1 for none"})
    coords = {n: v for n, v in held.items() if n in COORDINATES} | {
        n: c.variable for n, c in ds.coords.items() if "obs" not in c.dims
    }
    wide = xr.Dataset({n: v for n, v in held.items() if n not in COORDINATES}, coords, ds.attrs)
    told = {"featureType": kind, "observed_variables": " ".join(names), "further_columns": " ".join(extras)}
    return wide.assign_attrs(told)


def from_wide(wide: xr.Dataset) -> xr.Dataset:
    """The observation table of what `to_wide` made, also after a NetCDF file.

    Raises
    ------
    InputError
        If a quantity has no status flag, or `row_size` does not add up.
    """
    kind = str(wide.attrs.get("featureType", "point"))
    if kind not in KINDS:
        raise InputError(f"featureType {kind!r}; expected one of {', '.join(KINDS)}")
    names = str(wide.attrs.get("observed_variables", "")).split()
    extras = str(wide.attrs.get("further_columns", "")).split()
    for name in names:
        for needed in (name, f"{name}_standard_error", f"{name}_status_flag"):
            if needed not in wide:
                raise InputError(f"{needed}: not there; expected it beside the other columns of {name}")
    spread = _spread(wide, kind)
    here = {name: np.flatnonzero(wide[f"{name}_status_flag"].values != ABSENT) for name in names}
    at = _together([here[n] for n in names])
    order = _order(wide, names, here, at, spread["time"])
    columns = {name: spread[name][at][order] for name in (*COORDINATES, "platform", "feature")}
    codes = [np.full(here[n].size, code, np.int8) for code, n in enumerate(names)]
    columns |= {
        "variable": _together(codes, np.int8)[order],
        "value": _together([wide[n].values[here[n]] for n in names])[order],
        "error_std": _together([wide[f"{n}_standard_error"].values[here[n]] for n in names])[order],
        "qc": _together([wide[f"{n}_status_flag"].values[here[n]] for n in names], np.uint8)[order],
    }
    further = {e: xr.Variable.concat([wide[f"{n}_{e}"].variable[here[n]] for n in names], "obs")[order] for e in extras}
    for e in further:
        further[e].attrs = dict(wide[f"{names[0]}_{e}"].attrs)
    platforms = list(meanings(wide["platform"].attrs).values())
    told = {k: v for k, v in wide.attrs.items() if k not in ("observed_variables", "further_columns")}
    ds = table(
        columns, names, platforms, kind=str(told.get(FEATURE, kind)), extras=further,
        coords={str(n): c for n, c in wide.coords.items() if c.dims and c.dims[0] not in ("obs", kind)},
        attrs=told,
    )  # fmt: skip
    return ds


def _together(parts: Sequence[np.ndarray], dtype: type | None = None) -> np.ndarray:
    return np.concatenate(parts) if parts else np.empty(0, dtype or np.int64)


def _rows(ds: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """For every datum its row of the wide form, and for every such row its first datum.

    Data of different variables at one place and moment share a row; a second datum of one variable begins another.
    """
    keys = [_bits(ds[name].values) for name in ("platform", "feature", *COORDINATES)]
    same = _numbered(keys)
    variables = ds["variable"].values.astype(np.int64)
    pair = _numbered([same, variables])
    order = np.argsort(pair, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(pair[order]) != 0]) if pair.size else np.empty(0, int)
    repeat = np.empty(pair.size, np.int64)
    lengths = np.diff(np.r_[starts, pair.size])
    repeat[order] = np.arange(pair.size) - np.repeat(starts, lengths)
    _, first, row = np.unique(_numbered([same, repeat]), return_index=True, return_inverse=True)
    return row.reshape(-1), first


def _bits(values: np.ndarray) -> np.ndarray:
    """Integers that are equal where the numbers are the same to the bit."""
    return values.view(f"i{values.dtype.itemsize}").astype(np.int64)


def _numbered(keys: Sequence[np.ndarray]) -> np.ndarray:
    """One number for each combination of keys."""
    number = np.zeros(keys[0].size, np.int64)
    for key in keys:
        _, code = np.unique(key, return_inverse=True)
        _, number = np.unique(number * (code.max(initial=0) + 1) + code.reshape(-1), return_inverse=True)
        number = number.reshape(-1)
    return number


def _instances(ds: xr.Dataset, kind: str) -> np.ndarray:
    """For every datum the profile or trajectory it belongs to, numbered as they first appear."""
    number = _numbered([ds["platform"].values, ds["feature"].values])
    _, first = np.unique(number, return_index=True)
    place = np.empty(first.size, np.int64)
    place[np.argsort(first, kind="stable")] = np.arange(first.size)
    number = place[number] if number.size else number
    first = np.sort(first)
    for name in _OF_INSTANCE[kind]:
        values = _bits(ds[name].values)
        differs = values != values[first][number] if values.size else np.zeros(0, bool)
        if differs.any():
            at = int(np.argmax(differs))
            platform = meanings(ds["platform"].attrs)[int(ds["platform"].values[at])]
            raise InputError(
                f"{name}: differs within {kind} {int(ds['feature'].values[at])} of {platform}; "
                "say kind='trajectory' or kind='point'"
            )
    return number


def _places(ds: xr.Dataset, kind: str, first: np.ndarray, instance: np.ndarray) -> dict[str, xr.Variable]:
    """Coordinates, platform and feature: of every row, or once for each profile or trajectory."""
    held = {}
    _, begins, sizes = np.unique(instance[first], return_index=True, return_counts=True)
    for name in (*COORDINATES, "platform", "feature"):
        once = name in _OF_INSTANCE[kind]
        chosen = first[begins] if once else first
        held[name] = ds[name].variable.isel(obs=chosen)
        if once:
            held[name] = xr.Variable(kind, held[name].values, held[name].attrs)
    if kind != "point":
        told = {"long_name": f"Number of observations of this {kind}", "sample_dimension": "obs"}
        held["row_size"] = xr.Variable(kind, sizes.astype(np.int32), told)
        role = {"long_name": f"Number of the {kind} in this file", "cf_role": f"{kind}_id"}
        held[f"{kind}_id"] = xr.Variable(kind, np.arange(sizes.size, dtype=np.int32), role)
    return held


def _quantity(
    ds: xr.Dataset, name: str, mine: np.ndarray, row: np.ndarray, size: int, extras: Sequence[str]
) -> dict[str, xr.Variable]:
    """A quantity with its standard error, its status and its further columns."""
    row_of = variable(name)
    named = {"standard_name": row_of.standard_name} if row_of.standard_name else {}
    beside = {"ancillary_variables": f"{name}_standard_error {name}_status_flag"}
    qc = dict(ds["qc"].attrs)
    qc["flag_values"] = np.append(np.atleast_1d(np.asarray(qc["flag_values"], np.uint8)), np.uint8(ABSENT))
    qc["flag_meanings"] = f"{qc['flag_meanings']} no_observation"
    error = {"long_name": f"Standard error of {row_of.long_name}", "units": row_of.units}
    if named:
        error["standard_name"] = f"{row_of.standard_name} standard_error"
    held = {
        name: xr.Variable("obs", _filled(ds["value"].values, mine, row, size), row_of.attrs | beside),
        f"{name}_standard_error": xr.Variable("obs", _filled(ds["error_std"].values, mine, row, size), error),
        f"{name}_status_flag": xr.Variable("obs", _filled(ds["qc"].values, mine, row, size, ABSENT), qc),
    }
    for e in extras:
        held[f"{name}_{e}"] = xr.Variable(ds[e].dims, _filled(ds[e].values, mine, row, size), ds[e].attrs)
    return held


def _filled(values: np.ndarray, mine: np.ndarray, row: np.ndarray, size: int, blank: int = 0) -> np.ndarray:
    empty = np.nan if values.dtype.kind == "f" else blank
    result = np.full((size, *values.shape[1:]), empty, values.dtype)
    result[row] = values[mine]
    return result


def _is_plain(ds: xr.Dataset, row: np.ndarray) -> bool:
    """True where the table's order is that of rows, then variables, sorted by time."""
    again = np.lexsort((ds["variable"].values, row))
    again = again[np.argsort(ds["time"].values[again], kind="stable")]
    return bool(np.array_equal(again, np.arange(again.size)))


def _spread(wide: xr.Dataset, kind: str) -> dict[str, np.ndarray]:
    """Coordinates, platform and feature of every row."""
    if kind != "point" and int(wide["row_size"].sum()) != wide.sizes["obs"]:
        raise InputError(f"row_size: adds up to {int(wide['row_size'].sum())}; expected {wide.sizes['obs']} rows")
    found = {}
    for name in (*COORDINATES, "platform", "feature"):
        values = wide[name].values
        found[name] = np.repeat(values, wide["row_size"].values) if name in _OF_INSTANCE[kind] else values
    return found


def _order(
    wide: xr.Dataset, names: Sequence[str], here: dict[str, np.ndarray], at: np.ndarray, times: np.ndarray
) -> np.ndarray:
    """How the data of one variable after another are put in the table's order."""
    if names and f"{names[0]}_row" in wide:
        return np.argsort(_together([wide[f"{n}_row"].values[here[n]] for n in names]), kind="stable")
    by_row = np.argsort(at, kind="stable")
    return by_row[np.argsort(times[at][by_row], kind="stable")]
