"""NeuralOGCM: untrained it is its physics, balance stays, rotation is exact, and both coefficients are learned."""

from __future__ import annotations

import math

import pytest
import torch
import toy_hybridom as toy
import toy_tensors
from toy_tensors import followed_back

from oceanx.models.emulator import EmulatorConfig
from oceanx.models.neuralogcm import NeuralOGCMConfig
from oceanx.models.neuralogcm_physics import CURRENTS, ramp
from oceanx.nn.encoder_attention import EncoderAttentionConfig
from oceanx.physics.coefficients import logged
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.integrate import rollout
from oceanx.tensors.state import Forcing, State
from oceanx.vocabulary.channels import CLIMATOLOGY
from oceanx.vocabulary.constants import GRAVITY
from oceanx.vocabulary.errors import InputError
from oceanx.workflows.train_config import preset

DAY = 86400.0
UNIT = " [m2 s-1]"
NET = EncoderAttentionConfig(widths=(4, 8), blocks=1, heads=2, ratio=2, dropout=0.0, groups=2)
both = pytest.mark.parametrize("anomalies", [True, False])
pressures = pytest.mark.parametrize("pressure", ["none", "surface", "baroclinic"])


def build(anomalies=False, geometry=None, trained=False, **settings):
    torch.manual_seed(0)
    task, geometry = toy.task(anomalies), geometry or toy_tensors.geometry()
    config = NeuralOGCMConfig.parse({"net": NET.model_dump(), "substeps": 3, "fastest": 0.5, **settings})
    model = config.build(task, geometry, toy.statistics(task))
    if trained:
        toy_tensors.train_a_little(model)
    return model, task, geometry


def plane(size=(6, 8), spacing=5e4, f=1e-4, periodic=(True, True)):
    """Deep water on an f-plane, its layers 10 and 40 m thick."""
    y, x = (torch.arange(n + 1) * spacing for n in size)
    depth, thickness = torch.tensor(toy_tensors.DEPTH), torch.tensor([10.0, 40.0])
    return Geometry.plane(y, x, depth, thickness, torch.ones(2, *size), periodic=periodic, coriolis=(f, 0.0))


def at_rest(geometry, **fields):
    """Water of 10 °C and 35, and what is given."""
    full = torch.ones(1, 2, *geometry.area.shape)
    usual = {"thetao": 10 * full, "so": 35 * full, "uo": 0 * full, "vo": 0 * full, "zos": 0 * full[:, :1]}
    return State(usual | {name: field.expand_as(usual[name]).clone() for name, field in fields.items()})


# ---- untrained, and without a part -----------------------------------------------------------------------------------


@both
@pressures
def test_untrained_it_is_its_physics_alone(anomalies, pressure):
    model, task, geometry = build(anomalies, pressure=pressure)
    alone, *_ = build(anomalies, pressure=pressure, network=False)
    start, forcings = toy.state(task, geometry), toy.forcings(task, geometry, steps=2)
    assert not any("network" in name for name, _ in alone.named_parameters())
    for one, other in zip(rollout(model, start, forcings), rollout(alone, start, forcings), strict=True):
        for name in task.prognostic.names:
            assert torch.equal(one[name], other[name])
    assert (one["thetao"] - start["thetao"]).abs().max() > 0.1


def test_trained_its_skeleton_is_still_its_physics():
    model, task, geometry = build(trained=True)
    start, forcing = toy.state(task, geometry), toy.forcings(task, geometry)[0]
    skeleton = model.skeleton(start, forcing)
    assert not torch.allclose(model(start, forcing)["thetao"], skeleton["thetao"], atol=1e-3)
    alone, *_ = build(network=False)
    alone.load_state_dict({name: weight for name, weight in model.state_dict().items() if "physics" in name})
    assert torch.equal(alone(start, forcing)["thetao"], skeleton["thetao"])


@both
@pressures
def test_what_physics_steps_alone_the_network_adds_nothing_to(anomalies, pressure):
    """One substep, so that currents have not yet met the water that the network changed."""
    settings = {"physics_alone": ["uo", "so"], "closure": "substep", "substeps": 1, "fastest": 0.2}
    model, task, geometry = build(anomalies, trained=True, pressure=pressure, **settings)
    free, *_ = build(anomalies, trained=True, pressure=pressure, **settings | {"physics_alone": []})
    free.load_state_dict(model.state_dict())
    start, forcing = toy.state(task, geometry), toy.forcings(task, geometry)[0]
    mine, other, skeleton = model(start, forcing), free(start, forcing), model.skeleton(start, forcing)
    assert torch.equal(mine["so"], skeleton["so"])
    assert not torch.allclose(other["so"], skeleton["so"], atol=1e-3)
    assert torch.equal(mine["thetao"], other["thetao"])
    if pressure == "none":
        assert torch.equal(mine["uo"], skeleton["uo"])
        assert torch.equal(mine["vo"], other["vo"])


