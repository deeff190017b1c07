"""ResNet: residual blocks that never leave the grid; the map grows wider in channels and never coarser.

References
----------
He, Zhang, Ren & Sun (2016), CVPR, doi:10.1109/CVPR.2016.90.
Wu & He (2018), ECCV, doi:10.1007/978-3-030-01261-8_1 (group normalisation).
"""

from __future__ import annotations

from typing import Annotated, Literal

from jaxtyping import Float
from pydantic import Field, NonNegativeInt, PositiveInt, model_validator
from torch import Tensor, nn

from oceanx.tensors.geometry import Geometry
from oceanx.vocabulary.config import Config

from .layers import Conv, silent


class ResNetConfig(Config):
    """How wide each stage is, and how many residual blocks it has; every stage but the first begins by widening.

    The published baseline is the default, with one exchange: where it normalises over the batch, this one normalises
    each map by itself, in `groups` of channels (as many parameters). A network of maps is trained on few at a time,
    and a forecast must not depend on its neighbours in the batch.
    """

    kind: Literal["resnet"] = "resnet"
    widths: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (64, 128, 256, 512)
    blocks: Annotated[tuple[NonNegativeInt, ...], Field(min_length=1)] = (3, 3, 5, 2)
    groups: PositiveInt = 8
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5

    @model_validator(mode="after")
    def _check(self) -> ResNetConfig:
        if len(self.blocks) != len(self.widths):
            raise ValueError(
                f"`blocks` has {len(self.blocks)} stages and `widths` has {len(self.widths)}: write one each"
            )
        uneven = [width for width in self.widths if width % self.groups]
        if uneven:
            raise ValueError(f"`groups` = {self.groups} does not divide the `widths` {uneven}")
        return self

    def build(self, channels_in: int, channels_out: int, geometry: Geometry) -> ResNet:
        """The network, its last layer zero."""
        return ResNet(self, channels_in, channels_out, geometry.periodic)


class ResNet(nn.Module):
    """Residual blocks on maps of any size. Each is normalised by itself; an untrained network says nothing."""

    def __init__(self, config: ResNetConfig, channels_in: int, channels_out: int, periodic: bool):
        super().__init__()
        groups, dropout, self.turns_by = config.groups, config.dropout, 1
        before = config.widths[0]
        layers: list[nn.Module] = [Layer(channels_in, before, periodic, groups, dropout)]
        for stage, (width, blocks) in enumerate(zip(config.widths, config.blocks, strict=True)):
            if stage:
                layers += [
                    Layer(before, width, periodic, groups, dropout),
                    Layer(width, width, periodic, groups, dropout),
                ]
            layers += [Residual(width, periodic, groups, dropout) for _ in range(blocks)]
            before = width
        self.layers = nn.Sequential(*layers)
        self.head = silent(Conv(before, channels_out, periodic))

    def forward(self, x: Float[Tensor, "batch channel_in lat lon"]) -> Float[Tensor, "batch channel_out lat lon"]:
        return self.head(self.layers(x))


class Residual(nn.Module):
    """x + what two layers make of x."""

    def __init__(self, width: int, periodic: bool, groups: int, dropout: float):
        super().__init__()
        self.first = Layer(width, width, periodic, groups, dropout)
        self.second = Layer(width, width, periodic, groups, dropout)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(self.first(x))


class Layer(nn.Sequential):
    """A 3 × 3 convolution, normalised, bent, and thinned while it trains."""

    def __init__(self, channels_in: int, channels_out: int, periodic: bool, groups: int, dropout: float):
        super().__init__(
            Conv(channels_in, channels_out, periodic),
            nn.GroupNorm(groups, channels_out),
            nn.LeakyReLU(0.1, inplace=True),
            nn.Dropout(dropout),
        )
