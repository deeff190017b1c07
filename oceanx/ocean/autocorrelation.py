"""How long anomalies last: the correlation of each cell with itself some days later."""

from __future__ import annotations

from collections.abc import Sequence

import numba
import numpy as np
import pandas as pd
import xarray as xr

from oceanx.vocabulary.progress import Progress

from ..vocabulary.errors import InputError
from .climatology import at, blocks

HELD_BYTES = 2**30  # sums that are held at a time; more leads than fit are summed in several passes
_CELLS = 1024  # whose sums lie in the processor's cache


def autocorrelation(
    ds: xr.Dataset,
    climatology: xr.Dataset,
    leads: Sequence[np.timedelta64] | np.ndarray,
    missing: np.ndarray | None = None,
    progress: Progress | None = None,
) -> xr.Dataset:
    """r(lead_time, …) of the anomalies from a climatology, float32, by cell and level; 0 where nothing varies.

    r(k) = Σ a(t) a(t + k) / (Σ a(t)² Σ a(t + k)²)^½ over all pairs of dates k apart of which both have a value; what
    is below 0 counts as 0. One pass over time for a few dozen leads, some days at a time.

    Parameters
    ----------
    ds
        Training times, in order.
    climatology
        Of `oceanx.ocean.climatology`, with every variable of `ds`.
    leads
        Durations.
    missing
        Dates that have no value anywhere.

    Raises
    ------
    InputError
        If no two dates are as far apart as a lead.
    """
    leads = np.asarray(leads, dtype="timedelta64[ns]")
    dates = ds["time"].values.astype("datetime64[ns]")
    there = ~np.isin(dates, [] if missing is None else missing)
    pairs = [_pairs(dates, there, lead) for lead in leads]
    result = {str(name): _of_variable(v, climatology, leads, pairs, progress) for name, v in ds.data_vars.items()}
    known = {c: ds[c] for c in ("depth", "latitude", "longitude") if c in ds.coords}
    return xr.Dataset(result, coords={"lead_time": leads, **known})


def _pairs(dates: np.ndarray, there: np.ndarray, lead: np.timedelta64) -> np.ndarray:
    """Where both dates of each pair stand: (pair, 2), in order of the later."""
    later = np.searchsorted(dates, dates + lead)
    first = np.flatnonzero(later < len(dates))
    good = (dates[later[first]] == dates[first] + lead) & there[first] & there[later[first]]
    if not good.any():
        raise InputError(f"time: no two training days are {pd.Timedelta(lead)} apart; train on a longer period")
    return np.stack([first[good], later[first[good]]], axis=1)


def _of_variable(
    v: xr.DataArray,
    climatology: xr.Dataset,
    leads: np.ndarray,
    pairs: list[np.ndarray],
    progress: Progress | None,
) -> xr.DataArray:
    name, cells = str(v.name), [d for d in v.dims if d != "time"]
    shape = tuple(v.sizes[d] for d in cells)
    together = max(1, HELD_BYTES // (3 * 8 * max(1, int(np.prod(shape)))))
    parts = []
    cycle = climatology[[name]].compute()
    for first in range(0, len(leads), together):
        some = pairs[first : first + together]
        sums = _sums(v.transpose("time", *cells), cycle, some, name, progress)
        spread = np.sqrt(sums[:, 1] * sums[:, 2])
        r = np.divide(sums[:, 0], spread, out=np.zeros_like(spread), where=spread > 0)
        parts.append(r.clip(0.0, 1.0).astype(np.float32).reshape(-1, *shape))
    attrs = {"long_name": f"Lag autocorrelation of {name}", "units": "1"}
    return xr.DataArray(np.concatenate(parts), dims=("lead_time", *cells), attrs=attrs)


def _sums(
    v: xr.DataArray, cycle: xr.Dataset, pairs: list[np.ndarray], name: str, progress: Progress | None
) -> np.ndarray:
    """Sums (lead, 3, cell) of a(t) a(t + k), a(t)² and a(t + k)²."""
    reach = max(int((p[:, 1] - p[:, 0]).max()) for p in pairs)
    sums = np.zeros((len(pairs), 3, int(np.prod(v.shape[1:]))))
    held = np.empty((0, sums.shape[2]), np.float32)
    for where, values in blocks(v):
        usual = at(cycle, v["time"][where])[name].transpose("time", ...).values
        held = np.concatenate([held[max(0, len(held) - reach) :], (values - usual).reshape(len(values), -1)])
        begin = where.stop - len(held)  # the date of the first that is held
        chosen = [p[(p[:, 1] >= where.start) & (p[:, 1] < where.stop)] - begin for p in pairs]
        lead = np.repeat(np.arange(len(chosen)), [len(p) for p in chosen])
        _add(np.ascontiguousarray(held, dtype=np.float32), np.concatenate(chosen), lead, sums)
        if progress:
            progress(f"autocorrelation of {name}", where.stop, v.sizes["time"])
    return sums


@numba.njit(nogil=True, cache=True)
def _add(fields: np.ndarray, pairs: np.ndarray, lead: np.ndarray, sums: np.ndarray) -> None:
    for start in range(0, fields.shape[1], _CELLS):
        stop = min(start + _CELLS, fields.shape[1])
        for n in range(len(pairs)):
            a, b, total = fields[pairs[n, 0]], fields[pairs[n, 1]], sums[lead[n]]
            for j in range(start, stop):
                x, y = np.float64(a[j]), np.float64(b[j])
                good = x - x == 0.0 and y - y == 0.0
                if good:
                    total[0, j] += x * y
                    total[1, j] += x * x
                    total[2, j] += y * y
