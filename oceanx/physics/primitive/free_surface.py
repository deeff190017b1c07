"""The free surface: the fast waves of the depth-mean flow, in many short explicit steps within one long one.

    A ∂η/∂t = −∇·U + A F        ∂ū/∂t = +f × ū − g ∇η + R        U = ū (H + η) Δy

R is what the slow, three-dimensional terms do to the depth mean, held for the long step. Steps run somewhat beyond its
end; transport and velocity are weighted means around it, which damps what the long step cannot resolve. The sea
surface is what that transport makes of it,

    A (η' − η) = −Δt ∇·U + Δt A F

so that tracers which it carries see the volume that is there.

References
----------
Shchepetkin & McWilliams (2005), Ocean Modelling 9, 347, doi:10.1016/j.ocemod.2004.08.002.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import NamedTuple

import torch
from torch import Tensor, nn

from oceanx.tensors.geometry import Geometry
from oceanx.tensors.operators import back_x, back_y, mean_x, mean_y, outflow, step_x, step_y

from ..continuity import per_depth
from ..momentum import Vector

COURANT = 0.8  # of the fast steps, of 1 where forward–backward steps end being stable
SPREAD = 1e-4  # in time, of the mean over short steps, in long steps squared


class Surface(NamedTuple):
    """The sea surface (m), the depth-mean flow (m s-1), and the volume through a column's faces (m3 s-1)."""

    zos: Tensor
    u_x: Tensor
    v_y: Tensor
    flux_x: Tensor
    flux_y: Tensor


class FreeSurface(nn.Module):
    """Advances sea surface and depth-mean flow over one long step. Everything that rests is computed once.

    Parameters
    ----------
    geometry
        The grid; its columns' depth and open faces are those at rest.
    gravity
        m s-2.
    """

    inverse_depth: Tensor
    per_depth_x: Tensor
    per_depth_y: Tensor
    width_x: Tensor
    width_y: Tensor
    per_area: Tensor
    per_x: Tensor
    per_y: Tensor
    turning: Tensor

    def __init__(self, geometry: Geometry, gravity: float):
        super().__init__()
        self.geometry, self.gravity = geometry, gravity
        self._shares: dict[int, list[tuple[float, float]]] = {}
        depth = geometry.bottom_depth
        depth_x = (geometry.thickness * geometry.mask_x).sum(0, keepdim=True)
        depth_y = (geometry.thickness * geometry.mask_y).sum(0, keepdim=True)
        wet_x, wet_y = geometry.mask_x[:1], geometry.mask_y[:1]
        corner = mean_y(depth_x * wet_x) + mean_x(depth_y * wet_y)
        number = mean_y(wet_x) + mean_x(wet_y)
        turning = geometry.coriolis_xy / torch.where(corner > 0, corner / number.clamp(min=0.5), 1.0)
        fields = {
            "inverse_depth": per_depth(depth),
            "per_depth_x": per_depth(depth_x),
            "per_depth_y": per_depth(depth_y),
            "width_x": geometry.length_x * depth_x,  # the section through which a column's water goes, at rest
            "width_y": geometry.length_y * depth_y,
            "per_area": geometry.mask[:1] / geometry.area,
            "per_x": wet_x / geometry.spacing_x,
            "per_y": wet_y / geometry.spacing_y,
            "turning": turning[None],
        }
        for name, field in fields.items():
            self.register_buffer(name, field, persistent=False)
        # Per second, the cells that a wave crosses at most: a cell's narrowest way is its area over its longer side.
        sharp = depth * ((geometry.length_y / geometry.area) ** 2 + (geometry.length_x / geometry.area) ** 2)
        self.fastest = float((gravity * sharp.max()).sqrt())

    def substeps(self, seconds: float) -> int:
        """How many short steps make a long one, even and at least 4: by the fastest wave of the deepest narrow cell."""
        return 2 * max(2, ceil(seconds * self.fastest / COURANT / 2))

    def coriolis(self, u_x: Tensor, v_y: Tensor) -> Vector:
        """+f v̄ and −f ū of a depth-mean flow, in columns at rest (m s-2): together they do no work."""
        return Vector(self._turned_x(v_y * self.width_y), self._turned_y(u_x * self.width_x))

    def forward(
        self,
        zos: Tensor,
        u_x: Tensor,
        v_y: Tensor,
        push: Vector,
        freshwater: Tensor,
        seconds: Tensor,
        times: int,
        run: Callable[..., Callable[..., tuple[Surface, tuple[Tensor, ...]]]] = lambda function: function,
    ) -> Surface:
        """The Surface after `seconds`.

        Parameters
        ----------
        zos, u_x, v_y
            Sea surface (m) and depth-mean flow (m s-1), `[batch, 1, lat, lon]`.
        push
            R on faces, m s-2.
        freshwater
            F into the sea, m s-1.
        times
            Short steps in `seconds`, an even number; see `substeps`.
        run
            What makes the function of a short step fast, such as `compiled`.
        """
        now = Surface(zos, u_x, v_y, torch.zeros_like(u_x), torch.zeros_like(v_y))
        mean = tuple(torch.zeros_like(field) for field in now[1:])
        short_step = run(self.short_step)
        if times not in self._shares:
            self._shares[times] = weights(times)
        for share, still in torch.tensor(self._shares[times], dtype=zos.dtype, device=zos.device):
            now, mean = short_step(now, mean, push, freshwater, seconds / times, share, still)
        moved = freshwater - outflow(*mean[2:]) * self.per_area
        return Surface(zos + seconds * moved, *mean)

    def short_step(
        self,
        now: Surface,
        mean: tuple[Tensor, ...],
        push: Vector,
        freshwater: Tensor,
        seconds: Tensor,
        share: Tensor,
        still: Tensor,
    ) -> tuple[Surface, tuple[Tensor, ...]]:
        """The next Surface, and the mean of flow and transport with its share: for transport, all from now on."""
        after = self.advance(now, push, freshwater, seconds)
        shares = (share, share, still, still)
        return after, tuple(whole + part * field for whole, part, field in zip(mean, shares, after[1:], strict=True))

    def advance(self, now: Surface, push: Vector, freshwater: Tensor, seconds: Tensor) -> Surface:
        """Forward for the sea surface, backward for its slope; Coriolis forward for ū, backward for v̄.

        One after the other, each with what the one before has made of it, keeps waves and inertial motion neutral
        while a step is shorter than both.
        """
        excess = now.zos * self.inverse_depth
        through_x, through_y = now.u_x * self.width_x, now.v_y * self.width_y
        flux_x, flux_y = through_x * (1 + mean_x(excess)), through_y * (1 + mean_y(excess))
        zos = now.zos + seconds * (freshwater - outflow(flux_x, flux_y) * self.per_area)
        slope_x, slope_y = self.gravity * self.per_x * step_x(zos), self.gravity * self.per_y * step_y(zos)
        u_x = now.u_x + seconds * (push.x + self._turned_x(through_y) - slope_x)
        v_y = now.v_y + seconds * (push.y + self._turned_y(u_x * self.width_x) - slope_y)
        return Surface(zos, u_x, v_y, flux_x, flux_y)

    def _turned_x(self, through_y: Tensor) -> Tensor:
        return back_y(self.turning * mean_x(through_y)) * self.per_x

    def _turned_y(self, through_x: Tensor) -> Tensor:
        return -back_x(self.turning * mean_y(through_x)) * self.per_y


