"""Every metric and statistic, in one table each."""

from __future__ import annotations

from collections.abc import Sequence

from . import categorical, metrics, probabilistic
from .metrics import Metric, Statistic

METRICS: dict[str, Metric] = metrics.METRICS | probabilistic.METRICS | categorical.METRICS
STATISTICS: dict[str, Statistic] = metrics.STATISTICS | probabilistic.STATISTICS | categorical.STATISTICS
BINS = probabilistic.BINS  # the dimension of those statistics that are sorted into bins


def statistics_of(names: Sequence[str]) -> list[str]:
    """What must be averaged for some metrics, each once."""
    return list(dict.fromkeys(s for name in names for s in METRICS[name].statistics))
