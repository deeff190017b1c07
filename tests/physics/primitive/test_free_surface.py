"""The free surface: what its weights promise, that it keeps volume and energy, and that slow waves are not damped."""

from __future__ import annotations

import cmath
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_basin import fields, geometry

from oceanx.physics.momentum import Vector
from oceanx.physics.primitive.free_surface import FreeSurface, weights
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.operators import outflow
from oceanx.vocabulary.constants import GRAVITY

counts = pytest.mark.parametrize("times", [4, 6, 8, 10, 24, 60, 122])


@counts
def test_weights_make_a_mean_of_the_last_step(times):
    shares, still = zip(*weights(times), strict=True)
    assert sum(shares) == pytest.approx(1, abs=1e-11)
    assert sum(share * step for step, share in enumerate(shares, 1)) == pytest.approx(times, rel=1e-11)
    assert sum(still) == pytest.approx(1, abs=1e-11)
    assert len(shares) <= 1.4 * times


@counts
def test_weights_spare_slow_waves_and_amplify_none(times):
    """A wave exp(iωt) comes out |Σ a exp(iω t)| as high: (ωΔt)²/20000 lower while it is slow, never higher."""
    shares = [share for share, _ in weights(times)]

    def response(turn):
        return abs(sum(a * cmath.exp(1j * turn * (step / times - 1)) for step, a in enumerate(shares, 1)))

    assert all(response(turn) < 1 for turn in [0.001 * times * math.pi * k for k in range(1, 1001)])
    assert 1 - response(0.03) == pytest.approx(0.03**2 / 20000, rel=0.1)
    if times > 4:
        assert response(3.0) < 0.97


@given(st.integers(0, 2**31 - 1))
@settings(max_examples=10, deadline=None)
def test_the_sea_surface_rises_by_what_the_transport_and_the_rain_bring(seed):
    g = geometry()
    start = fields(g, seed)
    surface = FreeSurface(g, GRAVITY)
    u, v = start["uo"][:, :1] * g.mask_x[:1], start["vo"][:, :1] * g.mask_y[:1]
    rain = 1e-5 * start["zos"].abs()
    step, times = torch.tensor(3600.0, dtype=torch.float64), surface.substeps(3600.0)
    after = surface(start["zos"], u, v, Vector(0 * u, 0 * v), rain, step, times)
    risen = (after.zos - start["zos"]) * g.area
    brought = step * (rain * g.area - outflow(after.flux_x, after.flux_y)) * g.surface
    torch.testing.assert_close(risen, brought, rtol=1e-9, atol=1e-6)
    fallen = (step * rain * g.area).sum()
    assert (risen.sum() - fallen).abs() <= 1e-14 * (g.area * g.bottom_depth).sum()
    assert not (after.u_x * (1 - g.mask_x[:1])).any()


def test_the_coriolis_term_does_no_work():
    g = geometry()
    surface, start = FreeSurface(g, GRAVITY), fields(g, 3)
    u, v = start["uo"][:, :1] * g.mask_x[:1], start["vo"][:, :1] * g.mask_y[:1]
    turned = surface.coriolis(u, v)
    power_x = u * turned.x * surface.width_x * g.spacing_x
    power_y = v * turned.y * surface.width_y * g.spacing_y
    assert (power_x.sum() + power_y.sum()).abs() < 1e-13 * power_x.abs().sum()


def test_a_seiche_keeps_its_period_and_its_height():
    """Merian: T = 2L/√(gH), of which a grid of n cells makes T (x/sin x), x = π/2n; 16 long steps a period."""
    cells, length, depth = 32, 1e5, 50.0
    edges = torch.linspace(0, length, cells + 1, dtype=torch.float64)
    one = torch.tensor([depth])
    g = Geometry.plane(torch.tensor([0.0, 5e3]), edges, one / 2, one, torch.ones(1, 1, cells), dtype=torch.float64)
    surface = FreeSurface(g, GRAVITY)
    x = (edges[1:] + edges[:-1]) / 2
    shape = torch.cos(math.pi * x / length)[None, None, None]
    zos, still = 1e-4 * shape, torch.zeros(1, 1, 1, cells, dtype=torch.float64)
    u, v = still, still
    angle = math.pi / 2 / cells
    period = 2 * length / math.sqrt(GRAVITY * depth) * angle / math.sin(angle)
    step = period / 16
    heights = [1.0]
    for _ in range(16):
        zos, u, v, *_ = surface(zos, u, v, Vector(still, still), still, torch.tensor(step), surface.substeps(step))
        heights.append((zos * shape).sum().item() / (1e-4 * (shape**2).sum().item()))
    assert heights[16] == pytest.approx(1, abs=0.01)
    assert heights[8] == pytest.approx(-1, abs=0.01)
    assert abs(heights[4]) < 2 * math.pi / 16 / surface.substeps(step)  # by what η and u are apart in time


def test_enough_short_steps_for_the_fastest_wave():
    g = geometry()
    surface = FreeSurface(g, GRAVITY)
    narrow = torch.minimum(g.length_x, g.area / g.length_x).min().item()
    fastest = math.sqrt(GRAVITY * g.bottom_depth.max().item())
    short = 3600.0 / surface.substeps(3600.0)
    assert short * fastest / narrow < 1
    assert surface.substeps(1e-3) == 4
