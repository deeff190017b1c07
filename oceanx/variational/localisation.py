"""Localisation: how far an observation reaches, so that what few members correlate by chance moves nothing far away.

An observation at horizontal distance r and vertical distance z counts with the weight G(r/c) G(z/h): 1 where it is, 0
from two half-widths on. Every observed variable has a half-width c (km) and h (m) of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Annotated, NamedTuple

import torch
from jaxtyping import Float
from pydantic import ConfigDict, Field
from torch import Tensor

from oceanx.vocabulary.config import Config
from oceanx.vocabulary.errors import unknown

from .analysis import Setting

HALF_WIDTHS = 2.0  # half-widths in a length of the background's errors, where none is given


class Reach(Config):
    """How far observations of one variable reach: half-widths of the Gaspari–Cohn function.

    Attributes
    ----------
    km
        Horizontal half-width; None: twice the distance over which the background's errors hang together. `.inf`:
        everywhere.
    m
        Vertical half-width, likewise; None for a variable of the surface: the whole column. Where all variables reach
        through it, one analysis serves all of its levels.
    """

    # A file of numbers has no word for infinity: it is written as text, which reads back as the number.
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")

    km: Annotated[float | None, Field(gt=0)] = None
    m: Annotated[float | None, Field(gt=0)] = None


class HalfWidths(NamedTuple):
    """Horizontal and vertical half-width of one observed variable (m)."""

    horizontal: float
    vertical: float


def half_widths(setting: Setting, given: Mapping[str, Reach]) -> dict[str, HalfWidths]:
    """The half-widths of every variable (m): what is given of them, and the rest by diagnosis from `setting`.

    Raises
    ------
    InputError
        A variable is named that is none of the state's.
    """
    channels = setting.channels
    for name in given:
        if name not in channels.names:
            raise unknown("variable to localise", name, channels.names)
    found = {}
    for name in channels.names:
        reach = given.get(name, Reach())
        horizontal = HALF_WIDTHS * setting.length.get(name, inf) if reach.km is None else 1000 * reach.km
        # What is observed of the surface alone, such as its height, tells of the whole column.
        height = setting.height.get(name, inf) if name in channels.volume else inf
        found[name] = HalfWidths(horizontal, HALF_WIDTHS * height if reach.m is None else reach.m)
    return found


def gaspari_cohn(z: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """The compactly supported correlation of fifth order: 1 at 0, 5/24 at one half-width, 0 from two on.

        G(z) = 1 − 5/3 z² + 5/8 z³ + 1/2 z⁴ − 1/4 z⁵                          z ≤ 1
        G(z) = 4 − 5 z + 5/3 z² + 5/8 z³ − 1/2 z⁴ + 1/12 z⁵ − 2/(3z)          1 < z < 2

    Parameters
    ----------
    z
        Distance in half-widths, not negative.

    References
    ----------
    Gaspari & Cohn (1999), eq. 4.10, doi:10.1002/qj.49712555417

    Examples
    --------
    >>> gaspari_cohn(torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64)) * 24
    tensor([24.,  5.,  0.], dtype=torch.float64)
    """
    # In place, for there are millions of pairs; the outer branch by its factor (2 − z)⁴, for written out its terms
    # cancel and leave rounding errors, even negative ones.
    near = (z * -0.25).add_(0.5).mul_(z).add_(5 / 8).mul_(z).sub_(5 / 3).mul_(z).mul_(z).add_(1)
    outer = z.clamp(1, 2)
    far = (2 - outer).square_().square_().mul_((outer + 2).mul_(outer).sub_(0.5)).div_(outer.mul_(12))
    return torch.where(z <= 1, near, far)
