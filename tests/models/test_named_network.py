"""The network between named fields: units outside, unit variance inside, silence on land and while untrained."""

from __future__ import annotations

import pytest
import torch
import toy_tensors as toy

from oceanx.models.named_network import NamedNetwork, rest
from oceanx.nn.unet import UNetConfig
from oceanx.tensors.state import Fields, Forcing, Increment, State, split
from oceanx.vocabulary.channels import CLIMATOLOGY

NET = UNetConfig(widths=(4, 8), groups=2)


def build(task, geometry, statistics, hints=()):
    torch.manual_seed(0)
    return NamedNetwork(NET, task, geometry, statistics, hints)


def parts(anomalies=False):
    task, geometry = toy.task(anomalies), toy.geometry()
    return task, geometry, toy.statistics(task)


def heard(network, *arguments):
    """What the network inside is shown."""
    shown = []
    with torch.no_grad():
        network.net.register_forward_pre_hook(lambda module, inputs: shown.append(inputs[0]))
        network(*arguments)
    return shown[0]


@pytest.mark.parametrize("anomalies", [True, False])
def test_untrained_it_changes_nothing(anomalies):
    task, geometry, statistics = parts(anomalies)
    written = build(task, geometry, statistics)(toy.state(task, geometry), *toy.forcings(task, geometry, steps=1))
    assert isinstance(written, Increment)
    assert list(written) == list(task.prognostic.names)
    assert all(not field.any() for field in written.values())


def test_it_writes_in_units_of_one_step_s_change_and_nothing_on_land():
    task, geometry, statistics = parts()
    network = build(task, geometry, statistics)
    with torch.no_grad():
        network.net.head.bias.fill_(2.0)
    written = network(toy.state(task, geometry, batch=2), *toy.forcings(task, geometry, steps=1, batch=2))
    for name, field in written.items():
        spread = statistics[f"{name}_increment_std"][:, None, None]
        expected = 2.0 * spread * geometry.mask_of(task.prognostic.levels(name))
        assert torch.allclose(field, expected.expand(2, -1, -1, -1))


def test_it_reads_state_then_forcing_at_both_ends_then_mask_and_latitude():
    task, geometry, statistics = parts()
    network = build(task, geometry, statistics)

    def departed(channels, number):
        """Every level so many spreads above its mean, land included."""
        typical = {n: statistics[f"{n}_mean"] + number * statistics[f"{n}_std"] for n in channels.names}
        return {n: v[None, :, None, None].expand(1, -1, 7, 10) for n, v in typical.items()}

    forcing = Forcing(Fields(departed(task.forcing, 3.0)), Fields(departed(task.forcing, 4.0)))
    shown = heard(network, State(departed(task.prognostic, 2.0)), forcing)
    mask = geometry.mask
    for name, field in split(shown[:, :7], task.prognostic).items():
        assert torch.allclose(field[0], 2.0 * geometry.mask_of(task.prognostic.levels(name)), atol=1e-4)
    assert torch.allclose(shown[0, 7:9], torch.tensor([3.0, 4.0])[:, None, None].expand(2, 7, 10), atol=1e-4)
    assert torch.equal(shown[0, 9:11], mask)
    angle = torch.deg2rad(torch.arange(20.5, 27.0))[:, None].expand(7, 10)
    assert torch.allclose(shown[0, 11:], torch.stack([angle.sin(), angle.cos()]), atol=1e-6)


def test_with_climatology_it_reads_anomalies_and_the_season():
    task, geometry, statistics = parts(anomalies=True)
    state, forcing = toy.state(task, geometry), toy.forcings(task, geometry, steps=1)[0]
    shown = heard(build(task, geometry, statistics), state, forcing)
    assert shown.shape[1] == 3 * 7 + 2 + 2 + 2

    def of(name, kind):
        return statistics[f"{name}_{kind}"][:, None, None]

    name, wet = "thetao", geometry.mask
    now, later = forcing.now[name + CLIMATOLOGY], forcing.next[name + CLIMATOLOGY]
    anomaly = (state[name] - now - of(name, "mean")) / of(name, "std")
    mean = (now - of(name + CLIMATOLOGY, "mean")) / of(name + CLIMATOLOGY, "std")
    change = (later - now) / of(name, "increment_std")
    for at, expected in ((0, anomaly), (9, mean), (11, change)):
        assert torch.allclose(shown[:, at : at + 2], expected * wet, atol=1e-4)
    wind = (forcing.next["u10"] - forcing.next["u10" + CLIMATOLOGY] - of("u10", "mean")) / of("u10", "std")
    assert torch.allclose(shown[:, 8:9], wind, atol=1e-4)


