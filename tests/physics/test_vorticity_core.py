"""The vorticity core: what carries what, what is kept, and that a day of it is its equations. In float64."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx.physics.core import Core
from oceanx.physics.mixing import diffusion
from oceanx.physics.sea_ice import LONGEST, drift_flux, ice_rate, ice_step
from oceanx.physics.transport import transport
from oceanx.physics.vorticity_core import ADVANCED, ICE, OCEAN, VorticityCoreConfig
from oceanx.tensors import compiled as compiling
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.integrate import ab2
from oceanx.tensors.state import Fields, State, Tendency
from oceanx.vocabulary.constants import EARTH_RADIUS, GRAVITY
from oceanx.vocabulary.errors import InputError

SHAPE = (3, 10, 12)
DAY = 86400.0
seeds = st.integers(0, 2**31 - 1)
both = pytest.mark.parametrize("scheme", ["upwind", "limited"])
torch_compile = torch.compile


def random(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def grid(seed=0, south=-60.0, north=60.0, share=0.25, periodic=True, dtype=torch.float64):
    mask = (random(seed, *SHAPE).sigmoid() > share).double().cumprod(0)
    thickness = torch.tensor([10.0, 20.0, 50.0])
    latitude = torch.linspace(south, north, SHAPE[1] + 1, dtype=torch.float64)
    longitude = torch.linspace(0.0, 360.0 if periodic else 60.0, SHAPE[2] + 1, dtype=torch.float64)
    middle = thickness.cumsum(0) - thickness / 2
    return Geometry(latitude, longitude, middle, thickness, mask, periodic, dtype)


def ocean(seed=0, batch=1, dtype=torch.float64):
    """Fields of a plausible size, land included."""
    level, surface = (batch, *SHAPE), (batch, 1, *SHAPE[1:])
    fields = {
        "thetao": 10 + 3 * random(seed + 1, *level),
        "so": 35 + random(seed + 2, *level),
        "uo": 0.3 * random(seed + 3, *level),
        "vo": 0.3 * random(seed + 4, *level),
        "zos": 0.3 * random(seed + 5, *surface),
        "siconc": random(seed + 6, *surface).sigmoid(),
        "sithick": 1 + random(seed + 7, *surface).sigmoid(),
        "usi": 0.2 * random(seed + 8, *surface),
        "vsi": 0.2 * random(seed + 9, *surface),
    }
    return {name: field.to(dtype) for name, field in fields.items()}


def core_of(geometry, **settings):
    return VorticityCoreConfig(**{"compile": False, **settings}).build(geometry)


def a_day(core, state, steps=12):
    return core(state, Fields({}), DAY, steps)


def test_it_is_a_core_and_gives_back_what_it_was_given():
    geometry = grid()
    core, fields = core_of(geometry), ocean()
    assert isinstance(core, Core)
    back = core.end(core.begin(fields))
    assert tuple(back) == core.prognostic == OCEAN + ICE
    for name, field in back.items():
        assert torch.equal(field, fields[name] * geometry.mask_of(field.shape[1]))
    assert core_of(geometry, ice=False).prognostic == OCEAN
    with pytest.raises(InputError, match="weak_latitude"):
        VorticityCoreConfig.parse({"weak_latitude": 0})


def test_vorticity_of_solid_body_rotation():
    """u = U cos φ has ζ = 2 U sin φ / R; centred differences over 2Δφ err by at most Δφ² of U/R."""
    geometry = grid(share=0.0)
    phi = torch.deg2rad(geometry.latitude)[:, None].expand(geometry.area.shape)
    still = ocean() | {"uo": phi.cos().expand(1, *SHAPE), "vo": torch.zeros(1, *SHAPE, dtype=torch.float64)}
    zeta = core_of(geometry).begin(still)["vorticity"][:, :, 1:-1]  # at the walls half the corners are closed
    exact = (2 * phi.sin() / EARTH_RADIUS)[1:-1]
    assert (zeta - exact).abs().max() < math.radians(12) ** 2 / EARTH_RADIUS


@both
@pytest.mark.parametrize("vertical", [False, True])
@given(seeds)
@settings(max_examples=10, deadline=None)
def test_a_uniform_tracer_stays_uniform(scheme, vertical, seed):
    geometry = grid(seed, north=90.0)
    fields = ocean(seed) | {"thetao": torch.full((1, *SHAPE), 12.0, dtype=torch.float64)}
    core = core_of(geometry, scheme=scheme, vertical=vertical)
    after = a_day(core, core.begin(fields))
    assert torch.allclose(after["thetao"], 12.0 * geometry.mask, rtol=0, atol=1e-11)


@both
def test_a_day_is_adams_bashforth_of_the_terms(scheme):
    """Within the limits, where nothing is bounded: the plain terms, with the flow of the day's beginning."""
    geometry, seconds, steps = grid(), 3600.0, 4
    core = core_of(geometry, scheme=scheme, ice=False)
    start = core.begin(ocean())
    rates = core.rates(start)
    assert all(rate * seconds / steps < core.limits[cause] for cause, rate in rates.items())
    flows = core.flows(start)
    carried = {"thetao": (flows.water, 100.0), "so": (flows.water, 100.0), "vorticity": (flows.geostrophic, 500.0)}

    def dynamics(state):
        change = {
            x: transport(state[x], flow, geometry.layers, scheme) + diffusion(state[x], geometry, kappa)
            for x, (flow, kappa) in carried.items()
        }
        return Tendency(change) + Tendency({"vorticity": flows.planetary})

    ours = core(start, Fields({}), seconds, steps)
    plain = ab2(dynamics, start.only(ADVANCED), seconds, steps, epsilon=0.1)
    for name in ADVANCED:
        assert (plain[name] - start[name]).abs().max() > 1e-6 * start[name].abs().max()
        assert torch.allclose(ours[name], plain[name], rtol=0, atol=1e-13 * start[name].abs().max().item())
    # And the terms by name are what the first step takes.
    terms = core.terms(start, Fields({}))
    assert set(terms) == {"advection", "planetary_vorticity", "diffusion"}
    total = sum(terms.values(), start=Tendency({}))
    for name, change in dynamics(start).items():
        assert torch.allclose(total[name], change, rtol=0, atol=1e-14 * change.abs().max().item())


