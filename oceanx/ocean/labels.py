"""What a forecast Dataset is: dimensions, `valid_time`, CF attributes, and the check that holds them.

A forecast variable has the dimensions `ORDER` that apply to it, in that order. `lead_time` is the time since the
analysis, so `valid_time = init_time + lead_time`; the first stored lead is one step after the analysis.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import xarray as xr

from ..vocabulary.caution import caution
from ..vocabulary.errors import InputError, unknown
from ..vocabulary.names import DIMENSIONS, VARIABLES
from ..vocabulary.published import QUANTITY, anomaly_attrs

F = TypeVar("F", xr.Dataset, xr.DataArray, xr.Dataset | xr.DataArray)

ORDER = ("member", "init_time", "lead_time", "depth", "latitude", "longitude")
STATIC = ("mask", "cell_area", "thickness")
WIDEST = 300.0  # degrees: what is wider is taken for a globe that counts its longitudes from elsewhere
LEAD_UNITS = {  # nanoseconds
    "days": 86_400_000_000_000, "hours": 3_600_000_000_000, "minutes": 60_000_000_000, "seconds": 1_000_000_000
}  # fmt: skip
ANALYSIS = "oceanx_analysis"  # global attribute of a forecast whose lead 0 is there on request


def forecast_labels(
    init_time: Any,
    lead_time: Any,
    like: xr.Dataset,
    member: Any = None,
    attrs: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """A Dataset of coordinates alone, on which a forecast is laid out: times, leads, members and the grid of `like`.

    Parameters
    ----------
    init_time, lead_time
        Dates and durations, anything pandas reads as such.
    like
        Where the grid, `mask`, `cell_area` and `thickness` come from.
    member
        Numbers of the ensemble members, or None for a forecast without members.
    attrs
        Global attributes; our own begin with `oceanx_`.
    """
    grid = {c: like[c] for c in ("depth", "latitude", "longitude", *STATIC) if c in like.coords}
    coords = {
        "init_time": pd.DatetimeIndex(np.atleast_1d(init_time)).astype("datetime64[ns]"),
        "lead_time": pd.TimedeltaIndex(np.atleast_1d(lead_time)).astype("timedelta64[ns]"),
    } | ({} if member is None else {"member": np.atleast_1d(member)})
    return label(xr.Dataset(coords={**coords, **grid}), attrs)


def label(ds: xr.Dataset, attrs: Mapping[str, Any] | None = None) -> xr.Dataset:
    """The Dataset as a labelled forecast: dimensions in order, `valid_time`, CF attributes, safe encodings.

    Attributes that are there already are kept; values are not touched. `lead_time` is encoded as int64 with its own
    `dtype`, so that any xarray decodes it as a duration without being told.

    Raises
    ------
    InputError
        If `init_time` or `lead_time` is missing or is not of dates and durations.
    """
    refuse_unlabelled(ds)
    ds = ds.transpose(*(d for d in ORDER if d in ds.dims), ...)
    valid = ds["init_time"].astype("datetime64[ns]") + ds["lead_time"].astype("timedelta64[ns]")
    ds = ds.assign_coords(
        init_time=ds["init_time"].astype("datetime64[ns]"),
        lead_time=ds["lead_time"].astype("timedelta64[ns]"),
        valid_time=valid.transpose("init_time", "lead_time").drop_attrs(),
    )
    for name in map(str, ds.variables):
        known = DIMENSIONS.get(name) or (VARIABLES[name].attrs if name in VARIABLES else {})
        ds[name].attrs = known | ds[name].attrs
    whole_hours = not (ds["lead_time"].values % np.timedelta64(1, "h")).astype(np.int64).any()
    ds["lead_time"].encoding = {"dtype": "int64", "units": "hours" if whole_hours else "seconds"}
    for name in ("init_time", "valid_time"):
        ds[name].encoding = {"dtype": "int64", "units": "seconds since 1970-01-01", "calendar": "proleptic_gregorian"}
    if bool((ds["lead_time"].values == np.timedelta64(0)).any()):
        ds = ds.assign_attrs({ANALYSIS: "lead_time 0 is the analysis"})
    return ds.assign_attrs({"Conventions": "CF-1.11"} | ds.attrs | dict(attrs or {}))


def check(ds: xr.Dataset, *, values: bool = True, where: str = "forecast") -> None:
    """None if the Dataset keeps the forecast contract.

    Parameters
    ----------
    values
        Also read the data, one start date at a time: nothing on land, nothing missing at sea, no empty forecast.
    where
        What to call the Dataset in the message, such as its path.

    Raises
    ------
    InputError
        Naming the first thing that is wrong and how to mend it.
    """
    complaints = (
        lambda: _wrong_kind(ds, "init_time", "M"),
        lambda: _wrong_kind(ds, "lead_time", "m"),
        lambda: _wrong_axes(ds),
        lambda: _wrong_leads(ds),
        lambda: _wrong_valid_time(ds),
        lambda: _wrong_variables(ds),
        lambda: _wrong_values(ds) if values else None,
    )
    for complaint in complaints:
        _complain(complaint(), where)


def by_model(forecast: F | Mapping[str, F]) -> dict[str, F]:
    """Forecasts by the name of their model: of a mapping its own, of one alone that which it was made by."""
    if isinstance(forecast, xr.Dataset | xr.DataArray):
        return {str(forecast.attrs.get("oceanx_model", "forecast")): forecast}
    return {str(name): f for name, f in forecast.items()}


def open_forecast(path: Path | str, *, values: bool = False) -> xr.Dataset:
    """The forecast in a Zarr store or NetCDF file, lazy and checked (its labels; with `values` its data too).

    Leads that another tool stored as numbers become durations if `lead_time` says its unit, and a warning says so.

    Raises
    ------
    InputError
        If there is no such forecast, it cannot be read, or it breaks the contract.
    """
    ds = _with_durations(opened(path), path)
    check(ds, values=values, where=str(path))
    # A store lists its arrays in any order; readers like the vocabulary's.
    return ds[[name for name in VARIABLES if name in ds.data_vars]]


def opened(path: Path | str) -> xr.Dataset:
    """What a Zarr store or NetCDF file holds, lazily and as it is; `InputError` if it cannot be read."""
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such forecast")
    try:
        return xr.open_zarr(path, consolidated=False) if path.is_dir() else xr.open_dataset(path, chunks={})
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path}: cannot be read as a forecast: {' '.join(str(error).split())[:200]}") from None


def _with_durations(ds: xr.Dataset, path: Path | str) -> xr.Dataset:
    """The Dataset with leads as durations, where they are numbers of a unit that it states."""
    if "lead_time" not in ds.variables or ds["lead_time"].dtype.kind not in "iuf":
        return ds
    lead, unit = ds["lead_time"], str(ds["lead_time"].attrs.get("units", "")).rstrip("s") + "s"
    if unit not in LEAD_UNITS:
        return ds
    caution(
        f"{path}: lead_time holds numbers, without the attribute dtype='timedelta64[ns]'; taken as {unit}, which it "
        "says they are"
    )
    attrs = {key: value for key, value in lead.attrs.items() if key != "units"}
    return ds.assign_coords(lead_time=(lead.dims, durations(lead.values, unit), attrs))


def durations(numbers: np.ndarray, unit: str) -> np.ndarray:
    """Numbers of one of `LEAD_UNITS` as timedelta64[ns], to the nanosecond."""
    size = LEAD_UNITS[unit]
    whole = numbers.astype(np.int64) * size if numbers.dtype.kind in "iu" else np.round(numbers * float(size))
    return whole.astype(np.int64).astype("timedelta64[ns]")


def refuse_unlabelled(obj: xr.Dataset | xr.DataArray, where: str = "forecast") -> None:
    """`InputError` unless `init_time` and `lead_time` are dimensions with ascending dates and durations."""
    for name, kind in (("init_time", "M"), ("lead_time", "m")):
        _complain(_wrong_kind(obj, name, kind), where)


def _complain(complaint: str | None, where: str = "forecast") -> None:
    if complaint:
        raise InputError(f"{where}: {complaint}")


def _wrong_kind(ds: xr.Dataset | xr.DataArray, name: str, kind: str) -> str | None:
    """A time axis that is not there, not a dimension, or not of dates (M) or durations (m)."""
    if name not in ds.dims or name not in ds.coords:
        return f"no dimension {name!r} with labels; found {sorted(map(str, ds.dims))}"
    axis = ds[name]
    if axis.dtype.kind != kind:
        hint = {
            "M": "decode it with xr.decode_cf",
            "m": "its writer left out the attributes units and dtype='timedelta64[ns]'; "
            f"convert with ds.assign_coords({name}=pd.to_timedelta(ds.{name}, unit='D')) if it counts days",
        }[kind]
        expected = {"M": "datetime64", "m": "timedelta64"}[kind]
        return f"{name}: found {axis.dtype}, expected {expected}; {hint}"
    if np.isnat(axis.values).any() or not (np.diff(axis.values) > np.timedelta64(0)).all():
        return f"{name}: expected increasing values, each once; sort with ds.sortby({name!r})"
    return None


def longitudes_fit(west: float, east: float) -> bool:
    """Whether longitudes lie in [-180, 180) or, of a region that sorting would tear in two, go on from there."""
    return west >= -180 and (east < 180 or (west < 180 and east - west < WIDEST))


def _wrong_axes(ds: xr.Dataset) -> str | None:
    for name in ("latitude", "longitude", "depth"):
        if name not in ds.coords:
            if name != "depth" or "depth" in ds.dims:
                return f"no coordinate {name!r}; found {sorted(map(str, ds.coords))}"
            continue
        values = np.atleast_1d(ds[name].values)
        if not (np.diff(values) > 0).all():
            return f"{name}: expected ascending values; sort with ds.sortby({name!r})"
    west, east = float(ds["longitude"].values.min()), float(ds["longitude"].values.max())
    if not longitudes_fit(west, east):
        return (
            f"longitude: found {west:g} to {east:g}, expected [-180, 180); "
            "shift with ds.assign_coords(longitude=(ds.longitude + 180) % 360 - 180).sortby('longitude')"
        )
    if "depth" in ds.coords and np.min(ds["depth"].values) < 0:
        return f"depth: found {np.min(ds['depth'].values):g}, expected metres below the surface, positive down"
    return None


def _wrong_leads(ds: xr.Dataset) -> str | None:
    first, zero = ds["lead_time"].values.min(), np.timedelta64(0, "ns")
    if first < zero or (first == zero and ANALYSIS not in ds.attrs):
        return (
            f"lead_time: found {lead_said(first)}; leads begin one step after the analysis "
            f"(lead 0 on request only, with the global attribute {ANALYSIS})"
        )
    return None


def _wrong_valid_time(ds: xr.Dataset) -> str | None:
    if "valid_time" not in ds.coords:
        return "no coordinate 'valid_time'; add it with oceanx.ocean.labels.label(ds)"
    valid = ds["valid_time"]
    if valid.dims != ("init_time", "lead_time"):
        return f"valid_time: found dimensions {valid.dims}, expected ('init_time', 'lead_time')"
    wrong = (valid.values != ds["init_time"].values[:, None] + ds["lead_time"].values[None, :]).ravel()
    if wrong.any():
        i, j = np.unravel_index(int(np.argmax(wrong)), valid.shape)
        init, lead = ds["init_time"].values[i], ds["lead_time"].values[j]
        return (
            f"valid_time: found {date_said(valid.values[i, j])} for init_time {date_said(init)} and lead_time "
            f"{lead_said(lead)}, expected {date_said(init + lead)}"
        )
    return None


def _wrong_variables(ds: xr.Dataset) -> str | None:
    for name, v in ds.data_vars.items():
        if name not in VARIABLES:
            return str(unknown("variable", str(name), VARIABLES))
        expected = tuple(d for d in ORDER if d in v.dims)
        lacking = [d for d in ("init_time", "lead_time", "latitude", "longitude") if d not in v.dims]
        if lacking or v.dims != expected:
            expected = tuple(d for d in ORDER if d in (*v.dims, *lacking))
            return f"{name}: found dimensions {v.dims}, expected {expected}"
        known = VARIABLES[str(name)].attrs
        if v.attrs.get(QUANTITY) == "anomaly":
            known |= anomaly_attrs(str(name))
        for key, value in known.items():
            if key != "long_name" and v.attrs.get(key) != value:
                return f"{name}: found {key}={v.attrs.get(key)!r}, expected {value!r}"
    return None


def _wrong_values(ds: xr.Dataset) -> str | None:
    """Values on land, gaps at sea, or nothing at all: reads one variable and one start date at a time."""
    for name, v in ds.data_vars.items():
        wet = None if VARIABLES[str(name)].realm == "atmosphere" else wet_cells(ds, v)
        for i, init in enumerate(v["init_time"].values):
            finite = np.isfinite(v.isel(init_time=i).values)
            if not finite.any():
                return f"{name}: no value at all for init_time {date_said(init)}"
            if wet is None:
                continue
            for wrong, what in ((finite & ~wet, "a value on land"), (~finite & wet, "no value at sea")):
                if wrong.any():
                    return (
                        f"{name}: {what} in {wrong.sum()} cells for init_time {date_said(init)}; compare with ds.mask"
                    )
    return None


def wet_cells(ds: xr.Dataset, v: xr.DataArray) -> np.ndarray | None:
    """Which cells of a variable are wet, by the `mask` coordinate (its top level for a surface variable), or None."""
    if "mask" not in ds.coords:
        return None
    mask = ds["mask"].astype(bool)
    if "depth" in mask.dims and "depth" not in v.dims:
        mask = mask.isel(depth=0)
    return mask.transpose(*(d for d in ("depth", "latitude", "longitude") if d in mask.dims)).values


def lead_said(lead: Any) -> str:
    """A lead time as messages have it: `3D`, `6h`."""
    seconds = pd.Timedelta(lead).total_seconds()
    unit, size = ("D", 86400) if seconds % 86400 == 0 else ("h", 3600)
    return f"{seconds / size:g}{unit}"


def date_said(date: Any) -> str:
    """A date as messages have it, with the hour where it is not midnight."""
    stamp = pd.Timestamp(date)
    return stamp.strftime("%Y-%m-%d" if stamp == stamp.normalize() else "%Y-%m-%dT%H:%M")
