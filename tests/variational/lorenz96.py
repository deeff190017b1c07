"""Lorenz-96 as a Step, its truth, its observations and its climatology, in float64.

    dx_i/dt = (x_{i+1} − x_{i−2}) x_{i−1} − x_i + F            n = 40, F = 8, steps of 0.05 by RK4

Lorenz & Emanuel (1998), J. Atmos. Sci. 55, 399, doi:10.1175/1520-0469(1998)055<0399:OSFSWO>2.0.CO;2.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from oceanx.tensors.integrate import rk4
from oceanx.tensors.observe import Operator, Part
from oceanx.tensors.state import State, Tendency
from oceanx.variational.analysis import Observed

SIZE, FORCING, DT = 40, 8.0, 0.05


def dynamics(state: State) -> Tendency:
    x = state["x"]
    ahead, behind, two_behind = (torch.roll(x, shift, dims=-1) for shift in (-1, 1, 2))
    return Tendency({"x": (ahead - two_behind) * behind - x + FORCING})


def step(state: State, forcing: object = None) -> State:
    """One step of 0.05; every row of a batch goes its own way."""
    return rk4(dynamics, state, DT)


def members(x: Tensor) -> State:
    """The State of `[batch, 40]` (or of `[40]`)."""
    return State({"x": torch.atleast_2d(x)[:, None, None, :]})


def values(state: State) -> Tensor:
    """`[batch, 40]` of a State."""
    return state["x"].flatten(1)


def run(start: Tensor, steps: int) -> Tensor:
    """The states after each step from `[40]`: `[steps, 40]`."""
    state, kept = members(start), []
    for _ in range(steps):
        state = step(state)
        kept.append(values(state)[0])
    return torch.stack(kept)


def truth(steps: int, seed: int = 0, spin_up: int = 500) -> Tensor:
    """`[steps, 40]` on the attractor."""
    start = FORCING + torch.randn(SIZE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return run(start, spin_up + steps)[spin_up:]


@cache
def climatology(rows: int = 500, steps: int = 200) -> tuple[Tensor, Tensor]:
    """Mean `[40]` and covariance `[40, 40]` on the attractor, the same at every point of the circle."""
    random = torch.Generator().manual_seed(9)
    state = members(FORCING + torch.randn(rows, SIZE, generator=random, dtype=torch.float64))
    kept = []
    for number in range(300 + steps):
        state = step(state)
        if number >= 300 and number % 10 == 0:
            kept.append(values(state))
    x = torch.cat(kept)
    cov = torch.cov((x - x.mean()).T)
    by_lag = torch.stack([torch.diagonal(torch.roll(cov, -lag, dims=1)).mean() for lag in range(SIZE)])
    by_lag = (by_lag + by_lag.flip(0).roll(1)) / 2  # lag and −lag alike
    apart = (torch.arange(SIZE)[None, :] - torch.arange(SIZE)[:, None]) % SIZE
    return x.mean().expand(SIZE).clone(), by_lag[apart]


def everywhere() -> Operator:
    """H = I."""
    cells = torch.arange(SIZE)
    part = Part(cells, cells[:, None], torch.ones(SIZE, 1, dtype=torch.float64), (1, 1, SIZE))
    return Operator({"x": part}, SIZE)


def observed(x: Tensor, random: torch.Generator, std: float = 1.0) -> Observed:
    """Every point of `[40]`, with noise."""
    noise = std * torch.randn(SIZE, generator=random, dtype=torch.float64)
    return Observed(x + noise, torch.full((SIZE,), std, dtype=torch.float64), everywhere())
