"""The way of a model through one window: what it is told at each step, and the states it reaches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from oceanx.tensors.state import Fields, Forcing, Increment, State
from oceanx.vocabulary.channels import Task

from ..model import Model
from ..stepping import Atmosphere, refuse_blow_up, told

AT_ONCE = 2**28  # bytes of state that the model is given together


class Course:
    """The steps from one date on: `course.step(state, 0)` is the state a step after it.

    Every row of a batch is told the same; what was read once is kept. Damped persistence counts its leads from here.
    """

    def __init__(self, model: Model, task: Task, air: Atmosphere, mask: Tensor, begin: np.datetime64):
        self.model, self.task, self.mask = model, task, mask
        self.starts = np.array([begin])
        self._one = pd.Timedelta(task.step).to_timedelta64()
        self._weather = air.begin(self.starts)
        self._told: dict[int, Fields] = {}

    def told(self, number: int) -> Fields:
        """What the model is told so many steps after the beginning, a batch of one."""
        if number not in self._told:
            lead = number * self._one
            weather = self._weather(lead, State({}))
            self._told[number] = told(self.model, self.task, self.starts, lead, weather)
        return self._told[number]

    def step(self, state: State, number: int) -> State:
        """The state after the step of this number.

        Raises
        ------
        InputError
            If it is no longer a number.
        """
        size = len(next(iter(state.values())))
        many = max(1, AT_ONCE // (4 * sum(field[0].numel() for field in state.values())))
        pieces = [State({n: x[i : i + many] for n, x in state.items()}) for i in range(0, size, many)]
        parts = [self._stepped(piece, number) for piece in pieces]
        after = parts[0] if len(parts) == 1 else State({n: torch.cat([part[n] for part in parts]) for n in state})
        starts = np.repeat(self.starts, size)
        refuse_blow_up(after, self.mask, starts, (number + 1) * self._one, "the model's sea")
        return after

    def trajectory(self, state: State, steps: int) -> Sequence[State]:
        """The states at `steps` times, the given one first."""
        states = [state]
        for number in range(steps - 1):
            states.append(self.step(states[-1], number))
        return states

    def spread(self, state: State, increment: Increment, steps: int) -> Sequence[State]:
        """The states at `steps` times, an equal share of the increment being added at each."""
        share = increment * (1.0 / steps)
        states = [state + share]
        for number in range(steps - 1):
            states.append(self.step(states[-1], number) + share)
        return states

    def _stepped(self, state: State, number: int) -> State:
        rows = len(next(iter(state.values())))
        both = (self.told(n).map(lambda x: x.expand(rows, *x.shape[1:])) for n in (number, number + 1))
        return self.model(state, Forcing(*both))


@contextmanager
def frozen(model: Model) -> Iterator[None]:
    """The model's weights are constants, so that only what a state is varied for is followed backwards."""
    weights = list(model.step.parameters()) if isinstance(model.step, nn.Module) else []
    learning = [weight for weight in weights if weight.requires_grad]
    for weight in learning:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in learning:
            weight.requires_grad_(True)