def test_vorticity_is_turned_by_beta():
    """On a β-plane with η = s x: v_g = g s / f, and what has no gradient changes by −β v_g alone."""
    f0, beta, slope, seconds = 1e-4, 2e-11, 1e-6, 7200.0
    edges = torch.linspace(0.0, 400e3, 11, dtype=torch.float64)
    mask = torch.ones(1, 10, 10)
    geometry = Geometry.plane(
        edges, edges, torch.tensor([50.0]), torch.tensor([100.0]), mask, (False, False), (f0, beta), torch.float64
    )
    x = (edges[1:] + edges[:-1]) / 2
    level = torch.ones(1, 1, 10, 10, dtype=torch.float64)
    fields = {"thetao": 10 * level, "so": 35 * level, "uo": 0 * level, "vo": 0 * level, "zos": slope * x * level}
    core = core_of(geometry, ice=False)
    after = core(core.begin(fields), Fields({}), seconds, 1)["vorticity"]
    current = GRAVITY * slope / geometry.coriolis
    # Air is not there to push back: all that is left out is a 4e-8 share of g η in the layer's own thickness.
    assert torch.allclose(after[0, 0], -beta * current * seconds, rtol=1e-6, atol=0)


def test_every_element_of_a_batch_has_its_own_sea_surface():
    geometry, fields = grid(), ocean(batch=3)
    core = core_of(geometry)
    together = a_day(core, core.begin(fields))
    for n in range(3):
        alone = a_day(core, core.begin({name: field[n : n + 1] for name, field in fields.items()}))
        for name, field in alone.items():
            assert torch.allclose(together[name][n : n + 1], field, rtol=0, atol=1e-14 * field.abs().max().item())
    assert (together["vorticity"][0] - together["vorticity"][1]).abs().max() > 1e-9


@both
def test_nothing_comes_from_land_nor_goes_there(scheme):
    geometry, fields = grid(), ocean()
    core = core_of(geometry, scheme=scheme)
    start = core.begin(fields)
    after = a_day(core, start)
    strange = {name: torch.where(geometry.mask.bool(), start[name], 1e4) for name in ADVANCED}
    elsewhere = a_day(core, State(dict(start) | strange))
    for name in ADVANCED:
        assert not after[name][:, geometry.mask == 0].any()
        assert torch.equal(elsewhere[name][:, geometry.mask == 1], after[name][:, geometry.mask == 1])


@pytest.mark.parametrize("row", [0, -1])
def test_north_and_south_are_not_neighbours(row):
    """What happens in the first row is not felt in the last, however hard the current blows across."""
    geometry = grid(share=0.0)
    core, fields = core_of(geometry, ice=False), ocean()
    other = {name: field.clone() for name, field in fields.items()}
    other["thetao"][:, :, row] += 5.0
    one, two = (core(core.begin(each), Fields({}), 7200.0, 1) for each in (fields, other))
    for name in ("thetao", "so"):
        opposite = -1 - row
        assert torch.equal(one[name][:, :, opposite], two[name][:, :, opposite])
    assert not torch.equal(one["thetao"], two["thetao"])


