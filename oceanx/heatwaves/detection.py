"""Marine heatwaves in a series or field, day by day (`detect`) and as a table (`events`)."""

from __future__ import annotations

import numba
import numpy as np
import pandas as pd
import xarray as xr

from ..vocabulary.errors import InputError
from .baseline import every_day
from .verification import Field, on_dates, surface_temperature

CATEGORIES = ("Moderate", "Strong", "Severe", "Extreme")
NUMBERS = (
    *(f"intensity_{k}{s}" for s in ("", "_relThresh", "_abs") for k in ("max", "mean", "var", "cumulative")),
    *("rate_onset", "rate_decline", "peak", "category"),
    *(f"duration_{name.lower()}" for name in CATEGORIES),
)


def detect(sst: Field, threshold: xr.Dataset, *, min_duration: int = 5, max_gap: int = 2) -> xr.Dataset:
    """The heatwaves of a daily series or field: `event` (its number in each cell, 0 for none) and its strength.

    An event is at least `min_duration` days above the threshold; two of them no more than `max_gap` days apart are
    one (0 keeps them apart). Beside `event` stand `category` of each day of an event, 1 to 4 by whole multiples of
    threshold − climatology (0 below the threshold), and `temperature`, `climatology` and `threshold` on every day.
    A missing day is never above the threshold. Lazy where `sst` is lazy.

    Raises
    ------
    InputError
        If the series is not daily, grids differ, or a parameter is out of range.

    References
    ----------
    Hobday et al. (2016), doi:10.1016/j.pocean.2015.12.014; Hobday et al. (2018), doi:10.5670/oceanog.2018.205
    """
    if min_duration < 1 or max_gap < 0:
        raise InputError(f"detect: found min_duration={min_duration}, max_gap={max_gap}; expected at least 1 and 0")
    sst = every_day(surface_temperature(sst))
    mean, limit = (on_dates(sst, threshold, kind).transpose(*sst.dims) for kind in ("climatology", "threshold"))
    excess = sst - limit
    event = xr.apply_ufunc(
        _label,
        excess.chunk(time=-1) if excess.chunks else excess,
        kwargs={"min_duration": min_duration, "max_gap": max_gap},
        input_core_dims=[["time"]],
        output_core_dims=[["time"]],
        dask="parallelized",
        output_dtypes=[np.int32],
    ).transpose(*sst.dims)
    strength = (1 + excess / (limit - mean).where(limit > mean)).clip(0, 4)
    category = strength.where(event > 0).fillna(0).astype(np.int8)  # towards zero: the day's whole multiples
    units = {"units": sst.attrs.get("units", "degrees_C")}
    return xr.Dataset(
        {
            "event": event.assign_attrs(long_name="Number of the marine heatwave, 0 for none"),
            "category": category.assign_attrs(long_name="Category of the day", flag_values=[1, 2, 3, 4]),
            "temperature": sst.assign_attrs(long_name="Temperature", **units),
            "climatology": mean.assign_attrs(long_name="Climatology", **units),
            "threshold": limit.assign_attrs(long_name="Threshold", **units),
        }
    ).assign_attrs(threshold.attrs, oceanx_min_duration_days=min_duration, oceanx_max_gap_days=max_gap)


def events(detected: xr.Dataset) -> pd.DataFrame:
    """A table of the heatwaves that `detect` found, one row an event, by cell and then in time.

    Intensities are above the climatology (`_relThresh`: above the threshold; `_abs`: temperatures): their maximum,
    mean, standard deviation (`_var`, as other tools call it) and sum over days. Rates are in degrees a day, from the
    day boundary before the first day to the peak, and from the peak to the boundary after the last. `category` is
    that of the strongest day; `duration_…` count the days of each. A missing day inside an event counts as one at
    the climatology.
    """
    cells = [d for d in detected["event"].dims if d != "time"]
    wanted = detected[["event", "temperature", "climatology", "threshold"]].transpose(*cells, "time").load()
    label, temperature, mean, limit = (
        np.ascontiguousarray(wanted[v].values.reshape(-1, wanted.sizes["time"])) for v in wanted.data_vars
    )
    cell, first, last = _spans(label)
    places = np.unravel_index(cell, [wanted.sizes[d] for d in cells]) if cells else ()
    numbers = _describe(temperature, mean, limit, cell, first, last)
    table: dict[str, np.ndarray] = dict(zip(NUMBERS, numbers.T, strict=True))
    dates = wanted["time"].values
    return pd.DataFrame(
        {
            **{str(d): wanted[d].values[i] for d, i in zip(cells, places, strict=True)},
            "event": label[cell, first],
            "date_start": dates[first],
            "date_peak": dates[first + table.pop("peak").astype(np.int64)],
            "date_end": dates[last],
            "duration": last - first + 1,
            "category": np.array(CATEGORIES)[table.pop("category").astype(np.int64) - 1],
            **{k: v.astype(np.int64) if k.startswith("duration") else v for k, v in table.items()},
        }
    )


