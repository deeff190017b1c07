"""Transport: what it conserves, what it leaves alone, how sharp it stays, and where water cannot go. In float64."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from oceanx.physics.reconstruction import SCHEMES
from oceanx.physics.transport import Flux, transport, volume_flux
from oceanx.tensors.geometry import Cells, Geometry
from oceanx.tensors.integrate import heun, repeat
from oceanx.tensors.operators import outflow
from oceanx.tensors.state import State, Tendency
from oceanx.vocabulary.constants import EARTH_RADIUS

SHAPE = (2, 6, 8)  # depth, lat, lon
seeds = st.integers(0, 2**31 - 1)
every = pytest.mark.parametrize("scheme", SCHEMES)
both = pytest.mark.parametrize("scheme", ["upwind", "limited"])  # those that make no new extremes


def random(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def grid(mask, periodic, south=-50.0, north=50.0, west=0.0, east=360.0):
    levels, nlat, nlon = mask.shape
    thickness = torch.linspace(10.0, 30.0, levels)
    lat = torch.linspace(south, north, nlat + 1, dtype=torch.float64)
    lon = torch.linspace(west, east, nlon + 1, dtype=torch.float64)
    return Geometry(lat, lon, thickness.cumsum(0), thickness, mask, periodic=periodic).double()


def coast(seed, share=0.3):
    """Random land; a level is land wherever the one above it is."""
    return (random(seed, *SHAPE).sigmoid() > share).float().cumprod(0)


@st.composite
def basins(draw):
    """A geometry with random coasts, a random flow on it and a random tracer."""
    seed = draw(seeds)
    geometry = grid(coast(seed, draw(st.sampled_from([0.0, 0.3, 0.6]))), draw(st.booleans()))
    flow = volume_flux(random(seed + 1, 1, *SHAPE), random(seed + 2, 1, *SHAPE), geometry)
    return geometry, flow, random(seed + 3, 1, *SHAPE)


def stirring(geometry, seed):
    """Volume fluxes of a random stream function that is zero on every corner that touches land or a wall."""
    open_corner = geometry.mask_x * geometry.mask_x.roll(-1, -2) * geometry.mask_y * geometry.mask_y.roll(-1, -1)
    psi = 1e5 * random(seed, 1, *SHAPE) * open_corner
    return Flux(-(psi - psi.roll(1, -2)), psi - psi.roll(1, -1))


def longest(flow, cells):
    """The longest step for which no cell exchanges more water than it holds: a Courant number of ½ each way."""
    through = sum(abs(face) + abs(face.roll(1, dim)) for face, dim in ((flow.x, -1), (flow.y, -2)))
    return (cells.volume / through).min().item()


def carried(tracer, flow, cells, scheme, seconds, steps):
    def dynamics(state):
        return Tendency({"t": transport(state["t"], flow, cells, scheme)})

    return repeat(heun, dynamics, State({"t": tracer}), seconds * steps, steps)["t"]


@every
@given(basins(), st.floats(-1e3, 1e3))
@settings(max_examples=15, deadline=None)
def test_a_uniform_tracer_stays_uniform_under_any_flow(scheme, basin, value):
    geometry, flow, _ = basin
    change = transport(torch.full((1, *SHAPE), value, dtype=torch.float64), flow, geometry.layers, scheme)
    scale = abs(value) / longest(flow, geometry.layers) if flow.x.any() or flow.y.any() else 1.0
    assert change.abs().max().item() <= 1e-14 * scale


@every
@given(basins())
@settings(max_examples=15, deadline=None)
def test_what_the_ocean_gains_is_nothing(scheme, basin):
    geometry, flow, tracer = basin
    change = geometry.layers.volume * transport(tracer, flow, geometry.layers, scheme)
    thinning = tracer * -outflow(*flow)
    scale = (change.abs() + thinning.abs()).sum().item()
    assert abs((change + thinning).sum().item()) <= 1e-14 * scale


@every
@given(basins())
@settings(max_examples=15, deadline=None)
def test_nothing_comes_from_land_nor_goes_there(scheme, basin):
    geometry, flow, tracer = basin
    wet = geometry.mask.bool()
    change = transport(tracer, flow, geometry.layers, scheme)
    assert torch.equal(change[:, ~wet], torch.zeros_like(change[:, ~wet]))
    elsewhere = torch.where(wet, tracer, 1e6)
    assert torch.equal(transport(elsewhere, flow, geometry.layers, scheme)[:, wet], change[:, wet])


@both
@given(basins(), st.floats(0.1, 1.0))
@settings(max_examples=15, deadline=None)
def test_no_new_extremes(scheme, basin, share):
    geometry, flow, tracer = basin
    assume(flow.x.any() or flow.y.any())
    wet = geometry.mask.bool()
    tracer = (4 * tracer).tanh()  # fronts between plateaus: where a slope too steep shows
    moved = carried(tracer, flow, geometry.layers, scheme, share * longest(flow, geometry.layers), 5)
    assert moved[:, wet].max() <= tracer[:, wet].max() + 1e-12
    assert moved[:, wet].min() >= tracer[:, wet].min() - 1e-12


@both
@pytest.mark.parametrize("periodic", [True, False])
def test_stirring_among_coasts_and_islands_keeps_the_content(scheme, periodic):
    mask = torch.ones(SHAPE)
    mask[:, 2:4, 3], mask[1, 4, 5:7], mask[:, 0, :2] = 0, 0, 0
    geometry = grid(mask, periodic)
    flow, cells = stirring(geometry, seed=5), geometry.layers
    assert outflow(*flow).abs().max() < 1e-9 * flow.x.abs().max()
    assert not (flow.x * (1 - geometry.mask_x)).any()
    assert not (flow.y * (1 - geometry.mask_y)).any()
    tracer = (10 + random(6, 1, *SHAPE)) * geometry.mask
    moved = carried(tracer, flow, cells, scheme, longest(flow, cells), 200)
    assert (moved - tracer).abs().max() > 0.5
    before, after = ((cells.volume * field).sum().item() for field in (tracer, moved))
    assert after == pytest.approx(before, rel=1e-13)
    variance = [(cells.volume * (field - 10 * geometry.mask) ** 2).sum().item() for field in (tracer, moved)]
    assert variance[1] < variance[0]


@every
@given(basins())
@settings(max_examples=15, deadline=None)
def test_columns_are_carried_by_their_mean_current(scheme, basin):
    geometry, flow, tracer = basin
    columns, level = geometry.columns, tracer[:, :1]
    drift = flow.map(lambda face: face.sum(1, keepdim=True))
    change = transport(level, drift, columns, scheme)
    thinning = level * -outflow(*drift)
    scale = (columns.volume * change).abs().sum().item() + thinning.abs().sum().item()
    assert abs((columns.volume * change + thinning).sum().item()) <= 1e-14 * scale
    assert not change[:, geometry.mask[:1] == 0].any()


def test_volume_flux_of_a_uniform_current_is_speed_times_face():
    mask = torch.ones(SHAPE)
    mask[1, 2, 2] = 0
    geometry = grid(mask, periodic=True)
    flow = volume_flux(torch.full((1, *SHAPE), 0.5), torch.full((1, *SHAPE), -2.0), geometry)
    height = math.radians(100 / 6) * EARTH_RADIUS
    assert flow.x[0, 0, 3, 3].item() == pytest.approx(0.5 * height * 10.0, rel=1e-6)
    width = math.radians(45) * math.cos(math.radians(-50 + 2 * 100 / 6)) * EARTH_RADIUS
    assert flow.y[0, 1, 1, 5].item() == pytest.approx(-2.0 * width * 30.0, rel=1e-6)
    assert flow.x[0, 1, 2, 1:3].tolist() == flow.y[0, 1, 1:3, 2].tolist() == [0.0, 0.0]
    assert not flow.y[..., -1, :].any()


@every
@given(seeds, st.integers(1, 7))
@settings(max_examples=15, deadline=None)
def test_on_a_periodic_grid_longitude_has_no_beginning(scheme, seed, shift):
    def change(turn):
        geometry = grid(turn(coast(seed)), periodic=True)
        u, v, tracer = (turn(random(seed + n, 1, *SHAPE)) for n in (1, 2, 3))
        return transport(tracer, volume_flux(u, v, geometry), geometry.layers, scheme)

    expected = change(lambda field: field).roll(shift, -1)
    assert torch.allclose(change(lambda field: field.roll(shift, -1)), expected, rtol=1e-6, atol=1e-14)


@every
@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize(("dim", "reversed_current"), [(-1, "u"), (-2, "v")])
def test_east_and_west_north_and_south_are_alike(scheme, periodic, dim, reversed_current):
    signs = {"u": 1.0, "v": 1.0} | {reversed_current: -1.0}

    def change(mirror, signs):
        geometry = grid(mirror(coast(9)), periodic)  # symmetric about the equator
        u, v, tracer = (mirror(random(n, 1, *SHAPE)) for n in (1, 2, 3))
        return transport(tracer, volume_flux(signs["u"] * u, signs["v"] * v, geometry), geometry.layers, scheme)

    expected = change(lambda field: field, {"u": 1.0, "v": 1.0}).flip(dim)
    assert torch.allclose(change(lambda field: field.flip(dim), signs), expected, rtol=1e-6, atol=1e-14)


@every
def test_gradients_are_those_of_finite_differences(scheme):
    mask = torch.ones(1, 4, 5)
    mask[0, 1, 1] = 0
    geometry = grid(mask, periodic=True)
    cells = Cells(geometry.layers.volume / 1e9, geometry.mask_x, geometry.mask_y)  # changes of order one

    def change(tracer, u, v):
        flow = volume_flux(u, v, geometry)
        return transport(tracer, Flux(flow.x / 1e6, flow.y / 1e6), cells, scheme)

    inputs = [random(seed, 1, 1, 4, 5).requires_grad_() for seed in (1, 2, 3)]
    assert torch.autograd.gradcheck(change, inputs)


@every
def test_single_precision_goes_in_and_comes_out(scheme):
    geometry = grid(coast(1), periodic=True).float()
    u, v, tracer = (random(n, 2, *SHAPE).float() for n in (1, 2, 3))
    single = transport(tracer, volume_flux(u, v, geometry), geometry.layers, scheme)
    assert single.dtype == torch.float32
    geometry.double()
    double = transport(tracer.double(), volume_flux(u.double(), v.double(), geometry), geometry.layers, scheme)
    assert torch.allclose(single.double(), double, rtol=1e-3, atol=1e-5 * double.abs().max().item())


# Solid-body rotation: after one revolution the exact answer is where one began (Williamson et al. 1992, test 1,
# doi:10.1016/S0021-9991(05)80016-6, with a bell smooth enough to measure the order of accuracy on coarse grids).


def bell(geometry, longitude, radius):
    phi, lam = torch.deg2rad(geometry.latitude)[:, None], torch.deg2rad(geometry.longitude)[None]
    distance = (phi.cos() * (lam - math.radians(longitude)).cos()).clamp(-1, 1).acos()
    return torch.where(distance < radius, (0.5 * (1 + (math.pi * distance / radius).cos())) ** 2, 0.0)[None, None]


def along_the_equator(degrees, scheme):
    """Round the Earth with u = u0 cos φ, in a belt about the equator: rows do not mix."""
    geometry = grid(torch.ones(1, round(8 / degrees), round(360 / degrees)), True, south=-4.0, north=4.0)
    u = torch.deg2rad(geometry.latitude).cos()[:, None].expand(geometry.area.shape)[None, None]
    return revolved(geometry, bell(geometry, 90.0, 1.0), volume_flux(u, torch.zeros_like(u), geometry), scheme)


def about_a_point(degrees, scheme):
    """Round a point on the equator; water further than 46° from it is at rest."""
    n = round(96 / degrees)
    geometry = grid(torch.ones(1, n, n), False, south=-48.0, north=48.0, west=-48.0, east=48.0)
    corner = torch.deg2rad(torch.linspace(-48.0, 48.0, n + 1, dtype=torch.float64)[1:]).cos()
    rest = math.cos(math.radians(46.0))
    psi = -EARTH_RADIUS * geometry.thickness * (corner[:, None] * corner - rest).clamp(min=0)[None, None]
    flow = Flux(-(psi - psi.roll(1, -2)), psi - psi.roll(1, -1))
    return revolved(geometry, bell(geometry, 15.0, 0.5), flow, scheme)


def revolved(geometry, start, flow, scheme):
    """The relative L1 error after one revolution at 1/R radians a second; checks bounds and content at its end."""
    revolution, cells = 2 * math.pi * EARTH_RADIUS, geometry.layers
    steps = math.ceil(revolution / (0.9 * longest(flow, cells)))
    end = carried(start, flow, cells, scheme, revolution / steps, steps)
    assert end.min() >= -1e-12
    assert end.max() <= start.max() + 1e-12
    assert (cells.volume * end).sum().item() == pytest.approx((cells.volume * start).sum().item(), rel=1e-12)
    return ((geometry.area * (end - start).abs()).sum() / (geometry.area * start).sum()).item()


@pytest.mark.parametrize("rotation", [along_the_equator, about_a_point])
def test_order_of_accuracy_in_solid_body_rotation(rotation):
    limited = math.log2(rotation(2.0, "limited") / rotation(1.0, "limited"))
    upwind = math.log2(rotation(2.0, "upwind") / rotation(1.0, "upwind"))
    assert limited >= 1.5
    assert 0.2 < upwind <= 1.1


@pytest.mark.parametrize("rotation", [along_the_equator, about_a_point])
def test_the_limited_scheme_keeps_what_upwind_smears(rotation):
    limited, upwind = rotation(2.0, "limited"), rotation(2.0, "upwind")
    assert limited < 0.1
    assert upwind > 5 * limited
