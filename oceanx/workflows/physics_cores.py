"""The table of cores by name, and a core as a user may name it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from oceanx.physics.core import Core
from oceanx.tensors.geometry import Geometry
from oceanx.vocabulary.config import Config
from oceanx.vocabulary.errors import InputError, unknown


class CoreConfig(Protocol):
    """A Config that builds a core."""

    def build(self, geometry: Geometry) -> Core: ...

    def dump(self) -> dict[str, Any]: ...


CORES: dict[str, type[Config]] = {}


def config_of(core: str | Mapping[str, Any] | CoreConfig) -> CoreConfig:
    """The Config meant by a core's name, by plain values with a `kind`, or by a Config itself.

    Raises
    ------
    InputError
        If there is no such core, or it does not know a key.

    Examples
    --------
    >>> config_of({"kind": "primitive_equations"})                                       # doctest: +SKIP
    """
    if isinstance(core, str):
        return _table(core).parse({}, "core")  # type: ignore[return-value]
    if isinstance(core, Mapping):
        if "kind" not in core:
            raise InputError(f"core: expected a `kind` beside {list(core)}; choose from: {', '.join(CORES)}")
        return _table(str(core["kind"])).parse(core, "core")  # type: ignore[return-value]
    if not hasattr(core, "build"):
        raise InputError(f"core: found {type(core).__name__}, expected a name ({', '.join(CORES)}), values or a Config")
    return core


def _table(kind: str) -> type[Config]:
    if kind not in CORES:
        raise unknown("core", kind, CORES)
    return CORES[kind]
