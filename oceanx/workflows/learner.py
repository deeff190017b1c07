"""Learner: a model with its objective and optimiser, made ready for one stage after another."""

from __future__ import annotations

import gc
import inspect
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint as recomputed

from oceanx.models.named_network import NamedNetwork, rest
from oceanx.objectives import Objective
from oceanx.tensors.integrate import Step
from oceanx.tensors.state import Forcing, State
from oceanx.vocabulary.errors import InputError, unknown

from . import runs, sharding
from .batching import Window, unpack
from .processes import Processes
from .runs import Run
from .train_config import Stage, TrainConfig

_log = logging.getLogger("oceanx.workflows")

# A model's constants are the same everywhere: nothing but gradients need travel. PyTorch 2.13 has a new word for that.
_WORDS = inspect.signature(DistributedDataParallel).parameters
_CONSTANTS_STAY: dict[str, Any] = {
    next(word for word in ("forward_sync_buffers", "broadcast_buffers") if word in _WORDS): False
}


class Learner:
    """What learns: `gradients` of a batch, then `step`.

    Attributes
    ----------
    model, objective
        The model, and its rollout and loss as one module.
    optimiser
        AdamW of all parameters: those that are frozen have no gradient, so it leaves them and their moments alone.
    stage
        The stage that it was last made ready for.
    frozen
        Names of the parameters that do not learn in this stage.
    """

    def __init__(self, run: Run, config: TrainConfig, here: Processes):
        geometry, statistics = runs.described(run)
        self.config, self.here = config, here
        self.model = runs.build(config, geometry, statistics).to(here.device)
        for module in self.model.modules():
            if isinstance(module, NamedNetwork):
                module.bf16 = config.precision == "bf16"
        self.sharded = config.sharding == "full" and here.count > 1
        if self.sharded:
            sharding.shard(self.model, here)
        self.objective = Objective(
            self.model, config.task.prognostic, geometry, statistics, config.weights, config.loss,
            step=_step(self.model, config), prior=config.prior,
        ).to(here.device)  # fmt: skip
        self.optimiser = torch.optim.AdamW(
            self.model.parameters(), weight_decay=config.weight_decay, foreach=False if self.sharded else None
        )
        self.stage = config.stages[0]
        self.frozen: frozenset[str] = frozenset()
        self._wrapped: nn.Module | None = None

    def begin(self, stage: Stage, average: dict[str, Tensor]) -> None:
        """Freeze what does not learn in this stage, at its running mean: what learns from now on learns around that."""
        self.stage = stage
        names = frozenset(name for name, _ in self.model.named_parameters() if not _learns(name, stage.learns))
        if self._wrapped is None or names != self.frozen:
            sharding.scatter(self.model)  # what is gathered stands for the parameters, and is not what learns
            self._wrapped = None
            gc.collect()  # the former wrapper must be gone: it listens to every gradient
            for name, parameter in self.model.named_parameters():
                parameter.requires_grad_(name not in names)
                parameter.grad = None
                if name in names:
                    sharding.local(parameter.data).copy_(sharding.local(average[name]))
            self.frozen = names
            if not self.sharded:  # of what is sharded a process sees a part
                rest(self.model)
            alone = self.here.count == 1 or self.sharded
            self._wrapped = self.objective if alone else DistributedDataParallel(self.objective, **_CONSTANTS_STAY)

    def __enter__(self) -> Learner:
        return self

    def __exit__(self, *error: object) -> None:
        # A wrapper that outlives the processes' group may wait for it forever when it is thrown away.
        self._wrapped = None
        gc.collect()

    def gradients(self, batch: Window) -> Tensor:
        """The loss of a batch; its gradients stand in the parameters. Computed in parts, memory holds one at a time."""
        self.optimiser.zero_grad(set_to_none=True)
        losses, parts = [], self.config.accumulate
        for number, part in enumerate(_parts(batch, parts), start=1):
            with self._apart() if number < parts else nullcontext():
                loss = self._wrapped(*unpack(self.here.move(part))) / parts  # type: ignore[misc]
                loss.backward()
            losses.append(loss.detach())
        return torch.stack(losses).sum()

    def clip(self) -> Tensor:
        """The norm of the gradients, which are scaled down to the config's if it is larger."""
        if self.sharded:
            return sharding.clip(self.model.parameters(), self.config.clip, self.here)
        return nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)

    def step(self, rate: float) -> None:
        """Go downhill at this learning rate."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.step()

    def worst(self, batch: Window) -> str:
        """What is wrong first with the model's rollout of a batch."""
        return self.objective.worst(*unpack(self.here.move(batch)))

    def _apart(self) -> Any:
        """Gradients of a part wait here; they travel with the last part's."""
        return self._wrapped.no_sync() if isinstance(self._wrapped, DistributedDataParallel) else nullcontext()


def refuse_unknown_names(model: nn.Module, config: TrainConfig) -> None:
    """`InputError` for a name under `trains` below which the model has no parameter."""
    names = [name for name, _ in model.named_parameters()]
    known = sorted({name.rsplit(".", depth)[0] for name in names for depth in range(name.count(".") + 1)})
    for learns in config.trains:
        for prefix in learns:
            if not any(_learns(name, (prefix,)) for name in names):
                raise InputError(f"trains: {unknown('part of the model', prefix, known)}")


@contextmanager
def reproducible(wanted: bool) -> Iterator[None]:
    """Within it, if wanted, every operation gives the same bits each time; one that cannot raises."""
    if not wanted:
        yield
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when CUDA starts
    before, benchmark = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
        torch.backends.cudnn.benchmark = benchmark


def _learns(name: str, learns: tuple[str, ...]) -> bool:
    return not learns or any(name == prefix or name.startswith(prefix + ".") for prefix in learns)


def _parts(batch: Window, parts: int) -> list[Window]:
    """A batch as so many smaller ones, equally large."""
    if parts == 1:
        return [batch]
    cut = {kind: {name: field.chunk(parts) for name, field in fields.items()} for kind, fields in batch.items()}
    return [
        {kind: {name: pieces[i] for name, pieces in fields.items()} for kind, fields in cut.items()}
        for i in range(parts)
    ]


def _step(model: nn.Module, config: TrainConfig) -> Step | None:
    """What is rolled out instead of the model: the model compiled, computed twice to save memory, or both."""
    step: Step = _compiled(model) if config.compile else model
    if not config.recompute:
        return step if config.compile else None

    def again(state: State, forcing: Forcing) -> State:
        return recomputed(step, state, forcing, use_reentrant=False)

    return again


def _compiled(model: nn.Module) -> Step:
    """The model by `torch.compile`; the model itself from the first time on that this fails, and a line in the log."""
    from torch._dynamo.exc import TorchDynamoException

    fused: Step | None = torch.compile(model, dynamic=False)

    def step(state: State, forcing: Forcing) -> State:
        nonlocal fused
        if fused is not None:
            try:
                return fused(state, forcing)
            except TorchDynamoException as error:
                fused = None
                _log.warning("compile: runs plainly, because %s", str(error).strip().splitlines()[0])
        return model(state, forcing)

    return step
