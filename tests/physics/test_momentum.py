"""Momentum: what each term is for flows one can do by hand, the energy they keep, and rotation stable for any step."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx.physics.momentum import (
    bernoulli_gradient,
    bottom_drag,
    coriolis,
    implicit_rotation,
    kinetic_energy,
    thickness_at_corners,
    vertical_advection,
    vorticity,
    vorticity_flux,
    wind_stress,
)
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.operators import mean_x, mean_y, outflow
from oceanx.vocabulary.constants import EARTH_RADIUS
from oceanx.vocabulary.errors import InputError

SHAPE = (3, 6, 8)  # depth, lat, lon
F0 = 1e-4  # s-1
seeds = st.integers(0, 2**31 - 1)


def random(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def coast(seed, share=0.3, shape=SHAPE):
    """Random land; a level is land wherever the one above it is."""
    return (random(seed, *shape).sigmoid() > share).double().cumprod(0)


def sphere(mask, periodic=True):
    levels, nlat, nlon = mask.shape
    thickness = torch.linspace(10.0, 30.0, levels)
    lat = torch.linspace(-80.0, 90.0, nlat + 1)
    lon = torch.linspace(0.0, 360.0, nlon + 1)
    return Geometry(lat, lon, thickness.cumsum(0), thickness, mask, periodic, dtype=torch.float64)


def plane(mask, periodic=(True, True), f0=F0, beta=0.0, cell=1e4):
    levels, ny, nx = mask.shape
    y, x = torch.arange(ny + 1.0) * cell, torch.arange(nx + 1.0) * 1.5 * cell
    thickness = torch.full((levels,), 10.0)
    return Geometry.plane(y, x, thickness.cumsum(0), thickness, mask, periodic, (f0, beta), dtype=torch.float64)


def flow(seed, geometry, batch=2):
    """Random velocity on open faces."""
    shape = (batch, *geometry.mask.shape)
    return random(seed, *shape) * geometry.mask_x, random(seed + 1, *shape) * geometry.mask_y


def layers(seed, geometry, batch=2):
    """Random thickness, at cells and on both faces."""
    h = 10 + 8 * random(seed, batch, *geometry.mask.shape).tanh()
    return h, mean_x(h), mean_y(h)


def areas(geometry):
    return geometry.length_x * geometry.spacing_x, geometry.length_y * geometry.spacing_y


def power(u, v, change, hx, hy, geometry):
    """What a change of velocity does to kinetic energy, and the sum of the sizes of its parts."""
    area_x, area_y = areas(geometry)
    parts = torch.stack((area_x * hx * u * change.x, area_y * hy * v * change.y))
    return parts.sum().item(), parts.abs().sum().item()


@st.composite
def basins(draw):
    """A sphere or a plane with random coasts, and a flow on it."""
    seed = draw(seeds)
    mask = coast(seed, draw(st.sampled_from([0.0, 0.3, 0.6])))
    if draw(st.booleans()):
        geometry = sphere(mask, draw(st.booleans()))
    else:
        geometry = plane(mask, (draw(st.booleans()), draw(st.booleans())), beta=2e-11)
    return geometry, *flow(seed + 1, geometry), seed


# Vorticity.


def test_a_solid_body_turns_with_twice_its_rate():
    geometry = plane(torch.ones(1, 6, 8), periodic=(False, False))
    y, x = geometry.latitude[:, None], geometry.longitude[None]
    u, v = (-3e-5 * y * geometry.mask_x)[None], (3e-5 * x * geometry.mask_y)[None]
    zeta = vorticity(u, v, geometry)
    assert torch.allclose(zeta[..., :-1, :-1], torch.full((1, 1, 5, 7), 6e-5, dtype=torch.float64), rtol=1e-12)
    assert not zeta[..., -1, :].any()
    assert not zeta[..., -1].any()


def test_on_the_sphere_a_zonal_flow_has_the_vorticity_of_its_shear():
    geometry = sphere(torch.ones(1, 34, 8))
    u = torch.deg2rad(geometry.latitude).cos()[:, None].expand(34, 8)[None, None]
    zeta = vorticity(u, torch.zeros_like(u), geometry)[0, 0, :-1]
    # ∂/∂(sin φ) of cos² φ between centres Δφ apart is 2 sin φ cos(Δφ/2), exactly.
    exact = 2 * geometry.coriolis_xy[:-1] / (2 * 7.292115e-5) / EARTH_RADIUS * math.cos(math.radians(2.5))
    assert torch.allclose(zeta, exact, rtol=1e-12, atol=1e-18)


@given(seeds)
@settings(max_examples=15, deadline=None)
def test_a_gradient_has_no_vorticity_and_a_closed_plane_no_circulation(seed):
    geometry = plane(torch.ones(SHAPE))
    slope = bernoulli_gradient(random(seed, 1, *SHAPE), geometry)
    size = slope.x.abs().max() / geometry.spacing_y.min()
    assert vorticity(slope.x, slope.y, geometry).abs().max() < 1e-13 * size
    circulation = vorticity(*flow(seed, geometry), geometry) * geometry.area_xy
    assert abs(circulation.sum().item()) < 1e-13 * circulation.abs().sum().item()


def test_slip_is_what_a_coast_says_of_the_flow_beside_it():
    mask = torch.ones(1, 6, 8)
    mask[..., 0] = 0  # a wall to the west, and the array's edge to the east
    geometry = plane(mask, periodic=(False, False))
    u, v = torch.zeros(1, 1, 6, 8, dtype=torch.float64), 0.3 * geometry.mask_y[None]
    free, no = (vorticity(u, v, geometry, slip) for slip in ("free", "no"))
    assert not free.any()
    assert no[0, 0, :-1, 0].tolist() == pytest.approx([0.3 / 7.5e3] * 5)
    assert not no[..., 1:].any()
    with pytest.raises(InputError, match="unknown slip 'half'"):
        vorticity(u, v, geometry, "half")


# Rotation: Coriolis and vorticity flux.


@given(basins(), st.booleans())
@settings(max_examples=30, deadline=None)
def test_whatever_turns_the_flow_does_no_work(basin, breathing):
    geometry, u, v, seed = basin
    _, hx, hy = layers(seed + 3, geometry)
    given_x, given_y = (hx, hy) if breathing else (None, None)
    rest_x = hx if breathing else geometry.thickness
    rest_y = hy if breathing else geometry.thickness
    zeta = random(seed + 4, *u.shape)
    for change in (
        vorticity_flux(u, v, zeta, given_x, given_y, geometry),
        coriolis(u, v, geometry, given_x, given_y),
    ):
        work, parts = power(u, v, change, rest_x, rest_y, geometry)
        assert abs(work) <= 1e-14 * parts
        assert not (change.x * (1 - geometry.mask_x)).any()
        assert not (change.y * (1 - geometry.mask_y)).any()


def test_on_an_f_plane_coriolis_is_f_times_the_four_faces_around():
    geometry = plane(torch.ones(SHAPE))
    u, v = flow(1, geometry)
    turned = coriolis(u, v, geometry)
    around = (v + v.roll(-1, -1) + v.roll(1, -2) + v.roll(1, -2).roll(-1, -1)) / 4
    assert torch.allclose(turned.x, F0 * around, rtol=1e-12, atol=1e-18)
    around = (u + u.roll(-1, -2) + u.roll(1, -1) + u.roll(1, -1).roll(-1, -2)) / 4
    assert torch.allclose(turned.y, -F0 * around, rtol=1e-12, atol=1e-18)


def test_where_layers_are_alike_their_thickness_does_not_matter():
    geometry = sphere(coast(4))
    u, v = flow(1, geometry)
    h = geometry.thickness.expand(1, *SHAPE)
    for one, other in zip(coriolis(u, v, geometry), coriolis(u, v, geometry, h, h), strict=True):
        assert torch.allclose(one, other, rtol=1e-12, atol=1e-18)
    corners = thickness_at_corners(h, h, geometry)
    assert torch.allclose(corners[:, geometry.mask_xy > 0], h[:, geometry.mask_xy > 0])


@given(seeds)
@settings(max_examples=15, deadline=None)
def test_geostrophic_flow_is_steady(seed):
    """Of any stream function ψ at corners, on an f-plane: the pressure is f times its mean over a cell's corners."""
    geometry = plane(torch.ones(SHAPE))
    psi = 1e4 * random(seed, 1, *SHAPE)
    u, v = -(psi - psi.roll(1, -2)) / geometry.length_x, (psi - psi.roll(1, -1)) / geometry.length_y
    pressure = F0 * (psi + psi.roll(1, -1) + psi.roll(1, -2) + psi.roll((1, 1), (-1, -2))) / 4
    turned, pushed = coriolis(u, v, geometry), bernoulli_gradient(pressure, geometry)
    for one, other in zip(turned, pushed, strict=True):
        assert (one + other).abs().max() < 1e-13 * other.abs().max()
    resting = implicit_rotation(1e6 * (turned.x + pushed.x), 1e6 * (turned.y + pushed.y), geometry, 1e6)
    assert max(part.abs().max() for part in resting) < 1e-13 * 1e6 * F0 * u.abs().max()


