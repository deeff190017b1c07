"""A series beside its threshold: where in the table the climatology and limit of each day stand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ..ocean.climatology import day_of_year
from ..vocabulary.errors import InputError, unknown
from .limits import fitting, own_years, years_since
from .pools import YEAR
from .tiles import each_tile, like_cells

SIDES = {"above": 1, "below": -1}


@dataclass(frozen=True)
class Rule:
    """What makes days an event: how long, how near to the next, and on which side of the threshold."""

    min_duration: int = 5
    max_gap: int = 2
    side: str = "above"

    def __post_init__(self) -> None:
        if self.min_duration < 1 or self.max_gap < 0:
            found = f"min_duration={self.min_duration}, max_gap={self.max_gap}"
            raise InputError(f"detect: found {found}; expected at least 1 and 0")
        if self.side not in SIDES:
            raise unknown("side", self.side, SIDES)

    @staticmethod
    def of(detected: xr.Dataset) -> Rule:
        """The one that events were found by; `InputError` if they do not say."""
        names = ("oceanx_min_duration_days", "oceanx_max_gap_days", "oceanx_side")
        lacking = [name for name in names if name not in detected.attrs]
        if lacking:
            raise InputError(f"events: without the attribute {lacking[0]}; give what oceanx.heatwaves.detect gave")
        return Rule(*(detected.attrs[name] for name in names))

    @property
    def sign(self) -> int:
        """1 above the threshold, −1 below it."""
        return SIDES[self.side]

    def check(self, threshold: xr.Dataset) -> None:
        """`InputError` if the threshold is of the other side: most days would be beyond it."""
        found = threshold.attrs.get("oceanx_percentile", "none")
        if found != "none" and self.sign * (float(found) - 50) < 0:
            meant = "10 for cold spells (side='below')" if self.sign < 0 else "90 for heatwaves"
            raise InputError(f"threshold: of percentile {float(found):g}; expected one like {meant}")

    def must_be_default(self, what: str) -> None:
        """`InputError` if it says anything: the events are found already."""
        if self != Rule():
            raise InputError(f"{what}: min_duration, max_gap and side are of detect; or give temperature and threshold")

    @property
    def attrs(self) -> dict[str, Any]:
        """As detected events have it."""
        return {
            "oceanx_min_duration_days": self.min_duration,
            "oceanx_max_gap_days": self.max_gap,
            "oceanx_side": self.side,
        }


@dataclass(frozen=True)
class Beside:
    """The tables by cell that a series is held against: climatology, threshold, and the trend of both a year.

    `places` says for each day where it stands in the tables; `elapsed` how many years of trend have passed.
    """

    mean: xr.DataArray
    limit: xr.DataArray
    slope: xr.DataArray
    places: np.ndarray
    elapsed: np.ndarray

    @property
    def core(self) -> list[list[str]]:
        """The dimensions of the tables that are not cells."""
        table: list[str] = [d for d in ("year", "dayofyear", "time") if d in self.mean.dims]
        return [table, table, []]

    @property
    def tables(self) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray]:
        """All three."""
        return self.mean, self.limit, self.slope


def beside(sst: xr.DataArray, threshold: xr.Dataset, dates: pd.DatetimeIndex) -> Beside:
    """The tables of a threshold that fits a temperature, and the place of each date in them."""
    threshold = fitting(sst, threshold)
    days = xr.DataArray(dates, dims="time")
    places = day_of_year(days) - 1
    if "year" in threshold.dims:
        years = own_years(days, threshold)
        order = {int(year): n for n, year in enumerate(threshold["year"].values)}
        places = places + YEAR * np.array([order[year] for year in years.tolist()])
    slope = threshold.get("trend", xr.zeros_like(threshold["threshold"].isel(dayofyear=0, drop=True)))
    slope = slope.isel(year=0, drop=True) if "year" in slope.dims else slope
    return Beside(
        like_cells(threshold["climatology"], sst),
        like_cells(threshold["threshold"], sst),
        like_cells(slope, sst),
        places.astype(np.int64),
        years_since(days, threshold) if "trend" in threshold else np.zeros(len(dates)),
    )


def each_cell(
    series: np.ndarray,
    tables: tuple[np.ndarray, np.ndarray, np.ndarray],
    core: int,
    rows: np.ndarray,
    work: Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray, slice], Any],
    threads: int,
) -> list[Any]:
    """What `work` makes of tiles of series (cell, day) beside their climatology and limit (cell, place) and slope.

    `core` is the number of dimensions of the tables that are not cells.
    """
    shape = series.shape[:-1]
    cells = int(np.prod(shape))

    def by_cell(table: np.ndarray, core: int) -> np.ndarray:
        inner = table.shape[table.ndim - core :]
        flat = np.broadcast_to(table, (*shape, *inner)).reshape(cells, *([-1] if core else []))
        return np.ascontiguousarray(flat, dtype=np.float64)

    mean, limit, slope = by_cell(tables[0], core), by_cell(tables[1], core), by_cell(tables[2], 0)

    def one(tile: np.ndarray, where: slice) -> Any:
        return work(tile, mean[where], limit[where], slope[where], where)

    return each_tile(series, rows, one, threads)
