"""The Dataset of analyses without its numbers: every label, attribute and coordinate, nothing computed.

What a method does not say stays missing: NaN, or 0 where something is counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import dask.array
import numpy as np
import xarray as xr

from oceanx import seam
from oceanx.ocean.flags import flag_attrs, meanings
from oceanx.ocean.observations import TESTS, reason
from oceanx.vocabulary.channels import Task
from oceanx.vocabulary.names import DIMENSIONS, VARIABLES

from ..model import Model
from ..stepping import Atmosphere
from .windows import Span

DEPARTURES: dict[str, tuple[str, str]] = {
    "background": ("float32", "Observation minus background"),
    "analysis": ("float32", "Observation minus analysis"),
    "background_std": ("float32", "Standard deviation of the background's error at the observation"),
    "analysis_std": ("float32", "Standard deviation of the analysis' error at the observation"),
    "error_std": ("float32", "Standard deviation of the observation's error, as it was used"),
    "influence": ("float32", "Degrees of freedom for signal of the observation"),
    "rank": ("int16", "Rank of the observation among the members with its noise added, -1 without members"),
    "qc": ("uint8", "Quality"),
}
"""What is kept of every observation: the dtype, and what it is."""

COUNTED: dict[str, str] = {
    "observations_used": "Observations that the analysis used",
    "observations_rejected": "Observations of the window that it did not use",
}
SAID: dict[str, str] = {
    "chi_squared": "d^T (HBH^T + R)^-1 d, over the number of observations",
    "degrees_of_freedom": "Degrees of freedom for signal, the trace of HK",
    "spread_over_error": "Standard deviation of the background at the observations over the error found there",
}
OF_EACH: dict[str, tuple[str, str]] = {
    "increment_mean": ("float64", "Mean increment"),
    "increment_max": ("float64", "Largest increment, whatever its sign"),
    "drift": ("float64", "Mean over the sea, less that of the first background"),
    "bounded": ("int32", "Cells that were held within bounds"),
}
EMPTY = {"f": np.nan, "i": 0, "u": 0}


def template(
    model: Model,
    ds: xr.Dataset,
    task: Task,
    spans: Sequence[Span],
    table: xr.Dataset,
    air: Atmosphere,
    grid: xr.Dataset,
    *,
    spread: bool,
    members: int,
    keep: Sequence[str],
    attrs: Mapping[str, Any],
) -> xr.Dataset:
    """Variables `(time, depth, latitude, longitude)`, diagnostics `(time)` and departures `(obs)` of nothing yet.

    Parameters
    ----------
    spread
        Whether the method says how certain its analysis is: `<variable>_std`.
    keep
        `background` and `members`: what is stored beside the analysis.
    attrs
        Attributes that the whole carries besides those of its making.
    """
    times = np.concatenate([span.times for span in spans])
    chosen = seam.select(ds, task.prognostic)
    held: dict[str, tuple[tuple[str, ...], Any, dict[str, Any]]] = {}
    for name in task.prognostic.names:
        space = tuple(str(dim) for dim in chosen[name].dims if dim != "time")
        sizes = [chosen.sizes[dim] for dim in space]
        own = dict(chosen[name].attrs)
        said = str(own.get("long_name", name))
        plain = {"units": own.get("units", "1")}
        further = {"": own}
        if spread:
            further["_std"] = plain | {"long_name": f"{said}, standard deviation of the analysis' error"}
        if "background" in keep:
            further["_background"] = own | {"long_name": f"{said}, before the analysis"}
        for suffix, mine in further.items():
            held[name + suffix] = ("time", *space), _nothing([len(times), *sizes]), mine
        if "members" in keep:
            mine = own | {"long_name": f"{said}, members of the analysis"}
            held[f"{name}_members"] = ("member", "time", *space), _nothing([members, len(times), *sizes], 2), mine
        for suffix, (dtype, what) in OF_EACH.items():
            mine = {"long_name": f"{said}: {what[0].lower()}{what[1:]}", "units": plain["units"]}
            mine |= {"units": "1"} if suffix == "bounded" else {}
            held[f"{name}_{suffix}"] = ("time",), _nothing([len(times)], dtype=dtype), mine
    for names, dtype in ((COUNTED, "int32"), (SAID, "float64")):
        for name, what in names.items():
            held[name] = ("time",), _nothing([len(times)], dtype=dtype), {"long_name": what, "units": "1"}
    held |= _departures(spans, table)
    coords: dict[str, Any] = {"time": ("time", times, DIMENSIONS["time"])} | {
        str(name): c for name, c in grid.coords.items()
    }
    if "members" in keep:
        coords["member"] = ("member", np.arange(members), DIMENSIONS["member"])
    result = xr.Dataset(held, coords=coords)
    for name in ("time", "departure_time"):
        result[name].encoding = {"dtype": "int64", "units": "seconds since 1970-01-01"}
    return result.assign_attrs(_attrs(model, ds, task, air) | dict(attrs))


def _nothing(shape: Sequence[int], one: int = 1, dtype: str = "float32") -> dask.array.Array:
    """Cut along its first `one` dimensions; whole maps."""
    chunks = (*(1 for _ in range(one)), *shape[one:]) if len(shape) > one else tuple(shape)
    return dask.array.full(tuple(shape), EMPTY[np.dtype(dtype).kind], dtype=dtype, chunks=chunks)


def _departures(spans: Sequence[Span], table: xr.Dataset) -> dict[str, tuple[tuple[str, ...], Any, dict[str, Any]]]:
    first, last = spans[0].rows.start, spans[-1].rows.stop
    begins = np.repeat([span.begin for span in spans], [span.rows.stop - span.rows.start for span in spans])
    held: dict[str, tuple[tuple[str, ...], Any, dict[str, Any]]] = {
        "departure_row": (("obs",), np.arange(first, last), {"long_name": "Row in the table of observations"}),
        "departure_time": (("obs",), begins.astype("datetime64[ns]"), {"long_name": "Time of the analysis"}),
    }
    codes = sorted({*TESTS, *meanings(table["qc"].attrs)})
    flags = {"standard_name": "quality_flag", **flag_attrs([reason(code) for code in codes], "uint8", codes)}
    for name, (dtype, what) in DEPARTURES.items():
        values = dask.array.full(last - first, EMPTY[np.dtype(dtype).kind], dtype=dtype, chunks=max(1, last - first))
        attrs = {"long_name": what} | (flags if name == "qc" else {"units": "1"} if name in _PURE else {})
        held[f"departure_{name}"] = ("obs",), values, attrs
    return held


_PURE = ("influence", "rank")


def _attrs(model: Model, ds: xr.Dataset, task: Task, air: Atmosphere) -> dict[str, str]:
    return {
        "Conventions": "CF-1.11",
        "title": f"Ocean analyses with {model.name}",
        "source": f"oceanx {version('oceanx')}, model {model.name}",
        "institution": str(ds.attrs.get("institution", "unknown")),
        "references": str(ds.attrs.get("references", "")),
        "oceanx_model": model.name,
        "oceanx_background": str(ds.attrs.get("oceanx_fingerprint", "unknown")),
        **({"oceanx_forcing": air.said, **air.attrs} if task.forcing.names else {}),
        **model.attrs,
    }


def means(grid: xr.Dataset, task: Task) -> dict[str, np.ndarray]:
    """By variable the weights `[level, lat, lon]` of a mean over the sea, by volume, or by area at the surface."""
    area = grid.cell_area.transpose("latitude", "longitude").values
    wet = seam.wet_mask(grid).numpy().astype(bool)
    thickness = grid.thickness.values if "thickness" in grid.coords else np.ones(1)
    return {
        name: np.where(wet, area * thickness[:, None, None], 0.0)
        if name in task.prognostic.volume
        else np.where(wet[:1], area, 0.0)
        for name in task.prognostic.names
        if name not in VARIABLES or VARIABLES[name].realm != "atmosphere"
    }
