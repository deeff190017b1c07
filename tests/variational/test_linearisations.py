"""Every trainable model and every core: the adjoint of its linearisation, and its tangent. In float64."""

from __future__ import annotations

from functools import partial

import pytest
import torch
import toy_basin
import toy_hybridom
import toy_nets
import toy_tensors
from toy_tensors import train_a_little

from oceanx.models.emulator import EmulatorConfig
from oceanx.models.hybrid import HybridConfig
from oceanx.models.hybridom import HybridOMConfig
from oceanx.models.hybridom_regional import HybridOMRegionalConfig
from oceanx.models.neuralogcm import NeuralOGCMConfig
from oceanx.models.neuralom import NeuralOMConfig
from oceanx.models.ocean_e2e import OceanE2EConfig
from oceanx.nn.mesh_network import MeshConfig
from oceanx.nn.unet import UNetConfig
from oceanx.physics.mixed_layer import MixedLayerConfig
from oceanx.physics.shallow_water import ShallowWaterConfig
from oceanx.physics.surface_anomaly import SurfaceAnomalyConfig
from oceanx.physics.vorticity_core import VorticityCoreConfig
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.state import Fields, Forcing, Increment, State
from oceanx.variational.tangent import adjoint, adjoint_test, differentiable, inner, tangent
from oceanx.vocabulary.channels import Channels, Task

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # torch's own, in torch.func.jvp

DAY = 86400.0
UNET, MESH = UNetConfig(widths=(4, 8), groups=2), MeshConfig(level=1, width=8, layers=2)
E2E = {"currents": ("uo", "vo"), "temperature": "thetao", "substeps": 3}
E2E |= dict.fromkeys(("forecaster", "correction", "source"), UNET)
HYBRIDOM = {"core": toy_hybridom.PLAIN, "substeps": 2, **toy_hybridom.NETS}
KINDS = {
    "emulator": EmulatorConfig(net=UNET),
    "hybrid": HybridConfig(net=UNET),
    "hybridom": HybridOMConfig.parse(HYBRIDOM),
    "hybridom_regional": HybridOMRegionalConfig.parse({**HYBRIDOM, "gate": toy_hybridom.TINY, "gate_width": 6}),
    "neuralogcm": NeuralOGCMConfig(net=toy_nets.SMALL["encoder_attention"], substeps=3, fastest=0.5),
    "neuralom": NeuralOMConfig(stages=(MESH, UNET)),
    "ocean_e2e": OceanE2EConfig(**E2E),
}
SALTY = ("hybridom", "hybridom_regional", "neuralogcm")


def doubled(fields):
    return fields.map(torch.Tensor.double)


def e2e_sea():
    mask = torch.ones(1, 7, 12)
    mask[:, 0], mask[:, 2:4, 4:6] = 0, 0
    one = torch.ones(1)
    return Geometry(torch.linspace(20.0, 27.0, 8), torch.linspace(-180.0, -168.0, 13), 5 * one, 10 * one, mask, False)


def model(kind, config=None):
    """A small model that has something to say, as a way from a state to the next, and a state."""
    torch.manual_seed(0)
    toy, geometry = toy_hybridom if kind in SALTY else toy_tensors, toy_tensors.geometry()
    task = toy.task(anomalies=True, **({"parent": True} if kind == "hybridom_regional" else {}))
    if kind == "ocean_e2e":
        geometry = e2e_sea()
        ocean = Channels(volume=("thetao", "uo", "vo"), surface=("zos",), depth=(5.0,))
        task = Task(prognostic=ocean, forcing=Channels(surface=("u10",)), anomalies=True)
    built = (config or KINDS[kind]).build(task, geometry, toy.statistics(task))
    train_a_little(built)
    built = built.double().eval().requires_grad_(False)
    start, told = toy.state(task, geometry), toy.forcings(task, geometry, 1)[0]
    told = Forcing(*map(doubled, told))
    return lambda x: [built(x, told)], doubled(start)


def basin():
    edges, mask = torch.linspace(0.0, 800e3, 9, dtype=torch.float64), torch.ones(1, 8, 8)
    mask[:, 3:5, 4] = 0
    depth, thickness = torch.tensor([100.0]), torch.tensor([200.0])
    return Geometry.plane(edges, edges, depth, thickness, mask, (False, False), (1e-4, 2e-11), torch.float64)


def noise(shapes, seed=0):
    random = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=random, dtype=torch.float64) for name, shape in shapes.items()}


def core(kind):
    """A core as a way from its own state to the next, and a state."""
    if kind == "primitive_equations":
        geometry = toy_basin.geometry()
        built, forcing, fields = toy_basin.core(geometry), Fields({}), toy_basin.fields(geometry)
        seconds, steps = 3600.0, 2
    elif kind == "vorticity":
        geometry = toy_tensors.geometry().double()
        built = VorticityCoreConfig.parse({**toy_hybridom.PLAIN, "ice": False}).build(geometry)
        fields = doubled(toy_hybridom.state(toy_hybridom.task(), geometry))
        forcing, seconds, steps = Fields({}), DAY, 3
    else:
        geometry = basin()
        config = {
            "shallow_water": ShallowWaterConfig(drag=1e-5, viscosity=100.0),
            "mixed_layer": MixedLayerConfig(diffusivity=500.0, currents=True),
            "surface_anomaly": SurfaceAnomalyConfig(),
        }[kind]
        built = config.build(geometry)
        shape = (1, 1, 8, 8)
        fields = {n: 0.1 * x * geometry.mask for n, x in noise(dict.fromkeys(built.prognostic, shape)).items()}
        forcing = Fields({n: 0.1 * x * geometry.mask for n, x in noise(dict.fromkeys(built.forcing, shape), 1).items()})
        seconds, steps = 1800.0, 3
    built = built.double()
    return lambda x: [built(x, forcing, seconds, steps)], built.begin(fields)