def test_hints_are_shown_in_units_of_one_step_s_change():
    task, geometry, statistics = parts()
    state, forcing = toy.state(task, geometry), toy.forcings(task, geometry, steps=1)[0]
    network = build(task, geometry, statistics, hints=("thetao", "zos"))
    spreads = {name: 3.0 * statistics[f"{name}_increment_std"][None, :, None, None] for name in network.hints}
    hints = Increment({name: spread.expand(1, -1, 7, 10) for name, spread in spreads.items()})
    shown = heard(network, state, forcing, hints)
    assert torch.allclose(shown[0, 9:12], 3.0 * torch.cat([geometry.mask, geometry.surface]), atol=1e-5)


@pytest.mark.parametrize("anomalies", [True, False])
def test_the_unit_of_a_variable_does_not_matter(anomalies):
    """Speaking of millikelvins from another zero scales the answer and changes nothing else."""
    task, geometry, statistics = parts(anomalies)
    state, forcing = toy.state(task, geometry), toy.forcings(task, geometry, steps=1)[0]
    usual = build(task, geometry, statistics)
    toy.train_a_little(usual)

    def milli(fields):
        return type(fields)({n: 1000 * field if n.startswith("thetao") else field for n, field in fields.items()})

    scaled = build(task, geometry, {n: 1000 * v if n.startswith("thetao") else v for n, v in statistics.items()})
    scaled.load_state_dict(usual.state_dict())
    written = scaled(milli(state), Forcing(milli(forcing.now), milli(forcing.next)))
    for name, field in milli(usual(state, forcing)).items():
        assert torch.allclose(written[name], field, rtol=1e-3, atol=1e-5 * field.abs().max().item())


def test_a_level_that_never_varies_divides_by_nothing():
    task, geometry, statistics = parts()
    statistics |= {name: torch.zeros_like(value) for name, value in statistics.items() if name.endswith("_std")}
    network = build(task, geometry, statistics)
    toy.train_a_little(network)
    written = network(toy.state(task, geometry), *toy.forcings(task, geometry, steps=1))
    assert all(field.isfinite().all() for field in written.values())


def test_weights_alone_are_saved():
    task, geometry, statistics = parts()
    assert set(build(task, geometry, statistics).state_dict()) == {
        f"net.{name}" for name in NET.build(13, 7, toy.geometry()).state_dict()
    }


@pytest.mark.parametrize("anomalies", [True, False])
def test_it_rests_only_while_it_is_frozen_and_silent(anomalies):
    task, geometry, statistics = parts(anomalies)
    network = build(task, geometry, statistics)
    asked = toy.state(task, geometry, batch=2), *toy.forcings(task, geometry, steps=1, batch=2)
    computed = network(*asked)
    rest(network)
    assert heard_anything(network, *asked)  # it learns

    network.requires_grad_(False)
    rest(network)
    assert not heard_anything(network, *asked)
    resting = network(*asked)
    assert list(resting) == list(computed)
    for name, field in computed.items():
        torch.testing.assert_close(resting[name], field, rtol=0, atol=0)
        assert not field.any()

    with torch.no_grad():
        network.net.head.bias[0] = 1e-30
    rest(network)
    assert heard_anything(network, *asked)  # it was trained before


def heard_anything(network, *arguments):
    calls = []
    handle = network.net.register_forward_pre_hook(lambda module, inputs: calls.append(1))
    network(*arguments)
    handle.remove()
    return bool(calls)
