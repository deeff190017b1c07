"""The emulator: untrained it is persistence, with climatology persistence of the anomaly."""

from __future__ import annotations

import pytest
import torch
import toy_tensors as toy

from oceanx.models.emulator import EmulatorConfig
from oceanx.nn.unet import UNetConfig
from oceanx.tensors.integrate import rollout
from oceanx.tensors.state import State
from oceanx.vocabulary.channels import CLIMATOLOGY


def build(anomalies=False, periodic=False):
    torch.manual_seed(0)
    task, geometry = toy.task(anomalies), toy.geometry(periodic)
    config = EmulatorConfig(net=UNetConfig(widths=(4, 8), groups=2))
    return config.build(task, geometry, toy.statistics(task)), task, geometry


def test_untrained_it_is_persistence_exactly():
    model, task, geometry = build()
    start = toy.state(task, geometry, batch=2)
    for state in rollout(model, start, toy.forcings(task, geometry, steps=3, batch=2)):
        assert isinstance(state, State)
        assert all(torch.equal(state[name], start[name]) for name in task.prognostic.names)


def test_untrained_with_climatology_it_keeps_the_anomaly():
    model, task, geometry = build(anomalies=True)
    start, forcings = toy.state(task, geometry), toy.forcings(task, geometry, steps=3)
    for state, forcing in zip(rollout(model, start, forcings), forcings, strict=True):
        for name, field in state.items():
            anomaly = start[name] - forcings[0].now[name + CLIMATOLOGY]
            assert torch.allclose(field, forcing.next[name + CLIMATOLOGY] + anomaly, atol=1e-5)


@pytest.mark.parametrize("anomalies", [True, False])
def test_trained_it_says_something_but_not_on_land(anomalies):
    model, task, geometry = build(anomalies)
    untrained = model(toy.state(task, geometry), toy.forcings(task, geometry, steps=1)[0])
    toy.train_a_little(model)
    trained = model(toy.state(task, geometry), toy.forcings(task, geometry, steps=1)[0])
    for name, field in trained.items():
        land = geometry.mask_of(task.prognostic.levels(name)) == 0
        assert not field[:, land].any()
        assert not torch.allclose(field, untrained[name])


def test_on_a_periodic_grid_longitude_has_no_beginning():
    model, task, geometry = build(periodic=True)
    toy.train_a_little(model)
    shift = 2  # the coarsest grid's spacing
    (forcing,), start = toy.forcings(task, geometry, steps=1), toy.state(task, geometry)
    expected = model(start, forcing).map(lambda field: field.roll(shift, -1))
    geometry.mask = geometry.mask.roll(shift, -1)

    def turned(fields):
        return fields.map(lambda field: field.roll(shift, -1))

    written = model(turned(start), type(forcing)(*map(turned, forcing)))
    for name, field in written.items():
        assert torch.allclose(field, expected[name], atol=1e-5)
