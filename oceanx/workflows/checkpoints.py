"""Checkpoints: all that training needs to go on to the same bits. And the log beside them."""

from __future__ import annotations

import csv
import time

import torch
from torch import Tensor, nn

from oceanx.vocabulary import files
from oceanx.vocabulary.errors import InputError
from oceanx.vocabulary.progress import Progress

from .processes import Processes
from .runs import Run, restore, save_tensors, tensors
from .train_config import TrainConfig

_FILE = "checkpoint.safetensors"
_MODEL, _AVERAGE, _OPTIMISER = "model.", "average.", "optimiser."
_COLUMNS = ("iteration", "share", "rollout", "loss", "gradient_norm", "learning_rate", "seconds")


class Checkpoint:
    """A model, its running mean, its optimiser, and how far training has come."""

    def __init__(self, run: Run, model: nn.Module, optimiser: torch.optim.Optimizer, config: TrainConfig):
        self.run, self.model, self.optimiser, self.config = run, model, optimiser, config
        self.average = {name: value.detach().clone() for name, value in model.state_dict().items()}
        self.iteration, self._started = 0, time.monotonic()

    @property
    def seconds(self) -> float:
        """Time spent training, interruptions left out."""
        return time.monotonic() - self._started

    def share(self) -> float:
        """The share of training that is done: of the iterations, or of the time where the config counts minutes."""
        if self.config.minutes is None:
            return self.iteration / self.config.total
        return self.seconds / (60.0 * self.config.minutes)

    @torch.no_grad()
    def advance(self) -> None:
        """Count one iteration and follow it with the running mean, which warms up with the iterations."""
        self.iteration += 1
        decay = min(self.config.average, self.iteration / (self.iteration + 9))
        for name, value in self.model.state_dict().items():
            self.average[name].lerp_(value, 1.0 - decay)

    def save(self) -> None:
        """Write everything, atomically."""
        state: dict[str, Tensor] = {_MODEL + name: value for name, value in self.model.state_dict().items()}
        state |= {_AVERAGE + name: value for name, value in self.average.items()}
        for index, slots in self.optimiser.state_dict()["state"].items():
            state |= {f"{_OPTIMISER}{index}.{slot}": torch.as_tensor(value) for slot, value in slots.items()}
        state["iteration"] = torch.tensor(self.iteration)
        state["seconds"] = torch.tensor(self.seconds, dtype=torch.float64)
        save_tensors(self.run / _FILE, state)
        self.run.note(iteration=self.iteration)

    def restore(self) -> None:
        """Take up the last checkpoint, if the run has one."""
        path = self.run / _FILE
        if not path.exists():
            return
        saved = tensors(path)
        restore(self.model, _below(saved, _MODEL), path)
        self.average = {name: value.to(self.average[name]) for name, value in _below(saved, _AVERAGE).items()}
        slots: dict[int, dict[str, Tensor]] = {}
        for name, value in _below(saved, _OPTIMISER).items():
            index, slot = name.split(".", 1)
            slots.setdefault(int(index), {})[slot] = value
        self.optimiser.load_state_dict({"state": slots, "param_groups": self.optimiser.state_dict()["param_groups"]})
        self.iteration = int(saved["iteration"])
        self._started = time.monotonic() - float(saved["seconds"])

    def finish(self) -> None:
        """Write the last checkpoint and the weights that `load` takes; `InputError` if they are no numbers."""
        bad = next((name for name, value in self.model.state_dict().items() if not value.isfinite().all()), None)
        if bad:
            raise InputError(f"{self.run}: {bad} is no longer a number after the last iteration; lower learning_rate")
        self.save()
        weights = self.average if self.config.average else self.model.state_dict()
        save_tensors(self.run / "weights.safetensors", weights)
        self.run.note(finished=True, seconds=round(self.seconds, 1))


class Log:
    """`log.csv`: a row an iteration. Rows after the checkpoint that a run goes on from are dropped."""

    def __init__(self, run: Run, here: Processes, iteration: int, progress: Progress | None):
        self.path, self.here, self.progress = run / "log.csv", here, progress
        if here.first:
            kept = _rows(run)[:iteration] if iteration else []
            with files.replacing(self.path, overwrite=True) as path, path.open("w", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(_COLUMNS)
                writer.writerows(kept)

    def row(self, checkpoint: Checkpoint, share: float, rollout: int, loss: Tensor, norm: Tensor) -> None:
        """Add one iteration; the loss is the mean over all ranks."""
        mean = self.here.sum(float(loss.detach())) / self.here.count
        if not self.here.first:
            return
        rate = checkpoint.optimiser.param_groups[0]["lr"]
        values = (checkpoint.iteration, f"{share:.5f}", rollout, repr(mean), repr(float(norm)), f"{rate:.4g}")
        with self.path.open("a", newline="") as file:
            csv.writer(file).writerow((*values, f"{checkpoint.seconds:.1f}"))
        if self.progress:
            total = checkpoint.config.total if checkpoint.config.minutes is None else 1000
            done = checkpoint.iteration if checkpoint.config.minutes is None else int(1000 * min(checkpoint.share(), 1))
            self.progress(f"train, loss {mean:.3f}", done, total)


def _rows(run: Run) -> list[list[str]]:
    path = run / "log.csv"
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.reader(file))[1:]


def _below(saved: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    found = {name.removeprefix(prefix): value for name, value in saved.items() if name.startswith(prefix)}
    if not found:
        raise InputError(f"{_FILE}: has nothing under {prefix!r}; it is not a checkpoint of oceanx")
    return found
