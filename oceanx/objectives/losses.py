"""Losses of one state: how far it is from the truth, in wet cells, by area, level and variable.

    L = Σ_v w_v Σ_l ω_l ℓ_vl / Σ_v w_v

ℓ is what a kind of loss says of one variable at one level; ⟨·⟩ below is the area-weighted mean over that level's wet
cells. e = (x − y) / σ is the error in units of σ: the spread of one step's change (`scale: increment`), or of the
field about its climatology or mean (`scale: spread`). ω is the same for every level, or goes with its `thickness`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import Field, PositiveFloat
from torch import Tensor, nn

from oceanx.models.named_network import Statistics
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.state import Fields, State
from oceanx.vocabulary.channels import CLIMATOLOGY, Channels
from oceanx.vocabulary.config import Config


@dataclass(frozen=True)
class Measure:
    """What an error is measured by: cells by their area, channels by their spread, variables by their weight.

    Attributes
    ----------
    weights
        w by variable name; 1 where not given.
    """

    channels: Channels
    geometry: Geometry
    statistics: Statistics
    weights: Mapping[str, float]

    def mask(self, name: str) -> Float[Tensor, "level lat lon"]:
        """The wet cells of a variable."""
        return self.geometry.mask_of(self.channels.levels(name))

    def share(self, name: str) -> Float[Tensor, "level lat lon"]:
        """Each cell's part of its level's wet area; 0 on land."""
        wet = self.mask(name) * self.geometry.area
        return wet / wet.sum(dim=(-2, -1), keepdim=True).clamp(min=1.0)

    def weight(self, name: str, thickness: bool) -> float | Float[Tensor, "level 1 1"]:
        """w ω / Σ w, with ω by thickness or 1 / levels."""
        weight = self.weights.get(name, 1.0) / sum(self.weights.get(each, 1.0) for each in self.channels.names)
        if thickness and name in self.channels.volume:
            return self.geometry.thickness / self.geometry.thickness.sum() * weight
        return weight / self.channels.levels(name)

    def mean(self, name: str) -> Float[Tensor, "level 1 1"]:
        """The mean of the field, or of its anomaly where the task has anomalies."""
        return self.statistics[f"{name}_mean"].float()[:, None, None]

    def spread(self, name: str, scale: str) -> Float[Tensor, "level 1 1"]:
        """σ; a level that never varies (all land, or constant) counts as it is."""
        spread = self.statistics[f"{name}_{_STATISTIC[scale]}"].float()[:, None, None]
        return torch.where(spread > 0, spread, 1.0)


_STATISTIC = {"increment": "increment_std", "spread": "std"}


class Loss(nn.Module):
    """One number for how far a state is from the truth: the sum of what `of` says of every variable."""

    def __init__(self, measure: Measure):
        super().__init__()
        self.names = measure.channels.names

    def forward(self, state: State, target: State, told: Fields) -> Float[Tensor, ""]:
        return torch.stack([self.of(name, state[name], target[name], told) for name in self.names]).sum()

    @abstractmethod
    def of(self, name: str, field: Tensor, target: Tensor, told: Fields) -> Float[Tensor, ""]:
        """What one variable adds, its weight included."""

    def keep(self, name: str, value: Tensor) -> None:
        """A constant that moves with the module and is not saved."""
        self.register_buffer(name, value, persistent=False)

    def weighted(self, name: str, said: Tensor) -> Float[Tensor, ""]:
        """The sum of what is said of a variable here and there, by its weights; the mean over the batch."""
        return (said * self.get_buffer(f"{name}_weight")).sum(dim=(1, 2, 3)).mean()

    def anomaly(self, name: str, field: Tensor, told: Fields) -> Tensor:
        """The field about its climatology, if that is told, and about its mean."""
        known = told.get(name + CLIMATOLOGY, 0.0)
        return field - known - self.get_buffer(f"{name}_mean")


class Pointwise(Loss):
    """⟨p(x − y)⟩ for a penalty p of the error at every cell."""

    def __init__(self, config: MSE | MAE | Huber, degree: int, measure: Measure):
        super().__init__(measure)
        self.config = config
        for name in self.names:
            scale = measure.spread(name, config.scale)
            self.keep(f"{name}_weight", measure.share(name) / scale**degree * measure.weight(name, config.thickness))
            if isinstance(config, Huber):
                self.keep(f"{name}_beyond", scale * config.threshold)

    def of(self, name: str, field: Tensor, target: Tensor, told: Fields) -> Float[Tensor, ""]:
        return self.weighted(name, self.penalty(name, field - target))

    def penalty(self, name: str, error: Tensor) -> Tensor:
        """p, in the variable's own units to the power of the degree."""
        if isinstance(self.config, MSE):
            return error**2
        size = error.abs()
        if isinstance(self.config, MAE):
            return size
        near = torch.minimum(size, self.get_buffer(f"{name}_beyond"))
        return near * (size - 0.5 * near)


