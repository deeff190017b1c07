"""Ensemble filters on Lorenz-96: its Setting, and the scores of a method over many cycles."""

from __future__ import annotations

import lorenz96
import torch

from oceanx.tensors.geometry import Geometry
from oceanx.variational.analysis import Setting, Window
from oceanx.vocabulary.channels import Channels
from oceanx.vocabulary.config import Config


def setting() -> Setting:
    """Forty points around a circle, 1 km apart."""
    edges, level = 1000.0 * torch.arange(41, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    mask = torch.ones(1, 1, 40, dtype=torch.float64)
    plane = Geometry.plane(edges[:2], edges, level, level + 1, mask, (True, False), dtype=torch.float64)
    return Setting(Channels(surface=("x",)), plane, {"x": mask}, {"x": 4000.0}, {})


def scored(config: Config, cycles: int = 1300, spin_up: int = 200, seed: int = 0) -> tuple[float, float]:
    """Mean RMSE of the analyses' mean, and mean spread, every point observed every step with a σo of 1."""
    method, truth = config.build(setting()), lorenz96.truth(cycles, seed)
    random = torch.Generator().manual_seed(seed + 1)
    start = truth[0] + torch.randn(method.members, 40, generator=random, dtype=torch.float64)
    state, errors, spreads = lorenz96.members(start), [], []
    for cycle in range(1, cycles):
        state = lorenz96.step(state)
        state = state + method(state, Window(lorenz96.observed(truth[cycle], random), seed=cycle)).increment
        if cycle > spin_up:
            x = lorenz96.values(state)
            errors.append(float((x.mean(0) - truth[cycle]).square().mean().sqrt()))
            spreads.append(float(x.var(0).mean().sqrt()))
    return sum(errors) / len(errors), sum(spreads) / len(spreads)
