"""Covariances of samples: differences of forecasts, anomalies or the members of an ensemble, as they are or localised.

    B = 1/(n − 1) Σ_k a_k a_kᵀ        B_localised = B ∘ C

a_k are samples less their mean. n samples know n − 1 directions; distant cells, which they make seem related by chance
(like 1/√n), are parted by the Schur product with a correlation C that all variables share.
"""

from __future__ import annotations

from math import prod

import torch
from jaxtyping import Float
from torch import Tensor

from oceanx.tensors.state import Fields, Increment

from .covariance import Correlation, Covariance, shapes_of


class Sampled(Covariance):
    """The covariance of samples.

    Parameters
    ----------
    samples
        By variable, `[sample, level, lat, lon]`, 0 on land; two at least.
    centred
        Whether their mean is to be removed first, and n − 1 rather than n is to divide.
    """

    def __init__(self, samples: Fields, centred: bool = True):
        self.anomalies = _fewest(anomalies(samples, centred))
        self.shapes = shapes_of(self.anomalies)
        some = next(iter(self.anomalies.values()))
        self.size, self.dtype, self.device = len(some), some.dtype, some.device

    def root(self, v: Float[Tensor, "batch size"]) -> Increment:
        return Increment({name: torch.tensordot(v, a, dims=1) for name, a in self.anomalies.items()})

    def adjoint(self, change: Increment) -> Float[Tensor, "batch size"]:
        total = sum(self.field(change, name).flatten(1) @ a.flatten(1).T for name, a in self.anomalies.items())
        return torch.as_tensor(total)

    def variance(self, draws: int | None = None, generator: torch.Generator | None = None) -> Increment:
        """diag B, as the samples have it."""
        return _squares(self.anomalies)


class Localised(Covariance):
    """The Schur product of the samples' covariance and a correlation: a control field for every sample.

    x = Σ_k a_k ∘ R v_k. A correlation with several levels has the first of them for surface variables, which so stay
    related to the water beneath.

    Parameters
    ----------
    samples, centred
        As of `Sampled`.
    correlation
        With as many levels as the volume variables have (1 where there are none).

    References
    ----------
    Lorenc (2003), Q. J. R. Meteorol. Soc. 129, 3183, doi:10.1256/qj.02.132; Buehner (2005), Q. J. R. Meteorol. Soc.
    131, 1013, doi:10.1256/qj.04.15.
    """

    def __init__(self, samples: Fields, correlation: Correlation, centred: bool = True):
        self.anomalies, self.correlation = anomalies(samples, centred), correlation
        self.shapes = shapes_of(self.anomalies)
        some = next(iter(self.anomalies.values()))
        self.samples, self.dtype, self.device = len(some), some.dtype, some.device
        self.size = self.samples * correlation.size

    def root(self, v: Float[Tensor, "batch size"]) -> Increment:
        weights = self.correlation.root(v.reshape(-1, self.correlation.size)).unflatten(0, (len(v), self.samples))
        return Increment(
            {name: (weights[:, :, : a.shape[1]] * a).sum(1) for name, a in self.anomalies.items()},
        )

    def adjoint(self, change: Increment) -> Float[Tensor, "batch size"]:
        levels = max(a.shape[1] for a in self.anomalies.values())
        total: Tensor | float = 0.0
        for name, a in self.anomalies.items():
            product = self.field(change, name)[:, None] * a
            total = total + torch.nn.functional.pad(product, (0, 0, 0, 0, 0, levels - a.shape[1]))
        weights = torch.as_tensor(total)
        return self.correlation.adjoint(weights.flatten(0, 1)).reshape(len(weights), self.size)

    def variance(self, draws: int | None = None, generator: torch.Generator | None = None) -> Increment:
        """diag B, as the samples have it: localisation leaves it."""
        return _squares(self.anomalies)


def anomalies(samples: Fields, centred: bool = True) -> Increment:
    """Samples less their mean over √(n − 1), whose products add up to their covariance.

    Raises
    ------
    ValueError
        If there is but one of them.
    """
    count = len(next(iter(samples.values())))
    if not centred:
        return Increment({name: field / count**0.5 for name, field in samples.items()})
    if count < 2:
        raise ValueError("one sample has no covariance; expected two at least")
    return Increment({name: (field - field.mean(0)) / (count - 1) ** 0.5 for name, field in samples.items()})


def _fewest(samples: Increment) -> Increment:
    """No more samples than they have values, with the same covariance: AᵀA = RᵀR, of A = QR."""
    shapes = shapes_of(samples)
    together = torch.cat([field.flatten(1) for field in samples.values()], dim=1)
    if len(together) <= together.shape[1]:
        return samples
    root = torch.linalg.qr(together.double(), mode="r").R.to(together.dtype)
    parts = root.split([prod(shape) for shape in shapes.values()], dim=1)
    fields = zip(shapes.items(), parts, strict=True)
    return Increment({name: part.reshape(len(root), *shape) for (name, shape), part in fields})


def _squares(fields: Increment) -> Increment:
    return fields.map(lambda field: field.square().sum(0, keepdim=True))
