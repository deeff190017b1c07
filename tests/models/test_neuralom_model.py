"""NeuralOM: untrained it is persistence; every stage adds to the last one's prediction, and sees what it is told to."""

from __future__ import annotations

import pytest
import torch
import toy_tensors as toy

from oceanx.models.neuralom import NeuralOMConfig
from oceanx.nn.mesh_network import MeshConfig
from oceanx.nn.unet import UNetConfig
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.integrate import rollout
from oceanx.tensors.state import Fields, Forcing
from oceanx.vocabulary.channels import CLIMATOLOGY, Channels, Task
from oceanx.vocabulary.constants import LEVELS_23
from oceanx.vocabulary.errors import InputError

UNET, MESH = UNetConfig(widths=(4, 8), groups=2), MeshConfig(level=1, width=8, layers=2)
PUBLISHED = {"corrections": "as_published", "writes": "as_published"}
both = pytest.mark.parametrize("anomalies", [True, False])


def build(anomalies=False, stages=(MESH, UNET), periodic=False, **settings):
    torch.manual_seed(0)
    task, geometry = toy.task(anomalies), toy.geometry(periodic)
    return NeuralOMConfig(stages=stages, **settings).build(task, geometry, toy.statistics(task)), task, geometry


def told(task, geometry, steps=1, batch=1):
    return toy.state(task, geometry, batch), toy.forcings(task, geometry, steps, batch)


def spread(task, geometry, name, kind):
    """A statistic of a variable as a map, 0 on land."""
    return toy.statistics(task)[f"{name}_{kind}"][:, None, None] * geometry.mask_of(task.prognostic.levels(name))


def shown(model, stage, state, forcing):
    """What the network of a stage is given to read."""
    seen = []
    handle = model.stages[stage].net.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    model(state, forcing)
    handle.remove()
    return seen[0]


def single(fields, i):
    return fields.map(lambda field: field[i : i + 1])


@both
@pytest.mark.parametrize("stages", [(UNET,), (MESH, MESH), (UNET, MESH, UNET)])
@pytest.mark.parametrize("corrections", ["forced", "as_published"])
def test_untrained_any_number_of_stages_keep_the_anomaly(anomalies, stages, corrections):
    model, task, geometry = build(anomalies, stages, corrections=corrections)
    start, forcings = told(task, geometry, steps=3, batch=2)
    for state, forcing in zip(rollout(model, start, forcings), forcings, strict=True):
        for name in task.prognostic.names:
            change = 0.0
            if anomalies:
                change = forcing.next[name + CLIMATOLOGY] - forcings[0].now[name + CLIMATOLOGY]
            assert torch.allclose(state[name], start[name] + change, atol=1e-5)
            assert anomalies or torch.equal(state[name], start[name])


@pytest.mark.parametrize("stage", [0, 1, 2])
def test_every_stage_adds_what_it_writes(stage):
    model, task, geometry = build(anomalies=True, stages=(UNET, UNET, UNET))
    start, (forcing,) = told(task, geometry)
    untrained = model(start, forcing)
    with torch.no_grad():
        model.stages[stage].net.head.bias.fill_(2.0)
    for name, field in model(start, forcing).items():
        assert torch.allclose(field, untrained[name] + 2 * spread(task, geometry, name, "increment_std"), atol=1e-5)


@both
def test_a_later_stage_sees_the_prediction_where_it_stands_and_what_was_changed(anomalies):
    model, task, geometry = build(anomalies, stages=(UNET, MESH))
    start, (forcing,) = told(task, geometry)
    with torch.no_grad():
        model.stages[0].net.head.bias.fill_(3.0)
    (first, _), seen = model.stages, shown(model, 1, start, forcing)
    prediction = start + first(start, forcing)
    channels = task.prognostic.slices
    for name in task.prognostic.names:
        wet = geometry.mask_of(task.prognostic.levels(name))
        usual = forcing.now[name + CLIMATOLOGY] if anomalies else 0.0  # Δc comes and goes
        mean, std = (toy.statistics(task)[f"{name}_{kind}"][:, None, None] for kind in ("mean", "std"))
        assert torch.allclose(seen[:, channels[name]], (prediction[name] - usual - mean) / std * wet, atol=1e-4)
        before = 7 + 2 + (14 if anomalies else 0)  # state, forcing twice, season
        where = slice(before + channels[name].start, before + channels[name].stop)
        assert torch.allclose(seen[:, where], 3 * wet.expand_as(seen[:, where]), atol=1e-3)
    later = (forcing.next["u10"] - toy.statistics(task)["u10_mean"]) / toy.statistics(task)["u10_std"]
    if not anomalies:
        assert torch.allclose(seen[:, 7:8], later, atol=1e-5)


