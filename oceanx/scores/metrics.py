"""A metric is a statistic of each cell, averaged, and a finish: RMSE is the squared error and a root.

Statistics see `Fields`; whatever is averaged over is left to whoever adds them up, so that parts add up to the whole
and a statistic that several metrics need is computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import xarray as xr

from .fields import Fields


class Binned(NamedTuple):
    """Values of cells (…), each split evenly over bins `first` … `last`; where `first` is negative, in none."""

    first: np.ndarray
    last: np.ndarray
    values: np.ndarray


Statistic = Callable[[Fields], np.ndarray | Binned | None]
Means = Mapping[str, xr.DataArray]
Best = Literal["low", "high", "zero", "one"]


@dataclass(frozen=True)
class Metric:
    """What is averaged, how the averages become the score, and what it is called.

    Attributes
    ----------
    statistics
        What is averaged.
    finish
        The score from the averages.
    needs
        `climatology`, `member` or `threshold`, or nothing.
    best
        Which of two scores is better: the lower, the higher, the one nearer to zero or to one; None if neither is.
    beside
        Metrics that are given with it.
    """

    long_name: str
    statistics: tuple[str, ...]
    finish: Callable[[Means], xr.DataArray]
    units: str = "{units}"
    needs: Literal["climatology", "member", "threshold"] | None = None
    best: Best | None = None
    beside: tuple[str, ...] = ()


def root(values: xr.DataArray) -> xr.DataArray:
    """The square root; an estimate of a square that came out below zero counts as zero."""
    return values.clip(min=0.0) ** 0.5


def _spread_of(kind: str) -> Callable[[Means], xr.DataArray]:
    return lambda m: root(m[f"squared_{kind}"] - m[kind] ** 2)


STATISTICS: dict[str, Statistic] = {
    "error": lambda x: x.error,
    "absolute_error": lambda x: np.abs(x.error),
    "squared_error": lambda x: x.error**2,
    "forecast_anomaly": lambda x: x.forecast_anomaly,
    "truth_anomaly": lambda x: x.truth_anomaly,
    "anomaly_product": lambda x: x.forecast_anomaly * x.truth_anomaly,
    "squared_forecast_anomaly": lambda x: x.forecast_anomaly**2,
    "squared_truth_anomaly": lambda x: x.truth_anomaly**2,
}

METRICS: dict[str, Metric] = {
    "rmse": Metric("Root mean square error", ("squared_error",), lambda m: root(m["squared_error"]), best="low"),
    "mse": Metric("Mean square error", ("squared_error",), lambda m: m["squared_error"], "({units})2", best="low"),
    "mae": Metric("Mean absolute error", ("absolute_error",), lambda m: m["absolute_error"], best="low"),
    "bias": Metric("Mean error", ("error",), lambda m: m["error"], best="zero"),
    "acc": Metric(
        "Anomaly correlation, uncentred",
        ("anomaly_product", "squared_forecast_anomaly", "squared_truth_anomaly"),
        lambda m: m["anomaly_product"] / positive(root(m["squared_forecast_anomaly"] * m["squared_truth_anomaly"])),
        "1",
        "climatology",
        "high",
    ),
    "nrmse": Metric(
        "Root mean square error relative to the climatology's",
        ("squared_error", "squared_truth_anomaly"),
        lambda m: root(m["squared_error"] / positive(m["squared_truth_anomaly"])),
        "1",
        "climatology",
        "low",
    ),
    "activity": Metric(
        "Standard deviation of forecast anomalies",
        ("forecast_anomaly", "squared_forecast_anomaly"),
        _spread_of("forecast_anomaly"),
        needs="climatology",
    ),
    "activity_ratio": Metric(
        "Standard deviation of forecast anomalies relative to the truth's",
        ("forecast_anomaly", "squared_forecast_anomaly", "truth_anomaly", "squared_truth_anomaly"),
        lambda m: _spread_of("forecast_anomaly")(m) / positive(_spread_of("truth_anomaly")(m)),
        "1",
        "climatology",
        "one",
    ),
}


def positive(values: xr.DataArray) -> xr.DataArray:
    """Divisors, NaN where there is nothing to divide by."""
    return values.where(values > 0)
