"""Logs: `log.csv`, a row an iteration, and the same numbers to TensorBoard, MLflow or W&B where they are installed."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, TypeVar

import psutil
import torch
from torch import nn

from oceanx.physics import coefficients
from oceanx.vocabulary import files
from oceanx.vocabulary.errors import InputError
from oceanx.vocabulary.progress import Progress

from .checkpoints import Checkpoint
from .runs import Run
from .train_config import Schedule, Stage

T = TypeVar("T")
Numbers = Mapping[str, float]

COLUMNS = (
    "iteration", "share", "rollout", "loss", "gradient_norm", "learning_rate", "seconds", "samples_per_second",
    "waiting", "memory_gib",
)  # fmt: skip


class Sink(Protocol):
    """Where numbers of an iteration go."""

    def write(self, numbers: Numbers, iteration: int) -> None:
        """Take numbers by name."""

    def close(self) -> None:
        """Write what is left."""


class TensorBoard:
    """Event files in `tensorboard/` of the run folder."""

    def __init__(self, run: Run, config: Schedule):
        self.writer = import_module("torch.utils.tensorboard").SummaryWriter(str(run / "tensorboard"))

    def write(self, numbers: Numbers, iteration: int) -> None:
        for name, value in numbers.items():
            self.writer.add_scalar(name, value, iteration)

    def close(self) -> None:
        self.writer.close()


class MLflow:
    """A run of MLflow, at the tracking server that its own environment variables name."""

    def __init__(self, run: Run, config: Schedule):
        self.mlflow = import_module("mlflow")
        self.mlflow.start_run(run_name=run.name)
        self.mlflow.log_dict(config.dump(), "config.yaml")

    def write(self, numbers: Numbers, iteration: int) -> None:
        # MLflow allows no brackets in names.
        self.mlflow.log_metrics({name.translate(_PLAIN): value for name, value in numbers.items()}, step=iteration)

    def close(self) -> None:
        self.mlflow.end_run()


class WandB:
    """A run of Weights & Biases, which goes on under the same name after an interruption."""

    def __init__(self, run: Run, config: Schedule):
        where = str(run.absolute().parent)
        self.run = import_module("wandb").init(
            name=run.name, id=f"{run.name}-{run.about['config']}", resume="allow", dir=where, config=config.dump()
        )

    def write(self, numbers: Numbers, iteration: int) -> None:
        self.run.log(dict(numbers), step=iteration)

    def close(self) -> None:
        self.run.finish()


_PLAIN = str.maketrans({"[": "(", "]": ")"})
SINKS: dict[str, Callable[[Run, Schedule], Sink]] = {"tensorboard": TensorBoard, "mlflow": MLflow, "wandb": WandB}


def sinks(run: Run, config: Schedule) -> list[Sink]:
    """The sinks that the config names. TensorBoard goes without saying, so without it there is none."""
    opened = []
    for name in config.log:
        try:
            opened.append(SINKS[name](run, config))
        except ImportError:
            if name != "tensorboard":
                raise InputError(
                    f"log: {name} is not installed; pip install 'oceanx[{name}]', or leave it out"
                ) from None
    return opened


class Log:
    """What is told of every iteration. Rows after the checkpoint that a run goes on from are dropped.

    Parameters
    ----------
    checkpoint
        Knows how far training is, and whose run it is.
    model
        Its learned coefficients are logged in SI units.
    """

    def __init__(self, checkpoint: Checkpoint, model: nn.Module, progress: Progress | None):
        self.checkpoint, self.model, self.progress = checkpoint, model, progress
        self.run, self.here, self.config = checkpoint.run, checkpoint.here, checkpoint.config
        self.waited, self.last = 0.0, time.monotonic()
        self.sinks: list[Sink] = []
        if self.here.first:
            columns = (*COLUMNS, *learned(model))
            restart(self.run / "log.csv", columns, checkpoint.iteration)
        self.here.first_alone(lambda: self.sinks.extend(sinks(self.run, self.config)))

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *left: object) -> None:
        for sink in self.sinks:
            sink.close()

    def timed(self, batches: Iterable[T]) -> Iterator[T]:
        """The same batches; how long each was waited for is counted."""
        batches = iter(batches)
        while True:
            begun = time.monotonic()
            try:
                batch = next(batches)
            except StopIteration:
                return
            self.waited += time.monotonic() - begun
            yield batch

    def row(self, stage: Stage, share: float, loss: float, norm: float, rate: float) -> None:
        """Add one iteration; the loss is the mean over all ranks."""
        if not self.here.first:
            return
        done, now = self.checkpoint, time.monotonic()
        took, waited = now - self.last, self.waited
        self.last, self.waited = now, 0.0
        pace = {
            "samples_per_second": stage.batch_size / took, "waiting": waited / took, "memory_gib": memory(),
        }  # fmt: skip
        own = learned(self.model)
        values = (done.iteration, f"{share:.5f}", stage.rollout, repr(loss), repr(norm), f"{rate:.4g}")
        add(self.run / "log.csv", [
            (*values, f"{done.seconds:.1f}", *(f"{value:.4g}" for value in pace.values()), *map(repr, own.values()))
        ])  # fmt: skip
        self.tell({"loss": loss, "gradient_norm": norm, "learning_rate": rate, **pace, **own})
        if self.progress:
            minutes = self.config.minutes
            per_mille = int(1000 * min(done.seconds / (60 * minutes), 1)) if minutes else 0
            so_far = (per_mille, 1000) if minutes else (done.iteration, self.config.total)
            self.progress(f"train, loss {loss:.3f}", *so_far)

    def rested(self) -> None:
        """Time from the last row until now was not spent on training."""
        self.last = time.monotonic()

    def tell(self, numbers: Numbers) -> None:
        """Hand numbers of this iteration to the sinks."""
        for sink in self.sinks:
            sink.write(numbers, self.checkpoint.iteration)


def learned(model: nn.Module) -> dict[str, float]:
    """A model's learned coefficients by name, in SI units."""
    own: Any = getattr(model, "coefficients", None)
    return dict(own()) if callable(own) else coefficients.logged(model)


def memory() -> float:
    """The most that the GPU's tensors have taken, or what this process takes of the machine's memory, in GiB."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**30
    return psutil.Process().memory_info().rss / 2**30


def restart(path: Path, columns: Sequence[str], iteration: int) -> None:
    """Begin a CSV, or keep of the one that is there the rows up to this iteration, their first column."""
    rows: list[list[str]] = []
    if iteration and path.exists():
        with path.open(newline="") as file:
            former = list(csv.reader(file))
        # A row that was cut short as its writer was killed belongs to no iteration.
        rows = [row for row in former[1:] if len(row) == len(former[0]) and int(row[0]) <= iteration]
    with files.replacing(path, overwrite=True) as building, building.open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])


def add(path: Path, rows: Iterable[Sequence[object]]) -> None:
    """Add rows to a CSV."""
    with path.open("a", newline="") as file:
        csv.writer(file).writerows(rows)
