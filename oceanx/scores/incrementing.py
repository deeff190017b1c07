"""What the analyses of a cycle do to the ocean in the long run: increments that are a bias, and means that drift."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ..ocean.grid import area
from ..ocean.labels import wet_cells
from ..vocabulary.errors import InputError
from ..vocabulary.names import VARIABLES
from ..vocabulary.progress import Progress

BACKGROUND = "_background"  # ending of the variables that hold the backgrounds
WINDOW = "oceanx_window"  # attribute of a store of analyses: how long its windows are
DRIFT = "_drift"  # of those that hold the mean over the sea, less that of the first background
YEAR = 365.242198781  # days, as UDUNITS has it
_HARMONIC = 364.0  # days that are needed to tell a trend and a season apart
SEASON = {True: "beside an annual harmonic", False: "of less than a year: the season's part is in it"}
_AT_ONCE = 2**26  # bytes of a variable


def begins(an: xr.Dataset) -> np.ndarray:
    """When windows begin: of analyses by `time`, those at which an analysis was made."""
    times = an["time"].values
    if WINDOW not in an.attrs:
        return times
    length = pd.Timedelta(an.attrs[WINDOW]).to_timedelta64()
    return times[((times - times[0]) % length) == np.timedelta64(0)]


def increments(an: xr.Dataset, *, progress: Progress | None = None) -> xr.Dataset:
    """`<variable>_increment_bias`, `_rms` ([depth,] latitude, longitude) and `_bias_share` ([depth]) of a store.

    Of increment = analysis − background: its mean over time, its root mean square, and the share of the area mean of
    its square that is the square of its mean. Of N analyses by a model and observations without a bias that share is
    about 1/N; near 1 the assimilation does nothing but mend a bias, again and again. Windows without
    an increment, as they have no observation, are left out. Fields are read a few times at once.

    Raises
    ------
    InputError
        If the backgrounds were not kept.
    """
    names = with_background(an)
    if not names:
        raise InputError("increments: the backgrounds were not kept; assimilate with keep=('background',)")
    parts = []
    for number, name in enumerate(names):
        parts.append(_of(an, name))
        if progress is not None:
            progress("increments", number + 1, len(names))
    return xr.merge(parts)


def drift(an: xr.Dataset) -> xr.Dataset:
    """`<variable>_drift` (time) of the store, its `_drift_trend` in a year, and `_drift_trend_error`.

    The drift is the mean over the sea, by volume or at the surface by area, less that of the first background. The
    trend is by least squares, beside an annual harmonic where there is a year or more; of less it has the season's
    part in it. Its sampling error takes the residuals for an autoregression of order one with the first-lag
    autocorrelation that they show. Nothing of a store that has no drift.
    """
    found: dict[str, Any] = {}
    for name in (name for name in _analysed(an) if f"{name}{DRIFT}" in an.data_vars):
        v = an[f"{name}{DRIFT}"]
        numbers = _trend(v["time"].values, v.values.astype(float))
        attrs = {"units": f"{VARIABLES[name].units} year-1", "comment": SEASON[_is_year(v["time"].values)]}
        found[f"{name}{DRIFT}"] = v
        for end, number, said in zip(("", "_error"), numbers, ("Trend", "Sampling error of the trend"), strict=True):
            found[f"{name}{DRIFT}_trend{end}"] = ((), number, {"long_name": f"{said} of the mean: {name}", **attrs})
    return xr.Dataset(found).drop_vars([c for c in an.coords if c not in ("time",)], errors="ignore")


def with_background(an: xr.Dataset) -> list[str]:
    """The variables whose backgrounds were kept."""
    return [name for name in _analysed(an) if f"{name}{BACKGROUND}" in an.data_vars]


def _analysed(an: xr.Dataset) -> list[str]:
    space = {"time", "latitude", "longitude"}
    return [str(name) for name, v in an.data_vars.items() if name in VARIABLES and space <= set(v.dims)]


def _of(an: xr.Dataset, name: str) -> xr.Dataset:
    analyses = np.isin(an["time"].values, begins(an))
    v, background = (an[n].isel(time=analyses) for n in (name, f"{name}{BACKGROUND}"))
    space: list[str] = [d for d in ("depth", "latitude", "longitude") if d in v.dims]
    weight = _weights(an, v)
    mean, square, count = (np.zeros(weight.shape) for _ in range(3))
    for change in _changes(v, background, space):
        there = np.isfinite(change) & (weight > 0)
        change = np.where(there, change, 0.0)
        if change.any():
            mean, square, count = mean + change, square + change**2, count + there
    with np.errstate(invalid="ignore", divide="ignore"):
        mean, square = mean / count, square / count
        parts = [np.where(count > 0, weight * x, 0.0).sum((-2, -1)) for x in (mean**2, square)]
        share = parts[0] / parts[1]
    unit = {"units": VARIABLES[name].units}
    data: dict[str, Any] = {
        "bias": (space, mean, {"long_name": f"Mean increment: {name}", **unit}),
        "rms": (space, np.sqrt(square), {"long_name": f"Root mean square of the increments: {name}", **unit}),
        "bias_share": (
            space[:-2],
            share,
            {"long_name": f"Share of their mean in the increments: {name}", "units": "1"},
        ),
    }
    coords = {d: v[d].variable for d in space if d in v.coords}
    return xr.Dataset({f"{name}_increment_{kind}": held for kind, held in data.items()}, coords)


def _changes(v: xr.DataArray, background: xr.DataArray, space: list[str]) -> Iterator[np.ndarray]:
    """Analysis less background ([depth,] latitude, longitude) of each time, a few times read at once."""
    some = max(1, _AT_ONCE // max(1, v.isel(time=0).nbytes))
    for first in range(0, v.sizes["time"], some):
        pair = (x.isel(time=slice(first, first + some)).transpose("time", *space).values for x in (v, background))
        after, before = pair
        yield from np.subtract(after, before, dtype=np.float64)


def _weights(an: xr.Dataset, v: xr.DataArray) -> np.ndarray:
    """Cell areas ([depth,] latitude, longitude), 0 on land."""
    cell = an["cell_area"] if "cell_area" in an.coords else area(an["latitude"], an["longitude"])
    weight = cell.transpose("latitude", "longitude").values.astype(float)
    wet = wet_cells(an, v)
    if wet is not None:
        weight = weight * wet
    return np.broadcast_to(weight, [v.sizes[d] for d in ("depth", "latitude", "longitude") if d in v.dims])


def _is_year(time: np.ndarray) -> bool:
    """Whether a trend and a season can be told apart."""
    return bool((time[-1] - time[0]) / np.timedelta64(1, "D") >= _HARMONIC)


def _trend(time: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    """Change in a year, and its sampling error; NaN of too few values."""
    there = np.isfinite(values)
    years = ((time - time[0]) / np.timedelta64(1, "D") / YEAR)[there]
    y = values[there]
    columns = [np.ones_like(years), years]
    if _is_year(time):
        columns += [np.cos(2 * np.pi * years), np.sin(2 * np.pi * years)]
    if y.size <= len(columns) + 1:
        return np.nan, np.nan
    design = np.stack(columns, axis=1)
    fitted = np.linalg.lstsq(design, y, rcond=None)[0]
    left = y - design @ fitted
    power = float(left @ left)
    lag = float(np.clip(left[1:] @ left[:-1] / power, 0.0, 0.99)) if power > 0 else 0.0
    free = y.size * (1 - lag) / (1 + lag)  # as many are independent
    if free <= len(columns):
        return float(fitted[1]), np.nan
    inverse = np.linalg.inv(design.T @ design)[1, 1] * y.size / free
    return float(fitted[1]), float(np.sqrt(power / y.size * free / (free - len(columns)) * inverse))
