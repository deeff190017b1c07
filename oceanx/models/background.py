"""What a model knows without learning: the climatology that travels as forcing."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from oceanx.tensors.state import Fields, Forcing, Increment, State
from oceanx.vocabulary.channels import CLIMATOLOGY


def climatology(fields: Mapping[str, Tensor], names: Mapping[str, object] | tuple[str, ...]) -> Fields:
    """The climatology of `names` that stands in a forcing's fields; names without one are left out."""
    return Fields({name: fields[name + CLIMATOLOGY] for name in names if name + CLIMATOLOGY in fields})


def seasonal(state: State, forcing: Forcing) -> Increment:
    """The change of climatology over one step: c(t + step) − c(t), for the variables that have one."""
    now, later = climatology(forcing.now, state), climatology(forcing.next, state)
    return Increment({name: later[name] - now[name] for name in now})