def test_the_enstrophy_scheme_keeps_potential_enstrophy():
    geometry = plane(torch.ones(1, 6, 8))
    u, v = flow(1, geometry)
    h, _, _ = layers(2, geometry)

    def enstrophy(u, v, h):
        corners = thickness_at_corners(mean_x(h), mean_y(h), geometry)
        return (0.5 * (vorticity(u, v, geometry) + F0) ** 2 / corners).sum()

    def rate(scheme):
        hx, hy = mean_x(h), mean_y(h)
        turned = vorticity_flux(u, v, vorticity(u, v, geometry) + F0, hx, hy, geometry, scheme)
        swelling = -outflow(u * hx * geometry.length_x, v * hy * geometry.length_y) / geometry.area
        slopes = torch.autograd.functional.jacobian(enstrophy, (u, v, h))
        parts = [slope * change for slope, change in zip(slopes, (turned.x, turned.y, swelling), strict=True)]
        return abs(sum(part.sum() for part in parts).item()) / sum(part.abs().sum() for part in parts).item()

    assert rate("enstrophy") < 1e-14
    assert rate("energy") > 1e-4
    with pytest.raises(InputError, match="unknown scheme"):
        rate("mass")


# Implicit rotation.


def amplification(geometry, seconds, thickness=(None, None)):
    """The matrix that one step of Coriolis alone multiplies the velocity by."""
    n = geometry.mask.numel()
    unit = torch.eye(2 * n, dtype=torch.float64).reshape(2 * n, 2, *geometry.mask.shape)
    u, v = unit[:, 0] * geometry.mask_x, unit[:, 1] * geometry.mask_y
    turned = coriolis(u, v, geometry, *thickness)
    change = implicit_rotation(seconds * turned.x, seconds * turned.y, geometry, seconds, *thickness)
    return torch.cat(((u + change.x).flatten(1), (v + change.y).flatten(1)), 1).T


