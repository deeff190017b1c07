"""The bulk formulae against published coefficients, closed forms, and an independent solution of the profiles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from oceanx.ocean import bulk

KAPPA, G = 0.4, 9.80665
winds = st.floats(0.5, 50.0)


@pytest.mark.parametrize(
    ("wind", "drag"),
    # Large and Yeager (2009), equation 11, worked out by hand.
    [(1.0, 2.9184e-3), (5.0, 1.06396e-3), (10.0, 1.17562e-3), (20.0, 1.78472e-3), (33.0, 2.34e-3), (60.0, 2.34e-3)],
)
def test_neutral_drag_is_the_published_curve(wind, drag):
    assert bulk.neutral_drag(wind) == pytest.approx(drag, rel=2e-5)


def test_neutral_drag_does_not_jump_where_the_curve_ends():
    assert bulk.neutral_drag(33 - 1e-9) == pytest.approx(2.34e-3, rel=1e-3)


@given(winds)
def test_heat_and_moisture_follow_the_root_of_drag(wind):
    drag = bulk.neutral_drag(wind)
    assert bulk.neutral_heat(drag, True) == pytest.approx(0.018 * drag**0.5)
    assert bulk.neutral_heat(drag, False) == pytest.approx(0.0327 * drag**0.5)
    assert bulk.neutral_moisture(drag) == pytest.approx(0.0346 * drag**0.5)


def test_saturation_is_that_of_water():
    assert bulk.vapour_pressure(273.16) == pytest.approx(611.21)  # the triple point
    # Goff and Gratch's values as tabulated (Smithsonian): 20 and 30 °C.
    assert bulk.vapour_pressure(293.15) == pytest.approx(2337.3, rel=2e-3)
    assert bulk.vapour_pressure(303.15) == pytest.approx(4243.0, rel=2e-3)
    assert bulk.specific_humidity(0.0, 1e5) == 0.0
    # All vapour: q = 1 where e = p.
    assert bulk.specific_humidity(1e5, 1e5) == pytest.approx(1.0)


def test_heat_of_vaporisation_is_that_of_the_tables():
    assert bulk.vaporisation_heat(273.15) == pytest.approx(2.501e6)
    assert bulk.vaporisation_heat(293.15) == pytest.approx(2.4535e6, rel=1e-3)  # CRC Handbook


@given(st.floats(-10, 10))
def test_stability_functions_are_the_integrals_of_the_gradient_functions(zeta):
    """ψ(ζ) = ∫ (1 − φ) / ζ dζ with φ = 1 + 5ζ, (1 − 16ζ)^−¼ for wind and (1 − 16ζ)^−½ for scalars."""
    s = np.linspace(0, 1, 20001)[1:] - 2.5e-5
    z = s * zeta
    # The substitution ζ = s ζ_end makes the integrand finite at 0.
    wind = 1 + 5 * z if zeta >= 0 else (1 - 16 * z) ** -0.25
    scalar = 1 + 5 * z if zeta >= 0 else (1 - 16 * z) ** -0.5
    assert bulk.psi_momentum(zeta) == pytest.approx(np.sum((1 - wind) / s) * 5e-5, abs=2e-4)
    assert bulk.psi_scalar(zeta) == pytest.approx(np.sum((1 - scalar) / s) * 5e-5, abs=2e-4)


def fluxes(u=8.0, v=0.0, air=290.0, dew=285.0, msl=101325.0, sea=290.0, iterations=5):
    return bulk.turbulent(*(np.array([float(x)]) for x in (u, v, air, dew, msl, sea)), iterations)[:, 0]


@settings(max_examples=60, deadline=None)
@given(
    st.floats(8.0, 30.0),
    # Next to neutral C_H jumps between its two values and nothing settles; dry air is light as warm air is.
    st.tuples(st.floats(-8.0, -1.0), st.floats(0.5, 8.0)) | st.tuples(st.floats(3.0, 5.0), st.floats(0.2, 1.0)),
    st.floats(275.0, 303.0),
)
def test_coefficients_satisfy_the_profiles_of_similarity_theory(wind, air_less_sea, sea):
    """At convergence, u*, θ*, q* make the logarithmic profiles with stability fit wind, air and sea at once."""
    warmer, drier = air_less_sea
    air, q_sea = sea + warmer, 0.98 * bulk.specific_humidity(bulk.vapour_pressure(sea), 101325.0)
    q = max(q_sea - 1e-3 * drier, 1e-4)
    drag, heat, damp, aloft, moist = bulk.coefficients(wind, air, q, sea, q_sea, 400)
    u_star = np.sqrt(drag) * wind
    t_star, q_star = heat * wind * (aloft - sea) / u_star, damp * wind * (moist - q_sea) / u_star
    virtual = aloft * (1 + 0.608 * moist)
    inverse = KAPPA * G / u_star**2 * (t_star / virtual + q_star / (moist + 1 / 0.608))  # 1/L
    psi, scalar = bulk.psi_momentum(10 * inverse), bulk.psi_scalar(10 * inverse)

    # Wind: the neutral wind is the root of U_N + u*/κ (ln 10/10 − ψ) = U, where u* = √C_DN(U_N) U_N.
    def misfit(neutral):
        return neutral * (1 - np.sqrt(bulk.neutral_drag(neutral)) / KAPPA * psi) - wind

    neutral = brentq(misfit, 0.5, 60.0)
    assert u_star == pytest.approx(np.sqrt(bulk.neutral_drag(neutral)) * neutral, rel=1e-5)
    root = np.sqrt(bulk.neutral_drag(neutral))
    for star, change, coefficient in (
        (t_star, aloft - sea, (18.0 if inverse > 0 else 32.7) * 1e-3),
        (q_star, moist - q_sea, 34.6e-3),
    ):
        # Δ = Δ_N-profile: star · (√C_DN / C_N − ψ_h / κ), C_N = coefficient · √C_DN.
        assert change == pytest.approx(star * (root / (coefficient * root) - scalar / KAPPA), rel=1e-4, abs=1e-9)
    # From 2 m to 10 m along the same profile.
    lift = (np.log(2 / 10) + scalar - bulk.psi_scalar(2 * inverse)) / KAPPA
    assert aloft == pytest.approx(air - t_star * lift, abs=1e-6)
    assert moist == pytest.approx(q - q_star * lift, abs=1e-9)


def test_neutral_air_gives_the_neutral_stress():
    """Air whose virtual temperature gradient vanishes: τ = ρ C_DN U², whatever the iterations."""
    sea, msl, wind = 290.0, 101325.0, 9.0
    q_sea = bulk.specific_humidity(0.98 * bulk.vapour_pressure(sea), msl)
    # Saturated air just as warm as the sea: neither heat nor moisture moves.
    dew = brentq(lambda t: bulk.specific_humidity(bulk.vapour_pressure(t), msl) - q_sea, 250, 300)
    air = sea - 0.0098 * 2
    east, north, sensible, latent, evaporation = fluxes(wind, 0.0, air, dew, msl, sea)
    density = msl / (287.04 * air * (1 + 0.608 * q_sea))
    assert east == pytest.approx(density * bulk.neutral_drag(wind) * wind**2, rel=1e-9)
    assert north == 0
    np.testing.assert_allclose([sensible, latent, evaporation], 0.0, atol=1e-8)
    stress = bulk.neutral_stress(np.array([wind]), np.array([0.0]), density)
    np.testing.assert_allclose(stress[:, 0], [east, 0.0], rtol=1e-9)


def test_signs_are_downward_into_the_sea():
    _, _, sensible, latent, evaporation = fluxes(air=285.0, dew=280.0, sea=290.0)
    assert sensible < 0  # cold air cools
    assert latent < 0  # dry air cools
    assert evaporation > 0
    _, _, sensible, latent, evaporation = fluxes(air=295.0, dew=294.5, sea=285.0)  # warm moist air: dew falls
    assert sensible > 0
    assert latent > 0
    assert evaporation < 0


@settings(max_examples=60, deadline=None)
@given(st.floats(0, 2 * np.pi), st.floats(0.0, 30.0), st.floats(-5, 5))
def test_stress_lies_along_the_wind_and_turning_the_wind_turns_only_it(angle, wind, warmer):
    still = fluxes(wind, 0.0, air=290 + warmer)
    turned = fluxes(wind * np.cos(angle), wind * np.sin(angle), air=290 + warmer)
    np.testing.assert_allclose(turned[:2], still[0] * np.array([np.cos(angle), np.sin(angle)]), atol=1e-12)
    np.testing.assert_allclose(turned[2:], still[2:], rtol=1e-9)


def test_calm_air_has_no_stress_but_gusts_carry_heat():
    east, north, sensible, latent, _ = fluxes(0.0, 0.0, air=285.0, dew=280.0)
    assert east == north == 0
    assert sensible < 0
    assert latent < 0
    np.testing.assert_array_equal(fluxes(0.4, 0.0)[2:], fluxes(0.0, 0.0)[2:])


@given(st.floats(4.0, 25.0), st.floats(-6.0, 2.0))
@settings(max_examples=40, deadline=None)
def test_colder_air_drags_and_cools_more(wind, warmer):
    colder, warm = (fluxes(wind, air=290 + t, dew=280.0, iterations=100) for t in (warmer - 1, warmer))
    assert colder[0] > warm[0] * 0.999
    assert colder[2] < warm[2]


def test_five_rounds_are_converged_over_a_warmer_sea():
    """Next to neutral C_H jumps between its stable and its unstable value, and nothing converges."""
    rng = np.random.default_rng(2)
    n = 2000
    sea = rng.uniform(273, 303, n)
    air = sea + rng.uniform(-6, -1, n)
    weather = (rng.uniform(3, 20, n), rng.uniform(-5, 5, n), air, air - rng.uniform(1, 8, n), np.full(n, 1.01e5), sea)
    few, many = bulk.turbulent(*weather), bulk.turbulent(*weather, iterations=300)
    for short, long in zip(few, many, strict=True):
        assert np.abs(short - long).max() < 1e-3 * np.abs(long).max()


def test_whatever_is_missing_makes_the_fluxes_missing_there_only():
    fields = [np.full((2, 3), x) for x in (8.0, 1.0, 288.0, 284.0, 101000.0, 290.0)]
    whole = bulk.turbulent(*fields)
    for i, field in enumerate(fields):
        field[i // 3, i % 3] = np.nan
    assert np.isnan(bulk.turbulent(*fields)).all()
    fields[0][:] = 8.0
    found = bulk.turbulent(*fields)
    assert np.isfinite(found[:, 0, 0]).all()
    np.testing.assert_array_equal(found[:, 0, 0], whole[:, 0, 0])
    assert found.shape == (5, 2, 3)


def test_a_wind_known_by_half_is_not_known():
    half = bulk.neutral_stress(np.array([np.nan, 5.0, 5.0]), np.array([5.0, np.nan, 5.0]), 1.2)
    assert np.isnan(half[:, :2]).all()
    assert np.isfinite(half[:, 2]).all()


def test_single_precision_input_is_calculated_in_double():
    fields = [np.array([x]) for x in (8.0, 1.0, 288.0, 284.0, 101000.0, 290.0)]
    np.testing.assert_array_equal(bulk.turbulent(*(f.astype("f4") for f in fields)), bulk.turbulent(*fields))


def test_longwave_is_stefan_boltzmanns():
    # A black sea at 288.15 K emits 390.9 W m-2 (σ T⁴ with the CODATA value of σ).
    assert bulk.net_longwave(np.array([0.0]), np.array([288.15]))[0] == pytest.approx(-5.670374419e-8 * 288.15**4)
    assert bulk.net_longwave(np.array([0.0]), np.array([288.15]))[0] == pytest.approx(-390.9, abs=0.05)
    assert bulk.net_longwave(np.array([300.0]), np.array([288.15]), 0.97)[0] == pytest.approx(
        0.97 * (300 - 390.92), abs=0.05
    )
