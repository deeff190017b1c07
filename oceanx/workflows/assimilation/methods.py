"""The table of methods, and what each may know of the ocean that it works in."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

from oceanx.variational.analysis import Method, Setting
from oceanx.vocabulary.config import Config, read_yaml
from oceanx.vocabulary.errors import InputError, unknown

KINDS = {
    "oi": "oceanx.variational.optimal_interpolation.OptimalInterpolationConfig",
    "3dvar": "oceanx.variational.three_d.ThreeDVarConfig",
    "4dvar": "oceanx.variational.four_d.FourDVarConfig",
    "kalman": "oceanx.variational.kalman.KalmanConfig",
    "enoi": "oceanx.variational.enoi.EnOIConfig",
    "etkf": "oceanx.variational.etkf.ETKFConfig",
    "letkf": "oceanx.variational.letkf.LETKFConfig",
    "hybrid": "oceanx.variational.hybrid.HybridConfig",
    "learned": "oceanx.workflows.assimilation.learned.LearnedConfig",
}
"""Where the Config of a kind is; only the one asked for is imported."""


class MethodConfig(Protocol):
    """What every method's Config can do."""

    def build(self, setting: Setting) -> Method:
        """The method in an ocean."""

    def model_dump_json(self) -> str:
        """Its settings, every default written out."""


Words = str | Path | Mapping[str, Any] | Config


def configured(words: Words, members: int | None) -> MethodConfig:
    """The Config of the method that is meant by a word.

    Parameters
    ----------
    words
        A kind's name, the run folder of a learned analysis, the path of a YAML or a mapping of `kind` and settings, or
        the Config itself.

    Raises
    ------
    InputError
        For an unknown kind or setting, members of a method that carries none, or other members than its settings say.
    """
    if isinstance(words, Config):
        return _with_members(type(words), words.model_dump(exclude_unset=True), members)
    if not isinstance(words, Mapping):
        words = _read(words)
    kind = words.get("kind")
    if kind not in KINDS:
        raise unknown("method", str(kind), KINDS)
    module, _, name = KINDS[str(kind)].rpartition(".")
    return _with_members(getattr(import_module(module), name), words, members)


def _read(words: str | Path) -> Mapping[str, Any]:
    if str(words).endswith((".yaml", ".yml")):
        return read_yaml(words)
    return {"kind": "learned", "run": str(words)} if Path(words).is_dir() else {"kind": str(words)}


def _with_members(config: type[Config], words: Mapping[str, Any], members: int | None) -> MethodConfig:
    if members is not None:
        if isinstance(members, bool) or not isinstance(members, int) or members < 1:
            raise InputError(f"members: found {members!r}; expected how many, such as 40")
        if "members" not in config.model_fields:
            kind = config.model_fields["kind"].default if "kind" in config.model_fields else config.__name__
            raise InputError(f"members: {kind} carries no ensemble; leave members out, or choose etkf or letkf")
        if words.get("members", members) != members:
            raise InputError(f"members: is {words['members']} in the method's settings, but {members} is asked for")
        words = {**words, "members": members}
    return cast(MethodConfig, config.parse(words, where="method"))
