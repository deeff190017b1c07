"""What networks of tokens share: attention between them, and a perceptron at each. Features are the last axis."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """What every token gathers from all, `[…, head, token, feature] -> […, token, head × feature]`."""
    return scaled_dot_product_attention(q, k, v).transpose(-3, -2).flatten(-2)


def split_heads(x: Tensor, heads: int) -> Tensor:
    """`[…, token, head × feature] -> […, head, token, feature]`: every head sees all tokens, and its own features."""
    return x.unflatten(-1, (heads, -1)).transpose(-3, -2)


def perceptron(width: int, ratio: float) -> nn.Sequential:
    """Two linear layers about a GELU, `ratio` times as wide between them."""
    hidden = int(width * ratio)
    return nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))
