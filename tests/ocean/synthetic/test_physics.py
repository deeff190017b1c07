"""Modes, weather, noise, layer and tracers, each against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx.ocean.synthetic import layer, modes, smooth, tracers, weather
from oceanx.vocabulary.constants import EARTH_RADIUS, GRAVITY, ROTATION

F32 = np.float32


def test_mode_speeds_are_observed_ones_and_near_the_wkb_limit():
    """c_n → ∫N dz / (nπ); Chelton et al. (1998, doi:10.1175/1520-0485(1998)028<0433:GVOTFB>2.0.CO;2) map 2-3 m/s."""
    found = modes.solve(2)
    z = np.linspace(0, modes.BOTTOM, 4001)
    n = np.sqrt(-GRAVITY * modes.EXPANSION * np.gradient(modes.temperature(z), z))
    wkb = np.trapezoid(n, z) / np.pi
    assert 2.0 < found.speed[0] < 3.2
    assert found.speed[0] == pytest.approx(wkb, rel=0.2)
    assert found.speed[1] == pytest.approx(wkb / 2, rel=0.2)


def test_mode_n_changes_sign_n_times_and_modes_are_orthogonal():
    found = modes.solve(2)
    assert [(np.diff(np.sign(row)) != 0).sum() for row in found.shape] == [1, 2]
    assert (found.shape[:, 0] == 1).all()
    product = found.shape @ found.shape.T
    assert abs(product[0, 1]) < 1e-8 * product[0, 0]


def test_sunshine_at_the_equinox_is_the_solar_constant_over_pi_times_cos_latitude():
    lat = np.array([-60.0, 0.0, 45.0])
    np.testing.assert_allclose(weather.insolation(80, lat), weather.SOLAR / np.pi * np.cos(np.radians(lat)), rtol=1e-6)
    assert weather.insolation(80 + 275, np.array([85.0])) == 0  # polar night


def test_weather_slopes_are_the_slopes_of_its_fields():
    lat, lon = np.linspace(30, 40, 201), np.linspace(0, 10, 201)
    w = weather.Weather.on(lat, lon)
    spectrum = w.start(np.random.default_rng(3))[0, 0]
    field = w._synthesis(spectrum, w.sines)
    east = w._synthesis(spectrum * (1j * np.arange(2, 17)[:, None]), w.sines)
    north = w._synthesis(spectrum, w.slopes)
    np.testing.assert_allclose(np.gradient(field, np.radians(lon), axis=1)[:, 1:-1], east[:, 1:-1], atol=0.05)
    np.testing.assert_allclose(np.gradient(field, np.radians(lat), axis=0)[1:-1], north[1:-1], atol=0.05)


def test_weather_is_periodic_in_longitude():
    w = weather.Weather.on(np.array([10.0, 50.0]), np.array([-180.0, 180.0]))
    _, fields = w.day(w.start(np.random.default_rng(1)), 20000, np.random.default_rng(2))
    for name, field in fields.items():
        np.testing.assert_allclose(field[..., 0], field[..., 1], atol=2 * weather.ROUNDING[name], err_msg=name)


def test_weather_has_the_spread_and_memory_of_midlatitude_weather():
    """Daily means over two years, about their season: winds 3-5.5 m/s, pressure 3-8 hPa, a memory of two days."""
    w = weather.Weather.on(np.arange(25.0, 55, 5), np.arange(-80.0, -30, 10))
    c, days = w.start(np.random.default_rng(5)), []
    for day in range(18000, 18000 + 731):
        c, fields = w.day(c, day, np.random.default_rng([5, day]))
        days.append({name: field.mean(axis=0) for name, field in fields.items()})
    t = 2 * np.pi * np.arange(len(days)) / weather.YEAR
    fit = np.stack([np.ones_like(t), np.cos(t), np.sin(t), np.cos(2 * t), np.sin(2 * t)], axis=1)
    for name, low, high in (("u10", 3, 5.5), ("v10", 3, 5.5), ("t2m", 1.5, 3), ("msl", 300, 800), ("ssr", 25, 60)):
        x = np.stack([day[name] for day in days]).reshape(len(days), -1).astype(float)
        x -= fit @ np.linalg.lstsq(fit, x, rcond=None)[0]
        assert low < x.std() < high, name
        memory = [(x[lag:] * x[:-lag]).mean() / (x**2).mean() for lag in (1, 3)]
        assert memory[0] > 0.65, name
        assert memory[1] < 0.5, name


def test_noise_has_unit_variance_and_its_seed_decides_it(model):
    noise = smooth.Noise(model.grid, [(1.0, 150e3), (-0.7, 300e3)])
    draws = np.stack([noise(np.random.default_rng(k)) for k in range(400)])
    assert draws[:, 12:-12, 12:-12].std() == pytest.approx(1, abs=0.05)
    assert (noise(np.random.default_rng(7)) == draws[7]).all()


def test_a_masked_mean_of_a_constant_is_the_constant(model):
    field = np.full(model.grid.wet.shape, F32(3.5))
    result = smooth.Masked(model.grid, 160e3, model.grid.wet.astype(float))(field)
    np.testing.assert_allclose(result[model.grid.wet], 3.5, rtol=1e-4)
    assert (result[~model.grid.wet] == 0).all()


def advance(model, now, *, days, wind=0.0, **changes):
    """`days` of the model's own layer with chosen constants."""
    d = model.dynamics
    numbers = d.numbers.copy()
    for place, value in changes.items():
        numbers[{"restore": 3, "drag": 4}[place]] = value
    old, still = np.zeros((2, *now.shape), F32), np.zeros(now.shape[1:], F32)
    tau = np.full((2, *now.shape[1:]), F32(wind))
    for _ in range(days * 4):
        layer.advance(now, old, still, still, tau, d.steady, d.masks, d.metric, numbers, d.steps, model.grid.periodic)
    return now


