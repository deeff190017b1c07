"""Objectives: what training makes small. DDP wraps an Objective, so a rollout and its loss are one module."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from oceanx.models.named_network import Statistics
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.integrate import rollout
from oceanx.tensors.state import Forcing, State
from oceanx.vocabulary.channels import Channels


class Objective(nn.Module):
    """Mean squared error over a rollout, in units of one step's change: area-weighted, wet cells only.

    L = Σ_v w_v mean_levels,steps ⟨(x_v − y_v)²⟩ / σ²_v / Σ_v w_v, with σ the spread of one step's change and ⟨·⟩ the
    area-weighted mean over the wet cells of a level.

    Parameters
    ----------
    weights
        w by variable name; 1 where not given.
    """

    def __init__(
        self,
        model: nn.Module,
        channels: Channels,
        geometry: Geometry,
        statistics: Statistics,
        weights: dict[str, float],
    ):
        super().__init__()
        self.model, self.channels = model, channels
        total = sum(weights.get(name, 1.0) for name in channels.names)
        for name in channels.names:
            wet = geometry.mask_of(channels.levels(name)) * geometry.area
            share = wet / wet.sum(dim=(-2, -1), keepdim=True).clamp(min=1.0)
            spread = statistics[f"{name}_increment_std"].float()[:, None, None]
            scale = torch.where(spread > 0, spread, 1.0) ** 2
            weight = weights.get(name, 1.0) / total / channels.levels(name)
            self.register_buffer(f"{name}_weight", share / scale * weight, persistent=False)

    def forward(self, state: State, forcings: Sequence[Forcing], targets: Sequence[State]) -> Float[Tensor, ""]:
        losses = [self.loss(x, y) for x, y in zip(rollout(self.model, state, forcings), targets, strict=True)]
        return torch.stack(losses).mean()

    def loss(self, state: State, target: State) -> Float[Tensor, ""]:
        """The loss of one state."""
        errors = [
            ((state[name] - target[name]) ** 2 * self.get_buffer(f"{name}_weight")).sum(dim=(1, 2, 3)).mean()
            for name in self.channels.names
        ]
        return torch.stack(errors).sum()
