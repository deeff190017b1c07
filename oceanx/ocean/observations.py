"""What a table of point observations is: one row a datum, whatever the instrument; and the check that holds it.

Dimension `obs`, sorted by time. Coordinates `time`, `latitude`, `longitude` [-180, 180), `depth` (m, positive down).
Columns:

    variable    code of an oceanx word (CF flags)         value      in the canonical unit of that word
    error_std   standard deviation of the measurement     platform   code of a name (CF flags)
    feature     the profile or trajectory, by number      qc         0, or the test that failed (CF flags)

Further columns along `obs` (the model's equivalents in Class-4 files) are carried along. `error_std` is that of the
instrument: what a grid cannot resolve is the business of whoever compares the two.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from ..vocabulary.errors import InputError
from ..vocabulary.names import DIMENSIONS, VARIABLES, variable
from .flags import flag_attrs, meanings

COORDINATES = ("time", "latitude", "longitude", "depth")
COLUMNS = ("variable", "value", "error_std", "platform", "feature", "qc")
KINDS = ("point", "profile", "trajectory")
FEATURE = "oceanx_feature"  # global attribute: what `feature` counts, one of KINDS
REJECTED = "rejected"  # global attribute: {"platform": {"variable reason": count}} as JSON

TESTS = {
    0: "good", 1: "out_of_range", 2: "no_salinity", 3: "no_adjusted_value", 4: "no_coordinate",
    5: "not_primary_sampling", 6: "real_time", 7: "repeated", 8: "outside_times", 9: "outside_grid", 10: "on_land",
    11: "below_sea_floor", 12: "nearly_repeated", 13: "far_from_climatology", 14: "far_from_background",
    15: "whole_profile", 80: "unlike_neighbours", 81: "no_equivalent", 82: "no_mean_topography", 83: "withheld",
    84: "thinned", 85: "calm", 86: "not_sea",
}  # fmt: skip
CODES = {word: code for code, word in TESTS.items()}
_FLAG_OF = {"value": 16, "depth": 32, "position": 48, "time": 64}
_SHIFT = "shift with (longitude + 180) % 360 - 180"
UNFLAGGED = 10  # stands for a provider's flag that is blank
_KIND = {"time": "M", "variable": "i", "platform": "i", "feature": "i", "qc": "u"}  # of dtype; the others are floats


def provider_code(what: str, flag: Any) -> Any:
    """The `qc` of a datum whose provider flagged its "value", "depth", "position" or "time" with 0…9 or UNFLAGGED."""
    return _FLAG_OF[what] + flag


def reason(code: int) -> str:
    """The word for a `qc` code: "good", a test of `TESTS`, or such as "value_flag_4"."""
    if code in TESTS:
        return TESTS[code]
    for what, base in _FLAG_OF.items():
        if base <= code <= base + UNFLAGGED:
            return f"{what}_unflagged" if code - base == UNFLAGGED else f"{what}_flag_{code - base}"
    return f"test_{code}"


def table(
    columns: Mapping[str, np.ndarray],
    variables: Sequence[str],
    platforms: Sequence[str],
    *,
    kind: str = "point",
    extras: Mapping[str, xr.Variable] | None = None,
    coords: Mapping[str, Any] | None = None,
    attrs: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """The observation Dataset of columns along `obs`, sorted by time; equal times stay in the order given.

    Parameters
    ----------
    columns
        All of `COORDINATES` and `COLUMNS`; `variable` and `platform` are positions in `variables` and `platforms`.
    kind
        What `feature` counts: "point", "profile" or "trajectory".
    extras
        Further variables whose first dimension is `obs`; `coords` are those of their other dimensions.
    """
    order = np.argsort(columns["time"], kind="stable")
    attributes = column_attrs(variables, platforms, np.unique(columns["qc"]), kind)
    held = {name: xr.Variable("obs", np.asarray(columns[name])[order], attributes[name]) for name in attributes}
    held |= {name: v.isel(obs=order) for name, v in (extras or {}).items()}
    ds = xr.Dataset({name: v for name, v in held.items() if name not in COORDINATES}, attrs=dict(attrs or {}))
    ds = ds.assign_coords({name: held[name] for name in COORDINATES} | dict(coords or {}))
    return ds.assign_attrs({"Conventions": "CF-1.11", "featureType": "point", FEATURE: kind})


def column_attrs(
    variables: Sequence[str], platforms: Sequence[str], qc: Iterable[int], kind: str
) -> dict[str, dict[str, Any]]:
    """CF attributes of every column."""
    codes = sorted({0, *map(int, qc)})
    unit = "; ".join(f"{name}: {VARIABLES[name].units}" for name in variables)
    own: dict[str, dict[str, Any]] = {
        "variable": {"long_name": "Observed variable", **flag_attrs(variables, "int8")},
        "value": {"long_name": "Observed value", "ancillary_variables": "error_std qc", "comment": f"units of {unit}"},
        "error_std": {
            "long_name": "Standard deviation of the error of measurement",
            "comment": "in the units of the value; without what a grid cannot resolve",
        },
        "platform": {"long_name": "Platform", **flag_attrs(platforms, "int32")},
        "feature": {"long_name": f"Number of the {kind}, unique on its platform"},
        "qc": {
            "long_name": "Quality",
            "standard_name": "quality_flag",
            **flag_attrs([reason(code) for code in codes], "uint8", codes),
        },
    }
    return {name: dict(DIMENSIONS[name]) for name in COORDINATES} | own


def violations(ds: xr.Dataset) -> list[str]:
    """Everything in which a Dataset differs from an observation table, in words; empty if nothing."""
    if "obs" not in ds.dims:
        return [f"dimensions {tuple(map(str, ds.dims))}: no 'obs'; expected a table of observations"]
    absent = [name for name in (*COORDINATES, *COLUMNS) if name not in ds.variables]
    if absent:
        return [f"{', '.join(absent)}: not there; expected the columns {', '.join((*COORDINATES, *COLUMNS))}"]
    found = [said for name in (*COORDINATES, *COLUMNS) for said in _wrong_type(name, ds[name])]
    if found:
        return found
    for name, v in ds.data_vars.items():
        if v.dims[:1] != ("obs",):
            found.append(f"{name}: has dimensions {v.dims}; expected 'obs' first")
    if ds.attrs.get(FEATURE, "point") not in KINDS:
        found.append(f"{FEATURE}: is {ds.attrs[FEATURE]!r}; expected one of {', '.join(KINDS)}")
    return found + _wrong_values(ds) + _wrong_codes(ds)


def check(ds: xr.Dataset) -> None:
    """`InputError` naming what in a Dataset differs from an observation table."""
    found = violations(ds)
    if found:
        raise InputError("observations: " + "; ".join(found))


def _wrong_type(name: str, v: xr.DataArray) -> list[str]:
    kind = _KIND.get(name, "f")
    if v.dims != ("obs",):
        return [f"{name}: has dimensions {v.dims}; expected ('obs',)"]
    if v.dtype.kind != kind or (kind == "M" and v.dtype != "datetime64[ns]"):
        expected = {"M": "datetime64[ns]", "i": "signed integers", "u": "uint8", "f": "float32 or float64"}[kind]
        return [f"{name}: is {v.dtype}; expected {expected}"]
    return []


def _wrong_values(ds: xr.Dataset) -> list[str]:
    found = []
    for name in ("time", "latitude", "longitude", "depth", "value", "error_std"):
        v = ds[name].values
        bad = np.isnat(v) if name == "time" else ~np.isfinite(v)
        if bad.any():
            found.append(f"{name}: {int(bad.sum())} of {bad.size} are missing (first at row {int(np.argmax(bad))})")
    limits: tuple[tuple[str, Any, str], ...] = (
        ("latitude", lambda x: abs(x) > 90, "from -90 to 90"),
        (
            "longitude",
            lambda x: (x < -180) | (x >= 180),
            f"from -180 to below 180; {_SHIFT}",
        ),
        ("depth", lambda x: x < 0, "positive down, from 0 at the surface"),
        ("error_std", lambda x: x <= 0, "above 0"),
    )
    for name, wrong, expected in limits:
        v = ds[name].values
        bad = wrong(v)
        if bad.any():
            found.append(f"{name}: has {v[np.argmax(bad)]}; expected values {expected}")
    times = ds["time"].values
    if (times[1:] < times[:-1]).any():
        found.append("time: is not sorted; sort with ds.sortby('time')")
    return found


def _wrong_codes(ds: xr.Dataset) -> list[str]:
    found = []
    for name in ("variable", "platform", "qc"):
        known = meanings(ds[name].attrs)
        strange = sorted(set(np.unique(ds[name].values).tolist()) - known.keys())
        if strange:
            found.append(f"{name}: code {strange[0]} has no meaning; state flag_values and flag_meanings")
        if name != "qc" and list(known) != list(range(len(known))):
            found.append(f"{name}: flag_values are {list(known)[:5]}…; expected 0, 1, 2 …")
    unknown = [word for word in meanings(ds["variable"].attrs).values() if word not in VARIABLES]
    if unknown:
        near = [variable(unknown[0]).name] if _is_alias(unknown[0]) else []
        found.append(f"variable: {unknown[0]!r} is no word of oceanx" + (f"; say {near[0]!r}" if near else ""))
    return found


def _is_alias(name: str) -> bool:
    return any(name in v.aliases for v in VARIABLES.values())


def select(ds: xr.Dataset, *, variable: str | None = None, platform: str | None = None) -> xr.Dataset:
    """The rows of one variable, or of one platform, or both; no row where there is no such name."""
    keep = np.ones(ds.sizes["obs"], bool)
    for column, name in (("variable", variable), ("platform", platform)):
        if name is not None:
            keep &= np.isin(ds[column].values, [c for c, word in meanings(ds[column].attrs).items() if word == name])
    return ds.isel(obs=np.flatnonzero(keep))


def concatenate(parts: Sequence[xr.Dataset]) -> xr.Dataset:
    """One table of several, sorted by time; of equal times the earlier part's first. Counts of rejections are added up.

    Raises
    ------
    InputError
        If a part is no observation table, or has a column that another lacks.
    """
    if not parts:
        raise InputError("observations: nothing to concatenate")
    for ds in parts:
        check(ds)
    names = {c: list(dict.fromkeys(w for ds in parts for w in meanings(ds[c].attrs).values())) for c in _CODED}
    extras = _extras(parts)
    columns = {name: np.concatenate([_recoded(ds, name, names) for ds in parts]) for name in (*COORDINATES, *COLUMNS)}
    kinds = {str(ds.attrs.get(FEATURE, "point")) for ds in parts}
    first = parts[0]
    return table(
        columns,
        names["variable"],
        names["platform"],
        kind=kinds.pop() if len(kinds) == 1 else "point",
        extras={n: xr.Variable.concat([ds[n].variable for ds in parts], "obs") for n in extras},
        coords={str(n): c for n, c in first.coords.items() if "obs" not in c.dims},
        attrs=joined_attrs([ds.attrs for ds in parts]),
    )


_CODED = ("variable", "platform")


def _recoded(ds: xr.Dataset, name: str, names: Mapping[str, list[str]]) -> np.ndarray:
    if name not in _CODED:
        return ds[name].values
    words = list(meanings(ds[name].attrs).values())
    new = np.array([names[name].index(word) for word in words] or [0], ds[name].dtype)
    return new[ds[name].values]


def _extras(parts: Sequence[xr.Dataset]) -> list[str]:
    """Columns beyond the contract's: every part must have them, on the same other dimensions."""
    sets = [[str(n) for n in ds.data_vars if n not in COLUMNS] for ds in parts]
    for mine in sets[1:]:
        for name in set(mine) ^ set(sets[0]):
            raise InputError(f"observations: {name} is a column of some parts only; leave it out with ds.drop_vars")
    for ds in parts[1:]:
        for label, c in parts[0].coords.items():
            if "obs" not in c.dims and not (label in ds.coords and c.equals(ds[label])):
                raise InputError(f"observations: {label} differs between the parts; concatenate those of one {label}")
    return sets[0]