def test_rest_is_steady_under_the_prescribed_flow(model):
    """u = 0, h = H solves the equations whatever u_b: after ten days all that moves is round-off."""
    assert np.abs(model.flow.ub).max() > 0.1
    now = advance(model, np.zeros((3, *model.grid.fwet.shape), F32), days=10)
    assert np.abs(now[0]).max() * model.dynamics.to_sea_level < 1e-4
    assert np.abs(now[1:]).max() < 1e-4


def test_nothing_flows_through_a_coast_and_volume_is_kept(model, spun_up):
    east, north = model.grid.open_faces
    now = advance(model, spun_up["now"].copy(), days=5, wind=0.1, restore=0.0)
    assert (now[1][~east] == 0).all()
    assert (now[2][~north] == 0).all()
    assert (model.flow.ub[~east] == 0).all()
    assert (model.flow.vb[~north] == 0).all()
    area = 1 / model.dynamics.metric[3].astype(float)[:, None] * model.grid.fwet
    before, after = ((state[0].astype(float) * area).sum() / area.sum() for state in (spun_up["now"], now))
    assert after == pytest.approx(before, abs=2e-3)  # m, of a layer of 500 m
    assert np.abs(now[0] - spun_up["now"][0]).max() > 1  # it did move


def rossby_channel(south=25.0, north=41.0, step=0.5, columns=48):
    """A channel around nothing: closed at north and south, periodic in x over `columns` cells."""
    lat = south + step * (np.arange(round((north - south) / step) + 2) - 0.5)
    ny, nx = lat.size, columns + 2
    dx, dxv = (np.cos(np.radians(a)) * np.radians(step) * EARTH_RADIUS for a in (lat, lat + step / 2))
    dy = np.radians(step) * EARTH_RADIUS
    f = 2 * ROTATION * np.sin(np.radians(lat + step / 2))
    wet = np.ones((ny, nx))
    wet[[0, -1]] = 0
    north_open = np.zeros((ny, nx))
    north_open[:-1] = wet[:-1] * wet[1:]
    around = np.full((ny, nx), 0.25)
    around[[0, -2]] = 0.5
    masks = np.stack([wet, north_open, north_open, around, wet]).astype(F32)
    area = dy * (dxv + np.roll(dxv, 1)) / 2
    return lat, np.stack([dx, dxv, f, 1 / area]).astype(F32), masks, dy


