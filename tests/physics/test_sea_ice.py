"""Sea ice: bounded whatever the drift, its volume kept, its thickness only raised by ridging. In float64."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx.physics.sea_ice import (
    LONGEST,
    drift_flux,
    ice_rate,
    ice_step,
    ice_thickness,
    ice_transport,
    ice_volume,
    ridged,
)
from oceanx.tensors.geometry import Geometry

SHAPE = (1, 9, 12)
DAY = 86400.0
seeds = st.integers(0, 2**31 - 1)
both = pytest.mark.parametrize("scheme", ["upwind", "limited"])


def random(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def sea(mask=None, levels=1):
    mask = torch.ones(levels, *SHAPE[1:]) if mask is None else mask
    lat, lon = torch.linspace(60.0, 84.0, 10).double(), torch.linspace(0.0, 360.0, 13).double()
    thickness = torch.full((len(mask),), 10.0)
    return Geometry(lat, lon, thickness.cumsum(0), thickness, mask, True, dtype=torch.float64)


def strait():
    """A plane 10 km wide in 1 km cells, walled on all sides."""
    x = torch.linspace(0.0, 10e3, 11).double()
    return Geometry.plane(x[:2], x, torch.ones(1), torch.ones(1), torch.ones(1, 1, 10), dtype=torch.float64)


@st.composite
def packs(draw):
    """A sea with coasts, ice with gaps in it, and a drift that converges and diverges."""
    seed = draw(seeds)
    geometry = sea((random(seed, *SHAPE).sigmoid() > 0.25).double())
    siconc = (2 * random(seed + 1, 1, *SHAPE)).sigmoid() * (random(seed + 2, 1, *SHAPE) > -0.5) * geometry.mask
    sithick = (0.5 + 4 * random(seed + 3, 1, *SHAPE).sigmoid()) * (siconc > 0)
    u, v = 0.5 * random(seed + 4, 1, *SHAPE), 0.5 * random(seed + 5, 1, *SHAPE)
    return geometry, siconc, sithick, drift_flux(u, v, geometry)


def drifted(pack, hours, scheme):
    """Concentration and volume after so many hours, in steps as long as they may be."""
    geometry, siconc, sithick, drift = pack
    steps = math.ceil(hours * 3600.0 * ice_rate(drift, geometry) / LONGEST)
    return ice_step(siconc, ice_volume(siconc, sithick), drift, geometry, hours * 3600.0, steps, scheme)


def amount(geometry, volume):
    return (geometry.area * volume).sum().item()


@both
@given(packs())
@settings(max_examples=10, deadline=None)
def test_bounds_hold_and_volume_is_kept(scheme, pack):
    geometry, siconc, sithick, _ = pack
    after, volume = drifted(pack, 48, scheme)
    assert after.min() >= 0
    assert after.max() <= 1
    assert volume.min() >= 0
    assert amount(geometry, volume) == pytest.approx(amount(geometry, ice_volume(siconc, sithick)), rel=1e-13)
    assert not (after * (1 - geometry.mask)).any()
    assert not (volume * (1 - geometry.mask)).any()


@both
@given(packs())
@settings(max_examples=10, deadline=None)
def test_drift_only_moves_area_and_volume(scheme, pack):
    geometry, siconc, sithick, drift = pack
    for change in ice_transport(siconc, ice_volume(siconc, sithick), drift, geometry, scheme):
        gained = geometry.area * change
        assert gained.sum().abs() <= 1e-14 * gained.abs().sum()
        assert not (change * (1 - geometry.mask)).any()


@both
@given(packs())
@settings(max_examples=10, deadline=None)
def test_ice_of_one_thickness_keeps_it_until_it_ridges(scheme, pack):
    geometry, siconc, _, drift = pack
    siconc = 0.05 * siconc  # so little that nothing piles up
    after, volume = drifted((geometry, siconc, 2.0 * (siconc > 0), drift), 12, scheme)
    thick = ice_thickness(after, volume)
    assert after.max() < 1
    there = after > 1e-4
    assert torch.allclose(thick[there], torch.full_like(thick[there], 2.0), rtol=1e-10)


@both
@given(packs())
@settings(max_examples=10, deadline=None)
def test_thickness_makes_no_new_extremes_until_it_ridges(scheme, pack):
    geometry, siconc, sithick, drift = pack
    siconc = 0.05 * siconc
    after, volume = drifted((geometry, siconc, sithick, drift), 12, scheme)
    thick = ice_thickness(after, volume)
    was, there = sithick[siconc > 0], after > 1e-4
    if there.any():
        assert thick[there].max() <= was.max() + 1e-10
        assert thick[there].min() >= was.min() - 1e-10


def test_converging_ice_closes_up_then_piles_up_into_ridges():
    geometry = strait()
    eastward = drift_flux(torch.full((1, 1, 1, 10), 0.5).double(), torch.zeros(1, 1, 1, 10).double(), geometry)
    siconc, volume = torch.full((1, 1, 1, 10), 0.5).double(), torch.full((1, 1, 1, 10), 1.0).double()
    after, piled = ice_step(siconc, volume, eastward, geometry, DAY, 180)
    assert after[..., -1].item() == 1.0
    assert piled[..., -1].item() > 9.0  # 10 cells with a metre each, most of it against the wall
    assert after[..., :5].max() < 1e-3  # open water behind
    assert amount(geometry, piled) == pytest.approx(amount(geometry, volume), rel=1e-13)


def test_diverging_ice_opens_water_and_stays_as_thick():
    geometry = strait()
    x = torch.linspace(-0.1, 0.1, 10).double().expand(1, 1, 1, 10)
    spread = drift_flux(x, 0 * x, geometry)
    after, volume = ice_step(0 * x + 0.9, 0 * x + 1.8, spread, geometry, 3600.0, 20)
    assert (after[..., 4:6] < 0.9).all()
    assert torch.allclose(volume[..., 2:-2], 2.0 * after[..., 2:-2], rtol=1e-12)


def test_ridging_caps_the_area_and_keeps_the_volume():
    siconc, volume = torch.tensor([0.5, 1.0, 1.25]).double(), torch.tensor([1.0, 2.0, 2.5]).double()
    held, kept = ridged(siconc, volume)
    assert held.tolist() == [0.5, 1.0, 1.0]
    assert kept.tolist() == volume.tolist()
    assert ice_thickness(held, kept).tolist() == [2.0, 2.0, 2.5]
    assert ice_thickness(torch.zeros(1), torch.zeros(1)).item() == 0.0


def test_a_floe_is_carried_as_far_as_it_drifts():
    x = torch.linspace(0.0, 100e3, 101).double()
    geometry = Geometry.plane(
        x[:2], x, torch.ones(1), torch.ones(1), torch.ones(1, 1, 100), (True, False), dtype=torch.float64
    )
    middle = (x[1:] + x[:-1]) / 2
    siconc = torch.exp(-(((middle - 30e3) / 8e3) ** 2)).expand(1, 1, 1, 100)
    drift = drift_flux(torch.full_like(siconc, 0.2), torch.zeros_like(siconc), geometry)
    after, _ = ice_step(siconc, 1.5 * siconc, drift, geometry, DAY, 80)
    centre = (after * middle).sum() / after.sum()
    assert centre.item() == pytest.approx(30e3 + 0.2 * DAY, abs=20.0)  # a fiftieth of a cell


def test_the_edge_of_the_ice_drifts_with_the_ice():
    geometry = sea()
    siconc = torch.zeros(1, *SHAPE).double()
    siconc[..., 4:8] = 0.8
    usi = torch.where(siconc > 0, 0.3, 0.0)
    whole = drift_flux(usi, 0 * usi, geometry, siconc).x / geometry.length_x
    half = drift_flux(usi, 0 * usi, geometry).x / geometry.length_x
    assert torch.allclose(whole[..., 3:8], torch.full_like(whole[..., 3:8], 0.3))
    assert torch.allclose(half[..., [3, 7]], torch.full_like(half[..., [3, 7]], 0.15))
    assert not whole[..., 8:].any()


def test_only_the_surface_of_a_deep_ocean_counts():
    deep, shallow = sea(levels=3), sea()
    siconc, u = random(1, 2, *SHAPE).sigmoid(), random(2, 2, *SHAPE)
    one, other = (
        ice_step(siconc, 2 * siconc, drift_flux(u, u, g), g, 3600.0, 4) for g in (deep, shallow)
    )  # fmt: skip
    assert torch.equal(one[0], other[0])
    assert torch.equal(one[1], other[1])


@both
def test_gradients_are_those_of_finite_differences(scheme):
    geometry = sea((random(3, *SHAPE).sigmoid() > 0.25).double())
    siconc = (0.1 + 0.8 * random(4, 1, *SHAPE).sigmoid()).requires_grad_()
    sithick = (1 + random(5, 1, *SHAPE).sigmoid()).requires_grad_()
    u, v = random(6, 1, *SHAPE).requires_grad_(), random(7, 1, *SHAPE).requires_grad_()

    def step(siconc, sithick, u, v):
        drift = drift_flux(1e5 * u, 1e5 * v, geometry)
        siconc = siconc * geometry.mask
        return ice_step(siconc, ice_volume(siconc, sithick), drift, geometry, 0.05, 1, scheme)

    assert torch.autograd.gradcheck(step, (siconc, sithick, u, v), fast_mode=True)


def test_gradients_are_finite_where_there_is_no_ice():
    geometry = sea()
    siconc = torch.zeros(1, *SHAPE).double()
    siconc[..., 5] = 0.5
    siconc.requires_grad_()
    volume = torch.zeros(1, *SHAPE).double().requires_grad_()
    drift = drift_flux(random(1, 1, *SHAPE), random(2, 1, *SHAPE), geometry)
    sum(field.sum() for field in ice_step(siconc, volume, drift, geometry, 3600.0, 2)).backward()
    assert siconc.grad.isfinite().all()
    assert volume.grad.isfinite().all()