@both
def test_up_to_the_pole_it_stays_finite(scheme):
    """Where meridians are 15 km apart, currents and mixing would cross a cell several times a step."""
    geometry = grid(south=60.0, north=90.0, share=0.1, periodic=False)
    fields = ocean() | {"uo": 5 * random(1, 1, *SHAPE), "vo": 5 * random(2, 1, *SHAPE)}
    core = core_of(geometry, scheme=scheme, diffusivity=1e6, viscosity=1e6)
    state = core.begin(fields)
    rates = core.rates(state)
    assert all(rate * 7200 > 2 * core.limits[cause] for cause, rate in rates.items())
    wet = geometry.mask.bool()
    least, most = state["thetao"][:, wet].aminmax()
    for _ in range(20):
        state = a_day(core, state)
    assert state["thetao"][:, wet].max() < most + 0.1 * (most - least)
    assert state["thetao"][:, wet].min() > least - 0.1 * (most - least)
    assert all(field.isfinite().all() for field in state.values())


def test_ice_moves_as_sea_ice_does():
    """With drift that is within its limit: `sea_ice` in as many steps."""
    geometry = grid()
    core = core_of(geometry, scheme="limited")
    start = core.begin(ocean())
    drift = drift_flux(start["usi"], start["vsi"], geometry, start["siconc"])
    assert ice_rate(drift, geometry) * DAY / 12 < LONGEST
    volume = start["siconc"] * start["sithick"]
    cover, volume = ice_step(start["siconc"], volume, drift, geometry, DAY, 12, "limited")
    after = a_day(core, start)
    assert torch.allclose(after["siconc"], cover, rtol=0, atol=1e-13)
    assert torch.allclose(after["siconc"] * after["sithick"], volume, rtol=0, atol=1e-13)


@both
def test_ice_is_kept_and_bounded(scheme):
    geometry = grid(north=90.0)
    fields = ocean() | {"usi": 3 * random(1, 1, 1, *SHAPE[1:]), "vsi": 3 * random(2, 1, 1, *SHAPE[1:])}
    core = core_of(geometry, scheme=scheme)
    start = core.begin(fields)
    state = a_day(core, a_day(core, start))
    cover, thick = state["siconc"], state["sithick"]
    assert cover.min() >= 0
    assert cover.max() <= 1
    assert thick.min() >= 0
    before, after = ((geometry.area * each["siconc"] * each["sithick"]).sum().item() for each in (start, state))
    assert after == pytest.approx(before, rel=1e-12)
    assert (cover - start["siconc"]).abs().max() > 0.1


def test_learned_coefficients_take_part():
    geometry = grid()
    learned = {"value": 1e3, "learn": True}
    core = core_of(geometry, diffusivity=learned, viscosity=learned)
    core.double()
    after = a_day(core, core.begin(ocean()))
    for name, coefficient in (("thetao", core.diffusivity), ("vorticity", core.viscosity)):
        gradient = torch.autograd.grad(after[name].square().sum(), coefficient.z, retain_graph=True)[0]
        assert gradient.isfinite()
        assert gradient != 0


@pytest.mark.parametrize("vertical", [False, True])
def test_gradients_of_three_steps_are_those_of_finite_differences(vertical):
    mask = torch.ones(2, 3, 4)
    mask[:, 1, 1] = 0
    mask[1, 2] = 0
    latitude = torch.linspace(20.0, 50.0, 4, dtype=torch.float64)
    longitude = torch.linspace(0.0, 40.0, 5, dtype=torch.float64)
    thickness = torch.tensor([10.0, 20.0])
    geometry = Geometry(latitude, longitude, thickness.cumsum(0), thickness, mask, False, torch.float64)
    core = core_of(geometry, vertical=vertical)
    names = (*ADVANCED, "uo", "vo", "zos", *ICE)
    sizes = {"zos": 1, **dict.fromkeys(ICE, 1)}
    scale = {"vorticity": 1e-5}
    fields = [0.3 * random(n, 1, sizes.get(name, 2), 3, 4).requires_grad_() for n, name in enumerate(names)]

    def day(*given):
        state = State({name: scale.get(name, 1.0) * field for name, field in zip(names, given, strict=True)})
        cover = {name: 0.5 + 0.3 * state[name].tanh() for name in ICE[:2]}
        after = core(State(dict(state) | cover), Fields({}), 3 * 7200.0, 3)
        # A day moves little: without this, differences would drown in round-off.
        moved = {name: 1e3 * (after[name] - state[name]) / scale.get(name, 1.0) for name in ADVANCED}
        return (*moved.values(), after["siconc"], after["sithick"])

    assert torch.autograd.gradcheck(day, fields, eps=1e-6, atol=1e-4, fast_mode=True)


