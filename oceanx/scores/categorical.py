"""Statistics and metrics of yes and no: whether forecast and truth are beyond a threshold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import xarray as xr

from ..ocean import contingency
from .metrics import Best, Means, Metric, Statistic

COUNTS = ("hit", "miss", "false_alarm", "rest")

STATISTICS: dict[str, Statistic] = {
    "hit": lambda x: (x.said & x.happened).astype(float),
    "miss": lambda x: (x.happened & ~x.said).astype(float),
    "false_alarm": lambda x: (x.said & ~x.happened).astype(float),
    "rest": lambda x: (x.judged & ~x.said & ~x.happened).astype(float),
}


def _of(name: str, score: Callable[..., Any], best: Best | None) -> Metric:
    def finish(m: Means) -> xr.DataArray:
        values = score(*(m[count] for count in COUNTS))
        assert isinstance(values, xr.DataArray)
        return values

    return Metric(name, COUNTS, finish, "1", "threshold", best)


METRICS: dict[str, Metric] = {
    "pod": _of("Hit rate", contingency.hit_rate, "high"),
    "far": _of("False-alarm ratio", contingency.false_alarm_ratio, "low"),
    "csi": _of("Critical success index", contingency.critical_success_index, "high"),
    "hss": _of("Heidke skill score", contingency.heidke, "high"),
    "sedi": _of("Symmetric extremal dependence index", contingency.sedi, "high"),
    "base_rate": _of("Share beyond the threshold in the truth", contingency.base_rate, None),
}
