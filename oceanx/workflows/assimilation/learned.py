"""A learned analysis as a method of the cycle: its run folder, and the ocean and the model that it was trained for."""

from __future__ import annotations

import hashlib
from typing import ClassVar, Literal

import torch
from torch import nn

from oceanx.models.analysis_method import LearnedMethod
from oceanx.models.analysis_network import LearnedAnalysis
from oceanx.tensors.geometry import Geometry
from oceanx.variational.analysis import Setting
from oceanx.vocabulary.config import Config
from oceanx.vocabulary.errors import InputError

from .. import runs
from ..model import Model
from ..runs import Run


class LearnedConfig(Config):
    """The run folder of a learned analysis.

    Attributes
    ----------
    any_forecaster
        Take another forecast model than that of its training. Its analyses are then of backgrounds that it never met.
    """

    kind: Literal["learned"] = "learned"
    run: str
    any_forecaster: bool = False
    needs_errors: ClassVar[bool] = False  # of the background: it has learned them

    def check(self, model: Model) -> None:
        """`InputError` unless this is the forecast model that the analysis was trained with."""
        run = analysis_run(self.run)
        if run.config.task != model.task:
            raise InputError(f"{run}: was trained for another Task than that of {model.name}; give its own forecaster")
        known, found = run.about.get("forecaster"), fingerprint(model.step)
        if known != found and not self.any_forecaster:
            raise InputError(
                f"{run}: was trained with the forecaster {run.config.forecaster} ({known}), not with {model.name} "
                f"({found}); give that model, train another analysis, or say any_forecaster: true"
            )

    def build(self, setting: Setting) -> LearnedMethod:
        """The method, for the ocean that it was trained for."""
        run = analysis_run(self.run)
        geometry, statistics = runs.described(run)
        if run.config.task.prognostic != setting.channels:
            known = list(run.config.task.prognostic.names)
            raise InputError(f"{run}: was trained for {known} at its own levels; the model steps other ones")
        _refuse_another_grid(run, geometry, setting.geometry)
        learned = runs.build(run.config, geometry, statistics)
        assert isinstance(learned, LearnedAnalysis)
        path = run / "weights.safetensors"
        runs.restore(learned, runs.tensors(path), path)
        return LearnedMethod(learned)


def analysis_run(path: str) -> Run:
    """The run folder of a trained analysis; `InputError` for anything else."""
    run = Run(path)
    if not (run / "config.yaml").exists() or getattr(run.config, "kind", "") != "analysis":
        raise InputError(f"{run}: is no run of a learned analysis; give one that a preset of kind `analysis` made")
    if not (run / "weights.safetensors").exists():
        raise InputError(f"{run}: has no weights yet; go on with its training, train(…, resume=True) or --resume")
    return run


def fingerprint(step: object) -> str:
    """A hash of a model's weights, by which an analysis knows the one that it was trained with."""
    if not isinstance(step, nn.Module):
        return type(step).__name__
    digest = hashlib.sha256()
    for name, value in sorted(step.state_dict().items()):
        digest.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def _refuse_another_grid(run: Run, own: Geometry, asked: Geometry) -> None:
    for name in ("latitude", "longitude", "mask"):
        mine, other = getattr(own, name), getattr(asked, name)
        if mine.shape != other.shape or not torch.allclose(mine.double(), other.double(), atol=1e-4):
            raise InputError(
                f"{run}: was trained on another grid, its {name} differs; give a background on its grid, or train again"
            )
