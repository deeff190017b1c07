"""What scoring reads: forecasts a few start dates at a time, the truth once, and both while the last is summed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice, pairwise
from typing import TypeVar

import dask
import numpy as np
import pandas as pd
import xarray as xr

from ..ocean.climatology import YEAR, at, day_of_year
from ..ocean.labels import wet_cells
from ..vocabulary.errors import InputError
from .levels import on_levels

BATCH_BYTES = 128 * 2**20  # how much of one variable, over all models, is held at a time; and as much ahead

_SMALL = 16 * 2**20  # bytes that malloc gives from memory that was used before
_HELD = 2**30  # bytes of a climatology that are read once and kept

T = TypeVar("T")


@dataclass(frozen=True)
class Sources:
    """What one variable is scored with, on all levels of the forecasts.

    Attributes
    ----------
    forecasts
        Of the models that have it.
    truth
        By `time`, on the levels of `like`.
    wet
        The truth's mask (level or 1, cell).
    climatology, threshold
        Datasets that tell the variable on any date, or a `threshold` for all dates; None where there are none.
    """

    name: str
    forecasts: Mapping[str, xr.DataArray]
    truth: xr.DataArray
    like: xr.DataArray
    wet: np.ndarray
    climatology: xr.Dataset | None = None
    threshold: xr.Dataset | float | None = None
    analyses: bool = False  # whether the truth at the start dates is wanted too

    @classmethod
    def of(
        cls,
        name: str,
        forecasts: Mapping[str, xr.Dataset],
        truth: xr.Dataset,
        like: xr.DataArray,
        climatology: xr.Dataset | None,
        threshold: xr.Dataset | float | None,
        analyses: bool,
    ) -> Sources:
        """Of Datasets that have more than this variable."""
        actual = on_levels(truth[name], like)
        fields = {model: f[name].assign_coords(valid_time=f["valid_time"]) for model, f in forecasts.items()}
        if climatology is not None:
            climatology = _variable(climatology, name, like, "climatology") if name in climatology.data_vars else None
        if isinstance(threshold, xr.Dataset):
            threshold = _variable(threshold, name, like, "threshold")
        return cls(name, fields, actual, like, _wet(truth, actual, like), climatology, threshold, analyses)

    @property
    def starts(self) -> np.ndarray:
        """The start dates, all models' own."""
        return np.asarray(next(iter(self.forecasts.values()))["init_time"].values)


Rows = dict[int, np.ndarray]  # fields (level, cell) by date, as `keys` gives it


@dataclass(frozen=True)
class Batch:
    """A few start dates, read.

    Attributes
    ----------
    first
        Number of the first start date.
    forecasts
        Of each model and start date, fields (level, cell) lead by lead, or values (member, lead, level, cell).
    truth, climatology, threshold
        By date.
    """

    first: int
    starts: np.ndarray
    forecasts: dict[str, list[list[np.ndarray] | np.ndarray]]
    valid: dict[str, np.ndarray]
    truth: Rows
    climatology: Rows | None
    threshold: Rows | float | None


def keys(dates: np.ndarray) -> list[int]:
    """What fields are found by."""
    return [int(date) for date in dates.astype("datetime64[ns]").astype(np.int64)]


def batches(sources: Sources) -> Iterator[Batch]:
    """All start dates in order; the next batch is read while this one is used."""
    return _ahead(_read(sources))


def _read(s: Sources) -> Iterator[Batch]:
    truth = _Kept(lambda dates: _on_dates(s.truth, dates))
    usual = None if s.climatology is None else _Kept(_teller(s.climatology, s.name))
    limit = _Kept(_teller(s.threshold, s.name)) if isinstance(s.threshold, xr.Dataset) else s.threshold
    step = _together(s.forecasts)
    for first in range(0, s.starts.size, step):
        part = slice(first, first + step)
        chosen = {model: v.isel(init_time=part) for model, v in s.forecasts.items()}
        valid = {model: v["valid_time"].values for model, v in chosen.items()}
        wanted = [v.ravel() for v in valid.values()] + ([s.starts[part]] if s.analyses else [])
        dates = np.unique(np.concatenate(wanted))
        yield Batch(
            first,
            s.starts[part],
            {model: list(_members(v)) if "member" in v.dims else _by_lead(v) for model, v in chosen.items()},
            valid,
            truth.on(dates),
            None if usual is None else usual.on(dates),
            limit.on(dates) if isinstance(limit, _Kept) else limit,
        )


@dataclass
class _Kept:
    """Fields by date: those that were there last time are not read again."""

    read: Callable[[np.ndarray], list[np.ndarray]]
    rows: Rows = field(default_factory=dict)

    def on(self, dates: np.ndarray) -> Rows:
        """The fields of these dates, which are in order."""
        wanted = keys(dates)
        new = np.array([key not in self.rows for key in wanted])
        rows = self.rows
        if new.any():
            rows = rows | dict(zip(keys(dates[new]), self.read(dates[new]), strict=True))
        self.rows = {key: rows[key] for key in wanted}
        return self.rows


