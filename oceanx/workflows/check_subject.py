"""Subject: a model with an ocean to try it on, for `checks`. From a preset, a config, a run folder or a Model."""

from __future__ import annotations

import copy
import math
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from oceanx import seam
from oceanx.models.named_network import NamedNetwork
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.integrate import Step
from oceanx.tensors.state import Fields, Forcing, Kind, State
from oceanx.vocabulary.channels import Task
from oceanx.vocabulary.config import Config
from oceanx.vocabulary.errors import InputError

from . import runs
from .batching import Windows, unpack
from .made_up import made_up
from .model import Model
from .processes import processes
from .run_setup import prepare, training_data
from .runs import Run
from .train_config import TrainConfig, load_config

Maker = Callable[[Geometry, int], nn.Module]  # the untrained model on a geometry, its first weights by a seed

TOGETHER = 8  # days that are read at once


@dataclass(frozen=True)
class Subject:
    """A model and the days of an ocean.

    Attributes
    ----------
    labelled
        The grid it is tried on.
    windows
        One step each.
    untrained
        The model before training, as far as one can know; the model itself otherwise.
    make
        How it is built anew; None where only the built one is given.
    seed
        Of the noise that stands for training.
    """

    model: Model
    task: Task
    labelled: xr.Dataset
    windows: Windows
    untrained: Step
    make: Maker | None
    seed: int = 0

    @cached_property
    def state(self) -> State:
        """Two start dates, far apart."""
        return unpack(self._pair)[0]

    @cached_property
    def forcing(self) -> Forcing:
        """What is told of their first step."""
        return unpack(self._pair)[1][0]

    @cached_property
    def _pair(self) -> dict[str, dict[str, Tensor]]:
        if len(self.windows) < 2:
            raise InputError(f"time: expected at least three times {self.task.step} apart, to try two start dates")
        return self.windows.__getitems__([0, len(self.windows) // 2])

    @cached_property
    def seen(self) -> tuple[State, State]:
        """Up to eight days of the ocean, and the next."""
        several = np.unique(np.linspace(0, len(self.windows) - 1, 8).astype(int))
        start, _, ends = unpack(self.windows.__getitems__(several.tolist()))
        return start, ends[0]

    def along(self, steps: int) -> Iterator[Forcing]:
        """The forcing of so many steps; from the first again where the days run out."""
        for first in range(0, steps, TOGETHER):
            several = [i % len(self.windows) for i in range(first, min(first + TOGETHER, steps))]
            told = unpack(self.windows.__getitems__(several))[1][0]
            yield from (Forcing(*(one(fields, i) for fields in told)) for i in range(len(several)))

    def wet(self, name: str) -> Tensor:
        """The wet cells of a variable, as booleans `[depth, lat, lon]`."""
        return self._mask if name in self.task.prognostic.volume else self._mask[:1]

    @cached_property
    def _mask(self) -> Tensor:
        return seam.wet_mask(self.labelled).bool()

    def spread(self, name: str) -> float:
        """The standard deviation of a variable in space and time, over its levels together."""
        return float(self.seen[0][name][:, self.wet(name)].std())

    def change(self, name: str) -> float:
        """The root mean square of its true change over one step."""
        start, end = self.seen
        return float((end[name] - start[name])[:, self.wet(name)].square().mean().sqrt())

    def spoken(self) -> nn.Module:
        """A copy of the model whose every weight has been moved, so that all of it has something to say."""
        assert isinstance(self.untrained, nn.Module)
        return moved(copy.deepcopy(self.untrained), self.seed)

    def turned(self, columns: int) -> Geometry:
        """The geometry with the land so many columns further west."""
        mask = self.labelled.mask.roll(longitude=-columns, roll_coords=False)
        return seam.geometry(self.labelled.assign_coords(mask=mask))


def subject_of(model: Any, ds: xr.Dataset | None, task: Task | None, seed: int) -> Subject:
    """The Subject of what a user may name; without a Dataset, on a small ocean that is made up."""
    if isinstance(model, Model):
        return _of_model(model, ds, seed)
    if isinstance(model, str | Path):
        if (Path(model) / "config.yaml").exists():
            return _of_run(Run(model), ds, seed)
        model = load_config(str(model))
    if isinstance(model, TrainConfig):
        return _of_config(model.model, model.task, ds, seed)
    if not isinstance(model, Config) or not hasattr(model, "build"):
        raise InputError(
            f"check_step: found {type(model).__name__}; expected a preset's name, a run folder, a config, or a Model"
        )
    if task is None:
        raise InputError(f"check_step: {type(model).__name__} does not say what it is to forecast; give it a task=")
    return _of_config(model, task, ds, seed)


def _of_config(config: Any, task: Task, ds: xr.Dataset | None, seed: int) -> Subject:
    """Of a model's Config, with statistics and climatology of all the days there are."""
    ds = made_up(task) if ds is None else ds
    plain = TrainConfig.parse({"model": {"kind": "emulator"}, "task": task.dump()})
    with tempfile.TemporaryDirectory() as folder, processes() as here:
        run = Run(Path(folder) / "untrained")
        prepare(plain, training_data(ds, plain), run, here, resume=False, overwrite=False, progress=None)
        (_, statistics), labelled, seasonal = runs.described(run), run.dataset("grid"), run.dataset("climatology")
    name = getattr(config, "kind", type(config).__name__)
    make = partial(_built, config, task, statistics)
    assert labelled is not None
    untrained = make(seam.geometry(labelled), seed)
    model = Model(name, untrained, task=task, grid=labelled, climatology=seasonal)
    return replace(_of_model(model, ds, seed), make=make)


def _of_run(run: Run, ds: xr.Dataset | None, seed: int) -> Subject:
    config, (geometry, statistics) = run.config, runs.described(run)
    model = runs.load(run) if (run / "weights.safetensors").exists() else runs.untrained(run)
    make = partial(_built, config.model, config.task, statistics)
    return replace(_of_model(model, ds, seed), untrained=make(geometry, config.seed), make=make)


def _built(config: Any, task: Task, statistics: Mapping[str, Tensor], geometry: Geometry, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    try:
        module: nn.Module = config.build(task, geometry, statistics)
    except ValueError as error:
        raise InputError(f"model: {error}") from None
    return module.eval()


def _of_model(model: Model, ds: xr.Dataset | None, seed: int) -> Subject:
    if ds is None and (model.grid is not None or model.task is None):
        raise InputError(f"check_step: {model.name} was made for a grid; give a Dataset of it, check_step(model, ds)")
    if ds is None:
        assert model.task is not None
        ds = made_up(model.task)
    model.check(ds)
    task = model.task_for(ds)
    step = model.step.eval() if isinstance(model.step, nn.Module) else model.step
    labelled = model.grid if model.grid is not None else seam.grid_of(ds, task.prognostic)
    return Subject(model, task, labelled, Windows(ds, task, 1, model.climatology), step, None, seed)


def one(fields: Kind, member: int) -> Kind:
    """One member of a batch, as a batch of one."""
    return fields.map(lambda field: field[member : member + 1])


def networks(module: nn.Module) -> list[nn.Module]:
    """The networks inside a model: every `NamedNetwork`, and every net of `oceanx.nn` outside of one."""
    found: list[nn.Module] = []
    for child in module.children():
        inside = type(child).__module__
        if isinstance(child, NamedNetwork) or (inside.startswith("oceanx.nn.") and inside != "oceanx.nn.layers"):
            found.append(child)
        else:
            found += networks(child)
    return found


@contextmanager
def silenced(module: nn.Module) -> Iterator[None]:
    """Within, the networks of a model say nothing, whatever their weights."""
    hooks = [network.register_forward_hook(_nothing) for network in networks(module)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _nothing(module: nn.Module, given: Any, said: Any) -> Any:
    if isinstance(said, Fields):
        return said.map(torch.zeros_like)
    return torch.zeros_like(said) if isinstance(said, Tensor) else said


def turns_by(module: nn.Module) -> int | None:
    """By how many columns a model's longitude may be turned; None where it promises nothing of the kind.

    A model or a network says so by an attribute `turns_by`. A model that does not turns as its networks do.
    """
    said = getattr(module, "turns_by", None)
    if said is not None:
        return int(said)
    inside = [network.net if isinstance(network, NamedNetwork) else network for network in networks(module)]
    each = [int(getattr(net, "turns_by", None) or 0) for net in inside]
    return math.lcm(*each) if each and all(each) else None


@torch.no_grad()
def moved(module: nn.Module, seed: int) -> nn.Module:
    """The module with noise on every weight, a tenth of what there is; where there is nothing, what keeps a layer's
    output small."""
    random = torch.Generator().manual_seed(seed)
    for weight in module.parameters():
        size = float(weight.square().mean().sqrt())
        fan = weight[0].numel() if weight.ndim > 1 else 4
        noise = torch.randn(weight.shape, generator=random).to(weight)
        weight.add_(noise, alpha=0.1 * size if size > 0 else 0.1 / math.sqrt(fan))
    return module
