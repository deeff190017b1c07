"""TrainConfig: everything a preset says. Loss weights, schedule and rollout beside the model and its Task."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate
from typing import Annotated, Any

import pandas as pd
from pydantic import AfterValidator, BeforeValidator, Field, PositiveInt, model_validator

from oceanx.models.registry import ModelConfig
from oceanx.vocabulary.channels import Task
from oceanx.vocabulary.config import Config, override, read_yaml
from oceanx.vocabulary.errors import unknown
from oceanx.vocabulary.files import content


def _as_text(period: Any) -> Any:
    """YAML reads 1993-01-01 as a date and 1993 as a number; here they are words."""
    return [str(date) for date in period] if isinstance(period, list | tuple) else period


def _dates(period: tuple[str, str] | None) -> tuple[str, str] | None:
    if period and pd.Timestamp(period[0]) > pd.Timestamp(period[1]):
        raise ValueError("expected the first date before the last")
    return period


Period = Annotated[tuple[str, str] | None, BeforeValidator(_as_text), AfterValidator(_dates)]


class Stage(Config):
    """Rollouts of so many steps, on global batches of so many windows, until this share of training is done."""

    rollout: PositiveInt
    batch_size: PositiveInt
    until: float


class TrainConfig(Config):
    """A model, its Task, and how to train it."""

    model: ModelConfig
    task: Task
    train: Period = None  # first and last day; None is the whole Dataset
    rollout: tuple[PositiveInt, ...] = (1,)
    iterations: tuple[PositiveInt, ...] = (100,)
    batch_size: tuple[PositiveInt, ...] = (8,)
    harmonics: int = Field(3, ge=0)
    weights: dict[str, float] = Field(default_factory=dict)
    learning_rate: float = Field(2e-3, gt=0)
    weight_decay: float = Field(1e-3, ge=0)
    warmup: int = Field(30, ge=0)
    clip: float = Field(1.0, gt=0)
    average: float = Field(0.0, ge=0, lt=1)  # decay of the weights' running mean; 0 keeps the last weights
    minutes: float | None = Field(None, gt=0)  # share this time among the stages instead of counting iterations
    checkpoint_every: PositiveInt = 50
    workers: int = Field(0, ge=0)
    seed: int = 0

    @model_validator(mode="after")
    def _check(self) -> TrainConfig:
        for key in ("iterations", "batch_size"):
            if len(getattr(self, key)) not in (1, len(self.rollout)):
                raise ValueError(
                    f"`{key}` has {len(getattr(self, key))} values for {len(self.rollout)} stages of `rollout`"
                )
        strangers = set(self.weights) - set(self.task.prognostic.names)
        if strangers:
            raise ValueError(f"`weights` names {sorted(strangers)}, which the task does not forecast")
        return self

    @property
    def total(self) -> int:
        """Iterations of all stages together."""
        return sum(self._per_stage(self.iterations))

    @property
    def stages(self) -> list[Stage]:
        """The curriculum, one stage for each value of `rollout`."""
        ends = accumulate(self._per_stage(self.iterations))
        rows = zip(self.rollout, self._per_stage(self.batch_size), ends, strict=True)
        return [Stage(rollout=steps, batch_size=size, until=end / self.total) for steps, size, end in rows]

    def _per_stage(self, values: tuple[int, ...]) -> tuple[int, ...]:
        return values * len(self.rollout) if len(values) == 1 else values


def preset(name: str, **changes: Any) -> TrainConfig:
    """The Config of a shipped preset, with dotted keys changed.

    Examples
    --------
    >>> ox.preset("hybrid_small", **{"model.substeps": 8, "rollout": [1, 2]}).model.substeps       # doctest: +SKIP
    8
    """
    return load_config(name, changes)


def presets() -> list[str]:
    """The names of the shipped presets."""
    return sorted(path.stem for path in content("presets").glob("*.yaml"))


def load_config(name: str, changes: Mapping[str, Any] | None = None) -> TrainConfig:
    """A preset by name, or a config by the path of its YAML, with dotted keys changed."""
    if name.endswith((".yaml", ".yml")):
        return TrainConfig.load(name, changes)
    if name not in presets():
        raise unknown("preset", name, presets())
    path = content("presets") / f"{name}.yaml"
    return TrainConfig.parse(override(read_yaml(path), changes or {}), where=name)
