"""Steps: plain functions Dataset → Dataset that a recipe names in YAML, one job each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import xarray as xr

from ..vocabulary.errors import InputError, unknown
from ..vocabulary.names import VARIABLES, variable
from . import units

_DAY = np.timedelta64(1, "D").astype("timedelta64[ns]")
_INSTANT = np.timedelta64(1, "ns")


def select_box(
    ds: xr.Dataset,
    latitude: tuple[float, float] = (-90.0, 90.0),
    longitude: tuple[float, float] = (-180.0, 180.0),
) -> xr.Dataset:
    """The cells whose centres lie in a box, edges included; degrees south to north, and west to east in [-180, 180]."""
    south, north = latitude
    west, east = longitude
    lon = ds["longitude"]
    if south > north or west > east or west < -180 or east > 180:
        raise InputError(
            f"select_box: latitude {south:g} to {north:g}, longitude {west:g} to {east:g}; expected ascending pairs, "
            "longitude within -180 to 180 (bake the two sides of the date line apart)"
        )
    rows = (ds["latitude"] >= south) & (ds["latitude"] <= north)
    columns = (lon >= west) & (lon <= east)
    if not (rows.any() and columns.any()):
        raise InputError(
            f"select_box: no cell in latitude {south:g} to {north:g}, longitude {longitude[0]:g} to {longitude[1]:g}; "
            f"the data reach {_reach(ds['latitude'])} and {_reach(lon)}"
        )
    return ds.isel(latitude=np.flatnonzero(rows), longitude=np.flatnonzero(columns))


def select_levels(ds: xr.Dataset, depths: Sequence[float], tolerance: float = 1.0) -> xr.Dataset:
    """The levels nearest to `depths` (m), each within `tolerance` m of the depth asked for."""
    if "depth" not in ds.dims:
        return ds
    found = ds["depth"].values
    picks = [int(np.abs(found - depth).argmin()) for depth in depths]
    for depth, pick in zip(depths, picks, strict=True):
        if abs(found[pick] - depth) > tolerance:
            raise InputError(
                f"select_levels: the level nearest to {depth:g} m is {found[pick]:g} m; tolerance is {tolerance:g} m"
            )
    if len(set(picks)) < len(picks):
        raise InputError(f"select_levels: two of the depths {list(depths)} are nearest to the same level")
    return ds.isel(depth=sorted(picks))


def sort_axes(ds: xr.Dataset) -> xr.Dataset:
    """The Dataset with ascending axes and longitude in [-180, 180)."""
    if "longitude" in ds.coords:
        lon = ds["longitude"]
        wrapped = xr.where(lon >= 180, lon - 360, lon)
        ds = ds.assign_coords(longitude=xr.where(wrapped < -180, wrapped + 360, wrapped).assign_attrs(lon.attrs))
    return ds.sortby([axis for axis in ("time", "depth", "latitude", "longitude") if axis in ds.dims])


def rename(ds: xr.Dataset, names: Mapping[str, str]) -> xr.Dataset:
    """The Dataset with variables under other names of ours, and with that name's CF attributes."""
    names = {old: variable(new).name for old, new in names.items() if old in ds.data_vars}
    ds = ds.rename(names)
    for new in names.values():
        ds[new].attrs |= {k: v for k, v in variable(new).attrs.items() if k != "units"}
    return ds


def convert_units(ds: xr.Dataset, to: Mapping[str, str] | None = None) -> xr.Dataset:
    """The Dataset in oceanx's units (the table in `vocabulary/names.py`), or in those named by `to`.

    Raises
    ------
    InputError
        Naming the variable whose unit does not convert.
    """
    changed = {}
    for name, v in ds.data_vars.items():
        wanted = (to or {}).get(str(name)) or (VARIABLES[str(name)].units if name in VARIABLES else None)
        if wanted is None or v.attrs.get("units") == wanted:
            continue
        convert = units.conversion(str(v.attrs.get("units", "")), wanted, str(name))
        changed[name] = v.copy(data=convert(v.data)).assign_attrs(units=wanted)
    return ds.assign(changed)


def deaccumulate(ds: xr.Dataset, seconds: float, variables: Sequence[str] | None = None) -> xr.Dataset:
    """Accumulations over `seconds` as mean rates: J m-2 → W m-2, m → m s-1.

    Works on `variables`, where given and present, else on all that are in J m-2. The value stays at its time, the
    end of the accumulation; `cell_methods` says that it is a mean.
    """
    rates = {"J m-2": "W m-2", "m": "m s-1"}
    changed = {}
    for name, v in ds.data_vars.items():
        unit = units.normal(str(v.attrs.get("units", "")))
        if (name not in variables) if variables is not None else (unit != "J m-2"):
            continue
        if unit not in rates:
            raise InputError(f"{name}: found units {unit!r}; expected an accumulation in {' or '.join(rates)}")
        note = {"units": rates[unit], "cell_methods": "time: mean", "comment": f"mean over the {seconds:g} s before"}
        changed[name] = (v / seconds).assign_attrs(v.attrs | note)
    return ds.assign(changed)


