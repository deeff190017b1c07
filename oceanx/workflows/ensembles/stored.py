"""Stored members: each begins from a member of the analysis, as `assimilate` kept them."""

from __future__ import annotations

from typing import Literal

import numpy as np

from oceanx.tensors.state import State
from oceanx.vocabulary.errors import InputError

from ..stepping import beginning
from .members import Kind, Members, Sea, by_member


class Stored(Kind):
    """Member k begins from member k of `<variable>_members`, the first being 0. Nothing is random."""

    kind: Literal["stored"] = "stored"

    def prepare(self, sea: Sea) -> Members:
        """Its Members; `InputError` where the Dataset has none, or fewer."""
        held = {name: f"{name}_members" for name in sea.task.prognostic.names}
        for name in held.values():
            if name not in sea.ds or "member" not in sea.ds[name].dims:
                raise InputError(
                    f"ensemble stored: the Dataset has no {name} (member, time, …); let assimilate keep the members "
                    'of its analyses, keep=["members"] (--keep members)'
                )
        there = sea.ds.sizes["member"]
        if self.members > there:
            raise InputError(f"ensemble stored: {self.members} members are asked for, {there} are stored")

        def begin(member: int, starts: np.ndarray) -> State:
            own = sea.ds.isel(member=member, drop=True)
            own = own.assign({name: own[stored] for name, stored in held.items()})
            return beginning(own, sea.task, starts, sea.mask)

        return Members(
            self.recorded, lambda starts, members: by_member(starts, members, begin), lambda member: sea.model
        )
