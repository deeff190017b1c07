"""Regional HybridOM: its core and its edges while untrained; a correction of fluxes that keeps what there is."""

from __future__ import annotations

import pytest
import torch
import toy_hybridom as toy
import toy_tensors
from toy_tensors import followed_back

from oceanx.models.hybridom_gating import FluxGating
from oceanx.models.hybridom_regional import HybridOMRegionalConfig
from oceanx.nn.paramnet import ParamNetConfig
from oceanx.physics.mixing import diffusion
from oceanx.physics.transport import transport, volume_flux
from oceanx.physics.vorticity_core import VorticityCoreConfig
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.integrate import rollout
from oceanx.tensors.state import Fields, Forcing, State
from oceanx.vocabulary.channels import CLIMATOLOGY, Channels, Task
from oceanx.vocabulary.constants import EARTH_RADIUS
from oceanx.vocabulary.errors import InputError

NETS = toy.NETS | {"gate": toy.TINY, "gate_width": 6}
D = len(toy_tensors.DEPTH)
KAPPA = 100.0
both = pytest.mark.parametrize("anomalies", [True, False])


def build(anomalies=False, trained=False, ice=False, **settings):
    torch.manual_seed(0)
    task, geometry = toy.task(anomalies, ice, parent=True), toy_tensors.geometry()
    config = HybridOMRegionalConfig.parse({"core": toy.PLAIN, "substeps": 3, **NETS, **settings})
    model = config.build(task, geometry, toy.statistics(task))
    if trained:
        toy_tensors.train_a_little(model)
    return model, task, geometry


def core_s_day(fields, geometry, substeps=3):
    core = VorticityCoreConfig.parse(toy.PLAIN | {"ice": False}).build(geometry)
    return core(core.begin(fields), Fields({}), toy.DAY, substeps)


def test_untrained_it_is_its_core_and_near_the_edge_its_parent():
    model, task, geometry = build(edge_width=1e5, edge_time=toy.DAY)  # a zone of the outermost cells alone
    start, forcing = toy.state(task, geometry), toy.forcings(task, geometry)[0]
    end, free = model(start, forcing), core_s_day(start, geometry)
    degree = torch.pi / 180 * EARTH_RADIUS
    wide = degree * torch.deg2rad(geometry.latitude).cos()
    near = torch.zeros(geometry.area.shape)  # cos² of how far from the middle of the outermost cells to the edge
    near[-1] = (torch.tensor(0.5 * degree / 1e5) * torch.pi / 2).cos() ** 2
    near[:, 0] = torch.maximum(near[:, 0], (0.5 * wide / 1e5 * torch.pi / 2).cos() ** 2)
    near[:, -1] = torch.maximum(near[:, -1], (0.5 * wide / 1e5 * torch.pi / 2).cos() ** 2)
    share = near / (1 + near)
    for name in task.prognostic.names:
        parent = forcing.next[f"{name}_parent"]
        expected = free[name] + share * (parent - free[name])
        assert torch.allclose(end[name], expected, atol=2e-3)
        assert torch.equal(end[name], model.skeleton(start, forcing)[name])
    assert 0.3 < share.max() < 0.5


def test_where_the_sea_is_closed_it_is_its_core_alone():
    model, task, _ = build()
    geometry = closed()
    inland = type(model)(HybridOMRegionalConfig.parse({"core": toy.PLAIN, "substeps": 3, **NETS}), task, geometry,
                         toy.statistics(task))  # fmt: skip
    start, forcing = toy.state(task, geometry), toy.forcings(task, geometry)[0]
    end, free = inland(start, forcing), core_s_day(start, geometry)
    for name in task.prognostic.names:
        assert torch.allclose(end[name], free[name], rtol=1e-6, atol=1e-6)


@both
def test_a_state_and_a_parent_that_are_usual_stay_so(anomalies):
    """A parent with another climatology does not pull where it has no anomaly."""
    model, task, geometry = build(anomalies)
    forcings = toy.forcings(task, geometry, steps=2)
    if not anomalies:
        forcing = forcings[0]
        parent = State({name: forcing.next[f"{name}_parent"] for name in task.prognostic.names})
        assert all(torch.equal(field, parent[name]) for name, field in model.parent(forcing.next).items())
        return
    usual = [
        Forcing(*[Fields(dict(f) | {n: f[n + CLIMATOLOGY] for n in toy.PARENT}) for f in forcing])
        for forcing in forcings
    ]
    start = State({name: usual[0].now[name + CLIMATOLOGY] for name in task.prognostic.names})
    assert (usual[0].now["thetao_parent"] - start["thetao"]).abs().max() > 1
    for state, forcing in zip(rollout(model, start, usual), usual, strict=True):
        for name, field in state.items():
            assert torch.allclose(field, forcing.next[name + CLIMATOLOGY], atol=1e-5)


