"""Shallow water: what it keeps, what it is blind to, and that every derivative is one. In float64."""

from __future__ import annotations

import inspect
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx.physics.core import Core
from oceanx.physics.shallow_water import ShallowWater, ShallowWaterConfig
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.state import Fields, Increment, State, Tendency
from oceanx.vocabulary.errors import InputError

SHAPE = (1, 6, 8)
NAMES = ("uo_x", "vo_y", "zos")
NONE = Fields({})
seeds = st.integers(0, 2**31 - 1)


def random(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def coast(seed, share=0.3):
    return (random(seed, *SHAPE).sigmoid() > share).double()


def plane(mask, periodic=(True, False), coriolis=(1e-4, 2e-11), south=0.0):
    _, ny, nx = mask.shape
    y, x = south + 1e4 * torch.arange(ny + 1.0), 2e4 * torch.arange(nx + 1.0)
    thickness = torch.tensor([100.0])
    return Geometry.plane(y, x, thickness / 2, thickness, mask, periodic, coriolis, dtype=torch.float64)


def sphere(mask, periodic=True):
    _, ny, nx = mask.shape
    lat, lon, thickness = torch.linspace(-80, 90, ny + 1), torch.linspace(0, 360, nx + 1), torch.tensor([100.0])
    return Geometry(lat, lon, thickness / 2, thickness, mask, periodic, dtype=torch.float64)


def somewhere(seed, geometry, batch=1):
    """A random state, 0 on land."""
    shape = (batch, *geometry.mask.shape)
    return State(
        {
            "uo_x": random(seed, *shape) * geometry.mask_x,
            "vo_y": random(seed + 1, *shape) * geometry.mask_y,
            "zos": random(seed + 2, *shape) * geometry.mask,
        }
    )


def wind(seed, geometry):
    return Fields(
        {name: 0.1 * random(seed + i, 1, *SHAPE) * geometry.mask for i, name in enumerate(("tauuo", "tauvo"))}
    )


@st.composite
def seas(draw, **config):
    """A core among random coasts, over a random floor, and a state of it."""
    seed = draw(seeds)
    mask = coast(seed, draw(st.sampled_from([0.0, 0.3, 0.6])))
    geometry = sphere(mask, draw(st.booleans())) if draw(st.booleans()) else plane(mask, (draw(st.booleans()),) * 2)
    depth = 100 + 60 * random(seed + 5, *SHAPE[1:]).tanh()
    core = ShallowWater(geometry, ShallowWaterConfig(linear=draw(st.booleans()), **config), depth)
    return core, somewhere(seed + 6, geometry, 2)


def test_it_is_a_core_that_begins_and_ends_at_centres():
    geometry = plane(coast(1))
    core = ShallowWaterConfig(viscosity=10.0, drag=1e-6).build(geometry)
    assert isinstance(core, Core)
    fields = {name: random(i, 1, *SHAPE) * geometry.mask for i, name in enumerate(core.prognostic)}
    ended = core.end(core.begin(fields))
    assert list(ended) == list(core.prognostic)
    assert torch.equal(ended["zos"], fields["zos"])
    assert not any(field[:, geometry.mask == 0].any() for field in ended.values())
    uniform = {"uo": 0.3 + 0 * fields["uo"], "vo": -0.2 + 0 * fields["vo"], "zos": fields["zos"]}
    open_sea = ShallowWater(plane(torch.ones(SHAPE), (True, True)))
    assert torch.allclose(open_sea.end(open_sea.begin(uniform))["vo"], uniform["vo"])
    assert set(core.terms(core.begin(fields), wind(3, geometry))) == {
        "coriolis", "pressure", "continuity", "vorticity", "kinetic_energy", "viscosity", "drag", "wind_stress"
    }  # fmt: skip


@given(seas(drag=1e-5))
@settings(max_examples=20, deadline=None)
def test_volume_is_kept_and_nothing_moves_on_land(sea):
    core, state = sea
    change = core.tendency(state, wind(1, core.geometry))
    swelling = change["zos"] * core.geometry.area
    assert abs(swelling.sum().item()) <= 1e-14 * swelling.abs().sum().item()
    masks = (core.geometry.mask_x, core.geometry.mask_y, core.geometry.mask)
    for name, mask in zip(NAMES, masks, strict=True):
        assert not (change[name] * (1 - mask)).any()


@given(seas())
@settings(max_examples=20, deadline=None)
def test_energy_is_kept(sea):
    core, state = sea
    fields = {name: field.clone().requires_grad_() for name, field in state.items()}
    slopes = torch.autograd.grad(core.energy(State(fields)).sum(), list(fields.values()))
    change = core.tendency(state, NONE)
    parts = [slope * change[name] for name, slope in zip(fields, slopes, strict=True)]
    total = sum(part.abs().sum().item() for part in parts)
    assert abs(sum(part.sum().item() for part in parts)) <= 1e-14 * total


def test_many_steps_keep_volume_and_lose_energy_to_friction_alone():
    geometry = plane(coast(4), (True, False))
    free, braked = (ShallowWaterConfig(drag=r, viscosity=1e7 * r).build(geometry) for r in (0.0, 1e-4))
    start = State({name: 0.1 * field for name, field in somewhere(2, geometry).items()})
    steps = math.ceil(5e3 * free.rates(start)["waves"] / 0.5)
    with torch.no_grad():
        ends = [core(start, NONE, 5e3, n) for core, n in ((free, steps), (free, 2 * steps), (braked, steps))]
    for end in ends:
        lost = ((end["zos"] - start["zos"]) * geometry.area).sum().item()
        assert abs(lost) < 1e-13 * (start["zos"].abs() * geometry.area).sum().item()
    long, short, slowed = (
        1 - core.energy(end).item() / core.energy(start).item()
        for core, end in zip((free, free, braked), ends, strict=True)
    )
    assert 0 < short < long / 20  # of RK4, (ωΔt)⁶/72 a step: 32 times less of half the step
    assert slowed > long + 0.1


@pytest.mark.parametrize("linear", [True, False])
def test_the_wind_piles_water_up_against_the_coast(linear):
    """At rest g ∂η/∂x = τ/(ρ₀h): after a damped spin-up in a canal."""
    geometry = plane(torch.ones(1, 1, 8), (False, False), (0.0, 0.0))
    core = ShallowWater(geometry, ShallowWaterConfig(linear=linear, drag=1e-3, density=1000.0))
    blown = Fields({"tauuo": torch.full((1, 1, 1, 8), 0.2).double(), "tauvo": torch.zeros(1, 1, 1, 8).double()})
    with torch.no_grad():
        end = core(State({name: torch.zeros(1, 1, 1, 8).double() for name in NAMES}), blown, 4e4, 100)
    slope = end["zos"][0, 0, 0].diff() / 2e4
    h = 100.0 if linear else 100.0 + 0.5 * (end["zos"][0, 0, 0, 1:] + end["zos"][0, 0, 0, :-1])
    assert torch.allclose(slope * h, torch.full_like(slope, 0.2 / (1000 * 9.80665)), rtol=1e-6)


@pytest.mark.parametrize("dim", [-1, -2])
@pytest.mark.parametrize("linear", [True, False])
def test_east_and_west_north_and_south_are_alike(dim, linear):
    """About the equator: mirrored, the flow changes as its mirror image does."""
    across = {-1: ("uo_x", (True, False)), -2: ("vo_y", (False, False))}[dim]
    config = ShallowWaterConfig(linear=linear, viscosity=50.0)

    def mirrored(fields):
        turned = {name: field.flip(dim) for name, field in fields.items()}
        name = across[0]  # the east face of a cell's image is the image of its west face
        return State({**turned, name: -turned[name].roll(-1, dim)})

    def change(mask, state):
        geometry = plane(mask, across[1], (0.0, 2e-9), south=-3e4)
        return ShallowWater(geometry, config).tendency(state, NONE)

    # Coriolis is f₀ + βy: odd about the equator, and so blind to the mirror in y; in x it takes the other hemisphere.
    mask = coast(7)
    geometry = plane(mask, across[1], (0.0, 2e-9), south=-3e4)
    state = somewhere(3, geometry)
    if dim == -2:
        one, other = mirrored(change(mask, state)), change(mask.flip(dim), mirrored(state))
    else:
        back = plane(mask.flip(dim), across[1], (0.0, -2e-9), south=-3e4)
        one, other = mirrored(change(mask, state)), ShallowWater(back, config).tendency(mirrored(state), NONE)
    for name in NAMES:
        assert torch.allclose(one[name], other[name], rtol=1e-9, atol=1e-12 * one[name].abs().max().item())


@given(seeds, st.integers(1, 7))
@settings(max_examples=10, deadline=None)
def test_on_a_periodic_grid_longitude_has_no_beginning(seed, shift):
    def change(turn):
        geometry = sphere(turn(coast(seed)))
        fields = somewhere(seed, sphere(coast(seed)))
        return ShallowWater(geometry).tendency(State({name: turn(field) for name, field in fields.items()}), NONE)

    expected = change(lambda field: field)
    turned = change(lambda field: field.roll(shift, -1))
    for name in NAMES:
        size = expected[name].abs().max().item()
        assert torch.allclose(turned[name], expected[name].roll(shift, -1), rtol=1e-6, atol=1e-9 * size)


# Derivatives.


def three_steps(core, forcing):
    """The state after three steps, of its fields scaled to order one."""

    def ahead(*fields):
        end = core(State(dict(zip(NAMES, fields, strict=True))), forcing, 600.0, 3)
        return tuple(end[name] for name in NAMES)

    return ahead


def small():
    mask = torch.ones(1, 4, 5)
    mask[0, 1, 1] = 0
    geometry = plane(mask)
    core = ShallowWater(geometry, ShallowWaterConfig(viscosity=50.0, drag=1e-5, slip="no"))
    forcing = Fields({name: 0.1 * random(i, 1, 1, 4, 5) for i, name in enumerate(core.forcing)})
    fields = tuple(field.requires_grad_() for field in somewhere(1, geometry).values())
    return core, forcing, fields


def test_gradients_through_three_steps_are_those_of_finite_differences():
    core, forcing, fields = small()
    assert torch.autograd.gradcheck(three_steps(core, forcing), fields, fast_mode=True)


def test_the_adjoint_is_the_transpose_of_the_tangent():
    core, forcing, fields = small()
    ahead = three_steps(core, forcing)
    inward = tuple(random(20 + i, *field.shape) for i, field in enumerate(fields))
    outward = tuple(random(30 + i, *field.shape) for i, field in enumerate(fields))
    _, tangent = torch.autograd.functional.jvp(ahead, fields, inward)
    _, adjoint = torch.autograd.functional.vjp(ahead, fields, outward)
    forward = sum((a * b).sum() for a, b in zip(outward, tangent, strict=True)).item()
    backward = sum((a * b).sum() for a, b in zip(inward, adjoint, strict=True)).item()
    assert forward == pytest.approx(backward, rel=1e-12)
    assert abs(forward) > 1e-3


def test_coefficients_and_forcing_can_be_learned():
    core, forcing, fields = small()
    core.drag, core.nu = (torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (1e-5, 50.0))
    stress = {name: field.requires_grad_() for name, field in forcing.items()}
    end = core(State(dict(zip(NAMES, fields, strict=True))), Fields(stress), 600.0, 3)
    core.energy(end).sum().backward()
    assert core.drag.grad.item() < 0  # more drag, less energy
    assert core.nu.grad.item() < 0
    assert all(field.grad.isfinite().all() and field.grad.any() for field in stress.values())


def test_one_step_compiles_whole(monkeypatch, without_type_checks):
    for kind in (Fields, State, Tendency, Increment):
        for name, method in inspect.getmembers(kind, inspect.isfunction):
            monkeypatch.setattr(kind, name, inspect.unwrap(method))
    core, forcing, fields = small()
    core = ShallowWater(core.geometry, ShallowWaterConfig(viscosity=50.0, drag=1e-5, slip="no", integrator="heun"))

    def step(*fields):
        end = core(State(dict(zip(NAMES, fields, strict=True))), forcing, 200.0, 1)
        return tuple(end[name] for name in NAMES)

    compiled = torch.compile(step, fullgraph=True, backend="aot_eager")
    fields = tuple(field.detach() for field in fields)
    for expected, found in zip(step(*fields), compiled(*fields), strict=True):
        assert torch.allclose(found, expected, rtol=1e-12, atol=1e-15)


# Precision and bad input.


@pytest.mark.parametrize("linear", [True, False])
def test_single_precision_goes_in_and_comes_out(linear):
    geometry = sphere(coast(5))
    core, state = ShallowWater(geometry, ShallowWaterConfig(linear=linear, viscosity=1e3)), somewhere(1, geometry, 3)
    double = core.tendency(state, NONE)
    single = core.float().tendency(state.map(lambda field: field.float()), NONE)
    for name in NAMES:
        assert single[name].dtype == torch.float32
        assert torch.allclose(
            single[name].double(), double[name], rtol=1e-3, atol=1e-5 * double[name].abs().max().item()
        )


def test_rates_say_what_limits_a_step():
    geometry = plane(torch.ones(SHAPE))
    core = ShallowWater(geometry, ShallowWaterConfig(viscosity=50.0, drag=1e-5))
    rates = core.rates(State({**somewhere(1, geometry), "zos": torch.zeros(1, *SHAPE, dtype=torch.float64)}))
    assert set(rates) == {"waves", "rotation", "advection", "diffusion", "drag"}
    assert rates["waves"] == pytest.approx(math.sqrt(9.80665 * 100 * (1 / 1e4**2 + 1 / 2e4**2)), rel=1e-9)
    assert rates["diffusion"] == pytest.approx(4 * 50 * (1 / 1e4**2 + 1 / 2e4**2), rel=1e-9)
    assert rates["drag"] == 1e-5


def test_a_depth_that_does_not_fit_is_refused():
    geometry = plane(torch.ones(SHAPE))
    with pytest.raises(InputError, match=r"found shape \(3, 3\), expected \(6, 8\)"):
        ShallowWater(geometry, depth=torch.ones(3, 3))
    for value in (0.0, math.nan):
        with pytest.raises(InputError, match="wet cells where it is not above 0 m"):
            ShallowWater(geometry, depth=torch.full((6, 8), value))
