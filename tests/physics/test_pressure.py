"""Pressure: hydrostatic columns, water at rest over any floor, sloping surfaces, gradients."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx.physics.density import teos10
from oceanx.physics.pressure import hydrostatic, pressure_gradient, surface_gradient
from oceanx.tensors.geometry import Geometry
from oceanx.vocabulary.constants import EARTH_RADIUS, GRAVITY, REFERENCE_DENSITY

seeds = st.integers(0, 2**31 - 1)
quick = settings(max_examples=15, deadline=None)
PUSH = GRAVITY / REFERENCE_DENSITY


def random(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def rough(seed, levels=6, periodic=True, dtype=torch.float64):
    """The globe with random land and a random floor of whole cells."""
    deep = (random(seed, 7, 9).sigmoid() * (levels + 3)).floor().clamp(max=levels)
    mask = (torch.arange(levels)[:, None, None] < deep).double()
    thickness = torch.linspace(10, 900, levels)
    return Geometry(
        torch.linspace(-60, 60, 8),
        torch.linspace(0, 360, 10),
        thickness.cumsum(0) - thickness / 2,
        thickness,
        mask,
        periodic,
        dtype,
    )


def flat(geometry, batch=1):
    return torch.zeros(batch, 1, *geometry.area.shape, dtype=geometry.area.dtype)


@given(seeds, st.sampled_from([torch.float32, torch.float64]), st.booleans())
@quick
def test_water_at_rest_stays_at_rest_over_any_floor(seed, dtype, periodic):
    geometry = rough(seed, periodic=periodic, dtype=dtype)
    profile = random(seed + 1, 6).to(dtype)[:, None, None]
    rest = torch.where(geometry.mask > 0, profile, -26.0).expand(2, -1, -1, -1)  # land is fresh and at 0 °C
    push = pressure_gradient(rest, flat(geometry, 2), geometry)
    assert not push.x.any()
    assert not push.y.any()


@given(seeds)
@quick
def test_nothing_pushes_on_closed_faces(seed):
    geometry = rough(seed, periodic=False)
    zos = random(seed + 1, 2, 1, 7, 9) * geometry.surface
    baroclinic = pressure_gradient(random(seed + 2, 2, 6, 7, 9), zos, geometry)
    surface = surface_gradient(zos, geometry)
    assert not (baroclinic.x * (1 - geometry.mask_x)).any()
    assert not (baroclinic.y * (1 - geometry.mask_y)).any()
    assert not (surface.x * (1 - geometry.mask_x[:1])).any()
    assert not (surface.y * (1 - geometry.mask_y[:1])).any()
    assert surface.x.shape == (2, 1, 7, 9)


@given(seeds)
@quick
def test_land_has_no_say(seed):
    geometry = rough(seed)
    anomaly, zos = random(seed + 1, 1, 6, 7, 9), random(seed + 2, 1, 1, 7, 9)
    known = pressure_gradient(anomaly * geometry.mask, zos * geometry.surface, geometry)
    other = pressure_gradient(
        torch.where(geometry.mask > 0, anomaly, 99.0), torch.where(geometry.surface > 0, zos, 7.0), geometry
    )
    assert torch.equal(known.x, other.x)
    assert torch.equal(known.y, other.y)


@given(seeds)
@quick
def test_heavier_water_everywhere_weighs_on_the_slope_of_the_surface_alone(seed):
    # Of uniform density ρ', pressure at a depth is g ρ' (η − z): levels tilt, and their correction takes that out.
    geometry = rough(seed)
    zos = random(seed, 1, 1, 7, 9) * geometry.surface
    anomaly = torch.full((1, 6, 7, 9), 2.0, dtype=torch.float64)
    push, surface = pressure_gradient(anomaly, zos, geometry), surface_gradient(zos, geometry)
    for baroclinic, barotropic, mask in ((push.x, surface.x, geometry.mask_x), (push.y, surface.y, geometry.mask_y)):
        expected = 2.0 / REFERENCE_DENSITY * barotropic * mask
        assert torch.allclose(baroclinic, expected, rtol=0, atol=1e-12 * GRAVITY)


def test_pressure_of_uniform_and_of_layered_water_by_hand():
    thickness = torch.tensor([10.0, 30.0, 60.0], dtype=torch.float64)[:, None, None]
    layered = torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64)[None, :, None, None]
    assert torch.allclose(
        hydrostatic(torch.ones_like(layered), thickness).ravel(), PUSH * torch.tensor([5.0, 25, 70]).double()
    )
    by_hand = PUSH * torch.tensor([5.0, 5 + 1.5 * 20, 5 + 1.5 * 20 + 3 * 45]).double()
    assert torch.allclose(hydrostatic(layered, thickness).ravel(), by_hand)


def test_surface_gradient_on_the_sphere():
    nlat, nlon = 60, 90
    ten = torch.tensor([10.0])
    edges = torch.linspace(-60, 60, nlat + 1), torch.linspace(0, 360, nlon + 1)
    geometry = Geometry(*edges, ten / 2, ten, torch.ones(1, nlat, nlon), True, torch.float64)
    phi, lam = torch.deg2rad(geometry.latitude)[:, None], torch.deg2rad(geometry.longitude)
    push = surface_gradient((phi.cos() * lam.sin())[None, None], geometry)
    eastward = -GRAVITY / EARTH_RADIUS * torch.cos(lam + torch.pi / nlon).expand(nlat, nlon)
    assert torch.allclose(push.x[0, 0], eastward, atol=1e-3 * GRAVITY / EARTH_RADIUS)  # (2π/90)²/24 = 2e-4
    northward = GRAVITY / EARTH_RADIUS * torch.sin(phi + torch.pi / 180) * lam.sin()
    assert torch.allclose(push.y[0, 0, :-1], northward[:-1], atol=1e-3 * GRAVITY / EARTH_RADIUS)


def test_single_precision_leaves_a_current_of_hundredths_of_a_millimetre():
    geometry = rough(5)
    depth = (geometry.interfaces[1:] + geometry.interfaces[:-1])[:, None, None] / 2
    thetao = 4 + 15 * torch.exp(-depth / 700) + random(6, 1, 6, 7, 9)
    anomaly, zos = teos10(thetao, 35 + 0.1 * random(7, 1, 6, 7, 9), depth), 0.5 * random(8, 1, 1, 7, 9)
    exact = pressure_gradient(anomaly, zos, geometry)
    single = pressure_gradient(anomaly.float(), zos.float(), rough(5, dtype=torch.float32))
    for found, known in zip(single, exact, strict=True):
        assert found.dtype == torch.float32
        # Pressure reaches 100 m2 s-2, of which a digit is 1e-5: over the 1600 km of a cell here, and f = 1e-4.
        assert (found.double() - known).abs().max() < 1e-4 * 1e-5


def test_gradients_are_those_of_finite_differences():
    geometry = rough(9)
    anomaly, zos = random(1, 1, 6, 7, 9).requires_grad_(), random(2, 1, 1, 7, 9).requires_grad_()

    def push(anomaly, zos):
        return [face * 1e6 for face in (*pressure_gradient(anomaly, zos, geometry), *surface_gradient(zos, geometry))]

    assert torch.autograd.gradcheck(push, (anomaly, zos), fast_mode=True)
    sum(face.sum() for face in push(anomaly, zos)).backward()
    assert anomaly.grad.isfinite().all()
    assert zos.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_compiled_pressure_is_the_same(dtype, without_type_checks):
    geometry = rough(2, dtype=dtype)
    anomaly, zos = random(1, 1, 6, 7, 9).to(dtype), random(2, 1, 1, 7, 9).to(dtype)
    found = torch.compile(pressure_gradient, fullgraph=True, backend="aot_eager")(anomaly, zos, geometry)
    expected = pressure_gradient(anomaly, zos, geometry)
    tight = 1e-5 if dtype == torch.float32 else 1e-12
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other, rtol=tight, atol=tight * other.abs().max().item())
