"""The primitive equations: what they keep and leave alone, that a step is the sum of its terms, and gradients."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_basin import core, fields, fluxes, geometry, weather

from oceanx.physics.core import Core
from oceanx.physics.primitive.equations import CARRIED
from oceanx.tensors.state import Fields
from oceanx.vocabulary.constants import HEAT_CAPACITY, REFERENCE_DENSITY
from oceanx.vocabulary.errors import InputError

NOTHING = Fields({})
seeds = st.integers(0, 2**31 - 1)
schemes = pytest.mark.parametrize("scheme", ["upwind", "limited", "third", "weno"])


def test_it_is_a_core():
    assert isinstance(core(geometry()), Core)


@schemes
@given(seeds, st.booleans())
@settings(max_examples=3, deadline=None)
def test_volume_heat_and_salt_change_by_what_the_surface_gives(scheme, seed, periodic):
    g = geometry(periodic=periodic)
    its = core(g, forced_by="fluxes", transport=scheme, convection=1.0)
    begun = its.begin(fields(g, seed))
    ended = its(begun, fluxes(g, seed + 1), 6 * 1800.0, 6)
    before, after = its.budget(begun), its.budget(ended)
    for name, gain in (("volume", "gained_volume"), ("heat", "gained_heat"), ("salt", None)):
        gained = after[gain] if gain else 0.0
        assert (after[name] - before[name] - gained).abs() <= 1e-14 * before[name], name
    assert abs(after["gained_heat"]) > 1e-9 * before["heat"]
    assert abs(after["gained_volume"]) > 1e-12 * before["volume"]


@schemes
@given(seeds)
@settings(max_examples=3, deadline=None)
def test_uniform_tracers_stay_uniform_in_any_flow(scheme, seed):
    g = geometry()
    its = core(g, forced_by="wind", transport=scheme)
    start = fields(g, seed, noise=3.0)
    start |= {"thetao": 12.0 * g.mask[None], "so": 34.5 * g.mask[None]}
    wind = Fields({name: field for name, field in fluxes(g, seed).items() if name.startswith("tau")})
    after = its(its.begin(start), wind, 5 * 1800.0, 5)
    wet = g.mask.bool()
    assert after["uo_x"].abs().max() > 0.05
    assert (after["thetao"][:, wet] - 12.0).abs().max() < 1e-12
    assert (after["so"][:, wet] - 34.5).abs().max() < 1e-12


def test_rain_freshens_and_raises_the_sea_but_does_not_cool_it():
    g = geometry()
    its = core(g, forced_by="fluxes", diffusivity=None)
    still = {name: torch.zeros_like(field) for name, field in fields(g).items()}
    still |= {"thetao": 12.0 * g.mask[None], "so": 35.0 * g.mask[None]}
    rain = {name: torch.zeros_like(field) for name, field in fluxes(g).items()}
    rain["mtpr"] = torch.full_like(rain["mtpr"], 1e-4)  # kg m-2 s-1
    begun = its.begin(still)
    after = its(begun, Fields(rain), 3600.0, 2)
    wet = g.mask.bool()
    assert (after["thetao"][:, wet] - 12.0).abs().max() < 1e-12
    before, now = its.budget(begun), its.budget(after)
    fallen = 1e-4 / REFERENCE_DENSITY * 3600.0 * (g.area * g.surface).sum()
    assert now["volume"] - before["volume"] == pytest.approx(fallen.item(), rel=1e-6)
    assert (now["salt"] / before["salt"] - 1).abs() < 1e-14
    assert after["so"][:, 0][:, g.mask[0].bool()].max() < 35.0


def test_layered_water_at_rest_over_a_rough_floor_stays_at_rest_exactly():
    g = geometry()
    # Mixing would lift the layers where they meet the floor, and that is a push.
    its = core(g, diffusivity=None, vertical="constant", vertical_diffusivity=1e-30)
    still = {name: torch.zeros_like(field) for name, field in fields(g).items()}
    depth = g.depth[:, None, None]
    still |= {"thetao": (5 + 15 * torch.exp(-depth / 100)) * g.mask[None], "so": (34 + depth / 300) * g.mask[None]}
    after = its(its.begin(still), NOTHING, 86400.0, 12)
    assert not after["uo_x"].any()
    assert not after["vo_y"].any()
    assert not after["zos"].any()


def test_small_steps_go_where_the_sum_of_the_terms_points():
    """(x(Δt) − x) / Δt tends to the sum of the terms, with an error that shrinks with Δt."""
    g = geometry()
    its = core(g, forced_by="fluxes", transport="third", convection=0.0)
    begun, forcing = its.begin(fields(g)), fluxes(g)
    named = its.terms(begun, forcing)
    total = {n: sum(term[n] for term in named.values() if n in term) for n in begun if n not in CARRIED}
    errors = []
    for seconds in (4.0, 1.0):
        after = its(begun, forcing, seconds, 1)
        rate = {name: (after[name] - begun[name]) / seconds for name in total}
        errors.append({n: ((rate[n] - total[n]).abs().max() / total[n].abs().max()).item() for n in total})
    for name in total:
        assert errors[1][name] < 0.05, (name, errors)
        assert errors[1][name] < 0.4 * errors[0][name], (name, errors)


def test_water_behaves_alike_in_a_batch_and_by_itself():
    g = geometry()
    its = core(g, forced_by="fluxes")
    both, weather = fields(g, batch=2), fluxes(g, batch=2)
    together = its.end(its(its.begin(both), weather, 7200.0, 4))
    for member in (0, 1):
        alone = {name: field[member : member + 1] for name, field in both.items()}
        mine = Fields({name: field[member : member + 1] for name, field in weather.items()})
        for name, field in its.end(its(its.begin(alone), mine, 7200.0, 4)).items():
            torch.testing.assert_close(together[name][member : member + 1], field, rtol=1e-12, atol=1e-13)


def test_single_precision_follows_double():
    results = []
    for dtype in (torch.float32, torch.float64):
        g = geometry(dtype)
        its = core(g, forced_by="fluxes")
        results.append(its(its.begin(fields(g)), fluxes(g), 6 * 3600.0, 6))
    for name, allowed in (("thetao", 1e-4), ("so", 1e-4), ("uo_x", 1e-5), ("zos", 1e-5)):
        assert (results[0][name] - results[1][name]).abs().max() < allowed, name


def test_the_weather_drives_the_sea_and_its_heat_is_accounted_for():
    g = geometry()
    its = core(g, forced_by="weather")
    begun = its.begin(fields(g, noise=0.0))
    after = its(begun, weather(g), 86400.0, 24)
    assert its.budget(after)["kinetic_energy"] > 0
    residual = its.budget(after)["heat"] - its.budget(begun)["heat"] - its.budget(after)["gained_heat"]
    assert abs(residual) < 1e-14 * its.budget(begun)["heat"]


def test_gradients_of_three_steps_are_those_of_finite_differences():
    g = geometry(nlat=4, nlon=4, levels=3)
    its = core(g, forced_by="fluxes", transport="third", convection=0.0)
    names = ("thetao", "so", "uo", "vo", "zos", "tauuo", "ssr", "mtpr")
    given = {**fields(g), **fluxes(g)}
    leaves = tuple(given[name].clone().requires_grad_() for name in names)

    def end(*values):
        now = given | dict(zip(names, values, strict=True))
        after = its(its.begin(now), Fields({name: now[name] for name in fluxes(g)}), 3 * 1200.0, 3)
        return tuple(its.end(after).values())

    assert torch.autograd.gradcheck(end, leaves, eps=1e-5, atol=1e-6, rtol=1e-4, nondet_tol=0.0, fast_mode=True)


def test_forward_and_backward_derivatives_are_adjoint():
    """⟨w, J v⟩ = ⟨Jᵀ w, v⟩ for a day of everything, to round-off."""
    g = geometry()
    its = core(g, forced_by="fluxes")
    start, weather = fields(g), fluxes(g)

    def end(fields):
        return its.end(its(its.begin(fields), weather, 6 * 1800.0, 6))

    direction = fields(g, seed=7)
    step = 1e-6
    plus, minus = (end({n: start[n] + sign * step * direction[n] for n in start}) for sign in (1, -1))
    leaves = {name: field.clone().requires_grad_() for name, field in start.items()}
    weight = fields(g, seed=8)
    sum((weight[name] * field).sum() for name, field in end(leaves).items()).backward()
    forward = sum((weight[name] * (plus[name] - minus[name])).sum() for name in plus) / (2 * step)
    backward = sum((direction[name] * leaf.grad).sum() for name, leaf in leaves.items())
    assert forward.item() == pytest.approx(backward.item(), rel=1e-5)


def test_what_is_learned_has_a_finite_gradient_everywhere():
    g = geometry(torch.float32)
    learned = {"value": 1e3, "learn": True}
    deform = {"value": 2.0, "learn": True}
    its = core(g, forced_by="weather", viscosity=learned, diffusivity=learned, smagorinsky=deform)
    leaves = {name: field.requires_grad_() for name, field in fields(g).items()}
    its.end(its(its.begin(leaves), weather(g), 86400.0, 24))["thetao"].square().sum().backward()
    for name, leaf in [*leaves.items(), *its.named_parameters()]:
        assert leaf.grad is not None, name
        assert leaf.grad.isfinite().all(), name
        assert leaf.grad.any(), name


def test_a_missing_forcing_is_named():
    its = core(geometry(), forced_by="wind")
    with pytest.raises(InputError, match=r"forcing: lacks \['tauvo'\]"):
        its(its.begin(fields(its.geometry)), fluxes(its.geometry).only(("tauuo",)), 3600.0, 1)


def test_heat_warms_the_column_by_what_it_is_worth():
    """A column without motion gains Q t / (ρ₀ c_p H) in the mean, whatever the light's way into it."""
    g = geometry()
    its = core(g, forced_by="fluxes", viscosity=None, diffusivity=None)
    still = {name: torch.zeros_like(field) for name, field in fields(g).items()}
    still |= {"thetao": 12.0 * g.mask[None], "so": 35.0 * g.mask[None]}
    warm = {name: torch.zeros_like(field) for name, field in fluxes(g).items()}
    warm |= {"ssr": torch.full_like(warm["ssr"], 200.0), "str": torch.full_like(warm["str"], -50.0)}
    after = its(its.begin(still), Fields(warm), 1.0, 1)  # before currents matter
    mean = (g.thickness * (after["thetao"] - 12.0) * g.mask).sum(1)[0] / g.bottom_depth[0].clamp(min=1)
    expected = 150.0 / (REFERENCE_DENSITY * HEAT_CAPACITY * g.bottom_depth[0].clamp(min=1))
    wet = g.mask[0].bool()
    torch.testing.assert_close(mean[wet], expected[wet], rtol=1e-6, atol=0)
