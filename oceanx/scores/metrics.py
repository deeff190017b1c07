"""A metric is a statistic of each cell, averaged, and a finish: RMSE is the squared error and a root.

Statistics see `Fields`; whatever is averaged over is left to whoever adds them up, so that parts add up to the whole
and a statistic that several metrics need is computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import xarray as xr


class Fields:
    """Forecast, truth and climatology of one start date, zero in every cell that does not count.

    Parameters
    ----------
    forecast
        Values (…), or (member, …) with `ensemble`.
    truth, climatology
        Values (…); a climatology is there only if a metric needs it.
    ocean
        Which cells of the truth count (…).
    """

    def __init__(
        self,
        forecast: np.ndarray,
        truth: np.ndarray,
        ocean: np.ndarray,
        climatology: np.ndarray | None = None,
        ensemble: bool = False,
    ) -> None:
        self.members = forecast if ensemble and len(forecast) > 1 else None
        self.mean = forecast.mean(axis=0, dtype=np.float64) if ensemble else forecast
        self.truth, self._climatology = truth, climatology
        error = np.subtract(self.mean, truth, dtype=np.float64)
        self.valid = np.isfinite(error) & ocean
        self.error = np.where(self.valid, error, 0.0)

    def _anomaly(self, values: np.ndarray) -> np.ndarray:
        assert self._climatology is not None
        return np.where(self.valid, np.subtract(values, self._climatology, dtype=np.float64), 0.0)

    @cached_property
    def forecast_anomaly(self) -> np.ndarray:
        return self._anomaly(self.mean)

    @cached_property
    def truth_anomaly(self) -> np.ndarray:
        return self._anomaly(self.truth)

    @cached_property
    def variance(self) -> np.ndarray | None:
        """Of the members, unbiased; None where there are no members."""
        if self.members is None:
            return None
        return np.where(self.valid, self.members.var(axis=0, ddof=1, dtype=np.float64), 0.0)


def _error_of_infinite_ensemble(x: Fields) -> np.ndarray | None:
    """Squared error of the mean less the part that K members leave in it: (mean − truth)² − variance / K."""
    if x.members is None or x.variance is None:
        return None
    return x.error**2 - x.variance / len(x.members)


def _fair_crps(x: Fields) -> np.ndarray:
    """Mean |x_i − y| − Σ_{i<j} |x_i − x_j| / (K (K − 1)); the absolute error of a forecast without members.

    References
    ----------
    Ferro (2014), Fair scores for ensemble forecasts, doi:10.1002/qj.2270
    """
    if x.members is None:
        return np.abs(x.error)
    count = len(x.members)
    away = np.zeros_like(x.error)
    for member in x.members:
        away += np.abs(np.subtract(member, x.truth, dtype=np.float64))
    rank = 2.0 * np.arange(count) - count + 1
    between = np.tensordot(rank, np.sort(x.members.astype(np.float64), axis=0), axes=1)
    return np.where(x.valid, away / count - between / (count * (count - 1)), 0.0)


Statistic = Callable[[Fields], np.ndarray | None]
Means = Mapping[str, xr.DataArray]

STATISTICS: dict[str, Statistic] = {
    "error": lambda x: x.error,
    "absolute_error": lambda x: np.abs(x.error),
    "squared_error": lambda x: x.error**2,
    "forecast_anomaly": lambda x: x.forecast_anomaly,
    "truth_anomaly": lambda x: x.truth_anomaly,
    "anomaly_product": lambda x: x.forecast_anomaly * x.truth_anomaly,
    "squared_forecast_anomaly": lambda x: x.forecast_anomaly**2,
    "squared_truth_anomaly": lambda x: x.truth_anomaly**2,
    "variance": lambda x: x.variance,
    "unbiased_squared_error": _error_of_infinite_ensemble,
    "fair_crps": _fair_crps,
}


@dataclass(frozen=True)
class Metric:
    """What is averaged (`statistics`), how the averages become the score (`finish`), and what it is called."""

    long_name: str
    statistics: tuple[str, ...]
    finish: Callable[[Means], xr.DataArray]
    units: str = "{units}"
    needs: str = ""  # "climatology" or "member"


def _root(values: xr.DataArray) -> xr.DataArray:
    """The square root; an estimate of a square that came out below zero counts as zero."""
    return values.clip(min=0.0) ** 0.5


def _spread_of(kind: str) -> Callable[[Means], xr.DataArray]:
    return lambda m: _root(m[f"squared_{kind}"] - m[kind] ** 2)


METRICS: dict[str, Metric] = {
    "rmse": Metric("Root mean square error", ("squared_error",), lambda m: _root(m["squared_error"])),
    "mse": Metric("Mean square error", ("squared_error",), lambda m: m["squared_error"], "({units})2"),
    "mae": Metric("Mean absolute error", ("absolute_error",), lambda m: m["absolute_error"]),
    "bias": Metric("Mean error", ("error",), lambda m: m["error"]),
    "acc": Metric(
        "Anomaly correlation, uncentred",
        ("anomaly_product", "squared_forecast_anomaly", "squared_truth_anomaly"),
        lambda m: m["anomaly_product"] / _root(m["squared_forecast_anomaly"] * m["squared_truth_anomaly"]),
        "1",
        "climatology",
    ),
    "nrmse": Metric(
        "Root mean square error relative to the climatology's",
        ("squared_error", "squared_truth_anomaly"),
        lambda m: _root(m["squared_error"] / m["squared_truth_anomaly"]),
        "1",
        "climatology",
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
        lambda m: _spread_of("forecast_anomaly")(m) / _spread_of("truth_anomaly")(m),
        "1",
        "climatology",
    ),
    "rmse_unbiased": Metric(
        "Root mean square error of the mean of infinitely many members",
        ("unbiased_squared_error",),
        lambda m: _root(m["unbiased_squared_error"]),
        needs="member",
    ),
    "spread": Metric("Ensemble spread", ("variance",), lambda m: _root(m["variance"]), needs="member"),
    "crps": Metric("Continuous ranked probability score, fair", ("fair_crps",), lambda m: m["fair_crps"]),
}
