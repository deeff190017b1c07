"""HybridOM: untrained it is its core, a climatology stays one, and each network is shown what it ought to be."""

from __future__ import annotations

import pytest
import torch
import toy_hybridom as toy
import toy_tensors
from toy_tensors import followed_back

from oceanx.models.hybridom import HybridOMConfig
from oceanx.nn.paramnet import ParamNetConfig
from oceanx.physics.vorticity_core import VorticityCoreConfig
from oceanx.physics.vorticity_ice import ICE
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.integrate import rollout
from oceanx.tensors.state import Fields, Forcing, State
from oceanx.vocabulary.channels import CLIMATOLOGY, Channels, Task
from oceanx.vocabulary.errors import InputError

both = pytest.mark.parametrize("anomalies", [True, False])
D = len(toy_tensors.DEPTH)


def build(anomalies=False, periodic=False, ice=False, trained=False, columns=10, core=(), **settings):
    torch.manual_seed(0)
    task, geometry = toy.task(anomalies, ice), toy_tensors.geometry(periodic, nlon=columns)
    config = HybridOMConfig.parse({"core": toy.PLAIN | dict(core), "substeps": 3, **toy.NETS, **settings})
    model = config.build(task, geometry, toy.statistics(task))
    if trained:
        toy_tensors.train_a_little(model)
    return model, task, geometry


def core_s_day(fields, geometry, ice, substeps=3):
    core = VorticityCoreConfig.parse(toy.PLAIN | {"ice": ice}).build(geometry)
    return core(core.begin(fields), Fields({}), toy.DAY, substeps)


@pytest.mark.parametrize("ice", [True, False])
@pytest.mark.parametrize("periodic", [True, False])
def test_untrained_it_is_its_core(periodic, ice):
    model, task, geometry = build(periodic=periodic, ice=ice)
    start, forcing = toy.state(task, geometry), toy.forcings(task, geometry)[0]
    end, expected = model(start, forcing), core_s_day(start, geometry, ice)
    for name in task.prognostic.names:
        assert torch.allclose(end[name], expected[name], rtol=1e-6, atol=1e-6)
        assert torch.equal(end[name], model.skeleton(start, forcing)[name])
        moves = name in ("thetao", "so", *(ICE[:2] if ice else ()))
        assert torch.allclose(end[name], start[name], atol=0.01) is not moves


@pytest.mark.parametrize("scheme", ["upwind", "limited"])
def test_a_state_that_is_its_climatology_stays_so(scheme):
    model, task, geometry = build(anomalies=True, ice=True, core={"scheme": scheme})
    forcings = toy.forcings(task, geometry, steps=3)
    start = State({name: forcings[0].now[name + CLIMATOLOGY] for name in task.prognostic.names})
    for state, forcing in zip(rollout(model, start, forcings), forcings, strict=True):
        for name, field in state.items():
            assert torch.allclose(field, forcing.next[name + CLIMATOLOGY], atol=1e-5)


def test_with_climatology_the_core_moves_totals_and_what_it_does_to_the_mean_is_taken_out():
    model, task, geometry = build(anomalies=True)
    start, forcing = toy.state(task, geometry), toy.forcings(task, geometry)[0]
    mean = {name: forcing.now[name + CLIMATOLOGY] for name in task.prognostic.names}
    end = model(start, Forcing(forcing.now, forcing.now))
    for name in ("thetao", "so"):
        moved = core_s_day(start, geometry, ice=False)[name] - start[name]
        usual = core_s_day(mean, geometry, ice=False)[name] - mean[name]
        assert usual.abs().max() > 0.1
        assert torch.allclose(end[name], start[name] + moved - usual, atol=1e-5)


def test_as_published_the_core_is_given_anomalies():
    model, task, geometry = build(anomalies=True, as_published=True)
    start, forcing = toy.state(task, geometry), toy.forcings(task, geometry)[0]
    less = dict(start) | {name: start[name] - forcing.now[name + CLIMATOLOGY] for name in ("thetao", "so", "zos")}
    end = model(start, Forcing(forcing.now, forcing.now))
    after = core_s_day(less, geometry, ice=False)
    for name in ("thetao", "so"):
        assert torch.allclose(end[name], start[name] + after[name] - less[name], atol=1e-5)


def read_by(network, model, state, forcing):
    """What a network inside is given to read."""
    seen = []
    hook = network.net.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    model(state, forcing)
    hook.remove()
    return seen[0]


VORTICITY = slice(2 * D + 2, -(D + 2))  # after currents and the wind at both ends, before mask and latitude


