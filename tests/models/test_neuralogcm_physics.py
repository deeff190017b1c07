"""The physics of NeuralOGCM by closed forms: balance stays or is settled into, rotation is exact, friction too."""

from __future__ import annotations

import math

import pytest
import torch
import toy_hybridom as toy
import toy_tensors
from toy_neuralogcm import at_rest, build, plane

from oceanx.models.neuralogcm_physics import CURRENTS, ramp
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.integrate import rollout
from oceanx.tensors.state import Forcing, State
from oceanx.vocabulary.channels import CLIMATOLOGY
from oceanx.vocabulary.constants import GRAVITY

DAY = 86400.0
pressures = pytest.mark.parametrize("pressure", ["none", "surface", "baroclinic"])


@pressures
def test_a_state_that_is_its_climatology_stays_so(pressure):
    settling = {} if pressure == "none" else {"settling": 2.0}
    model, task, geometry = build(anomalies=True, pressure=pressure, **settling)
    for forcing in toy.forcings(task, geometry, steps=2):
        state = State({name: forcing.now[name + CLIMATOLOGY] for name in task.prognostic.names})
        for name, field in model(state, forcing).items():
            assert torch.allclose(field, forcing.next[name + CLIMATOLOGY], atol=2e-5)


@pressures
def test_a_current_in_balance_is_not_turned(pressure):
    """Whatever holds it; and the friction of a uniform current is nothing."""
    geometry = plane()
    model, task, _ = build(geometry=geometry, pressure=pressure)
    start = at_rest(geometry, uo=torch.tensor(0.3), vo=torch.tensor(-0.1))
    for state in rollout(model, start, toy.forcings(task, geometry, steps=3)):
        for name, field in state.items():
            assert torch.allclose(field, start[name], atol=1e-6)


def test_as_published_every_current_turns_and_grows():
    geometry = plane(f=1e-4)
    model, task, _ = build(geometry=geometry, as_published=True)
    start = at_rest(geometry, uo=torch.tensor(0.3))
    end = model(start, toy.forcings(task, geometry)[0])
    assert torch.allclose(end["uo"], start["uo"], atol=1e-6)
    assert torch.allclose(end["vo"], torch.full_like(end["vo"], -0.3 * 1e-4 * DAY), rtol=1e-5)
    speed = torch.hypot(end["uo"], end["vo"])
    assert torch.allclose(speed, torch.full_like(speed, 0.3 * abs(1 + 1j * 1e-4 * DAY)), rtol=1e-5)


@pytest.mark.parametrize("viscosity", [500.0, 2000.0])
def test_friction_and_diffusion_take_a_wave_away_as_heun_has_it(viscosity):
    """Each substep by 1 − a + a²/2, a = ν Δt (2 sin ½kΔy / Δy)²."""
    geometry = plane(size=(8, 4))
    wave = torch.cos(2 * math.pi * torch.arange(8) / 8)[:, None]
    coefficients = {"viscosity": viscosity, "diffusivity": 3 * viscosity}
    model, task, _ = build(geometry=geometry, pressure="none", **coefficients)
    start = at_rest(geometry, uo=0.2 * wave, thetao=10 + wave)
    end = model(start, toy.forcings(task, geometry)[0])
    for name, base, size, coefficient in (("uo", 0.0, 0.2, viscosity), ("thetao", 10.0, 1.0, 3 * viscosity)):
        a = coefficient * DAY / 3 * (2 * math.sin(math.pi / 8) / 5e4) ** 2
        expected = base + size * (1 - a + a**2 / 2) ** 3 * wave
        assert torch.allclose(end[name], expected.expand_as(end[name]), atol=1e-5)


@pytest.mark.parametrize("pressure", ["surface", "baroclinic"])
@pytest.mark.parametrize("length", [2, 4, 8])  # of the wave, in cells: of two no centred slope is felt
def test_friction_takes_a_wave_and_the_sea_surface_that_it_balances_alike(pressure, length):
    """f k×u = −g ∇η before and after: 1 − a + a²/2 a substep of both, a = ν Δt (2 sin ½kΔy / Δy)²."""
    geometry, viscosity = plane(size=(8, 4)), 2000.0
    phase = 2 * math.pi * torch.arange(8) / length
    height = 0.1 * torch.cos(phase)[:, None]
    slope = -0.1 * (torch.sin(phase) * math.sin(2 * math.pi / length) / 5e4)[:, None]
    model, task, _ = build(geometry=geometry, pressure=pressure, viscosity=viscosity)
    start = at_rest(geometry, zos=height, uo=-GRAVITY / 1e-4 * slope)
    end = model(start, toy.forcings(task, geometry)[0])
    a = viscosity * DAY / 3 * (2 * math.sin(math.pi / length) / 5e4) ** 2
    for name in ("zos", "uo"):
        assert torch.allclose(end[name], (1 - a + a**2 / 2) ** 3 * start[name], atol=1e-5)


@pytest.mark.parametrize("theta", [0.0, 1e-3, 0.5, -2.0, 2 * math.pi, 9.0, -11.0])
def test_a_growing_push_turns_exactly(theta):
    """Against ten thousand small steps of dz/dt = G t − iθ z, G = 1 along x, over a time of 1."""
    z, n = 0j, 10_000
    for i in range(n):
        turn = complex(math.cos(theta / n), -math.sin(theta / n))
        z = (z + i / n / n / 2) * turn + (i + 1) / n / n / 2
    p, q = ramp(torch.tensor([[theta / DAY]], dtype=torch.float64), DAY)
    assert complex(p, -q) == pytest.approx(z, abs=1e-7)


