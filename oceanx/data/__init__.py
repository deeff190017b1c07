"""Files → CF Zarr stores → Datasets. xarray, never torch."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {"bake": "recipe", "Recipe": "recipe", "open": "catalog"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
