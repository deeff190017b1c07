"""Departures of observations from backgrounds and analyses, part by part: as recorded in a store, or found anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

from ..ocean.equivalents import equivalents
from ..ocean.interpolation import When
from ..ocean.observing.matching import TOPOGRAPHY, as_state, offsets
from ..vocabulary.errors import InputError
from ..vocabulary.names import VARIABLES
from ..vocabulary.progress import Progress
from .incrementing import BACKGROUND, begins

AT_ONCE = 2**20  # observations
DAY = np.timedelta64(1, "D")
COLUMNS = ("variable", "platform", "depth")
RECORD = (
    "row", "time", "background", "analysis", "background_std", "analysis_std", "error_std", "influence", "rank", "qc",
)  # fmt: skip
NUMBERS = ("background", "analysis", "background_std", "analysis_std", "error_std", "influence")


@dataclass(frozen=True)
class Part:
    """Some observations, of whole windows.

    Attributes
    ----------
    window
        The number of the window of each.
    columns
        `variable`, `platform` and `depth` of the table.
    numbers
        Departures and the standard deviations taken, by the names in `NUMBERS`, NaN where unknown.
    rank
        Among the members, or -1.
    qc
        0, or the test that refused it.
    """

    window: np.ndarray
    columns: Mapping[str, np.ndarray]
    numbers: Mapping[str, np.ndarray]
    rank: np.ndarray
    qc: np.ndarray


def recorded(an: xr.Dataset, table: xr.Dataset, progress: Progress | None = None) -> Iterator[Part]:
    """What the store of analyses says of the rows of its own table."""
    record = {name: an[f"departure_{name}"] for name in RECORD if f"departure_{name}" in an}
    when = record["time"].values
    order = None if (when[1:] >= when[:-1]).all() else np.argsort(when, kind="stable")
    window = _number(begins(an), when if order is None else when[order])
    for first, last in _whole_windows(window):
        chosen = slice(first, last) if order is None else order[first:last]
        part = {name: v[chosen].values for name, v in record.items() if name != "time"}
        size = last - first
        yield Part(
            window[first:last],
            _rows(table, part["row"]),
            {name: part.get(name, np.full(size, np.nan)).astype(float) for name in NUMBERS},
            part.get("rank", np.full(size, -1)),
            part.get("qc", np.zeros(size, np.uint8)),
        )
        if progress is not None:
            progress("departures", last, window.size)


def independent(
    an: xr.Dataset, table: xr.Dataset, rows: np.ndarray, *, mean_topography: xr.DataArray | None = None,
    progress: Progress | None = None,
) -> Iterator[Part]:  # fmt: skip
    """Departures of rows of a table, in order of time, from the fields themselves; NaN where these say nothing.

    The table is turned into the model's variables, and the offset of sea level taken off, as an assimilation does it.
    """
    window = np.searchsorted(since(begins(an)), table["time"].values[rows], side="right") - 1
    names = [str(n) for n, v in an.data_vars.items() if n in VARIABLES and "time" in v.dims]
    kept = {f"{name}{BACKGROUND}": name for name in names if f"{name}{BACKGROUND}" in an.data_vars}
    systems = {"analysis": an[names], "background": an[list(kept)].rename(kept)}
    for first, last in _whole_windows(window):
        part = table.isel(obs=rows[first:last])
        state = as_state(part, names, mean_topography=mean_topography)
        found = {"error_std": part["error_std"].values.astype(float)}
        for name, ds in systems.items():
            if ds.data_vars:
                away = state["value"].values.astype(float) - _equivalents(ds, state)
                found[name] = away - (offsets(away, state, window[first:last]).values if TOPOGRAPHY in an.attrs else 0)
        size = last - first
        yield Part(
            window[first:last],
            {name: part[name].values for name in COLUMNS},
            {name: found.get(name, np.full(size, np.nan)) for name in NUMBERS},
            np.full(size, -1),
            np.zeros(size, np.uint8),
        )
        if progress is not None:
            progress("observations that were not used", last, rows.size)


def _equivalents(ds: xr.Dataset, table: xr.Dataset) -> np.ndarray:
    """What fields say at the observations (obs), reading those near in time alone."""
    times = ds["time"].values
    how, middle = _comparison(times)
    moments = table["time"].values
    first = max(0, int(np.searchsorted(times, moments[0], side="right")) - 2)
    last = int(np.searchsorted(times, moments[-1], side="right")) + 1
    near = ds.isel(time=slice(first, last))
    return equivalents(near, table, time=how, middle=middle).values


def withheld(an: xr.Dataset, table: xr.Dataset, seen: np.ndarray | None) -> np.ndarray:
    """Rows flagged good, within the time that the analyses speak for, that are not among those `seen`."""
    edges, moments = since(an["time"].values), table["time"].values
    free = (table["qc"].values == 0) & (moments >= edges[0]) & (moments < edges[-1] + _step(edges))
    if seen is not None:
        free[seen] = False
    return np.flatnonzero(free)


def since(times: np.ndarray) -> np.ndarray:
    """From when on each field speaks: of steps of whole days, from the beginning of its day."""
    return times if _step(times) % DAY else times.astype("datetime64[D]").astype("datetime64[ns]")


def _step(times: np.ndarray) -> np.timedelta64:
    return np.timedelta64(np.diff(times).min() if times.size > 1 else DAY, "ns")


def _comparison(times: np.ndarray) -> tuple[When, str]:
    """How an observation finds its analysis: that of its day, or where there are several a day the one whose step it
    is in."""
    step = _step(times)
    if step >= DAY:
        return "day", "12h"
    return "nearest", f"{int(step / np.timedelta64(1, 's')) // 2}s"


def _number(times: np.ndarray, when: np.ndarray) -> np.ndarray:
    """Which of the analysis times each is."""
    found = np.searchsorted(times, when).clip(max=len(times) - 1)
    wrong = times[found] != when
    if wrong.any():
        raise InputError(
            f"departure_time: has {when[wrong][0]}, which is no time of the analyses; give the store as it was written"
        )
    return found


def _whole_windows(window: np.ndarray) -> Iterator[tuple[int, int]]:
    """Stretches of about `AT_ONCE` rows that end where windows end."""
    first = 0
    while first < window.size:
        last = int(np.searchsorted(window, window[min(first + AT_ONCE, window.size) - 1], side="right"))
        yield first, last
        first = last


def _rows(table: xr.Dataset, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Columns at some rows, which lie near each other: the stretch that holds them is read, and they from it."""
    if not rows.size:
        return {name: table[name].values[:0] for name in COLUMNS}
    low, high = int(rows.min()), int(rows.max()) + 1
    if high - low > 8 * rows.size + AT_ONCE:
        part = table[list(COLUMNS)].isel(obs=rows)
        return {name: part[name].values for name in COLUMNS}
    stretch = table[list(COLUMNS)].isel(obs=slice(low, high))
    return {name: stretch[name].values[rows - low] for name in COLUMNS}
