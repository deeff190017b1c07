"""Geostrophy: a known slope gives a known current, for each of a batch, beside coasts and at the equator."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx.ocean.derived import geostrophic_velocity
from oceanx.physics.geostrophy import (
    BALANCES,
    FIVE_DEGREES,
    balanced,
    cut,
    geostrophic_current,
    surface_current,
    taper,
    thermal_wind,
)
from oceanx.physics.pressure import surface_gradient
from oceanx.tensors.geometry import Geometry
from oceanx.vocabulary.constants import GRAVITY, REFERENCE_DENSITY, ROTATION

F = 1e-4
quick = settings(max_examples=15, deadline=None)
both = pytest.mark.parametrize("balance", BALANCES)


def plane(mask, levels=None, coriolis=F):
    n, m = mask.shape[-2:]
    thickness = torch.full((mask.shape[0],), 50.0) if levels is None else levels
    return Geometry.plane(
        torch.arange(n + 1) * 10e3,
        torch.arange(m + 1) * 10e3,
        thickness.cumsum(0) - thickness / 2,
        thickness,
        mask,
        coriolis=(coriolis, 0.0),
        dtype=torch.float64,
    )


def globe(mask=None, dtype=torch.float64):
    mask = torch.ones(2, 33, 36) if mask is None else mask
    thickness = torch.tensor([10.0, 100.0])
    return Geometry(
        torch.linspace(-82.5, 82.5, 34),
        torch.linspace(0, 360, 37),
        torch.tensor([5.0, 60.0]),
        thickness,
        mask,
        True,
        dtype,
    )


def random(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("batch", [1, 2])
@given(st.floats(-1e-5, 1e-5), st.floats(-1e-5, 1e-5))
@quick
def test_a_known_slope_gives_a_known_current_for_each_of_a_batch(batch, east, north):
    geometry = plane(torch.ones(3, 6, 7))
    slope = east * geometry.longitude + north * geometry.latitude[:, None]
    zos = slope * torch.arange(1, batch + 1)[:, None, None, None]
    for current in (
        surface_current(zos, geometry),
        geostrophic_current(torch.zeros(batch, 3, 6, 7, dtype=torch.float64), zos, geometry),
    ):
        for member in range(batch):
            u, v = current.u[member], current.v[member]
            assert torch.allclose(u, torch.full_like(u, -(member + 1) * GRAVITY / F * north), atol=1e-9)
            assert torch.allclose(v, torch.full_like(v, (member + 1) * GRAVITY / F * east), atol=1e-9)


def test_the_slope_beside_a_coast_is_one_sided_and_land_has_no_say():
    mask = torch.ones(1, 6, 7)
    mask[:, 2:4, 3] = 0
    mask[:, 0, 5], mask[:, 1, 6] = 0, 0  # a bay of one cell, without a neighbour
    geometry = plane(mask)
    zos = (1e-6 * geometry.longitude * torch.ones(6, 1))[None, None]
    for land in (0.0, 50.0):
        v = surface_current(torch.where(mask > 0, zos, land), geometry).v[0]
        has_neighbour = (mask > 0) & (geometry.mask_x + geometry.mask_x.roll(1, -1) > 0)
        assert torch.allclose(v[has_neighbour], torch.tensor(GRAVITY / F * 1e-6, dtype=torch.float64))
        assert not v[~has_neighbour].any()
        assert not v[0, 0, 6]


def test_density_alone_drives_the_thermal_wind():
    levels = torch.tensor([20.0, 40.0, 80.0, 160.0])
    geometry = plane(torch.ones(4, 8, 9), levels)
    south, east = 2e-6, -1e-6  # kg m-3 per m
    anomaly = (south * geometry.latitude[:, None] + east * geometry.longitude).expand(1, 4, 8, 9)
    shear = thermal_wind(anomaly, geometry)
    by_hand = GRAVITY / REFERENCE_DENSITY / F
    assert torch.allclose(shear.u, torch.full_like(shear.u, by_hand * south))
    assert torch.allclose(shear.v, torch.full_like(shear.v, -by_hand * east))
    current = geostrophic_current(anomaly, torch.zeros(1, 1, 8, 9, dtype=torch.float64), geometry)
    height = -(levels.cumsum(0) - levels / 2).double()[:, None, None]
    assert torch.allclose(current.u, shear.u * height, rtol=1e-9)
    assert torch.allclose(current.v, shear.v * height, rtol=1e-9)


def test_what_maps_of_sea_level_have_is_what_the_core_has():
    geometry = globe()
    zos = random(1, 1, 1, 33, 36)
    current = surface_current(zos, geometry, "cut")
    longitude = geometry.longitude.numpy()
    maps = geostrophic_velocity(
        xr.Dataset(
            {"zos": (("latitude", "longitude"), zos[0, 0].numpy(), {"units": "m"})},
            {
                "latitude": ("latitude", geometry.latitude.numpy(), {"units": "degrees_north"}),
                "longitude": ("longitude", longitude, {"units": "degrees_east"}),
            },
        )
    )
    known = np.isfinite(maps.ugos.values)
    assert known.sum() > 800
    assert np.allclose(current.u[0, 0].numpy()[known], maps.ugos.values[known], rtol=1e-9)
    assert np.allclose(current.v[0, 0].numpy()[known], maps.vgos.values[known], rtol=1e-9)
    assert not current.u[0, 0].numpy()[~known].any()


@both
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_equator_is_finite_and_its_gradients_too(balance, dtype):
    geometry = globe(dtype=dtype)
    assert (geometry.latitude == 0).any()
    zos = random(2, 2, 1, 33, 36).to(dtype).requires_grad_()
    current = geostrophic_current(random(3, 2, 2, 33, 36).to(dtype), zos, geometry, balance)
    assert not current.u[..., 16, :].any()
    assert not current.v[..., 16, :].any()
    assert current.u.isfinite().all()
    assert current.v.isfinite().all()
    (current.u.square().sum() + current.v.square().sum()).backward()
    assert zos.grad.isfinite().all()


@given(st.floats(-90, 90))
@quick
def test_the_taper_leaves_all_but_the_equator_alone(latitude):
    f = torch.tensor(2 * ROTATION * math.sin(math.radians(latitude)), dtype=torch.float64)
    tapered = (taper(f, FIVE_DEGREES) * f).item()
    assert 0 <= tapered <= 1
    if abs(latitude) >= 5:
        assert tapered == pytest.approx(1, abs=2e-7)
        assert (cut(f, FIVE_DEGREES) * f).item() == pytest.approx(1, abs=1e-12)
    assert abs(taper(f, FIVE_DEGREES).item()) < 2.0 / FIVE_DEGREES  # nowhere stronger than at 2.5 degrees


def test_north_and_south_of_the_equator_the_same_slope_drives_opposite_currents():
    geometry = globe()
    symmetric = (torch.deg2rad(geometry.latitude).cos()[:, None] * torch.ones(36))[None, None].double()
    u = surface_current(symmetric, geometry).u[0, 0, :, 0]
    assert torch.allclose(u, u.flip(0), rtol=1e-9, atol=1e-12)
    assert (u[geometry.latitude != 0] > 0).all()  # high sea level at the equator: eastward on both sides


def test_gradients_are_those_of_finite_differences():
    mask = torch.ones(2, 4, 5)
    mask[:, 1, 2], mask[1, 3, 3] = 0, 0
    geometry = plane(mask)
    fields = [random(4, 2, 2, 4, 5).requires_grad_(), random(5, 2, 1, 4, 5).requires_grad_()]
    assert torch.autograd.gradcheck(lambda *fields: tuple(geostrophic_current(*fields, geometry)), fields)


def test_compiled_geostrophy_is_the_same(without_type_checks):
    geometry = globe()
    anomaly, zos = random(6, 1, 2, 33, 36), random(7, 1, 1, 33, 36)
    found = torch.compile(geostrophic_current, fullgraph=True, backend="aot_eager")(anomaly, zos, geometry)
    for one, other in zip(found, geostrophic_current(anomaly, zos, geometry), strict=True):
        assert torch.allclose(one, other, rtol=1e-10, atol=1e-12)


def test_the_coriolis_force_of_the_current_withstands_the_push():
    geometry = plane(torch.ones(1, 5, 6))
    push = surface_gradient((1e-6 * (geometry.longitude - 2 * geometry.latitude[:, None]))[None, None], geometry)
    current = balanced(push, geometry)
    assert torch.allclose(
        F * current.v[0, 0, 2, 2] + push.x[0, 0, 2, 2], torch.zeros((), dtype=torch.float64), atol=1e-15
    )
    assert torch.allclose(
        -F * current.u[0, 0, 2, 2] + push.y[0, 0, 2, 2], torch.zeros((), dtype=torch.float64), atol=1e-15
    )
