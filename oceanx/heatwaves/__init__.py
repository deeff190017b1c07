"""Marine heatwaves after Hobday et al. (2016). xarray, never torch."""

from typing import TYPE_CHECKING

from ..vocabulary.lazy import lazily

if TYPE_CHECKING:
    from .baseline import threshold
    from .detection import detect, events
    from .verification import exceedance, exceedance_scores

__all__ = ["detect", "events", "exceedance", "exceedance_scores", "threshold"]

__getattr__ = lazily(
    __name__,
    {
        "threshold": "baseline",
        "detect": "detection",
        "events": "detection",
        "exceedance": "verification",
        "exceedance_scores": "verification",
    },
)
