"""The observation operator H on tensors: from the states of a window to what was observed in it.

Each observation is a weighted sum of a few cells: gather, multiply, sum. The weights come from coordinates and mask
alone (`oceanx.ocean.interpolation`), so H is linear and its adjoint scatters with the same numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from .state import Fields, Increment


class Part(NamedTuple):
    """The rows of H that look at one variable.

    Attributes
    ----------
    rows
        Which observations these are.
    cells
        Their cells, counted through `[time, level, lat, lon]` in C order.
    weight
        How much of each cell.
    shape
        Levels, rows and columns of the variable's field.
    """

    rows: Int[Tensor, " row"]
    cells: Int[Tensor, "row corner"]
    weight: Float[Tensor, "row corner"]
    shape: tuple[int, int, int]


class Operator:
    """H of a window: `H(states)` is `[batch, obs]`, `H.adjoint(values)` one Increment for each of its times.

    Parameters
    ----------
    parts
        By variable. Every observation belongs to exactly one of them.
    size
        How many observations there are.
    times
        How many states the window has, whose cells are counted.
    """

    def __init__(self, parts: Mapping[str, Part], size: int, times: int = 1):
        self.parts, self.size, self.times = dict(parts), size, times

    def __call__(self, states: Fields | Sequence[Fields]) -> Float[Tensor, "batch obs"]:
        states = [states] if isinstance(states, Fields) else list(states)
        if len(states) != self.times:
            raise ValueError(f"{len(states)} states for an observation operator of {self.times} times")
        first = next(iter(states[0].values()))
        result = first.new_zeros(len(first), self.size)
        for name, part in self.parts.items():
            flat = torch.cat([state[name].flatten(1) for state in states], dim=1)
            corners = flat.index_select(1, part.cells.flatten()).unflatten(1, part.cells.shape)
            result = result.index_copy(1, part.rows, (corners * part.weight.to(flat.dtype)).sum(-1))
        return result

    def adjoint(self, values: Float[Tensor, "batch obs"]) -> list[Increment]:
        """Hᵀ y: what each state of the window gets of values at the observations, in the variables observed."""
        batch, fields = len(values), {}
        for name, part in self.parts.items():
            flat = values.new_zeros(batch, self.times * part.shape[0] * part.shape[1] * part.shape[2])
            spread = values.index_select(1, part.rows)[:, :, None] * part.weight.to(values.dtype)
            flat = flat.index_add(1, part.cells.flatten(), spread.flatten(1))
            fields[name] = flat.reshape(batch, self.times, *part.shape)
        return [Increment({name: field[:, time] for name, field in fields.items()}) for time in range(self.times)]

    def keep(self, which: Bool[Tensor, " obs"]) -> Operator:
        """The operator of some of the observations, in their order."""
        place = which.cumsum(0) - 1
        parts = {}
        for name, part in self.parts.items():
            mine = which[part.rows]
            parts[name] = Part(place[part.rows[mine]], part.cells[mine], part.weight[mine], part.shape)
        return Operator({name: part for name, part in parts.items() if len(part.rows)}, int(which.sum()), self.times)

    def to(self, device: torch.device | str) -> Operator:
        """The same on another device."""
        moved = {
            name: Part(part.rows.to(device), part.cells.to(device), part.weight.to(device), part.shape)
            for name, part in self.parts.items()
        }
        return Operator(moved, self.size, self.times)
