"""Marine heatwaves as a table: one row an event."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from itertools import product

import numba
import numpy as np
import pandas as pd
import xarray as xr

from ..vocabulary.errors import InputError
from ..vocabulary.processes import cores
from ..vocabulary.progress import Progress
from .against import Beside, Rule, beside, each_cell
from .days import Days, days_of
from .description import CATEGORIES, NUMBERS, above_limit, describe
from .detection import Limit, as_threshold
from .limits import Field, at_the_depth_of
from .spells import spans
from .tiles import whole_series

Found = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # cell, first, last day, number, `NUMBERS`

_DAILY = ("event", "temperature", "climatology", "threshold")


def events(
    found: Field,
    threshold: Limit | None = None,
    *,
    min_duration: int = 5,
    max_gap: int = 2,
    side: str = "above",
    progress: Progress | None = None,
) -> pd.DataFrame:
    """A table of the heatwaves that `detect` found, one row an event, by cell and then in time.

    Intensities are above the climatology (`_relThresh`: above the threshold; `_abs`: temperatures): their maximum,
    mean, standard deviation (`_var`, as other tools call it) and sum over days. Rates are in degrees a day, from the
    day boundary before the first day to the peak, and from the peak to the boundary after the last. `category` is
    that of the strongest day, and missing where the threshold is not above the climatology on any day of the event;
    `duration_…` count the days of each. A missing day inside an event (`missing_days`) counts as one at the
    climatology. Of cold spells intensities are below 0, and rates those at which they grow and fade.

    Parameters
    ----------
    found
        From `detect`. Or the temperature itself, with a threshold: the same table without the fields of every day,
        one chunk at a time.
    threshold, min_duration, max_gap, side
        As for `detect`; only with a temperature.
    progress
        Called after each chunk.

    Raises
    ------
    InputError
        As `detect`, or if `found` is not from there.

    Examples
    --------
    >>> days = pd.date_range("2001-01-01", periods=8)
    >>> sst = xr.DataArray([27.0, 29, 30, 31, 30, 29, 28, 27], dims="time", coords={"time": days})
    >>> events(sst, 28.5)[["date_start", "duration", "intensity_max"]]
      date_start  duration  intensity_max
    0 2001-01-02         5            2.5
    """
    rule = Rule(min_duration, max_gap, side)
    if threshold is None:
        rule.must_be_default("events")
        return _table_of_labels(found)
    limits = as_threshold(threshold)
    rule.check(limits)
    sst = whole_series(at_the_depth_of(limits, found))
    days = days_of(sst)
    tables = beside(sst, limits, days.dates)
    cells = [d for d in sst.dims if d != "time"]
    parts, blocks = [], list(_blocks(sst, cells))
    for number, block in enumerate(blocks, 1):
        parts += _events_of_block(sst, tables, days, rule, dict(zip(cells, block, strict=True)))
        if progress:
            progress("events", number, len(blocks))
    cell, *others = (np.concatenate(part) for part in zip(*parts, strict=True))
    order = np.argsort(cell, kind="stable")
    return _frame(sst, cells, days.dates.values, cell[order], *(each[order] for each in others))


def _events_of_block(
    sst: xr.DataArray, tables: Beside, days: Days, rule: Rule, place: dict[Hashable, slice]
) -> list[Found]:
    """The events of a block of cells, tile by tile, each with the place of its cell among all of them."""
    cells = list(place)
    values = sst.isel(place).transpose(*cells, "time").values
    found = each_cell(
        values,
        _pieces(tables, place, cells),
        len(tables.core[0]),
        days.rows,
        lambda tile, mean, limit, slope, where: _tile_events(
            tile, mean, limit, slope, where, tables.places, tables.elapsed, rule
        ),
        cores(),
    )
    if not cells:
        return found
    shape, start = [sst.sizes[d] for d in cells], [where.start for where in place.values()]

    def among_all(cell: np.ndarray) -> np.ndarray:
        within = np.unravel_index(cell, values.shape[:-1])
        return np.ravel_multi_index([i + first for i, first in zip(within, start, strict=True)], shape)

    return [(among_all(cell), *others) for cell, *others in found]


def _table_of_labels(detected: Field) -> pd.DataFrame:
    """The table of events that are numbered day by day."""
    if not isinstance(detected, xr.Dataset) or not set(_DAILY) <= set(detected.data_vars):
        raise InputError("events: expected what oceanx.heatwaves.detect gives, or a temperature and a threshold")
    cells = [d for d in detected["event"].dims if d != "time"]
    wanted = detected[list(_DAILY)].transpose(*cells, "time").load()
    label, x, mean, limit = (
        np.ascontiguousarray(wanted[v].values.reshape(-1, wanted.sizes["time"])) for v in wanted.data_vars
    )
    cell, first, last = _spans(label)
    sign = Rule.of(detected).sign
    numbers = np.empty((len(cell), len(NUMBERS)))
    mean, limit = mean.astype(np.float64, copy=False), limit.astype(np.float64, copy=False)
    _describe_each(x, mean, limit, sign, cell, first, last, numbers)
    return _frame(wanted["event"], cells, wanted["time"].values, cell, first, last, label[cell, first], numbers)


def _frame(
    sst: xr.DataArray,
    cells: list,
    dates: np.ndarray,
    cell: np.ndarray,
    first: np.ndarray,
    last: np.ndarray,
    order: np.ndarray,
    numbers: np.ndarray,
) -> pd.DataFrame:
    """The table from where each event is, when, which of its cell, and its `NUMBERS`."""
    places = np.unravel_index(cell, [sst.sizes[d] for d in cells]) if cells else ()
    table: dict[str, np.ndarray] = dict(zip(NUMBERS, numbers.T, strict=True))
    codes = table.pop("category").astype(np.int64) - 1  # -1 for none
    whole = [name for name in NUMBERS if name.startswith("duration") or name == "missing_days"]
    return pd.DataFrame(
        {
            **{str(d): sst[d].values[i] for d, i in zip(cells, places, strict=True)},
            "event": order,
            "date_start": dates[first],
            "date_peak": dates[first + table.pop("peak").astype(np.int64)],
            "date_end": dates[last],
            "duration": last - first + 1,
            "category": pd.Categorical.from_codes(codes, pd.Index(list(CATEGORIES)), ordered=True),
            **{k: v.astype(np.int64) if k in whole else v for k, v in table.items()},
        }
    )


def _blocks(series: xr.DataArray, cells: list) -> Iterator[tuple[slice, ...]]:
    """The chunks of cells, one after another; all of them where the data are in memory."""
    cuts = []
    for d in cells:
        ends = np.cumsum(series.chunksizes[d] if series.chunks else (series.sizes[d],))
        cuts.append([slice(int(a), int(b)) for a, b in zip([0, *ends[:-1]], ends, strict=True)])
    return product(*cuts)


def _pieces(tables: Beside, place: dict, cells: list) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The tables of a block of cells as arrays, cells first in the order of the series."""
    pieces = []
    for table, core in zip(tables.tables, tables.core, strict=True):
        piece = table.isel({d: s for d, s in place.items() if d in table.dims})
        lacking = {d: 1 for d in cells if d not in piece.dims}
        pieces.append(piece.expand_dims(lacking).transpose(*cells, *core).values)
    return pieces[0], pieces[1], pieces[2]


