"""The built-in ocean: raw files in the providers' own layouts, and an oracle that knows the limit of predictability.

It imports nothing of `physics`, `nn` or `models`: the truth must not be made with the tools that are judged by it.

Examples
--------
>>> from oceanx.ocean import synthetic
>>> synthetic.write("raw", ocean=synthetic.Ocean(seed=7), keep=["2004-01-10"])   # doctest: +SKIP
>>> synthetic.oracle("raw", "2004-01-10", lead=10, weather="true")               # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from oceanx.vocabulary.lazy import lazily

if TYPE_CHECKING:
    from .config import CREDIT, Ocean
    from .limit import oracle
    from .model import Keys, Model
    from .run import Paths, write
    from .sea_floor import static

__all__ = ["CREDIT", "Keys", "Model", "Ocean", "Paths", "oracle", "static", "write"]

__getattr__ = lazily(
    __name__,
    {
        "CREDIT": "config",
        "Ocean": "config",
        "Model": "model",
        "Keys": "model",
        "Paths": "run",
        "write": "run",
        "oracle": "limit",
        "static": "sea_floor",
    },
)
