"""AnalysisTraining: everything a preset of kind `analysis` says."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PositiveInt, model_validator

from oceanx.models.analysis_registry import AnalysisModelConfig
from oceanx.vocabulary.channels import Task

from ..train_config import Schedule, Span
from .random_networks import PLATFORMS, PlatformConfig


def _as_list(names: Any) -> Any:
    """One path may stand for a list of one."""
    return [names] if isinstance(names, str) else names


class AnalysisTraining(Schedule):
    """A learned analysis, the forecast model that it works with, and how it is trained through their cycles.

    `rollout` counts the cycles of analysis and forecast that a gradient goes back through.
    """

    kind: Literal["analysis"]
    model: AnalysisModelConfig
    forecaster: str = ""  # the run folder of the model that steps the ocean; it does not learn
    task: Task | None = None  # the forecaster's, which is written here when training begins
    withheld: Span | None = None  # days that training must not touch
    rollout: tuple[PositiveInt, ...] = (4,)
    # What is observed: of a store's truth by random platforms, or in reality.
    truth: Literal["store", "none"] = "store"
    platforms: tuple[PlatformConfig, ...] = PLATFORMS
    missing: float = Field(0.2, ge=0, le=1)  # share of windows without one of the platforms
    observations: Annotated[tuple[str, ...], BeforeValidator(_as_list)] = ()  # real ones, where there is no truth
    kept_back: float = Field(0.2, gt=0, lt=1)  # share of these that the analysis does not see, but is scored on
    begins: str = ""  # the run folder of an analysis whose weights this one begins with
    # The states that it goes on from: trajectories of its own, each as long as its life on average.
    pool: PositiveInt = 24
    life: PositiveInt = 90  # windows from one start from climatology to the next
    likelihood: float = Field(0.1, ge=0)  # how much the Gaussian likelihood of its errors counts beside their square

    @model_validator(mode="after")
    def _check(self) -> AnalysisTraining:
        if max(self.batch_size) > self.pool:
            raise ValueError(f"`pool` = {self.pool} holds fewer trajectories than a batch of {max(self.batch_size)}")
        if not self.platforms:
            raise ValueError("`platforms` is empty; leave it out for all kinds")
        if self.truth == "store" and self.observations:
            raise ValueError("`observations` are read with `truth: none` alone; a store's truth is observed at random")
        if self.task is not None and set(self.weights) - set(self.task.prognostic.names):
            strangers = sorted(set(self.weights) - set(self.task.prognostic.names))
            raise ValueError(f"`weights` names {strangers}, which the forecaster does not step")
        return self
