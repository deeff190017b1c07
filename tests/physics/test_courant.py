"""Courant: rates against closed forms on planes, the limits, and the substeps that follow from them."""

from __future__ import annotations

import logging
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx.physics.courant import (
    ADVECTION,
    Rate,
    advection_rate,
    biharmonic_rate,
    diffusion_rate,
    duration,
    gravity_wave_speed,
    largest,
    limits,
    rotation_rate,
    substeps,
    vertical_diffusion_rate,
    wave_rate,
)
from oceanx.physics.place import on_plane, place
from oceanx.physics.reconstruction import SCHEMES
from oceanx.physics.shallow_water import ShallowWaterConfig
from oceanx.physics.transport import transport, volume_flux
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.integrate import INTEGRATORS, integrate
from oceanx.tensors.operators import outflow
from oceanx.tensors.state import Fields, State, Tendency
from oceanx.vocabulary.errors import InputError

DAY = 86400.0


def plane(dx=2000.0, dy=1000.0, nx=8, ny=6, levels=2, periodic=(True, True), mask=None, dz=10.0):
    x, y = (torch.arange(n + 1, dtype=torch.float64) * d for n, d in ((nx, dx), (ny, dy)))
    thickness = torch.full((levels,), dz, dtype=torch.float64)
    mask = torch.ones(levels, ny, nx) if mask is None else mask
    return Geometry.plane(
        y, x, thickness.cumsum(0) - dz / 2, thickness, mask, periodic, (1e-4, 1e-9), dtype=torch.float64
    )


def plane_edges():
    return torch.arange(7.0) * 1000.0, torch.arange(9.0) * 2000.0


def sphere():
    mask = torch.ones(2, 8, 10)
    mask[:, 3:5, 2:4] = 0
    lat, lon = torch.linspace(60.0, 84.0, 9), torch.linspace(-180.0, -170.0, 11)
    return Geometry(lat, lon, torch.tensor([5.0, 20.0]), torch.tensor([10.0, 20.0]), mask, False, dtype=torch.float64)


def checkerboard(*shape):
    return (-1.0) ** sum(torch.meshgrid(*(torch.arange(n) for n in shape), indexing="ij")).double()


# Rates


def test_a_uniform_current_crosses_cells_as_often_as_speed_over_width():
    geometry = plane()
    ones = torch.ones(1, 2, 6, 8, dtype=torch.float64)
    flow = volume_flux(0.5 * ones, -0.2 * ones, geometry)
    rate = advection_rate(flow.x, flow.y, geometry.layers.volume)
    assert torch.allclose(rate, (0.5 / 2000 + 0.2 / 1000) * ones, rtol=1e-12)
    upward = 0.001 * geometry.area * geometry.mask_z  # m3 s-1 through the one open bottom face
    both = advection_rate(flow.x, flow.y, geometry.layers.volume, upward.expand(1, 2, 6, 8))
    assert torch.allclose(both, rate + 0.001 / 10, rtol=1e-12)
    assert torch.allclose(both, advection_rate(-flow.x, -flow.y, geometry.layers.volume, -upward), rtol=1e-12)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31 - 1))
def test_inflow_and_outflow_differ_by_the_divergence_and_the_larger_counts(seed):
    geometry = plane()
    x, y, z = torch.randn(3, 1, 2, 6, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    z = z * geometry.mask_z
    rate = advection_rate(x, y, torch.ones_like(x), z)
    through = x.abs() + x.roll(1, -1).abs() + y.abs() + y.roll(1, -2).abs() + z.abs() + z.roll(1, -3).abs()
    assert torch.allclose(rate, (through + outflow(x, y, z).abs()) / 2, rtol=1e-12)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**31 - 1))
