"""Tridiagonal systems along depth: one in every column, solved side by side, with the gradient of the exact solution.

    a_k x_{k−1} + b_k x_k + c_k x_{k+1} = d_k

Elimination goes down, substitution comes up (Thomas's algorithm). It does not pivot: the diagonal must dominate.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

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
    return _Solve.apply(lower, diagonal, upper, right)


class _Solve(torch.autograd.Function):
    """x = A⁻¹ d. With λ = A⁻ᵀ ∂J/∂x, the gradients are ∂J/∂d = λ and ∂J/∂A = −λ xᵀ."""

    @staticmethod
    def forward(lower: Tensor, diagonal: Tensor, upper: Tensor, right: Tensor) -> Tensor:
        return torch.stack(thomas(*(row.unbind(DEPTH) for row in (lower, diagonal, upper, right))), DEPTH)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs[:3], output)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        lower, diagonal, upper, x = ctx.saved_tensors
        a, b, c, g = (row.unbind(DEPTH) for row in (lower, diagonal, upper, grad))
        # Transposed, what coupled a level to the one above couples that one to it.
        adjoint = torch.stack(thomas((c[-1], *c[:-1]), b, (*a[1:], a[0]), g), DEPTH)
        if not any(ctx.needs_input_grad[:3]):
            return None, None, None, adjoint
        levels = x.shape[DEPTH] - 1
        up, down = (x.narrow(DEPTH, start, levels) for start in (0, 1))
        adjoint_up, adjoint_down = (adjoint.narrow(DEPTH, start, levels) for start in (0, 1))
        none = torch.zeros_like(x.narrow(DEPTH, 0, 1))
        return (
            -torch.cat((none, adjoint_down * up), DEPTH).sum_to_size(lower.shape),
            -(adjoint * x).sum_to_size(lower.shape),
            -torch.cat((adjoint_up * down, none), DEPTH).sum_to_size(lower.shape),
            adjoint,
        )


def thomas(a: Sequence[Tensor], b: Sequence[Tensor], c: Sequence[Tensor], d: Sequence[Tensor]) -> list[Tensor]:
    """x level by level, of rows given level by level, in plain operations: what `solve` does."""
    over = 1 / b[0]
    ratio, partial = [c[0] * over], [d[0] * over]
    for k in range(1, len(d)):
        over = 1 / (b[k] - a[k] * ratio[-1])
        ratio.append(c[k] * over)
        partial.append((d[k] - a[k] * partial[-1]) * over)
    x = [partial[-1]]
    for k in range(len(d) - 2, -1, -1):
        x.append(partial[k] - ratio[k] * x[-1])
    return x[::-1]
