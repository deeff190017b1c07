"""Forecast: model + Dataset → labelled forecasts, from many start dates, written as they are made."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from torch import Tensor

from oceanx import seam
from oceanx.vocabulary.channels import Task
from oceanx.vocabulary.errors import InputError
from oceanx.vocabulary.progress import Progress

from . import ensembles
from .atmosphere import Told, atmosphere
from .batching import missing_times
from .coasts import DISAGREEMENT, fitted
from .ensembles.members import Kind, Members
from .forecast_region import Where, cut
from .forecast_rollouts import Rollouts
from .forecast_template import template
from .forecast_units import Share, layout, share
from .forecast_writing import in_memory, in_store
from .model import Model
from .stabilisers import Stabilise, stabiliser
from .stepping import NOW, beginning

_log = logging.getLogger("oceanx.workflows")

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
    members: int | None = None,
    ensemble: str | Mapping[str, Any] | Kind | None = None,
    seed: int = 0,
    region: Where | None = None,
    stabilise: str | Mapping[str, Any] | Stabilise | None = None,
    to: str | Path | None = None,
    part: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    analysis: bool = False,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Forecasts as a labelled Dataset `(init_time, lead_time, depth, latitude, longitude)`, in physical units.

    With `members`, those stand first: `(member, init_time, …)`.

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
    members
        Forecasts from each start date. Each is the same whichever others are made.
    ensemble
        What makes members differ: `gaussian`, the default, `bred`, `lagged`, `stored` (by `assimilate`), `stochastic`
        or `checkpoints`; a mapping of `kind` and its settings, or the path of a YAML of them.
    seed
        Of the ensemble's random numbers.
    region
        Keep a region alone: a name of `oceanx.scores.REGIONS`, or a box such as `{"minimum_latitude": 30,
        "maximum_latitude": 45, "minimum_longitude": -80, "maximum_longitude": -45}`. The model steps its whole grid;
        of that the cells with their centre in the box are kept. Across the date line longitudes go on beyond 180.
    stabilise
        Settings of `clip`, `damp` and `smooth`, or `as_published`. Nothing is done to a forecast unless asked for.
    to
        Write the forecasts to this Zarr store while the model goes on, and return it lazily. Without it they are
        returned in memory. Processes that `torchrun` starts share the work, and each returns the whole.
    part
        "3/16": the third of 16 processes that share the work, none of which needs to know of the others. The last to
        finish gives the store its name; until then a Dataset is returned that says which forecasts are `complete`.
    resume
        Continue an interrupted forecast: what is complete is not made again. Parts always do.
    analysis
        Store lead 0, the analysis itself, too.

    Raises
    ------
    InputError
        A start date that the Dataset lacks, forcing that lacks a variable or ends before the lead, another grid or
        coast, a region without sea, members that do not differ, an existing target, a disk that cannot be written.

    Examples
    --------
    >>> fc = ox.forecast(ox.persistence(), ds, init_time="2004-03-01", lead="10D")        # doctest: +SKIP
    >>> fc.thetao.sel(lead_time="5D", init_time="2004-03-01").isel(depth=0)               # doctest: +SKIP
    """
    model.check(ds)
    task = model.task_for(ds)
    starts, leads = start_dates(init_time, ds), lead_times(lead, task)
    whose = _share(part, to, overwrite)
    grid = seam.grid_of(ds, task.prognostic)
    kept, mask = cut(region, grid), seam.wet_mask(grid)
    model, said = fitted(model, grid, task)
    if said:
        _log.warning("mask: %s", said[DISAGREEMENT])
    air = atmosphere(forcing, model, ds, task, starts, leads, mask, within=forcing_within, regrid=forcing_regrid)
    several = _members(ensemble, members, seed, model, ds, task, mask, grid)
    several.check(starts)
    steady = stabiliser(stabilise, grid, task, mask)
    rollouts = Rollouts(
        model=cache(lambda member: fitted(several.model(member), grid, task)[0]),
        begin=several.begin,
        task=task,
        starts=starts,
        leads=leads,
        air=air,
        mask=mask,
        cut=kept,
        analysis=analysis,
        amend=[amend for amend in (several.amend, steady.amend) if amend],
        output=steady.output,
        differ=several.amend is not None,
    )
    attrs = {**said, **several.attrs, **steady.attrs}
    stored = np.append(NOW, leads) if analysis else leads
    whole = template(model, ds, task, starts, stored, members, air, grid, attrs)
    blocks = layout(members or 1, len(starts), pairs_at_once(whole), whose.of)
    whole = kept.of(whole) if kept else whole
    if to is None:
        return in_memory(rollouts, whole, blocks, progress)
    return in_store(rollouts, whole, blocks, Path(to), whose, resume=resume, overwrite=overwrite, progress=progress)


def _members(
    words: str | Mapping[str, Any] | Kind | None,
    members: int | None,
    seed: int,
    model: Model,
    ds: xr.Dataset,
    task: Task,
    mask: Tensor,
    grid: xr.Dataset,
) -> Members:
    """The Members of an ensemble; of a forecast without any, one that begins from the analysis."""
    if members is None:
        if words is not None:
            raise InputError("ensemble: how many members is it to have? Say such as members=8 (--members 8)")
        return Members({}, lambda starts, members: beginning(ds, task, starts, mask), lambda member: model)
    if isinstance(members, bool) or not isinstance(members, int | np.integer) or members < 1:
        raise InputError(f"members: found {members!r}; expected how many, such as 8")
    meant = ensembles.ensemble("gaussian" if words is None else words, int(members), seed)
    return ensembles.prepare(meant, model, ds, task, mask, grid)


def _share(part: str | None, to: str | Path | None, overwrite: bool) -> Share:
    if to is None and part is not None:
        raise InputError(f"part {part}: processes share the work on one store; say which, to= (--to)")
    whose = share(part) if to is not None else Share()
    if overwrite and whose.of > 1:
        raise InputError("overwrite: is done by one process at once; of several, each would clear the others' work")
    return whose


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


def pairs_at_once(whole: xr.Dataset) -> int:
    """How many forecasts one rollout takes together, and a store together: what fits into `STATES_AT_ONCE` bytes."""
    return max(1, STATES_AT_ONCE // (whole.nbytes // (whole.sizes.get("member", 1) * whole.sizes["init_time"])))
