"""The wind's drift: balance of its forces, right and left of the wind, the equator, and closed basins."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx.physics.ekman import ekman_pumping, ekman_spiral, ekman_transport, ekman_velocity
from oceanx.tensors.geometry import Geometry
from oceanx.vocabulary.constants import REFERENCE_DENSITY

SHAPE = (1, 6, 8)  # depth, lat, lon
seeds = st.integers(0, 2**31 - 1)
rotations = st.sampled_from([0.0, 1e-12, -1e-12]) | st.floats(-1.5e-4, 1.5e-4)
drags = st.floats(1e-6, 1e-4)


def random(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def tensor(value):
    return torch.tensor([value], dtype=torch.float64)


def grid(mask, periodic=True, south=-50.0, north=50.0):
    lat = torch.linspace(south, north, SHAPE[1] + 1, dtype=torch.float64)
    lon = torch.linspace(0.0, 360.0, SHAPE[2] + 1, dtype=torch.float64)
    return Geometry(lat, lon, torch.tensor([5.0]), torch.tensor([10.0]), mask, periodic, torch.float64)


@given(rotations, drags, st.floats(-1.0, 1.0), st.floats(-1.0, 1.0))
@settings(max_examples=30, deadline=None)
def test_stress_rotation_and_drag_balance(rotation, drag, tau_x, tau_y):
    u, v = ekman_velocity(tensor(tau_x), tensor(tau_y), tensor(25.0), tensor(rotation), drag)
    mass = REFERENCE_DENSITY * 25.0
    assert mass * (drag * u - rotation * v).item() == pytest.approx(tau_x, abs=1e-13)
    assert mass * (drag * v + rotation * u).item() == pytest.approx(tau_y, abs=1e-13)


def test_to_the_right_in_the_north_to_the_left_in_the_south_along_the_wind_on_the_equator():
    eastward, none = tensor(0.1), tensor(0.0)
    for rotation in (1e-4, -1e-4):
        u, v = ekman_transport(eastward, none, tensor(rotation), 0.0)
        assert u.item() == 0.0
        assert v.item() == pytest.approx(-0.1 / (REFERENCE_DENSITY * rotation))
    u, v = ekman_transport(eastward, none, none, 5e-6)
    assert (u.item(), v.item()) == pytest.approx((0.1 / (REFERENCE_DENSITY * 5e-6), 0.0))


@given(rotations, drags, st.floats(0.0, 100.0), st.floats(1e-4, 0.1))
@settings(max_examples=30, deadline=None)
def test_the_spiral_obeys_its_equation(rotation, drag, depth, viscosity):
    """ν k² = r + i f, with the stress at the surface: by complex numbers, which the code does without."""
    k = ((drag + 1j * rotation) / viscosity) ** 0.5
    stress = 0.1 - 0.05j
    known = stress / (REFERENCE_DENSITY * viscosity * k) * complex(math.e) ** (-k * depth)
    u, v = ekman_spiral(tensor(0.1), tensor(-0.05), depth, tensor(rotation), viscosity, drag)
    assert abs(complex(u.item(), v.item()) - known) <= 1e-12 * abs(stress / (REFERENCE_DENSITY * viscosity * k))


@given(rotations, drags)
@settings(max_examples=15, deadline=None)
def test_the_spiral_carries_the_transport(rotation, drag):
    viscosity = 0.01
    decay = ((drag + abs(rotation)) / (2 * viscosity)) ** 0.5
    z = torch.linspace(0.0, 30.0 / decay, 20001, dtype=torch.float64)
    u, v = ekman_spiral(tensor(0.1), tensor(0.03), z, tensor(rotation), viscosity, drag)
    known = ekman_transport(tensor(0.1), tensor(0.03), tensor(rotation), drag)
    size = math.hypot(*(x.item() for x in known))
    for found, expected in zip((u, v), known, strict=True):
        # The trapezoidal rule errs by (k Δz)²/12, k Δz being below 1.5e-3 · √2.
        assert torch.trapezoid(found, z).item() == pytest.approx(expected.item(), abs=1e-6 * size)


@given(seeds, st.booleans())
@settings(max_examples=15, deadline=None)
def test_over_closed_basins_as_much_sinks_as_rises(seed, periodic):
    mask = (random(seed, *SHAPE).sigmoid() > 0.3).double()
    geometry = grid(mask, periodic)
    w = ekman_pumping(0.1 * random(seed + 1, 2, *SHAPE), 0.1 * random(seed + 2, 2, *SHAPE), geometry, 5e-6)
    assert not w[:, mask == 0].any()
    volume = w * geometry.area
    assert volume.sum().abs() <= 1e-12 * volume.abs().sum()


def test_wind_along_a_western_boundary_lifts_water_at_the_coast():
    """Equatorward wind along an eastern boundary (a west coast of a continent) drives the layer off it."""
    mask = torch.ones(SHAPE, dtype=torch.float64)
    mask[0, :, 5] = 0
    geometry = grid(mask, south=20.0, north=50.0)
    w = ekman_pumping(torch.zeros(1, *SHAPE).double(), torch.full((1, *SHAPE), -0.1).double(), geometry, 0.0)
    assert (w[0, 0, :, 4] > 1e-7).all()  # west of the land
    assert (w[0, 0, :, 6] < -1e-7).all()  # east of it
    open_sea = w[0, 0, :, [0, 1, 2]].abs()
    assert (open_sea < 1e-15).all()


def test_gradients_are_those_of_finite_differences_and_finite_on_the_equator():
    mask = torch.ones(SHAPE, dtype=torch.float64)
    mask[0, 2, 3] = 0
    geometry = grid(mask)
    rows = torch.tensor([-1e-4, -1e-5, 0.0, 0.0, 1e-5, 1e-4], dtype=torch.float64)[:, None].expand(6, 8)
    stress = [random(n, 1, *SHAPE).mul(0.1).requires_grad_() for n in (1, 2)]
    drag, viscosity = (torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (6.6, 2.0))

    def drift(tau_x, tau_y, drag, viscosity):
        speed = ekman_velocity(tau_x, tau_y, 30.0 + tau_x, rows, 1e-6 * drag)
        spiral = ekman_spiral(tau_x, tau_y, 15.0, rows, 1e-2 * viscosity, 1e-6 * drag)
        return (*speed, *spiral, 1e5 * ekman_pumping(tau_x, tau_y, geometry, 1e-6 * drag))

    assert torch.autograd.gradcheck(drift, (*stress, drag, viscosity))


def test_single_precision_goes_in_and_comes_out():
    geometry = grid(torch.ones(SHAPE, dtype=torch.float64))
    tau = [0.1 * random(n, 2, *SHAPE) for n in (1, 2)]
    double = ekman_pumping(*tau, geometry, 5e-6)
    single = ekman_pumping(*(x.float() for x in tau), geometry.float(), 5e-6)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), double, rtol=1e-4, atol=1e-5 * double.abs().max().item())
