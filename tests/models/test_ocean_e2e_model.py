"""Ocean-E2E: untrained it is currents that keep their anomaly and carry that of temperature; no part does another's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import toy_tensors as toy

from oceanx.models.ocean_e2e import OceanE2EConfig
from oceanx.nn.simvp import SimVPConfig
from oceanx.nn.unet import UNetConfig
from oceanx.physics.geostrophy import surface_current
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.integrate import rollout
from oceanx.tensors.state import Fields, Forcing, State
from oceanx.vocabulary.channels import CLIMATOLOGY, Channels, Task
from oceanx.vocabulary.constants import EARTH_RADIUS
from oceanx.vocabulary.errors import InputError

DAY = 86400.0
SOUTH, NORTH = 20.0, 27.0
TINY = UNetConfig(widths=(4, 8), groups=2)
NETS = {"forecaster": TINY, "correction": TINY, "source": TINY}
CURRENTS = {"currents": ("uo", "vo")}
SEA_LEVEL = {"currents": None}
GIVEN = {"currents": None, "velocity": "given", "given": ("uo", "vo")}
ways = pytest.mark.parametrize("way", [CURRENTS, SEA_LEVEL, GIVEN], ids=["currents", "sea_level", "given"])


def task_of(way):
    volume = ("thetao", "uo", "vo") if way.get("currents") else ("thetao",)
    ocean = Channels(volume=volume, surface=("zos",), depth=(5.0,))
    told = ("u10", "uo", "vo") if "velocity" in way else ("u10",)
    return Task(prognostic=ocean, forcing=Channels(surface=told), anomalies=True)


def sea(periodic=False, turned=0):
    mask = torch.ones(1, 7, 12)
    mask[:, 0], mask[:, 2:4, 4:6], mask[:, 5, 9] = 0, 0, 0
    lat, lon = torch.linspace(SOUTH, NORTH, 8), torch.linspace(-180.0, 180.0 if periodic else -168.0, 13)
    one = torch.ones(1)
    return Geometry(lat, lon, 5 * one, 10 * one, mask.roll(turned, -1), periodic=periodic)


def build(way=CURRENTS, periodic=False, trained=False, turned=0, **settings):
    torch.manual_seed(0)
    task, geometry = task_of(way), sea(periodic, turned)
    model = OceanE2EConfig(**{"temperature": "thetao", "substeps": 3, **NETS, **way, **settings}).build(
        task, geometry, toy.statistics(task)
    )
    if trained:
        toy.train_a_little(model)
    return model, task, geometry


def donor_cell(field, u, v, mask, periodic):
    """−u·∇C on the sphere, cell by cell and face by face: each takes what comes in from where it comes."""
    _, nlat, nlon = mask.shape
    edge = np.deg2rad(np.linspace(SOUTH, NORTH, nlat + 1))
    width = np.deg2rad((360.0 if periodic else 12.0) / nlon)
    change = np.zeros_like(field)
    for j, i in np.argwhere(mask[0]):
        area = EARTH_RADIUS**2 * width * (np.sin(edge[j + 1]) - np.sin(edge[j]))
        meridian = EARTH_RADIUS * (edge[j + 1] - edge[j])
        for row, column, inwards, current, length in (
            (j, i + 1, -1, u, meridian),
            (j, i - 1, +1, u, meridian),
            (j + 1, i, -1, v, EARTH_RADIUS * width * np.cos(edge[j + 1])),
            (j - 1, i, +1, v, EARTH_RADIUS * width * np.cos(edge[j])),
        ):
            at = column % nlon if periodic else column
            if 0 <= row < nlat and 0 <= at < nlon and mask[0, row, at]:
                coming = inwards * length * (current[j, i] + current[row, at]) / 2
                change[j, i] += max(coming, 0.0) * (field[row, at] - field[j, i]) / area
    return change


def plain(tensor):
    return tensor.double().numpy()[0, 0]


def expected(model, state, forcing, way, geometry, periodic):
    """The temperature after a day, in numpy from the equation; where currents come from, by the physics module."""

    def current(fields, of=""):
        if way is SEA_LEVEL:
            return np.stack([plain(part) for part in surface_current(fields["zos" + of], geometry)])
        return np.stack([plain(fields[name + of]) for name in ("uo", "vo")])

    usual = (current(forcing.now, CLIMATOLOGY) + current(forcing.next, CLIMATOLOGY)) / 2
    if way is GIVEN:
        now = (current(forcing.now) + current(forcing.next)) / 2
    else:  # the anomaly persists
        now = current(state) - current(forcing.now, CLIMATOLOGY) + usual
    before, after = (plain(fields["thetao_climatology"]) for fields in forcing)
    mask = geometry.mask.numpy()
    before, after, now, usual = (x * mask[0] for x in (before, after, now, usual))
    C, of_mean = plain(state["thetao"]) - before, donor_cell((before + after) / 2, *(now - usual), mask, periodic)
    step = DAY / model.config.substeps
    for _ in range(model.config.substeps):
        first = donor_cell(C, *now, mask, periodic) + of_mean
        second = donor_cell(C + step * first, *now, mask, periodic) + of_mean
        C = C + step / 2 * (first + second)
    return torch.from_numpy((after + C) * mask[0])


@ways
@pytest.mark.parametrize("periodic", [True, False])
def test_untrained_currents_keep_their_anomaly_and_carry_that_of_temperature(way, periodic):
    model, task, geometry = build(way, periodic, scheme="upwind")
    start, forcing = toy.state(task, geometry), toy.forcings(task, geometry, steps=1)[0]
    end = model(start, forcing)
    for name in set(task.prognostic.names) - {"thetao"}:
        kept = start[name] + (forcing.next[name + CLIMATOLOGY] - forcing.now[name + CLIMATOLOGY])
        assert torch.equal(end[name], kept)
    calm = start["thetao"] + forcing.next["thetao_climatology"] - forcing.now["thetao_climatology"]
    assert (end["thetao"] - calm).abs().max() > 0.05
    assert all(torch.equal(field, end[name]) for name, field in model.skeleton(start, forcing).items())
    wanted = expected(model, start, forcing, way, geometry, periodic)
    assert torch.allclose(end["thetao"][0, 0].double(), wanted, atol=1e-4)


@ways
@pytest.mark.parametrize("as_published", [False, True])
def test_climatology_stays_climatology(way, as_published):
    model, task, geometry = build(way, as_published=as_published)
    forcings = toy.forcings(task, geometry, steps=3)
    if way is GIVEN:
        usual = [{name: fields[name + CLIMATOLOGY] for name in ("uo", "vo")} for pair in forcings for fields in pair]
        told = iter(usual)
        forcings = [Forcing(*(Fields({**fields, **next(told)}) for fields in pair)) for pair in forcings]
    start = State({name: forcings[0].now[name + CLIMATOLOGY] for name in task.prognostic.names})
    for state, forcing in zip(rollout(model, start, forcings), forcings, strict=True):
        for name, field in state.items():
            assert torch.allclose(field, forcing.next[name + CLIMATOLOGY], atol=1e-5)


def steady(forcing, **fields):
    """The same forcing at both ends of the step, some of it replaced."""
    now = Fields({**forcing.now, **fields})
    return Forcing(now, now)


def test_as_published_unusual_currents_leave_the_climatology_alone():
    moved = {}
    for as_published in (False, True):
        model, task, geometry = build(as_published=as_published)
        forcing = steady(toy.forcings(task, geometry, steps=1)[0])
        start = dict(toy.state(task, geometry)) | {"thetao": forcing.now["thetao_climatology"]}
        moved[as_published] = (model(State(start), forcing)["thetao"] - start["thetao"]).abs().max()
    assert moved[True] < 1e-6
    assert moved[False] > 0.1


def test_as_published_the_day_begins_with_the_currents_it_has_throughout():
    ends = {}
    for as_published in (False, True):
        model, task, geometry = build(as_published=as_published)
        start, forcing = toy.state(task, geometry), toy.forcings(task, geometry, steps=1)[0]
        other = Fields({**forcing.next, "uo_climatology": -forcing.next["uo_climatology"]})
        ends[as_published] = [model(start, Forcing(forcing.now, later))["thetao"] for later in (forcing.next, other)]
    assert torch.equal(*ends[True])
    assert not torch.allclose(*ends[False], atol=1e-3)


def test_as_published_the_air_is_shown_to_the_source_alone():
    for as_published in (False, True):
        model, task, geometry = build(trained=True, as_published=as_published)
        start, forcing = toy.state(task, geometry), toy.forcings(task, geometry, steps=1)[0]
        windy = Forcing(*(Fields({**fields, "u10": -fields["u10"]}) for fields in forcing))
        calm, stormy = model(start, forcing), model(start, windy)
        assert not torch.allclose(calm["thetao"], stormy["thetao"], rtol=0, atol=1e-3)
        assert torch.equal(calm["uo"], stormy["uo"]) is as_published


def test_given_currents_carry_and_only_the_correction_sees_them():
    model, task, geometry = build(GIVEN, trained=True)
    start, forcing = toy.state(task, geometry), toy.forcings(task, geometry, steps=1)[0]
    faster = Forcing(*(Fields({**fields, "uo": 2 * fields["uo"]}) for fields in forcing))
    first, second = model(start, forcing), model(start, faster)
    assert torch.equal(first["zos"], second["zos"])
    assert not torch.allclose(first["thetao"], second["thetao"], atol=1e-3)
    for network in (model.velocity, model.source):
        assert all(torch.equal(network(start, forcing)[name], field) for name, field in network(start, faster).items())
    assert "upper bound" in model.attrs["oceanx_velocity"]
    assert build(CURRENTS)[0].attrs == {"oceanx_velocity": "predicted"}


@ways
def test_it_does_not_matter_where_longitude_begins(way):
    model, task, geometry = build(way, periodic=True, trained=True)
    turned, _, other = build(way, periodic=True, trained=True, turned=4)
    start, forcings = toy.state(task, geometry), toy.forcings(task, geometry, steps=2)

    def roll(fields):
        return fields.map(lambda field: field.roll(4, -1))

    here = list(rollout(model, start, forcings))[-1]
    there = list(rollout(turned, roll(start), [Forcing(roll(a), roll(b)) for a, b in forcings]))[-1]
    assert torch.equal(other.mask, geometry.mask.roll(4, -1))
    for name in here:
        assert torch.allclose(here[name].roll(4, -1), there[name], atol=1e-4)


@ways
def test_land_is_silent(way):
    model, task, geometry = build(way, trained=True)
    last = list(rollout(model, toy.state(task, geometry), toy.forcings(task, geometry, steps=3)))[-1]
    for field in last.values():
        assert not field[:, geometry.mask == 0].any()


@ways
def test_a_batch_of_two_is_two_singles(way):
    model, task, geometry = build(way, trained=True)
    start, forcings = toy.state(task, geometry, batch=2), toy.forcings(task, geometry, steps=2, batch=2)

    def single(fields, i):
        return fields.map(lambda field: field[i : i + 1])

    together = list(rollout(model, start, forcings))[-1]
    for i in range(2):
        told = [Forcing(single(now, i), single(later, i)) for now, later in forcings]
        alone = list(rollout(model, single(start, i), told))[-1]
        for name in alone:
            assert torch.allclose(alone[name][0], together[name][i], atol=1e-4)


@pytest.mark.parametrize("way", [CURRENTS, SEA_LEVEL], ids=["currents", "sea_level"])
def test_the_temperature_alone_teaches_all_three_networks(way):
    model, task, geometry = build(way, trained=True)
    start = toy.state(task, geometry).map(lambda field: field.requires_grad_())
    last = list(rollout(model, start, toy.forcings(task, geometry, steps=3)))[-1]
    last["thetao"].square().sum().backward()
    for leaf in (*start.values(), *model.parameters()):
        assert leaf.grad.isfinite().all()
        assert leaf.grad.any()


@pytest.mark.parametrize("trains", [("velocity",), ("correction", "source")])
def test_parts_are_trained_by_the_beginning_of_their_names(trains):
    model, task, geometry = build(trained=True)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith(tuple(part + "." for part in trains)))
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optimiser = torch.optim.SGD([weights for weights in model.parameters() if weights.requires_grad], 1e-3)
    end = model(toy.state(task, geometry), toy.forcings(task, geometry, steps=1)[0])
    sum(field.square().mean() for field in end.values()).backward()
    optimiser.step()
    moved = {name.split(".")[0] for name, weights in model.named_parameters() if not torch.equal(weights, before[name])}
    assert moved == set(trains)
    assert {name.split(".")[0] for name in before} == {"velocity", "correction", "source"}


def test_saved_and_loaded_it_says_the_same():
    model, task, geometry = build(trained=True)
    other = build()[0]
    other.load_state_dict(model.state_dict())
    start, forcing = toy.state(task, geometry), toy.forcings(task, geometry, steps=1)[0]
    assert all(torch.equal(other(start, forcing)[name], field) for name, field in model(start, forcing).items())


def test_networks_in_half_precision_leave_the_ocean_in_single():
    model, task, geometry = build(trained=True)
    start, forcing = toy.state(task, geometry), toy.forcings(task, geometry, steps=1)[0]
    single = model(start, forcing)
    for network in (model.velocity, model.correction, model.source):
        network.bf16 = True
    for name, field in model(start, forcing).items():
        assert field.dtype == torch.float32
        assert not torch.equal(field, single[name])
        assert torch.allclose(field, single[name], atol=2e-2)


def uniform(task, geometry, forcing, speed):
    """A flat climatology at rest, an anomaly of noise, and this current northward and eastward everywhere."""
    wet = geometry.mask[None]
    still = {name + CLIMATOLOGY: 0 * wet for name in task.prognostic.names} | {"thetao_climatology": 15 * wet}
    noise = torch.randn(wet.shape, generator=torch.Generator().manual_seed(5)) * wet
    fields = {"thetao": 15 * wet + noise, "uo": speed[0] * wet, "vo": speed[1] * wet, "zos": 0 * wet}
    return State(fields), steady(forcing, **still)


@pytest.mark.parametrize(("scheme", "share"), [("limited", 0.5), ("upwind", 1.0)])
def test_a_current_too_fast_for_its_substeps_is_held_back(scheme, share):
    """At the Earth's narrowest row of this sea it crosses the share of a cell, no more, in its own direction."""
    model, task, geometry = build(scheme=scheme, as_published=True)
    forcing = toy.forcings(task, geometry, steps=1)[0]
    start, told = uniform(task, geometry, forcing, (30.0, 40.0))
    width, height = geometry.area / geometry.length_x, geometry.length_x
    reached = share / (DAY / 3) / (30.0 / width + 40.0 / height)  # of the speed that was asked for
    held = dict(start) | {"uo": start["uo"] * reached, "vo": start["vo"] * reached}
    fast, slow = model(start, told)["thetao"], model(State(held), told)["thetao"]
    assert torch.allclose(fast, slow, atol=1e-4)
    almost = dict(start) | {"uo": start["uo"] * 0.9 * reached, "vo": start["vo"] * 0.9 * reached}
    assert not torch.allclose(fast, model(State(almost), told)["thetao"], atol=1e-2)


