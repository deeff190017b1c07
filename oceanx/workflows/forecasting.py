"""Forecast: model + Dataset → labelled forecasts, from many start dates, written as they are made."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr

from oceanx import seam
from oceanx.ocean import labels
from oceanx.vocabulary.channels import PARENT, Task
from oceanx.vocabulary.errors import InputError
from oceanx.vocabulary.progress import Progress

from .atmosphere import Told, atmosphere
from .batching import missing_times
from .forecast_store import ForecastStore
from .model import Model
from .stepping import NOW, Atmosphere, beginning, of_the_air, stepped

Dates = str | np.datetime64 | pd.Timestamp | slice | Sequence[Any]

STATES_AT_ONCE = 2**28  # bytes of state that one rollout may hold: start dates are taken together up to this


def forecast(
    model: Model,
    ds: xr.Dataset,
    init_time: Dates,
    lead: str = "10D",
    *,
    forcing: Told = "persisted",
    forcing_within: str = "0D",
    forcing_regrid: bool = False,
    to: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    analysis: bool = False,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Forecasts as a labelled Dataset `(init_time, lead_time, depth, latitude, longitude)`, in physical units.

    Parameters
    ----------
    model
        Of `load`, `persistence`, `damped_persistence` or `climatology`.
    ds
        The Dataset that holds the analyses (and, if it is to be observed, the forcing).
    init_time
        Start dates: one, a list, or a slice with a step, `slice("2020-01-01", "2020-12-31", "7D")`.
    lead
        The longest lead, a pandas offset.
    forcing
        What the model is told about the future atmosphere. `persisted` keeps the start date's, `climatology` gives
        the day-of-year mean, and `observed` takes what happened: that is a simulation, and recorded as one. A labelled
        forecast of the atmosphere (a Dataset, or the path of a store) gives what was forecast: of every day the mean,
        if it has several values a day. A Model (or the path of a run) steps an atmosphere of its own alongside; where
        its Task asks for variables that the ocean steps, it is told them as they are forecast. `oceanx_forcing`, an
        attribute of the result, says what it was.
    forcing_within
        How many days before a start date the forecast of the atmosphere may have begun, the latest being taken.
    forcing_regrid
        Bring the atmosphere to the Dataset's grid, conservatively, and the ocean to that of an atmosphere alongside.
    to
        Write the forecasts to this Zarr store, start date by start date, and return it lazily. Without it they are
        returned in memory.
    resume
        Continue an interrupted forecast: start dates that are complete are not made again.
    analysis
        Store lead 0, the analysis itself, too.

    Raises
    ------
    InputError
        A start date that the Dataset lacks, forcing that lacks a variable or ends before the lead, another grid, an
        existing target.

    Examples
    --------
    >>> fc = ox.forecast(ox.persistence(), ds, init_time="2004-03-01", lead="10D")        # doctest: +SKIP
    >>> fc.thetao.sel(lead_time="5D", init_time="2004-03-01").isel(depth=0)               # doctest: +SKIP
    """
    model.check(ds)
    task = model.task_for(ds)
    starts = start_dates(init_time, ds)
    leads = lead_times(lead, task)
    grid = seam.grid_of(ds, task.prognostic)
    mask = seam.wet_mask(grid)
    air = atmosphere(forcing, model, ds, task, starts, leads, mask, within=forcing_within, regrid=forcing_regrid)
    template = _template(model, ds, task, starts, np.append(NOW, leads) if analysis else leads, air, grid)
    together = starts_at_once(template)
    store = ForecastStore(to, template, together, resume=resume, overwrite=overwrite) if to is not None else None
    parts = []
    for first in range(0, len(starts), together):
        at = slice(first, min(first + together, len(starts)))
        if store is None:
            parts.append(_some(model, ds, task, starts[at], leads, air, template))
        elif first not in store.done:
            store.write(_some(model, ds, task, starts[at], leads, air, template), at)
        if progress:
            progress("forecast", at.stop, len(starts))
    if store is not None:
        return store.publish()
    return labels.label(xr.concat(parts, "init_time", combine_attrs="override"), attrs=template.attrs)


def start_dates(init_time: Dates, ds: xr.Dataset) -> np.ndarray:
    """The start dates meant; `InputError` names the first that the Dataset lacks."""
    if isinstance(init_time, slice) and (init_time.start is None or init_time.stop is None):
        raise InputError("init_time: a slice needs a first and a last date, slice('2020-01-01', '2020-12-31', '7D')")
    try:
        wanted = _index(init_time)
    except (ValueError, TypeError) as error:
        raise InputError(
            f"init_time: {init_time!r}: {error}; expected dates such as '2020-01-01', or "
            "slice('2020-01-01', '2020-12-31', '7D')"
        ) from None
    if wanted.empty or not wanted.is_unique or not wanted.is_monotonic_increasing:
        raise InputError(f"init_time: expected increasing start dates, each once; found {init_time!r}")
    have = pd.DatetimeIndex(ds.time.values).difference(pd.DatetimeIndex(missing_times(ds)))
    lacking = wanted.difference(have)
    if len(lacking):
        raise InputError(
            f"init_time {lacking[0]}: not in the Dataset (or missing there), which has {have[0]} to {have[-1]}"
        )
    return wanted.values.astype("datetime64[ns]")