# ---- flux gating -----------------------------------------------------------------------------------------------------


def closed(dtype=torch.float32):
    mask = torch.ones(2, 7, 10)
    mask[:, [0, -1]], mask[:, :, [0, -1]], mask[:, 2:4, 4:6], mask[1, 5] = 0, 0, 0, 0
    edges = torch.linspace(20.0, 27.0, 8), torch.linspace(-180.0, -170.0, 11)
    return Geometry(*edges, torch.tensor(toy_tensors.DEPTH), torch.tensor([10.0, 40.0]), mask, False, dtype)


def gating(geometry, trained=True, anomalies=False):
    torch.manual_seed(0)
    task = toy.task(anomalies)
    made = FluxGating(ParamNetConfig(**toy.TINY), 6, task, geometry, toy.statistics(task), "upwind")
    if trained:
        toy_tensors.train_a_little(made)
    return made, task


def sources(task, geometry):
    return tuple(toy.state(task, geometry, seed=seed) for seed in (1, 2, 3))


@both
def test_untrained_the_correction_is_nothing(anomalies):
    geometry = closed()
    made, task = gating(geometry, trained=False, anomalies=anomalies)
    change = made(sources(task, geometry), toy.forcings(task, geometry)[0], KAPPA)
    assert set(change) == {"thetao", "so"}
    assert not any(field.any() for field in change.values())


@pytest.mark.parametrize("name", ["thetao", "so"])
def test_the_fine_flux_is_that_of_the_core(name):
    """−∇·F, less what the flow's own divergence takes from the mean, is transport and mixing of the tracer."""
    geometry = closed()
    made, task = gating(geometry)
    fields = toy.state(task, geometry)
    flux, volume = made.flux(fields, name, KAPPA), geometry.layers.volume
    water = volume_flux(fields["uo"], fields["vo"], geometry)
    departure = fields[name] - toy.statistics(task)[f"{name}_mean"][:, None, None]

    def leaving(x, y):
        out = torch.zeros_like(x)
        out += x + y
        out[..., 1:] -= x[..., :-1]
        out[..., 1:, :] -= y[..., :-1, :]
        return out

    change = -(leaving(*flux[:2]) - departure * leaving(*water[:2])) / volume * geometry.mask
    expected = transport(fields[name], water, geometry.layers, "upwind") + diffusion(fields[name], geometry, KAPPA)
    assert expected.abs().max() > 1e-7
    assert torch.allclose(change, expected, atol=1e-4 * expected.abs().max())


@both
def test_the_correction_keeps_heat_and_salt_and_leaves_land_alone(anomalies):
    geometry = closed(torch.float64)
    made, task = gating(geometry, anomalies=anomalies)
    doubled = tuple(source.map(torch.Tensor.double) for source in sources(task, geometry))
    told = Forcing(*[fields.map(torch.Tensor.double) for fields in toy.forcings(task, geometry)[0]])
    change = made.double()(doubled, told, KAPPA)
    for field in change.values():
        amount = field * geometry.layers.volume
        assert field.abs().max() > 1e-3
        assert amount.sum().abs() < 1e-6 * amount.abs().sum()  # the network's numbers are in single precision
        assert not field[:, geometry.mask == 0].any()


def test_a_flux_of_one_to_the_east_takes_from_the_west_and_has_the_size_that_is_said():
    geometry = closed()
    made, task = gating(geometry)
    written = torch.zeros(1, 4 * D, 7, 10)
    written[:, 0, 3, 7] = 1.0  # temperature of the uppermost level, through the east face of one cell
    change = made.change(written)
    usual = toy.statistics(task)["thetao_increment_std"][0]
    expected = torch.zeros(1, D, 7, 10)
    expected[0, 0, 3, 7], expected[0, 0, 3, 8] = -usual, usual
    assert torch.allclose(change["thetao"], expected, atol=1e-6)
    assert not change["so"].any()
    written = torch.zeros(1, 4 * D, 7, 10)
    written[:, 3 * D + 1, 2, 2] = 1.0  # salinity of the lower level, to the north
    change = made.change(written)["so"][0, 1]
    assert change[2, 2] < 0 < change[3, 2]
    assert change[2, 2] == pytest.approx(-toy.statistics(task)["so_increment_std"][1].item(), rel=0.02)


