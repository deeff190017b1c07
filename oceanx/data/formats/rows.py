"""Rows: the data of one file of points before anything is left out, and what every such reader needs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ...ocean.observations import COLUMNS, COORDINATES, REJECTED, UNFLAGGED, reason, table
from ...vocabulary.errors import InputError
from ...vocabulary.names import VARIABLES

_FILL = ("_FillValue", "missing_value")
_ENDLESS = 1e30  # the default fill values of NetCDF lie beyond


@dataclass
class Rows:
    """Columns of one file, one entry a datum, with the reason (`qc`) for which it is to be left out, or 0.

    Values and coordinates that are not there are NaN; `extras` are further columns, and `coords` those of their
    other dimensions.
    """

    columns: dict[str, np.ndarray]
    variables: Sequence[str]
    platforms: Sequence[str]
    kind: str
    notes: Sequence[str] = ()
    extras: dict[str, xr.Variable] = field(default_factory=dict)
    coords: dict[str, Any] = field(default_factory=dict)

    def dataset(self, keep_flagged: bool = False) -> xr.Dataset:
        """The observation table of what is good, with counts of what is not.

        With `keep_flagged`, what failed stays in under its `qc`, so far as it has a value, a time and a place.
        """
        c = self.columns
        fails_range = c["qc"] == 0
        for code, name in enumerate(self.variables):
            low, high = VARIABLES[name].valid or (-np.inf, np.inf)
            with np.errstate(invalid="ignore"):
                fails_range &= ~((c["variable"] == code) & (c["value"] >= low) & (c["value"] <= high))
        c["qc"] = np.where(fails_range & np.isfinite(c["value"]), 1, c["qc"])
        whole = ~np.isnat(c["time"])
        for name in ("latitude", "longitude", "depth", "value", "error_std"):
            whole &= np.isfinite(c[name])
        with np.errstate(invalid="ignore"):
            whole &= (np.abs(c["latitude"]) <= 90) & (np.abs(c["longitude"]) <= 540) & (c["depth"] >= 0)
        c["qc"] = np.where((c["qc"] == 0) & ~whole, 4, c["qc"])
        keep = np.flatnonzero(whole if keep_flagged else c["qc"] == 0)
        taken = {name: np.asarray(c[name])[keep] for name in (*COORDINATES, *COLUMNS)}
        taken["longitude"] = seam(taken["longitude"])
        out = np.setdiff1d(np.arange(c["qc"].size), keep)
        attrs: dict[str, Any] = {"comment": "; ".join(self.notes)} if self.notes else {}
        if out.size:
            attrs[REJECTED] = json.dumps(self._counts(out))
        extras = {n: v.isel(obs=keep) for n, v in self.extras.items()}
        names = (self.variables, self.platforms)
        return table(_typed(taken), *names, kind=self.kind, extras=extras, coords=self.coords, attrs=attrs)

    def _counts(self, out: np.ndarray) -> dict[str, dict[str, int]]:
        keys = np.stack([self.columns[n][out].astype(np.int64) for n in ("platform", "variable", "qc")])
        found, counts = np.unique(keys, axis=1, return_counts=True)
        result: dict[str, Counter[str]] = {}
        for (platform, variable, qc), count in zip(found.T, counts, strict=True):
            said = f"{self.variables[variable]} {reason(int(qc))}"
            result.setdefault(self.platforms[platform], Counter())[said] += int(count)
        return {name: dict(c) for name, c in result.items()}


def _typed(c: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The columns in the types in which they are kept: places to 1e-9 degrees, values as instruments give them."""
    kinds = {"time": "datetime64[ns]", "latitude": "f8", "longitude": "f8", "depth": "f4", "variable": "i1",
             "value": "f4", "error_std": "f4", "platform": "i4", "feature": "i4", "qc": "u1"}  # fmt: skip
    return {name: c[name].astype(kind) for name, kind in kinds.items()}


