"""Train: config + Dataset → run folder. One loop, from one CPU process to `torchrun`; DDP wraps the Objective."""

from __future__ import annotations

import math
from pathlib import Path

import torch
import xarray as xr
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from oceanx.objectives import Objective
from oceanx.vocabulary import files
from oceanx.vocabulary.errors import InputError
from oceanx.vocabulary.progress import Progress

from . import runs
from .batching import GlobalBatches, Windows, loader, small, unpack
from .checkpoints import Checkpoint, Log
from .processes import Processes, processes
from .run_setup import former, prepare, refuse_at_once, training_data
from .runs import Run
from .train_config import TrainConfig


def train(
    config: TrainConfig,
    ds: xr.Dataset,
    to: str | Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Run:
    """The run folder of a trained model; `load` needs nothing else.

    Under `torchrun` every process calls this with the same arguments, and rank 0 writes. With `resume` an interrupted
    run goes on from its last checkpoint, and on CPU ends with the same bits as an uninterrupted one.

    Parameters
    ----------
    config
        Of `preset`.
    ds
        Holds every variable and level of the task over the training period.
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
        data; the loss is no longer a number (the last good checkpoint stays).

    Examples
    --------
    >>> run = ox.train(ox.preset("hybrid_small"), ds, to="runs/hybrid")          # doctest: +SKIP
    >>> model = ox.load(run)                                                      # doctest: +SKIP
    """
    with processes() as here:
        here.first_alone(lambda: refuse_at_once(config, ds, to, here.count, resume=resume, overwrite=overwrite))
        ds = training_data(ds, config)
        run = prepare(config, ds, to, here, resume=resume, overwrite=overwrite, progress=progress)
        if run.about.get("finished"):
            return run
        geometry, statistics = runs.described(run)
        model = runs.build(config, geometry, statistics)
        objective: nn.Module = Objective(model, config.task.prognostic, geometry, statistics, config.weights)
        objective = objective.to(here.device)
        if here.count > 1:
            objective = DistributedDataParallel(objective)
        optimiser = torch.optim.AdamW(model.parameters(), config.learning_rate, weight_decay=config.weight_decay)
        checkpoint = Checkpoint(run, model, optimiser, config)
        checkpoint.restore()
        log = Log(run, here, checkpoint.iteration, progress)

        for stage in config.stages:
            if here.agree(checkpoint.share()) >= stage.until:
                continue
            windows = _windows(ds, run, config, stage.rollout)
            order = GlobalBatches(
                len(windows), stage.batch_size, seed=config.seed, rank=here.rank, ranks=here.count,
                start=checkpoint.iteration, endless=True,
            )  # fmt: skip
            for batch in loader(windows, order, config.workers):
                share = here.agree(checkpoint.share())
                if share >= stage.until:
                    break
                # Seeded by the iteration, random numbers need no place in the checkpoint.
                torch.manual_seed(config.seed + 7919 * checkpoint.iteration + here.rank)
                for group in optimiser.param_groups:
                    group["lr"] = learning_rate(config, checkpoint.iteration, share)
                loss = objective(*unpack(here.move(batch)))
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                norm = nn.utils.clip_grad_norm_(model.parameters(), config.clip)
                _refuse_divergence(loss, norm, checkpoint.iteration, run, here)
                # Only now are these weights known to be good.
                if here.first and checkpoint.iteration and checkpoint.iteration % config.checkpoint_every == 0:
                    checkpoint.save()
                optimiser.step()
                checkpoint.advance()
                log.row(checkpoint, share, stage.rollout, loss, norm)

        here.first_alone(checkpoint.finish)
        if here.first:
            files.remove(former(run))
    return run


def learning_rate(config: TrainConfig, iteration: int, share: float) -> float:
    """The learning rate: a linear warm-up, then half a cosine down to zero over the share of training done."""
    warm = min(1.0, (iteration + 1) / (config.warmup + 1))
    return config.learning_rate * warm * 0.5 * (1.0 + math.cos(math.pi * min(share, 1.0)))


def _windows(ds: xr.Dataset, run: Run, config: TrainConfig, steps: int) -> Windows:
    windows = Windows(ds, config.task, steps, run.dataset("climatology"))
    if not config.workers and small(windows.nbytes):
        windows.keep_in_memory()
    return windows


def _refuse_divergence(loss: Tensor, norm: Tensor, iteration: int, run: Run, here: Processes) -> None:
    if not math.isfinite(here.sum(float(loss.detach()) + float(norm))):
        raise InputError(
            f"{run}: the loss is no longer a number at iteration {iteration + 1}; the last good checkpoint "
            "stays. Lower learning_rate, or look at the windows of that iteration"
        )