def test_long_rossby_waves_go_west_at_the_speed_of_their_dispersion_relation():
    """c = −β / (k² + l² + f²/c₁²), Rossby (1939); here for one small wave across a channel."""
    lat, metric, masks, dy = rossby_channel()
    speed, rest = float(modes.solve().speed[0]), 500.0
    ny, nx = masks.shape[1:]
    x = 2 * np.pi * (np.arange(nx) - 1) / (nx - 2)
    across = np.cos(np.pi * (lat - lat.mean()) / (lat[-2] - lat[1] + lat[1] - lat[0]))[:, None]
    h = (0.5 * across * np.cos(x) * masks[4]).astype(F32)
    gp = speed**2 / rest
    f = 2 * ROTATION * np.sin(np.radians(lat))[:, None]
    now = np.zeros((3, ny, nx), F32)
    now[0] = h
    hn = 0.5 * (h + np.roll(h, -1, 1))
    now[1] = -gp / f * np.gradient(hn, dy, axis=0)
    hv = 0.5 * (h + np.roll(h, -1, 0))
    now[2, :, 1:-1] = gp / f * (hv[:, 2:] - hv[:, :-2])[:, :] / (2 * metric[0][:, None])
    now[1] *= masks[0]
    now[2] *= masks[1]
    for field in now:
        layer.wrap(field)
    steps = 4
    numbers = np.array([21600 / steps, rest, gp, 0, 0, 0, dy, 0.5, 1, 23 / 12, 16 / 12, 5 / 12], F32)
    old, still = np.zeros((2, 3, ny, nx), F32), np.zeros((ny, nx), F32)
    flow, tau = np.zeros((6, ny, nx), F32), np.zeros((2, ny, nx), F32)
    phases, middle = [], ny // 2
    for day in range(60):
        for _ in range(4):
            mean = layer.advance(now, old, still, still, tau, flow, masks, metric, numbers, steps, True)
        if day >= 10:
            phases.append(np.angle(np.fft.fft(mean[0, middle, 1:-1])[1]))
    turned = np.polyfit(np.arange(len(phases)) * 86400.0, np.unwrap(phases), 1)[0]  # h ~ cos(kx + turned t)
    k = 2 * np.pi / ((nx - 2) * metric[0, middle])
    width = (ny - 2) * dy
    f0, beta = f[middle, 0], 2 * ROTATION * np.cos(np.radians(lat[middle])) / EARTH_RADIUS
    theory = -beta / (k**2 + (np.pi / width) ** 2 + f0**2 / speed**2)
    assert theory < 0
    assert -turned / k == pytest.approx(theory, rel=0.1)


@given(st.integers(0, 2**32 - 1), st.booleans(), st.floats(-5, 40))
@settings(max_examples=15, deadline=None)
def test_a_constant_tracer_stays_that_constant_to_the_last_bit(seed, periodic, value):
    ny, nx = 14, 20
    rng = np.random.default_rng(seed)
    wet = rng.random((ny, nx)) > 0.2
    wet[[0, -1]] = False
    if periodic:
        wet[:, 0], wet[:, -1] = wet[:, -2], wet[:, 1]
    else:
        wet[:, [0, -1]] = False
    east, north = np.zeros((ny, nx), F32), np.zeros((ny, nx), F32)
    east[:, :-1], north[:-1] = wet[:, :-1] & wet[:, 1:], wet[:-1] & wet[1:]
    if periodic:
        layer.wrap(east)
    u, v = (rng.normal(size=(2, ny, nx)) * 0.5).astype(F32) * np.stack([east, north])
    if periodic:
        layer.wrap(u)
    c = np.full((1, ny, nx), F32(value))
    dx, dxv = np.linspace(20e3, 30e3, ny).astype(F32), np.linspace(20.5e3, 30.5e3, ny).astype(F32)
    tracers.advect(c, u, v, east, north, dx, dxv, F32(25e3), F32(5400), F32(60), 6, True, periodic)
    assert (c == F32(value)).all()


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_transport_makes_no_new_extremes_and_keeps_the_total_in_a_closed_flow(seed):
    ny, nx = 22, 26
    rng = np.random.default_rng(seed)
    psi = np.zeros((ny, nx))
    psi[1:-2, 1:-2] = rng.normal(size=(ny - 3, nx - 3)) * 2e3
    u, v = np.zeros((ny, nx), F32), np.zeros((ny, nx), F32)
    d = 25e3
    u[1:] = -(psi[1:] - psi[:-1]) / d
    v[:, 1:] = (psi[:, 1:] - psi[:, :-1]) / d
    wet = np.zeros((ny, nx), bool)
    wet[1:-1, 1:-1] = True
    east, north = np.zeros((ny, nx), F32), np.zeros((ny, nx), F32)
    east[:, :-1], north[:-1] = wet[:, :-1] & wet[:, 1:], wet[:-1] & wet[1:]
    c = np.where(wet, rng.random((ny, nx)), 0)[None].astype(F32)
    before = c.copy()
    even = np.full(ny, F32(d))
    tracers.advect(c, u * east, v * north, east, north, even, even, F32(d), F32(3600), F32(60), 8, False, False)
    inside = c[0][wet]
    assert inside.min() >= before[0][wet].min() - 0.02
    assert inside.max() <= before[0][wet].max() + 0.02
    assert np.abs(c - before).max() > 1e-3
    assert inside.astype(float).mean() == pytest.approx(before[0][wet].astype(float).mean(), abs=2e-3)
