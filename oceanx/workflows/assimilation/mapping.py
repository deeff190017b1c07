"""Map: observations of many days put together on one, without a model, by optimal interpolation in space and time.

    x = m + B Hᵀ (H B Hᵀ + R)⁻¹ (y − H m)        B = [σ σ' ρ(r/L) + σ_b²] ρ(t/T)

m is a mean field that is known. Every map is made by itself, so that an observation may speak for several days.

References
----------
Bretherton, Davis & Fandry (1976), Deep-Sea Res. 23, 559, doi:10.1016/0011-7471(76)90001-2.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr

from oceanx import seam
from oceanx.ocean.flags import meanings
from oceanx.ocean.observations import check
from oceanx.ocean.observing.fingerprint import fingerprint
from oceanx.ocean.observing.matching import as_state
from oceanx.ocean.observing.thinning import superobservations
from oceanx.tensors.state import State
from oceanx.variational.analysis import Observed, Setting, Window
from oceanx.variational.optimal_interpolation import OptimalInterpolationConfig
from oceanx.variational.space_time import AnalyticConfig
from oceanx.vocabulary.channels import Channels
from oceanx.vocabulary.errors import InputError
from oceanx.vocabulary.files import refuse_existing, replacing
from oceanx.vocabulary.names import DIMENSIONS
from oceanx.vocabulary.progress import Progress

NOON = np.timedelta64(12, "h")  # the middle of the day that a daily field stands for


def map_observations(
    obs: xr.Dataset,
    mean: xr.Dataset,
    time: slice | str | Sequence[Any],
    *,
    reach: str,
    covariance: AnalyticConfig | Mapping[str, Any],
    along: int | None = None,
    to: str | Path | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Maps `(time, [depth,] latitude, longitude)` of what was observed, and beside each the mean, `<var>_background`.

    Parameters
    ----------
    obs
        A table of observations, of which the good ones (`qc` 0) are used.
    mean
        Dataset of the mean field, on the grid of the maps; of one with `time` the mean over its times. What it is the
        mean of is a matter of yours: that of the very series that was observed is more than is known in reality.
    time
        Days to map, `slice(first, last, "6D")` or dates.
    reach
        Observations so much older and younger than the middle of the day are taken, `10D`.
    covariance
        Of the departures from the mean: an `AnalyticConfig` or its settings, with `length`, `time`, and a `spread` of
        every variable.
    along
        Average so many successive data of a pass into one first; their errors are taken to be independent.

    Raises
    ------
    InputError
        If the mean has no variable that was observed, the covariance lacks a setting, or more than 10 000 observations
        are within reach.

    Examples
    --------
    >>> how = {"length": 60, "time": "7D", "spread": {"zos": 0.025}, "basin": {"zos": 0.02}}
    >>> maps = map_observations(tracks, ds, "2005-04-14", reach="10D", covariance=how)      # doctest: +SKIP
    """
    if to is not None:
        refuse_existing(to, overwrite=overwrite)
    check(obs)
    table = as_state(obs.isel(obs=np.flatnonzero(obs["qc"].values == 0)).load(), list(map(str, mean.data_vars)))
    if along is not None:
        table = superobservations(table, along=along)
    field = mean.mean("time", keep_attrs=True) if "time" in mean.dims else mean
    channels = _channels(table, field)
    config = covariance if isinstance(covariance, AnalyticConfig) else AnalyticConfig.parse(covariance, "covariance")
    _check(config, channels)
    grid = seam.grid_of(mean, channels)
    setting = Setting(channels, seam.geometry(grid, torch.float64), spread={}, length={}, height={})
    method = OptimalInterpolationConfig(background=config).build(setting)
    one = field[list(channels.names)].expand_dims(time=1)
    background = State(seam.fill_land(seam.to_fields(one, channels), seam.wet_mask(grid), "the mean"))
    days, fields, said = _days(time), [], []
    for number, day in enumerate(days):
        window = _window(table, grid, channels, day, pd.Timedelta(reach).to_timedelta64())
        found = method(background, window)
        fields.append(background + found.increment)
        said.append((len(window.observed), found.chi_squared))
        if progress:
            progress("maps", number + 1, len(days))
    maps = _labelled(fields, days, channels, one, grid, said)
    told = {"reach": reach, "along": along, "covariance": config.dump()}
    maps = maps.assign_attrs(oceanx_observations=fingerprint(obs), oceanx_method=json.dumps(told))
    if to is not None:
        with replacing(Path(to), overwrite=overwrite) as path:
            maps.to_zarr(path, zarr_format=3, consolidated=False)
    return maps


