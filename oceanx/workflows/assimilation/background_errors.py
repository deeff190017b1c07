"""Errors of the background: how large they are and how far they reach, from what a model's forecasts do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pandas as pd
import torch
import xarray as xr

from oceanx import seam
from oceanx.ocean import climatology as climatologies
from oceanx.ocean import grid as grids
from oceanx.tensors.state import Fields
from oceanx.variational.analysis import Setting
from oceanx.vocabulary.channels import Channels, Task
from oceanx.vocabulary.errors import InputError, unknown
from oceanx.vocabulary.files import replacing
from oceanx.vocabulary.progress import Progress

from ..batching import missing_times
from ..forecasting import forecast, lead_times
from ..model import Model
from .error_labels import HEIGHT, LENGTH, RESIDUAL, SAMPLE, STD, provenance, several, space, statistics
from .error_moments import ErrorMoments

How = Literal["forecasts", "errors", "anomalies"]
Numbers = dict[str, np.ndarray]  # by variable

AT_ONCE = 2**27  # bytes of forecasts that are held together


def background_errors(
    model: Model,
    ds: xr.Dataset,
    *,
    period: slice | None = None,
    method: How = "forecasts",
    lead: str | None = None,
    count: int = 100,
    samples: int = 40,
    residuals: int = 0,
    scale: float = 1.0,
    forcing: str = "observed",
    to: str | Path | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> xr.Dataset:
    """The spread of the background's error by cell, its lengths by variable, and samples of it.

    `<var>_std` (depth, latitude, longitude), in the variable's unit; `<var>_length` (km) and `<var>_height` (m), over
    which it hangs together; `<var>_sample` (sample, …), and `<var>_residual` of single steps where asked for. Memory
    is bounded: of the differences, which come from dates spread evenly over the period, only samples are kept.

    Parameters
    ----------
    model
        Whose forecasts the background will be.
    ds
        Training data, with the forcing.
    period
        Dates to take, of those `ds` has; all by default. Never those of the test.
    method
        `forecasts`: the difference of two forecasts valid at one time, of twice the lead and of the lead. `errors`: a
        forecast less the analysis of `ds`. `anomalies`: analyses less their climatology, the model's or the period's.
    lead
        How far forecasts go, `1D`; one step of the model by default.
    count
        How many differences the statistics are of.
    samples
        How many of them are kept.
    residuals
        How many errors of one step are kept: what the model leaves unexplained.
    scale
        Times the differences: a background that has been assimilated into for long is better, or worse, than they say.
    forcing
        What the forecasts are told of the atmosphere, as in `forecast`.
    to
        A NetCDF file (`.nc`) or Zarr store to write.

    Raises
    ------
    InputError
        For an unknown method, too few dates in the period, or NaN in a wet cell.

    References
    ----------
    Parrish & Derber (1992), Mon. Weather Rev. 120, 1747, doi:10.1175/1520-0493(1992)120<1747:TNMCSS>2.0.CO;2.

    Examples
    --------
    >>> errors = background_errors(model, ds, period=slice("2001", "2003"))              # doctest: +SKIP
    >>> an = ox.assimilate(model, obs, background=ds, errors=errors, time=days)          # doctest: +SKIP
    """
    if method not in get_args(How):
        raise unknown("method", str(method), get_args(How))
    if count < 2 or samples < 0 or residuals < 0:
        raise InputError(f"count: found {count}, {samples} samples, {residuals} residuals; expected 2, 0, 0 at least")
    if not scale > 0:
        raise InputError(f"scale: found {scale:g}; expected a positive number")
    model.check(ds)
    task = model.task_for(ds)
    steps = len(lead_times(lead or task.step, task))
    chosen = ds if period is None else ds.sel(time=period)
    back = {"forecasts": 2 * steps, "errors": steps, "anomalies": 0}[method]
    dates = spread_dates(chosen, task, back, count)
    labelled = seam.grid_of(ds, task.prognostic)
    made = _made(method, model, ds, chosen, task, dates, steps, forcing)
    found = _gathered(made, labelled, task, dates, _evenly(len(dates), samples), scale, progress)
    if residuals:
        found |= _residuals(model, ds, chosen, task, residuals, forcing, labelled, progress)
    result = xr.Dataset(found).assign_coords(labelled.coords).assign_attrs(provenance(model, ds, dates))
    asked = {"method": method, "lead": lead or task.step, "count": len(dates), "scale": scale, "forcing": forcing}
    result.attrs["oceanx_background_errors"] = json.dumps(asked)
    if to is not None:
        _write(result, Path(to), overwrite)
    return result


def opened(path: Path | str) -> xr.Dataset:
    """What `background_errors` has written to a file or store; `InputError` if it cannot be read."""
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such file of background errors; make one with background_errors(..., to=)")
    try:
        return xr.open_zarr(path, consolidated=False) if path.is_dir() else xr.open_dataset(path)
    except (OSError, ValueError, KeyError) as error:
        said = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: cannot be read as errors of a background: {said}") from None


def setting(model: Model, errors: xr.Dataset, dtype: torch.dtype = torch.float32) -> Setting:
    """The Setting of a model's prognostic variables with these errors, as a Dataset of `background_errors` has them.

    Raises
    ------
    InputError
        If errors are of another grid, or lack a variable or a value in a wet cell.
    """
    channels = _channels(model, errors)
    labelled = seam.grid_of(errors, channels)
    if model.grid is not None:
        grids.same_grid(model.grid.drop_dims("depth", errors="ignore"), labelled)
    mask = seam.wet_mask(labelled)
    spread = _fields(errors, channels, STD, mask, dtype)
    kept = {kind: f"{channels.names[0]}{kind}" in errors for kind in (SAMPLE, RESIDUAL)}
    samples, residuals = (
        Fields(_fields(errors, channels, kind, mask, dtype)) if there else None for kind, there in kept.items()
    )
    length = {name: 1000 * float(errors[name + LENGTH]) for name in channels.names}
    height = {name: float(errors[name + HEIGHT].fillna(0.0)) for name in channels.volume if name + HEIGHT in errors}
    for name, value in length.items():
        if not value > 0:
            raise InputError(
                f"{name}{LENGTH}: found {value:g} km; its errors never vary: diagnose them from more dates"
            )
    return Setting(channels, seam.geometry(labelled, dtype), spread, length, height, samples, residuals)


def spread_dates(ds: xr.Dataset, task: Task, back: int, count: int) -> np.ndarray:
    """So many dates of a Dataset, evenly spread, before each of which so many steps are there too; none is missing.

    Fewer, if it has no more; `InputError` if it has but one.
    """
    step = pd.Timedelta(task.step).to_timedelta64()
    have = np.setdiff1d(ds.time.values, missing_times(ds))
    whole = np.logical_and.reduce([np.isin(have - step * n, have) for n in range(back + 1)])
    found = have[whole]
    if len(found) < 2:
        raise InputError(
            f"period: {len(found)} dates with {back} steps of {task.step} before them; expected two at least"
        )
    return found[_evenly(len(found), count)]


def _evenly(length: int, count: int) -> np.ndarray:
    """Positions, evenly spread, each once."""
    return np.unique(np.linspace(0, length - 1, min(count, length)).round().astype(int)) if count else np.empty(0, int)


def _made(
    method: How, model: Model, ds: xr.Dataset, chosen: xr.Dataset, task: Task, dates: np.ndarray, steps: int,
    forcing: str,
) -> Iterator[Numbers]:  # fmt: skip
    """Differences, in the order of the dates on which they are valid; NaN on land."""
    channels = task.prognostic
    truth = seam.select(ds, channels)
    usual = _climatology(model, chosen, channels) if method == "anomalies" else None
    size = 4 * sum(truth[name].isel(time=0).size for name in channels.names)
    together = max(1, AT_ONCE // (2 * steps * size))
    for first in range(0, len(dates), together):
        some = dates[first : first + together]
        if usual is not None:
            one, other = truth.sel(time=some), climatologies.at(usual, some)
        elif method == "errors":
            one, other = _forecast(model, ds, task, some, steps, forcing), truth.sel(time=some)
        else:
            one, other = (_forecast(model, ds, task, some, times * steps, forcing) for times in (2, 1))
        less = {name: _numbers(one[name], channels) - _numbers(other[name], channels) for name in channels.names}
        yield from ({name: values[i] for name, values in less.items()} for i in range(len(some)))


def _climatology(model: Model, chosen: xr.Dataset, channels: Channels) -> xr.Dataset:
    """The model's, or that of the period."""
    names = list(channels.names)
    if model.climatology is not None and set(names) <= set(model.climatology.data_vars):
        return model.climatology[names]
    return climatologies.climatology(seam.select(chosen, channels))


