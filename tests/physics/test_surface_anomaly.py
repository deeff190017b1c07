"""The surface anomaly: its two terms, its bounds without any filter, its edges and what it refuses. In float64."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx.physics.core import Core
from oceanx.physics.surface_anomaly import OUTSIDE, SurfaceAnomaly, SurfaceAnomalyConfig
from oceanx.physics.transport import volume_flux
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.operators import outflow
from oceanx.tensors.state import Fields, State
from oceanx.vocabulary.errors import InputError

DAY = 86400.0
SHAPE = (1, 1, 8, 12)
seeds = st.integers(0, 2**31 - 1)


def random(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def sea(seed=0, share=0.2, periodic=True):
    """Water with islands, between 20 and 36°N: round the Earth, or a region of it."""
    mask = (random(seed, *SHAPE[1:]).sigmoid() > share).double()
    lat = torch.linspace(20.0, 36.0, 9)
    lon = torch.linspace(0.0, 360.0, 13) if periodic else torch.linspace(-60.0, -36.0, 13)
    return Geometry(lat, lon, torch.ones(1), torch.ones(1), mask, periodic, dtype=torch.float64)


def plane(columns=12, rows=8, periodic=(False, False)):
    """10 km cells of open water."""
    y, x = (10e3 * torch.arange(n + 1, dtype=torch.float64) for n in (rows, columns))
    return Geometry.plane(
        y, x, torch.ones(1), torch.ones(1), torch.ones(1, rows, columns), periodic, dtype=torch.float64
    )


def told(u, v, usual_u, usual_v, mean):
    names = ("uo", "vo", "uo_climatology", "vo_climatology", "sst_climatology")
    return Fields(dict(zip(names, (u, v, usual_u, usual_v, mean), strict=True)))


def any_forcing(seed):
    return told(*(random(seed + n, *SHAPE) for n in range(5)))


def steps(core, state, forcing, seconds):
    return max(1, math.ceil(seconds * core.rates(state, forcing).get("advection", 0.0) / 0.5))


def carried(core, sst, forcing, seconds):
    state = core.begin({"sst": sst})
    return core.end(core(state, forcing, seconds, steps(core, state, forcing, seconds)))["sst"]


def test_it_is_a_core():
    core = SurfaceAnomalyConfig(currents=("ugos", "vgos")).build(sea())
    assert isinstance(core, Core)
    assert core.forcing == ("ugos", "vgos", "ugos_climatology", "vgos_climatology", "sst_climatology")


def test_both_terms_on_straight_gradients():
    """−u·∇C′ − u′·∇C̄, to round-off where nothing bends and no wall is near."""
    geometry = plane()
    x, y = geometry.longitude.expand(1, 1, 8, 12), geometry.latitude[:, None].expand(1, 1, 8, 12)
    one = torch.ones(SHAPE, dtype=torch.float64)
    forcing = told(0.5 * one, -0.2 * one, 0.1 * one, 0.3 * one, 15 + 2e-5 * x - 1e-5 * y)
    terms = SurfaceAnomaly(geometry).terms(State({"sst": 1 + 3e-6 * x + 4e-6 * y}), forcing)
    inner = (..., slice(2, -2), slice(2, -2))
    advection = terms["advection"]["sst"][inner]
    assert torch.allclose(advection, torch.full_like(advection, -(0.5 * 3e-6 - 0.2 * 4e-6)), rtol=1e-9)
    of_mean = terms["advection_of_climatology"]["sst"][inner]
    assert torch.allclose(of_mean, torch.full_like(of_mean, -(0.4 * 2e-5 - 0.5 * -1e-5)), rtol=1e-9)


@given(seeds)
@settings(max_examples=10, deadline=None)
def test_climatology_stays_climatology(seed):
    """Usual currents, no anomaly: nothing happens, whatever the front in the mean."""
    core, u, v = SurfaceAnomaly(sea(seed)), random(seed + 1, *SHAPE), random(seed + 2, *SHAPE)
    forcing = told(u, v, u, v, 15 + 5 * random(seed + 3, *SHAPE))
    assert not carried(core, torch.zeros(SHAPE, dtype=torch.float64), forcing, DAY).any()


@given(seeds, st.sampled_from(["upwind", "limited"]))
@settings(max_examples=10, deadline=None)
def test_a_uniform_anomaly_in_a_uniform_climate_stays(seed, scheme):
    geometry = sea(seed)
    core, forcing = SurfaceAnomaly(geometry, SurfaceAnomalyConfig(scheme=scheme)), dict(any_forcing(seed))
    forcing["sst_climatology"] = torch.full(SHAPE, 15.0, dtype=torch.float64)
    after = carried(core, torch.full(SHAPE, 2.0, dtype=torch.float64), Fields(forcing), DAY)
    assert torch.allclose(after, 2.0 * geometry.mask[None], rtol=1e-12)


@given(seeds, st.sampled_from(["upwind", "limited"]), st.sampled_from(["heun", "ssprk3"]))
@settings(max_examples=6, deadline=None)
def test_without_a_filter_noise_stays_in_its_bounds(seed, scheme, integrator):
    """Ten days of strong currents and an anomaly of grid-scale noise."""
    geometry = sea(seed)
    core = SurfaceAnomaly(geometry, SurfaceAnomalyConfig(scheme=scheme, integrator=integrator))
    forcing = dict(any_forcing(seed))
    forcing["sst_climatology"] = torch.zeros(SHAPE, dtype=torch.float64)
    noise = torch.sign(random(seed + 9, *SHAPE)) * geometry.mask
    wet = geometry.mask[None] > 0
    after = carried(core, noise, Fields(forcing), 10 * DAY)
    assert after[wet].max() <= noise[wet].max() + 1e-12
    assert after[wet].min() >= noise[wet].min() - 1e-12


@given(seeds)
@settings(max_examples=10, deadline=None)
def test_what_leaves_one_cell_enters_its_neighbour(seed):
    """Σ A ∂C/∂t = Σ C ∇·u: nothing is gained but where water gathers, which a surface current may do."""
    geometry = sea(seed)
    forcing, anomaly = any_forcing(seed), random(seed + 9, *SHAPE)
    terms = SurfaceAnomaly(geometry).terms(State({"sst": anomaly}), forcing)
    unusual = [forcing[name] - forcing[name + "_climatology"] for name in ("uo", "vo")]
    for name, field, current in (
        ("advection", anomaly, (forcing["uo"], forcing["vo"])),
        ("advection_of_climatology", forcing["sst_climatology"], unusual),
    ):
        mask = geometry.mask
        gathering = field * outflow(*volume_flux(current[0] * mask, current[1] * mask, geometry))  # 1 m deep
        gained = geometry.area * terms[name]["sst"]
        assert gained.sum().item() == pytest.approx(gathering.sum().item(), abs=1e-12 * gathering.abs().sum().item())


def test_nothing_comes_from_land_nor_goes_there():
    geometry = sea(3)
    core, land = SurfaceAnomaly(geometry), geometry.mask[None] == 0
    forcing, sst = any_forcing(3), random(8, *SHAPE) * geometry.mask
    after = carried(core, sst, forcing, DAY)
    assert not after[land].any()
    rough = Fields({name: torch.where(land, math.nan, field) for name, field in forcing.items()})
    assert torch.equal(carried(core, sst, rough, DAY), after)


def test_through_an_open_edge_water_of_outside_comes_in():
    geometry = plane(periodic=(False, False))
    one = torch.ones(SHAPE, dtype=torch.float64)
    forcing = dict(told(0.5 * one, 0 * one, 0 * one, 0 * one, 15 * one))
    closed = SurfaceAnomaly(geometry)
    opened = SurfaceAnomaly(geometry, SurfaceAnomalyConfig(edges="open"))
    assert opened.edges == ("west", "east", "south", "north")
    long = 5 * DAY  # not quite twice the time from edge to edge
    assert torch.allclose(carried(closed, one, Fields(forcing), DAY), one, rtol=1e-12)
    assert carried(opened, one, Fields(forcing), DAY)[..., 0].abs().max() < 0.02  # outside is as usual
    warm = Fields(forcing | {OUTSIDE: 3 * one})
    assert torch.allclose(carried(opened, one, warm, long), 3 * one, atol=1e-2)


@pytest.mark.parametrize(("edge", "u", "v"), [("west", 1, 0), ("east", -1, 0), ("south", 0, 1), ("north", 0, -1)])
def test_every_edge_lets_water_in_where_the_current_points_inwards(edge, u, v):
    geometry = plane()
    core = SurfaceAnomaly(geometry, SurfaceAnomalyConfig(edges="open"))
    one = torch.ones(SHAPE, dtype=torch.float64)
    change = core.terms(State({"sst": one}), told(u * one, v * one, 0 * one, 0 * one, one))["inflow"]["sst"]
    along = {"west": change[..., 0], "east": change[..., -1], "south": change[..., 0, :], "north": change[..., -1, :]}
    assert torch.allclose(along[edge], torch.full_like(along[edge], -1 / 10e3), rtol=1e-12)
    assert change.sum().item() == pytest.approx(along[edge].sum().item(), rel=1e-12)


def test_round_the_earth_only_south_and_north_are_open():
    assert SurfaceAnomaly(sea(share=0.0), SurfaceAnomalyConfig(edges="open")).edges == ("south", "north")


def test_rates_are_those_of_the_currents():
    core, one = SurfaceAnomaly(plane(periodic=(True, False))), torch.ones(SHAPE, dtype=torch.float64)
    state = core.begin({"sst": one})
    forcing = told(0.5 * one, 0 * one, one, one, one)
    assert core.rates(state, forcing)["advection"] == pytest.approx(0.5 / 10e3, rel=1e-12)
    assert core.rates(state) == {}


def test_missing_forcing_is_named():
    core = SurfaceAnomaly(sea())
    forcing = dict(any_forcing(1))
    del forcing["uo_climatology"]
    with pytest.raises(InputError, match="uo_climatology"):
        core.terms(core.begin({"sst": random(1, *SHAPE)}), Fields(forcing))


@pytest.mark.parametrize("edges", ["closed", "open"])
def test_gradients_are_those_of_finite_differences(edges):
    geometry = sea(5, periodic=False)
    core = SurfaceAnomaly(geometry, SurfaceAnomalyConfig(edges=edges))
    fields = [random(n, *SHAPE).requires_grad_() for n in range(1, 7)]

    def step(sst, *forcing):
        return core(core.begin({"sst": sst}), told(*forcing), 3e4, 1)["sst"]

    assert torch.autograd.gradcheck(step, fields, fast_mode=True)