def stacked(parts: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Columns one under another, from parts whose columns may be scalars or smaller arrays that broadcast."""
    grown = [dict(zip(p, np.broadcast_arrays(*p.values()), strict=True)) for p in parts]
    return {name: np.concatenate([p[name].ravel() for p in grown]) for name in grown[0]}


def numbers(v: Any) -> np.ndarray:
    """What a NetCDF variable holds, as float64: NaN for its fill values, and whatever a provider calls invalid kept.

    A value out of `valid_min` … `valid_max` is a bad datum, to be counted, not an absent one.
    """
    raw = np.asarray(v[...])
    attrs = {key: v.getncattr(key) for key in v.ncattrs()}
    values = raw.astype(np.float64)
    gap = ~np.isfinite(values) | (np.abs(values) > _ENDLESS)
    for key in _FILL:
        for marker in np.atleast_1d(attrs.get(key, ())):
            if np.asarray(marker).dtype.kind in "iuf":
                gap |= raw == marker
    values = values * float(attrs.get("scale_factor", 1.0)) + float(attrs.get("add_offset", 0.0))
    values[gap] = np.nan
    return values


def flags(v: Any) -> np.ndarray:
    """A provider's quality flags 0…9 as integers, UNFLAGGED where blank, be they characters or numbers."""
    raw = np.ma.getdata(v[...])
    if raw.dtype.kind == "S":
        raw = raw.view("u1").reshape(raw.shape).astype(np.int64) - ord("0")
    raw = np.where(np.isfinite(raw.astype(np.float64)), raw, -1).astype(np.int64)
    return np.where((raw >= 0) & (raw <= 9), raw, UNFLAGGED)


def words(v: Any) -> list[str]:
    """The strings of a character or string variable, trimmed, blanks within them as underscores."""
    raw = np.ma.getdata(v[...])
    if raw.dtype.kind == "S":
        raw = np.atleast_2d(raw)
        texts = [b"".join(row).decode("ascii", "replace") for row in raw.reshape(-1, raw.shape[-1])]
    else:
        texts = [str(text) for text in np.atleast_1d(raw)]
    return ["_".join(text.replace("\0", " ").split()) or "unnamed" for text in texts]


def numbered(names: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """The different names in order of appearance, and for each entry the position of its own."""
    known = list(dict.fromkeys(names))
    place = {name: k for k, name in enumerate(known)}
    return known, np.array([place[name] for name in names], np.int32)


def seam(longitude: np.ndarray) -> np.ndarray:
    """Longitudes in [-180, 180), untouched where they are."""
    beyond = (longitude < -180) | (longitude >= 180)
    return np.where(beyond, (longitude + 180) % 360 - 180, longitude)


def again(*keys: np.ndarray) -> np.ndarray:
    """True for entries whose keys an earlier entry has already."""
    _, first = np.unique(np.stack([key.astype(np.int64) for key in keys]), axis=1, return_index=True)
    result = np.ones(keys[0].size, bool)
    result[first] = False
    return result


def moments(values: np.ndarray, units: str, calendar: str, where: str) -> np.ndarray:
    """datetime64[ns] of CF times, to the millisecond; NaT where there is none."""
    good = np.isfinite(values)
    result = np.full(values.shape, np.datetime64("NaT", "ns"))
    since = units.replace(" UTC", "").replace(" utc", "")
    try:
        decoded = xr.coding.times.decode_cf_datetime(values[good], since, calendar)
        result[good] = np.asarray(decoded, "datetime64[ns]")
    except (ValueError, OverflowError, TypeError) as error:
        raise InputError(f"{where}: times in {units!r} cannot be read ({error})") from None
    # Days as floats are good to some tenths of a microsecond only.
    whole = np.round(result[good].astype(np.int64) / 1e6).astype(np.int64) * 1_000_000
    result[good] = whole.astype("datetime64[ns]")
    return result


def times(v: Any, where: str) -> np.ndarray:
    """The times of a variable with CF `units`."""
    attrs = {key: v.getncattr(key) for key in v.ncattrs()}
    if "units" not in attrs:
        raise InputError(f"{where}: {v.name} has no units; expected such as 'days since 1950-01-01'")
    units = str(attrs["units"]).strip()
    calendar = str(attrs.get("calendar", "standard")).lower()
    return moments(numbers(v), units[:1].lower() + units[1:], calendar, where)


def needed(variables: Mapping[str, Any], names: Sequence[str], path: Path, what: str) -> None:
    """`InputError` if a file lacks what a layout has."""
    absent = [name for name in names if name not in variables]
    if absent:
        raise InputError(f"{path}: is not {what}: it has no {', '.join(absent)}; choose another recipe")