def _together(forecasts: Mapping[str, xr.DataArray]) -> int:
    """How many start dates are read at once: whole chunks, where these are not too much."""
    per_start = sum(v.isel(init_time=0).nbytes for v in forecasts.values())
    step = max(1, BATCH_BYTES // max(1, per_start))
    chunk = max(v.variable.chunksizes.get("init_time", (1,))[0] for v in forecasts.values())
    if chunk > step:  # half a chunk costs as much as all of it
        return chunk if chunk * per_start <= 8 * BATCH_BYTES else step
    return step // chunk * chunk


def _members(v: xr.DataArray) -> np.ndarray:
    """An ensemble's values (init, member, lead, level, cell), read now."""
    return cells(v.transpose("init_time", "member", "lead_time", ...), leading=3)


def _by_lead(v: xr.DataArray) -> list[list[np.ndarray] | np.ndarray]:
    """The fields (level, cell) of each start and lead, read now, chunk by chunk: large arrays cost fresh memory."""
    v = v.transpose("init_time", "lead_time", ...)
    places = [(i, lead) for i in _pieces(v, "init_time") for lead in _pieces(v, "lead_time")]
    result: list[list[np.ndarray] | np.ndarray] = [[np.empty(0)] * v.shape[1] for _ in range(v.shape[0])]
    parts = _values([v.isel(init_time=i, lead_time=lead) for i, lead in places], leading=2)
    for (starts, leads), part in zip(places, parts, strict=True):
        for i, row in zip(range(starts.start, starts.stop), part, strict=True):
            for lead, values in zip(range(leads.start, leads.stop), row, strict=True):
                result[i][lead] = values
    return result


def _on_dates(v: xr.DataArray, dates: np.ndarray) -> list[np.ndarray]:
    """The fields (level, cell) on some dates, read now, chunk by chunk."""
    where = _at(v, dates)
    ends = [piece.stop for piece in _pieces(v, "time")]
    groups = np.split(where, np.flatnonzero(np.diff(np.searchsorted(ends, where, side="right"))) + 1)
    return [x for part in _values([v.isel(time=group) for group in groups], leading=1) for x in part]


def _pieces(v: xr.DataArray, dim: str) -> list[slice]:
    """The chunks along a dimension; all of it where there are none."""
    ends = np.cumsum([0, *v.variable.chunksizes.get(dim, (v.sizes[dim],))]).tolist()
    return [slice(a, b) for a, b in pairwise(ends)]


def cells(v: xr.DataArray, leading: int = 1) -> np.ndarray:
    """Values as (leading dimensions …, depth or 1, cells), read now."""
    return _values([v], leading)[0]


def _values(parts: Sequence[xr.DataArray], leading: int) -> list[np.ndarray]:
    """Values as `cells` has them, of several parts at once."""
    horizontal = ("depth", "latitude", "longitude") if "depth" in parts[0].dims else ("latitude", "longitude")
    ordered = [v.transpose(..., *horizontal) for v in parts]
    size = ordered[0].sizes
    shape = (size.get("depth", 1), size["latitude"] * size["longitude"])
    read = dask.compute(*(v.data for v in ordered))
    return [np.asarray(x).reshape(*v.shape[:leading], *shape) for x, v in zip(read, ordered, strict=True)]


def _at(v: xr.DataArray, dates: np.ndarray) -> np.ndarray:
    """Where dates stand in time."""
    return np.asarray(pd.DatetimeIndex(v["time"].values).get_indexer(pd.DatetimeIndex(dates)))


def _teller(cycle: xr.Dataset, name: str) -> Callable[[np.ndarray], list[np.ndarray]]:
    """The fields of a climatology by date, some dates at a time."""
    v = cycle[name]
    some = max(1, _SMALL // (4 * v.isel({d: 0 for d in v.dims if d in ("harmonic", "dayofyear")}).size))

    def tell(dates: np.ndarray) -> list[np.ndarray]:
        parts = [dates[n : n + some] for n in range(0, len(dates), some)]
        if "dayofyear" not in v.dims:
            return [x for part in parts for x in cells(at(cycle, part)[name])]
        days = [day_of_year(xr.DataArray(part, dims="time")) - 1 for part in parts]
        return [x for day in days for x in cells(v.isel(dayofyear=day).transpose("dayofyear", ...))]

    return tell


def _variable(cycle: xr.Dataset, name: str, like: xr.DataArray, what: str) -> xr.Dataset:
    """One variable of a climatology on the levels wanted, in memory if it is not too large."""
    v = on_levels(cycle[name], like, what).reset_coords(drop=True)
    if "dayofyear" in v.dims and not np.array_equal(v["dayofyear"], np.arange(1, YEAR + 1)):
        raise InputError(f"{what}: dayofyear: expected 1…{YEAR}, found {v.sizes['dayofyear']} values")
    return (v.compute() if v.nbytes <= _HELD else v).to_dataset(name=name)


def _wet(truth: xr.Dataset, actual: xr.DataArray, like: xr.DataArray) -> np.ndarray:
    """The truth's mask (depth or 1, cell), all wet where it has none."""
    if "mask" not in truth.coords:
        return np.ones((1, actual.sizes["latitude"] * actual.sizes["longitude"]), dtype=bool)
    mask = truth["mask"]
    if "depth" in like.dims and "depth" in mask.dims:
        mask = on_levels(mask, like)
    wet = wet_cells(xr.Dataset(coords={"mask": mask}), actual)
    assert wet is not None
    return np.ascontiguousarray(wet.reshape(-1, wet.shape[-2] * wet.shape[-1]))


def _ahead(parts: Iterator[T]) -> Iterator[T]:
    """The same, each made in a thread while the one before is used; what goes wrong there is raised here."""
    with ThreadPoolExecutor(1, thread_name_prefix="oceanx-ahead") as thread:

        def start() -> Future[list[T]]:
            return thread.submit(lambda: list(islice(parts, 1)))

        coming = start()
        while part := coming.result():
            coming = start()
            yield part.pop()