@both
def test_without_physics_it_is_an_emulator(anomalies):
    model, task, geometry = build(anomalies, trained=True, physics=False)
    emulator = EmulatorConfig(net=NET).build(task, geometry, toy.statistics(task))
    emulator.load_state_dict(model.state_dict())
    start, forcing = toy.state(task, geometry), toy.forcings(task, geometry)[0]
    assert model.coefficients() == {}
    for name, field in emulator(start, forcing).items():
        assert torch.equal(model(start, forcing)[name], field)


# ---- its physics, by closed forms ------------------------------------------------------------------------------------


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


# ---- coefficients and the closure ------------------------------------------------------------------------------------


@both
def test_gradients_reach_both_coefficients_and_everything_else_through_three_steps(anomalies):
    model, task, geometry = build(anomalies, trained=True)

    start, forcings = followed_back(model, toy.state(task, geometry), toy.forcings(task, geometry, steps=3))
    told = [field for forcing in forcings for fields in forcing for field in fields.values()]
    assert {"physics.viscosity.z", "physics.diffusivity.z"} <= {name for name, _ in model.named_parameters()}
    for leaf in (*start.values(), *told, *model.parameters()):
        assert leaf.grad.isfinite().all()
        assert leaf.grad.any()


def test_coefficients_are_told_in_si_units():
    model, *_ = build(viscosity={"value": 800.0, "spread": 3.0, "learn": True}, diffusivity=50.0)
    assert model.coefficients() == {f"physics.viscosity{UNIT}": 800.0, f"physics.diffusivity{UNIT}": 50.0}
    with torch.no_grad():
        model.physics.viscosity.z.fill_(1.0)
    assert list(model.coefficients().values()) == [pytest.approx(2400.0), 50.0]
    assert set(logged(model)) == {"physics.viscosity [m2 s-1]", "physics.diffusivity [m2 s-1]"}


def shown(model, state, forcing):
    """What the network inside is given to read, each time."""
    seen = []
    model.network.net.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    model(state, forcing)
    return seen


@pytest.mark.parametrize(("closure", "asked"), [("day", 1), ("substep", 3)])
def test_the_network_is_asked_as_often_as_it_should_be(closure, asked):
    model, task, geometry = build(closure=closure, trained=True)
    seen = shown(model, toy.state(task, geometry), toy.forcings(task, geometry)[0])
    assert len(seen) == asked
    assert asked == 1 or not torch.equal(seen[0], seen[1])


@pytest.mark.parametrize("closure", ["day", "substep"])
def test_the_closure_writes_one_step_s_change_over_the_whole_step(closure):
    """Where nothing else moves them: the surface without its answer, and currents without theirs and friction."""
    model, task, geometry = build(closure=closure, pressure="none", viscosity=1e-9)
    start, forcing = toy.state(task, geometry), toy.forcings(task, geometry)[0]
    with torch.no_grad():
        model.network.net.head.bias.fill_(2.0)
    for name in (*CURRENTS, "zos"):
        spread = toy.statistics(task)[f"{name}_increment_std"][:, None, None]
        change = 2.0 * spread * geometry.mask_of(task.prognostic.levels(name))
        assert torch.allclose(model(start, forcing)[name], start[name] + change, atol=1e-5)


def test_the_network_is_shown_what_physics_is_about_to_do():
    model, task, geometry = build()
    start, forcing = toy.state(task, geometry), toy.forcings(task, geometry)[0]
    (seen,) = shown(model, start, forcing)
    physics = model.physics
    mixing = physics.mixing()
    about = physics.moving(start, physics.flow(start, mixing), mixing).over(DAY)
    about = about + physics.risen(start, about)
    first = len(task.prognostic) + 2 * len(task.forcing)
    for name in ("thetao", "so", "zos"):
        levels = task.prognostic.levels(name)
        spread = toy.statistics(task)[f"{name}_increment_std"][:, None, None]
        expected = about[name] / spread * geometry.mask_of(levels)
        assert torch.allclose(seen[:, first : first + levels], expected, rtol=1e-4, atol=1e-4)
        assert expected.abs().max() > 0.1
        first += levels


