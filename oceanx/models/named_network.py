"""A network between named fields: it reads what has unit variance and writes in units of one step's change.

Normalisation belongs to the network: everything outside is in physical units.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from oceanx.nn.layers import says_nothing
from oceanx.nn.registry import NetConfig
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.state import Fields, Forcing, Increment, State, split
from oceanx.vocabulary.channels import CLIMATOLOGY, Task

Statistics = Mapping[str, Tensor]  # "<name>_mean", "<name>_std", "<name>_increment_std", each one value a level


class NamedNetwork(nn.Module):
    """N(x, f): state and forcing in, an `Increment` of prognostic variables out; zero while untrained.

    It reads, in this order: the state; the forcing at both ends of the step; with `task.anomalies` the climatology
    and its change over the step; `hints`, further changes that a model wants it to see; further channels that are
    standardised already; the wet mask, and latitude.

    Parameters
    ----------
    hints
        Names of prognostic variables for which `forward` is given an `Increment` to look at.
    reads
        The prognostic variables that it sees; by default all.
    writes
        The prognostic variables that it changes; by default all.
    forced
        Whether it sees the forcing, and the climatology.
    further
        How many channels `forward` is given in `more`, of unit variance and 0 on land.
    maps
        How many maps it writes of every variable and level; `written` gives more than one.
    instant
        Whether it is of one moment: it sees the forcing at the step's beginning alone, and no change of climatology.
    """

    def __init__(
        self,
        net: NetConfig,
        task: Task,
        geometry: Geometry,
        statistics: Statistics,
        hints: tuple[str, ...] = (),
        *,
        reads: tuple[str, ...] | None = None,
        writes: tuple[str, ...] | None = None,
        forced: bool = True,
        further: int = 0,
        maps: int = 1,
        instant: bool = False,
    ):
        super().__init__()
        self.task, self.geometry, self.hints = task, geometry, hints
        self.reads, self.forced = task.prognostic.only(reads or task.prognostic.names), forced
        self.moments = 1 if instant else 2
        self.writes = task.prognostic.only(writes or task.prognostic.names)
        depth = task.prognostic.levels
        for name in task.names:
            for kind in ("mean", "std"):
                self._keep(f"{name}_{kind}", statistics)
        for name in task.prognostic.names:
            self._keep(f"{name}_increment_std", statistics)
            if task.anomalies:
                for kind in ("mean", "std"):
                    self._keep(f"{name}{CLIMATOLOGY}_{kind}", statistics)
        read = len(self.reads)
        if forced:
            read += self.moments * (len(task.forcing) + (len(self.reads) if task.anomalies else 0))
        read += sum(depth(name) for name in hints) + further + len(geometry.mask) + 2
        self.net = net.build(read, maps * len(self.writes), geometry)
        self.bf16 = False  # training may have the network computed in bfloat16; what is around it never is
        self.rests = False  # training need not compute what is frozen while it says nothing: see `rest`

    def forward(
        self, state: State, forcing: Forcing, hints: Fields | None = None, more: Tensor | None = None
    ) -> Increment:
        if self.rests:
            nothing = torch.zeros(len(next(iter(state.values()))), 1, 1, 1, device=self.geometry.mask.device)
            return Increment({name: self._physical(name, nothing) for name in self.writes.names})
        written = split(self.written(state, forcing, hints, more), self.writes)
        return Increment({name: self._physical(name, field) for name, field in written.items()})

    def written(
        self, state: State, forcing: Forcing, hints: Fields | None = None, more: Tensor | None = None
    ) -> Float[Tensor, "batch channel lat lon"]:
        """What the network says of all it reads, in no unit yet, and on land too."""
        features = [self._standard(name, state[name], forcing.now) for name in self.reads.names]
        if self.forced:
            for fields in forcing[: self.moments]:
                features += [self._standard(name, fields[name], fields) for name in self.task.forcing.names]
            if self.task.anomalies:
                features += self._season(forcing)
        features += [self._scaled(name, hints[name]) for name in self.hints] if hints is not None else []
        features += [more] if more is not None else []
        features.append(self._static(features[0]))
        read = torch.cat(features, dim=1)
        with torch.autocast(read.device.type, torch.bfloat16, enabled=self.bf16):
            return self.net(read)

    def _keep(self, name: str, statistics: Statistics) -> None:
        value = statistics[name].float()[:, None, None]
        spread = not name.endswith("_mean")
        # A level that never varies (all land, or constant) must not divide by zero.
        self.register_buffer(name, torch.where(value > 0, value, 1.0) if spread else value, persistent=False)

    def _value(self, name: str) -> Tensor:
        return self.get_buffer(name)

    def _wet(self, name: str) -> Tensor:
        return self.geometry.mask_of(self.task.prognostic.levels(name))

    def _standard(self, name: str, field: Tensor, fields: Fields) -> Tensor:
        """The anomaly (or, without climatology, the field about its mean) in units of its spread; 0 on land."""
        if name + CLIMATOLOGY in fields:
            field = field - fields[name + CLIMATOLOGY]
        standard = (field - self._value(f"{name}_mean")) / self._value(f"{name}_std")
        return standard * self._wet(name) if name in self.task.prognostic.names else standard

    def _scaled(self, name: str, change: Tensor) -> Tensor:
        """A change in units of the spread of one step's change; 0 on land."""
        return change / self._value(f"{name}_increment_std") * self._wet(name)

    def _season(self, forcing: Forcing) -> list[Tensor]:
        """The climatology about its own mean and spread, and its change over the step."""
        features = []
        for name in self.reads.names:
            key = name + CLIMATOLOGY
            now, later = forcing.now[key], forcing.next[key]
            features.append((now - self._value(f"{key}_mean")) / self._value(f"{key}_std") * self._wet(name))
            if self.moments > 1:
                features.append(self._scaled(name, later - now))
        return features

    def _static(self, like: Tensor) -> Tensor:
        latitude = torch.deg2rad(self.geometry.latitude)[:, None].expand(like.shape[-2:])
        static = torch.cat([self.geometry.mask, torch.stack([latitude.sin(), latitude.cos()])])
        return static.to(like.dtype).expand(like.shape[0], -1, -1, -1)

    def _physical(self, name: str, written: Tensor) -> Tensor:
        spread = self._value(f"{name}_increment_std")  # in whose precision the ocean is; the network may have less
        return written.to(spread.dtype) * spread * self._wet(name)


def rest(model: nn.Module) -> None:
    """Have no network of a model computed that is frozen while it says nothing, until this is asked again.

    A later stage of training begins where a network is still silent: before, computing it changes no number.
    """
    for module in model.modules():
        if isinstance(module, NamedNetwork):
            frozen = not any(parameter.requires_grad for parameter in module.net.parameters())
            module.rests = frozen and says_nothing(module.net)
