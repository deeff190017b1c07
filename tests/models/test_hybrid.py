"""The hybrid: untrained it is its physics, and where the ocean is its climatology it stays so."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import toy_tensors as toy
from toy_tensors import followed_back

from oceanx.models.hybrid import HybridConfig
from oceanx.nn.unet import UNetConfig
from oceanx.tensors.integrate import rollout
from oceanx.tensors.state import Fields, Forcing, State
from oceanx.vocabulary.channels import CLIMATOLOGY
from oceanx.vocabulary.constants import EARTH_RADIUS
from oceanx.vocabulary.errors import InputError

DAY = 86400.0
both = pytest.mark.parametrize("anomalies", [True, False])


def build(anomalies=False, periodic=False, **settings):
    torch.manual_seed(0)
    task, geometry = toy.task(anomalies), toy.geometry(periodic)
    config = HybridConfig(net=UNetConfig(widths=(4, 8), groups=2), **settings)
    return config.build(task, geometry, toy.statistics(task)), task, geometry


def upwind(state, geometry, periodic):
    """−u·∇T on the sphere, cell by cell and face by face in numpy: the textbook's donor cell."""
    mask = geometry.mask.numpy()
    T, u, v = (state[name].double().numpy()[0] for name in ("thetao", "uo", "vo"))
    _, nlat, nlon = mask.shape
    edge = np.deg2rad(np.linspace(20.0, 27.0, nlat + 1))
    width = np.deg2rad((360.0 if periodic else 10.0) / nlon)
    change = np.zeros_like(T)
    for k, j, i in np.argwhere(mask):
        volume = EARTH_RADIUS**2 * width * (np.sin(edge[j + 1]) - np.sin(edge[j]))
        meridian = EARTH_RADIUS * (edge[j + 1] - edge[j])
        faces = [
            (j, i + 1, +1, u, meridian),
            (j, i - 1, -1, u, meridian),
            (j + 1, i, +1, v, EARTH_RADIUS * width * np.cos(edge[j + 1])),
            (j - 1, i, -1, v, EARTH_RADIUS * width * np.cos(edge[j])),
        ]
        for row, column, outwards, current, length in faces:
            at = column % nlon if periodic else column
            if not (0 <= row < nlat and 0 <= at < nlon and mask[k, row, at]):
                continue
            leaving = outwards * length * (current[k, j, i] + current[k, row, at]) / 2
            change[k, j, i] += max(-leaving, 0.0) * (T[k, row, at] - T[k, j, i]) / volume
    return torch.from_numpy(change)[None]


@pytest.mark.parametrize("periodic", [True, False])
def test_untrained_it_is_its_physics(periodic):
    model, task, geometry = build(periodic=periodic, scheme="upwind", substeps=3)
    start = toy.state(task, geometry)
    state = {name: field.double() for name, field in start.items()}
    step = DAY / 3
    for _ in range(3):
        first = upwind(state, geometry, periodic)
        second = upwind(state | {"thetao": state["thetao"] + step * first}, geometry, periodic)
        state["thetao"] = state["thetao"] + step / 2 * (first + second)
    end = model(start, toy.forcings(task, geometry, steps=1)[0])
    assert (state["thetao"] - start["thetao"]).abs().max() > 0.1
    assert torch.allclose(end["thetao"].double(), state["thetao"], atol=1e-4)
    for name in ("uo", "vo", "zos"):
        assert torch.equal(end[name], start[name])


@pytest.mark.parametrize("scheme", ["upwind", "limited"])
def test_a_state_that_is_its_climatology_stays_so(scheme):
    model, task, geometry = build(anomalies=True, scheme=scheme)
    forcings = toy.forcings(task, geometry, steps=3)
    start = State({name: forcings[0].now[name + CLIMATOLOGY] for name in task.prognostic.names})
    for state, forcing in zip(rollout(model, start, forcings), forcings, strict=True):
        for name, field in state.items():
            expected = forcing.next[name + CLIMATOLOGY]
            assert torch.allclose(field, expected, atol=1e-5)


def test_a_steady_climatology_is_taken_out_of_the_transport():
    """With currents that are their climatology and T = c + a, the anomaly a alone is carried: P is linear in T."""
    model, task, geometry = build(anomalies=True, scheme="upwind")
    forcing = toy.forcings(task, geometry, steps=1)[0]
    mean = {name: forcing.now[name + CLIMATOLOGY] for name in task.prognostic.names}
    anomaly = toy.fields(task.prognostic, geometry, seed=9)["thetao"]
    end = model(State(mean | {"thetao": mean["thetao"] + anomaly}), Forcing(forcing.now, forcing.now))
    plain, other, _ = build(scheme="upwind")
    carried = plain(State(mean | {"thetao": anomaly}), toy.forcings(other, geometry, steps=1)[0])["thetao"]
    assert (carried - anomaly).abs().max() > 0.1
    assert torch.allclose(end["thetao"] - mean["thetao"], carried, atol=1e-4)


@both
def test_the_closure_writes_one_step_s_change_over_the_whole_step(anomalies):
    model, task, geometry = build(anomalies)
    start, forcing = toy.state(task, geometry), toy.forcings(task, geometry, steps=1)[0]
    untrained = model(start, forcing)
    with torch.no_grad():
        model.network.net.head.bias.fill_(2.0)
    for name in ("uo", "vo", "zos"):  # nothing else moves them
        spread = toy.statistics(task)[f"{name}_increment_std"][:, None, None]
        change = 2.0 * spread * geometry.mask_of(task.prognostic.levels(name))
        assert torch.allclose(model(start, forcing)[name], untrained[name] + change, atol=1e-5)


