"""The table of ensembles: the Config classes that `kind` may name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, get_args

import xarray as xr
from pydantic import Field
from torch import Tensor

from oceanx.vocabulary.channels import Task
from oceanx.vocabulary.config import read_yaml
from oceanx.vocabulary.errors import InputError, unknown

from ..model import Model
from .bred import Bred
from .checkpoints import Checkpoints
from .gaussian import Gaussian
from .lagged import Lagged
from .members import Kind, Members, Sea
from .stochastic import Stochastic
from .stored import Stored

Ensemble = Annotated[Gaussian | Bred | Lagged | Stored | Stochastic | Checkpoints, Field(discriminator="kind")]

KINDS: dict[str, type[Kind]] = {
    config.model_fields["kind"].default: config for config in get_args(get_args(Ensemble)[0])
}


def ensemble(words: str | Path | Mapping[str, Any] | Kind, members: int, seed: int) -> Kind:
    """The Ensemble that is meant by a kind's name, the path of a YAML file, or a mapping with `kind` and settings.

    Raises
    ------
    InputError
        For an unknown kind or setting, a value that will not do, or other `members` or `seed` than are asked for.

    Examples
    --------
    >>> ensemble({"kind": "gaussian", "length": 150, "amplitude": {"thetao": 0.3}}, members=8, seed=1).length
    150.0
    """
    if isinstance(words, Kind):
        words = words.model_dump(exclude_unset=True) | {"kind": words.model_dump()["kind"]}
    if not isinstance(words, Mapping):
        words = read_yaml(words) if str(words).endswith((".yaml", ".yml")) else {"kind": words}
    asked = {"members": members, "seed": seed}
    for key, value in asked.items():
        if words.get(key, value) != value:
            raise InputError(f"ensemble: {key} is {words[key]} in its settings, but {value} is asked for; say it once")
    kind = words.get("kind")
    if kind not in KINDS:
        raise unknown("kind of ensemble", str(kind), KINDS)
    return KINDS[str(kind)].parse({**words, **asked}, where="ensemble")


def prepare(ensemble: Kind, model: Model, ds: xr.Dataset, task: Task, mask: Tensor, grid: xr.Dataset) -> Members:
    """The Members of an ensemble for forecasts by a Model from the analyses of a Dataset.

    Parameters
    ----------
    mask, grid
        Of `seam.wet_mask` and `seam.grid_of`.
    """
    return ensemble.prepare(Sea(model, ds, task, mask, grid))
