"""Lateral mixing: what it conserves, that it only smooths, where nothing passes, and its gradients. In float64."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_coasts import SHAPE, basin, basins, breathing, field, seeds

from oceanx.physics.mixing import biharmonic_diffusion, biharmonic_flux, diffusion, diffusive_flux
from oceanx.physics.transport import Flux
from oceanx.tensors.geometry import Geometry

few = settings(max_examples=15, deadline=None)
TERMS = {"harmonic": (diffusion, 1e3), "biharmonic": (biharmonic_diffusion, 1e15)}
both = pytest.mark.parametrize("term", TERMS)


def varied(term, seed):
    """The term, and a coefficient that differs from cell to cell."""
    function, size = TERMS[term]
    return function, size * torch.rand(1, *SHAPE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def volume(geometry, thickness=None):
    return geometry.area * (geometry.thickness if thickness is None else thickness)


@both
@given(basins, seeds, st.booleans())
@few
def test_what_the_ocean_gains_is_nothing(term, geometry, seed, breathes):
    function, kappa = varied(term, seed)
    thickness = breathing(geometry, seed) if breathes else None
    gained = volume(geometry, thickness) * function(field(seed), geometry, kappa, thickness)
    assert abs(gained.sum().item()) <= 1e-13 * gained.abs().sum().item()


@both
@given(basins, st.floats(-1e3, 1e3))
@few
def test_a_uniform_tracer_stays_exactly_uniform(term, geometry, value):
    function, kappa = TERMS[term]
    assert not function(torch.full((1, *SHAPE), value, dtype=torch.float64), geometry, kappa).any()


@both
@given(basins, seeds, st.booleans())
@few
def test_it_is_self_adjoint_and_lowers_the_variance(term, geometry, seed, breathes):
    function, kappa = varied(term, seed)
    thickness = breathing(geometry, seed) if breathes else None
    one, other = field(seed + 1), field(seed + 2)

    def product(a, b):
        return volume(geometry, thickness) * a * function(b, geometry, kappa, thickness)

    forth, back = product(one, other), product(other, one)
    assert abs((forth.sum() - back.sum()).item()) <= 1e-12 * forth.abs().sum().item()
    assert product(one, one).sum().item() <= 0


@both
@given(basins, seeds)
@few
def test_nothing_comes_from_land_nor_goes_there(term, geometry, seed):
    function, kappa = TERMS[term]
    tracer, wet = field(seed), geometry.mask.bool()
    change = function(tracer, geometry, kappa)
    assert not change[:, ~wet].any()
    assert torch.equal(function(torch.where(wet, tracer, 1e6), geometry, kappa)[:, wet], change[:, wet])


@given(basins, seeds)
@few
def test_harmonic_mixing_goes_down_the_gradient_and_makes_no_new_extremes(geometry, seed):
    tracer, wet = field(seed), geometry.mask.bool()
    flux = diffusive_flux(tracer, geometry, 1e3)
    assert (flux.x * (tracer.roll(-1, -1) - tracer) <= 0).all()
    assert (flux.y * (tracer.roll(-1, -2) - tracer) <= 0).all()
    assert not (flux.x * (1 - geometry.mask_x)).any()
    assert not (flux.y * (1 - geometry.mask_y)).any()
    across = geometry.mask_x * geometry.length_x / geometry.spacing_x
    along = geometry.mask_y * geometry.length_y / geometry.spacing_y
    rate = 1e3 * (across + across.roll(1, -1) + along + along.roll(1, -2)) / geometry.area
    if not rate.any():
        return
    for _ in range(5):
        tracer, before = tracer + diffusion(tracer, geometry, 1e3) / rate.max(), tracer
        assert tracer[:, wet].max() <= before[:, wet].max() + 1e-12
        assert tracer[:, wet].min() >= before[:, wet].min() - 1e-12


def test_two_cells_exchange_what_the_formula_says():
    edges = torch.tensor([0.0, 20.0]), torch.tensor([0.0, 8.0, 20.0])
    geometry = Geometry.plane(*edges, torch.tensor([2.5]), torch.tensor([5.0]), torch.ones(1, 1, 2))
    tracer = torch.tensor([[[[0.0, 2.0]]]])
    flux = diffusive_flux(tracer, geometry, 3.0)  # κ A ΔT/Δx = 3 · (20 · 5) · 2 / 10
    assert flux.x.flatten().tolist() == pytest.approx([-60.0, 0.0])
    assert diffusion(tracer, geometry, 3.0).flatten().tolist() == pytest.approx([60 / 800, -60 / 1200])
    deep = torch.tensor([[[[5.0, 7.0]]]])
    assert diffusive_flux(tracer, geometry, 3.0, deep).x.flatten().tolist() == pytest.approx([-72.0, 0.0])
    # ∇²T is 20/800 and −20/1200; up its gradient, 7 · (20 · 5) · (−1/60 − 1/40) / 10
    assert biharmonic_flux(tracer, geometry, 7.0).x.flatten().tolist() == pytest.approx([-70 / 24, 0.0])


def test_a_coefficient_may_be_a_number_a_scalar_a_field_or_a_field_on_faces():
    geometry, tracer = basin(), field(1)
    everywhere = torch.full((1, *SHAPE), 1e3, dtype=torch.float64)
    wanted = diffusive_flux(tracer, geometry, 1e3)
    for kappa in (torch.tensor(1e3, dtype=torch.float64), everywhere, Flux(everywhere, everywhere)):
        found = diffusive_flux(tracer, geometry, kappa)
        torch.testing.assert_close((found.x, found.y), (wanted.x, wanted.y))


@both
def test_gradients_are_those_of_finite_differences(term):
    geometry, (function, size) = basin(3), TERMS[term]
    inputs = [field(seed).requires_grad_() for seed in (1, 2, 3)]

    def change(tracer, kappa, thickness):
        return 1e9 * function(tracer, geometry, size * (2 + kappa.tanh()), 20 + thickness.tanh())

    assert torch.autograd.gradcheck(change, inputs, fast_mode=True)


@both
def test_gradients_are_finite_where_layers_have_no_thickness(term):
    geometry, (function, size) = basin(3), TERMS[term]
    thickness = breathing(geometry, 4).requires_grad_()
    kappa = torch.tensor(size, dtype=torch.float64).requires_grad_()
    tracer = (field(5) * geometry.mask).requires_grad_()
    function(tracer, geometry, kappa, thickness).square().sum().backward()
    assert all(each.grad.isfinite().all() for each in (thickness, kappa, tracer))


@both
def test_compiled_it_is_one_graph(term):
    geometry, (function, size) = basin(3), TERMS[term]
    compiled = torch.compile(function, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(field(1), geometry, size), function(field(1), geometry, size))


@both
def test_single_precision_goes_in_and_comes_out(term):
    geometry, (function, size) = basin(3), TERMS[term]
    double = function(field(1), geometry, size)
    single = function(field(1).float(), geometry.float(), size)
    assert single.dtype == torch.float32
    assert (single.double() - double).abs().max() <= 1e-4 * double.abs().max()