def test_the_inverse_is_shown_how_the_water_turns_and_by_how_much_more_than_before():
    model, task, geometry = build()
    start, forcing = toy.state(task, geometry), toy.forcings(task, geometry)[0]
    shown = read_by(model.inverse, model, start, forcing)[:, VORTICITY]
    end = core_s_day(start, geometry, ice=False)["vorticity"]
    before = VorticityCoreConfig.parse(toy.PLAIN).build(geometry).vorticity(start["uo"], start["vo"])
    degree = torch.pi / 180 * 6.371e6  # m: cells are 1 degree, narrower to the north
    wide = degree * torch.deg2rad(geometry.latitude).cos()[:, None]
    for kind, field, at in (("std", end, slice(0, D)), ("increment_std", end - before, slice(D, 2 * D))):
        u, v = (toy.statistics(task)[f"{name}_{kind}"][:, None, None] for name in ("uo", "vo"))
        usual = ((u / degree) ** 2 + (v / wide) ** 2) ** 0.5
        assert torch.allclose(shown[:, at], field / usual, rtol=2e-3, atol=1e-4)
    assert 0.1 < shown[:, :D].std() < 3


def test_as_published_it_is_shown_vorticity_alone():
    model, task, geometry = build(as_published=True)
    start, forcing = toy.state(task, geometry), toy.forcings(task, geometry)[0]
    shown = read_by(model.inverse, model, start, forcing)[:, VORTICITY]
    assert torch.allclose(shown, 1e4 * core_s_day(start, geometry, ice=False)["vorticity"], rtol=1e-5, atol=1e-7)


@both
def test_where_the_ocean_is_usual_no_turning_is_shown(anomalies):
    model, task, geometry = build(anomalies)
    forcing = toy.forcings(task, geometry)[0]
    season = 4 * D if anomalies else 0
    usual = State({name: forcing.now.get(name + CLIMATOLOGY, 0 * x) for name, x in toy.state(task, geometry).items()})
    shown = read_by(model.inverse, model, usual, forcing)[:, VORTICITY][:, season:]
    assert shown.shape[1] == 2 * D
    assert shown.abs().max() < 1e-6


def test_the_network_is_shown_what_the_core_is_about_to_do():
    model, task, geometry = build()
    start, forcing = toy.state(task, geometry), toy.forcings(task, geometry)[0]
    shown = read_by(model.network, model, start, forcing)[:, 4 * D + 1 + 2 :][:, : 2 * D]
    end = core_s_day(start, geometry, ice=False)
    scaled = [
        (end[name] - start[name]) / toy.statistics(task)[f"{name}_increment_std"][:, None, None]
        for name in ("thetao", "so")
    ]
    assert torch.allclose(shown, torch.cat(scaled, 1), rtol=1e-3, atol=1e-3)


@both
def test_the_inverse_writes_currents_and_the_network_everything(anomalies):
    model, task, geometry = build(anomalies, ice=True)
    start, forcing = toy.state(task, geometry), toy.forcings(task, geometry)[0]
    untrained = model(start, forcing)
    for network, names in ((model.inverse, ("uo", "vo")), (model.network, task.prognostic.names)):
        with torch.no_grad():
            network.net.head.bias.fill_(0.5)
        end = model(start, forcing)
        with torch.no_grad():
            network.net.head.bias.zero_()
        for name in task.prognostic.names:
            levels = task.prognostic.levels(name)
            written = 0.5 * toy.statistics(task)[f"{name}_increment_std"][:, None, None] * geometry.mask_of(levels)
            change = end[name] - untrained[name]
            assert torch.allclose(change, written.expand_as(change) if name in names else 0 * change, atol=1e-5)


def test_a_uniform_ocean_stays_uniform():
    model, task, geometry = build(ice=True)
    start = dict(toy.state(task, geometry))
    start |= {name: value * geometry.mask[None] for name, value in (("thetao", 12.5), ("so", 34.0))}
    end = model(State(start), toy.forcings(task, geometry)[0])
    for name in ("thetao", "so"):
        assert torch.allclose(end[name], start[name], atol=1e-4)


@both
def test_land_stays_land_and_ice_within_its_bounds(anomalies):
    model, task, geometry = build(anomalies, ice=True, trained=True)
    start, forcings = toy.state(task, geometry), toy.forcings(task, geometry, steps=3)
    whole = (start["siconc"] > 0.5).float()  # ice everywhere or nowhere
    start = State(dict(start) | {"siconc": whole, "sithick": 0 * whole})
    free = model.network(start, forcings[0], model.physics(start, forcings[0])[0])["siconc"] + start["siconc"]
    assert ((free > 1) | (free < 0)).any()
    for state in rollout(model, start, forcings):
        for field in state.values():
            assert not field[:, geometry.mask_of(field.shape[1]) == 0].any()
            assert field.isfinite().all()
        assert state["siconc"].min() >= 0
        assert state["siconc"].max() <= 1
        assert state["sithick"].min() >= 0