CORES = ("shallow_water", "mixed_layer", "surface_anomaly", "vorticity", "primitive_equations")
WAYS = {kind: partial(model, kind) for kind in KINDS} | {f"{kind} core": partial(core, kind) for kind in CORES}
WAYS |= {f"emulator of {net}": partial(model, "emulator", EmulatorConfig(net=c)) for net, c in toy_nets.SMALL.items()}


def random_like(states, seed=0):
    return [Increment(noise({n: x.shape for n, x in state.items()}, seed + k)) for k, state in enumerate(states)]


@pytest.mark.parametrize("kind", WAYS)
def test_the_adjoint_is_that_of_the_tangent(kind):
    way, start = WAYS[kind]()
    (change,), arriving = random_like([start]), random_like(way(start), 7)
    there, back = tangent(way, start, change), adjoint(way, start, arriving)
    assert inner(there[0], there[0]) > 0
    assert inner(back, back) > 0
    assert adjoint_test(way, start, change, arriving) < 1e-10
    assert differentiable(way, start)


def departure(way, start, change, along, size):
    """|[M(x + ε δx) − M(x)] / ε − M' δx| over |M' δx|."""
    moved = way(start + size * change)[0]
    off = {n: (moved[n] - field) / size - along[n] for n, field in way(start)[0].items()}
    return (inner(off, off) / inner(along, along)) ** 0.5


LINEAR = ("mixed_layer core", "surface_anomaly core")
# Limiters, upwind differences and convection have corners, which a small enough change does not meet.
CORNERS = ("hybrid", "hybridom", "hybridom_regional", "neuralogcm", "ocean_e2e", "vorticity core",
           "primitive_equations core")  # fmt: skip
JUMPS = ("emulator of pastnet",)  # which quantises, and is derived as if it did not


@pytest.mark.parametrize("kind", [kind for kind in WAYS if kind not in JUMPS])
def test_what_the_tangent_leaves_halves_with_the_change(kind):
    way, start = WAYS[kind]()
    (change,) = random_like([start])
    (along,) = tangent(way, start, change)
    size = 1e-6 if kind in CORNERS else 1e-4
    one, half = (departure(way, start, change, along, at) for at in (size, size / 2))
    if kind in LINEAR:
        assert one < 1e-11
    else:
        assert one < 1e-5
        assert one / half == pytest.approx(2, rel=0.1)


@pytest.mark.parametrize("kind", JUMPS)
def test_where_a_network_jumps_its_tangent_is_not_the_limit(kind):
    way, start = WAYS[kind]()
    (change,) = random_like([start])
    (along,) = tangent(way, start, change)
    assert departure(way, start, change, along, 1e-6) > 1e-4


# ---- how it is derived -----------------------------------------------------------------------------------------------


class Cubed(torch.autograd.Function):
    """x³ with a derivative backwards only, `factor` times the true one."""

    factor = 1.0

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return Cubed.factor * 3 * x**2 * grad


def cubed(x):
    return [State({"x": Cubed.apply(x["x"]), "y": x["x"] * x["y"]}), State({"x": 2 * x["x"], "y": x["y"]})]


def plain(x):
    return [State({"x": x["x"] ** 3, "y": x["x"] * x["y"]}), State({"x": 2 * x["x"], "y": x["y"]})]


def a_state(seed=0, rows=1):
    return State(noise({"x": (rows, 1, 2, 3), "y": (rows, 1, 2, 3)}, seed))


def test_what_has_no_forward_derivative_is_derived_through_its_adjoint():
    start, (change,) = a_state(), random_like([a_state()], 3)
    for one, other in zip(tangent(cubed, start, change), tangent(plain, start, change), strict=True):
        assert all(torch.allclose(one[name], other[name], rtol=0, atol=1e-14) for name in other)


def test_many_changes_of_one_state_go_together():
    start, (change,) = a_state(), random_like([a_state(rows=4)], 3)
    together = tangent(plain, start, change)
    back = adjoint(plain, start, together)
    for row in range(4):
        single = tangent(plain, start, change.map(lambda field, row=row: field[row : row + 1]))
        assert torch.equal(single[0]["y"][0], together[0]["y"][row])
        alone = adjoint(plain, start, single)
        assert torch.allclose(alone["x"][0], back["x"][row], rtol=0, atol=1e-14)


def test_a_variable_that_is_left_out_does_not_change():
    start = a_state()
    found = tangent(plain, start, Increment({"y": torch.ones_like(start["y"])}))
    assert not found[0]["x"].any()
    assert torch.equal(found[0]["y"], start["x"])
    back = adjoint(plain, start, [Increment({"y": torch.ones_like(start["y"])}), Increment({})])
    assert torch.equal(back["x"], start["y"])
    assert torch.equal(back["y"], start["x"])


def test_the_test_of_the_adjoint_fails_where_it_is_wrong(monkeypatch):
    start, (change,) = a_state(), random_like([a_state()], 3)
    arriving = random_like(plain(start), 5)
    assert adjoint_test(plain, start, change, arriving) < 1e-14
    monkeypatch.setattr("oceanx.variational.tangent.tangent", lambda *given: tangent(plain, *given[1:]))
    monkeypatch.setattr(Cubed, "factor", 1.001)
    assert adjoint_test(cubed, start, change, arriving) > 1e-5


def test_errors_of_a_model_s_own_are_not_hidden():
    def broken(x):
        raise RuntimeError("no such level")

    with pytest.raises(RuntimeError, match="no such level"):
        tangent(broken, a_state(), random_like([a_state()])[0])
