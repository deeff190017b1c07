"""Transport in three dimensions: what holds of a flow through the sides holds of one through the bottom. In float64."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx.physics.reconstruction import SCHEMES
from oceanx.physics.transport import Flux, divergence, face_volume_flux, tracer_flux, transport
from oceanx.tensors.geometry import Geometry, above, below, east, north, south, west
from oceanx.tensors.integrate import heun, repeat
from oceanx.tensors.operators import outflow
from oceanx.tensors.state import State, Tendency
from oceanx.vocabulary.errors import InputError

SHAPE = (6, 5, 7)  # depth, lat, lon
seeds = st.integers(0, 2**31 - 1)
every = pytest.mark.parametrize("scheme", SCHEMES)
bounded = pytest.mark.parametrize("scheme", ["upwind", "limited"])


def random(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def ocean(mask, periodic=True, thickness=None):
    """An ocean whose layers grow thicker downwards."""
    levels, nlat, nlon = mask.shape
    thickness = torch.linspace(10.0, 90.0, levels) if thickness is None else thickness
    lat, lon = torch.linspace(-50.0, 50.0, nlat + 1), torch.linspace(0.0, 360.0, nlon + 1)
    return Geometry(lat, lon, thickness.cumsum(0), thickness, mask, periodic, dtype=torch.float64)


def coast(seed, share):
    return (random(seed, *SHAPE).sigmoid() > share).double().cumprod(0)


@st.composite
def basins(draw):
    """A geometry with random coasts and sea floor, any flow on it, and a tracer."""
    seed = draw(seeds)
    geometry = ocean(coast(seed, draw(st.sampled_from([0.0, 0.1, 0.3]))), draw(st.booleans()))
    sides = face_volume_flux(random(seed + 1, 1, *SHAPE), random(seed + 2, 1, *SHAPE), geometry)
    upward = 1e-4 * geometry.area * geometry.mask_z * random(seed + 3, 1, *SHAPE)
    return geometry, sides._replace(z=upward), random(seed + 4, 1, *SHAPE)


def stirring(geometry, seed):
    """A random flow without divergence: the sum of overturnings in all three planes."""
    xy, xz, yz = (1e5 * random(seed + n, 1, *SHAPE) for n in range(3))
    xy = xy * geometry.mask_xy
    xz = xz * geometry.mask_x * below(geometry.mask_x) * geometry.mask_z * east(geometry.mask_z)
    yz = yz * geometry.mask_y * below(geometry.mask_y) * geometry.mask_z * north(geometry.mask_z)
    return Flux(
        south(xy) - xy + xz - above(xz),
        xy - west(xy) + yz - above(yz),
        xz - west(xz) + yz - south(yz),
    )


def longest(flow, cells):
    """The longest step for which no cell exchanges more water than it holds."""
    through = sum(abs(face) + abs(back(face)) for face, back in zip(flow, (west, south, above), strict=True))
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
    through = sum(abs(face).max() for face in flow) / geometry.layers.volume.min()
    assert change.abs().max() <= 1e-14 * abs(value) * through


@every
@given(basins())
@settings(max_examples=15, deadline=None)
def test_what_leaves_one_cell_enters_its_neighbour(scheme, basin):
    geometry, flow, tracer = basin
    flux = tracer_flux(tracer, flow, geometry.layers, scheme)
    for face, is_open in zip(flux, (geometry.mask_x, geometry.mask_y, geometry.mask_z), strict=True):
        assert not (face * (1 - is_open)).any()
    content = geometry.layers.volume * divergence(flux, geometry.layers)
    assert abs(content.sum()) <= 1e-14 * sum(abs(face).sum() for face in flux)
    kept = transport(tracer, flow, geometry.layers, scheme) * geometry.layers.volume
    assert torch.allclose(kept, tracer * outflow(*flow) - content, rtol=1e-12, atol=1e-12 * content.abs().max().item())


@every
@given(basins())
@settings(max_examples=15, deadline=None)
def test_nothing_comes_from_land_nor_goes_there(scheme, basin):
    geometry, flow, tracer = basin
    wet = geometry.mask.bool()
    change = transport(tracer, flow, geometry.layers, scheme)
    assert not change[:, ~wet].any()
    elsewhere = torch.where(wet, tracer, 1e6)
    assert torch.equal(transport(elsewhere, flow, geometry.layers, scheme)[:, wet], change[:, wet])


@bounded
@given(basins(), st.floats(0.1, 1.0))
@settings(max_examples=15, deadline=None)
def test_no_new_extremes(scheme, basin, share):
    geometry, flow, tracer = basin
    wet = geometry.mask.bool()
    tracer = (4 * tracer).tanh()  # fronts between plateaus: where a slope too steep shows
    moved = carried(tracer, flow, geometry.layers, scheme, share * longest(flow, geometry.layers), 5)
    assert moved[:, wet].max() <= tracer[:, wet].max() + 1e-12
    assert moved[:, wet].min() >= tracer[:, wet].min() - 1e-12


@every
def test_stirring_over_a_rough_sea_floor_keeps_the_content(scheme):
    mask = torch.ones(SHAPE).double()
    mask[:, 2, 3], mask[4:, :2, :], mask[2:, 4, 5:] = 0, 0, 0
    geometry = ocean(mask)
    flow, cells = stirring(geometry, 5), geometry.layers
    assert flow.z.abs().max() > 1e4
    assert outflow(*flow).abs().max() < 1e-9 * flow.x.abs().max()
    tracer = (10 + random(9, 1, *SHAPE)) * mask
    moved = carried(tracer, flow, cells, scheme, 0.5 * longest(flow, cells), 50)
    assert (moved - tracer).abs().max() > 0.5
    assert (cells.volume * moved).sum().item() == pytest.approx((cells.volume * tracer).sum().item(), rel=1e-13)


@every
def test_what_rises_is_carried_like_what_goes_east(scheme):
    """A column of equal layers, laid down: up is backwards along the row."""
    mask = torch.ones(8, 1, 8).double()
    geometry = ocean(mask, periodic=False, thickness=torch.full((8,), 10.0))
    cells = geometry.layers._replace(volume=torch.ones_like(geometry.layers.volume))
    tracer, upward = random(1, 1, 8, 1, 8), random(2, 1, 8, 1, 8) * geometry.mask_z
    still = torch.zeros_like(tracer)
    rising = transport(tracer, Flux(still, still, upward), cells, scheme)
    laid = transport(tracer.transpose(-1, -3), Flux(-upward.transpose(-1, -3), still), cells, scheme)
    assert torch.allclose(rising.transpose(-1, -3), laid, rtol=1e-12, atol=1e-12)


def test_volume_through_faces_is_speed_times_face():
    geometry = ocean(coast(3, 0.2))
    u, v, thickness = random(1, 2, *SHAPE), random(2, 2, *SHAPE), 20 + random(3, 2, *SHAPE).sigmoid()
    flow = face_volume_flux(u, v, geometry, thickness)
    between = 0.5 * (thickness[1, 2, 1, 4] + thickness[1, 2, 2, 4])
    expected = v[1, 2, 1, 4] * between * geometry.length_y[1, 4] * geometry.mask_y[2, 1, 4]
    assert flow.y[1, 2, 1, 4].item() == pytest.approx(expected.item(), rel=1e-13)
    assert not (flow.x * (1 - geometry.mask_x)).any()
    rest = face_volume_flux(u, v, geometry)
    assert torch.allclose(rest.x, u * geometry.thickness * geometry.length_x * geometry.mask_x, rtol=1e-13)
    assert flow.z is None


def small_inputs():
    """A small ocean in units that make changes of order one, and a function of tracer and fluxes on it."""
    mask = torch.ones(6, 3, 6).double()
    mask[:, 1, 1], mask[4:, 2, :] = 0, 0
    geometry = ocean(mask)
    cells = geometry.layers._replace(volume=1 + random(7, 6, 3, 6).sigmoid())

    def change(tracer, u, v, w, scheme):
        flow = Flux(u * geometry.mask_x, v * geometry.mask_y, w * geometry.mask_z)
        return transport(tracer, flow, cells, scheme)

    return change, [random(seed, 1, 6, 3, 6) for seed in (1, 2, 3, 4)]


@every
def test_gradients_are_those_of_finite_differences(scheme):
    change, inputs = small_inputs()
    inputs = [field.requires_grad_() for field in inputs]
    assert torch.autograd.gradcheck(lambda *fields: change(*fields, scheme), inputs, fast_mode=True)


@every
def test_the_adjoint_is_the_transpose_of_the_tangent(scheme):
    """⟨J δx, y⟩ = ⟨δx, Jᵀ y⟩."""
    change, inputs = small_inputs()
    nudges = [random(10 + n, *field.shape) for n, field in enumerate(inputs)]
    out, forward = torch.func.jvp(lambda *fields: change(*fields, scheme), tuple(inputs), tuple(nudges))
    arriving = random(20, *out.shape)
    _, pull = torch.func.vjp(lambda *fields: change(*fields, scheme), *inputs)
    backward = sum((nudge * back).sum() for nudge, back in zip(nudges, pull(arriving), strict=True))
    assert (forward * arriving).sum().item() == pytest.approx(backward.item(), rel=1e-12)


def test_compiled_it_is_the_same():
    change, inputs = small_inputs()
    compiled = torch.compile(lambda *fields: change(*fields, "weno"), fullgraph=True, backend="aot_eager")
    assert torch.allclose(compiled(*inputs), change(*inputs, "weno"), rtol=1e-11, atol=1e-11)


def test_what_cannot_be_done_is_named():
    geometry = ocean(torch.ones(SHAPE).double())
    field = random(1, 1, *SHAPE)
    with pytest.raises(InputError, match="did you mean 'limited'"):
        transport(field, Flux(field, field), geometry.layers, "limted")
    with pytest.raises(InputError, match="bottom faces"):
        transport(field[:, :1], Flux(field[:, :1], field[:, :1], field[:, :1]), geometry.columns)