@both
def test_a_batch_of_two_is_two_singles(anomalies):
    model, task, geometry = build(anomalies, ice=True, trained=True)
    start, forcings = toy.state(task, geometry, batch=2), toy.forcings(task, geometry, steps=2, batch=2)
    together = list(rollout(model, start, forcings))[-1]
    for i in range(2):
        told = [Forcing(toy.single(now, i), toy.single(later, i)) for now, later in forcings]
        alone = list(rollout(model, toy.single(start, i), told))[-1]
        for name in alone:
            assert torch.allclose(alone[name][0], together[name][i], atol=1e-4)


def test_it_does_not_matter_where_longitude_begins():
    model, task, geometry = build(True, periodic=True, ice=True, trained=True, columns=12)
    edges = (torch.linspace(20.0, 27.0, 8), torch.linspace(-180.0, 180.0, 13))
    levels = (geometry.depth, geometry.thickness[:, 0, 0])
    turned = Geometry(*edges, *levels, geometry.mask.roll(4, -1), periodic=True)
    other = HybridOMConfig.parse({"core": toy.PLAIN, "substeps": 3, **toy.NETS}).build(
        task, turned, toy.statistics(task)
    )
    other.load_state_dict(model.state_dict())
    start, forcing = toy.state(task, geometry), toy.forcings(task, geometry)[0]

    def roll(fields):
        return fields.map(lambda field: field.roll(4, -1))

    end, end_turned = model(start, forcing), other(roll(start), Forcing(*map(roll, forcing)))
    for name in end:
        assert torch.allclose(end_turned[name], end[name].roll(4, -1), atol=1e-4)


@both
def test_gradients_reach_everything_through_two_steps(anomalies):
    learned = {"diffusivity": {"value": 100.0, "learn": True}, "viscosity": {"value": 500.0, "learn": True}}
    model, task, geometry = build(anomalies, ice=True, trained=True, core=learned)

    start, forcings = followed_back(model, toy.state(task, geometry), toy.forcings(task, geometry, steps=2))
    told = [field for forcing in forcings for fields in forcing for field in fields.values()]
    for leaf in (*start.values(), *told, *model.parameters()):
        assert leaf.grad.isfinite().all()
        assert leaf.grad.any()
    named = {"physics.core.diffusivity [m2 s-1]": 100.0, "physics.core.viscosity [m2 s-1]": 500.0}
    assert model.coefficients().keys() == named.keys()
    assert list(model.coefficients().values()) == pytest.approx(list(named.values()), rel=0.2)


def test_saved_and_loaded_it_is_the_same():
    model, task, geometry = build(True, trained=True)
    other, *_ = build(True)
    other.load_state_dict(model.state_dict())
    start, forcing = toy.state(task, geometry), toy.forcings(task, geometry)[0]
    for name, field in model(start, forcing).items():
        assert torch.equal(other(start, forcing)[name], field)


def test_at_the_published_size_it_has_as_many_parameters():
    """23.99 and 42.72 million with what was published as input; ours read the climatology too."""
    depth = tuple(float(10 * k + 5) for k in range(23))
    ocean = Channels(volume=toy.VOLUME, surface=("zos",), depth=depth)
    wind = Channels(surface=("u10", "v10", "t2m"))
    task = Task(prognostic=ocean, forcing=wind, anomalies=True)
    edges = (torch.linspace(0.0, 4.0, 5), torch.linspace(0.0, 4.0, 5))
    geometry = Geometry(*edges, torch.tensor(depth), torch.full((23,), 10.0), torch.ones(23, 4, 4), periodic=False)
    kinds = [f"{season}_{kind}" for season in ("", CLIMATOLOGY) for kind in ("mean", "std")] + ["_increment_std"]
    known = {
        name + kind: torch.ones(channels.levels(name))
        for channels in (ocean, wind)
        for name in channels.names
        for kind in kinds
    }
    with torch.device("meta"):
        model = HybridOMConfig().build(task, geometry, known)
    for network, millions in ((model.inverse, 23.99), (model.network, 42.72)):
        assert sum(each.numel() for each in network.parameters()) == pytest.approx(1e6 * millions, rel=0.02)


def test_what_the_core_lacks_is_named():
    geometry = toy_tensors.geometry()
    with pytest.raises(InputError, match="lacks so:"):
        HybridOMConfig().build(toy_tensors.task(), geometry, toy_tensors.statistics(toy_tensors.task()))


def test_ice_without_its_drift_is_left_to_the_network():
    whole = toy.task(ice=True)
    part = whole.model_copy(update={"prognostic": whole.prognostic.only((*toy.VOLUME, "zos", "siconc"))})
    geometry = toy_tensors.geometry()
    config = HybridOMConfig.parse({"core": toy.PLAIN, "net": ParamNetConfig(**toy.TINY), "inverse": toy.TINY})
    model = config.build(part, geometry, toy.statistics(part))
    start = toy.state(part, geometry)
    assert model.physics.moved == ("thetao", "so")
    assert torch.equal(model(start, toy.forcings(part, geometry)[0])["siconc"], start["siconc"])
