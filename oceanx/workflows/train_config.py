"""TrainConfig: everything a preset says. Loss weights, schedule and rollout beside the model and its Task."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

import pandas as pd
from pydantic import AfterValidator, BeforeValidator, Field, PositiveInt, model_validator

from oceanx.models.registry import ModelConfig
from oceanx.objectives import MSE, LossConfig
from oceanx.vocabulary.channels import Offset, Task
from oceanx.vocabulary.config import Config, override, read_yaml
from oceanx.vocabulary.errors import InputError, unknown
from oceanx.vocabulary.files import content


def _as_text(period: Any) -> Any:
    """YAML reads 1993-01-01 as a date and 1993 as a number; here they are words."""
    return [str(date) for date in period] if isinstance(period, list | tuple) else period


def _dates(period: tuple[str, str]) -> tuple[str, str]:
    if pd.Timestamp(period[0]) > pd.Timestamp(period[1]):
        raise ValueError("expected the first date before the last")
    return period


def _as_list(losses: Any) -> Any:
    """One loss may stand for a list of one."""
    return losses if isinstance(losses, list | tuple) else [losses]


def _rates(value: Any) -> Any:
    """YAML reads 1e-3 as a word; pydantic would find two things wrong with a word that is no number."""
    try:
        rates = [float(rate) for rate in (value if isinstance(value, list | tuple) else [value])]
    except (TypeError, ValueError):
        rates = [math.nan]
    if not all(0 < rate < math.inf for rate in rates):
        raise ValueError("expected a positive number, or one for each stage")
    return value


Span = Annotated[tuple[str, str], BeforeValidator(_as_text), AfterValidator(_dates)]
Rates = Annotated[float | tuple[float, ...], BeforeValidator(_rates)]
Losses = Annotated[tuple[LossConfig, ...], BeforeValidator(_as_list)]


class Stage(Config):
    """Rollouts of so many steps, on global batches of so many windows, until this share of training is done.

    `learns` are the dotted names below which parameters learn, all if there are none. The learning rate warms up from
    the iteration `warms` on, and falls to zero over the share of training from `falls[0]` to `falls[1]`.
    """

    rollout: PositiveInt
    batch_size: PositiveInt
    until: float
    learns: tuple[str, ...] = ()
    learning_rate: float
    warms: int = 0
    falls: tuple[float, float] = (0.0, 1.0)


class Validation(Config):
    """Forecasts from days that training does not see, with the forcing that was observed, scored while it goes on."""

    period: Span  # first and last day
    every: PositiveInt = 500  # iterations
    starts: PositiveInt = 8  # start dates, spread evenly over the period
    lead: Offset = "10D"


class Schedule(Config):
    """How anything is trained: on which days, in which stages, how fast, and what is kept and told of it."""

    model: Any  # the Config of what learns, which can `build` it
    task: Task | None = None
    train: Span | None = None  # first and last day; None is the whole Dataset
    # What is learned, in stages: one value for all of them, or one for each value of `rollout`.
    rollout: tuple[PositiveInt, ...] = (1,)
    iterations: tuple[PositiveInt, ...] = (100,)
    batch_size: tuple[PositiveInt, ...] = (8,)
    learning_rate: Rates = 2e-3  # of each stage: each warms up and falls to zero
    # What is made small, and how.
    weights: dict[str, float] = Field(default_factory=dict)
    weight_decay: float = Field(1e-3, ge=0)
    warmup: int = Field(30, ge=0)
    clip: float = Field(1.0, gt=0)
    average: float = Field(0.0, ge=0, lt=1)  # decay of the weights' running mean; 0 keeps the last weights
    minutes: float | None = Field(None, gt=0)  # share this time among the stages instead of counting iterations
    explodes: float = Field(1000.0, gt=1)  # times the usual loss at which training stops
    seed: int = 0
    # What is kept and told.
    checkpoint_every: PositiveInt = 50
    keep: PositiveInt = 1  # checkpoints
    log: tuple[Literal["tensorboard", "mlflow", "wandb"], ...] = ("tensorboard",)  # beside log.csv

    @model_validator(mode="after")
    def _check_stages(self) -> Self:
        for key in ("iterations", "batch_size", "learning_rate", "trains"):
            values = getattr(self, key, ())
            if values and isinstance(values, tuple) and len(values) not in (1, len(self.rollout)):
                raise ValueError(f"`{key}` has {len(values)} values for {len(self.rollout)} stages of `rollout`")
        return self

    @property
    def total(self) -> int:
        """Iterations of all stages together."""
        return sum(self._per_stage(self.iterations))

    @property
    def stages(self) -> list[Stage]:
        """The curriculum, one stage for each value of `rollout`."""
        rates = self.learning_rate if isinstance(self.learning_rate, tuple) else (self.learning_rate,)
        columns = (self.batch_size, getattr(self, "trains", ((),)), rates, self.iterations)
        stages, begins = [], 0
        rows = zip(self.rollout, *map(self._per_stage, columns), strict=True)
        for steps, size, learns, rate, iterations in rows:
            shares = begins / self.total, (begins + iterations) / self.total
            stage = Stage(rollout=steps, batch_size=size, until=shares[1], learns=learns, learning_rate=rate)
            if len(rates) > 1:
                stage = stage.model_copy(update={"falls": shares, "warms": 0 if self.minutes else begins})
            stages.append(stage)
            begins += iterations
        return stages

    def _per_stage(self, values: tuple[Any, ...]) -> tuple[Any, ...]:
        return values * len(self.rollout) if len(values) == 1 else values


class TrainConfig(Schedule):
    """A model, its Task, and how to train it."""

    model: ModelConfig
    task: Task
    trains: tuple[tuple[str, ...], ...] = ((),)  # names below which parameters learn, the others are frozen; () is all
    loss: Losses = (MSE(),)
    prior: float = Field(0.0, ge=0)  # weight of the learned coefficients' distance from their priors
    harmonics: int = Field(3, ge=0)
    # How it is computed.
    precision: Literal["float32", "bf16"] = "float32"  # of the networks; physics and loss stay in float32
    accumulate: PositiveInt = 1  # parts that a batch is computed in, one after the other
    recompute: bool = False  # keep only the states between steps, and compute each step again for its gradient
    sharding: Literal["none", "full"] = "none"  # full: the model's parameters are shared out among the processes
    compile: bool = False
    deterministic: bool = False
    workers: int = Field(0, ge=0)
    validation: Validation | None = None

    @model_validator(mode="after")
    def _check(self) -> TrainConfig:
        if not self.loss:
            raise ValueError("`loss` is empty; leave it out for the mean squared error")
        strangers = set(self.weights) - set(self.task.prognostic.names)
        if strangers:
            raise ValueError(f"`weights` names {sorted(strangers)}, which the task does not forecast")
        steps = pd.Timedelta(self.validation.lead) / pd.Timedelta(self.task.step) if self.validation else 1.0
        if steps < 1 or steps % 1:
            raise ValueError(f"`validation.lead` is no whole number of steps of {self.task.step}")
        return self


def preset(name: str, **changes: Any) -> Any:
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


def load_config(name: str, changes: Mapping[str, Any] | None = None) -> Any:
    """The config of a preset by name, or of a YAML by its path, with dotted keys changed."""
    if name.endswith((".yaml", ".yml")):
        return read_config(override(read_yaml(name), changes or {}), where=name)
    if name not in presets():
        raise unknown("preset", name, presets())
    path = content("presets") / f"{name}.yaml"
    return read_config(override(read_yaml(path), changes or {}), where=name)


def read_config(values: Mapping[str, Any], where: str) -> Any:
    """The TrainConfig that these plain values describe or, of `kind: analysis`, the AnalysisTraining."""
    if "kind" not in values:
        return TrainConfig.parse(values, where)
    if values["kind"] != "analysis":
        raise InputError(f"{where}: kind: found {values['kind']!r}; expected 'analysis', or no `kind` for a model")
    from .assimilation.analysis_config import AnalysisTraining

    return AnalysisTraining.parse(values, where)
