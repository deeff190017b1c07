"""Config: the base of everything that is read from YAML. It refuses what it does not know."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from .errors import InputError, unknown


class Config(BaseModel):
    """A frozen pydantic model in which an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def parse(cls, values: Mapping[str, Any], where: str = "config") -> Self:
        """The Config these plain values describe; `InputError` names the key, what was found and the remedy."""
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise _explained(cls, error, where) from None

    @classmethod
    def load(cls, path: Path | str, overrides: Mapping[str, Any] | None = None) -> Self:
        """The Config in a YAML file, with `{"dotted.name": value}` overrides laid over it."""
        return cls.parse(override(read_yaml(path), overrides or {}), where=str(path))

    def dump(self) -> dict[str, Any]:
        """Plain values, as `parse` takes them."""
        return self.model_dump(mode="json")

    def save(self, path: Path | str) -> None:
        """Write the YAML that `load` reads."""
        Path(path).write_text(yaml.safe_dump(self.dump(), sort_keys=False))


def read_yaml(path: Path | str) -> dict[str, Any]:
    """The mapping a YAML file holds."""
    try:
        values = yaml.safe_load(Path(path).read_text())
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise InputError(f"{path}: expected a mapping of keys to values, found {type(values).__name__}")
    return values


def override(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`values` with each dotted name of `changes` set: `{"model.substeps": 12}` sets `values["model"]["substeps"]`."""
    result = copy.deepcopy(dict(values))
    for dotted, value in changes.items():
        *path, last = dotted.split(".")
        at = result
        for key in path:
            at = at.setdefault(key, {})
            if not isinstance(at, dict):
                raise InputError(f"override {dotted!r}: {key!r} is a value, not a group of keys")
        at[last] = value
    return result


def parse_overrides(words: list[str]) -> dict[str, Any]:
    """`["rollout=[1,2]", "seed=3"]` as `{"rollout": [1, 2], "seed": 3}`: values are read as YAML."""
    changes = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise InputError(f"{word!r}: overrides are written key=value")
        try:
            changes[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            said = " ".join(str(error).split())
            raise InputError(f"{word}: the value is not YAML ({said}); write such as rollout=[1,2]") from None
    return changes


def _explained(cls: type[BaseModel], error: ValidationError, where: str) -> InputError:
    """The first complaint of a pydantic error, said in one line."""
    first = error.errors()[0]
    path, configs = _followed(cls, first["loc"])
    if first["type"] == "extra_forbidden":
        known = {key for config in configs for key in config.model_fields}
        return InputError(f"{where}: {path}: {unknown('key', str(first['loc'][-1]), known)}")
    message = first["msg"].removeprefix("Value error, ")
    # What a check of several keys together was given is the whole mapping: too much to print.
    found = "" if first["type"] == "missing" or isinstance(first["input"], Mapping) else f", found {first['input']!r}"
    return InputError(": ".join(part for part in (where, path, message + found) if part))


def _followed(cls: type[BaseModel], loc: tuple[int | str, ...]) -> tuple[str, list[type[BaseModel]]]:
    """A complaint's place as the dotted name one would write, and the Configs whose keys may stand there."""
    names, configs = [], [cls]
    for part in loc:
        tagged = [config for config in configs if _is_tag(part, config)]
        if len(configs) > 1 and tagged:
            configs = tagged  # pydantic puts a union's tag into the place, but nobody writes it
            continue
        names.append(str(part))
        fields = [config.model_fields[part] for config in configs if part in config.model_fields]
        configs = [found for field in fields for found in _configs_in(field.annotation)] or configs
    return ".".join(names), configs


def _is_tag(part: int | str, config: type[BaseModel]) -> bool:
    literals = [field.annotation for field in config.model_fields.values() if get_origin(field.annotation) is Literal]
    return any(part in get_args(annotation) for annotation in literals)


def _configs_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for argument in get_args(annotation) for found in _configs_in(argument)]
