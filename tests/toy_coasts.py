"""Seas with random coasts, and random fields on them, in double precision. For terms of the physics."""

from __future__ import annotations

import torch
from hypothesis import strategies as st
from torch import Tensor

from oceanx.tensors.geometry import Geometry

SHAPE = (3, 6, 8)  # depth, lat, lon


def random(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def field(seed: int, batch: int = 1) -> Tensor:
    return random(seed, batch, *SHAPE)


def basin(seed: int = 0, land: float = 0.3, periodic: bool = True, north: float = 90.0) -> Geometry:
    """From pole to pole, or between walls; a level is land wherever the one above it is."""
    mask = (random(seed, *SHAPE).sigmoid() > land).double().cumprod(0)
    thickness = torch.linspace(10.0, 30.0, SHAPE[0], dtype=torch.float64)
    lat = torch.linspace(-north, north, SHAPE[1] + 1, dtype=torch.float64)
    lon = torch.linspace(0.0, 360.0 if periodic else 90.0, SHAPE[2] + 1, dtype=torch.float64)
    return Geometry(lat, lon, thickness.cumsum(0), thickness, mask, periodic, torch.float64)


def breathing(geometry: Geometry, seed: int) -> Tensor:
    """Layers that follow a rough sea surface; those on land have no thickness."""
    return geometry.thickness * (1 + 0.3 * torch.tanh(random(seed, 1, 1, *SHAPE[1:]))) * geometry.mask


seeds = st.integers(0, 2**31 - 1)
basins = st.builds(basin, seeds, st.sampled_from([0.0, 0.3, 0.6]), st.booleans(), st.sampled_from([60.0, 90.0]))
