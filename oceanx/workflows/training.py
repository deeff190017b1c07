"""Train: config + Dataset → run folder. One loop, from one CPU process to many nodes under `torchrun`."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import torch
import xarray as xr

from oceanx.vocabulary import files
from oceanx.vocabulary.progress import Progress

from .batching import GlobalBatches, Windows, loader, small
from .checkpoints import Checkpoint
from .faults import dates, memory_explained, refuse_divergence
from .learner import Learner, reproducible
from .logs import Log
from .processes import Processes, processes
from .run_setup import content_of, former, prepare, refuse_at_once, training_data, versions
from .runs import Run
from .stopping import Stopped, Stopping
from .train_config import Schedule, TrainConfig
from .validation import Validator


def train(
    config: Schedule,
    ds: xr.Dataset,
    to: str | Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Run:
    """The run folder of a trained model; `load` needs nothing else.

    Under `torchrun` every process calls this with the same arguments, and rank 0 writes. With `resume` an interrupted
    run goes on from its last checkpoint, and on CPU ends with the same bits as an uninterrupted one. At SIGTERM or
    SIGUSR1 it writes a checkpoint and leaves with exit status 75.

    Parameters
    ----------
    config
        Of `preset`: of a model, or of kind `analysis`.
    ds
        Holds every variable and level of the task over the training period (and that of the validation).
    to
        The run folder to make.
    overwrite
        Replace what stands there. A trained run waits beside it as `<to>.former` until the new one is trained.
    progress
        Called with what is done, how much of it, and how much there is.

    Raises
    ------
    InputError
        The Dataset lacks a variable, level or day; the target exists; the checkpoint is of another config or other
        data; the loss is no longer a number, or explodes (the last good checkpoint stays); a GPU's memory is full.

    Examples
    --------
    >>> run = ox.train(ox.preset("hybrid_small"), ds, to="runs/hybrid")          # doctest: +SKIP
    >>> model = ox.load(run)                                                      # doctest: +SKIP
    """
    if not isinstance(config, TrainConfig):
        from .assimilation.analysis_training import AnalysisTraining, train_analysis

        assert isinstance(config, AnalysisTraining)
        return train_analysis(config, ds, to, resume=resume, overwrite=overwrite, progress=progress)
    with processes() as here, reproducible(config.deterministic):
        return _trained(here, config, ds, to, resume=resume, overwrite=overwrite, progress=progress)


def _trained(
    here: Processes,
    config: TrainConfig,
    ds: xr.Dataset,
    to: str | Path,
    *,
    resume: bool,
    overwrite: bool,
    progress: Progress | None,
) -> Run:
    """What `train` does on each of the processes. All that holds on to them is gone when it returns."""
    asked = config.dump() | {"to": str(to), "resume": resume, "overwrite": overwrite} | versions()
    here.refuse_different(asked, "start all processes by the same command, in the same environment")
    here.first_alone(lambda: refuse_at_once(config, ds, to, here.count, resume=resume, overwrite=overwrite))
    known = here.each(lambda: training_data(ds, config))
    here.refuse_different(content_of(known), "open the same store on every node")
    run = prepare(config, known, to, here, resume=resume, overwrite=overwrite, progress=progress)
    if run.about.get("finished"):
        here.first_alone(lambda: files.remove(former(run)))
        return run
    learner = Learner(run, config, here)
    checkpoint = Checkpoint(run, learner.model, learner.optimiser, config, here)
    checkpoint.restore()
    validator = here.each(lambda: Validator(ds, config, checkpoint))

    with (
        learner,
        checkpoint.alone(),
        Stopping() as stopping,
        Log(checkpoint, learner.model, progress) as log,
        memory_explained(learner),
    ):
        for stage in config.stages:
            if checkpoint.share() >= stage.until:
                continue
            learner.begin(stage, checkpoint.average)
            windows = here.each(partial(_windows, known, run, config, stage.rollout))
            order = GlobalBatches(
                len(windows), stage.batch_size, seed=config.seed, rank=here.rank, ranks=here.count,
                start=checkpoint.iteration, endless=True,
            )  # fmt: skip
            for batch, indices in zip(log.timed(loader(windows, order, config.workers)), order, strict=False):
                share = checkpoint.share()
                if share >= stage.until:
                    break
                rate = learning_rate(config, checkpoint.iteration, share)
                # Seeded by the iteration, random numbers need no place in the checkpoint.
                torch.manual_seed(config.seed + 7919 * checkpoint.iteration + here.rank)
                loss, norm = learner.gradients(batch), learner.clip()
                sums = here.sums([float(loss), float(norm), float(bool(stopping.asked))])
                mean = sums[0] / here.count
                refuse_divergence(mean, sums[1], checkpoint, learner, batch, partial(dates, windows, indices))
                # Only now are these weights known to be good.
                if sums[2] or (checkpoint.iteration and checkpoint.iteration % config.checkpoint_every == 0):
                    checkpoint.save(stopping.asked)
                if sums[2]:
                    raise Stopped(f"{run}: {stopping.asked} after iteration {checkpoint.iteration}")
                learner.step(rate)
                checkpoint.advance(mean, learner.frozen)
                log.row(stage, share, mean, float(norm), rate)
                validator.score_if_due(log)

    checkpoint.finish()
    here.first_alone(lambda: files.remove(former(run)))
    return run


def learning_rate(config: Schedule, iteration: int, share: float) -> float:
    """The learning rate: a linear warm-up, then half a cosine down to zero over the share of training done.

    One rate warms up and falls once, over all stages. Of several, each warms up and falls in its own stage.
    """
    stage = next((stage for stage in config.stages if share < stage.until), config.stages[-1])
    first, last = stage.falls
    warm = min(1.0, (iteration - stage.warms + 1) / (config.warmup + 1))
    return stage.learning_rate * warm * 0.5 * (1.0 + math.cos(math.pi * min((share - first) / (last - first), 1.0)))


def _windows(ds: xr.Dataset, run: Run, config: TrainConfig, steps: int) -> Windows:
    windows = Windows(ds, config.task, steps, run.dataset("climatology"))
    if not config.workers and small(windows.nbytes):
        windows.keep_in_memory()
    return windows
