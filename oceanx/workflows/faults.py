"""What may go wrong in the midst of training: each a line that names the thing and the remedy."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pandas as pd
import torch

from oceanx.vocabulary.errors import InputError

from .batching import Window, Windows
from .checkpoints import Checkpoint
from .learner import Learner
from .train_config import TrainConfig

PATIENCE = 20  # iterations before the usual loss is known well enough to tell an explosion


def refuse_divergence(
    loss: float, norm: float, checkpoint: Checkpoint, learner: Learner, batch: Window, dates: Callable[[], str]
) -> None:
    """`InputError` if the loss or its gradient is no number, or the loss `explodes` times its running mean.

    Every process calls it with the same loss and norm, summed over all; the first one raises, naming the batch's dates
    and the first variable that went wrong in any process's share of it.
    """
    explodes = checkpoint.iteration >= PATIENCE and loss > checkpoint.config.explodes * checkpoint.usual
    if math.isfinite(loss + norm) and not explodes:
        return
    found = f"{learner.worst(batch)}, in windows from {dates()}"
    # A variable that is no number says more than one that is only far off.
    said = sorted(learner.here.everyones(found), key=lambda each: "no number" not in each)[0]
    times, remedy = "no longer a number", "or train anew with a lower learning_rate"
    if math.isfinite(loss + norm):
        times = f"{loss / checkpoint.usual:.3g} times its running mean"
        larger = f"--resume and explodes larger than {checkpoint.config.explodes:g}"
        remedy = f"train anew with a lower learning_rate, or go on with {larger}"

    def refuse() -> None:
        raise InputError(
            f"{checkpoint.run}: the loss is {times} at iteration {checkpoint.iteration + 1}: {said}; the last good "
            f"checkpoint stays. Look at the data of these days, {remedy}"
        )

    learner.here.first_alone(refuse)


def dates(windows: Windows, indices: Sequence[int]) -> str:
    """The first days of a batch's windows."""
    days = [str(pd.Timestamp(windows.window_times(index)[0]))[:16].removesuffix(" 00:00") for index in indices]
    return ", ".join(days[:8]) + (f" and {len(days) - 8} more" if len(days) > 8 else "")


@contextmanager
def memory_explained(learner: Learner) -> Iterator[None]:
    """Say which settings help where the GPU's memory does not suffice."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        config, stage, processes = learner.config, learner.stage, learner.here.count
        at_once = stage.batch_size // processes // config.accumulate
        parts = _more_parts(config, processes)
        knobs = {
            "recompute=true": not config.recompute and stage.rollout > 1,
            f"accumulate={parts}": parts is not None,
            "sharding=full": config.sharding == "none" and processes > 1,
        }
        others = {"precision=bf16": config.precision == "float32", "a smaller batch_size": at_once > 1}
        resumed, anew = (", ".join(k for k, useful in kind.items() if useful) for kind in (knobs, others))
        remedies = [f"go on with --resume and {resumed}"] if resumed else []
        remedies += [f"train anew with {anew or 'a smaller model, or shorter rollouts'}"]
        found = f"{_counted(at_once, 'window')} at once, rolled out {_counted(stage.rollout, 'step')}"
        # PyTorch goes on with how it came about.
        short = " ".join(re.split(r"(?<=\.)\s+", str(error))[:3]).rstrip(".")
        raise InputError(f"the GPU's memory does not hold {found} ({short}); {'; or '.join(remedies)}") from None


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" + "s" * (number > 1)


def _more_parts(config: TrainConfig, processes: int) -> int | None:
    """The next larger number of equal parts that the batches of all stages can be computed in."""
    shares = [stage.batch_size // processes for stage in config.stages]
    return next((n for n in range(config.accumulate + 1, min(shares) + 1) if not any(s % n for s in shares)), None)