@both
def test_gradients_are_finite_everywhere_and_at_rest(scheme):
    geometry, fields = grid(north=90.0), ocean()
    core = core_of(geometry, scheme=scheme, vertical=True)
    for quiet in (1.0, 0.0):
        leaves = {name: (quiet * field).requires_grad_() for name, field in fields.items()}
        after = a_day(core, core.begin(leaves), steps=3)
        loss = sum(field.square().sum() for field in after.values())
        for gradient in torch.autograd.grad(loss, tuple(leaves.values())):
            assert gradient.isfinite().all()


def test_checkpoints_change_memory_alone():
    geometry, fields = grid(), ocean()
    results = []
    for checkpoint in (False, True):
        core = core_of(geometry, checkpoint=checkpoint)
        leaf = fields["thetao"].clone().requires_grad_()
        after = a_day(core, core.begin(fields | {"thetao": leaf}), steps=3)
        loss = after["thetao"].square().sum() + 1e6 * after["vorticity"].sum()
        results.append((after["thetao"].detach(), torch.autograd.grad(loss, leaf)[0]))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.allclose(results[0][1], results[1][1], rtol=1e-14, atol=0)


@pytest.fixture
def nothing_compiled():
    """No other test's compiled functions are here, and none stay."""
    compiling._compiled.cache_clear()
    torch.compiler.reset()
    yield
    compiling._compiled.cache_clear()
    torch.compiler.reset()


@both
def test_it_is_captured_as_a_whole(monkeypatch, nothing_compiled, scheme):
    """Every part is one graph, longer steps are no new one, and the numbers are those of the plain core."""
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    monkeypatch.setattr(compiling.torch, "compile", lambda f, **about: torch_compile(f, backend=backend, **about))
    geometry, fields = grid(), ocean()
    core, plain = (core_of(geometry, scheme=scheme, compile=wanted) for wanted in (True, False))
    ours, expected = a_day(core, core.begin(fields)), a_day(plain, plain.begin(fields))
    for name, field in expected.items():
        assert torch.allclose(ours[name], field, rtol=0, atol=1e-13 * field.abs().max().item())
    number = len(graphs)
    assert number >= 6
    a_day(core, core.begin(fields), steps=5)
    assert len(graphs) == number


def test_a_compiled_step_is_the_plain_step(nothing_compiled):
    geometry = grid(dtype=torch.float32)
    fused, plain = core_of(geometry, compile=True).day, core_of(geometry).day
    state = core_of(geometry).begin(ocean(dtype=torch.float32))
    moved, given = tuple(state[name] for name in ADVANCED), tuple(state[name] for name in OCEAN)
    dt = torch.tensor(7200.0)
    steady = plain.steady(*given, 100.0, 500.0, dt)
    results = []
    for day in (fused, plain):
        out, last = (tuple(make(each) for each in moved) for make in (torch.empty_like, torch.ones_like))
        with torch.no_grad():
            day._run(day.onward_into)(out, moved, last, (dt, 0.1 * dt), steady)
        results.append(out + last)
    for ours, expected in zip(*results, strict=True):
        assert torch.allclose(ours, expected, rtol=1e-6, atol=1e-6 * expected.abs().max().item())


@both
def test_without_gradients_it_works_in_place_and_leaves_its_state_alone(scheme):
    geometry = grid()
    core = core_of(geometry, scheme=scheme)
    state = core.begin(ocean())
    kept = {name: field.clone() for name, field in state.items()}
    for steps in (1, 2, 5):
        with torch.no_grad():
            quiet = a_day(core, state, steps)
        for name, field in a_day(core, state, steps).items():
            assert torch.allclose(quiet[name], field, rtol=0, atol=1e-14 * field.abs().max().item())
    for name, field in kept.items():
        assert torch.equal(state[name], field)


def test_single_precision_goes_in_and_comes_out():
    results = {}
    for dtype in (torch.float32, torch.float64):
        geometry = grid(dtype=dtype)
        core = core_of(geometry)
        results[dtype] = a_day(core, core.begin(ocean(dtype=dtype)))
    for name, field in results[torch.float64].items():
        single = results[torch.float32][name]
        assert single.dtype == torch.float32
        assert torch.allclose(single.double(), field, rtol=0, atol=2e-5 * field.abs().max().item())
