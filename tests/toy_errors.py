"""A small sea with islands, and covariances of errors in it, for tests of assimilation."""

from __future__ import annotations

import torch

from oceanx.tensors.geometry import Geometry
from oceanx.tensors.state import Fields, State
from oceanx.variational.analysis import Setting
from oceanx.variational.covariance import Covariance, flattened, unflattened
from oceanx.variational.diffusion import Diffusion
from oceanx.variational.univariate import Univariate
from oceanx.vocabulary.channels import Channels

DEPTH = (5.0, 30.0, 90.0)
CHANNELS = Channels(volume=("thetao", "so", "uo", "vo"), surface=("zos",), depth=DEPTH)
SPREAD = {"thetao": 0.8, "so": 0.1, "uo": 0.2, "vo": 0.15, "zos": 0.05}


def geometry(south: float = 30.0, rows: int = 6, columns: int = 7) -> Geometry:
    """Three levels, an island, a shelf and a wall across all of it."""
    mask = torch.ones(3, rows, columns, dtype=torch.float64)
    mask[:, 2, 1], mask[1:, :2, 4:], mask[2, 4:, :2], mask[:, :, 3] = 0, 0, 0, 0
    latitude = torch.linspace(south, south + rows, rows + 1, dtype=torch.float64)
    longitude = torch.linspace(-20.0, -20.0 + columns, columns + 1, dtype=torch.float64)
    thickness = torch.tensor([10.0, 40.0, 80.0], dtype=torch.float64)
    depth = torch.tensor(DEPTH, dtype=torch.float64)
    return Geometry(latitude, longitude, depth, thickness, mask, periodic=False, dtype=torch.float64)


def noise(g: Geometry, count: int, seed: int = 0, channels: Channels = CHANNELS) -> Fields:
    """White noise of each variable's usual size, 0 on land."""
    random = torch.Generator().manual_seed(seed)
    made = {}
    for name in channels.names:
        mask = g.mask_of(channels.levels(name))
        made[name] = SPREAD[name] * torch.randn(count, *mask.shape, generator=random, dtype=torch.float64) * mask
    return Fields(made)


def background(g: Geometry) -> State:
    """Warm water over cold, a little saltier at depth, without flow."""
    depth = torch.tensor(DEPTH, dtype=torch.float64)[:, None, None]
    shape = (1, *g.mask.shape)
    still = torch.zeros(shape, dtype=torch.float64)
    warm = (22 - 0.1 * depth) * g.mask
    return State(
        {"thetao": warm.expand(shape), "so": (35 + 0.005 * depth * g.mask) * g.mask.expand(shape), "uo": still,
         "vo": still, "zos": still[:, :1]}
    )  # fmt: skip


def setting(g: Geometry, samples: int = 0) -> Setting:
    spread = {name: SPREAD[name] * g.mask_of(CHANNELS.levels(name)) for name in CHANNELS.names}
    length, height = dict.fromkeys(SPREAD, 2e5), dict.fromkeys(CHANNELS.volume, 40.0)
    return Setting(CHANNELS, g, spread, length, height, noise(g, samples, 9) if samples else None)


def univariate(g: Geometry, names: tuple[str, ...] = tuple(SPREAD), seed: int = 0) -> Univariate:
    """Each variable by itself, its spread drawn by lot from cell to cell."""
    random = torch.Generator().manual_seed(seed)
    spread, correlations = {}, {}
    for name in names:
        levels = CHANNELS.levels(name)
        lot = 0.5 + torch.rand(*g.mask_of(levels).shape, generator=random, dtype=torch.float64)
        spread[name], correlations[name] = SPREAD[name] * lot, Diffusion(g, levels, 1.5e5, 25.0)
    return Univariate(spread, correlations)


def dense(covariance: Covariance) -> torch.Tensor:
    """B as a matrix, cells variable after variable."""
    cells = sum(levels * rows * columns for levels, rows, columns in covariance.shapes.values())
    unit = unflattened(torch.eye(cells, dtype=covariance.dtype), covariance.shapes)
    return flattened(covariance(unit), covariance)