def _tile_events(
    tile: np.ndarray,
    mean: np.ndarray,
    limit: np.ndarray,
    slope: np.ndarray,
    where: slice,
    places: np.ndarray,
    elapsed: np.ndarray,
    rule: Rule,
) -> Found:
    """Cell, first and last day, number in the cell, and `NUMBERS` of every event of a tile."""
    most = len(places) // (rule.min_duration + 1) + 1
    first, last = (np.empty((len(tile), most), np.int32) for _ in range(2))
    count = np.empty(len(tile), np.int64)
    _find(tile, limit, slope, places, elapsed, rule.sign, rule.min_duration, rule.max_gap, first, last, count)
    there = np.arange(most) < count[:, None]
    cell, order = np.nonzero(there)
    begins, ends = first[there].astype(np.int64), last[there].astype(np.int64)
    numbers = np.empty((len(cell), len(NUMBERS)))
    _describe_tile(tile, mean, limit, slope, places, elapsed, rule.sign, cell, begins, ends, numbers)
    return cell + where.start, begins, ends, (order + 1).astype(np.int32), numbers


def _spans(label: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cell, first and last day of every event in labels (cell, time)."""
    edge = np.zeros((len(label), 1), dtype=label.dtype)
    change = np.diff(np.concatenate([edge, label, edge], axis=1), axis=1)
    begins = (change != 0) & (np.concatenate([label, edge], axis=1) > 0)
    ends = (change != 0) & (np.concatenate([edge, label], axis=1) > 0)
    cell, first = np.nonzero(begins)
    return cell, first, np.nonzero(ends)[1] - 1


@numba.njit(cache=True, nogil=True)
def _find(
    tile: np.ndarray,
    limit: np.ndarray,
    slope: np.ndarray,
    places: np.ndarray,
    elapsed: np.ndarray,
    sign: int,
    min_duration: int,
    max_gap: int,
    first: np.ndarray,
    last: np.ndarray,
    count: np.ndarray,
) -> None:
    above = np.empty(tile.shape[1], np.bool_)
    for cell in range(len(tile)):
        above_limit(tile[cell], limit[cell], places, slope[cell], elapsed, sign, above)
        count[cell] = spans(above, min_duration, max_gap, first[cell], last[cell])


@numba.njit(cache=True, nogil=True)
def _describe_tile(
    tile: np.ndarray,
    mean: np.ndarray,
    limit: np.ndarray,
    slope: np.ndarray,
    places: np.ndarray,
    elapsed: np.ndarray,
    sign: int,
    cell: np.ndarray,
    first: np.ndarray,
    last: np.ndarray,
    numbers: np.ndarray,
) -> None:
    for n in range(len(cell)):
        c = cell[n]
        describe(tile[c], mean[c], limit[c], places, slope[c], elapsed, sign, first[n], last[n], numbers[n])


@numba.njit(cache=True, nogil=True)
def _describe_each(
    x: np.ndarray,
    mean: np.ndarray,
    limit: np.ndarray,
    sign: int,
    cell: np.ndarray,
    first: np.ndarray,
    last: np.ndarray,
    numbers: np.ndarray,
) -> None:
    places, elapsed = np.arange(x.shape[1]), np.zeros(x.shape[1])
    for n in range(len(cell)):
        c = cell[n]
        describe(x[c], mean[c], limit[c], places, 0.0, elapsed, sign, first[n], last[n], numbers[n])
