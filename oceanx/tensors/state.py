"""State, Tendency, Increment: named tensors with the algebra of mechanics.

A change per second is not a change: `Tendency.over(seconds)` is an `Increment`, `State + Increment` is a `State`, and
`State + Tendency` raises. Every field is `Float[Tensor, "batch depth lat lon"]`; a surface field has depth 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from oceanx.vocabulary.channels import Channels

Field = Float[Tensor, "batch depth lat lon"]
Kind = TypeVar("Kind", bound="Fields")  # typing.Self, in words that beartype understands


class Fields(Mapping[str, Tensor]):
    """An immutable mapping from variable name to field."""

    def __init__(self, fields: Mapping[str, Tensor]):
        self._fields = dict(fields)

    def __getitem__(self, name: str) -> Tensor:
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name} {'×'.join(map(str, field.shape))}" for name, field in self.items())
        return f"{type(self).__name__}({sizes})"

    def map(self: Kind, function: Callable[[Tensor], Tensor]) -> Kind:
        """The same kind of mapping with `function` applied to every field."""
        return type(self)({name: function(field) for name, field in self.items()})

    def only(self: Kind, names: Mapping[str, object] | tuple[str, ...]) -> Kind:
        """The fields of these names, in their order."""
        return type(self)({name: self[name] for name in names})

    def _union(self: Kind, other: Fields) -> Kind:
        """Fields of both; where both have one, their sum (a missing field is zero)."""
        merged = dict(self.items())
        for name, field in other.items():
            merged[name] = merged[name] + field if name in merged else field
        return type(self)(merged)


class Increment(Fields):
    """A change of state, in the variables' own units."""

    def __add__(self, other: Increment) -> Increment:
        return self._union(other) if isinstance(other, Increment) else NotImplemented

    def __mul__(self, factor: float) -> Increment:
        return self.map(lambda field: field * factor)

    __rmul__ = __mul__


class Tendency(Fields):
    """A change of state per second."""

    def __add__(self, other: Tendency) -> Tendency:
        return self._union(other) if isinstance(other, Tendency) else NotImplemented

    def __sub__(self, other: Tendency) -> Tendency:
        return self + other * -1.0 if isinstance(other, Tendency) else NotImplemented

    def __mul__(self, factor: float) -> Tendency:
        return self.map(lambda field: field * factor)

    __rmul__ = __mul__

    def over(self, seconds: float) -> Increment:
        """The change made in so many seconds."""
        return Increment({name: field * seconds for name, field in self.items()})


class State(Fields):
    """The ocean at one instant (or its mean over one day), in physical units; 0 on land."""

    def __add__(self, change: Increment) -> State:
        if not isinstance(change, Increment):
            return NotImplemented
        strangers = [name for name in change if name not in self]
        if strangers:
            raise ValueError(f"cannot change {strangers}: the state holds {list(self)}")
        return State({name: field + change[name] if name in change else field for name, field in self.items()})

    def __sub__(self, other: State) -> Increment:
        if not isinstance(other, State):
            return NotImplemented
        strangers = [name for name in (*self, *other) if name not in self or name not in other]
        if strangers:
            raise ValueError(f"cannot subtract states: only one of them holds {strangers}")
        return Increment({name: field - other[name] for name, field in self.items()})


class Forcing(NamedTuple):
    """What a model is told about one step: fields at its start and at its end."""

    now: Fields
    next: Fields


def stack(fields: Mapping[str, Tensor], channels: Channels) -> Float[Tensor, "batch channel lat lon"]:
    """The fields of `channels` as one tensor, in channel order."""
    return torch.cat([fields[name] for name in channels.names], dim=1)


def split(tensor: Float[Tensor, "batch channel lat lon"], channels: Channels) -> dict[str, Tensor]:
    """The fields of one tensor by name: the inverse of `stack`."""
    if tensor.shape[1] != len(channels):
        raise ValueError(f"{tensor.shape[1]} channels do not make {len(channels)} of {list(channels.names)}")
    return {name: tensor[:, where] for name, where in channels.slices.items()}
