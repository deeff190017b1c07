"""Marine heatwaves after Hobday et al. (2016). xarray, never torch."""

from typing import TYPE_CHECKING

from ..vocabulary.lazy import lazily

if TYPE_CHECKING:
    from .baseline import fixed_threshold, rolling_threshold, threshold
    from .blocks import block, trend
    from .detection import detect
    from .forecasts import detect_forecast, probability
    from .ice import without_ice
    from .product import open_threshold, write_threshold
    from .table import events
    from .verification import exceedance, skill

__all__ = [
    "block",
    "detect",
    "detect_forecast",
    "events",
    "exceedance",
    "fixed_threshold",
    "open_threshold",
    "probability",
    "rolling_threshold",
    "skill",
    "threshold",
    "trend",
    "without_ice",
    "write_threshold",
]

__getattr__ = lazily(
    __name__,
    {
        "threshold": "baseline",
        "rolling_threshold": "baseline",
        "fixed_threshold": "baseline",
        "write_threshold": "product",
        "open_threshold": "product",
        "without_ice": "ice",
        "detect": "detection",
        "events": "table",
        "block": "blocks",
        "trend": "blocks",
        "exceedance": "verification",
        "skill": "verification",
        "detect_forecast": "forecasts",
        "probability": "forecasts",
    },
)
