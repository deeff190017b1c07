"""What a learned analysis is to make small: the error of its states, and the surprise that their error is.

    L = Σ_v w_v Σ_l (log(1 + ⟨e²⟩ / ε²) + λ ⟨½ (e² / s² + log s²)⟩) / n_v Σ_v w_v

e = (x − y) / σc is the error in units of the climatological spread, ⟨·⟩ the area-weighted mean over wet cells, and s²
the variance that the analysis expects of e. Of the error the logarithm counts, for each state and level by itself: a
tenth less is worth as much of what is observed well as of what hardly is, which would else drown it. The second term, a
Gaussian's negative logarithm, teaches s² alone: no gradient of it reaches the state.
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

LEAST = 0.03  # ε, in spreads: no error matters much less than this


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
        self.parts = {name: channels.levels(name) * measure.weight(name, thickness=False) for name in self.names}
        for name in self.names:
            self._keep(f"{name}_share", measure.share(name))
            self._keep(f"{name}_spread", measure.spread(name, "spread"))

    def forward(self, state: State, truth: State, log_variance: Fields) -> Float[Tensor, ""]:
        return torch.stack([self._of(name, state, truth, log_variance) for name in self.names]).sum()

    def _of(self, name: str, state: State, truth: State, log_variance: Fields) -> Float[Tensor, ""]:
        square = ((state[name] - truth[name]) / self.get_buffer(f"{name}_spread")) ** 2
        log, share = log_variance[name], self.get_buffer(f"{name}_share")
        surprise = (square.detach() * (-log).exp() + log) / 2
        error, surprised = ((each * share).sum(dim=(2, 3)) for each in (square, surprise))  # [batch, level]
        return self.parts[name] * ((error / LEAST**2).log1p() + self.likelihood * surprised).mean()

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
