"""What the surface gives the primitive equations: stress, heat, light and fresh water, of fluxes or of the weather."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from oceanx.tensors.geometry import Geometry
from oceanx.vocabulary.errors import InputError

from ..surface_exchange import WEATHER, exchange, freshwater, nonsolar

FLUXES = ("tauuo", "tauvo", "ssr", "str", "sshf", "slhf", "evs", "mtpr")

# What drives the core, by the name that its configuration has for it.
FORCING: dict[str, tuple[str, ...]] = {
    "nothing": (),
    "wind": ("tauuo", "tauvo"),
    "fluxes": FLUXES,
    "weather": WEATHER,
}


class Exchange(NamedTuple):
    """Into the sea: stress (Pa), heat but sunlight, sunlight (W m-2), and water (m s-1); 0 on land."""

    tauuo: Tensor
    tauvo: Tensor
    heat: Tensor
    light: Tensor
    freshwater: Tensor


def exchanged(
    forced_by: str, forcing: Mapping[str, Tensor], sst: Tensor, currents: tuple[Tensor, Tensor], geometry: Geometry
) -> Exchange:
    """The Exchange of this forcing with a sea surface of this temperature (°C) and current (m s-1), at centres.

    Raises
    ------
    InputError
        If the forcing lacks a variable.
    """
    missing = [name for name in FORCING[forced_by] if name not in forcing]
    if missing:
        raise InputError(f"forcing: lacks {missing}; a core forced by {forced_by} needs {list(FORCING[forced_by])}")
    nothing = torch.zeros_like(sst)
    if forced_by == "nothing":
        return Exchange(nothing, nothing, nothing, nothing, nothing)
    wet = geometry.surface
    # A batch may share one weather.
    given = {name: forcing[name].expand_as(sst) for name in FORCING[forced_by]}
    if forced_by == "weather":
        fluxes: Mapping[str, Tensor] = exchange(given, sst, currents, wet)
    else:
        fluxes = {name: torch.where(wet > 0, field, 0.0) for name, field in given.items()}
    if forced_by == "wind":
        return Exchange(fluxes["tauuo"], fluxes["tauvo"], nothing, nothing, nothing)
    return Exchange(
        fluxes["tauuo"],
        fluxes["tauvo"],
        nonsolar(fluxes),
        fluxes["ssr"],
        freshwater(fluxes["evs"], fluxes["mtpr"]),
    )
