"""Radiation: how deep sunlight goes into the sea, and what each layer keeps of it.

    I(z) / I(0) = R exp(−z/ζ₁) + (1 − R) exp(−z/ζ₂)

The first band, red and infra-red, warms the uppermost metres; the second, blue and green, goes on for tens of metres.

References
----------
Paulson & Simpson (1977), Irradiance measurements in the upper ocean, J. Phys. Oceanogr. 7, 952,
doi:10.1175/1520-0485(1977)007<0952:IMITUO>2.0.CO;2.
Jerlov (1976), Marine Optics, Elsevier.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from oceanx.vocabulary.constants import HEAT_CAPACITY, REFERENCE_DENSITY
from oceanx.vocabulary.errors import unknown


class Water(NamedTuple):
    """The share R of the first band, and the depths ζ₁ and ζ₂ (m) at which each band has sunk to 1/e."""

    red: float | Tensor
    red_depth: float | Tensor
    blue_depth: float | Tensor


# Paulson and Simpson's table 2, by Jerlov's type of water, from the clearest ocean to the most turbid.
JERLOV = {
    "I": Water(0.58, 0.35, 23.0),
    "IA": Water(0.62, 0.60, 20.0),
    "IB": Water(0.67, 1.00, 17.0),
    "II": Water(0.77, 1.50, 14.0),
    "III": Water(0.78, 1.40, 7.9),
}


def water_type(kind: str) -> Water:
    """The optics of one of Jerlov's types of water: `I`, `IA`, `IB`, `II`, `III`; `InputError` if there is none."""
    if kind not in JERLOV:
        raise unknown("type of water", kind, JERLOV)
    return JERLOV[kind]


def transmission(depth: Float[Tensor, "*cells"], water: Water = JERLOV["I"]) -> Float[Tensor, "*cells"]:
    """The share of the light that reaches a depth (m, positive): R exp(−z/ζ₁) + (1 − R) exp(−z/ζ₂)."""
    return water.red * (-depth / water.red_depth).exp() + (1.0 - water.red) * (-depth / water.blue_depth).exp()


def absorption(
    thickness: Float[Tensor, "*batch depth #lat #lon"], mask: Float[Tensor, "depth lat lon"], water: Water = JERLOV["I"]
) -> Float[Tensor, "*batch depth lat lon"]:
    """The share of the light that each layer keeps: 1 summed over a wet column, 0 on land.

    What reaches the sea floor is absorbed by the lowest wet layer.

    Parameters
    ----------
    thickness
        Of the layers, m, downwards. It may breathe with the sea surface.
    mask
        1 where wet; columns are wet from the surface down to the floor.
    """
    bottom = thickness.cumsum(-3)
    open_below = torch.cat((mask[1:], torch.zeros_like(mask[:1])))
    return transmission(bottom - thickness, water) * mask - transmission(bottom, water) * open_below


def absorbed(
    shortwave: Float[Tensor, "batch 1 lat lon"],
    thickness: Float[Tensor, "*batch depth #lat #lon"],
    mask: Float[Tensor, "depth lat lon"],
    water: Water = JERLOV["I"],
) -> Float[Tensor, "batch depth lat lon"]:
    """What each layer keeps of the net short-wave radiation, W m-2: its sum over a wet column is all of it.

    Parameters
    ----------
    shortwave
        Net short-wave radiation at the surface, W m-2, downward.
    thickness, mask
        As `absorption` has them.
    """
    return shortwave * absorption(thickness, mask, water)


def warming(
    heat: Float[Tensor, "*cells"],
    thickness: Tensor,
    density: float | Tensor = REFERENCE_DENSITY,
    capacity: float | Tensor = HEAT_CAPACITY,
) -> Float[Tensor, "*cells"]:
    """How fast a layer warms that keeps so much heat: Q / (ρ₀ c_p h), K s-1, of Q in W m-2 and h in m."""
    return heat / (density * capacity * thickness)


def column_warming(
    nonsolar: Float[Tensor, "batch 1 lat lon"],
    shortwave: Float[Tensor, "batch 1 lat lon"],
    thickness: Float[Tensor, "*batch depth #lat #lon"],
    mask: Float[Tensor, "depth lat lon"],
    water: Water = JERLOV["I"],
) -> Float[Tensor, "batch depth lat lon"]:
    """How fast the surface's heat warms each layer, K s-1: the non-solar part all at the top, light as it sinks.

    Parameters
    ----------
    nonsolar, shortwave
        W m-2, downward.
    thickness, mask
        As `absorption` has them.
    """
    sunlit = absorbed(shortwave, thickness, mask, water)
    heat = torch.cat((sunlit[:, :1] + nonsolar * mask[:1], sunlit[:, 1:]), 1)
    return warming(heat, thickness)