@given(seeds, st.sampled_from([0.0, 0.3]), st.sampled_from([0.1, 1.0, 10.0, 1000.0]), st.booleans(), st.booleans())
@settings(max_examples=20, deadline=None)
def test_rotation_amplifies_nothing_whatever_the_step(seed, share, turns, breathing, globe):
    mask = coast(seed, share, (2, 6, 8))  # the bound is that of the surface, for both levels
    geometry = sphere(mask) if globe else plane(mask, (True, False), beta=1e-9)
    _, hx, hy = layers(seed + 1, geometry, 1)
    largest = geometry.coriolis_xy.abs().max().item()
    growth = amplification(geometry, turns / largest, (hx, hy) if breathing else (None, None))
    assert torch.linalg.eigvals(growth).abs().max().item() <= 1 + 1e-12


@pytest.mark.parametrize("turns", [0.1, 1.0, 10.0])
def test_an_inertial_oscillation_neither_grows_nor_decays(turns):
    geometry = plane(torch.ones(1, 4, 4))
    seconds, ones = turns / F0, torch.ones(1, 1, 4, 4, dtype=torch.float64)
    u, v = 0.3 * ones, -0.1 * ones
    turned = coriolis(u, v, geometry)
    change = implicit_rotation(seconds * turned.x, seconds * turned.y, geometry, seconds)
    half = turns / 2  # Crank–Nicolson turns by 2 arctan(½ fΔt)
    angle = 2 * math.atan(half)
    assert torch.allclose(u + change.x, math.cos(angle) * u + math.sin(angle) * v, rtol=1e-12)
    assert torch.allclose(v + change.y, math.cos(angle) * v - math.sin(angle) * u, rtol=1e-12)


def test_for_smooth_flow_implicit_rotation_is_crank_nicolson():
    """Against (1 − K)⁻¹ itself: the difference falls with the square of the cell."""

    def difference(n):
        geometry = plane(torch.ones(1, n, n), cell=3.2e6 / n)
        phase = 2 * math.pi * torch.arange(n, dtype=torch.float64) / n
        field = (phase[:, None].sin() * phase.cos())[None, None]
        turned, seconds = coriolis(field, field, geometry), 2 / F0
        change = implicit_rotation(seconds * turned.x, seconds * turned.y, geometry, seconds)
        matrix = coriolis_matrix(geometry)
        start = torch.cat((field.flatten(), field.flatten()))
        exact = torch.linalg.solve(torch.eye(2 * n * n) - seconds / 2 * matrix, seconds * matrix @ start)
        return (torch.cat((change.x.flatten(), change.y.flatten())) - exact).abs().max().item()

    assert math.log2(difference(12) / difference(24)) > 1.8


