"""A day of the vorticity core: the flows that stay the same, and the Adams–Bashforth steps that they take.

Everything here takes and gives tensors, and every step of it is compiled by itself. What flow and mixing do is made
once a day, as the share of each cell's water that comes from either neighbour (`exchange`); a step then reads the
fields, their last tendencies and these shares, and writes the fields and the tendencies.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint as recomputed

from oceanx.tensors.compiled import compiled
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.operators import Vector

from .continuity import vertical_flux
from .density import EQUATIONS
from .exchange import Exchange, exchange, exchanged
from .explicit_limit import bearable, bounded_flow, bounded_mixing, bounded_share, mixing_rate
from .geostrophy import balanced, whole_push
from .transport import Flux, transport, volume_flux

Three = tuple[Tensor, Tensor, Tensor]  # temperature, salinity, vorticity
Coefficient = Tensor | float
Result = TypeVar("Result")


class Flows(NamedTuple):
    """What carries the tracers and what carries vorticity (m3 s-1), and −β v_g (s-2)."""

    water: Flux
    geostrophic: Flux
    planetary: Tensor


class Carrier(NamedTuple):
    """What flow and mixing do to a field: the shares it exchanges with its neighbours, and the flow not among them."""

    shares: Exchange
    flow: Flux | None


class Steady(NamedTuple):
    """What all steps of a day share."""

    water: Carrier
    spin: Carrier
    planetary: Tensor


class Choices(NamedTuple):
    """Of the core's config, what a day depends on; `weak` is |f| (s-1) where the balance ends."""

    scheme: str
    vertical: bool
    density: str
    balance: str
    weak: float
    epsilon: float
    checkpoint: bool
    compile: bool