def test_as_published_a_later_stage_sees_the_prediction_alone():
    model, task, geometry = build(stages=(UNET, MESH), corrections="as_published")
    start, (forcing,) = told(task, geometry)
    assert shown(model, 1, start, forcing).shape[1] == 7 + 2 + 2  # state, mask, latitude
    toy.train_a_little(model.stages[1])  # the first stage is silent
    other = Forcing(*(Fields({"u10": fields["u10"] + 5.0}) for fields in forcing))
    for name, field in model(start, forcing).items():
        assert torch.equal(field, model(start, other)[name])
    forced, _, _ = build(stages=(UNET, MESH))
    toy.train_a_little(forced.stages[1])
    assert not torch.equal(forced(start, forcing)["zos"], forced(start, other)["zos"])


@both
def test_as_published_the_first_stage_writes_the_whole_state(anomalies):
    model, task, geometry = build(anomalies, stages=(UNET, UNET), **PUBLISHED)
    start, (forcing,) = told(task, geometry)
    for bias in (0.0, 2.0):
        with torch.no_grad():
            model.stages[0].net.head.bias.fill_(bias)
            model.stages[1].net.head.bias.fill_(bias / 4)
        for name, field in model(start, forcing).items():
            whole = spread(task, geometry, name, "mean") + 1.25 * bias * spread(task, geometry, name, "std")
            expected = whole + (forcing.next[name + CLIMATOLOGY] if anomalies else 0.0)
            assert torch.allclose(field, expected.expand_as(field), atol=1e-4)


@pytest.mark.parametrize("settings", [{}, PUBLISHED])
@both
def test_trained_it_is_silent_on_land_and_members_do_not_see_each_other(anomalies, settings):
    model, task, geometry = build(anomalies, **settings)
    toy.train_a_little(model)
    start, forcings = told(task, geometry, steps=2, batch=2)
    together = list(rollout(model, start, forcings))[-1]
    for i in range(2):
        one = [Forcing(single(now, i), single(later, i)) for now, later in forcings]
        alone = list(rollout(model, single(start, i), one))[-1]
        for name, field in alone.items():
            assert torch.allclose(field[0], together[name][i], atol=1e-4)
            assert not field[:, geometry.mask_of(task.prognostic.levels(name)) == 0].any()
            assert not torch.allclose(field, start[name][i : i + 1])


@both
def test_gradients_reach_every_stage_through_three_steps(anomalies):
    model, task, geometry = build(anomalies)
    toy.train_a_little(model)
    start, forcings = told(task, geometry, steps=3)
    last = list(rollout(model, start, forcings))[-1]
    sum(field.square().sum() for field in last.values()).backward()
    for weight in model.parameters():
        assert weight.grad.isfinite().all()
        assert weight.grad.any()


def test_published_size_of_both_stages():
    """55.10 M each at 101 and 93 channels; ours also see the climatology, the mask and (the second) the forcing."""
    ocean = Channels(volume=("so", "uo", "vo", "thetao"), surface=("zos",), depth=LEVELS_23)
    task = Task(prognostic=ocean, forcing=Channels(surface=("u10", "v10", "t2m", "msl")), anomalies=True)
    mask = torch.ones(23, 8, 12)
    lat, lon, levels = torch.linspace(-60, 60, 9), torch.linspace(-180, 180, 13), torch.tensor(LEVELS_23)
    geometry, kinds = Geometry(lat, lon, levels, levels, mask, periodic=True), ("mean", "std", "increment_std")
    statistics = {
        f"{name}_{kind}": torch.ones(ocean.levels(name) if name in ocean.names else 1)
        for name in task.names
        for kind in (*kinds, "climatology_mean", "climatology_std")
    }
    stages = tuple(stage.model_copy(update={"level": 1}) for stage in NeuralOMConfig().stages)
    for settings in ({}, PUBLISHED):
        with torch.device("meta"):
            model = NeuralOMConfig(stages=stages, **settings).build(task, geometry, statistics)
        for stage in model.stages:
            assert sum(weight.numel() for weight in stage.parameters()) == pytest.approx(55.10e6, rel=0.005)


def test_a_stage_is_trained_over_frozen_predecessors_by_its_name():
    model, task, geometry = build()
    assert {name.split(".net.")[0] for name, _ in model.named_parameters()} == {"stages.0", "stages.1"}
    for name, weight in model.named_parameters():
        weight.requires_grad_(name.startswith("stages.1."))
    start, (forcing,) = told(task, geometry)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimiser = torch.optim.SGD([weight for weight in model.parameters() if weight.requires_grad], lr=1e-3)
    sum(field.square().sum() for field in model(start, forcing).values()).backward()
    optimiser.step()
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert all(name.startswith("stages.1.") for name in changed)


def test_saved_and_loaded_it_forecasts_the_same():
    (model, task, geometry), (other, _, _) = build(anomalies=True), build(anomalies=True)
    toy.train_a_little(model)
    other.load_state_dict(model.state_dict())
    start, (forcing,) = told(task, geometry)
    for name, field in model(start, forcing).items():
        assert torch.equal(field, other(start, forcing)[name])


@pytest.mark.parametrize("values", [{"stages": []}, {"corrections": "all"}, {"writes": "state"}])
def test_settings_that_mean_nothing_are_refused(values):
    with pytest.raises(InputError, match=next(iter(values))):
        NeuralOMConfig.parse(values)
