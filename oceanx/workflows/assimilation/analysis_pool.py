"""Pool: the trajectories that a learned analysis is trained on, each some way into a cycle of its own.

A network that only ever corrected the climatology would not know the backgrounds that its own analyses lead to. So
training goes on from where it left a trajectory, and now and then begins one again from the climatology.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from oceanx.tensors.state import Fields, State

_STATE, _EXPECTED, _TIME, _NETWORK = "state.", "expected.", "time", "network"
UNBORN = np.iinfo(np.int64).min


@dataclass
class Trajectories:
    """Some rows of the pool: states, the variance expected of them, dates, and the seeds of their networks."""

    state: State
    expected: Fields
    time: np.ndarray
    network: np.ndarray


class Pool:
    """Trajectories as tensors by name, which a checkpoint keeps; those of time `UNBORN` have not begun."""

    def __init__(self, size: int, like: State):
        zeros = {name: torch.zeros(size, *field.shape[1:]) for name, field in like.items()}
        self.tensors: dict[str, Tensor] = {_STATE + name: field for name, field in zeros.items()}
        self.tensors |= {_EXPECTED + name: field.clone() for name, field in zeros.items()}
        self.tensors[_TIME] = torch.full((size,), UNBORN)
        self.tensors[_NETWORK] = torch.zeros(size, dtype=torch.int64)

    def __len__(self) -> int:
        return len(self.tensors[_TIME])

    def take(self, rows: Sequence[int]) -> Trajectories:
        """Some of them."""
        index = torch.as_tensor(list(rows))
        fields = {name: tensor[index] for name, tensor in self.tensors.items()}
        return Trajectories(
            State(_below(fields, _STATE)), Fields(_below(fields, _EXPECTED)),
            fields[_TIME].numpy(), fields[_NETWORK].numpy(),
        )  # fmt: skip

    def put(self, rows: Sequence[int], gone_on: Trajectories) -> None:
        """Where they have got to since."""
        index = torch.as_tensor(list(rows))
        values = {_STATE + name: field for name, field in gone_on.state.items()}
        values |= {_EXPECTED + name: field for name, field in gone_on.expected.items()}
        values |= {_TIME: torch.from_numpy(gone_on.time), _NETWORK: torch.from_numpy(gone_on.network)}
        for name, value in values.items():
            self.tensors[name][index] = value.detach().to(self.tensors[name])

    def forget(self, rows: Sequence[int]) -> None:
        """Some of them have not begun."""
        self.tensors[_TIME][torch.as_tensor(list(rows))] = UNBORN


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
