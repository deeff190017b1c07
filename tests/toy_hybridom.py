"""Toy tensors for HybridOM: an ocean with salt, sea ice where it is asked for, and a parent, all 0 on land."""

from __future__ import annotations

from itertools import pairwise

import torch
import toy_tensors as toy

from oceanx.nn.paramnet import ParamNetConfig
from oceanx.physics.vorticity_ice import ICE
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.state import Fields, Forcing, State
from oceanx.vocabulary.channels import CLIMATOLOGY, Channels, Task

DAY = 86400.0
VOLUME = ("thetao", "so", "uo", "vo")
PARENT = tuple(f"{name}_parent" for name in (*VOLUME, "zos"))
LIKELY = {
    "thetao": (15.0, 2.0),
    "so": (35.0, 0.5),
    "uo": (0.0, 0.2),
    "vo": (0.0, 0.2),
    "zos": (0.1, 0.2),
    "siconc": (0.5, 0.1),
    "sithick": (1.0, 0.1),
    "usi": (0.0, 0.1),
    "vsi": (0.0, 0.1),
    "u10": (3.0, 4.0),
}
PLAIN = {"compile": False}
TINY = ParamNetConfig(
    embed=8, latent=16, spatial_layers=2, latent_layers=3, heads=2, window=2, ratio=2, drop_path=0.0
).model_dump()
NETS = {"inverse": TINY, "net": TINY}


def task(anomalies: bool = False, ice: bool = False, parent: bool = False) -> Task:
    return Task(
        prognostic=Channels(volume=VOLUME, surface=("zos", *(ICE if ice else ())), depth=toy.DEPTH),
        forcing=Channels(
            volume=PARENT[:4] if parent else (), surface=("u10", *(PARENT[4:] if parent else ())), depth=toy.DEPTH
        ),
        anomalies=anomalies,
    )


def statistics(task: Task) -> dict[str, torch.Tensor]:
    """Means, spreads and spreads of one day's change; different at every level."""
    random, found = torch.Generator().manual_seed(0), {}
    for channels in (task.prognostic, task.forcing):
        for name in channels.names:
            (mean, std), levels = LIKELY[name.removesuffix("_parent")], channels.levels(name)
            share = 0.9 + 0.2 * torch.rand(levels, generator=random)
            for kind, value in (("mean", mean), ("std", std), ("increment_std", 0.1 * std)):
                found |= {f"{name}_{kind}": value * share, f"{name}{CLIMATOLOGY}_{kind}": value * share}
    return found


def fields(channels: Channels, geometry: Geometry, batch: int = 1, seed: int = 0) -> dict[str, torch.Tensor]:
    random, made = torch.Generator().manual_seed(seed), {}
    for name in channels.names:
        mean, std = LIKELY[name.removesuffix("_parent")]
        field = mean + std * torch.randn(batch, channels.levels(name), *geometry.area.shape, generator=random)
        made[name] = field if name == "u10" else field * geometry.mask_of(channels.levels(name))
    return made


def state(task: Task, geometry: Geometry, batch: int = 1, seed: int = 0) -> State:
    return State(fields(task.prognostic, geometry, batch, seed))


def forcings(task: Task, geometry: Geometry, steps: int = 1, batch: int = 1, seed: int = 100) -> list[Forcing]:
    """The forcing of so many steps: each begins where the last one ended."""
    told = []
    for i in range(steps + 1):
        made = fields(task.forcing, geometry, batch, seed + 10 * i)
        for j, channels in enumerate((task.prognostic, task.forcing) if task.anomalies else ()):
            usual = fields(channels, geometry, batch, seed + 10 * i + j + 1)
            made |= {name + CLIMATOLOGY: field for name, field in usual.items()}
        told.append(Fields(made))
    return [Forcing(now, later) for now, later in pairwise(told)]


def single(fields, i):
    return fields.map(lambda field: field[i : i + 1])