def daily_mean(
    ds: xr.Dataset,
    ending: Sequence[str] = (),
    incomplete: Literal["drop", "error"] = "drop",
    samples: int | None = None,
) -> xr.Dataset:
    """Means over whole days [D, D + 1), labelled D at 00:00.

    Parameters
    ----------
    ending
        Variables whose value stands for the interval that *ends* at its time (rates from accumulations): their
        00:00 belongs to the day before.
    incomplete
        What to do about days with fewer values than the others: leave them out, or raise.
    samples
        Values in a whole day; None: as many as the commonest spacing of the times makes.

    Notes
    -----
    A day is in the result if it is complete for every variable. The mean is taken in float64; a missing value
    makes the mean missing.
    """
    times = ds["time"].values
    samples = samples or samples_a_day(times)
    whole = {name: whole_days(times, name in ending, samples) for name in map(str, ds.data_vars)}
    days = sorted(set.intersection(*(set(found) for found, _ in whole.values()))) if whole else []
    if incomplete == "error":
        for name in whole:
            refuse_incomplete(times, name in ending, samples, name)
    means = {}
    for name, (found, starts) in whole.items():
        v = ds[name].transpose("time", ...)
        first = dict(zip(found, starts, strict=True))
        values = np.empty((len(days), *v.shape[1:]))
        for row, day in enumerate(days):
            values[row] = v.values[first[day] : first[day] + samples].mean(axis=0, dtype=np.float64)
        attrs = {k: a for k, a in v.attrs.items() if k != "comment"} | {"cell_methods": "time: mean"}
        means[name] = xr.Variable(v.dims, values, attrs)
    space = {name: c for name, c in ds.coords.items() if "time" not in c.dims}
    labels = xr.Variable("time", np.array(days, "datetime64[ns]"), ds["time"].attrs)
    return xr.Dataset(means, coords={"time": labels, **space}, attrs=ds.attrs)


def samples_a_day(times: np.ndarray) -> int:
    """How many values a whole day has, from the commonest spacing of the times."""
    if times.size < 2:
        raise InputError("daily_mean: a single time tells no spacing; expected several a day (or say samples=…)")
    spacings, counts = np.unique(np.diff(np.sort(times)), return_counts=True)
    spacing = spacings[counts.argmax()]
    if spacing > _DAY or _DAY % spacing != np.timedelta64(0):
        raise InputError(
            f"daily_mean: times are mostly {spacing / _INSTANT / 3.6e12:g} h apart; expected a part of a day"
        )
    return int(_DAY / spacing)


def whole_days(times: np.ndarray, ending: bool, samples: int) -> tuple[np.ndarray, np.ndarray]:
    """The days with all their values, and where in `times` (ascending) each begins."""
    days, starts, counts = np.unique(_day_of(times, ending), return_index=True, return_counts=True)
    return days[counts == samples], starts[counts == samples]


def refuse_incomplete(times: np.ndarray, ending: bool, samples: int, name: str) -> None:
    """`InputError` naming the first day that lacks values."""
    days, counts = np.unique(_day_of(times, ending), return_counts=True)
    short = np.flatnonzero(counts != samples)
    if short.size:
        day = days[short[0]].astype("datetime64[D]")
        raise InputError(f"daily_mean: {name} has {counts[short[0]]} of {samples} values on {day}; give the whole day")


def _day_of(times: np.ndarray, ending: bool) -> np.ndarray:
    moments = times - _INSTANT if ending else times
    return moments.astype("datetime64[D]").astype("datetime64[ns]")


def _reach(axis: xr.DataArray) -> str:
    return f"{axis.name} {float(axis.min()):g} to {float(axis.max()):g}"


STEPS: dict[str, Callable[..., xr.Dataset]] = {
    step.__name__: step
    for step in (select_box, select_levels, sort_axes, rename, convert_units, deaccumulate, daily_mean)
}
ARITHMETIC = {"convert_units", "deaccumulate", "daily_mean"}  # these want float64 to work on, rounded once at the end


def step(name: str) -> Callable[..., xr.Dataset]:
    """The step of that name; `InputError` with the nearest match if there is none."""
    if name not in STEPS:
        raise unknown("step", name, STEPS)
    return STEPS[name]


def apply(ds: xr.Dataset, steps: Sequence[Mapping[str, Mapping[str, Any]]]) -> xr.Dataset:
    """The Dataset after all steps of a recipe, in order."""
    for entry in steps:
        for name, arguments in entry.items():
            ds = step(name)(ds, **arguments)
    return ds
