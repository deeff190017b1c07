"""The buddy check against a plain loop over all pairs, and against what was planted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from toy_observed import observed, shuffled

from oceanx.ocean.observing.buddy import Buddy, unlike_neighbours

RADIUS = 6371.0


def loop(ds, departure, expected, test):
    """The same by looking at every pair again for each datum that is taken out."""
    lat, lon = np.deg2rad(ds.latitude.values), np.deg2rad(ds.longitude.values)
    hours = (ds.time.values - ds.time.values.min()) / np.timedelta64(1, "h")
    depth, variable = ds.depth.values.astype(float), ds.variable.values
    n = len(lat)
    square = np.full((n, n), np.inf)
    for i in range(n):
        for j in range(n):
            if i != j and variable[i] == variable[j] and np.isfinite(departure[i] * departure[j]):
                h = np.sin((lat[i] - lat[j]) / 2) ** 2
                h += np.cos(lat[i]) * np.cos(lat[j]) * np.sin((lon[i] - lon[j]) / 2) ** 2
                chord = 2 * RADIUS * np.sqrt(h)
                square[i, j] = (chord / test.km) ** 2 + ((depth[i] - depth[j]) / test.metres) ** 2
                square[i, j] += ((hours[i] - hours[j]) / (24 * test.days)) ** 2
    near = [[j for j in np.argsort(square[i])[: test.most] if square[i, j] < 1] for i in range(n)]
    failed = np.zeros(n, bool)
    while True:
        score = np.zeros(n)
        for i in range(n):
            live = [j for j in near[i] if not failed[j]]
            if failed[i] or len(live) < test.least or not np.isfinite(departure[i]):
                continue
            weight = np.array([(1 - square[i, j]) / expected[j] ** 2 for j in live])
            weight /= weight.sum()
            estimate = sum(w * departure[j] for w, j in zip(weight, live, strict=True))
            variance = expected[i] ** 2 + sum((w * expected[j]) ** 2 for w, j in zip(weight, live, strict=True))
            score[i] = abs(departure[i] - estimate) / np.sqrt(variance)
        worst = [i for i in range(n) if score[i] > test.limit and all(score[i] >= score[j] for j in near[i])]
        if not worst:
            return failed
        failed[worst] = True


def crowd(n, seed, days=3.0):
    rng = np.random.default_rng(seed)
    time = np.datetime64("2020-01-01", "ns") + np.sort(rng.uniform(0, days * 86.4e6, n)).astype("timedelta64[ms]")
    ds = observed(
        n, seed, names=("thetao", "so"), time=time, latitude=rng.uniform(-2, 2, n),
        longitude=(rng.uniform(178, 182, n) + 180) % 360 - 180, depth=rng.uniform(0, 60, n).astype("f4"),
    )  # fmt: skip
    return ds, rng.uniform(0.5, 1.5, n), rng


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 40), st.sampled_from([(1, 3), (3, 6), (2, 24)]), st.floats(0.8, 3.0))
def test_the_buddy_check_is_the_loop_over_all_pairs(seed, n, neighbours, limit):
    ds, expected, rng = crowd(n, seed)
    departure = rng.normal(0, 2, n) * expected
    departure[rng.random(n) < 0.1] = np.nan
    test = Buddy(km=250, metres=50, days=2, limit=limit, least=neighbours[0], most=neighbours[1])
    found = unlike_neighbours(ds, departure, expected, test)
    np.testing.assert_array_equal(found, loop(ds, departure, expected, test))
    mixed, order = shuffled(ds, seed)
    np.testing.assert_array_equal(unlike_neighbours(mixed, departure[order], expected[order], test), found[order])


def test_a_planted_error_is_found_and_its_neighbours_are_spared():
    ds, _, rng = crowd(300, 1)
    common = 5.0 * np.sin(np.deg2rad(40 * ds.latitude.values))  # which all share, and no neighbour wonders at
    departure = common + 0.3 * rng.normal(0, 1, 300)
    bad = [10, 11, 150, 299]
    departure[bad] += [12, -12, 15, -15]
    found = unlike_neighbours(ds, departure, np.full(300, 1.0), Buddy(km=100))
    assert np.flatnonzero(found).tolist() == bad
    few = unlike_neighbours(ds, departure, np.full(300, 1.0), Buddy(km=100, least=200, most=250))
    assert not few.any()


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**31))
def test_good_data_fail_no_more_often_than_a_normal_variable(seed):
    ds, expected, rng = crowd(3000, seed)
    rate = 2 * norm.sf(2.5)
    found = unlike_neighbours(ds, rng.normal(0, expected), expected, Buddy(km=60, limit=2.5))
    # The worst of neighbours goes first, after which others may pass: fewer than alone, but not none.
    assert 0.5 * rate < found.mean() < rate + 4 * np.sqrt(rate / 3000)


def test_one_variable_is_not_judged_by_another():
    ds, expected, _ = crowd(40, 3)
    departure = np.where(ds.variable.values == 0, 0.0, 100.0)
    assert not unlike_neighbours(ds, departure, expected, Buddy(km=500, days=9)).any()


@pytest.mark.parametrize("size", [0, 1, 2])
def test_few_data_have_no_neighbours(size):
    ds = observed(size)
    assert not unlike_neighbours(ds, np.full(size, 9.0), np.ones(size), Buddy()).any()