def joined_attrs(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Attributes of a whole: those all parts share, every comment once, rejections added up."""
    shared = {k: v for k, v in parts[0].items() if all(k in p and np.array_equal(p[k], v) for p in parts[1:])}
    comments = dict.fromkeys(note for p in parts for note in str(p.get("comment", "")).split("; ") if note)
    counts: dict[str, Counter[str]] = {}
    for p in parts:
        for platform, reasons in rejections(p).items():
            counts.setdefault(platform, Counter()).update(reasons)
    said: dict[str, Any] = {"comment": "; ".join(comments)} if comments else {}
    if counts:
        said[REJECTED] = json.dumps(counts)
    return shared | said


def rejections(attrs: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """How many data of each platform were left out, by variable and reason."""
    return dict(json.loads(attrs.get(REJECTED, "{}")))


def tally(ds: xr.Dataset, qc: np.ndarray | None = None) -> dict[str, dict[str, int]]:
    """How many data of each platform of a table failed, by variable and reason; by `qc`, or by codes given instead."""
    codes = ds["qc"].values if qc is None else qc
    failed = np.flatnonzero(codes)
    names, platforms = meanings(ds["variable"].attrs), meanings(ds["platform"].attrs)
    keys = [ds["platform"].values[failed], ds["variable"].values[failed], codes[failed]]
    found, counts = np.unique(np.stack([key.astype(np.int64) for key in keys]), axis=1, return_counts=True)
    result: dict[str, dict[str, int]] = {}
    for (platform, name, code), count in zip(found.T.tolist(), counts.tolist(), strict=True):
        result.setdefault(platforms[platform], {})[f"{names[name]} {reason(code)}"] = count
    return result


def with_rejections(ds: xr.Dataset, counts: Mapping[str, Mapping[str, int]]) -> xr.Dataset:
    """The table with counts of `tally` added to those that its attribute `rejected` has."""
    total = {platform: Counter(found) for platform, found in rejections(ds.attrs).items()}
    for platform, found in counts.items():
        total.setdefault(platform, Counter()).update(found)
    return ds.assign_attrs({REJECTED: json.dumps(total)}) if total else ds


def with_codes(ds: xr.Dataset, qc: np.ndarray) -> xr.Dataset:
    """The table with other `qc` codes, which its attributes explain."""
    known = meanings(ds["qc"].attrs)
    codes = sorted({0, *np.unique(qc).tolist()})
    words = [known.get(code, reason(code)) for code in codes]
    attrs = ds["qc"].attrs | flag_attrs(words, "uint8", codes)
    return ds.assign(qc=ds["qc"].copy(data=qc.astype(np.uint8)).assign_attrs(attrs))


def reasons(attrs: Mapping[str, Any]) -> dict[str, int]:
    """How many data were left out of a table, by reason, whatever the platform and variable."""
    counts: Counter[str] = Counter()
    for found in rejections(attrs).values():
        for said, count in found.items():
            counts[said.split(" ", 1)[-1]] += count
    return dict(counts.most_common())
