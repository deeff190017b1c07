"""The built-in ocean: raw files in the providers' own layouts, and an oracle that knows the limit of predictability.

It imports nothing of `physics`, `nn` or `models`: the truth must not be made with the tools that are judged by it.

Examples
--------
>>> from oceanx.ocean import synthetic
>>> synthetic.write("raw", ocean=synthetic.Ocean(seed=7), keep=["2004-01-10"])   # doctest: +SKIP
>>> synthetic.oracle("raw", "2004-01-10", lead=10, weather="true")               # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "CREDIT": "config",
    "Ocean": "config",
    "Model": "model",
    "Keys": "model",
    "Paths": "run",
    "write": "run",
    "oracle": "limit",
    "static": "sea_floor",
}
__all__ = ["CREDIT", "Keys", "Model", "Ocean", "Paths", "oracle", "static", "write"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
