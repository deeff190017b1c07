"""Checkpoints: all that training needs to go on to the same bits."""

from __future__ import annotations

import math
import os
import shutil
import time
from collections.abc import Iterator, Set
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

from oceanx.vocabulary import files
from oceanx.vocabulary.errors import InputError
from oceanx.vocabulary.locks import locked

from .processes import Processes
from .runs import Run, restore, save_tensors, tensors
from .sharding import like, local, scatter, whole
from .train_config import Schedule

_FILE = "checkpoint.safetensors"
_MODEL, _AVERAGE, _OPTIMISER, _BESIDE = "model.", "average.", "optimiser.", "beside."


class Checkpoint:
    """A model, its running mean, its optimiser, and how far training has come.

    Attributes
    ----------
    usual
        The running mean of the loss; NaN before the first iteration.
    best
        The best score of the validation so far, and inf before the first.
    beside
        Further tensors that training goes on from, by name.
    """

    def __init__(self, run: Run, model: nn.Module, optimiser: torch.optim.Optimizer, config: Schedule, here: Processes):
        self.run, self.model, self.optimiser, self.config, self.here = run, model, optimiser, config, here
        self.average = {name: value.detach().clone() for name, value in model.state_dict().items()}
        self.iteration, self._started = 0, time.monotonic()
        self.usual, self.best = math.nan, math.inf
        self.beside: dict[str, Tensor] = {}

    @property
    def seconds(self) -> float:
        """Time spent training, interruptions left out."""
        return time.monotonic() - self._started

    def share(self) -> float:
        """The share of training that is done: of the iterations, or of the time where the config counts minutes."""
        if self.config.minutes is None:
            return self.iteration / self.config.total
        return self.here.agree(self.seconds / (60.0 * self.config.minutes))

    @torch.no_grad()
    def advance(self, loss: float, frozen: Set[str] = frozenset()) -> None:
        """Count one iteration and follow what is not frozen with the running mean, which warms up with them."""
        self.iteration += 1
        self.usual = loss if math.isnan(self.usual) else 0.98 * self.usual + 0.02 * loss
        decay = min(self.config.average, self.iteration / (self.iteration + 9))
        for name, value in self.model.state_dict().items():
            if name not in frozen:
                local(self.average[name]).lerp_(local(value), 1.0 - decay)

    def save(self, stopped: str = "") -> None:
        """Write everything, atomically. Every process calls it, and the first one writes.

        Parameters
        ----------
        stopped
            What asked training to stop here, for `run.json`.
        """
        state: dict[str, Tensor] = {_MODEL + name: value for name, value in self.model.state_dict().items()}
        state |= {_AVERAGE + name: value for name, value in self.average.items()}
        for index, slots in self.optimiser.state_dict()["state"].items():
            state |= {f"{_OPTIMISER}{index}.{slot}": torch.as_tensor(value) for slot, value in slots.items()}
        state |= {_BESIDE + name: value for name, value in self.beside.items()}
        state["iteration"] = torch.tensor(self.iteration)
        for number in ("seconds", "usual", "best"):
            state[number] = torch.tensor(getattr(self, number), dtype=torch.float64)
        state = self._gathered(state)
        if self.here.first:
            save_tensors(self.run / _FILE, state)
            self._keep()
            self.run.note(iteration=self.iteration, stopped=stopped)

    def weights(self) -> dict[str, Tensor]:
        """What training has arrived at: the running mean if the config wants one, or else the last weights, whole."""
        return self._gathered(self.average if self.config.average else self.model.state_dict())

    def restore(self) -> None:
        """Take up the last checkpoint, if the run has one."""
        path = self.run / _FILE
        if self.here.first and self.run.about.get("stopped"):
            self.run.note(stopped="")
        if not path.exists():
            return
        saved = tensors(path)
        if "iteration" not in saved:
            raise InputError(f"{path}: does not say its iteration; it is no checkpoint of oceanx, but weights perhaps")
        own = self.model.state_dict()
        found = _below(saved, _MODEL)
        found |= {name: like(own[name], found[name]) for name in own if name in found}
        restore(self.model, found, path)
        for name, value in _below(saved, _AVERAGE).items():
            self.average[name] = like(own[name], value.to(self.average[name].device))
        slots: dict[int, dict[str, Tensor]] = {}
        for name, value in _below(saved, _OPTIMISER).items():
            index, slot = name.split(".", 1)
            parameter = self.optimiser.param_groups[0]["params"][int(index)]
            slots.setdefault(int(index), {})[slot] = like(parameter, value)
        self.optimiser.load_state_dict({"state": slots, "param_groups": self.optimiser.state_dict()["param_groups"]})
        self.beside = _below(saved, _BESIDE)
        self.iteration = int(saved["iteration"])
        self._started = time.monotonic() - float(saved["seconds"])
        # Runs that were begun before these were counted go on without.
        self.usual, self.best = (float(saved.get(key, old)) for key, old in (("usual", math.nan), ("best", math.inf)))

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Within it no other training writes this run; `InputError` if one does already."""
        lock = self.run / "lock"
        with ExitStack() as stack:
            self.here.first_alone(lambda: stack.enter_context(locked(lock, self.run)))
            try:
                yield
            finally:
                if self.here.first:
                    lock.unlink(missing_ok=True)

    @contextmanager
    def at_its_best(self) -> Iterator[None]:
        """Within it the model has its running mean, if the config wants one."""
        own = self.model.state_dict() if self.config.average else {}
        last = {name: local(value).clone() for name, value in own.items()}
        with torch.no_grad():
            for name, value in own.items():
                local(value).copy_(local(self.average[name]))
            yield
            for name, value in own.items():
                local(value).copy_(last[name])
            scatter(self.model)

    def finish(self) -> None:
        """Write the last checkpoint and the weights that `load` takes; `InputError` if they are no numbers."""
        weights = self.weights()
        self.here.first_alone(lambda: self._refuse_no_numbers(weights))
        self.save()
        if self.here.first:
            save_tensors(self.run / "weights.safetensors", weights)
            self.run.note(finished=True, seconds=round(self.seconds, 1))

    def _refuse_no_numbers(self, weights: dict[str, Tensor]) -> None:
        bad = next((name for name, value in weights.items() if not value.isfinite().all()), None)
        if bad:
            raise InputError(f"{self.run}: {bad} is no longer a number after the last iteration; lower learning_rate")

    def _gathered(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """The same, every tensor in one piece. Where they are shared out, only the first process has them all."""
        gathered = {}
        for name, value in state.items():
            each = whole(value)
            if self.here.first:
                gathered[name] = each if each is value else each.cpu()
        return gathered

    def _keep(self) -> None:
        """Beside the checkpoint, keep the last ones by their iteration, as many as the config says in all."""
        if self.config.keep > 1:
            with files.replacing(self.run / f"checkpoint-{self.iteration:08d}.safetensors", overwrite=True) as path:
                try:
                    os.link(self.run / _FILE, path)
                except OSError:  # a file system without links
                    shutil.copyfile(self.run / _FILE, path)
            for old in sorted(self.run.glob("checkpoint-*.safetensors"))[: -self.config.keep]:
                files.remove(old)


def _below(saved: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in saved.items() if name.startswith(prefix)}