@pytest.mark.parametrize("scheme", ["limited", "upwind"])
def test_no_current_makes_it_blow_up(scheme):
    model, task, geometry = build(scheme=scheme, periodic=True)
    start, told = uniform(task, geometry, toy.forcings(task, geometry, steps=1)[0], (0.0, 0.0))
    wild = {name: 20 * toy.fields(task.prognostic, geometry, seed=8)[name] for name in ("uo", "vo")}
    last = list(rollout(model, State({**start, **wild}), [told] * 10))[-1]
    wet = geometry.mask[None] > 0
    assert last["thetao"][wet].max() <= start["thetao"][wet].max() + 1e-4
    assert last["thetao"][wet].min() >= start["thetao"][wet].min() - 1e-4


def test_through_the_open_edges_of_a_region_the_usual_sea_comes_in():
    model, task, geometry = build(edges="open")
    start, told = uniform(task, geometry, toy.forcings(task, geometry, steps=1)[0], (1.0, 0.0))
    start = State(dict(start) | {"thetao": 16 * geometry.mask[None]})  # one degree too warm everywhere
    closed = build()[0]
    last = list(rollout(model, start, [told] * 4))[-1]["thetao"]
    assert (last[0, 0, 1:, 0][geometry.mask[0, 1:, 0] > 0] - 15).abs().max() < 0.05
    assert torch.allclose(list(rollout(closed, start, [told] * 4))[-1]["thetao"], start["thetao"], atol=1e-4)


