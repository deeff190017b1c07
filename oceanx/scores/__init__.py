"""Forecast + truth → labelled scores. xarray, never torch."""

from importlib import import_module
from typing import Any

_HOME = {
    "score": "scoring",
    "skill": "scoring",
    "combine": "aggregate",
    "METRICS": "metrics",
    "Region": "regions",
    "REGIONS": "regions",
}

__all__ = ["METRICS", "REGIONS", "Region", "combine", "score", "skill"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)
