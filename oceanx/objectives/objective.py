"""Objective: a rollout and its losses as one module, so that what wraps modules for many processes wraps both."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from oceanx.models.named_network import Statistics
from oceanx.physics.coefficients import penalty
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.integrate import Step, rollout
from oceanx.tensors.state import Forcing, State
from oceanx.vocabulary.channels import Channels

from .losses import MSE, LossConfig, Measure


class Objective(nn.Module):
    """The sum of losses, each by its share, averaged over the steps of a rollout; by default the mean squared error.

    Parameters
    ----------
    weights
        Of variables, by name; 1 where not given.
    losses
        Of `losses`; what they say of one state is added up.
    step
        What to roll out in the model's place: the model itself, compiled or computed twice to save memory.
    prior
        How much the coefficients' distance from their priors counts; 0 leaves it out.
    """

    def __init__(
        self,
        model: nn.Module,
        channels: Channels,
        geometry: Geometry,
        statistics: Statistics,
        weights: dict[str, float],
        losses: Sequence[LossConfig] = (MSE(),),
        step: Step | None = None,
        prior: float = 0.0,
    ):
        super().__init__()
        self.model, self.channels, self.step, self.prior = model, channels, step, prior
        measure = Measure(channels, geometry, statistics, weights)
        self.shares = [config.share for config in losses]
        self.losses = nn.ModuleList(config.build(measure) for config in losses)

    def forward(self, state: State, forcings: Sequence[Forcing], targets: Sequence[State]) -> Float[Tensor, ""]:
        reached = rollout(self.step or self.model, state, forcings)
        losses = [self.loss(x, y, f) for x, y, f in zip(reached, targets, forcings, strict=True)]
        total = torch.stack(losses).mean()
        return total + self.prior * penalty(self.model) if self.prior else total

    def loss(self, state: State, target: State, forcing: Forcing) -> Float[Tensor, ""]:
        """The loss of one state, reached in a step with this forcing."""
        losses = [
            share * loss(state, target, forcing.next) for share, loss in zip(self.shares, self.losses, strict=True)
        ]
        return torch.stack(losses).sum()

    @torch.no_grad()
    def worst(self, state: State, forcings: Sequence[Forcing], targets: Sequence[State]) -> str:
        """What is wrong first with a rollout: the variable that is no number, or else the one that is furthest off."""
        off: dict[str, float] = {}
        for number, (x, y) in enumerate(
            zip(rollout(self.step or self.model, state, forcings), targets, strict=True), start=1
        ):
            for name in self.channels.names:
                if not x[name].isfinite().all():
                    return f"{name} is no number after step {number}"
                spread = (y[name] - y[name].mean()).abs().max().clamp(min=1e-6)
                off[name] = float((x[name] - y[name]).abs().max() / spread)
        name = max(off, key=lambda name: off[name])
        return f"{name} is furthest off, by {off[name]:.3g} times the truth's own range"
