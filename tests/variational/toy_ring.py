"""A ring of 64 cells around which everything moves one cell a step, observed at eight sites; and its Setting."""

from __future__ import annotations

import torch

from oceanx.tensors.geometry import Geometry
from oceanx.tensors.observe import Operator, Part
from oceanx.tensors.state import State
from oceanx.variational.analysis import Observed, Setting
from oceanx.vocabulary.channels import Channels

CELLS = 64
STD = 0.3  # of an observation's error


def covariance(cells: int = CELLS, length: float = 4.0) -> torch.Tensor:
    """exp(−½ (r/L)²) around the ring, and a little more on the diagonal."""
    apart = (torch.arange(cells)[:, None] - torch.arange(cells)).abs()
    apart = torch.minimum(apart, cells - apart).double()
    return torch.exp(-0.5 * (apart / length) ** 2) + 1e-6 * torch.eye(cells, dtype=torch.float64)


def channels() -> Channels:
    return Channels(surface=("zos",))


def setting(cells: int = CELLS, km: float = 1.0) -> Setting:
    """Cells of 1 km side by side around a ring."""
    edges = 1000.0 * km * torch.arange(cells + 1, dtype=torch.float64)
    level = torch.zeros(1, dtype=torch.float64)
    mask = torch.ones(1, 1, cells, dtype=torch.float64)
    geometry = Geometry.plane(edges[:2], edges, level, level + 1, mask, (True, False), dtype=torch.float64)
    return Setting(channels(), geometry, {"zos": mask}, {"zos": 4000.0 * km}, {"zos": 100.0})


def state(members: torch.Tensor) -> State:
    """Values `[m, cell]` as a State."""
    return State({"zos": members[:, None, None, :]})


def values(state: State) -> torch.Tensor:
    """The inverse of `state`."""
    return state["zos"][:, 0, 0]


def observed(sites: torch.Tensor, y: torch.Tensor, std: float | torch.Tensor = STD, cells: int = CELLS) -> Observed:
    """Cells observed as they are."""
    rows, weight = torch.arange(len(sites)), torch.ones(len(sites), 1, dtype=torch.float64)
    part = Part(rows, sites[:, None], weight, (1, 1, cells))
    std = torch.as_tensor(std, dtype=torch.float64).expand(len(sites))
    return Observed(y, std, Operator({"zos": part}, len(sites)))


def moved(state: State) -> State:
    """One step: every value one cell further."""
    return State({"zos": state["zos"].roll(1, -1)})
