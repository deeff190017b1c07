"""Forecast + truth → labelled scores. xarray, never torch."""

from typing import TYPE_CHECKING

from ..vocabulary.lazy import lazily

if TYPE_CHECKING:
    from .aggregate import combine
    from .metrics import METRICS
    from .regions import REGIONS, Region
    from .scoring import score, skill
    from .spectra import spectrum

__all__ = ["METRICS", "REGIONS", "Region", "combine", "score", "skill", "spectrum"]

__getattr__ = lazily(
    __name__,
    {
        "score": "scoring",
        "skill": "scoring",
        "spectrum": "spectra",
        "combine": "aggregate",
        "METRICS": "metrics",
        "Region": "regions",
        "REGIONS": "regions",
    },
)
