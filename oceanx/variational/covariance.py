"""What a covariance of errors is: B by its root, B = U Uᵀ, so that it is symmetric and positive semi-definite.

    x = U v        v = Uᵀ x        B x = U Uᵀ x

Whatever v is, 0 on land. A control vector v of unit variance makes an error with covariance B: draws are U times white
noise, and a cost ½ xᵀ B⁻¹ x is ½ vᵀ v, in which nothing needs to be inverted.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from oceanx.tensors.state import Fields, Increment, State

Shape = tuple[int, int, int]  # levels, rows, columns

AT_ONCE = 64  # control vectors that `variance` takes together


class Covariance(ABC):
    """A covariance B = U Uᵀ of increments.

    Attributes
    ----------
    size
        How many numbers a control vector has.
    shapes
        Levels, rows and columns of each variable.
    dtype, device
        Of its increments.
    """

    size: int
    shapes: Mapping[str, Shape]
    dtype: torch.dtype
    device: torch.device

    @abstractmethod
    def root(self, v: Float[Tensor, "batch size"]) -> Increment:
        """U v, every variable `[batch, level, lat, lon]`."""

    @abstractmethod
    def adjoint(self, change: Increment) -> Float[Tensor, "batch size"]:
        """Uᵀ x; a variable that x lacks is 0."""

    def __call__(self, change: Increment) -> Increment:
        """B x."""
        return self.root(self.adjoint(change))

    def about(self, background: State) -> Covariance:
        """The covariance of errors about this background: itself, unless something in it depends on that."""
        return self

    def random(self, batch: int, generator: torch.Generator | None = None) -> Increment:
        """So many draws with this covariance."""
        return self.root(torch.randn(batch, self.size, dtype=self.dtype, generator=generator).to(self.device))

    def variance(self, draws: int | None = None, generator: torch.Generator | None = None) -> Increment:
        """diag B, `[1, level, lat, lon]`: exactly, by as many roots as v has numbers, or from so many draws.

        Draws leave a relative error of √(2/draws).
        """
        total, batches = None, self._draws(draws, generator) if draws else self._units()
        for change in batches:
            squares = change.map(lambda field: field.square().sum(0, keepdim=True))
            total = squares if total is None else total + squares
        return (total or self.zeros(1)) * (1 / draws if draws else 1.0)

    def zeros(self, batch: int) -> Increment:
        """An increment of nothing."""
        return Increment(
            {name: torch.zeros(batch, *s, dtype=self.dtype, device=self.device) for name, s in self.shapes.items()}
        )

    def scaled(self, factor: float | Mapping[str, Tensor]) -> Covariance:
        """S B S, errors being `factor` times as large: a number, or fields `[level, lat, lon]` by variable."""
        return Scaled(self, factor)

    def field(self, change: Increment, name: str) -> Tensor:
        """A variable of an increment, or 0 in its shape."""
        if name in change:
            return change[name]
        some = next(iter(change.values()))
        return some.new_zeros(len(some), *self.shapes[name])

    def _units(self) -> Iterator[Increment]:
        """U, column by column."""
        for start in range(0, self.size, AT_ONCE):
            count = min(AT_ONCE, self.size - start)
            v = torch.zeros(count, self.size, dtype=self.dtype, device=self.device)
            v[:, start : start + count] = torch.eye(count, dtype=self.dtype)
            yield self.root(v)

    def _draws(self, draws: int, generator: torch.Generator | None) -> Iterator[Increment]:
        for start in range(0, draws, AT_ONCE):
            yield self.random(min(AT_ONCE, draws - start), generator)


@runtime_checkable
class Correlation(Protocol):
    """A correlation C = R Rᵀ of one field, by its root; 0 on land, where `mask` is: `Diffusion` is one."""

    size: int
    mask: Tensor

    def root(self, v: Float[Tensor, "batch size"]) -> Float[Tensor, "batch level lat lon"]: ...

    def adjoint(self, field: Float[Tensor, "batch level lat lon"]) -> Float[Tensor, "batch size"]: ...


class Scaled(Covariance):
    """S B S with S diagonal."""

    def __init__(self, inner: Covariance, factor: float | Mapping[str, Tensor]):
        self.inner, self.factor = inner, factor
        self.size, self.shapes, self.dtype, self.device = inner.size, inner.shapes, inner.dtype, inner.device

    def root(self, v: Float[Tensor, "batch size"]) -> Increment:
        return self._times(self.inner.root(v))

    def adjoint(self, change: Increment) -> Float[Tensor, "batch size"]:
        return self.inner.adjoint(self._times(change))

    def about(self, background: State) -> Covariance:
        return Scaled(self.inner.about(background), self.factor)

    def variance(self, draws: int | None = None, generator: torch.Generator | None = None) -> Increment:
        return self._times(self._times(self.inner.variance(draws, generator)))

    def _times(self, change: Increment) -> Increment:
        by = self.factor
        if isinstance(by, Mapping):
            return Increment({name: field * by[name] if name in by else field for name, field in change.items()})
        return change * by


class Sum(Covariance):
    """B = Σ B_i, such as a static and a sampled covariance together: their control vectors stand in a row.

    Weights belong into the parts: `Sum([static.scaled(0.5**0.5), sampled.scaled(0.5**0.5)])`.

    References
    ----------
    Lorenc (2003), Q. J. R. Meteorol. Soc. 129, 3183, doi:10.1256/qj.02.132; Hamill & Snyder (2000), Mon. Weather Rev.
    128, 2905, doi:10.1175/1520-0493(2000)128<2905:AHEKFV>2.0.CO;2.
    """

    def __init__(self, parts: Sequence[Covariance]):
        self.parts = list(parts)
        self.size = sum(part.size for part in self.parts)
        self.shapes = {name: shape for part in self.parts for name, shape in part.shapes.items()}
        self.dtype, self.device = self.parts[0].dtype, self.parts[0].device

    def root(self, v: Float[Tensor, "batch size"]) -> Increment:
        pieces = v.split([part.size for part in self.parts], dim=1)
        total = Increment({})
        for part, piece in zip(self.parts, pieces, strict=True):
            total = total + part.root(piece)
        return total

    def adjoint(self, change: Increment) -> Float[Tensor, "batch size"]:
        return torch.cat([part.adjoint(change.only(_both(change, part.shapes))) for part in self.parts], dim=1)

    def about(self, background: State) -> Covariance:
        return Sum([part.about(background) for part in self.parts])

    def variance(self, draws: int | None = None, generator: torch.Generator | None = None) -> Increment:
        total = Increment({})
        for part in self.parts:
            total = total + part.variance(draws, generator)
        return total


class Dense(Covariance):
    """A covariance given as a matrix, of cells counted variable after variable in C order: for small states.

    Parameters
    ----------
    matrix
        Symmetric, positive semi-definite `[cell, cell]`.
    shapes
        Levels, rows and columns of each variable, in their order.

    Raises
    ------
    ValueError
        If the matrix has not as many rows as there are cells, or is no covariance.
    """

    def __init__(self, matrix: Float[Tensor, "cell cell"], shapes: Mapping[str, Shape]):
        self.shapes, self.size = dict(shapes), len(matrix)
        self.dtype, self.device = matrix.dtype, matrix.device
        if sum(_count(shape) for shape in self.shapes.values()) != self.size:
            raise ValueError(f"a matrix of {self.size} rows for variables of {self.shapes}")
        values, vectors = torch.linalg.eigh((matrix + matrix.T) / 2)
        rounding = self.size * torch.finfo(self.dtype).eps * float(values.abs().max())
        if not torch.allclose(matrix, matrix.T, atol=rounding) or float(values.min()) < -rounding:
            raise ValueError(f"no covariance: its least eigenvalue is {float(values.min()):g}, or it is not symmetric")
        self.matrix, self._root = matrix, vectors * values.clamp(min=0).sqrt() @ vectors.T

    def root(self, v: Float[Tensor, "batch size"]) -> Increment:
        return unflattened(v @ self._root, self.shapes)

    def adjoint(self, change: Increment) -> Float[Tensor, "batch size"]:
        return flattened(change, self) @ self._root

    def __call__(self, change: Increment) -> Increment:
        return unflattened(flattened(change, self) @ self.matrix, self.shapes)

    def variance(self, draws: int | None = None, generator: torch.Generator | None = None) -> Increment:
        return unflattened(self.matrix.diagonal()[None], self.shapes)


def flattened(change: Increment, covariance: Covariance) -> Float[Tensor, "batch cell"]:
    """All variables of a covariance, one after another in C order."""
    return torch.cat([covariance.field(change, name).flatten(1) for name in covariance.shapes], dim=1)


def unflattened(vector: Float[Tensor, "batch cell"], shapes: Mapping[str, Shape]) -> Increment:
    """The inverse of `flattened`."""
    pieces = vector.split([_count(shape) for shape in shapes.values()], dim=1)
    fields = zip(shapes.items(), pieces, strict=True)
    return Increment({name: piece.reshape(len(vector), *shape) for (name, shape), piece in fields})


def shapes_of(fields: Mapping[str, Tensor]) -> dict[str, Shape]:
    """Levels, rows and columns of fields that have them last."""
    return {name: (field.shape[-3], field.shape[-2], field.shape[-1]) for name, field in fields.items()}


def _both(change: Fields, shapes: Mapping[str, Shape]) -> tuple[str, ...]:
    return tuple(name for name in change if name in shapes)


def _count(shape: Shape) -> int:
    return shape[0] * shape[1] * shape[2]
