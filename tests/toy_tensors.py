"""Toy tensors for tests of models: a small ocean with a coast, its statistics, states and forcings."""

from __future__ import annotations

from itertools import pairwise

import torch

from oceanx.tensors.geometry import Geometry
from oceanx.tensors.integrate import rollout
from oceanx.tensors.state import Fields, Forcing, State
from oceanx.vocabulary.channels import CLIMATOLOGY, Channels, Task

DEPTH = (5.0, 30.0)
TYPICAL = {"thetao": (15.0, 2.0), "uo": (0.0, 0.3), "vo": (0.0, 0.3), "zos": (0.1, 0.2), "u10": (3.0, 4.0)}


def task(anomalies: bool = False) -> Task:
    ocean = Channels(volume=("thetao", "uo", "vo"), surface=("zos",), depth=DEPTH)
    return Task(prognostic=ocean, forcing=Channels(surface=("u10",)), anomalies=anomalies)


def geometry(periodic: bool = False, nlat: int = 7, nlon: int = 10) -> Geometry:
    mask = torch.ones(2, nlat, nlon)
    mask[:, 0], mask[:, 2:4, 4:6], mask[1, 5:, 7:] = 0, 0, 0
    lat, lon = torch.linspace(20.0, 27.0, nlat + 1), torch.linspace(-180.0, 180.0 if periodic else -170.0, nlon + 1)
    return Geometry(lat, lon, torch.tensor(DEPTH), torch.tensor([10.0, 40.0]), mask, periodic=periodic)


def statistics(task: Task, seed: int = 0) -> dict[str, torch.Tensor]:
    """Means, spreads and spreads of one day's change; different at every level."""
    random, found = torch.Generator().manual_seed(seed), {}
    for channels in (task.prognostic, task.forcing):
        for name in channels.names:
            (mean, std), levels = TYPICAL[name], channels.levels(name)
            share = 0.5 + torch.rand(levels, generator=random)
            found |= {f"{name}_mean": mean * share, f"{name}_std": std * share}
            found |= {f"{name}_increment_std": 0.1 * std * share.flip(0)}
            found |= {f"{name}{CLIMATOLOGY}_mean": mean * share, f"{name}{CLIMATOLOGY}_std": 3 * std * share}
    return found


def fields(channels: Channels, geometry: Geometry, batch: int = 1, seed: int = 0) -> dict[str, torch.Tensor]:
    """Random fields of typical size, 0 on land; the atmosphere is everywhere."""
    random, made = torch.Generator().manual_seed(seed), {}
    for name in channels.names:
        (mean, std), levels = TYPICAL[name], channels.levels(name)
        field = mean + std * torch.randn(batch, levels, *geometry.area.shape, generator=random)
        made[name] = field if name == "u10" else field * geometry.mask_of(levels)
    return made


def state(task: Task, geometry: Geometry, batch: int = 1, seed: int = 0) -> State:
    return State(fields(task.prognostic, geometry, batch, seed))


def forcings(task: Task, geometry: Geometry, steps: int, batch: int = 1, seed: int = 100) -> list[Forcing]:
    """The forcing of so many steps: each begins where the last one ended."""

    def told(seed: int) -> Fields:
        made = fields(task.forcing, geometry, batch, seed)
        if task.anomalies:
            known = fields(task.prognostic, geometry, batch, seed + 1) | fields(task.forcing, geometry, batch, seed + 2)
            made |= {name + CLIMATOLOGY: field for name, field in known.items()}
        return Fields(made)

    instants = [told(seed + 10 * i) for i in range(steps + 1)]
    return [Forcing(now, later) for now, later in pairwise(instants)]


def train_a_little(module: torch.nn.Module, seed: int = 0) -> None:
    """Move every parameter off its initial value, so that the network has something to say."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=random)


def followed_back(model: torch.nn.Module, start: State, told: list[Forcing]) -> tuple[State, list[Forcing]]:
    """Start and forcings of a rollout, holding the gradients of the sum of squares at its end."""

    def watched(fields: Fields) -> Fields:
        return fields.map(lambda field: field.clone().requires_grad_())

    start, told = watched(start), [Forcing(*map(watched, forcing)) for forcing in told]
    last = list(rollout(model, start, told))[-1]
    sum(field.square().sum() for field in last.values()).backward()
    return start, told
