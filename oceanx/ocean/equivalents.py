"""What an analysis, a forecast or a climatology says at the points of an observation table."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from ..vocabulary.errors import InputError
from ..vocabulary.names import DIMENSIONS, VARIABLES
from ..vocabulary.progress import Progress
from .climatology import YEAR, basis, day_of_year
from .fields import field
from .flags import meanings
from .interpolation import ABOVE, LEAST, Weights, When, at_times, weights
from .labels import wet_cells
from .observations import check

AT_ONCE = 64 * 2**20  # bytes of fields that are read together


def equivalents(
    ds: xr.Dataset,
    table: xr.Dataset,
    *,
    time: When = "day",
    least: float = LEAST,
    above: float = ABOVE,
    middle: str = "12h",
    progress: Progress | None = None,
) -> xr.DataArray:
    """The equivalent (obs), or (obs, lead_time) of a forecast, in the unit of each observation; NaN where none.

    Fields are read one at a time. Space is that of `oceanx.ocean.interpolation.weights`. Of an ensemble the mean is
    taken. Observations of variables that `ds` lacks have no equivalent.

    Parameters
    ----------
    ds
        Dataset with `time`, a labelled forecast, or a climatology of `oceanx.ocean.climatology`. Its `mask` says what
        is wet, or else where the first field has values.
    table
        Observation table.
    time
        `day`: a daily mean stamped at any hour of D is that of [D, D + 1), so an observation at t is compared with the
        field of its day, at every lead with which a forecast is valid then. `linear` and `nearest` are for a Dataset
        with `time`: between the moments at which fields stand, `middle` after their stamps.

    Raises
    ------
    InputError
        If the table is none, a unit is not ours, leads are not whole days, or two starts are on one day.
    """
    check(table)
    kind = _kind(ds)
    if kind != "time" and time != "day":
        raise InputError(f"time: found {time!r}; a {kind} is compared by the day, time='day'")
    leads = ds["lead_time"].values if kind == "forecast" else np.zeros(1, "timedelta64[ns]")
    if (leads % np.timedelta64(1, "D")).astype(np.int64).any():
        raise InputError(
            f"lead_time: found {pd.Timedelta(leads[0])}; a forecast is compared by the day, with leads of whole days: "
            "take daily means first"
        )
    found = np.full((table.sizes["obs"], len(leads)), np.nan)
    for code, name in meanings(table["variable"].attrs).items():
        rows = np.flatnonzero(table["variable"].values == code)
        if rows.size and name in ds.data_vars:
            part = table.isel(obs=rows)
            v = field(ds, name, "equivalents")
            found[rows] = _of_variable(ds, v, part, kind, time, least, above, middle, progress)
    attrs = {"long_name": "Equivalent at the observation"}
    if kind != "forecast":
        return xr.DataArray(found[:, 0], dims="obs", attrs=attrs)
    coords = {"lead_time": ("lead_time", leads, DIMENSIONS["lead_time"])}
    return xr.DataArray(found, coords, ("obs", "lead_time"), attrs=attrs)


def days_of(ds: xr.Dataset) -> np.ndarray:
    """The valid days (lead, start) of a forecast, datetime64[D]."""
    return ds["valid_time"].transpose("lead_time", "init_time").values.astype("datetime64[D]")


def _of_variable(
    ds: xr.Dataset, v: xr.DataArray, table: xr.Dataset, kind: str, time: When, least: float, above: float,
    middle: str, progress: Progress | None,
) -> np.ndarray:  # fmt: skip
    """Equivalents (obs, lead) of one variable."""
    place = weights(_space(ds, v), table, wet=_wet(ds, v), least=least, above=above)
    if kind == "climatology":
        return _in_the_year(v, place, table["time"])
    if kind == "time":
        near, share = at_times(v["time"].values, table["time"].values, time, middle)
        return _between(v, "time", place, near, share, progress)
    days = table["time"].values.astype("datetime64[D]")
    result = np.full((len(days), v.sizes["lead_time"]), np.nan)
    for lead, valid in enumerate(days_of(ds)):
        if pd.Index(valid).has_duplicates:
            raise InputError(
                f"forecast: several starts of lead {pd.Timedelta(ds['lead_time'].values[lead])} are valid on one day; "
                "score one start a day, with forecast.sel(init_time=...)"
            )
        for start, day in enumerate(valid):
            rows = np.flatnonzero(days == day)
            if rows.size:
                result[rows, lead] = _applied(place.rows(rows), v.isel(init_time=start, lead_time=lead))
        if progress:
            progress(f"{v.name} at observations", lead + 1, v.sizes["lead_time"])
    return result


def _between(
    v: xr.DataArray, dim: str, place: Weights, near: np.ndarray, share: np.ndarray, progress: Progress | None = None
) -> np.ndarray:
    """Shares of the fields (obs, 2) along one dimension, each of which is read once: (obs, 1)."""
    result = np.where(share.any(axis=1), 0.0, np.nan)
    needed = np.unique(near[share > 0])
    together = max(1, AT_ONCE // (8 * max(1, v.isel({dim: 0}).size)))
    for first in range(0, len(needed), together):
        some = needed[first : first + together]
        fields = v.isel({dim: some}).load()  # a lazy one is looked through anew for every part of it
        for number, step in enumerate(some):
            values = fields.isel({dim: number})
            for side in range(2):
                rows = np.flatnonzero((near[:, side] == step) & (share[:, side] > 0))
                if rows.size:
                    result[rows] += share[rows, side] * _applied(place.rows(rows), values)
        if progress:
            progress(f"{v.name} at observations", first + len(some), len(needed))
    return result[:, None]


def _in_the_year(v: xr.DataArray, place: Weights, time: xr.DataArray) -> np.ndarray:
    """A climatology on the day of each observation: (obs, 1). Space comes first, harmonics being linear."""
    if "harmonic" in v.dims:
        terms = basis(time, (v.sizes["harmonic"] - 1) // 2)
        return np.einsum("nk,kn->n", terms, place.apply(v.transpose("harmonic", ...)).values)[:, None]
    days = day_of_year(time) - 1
    return _between(
        v, "dayofyear", place, np.stack([days, days], axis=1), np.stack([days * 0 + 1.0, days * 0.0], axis=1)
    )


def _applied(place: Weights, v: xr.DataArray) -> np.ndarray:
    """Values (obs), of an ensemble the mean."""
    values = place.apply(v)
    return (values.mean("member") if "member" in values.dims else values).values


def _kind(ds: xr.Dataset) -> str:
    if {"init_time", "lead_time"} <= set(ds.dims):
        return "forecast"
    if "harmonic" in ds.dims or ds.sizes.get("dayofyear") == YEAR:
        return "climatology"
    if "time" in ds.dims:
        return "time"
    raise InputError(
        f"equivalents: found dimensions {sorted(map(str, ds.dims))}; expected a `time`, `init_time` and `lead_time`, "
        "or a climatology"
    )


def _space(ds: xr.Dataset, v: xr.DataArray) -> xr.DataArray:
    """The axes of a variable, without what else it has."""
    dims = [d for d in ("depth", "latitude", "longitude") if d in v.dims]
    return xr.DataArray(np.empty([ds.sizes[d] for d in dims], np.int8), {d: ds[d].values for d in dims}, dims)


def _wet(ds: xr.Dataset, v: xr.DataArray) -> np.ndarray | None:
    if VARIABLES[str(v.name)].realm == "atmosphere":
        return None
    said = wet_cells(ds, v)
    if said is not None:
        return said
    space = [d for d in ("depth", "latitude", "longitude") if d in v.dims]
    first = v.isel({d: 0 for d in v.dims if d not in space})
    return np.isfinite(first.transpose(*space).values)
