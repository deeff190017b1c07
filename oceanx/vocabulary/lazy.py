"""Names that are imported when they are first asked for, so that a package costs nothing until it is used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazily(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """A module's `__getattr__` that finds each name of `homes` in the submodule named there.

    No submodule may bear the name of a function: importing it would put the module in the function's place.

    Examples
    --------
    >>> __getattr__ = lazily(__name__, {"threshold": "baseline"})          # doctest: +SKIP
    """

    def found(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f".{homes[name]}", package), name)

    return found
