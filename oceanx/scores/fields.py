"""Forecast, truth, climatology and threshold of one start date, as statistics of cells see them."""

from __future__ import annotations

from functools import cached_property

import numpy as np


class Fields:
    """Forecast, truth and climatology of one start date, zero in every cell that does not count.

    Parameters
    ----------
    forecast
        Values (…), or (member, …) with `ensemble`.
    truth, climatology, threshold
        Values (…); a climatology and a threshold are there only if a metric needs them.
    ocean
        Which cells of the truth count (…).
    above
        Whether an event is above the threshold, or below.
    """

    def __init__(
        self,
        forecast: np.ndarray,
        truth: np.ndarray,
        ocean: np.ndarray,
        climatology: np.ndarray | None = None,
        ensemble: bool = False,
        threshold: np.ndarray | float | None = None,
        above: bool = True,
    ) -> None:
        self.members = forecast if ensemble and len(forecast) > 1 else None
        self.mean = forecast.mean(axis=0, dtype=np.float64) if ensemble else forecast
        self.truth, self.threshold = truth, threshold
        self._ocean, self._climatology, self._above = ocean, climatology, above

    @cached_property
    def valid(self) -> np.ndarray:
        """Which cells count: wet, with a value in forecast and truth."""
        return np.isfinite(np.subtract(self.mean, self.truth, dtype=np.float64)) & self._ocean & np.isfinite(self.truth)

    @cached_property
    def error(self) -> np.ndarray:
        return np.where(self.valid, np.subtract(self.mean, self.truth, dtype=np.float64), 0.0)

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

    @cached_property
    def judged(self) -> np.ndarray:
        """Which valid cells have a threshold."""
        assert self.threshold is not None
        return self.valid & np.isfinite(self.threshold)

    def _event(self, values: np.ndarray) -> np.ndarray:
        return values > self.threshold if self._above else values < self.threshold

    @cached_property
    def said(self) -> np.ndarray:
        """Where the forecast, of members their mean, is beyond the threshold."""
        return self._event(self.mean) & self.judged

    @cached_property
    def happened(self) -> np.ndarray:
        """Where the truth is beyond the threshold."""
        return self._event(self.truth) & self.judged

    @cached_property
    def count(self) -> np.ndarray:
        """How many members are beyond the threshold."""
        if self.members is None:
            return self.said.astype(np.int64)
        return np.where(self.judged, self._event(self.members).sum(axis=0), 0)

    @property
    def size(self) -> int:
        """Members, 1 of a forecast without."""
        return 1 if self.members is None else len(self.members)

    @property
    def probability(self) -> np.ndarray:
        """The share of members beyond the threshold."""
        return self.count / self.size
