"""Marine heatwaves after Hobday et al. (2016). xarray, never torch."""

from importlib import import_module
from typing import Any

_HOME = {
    "threshold": "baseline",
    "detect": "detection",
    "events": "detection",
    "exceedance": "verification",
    "exceedance_scores": "verification",
}

__all__ = ["detect", "events", "exceedance", "exceedance_scores", "threshold"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)