def coriolis_matrix(geometry):
    _, ny, nx = geometry.mask.shape
    unit = torch.eye(2 * ny * nx, dtype=torch.float64).reshape(-1, 2, 1, ny, nx)
    turned = coriolis(unit[:, 0], unit[:, 1], geometry)
    return torch.cat((turned.x.flatten(1), turned.y.flatten(1)), 1).T


# Kinetic energy and vertical advection.


def test_a_uniform_flow_has_the_energy_of_its_speed_and_pushes_nothing():
    geometry = plane(torch.ones(SHAPE))
    ones = torch.ones(1, *SHAPE, dtype=torch.float64)
    kinetic = kinetic_energy(0.3 * ones, -0.4 * ones, geometry)
    assert torch.allclose(kinetic, 0.125 * ones, rtol=1e-12)
    assert not any(part.any() for part in bernoulli_gradient(ones, geometry))


def test_a_slope_pushes_down_on_cells_that_are_not_square():
    geometry = plane(torch.ones(1, 4, 5), periodic=(False, False))
    y, x = geometry.latitude[:, None], geometry.longitude[None]
    push = bernoulli_gradient((2e-5 * x + 3e-5 * y)[None, None], geometry)
    assert torch.allclose(push.x, -2e-5 * geometry.mask_x[None], rtol=1e-9)
    assert torch.allclose(push.y, -3e-5 * geometry.mask_y[None], rtol=1e-9)


@given(basins())
@settings(max_examples=30, deadline=None)
def test_what_advection_does_to_energy_is_what_the_layers_do(basin):
    """Power of −∇K and −w ∂u/∂z, and ½ u² ∂h/∂t by the continuity equation: their sum is nothing."""
    geometry, u, v, seed = basin
    _, hx, hy = layers(seed + 3, geometry)
    area_x, area_y = areas(geometry)
    through_x, through_y = u * hx * geometry.length_x, v * hy * geometry.length_y
    upward = through_x.std() * random(seed + 5, *u.shape) * geometry.mask_z
    swelling = -outflow(through_x, through_y, upward) / geometry.area
    level, lifted = (
        power(u, v, change, hx, hy, geometry)
        for change in (
            bernoulli_gradient(kinetic_energy(u, v, geometry), geometry),
            vertical_advection(u, v, upward, hx, hy, geometry),
        )
    )
    held = torch.stack((area_x * u**2 * mean_x(swelling), area_y * v**2 * mean_y(swelling))) / 2
    scale = level[1] + lifted[1] + held.abs().sum().item()
    assert abs(level[0] + lifted[0] + held.sum().item()) <= 1e-14 * scale


def test_rising_water_brings_what_lies_below():
    geometry = plane(torch.ones(5, 4, 4), f0=0.0)
    depth = geometry.depth[:, None, None].expand(5, 4, 4)[None]
    w, shear, thickness = 2e-5, 1e-3, torch.full((1, 5, 4, 4), 10.0, dtype=torch.float64)
    upward = (w * geometry.area * geometry.mask_z)[None]
    change = vertical_advection(-shear * depth, 2 * shear * depth, upward, thickness, thickness, geometry)
    assert torch.allclose(change.x[:, 1:-1], torch.tensor(-w * shear, dtype=torch.float64), rtol=1e-12)
    assert torch.allclose(change.y[:, 1:-1], torch.tensor(2 * w * shear, dtype=torch.float64), rtol=1e-12)
    assert torch.allclose(change.x[:, [0, -1]], torch.tensor(-w * shear / 2, dtype=torch.float64), rtol=1e-12)


# Wind and bottom.


def test_wind_moves_the_uppermost_layer():
    geometry = sphere(coast(3))
    surface = geometry.surface[None]
    hx, hy = (torch.full((1, 1, 6, 8), size, dtype=torch.float64) for size in (10.0, 20.0))
    change = wind_stress(0.1 * surface, -0.3 * surface, hx, hy, geometry, density=1000.0)
    assert torch.allclose(change.x, 0.1 / (1000 * 10) * geometry.mask_x[:1], rtol=1e-12)
    assert torch.allclose(change.y, -0.3 / (1000 * 20) * geometry.mask_y[:1], rtol=1e-12)


