"""The slab: each term of its budget by hand, what it keeps, its gradients, and what it asks for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx.physics.core import Core
from oceanx.physics.ekman import ekman_velocity
from oceanx.physics.mixed_layer import (
    SlabMixedLayer,
    entrainment,
    entrainment_velocity,
    surface_geometry,
    temperature_below,
)
from oceanx.physics.radiation import JERLOV, transmission
from oceanx.physics.surface_exchange import exchange
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.state import Fields, State
from oceanx.vocabulary.constants import HEAT_CAPACITY, REFERENCE_DENSITY
from oceanx.vocabulary.errors import InputError

LEVELS, NLAT, NLON = 3, 6, 8
SHAPE = (2, 1, NLAT, NLON)
CP = REFERENCE_DENSITY * HEAT_CAPACITY
EVERYTHING = {"currents": True, "ekman": True, "entrainment": True, "diffusivity": 500.0}


def random(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def grid(seed=0, dtype=torch.float64):
    """Three levels, the equator among its latitudes, some land."""
    mask = (random(seed, LEVELS, NLAT, NLON).sigmoid() > 0.25).double().cumprod(0)
    thickness = torch.tensor([10.0, 20.0, 40.0])
    lat, lon = torch.linspace(-30.0, 33.0, NLAT + 1), torch.linspace(0.0, 360.0, NLON + 1)
    return Geometry(lat, lon, thickness.cumsum(0) - thickness / 2, thickness, mask, True, dtype)


MEANS = {
    "u10": (3.0, 6.0), "v10": (0.0, 6.0), "t2m": (290.0, 3.0), "d2m": (284.0, 2.0), "msl": (1.01e5, 500.0),
    "strd": (360.0, 20.0), "ssr": (200.0, 40.0), "str": (-60.0, 20.0), "sshf": (-15.0, 10.0), "slhf": (-100.0, 40.0),
    "mlotst": (40.0, 8.0), "uo": (0.0, 0.3), "vo": (0.0, 0.3), "tauuo": (0.05, 0.1), "tauvo": (0.0, 0.1),
    "w_entrain": (0.0, 1e-5), "t_below": (15.0, 1.0),
}  # fmt: skip


def forcing_of(core, seed=1, shape=SHAPE):
    made = {}
    for number, name in enumerate(core.forcing):
        mean, spread = MEANS[name]
        made[name] = mean + spread * random(seed + number, *shape)
    return Fields(made)


def warm(seed=50, shape=SHAPE):
    return 18.0 + 2.0 * random(seed, *shape)


def slab(by="weather", seed=0, **options):
    return SlabMixedLayer(grid(seed), forced_by=by, **(EVERYTHING | options))


@pytest.mark.parametrize("by", ["fluxes", "weather"])
def test_it_is_a_core(by):
    core = slab(by)
    assert isinstance(core, Core)
    state = core.begin({"sst": warm()})
    assert torch.equal(core.end(state)["sst"], warm() * core.geometry.surface)
    terms = core.terms(state, forcing_of(core))
    assert list(terms) == [
        "shortwave", "longwave", "sensible", "latent", "advection", "ekman", "entrainment", "diffusion",
    ]  # fmt: skip
    assert all(term["sst"].shape == SHAPE for term in terms.values())


def test_fluxes_warm_by_flux_over_depth():
    core = SlabMixedLayer(grid())
    forcing = forcing_of(core)
    terms = core.terms(core.begin({"sst": warm()}), forcing)
    wet, depth = core.geometry.surface, forcing["mlotst"].clamp(min=10.0)
    for term, name in (("longwave", "str"), ("sensible", "sshf"), ("latent", "slhf")):
        torch.testing.assert_close(terms[term]["sst"], forcing[name] / (CP * depth) * wet)
    kept = forcing["ssr"] * (1 - transmission(depth, JERLOV["I"]))
    torch.testing.assert_close(terms["shortwave"]["sst"], kept / (CP * depth) * wet)


def test_weather_gives_the_fluxes_of_the_exchange_over_its_own_sea():
    core = SlabMixedLayer(grid(), forced_by="weather", currents=True)
    forcing, sst = forcing_of(core), warm()
    rain = Fields(dict(forcing) | {"mtpr": torch.zeros(SHAPE, dtype=torch.float64)})
    fluxes = exchange(rain, sst, (forcing["uo"], forcing["vo"]), core.geometry.surface)
    terms = core.terms(core.begin({"sst": sst}), forcing)
    depth = forcing["mlotst"].clamp(min=10.0)
    for term, name in (("longwave", "str"), ("sensible", "sshf"), ("latent", "slhf")):
        torch.testing.assert_close(terms[term]["sst"], fluxes[name] / (CP * depth))


def test_the_drift_carries_as_a_current_of_its_speed_would():
    core = SlabMixedLayer(grid(), ekman=True, drag=1e-5)
    forcing, state = forcing_of(core), core.begin({"sst": warm()})
    u, v = ekman_velocity(forcing["tauuo"], forcing["tauvo"], forcing["mlotst"], core.geometry.coriolis, 1e-5)
    steered = SlabMixedLayer(core.geometry, currents=True)
    known = steered.terms(state, Fields(dict(forcing) | {"uo": u, "vo": v}))["advection"]["sst"]
    # On land the layer is 10 m deep: it counts in no face that is open.
    torch.testing.assert_close(core.terms(state, forcing)["ekman"]["sst"], known)


@given(st.integers(0, 2**31 - 1))
@settings(max_examples=10, deadline=None)
def test_currents_drift_and_mixing_leave_a_uniform_sea_alone(seed):
    core = SlabMixedLayer(grid(seed), currents=True, ekman=True, diffusivity=500.0)
    state, forcing = core.begin({"sst": torch.full(SHAPE, 18.0, dtype=torch.float64)}), forcing_of(core, seed)
    terms, crossings = core.terms(state, forcing), core.rates(state, forcing)["advection"]
    assert crossings > 1e-7
    for name in ("advection", "ekman"):
        assert terms[name]["sst"].abs().max() <= 1e-14 * 18.0 * crossings
    assert not terms["diffusion"]["sst"][:, core.geometry.surface == 1].any()


@given(st.integers(0, 2**31 - 1))
@settings(max_examples=10, deadline=None)
def test_mixing_keeps_the_heat_of_layers_of_any_depth(seed):
    core = SlabMixedLayer(grid(seed), diffusivity=500.0)
    forcing = forcing_of(core, seed)
    rate = core.terms(core.begin({"sst": warm(seed)}), forcing)["diffusion"]["sst"]
    heat = rate * forcing["mlotst"].clamp(min=10.0) * core.geometry.area
    assert heat.sum().abs() <= 1e-12 * heat.abs().sum()


def test_only_water_that_enters_changes_the_temperature():
    sst, below, depth = (torch.full((1, 1, 1, 2), x, dtype=torch.float64) for x in (20.0, 14.0, 50.0))
    speed = torch.tensor([1e-5, -1e-5], dtype=torch.float64).expand(1, 1, 1, 2)
    assert entrainment(sst, below, speed, depth).flatten().tolist() == pytest.approx([-1e-5 * 6 / 50, 0.0])


def test_the_layer_entrains_as_it_deepens_and_not_as_it_shoals():
    shallow, deep = (torch.full((1, 1, 1, 1), x, dtype=torch.float64) for x in (30.0, 38.64))
    assert entrainment_velocity(shallow, deep, 86400.0).item() == pytest.approx(1e-4)
    assert entrainment_velocity(deep, shallow, 86400.0).item() == 0.0
    assert entrainment_velocity(shallow, shallow, 86400.0, 2e-6).item() == pytest.approx(2e-6)


def test_heat_is_kept_when_a_layer_deepens_into_colder_water():
    """h T grows by what is taken in, T_b Δh: steps of w_e (T_b − T)/h end at the mean of both waters."""
    sst, below = (torch.full((1, 1, 1, 1), x, dtype=torch.float64) for x in (20.0, 10.0))
    depth, steps = torch.full_like(sst, 30.0), 1000
    speed = entrainment_velocity(depth, depth + 30.0, 86400.0)
    for _ in range(steps):
        middle = depth + speed * 86400.0 / steps / 2
        sst = sst + entrainment(sst, below, speed, middle) * 86400.0 / steps
        depth = depth + speed * 86400.0 / steps
    assert sst.item() == pytest.approx(15.0, abs=10 / steps)


def test_the_water_below_is_read_off_the_profile():
    mask = torch.ones(3, 1, 2)
    mask[2, 0, 1] = 0
    geometry = Geometry(
        torch.tensor([0.0, 1.0]), torch.tensor([0.0, 1.0, 2.0]), torch.tensor([5.0, 25.0, 55.0]),
        torch.tensor([10.0, 30.0, 30.0]), mask, False, torch.float64,
    )  # fmt: skip
    thetao = torch.tensor([20.0, 16.0, 10.0], dtype=torch.float64)[:, None, None].expand(1, 3, 1, 2) * geometry.mask
    for deep, known in ((0.0, [19.0, 19.0]), (15.0, [16.0, 16.0]), (30.0, [13.0, 16.0]), (500.0, [10.0, 16.0])):
        found = temperature_below(thetao, torch.full((1, 1, 1, 2), deep, dtype=torch.float64), geometry)
        assert found.flatten().tolist() == pytest.approx(known)


def test_only_the_surface_of_a_geometry_counts():
    geometry = grid()
    top = surface_geometry(geometry)
    alone = Geometry(
        torch.linspace(-30.0, 33.0, NLAT + 1), torch.linspace(0.0, 360.0, NLON + 1), torch.tensor([5.0]),
        torch.tensor([10.0]), geometry.surface, True, torch.float64,
    )  # fmt: skip
    for name, buffer in alone.named_buffers():
        assert torch.equal(getattr(top, name), buffer), name
    assert geometry.mask.shape[0] == LEVELS
    deep, flat = SlabMixedLayer(geometry, **EVERYTHING), SlabMixedLayer(alone, **EVERYTHING)
    forcing, state = forcing_of(deep), deep.begin({"sst": warm()})
    assert torch.equal(deep(state, forcing, 86400.0, 2)["sst"], flat(state, forcing, 86400.0, 2)["sst"])


@pytest.mark.parametrize("by", ["fluxes", "weather"])
def test_gradients_are_those_of_finite_differences(by):
    shape = (1, 1, NLAT, NLON)
    kappa = torch.tensor(500.0, dtype=torch.float64, requires_grad=True)
    core = slab(by, diffusivity=kappa)
    given = forcing_of(core, shape=shape)
    sst = warm(shape=shape).requires_grad_()
    given = given.map(lambda field: (field / field.abs().max()).requires_grad_())
    sizes = {name: field.abs().max() for name, field in forcing_of(core, shape=shape).items()}

    def total(sst, kappa, *fields):
        forcing = Fields({n: f * sizes[n] for n, f in zip(core.forcing, fields, strict=True)})
        return 1e6 * sum(term["sst"] for term in core.terms(core.begin({"sst": sst}), forcing).values())

    assert torch.autograd.gradcheck(
        total, (sst, kappa, *given.values()), eps=1e-7, rtol=1e-4, atol=1e-4, fast_mode=True
    )


@pytest.mark.parametrize("rubbish", [0.0, float("nan")])
def test_a_month_has_finite_gradients_and_land_no_part_in_it(rubbish):
    core = slab()
    land = (core.geometry.surface == 0).expand(SHAPE)
    calm = {"u10": 0.0, "v10": 0.0, "mlotst": 0.0}
    forcing = forcing_of(core).map(lambda field: torch.where(land, rubbish, field))
    forcing = Fields(
        {n: torch.where(land, f, calm[n]) if n in calm else f for n, f in forcing.items()}
    ).map(torch.Tensor.requires_grad_)  # fmt: skip
    start = torch.where(land, rubbish, warm()).requires_grad_()
    end = core(core.begin({"sst": start}), forcing, 30 * 86400.0, 30)["sst"]
    assert not end[land].any()
    end.sum().backward()
    for tensor in (start, *forcing.values()):
        assert tensor.grad.isfinite().all()
        assert not tensor.grad[land].any()
    assert start.grad[~land].abs().min() > 0


def test_rates_are_those_of_currents_water_from_below_and_mixing():
    core = slab("fluxes")
    forcing, state = forcing_of(core), core.begin({"sst": warm()})
    assert set(core.rates(state)) == {"diffusion"}
    rates = core.rates(state, forcing)
    assert set(rates) == {"diffusion", "advection"}
    # A step of half the crossing time of each keeps the moved temperature within bounds: see `courant`.
    seconds = 0.4 / (rates["advection"] + rates["diffusion"])
    quiet = Fields({n: torch.zeros_like(f) if n in ("str", "ssr", "sshf", "slhf") else f for n, f in forcing.items()})
    moved = core(state, quiet, 50 * seconds, 50)["sst"]
    wet = core.geometry.surface.bool().expand(SHAPE)
    everything = torch.cat((state["sst"][wet], quiet["t_below"][wet]))
    assert moved[wet].max() <= everything.max() + 1e-9
    assert moved[wet].min() >= everything.min() - 1e-9
    assert SlabMixedLayer(grid()).rates(state) == {}


def test_batches_and_precision():
    core = slab()
    forcing, sst = forcing_of(core), warm()
    both = core(core.begin({"sst": sst}), forcing, 86400.0, 4)["sst"]
    alone = core(core.begin({"sst": sst[1:]}), forcing.map(lambda field: field[1:]), 86400.0, 4)["sst"]
    torch.testing.assert_close(both[1:], alone, rtol=1e-13, atol=0)
    single = core.float()(core.begin({"sst": sst.float()}), forcing.map(torch.Tensor.float), 86400.0, 4)["sst"]
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), both, rtol=1e-5, atol=1e-4)


def test_bad_input_is_named():
    core = slab("fluxes")
    state, forcing = State({"sst": warm()}), forcing_of(core)
    short = Fields({name: field for name, field in forcing.items() if name not in ("mlotst", "t_below")})
    with pytest.raises(InputError, match=r"the forcing lacks \['mlotst', 't_below'\]"):
        core.terms(state, short)
    with pytest.raises(InputError, match="found forced_by='wind'"):
        SlabMixedLayer(grid(), forced_by="wind")
    with pytest.raises(InputError, match="unknown type of water"):
        SlabMixedLayer(grid(), kind="X")


WHOLE = """
import torch
from physics.test_mixed_layer import forcing_of, slab, warm
core = slab("fluxes")
state, forcing = core.begin({"sst": warm()}), forcing_of(core)
once = torch.compile(core, fullgraph=True, backend="eager")(state, forcing, 3600.0, 1)["sst"]
torch.testing.assert_close(once, core(state, forcing, 3600.0, 1)["sst"])
"""


def test_it_compiles_whole():
    """In a process of its own: a compiler cannot look through the checks of shapes that the tests run with."""
    subprocess.run([sys.executable, "-c", WHOLE], check=True, cwd=Path(__file__).parents[1])
