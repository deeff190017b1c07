"""Recipe: how one kind of source becomes a store, in YAML."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from ..vocabulary.config import Config, override, read_yaml
from ..vocabulary.errors import unknown
from ..vocabulary.files import content
from ..vocabulary.names import VARIABLES, variable
from . import steps as step_table
from .formats.part import Wanted, everything
from .readers import READERS, reader
from .writing.chunking import Purpose
from .writing.encode import Compression

_STEP: dict[str, Any] = {"enum": list(step_table.STEPS)}  # for editors, in the published JSON Schema


class Pick(Config):
    """Where to find one of our variables in a file, and what to assume where the file is silent."""

    names: tuple[str, ...] = ()  # in the file; none: our name and everyone's names for it
    units: str | None = None  # only for a file that declares none
    optional: bool = False  # may be absent from all files


class Recipe(Config, populate_by_name=True):
    """What to read (`reader`, `variables`), what to do with it (`steps`), and how the store is laid out.

    An empty `variables` takes everything that oceanx has a word for.
    """

    title: str
    reader: str = Field(json_schema_extra={"enum": list(READERS)})
    options: dict[str, Any] = Field(default_factory=dict)  # of the reader: keyword arguments of its `parts`
    variables: dict[str, Pick] = Field(
        default_factory=dict, json_schema_extra={"propertyNames": {"enum": list(VARIABLES)}}
    )
    steps: tuple[dict[str, dict[str, Any]], ...] = Field(
        (), json_schema_extra={"items": {"anyOf": [_STEP, {"type": "object", "propertyNames": _STEP}]}}
    )
    frequency: str | None = None  # of the regular time axis, a pandas offset; None: told from the data
    regular: bool = True  # False: times as they come
    max_missing: float = Field(0.5, ge=0, le=1)  # share of a regular axis that the source may lack
    duplicates: Literal["error", "first", "last"] = "error"  # which file counts for a time that is in several
    disorder: Literal["error", "sort"] = "error"  # of times within a file
    grids: Literal["same", "common"] = "same"  # common: of files that differ at the edges, what all hold
    times: Literal["all", "common"] = "all"  # common: only times at which every variable is held
    purpose: Purpose = Field("training", alias="for")
    packed: bool = False  # integers stay integers, with the source's scale_factor and add_offset
    compression: Compression = "lz4"
    zarr_format: Literal[2, 3] = 3
    rounding: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict, alias="round")
    static: tuple[str, ...] = ()  # files of fields that do not change: sea floor, cell sizes
    statistics: tuple[str, str] | None = None  # first and last year to take mean and spread over
    institution: str = ""
    source: str = ""
    references: str = ""
    licence: str = ""

    @field_validator("reader")
    @classmethod
    def _known_reader(cls, name: str) -> str:
        if name not in READERS:
            raise unknown("reader", name, READERS)
        return name

    @field_validator("static", mode="before")
    @classmethod
    def _one_file(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("statistics", mode="before")
    @classmethod
    def _years(cls, value: Any) -> Any:
        return tuple(map(str, value)) if isinstance(value, list | tuple) else value

    @field_validator("variables", mode="before")
    @classmethod
    def _list_of_names(cls, value: Any) -> Any:
        return {name: {} for name in value} if isinstance(value, list | tuple) else value

    @field_validator("variables")
    @classmethod
    def _known_variables(cls, value: dict[str, Pick]) -> dict[str, Pick]:
        return {variable(name).name: pick for name, pick in value.items()}

    @field_validator("steps", mode="before")
    @classmethod
    def _bare_steps(cls, value: Any) -> Any:
        return [{entry: {}} if isinstance(entry, str) else entry for entry in value] if value else ()

    @model_validator(mode="after")
    def _known_steps(self) -> Recipe:
        _refuse_unknown(f"option of the reader {self.reader}", self.options, reader(self.reader).parts)
        for entry in self.steps:
            for name, arguments in entry.items():
                _refuse_unknown(f"argument of {name}", arguments, step_table.step(name))
        return self

    def wanted(self) -> dict[str, Wanted]:
        """What to look for in the files."""
        if not self.variables:
            return everything()
        result = {}
        for name, pick in self.variables.items():
            row = variable(name)
            names = pick.names or (name, *row.aliases)
            result[name] = Wanted(names, pick.units, "" if pick.names else row.standard_name)
        return result

    def dump(self) -> dict[str, Any]:
        """Plain values, as the YAML has them."""
        return self.model_dump(mode="json", by_alias=True)

    def hash(self) -> str:
        """A short hash of everything in the recipe."""
        return hashlib.sha256(json.dumps(self.dump(), sort_keys=True).encode()).hexdigest()[:16]


def _refuse_unknown(what: str, given: Mapping[str, Any], function: Callable[..., Any]) -> None:
    """`InputError` for a key that is no optional or named argument of a function."""
    allowed = set(inspect.signature(function).parameters) - {"ds", "path", "wanted", "scratch"}
    for key in given:
        if key not in allowed:
            raise unknown(what, key, allowed)


def load_recipe(which: str | os.PathLike[str] | Recipe, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """The Recipe of a shipped name, a path to YAML or a Recipe, with dotted overrides laid over it."""
    changes = dict(overrides or {})
    if isinstance(which, Recipe):
        values, where = which.dump(), "recipe"
    else:
        path = _path(which)
        values, where = read_yaml(path), str(path)
    chosen, before = changes.get("variables"), values.get("variables")
    if isinstance(chosen, list | tuple) and isinstance(before, dict):
        # Naming variables chooses among those the recipe describes, and then they must be there.
        changes["variables"] = {name: {**(before.get(name) or {}), "optional": False} for name in chosen}
    return Recipe.parse(override(values, changes), where)


def _path(which: str | os.PathLike[str]) -> Path:
    path = Path(which)
    if path.suffix in (".yaml", ".yml") or len(path.parts) > 1:
        return path
    shipped = content("recipes") / f"{which}.yaml"
    if not shipped.is_file():
        raise unknown("recipe", str(which), (file.stem for file in content("recipes").glob("*.yaml")))
    return shipped