def test_the_bottom_brakes_the_lowest_open_layer():
    mask = torch.ones(SHAPE)
    mask[2, :, 4:], mask[1:, 2, 2] = 0, 0
    geometry = plane(mask)
    u, v = 0.3 * geometry.mask_x[None], 0.4 * geometry.mask_y[None]
    hx = hy = torch.full((1, *SHAPE), 5.0, dtype=torch.float64)
    rate = bottom_drag(u, v, hx, hy, geometry, linear=2e-4, quadratic=3e-3, background=1e-9)
    for part, open_, current in ((rate.x, geometry.mask_x, u), (rate.y, geometry.mask_y, v)):
        assert ((part > 0).sum(1) == open_.amax(0)).all()
        assert not part[current == 0].any()
        lowest = (part > 0) & torch.cat((current[:, 1:] == 0, torch.ones_like(current[:, :1], dtype=torch.bool)), 1)
        assert torch.equal(lowest, part > 0)
    assert rate.x[0, 2, 4, 1].item() == pytest.approx((2e-4 + 3e-3 * 0.5) / 5, rel=1e-12)
    assert rate.y[0, 1, 4, 5].item() == pytest.approx((2e-4 + 3e-3 * 0.5) / 5, rel=1e-12)


# Derivatives and precision.


def terms(geometry):
    """Every term as a function of tensors alone, scaled to order one."""
    g, length = geometry, 1e4

    def both(change):
        return torch.cat((change[0], change[1])) * length

    def vertical(u, v, h, w):
        upward = w * g.area
        return both(vertical_advection(u, v, upward, 10 + mean_x(h), 10 + mean_y(h), g)) / length

    return {
        "vorticity": lambda u, v, h, w: vorticity(u, v, g, "no") * length,
        "energy": lambda u, v, h, w: both(vorticity_flux(u, v, w, 10 + mean_x(h), 10 + mean_y(h), g)) / length,
        "enstrophy": lambda u, v, h, w: both(vorticity_flux(u, v, w, None, None, g, "enstrophy")) / length,
        "coriolis": lambda u, v, h, w: both(coriolis(u, v, g, 10 + mean_x(h), 10 + mean_y(h))),
        "implicit": lambda u, v, h, w: both(implicit_rotation(u, v, g, 1e5, 10 + mean_x(h), 10 + mean_y(h))) / length,
        "kinetic": lambda u, v, h, w: both(bernoulli_gradient(kinetic_energy(u, v, g), g)),
        "vertical": vertical,
        "wind": lambda u, v, h, w: both(wind_stress(u[:, :1], v[:, :1], 10 + h[:, :1], 10 + h[:, :1], g, 1.0)),
        "drag": lambda u, v, h, w: both(bottom_drag(u, v, 10 + h, 10 + h, g, 0.1, 1.0, 0.5)),
    }


NAMES = tuple(terms(plane(torch.ones(1, 2, 2))))


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_those_of_finite_differences(name):
    mask = torch.ones(2, 3, 4)
    mask[0, 1, 1] = mask[1, 1, 1] = mask[1, 2, 3] = 0
    geometry = plane(mask, (True, False), beta=1e-9)
    inputs = [random(seed, 1, 2, 3, 4).requires_grad_() for seed in range(4)]
    assert torch.autograd.gradcheck(terms(geometry)[name], inputs)


@pytest.mark.parametrize("name", NAMES)
def test_on_land_and_at_rest_gradients_are_finite(name):
    geometry = plane(coast(8))
    inputs = [torch.zeros(1, *SHAPE, dtype=torch.float64, requires_grad=True) for _ in range(4)]
    terms(geometry)[name](*inputs).sum().backward()
    assert all(x.grad is None or x.grad.isfinite().all() for x in inputs)


@pytest.mark.parametrize("name", NAMES)
def test_single_precision_goes_in_and_comes_out(name):
    geometry = plane(coast(8))
    inputs = [random(seed, 1, *SHAPE) for seed in range(4)]
    double = terms(geometry)[name](*inputs)
    single = terms(geometry.float())[name](*(x.float() for x in inputs))
    assert single.dtype == torch.float32
    assert torch.allclose(single.double(), double, rtol=1e-3, atol=1e-5 * double.abs().max().item())
