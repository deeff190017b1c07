"""A covariance of variables that know nothing of each other: each its spread times a correlation by diffusion."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from oceanx.tensors.geometry import Geometry
from oceanx.tensors.state import Increment

from .analysis import Setting
from .covariance import Correlation, Covariance, shapes_of
from .diffusion import DRAWS, EXACT, Diffusion, scale


class Univariate(Covariance):
    """B = Σ C Σ of every variable by itself, Σ its spread.

    Parameters
    ----------
    spread
        Standard deviations `[level, lat, lon]` by variable.
    correlations
        By variable; several may share one.
    """

    def __init__(self, spread: Mapping[str, Tensor], correlations: Mapping[str, Correlation]):
        self.correlations = {name: correlations[name] for name in spread}
        self.spread = {name: torch.where(c.mask > 0, spread[name], 0.0) for name, c in self.correlations.items()}
        self.shapes = shapes_of(self.spread)
        some = next(iter(self.spread.values()))
        self.dtype, self.device = some.dtype, some.device
        self.size = sum(c.size for c in self.correlations.values())

    def root(self, v: Float[Tensor, "batch size"]) -> Increment:
        pieces = v.split([c.size for c in self.correlations.values()], dim=1)
        named = zip(self.correlations.items(), pieces, strict=True)
        return Increment({name: c.root(piece) * self.spread[name] for (name, c), piece in named})

    def adjoint(self, change: Increment) -> Float[Tensor, "batch size"]:
        fields = {name: self.field(change, name) for name in self.correlations}
        return torch.cat([c.adjoint(fields[name] * self.spread[name]) for name, c in self.correlations.items()], dim=1)

    def variance(self, draws: int | None = None, generator: torch.Generator | None = None) -> Increment:
        """diag B, as the spread has it."""
        return Increment({name: field.square()[None] for name, field in self.spread.items()})


def univariate(setting: Setting, steps: int = 4, exact: int = EXACT, draws: int = DRAWS, seed: int = 0) -> Univariate:
    """The Univariate covariance of a Setting, whose lengths and heights are Daley's, in so many steps of diffusion."""
    made: dict[tuple[int, float, float], Diffusion] = {}
    correlations: dict[str, Correlation] = {}
    for name in setting.spread:
        levels = setting.channels.levels(name)
        key = levels, float(setting.length[name]), float(setting.height.get(name, 0.0)) if levels > 1 else 0.0
        if key not in made:
            across = scale(key[1], steps, dimensions(setting.geometry))
            down = scale(key[2], steps, 1) if key[2] else 0.0
            made[key] = Diffusion(setting.geometry, levels, across, down, steps, exact=exact, draws=draws, seed=seed)
        correlations[name] = made[key]
    return Univariate(setting.spread, correlations)


def dimensions(geometry: Geometry) -> int:
    """In how many directions a grid stretches horizontally: 1 for a channel of a single row or column, else 2."""
    return 2 if min(geometry.mask.shape[-2:]) > 1 else 1
