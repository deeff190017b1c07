"""Implicit vertical mixing: what it conserves, that it only smooths, its boundaries, and its gradients. In float64."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_coasts import SHAPE, basin, basins, breathing, field, random, seeds

from oceanx.physics.vertical_mixing import bottom_faces, implicit_mixing

few = settings(max_examples=15, deadline=None)
DAY = 86400.0
kappas = st.sampled_from([1e-5, 1e-2, 100.0])
thetas = st.sampled_from([0.5, 1.0])


def strength(seed, size):
    return size * torch.rand(1, *SHAPE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def surface(seed, geometry):
    return 1e-5 * random(seed, 1, 1, *SHAPE[1:]) * geometry.surface


@given(basins, seeds, kappas, thetas)
@few
def test_a_column_gains_what_enters_at_the_top(geometry, seed, size, theta):
    thickness, flux = breathing(geometry, seed), surface(seed, geometry)
    before = field(seed + 1) * geometry.mask
    after = implicit_mixing(before, strength(seed, size), thickness, geometry.mask_z, DAY, flux, implicitness=theta)
    gained = (thickness * (after - before)).sum(1) - DAY * flux[:, 0]
    assert gained.abs().max().item() <= 1e-13 * (thickness * before.abs()).sum(1).max().item()
    assert not after[:, geometry.mask == 0].any()


@given(basins, st.floats(-1e3, 1e3), thetas)
@few
def test_a_uniform_column_stays_exactly_uniform(geometry, value, theta):
    before = torch.full((1, *SHAPE), value, dtype=torch.float64)
    after = implicit_mixing(before, 10.0, breathing(geometry, 1), geometry.mask_z, DAY, implicitness=theta)
    assert torch.equal(after, before)


def test_single_precision_conserves_as_well_however_strong_the_mixing():
    geometry = basin(1, land=0.0).float()
    before = 10 + field(2).float()
    after = implicit_mixing(before, 1e3, geometry.thickness, geometry.mask_z, DAY)
    content = [(geometry.thickness * each).double().sum(1) for each in (before, after)]
    assert after.dtype == torch.float32
    assert (after.amax(1) - after.amin(1)).max() < 1e-4  # mixed
    torch.testing.assert_close(content[1], content[0], rtol=3e-7, atol=0)


@given(basins, seeds, kappas)
@few
def test_backward_euler_makes_no_new_extremes(geometry, seed, size):
    before, wet = field(seed), geometry.mask.bool()
    after = implicit_mixing(before, strength(seed, size), geometry.thickness, geometry.mask_z, DAY)
    highest, lowest = before.where(wet, -1e9).amax(1), before.where(wet, 1e9).amin(1)
    assert (after <= highest[:, None] + 1e-12)[:, wet].all()
    assert (after >= lowest[:, None] - 1e-12)[:, wet].all()
    # and not between columns or from land
    elsewhere = before.where(wet, 1e6)
    assert torch.equal(
        implicit_mixing(elsewhere, strength(seed, size), geometry.thickness, geometry.mask_z, DAY)[:, wet],
        after[:, wet],
    )


@given(basins, seeds, kappas, thetas)
@few
def test_it_is_self_adjoint_and_lowers_the_variance(geometry, seed, size, theta):
    kappa, thickness = strength(seed, size), breathing(geometry, seed)

    def product(one, other):
        mixed = implicit_mixing(other, kappa, thickness, geometry.mask_z, DAY, implicitness=theta)
        return thickness * one * mixed

    one, other = (field(seed + n) * geometry.mask for n in (1, 2))
    forth, back = product(one, other), product(other, one)
    assert abs((forth.sum() - back.sum()).item()) <= 1e-12 * forth.abs().sum().item()
    if theta == 1.0:
        assert product(one, one).sum() <= (thickness * one**2).sum()


@pytest.mark.parametrize("theta", [0.0, 0.5, 1.0])
def test_it_solves_the_equations_of_the_column(theta):
    """(M + θ Δt L) x' = (M − (1 − θ) Δt L) x + Δt F, written out as a matrix for one column over a sea floor."""
    h, kappa, drag, flux, seconds = [5.0, 10.0, 20.0, 30.0], [1e-2, 5e-3, 0.0, 0.0], 2e-3, 3e-4, 3600.0
    mass = torch.diag(torch.tensor(h[:3], dtype=torch.float64))
    inner = torch.zeros(3, 3, dtype=torch.float64)
    for k in range(2):
        pair = torch.zeros(3, dtype=torch.float64)
        pair[k], pair[k + 1] = 1.0, -1.0
        inner += kappa[k] / (0.5 * (h[k] + h[k + 1])) * torch.outer(pair, pair)
    inner[2, 2] += drag
    before = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64)
    right = mass @ before - (1 - theta) * seconds * inner @ before
    right[0] += seconds * flux
    known = torch.linalg.solve(mass + theta * seconds * inner, right)

    def column(values):
        return torch.tensor(values, dtype=torch.float64)[:, None, None]

    after = implicit_mixing(
        torch.cat((column(before.tolist()), column([0.0])))[None],
        column(kappa),
        column(h),
        column([1.0, 1.0, 0.0, 0.0]),
        seconds,
        torch.full((1, 1, 1, 1), flux, dtype=torch.float64),
        drag,
        theta,
    )
    torch.testing.assert_close(after.flatten(), torch.cat((known, torch.zeros(1, dtype=torch.float64))))