class Day(nn.Module):
    """Temperature, salinity and vorticity after a day."""

    beta: Tensor

    def __init__(self, geometry: Geometry, choices: Choices):
        super().__init__()
        self.geometry, self.choices = geometry, choices
        edges, first = geometry.coriolis_xy, 2 * (geometry.coriolis_xy - geometry.coriolis)[:1]
        self.register_buffer("beta", torch.cat((first, edges.diff(dim=0))) / geometry.length_x, persistent=False)

    def forward(
        self,
        moved: Three,
        current: tuple[Tensor, Tensor, Tensor],
        mixing: tuple[Coefficient, Coefficient],
        dt: Tensor,
        steps: int,
    ) -> Three:
        """The three after so many steps of dt, the first of them forward Euler.

        Parameters
        ----------
        moved
            Temperature, salinity and vorticity.
        current
            `uo`, `vo` and `zos`, which stay as they are.
        mixing
            Diffusivity of the tracers and viscosity (m2 s-1).
        """
        steady = self._forgotten(self.steady, moved[0], moved[1], *current, *mixing, dt)
        if not torch.is_grad_enabled():
            return self._in_place(moved, steady, dt, steps)
        # Two halves: what the second needs is made again from its beginning once the first is forgotten.
        before, half = moved, -(-steps // 2) if self.choices.checkpoint else steps
        for first in range(0, steps, half):
            now = range(first, min(first + half, steps))
            moved, before = self._forgotten(self._kept, moved, before, steady, dt, now)
        return moved

    def flows(self, t: Tensor, s: Tensor, u: Tensor, v: Tensor, zos: Tensor) -> Flows:
        """The flows of a day that begins like this."""
        push = self._run(self.push)(self._run(self.anomaly)(t, s), zos)
        spin = self._run(self.geostrophic)(push)
        return Flows(self._run(self.water)(u, v), *spin)

    def steady(
        self, t: Tensor, s: Tensor, u: Tensor, v: Tensor, zos: Tensor, kappa: Coefficient, nu: Coefficient, dt: Tensor
    ) -> Steady:
        """The same with mixing, bounded to what steps of dt bear."""
        water, geostrophic, planetary = self.flows(t, s, u, v, zos)
        return Steady(self.bounded(water, kappa, dt), self.bounded(geostrophic, nu, dt), planetary)

    def bounded(self, flow: Flux, kappa: Coefficient, dt: Tensor) -> Carrier:
        """A flow and mixing, less where cells would exchange more than steps of dt bear."""
        return self._run(self.carrier)(flow, self._run(self.share)(flow, kappa, dt), kappa, dt)

    # ---- what is compiled --------------------------------------------------------------------------------------------

    def water(self, u: Tensor, v: Tensor) -> Flux:
        """What carries the tracers (m3 s-1)."""
        flow = volume_flux(u, v, self.geometry)
        if not self.choices.vertical:
            return flow
        return Flux(flow.x, flow.y, vertical_flux(flow.x, flow.y, torch.zeros_like(flow.x), self.geometry))

    def anomaly(self, t: Tensor, s: Tensor) -> Tensor:
        """Of density (kg m-3), from totals: temperature and salinity, not their anomalies."""
        return EQUATIONS[self.choices.density](t, s, self.geometry.depth[:, None, None])

    def push(self, anomaly: Tensor, zos: Tensor) -> Vector:
        """The pressure gradient's (m s-2)."""
        return whole_push(anomaly, zos, self.geometry)

    def geostrophic(self, push: Vector) -> tuple[Flux, Tensor]:
        """What carries vorticity (m3 s-1), and −β v_g (s-2)."""
        u, v = balanced(push, self.geometry, self.choices.balance, self.choices.weak)
        return volume_flux(u, v, self.geometry), -self.beta * v

    def share(self, flow: Flux, kappa: Coefficient, dt: Tensor) -> Tensor:
        """How much of a flow each cell bears in steps of dt, beside this mixing."""
        g, most = self.geometry, bearable(dt, self.choices.epsilon)
        return bounded_share(flow, g.layers, most - mixing_rate(bounded_mixing(kappa, g, most), g))

    def carrier(self, flow: Flux, share: Tensor, kappa: Coefficient, dt: Tensor) -> Carrier:
        """Flow and mixing as steps of dt take them."""
        g = self.geometry
        mixing = bounded_mixing(kappa, g, bearable(dt, self.choices.epsilon))
        if self.choices.scheme == "upwind":
            return Carrier(exchange(flow, mixing, g, share), None)
        return Carrier(exchange(Flux(0 * flow.x, 0 * flow.y), mixing, g), bounded_flow(flow, share))

    def onward(self, moved: Three, before: Three, weights: tuple[Tensor, Tensor], steady: Steady) -> Three:
        """The three one step later, of what they are and what they were a step before.

        A backward pass has to keep both anyhow; the tendencies are made again, and never kept.
        """
        return _advanced(moved, self.tendency(moved, steady), self.tendency(before, steady), weights)

    def onward_into(
        self, out: Three, moved: Three, last: Three, weights: tuple[Tensor, Tensor], steady: Steady
    ) -> None:
        """The same of the last tendencies, written over `out` and over these."""
        now = self.tendency(moved, steady)
        for target, field in zip(out + last, _advanced(moved, now, last, weights) + now, strict=True):
            target.copy_(field)

    # ---- helpers -----------------------------------------------------------------------------------------------------

    def tendency(self, moved: Three, steady: Steady) -> Three:
        """What the three change per second."""
        t, s, zeta = moved
        return (
            self._change(t, steady.water),
            self._change(s, steady.water),
            self._change(zeta, steady.spin) + steady.planetary,
        )

    def _change(self, field: Tensor, carrier: Carrier) -> Tensor:
        change = exchanged(field, carrier.shares)
        if carrier.flow is None:
            return change
        return change + transport(field, carrier.flow, self.geometry.layers, self.choices.scheme)

    def _kept(self, moved: Three, before: Three, steady: Steady, dt: Tensor, numbers: range) -> tuple[Three, Three]:
        """After these steps, all of which the backward pass will want to know, and one step before."""
        for n in numbers:  # nothing went before the first: whatever stands there weighs nothing
            moved, before = self._run(self.onward)(moved, before, self._weights(dt, n == 0), steady), moved
        return moved, before

    def _in_place(self, moved: Three, steady: Steady, dt: Tensor, steps: int) -> Three:
        """After so many steps, in memory that is there: to ask the system for more at each takes half as long again."""
        last, out, spare = (_like(moved, make) for make in (torch.zeros_like, torch.empty_like, torch.empty_like))
        for n in range(steps):
            self._run(self.onward_into)(out, moved, last, self._weights(dt, n == 0), steady)
            moved, out, spare = out, spare, out
        return moved

    def _weights(self, dt: Tensor, first: bool) -> tuple[Tensor, Tensor]:
        """Of this moment's tendency and of the one before."""
        epsilon = self.choices.epsilon
        return (dt, 0 * dt) if first else ((1.5 + epsilon) * dt, -(0.5 + epsilon) * dt)

    def _forgotten(self, function: Callable[..., Result], *given: Any) -> Result:
        """What the function gives; with checkpoints a backward pass computes its inside again."""
        if self.choices.checkpoint and torch.is_grad_enabled():
            return recomputed(function, *given, use_reentrant=False)
        return function(*given)

    def _run(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return compiled(function, self.choices.compile)


def _like(moved: Three, make: Callable[[Tensor], Tensor]) -> Three:
    t, s, zeta = moved
    return make(t), make(s), make(zeta)


def _advanced(moved: Three, now: Three, last: Three, weights: tuple[Tensor, Tensor]) -> Three:
    """By Adams and Bashforth."""
    t, s, zeta = (x + (weights[0] * n + weights[1] * o) for x, n, o in zip(moved, now, last, strict=True))
    return t, s, zeta