def test_each_cell_has_weights_of_its_own_for_each_tracer_and_they_blend():
    geometry = closed()
    made, task = gating(geometry)
    seen = {}
    made.gate.register_forward_hook(lambda module, given, weights: seen.update(weights=weights))
    made.net.register_forward_pre_hook(lambda module, given: seen.update(read=given[0]))
    three = sources(task, geometry)
    made(three, toy.forcings(task, geometry)[0], KAPPA)
    weights, read = seen["weights"], seen["read"]
    assert weights.shape == (1, 3, 2, 7, 10)
    assert torch.allclose(weights.sum(1), torch.ones(1, 2, 7, 10))
    assert weights.std((-2, -1)).min() > 0
    for number in range(2):
        blend = sum(weights[:, k, number, None] * made.shown(three[k], KAPPA)[:, number] for k in range(3))
        assert torch.allclose(read[:, number * 2 * D : (number + 1) * 2 * D], blend, atol=1e-5)
    spread = torch.cat([made.shown(source, KAPPA) for source in three]).std()
    assert 0.1 < spread < 3


# ---- the whole -------------------------------------------------------------------------------------------------------


@both
def test_the_network_is_shown_how_the_parent_changes(anomalies):
    model, task, geometry = build(anomalies)
    seen = []
    model.network.net.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    start, forcing = toy.state(task, geometry), toy.forcings(task, geometry)[0]
    model(start, forcing)
    state = 4 * D + 1
    shown = seen[0][:, (3 if anomalies else 1) * state + 2 :][:, :state]
    expected = []
    for name in task.prognostic.names:
        now, later = (fields[f"{name}_parent"] for fields in forcing)
        if anomalies:
            now, later = (p - f[f"{name}_parent{CLIMATOLOGY}"] for p, f in zip((now, later), forcing, strict=True))
        expected.append((later - now) / toy.statistics(task)[f"{name}_increment_std"][:, None, None])
    assert torch.allclose(shown, torch.cat(expected, 1), rtol=1e-3, atol=2e-3)


@both
def test_gradients_reach_everything_through_two_steps(anomalies):
    model, task, geometry = build(anomalies, trained=True)

    start, forcings = followed_back(model, toy.state(task, geometry), toy.forcings(task, geometry, steps=2))
    told = [field for forcing in forcings for fields in forcing for name, field in fields.items()]
    for leaf in (*start.values(), *model.parameters()):
        assert leaf.grad.isfinite().all()
        assert leaf.grad.any()
    assert all(leaf.grad.isfinite().all() for leaf in told)
    for fields in forcings[-1]:
        assert all(fields[name].grad.any() for name in task.forcing.names)


@both
def test_a_batch_of_two_is_two_singles_and_land_is_silent(anomalies):
    model, task, geometry = build(anomalies, trained=True, ice=True)
    start, forcings = toy.state(task, geometry, batch=2), toy.forcings(task, geometry, steps=2, batch=2)
    together = list(rollout(model, start, forcings))[-1]
    for i in range(2):
        told = [Forcing(toy.single(now, i), toy.single(later, i)) for now, later in forcings]
        alone = list(rollout(model, toy.single(start, i), told))[-1]
        for name, field in alone.items():
            assert torch.allclose(field[0], together[name][i], atol=1e-4)
            assert not field[:, geometry.mask_of(field.shape[1]) == 0].any()


def test_the_gate_has_as_many_parameters_as_published():
    """3.87 million with fluxes of 12 levels and three channels of the atmosphere."""
    depth = tuple(float(10 * k + 5) for k in range(12))
    wind = Channels(surface=("u10", "v10", "t2m"))
    task = Task(prognostic=Channels(volume=toy.VOLUME, surface=("zos",), depth=depth), forcing=wind)
    edges = (torch.linspace(0.0, 4.0, 5), torch.linspace(0.0, 4.0, 5))
    geometry = Geometry(*edges, torch.tensor(depth), torch.full((12,), 10.0), torch.ones(12, 4, 4), periodic=False)
    kinds = ("_mean", "_std", "_increment_std")
    known = {n + k: torch.ones(c.levels(n)) for c in (task.prognostic, wind) for n in c.names for k in kinds}
    config = HybridOMRegionalConfig()
    made = FluxGating(config.gate, config.gate_width, task, geometry, known, "upwind")
    assert sum(each.numel() for each in made.parameters()) == pytest.approx(3.87e6, rel=0.02)


def test_a_task_without_a_parent_or_with_another_s_levels_is_refused():
    geometry, task = toy_tensors.geometry(), toy.task(parent=True)
    for changes, said in (
        ({"forcing": Channels(surface=("u10",))}, "lacks thetao_parent, so_parent, uo_parent, vo_parent"),
        ({"forcing": Channels(volume=toy.PARENT[:4], depth=(5.0, 40.0))}, "task.forcing.depth"),
        ({"forcing": Channels(volume=toy.PARENT[:4], surface=("sst_parent",), depth=toy_tensors.DEPTH)}, "sst_parent"),
        ({"prognostic": task.prognostic.only(("thetao", "uo", "vo", "zos"))}, "so"),
    ):
        with pytest.raises(InputError, match=said):
            HybridOMRegionalConfig().build(task.model_copy(update=changes), geometry, {})
