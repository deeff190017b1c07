"""What observations make of the cells around them, before anything is learned.

    u = Hᵀ(d / σo²)        p = Hᵀ(1 / σo²)        g_L = σb² (ρ_L * u) / (1 + σb² (ρ_L * p))        ρ_L = exp(−r² / 2L²)

u and p are all that observations say of a cell: any number of them, in any order, add up. g_L is roughly what optimal
interpolation would make of observations of one variable alone if errors hung together over L.

References
----------
Bratseth (1986), Tellus A 38, 439, doi:10.3402/tellusa.v38i5.11730 (successive corrections over several lengths).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from oceanx.tensors.observe import Operator
from oceanx.tensors.state import State, stack
from oceanx.variational.analysis import Observed
from oceanx.vocabulary.channels import Channels

REACH = 3.0  # lengths, as far as ρ goes


class Sight(NamedTuple):
    """What was seen in one window: departures d from its background, their precisions 1/σo², and H."""

    departures: Float[Tensor, " obs"]
    precision: Float[Tensor, " obs"]
    operator: Operator


def sight(observed: Observed, states: Sequence[State]) -> Sight:
    """What is seen from a background, given by its states at the window's times, of batch 1."""
    return Sight(observed.departures(states)[0], observed.std**-2, observed.operator)


class Gains:
    """The g_L of a batch of windows, in the channels of the variables observed in any of them.

    Parameters
    ----------
    variance
        σb².
    wet
        1 in wet cells.
    lengths
        L, in cells.

    Attributes
    ----------
    at
        Which channels these are.
    precision
        p.
    """

    at: Int[Tensor, " seen"]

    def __init__(
        self,
        seen: Sequence[Sight],
        channels: Channels,
        variance: Float[Tensor, "batch channel lat lon"],
        wet: Float[Tensor, "1 channel lat lon"],
        lengths: tuple[float, ...],
        periodic: bool,
    ):
        names = [name for name in channels.names if any(name in each.operator.parts for each in seen)]
        self.seen, self.channels, self.lengths, self.periodic = seen, channels.only(names), lengths, periodic
        where = [number for name in names for number in range(*channels.slices[name].indices(len(channels)))]
        self.at = torch.tensor(where, dtype=torch.int64, device=variance.device)
        variance, wet = variance[:, self.at], wet[:, self.at]
        self.precision = self._summed([each.precision for each in seen], variance)
        self._factors = [
            variance / (1 + variance * blurred(self.precision, length, periodic)) * wet for length in lengths
        ]

    def __call__(self, departures: Sequence[Tensor]) -> Float[Tensor, "batch gain lat lon"]:
        """All g_L, one length after another, of the departures `[obs]` of each window."""
        weighed = [d * each.precision for d, each in zip(departures, self.seen, strict=True)]
        total = self._summed(weighed, self.precision)
        parts = zip(self.lengths, self._factors, strict=True)
        return torch.cat([blurred(total, length, self.periodic) * factor for length, factor in parts], dim=1)

    def _summed(self, values: Sequence[Tensor], like: Tensor) -> Float[Tensor, "batch seen lat lon"]:
        """Hᵀ of values, in double precision, so that no order of observations shows."""
        found = []
        for value, each in zip(values, self.seen, strict=True):
            parts, fields = each.operator.adjoint(value.double()[None]), {}
            for name in self.channels.names:
                at = [part[name] for part in parts if name in part]
                nothing = like.new_zeros(1, self.channels.levels(name), *like.shape[-2:], dtype=torch.float64)
                fields[name] = torch.stack(at).sum(0) if at else nothing
            found.append(stack(fields, self.channels) if fields else like.new_zeros(1, 0, *like.shape[-2:]))
        return torch.cat(found).to(like.dtype)


def blurred(
    x: Float[Tensor, "batch channel lat lon"], length: float, periodic: bool
) -> Float[Tensor, "batch channel lat lon"]:
    """ρ * x: the sum over all cells, each weighed by how many cells it is away; rows first, then columns."""
    if not length or not x.shape[1]:
        return x
    north, east = (_weights(size, length, round_, x.dtype, x.device) for size, round_ in
                   ((x.shape[-2], False), (x.shape[-1], periodic)))  # fmt: skip
    return north @ x @ east


@cache
def _weights(
    size: int, length: float, periodic: bool, dtype: torch.dtype, device: torch.device
) -> Float[Tensor, "cell cell"]:
    """ρ between the cells of a line: as a matrix it takes less time than a convolution as wide."""
    cell = torch.arange(size, dtype=torch.float64, device=device)
    apart = (cell[:, None] - cell).abs()
    apart = torch.minimum(apart, size - apart) if periodic else apart
    # Beyond its reach, numbers too small to be normal would take a hundred times longer.
    near = apart <= math.ceil(REACH * length)
    return torch.where(near, torch.exp(-0.5 * (apart / length) ** 2), 0.0).to(dtype)
