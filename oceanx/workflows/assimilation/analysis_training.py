"""Train a learned analysis: through cycles of analysis and forecast, from the backgrounds that it meets itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import nn

from oceanx.data.shelf import catalog
from oceanx.models.analysis_network import LearnedAnalysis
from oceanx.objectives.analysis import AnalysisLoss
from oceanx.vocabulary.errors import InputError
from oceanx.vocabulary.progress import Progress

from .. import runs
from ..checkpoints import Checkpoint
from ..logs import Log
from ..model import Model
from ..processes import Processes, processes
from ..runs import Run
from ..stopping import Stopped, Stopping
from ..training import learning_rate
from .analysis_config import AnalysisTraining
from .analysis_cycles import Cycles
from .analysis_pool import UNBORN, Pool, Trajectories
from .analysis_setup import forecaster_of, prepare, resolved, training_days
from .analysis_sources import Reality, Source, Twin
from .learned import analysis_run

LOST = 3  # times in a row that trajectories may go astray, and are begun again from climatology
PATIENCE = 20  # iterations before the usual loss is known well enough to tell an explosion


def train_analysis(
    config: AnalysisTraining,
    ds: xr.Dataset,
    to: str | Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    observations: xr.Dataset | None = None,
    progress: Progress | None = None,
) -> Run:
    """The run folder of a trained analysis, as `train` makes it of a config of kind `analysis`.

    Every iteration takes some trajectories of a pool through `rollout` windows: what a network observes, the analysis,
    the forecast to the next window. Its gradient goes back through all of them, and through the forecast model. Where
    that leaves for good, nothing is learned, and those trajectories begin again from climatology.
    Random numbers are those of the iteration, so that a run that is gone on with ends with the same bits on CPU.

    Parameters
    ----------
    observations
        With `truth: none` the table to train on, in the place of the stores that the config names.
    """
    if config.truth == "none" and observations is None:
        if not config.observations:
            raise InputError("observations: say which stores hold them, observations=[argo.zarr]; truth is none")
        observations = catalog.open(*config.observations)
    with processes() as here:
        if here.count > 1:
            raise InputError("analysis: is trained by one process; start it without torchrun")
        return _trained(here, config, ds, to, observations, resume=resume, overwrite=overwrite, progress=progress)


def fine_tune(
    run: str | Path,
    obs: xr.Dataset,
    ds: xr.Dataset,
    to: str | Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
    **changes: Any,
) -> Run:
    """The run folder of a trained analysis that has gone on to learn from observations alone.

    Of every window's observations the analysis is shown a share, and scored by the Gaussian likelihood of the others,
    and of all that the next background meets. No truth is read.

    Parameters
    ----------
    run
        Of the trained analysis.
    obs
        A table of observations, those used that passed every test (`qc` 0).
    ds
        Holds the forcing on their days; of the ocean it need hold nothing.
    changes
        Of the run's config, such as `iterations=[200]` or `train=["2005", "2009"]`.

    Raises
    ------
    InputError
        As `train` does; or if no observation lies in the training days.

    Examples
    --------
    >>> run = fine_tune("runs/analysis", ox.open("argo.zarr"), ds, to="runs/tuned", iterations=[200])  # doctest: +SKIP
    """
    begun = analysis_run(str(run))
    kept = {key: value for key, value in begun.config.dump().items() if key != "train"}
    settings = {**kept, "truth": "none", "begins": str(run), **changes}
    config = AnalysisTraining.parse(settings, where=str(run))
    return train_analysis(config, ds, to, resume=resume, overwrite=overwrite, observations=obs, progress=progress)


def _trained(
    here: Processes,
    config: AnalysisTraining,
    ds: xr.Dataset,
    to: str | Path,
    observations: xr.Dataset | None,
    *,
    resume: bool,
    overwrite: bool,
    progress: Progress | None,
) -> Run:
    folder, model = forecaster_of(config)
    config = resolved(config, model)
    days = training_days(ds, config, model)
    run = prepare(config, days, to, folder, model, resume=resume, overwrite=overwrite)
    if run.about.get("finished"):
        return run
    geometry, statistics = runs.described(run)
    learned = runs.build(config, geometry, statistics).to(here.device)
    assert isinstance(learned, LearnedAnalysis)
    if config.begins:
        path = Run(config.begins) / "weights.safetensors"
        runs.restore(learned, runs.tensors(path), path)
    source = _source(config, model, days, run, observations)
    loss = AnalysisLoss(source.task.prognostic, geometry, statistics, config.weights, config.likelihood)
    cycles = Cycles(learned, _frozen(model, here), source, loss.to(here.device), here.device)
    optimiser = torch.optim.AdamW(learned.parameters(), weight_decay=config.weight_decay)
    pool = Pool(config.pool, source.usual(source.times[:1]))
    checkpoint = Checkpoint(run, learned, optimiser, config, here)
    checkpoint.beside = pool.tensors
    checkpoint.restore()
    pool.tensors = checkpoint.beside

    astray = 0
    with checkpoint.alone(), Stopping() as stopping, Log(checkpoint, learned, progress) as log:
        for stage in config.stages:
            starts = source.starts(stage.rollout)
            while (share := checkpoint.share()) < stage.until:
                rate, seed = learning_rate(config, checkpoint.iteration, share), (config.seed, checkpoint.iteration)
                torch.manual_seed(config.seed + 7919 * checkpoint.iteration)
                rows, begun = _drawn(pool, source, config, starts, stage.batch_size, stage.rollout, seed)
                optimiser.zero_grad(set_to_none=True)
                value, reached = cycles(begun, stage.rollout, seed)
                value.backward()
                norm = float(nn.utils.clip_grad_norm_(learned.parameters(), config.clip))
                loss_now = float(value.detach())
                if _astray(loss_now, norm, checkpoint):
                    astray += 1
                    _refuse_divergence(loss_now, norm, checkpoint, astray)
                    pool.forget(rows)
                    checkpoint.advance(checkpoint.usual)
                    log.row(stage, share, loss_now, norm, rate)
                    continue
                astray = 0
                if stopping.asked or (checkpoint.iteration and checkpoint.iteration % config.checkpoint_every == 0):
                    checkpoint.save(stopping.asked)
                if stopping.asked:
                    raise Stopped(f"{run}: {stopping.asked} after iteration {checkpoint.iteration}")
                for group in optimiser.param_groups:
                    group["lr"] = rate
                optimiser.step()
                pool.put(rows, reached)
                checkpoint.advance(loss_now)
                log.row(stage, share, loss_now, norm, rate)

    checkpoint.finish()
    return run


def _source(
    config: AnalysisTraining, model: Model, days: xr.Dataset, run: Run, observations: xr.Dataset | None
) -> Twin | Reality:
    grid, (_, statistics) = run.dataset("grid"), runs.described(run)
    assert grid is not None
    if observations is None:
        return Twin(config, model, days, grid, statistics)
    return Reality(config, model, days, grid, statistics, observations)


def _frozen(model: Model, here: Processes) -> nn.Module:
    """The forecast model, which only passes gradients on."""
    step = model.step
    assert isinstance(step, nn.Module)
    return step.to(here.device).requires_grad_(False).eval()


def _drawn(
    pool: Pool, source: Source, config: AnalysisTraining, starts: np.ndarray, size: int, windows: int,
    seed: tuple[int, ...],
) -> tuple[Sequence[int], Trajectories]:  # fmt: skip
    """Some trajectories of the pool; those that have not begun, or whose life is over, begin from the climatology."""
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.choice(len(pool), size, replace=False)).tolist()
    found = pool.take(rows)
    over = (found.time == UNBORN) | (rng.random(size) < windows / config.life)
    over |= ~np.isin(found.time.astype("datetime64[ns]"), starts)
    time = np.where(over, rng.choice(starts, size).astype("datetime64[ns]").astype(np.int64), found.time)
    network = np.where(over, rng.integers(2**31, size=size), found.network)
    usual = source.usual(time.astype("datetime64[ns]"))
    anew = torch.from_numpy(over)[:, None, None, None]
    state = found.state.map(lambda x: x)
    fields = {name: torch.where(anew, usual[name], field) for name, field in state.items()}
    expected = found.expected.map(lambda x: torch.where(anew, 0.0, x))
    return rows, Trajectories(type(state)(fields), expected, time, network)


def _astray(loss: float, norm: float, checkpoint: Checkpoint) -> bool:
    """Whether trajectories have left for where no forecast model comes back from: nothing is learned of them."""
    explodes = checkpoint.iteration >= PATIENCE and loss > checkpoint.config.explodes * max(abs(checkpoint.usual), 0.01)
    return not math.isfinite(loss + norm) or explodes


def _refuse_divergence(loss: float, norm: float, checkpoint: Checkpoint, astray: int) -> None:
    if astray > LOST or not checkpoint.iteration:
        raise InputError(
            f"{checkpoint.run}: iteration {checkpoint.iteration}: the loss is {loss:.4g} (gradient {norm:.4g}), else "
            f"{checkpoint.usual:.4g}, {astray} times in a row; lower learning_rate, or rollout to fewer windows. The "
            "last checkpoint stays"
        )