def test_its_networks_have_the_published_number_of_weights():
    config, geometry = OceanE2EConfig(), sea()
    assert config.correction == config.source == SimVPConfig()
    for net, channels, published in ((config.correction, (3, 2), 3.468e6), (config.source, (7, 1), 3.469e6)):
        with torch.device("meta"):
            module = net.build(*channels, geometry)
        assert sum(weights.numel() for weights in module.parameters()) == pytest.approx(published, rel=0.02)


@pytest.mark.parametrize(
    ("changes", "settings", "said"),
    [
        ({"anomalies": False}, {}, "anomalies: true"),
        ({}, {"temperature": "sst"}, "lacks \\['sst'\\]"),
        ({}, {"currents": ("ugos", "vgos")}, "lacks \\['ugos', 'vgos'\\]"),
        ({}, {"currents": None, "sea_level": "sla"}, "lacks \\['sla'\\]"),
        ({}, {"velocity": "given", "given": ("ugos", "vgos")}, "forcing, \\['u10'\\]"),
        ({}, {"velocity": "given", "given": ("uo", "vo")}, "does not hold"),
        ({"prognostic": toy.task().prognostic}, {}, "one level"),
    ],
)
def test_a_task_that_it_cannot_do_is_refused(changes, settings, said):
    task = task_of(CURRENTS).model_copy(update=changes)
    config = OceanE2EConfig(**{"temperature": "thetao", **CURRENTS, **NETS, **settings})
    with pytest.raises(InputError, match=said):
        config.build(task, sea(), toy.statistics(task))
