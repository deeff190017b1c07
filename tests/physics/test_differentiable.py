"""Whole steps and long rollouts are differentiable, their adjoint is that of their tangent, and they compile whole.

Every term has its `gradcheck` beside its other tests; here are the things made of them.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import toy_basin
import toy_tensors as toy

from oceanx.models.hybrid import HybridConfig
from oceanx.nn.unet import UNetConfig
from oceanx.physics.shallow_water import ShallowWaterConfig
from oceanx.physics.transport import transport, volume_flux
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.integrate import rollout
from oceanx.tensors.state import Fields, Forcing, State

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # torch's own, in torch.func.jvp


def hybrid(dtype=torch.float64, anomalies=False, **settings):
    """A small hybrid that has something to say, its start and its forcings."""
    torch.manual_seed(0)
    task, geometry = toy.task(anomalies), toy.geometry()
    model = HybridConfig(net=UNetConfig(widths=(4, 8), groups=2), **settings).build(
        task, geometry, toy.statistics(task)
    )
    toy.train_a_little(model)
    start = {name: field.to(dtype) for name, field in toy.state(task, geometry).items()}

    def forcings(steps):
        made = toy.forcings(task, geometry, steps)
        return [Forcing(*(Fields(told).map(lambda field: field.to(dtype)) for told in pair)) for pair in made]

    return model.to(dtype), start, forcings


def basin(dtype=torch.float64, coriolis=(1e-4, 2e-11)):
    """A square sea with an island, 200 m deep."""
    edges = torch.linspace(0.0, 800e3, 9, dtype=torch.float64)
    mask = torch.ones(1, 8, 8)
    mask[:, 3:5, 4] = 0
    return Geometry.plane(
        edges, edges, torch.tensor([100.0]), torch.tensor([200.0]), mask, (False, False), coriolis, dtype
    )


def random(geometry, *names, seed=0, dtype=torch.float64):
    numbers = torch.Generator().manual_seed(seed)
    shape = (1, 1, *geometry.area.shape)
    return {
        name: (0.1 * torch.randn(shape, generator=numbers, dtype=torch.float64) * geometry.mask).to(dtype)
        for name in names
    }


# Long rollouts


@pytest.mark.parametrize("anomalies", [False, True])
def test_gradients_are_finite_through_sixty_days_of_the_hybrid_in_single_precision(anomalies):
    model, start, forcings = hybrid(torch.float32, anomalies)
    leaves = {name: field.clone().requires_grad_() for name, field in start.items()}
    *_, end = rollout(model, State(leaves), forcings(60))
    assert all(field.isfinite().all() for field in end.values())
    (end["thetao"] ** 2).mean().backward()
    gradients = {name: leaf.grad for name, leaf in leaves.items()} | {
        name: parameter.grad for name, parameter in model.named_parameters()
    }
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients.values())
    assert all(gradients[name].abs().max() > 0 for name in start)


def test_gradients_are_finite_through_two_days_of_shallow_water_in_single_precision():
    core = ShallowWaterConfig(drag=1e-5, viscosity=100.0).build(basin(torch.float32))
    leaves = {
        name: field.requires_grad_()
        for name, field in random(core.geometry, "uo", "vo", "zos", dtype=torch.float32).items()
    }
    forcing = Fields(random(core.geometry, "tauuo", "tauvo", seed=1, dtype=torch.float32))
    end = core(core.begin(leaves), forcing, 172800.0, 96)
    (end["zos"] ** 2).sum().backward()
    for leaf in leaves.values():
        assert leaf.grad.isfinite().all()
        assert leaf.grad.abs().max() > 0


# Adjoints


def dot(one, other):
    return sum((one[name] * other[name]).sum() for name in one).item()


def adjoint_error(step, start):
    """|⟨w, Jv⟩ − ⟨Jᵀw, v⟩| for random v and w, beside what round-off is beside: |w| |Jv| or |Jᵀw| |v|."""
    numbers = torch.Generator().manual_seed(7)
    v = {name: torch.randn(field.shape, generator=numbers, dtype=field.dtype) for name, field in start.items()}
    end, tangent = torch.func.jvp(step, (start,), (v,))
    w = {name: torch.randn(field.shape, generator=numbers, dtype=field.dtype) for name, field in end.items()}
    adjoint = torch.func.vjp(step, start)[1](w)[0]
    scale = max(dot(w, w) * dot(tangent, tangent), dot(adjoint, adjoint) * dot(v, v))
    assert scale > 0
    return abs(dot(w, tangent) - dot(adjoint, v)) / math.sqrt(scale)


def group_norm(self, x):
    """GroupNorm written out: torch's own has no forward derivative for the memory layout of the network."""
    groups = x.reshape(x.shape[0], self.num_groups, -1)
    spread, mean = torch.var_mean(groups, dim=-1, unbiased=False, keepdim=True)
    normal = ((groups - mean) / (spread + self.eps).sqrt()).reshape(x.shape)
    return normal * self.weight[:, None, None] + self.bias[:, None, None]


