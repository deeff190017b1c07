"""Linearisations: the tangent and the adjoint of what takes one state to others, and the tests that both must pass.

    M' δx = dM(x + ε δx)/dε at ε = 0        ⟨M' δx, y⟩ = ⟨δx, M'* y⟩

Both are PyTorch's own derivatives of the model as it is: nobody writes a second code that has to keep up with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import group_norm
from torch.overrides import TorchFunctionMode

from oceanx.tensors.state import Fields, Increment, State

# From a state to one or several others.
Way = Callable[[State], Sequence[State]]


def tangent(way: Way, at: State, change: Increment) -> list[Increment]:
    """M' δx at x, one for each state that the way gives; x may be a batch of one for many changes.

    By forward differentiation; where some operation of the way has none, by differentiating its adjoint, which is
    linear in what it is given.
    """
    at, change = _matching(at, change)
    try:
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), _InRows(), forward_ad.dual_level():
            states = way(State({name: forward_ad.make_dual(field, change[name]) for name, field in at.items()}))
            return [Increment({name: _moved(field) for name, field in state.items()}) for state in states]
    except (NotImplementedError, RuntimeError):  # what is wrong with the way itself is wrong there, too
        return _by_adjoints(way, at, change)


def adjoint(way: Way, at: State, changes: Sequence[Increment]) -> Increment:
    """Σ M'* y at x, y one for each state that the way gives; a variable that y lacks is 0.

    x may be a batch of one for many y.
    """
    rows = max((len(field) for change in changes for field in change.values()), default=1)
    with torch.enable_grad():
        leaves = _leaves(at, rows)
        reached = [
            (field, change[name])
            for state, change in zip(way(State(leaves)), changes, strict=True)
            for name, field in state.items()
            if name in change and field.requires_grad
        ]
    return _pulled(reached, leaves, create=False)


def differentiable(way: Way, at: State) -> bool:
    """Whether every state that the way gives can be followed back to x."""
    with torch.enable_grad():
        leaves = _leaves(at)
        return all(any(field.requires_grad for field in state.values()) for state in way(State(leaves)))


def gradient_test(
    cost: Callable[[Tensor], tuple[Tensor, Tensor]],
    v: Float[Tensor, "1 size"],
    direction: Float[Tensor, "1 size"],
    sizes: Sequence[float] = tuple(10.0**-k for k in range(1, 8)),
) -> Float[Tensor, " sizes"]:
    """Φ(α) = [J(v + α h) − J(v)] / (α ∇J·h) for every α: Φ − 1 shrinks like α where the gradient is the cost's.

    Parameters
    ----------
    cost
        From v to J and ∇J.
    direction
        h.
    sizes
        α.
    """
    start, gradient = cost(v)
    slope = (gradient * direction).sum()
    return torch.stack([(cost(v + size * direction)[0] - start).sum() / (size * slope) for size in sizes])


def adjoint_test(way: Way, at: State, change: Increment, arriving: Sequence[Increment]) -> float:
    """|⟨M' δx, y⟩ − ⟨δx, M'* y⟩| over the larger of |⟨M' δx, y⟩| and |M' δx| |y|/√n: 0 but for rounding."""
    there = tangent(way, at, change)
    back = adjoint(way, at, arriving)
    ours = sum(inner(a, b) for a, b in zip(there, arriving, strict=True))
    theirs = inner(change, back)
    lengths = sum(inner(a, a) for a in there) * sum(inner(b, b) for b in arriving)
    return float(abs(ours - theirs) / max(abs(ours), (lengths / max(1, _count(arriving))) ** 0.5, 1e-300))


def inner(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> float:
    """⟨x, y⟩ over the variables of both, in float64."""
    return float(sum((first[name].double() * second[name].double()).sum() for name in first if name in second))


def _moved(field: Tensor) -> Tensor:
    return _or_zero(forward_ad.unpack_dual(field).tangent, field)


class _InRows(TorchFunctionMode):
    """PyTorch derives group normalisation forwards only of what lies in memory in the order of its dimensions."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is group_norm:
            args = (args[0].contiguous(), *args[1:])
        return func(*args, **(kwargs or {}))


def _by_adjoints(way: Way, at: State, change: Increment) -> list[Increment]:
    """M' δx as the derivative of ⟨M'* y, δx⟩ by y, at y = 0."""
    with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
        leaves = _leaves(at)
        states = [dict(state) for state in way(State(leaves))]
        arriving = [{name: torch.zeros_like(field, requires_grad=True) for name, field in s.items()} for s in states]
        reached = [
            (s[name], y[name]) for s, y in zip(states, arriving, strict=True) for name in s if s[name].requires_grad
        ]
        back = _pulled(reached, leaves, create=True)
        known = [back[name] for name in leaves if back[name].requires_grad]
        given = [change[name] for name in leaves if back[name].requires_grad]
        wanted = [y for each in arriving for y in each.values()]
        found = torch.autograd.grad(known, wanted, given, allow_unused=True) if known else [None] * len(wanted)
    each_one = iter(found)
    return [Increment({name: _or_zero(next(each_one), y) for name, y in each.items()}) for each in arriving]


def _pulled(reached: Sequence[tuple[Tensor, Tensor]], leaves: Mapping[str, Tensor], create: bool) -> Increment:
    """The gradient by the leaves of Σ ⟨field, y⟩."""
    if not reached:
        return Increment({name: torch.zeros_like(leaf) for name, leaf in leaves.items()})
    fields, arriving = zip(*reached, strict=True)
    arriving = tuple(y.to(field.dtype).expand_as(field) for field, y in zip(fields, arriving, strict=True))
    found = torch.autograd.grad(fields, tuple(leaves.values()), arriving, allow_unused=True, create_graph=create)
    named = zip(leaves.items(), found, strict=True)
    return Increment({name: _or_zero(gradient, leaf) for (name, leaf), gradient in named})


def _leaves(at: State, rows: int = 1) -> dict[str, Tensor]:
    """The fields as those by which is derived, a batch of one repeated so many times."""
    wide = {name: field.expand(rows, *field.shape[1:]) if len(field) == 1 else field for name, field in at.items()}
    return {name: field.detach().clone().requires_grad_() for name, field in wide.items()}


def _matching(at: State, change: Increment) -> tuple[State, Increment]:
    """Both in the same variables, batch and precision."""
    rows = max(len(field) for field in change.values()) if len(change) else 1
    whole = {n: change[n].to(x.dtype) if n in change else x.new_zeros(rows, *x.shape[1:]) for n, x in at.items()}
    wide = {name: field if len(field) == rows else field.repeat(rows, 1, 1, 1) for name, field in at.items()}
    return State({n: x.detach() for n, x in wide.items()}), Increment({n: x.detach() for n, x in whole.items()})


def _or_zero(found: Tensor | None, like: Tensor) -> Tensor:
    return torch.zeros_like(like) if found is None else found


def _count(changes: Sequence[Fields]) -> int:
    return sum(field.numel() for change in changes for field in change.values())