def weights(times: int) -> list[tuple[float, float]]:
    """For every short step: its share in the mean, and in mean transport: all shares from it on, per step.

    With τ in long steps, shares are a power law A(τ) = x² (1 − x⁴) − r x, x = τ/τ₀, up to where it ends, times the
    parabola that makes them sum to 1, with their mean at τ = 1 and ⟨(τ − 1)²⟩ = 1e-4. So what the mean takes from a
    wave is (ωΔt)²/20000 while it is slow, more and more of a fast one, and it adds to none.

    References
    ----------
    Shchepetkin & McWilliams (2005), Ocean Modelling 9, 347, doi:10.1016/j.ocemod.2004.08.002 (the power law).
    """
    low, high = 1.0, 2.0
    for _ in range(60):
        stretch = 0.5 * (low + high)
        shape = _power_law(times, stretch)
        early = sum(a * (step / times - 1) for step, a in enumerate(shape, 1)) < 0
        low, high = (stretch, high) if early else (low, stretch)
    late = [step / times - 1 for step in range(1, len(shape) + 1)]
    moments = [sum(a * t**k for a, t in zip(shape, late, strict=True)) for k in range(5)]
    columns, wanted = [moments[k : k + 3] for k in range(3)], [1.0, 0.0, SPREAD]
    whole = _triple(columns[0], columns[1], columns[2])
    level = _triple(wanted, columns[1], columns[2]) / whole
    slope = _triple(columns[0], wanted, columns[2]) / whole
    bend = _triple(columns[0], columns[1], wanted) / whole
    shares = [a * (level + slope * t + bend * t**2) for a, t in zip(shape, late, strict=True)]
    return [(share, sum(shares[n:]) / times) for n, share in enumerate(shares)]


def _power_law(times: int, stretch: float) -> list[float]:
    """x² (1 − x⁴) − r x for every short step, x = step / (times × stretch), from the first to where it ends."""
    shape: list[float] = []
    for step in range(1, 2 * times + 1):
        x = step / (times * stretch)
        value = x**2 * (1 - x**4) - 0.2846158 * x
        if value <= 0 and shape and max(shape) > 0:
            break
        shape.append(value)
    return shape


def _triple(a: list[float], b: list[float], c: list[float]) -> float:
    """The determinant of three columns."""
    return a[0] * (b[1] * c[2] - b[2] * c[1]) + a[1] * (b[2] * c[0] - b[0] * c[2]) + a[2] * (b[0] * c[1] - b[1] * c[0])
