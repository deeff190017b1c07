"""Tridiagonal systems along depth: one in every column, solved side by side, with the gradient of the exact solution.

    a_k x_{k−1} + b_k x_k + c_k x_{k+1} = d_k

Elimination goes down, substitution comes up (Thomas's algorithm). It does not pivot: the diagonal must dominate.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

DEPTH = -3


def solve(lower: Tensor, diagonal: Tensor, upper: Tensor, right: Tensor) -> Tensor:
    """x of every column's system; its gradient costs one more solve, with the transposed matrix.

    Parameters
    ----------
    lower, diagonal, upper
        a, b and c, `[…, depth, lat, lon]`, all of one shape, with |b| > |a| + |c|. The first a and the last c are not
        looked at.
    right
        d, of that shape or with more dimensions before it: several fields share one matrix and its elimination.
    """
    if torch.compiler.is_compiling():  # the compiler derives as lean a gradient itself, and takes no tangents
        return _thomas(lower, diagonal, upper, right)
    return _Solve.apply(lower, diagonal, upper, right)


class _Solve(torch.autograd.Function):
    """x = A⁻¹ d. The tangent is A⁻¹(δd − δA x); with λ = A⁻ᵀ ∂J/∂x the gradients are ∂J/∂d = λ and ∂J/∂A = −λ xᵀ."""

    @staticmethod
    def forward(lower: Tensor, diagonal: Tensor, upper: Tensor, right: Tensor) -> Tensor:
        return _thomas(lower, diagonal, upper, right)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs[:3], output)
        ctx.save_for_forward(*inputs[:3], output)

    @staticmethod
    def jvp(ctx: Any, lower: Tensor, diagonal: Tensor, upper: Tensor, right: Tensor) -> Tensor:
        a, b, c, x = ctx.saved_tensors
        return solve(a, b, c, right - _from_above(lower, x) - diagonal * x - _from_below(upper, x))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        a, b, c, x = ctx.saved_tensors
        # Transposed: what a level takes from the one above, that one takes from it.
        adjoint = solve(c.roll(1, DEPTH), b, a.roll(-1, DEPTH), grad)
        if not any(ctx.needs_input_grad[:3]):
            return None, None, None, adjoint
        products = _from_above(adjoint, x), adjoint * x, _from_below(adjoint, x)
        return *(-each.sum_to_size(b.shape) for each in products), adjoint


def _thomas(lower: Tensor, diagonal: Tensor, upper: Tensor, right: Tensor) -> Tensor:
    """x in plain operations."""
    a, b, c, d = (row.unbind(DEPTH) for row in (lower, diagonal, upper, right))
    over = 1 / b[0]
    ratio, partial = [c[0] * over], [d[0] * over]
    for k in range(1, len(d)):
        over = 1 / (b[k] - a[k] * ratio[-1])
        ratio.append(c[k] * over)
        partial.append((d[k] - a[k] * partial[-1]) * over)
    x = [partial[-1]]
    for k in range(len(d) - 2, -1, -1):
        x.append(partial[k] - ratio[k] * x[-1])
    return torch.stack(x[::-1], DEPTH)


def _from_above(field: Tensor, x: Tensor) -> Tensor:
    """The field times x of the level above; the first level has none."""
    return pad(_but_one(field, 1) * _but_one(x, 0), (0, 0, 0, 0, 1, 0))


def _from_below(field: Tensor, x: Tensor) -> Tensor:
    """The field times x of the level below; the last level has none."""
    return pad(_but_one(field, 0) * _but_one(x, 1), (0, 0, 0, 0, 0, 1))


def _but_one(field: Tensor, start: int) -> Tensor:
    """The levels but the last one (start 0) or the first one (start 1)."""
    return field.narrow(DEPTH, start, field.shape[DEPTH] - 1)