def _spans(label: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cell, first and last day of every event in labels (cell, time)."""
    edge = np.zeros((len(label), 1), dtype=label.dtype)
    change = np.diff(np.concatenate([edge, label, edge], axis=1), axis=1)
    begins = (change != 0) & (np.concatenate([label, edge], axis=1) > 0)
    ends = (change != 0) & (np.concatenate([edge, label], axis=1) > 0)
    cell, first = np.nonzero(begins)
    return cell, first, np.nonzero(ends)[1] - 1


def _label(excess: np.ndarray, min_duration: int, max_gap: int) -> np.ndarray:
    """Event numbers (…, time) from temperature less threshold."""
    flat = np.ascontiguousarray(excess.reshape(-1, excess.shape[-1]))
    result = np.zeros(flat.shape, dtype=np.int32)
    _number(flat, min_duration, max_gap, result)
    return result.reshape(excess.shape)


@numba.njit(cache=True, nogil=True)
def _number(excess: np.ndarray, min_duration: int, max_gap: int, result: np.ndarray) -> None:
    days = excess.shape[1]
    for cell in range(excess.shape[0]):
        count, ended, start = 0, -1, -1
        for day in range(days + 1):
            if day < days and excess[cell, day] > 0:
                start = day if start < 0 else start
                continue
            if start >= 0 and day - start >= min_duration:
                if count > 0 and start - ended - 1 <= max_gap:
                    start = ended + 1  # the gap belongs to the event
                else:
                    count += 1
                result[cell, start:day] = count
                ended = day - 1
            start = -1


@numba.njit(cache=True, nogil=True)
def _describe(
    temperature: np.ndarray,
    mean: np.ndarray,
    limit: np.ndarray,
    cell: np.ndarray,
    first: np.ndarray,
    last: np.ndarray,
) -> np.ndarray:
    """`NUMBERS` of each event (event, number)."""
    result = np.zeros((len(cell), 20))
    for n in range(len(cell)):
        c, a, b = cell[n], first[n], last[n]
        t = temperature[c].astype(np.float64)[max(a - 1, 0) : b + 2]
        clim = mean[c].astype(np.float64)[max(a - 1, 0) : b + 2]
        above = limit[c].astype(np.float64)[max(a - 1, 0) : b + 2] - clim
        t = np.where(np.isnan(t), clim, t)
        anomaly = t - clim
        begin = 1 if a > 0 else 0
        end = begin + b - a  # the last day, in the slice
        peak = begin + np.argmax(anomaly[begin : end + 1])
        for k, values in enumerate((anomaly, anomaly - above, t)):
            part = values[begin : end + 1]
            result[n, 4 * k] = values[peak]
            result[n, 4 * k + 1] = part.mean()
            result[n, 4 * k + 2] = part.std()
            result[n, 4 * k + 3] = part.sum()
        # An event begins and ends half-way to the day outside it; where the series has none, on its own day.
        rise, since, fall, until = anomaly[begin], 0.0, anomaly[end], 0.0
        if a > 0:
            rise, since = (anomaly[begin] + anomaly[begin - 1]) / 2, 0.5
        if end + 1 < len(anomaly):
            fall, until = (anomaly[end] + anomaly[end + 1]) / 2, 0.5
        result[n, 12] = (anomaly[peak] - rise) / max(peak - begin + since, 0.5)
        result[n, 13] = (anomaly[peak] - fall) / max(end - peak + until, 0.5)
        result[n, 14] = peak - begin
        result[n, 15] = 1.0
        for day in range(begin, end + 1):
            strength = min(int(anomaly[day] / above[day]), 4) if above[day] > 0 else 0
            if strength >= 1:
                result[n, 15] = max(result[n, 15], strength)
                result[n, 15 + strength] += 1
    return result