def over_rest(task, geometry):
    """The forcing of a day whose climatology is water at rest."""
    still = {name + CLIMATOLOGY: field for name, field in at_rest(geometry).items()}
    day = toy.forcings(task, geometry)[0]
    return Forcing(type(day.now)({**day.now, **still}), type(day.next)({**day.next, **still}))


@pytest.mark.parametrize("f", [1e-4, -1e-4, 1e-5, 0.0])
def test_what_is_out_of_balance_settles(f):
    """A current that nothing holds keeps 1 − (1 − e^(−Δt/τ)) θ²/(1 + θ²) of itself, θ = f Δt, on its way to rest."""
    geometry = plane(f=f)
    model, task, _ = build(anomalies=True, geometry=geometry, settling=5.0)
    start = at_rest(geometry, uo=torch.tensor(0.3), vo=torch.tensor(-0.1))
    end = model(start, over_rest(task, geometry))
    angle = f * DAY
    kept = 1 - (1 - math.exp(-1 / 5)) * angle**2 / (1 + angle**2)
    for name, field in end.items():
        expected = kept * start[name] if name in CURRENTS else start[name]
        assert torch.allclose(field, expected, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("pressure", ["surface", "baroclinic"])
def test_what_is_in_balance_has_settled(pressure):
    """A jet that the slope of the surface holds, f k×u = −g ∇η, is the same with and without."""
    geometry = plane(size=(8, 4))
    phase = 2 * math.pi * torch.arange(8) / 8
    slope = -0.1 * (torch.sin(phase) * math.sin(math.pi / 4) / 5e4)[:, None]
    height = 0.1 * torch.cos(phase)[:, None]
    start = at_rest(geometry, zos=height, uo=-GRAVITY / 1e-4 * slope)
    ends = []
    for settling in (None, 1.0):
        model, task, _ = build(anomalies=True, geometry=geometry, pressure=pressure, settling=settling)
        ends.append(model(start, over_rest(task, geometry)))
    for name, field in ends[0].items():
        assert torch.allclose(ends[1][name], field, atol=2e-6)
    assert ends[0]["uo"].abs().max() > 0.1


def test_currents_and_sea_surface_answer_what_becomes_warmer():
    """Warmth T(y) in both layers lifts the surface by 30 m α T, so that the lower level feels nothing."""
    geometry, alpha = plane(size=(8, 6), periodic=(True, False)), 1.7e-4
    model, _, _ = build(geometry=geometry, density="linear", network=False)
    start = at_rest(geometry)
    warmth = torch.sin(math.pi * (torch.arange(8) + 0.5) / 8)[:, None]
    warmer = State(dict(start) | {"thetao": start["thetao"] + warmth})
    risen = model.physics.risen(start, warmer - start)
    assert torch.allclose(risen["zos"], (30 * alpha * warmth).expand(1, 1, 8, 6), rtol=1e-3, atol=1e-7)
    answer = model.physics.answered(start, warmer + risen, model.physics.mixing())
    slope = torch.zeros(8, 1)
    slope[1:-1] = (warmth[2:] - warmth[:-2]) / 1e5
    slope[0], slope[-1] = (warmth[1] - warmth[0]) / 5e4, (warmth[-1] - warmth[-2]) / 5e4
    along, across = ramp(torch.tensor([[1e-4]]), DAY)
    push = -GRAVITY * alpha * (30 - 5) * slope * DAY
    assert torch.allclose(answer["uo"][0, 0], (across * push).expand(8, 6), rtol=5e-3, atol=1e-6)
    assert torch.allclose(answer["vo"][0, 0], (along * push).expand(8, 6), rtol=5e-3, atol=1e-6)
    assert answer["uo"][0, 0].abs().max() > 1e-3
    assert answer["uo"][0, 1].abs().max() < 2e-5
    # In balance with its push a current runs across it: at f Δt = 8.6 to within an eighth.
    assert torch.allclose(answer["uo"][0, 0, 1:-1, 0], (push / (1e-4 * DAY))[1:-1, 0], rtol=0.13)


def test_near_the_pole_flow_is_held_back_to_what_a_substep_bears():
    lat, lon = torch.linspace(80.0, 90.0, 11), torch.linspace(-180.0, 180.0, 37)
    depth, thickness = torch.tensor(toy_tensors.DEPTH), torch.tensor([10.0, 40.0])
    geometry = Geometry(lat, lon, depth, thickness, torch.ones(2, 10, 36), periodic=True)
    model, task, _ = build(geometry=geometry, pressure="none", network=False, viscosity=1e4, diffusivity=1e4)
    start = toy.state(task, geometry)
    fast = State(dict(start) | {name: 10 * start[name] for name in CURRENTS})
    state = list(rollout(model, fast, toy.forcings(task, geometry, steps=5)))[-1]
    for name in ("thetao", "so", *CURRENTS):
        assert state[name].min() >= fast[name].min() - 1e-3
        assert state[name].max() <= fast[name].max() + 1e-3
