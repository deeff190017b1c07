"""The table of cores by name, and a core as a user may name it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, cast, get_args

import xarray as xr

from oceanx.physics.core import Core
from oceanx.physics.mixed_layer import MixedLayerConfig
from oceanx.physics.primitive.config import PrimitiveEquationsConfig
from oceanx.physics.shallow_water import ShallowWaterConfig
from oceanx.physics.surface_anomaly import SurfaceAnomalyConfig
from oceanx.physics.vorticity_core import VorticityCoreConfig
from oceanx.tensors.geometry import Geometry
from oceanx.vocabulary.config import Config
from oceanx.vocabulary.errors import InputError, unknown


class CoreConfig(Protocol):
    """A Config that builds a core."""

    def build(self, geometry: Geometry) -> Core: ...

    def dump(self) -> dict[str, Any]: ...


CORES: dict[str, type[Config]] = {
    config.model_fields["kind"].default: config
    for config in (
        PrimitiveEquationsConfig,
        ShallowWaterConfig,
        VorticityCoreConfig,
        SurfaceAnomalyConfig,
        MixedLayerConfig,
    )
}


def config_of(core: str | Mapping[str, Any] | CoreConfig, compile: bool | None = None) -> CoreConfig:
    """The Config meant by a core's name, by plain values with a `kind`, or by a Config itself.

    Parameters
    ----------
    compile
        Whether a core that can is compiled, unless its Config says so itself.

    Raises
    ------
    InputError
        If there is no such core, or it does not know a key.

    Examples
    --------
    >>> config_of({"kind": "primitive_equations", "density": "linear"})                  # doctest: +SKIP
    """
    config = _config_of(core)
    if compile is None or not isinstance(config, Config) or "compile" not in _left_open(config):
        return config
    return config.model_copy(update={"compile": compile})


def forced(config: CoreConfig, geometry: Geometry, forcing: xr.Dataset | None) -> tuple[CoreConfig, Core]:
    """The core on this grid, and its Config: forced by the most that `forcing` holds, where the Config leaves it open.

    A Config says by its `forced_by` what drives its core, from nothing to most. Anything else needs all that its
    `forcing` names.

    Raises
    ------
    InputError
        If the forcing drives no such core, naming what each way lacks.
    """
    core = config.build(geometry)
    if forcing is None or not isinstance(config, Config) or "forced_by" not in _left_open(config):
        if forcing is not None and not core.forcing:
            raise InputError("forcing: nothing drives this core; leave it out, or choose another core or `forced_by`")
        return config, core
    lacking = {}
    for way in reversed(get_args(type(config).model_fields["forced_by"].annotation)):
        changed = cast(CoreConfig, config.model_copy(update={"forced_by": way}))
        core = changed.build(geometry)
        lacking[way] = [name for name in core.forcing if name not in forcing.data_vars]
        if core.forcing and not lacking[way]:
            return changed, core
    said = "; ".join(f"{way} lacks {', '.join(names)}" for way, names in lacking.items() if names)
    raise InputError(f"forcing: holds {', '.join(map(str, forcing.data_vars)) or 'nothing'}; forced by {said}")


def _config_of(core: str | Mapping[str, Any] | CoreConfig) -> CoreConfig:
    if isinstance(core, str):
        return cast(CoreConfig, _table(core).parse({}, "core"))
    if isinstance(core, Mapping):
        if "kind" not in core:
            raise InputError(f"core: expected a `kind` beside {list(core)}; choose from: {', '.join(CORES)}")
        return cast(CoreConfig, _table(str(core["kind"])).parse(core, "core"))
    if not hasattr(core, "build"):
        raise InputError(f"core: found {type(core).__name__}, expected a name ({', '.join(CORES)}), values or a Config")
    return core


def _left_open(config: Config) -> set[str]:
    """The keys of a Config that nobody gave a value."""
    return set(type(config).model_fields) - config.model_fields_set


def _table(kind: str) -> type[Config]:
    if kind not in CORES:
        raise unknown("core", kind, CORES)
    return CORES[kind]
