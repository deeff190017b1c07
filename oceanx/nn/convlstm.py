"""ConvLSTM: layers of long short-term memory whose gates are convolutions, read once at the end.

A forecast here is one step from one state: there is no sequence to remember, and the memory begins empty at every
step. What is left of the published network is a gated convolutional network that looks at the same map several times
(`passes`), each time with its own last answer beside it: the weights are those of the recurrence, the recurrence is
not in time. With a single pass, as the published baselines make it, the forget gate and all weights that read the
hidden state, two thirds of the network, meet only zeros and never learn.

References
----------
Shi, Chen, Wang, Yeung, Wong & Woo (2015), NeurIPS, doi:10.48550/arXiv.1506.04214.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import Field, PositiveInt, field_validator
from torch import Tensor, nn

from oceanx.tensors.geometry import Geometry
from oceanx.vocabulary.config import Config

from .layers import Conv, silent


class ConvLSTMConfig(Config):
    """Hidden channels of each layer, and how often the map is looked at.

    Layers and kernel are those of the published baselines, which make one pass; the number of parameters does not
    depend on it.
    """

    kind: Literal["convlstm"] = "convlstm"
    hidden: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (64, 64)
    kernel: PositiveInt = 3
    passes: PositiveInt = 3

    @field_validator("kernel")
    @classmethod
    def _odd(cls, kernel: int) -> int:
        if kernel % 2 == 0:
            raise ValueError("`kernel` is odd, so that a cell stands in its middle")
        return kernel

    def build(self, channels_in: int, channels_out: int, geometry: Geometry) -> ConvLSTM:
        """The network, its last layer zero."""
        return ConvLSTM(self, channels_in, channels_out, geometry.periodic)


class ConvLSTM(nn.Module):
    """ConvLSTM layers over the same map, on maps of any size. An untrained network says nothing."""

    def __init__(self, config: ConvLSTMConfig, channels_in: int, channels_out: int, periodic: bool):
        super().__init__()
        self.passes, self.turns_by = config.passes, 1
        read = (channels_in, *config.hidden[:-1])
        self.cells = nn.ModuleList(
            Cell(a, b, config.kernel, periodic) for a, b in zip(read, config.hidden, strict=True)
        )
        self.head = silent(nn.Conv2d(config.hidden[-1], channels_out, 1))

    def forward(self, x: Float[Tensor, "batch channel_in lat lon"]) -> Float[Tensor, "batch channel_out lat lon"]:
        seen = [x] * self.passes
        for cell in self.cells:
            seen = cell(seen)
        return self.head(seen[-1])


class Cell(nn.Module):
    """One layer: what it says (h) and remembers (c) after each map of a sequence, from nothing.

    With * a convolution, ∘ a product cell by cell and σ the logistic function:

        i, f, o = σ(W * [x, h] + b)    g = tanh(W' * [x, h] + b')
        c' = f ∘ c + i ∘ g             h' = o ∘ tanh(c')
    """

    def __init__(self, channels_in: int, hidden: int, kernel: int, periodic: bool):
        super().__init__()
        self.hidden = hidden
        self.gates = Conv(channels_in + hidden, 4 * hidden, periodic, kernel=kernel)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        h = c = maps[0].new_zeros(maps[0].shape[0], self.hidden, *maps[0].shape[-2:])
        said = []
        for x in maps:
            i, f, o, g = self.gates(torch.cat([x, h], dim=1)).chunk(4, dim=1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            said.append(h)
        return said
