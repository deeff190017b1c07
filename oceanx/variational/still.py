"""What methods have in common that carry one state, and nothing from one window to the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

from oceanx.tensors.state import State


class Still:
    """One state; nothing carried."""

    members = 1

    @property
    def carried(self) -> Mapping[str, Tensor]:
        return {}

    def resume(self, carried: Mapping[str, Tensor]) -> None:
        """There is nothing to take up."""

    def advance(self, before: State, after: State, step: Callable[[State], State]) -> None:
        """There is nothing to advance."""
