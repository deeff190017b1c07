"""NeuralOM: y = x + Δc + N₁(x, f);  x' = y + N₂(y, f, y − x) + …, a network, and networks that correct it.

Δc is the change of climatology, where the task asks for anomalies. Every stage is any network of `nn/`; as published
each is a graph network on an icosahedral mesh, trained over its frozen predecessors. Untrained, it is persistence (of
the anomaly).

References
----------
Gao et al. (2026), Proc. AAAI 40, arXiv:2505.21020.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from oceanx.nn.mesh_network import MeshConfig
from oceanx.nn.registry import NetConfig
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.state import Forcing, Increment, State
from oceanx.vocabulary.channels import CLIMATOLOGY, Task
from oceanx.vocabulary.config import Config

from .background import seasonal
from .named_network import NamedNetwork, Statistics


class NeuralOMConfig(Config):
    """The stages, the first of which forecasts and the others correct.

    `corrections`: what a later stage sees, besides the prediction that it corrects. `forced` shows it the forcing, the
    climatology and what its predecessors changed; `as_published` nothing.

    `writes`: what the stages write. `changes` in units of one step's change; `as_published`, in units of the spread of
    the state itself, the first stage the whole next state (or its anomaly) and the others what is added to it.
    Untrained, the latter is no persistence but the mean (or the climatology).
    """

    kind: Literal["neuralom"] = "neuralom"
    stages: Annotated[tuple[NetConfig, ...], Field(min_length=1)] = (MeshConfig(), MeshConfig())
    corrections: Literal["forced", "as_published"] = "forced"
    writes: Literal["changes", "as_published"] = "changes"

    def build(self, task: Task, geometry: Geometry, statistics: Statistics) -> NeuralOM:
        """The model, untrained."""
        return NeuralOM(self, task, geometry, statistics)


class NeuralOM(nn.Module):
    """y = x + Δc + N₁(x, f);  x' = y + N₂(y, f, y − x) + …: the stages' weights are named `stages.0`, `stages.1` …"""

    def __init__(self, config: NeuralOMConfig, task: Task, geometry: Geometry, statistics: Statistics):
        super().__init__()
        self.task, self.config, self.geometry = task, config, geometry
        forced = config.corrections == "forced"
        hints = task.prognostic.names if forced else ()
        first = NamedNetwork(config.stages[0], task, geometry, statistics)
        later = [NamedNetwork(net, task, geometry, statistics, hints, forced=forced) for net in config.stages[1:]]
        self.stages = nn.ModuleList([first, *later])

    def forward(self, state: State, forcing: Forcing) -> State:
        usual = seasonal(state, forcing)
        prediction = self.predicted(state, usual, forcing)
        for stage in list(self.stages)[1:]:
            changed = (prediction - state) + usual * -1.0
            # It stands at the step's end, where the prediction is, and looks back.
            correction = stage(prediction, Forcing(forcing.next, forcing.now), changed if stage.hints else None)
            prediction = prediction + self.scaled(correction)
        return prediction

    def predicted(self, state: State, usual: Increment, forcing: Forcing) -> State:
        """What the first stage makes of the state and its usual change."""
        change = self.scaled(self.stages[0](state, forcing))
        if self.config.writes == "changes":
            return state + (usual + change)
        return State({name: self._middle(name, forcing) + change[name] for name in state})

    def scaled(self, change: Increment) -> Increment:
        """What a network wrote, in units of the state's spread instead of one step's change if so published."""
        if self.config.writes == "changes":
            return change
        return Increment({name: field * self._ratio(name) for name, field in change.items()})

    def _middle(self, name: str, forcing: Forcing) -> Tensor:
        """What is nothing to the network: the mean of what it standardises, 0 on land."""
        mean: Tensor = self.stages[0].get_buffer(f"{name}_mean") * self.geometry.mask_of(
            self.task.prognostic.levels(name)
        )
        later = forcing.next.get(name + CLIMATOLOGY)
        return mean[None] if later is None else mean + later

    def _ratio(self, name: str) -> Tensor:
        return self.stages[0].get_buffer(f"{name}_std") / self.stages[0].get_buffer(f"{name}_increment_std")