@pytest.mark.parametrize("scheme", ["upwind", "limited"])
@pytest.mark.parametrize("anomalies", [False, True])
def test_the_adjoint_of_a_hybrid_step_is_that_of_its_tangent(scheme, anomalies, monkeypatch):
    monkeypatch.setattr(torch.nn.GroupNorm, "forward", group_norm)
    model, start, forcings = hybrid(anomalies=anomalies, scheme=scheme)
    forcing = forcings(1)[0]
    assert adjoint_error(lambda fields: dict(model(State(fields), forcing)), start) < 1e-12


@pytest.mark.parametrize("integrator", ["ab2", "ssprk3", "rk4"])
def test_the_adjoint_of_shallow_water_is_that_of_its_tangent(integrator):
    core = ShallowWaterConfig(integrator=integrator, drag=1e-5, viscosity=100.0).build(basin())
    forcing = Fields(random(core.geometry, "tauuo", "tauvo", seed=1))
    start = dict(core.begin(random(core.geometry, "uo", "vo", "zos")))
    assert adjoint_error(lambda fields: dict(core(State(fields), forcing, 3 * 600.0, 3)), start) < 1e-12


# Compilers


def transport_compiles_whole():
    geometry = toy.geometry(periodic=True)
    state = toy.state(toy.task(), geometry)
    flow = volume_flux(state["uo"], state["vo"], geometry)
    compiled = torch.compile(transport, fullgraph=True, backend="eager")
    expected = transport(state["thetao"], flow, geometry.layers)
    assert torch.allclose(compiled(state["thetao"], flow, geometry.layers), expected, rtol=1e-5, atol=1e-12)


def shallow_water_compiles_whole_with_its_gradient():
    core = ShallowWaterConfig(integrator="heun", viscosity=100.0).build(basin())
    forcing = Fields(random(core.geometry, "tauuo", "tauvo", seed=1))

    def step(u, v, zos):
        end = core(State({"uo_x": u, "vo_y": v, "zos": zos}), forcing, 600.0, 1)
        return end["uo_x"], end["vo_y"], end["zos"]

    start = [field.requires_grad_() for field in core.begin(random(core.geometry, "uo", "vo", "zos")).values()]
    plain, whole = step(*start), torch.compile(step, fullgraph=True, backend="eager")(*start)
    slopes = [torch.autograd.grad(sum((field**2).sum() for field in end), start) for end in (plain, whole)]
    for one, other in zip((*plain, *slopes[0]), (*whole, *slopes[1]), strict=True):
        assert torch.allclose(one, other, rtol=1e-12, atol=1e-14)


def primitive_equations_compile_whole():
    geometry = toy_basin.geometry()
    for forced_by, forcing in (("nothing", Fields({})), ("weather", toy_basin.weather(geometry))):
        core = toy_basin.core(geometry, forced_by=forced_by)
        begun = core.begin(toy_basin.fields(geometry))

        def step(fields, core=core, forcing=forcing):
            return dict(core.step(State(fields), forcing, 1800.0, None)[0])

        traced = torch.compile(step, backend="eager", fullgraph=True)(dict(begun))
        for name, field in step(dict(begun)).items():
            assert torch.equal(traced[name], field), name


WHOLE = [
    transport_compiles_whole,
    shallow_water_compiles_whole_with_its_gradient,
    primitive_equations_compile_whole,
]


def test_what_is_to_be_compiled_is_traced_as_one_graph():
    """In a process of its own: shape checks at run time, which other tests are run with, cannot be traced."""
    run = subprocess.run(
        [sys.executable, __file__], env=os.environ | {"PYTHONPATH": str(Path(toy.__file__).parent)}, capture_output=True
    )
    assert run.returncode == 0, run.stderr.decode()
    assert run.stdout.decode().split() == [check.__name__ for check in WHOLE]


if __name__ == "__main__":
    for check in WHOLE:
        check()
        print(check.__name__)
