"""Rollouts: block by block, the states of some start dates and members, lead by lead, and what is kept of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from oceanx import seam
from oceanx.tensors.state import State
from oceanx.vocabulary.channels import Task
from oceanx.vocabulary.errors import InputError

from .forecast_region import Cut
from .forecast_units import Block
from .model import Model
from .stepping import Amend, Atmosphere, of_the_air, stepped


@dataclass(frozen=True)
class Rollouts:
    """All that is needed to make any block of a forecast.

    Attributes
    ----------
    model
        The Model of a member.
    begin
        The first States of (start, member) pairs, as one batch.
    mask
        The data's, on the whole grid.
    analysis
        Whether lead 0 is kept.
    amend
        What is done to each new state, in order, before the model goes on from it.
    output
        What is done to each state that is kept, and to none that the model goes on from.
    differ
        Whether members of one model differ in their steps, whatever they begin from.
    """

    model: Callable[[int], Model]
    begin: Callable[[np.ndarray, np.ndarray], State]
    task: Task
    starts: np.ndarray
    leads: np.ndarray
    air: Atmosphere
    mask: Tensor
    cut: Cut | None = None
    analysis: bool = False
    amend: Sequence[Amend] = ()
    output: Amend | None = None
    differ: bool = True

    @torch.inference_mode()
    def states(self, block: Block) -> Iterator[State]:
        """The states of a block whose members share a model, lead by lead."""
        members = np.arange(block.members.stop)[block.members]
        starts = np.tile(self.starts[block.starts], len(members))
        members = np.repeat(members, block.starts.stop - block.starts.start)
        state = self.begin(starts, members)
        if not self.differ:
            self._refuse_alike(state, starts, members)
        if self.analysis:
            yield state
        model, weather = self.model(int(members[0])), self.air.begin(starts)
        later = stepped(
            model, self.task, state, starts, self.leads, weather, self.mask, members=members, amend=self.amend
        )
        for lead, after in zip(self.leads, later, strict=True):
            yield after if self.output is None else self.output(state, after, starts, members, lead)
            state = after

    def parts(self, block: Block) -> Iterator[Block]:
        """The block, or the parts of it whose members share a model."""
        first = block.members.start
        for member in range(block.members.start + 1, block.members.stop + 1):
            if member == block.members.stop or self.model(member) is not self.model(first):
                yield block._replace(members=slice(first, member))
                first = member

    def kept(self, name: str, fields: Sequence[Tensor]) -> np.ndarray:
        """What is kept of one variable at some leads, (pair, lead, depth, lat, lon): NaN on land, cut to the region."""
        return np.stack([self._kept(name, field) for field in fields], axis=1)

    def _refuse_alike(self, state: State, starts: np.ndarray, members: np.ndarray) -> None:
        """`InputError` where a member begins as the first one of its model does, which another block may hold."""
        shared = self.model(int(members[0]))
        first = next(member for member in range(int(members[0]) + 1) if self.model(member) is shared)
        others = np.flatnonzero(members > first)
        if not len(others):
            return
        each, which = np.unique(starts, return_inverse=True)
        begun = state if members[0] == first else self.begin(each, np.full(len(each), first))
        for row in others:
            if all(torch.equal(field[row], begun[name][which[row]]) for name, field in state.items()):
                raise InputError(
                    f"members: {members[row]} begins on {starts[row]} as {first} does, and nothing differs in their "
                    "steps; choose another ensemble, or a larger amplitude"
                )

    def _kept(self, name: str, field: Tensor) -> np.ndarray:
        wet = seam.wet_of(field, self.mask)
        if self.cut:
            field, wet = self.cut.field(field), self.cut.field(wet)
        # What the model holds on land means nothing.
        return (field if of_the_air(name) else torch.where(wet, field, torch.nan)).numpy()