@both
def test_a_batch_of_two_is_two_singles_and_land_stays_land(anomalies):
    model, task, geometry = build(anomalies, trained=True)
    start, forcings = toy.state(task, geometry, batch=2), toy.forcings(task, geometry, steps=2, batch=2)
    together = list(rollout(model, start, forcings))[-1]
    for name, field in together.items():
        assert not field[:, geometry.mask_of(task.prognostic.levels(name)) == 0].any()
    for i in range(2):
        told = [Forcing(toy.single(now, i), toy.single(later, i)) for now, later in forcings]
        alone = list(rollout(model, toy.single(start, i), told))[-1]
        for name in alone:
            assert torch.allclose(alone[name][0], together[name][i], rtol=1e-5, atol=1e-4)


# ---- what it refuses -------------------------------------------------------------------------------------------------


def test_too_few_substeps_for_the_fastest_current_are_refused():
    with pytest.raises(InputError, match=r"currents cross .* cells a substep at .*; \d+ substeps would do"):
        build(fastest=20.0)
    build(fastest=20.0, substeps=60)
    build(fastest=20.0, as_published=True)
    build(fastest=20.0, physics=False)


def test_what_the_task_lacks_is_named():
    task, geometry = toy_tensors.task(), toy_tensors.geometry()
    statistics = toy_tensors.statistics(task)
    with pytest.raises(InputError, match=r"lacks \['so'\]"):
        NeuralOGCMConfig(net=NET, fastest=0.5).build(task, geometry, statistics)
    with pytest.raises(InputError, match=r"lacks \['so'\]"):
        NeuralOGCMConfig(net=NET, fastest=0.5, tracers=("thetao",)).build(task, geometry, statistics)
    NeuralOGCMConfig(net=NET, fastest=0.5, tracers=("thetao",), pressure="surface").build(task, geometry, statistics)
    with pytest.raises(InputError, match=r"lacks \['zos'\]"):
        NeuralOGCMConfig(net=NET, fastest=0.5, tracers=("zos",), pressure="none").build(task, geometry, statistics)
    NeuralOGCMConfig(net=NET, physics=False).build(task, geometry, statistics)
    with pytest.raises(InputError, match="departures from a climatology"):
        build(anomalies=False, settling=10.0)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"physics": False, "network": False}, "nothing is left"),
        ({"substeps": 0}, "substeps"),
        ({"pressure": "magic"}, "pressure"),
        ({"physics_alone": ["zos"]}, r"\['zos'\]; physics steps \['so', 'thetao', 'uo', 'vo'\]"),
        ({"physics_alone": ["uo"], "physics": False}, r"\['uo'\]; physics steps \[\]"),
        ({"viscosity": {"value": -1.0}}, "viscosity"),
        ({"settling": 0.0}, "settling"),
        ({"settling": 10.0, "pressure": "none"}, "balance with pressure; name a `pressure`"),
    ],
)
def test_settings_that_mean_nothing_are_refused(values, said):
    with pytest.raises(InputError, match=said):
        NeuralOGCMConfig.parse(values)


def test_the_published_preset_can_be_built():
    config = preset("neuralogcm")
    levels = len(config.task.prognostic.depth)
    lat, lon = torch.linspace(-90.0, 90.0, 121), torch.linspace(-180.0, 180.0, 241)
    depth = torch.tensor(config.task.prognostic.depth)
    geometry = Geometry(lat, lon, depth, torch.full((levels,), 30.0), torch.ones(levels, 120, 240), periodic=True)
    names = [*config.task.prognostic.names, *config.task.forcing.names]
    sizes = {name: config.task.prognostic.levels(name) if name in config.task.prognostic.names else 1 for name in names}
    statistics = {
        f"{name}{usual}_{kind}": torch.ones(size)
        for name, size in sizes.items()
        for usual in ("", CLIMATOLOGY)
        for kind in ("mean", "std", "increment_std")
    }
    model = config.model.build(config.task, geometry, statistics)
    assert len(config.task.prognostic) == 93
    assert list(model.coefficients().values()) == [pytest.approx(1000.0)] * 2
    with pytest.raises(InputError, match="8 substeps would do"):
        preset("neuralogcm", **{"model.substeps": 7}).model.build(config.task, geometry, statistics)
