"""Lateral friction: which flows feel none, that it only takes energy, its coasts, and its gradients. In float64."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_coasts import SHAPE, basin, basins, breathing, field, seeds

from oceanx.physics.mixing import on_faces
from oceanx.physics.viscosity import (
    biharmonic_viscosity,
    deformation,
    smagorinsky,
    smagorinsky_biharmonic,
    viscosity,
)
from oceanx.tensors.geometry import Geometry
from oceanx.vocabulary.errors import InputError

few = settings(max_examples=15, deadline=None)
slips = st.sampled_from(["free", "no"])
TERMS = {"harmonic": (viscosity, 1e4), "biharmonic": (biharmonic_viscosity, 1e16)}
both = pytest.mark.parametrize("term", TERMS)


def varied(term, seed):
    """The term, and a coefficient that differs from cell to cell."""
    function, size = TERMS[term]
    return function, size * torch.rand(1, *SHAPE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def flow(geometry, seed):
    return field(seed) * geometry.mask_x, field(seed + 1) * geometry.mask_y


def power(one, force, geometry, thickness=None):
    """What a force per mass does to a flow: ∫ (u F_u + v F_v) dV, term by term."""
    deep = on_faces(geometry.thickness if thickness is None else thickness)
    mass_x = geometry.spacing_x * geometry.length_x * deep.x
    mass_y = geometry.spacing_y * geometry.length_y * deep.y
    return torch.cat((one[0] * force[0] * mass_x, one[1] * force[1] * mass_y))


def plane(lat=6, lon=8, periodic=(True, True), dx=20.0, dy=10.0):
    edges = (step * torch.arange(n + 1, dtype=torch.float64) for step, n in ((dy, lat), (dx, lon)))
    one = torch.ones(1, dtype=torch.float64)
    return Geometry.plane(*edges, one, one, torch.ones(1, lat, lon), periodic, dtype=torch.float64)


@both
@given(basins, seeds, slips, st.booleans())
@few
def test_it_is_self_adjoint_and_takes_energy(term, geometry, seed, slip, breathes):
    function, nu = varied(term, seed)
    thickness = breathing(geometry, seed) if breathes else None
    one, other = flow(geometry, seed + 1), flow(geometry, seed + 3)
    forth = power(one, function(*other, geometry, nu, slip, thickness), geometry, thickness)
    back = power(other, function(*one, geometry, nu, slip, thickness), geometry, thickness)
    assert abs((forth.sum() - back.sum()).item()) <= 1e-11 * forth.abs().sum().item()
    assert power(one, function(*one, geometry, nu, slip, thickness), geometry, thickness).sum().item() <= 0


@given(basins, seeds)
@few
def test_what_it_takes_is_the_stress_times_the_deformation(geometry, seed):
    one, (_, nu) = flow(geometry, seed + 1), varied("harmonic", seed)
    tension, shear = deformation(*one, geometry)
    nu_xy = on_faces(on_faces(nu).x).y
    lost = (nu * tension**2 * geometry.area + nu_xy * shear**2 * geometry.area_xy) * geometry.thickness
    taken = power(one, viscosity(*one, geometry, nu), geometry)
    assert taken.sum().item() == pytest.approx(-lost.sum().item(), rel=1e-12)


@both
def test_the_sea_that_turns_as_a_solid_body_feels_nothing(term):
    geometry, (function, nu) = basin(land=0.0), varied(term, 1)
    u = torch.deg2rad(geometry.latitude).cos()[:, None] * geometry.mask_x[None]
    still = torch.zeros_like(u)
    assert deformation(u, still, geometry).tension.abs().max() < 1e-20
    assert deformation(u, still, geometry).shear.abs().max() < 1e-20  # of 1/R = 1.6e-7 s-1
    noise = function(*flow(geometry, 1), geometry, nu)
    assert function(u, still, geometry, nu).x.abs().max() < 1e-12 * noise.x.abs().max()


@both
@given(seeds)
@few
def test_it_keeps_angular_momentum(term, seed):
    geometry, (function, nu) = basin(land=0.0), varied(term, seed)
    u = torch.deg2rad(geometry.latitude).cos()[:, None] * geometry.mask_x[None]
    torque = power((u, torch.zeros_like(u)), function(*flow(geometry, seed), geometry, nu), geometry)
    assert abs(torque.sum().item()) < 1e-12 * torque.abs().sum().item()


def test_on_a_plane_a_rotation_and_a_uniform_flow_feel_nothing():
    geometry = plane(periodic=(False, False))
    x, y = geometry.longitude[None, :], geometry.latitude[:, None]
    u, v = 3.0 - 0.1 * y + 0 * x, 0.1 * x - 2.0 + 0 * y
    tension, shear = deformation(u[None, None], v[None, None], geometry)
    assert tension[..., 1:-1, 1:-1].abs().max() < 1e-15
    assert shear.abs().max() < 1e-15


def test_on_a_plane_it_is_the_laplacian():
    geometry = plane()
    u, v = (field(seed)[:, :1] for seed in (1, 2))

    def laplacian(f):
        return (f.roll(1, -1) - 2 * f + f.roll(-1, -1)) / 20.0**2 + (f.roll(1, -2) - 2 * f + f.roll(-1, -2)) / 10.0**2

    force = viscosity(u, v, geometry, 7.0)
    torch.testing.assert_close((force.x, force.y), (7 * laplacian(u), 7 * laplacian(v)))
    force = biharmonic_viscosity(u, v, geometry, 7.0)
    torch.testing.assert_close(force.x, -7 * laplacian(laplacian(u)))


@pytest.mark.parametrize(("slip", "wall"), [("free", 0.0), ("no", 2.0)])
def test_a_wall_takes_momentum_only_where_water_may_not_slip(slip, wall):
    """Rows of u = 1, 3, 2 m/s between walls: ν [(u₊ − u) − (u − u₋) − wall · u] / Δy²."""
    geometry = plane(lat=3, lon=4, periodic=(True, False))
    u = torch.tensor([1.0, 3.0, 2.0], dtype=torch.float64)[:, None].expand(1, 1, 3, 4)
    force = viscosity(u, torch.zeros_like(u), geometry, 5.0, slip)
    wanted = [5 * (2 - wall * 1) / 100, 5 * (-2 - 1) / 100, 5 * (1 - wall * 2) / 100]
    assert force.x[0, 0, :, 2].tolist() == pytest.approx(wanted)
    turned = plane(lat=4, lon=3, periodic=(False, True), dx=10.0, dy=20.0)
    force = viscosity(torch.zeros_like(u).mT, u.mT, turned, 5.0, slip)
    assert force.y[0, 0, 2].tolist() == pytest.approx(wanted)


@both
@given(basins, seeds, slips)
@few
def test_closed_faces_stay_at_rest(term, geometry, seed, slip):
    function, nu = TERMS[term]
    force = function(*flow(geometry, seed), geometry, nu, slip)
    assert not (force.x * (1 - geometry.mask_x)).any()
    assert not (force.y * (1 - geometry.mask_y)).any()


def test_a_slip_that_nobody_knows_is_refused():
    with pytest.raises(InputError, match="slip 'none'"):
        viscosity(*flow(basin(), 1), basin(), 1.0, "none")


def test_smagorinsky_follows_the_shear():
    """u = S y: |D| = S, Δ² = 2 Δx² Δy² / (Δx² + Δy²) = 160 m²."""
    geometry = plane(periodic=(True, False))
    u = (0.03 * geometry.latitude)[:, None].expand(1, 1, 6, 8)
    nu = smagorinsky(u, torch.zeros_like(u), geometry, 2.2)
    known = (2.2 / math.pi) ** 2 * 160 * 0.03
    assert nu[..., 1:-1, :].flatten().tolist() == pytest.approx([known] * 32)
    biharmonic = smagorinsky_biharmonic(u, torch.zeros_like(u), geometry, 2.2)
    assert biharmonic[..., 1:-1, :].flatten().tolist() == pytest.approx([known * 20] * 32)


@pytest.mark.filterwarnings("ignore:There is a performance drop")
@pytest.mark.parametrize("slip", ["free", "no"])
@both
def test_gradients_are_those_of_finite_differences(term, slip):
    geometry, (function, size) = basin(3), TERMS[term]
    inputs = [field(seed).requires_grad_() for seed in (1, 2, 3, 4)]

    def force(u, v, nu, thickness):
        nu = size * (2 + nu.tanh())
        return tuple(1e6 * each for each in function(u, v, geometry, nu, slip, 20 + thickness.tanh()))

    assert torch.autograd.gradcheck(force, inputs, fast_mode=True)


def test_the_gradient_of_smagorinsky_is_that_of_finite_differences_and_finite_at_rest():
    geometry = basin(3)
    u, v = (each.requires_grad_() for each in flow(geometry, 1))
    assert torch.autograd.gradcheck(lambda u, v: smagorinsky(u, v, geometry) / 1e4, (u, v), fast_mode=True)
    u, v = (torch.zeros_like(each).requires_grad_() for each in (u, v))
    force = viscosity(u, v, geometry, smagorinsky(u, v, geometry), "no")
    (force.x.sum() + force.y.sum()).backward()
    assert u.grad.isfinite().all()
    assert v.grad.isfinite().all()


@both
def test_land_without_thickness_has_finite_gradients(term):
    geometry, (function, size) = basin(3), TERMS[term]
    thickness = breathing(geometry, 4).requires_grad_()
    force = function(*flow(geometry, 1), geometry, size, "no", thickness)
    (force.x.square().sum() + force.y.square().sum()).backward()
    assert thickness.grad.isfinite().all()


def test_compiled_it_is_one_graph():
    geometry = basin(3)

    def force(u, v):
        return biharmonic_viscosity(u, v, geometry, smagorinsky_biharmonic(u, v, geometry), "no")

    compiled = torch.compile(force, fullgraph=True, backend="eager")
    torch.testing.assert_close(tuple(compiled(*flow(geometry, 1))), tuple(force(*flow(geometry, 1))))


@both
def test_single_precision_goes_in_and_comes_out(term):
    geometry, (function, size) = basin(3), TERMS[term]
    double = function(*flow(geometry, 1), geometry, size, "no")
    single = function(*(each.float() for each in flow(geometry, 1)), geometry.float(), size, "no")
    for one, other in zip(single, double, strict=True):
        assert one.dtype == torch.float32
        assert (one.double() - other).abs().max() <= 1e-4 * other.abs().max()