@both
def test_land_stays_land_and_a_closure_is_heard(anomalies):
    model, task, geometry = build(anomalies)
    start, forcings = toy.state(task, geometry), toy.forcings(task, geometry, steps=3)
    untrained = list(rollout(model, start, forcings))[-1]
    toy.train_a_little(model)
    trained = list(rollout(model, start, forcings))[-1]
    for name, field in trained.items():
        land = geometry.mask_of(task.prognostic.levels(name)) == 0
        assert not field[:, land].any()
        assert not untrained[name][:, land].any()
        assert not torch.allclose(field, untrained[name], atol=1e-3)


def single(fields, i):
    return fields.map(lambda field: field[i : i + 1])


@both
def test_a_batch_of_two_is_two_singles(anomalies):
    model, task, geometry = build(anomalies)
    toy.train_a_little(model)
    start, forcings = toy.state(task, geometry, batch=2), toy.forcings(task, geometry, steps=2, batch=2)
    together = list(rollout(model, start, forcings))[-1]
    for i in range(2):
        told = [Forcing(single(now, i), single(later, i)) for now, later in forcings]
        alone = list(rollout(model, single(start, i), told))[-1]
        for name in alone:
            assert torch.allclose(alone[name][0], together[name][i], atol=1e-4)


@both
def test_gradients_reach_everything_through_three_steps(anomalies):
    model, task, geometry = build(anomalies)
    toy.train_a_little(model)

    start, forcings = followed_back(model, toy.state(task, geometry), toy.forcings(task, geometry, steps=3))
    told = [field for forcing in forcings for fields in forcing for field in fields.values()]
    for leaf in (*start.values(), *told, *model.parameters()):
        assert leaf.grad.isfinite().all()
        assert leaf.grad.any()


def shown(model, state, forcing):
    """What the network inside is given to read."""
    seen = []
    model.network.net.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    model(state, forcing)
    return seen[0]


def test_the_network_is_shown_what_transport_is_about_to_do():
    model, task, geometry = build(scheme="upwind")
    start, spreads = toy.state(task, geometry), toy.statistics(task)
    top = torch.tensor([1.0, 0.0])[:, None, None]  # currents in the upper 10 m of 50 m, or of 10 m where it is shallow
    start = State(dict(start) | {"uo": start["uo"] * top, "vo": start["vo"] * top})
    seen = shown(model, start, toy.forcings(task, geometry, steps=1)[0])
    moved = upwind(start, geometry, periodic=False).float() * DAY
    assert torch.allclose(seen[:, 9:11], moved / spreads["thetao_increment_std"][:, None, None], rtol=1e-3, atol=1e-3)
    level = dict(start) | {"thetao": start["zos"].expand(-1, 2, -1, -1)}
    share = 10.0 / (10.0 + 40.0 * geometry.mask[1])
    drift = upwind(level, geometry, periodic=False)[:, :1].float() * DAY * share
    assert drift.abs().max() > 0.01
    assert torch.allclose(seen[:, 11:12], drift / spreads["zos_increment_std"][:, None, None], rtol=1e-3, atol=1e-3)


def test_with_climatology_it_is_shown_how_transport_departs_from_it():
    model, task, geometry = build(anomalies=True)
    forcing = toy.forcings(task, geometry, steps=1)[0]
    mean = State({name: forcing.now[name + CLIMATOLOGY] for name in task.prognostic.names})
    hints = slice(7 + 2 + 2 * 7, 7 + 2 + 2 * 7 + 3)
    assert not shown(model, mean, forcing)[:, hints].any()
    assert shown(model, toy.state(task, geometry), forcing)[:, hints].any()


def test_more_substeps_are_closer_to_the_limit():
    ends = {}
    for substeps in (4, 8, 64):
        model, task, geometry = build(scheme="upwind", substeps=substeps)
        end = model(toy.state(task, geometry), toy.forcings(task, geometry, steps=1)[0])
        ends[substeps] = end["thetao"].double()
    errors = [(ends[substeps] - ends[64]).norm() for substeps in (4, 8)]
    assert errors[0] > 3 * errors[1]


def test_tracers_that_the_task_lacks_are_named():
    task, geometry = toy.task(), toy.geometry()
    for settings, missing in (({"moved": ("so",)}, "so"), ({"guided": ("sla",)}, "sla"), ({"moved": ("zos",)}, "zos")):
        with pytest.raises(InputError, match=missing):
            HybridConfig(**settings).build(task, geometry, toy.statistics(task))


@pytest.mark.parametrize("values", [{"substeps": 0}, {"scheme": "magic"}, {"kind": "emulator"}])
def test_settings_that_mean_nothing_are_refused(values):
    with pytest.raises(InputError, match=next(iter(values))):
        HybridConfig.parse(values)


def test_without_anomalies_a_climatology_is_not_asked_for():
    model, task, geometry = build()
    assert model(toy.state(task, geometry), Forcing(*[Fields(toy.fields(task.forcing, geometry))] * 2)).keys() == set(
        task.prognostic.names
    )
