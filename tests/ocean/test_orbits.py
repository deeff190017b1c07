"""Ground tracks of satellites that repeat."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq

from oceanx.ocean.observing.orbits import Orbit
from oceanx.vocabulary.constants import EARTH_RADIUS
from oceanx.vocabulary.errors import InputError

JASON, SENTINEL3, SARAL = (127, 9.9156, 66.04), (385, 27.0, 98.65), (501, 35.0, 98.55)
DAY = 86400.0
all_three = pytest.mark.parametrize("known", [JASON, SENTINEL3, SARAL], ids=["jason", "sentinel3", "saral"])


def apart(first: tuple, second: tuple) -> np.ndarray:
    """Metres along great circles between places (longitude, latitude), by the haversine formula."""
    (east, north), (east2, north2) = np.deg2rad(first), np.deg2rad(second)
    h = np.sin((north2 - north) / 2) ** 2 + np.cos(north) * np.cos(north2) * np.sin((east2 - east) / 2) ** 2
    return 2 * EARTH_RADIUS * np.arcsin(np.sqrt(h))


@all_three
def test_the_earth_turns_a_whole_number_of_times_below_real_orbits(known):
    orbit = Orbit(*known)
    orbit.check()
    assert orbit.turns == pytest.approx({9.9156: 10, 27.0: 27, 35.0: 35}[known[1]], abs=1e-3)


def test_jason_flies_where_it_is_published_to():
    assert Orbit(*JASON).altitude / 1e3 == pytest.approx(1336.0, abs=0.5)


@all_three
def test_the_radius_is_the_root_of_keplers_law_with_the_bulge(known):
    orbit = Orbit(*known)
    j2, bulge = 1.08263e-3, 4 * np.cos(np.deg2rad(known[2])) ** 2 - 1

    def surplus(a: float) -> float:
        mean_motion = np.sqrt(3.986004418e14 / a**3)
        return mean_motion * (1 + 1.5 * j2 * (6378137.0 / a) ** 2 * bulge) - 2 * np.pi * known[0] / (known[1] * DAY)

    assert orbit.radius == pytest.approx(brentq(surplus, 6.5e6, 9e6, xtol=1e-4), abs=1e-2)


@pytest.mark.parametrize("known", [SENTINEL3, SARAL])
def test_sun_synchronous_orbits_turn_with_the_sun(known):
    """Their inclinations are published to a twentieth of a degree, 0.6 % of cos i."""
    assert Orbit(*known).precession * DAY == pytest.approx(2 * np.pi / 365.2422, rel=6e-3)


def test_where_the_bulge_does_not_tell_the_orbit_is_keplers():
    """Where 4 cos² i = 1 the bulge does not change the period, and μ = a³ (2π/T)²."""
    orbit = Orbit(127, 9.9156, 60.0)
    assert orbit.radius**3 * (2 * np.pi / orbit.period) ** 2 == pytest.approx(3.986004418e14, rel=1e-12)


@all_three
def test_tracks_repeat_after_the_cycle(known):
    orbit = Orbit(*known, node=12.3)
    seconds = np.linspace(0, known[1] * DAY, 5000) + 1.2e9
    first, again = orbit.track(seconds), orbit.track(seconds + known[1] * DAY)
    assert apart(first[:2], again[:2]).max() < 1.0
    np.testing.assert_array_equal(again[2], first[2] + 2 * known[0])


@all_three
def test_the_greatest_latitude_is_the_inclination(known):
    orbit = Orbit(*known)
    _, latitude, _ = orbit.track(np.arange(0.0, 2 * orbit.period, 0.25))
    steepest = min(known[2], 180 - known[2])
    assert np.abs(latitude).max() == pytest.approx(steepest, abs=1e-5)
    assert latitude.min() == pytest.approx(-steepest, abs=1e-5)


@all_three
def test_ascending_tracks_cross_the_equator_evenly(known):
    orbit = Orbit(*known, node=-40.0)
    nodes, latitude, _ = orbit.track(np.arange(known[0]) * orbit.period)
    np.testing.assert_allclose(latitude, 0, atol=1e-6)
    np.testing.assert_allclose(np.diff(np.sort(nodes)), 360 / known[0], rtol=1e-6)
    assert np.abs(nodes + 40).min() < 1e-6


@all_three
def test_each_pass_goes_from_pole_to_pole_and_is_counted_once(known):
    orbit = Orbit(*known)
    seconds = np.arange(0.0, known[1] * DAY, 20.0)
    _, latitude, passes = orbit.track(seconds)
    assert np.unique(passes[: int(known[1] * DAY / 20)]).size == 2 * known[0] + 1  # the first is cut in two
    within = np.diff(passes) == 0
    rising = np.diff(latitude) > 0
    for parity, up in ((0, True), (1, False)):
        whole = within & (passes[1:] % 2 == parity)
        turning = np.abs(latitude[1:]) > np.abs(latitude).max() - 0.2
        assert (rising[whole & ~turning] == up).all()


@pytest.mark.parametrize(("known", "speed"), [(JASON, 5.8), (SENTINEL3, 6.7), (SARAL, 6.7)])
def test_points_of_a_second_lie_6_to_7_km_apart(known, speed):
    """Published ground speeds, in km/s: 5.8 (Jason), 6.7 (Sentinel-3), the Earth's turning included."""
    orbit = Orbit(*known)
    longitude, latitude, _ = orbit.track(np.arange(0.0, 6000.0))
    step = apart((longitude[:-1], latitude[:-1]), (longitude[1:], latitude[1:])) / 1e3
    assert step.mean() == pytest.approx(speed, rel=0.05)
    assert (step > 5.2).all()
    assert (step < 7.4).all()


@all_three
@pytest.mark.parametrize(
    "box",
    [(-80.0, -32.0, 15.0, 51.0), (170.0, 200.0, -85.0, -60.0), (-180.0, 180.0, -90.0, 90.0), (3.0, 4.0, 60.0, 82.0)],
)
def test_points_within_a_box_are_all_of_them(known, box):
    orbit = Orbit(*known)
    west, east, south, north = box
    first, last = 1_000_000_000, 1_000_000_000 + 200_000
    number, longitude, latitude, passes = orbit.within(box, first, last, 1.0)
    whole = orbit.track(np.arange(first, last, dtype=float))
    inside = (whole[1] >= south) & (whole[1] <= north) & ((whole[0] - west) % 360 <= east - west)
    np.testing.assert_array_equal(number, np.arange(first, last)[inside])
    for found, expected in zip((longitude, latitude, passes), whole, strict=True):
        np.testing.assert_array_equal(found, expected[inside])


def test_the_node_moves_the_track_alone():
    seconds = np.arange(0.0, 20_000.0, 7.0)
    here, there = Orbit(*JASON).track(seconds), Orbit(*JASON, node=100.0).track(seconds)
    np.testing.assert_array_equal(here[1], there[1])
    np.testing.assert_allclose((there[0] - here[0]) % 360, 100.0, atol=1e-9)


@pytest.mark.parametrize(
    ("orbits", "days", "inclination", "said"),
    [
        (127, 10.0, 66.04, "does not repeat; a cycle near it has 9.9156 days"),
        (254, 19.8312, 66.04, "repeats 2 times in the cycle"),
        (170, 10.0, 66.04, "above the air"),
    ],
)
def test_orbits_that_do_not_repeat_are_refused(orbits, days, inclination, said):
    with pytest.raises(InputError, match=said):
        Orbit(orbits, days, inclination).check()
