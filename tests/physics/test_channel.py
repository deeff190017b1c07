"""Baroclinic instability: a jet in thermal-wind balance stays as it is until something disturbs it."""

from __future__ import annotations

import pytest
import torch

from oceanx.physics.primitive.config import PrimitiveEquationsConfig
from oceanx.physics.primitive.equations import PrimitiveEquations
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.state import Fields
from oceanx.vocabulary.constants import GRAVITY, SECONDS_PER_DAY

CELL, DEPTH, SHAPE = 40e3, 2000.0, (4, 24, 8)  # m; as long as the wave that grows fastest
F0, BETA, N, SPEED, HALF_WIDTH, EXPANSION = -1e-4, 1.6e-11, 4e-3, 0.6, 2e5, 1.7e-4
EADY = 0.31 * abs(F0) / N * SPEED / DEPTH  # s-1, the fastest that a broad jet allows


def eddy(field):
    return field - field.mean(-1, keepdim=True)


@pytest.fixture(scope="module")
def grown():
    """Eddy energy (m2 s-2) by day of two channels: in the first nothing disturbs the jet, in the second a wave does."""
    levels, nlat, nlon = SHAPE
    y = (torch.arange(nlat + 1.0, dtype=torch.float64) - nlat / 2) * CELL
    thickness = torch.full((levels,), DEPTH / levels, dtype=torch.float64)
    g = Geometry.plane(
        y,
        torch.arange(nlon + 1.0, dtype=torch.float64) * CELL,
        thickness.cumsum(0) - thickness / 2,
        thickness,
        torch.ones(SHAPE),
        (True, False),
        (F0, BETA),
        torch.float64,
    )
    config = {"density": "linear", "transport": "third", "viscosity4": 1e11, "vertical": "constant", "compile": False}
    core = PrimitiveEquations(PrimitiveEquationsConfig.parse(config), g)
    middle, depth = g.latitude[:, None], g.depth[:, None, None]
    shape = 1 / torch.cosh(middle / HALF_WIDTH) ** 2
    across = ((F0 + BETA * middle) * shape * SPEED).cumsum(0) * CELL
    thetao = 20 - (N**2 * depth + across / DEPTH) / (GRAVITY * EXPANSION)
    wave = 0.05 * shape * torch.sin(2 * torch.pi * g.longitude / (nlon * CELL)) * (depth < DEPTH / 2)
    both = torch.tensor([0.0, 1.0], dtype=torch.float64)[:, None, None, None]
    uo = (SPEED * shape * (1 - depth / DEPTH)).expand(2, *SHAPE)
    fields = {"thetao": thetao + both * wave, "so": 35 + 0 * uo, "uo": uo, "vo": 0 * uo}
    state = core.begin(fields | {"zos": (-across / GRAVITY).expand(2, 1, nlat, nlon)})
    energies = []
    with torch.inference_mode():
        for _ in range(10):
            state = core(state, Fields({}), SECONDS_PER_DAY, 24)
            squares = eddy(state["uo_x"]) ** 2 + eddy(state["vo_y"]) ** 2
            energies.append(0.5 * squares.mean((-3, -2, -1)))
    return torch.stack(energies)


def test_an_undisturbed_jet_stays_the_same_all_along_the_channel_to_round_off(grown):
    assert grown[:, 0].max() < 1e-24


def test_a_wave_on_the_jet_grows_within_the_bounds_of_linear_theory(grown):
    """From the sixth day on it gains energy, at last at a rate between a third and the whole of Eady's bound."""
    rate = grown[5:, 1].log().diff() / (2 * SECONDS_PER_DAY)
    assert (rate > 0).all()
    assert 1 / 3 < rate[-3:].mean() / EADY < 1
