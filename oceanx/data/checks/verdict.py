"""The whole of it: stores together, and each for itself."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import numpy as np
import xarray as xr

from ...vocabulary.errors import InputError, unknown
from ...vocabulary.names import VARIABLES, ours
from .. import units
from ..shelf.catalog import open as open_catalog
from ..shelf.merging import merge
from . import content, frame
from .finding import Finding

Use = Literal["training", "forecasting", "scoring"]
USES: tuple[Use, ...] = ("training", "forecasting", "scoring")


def check(
    stores: Sequence[str | os.PathLike[str]],
    for_: Sequence[str] = USES,
    catalog: str | os.PathLike[str] | None = None,
) -> list[Finding]:
    """What there is to say of stores that are to be used together, the summary first.

    Parameters
    ----------
    stores
        Catalog names or paths; also stores and NetCDF files that oceanx did not make.
    for_
        Any of "training", "forecasting" and "scoring".
    catalog
        A folder of further catalog entries.

    Raises
    ------
    InputError
        For a store that is not there or cannot be opened, or a use that is none of the three.
    """
    if not stores:
        raise InputError("check: no store given; name one or several")
    names = [str(store) for store in stores]
    with ExitStack() as held:
        return _together([held.enter_context(_opened(store, catalog)) for store in stores], names, for_)


def _together(parts: Sequence[xr.Dataset], names: Sequence[str], for_: Sequence[str]) -> list[Finding]:
    try:
        ds = merge(parts, names)
    except (InputError, KeyError, ValueError) as error:
        said = str(error).strip("'\"")
        apart = Finding("error", said, "stores on one grid with times in common", "bake them to match")
        each = [finding for part, name in zip(parts, names, strict=True) for finding in report(part, for_, name)]
        return [_summary(parts[0], names[0]), apart, *each]
    where = names[0] if len(names) == 1 else ""
    return [_summary(ds, where), *_meeting(parts, names), *report(ds, for_, where)]


def report(ds: xr.Dataset, for_: Sequence[str] = USES, where: str = "") -> list[Finding]:
    """What there is to say of one Dataset: its axes, times, units, masks, chunks, and its values on three days.

    Parameters
    ----------
    ds
        Gridded, or observations (dimension `obs`).
    for_
        Any of "training", "forecasting" and "scoring".
    where
        The store, for the remedies.
    """
    for use in for_:
        if use not in USES:
            raise unknown("use", use, USES)
    store = where or "STORE"
    if "obs" in ds.dims and "latitude" not in ds.dims:  # analyses have departures along obs
        return _said(frame.observations(ds))
    grid = list(frame.axes(ds, store))
    found = [*grid, *_variables(ds, store), *frame.times(ds, for_, store)]
    if not any(finding.level == "error" for finding in found):
        found += [*frame.companions(ds, for_), *content.chunks(ds, for_, store)]
        found += [*content.values(ds, store), *content.records(ds, for_, store)]
    return _said(found)


def printed(findings: Sequence[Finding]) -> bool:
    """Print findings, a line each; True where none is an error."""
    for finding in findings:
        print(finding)
    return not any(finding.level == "error" for finding in findings)


def _said(findings: Iterator[Finding] | list[Finding]) -> list[Finding]:
    order = {"error": 0, "warn": 1, "ok": 2}
    return sorted(findings, key=lambda finding: order[finding.level])


def _opened(store: str | os.PathLike[str], catalog: str | os.PathLike[str] | None) -> xr.Dataset:
    if Path(store).is_file():
        try:
            return xr.open_dataset(store, chunks={})
        except (OSError, ValueError) as error:
            raise InputError(f"{store}: cannot be opened ({' '.join(str(error).split())[:200]})") from None
    return open_catalog(store, catalog=catalog)


def _summary(ds: xr.Dataset, where: str) -> Finding:
    # A store lists its variables in the order of its folder, which is no order at all.
    usual = ("time", "init_time", "lead_time", "depth", "latitude", "longitude")
    dims = sorted(map(str, ds.sizes), key=lambda dim: (usual.index(dim) if dim in usual else len(usual), dim))
    sizes = " × ".join(f"{ds.sizes[dim]} {dim}" for dim in dims)
    missing = np.atleast_1d(ds.attrs.get("missing_times", [])).size
    said = f"{sizes}; {', '.join(sorted(map(str, ds.data_vars)))}; {missing} missing times"
    return Finding("ok", f"{where}: {said}" if where else said)


def _meeting(parts: Sequence[xr.Dataset], names: Sequence[str]) -> Iterator[Finding]:
    """Whether the stores cover one another's days."""
    dated = [(ds["time"].values, name) for ds, name in zip(parts, names, strict=True) if "time" in ds.dims]
    for times, name in dated[1:]:
        absent = dated[0][0][~np.isin(dated[0][0], times)]
        if absent.size:
            first = np.datetime_as_string(absent[0], unit="D")
            yield Finding(
                "warn",
                f"{name}: lacks {absent.size} of {dated[0][0].size} times of {dated[0][1]}, first {first}",
                "the same times; only common ones are used",
                f"add the files of those days: oceanx bake … --to {name} --append",
            )


def _variables(ds: xr.Dataset, store: str) -> Iterator[Finding]:
    """Names and units."""
    known = [str(name) for name in ds.data_vars if name in VARIABLES]
    bake = f"oceanx bake cf --source {store} --to NEW.zarr"
    for name in map(str, ds.data_vars):
        if name in VARIABLES:
            yield from _unit(ds[name], name, bake)
            yield from _dimensions(ds[name], name, bake)
        elif ours(name):
            yield Finding("error", f"{name}: another's name", f"{ours(name)}", bake)
        elif "departure_row" not in ds:
            yield Finding("warn", f"{name}: a word that oceanx does not know; it is left alone")
    if "departure_row" in ds:
        yield Finding("ok", f"analyses, with {len(ds.data_vars) - len(known)} diagnostics beside {', '.join(known)}")
    if not known and not any(ours(str(name)) for name in ds.data_vars):
        yield Finding("error", f"no variable of ours among {', '.join(map(str, ds.data_vars)) or 'none'}",
                      "such as thetao, zos, u10", bake)  # fmt: skip
    wide = [n for n in known if ds[n].dtype.itemsize > 4 and VARIABLES[n].realm != "static"]
    if wide:
        yield Finding("warn", f"{', '.join(wide)}: {ds[wide[0]].dtype}", "float32, half as large to read", bake)


def _dimensions(v: xr.DataArray, name: str, bake: str) -> Iterator[Finding]:
    strange = [str(d) for d in v.dims if d not in ("time", "depth", "latitude", "longitude")]
    if strange:
        needed = "time, depth, latitude, longitude"
        yield Finding("error", f"{name}: dimension {', '.join(strange)}", f"none but {needed}", bake)


def _unit(v: xr.DataArray, name: str, bake: str) -> Iterator[Finding]:
    wanted, found = VARIABLES[name].units, v.attrs.get("units")
    if found is None:
        yield Finding("error", f"{name}: says no units", wanted, f"{bake} 'variables={{{name}: {{units: {wanted}}}}}'")
    elif units.normal(str(found)) != wanted:
        converted = units.convertible(str(found), wanted)
        yield Finding(
            "error", f"{name}: units {found}", wanted, f"{bake}, which converts" if converted else "convert it first"
        )
