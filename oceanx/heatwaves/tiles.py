"""Whole series of a few cells at a time, lying together in memory: what every kernel here works on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numba
import numpy as np
import xarray as xr

TILE = 64  # cells gathered at once: wide enough for whole cache lines, few enough to stay near the processor
LARGE_BYTES = 2**30  # from which on it matters how lazy data are cut
CHUNK_BYTES = 64 * 2**20  # of a chunk made where the data come without whole series

T = TypeVar("T")

_log = logging.getLogger("oceanx.heatwaves")


def each_tile(values: np.ndarray, rows: np.ndarray, work: Callable[[np.ndarray, slice], T], threads: int) -> list[T]:
    """What `work` makes of each tile (cell, day) of series (…, time) and its place among the cells, in order.

    Parameters
    ----------
    rows
        For each day its place in `time`; -1 where there is no value, -2 where it is the mean of its neighbours.
    threads
        How many tiles are worked on at once; `work` should let others run.
    """
    series = _time_first(values)
    dtype = series.dtype if series.dtype in (np.float32, np.float64) else np.dtype(np.float64)

    def one(start: int) -> T:
        where = slice(start, min(start + TILE, series.shape[1]))
        tile = np.empty((where.stop - start, len(rows)), dtype)
        _gather(series[:, where], rows, tile)
        return work(tile, where)

    starts = range(0, series.shape[1], TILE)
    if threads == 1 or len(starts) == 1:
        return [one(start) for start in starts]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(one, starts))


def whole_series(sst: xr.DataArray) -> xr.DataArray:
    """Lazy data in chunks of whole series; where time was cut, of as many cells as a bounded chunk holds."""
    if not sst.chunks or len(sst.chunksizes["time"]) == 1:
        return sst
    if sst.nbytes > LARGE_BYTES:
        _log.warning(
            "%s: %.1f GB, cut into %d pieces of time that are read over and over; "
            "oceanx rechunk --for timeseries makes a store of whole series",
            sst.name or "sst",
            sst.nbytes / 1e9,
            len(sst.chunksizes["time"]),
        )
    room = max(1, CHUNK_BYTES // (sst.dtype.itemsize * sst.sizes["time"]))
    chunks: dict[Hashable, int] = {"time": -1}
    for d in reversed([d for d in sst.dims if d != "time"]):
        chunks[d] = max(1, min(sst.sizes[d], room))
        room //= chunks[d]
    return sst.chunk(chunks)


def like_cells(table: xr.DataArray, sst: xr.DataArray) -> xr.DataArray:
    """A table by day of the year in the chunks that the series has, lazy where they are."""
    if not sst.chunks:
        return table.compute()
    cells: Mapping[Any, Any] = {d: sst.chunksizes[d] for d in table.dims if d in sst.dims}
    return table.chunk({**dict.fromkeys(table.dims, -1), **cells})


def _time_first(values: np.ndarray) -> np.ndarray:
    """Series (…, time) as (time, cell), without a copy where they lie in order, and else in the order they lie in."""
    steps = [abs(step) for step in values.strides]
    if steps[-1] == min(steps):
        return values.reshape(-1, values.shape[-1]).T
    return np.moveaxis(values, -1, 0).reshape(values.shape[-1], -1)


@numba.njit(cache=True, nogil=True)
def _gather(series: np.ndarray, rows: np.ndarray, tile: np.ndarray) -> None:
    """Copy days × cells to cells × days, a few days at a time so that both sides stay in the cache."""
    cells, days = tile.shape
    for begin in range(0, days, 32):
        end = min(begin + 32, days)
        for cell in range(cells):
            for day in range(begin, end):
                row = rows[day]
                tile[cell, day] = series[row, cell] if row >= 0 else np.nan
    for day in range(1, days - 1):
        if rows[day] == -2:
            for cell in range(cells):
                tile[cell, day] = (tile[cell, day - 1] + tile[cell, day + 1]) / 2