def _numbers(v: xr.DataArray, channels: Channels) -> np.ndarray:
    """A variable's values in double precision, its dates first."""
    return v.transpose(..., *space(str(v.name), channels)).values.astype(np.float64)


def _forecast(model: Model, ds: xr.Dataset, task: Task, valid: np.ndarray, steps: int, forcing: str) -> xr.Dataset:
    """Forecasts of so many steps that are valid on these dates."""
    lead = steps * pd.Timedelta(task.step)
    made = forecast(model, ds, list(valid - lead.to_timedelta64()), str(lead), forcing=forcing)
    return made.isel(lead_time=-1, drop=True).drop_vars("valid_time", errors="ignore")


def _gathered(
    made: Iterator[Numbers], labelled: xr.Dataset, task: Task, dates: np.ndarray, kept: np.ndarray, scale: float,
    progress: Progress | None,
) -> dict[str, xr.DataArray]:  # fmt: skip
    """Spread, lengths and samples of every variable, of differences one after another."""
    geometry, channels = seam.geometry(labelled, torch.float64), task.prognostic
    moments = {name: ErrorMoments(geometry, channels.levels(name)) for name in channels.names}
    samples: dict[str, list[np.ndarray]] = {name: [] for name in channels.names}
    for i, difference in enumerate(made):
        for name, moment in moments.items():
            values = scale * _checked(difference[name], name, moment.wet, dates[i])
            moment.add(values)
            if i in kept:
                samples[name].append(values.astype(np.float32))
        if progress:
            progress("background errors", i + 1, len(dates))
    found: dict[str, xr.DataArray] = {}
    for name, moment in moments.items():
        found |= statistics(name, moment, channels)
        if len(kept):
            found[name + SAMPLE] = several(name, "sample", samples[name], dates[kept], channels, moment.wet)
    return found


