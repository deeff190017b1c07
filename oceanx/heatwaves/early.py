"""How early each observed event was in a forecast."""

from __future__ import annotations

import numpy as np


class Detections:
    """Of every observed event: the longest lead of a forecast of it, and of one that had it.

    An event is known by its cell and the day on which it is established, its fifth (`min_duration`-th). A forecast had
    it if that day lies in an event of the forecast. One entry an event, however many forecasts there are.
    """

    def __init__(self) -> None:
        self.event = np.empty(0, dtype=np.int64)  # day × cells + cell
        self.given = np.empty(0, dtype=np.int16)
        self.caught = np.empty(0, dtype=np.int16)
        self.cells = 1

    def add(self, valid_time: np.ndarray, first: np.ndarray, yes: np.ndarray) -> None:
        """Enter forecasts of the days `first` (init_time, lead_time, cell) that were answered `yes` or not."""
        self.cells = first.shape[-1]
        start, lead, cell = np.nonzero(first)
        day = valid_time.astype("datetime64[D]").astype(np.int64)[start, lead]
        new = day * self.cells + cell
        caught = np.where(yes[start, lead, cell], lead + 1, 0)
        self.event, at = np.unique(np.concatenate([self.event, new]), return_inverse=True)
        self.given = _longest(at, np.concatenate([self.given, lead + 1]), len(self.event))
        self.caught = _longest(at, np.concatenate([self.caught, caught]), len(self.event))

    def summary(self, weight: np.ndarray, leads: int) -> tuple[np.ndarray, np.ndarray]:
        """The share (region, lead) of events that a forecast of this lead or a longer one had, and the mean lead.

        Events count by the area of their cells, `weight` (region, cell); in the mean, those never caught with 0 days.
        """
        area = weight[:, self.event % self.cells]
        lead = np.arange(1, leads + 1)
        could, did = (area @ (days[:, None] >= lead).astype(float) for days in (self.given, self.caught))
        share = np.divide(did, could, out=np.full_like(did, np.nan), where=could > 0)
        total = area.sum(axis=1)
        mean = np.divide(area @ self.caught.astype(float), total, out=np.full(len(area), np.nan), where=total > 0)
        return share, mean


def _longest(at: np.ndarray, days: np.ndarray, size: int) -> np.ndarray:
    longest = np.zeros(size, dtype=np.int16)
    np.maximum.at(longest, at, days.astype(np.int16))
    return longest
