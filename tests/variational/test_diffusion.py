"""Correlations by diffusion: Matérn's in open water, nothing through land, 1 on the diagonal, never negative."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import gamma, kv

from oceanx.tensors.geometry import Geometry
from oceanx.variational.diffusion import Diffusion, scale
from oceanx.variational.normalisation import Line
from oceanx.vocabulary.constants import EARTH_RADIUS

STEP = 1000.0  # m
quick = settings(max_examples=10, deadline=None)


def plane(rows, columns, mask=None, thickness=(10.0,), periodic=(False, False)):
    """A plane of square cells, in double precision."""
    thick = torch.tensor(thickness, dtype=torch.float64)
    mask = torch.ones(len(thick), rows, columns, dtype=torch.float64) if mask is None else mask
    edges = (torch.arange(n + 1, dtype=torch.float64) * STEP for n in (rows, columns))
    return Geometry.plane(
        *edges, thick.cumsum(0) - thick / 2, thick, mask.double(), periodic=periodic, dtype=torch.float64
    )


def sphere(seed, levels=2, rows=6, columns=7, periodic=True):
    """Part of the globe with coasts drawn by lot, on each level its own; two seas apart from each other."""
    random = torch.Generator().manual_seed(seed)
    mask = (torch.rand(levels, rows, columns, generator=random) > 0.25).double()
    mask = mask.cumprod(0)  # no water beneath the sea floor
    mask[0, 0, 0] = 1.0
    thick = torch.tensor([10.0, 25.0, 60.0][:levels], dtype=torch.float64)
    latitude = torch.tensor([-60.0, -45.0, -20.0, 0.0, 10.0, 30.0, 62.0], dtype=torch.float64)[: rows + 1]
    longitude = torch.linspace(0.0, 360.0 if periodic else 70.0, columns + 1, dtype=torch.float64)
    depth = thick.cumsum(0) - thick / 2
    return Geometry(latitude, longitude, depth, thick, mask, periodic=periodic, dtype=torch.float64)


def dense(c):
    """C, of all cells in C order."""
    cells = int(np.prod(c.shape))
    return c(torch.eye(cells, dtype=torch.float64).reshape(cells, *c.shape)).flatten(1)


def matern(r, steps, dimensions):
    """2^{1−ν}/Γ(ν) r^ν K_ν(r), 1 at 0."""
    nu = steps - dimensions / 2
    away = np.where(r > 0, r, 1.0)
    return np.where(r > 0, 2 ** (1 - nu) / gamma(nu) * away**nu * kv(nu, away), 1.0)


def along_a_channel(cells, steps=2, length=None):
    """How far C of a channel with L of so many cells is from the closed form, at most."""
    n = 40 * cells + 1
    c = Diffusion(plane(1, n), 1, cells * STEP, steps=steps)
    unit = torch.zeros(1, 1, 1, n, dtype=torch.float64)
    unit[..., n // 2] = 1.0
    r = np.abs(np.arange(n) - n // 2) / cells
    return c(unit)[0, 0, 0].numpy(), r


@pytest.mark.parametrize(("cells", "tolerance"), [(4, 7e-3), (8, 2e-3), (16, 5e-4)])
def test_two_steps_in_a_channel_are_the_second_order_autoregressive_correlation(cells, tolerance):
    found, r = along_a_channel(cells)
    assert np.abs(found - (1 + r) * np.exp(-r)).max() < tolerance


@pytest.mark.parametrize("steps", [2, 4, 6])
def test_in_a_channel_the_error_is_of_second_order(steps):
    errors = []
    for cells in (4, 8, 16):
        found, r = along_a_channel(cells, steps)
        errors.append(np.abs(found - matern(r, steps, 1)).max())
    orders = np.log2(errors[:-1]) - np.log2(errors[1:])
    assert (np.abs(orders - 2) < 0.15).all()


@pytest.mark.parametrize(
    ("steps", "cells", "tolerance"),
    [(2, 4, 1.95e-2), (2, 8, 7.35e-3), (2, 16, 2.45e-3), (3, 4, 4.75e-3), (3, 8, 1.15e-3), (3, 16, 2.85e-4),
     (4, 4, 4.75e-3), (4, 8, 1.15e-3), (4, 16, 2.85e-4)],
)  # fmt: skip
def test_in_a_plane_it_is_matern(steps, cells, tolerance):
    n = 12 * cells
    c = Diffusion(plane(n, n, periodic=(True, True)), 1, cells * STEP, exact=0, draws=1)
    unit = torch.zeros(n, n, dtype=torch.float64)
    unit[0, 0] = 1.0
    spread = c.diffuse(unit.flatten(), steps).reshape(n, n).numpy()
    ramp, still = np.arange(n), np.zeros(n, int)
    around = [12.0 * turn for turn in range(-2, 3)]  # round the torus, the same cell is met again and again
    for y, x, allowed in ((ramp, still, 1.0), (still, ramp, 1.0), (ramp, ramp, 1.2)):  # diagonals are coarser
        r = (np.hypot(x / cells + east, y / cells + north) for east in around for north in around)
        expected = sum(matern(each, steps, 2) for each in r)
        assert np.abs(spread[y, x] / spread[0, 0] - expected / expected[0]).max() < allowed * tolerance


def test_on_the_sphere_distances_are_those_over_ground():
    latitude = torch.linspace(54.0, 66.0, 49, dtype=torch.float64)
    longitude = torch.linspace(-18.0, 18.0, 82, dtype=torch.float64)
    one = torch.ones(1, dtype=torch.float64)
    g = Geometry(latitude, longitude, one, one, torch.ones(1, 48, 81), periodic=False, dtype=torch.float64)
    length = 80e3
    c = Diffusion(g, 1, length, exact=0, draws=1)
    unit = torch.zeros(48, 81, dtype=torch.float64)
    row, column = 24, 40
    unit[row, column] = 1.0
    spread = c.diffuse(unit.flatten(), 4).reshape(48, 81).div(g.area.sqrt())  # of the symmetric root of the areas
    phi, lam = torch.deg2rad(g.latitude)[:, None], torch.deg2rad(g.longitude)
    there = phi[row].sin() * phi.sin() + phi[row].cos() * phi.cos() * (lam - lam[column]).cos()
    away = (EARTH_RADIUS * torch.arccos(there.clamp(max=1.0)) / length).numpy()
    near = away < 3
    error = np.abs((spread / spread[row, column]).numpy() - matern(away, 4, 2))[near]
    assert near.sum() > 200
    assert error.max() < 1e-2


@given(seed=st.integers(0, 10_000), steps=st.sampled_from([2, 4]), levels=st.integers(1, 3), varying=st.booleans())
@quick
def test_it_is_a_correlation(seed, steps, levels, varying):
    g = sphere(seed, levels)
    length, height = 8e5, 20.0
    if varying:
        random = torch.Generator().manual_seed(seed + 1)
        length, height = (
            size * (0.5 + torch.rand(*g.mask.shape, generator=random, dtype=torch.float64)) for size in (8e5, 20.0)
        )
    c = Diffusion(g, levels, length, height, steps)
    matrix, wet = dense(c), g.mask.flatten()
    torch.testing.assert_close(matrix, matrix.T, rtol=0, atol=1e-13)
    torch.testing.assert_close(matrix.diagonal(), wet, rtol=0, atol=1e-12)
    assert torch.linalg.eigvalsh((matrix + matrix.T) / 2).min() > -1e-12
    assert not matrix[wet == 0].any()
    assert (matrix > -1e-15).all()


@given(seed=st.integers(0, 10_000), levels=st.integers(1, 3))
@quick
def test_its_root_and_the_adjoint_of_it_belong_together(seed, levels):
    c = Diffusion(sphere(seed, levels), levels, 6e5, 30.0)
    random = torch.Generator().manual_seed(seed)
    v = torch.randn(3, c.size, generator=random, dtype=torch.float64)
    field = torch.randn(3, *c.shape, generator=random, dtype=torch.float64)
    ours, theirs = (c.root(v) * field).sum(), (v * c.adjoint(field)).sum()
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def test_nothing_passes_a_wall_of_land():
    mask = torch.ones(2, 12, 15)
    mask[:, :, 7] = 0
    c = Diffusion(plane(12, 15, mask, (10.0, 20.0)), 2, 4 * STEP, 15.0)
    matrix = dense(c).reshape(2, 12, 15, 2, 12, 15)
    west, east = matrix[..., :7, :, :, :7], matrix[..., :7, :, :, 8:]
    assert (west > 0).all()
    assert not east.any()


def test_round_a_cape_is_further_than_across_it():
    mask = torch.ones(1, 21, 21)
    mask[:, :15, 10] = 0
    matrix = dense(Diffusion(plane(21, 21, mask), 1, 4 * STEP)).reshape(21, 21, 21, 21)
    open_water = dense(Diffusion(plane(21, 21), 1, 4 * STEP)).reshape(21, 21, 21, 21)
    assert 0 < matrix[5, 8, 5, 12] < 0.1 * open_water[5, 8, 5, 12]


def test_a_grid_that_goes_round_has_no_seam():
    n = 24
    matrix = dense(Diffusion(plane(1, n, periodic=(True, False)), 1, 3 * STEP)).numpy()
    for turn in range(n):
        np.testing.assert_allclose(np.roll(matrix[turn], -turn), matrix[0], atol=1e-13)
    assert matrix[0, n - 1] == pytest.approx(matrix[0, 1], abs=1e-13)


def test_along_the_vertical_it_is_the_same_function():
    cells = 8
    levels = 20 * cells + 1
    c = Diffusion(plane(2, 2, thickness=(5.0,) * levels), levels, 0.0, cells * 5.0, 2)
    unit = torch.zeros(1, *c.shape, dtype=torch.float64)
    unit[0, levels // 2, 1, 0] = 1.0
    found = c(unit)[0]
    r = np.abs(np.arange(levels) - levels // 2) / cells
    assert np.abs(found[:, 1, 0].numpy() - (1 + r) * np.exp(-r)).max() < 2e-3
    assert not found[:, 0].any()
    assert not found[:, 1, 1].any()


def test_without_a_height_levels_are_apart():
    matrix = dense(Diffusion(plane(3, 4, thickness=(10.0, 20.0)), 2, 2 * STEP)).reshape(2, 12, 2, 12)
    assert not matrix[0, :, 1].any()
    assert (matrix[0, :, 0] > 0).all()


def test_a_normalisation_from_draws_is_right_to_what_is_stated():
    g = plane(24, 30)
    exact = Diffusion(g, 1, 3 * STEP)
    for draws in (100, 400):
        drawn = Diffusion(g, 1, 3 * STEP, exact=0, draws=draws, seed=1)
        error = (exact.normalised / drawn.normalised).square() - 1
        assert 0.7 < error.square().mean().sqrt() / (2 / draws) ** 0.5 < 1.3


@pytest.mark.parametrize(("steps", "closed"), [(2, True), (4, False), (4, True), (6, True)])
def test_a_normalisation_from_sources_far_apart_is_right_to_what_is_stated(steps, closed):
    mask = torch.ones(2, 26, 30)
    mask[:, 10:20, 12], mask[1, 20:, :9] = 0, 0
    g = plane(26, 30, mask, (10.0, 20.0), periodic=(closed, closed))
    exact = Diffusion(g, 2, 0.5 * STEP, 15.0, steps)
    apart = Diffusion(g, 2, 0.5 * STEP, 15.0, steps, exact=0)
    wet = mask > 0
    error = (exact.normalised / apart.normalised)[wet].square() - 1
    assert 0 < error.abs().max() < 1e-4


@pytest.mark.parametrize(("cells", "spacing", "closed"), [(10, 3, False), (10, 3, True), (7, 20, True), (12, 4, True)])
def test_sources_take_turns_until_every_cell_has_been_one(cells, spacing, closed):
    line = Line(cells, spacing, closed)
    met = [int(cell) for place in range(line.width) for cell in line.sources(place)[1]]
    assert sorted(met) == list(range(cells))
    for place in range(line.width):
        blocks, at = line.sources(place)
        if len(at) > 1:
            assert at.diff().min() >= spacing
        if closed and len(at) > 1:
            assert at[0] + cells - at[-1] >= spacing
        assert torch.equal(line.nearest(place)[at], blocks)


@pytest.mark.parametrize(("steps", "dimensions"), [(2, 1), (4, 1), (4, 2), (6, 2)])
def test_a_daley_length_is_the_radius_of_the_parabola_at_the_origin(steps, dimensions):
    r = 1e-3 * scale(1.0, steps, dimensions) ** -1  # in L, a thousandth of the Daley length
    parabola = 1 - 0.5e-6
    assert matern(np.array(r), steps, dimensions) == pytest.approx(parabola, abs=2e-9)


def test_a_cusp_has_no_daley_length():
    with pytest.raises(ValueError, match="no Daley length"):
        scale(1e5, 2, 2)


def test_gradients_and_tangents_go_through_it():
    c = Diffusion(sphere(3, 2), 2, 6e5, 30.0)
    random = torch.Generator().manual_seed(0)
    v = torch.randn(2, c.size, generator=random, dtype=torch.float64, requires_grad=True)
    field = torch.randn(2, *c.shape, generator=random, dtype=torch.float64)
    (gradient,) = torch.autograd.grad((c.root(v) * field).sum(), v)
    torch.testing.assert_close(gradient, c.adjoint(field), rtol=1e-12, atol=1e-13)
    tangent = torch.func.jvp(c.root, (v.detach(),), (torch.ones_like(v),))[1]
    torch.testing.assert_close(tangent, c.root(torch.ones_like(v)), rtol=1e-12, atol=1e-13)
    each = torch.func.vmap(lambda one: c.diffuse(one, 2))(v.detach())
    torch.testing.assert_close(each, c.diffuse(v.detach(), 2), rtol=1e-12, atol=1e-13)


def test_single_precision_stays_single_and_near():
    c = Diffusion(sphere(4, 2), 2, 6e5, 30.0)
    v = torch.randn(3, c.size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    short = c.root(v.float())
    assert short.dtype == torch.float32
    torch.testing.assert_close(short.double(), c.root(v), rtol=0, atol=1e-6)


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_an_odd_number_of_steps_is_refused(steps):
    with pytest.raises(ValueError, match="even"):
        Diffusion(plane(3, 3), 1, STEP, steps=steps)


def test_a_length_that_is_no_number_is_refused():
    length = torch.full((1, 3, 3), STEP, dtype=torch.float64)
    length[0, 1, 1] = torch.nan
    with pytest.raises(ValueError, match="length"):
        Diffusion(plane(3, 3), 1, length)
