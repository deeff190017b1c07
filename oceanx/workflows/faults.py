"""What may go wrong in the midst of training: each a line that names the thing and the remedy."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pandas as pd
import torch

from oceanx.vocabulary.errors import InputError

from .batching import Window, Windows
from .checkpoints import Checkpoint
from .learner import Learner

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
    times = f"{loss / checkpoint.usual:.3g} times its running mean" if explodes else "no longer a number"

    def refuse() -> None:
        raise InputError(
            f"{checkpoint.run}: the loss is {times} at iteration {checkpoint.iteration + 1}: {said}; the last good "
            "checkpoint stays. Lower learning_rate, or look at the data of these days"
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
        windows = stage.batch_size // processes
        knobs = {
            "recompute=true": not config.recompute and stage.rollout > 1,
            f"accumulate={2 * config.accumulate}": windows % (2 * config.accumulate) == 0,
            "sharding=full": config.sharding == "none" and processes > 1,
        }
        others = {"precision=bf16": config.precision == "float32", "a smaller batch_size": windows > 1}
        resumed, anew = (", ".join(k for k, useful in kind.items() if useful) for kind in (knobs, others))
        remedies = [f"go on with --resume and {resumed}"] if resumed else []
        remedies += [f"train anew with {anew or 'a smaller model, or shorter rollouts'}"]
        raise InputError(
            f"the GPU's memory does not hold {windows} windows a process, rolled out {stage.rollout} steps in "
            f"{config.accumulate} parts ({str(error).splitlines()[0]}); {'; or '.join(remedies)}"
        ) from None