def test_upwind_makes_no_new_extremes_at_the_limit_of_any_flow(seed):
    geometry = sphere()
    u, v, tracer = torch.randn(3, 1, 2, 8, 10, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    flow, cells = volume_flux(u, v, geometry), geometry.layers
    step = limits("euler", safety=1.0)["advection"] / advection_rate(flow.x, flow.y, cells.volume).max().item()
    for _ in range(5):
        later = tracer + step * transport(tracer, flow, cells, "upwind")
        assert later.max() <= tracer.max() + 1e-12
        assert later.min() >= tracer.min() - 1e-12
        tracer = later


def test_diffusion_takes_a_checkerboard_away_at_four_kappa_over_the_square_of_the_width():
    rate = diffusion_rate(50.0, plane())
    assert torch.allclose(rate, torch.full_like(rate, 4 * 50 / 2000**2 + 4 * 50 / 1000**2), rtol=1e-12)
    twice = biharmonic_rate(3e6, plane())
    assert torch.allclose(twice, torch.full_like(twice, 3e6 * (4 / 2000**2 + 4 / 1000**2) ** 2), rtol=1e-12)


def test_no_laplacian_on_the_sphere_with_coasts_is_faster_than_its_rate():
    geometry = sphere()
    random = torch.randn(1, 2, 8, 10, generator=torch.Generator().manual_seed(3), dtype=torch.float64)

    def laplacian(field):
        gradient_x = (field.roll(-1, -1) - field) / geometry.spacing_x * geometry.length_x * geometry.mask_x
        gradient_y = (field.roll(-1, -2) - field) / geometry.spacing_y * geometry.length_y * geometry.mask_y
        return outflow(gradient_x, gradient_y) / geometry.area

    for _ in range(200):  # power iteration: its largest eigenvalue
        random = laplacian(random)
        random = random / random.abs().max()
    fastest = laplacian(random).abs().max().item()
    bound = diffusion_rate(1.0, geometry).max().item()
    assert 0.5 * bound < fastest <= bound * (1 + 1e-9)


def test_vertical_diffusion_of_equal_layers_has_the_same_rate():
    rate = vertical_diffusion_rate(1e-2, plane(levels=5, dz=4.0))
    assert torch.allclose(rate[1:-1], torch.full_like(rate[1:-1], 4 * 1e-2 / 4**2), rtol=1e-12)
    assert torch.allclose(rate[[0, -1]], rate[1:2].expand(2, -1, -1) / 2, rtol=1e-12)


def test_waves_cross_cells_both_ways_at_once_and_inertial_motion_turns():
    geometry = plane()
    speed = gravity_wave_speed(geometry, 9.81)
    assert torch.allclose(speed, torch.full_like(speed, math.sqrt(9.81 * 20)))
    rate = wave_rate(speed, geometry)
    assert torch.allclose(rate, speed * math.sqrt(1 / 2000**2 + 1 / 1000**2), rtol=1e-12)
    assert rotation_rate(geometry).max().item() == pytest.approx(1e-4 + 1e-9 * 5500)


def test_land_has_no_waves_and_its_neighbours_no_flux():
    geometry = sphere()
    assert not wave_rate(200.0, geometry)[0, 3:5, 2:4].any()
    assert not diffusion_rate(1e3, geometry)[:, 3:5, 2:4].any()
    assert not rotation_rate(geometry)[0, 3:5, 2:4].any()


# Where


def test_the_largest_rate_knows_its_place():
    geometry = sphere()
    rates = torch.zeros(2, 2, 8, 10)
    rates[1, 1, 6, 4] = 3.0
    found = largest(rates, geometry)
    assert found == 3.0
    assert found.place == "79.5°N 175.5°W, 20 m deep"
    assert largest(rates[1, 1], geometry).place == "79.5°N 175.5°W"  # a field of the surface
    assert isinstance(largest(wave_rate(200.0, geometry), geometry), float)
    assert on_plane(plane())
    assert not on_plane(geometry)
    assert place(plane(), (1, 0, 3)) == "x 7 km, y 500 m, 15 m deep"


@pytest.mark.parametrize("shape", [(1, 5), (5, 1), (5, 5)])
def test_a_plane_is_told_from_a_sphere_by_any_two_cells(shape):
    ny, nx = shape
    assert on_plane(plane(ny=ny, nx=nx, dx=3.0, dy=2.0))
    lat, lon = torch.linspace(-ny / 8, ny / 8, ny + 1), torch.linspace(0, nx / 4, nx + 1)
    one = torch.ones(1)
    assert not on_plane(Geometry(lat, lon, one, one, torch.ones(1, ny, nx), False))


# Limits and substeps


@pytest.mark.parametrize("integrator", INTEGRATORS)
@pytest.mark.parametrize("scheme", ADVECTION)
def test_every_scheme_and_integrator_has_limits(integrator, scheme):
    found = limits(integrator, scheme, safety=0.5)
    assert set(found) == {"advection", "diffusion", "waves", "rotation", "drag"}
    assert all(0 <= limit == 0.5 * limits(integrator, scheme, safety=1.0)[cause] for cause, limit in found.items())


def test_the_schemes_are_those_of_transport():
    assert set(ADVECTION) == set(SCHEMES)
    with pytest.raises(InputError, match="unknown advection scheme 'upwnd'; did you mean 'upwind'"):
        limits("rk4", "upwnd")
    with pytest.raises(InputError, match="unknown integrator 'rk5'; did you mean 'rk4'"):
        limits("rk5")


@pytest.mark.parametrize("integrator", ["heun", "ab2", "rk4"])
def test_diffusion_grows_just_beyond_its_limit(integrator):
    geometry = plane(levels=1)
    step = limits(integrator, safety=1.0)["diffusion"] / diffusion_rate(50.0, geometry).max().item()

    def dynamics(state):
        x = state["x"]
        gradient_x = (x.roll(-1, -1) - x) / geometry.spacing_x * geometry.length_x
        gradient_y = (x.roll(-1, -2) - x) / geometry.spacing_y * geometry.length_y
        return Tendency({"x": 50.0 * outflow(gradient_x, gradient_y) / geometry.area})

    def size(factor):
        start = State({"x": checkerboard(1, 1, 6, 8)})
        return integrate(integrator, dynamics, start, 100 * factor * step, 100)["x"].abs().max().item()

    assert size(0.99) <= 1
    assert size(1.05) > 10


@pytest.mark.parametrize("integrator", ["ssprk3", "rk4"])
def test_waves_of_shallow_water_grow_just_beyond_their_limit(integrator):
    geometry = Geometry.plane(
        *plane_edges(), torch.tensor([5.0]), torch.tensor([10.0]), torch.ones(1, 6, 8), (True, True)
    )
    core = ShallowWaterConfig(linear=True, integrator=integrator).build(geometry.double())
    board = checkerboard(1, 1, 6, 8)
    start = core.begin({"uo": 0 * board, "vo": 0 * board, "zos": board})
    step = limits(integrator, safety=1.0)["waves"] / core.rates(start)["waves"]

    def energy(factor):
        end = core(start, Fields({}), 60 * factor * step, 60)
        return (core.energy(end) / core.energy(start)).item()

    assert energy(0.99) <= 1
    assert energy(1.05) > 10


def test_the_fewest_substeps_that_keep_every_cause_below_its_limit(caplog):
    rates = {"advection": Rate(2e-5, "34.5°N 150°E, 5 m deep"), "waves": Rate(1.9e-4, "79.5°N 12°E"), "diffusion": 1e-6}
    with caplog.at_level(logging.INFO, logger="oceanx.physics"):
        found = substeps(rates, DAY, {"advection": 0.9, "waves": 0.7, "diffusion": 2.0})
    assert found.number == 24
    assert found.reason == "24 substeps of 1 h: waves cross 0.684 cells a substep at 79.5°N 12°E (limit 0.7)"
    assert caplog.messages == [found.reason]
    assert found.table["advection"] == (pytest.approx(2e-5 * 3600), 0.9)
    assert list(found.table) == list(rates)


@settings(max_examples=50, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["a", "b", "c"]), st.floats(0, 1e-2), min_size=1),
    st.floats(60.0, 30 * DAY),
    st.floats(0.01, 3.0),
)
def test_one_substep_fewer_would_break_a_limit(rates, seconds, limit):
    number = substeps(rates, seconds, dict.fromkeys(rates, limit)).number
    most = max(rates.values()) * seconds / limit
    assert most / number <= 1 + 1e-8
    assert number == 1 or most / (number - 1) > 1


