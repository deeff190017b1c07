"""Density: against the TEOS-10 library over the oceanographic funnel, in single precision, and as a stratification."""

from __future__ import annotations

import csv
from functools import partial

import gsw
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx.physics import teos10
from oceanx.physics.density import EQUATIONS, contraction, expansion, linear, simplified, stratification
from oceanx.tensors.geometry import Geometry
from oceanx.vocabulary.constants import GRAVITY, REFERENCE_DENSITY

every = pytest.mark.parametrize("name", EQUATIONS)
quick = settings(max_examples=15, deadline=None)
water = {"SA": st.floats(0, 42), "CT": st.floats(-2, 33), "pressure": st.floats(0, 8000)}


def tensor(*values):
    fields = tuple(torch.as_tensor(np.asarray(value, dtype=np.float64)) for value in values)
    return fields if len(fields) > 1 else fields[0]


def funnel(n=5000):
    """Absolute salinity, potential and conservative temperature and pressure that the polynomials are fitted to."""
    draw = np.random.default_rng(7)
    SA, CT, pressure = draw.uniform(0, 42, n), draw.uniform(-2, 38, n), draw.uniform(0, 6000, n)
    inside = gsw.infunnel(SA, CT, pressure) > 0
    SA, CT, pressure = SA[inside], CT[inside], pressure[inside]
    return SA, gsw.pt_from_CT(SA, CT), CT, pressure