def _index(init_time: Dates) -> pd.DatetimeIndex:
    if isinstance(init_time, slice):
        return pd.date_range(init_time.start, init_time.stop, freq=init_time.step or "1D")
    many = isinstance(init_time, Sequence | np.ndarray | pd.Index) and not isinstance(init_time, str)
    return pd.DatetimeIndex(list(init_time) if many else [init_time])  # type: ignore[arg-type]


def lead_times(lead: str, task: Task) -> np.ndarray:
    """All leads from one step up to `lead`."""
    step = pd.Timedelta(task.step)
    try:
        last = pd.Timedelta(lead)
    except ValueError:
        raise InputError(f"lead {lead!r}: is no duration; expected such as '10D'") from None
    if last < step or last % step != pd.Timedelta(0):
        raise InputError(f"lead {lead!r}: expected a multiple of the model's step {task.step}")
    return (np.arange(1, last // step + 1) * step.to_timedelta64()).astype("timedelta64[ns]")


def starts_at_once(template: xr.Dataset) -> int:
    """How many start dates one rollout takes together, and one write: what fits into `STATES_AT_ONCE` bytes."""
    return max(1, STATES_AT_ONCE // (template.nbytes // template.sizes["init_time"]))


@torch.inference_mode()
def _some(
    model: Model,
    ds: xr.Dataset,
    task: Task,
    starts: np.ndarray,
    leads: np.ndarray,
    air: Atmosphere,
    template: xr.Dataset,
) -> xr.Dataset:
    """Forecasts of a few start dates, as one batch."""
    mask = seam.wet_mask(template)
    state = beginning(ds, task, starts, mask)
    states = [state, *stepped(model, task, state, starts, leads, air.begin(starts), mask)]
    states = states[-template.sizes["lead_time"] :]  # with the analysis where it is wanted
    named = {}
    for name in task.prognostic.names:
        # [init, lead, depth, lat, lon]; what the model holds on land means nothing.
        cube = torch.stack([x[name] for x in states], dim=1)
        values = (cube if of_the_air(name) else torch.where(seam.wet_of(state[name], mask), cube, torch.nan)).numpy()
        dims = ("init_time", "lead_time", *(d for d in template[name].dims[2:]))
        named[name] = (dims, values if "depth" in dims else values[:, :, 0], template[name].attrs)
    return xr.Dataset(named, coords={**template.drop_vars("valid_time").coords, "init_time": starts})


def _template(
    model: Model, ds: xr.Dataset, task: Task, starts: np.ndarray, leads: np.ndarray, air: Atmosphere, grid: xr.Dataset
) -> xr.Dataset:
    """The forecast Dataset without its numbers: every label, attribute and coordinate, nothing computed."""
    chosen = seam.select(ds, task.prognostic)
    import dask.array

    variables = {}
    for name in task.prognostic.names:
        dims = ("init_time", "lead_time", *(d for d in chosen[name].dims if d != "time"))
        shape = (len(starts), len(leads), *(chosen.sizes[d] for d in dims[2:]))
        empty = dask.array.full(shape, np.nan, dtype="float32", chunks=(1, *shape[1:]))
        attrs = {k: v for k, v in chosen[name].attrs.items() if k != "cell_methods"}
        variables[name] = (dims, empty, attrs)
    coords = {"init_time": starts, "lead_time": leads, **grid.coords}
    mode = {"oceanx_forcing": air.said, **air.attrs} if task.forcing.names else {}
    if any(name.endswith(PARENT) for name in task.forcing.names):
        mode["oceanx_parent"] = str(ds.attrs.get("oceanx_parent", "unknown"))
    attrs = {
        "title": f"Ocean forecasts by {model.name}",
        "source": f"oceanx {version('oceanx')}, model {model.name}",
        "institution": str(ds.attrs.get("institution", "unknown")),
        "references": str(ds.attrs.get("references", "")),
        "oceanx_model": model.name,
        "oceanx_analysis_fingerprint": str(ds.attrs.get("oceanx_fingerprint", "unknown")),
        **mode,
        **model.attrs,
    }
    return labels.label(xr.Dataset(variables, coords=coords), attrs=attrs)