def _channels(table: xr.Dataset, field: xr.Dataset) -> Channels:
    """The variables that were observed and that there is a mean of."""
    observed = list(meanings(table["variable"].attrs).values())
    names = [name for name in observed if name in field.data_vars]
    if not names:
        has = ", ".join(map(str, field.data_vars)) or "nothing"
        raise InputError(f"mean: has {has}; observed were {', '.join(observed)}; give the mean field of one of them")
    volume = tuple(name for name in names if "depth" in field[name].dims)
    depth = tuple(float(z) for z in field["depth"].values) if volume else ()
    return Channels(volume=volume, surface=tuple(name for name in names if name not in volume), depth=depth)


def _check(config: AnalyticConfig, channels: Channels) -> None:
    """`InputError` unless the covariance says all by itself."""
    silent = [name for name in channels.names if name not in config.spread]
    if silent:
        raise InputError(f"covariance: says no spread of {silent[0]}; say how far it departs from the mean, spread")
    lacking = [n for n in ("length", "height") if getattr(config, n) is None and (n == "length" or channels.volume)]
    if lacking:
        raise InputError(
            f"covariance: says no {lacking[0]}; say over how many {'km' if lacking[0] == 'length' else 'm'}"
        )


def _days(time: slice | str | Sequence[Any]) -> np.ndarray:
    if not isinstance(time, slice):
        return pd.DatetimeIndex(np.atleast_1d(np.asarray(time, "datetime64[ns]"))).values
    if time.start is None or time.stop is None:
        raise InputError(f"time: found {time!r}; expected a first and a last day")
    found = pd.date_range(time.start, time.stop, freq=pd.Timedelta(time.step or "1D")).values
    if not found.size:
        raise InputError(f"time: no day from {time.start} to {time.stop}")
    return found.astype("datetime64[ns]")


def _window(
    table: xr.Dataset, grid: xr.Dataset, channels: Channels, day: np.datetime64, reach: np.timedelta64
) -> Window:
    """What was observed around a day, older than the middle of it where the age is negative."""
    middle, moments = day + NOON, table["time"].values
    first, last = np.searchsorted(moments, [middle - reach, middle + reach])
    rows = table.isel(obs=slice(int(first), int(last)))
    operator, found = seam.operator(rows, grid, channels)
    column = {
        name: torch.from_numpy(rows[name].values[found].astype("float64"))
        for name in ("value", "error_std", "latitude", "longitude", "depth")
    }
    return Window(
        Observed(column["value"], column["error_std"], operator),
        latitude=column["latitude"],
        longitude=column["longitude"],
        depth=column["depth"],
        age=torch.from_numpy((rows["time"].values[found] - middle) / np.timedelta64(1, "s")),
    )


def _labelled(
    fields: Sequence[State], days: np.ndarray, channels: Channels, like: xr.Dataset, grid: xr.Dataset,
    said: Sequence[tuple[int, float | None]],
) -> xr.Dataset:  # fmt: skip
    """The maps as a Dataset, NaN on land."""
    mask = seam.wet_mask(grid)
    whole = {}
    for name in channels.names:
        field = torch.cat([each[name] for each in fields]).float()
        whole[name] = torch.where(seam.wet_of(field, mask), field, torch.nan)
    maps = seam.to_dataset(whole, channels, like.drop_vars("time", errors="ignore"))
    maps = maps.assign_coords(
        {str(n): c for n, c in grid.coords.items()} | {"time": ("time", days, DIMENSIONS["time"])}
    )
    used, chi = np.array([n for n, _ in said]), [np.nan if c is None else c / n for n, c in said]
    for name in channels.names:
        same = np.broadcast_to(like[name].transpose("time", ...).values, maps[name].shape)
        about = maps[name].attrs | {"long_name": f"{maps[name].attrs.get('long_name', name)}, the mean"}
        maps[f"{name}_background"] = maps[name].copy(data=same.astype("float32")).assign_attrs(about)
    maps["observations_used"] = ("time", used, {"long_name": "Observations used", "units": "1"})
    maps["chi_squared"] = ("time", np.array(chi, float), {"long_name": "Chi squared per observation", "units": "1"})
    maps["time"].encoding = {"dtype": "int64", "units": "seconds since 1970-01-01"}
    return maps.assign_attrs(title="Maps of observations")