def _residuals(
    model: Model, ds: xr.Dataset, chosen: xr.Dataset, task: Task, count: int, forcing: str, labelled: xr.Dataset,
    progress: Progress | None,
) -> dict[str, xr.DataArray]:  # fmt: skip
    """Errors of single steps."""
    dates, channels = spread_dates(chosen, task, 1, count), task.prognostic
    mask = seam.wet_mask(labelled).numpy() > 0
    kept: dict[str, list[np.ndarray]] = {name: [] for name in channels.names}
    for i, difference in enumerate(_made("errors", model, ds, chosen, task, dates, 1, forcing)):
        for name in channels.names:
            wet = mask[: channels.levels(name)]
            kept[name].append(_checked(difference[name], name, wet, dates[i]).astype(np.float32))
        if progress:
            progress("errors of one step", i + 1, len(dates))
    return {
        name + RESIDUAL: several(name, "residual", kept[name], dates, channels, mask[: channels.levels(name)])
        for name in channels.names
    }


def _checked(values: np.ndarray, name: str, wet: np.ndarray, date: np.datetime64) -> np.ndarray:
    """A variable `[level, lat, lon]`, 0 on land; `InputError` where a wet cell has none."""
    values = values.reshape(wet.shape)
    if not np.isfinite(values[wet]).all():
        raise seam.lacking(name, int((~np.isfinite(values[wet])).sum()), str(date))
    return np.where(wet, values, 0.0)


def _write(errors: xr.Dataset, to: Path, overwrite: bool) -> None:
    with replacing(to, overwrite=overwrite) as path:
        if to.suffix == ".nc":
            packed = {name: {"zlib": True, "complevel": 1} for name, v in errors.data_vars.items() if v.ndim > 1}
            errors.to_netcdf(path, engine="netcdf4", encoding=packed)
        else:
            errors.to_zarr(path, zarr_format=3, consolidated=False)


def _channels(model: Model, errors: xr.Dataset) -> Channels:
    """The model's prognostic variables; of a model for any Dataset, all that there are errors of."""
    have = [str(name).removesuffix(STD) for name in errors.data_vars if str(name).endswith(STD)]
    if model.task is not None:
        lacking = [name for name in model.task.prognostic.names if name not in have]
        if lacking:
            raise InputError(
                f"{lacking[0]}: no errors of this variable among {', '.join(have) or 'none'}; diagnose those of "
                f"{model.name} with background_errors"
            )
        return model.task.prognostic
    volume = tuple(name for name in have if "depth" in errors[name + STD].dims)
    depth = tuple(float(z) for z in errors.depth.values) if volume else ()
    return Channels(volume=volume, surface=tuple(name for name in have if name not in volume), depth=depth)


def _fields(
    errors: xr.Dataset, channels: Channels, kind: str, mask: torch.Tensor, dtype: torch.dtype
) -> dict[str, torch.Tensor]:
    """`<name><kind>` of every variable, `[…, level, lat, lon]`, 0 on land."""
    found = {}
    for name in channels.names:
        v = errors[name + kind]
        if name in channels.volume:
            v = v.isel(depth=seam.levels(errors, channels.depth))
        values = v.transpose(..., *space(name, channels)).values
        field = torch.from_numpy(np.ascontiguousarray(values)).to(dtype)
        field = field if name in channels.volume else field.unsqueeze(-3)
        wet = mask[: field.shape[-3]] > 0
        count = int((field.isnan() & wet).any(0).sum()) if field.ndim == 4 else int((field.isnan() & wet).sum())
        if count:
            raise InputError(f"{name}{kind}: {count} wet cells are NaN; diagnose the errors again, on this grid")
        found[name] = torch.where(wet, field, 0.0)
    return found
