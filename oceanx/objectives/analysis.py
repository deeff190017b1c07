"""What a learned analysis is to make small: the error of its states, and the surprise that their error is.

    L = Σ_v w_v Σ_l (⟨e²⟩ + λ ⟨½ (e² / s² + log s²)⟩) / n_v Σ_v w_v

e = (x − y) / σc is the error in units of the climatological spread, ⟨·⟩ the area-weighted mean over wet cells, and s²
the variance that the analysis expects of e. The second term, a Gaussian's negative logarithm, teaches s² alone: no
gradient of it reaches the state.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from oceanx.models.named_network import Statistics
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.state import Fields, State
from oceanx.vocabulary.channels import Channels

from .losses import Measure


class AnalysisLoss(nn.Module):
    """(state, truth, log s²) → L.

    Parameters
    ----------
    likelihood
        λ.
    """

    def __init__(
        self,
        channels: Channels,
        geometry: Geometry,
        statistics: Statistics,
        weights: Mapping[str, float],
        likelihood: float,
    ):
        super().__init__()
        measure = Measure(channels, geometry, statistics, weights)
        self.names, self.likelihood = channels.names, likelihood
        for name in self.names:
            self._keep(f"{name}_weight", measure.share(name) * measure.weight(name, thickness=False))
            self._keep(f"{name}_spread", measure.spread(name, "spread"))

    def forward(self, state: State, truth: State, log_variance: Fields) -> Float[Tensor, ""]:
        return torch.stack([self._of(name, state, truth, log_variance) for name in self.names]).sum()

    def _of(self, name: str, state: State, truth: State, log_variance: Fields) -> Float[Tensor, ""]:
        square = ((state[name] - truth[name]) / self.get_buffer(f"{name}_spread")) ** 2
        log = log_variance[name]
        surprise = (square.detach() * (-log).exp() + log) / 2
        said = (square + self.likelihood * surprise) * self.get_buffer(f"{name}_weight")
        return said.sum(dim=(1, 2, 3)).mean()

    def _keep(self, name: str, value: Tensor) -> None:
        self.register_buffer(name, value, persistent=False)


def surprise(departure: Float[Tensor, " obs"], variance: Float[Tensor, " obs"]) -> Float[Tensor, ""]:
    """The mean of ½ (d² / s² + log s²) over observations, of which the truth is not known; 0 of none.

    Parameters
    ----------
    variance
        s², that of the observation's error included.
    """
    if not departure.numel():
        return departure.sum()
    return ((departure**2 / variance + variance.log()) / 2).mean()
