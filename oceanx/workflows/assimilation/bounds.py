"""Bounds: what an increment may not do to the sea, however the observations ask for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from oceanx.tensors.state import State
from oceanx.vocabulary.channels import Channels
from oceanx.vocabulary.errors import InputError, unknown
from oceanx.vocabulary.names import VARIABLES

SALINITY = 35.0  # of a sea whose salinity is not part of the state
TEMPERATURES = ("thetao", "sst")

Bounds = Mapping[str, tuple[float, float]]  # by variable, the least and the largest value
Held = Callable[[State, State], tuple[State, dict[str, int]]]


def freezing(
    salinity: Float[Tensor, "*place"], depth: Float[Tensor, "#level #lat #lon"] | float = 0.0
) -> Float[Tensor, "*shape"]:
    """The freezing temperature in °C of sea water of some salinity (1e-3) at some depth (m).

    T = −0.0575 S + 1.710523e−3 S^(3/2) − 2.154996e−4 S² − 7.53e−4 p, with a decibar of pressure p to each metre.

    References
    ----------
    Fofonoff & Millard (1983), UNESCO Technical Papers in Marine Science 44; fitted for S from 4 to 40 by Millero.
    """
    s = salinity.clamp(min=0.0)
    return -0.0575 * s + 1.710523e-3 * s**1.5 - 2.154996e-4 * s**2 - 7.53e-4 * depth


def bounded(channels: Channels, bounds: bool | Bounds) -> Held:
    """What holds an analysis within bounds: a function of background and analysis, which counts the cells it held.

    An increment carries nothing beyond a bound: what it would is held there, or at the background where that lies
    beyond already. What was not changed is not touched.

    Parameters
    ----------
    bounds
        True: no salinity below 0, no water colder than its freezing temperature, and no other variable beyond what is
        physically possible. False: none. By variable: these and no others.
    """
    if bounds is False:
        return lambda background, analysis: (analysis, {})
    limits = dict(bounds) if isinstance(bounds, Mapping) else _possible(channels)
    for name, value in limits.items():
        if name not in channels.names:
            raise unknown("variable of bounds", name, channels.names)
        if len(value) != 2 or not value[0] < value[1]:
            raise InputError(f"bounds: {name} is {value}; expected the least and the largest value")
    depth = torch.tensor(channels.depth, dtype=torch.float32)[:, None, None]

    def held(background: State, analysis: State) -> tuple[State, dict[str, int]]:
        fields, counts = dict(analysis.items()), {}
        for name in sorted(analysis, key=lambda name: name in TEMPERATURES):  # these freeze by the salinity as held
            low, high = map(torch.as_tensor, limits.get(name, (-torch.inf, torch.inf)))
            if bounds is True and name in TEMPERATURES:
                salt = fields["so"] if "so" in fields else torch.full_like(fields[name], SALINITY)
                here = salt[:, : fields[name].shape[1]]
                low = freezing(here, depth if name in channels.volume else 0.0)
            low, high = torch.minimum(low, background[name]), torch.maximum(high, background[name])
            beyond = (fields[name] < low) | (fields[name] > high)
            counts[name] = int(beyond.sum())
            fields[name] = torch.where(beyond, fields[name].clamp(low, high), fields[name])
        return State({name: fields[name] for name in analysis}), counts

    return held


def _possible(channels: Channels) -> dict[str, tuple[float, float]]:
    known = {name: VARIABLES[name].valid for name in channels.names if name in VARIABLES}
    return {name: valid for name, valid in known.items() if valid is not None}
