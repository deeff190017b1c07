"""Correlations by implicit diffusion: they follow the water, end at coasts, and are smooth for any grid.

    C = N (1 − ∇·L²∇)^{−M} N

M steps of implicit diffusion, horizontally along every level and vertically in every column, with no flux through
land; N makes the diagonal 1. Of a constant L far from coasts C is a function of Matérn's, in d dimensions

    ρ(r) = 2^{1−ν}/Γ(ν) (r/L)^ν K_ν(r/L)        ν = M − d/2

which is (1 + r/L) e^{−r/L} for M 2 along a line. Its Daley length, the radius of the parabola that touches it at 0 and
what `Setting.length` means, is √(2M − d − 2) L: `scale` turns one into the other. It exists in 2-D for M > 2.

With W the cells' areas, half of the steps of W^{1/2} (1 − ∇·L²∇)^{−1} W^{−1/2} = (1 + S)^{−1}, which is symmetric, are
the root of C: what W adds to both sides goes into N.

References
----------
Weaver & Courtier (2001), Q. J. R. Meteorol. Soc. 127, 1815, doi:10.1002/qj.49712757518 (diffusion as correlation).
Mirouze & Weaver (2010), Q. J. R. Meteorol. Soc. 136, 1421, doi:10.1002/qj.643 (implicit steps).
Weaver & Mirouze (2013), Q. J. R. Meteorol. Soc. 139, 242, doi:10.1002/qj.1955 (lengths, two dimensions).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy.sparse
import torch
from jaxtyping import Float
from scipy.sparse.linalg import SuperLU, splu
from torch import Tensor

from oceanx.tensors.geometry import Geometry, above, below, east, north
from oceanx.tensors.tridiagonal import solve as solve_columns

from .normalisation import Line, drawn, probed, probes

EXACT = 2048  # cells of a level up to which the normalisation is exact
DRAWS = 2000  # fields that it may take beyond that
APART = 9.0  # Daley lengths between sources of one field, L being half of one at least


def scale(length: float, steps: int, dimensions: int) -> float:
    """L of a Daley length, both in m: L = length / √(2M − d − 2).

    Raises
    ------
    ValueError
        If so few steps have no Daley length in so many dimensions: their correlation has a cusp at 0.
    """
    curvature = 2 * steps - dimensions - 2
    if curvature <= 0:
        raise ValueError(f"{steps} steps of diffusion in {dimensions} dimensions have no Daley length; take more")
    return length / math.sqrt(curvature)


class Diffusion:
    """The correlation C = R Rᵀ of one variable, 1 on the diagonal and 0 on land; solved exactly, on the CPU, in double.

    Parameters
    ----------
    geometry
        Where the water is.
    levels
        Of the variable: 1 at the surface, or as many as the geometry has.
    length
        L in m, or everywhere its own, `[level, lat, lon]`.
    height
        The same along the vertical; 0 where levels have nothing to do with each other.
    steps
        M, even: half of them are the root.
    exact
        Cells of a level up to which the normalisation is exact, a field for each. Beyond that a field has sources nine
        Daley lengths apart, which is right to 1e-4; where that takes more than `draws` fields, it comes from so many
        draws of white noise, with a relative error of √(2/draws) in the variance.
    seed
        Of those draws.

    Attributes
    ----------
    size
        Wet cells: of how many numbers white noise has.
    factor
        1 + S of all levels, factorised.
    """

    def __init__(
        self,
        geometry: Geometry,
        levels: int,
        length: float | Tensor,
        height: float | Tensor = 0.0,
        steps: int = 4,
        *,
        exact: int = EXACT,
        draws: int = DRAWS,
        seed: int = 0,
    ):
        if steps < 2 or steps % 2:
            raise ValueError(f"{steps} steps of diffusion have no halves; expected an even number")
        self.half = steps // 2
        self.mask = geometry.mask_of(levels).double()
        self.shape = tuple(self.mask.shape)
        self.wet = self.mask.flatten().nonzero()[:, 0]
        self.size = len(self.wet)
        self.factor = _horizontal(geometry, self.mask.cpu(), length)
        self._columns = _vertical(geometry, self.mask, height)
        self._closed = geometry.periodic_y, geometry.periodic
        across = self._diagonal(exact, draws, seed, _apart(geometry, length, steps))
        self.normalised = self.mask / self._down_the_columns(across).sqrt()

    def root(self, v: Float[Tensor, "batch size"]) -> Float[Tensor, "batch level lat lon"]:
        """R v: of white noise a field with this correlation."""
        return (self._vertically(self._field(self._horizontally(v.double()))) * self.normalised).to(v.dtype)

    def adjoint(self, field: Float[Tensor, "batch level lat lon"]) -> Float[Tensor, "batch size"]:
        """Rᵀ x."""
        return self._horizontally(self._wet(self._vertically(field.double() * self.normalised))).to(field.dtype)

    def __call__(self, field: Float[Tensor, "batch level lat lon"]) -> Float[Tensor, "batch level lat lon"]:
        """C x."""
        return self.root(self.adjoint(field))

    def diffuse(self, v: Float[Tensor, "*batch size"], times: int) -> Float[Tensor, "*batch size"]:
        """So many steps (1 + S)^{−1} along the levels, of numbers in the wet cells."""
        for _ in range(times):
            v = _Solve.apply(v, self.factor)
        return v

    def _horizontally(self, v: Tensor) -> Tensor:
        return self.diffuse(v, self.half)

    def _vertically(self, field: Tensor) -> Tensor:
        if self._columns is None:
            return field
        for _ in range(self.half):
            field = solve_columns(*self._columns, field)
        return field

    def _field(self, v: Tensor) -> Tensor:
        return v.new_zeros(len(v), self.mask.numel()).index_copy(1, self.wet, v).unflatten(1, self.shape)

    def _wet(self, field: Tensor) -> Tensor:
        return field.flatten(1).index_select(1, self.wet)

    def _diagonal(self, exact: int, draws: int, seed: int, spacing: tuple[int, int]) -> Tensor:
        """That of horizontal diffusion on every level."""
        rows, columns = self.mask.shape[-2:]
        apart = (rows, columns) if rows * columns <= exact else spacing
        lines = [Line(*each) for each in zip((rows, columns), apart, self._closed, strict=True)]
        if rows * columns > exact and probes(*lines) > draws:
            return drawn(self._sideways, self.mask, draws, seed)
        return probed(self._sideways, self.mask, *lines)

    def _sideways(self, field: Tensor) -> Tensor:
        return self._field(self._horizontally(self._wet(field)))

    def _down_the_columns(self, across: Tensor) -> Tensor:
        """The diagonal of R Rᵀ before it is normalised, from that of its horizontal half; 1 on land.

        Vertical diffusion V couples cells of a column, horizontal diffusion those of a level: a row of R is that of V
        times, level by level, those of the latter. So its square is Σ_l V_kl² across_l, exactly.
        """
        units = torch.eye(len(self.mask), dtype=torch.float64, device=self.mask.device)[:, :, None, None]
        spread = self._vertically(units * self.mask)  # [from level, to level, lat, lon]
        return torch.where(self.mask > 0, (spread.square() * across[:, None]).sum(0), 1.0)


class _Solve(torch.autograd.Function):
    """(1 + S)^{−1} x along the last dimension. Symmetric: gradient and tangent are the same solve."""

    @staticmethod
    def forward(x: Tensor, factor: SuperLU) -> Tensor:
        right = np.ascontiguousarray(x.detach().cpu().reshape(-1, x.shape[-1]).numpy())
        return torch.from_numpy(np.ascontiguousarray(factor.solve(right.T).T)).reshape(x.shape).to(x.device)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, SuperLU], output: Tensor) -> None:
        ctx.factor = inputs[1]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return _Solve.apply(grad, ctx.factor), None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, _: None) -> Tensor:
        return _Solve.apply(tangent, ctx.factor)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int, None], x: Tensor, factor: SuperLU) -> tuple[Tensor, int]:
        return _Solve.apply(x.movedim(in_dims[0], 0), factor), 0


def _horizontal(geometry: Geometry, mask: Tensor, length: float | Tensor) -> SuperLU:
    """1 + S of the wet cells of all levels, factorised: S = W^{−1/2} (Σ L² l/s over open faces) W^{−1/2}.

    l is how long a face is, s how far the centres on both its sides are apart, L² their mean.
    """
    levels = len(mask)
    metric = {name: getattr(geometry, name).double().cpu() for name in _METRICS}
    squared = _everywhere(length, mask).square()
    number = torch.arange(mask.numel()).reshape(mask.shape)
    pairs, strength = [], []
    for axis, neighbour in (("x", east), ("y", north)):
        is_open = getattr(geometry, f"mask_{axis}")[:levels].cpu() > 0
        through = (squared + neighbour(squared)) / 2 * metric[f"length_{axis}"] / metric[f"spacing_{axis}"]
        pairs.append(torch.stack([number[is_open], neighbour(number)[is_open]]))
        strength.append(through[is_open])
    (here, there), force = torch.cat(pairs, dim=1).numpy(), torch.cat(strength).numpy()
    face, ones = np.arange(len(force)), np.ones(len(force))
    shape = (len(force), mask.numel())
    step = scipy.sparse.csr_array((np.r_[ones, -ones], (np.r_[face, face], np.r_[here, there])), shape)
    wet = mask.flatten().numpy() > 0
    step = step @ scipy.sparse.diags_array(metric["area"].expand(mask.shape).flatten().numpy() ** -0.5)
    matrix = step.T @ (scipy.sparse.diags_array(force) @ step) + scipy.sparse.eye_array(mask.numel())
    return splu(
        matrix.tocsr()[wet][:, wet].tocsc(),
        permc_spec="MMD_AT_PLUS_A",
        diag_pivot_thresh=0.0,
        options={"SymmetricMode": True},
    )


_METRICS = ("area", "length_x", "length_y", "spacing_x", "spacing_y")


def _vertical(geometry: Geometry, mask: Tensor, height: float | Tensor) -> tuple[Tensor, Tensor, Tensor] | None:
    """1 + S along the vertical: below, on and above the diagonal, `[level, lat, lon]`; None where levels are apart."""
    if len(mask) == 1 or (not isinstance(height, Tensor) and height == 0):
        return None
    squared = _everywhere(height, mask).square()
    thick = geometry.thickness.double() * torch.ones_like(mask)
    distance = (thick + below(thick)) / 2
    is_open = geometry.mask_z.double()
    through = (squared + below(squared)) / 2 / distance * is_open
    beyond = -through / (thick * below(thick)).sqrt()
    return above(beyond), 1 + (through + above(through)) / thick, beyond


def _apart(geometry: Geometry, length: float | Tensor, steps: int) -> tuple[int, int]:
    """How many rows and columns lie within nine Daley lengths, where that is most."""
    daley = math.sqrt(max(2 * steps - 4, 4)) * float(torch.as_tensor(length, dtype=torch.float64).max())
    found = []
    for axis in ("y", "x"):
        is_open = getattr(geometry, f"mask_{axis}").any(0)
        nearest = getattr(geometry, f"spacing_{axis}").double()[is_open]
        found.append(math.ceil(APART * daley / float(nearest.min())) if nearest.numel() else 1)
    rows, columns = found
    return rows, columns


def _everywhere(length: float | Tensor, mask: Tensor) -> Tensor:
    """A length as a field; ValueError unless it is a positive number in every wet cell."""
    field = torch.as_tensor(length, dtype=mask.dtype, device=mask.device) * torch.ones_like(mask)
    if not bool((field[mask > 0] >= 0).all() & field[mask > 0].isfinite().all()):
        raise ValueError("a correlation length is negative, or no number, in a wet cell")
    return torch.where(mask > 0, field, 0.0)