class Relative(Loss):
    """‖x − y‖ / (‖y'‖ + ε σ), with ‖·‖² = ⟨·²⟩ and y' the truth's anomaly."""

    def __init__(self, config: RelativeL2, measure: Measure):
        super().__init__(measure)
        for name in self.names:
            spread = measure.spread(name, "spread")
            self.keep(f"{name}_root", measure.share(name).sqrt())
            self.keep(f"{name}_weight", torch.ones_like(spread) * measure.weight(name, config.thickness))
            self.keep(f"{name}_least", config.epsilon * spread)
            self.keep(f"{name}_mean", measure.mean(name))

    def of(self, name: str, field: Tensor, target: Tensor, told: Fields) -> Float[Tensor, ""]:
        error, size = self.norm(name, field - target), self.norm(name, self.anomaly(name, target, told))
        return self.weighted(name, error / (size + self.get_buffer(f"{name}_least")))

    def norm(self, name: str, field: Tensor) -> Float[Tensor, "batch level 1 1"]:
        """√⟨·²⟩ of every map; where it is 0 its gradient is 0 too."""
        return torch.linalg.vector_norm(field * self.get_buffer(f"{name}_root"), dim=(-2, -1), keepdim=True)


class Amplitudes(Loss):
    """⟨Σ_k c_k (|x'_k| − |y'_k|)²⟩ / σ² over the zonal wavenumbers k of the anomalies x' and y'; c_k counts ±k.

    Both anomalies are 0 on land, so that a coast adds the same sharp edges to both.
    """

    def __init__(self, config: Spectral, measure: Measure):
        super().__init__(measure)
        area = measure.geometry.area
        both = torch.full((area.shape[-1] // 2 + 1,), 2.0)  # k and −k
        both[0] = 1.0
        if area.shape[-1] % 2 == 0:
            both[-1] = 1.0
        for name in self.names:
            mask, scale = measure.mask(name), measure.spread(name, config.scale)
            # The mean square of a whole row, times this, is what the row adds to the mean over the wet area.
            row = area.sum(-1, keepdim=True) / (mask * area).sum((-2, -1), keepdim=True).clamp(min=1.0)
            self.keep(f"{name}_weight", row * both / scale**2 * measure.weight(name, config.thickness))
            self.keep(f"{name}_mean", measure.mean(name))
            self.keep(f"{name}_mask", mask.clone())

    def of(self, name: str, field: Tensor, target: Tensor, told: Fields) -> Float[Tensor, ""]:
        found, true = (self.amplitude(name, self.anomaly(name, each, told)) for each in (field, target))
        return self.weighted(name, (found - true) ** 2)

    def amplitude(self, name: str, field: Tensor) -> Float[Tensor, "batch level lat wavenumber"]:
        """|x_k| of every row; the squares sum, over ±k, to the row's mean square."""
        return torch.fft.rfft(field * self.get_buffer(f"{name}_mask"), dim=-1, norm="forward").abs()


class _Config(Config):
    """What all losses have: a part of their sum, and how levels count."""

    share: PositiveFloat = 1.0  # the factor of this loss in a sum of several
    thickness: bool = False


class _Scaled(_Config):
    scale: Literal["increment", "spread"] = "increment"


class MSE(_Scaled):
    """Mean squared error: ℓ = ⟨e²⟩."""

    kind: Literal["mse"] = "mse"

    def build(self, measure: Measure) -> Loss:
        """The loss."""
        return Pointwise(self, 2, measure)


class MAE(_Scaled):
    """Mean absolute error: ℓ = ⟨|e|⟩, which a few large errors do not rule."""

    kind: Literal["mae"] = "mae"

    def build(self, measure: Measure) -> Loss:
        """The loss."""
        return Pointwise(self, 1, measure)


class Huber(_Scaled):
    """Huber's loss: ℓ = ⟨½ e²⟩ where |e| ≤ δ = `threshold`, and δ (|e| − ½ δ) beyond.

    References
    ----------
    Huber (1964), Ann. Math. Stat. 35, 73, doi:10.1214/aoms/1177703732.
    """

    kind: Literal["huber"] = "huber"
    threshold: PositiveFloat = 1.0  # δ, in units of σ

    def build(self, measure: Measure) -> Loss:
        """The loss."""
        return Pointwise(self, 2, measure)


class RelativeL2(_Config):
    """Relative error of every channel's map: ℓ = ‖x − y‖ / (‖y'‖ + ε σ), with σ the spread of the field.

    y' is the truth about its climatology, or about its mean if no climatology is told. Channels that vary much and
    channels that vary little count alike; ε keeps a nearly constant map from counting without bounds.
    """

    kind: Literal["relative_l2"] = "relative_l2"
    epsilon: PositiveFloat = 0.01

    def build(self, measure: Measure) -> Loss:
        """The loss."""
        return Relative(self, measure)


class Spectral(_Scaled):
    """Error of zonal spectra: ℓ = ⟨Σ_k (|x'_k| − |y'_k|)²⟩ / σ², of anomalies' amplitudes whatever their phases.

    A pointwise loss is lowest for a blurred field, because a sharp eddy in the wrong place counts twice; this one
    asks for eddies of the right strength wherever they are. It is never more than `mse`, and takes a place beside it:
    `loss: [{kind: mse}, {kind: spectral, share: 0.3}]`.
    """

    kind: Literal["spectral"] = "spectral"

    def build(self, measure: Measure) -> Loss:
        """The loss."""
        return Amplitudes(self, measure)


LossConfig = Annotated[MSE | MAE | Huber | RelativeL2 | Spectral, Field(discriminator="kind")]
