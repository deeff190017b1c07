"""Members from several trainings: each is stepped by a Model of its own, all from the same analysis."""

from __future__ import annotations

import json
from functools import cache
from typing import Literal

from pydantic import Field, model_validator

from oceanx.ocean import grid
from oceanx.vocabulary.errors import InputError

from ..model import Model
from ..runs import Run, load
from .members import Kind, Members, Sea


class Checkpoints(Kind):
    """The run folder of each member, in order, and which of its `weights`: the last, or the best by its validation."""

    kind: Literal["checkpoints"] = "checkpoints"
    runs: tuple[str, ...] = Field(min_length=1)
    weights: Literal["last", "best"] = "last"

    @model_validator(mode="after")
    def _check(self) -> Checkpoints:
        twice = [run for run in self.runs if self.runs.count(run) > 1]
        if twice:
            raise ValueError(f"`runs` names {twice[0]} twice: two members would be one")
        return self

    def prepare(self, sea: Sea) -> Members:
        """Its Members; `InputError` unless there is one run a member, of one Task and grid."""
        if len(self.runs) != self.members:
            raise InputError(
                f"ensemble checkpoints: {len(self.runs)} runs for {self.members} members; give one run a member, or "
                f"members={len(self.runs)}"
            )
        for run in map(Run, self.runs):
            _refuse_another(run, sea)
        loaded = cache(lambda member: load(self.runs[member], self.weights))

        def model(member: int) -> Model:
            return loaded(int(member))

        attrs = self.recorded | {"oceanx_members": json.dumps([Run(run).about for run in self.runs])}
        return Members(attrs, lambda starts, members: sea.analyses(starts), model)


def _refuse_another(run: Run, sea: Sea) -> None:
    """`InputError` unless a run has the forecast's Task and grid."""
    task = run.config.task
    for part in ("prognostic", "forcing", "step", "anomalies"):
        found, expected = getattr(task, part), getattr(sea.task, part)
        if found != expected:
            raise InputError(
                f"ensemble checkpoints: {run}: its task.{part} is {_short(found)}, the forecast's {_short(expected)}; "
                "members must do one Task"
            )
    where = run.dataset("grid")
    if where is not None:
        try:
            grid.same_grid(where.drop_dims("depth", errors="ignore"), sea.grid)
        except InputError as error:
            raise InputError(f"ensemble checkpoints: {run}: {error}") from None


def _short(part: object) -> object:
    return part.dump() if hasattr(part, "dump") else part
