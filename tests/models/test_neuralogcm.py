"""NeuralOGCM: untrained it is its physics, its network is asked as it should be, and both coefficients are learned."""

from __future__ import annotations

import pytest
import torch
import toy_hybridom as toy
import toy_tensors
from toy_neuralogcm import NET, build
from toy_tensors import followed_back

from oceanx.models.emulator import EmulatorConfig
from oceanx.models.neuralogcm import NeuralOGCMConfig
from oceanx.models.neuralogcm_physics import CURRENTS
from oceanx.physics.coefficients import logged
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.integrate import rollout
from oceanx.tensors.state import Forcing
from oceanx.vocabulary.channels import CLIMATOLOGY
from oceanx.vocabulary.errors import InputError
from oceanx.workflows.train_config import preset

DAY = 86400.0
UNIT = " [m2 s-1]"
both = pytest.mark.parametrize("anomalies", [True, False])
pressures = pytest.mark.parametrize("pressure", ["none", "surface", "baroclinic"])


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
