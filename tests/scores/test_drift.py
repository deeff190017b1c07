"""Drift: trajectories known in closed form, the order of the scheme, and how far apart known currents carry."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from oceanx.ocean.grid import complete
from oceanx.ocean.labels import forecast_labels, label
from oceanx.ocean.places import great_circle
from oceanx.scores import drift
from oceanx.scores.drifting import _released
from oceanx.scores.particles import AFLOAT, GONE, GROUNDED, advect
from oceanx.vocabulary.constants import EARTH_RADIUS, ROTATION
from oceanx.vocabulary.errors import InputError

DAY, KM = 86400.0, 1000.0
DEGREE = EARTH_RADIUS * np.pi / 180


def uniform(u, v, times=2, latitude=None, longitude=None):
    """A current that is the same everywhere."""
    lat = np.arange(-60.0, 61.0, 2) if latitude is None else latitude
    lon = np.arange(-180.0, 180.0, 2) if longitude is None else longitude
    shape = (times, len(lat), len(lon))
    return np.full(shape, u), np.full(shape, v), lat, lon


@given(speed=st.floats(-2, 2), days=st.integers(1, 30), place=st.tuples(st.floats(-59, 59), st.floats(-180, 179.9)))
@settings(max_examples=20, deadline=None)
def test_a_uniform_zonal_current_carries_along_the_parallel(speed, days, place):
    u, v, lat, lon = uniform(speed, 0.0)
    y, x, state = advect(
        u, v, np.array([0, days * DAY]), (lat, lon), (np.array(place[:1]), np.array(place[1:])), 3600.0
    )
    moved = np.rad2deg(speed * days * DAY / (EARTH_RADIUS * np.cos(np.deg2rad(place[0]))))
    assert y[1, 0] == pytest.approx(place[0], abs=1e-12)
    assert (x[1, 0] - place[1] - moved + 180) % 360 - 180 == pytest.approx(0, abs=1e-9)
    assert (state == AFLOAT).all()


def rotating(spacing, tilt=30.0):
    """Solid rotation about a tilted axis n, one turn in 20 days: v = ω n × r, in its east and north components."""
    lat, lon = np.arange(-66.0, 66.1, spacing), np.arange(-180.0, 180.0, spacing)
    phi, lam, a = np.deg2rad(lat)[:, None], np.deg2rad(lon)[None], np.deg2rad(tilt)
    omega = 2 * np.pi / (20 * DAY) * EARTH_RADIUS
    u = omega * (np.cos(a) * np.cos(phi) - np.sin(a) * np.sin(phi) * np.cos(lam))
    v = omega * np.sin(a) * np.sin(lam) + 0 * phi
    return np.stack([u, u]).astype("f4"), np.stack([v, v]).astype("f4"), lat, lon


def error_after_a_turn(spacing, steps):
    """How far (km) from its start each of three particles is."""
    u, v, lat, lon = rotating(spacing)
    start = np.array([0.0, 20.0, -20.0]), np.array([0.0, -120.0, 100.0])
    y, x, state = advect(u, v, np.array([0, 20 * DAY]), (lat, lon), start, 20 * DAY / steps)
    assert (state == AFLOAT).all()
    return great_circle(y[1], x[1], *start)


def test_a_turn_of_the_sphere_ends_where_it_began():
    """But for an error of fourth order in the step, and, once steps are small, of second order in the spacing."""
    order = np.log2(error_after_a_turn(0.1, 12) / error_after_a_turn(0.1, 24))
    assert order.min() > 3.7, order
    coarse, fine = error_after_a_turn(1.0, 960), error_after_a_turn(0.5, 960)
    np.testing.assert_allclose(np.log2(coarse / fine), 2.0, atol=0.15)
    assert fine.max() < 0.3


def test_the_scheme_is_that_of_an_independent_integrator_to_fourth_order():
    """A current bilinear in latitude, longitude and time is interpolated without error; DOP853 knows the trajectory."""
    lat, lon = np.linspace(20.0, 40.0, 3), np.linspace(-30.0, 0.0, 4)
    phi, lam = np.meshgrid(lat, lon, indexing="ij")
    seconds = np.array([0.0, 5 * DAY])

    def current(y, x, share):
        return 1.5 + 0.1 * (y - 30) - share * 0.5, 0.5 - 0.08 * (x + 15) + 0.02 * (x + 15) * (y - 30)

    u, v = (np.stack([current(phi, lam, share)[k] for share in (0, 1)]) for k in range(2))

    def speed(t, place):
        east, north = current(*place, t / seconds[1])
        return [north / DEGREE, east / DEGREE / np.cos(np.deg2rad(place[0]))]

    exact = solve_ivp(speed, seconds, [30.0, -20.0], method="DOP853", rtol=1e-13, atol=1e-13).y[:, -1]
    steps = np.array([5, 10, 20])
    errors = []
    for n in steps:
        y, x, state = advect(u, v, seconds, (lat, lon), (np.array([30.0]), np.array([-20.0])), seconds[1] / n)
        assert state[1, 0] == AFLOAT
        errors.append(great_circle(y[1], x[1], *exact[:, None])[0])
    order = -np.diff(np.log2(errors))
    assert ((order > 3.5) & (order < 5.5)).all(), (order, errors)


def test_an_inertial_circle_closes_and_is_as_wide_as_it_should_be():
    """u = U cos ft, v = −U sin ft: a circle of radius U/f in 2π/f; a polygon in time shrinks it by (fΔt)²/12."""
    f = 2 * ROTATION * np.sin(np.deg2rad(45))
    fields = 48
    seconds = np.linspace(0, 2 * np.pi / f, fields + 1)
    lat, lon = np.array([44.0, 46.0]), np.array([9.0, 11.0])
    u, v = (0.3 * g(f * seconds)[:, None, None] * np.ones((2, 2)) for g in (np.cos, lambda t: -np.sin(t)))
    y, x, _ = advect(u, v, seconds, (lat, lon), (np.array([45.0]), np.array([10.0])), 600.0)
    assert great_circle(y[-1], x[-1], 45.0, 10.0)[0] < 0.005
    across = great_circle(y[fields // 2], x[fields // 2], 45.0, 10.0)[0]
    assert across == pytest.approx(2 * 0.3 / f / KM * (1 - (f * seconds[1]) ** 2 / 12), rel=2e-4)


def test_trajectories_are_those_of_parcels():
    """Parcels 3.1.4, AdvectionRK4 of an hour; its degree has 1852 × 60 m, so its currents were made slower to match.

    Positions are those it gives after 9 days, which are an hour old. Its land is a current of zero, as here.
    """
    lat, lon, days = np.arange(30.0, 41.0), np.arange(-60.0, -45.0), np.arange(4) * 3.0
    t, phi, lam = np.meshgrid(days, lat, lon, indexing="ij")
    u = (0.5 * np.sin(0.7 * phi + 0.2 * t) * np.cos(0.5 * lam)).astype("f4")
    v = (0.4 * np.cos(0.6 * phi) * np.sin(0.4 * lam - 0.1 * t)).astype("f4")
    u[:, 4:6, 6:8] = v[:, 4:6, 6:8] = np.nan
    hour = 1 / 72  # of three days: the last field is moved to an hour before, on the line between its neighbours
    u[3], v[3] = (w[2] * hour + w[3] * (1 - hour) for w in (u, v))
    seconds = np.array([0, 3, 6, 9 - 1 / 24]) * DAY
    start = np.array([32.1, 33.4, 35.9, 37.2, 38.8]), np.array([-57.3, -52.2, -49.1, -55.8, -51.4])
    y, x, _ = advect(u, v, seconds, (lat, lon), start, 3600.0)
    theirs = [[33.353099438, 32.912516288, 37.869251366, 35.254023376, 39.163933319],
              [-54.908002072, -53.140952068, -47.742340646, -58.712158471, -51.232213881]]  # fmt: skip
    np.testing.assert_allclose([y[-1], x[-1]], theirs, rtol=0, atol=2e-7)


def test_particles_run_aground_or_leave_and_stay_there():
    """A current to the east at 1 degree a day, a coast between 5° and 6°, an open edge in the rows without land."""
    lat, lon = np.arange(-2.0, 3.0), np.arange(0.0, 11.0)
    u = np.full((7, 5, 11), DEGREE / DAY)
    v = np.zeros_like(u)
    u[:, :2, 6:8] = v[:, :2, 6:8] = np.nan
    start = np.array([-2.0, 2.0, -2.0, 0.0, 2.0]), np.array([2.0, 6.0, 7.0, 8.0, 11.5])
    y, x, state = advect(u, v, np.arange(7) * DAY, (lat, lon), start, 600.0)
    assert state[0].tolist() == [AFLOAT, AFLOAT, GROUNDED, AFLOAT, GONE]
    assert state[-1].tolist() == [GROUNDED, GONE, GROUNDED, GONE, GONE]
    assert 5.49 < x[-1, 0] < 5.5
    assert 9.98 < x[-1, 1] <= 10.0
    assert x[-1, 2] == 7.0
    assert state[3, 0] == AFLOAT
    assert state[4, 0] == GROUNDED
    assert x[4, 0] == x[6, 0]
    np.testing.assert_allclose(y[-1], start[0], atol=1e-12)


def test_great_circles():
    assert great_circle(0.0, 179.5, 0.0, -179.5) == pytest.approx(DEGREE / KM)
    assert great_circle(90.0, 0.0, -90.0, 77.0) == pytest.approx(np.pi * EARTH_RADIUS / KM)
    assert great_circle(60.0, 0.0, 60.0, 1e-6) == pytest.approx(DEGREE / KM * 0.5e-6, rel=1e-6)


# Scores


TIME = pd.date_range("2020-01-01", periods=12)
STARTS = TIME[[0, 3]]


def truth(u=0.2, v=0.0, land=False, periodic=True):
    lat, lon = np.arange(-10.0, 11.0), np.arange(-180.0, 180.0, 4) if periodic else np.arange(0.0, 40.0)
    shape = (len(TIME), 2, len(lat), len(lon))
    fields = {n: np.full(shape, value, "f4") for n, value in (("uo", u), ("vo", v))}
    for values in fields.values():
        values[:, 1] *= 2  # the lower level flows twice as fast
        if land:
            values[:, :, 12:, 10:] = np.nan
    dims = ("time", "depth", "latitude", "longitude")
    ds = xr.Dataset(
        {n: (dims, values, {"units": "m s-1"}) for n, values in fields.items()},
        coords={"time": TIME, "depth": [5.0, 15.0], "latitude": lat, "longitude": lon},
    )
    return complete(ds)


def forecast(ds, factor=1.0, leads=6, members=None):
    labels = forecast_labels(STARTS, pd.timedelta_range("1D", periods=leads), ds, members)
    there = ds[["uo", "vo"]].sel(time=labels.valid_time).drop_vars("time") * factor
    if members is not None:
        there = there * xr.DataArray([0.5, 1.5], dims="member", coords={"member": members})
    return label(labels.assign(there))


@pytest.mark.parametrize("land", [False, True])
def test_the_truth_itself_stays_at_the_truth(land):
    ds = truth(0.3, 0.1, land)
    found = drift(forecast(ds), ds, particles=200)
    np.testing.assert_array_equal(found.separation_mean, np.zeros(6))
    np.testing.assert_array_equal(found.separation_median, np.zeros(6))
    np.testing.assert_array_equal(found.drift_skill[1:], np.ones(5))
    assert (found["count"] + 400 * (found.grounded + found.gone) == 400).all()
    assert bool(found.grounded[-1] > 0) == land


def test_currents_of_another_speed_carry_as_far_as_they_should():
    """On the equator, half the speed: half the way behind, of which the skill is one half."""
    ds = truth(0.2)
    places = xr.Dataset({"latitude": ("p", np.zeros(3)), "longitude": ("p", [-179.0, 3.3, 178.0])})
    found = drift({"slow": forecast(ds, 0.5), "still": forecast(ds, 0.0)}, ds, particles=places)
    way = 0.2 * np.arange(6) * DAY / KM
    np.testing.assert_allclose(found.separation_mean.sel(model="slow"), way / 2, rtol=1e-6)
    np.testing.assert_allclose(found.separation_median.sel(model="still"), way, rtol=1e-6)
    np.testing.assert_allclose(found.displacement_mean, np.stack([way, way]), rtol=1e-6)
    np.testing.assert_allclose(found.drift_skill.sel(model="slow")[1:], 0.5, rtol=1e-6)
    np.testing.assert_allclose(found.drift_skill.sel(model="still")[1:], 0.0, atol=1e-6)
    deep = drift(forecast(ds, 0.5), ds, particles=places, depth=15.0)
    np.testing.assert_allclose(deep.separation_mean, way, rtol=1e-6)
    assert deep.attrs["oceanx_depth"] == 15.0
    assert "oceanx_seed" not in deep.attrs


def test_every_member_drifts_on_its_own():
    """Half and one and a half times the truth are both half its way off, though their mean is the truth."""
    ds = truth(0.2)
    found = drift(forecast(ds, members=[0, 1]), ds, particles=50, region="tropics")
    lone = drift(forecast(ds, 0.5), ds, particles=50, region="tropics")
    np.testing.assert_allclose(found.separation_mean, lone.separation_mean, rtol=1e-3)
    assert (found["count"] == 2 * lone["count"]).all()


def test_start_dates_apart_and_together():
    ds = truth(0.2)
    faster = ds["uo"] * (1 + 0.1 * xr.DataArray(np.arange(12.0), dims="time"))
    ds["uo"] = faster.transpose(*ds["uo"].dims).assign_attrs(ds["uo"].attrs)
    fc = forecast(ds, 0.5)
    apart, whole = (drift(fc, ds, particles=40, by=by) for by in (["init_time"], []))
    assert apart.separation_mean.dims == ("init_time", "lead_time")
    np.testing.assert_allclose(apart.separation_mean.mean("init_time"), whole.separation_mean, rtol=1e-12)
    assert (apart.separation_mean[1, 1:] > apart.separation_mean[0, 1:]).all()


def test_particles_are_spread_evenly_over_the_sea():
    """Half of the sphere's area between the equator and 60° lies below asin(½ sin 60°); nothing is on land."""
    lat, lon = np.arange(0.5, 60.0), np.arange(-180.0, 180.0, 4)
    ds = truth(0.0).isel(latitude=0, drop=True).expand_dims(latitude=lat).drop_vars(["mask", "cell_area", "thickness"])
    ds = complete(ds.transpose("time", "depth", "latitude", "longitude").assign_coords(longitude=lon))
    fields = forecast(ds)
    level = {"one": fields.isel(depth=0)}
    first = _released(20000, 7, None, ds, level, ds.isel(depth=0))
    again = _released(20000, 7, None, ds, level, ds.isel(depth=0))
    other = _released(20000, 8, None, ds, level, ds.isel(depth=0))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    middle = np.rad2deg(np.arcsin(np.sin(np.deg2rad(60)) / 2))
    assert (first[0] < middle).mean() == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(20000) + 0.01)
    assert np.abs(np.mean(np.exp(1j * np.deg2rad(first[1])))) < 4 / np.sqrt(20000)