def test_a_limit_that_is_just_met_asks_for_no_more():
    assert substeps({"waves": 0.1}, 30.0, {"waves": 0.3}).number == 10
    assert substeps({}, DAY, {}).reason == "1 substep of 1 d"
    assert substeps({"waves": 0.0}, DAY, {"waves": 0.0}).number == 1  # nothing moves


def test_a_fixed_number_is_taken_where_it_will_do():
    assert substeps({"waves": 1e-5}, DAY, {"waves": 1.0}, fixed=6).number == 6


def test_a_fixed_number_that_is_too_small_is_refused_with_the_cause_the_place_and_the_remedy():
    rates = {"advection": Rate(9e-5, "34.5°N 150°E, 5 m deep"), "rotation": 1e-4}
    with pytest.raises(InputError) as refused:
        substeps(rates, DAY, {"advection": 0.45, "rotation": 2.0}, fixed=4)
    assert str(refused.value) == (
        "4 substeps of 6 h will not do: currents cross 1.94 cells a substep at 34.5°N 150°E, 5 m deep (limit 0.45); "
        "18 substeps would do"
    )
    assert substeps(rates, DAY, {"advection": 0.45, "rotation": 2.0}, fixed=18).number == 18


def test_rates_that_no_step_can_meet_are_refused():
    with pytest.raises(InputError, match="lets it grow with any step: use ssprk3 or rk4"):
        substeps({"waves": 1e-4}, DAY, limits("heun"))
    with pytest.raises(InputError, match="advection is nan a second at 3°N 4°E"):
        substeps({"advection": Rate(math.nan, "3°N 4°E")}, DAY, limits("heun"))
    with pytest.raises(InputError, match="no limit is known for tides; the limits are of advection"):
        substeps({"tides": 1.0}, DAY, limits("heun"))


@pytest.mark.parametrize(
    ("seconds", "words"), [(2 * DAY, "2 d"), (5400.0, "1.5 h"), (1200.0, "20 min"), (45.0, "45 s"), (0.5, "0.5 s")]
)
def test_durations_are_said_in_their_natural_unit(seconds, words):
    assert duration(seconds) == words