def columns(levels=5, thickness=None, dtype=torch.float64):
    """Sixteen columns on a plane, of which one is land and one is half as deep."""
    mask = torch.ones(levels, 4, 4)
    mask[:, 1, 1] = 0
    mask[levels // 2 :, 2, 3] = 0
    thickness = torch.linspace(10, 300, levels) if thickness is None else thickness
    edges = torch.arange(5) * 1e4
    return Geometry.plane(edges, edges, thickness.cumsum(0) - thickness / 2, thickness, mask, dtype=dtype)


def fields(geometry, seed=0):
    draw = torch.Generator().manual_seed(seed)
    shape = (2, *geometry.mask.shape)
    thetao, so = (torch.rand(shape, generator=draw, dtype=torch.float64) for _ in range(2))
    return (thetao * 20 * geometry.mask), (30 + 8 * so) * geometry.mask


@given(**water)
@quick
def test_specific_volume_is_that_of_the_library(SA, CT, pressure):
    found = teos10.specific_volume(*tensor(SA, CT, pressure)).item()
    assert found == pytest.approx(gsw.specvol(SA, CT, pressure), rel=1e-14)


@given(**water)
@quick
def test_expansion_and_contraction_are_those_of_the_library(SA, CT, pressure):
    water = [value.requires_grad_() for value in tensor(SA, CT, pressure)]
    volume = teos10.specific_volume(*water)
    by_salt, by_heat, by_pressure = torch.autograd.grad(volume, water)
    assert (by_heat / volume).item() == pytest.approx(gsw.alpha(SA, CT, pressure), rel=1e-10, abs=1e-15)
    assert (-by_salt / volume).item() == pytest.approx(gsw.beta(SA, CT, pressure), rel=1e-10)
    assert (-by_pressure / volume).item() == pytest.approx(gsw.kappa(SA, CT, pressure) * 1e4, rel=1e-10)


@given(st.floats(0, 42), st.floats(-2, 40))
@quick
def test_conservative_temperature_is_that_of_the_library(SA, thetao):
    found = teos10.conservative_temperature(*tensor(thetao, SA / teos10.SALT)).item()
    assert found == pytest.approx(gsw.CT_from_pt(SA, thetao), abs=1e-12)


@given(st.floats(0, 8000), st.floats(-90, 90))
@quick
def test_sea_pressure_is_that_of_the_library(depth, latitude):
    found = teos10.sea_pressure(*tensor(depth, latitude)).item()
    assert found == pytest.approx(gsw.p_from_z(-depth, latitude), abs=1e-6)


def test_casts_of_the_teos10_check_values(real):
    with np.load(real("teos10/gsw_cv_v3_0.npz")) as values:
        check = {name: values[name] for name in values.files}
    SA, CT, p = (check[f"{name}_chck_cast"] for name in ("SA", "CT", "p"))
    wet = np.isfinite(check["rho"])
    found = 1 / teos10.specific_volume(*tensor(SA, CT, p)).numpy()
    assert np.allclose(found[wet], check["rho"][wet], rtol=1e-12, atol=0)
    thetao, so = check["pt_from_t"], check["SP_chck_cast"]
    composed = so * 35.16504 / 35
    theirs = gsw.rho(composed, gsw.CT_from_pt(composed, thetao), p)
    mine = teos10.density_in_situ(*tensor(thetao, so, p)).numpy()
    assert np.allclose(mine[wet], theirs[wet], rtol=1e-13, atol=0)
    neglected = np.abs(mine - check["rho"])[wet].max()  # sea salt of the two ocean casts, and the Baltic's
    assert 1e-3 < neglected < 0.1


def test_what_the_anomaly_of_composition_is_worth():
    latitude, longitude = np.arange(-77.5, 67, 5)[:, None], np.arange(122.5, 380, 5)[None]  # the Black Sea left out
    density = []
    for pressure in (10.0, 1000.0, 4000.0):
        SA = gsw.SA_from_SP(35.0, pressure, longitude, latitude)
        open_sea = np.isfinite(SA) & (SA - 35.16504 < 0.03)
        density.append((gsw.rho(SA, 3.0, pressure) - gsw.rho(35.16504, 3.0, pressure))[open_sea])
    density = np.concatenate(density)
    assert 0.015 < density.max() < 0.022  # as the documentation says: the deep North Pacific
    assert np.median(np.abs(density)) < 0.005


def test_the_boussinesq_density_is_teos10_to_the_accuracy_that_is_published():
    SA, thetao, CT, pressure = funnel()
    warm, salty, deep = tensor(thetao, SA / teos10.SALT, pressure)
    whole = teos10.density_anomaly(warm, salty, deep) + teos10.standard_density(deep)
    # IAPWS-08: the standard itself is uncertain by 4e-6 of density. In the fit a metre of depth is a decibar.
    assert np.abs(whole.numpy() - gsw.rho(SA, CT, pressure)).max() < 4e-6 * 1026
    # "Relative errors of ~0.1 % on the thermal expansion coefficients" (Roquet et al. 2015).
    per_degree = gsw.alpha(SA, CT, pressure) * gsw.rho(SA, CT, pressure) * gsw.CT_first_derivatives(SA, thetao)[1]
    found = expansion(warm, salty, deep).numpy() * REFERENCE_DENSITY
    assert np.sqrt(np.mean((found - per_degree) ** 2)) < 2e-3 * np.sqrt(np.mean(per_degree**2))
    per_unit = (
        gsw.beta(SA, CT, pressure) - gsw.alpha(SA, CT, pressure) * gsw.CT_first_derivatives(SA, thetao)[0]
    ) * gsw.rho(SA, CT, pressure)
    found = contraction(warm, salty, deep).numpy() * REFERENCE_DENSITY / teos10.SALT
    assert np.sqrt(np.mean((found - per_unit) ** 2)) < 2e-3 * np.sqrt(np.mean(per_unit**2))


def test_expanding_about_standard_water_changes_nothing():
    SA, thetao, CT, pressure = funnel(2000)
    warm, salty, deep = tensor(thetao, SA / teos10.SALT, pressure)
    published = teos10._polynomial(
        teos10.DENSITY, ((tensor(SA) + 32) / teos10.UNIT).sqrt(), tensor(CT) / 40, deep / 1e4
    )
    published = published + teos10._series(teos10.DEPTH_ALONE, deep / 1e4)
    mine = teos10.density_anomaly(warm, salty, deep) + teos10.standard_density(deep)
    assert (mine - published).abs().max() < 1e-10


@every
@given(st.floats(0, 8000))
@quick
def test_the_anomaly_of_standard_water_is_nothing_at_any_depth(name, depth):
    assert EQUATIONS[name](*tensor(10.0, 35.0, depth)).item() == 0


@every
def test_single_precision_keeps_a_density_anomaly(name):
    SA, thetao, _, pressure = funnel()
    single = [field.float() for field in tensor(thetao, SA / teos10.SALT, pressure)]
    found = EQUATIONS[name](*single)
    exact = EQUATIONS[name](*(field.double() for field in single))
    assert found.dtype == torch.float32
    assert (found.double() - exact).abs().max() < 2e-5


@pytest.mark.parametrize("equation", ["JMD95", "MDJWF", "UNESCO"])
def test_older_equations_agree_within_what_they_claim(equation, real):
    with open(real("scores/eos_check_values.csv")) as file:
        rows = [row for row in csv.DictReader(file) if row["eos"] == equation]
    assert rows
    for row in rows:
        so, warm, pressure, known = (
            float(row[name]) for name in ("salinity_psu", "temperature_degC", "pressure_dbar", "density_kg_m3")
        )
        thetao = gsw.pt0_from_t(so * teos10.SALT, warm, pressure) if equation == "UNESCO" else warm
        far = pressure > 8000 and (so < 30 or warm > 20)  # no such water is in any ocean
        found = teos10.density_in_situ(*tensor(thetao, so, pressure)).item()
        assert found == pytest.approx(known, abs=0.2 if far else 0.03)


def test_linear_and_simplified_say_what_their_coefficients_mean():
    warm, salty, deep = tensor(12.0, 36.0, 1000.0)
    assert linear(warm, salty, deep, alpha=2e-4, beta=8e-4).item() == pytest.approx(1026 * (8e-4 - 4e-4))
    by_hand = -0.1655 * (1 + 0.5 * 0.05952 * 2 + 0.1497) * 2 + 0.76554 * (1 - 0.5 * 5.4914e-4 - 0.01109) - 2.4341e-3 * 2
    assert simplified(warm, salty, deep).item() == pytest.approx(by_hand, rel=1e-12)


@every
def test_stratification_brings_both_neighbours_to_the_face(name):
    geometry, equation = columns(), EQUATIONS[name]
    thetao, so = fields(geometry)
    found = stratification(thetao, so, geometry, equation)
    k, j, i = 1, 0, 2
    face = geometry.interfaces[k + 1]
    heavier = equation(thetao[:, k + 1, j, i], so[:, k + 1, j, i], face) - equation(
        thetao[:, k, j, i], so[:, k, j, i], face
    )
    distance = (geometry.thickness[k] + geometry.thickness[k + 1]).item() / 2
    assert torch.allclose(found[:, k, j, i], GRAVITY / REFERENCE_DENSITY * heavier / distance, rtol=1e-12)
    assert not found[:, geometry.mask_z == 0].any()
    assert found[:, geometry.mask_z == 1].any()


def test_stratification_is_that_of_the_library():
    geometry = columns(12, torch.linspace(20, 400, 12))
    depth = geometry.interfaces[:-1].numpy() + geometry.thickness.ravel().numpy() / 2
    thetao, so = 2 + 18 * np.exp(-depth / 600), 34.7 + 0.8 * np.exp(-depth / 300)
    everywhere = geometry.mask[None]
    found = stratification(*(tensor(profile)[:, None, None] * everywhere for profile in (thetao, so)), geometry)
    SA = so * 35.16504 / 35
    theirs, _ = gsw.Nsquared(SA, gsw.CT_from_pt(SA, thetao), depth, lat=45)
    # ρ₀ for the density in situ and decibars for metres, which is up to 2 % at 2500 m, and g that varies.
    assert np.allclose(found[0, :-1, 0, 0].numpy(), theirs, rtol=0.025)


def test_stirred_water_is_neutral_at_any_depth_and_cold_over_warm_overturns():
    geometry = columns()
    same = torch.ones(1, *geometry.mask.shape, dtype=torch.float64) * geometry.mask
    assert not stratification(3.0 * same, 34.5 * same, geometry)[:, geometry.mask_z == 1].any()
    sinking = stratification((2 + geometry.interfaces[:-1, None, None] / 100) * same, 35 * same, geometry)
    assert (sinking[:, geometry.mask_z == 1] < 0).all()


@every
def test_gradients_are_those_of_finite_differences(name):
    geometry = columns(3)
    depth = (geometry.interfaces[1:] / 2)[:, None, None]
    thetao, so = fields(geometry, seed=3)
    at = [(field[:1, :, 1:3, 1:3]).clone().requires_grad_() for field in (thetao * 0 + 8, so * 0 + 34)]
    assert torch.autograd.gradcheck(lambda *water: EQUATIONS[name](*water, depth), at)
    assert torch.autograd.gradcheck(lambda *water: expansion(*water, depth, EQUATIONS[name]) * 1e4, at)
    whole = [field.requires_grad_() for field in fields(geometry, seed=4)]
    stratification(*whole, geometry, EQUATIONS[name]).sum().backward()
    assert all(field.grad.isfinite().all() for field in whole)  # land, at 0 °C and no salt, included


def test_coefficients_can_be_learnt():
    alpha = torch.tensor(2e-4, dtype=torch.float64, requires_grad=True)
    geometry = columns()
    stratification(*fields(geometry), geometry, partial(linear, alpha=alpha)).sum().backward()
    assert alpha.grad.isfinite()
    assert alpha.grad != 0


def test_compiled_density_is_the_same(without_type_checks):
    geometry = columns(4)
    thetao, so = fields(geometry)
    depth = (geometry.interfaces[1:] / 2)[:, None, None]

    def both(thetao, so):
        return (
            EQUATIONS["teos10"](thetao, so, depth),
            stratification(thetao, so, geometry, simplified),
            expansion(thetao, so, depth, simplified),
        )

    for found, expected in zip(
        torch.compile(both, fullgraph=True, backend="eager")(thetao, so), both(thetao, so), strict=True
    ):
        assert torch.allclose(found, expected, rtol=1e-11, atol=1e-15)
