"""Emulator: x' = x + Δc + N(x, f), any network of `nn/` around the last state.

Δc is the change of climatology, where the task asks for anomalies. Untrained, it is persistence (of the anomaly).
"""

from __future__ import annotations

from typing import Literal

from torch import nn

from oceanx.nn.registry import NetConfig
from oceanx.nn.unet import UNetConfig
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.state import Forcing, State
from oceanx.vocabulary.channels import Task
from oceanx.vocabulary.config import Config

from .background import seasonal
from .named_network import NamedNetwork, Statistics


class EmulatorConfig(Config):
    """An emulator and the network inside it."""

    kind: Literal["emulator"] = "emulator"
    net: NetConfig = UNetConfig()

    def build(self, task: Task, geometry: Geometry, statistics: Statistics) -> Emulator:
        """The model, untrained."""
        return Emulator(self, task, geometry, statistics)


class Emulator(nn.Module):
    """x' = x + Δc + N(x, f)."""

    def __init__(self, config: EmulatorConfig, task: Task, geometry: Geometry, statistics: Statistics):
        super().__init__()
        self.task = task
        self.network = NamedNetwork(config.net, task, geometry, statistics)

    def forward(self, state: State, forcing: Forcing) -> State:
        return state + (seasonal(state, forcing) + self.network(state, forcing))

    def skeleton(self, state: State, forcing: Forcing) -> State:
        """What it is without its network: persistence (of the anomaly)."""
        return state + seasonal(state, forcing)
