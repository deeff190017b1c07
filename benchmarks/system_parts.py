"""The systems at their published sizes: their configs, an ocean made up for them, and what they are made of."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from math import prod
from pathlib import Path
from typing import Any, get_args
from unittest import mock

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from zarr.codecs import BloscCodec

from oceanx import seam
from oceanx.data.shelf.catalog import open_store
from oceanx.data.writing.chunking import layout
from oceanx.models.named_network import NamedNetwork
from oceanx.nn.registry import NetConfig
from oceanx.ocean import grid
from oceanx.tensors.state import Fields, Forcing, State
from oceanx.vocabulary.channels import CLIMATOLOGY, Task
from oceanx.workflows import runs
from oceanx.workflows.made_up import made_up
from oceanx.workflows.processes import Processes
from oceanx.workflows.run_setup import prepare, training_data
from oceanx.workflows.runs import Run
from oceanx.workflows.train_config import TrainConfig, preset

PUBLISHED = {  # presets, their rows and columns
    "neuralogcm": (120, 240),
    "neuralom": (360, 720),
    "hybridom": (360, 720),
    "hybridom_0p25": (720, 1440),
    "hybridom_regional": (180, 360),
    "ocean_e2e": (360, 720),
}
NETS = tuple(str(net.model_fields["kind"].default) for net in get_args(get_args(NetConfig)[0]))
WHOSE = "hybridom"  # channels and grid a network by itself is given, in the emulator
REGIONS = {"hybridom_regional": (15.0, 60.0, -180.0, -90.0)}  # south, north, west, east; all else is the globe
GLOBE = (-90.0, 90.0, -180.0, 180.0)
HARMONICS = 3  # of the climatology, as in every preset
RATE = 1e-6  # a learning rate with which a few steps change next to nothing
Shape = tuple[int, int]


def system_of(name: str) -> str:
    """The preset whose channels and grid a system has."""
    return name if name in PUBLISHED else WHOSE


def config_of(name: str, batch: int = 1, iterations: int = 1, recompute: bool = False) -> TrainConfig:
    """Its preset, for a few iterations of one step in each of the stages that train something else."""
    stages = dict.fromkeys(preset(system_of(name)).trains) if name in PUBLISHED else {(): None}
    changes: dict[str, Any] = {
        "train": None, "validation": None, "rollout": [1] * len(stages), "iterations": [iterations],
        "batch_size": [batch], "trains": [list(names) for names in stages], "learning_rate": RATE, "harmonics": 0,
        "recompute": recompute, "workers": 0, "log": [],
    }  # fmt: skip
    if name not in PUBLISHED:
        changes["model"] = {"kind": "emulator", "net": {"kind": name}}
    return preset(system_of(name), **changes)


def ocean(name: str, shape: Shape, days: int, path: Path) -> xr.Dataset:
    """So many days of an ocean with everything that a system reads, from a store that has the chunks of a bake."""
    if not path.exists():
        ds = made_up(config_of(name).task, days, *shape).drop_vars(["cell_area", "thickness"])
        ds = grid.complete(ds.assign_coords(_places(name, shape)))
        encoding = {}
        for variable, field in ds.data_vars.items():
            cut = layout(field.shape[1:], 1, "training")
            codec = BloscCodec(cname="lz4", clevel=5, shuffle="shuffle", typesize=4)
            encoding[variable] = {"chunks": cut.chunks, "shards": cut.shards, "compressors": codec}
        ds.to_zarr(path, zarr_format=3, consolidated=False, encoding=encoding)
    return open_store(path)


def _places(name: str, shape: Shape) -> dict[str, Any]:
    south, north, west, east = REGIONS.get(name, GLOBE)
    latitude, longitude = (
        first + (last - first) * (np.arange(size) + 0.5) / size
        for first, last, size in ((south, north, shape[0]), (west, east, shape[1]))
    )
    return {"latitude": latitude, "longitude": longitude}


def begun(config: TrainConfig, ds: xr.Dataset, to: Path, here: Processes) -> Run:
    """A run folder to train in, its climatology of a few days told with the harmonics of a year, all of them 0."""
    run = prepare(config, training_data(ds, config), to, here, resume=False, overwrite=True, progress=None)
    mean = run.dataset("climatology")
    if mean is not None:
        run.save_dataset("climatology", mean.reindex(harmonic=range(2 * HARMONICS + 1), fill_value=0.0))
    return run


def counted(
    name: str, config: TrainConfig, statistics: Mapping[str, Tensor], shape: Shape, stages: Mapping[str, Any]
) -> dict[str, int]:
    """Parameters on a grid, and floating-point operations of the products in a step on it, of a batch of one.

    Matrix products, convolutions and attention are counted, a multiplication and an addition as two; physics, norms,
    activations and Fourier transforms have none of them. No number is computed: the tensors are without values.

    Parameters
    ----------
    stages
        By a stage's name, the names of the parameters that learn in it and those of the networks that rest.
    """
    task = config.task
    labelled = xr.Dataset(coords=_places(name, shape) | {"depth": list(task.prognostic.depth)})
    wet = xr.DataArray(np.ones((len(labelled.depth), *shape), "int8"), dims=("depth", "latitude", "longitude"))
    labelled = seam.grid_of(labelled.assign_coords(mask=wet), task.prognostic)
    model = runs.build(config, seam.geometry(labelled), dict(statistics))
    sizes = {parameter: value.numel() for parameter, value in model.named_parameters()}
    counts = {"parameters": sum(sizes.values())}
    model = model.to("meta")
    given = _without_values(task, shape)
    counts["forecast"] = _operations(lambda: model.eval()(*given))
    for stage, (learned, resting) in stages.items():
        for parameter, value in model.named_parameters():
            value.requires_grad_(parameter in learned)
        networks = {each: module for each, module in model.named_modules() if isinstance(module, NamedNetwork)}
        for each, network in networks.items():
            network.rests = each in resting
        counts[f"train {stage}"] = _operations(lambda: _backward(model.train(), *given))
        counts[f"learned {stage}"] = sum(sizes[parameter] for parameter in learned)
    return counts


def _without_values(task: Task, shape: Shape) -> tuple[State, Forcing]:
    def fields(names: tuple[str, ...], suffix: str = "") -> dict[str, Tensor]:
        whose = {n: task.prognostic if n in task.prognostic.names else task.forcing for n in names}
        return {n + suffix: torch.empty(1, whose[n].levels(n), *shape, device="meta") for n in names}

    told = Fields(fields(task.forcing.names) | (fields(task.names, CLIMATOLOGY) if task.anomalies else {}))
    return State(fields(task.prognostic.names)), Forcing(told, told)


def _backward(model: nn.Module, state: State, forcing: Forcing) -> None:
    reached: State = model(state, forcing)
    torch.stack([field.sum() for field in reached.values()]).sum().backward()


def _operations(work: Callable[[], object]) -> int:
    with _plainly(), FlopCounterMode(display=False, custom_mapping={_CONVOLUTION_BACKWARD: _of_convolution}) as counter:
        work()
    return counter.get_total_flops()


@contextmanager
def _plainly() -> Iterator[None]:
    """Nothing compiled, and no precision chosen: tensors without values know neither."""
    with (
        mock.patch.dict(os.environ, {"OCEANX_COMPILE": "0"}),
        mock.patch.object(torch, "autocast", return_value=nullcontext()),
    ):
        yield


_CONVOLUTION_BACKWARD = torch.ops.aten.convolution_backward


def _of_convolution(grad: Any, x: Any, weight: Any, *args: Any, out_shape: Any = None, **options: Any) -> int:
    """Of a convolution's gradients: as much for each as forward. (PyTorch's own count forgets groups of channels.)"""
    transposed, sought = args[4], args[7]
    places = (x if transposed else grad)[2:]
    return 2 * grad[0] * prod(places) * prod(weight) * sum(map(bool, sought[:2]))