def test_particles_are_released_in_the_region_and_the_sea_alone():
    ds = truth(0.2, land=True)
    found = drift(forecast(ds), ds, particles=300, region="tropics")
    assert float(found.grounded[0]) == 0
    assert float(found.gone[0]) == 0
    box = {"minimum_latitude": 5, "maximum_latitude": 10, "minimum_longitude": 0, "maximum_longitude": 40}
    with pytest.raises(InputError, match="no cell is wet in forecast and truth"):
        drift(forecast(ds), ds, region=box)


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [(lambda f: f.drop_vars("vo"), {}, "drift: forecast: needs the variable vo"),
     (lambda f: f.isel(lead_time=[0]), {}, "found one lead"), (lambda f: f, {"depth": 10.0}, "no level at 10 m"),
     (lambda f: f, {"particles": 0}, "particles: found 0"), (lambda f: f, {"by": "season"}, "'season'"),
     (lambda f: f, {"step": "0h"}, "step: found '0h'"), (lambda f: f, {"region": "nino3"}, "did you mean 'nino34'"),
     (lambda f: {"a": f, "b": f.isel(lead_time=slice(3))}, {}, "b has other leads than a"),
     (lambda f: f.assign_coords(latitude=f.latitude + 1), {}, "latitude: grids differ")],
)  # fmt: skip
def test_what_cannot_drift_is_refused(change, options, said):
    ds = truth()
    with pytest.raises(InputError, match=said):
        drift(change(forecast(ds)), ds, **options)