@given(basins, seeds)
@few
def test_bottom_drag_slows_the_lowest_layer_alone(geometry, seed):
    before, lowest = field(seed) * geometry.mask, (geometry.mask - geometry.mask_z).bool()
    after = implicit_mixing(before, 0.0, geometry.thickness, geometry.mask_z, DAY, bottom_drag=1e-4)
    slowed = before / (1 + 1e-4 * DAY / geometry.thickness)
    torch.testing.assert_close(after, torch.where(lowest, slowed, before))


def test_velocity_on_faces_has_bottom_faces_of_its_own():
    geometry = basin(5)
    mask_z = bottom_faces(geometry.mask_x)
    assert torch.equal(bottom_faces(geometry.mask), geometry.mask_z)
    assert torch.equal(mask_z[:-1], geometry.mask_x[:-1] * geometry.mask_x[1:])
    assert not mask_z[-1].any()
    before = field(1) * geometry.mask_x
    after = implicit_mixing(before, 1e-2, geometry.thickness, mask_z, DAY)
    torch.testing.assert_close((geometry.thickness * after).sum(1), (geometry.thickness * before).sum(1))
    assert not (after * (1 - geometry.mask_x)).any()


def test_fields_stacked_in_front_are_mixed_alike():
    geometry, kappa = basin(6), strength(1, 1e-2)
    pair = torch.stack((field(2, batch=2), field(3, batch=2)))
    together = implicit_mixing(pair, kappa, geometry.thickness, geometry.mask_z, DAY)
    apart = torch.stack([implicit_mixing(each, kappa, geometry.thickness, geometry.mask_z, DAY) for each in pair])
    assert torch.equal(together, apart)


@pytest.mark.parametrize("theta", [0.5, 1.0])
def test_gradients_and_tangents_are_those_of_finite_differences(theta):
    geometry = basin(3)
    inputs = [field(1), field(2), 1e-4 * field(3)[:, :1], 1e-4 * random(4, 1, 1, *SHAPE[1:]).exp()]

    def mixed(before, kappa, flux, drag):
        kappa = 1e-2 * (2 + kappa.tanh())
        thickness = geometry.thickness * (1 + 0.1 * torch.tanh(before))
        return implicit_mixing(before, kappa, thickness, geometry.mask_z, 3600.0, flux, drag, theta)

    inputs = [each.requires_grad_() for each in inputs]
    assert torch.autograd.gradcheck(mixed, inputs, fast_mode=True, check_forward_ad=True)


def test_the_adjoint_is_the_transpose():
    geometry, kappa = basin(3), strength(1, 1e-2)

    def mixed(before):
        return implicit_mixing(before, kappa, geometry.thickness, geometry.mask_z, DAY)

    one, other = field(1), field(2)
    forth = (other * mixed(one)).sum()
    (back,) = torch.autograd.grad(mixed(other.requires_grad_()), other, one)
    torch.testing.assert_close((back * other).sum(), (one * mixed(other)).sum(), rtol=1e-13, atol=0)
    (back,) = torch.autograd.grad(mixed(one.requires_grad_()), one, other.detach())
    torch.testing.assert_close((back * one).sum(), forth, rtol=1e-13, atol=0)


def test_land_without_thickness_has_finite_gradients():
    geometry = basin(3)
    thickness, kappa = breathing(geometry, 4).requires_grad_(), strength(1, 1e-2).requires_grad_()
    after = implicit_mixing(field(1) * geometry.mask, kappa, thickness, geometry.mask_z, DAY, bottom_drag=1e-3)
    after.square().sum().backward()
    assert thickness.grad.isfinite().all()
    assert kappa.grad.isfinite().all()


def test_compiled_it_is_one_graph():
    geometry, kappa = basin(3), strength(1, 1e-2)
    compiled = torch.compile(implicit_mixing, fullgraph=True, backend="eager")
    given = field(1), kappa, geometry.thickness, geometry.mask_z, DAY, surface(2, geometry), 1e-4
    torch.testing.assert_close(compiled(*given), implicit_mixing(*given))
