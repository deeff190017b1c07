"""Windows of several times on the ring of `toy_ring`, twins, and the textbook's answers to them."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor
from toy_ring import CELLS, STD, covariance, moved, state, values

from oceanx.tensors.observe import Operator, Part
from oceanx.tensors.state import Fields, State
from oceanx.variational.analysis import Observed, Window
from oceanx.variational.covariance import Dense

SITES, TIMES = 8, 11
SHAPES = {"zos": (1, 1, CELLS)}


def dense() -> Dense:
    return Dense(covariance(), SHAPES)


def vector(fields: Fields) -> Tensor:
    """Of a batch of one."""
    return fields["zos"][0, 0, 0]


def trajectory(times: int):
    def way(state: State) -> list[State]:
        states = [state]
        for _ in range(times - 1):
            states.append(moved(states[-1]))
        return states

    return way


def operator(cells: Tensor, times: int = 1) -> Operator:
    """The cells as they are counted through all times."""
    weight = torch.ones(len(cells), 1, dtype=torch.float64)
    part = Part(torch.arange(len(cells)), cells[:, None], weight, SHAPES["zos"])
    return Operator({"zos": part}, len(cells), times)


def averages(count: int, seed: int = 0) -> Operator:
    """So many observations of two cells each."""
    random = torch.Generator().manual_seed(seed)
    cells = torch.stack([torch.randperm(CELLS, generator=random)[:2] for _ in range(count)])
    share = torch.rand(count, 1, generator=random, dtype=torch.float64)
    return Operator({"zos": Part(torch.arange(count), cells, torch.cat((share, 1 - share), 1), SHAPES["zos"])}, count)


def matrix(operator: Operator) -> Tensor:
    """H as `[obs, time * cell]`."""
    part = operator.parts["zos"]
    made = torch.zeros(operator.size, operator.times * CELLS, dtype=torch.float64)
    for row, cells, weights in zip(part.rows, part.cells, part.weight, strict=True):
        for cell, weight in zip(cells, weights, strict=True):
            made[row, cell] += weight.double()
    return made


def sites() -> Tensor:
    return torch.arange(SITES) * (CELLS // SITES)


def window(y: Tensor, std: float = STD, **more) -> Window:
    """All sites at as many times as there are rows of y."""
    times = len(y)
    cells = (torch.arange(times)[:, None] * CELLS + sites()).flatten()
    spread = torch.full((y.numel(),), std, dtype=torch.float64)
    return Window(Observed(y.flatten(), spread, operator(cells, times)), trajectory(times), **more)


def alone(operator: Operator, y: Tensor, std: Tensor) -> Window:
    """A window with one time."""
    return Window(Observed(y, std, operator))


def draw(seed: int, *size: int) -> Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@cache
def root() -> Tensor:
    return torch.linalg.cholesky(covariance())


def twin(seed: int, times: int = TIMES) -> tuple[State, State, Tensor]:
    """Truth and background at the beginning, which differ by B, and what the sites say, `[time, site]`."""
    truth = draw(3 * seed, 1, CELLS)
    background = truth - draw(3 * seed + 1, 1, CELLS) @ root().T
    way = trajectory(times)(state(truth))
    seen = torch.stack([values(each)[0, sites()] for each in way])
    return state(truth), state(background), seen + STD * draw(3 * seed + 2, times, SITES)


def blue(B: Tensor, H: Tensor, std: Tensor, d: Tensor) -> tuple[Tensor, Tensor]:
    """Increment and covariance of the analysis, from the textbook's inverses in the space of the state."""
    precision = torch.linalg.inv(B) + H.T @ torch.diag(std**-2) @ H
    return torch.linalg.solve(precision, H.T @ (d / std**2)), torch.linalg.inv(precision)
