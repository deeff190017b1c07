import json

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_observed import changed, observed, sea, shuffled

from oceanx.ocean.flags import decoded
from oceanx.ocean.observations import CODES, COORDINATES, check, rejections
from oceanx.ocean.observing.thinning import SUPEROBSERVATIONS, blocks, superobservations, thin
from oceanx.vocabulary.errors import InputError

RADIUS = 6371.0


def crowd(n, seed, error=True):
    """Data about the date line, near each other in place, depth and time."""
    rng = np.random.default_rng(seed)
    return observed(
        n, seed, time=np.datetime64("2020-01-01", "ns") + np.sort(rng.integers(0, 2 * 86_400_000, n)).astype("m8[ms]"),
        latitude=rng.uniform(-1, 1, n), longitude=(rng.uniform(179, 181, n) + 180) % 360 - 180,
        depth=rng.choice([0.0, 10, 100], n).astype("f4"), feature=rng.integers(0, 3, n).astype("i4"),
        error_std=(rng.choice([0.1, 0.2, 0.3], n) if error else np.full(n, 0.1)).astype("f4"),
    )  # fmt: skip


def near(ds, distance, metres, hours):
    """Which pairs (obs, obs) of one variable are near each other; km along a chord, by haversines."""
    phi, lam = np.deg2rad(ds.latitude.values), np.deg2rad(ds.longitude.values)
    half, quarter = np.subtract.outer(phi, phi) / 2, np.subtract.outer(lam, lam) / 2
    h = np.sin(half) ** 2 + np.multiply.outer(np.cos(phi), np.cos(phi)) * np.sin(quarter) ** 2
    apart = abs(np.subtract.outer(ds.time.values, ds.time.values)) / np.timedelta64(1, "h")
    deep = abs(np.subtract.outer(ds.depth.values, ds.depth.values))
    same = np.equal.outer(ds.variable.values, ds.variable.values)
    return same & (2 * RADIUS * np.sqrt(h) < distance) & (deep < metres) & (apart < hours)


def key(ds):
    held = [ds[n].values.tolist() for n in (*COORDINATES, "variable", "value", "error_std", "feature", "platform")]
    return list(zip(*held, strict=True))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 60), st.integers(0, 2**31))
def test_of_near_data_the_best_is_kept_and_the_others_are_counted(n, seed):
    ds = crowd(n, seed)
    limits = (60.0, 50.0, 12.0)
    kept = thin(ds, km=60, metres=50, hours=12)
    check(kept)
    left = kept.sizes["obs"]
    assert not np.triu(near(kept, *limits), 1).any()
    pairs = near(xr.concat([kept, ds], "obs", combine_attrs="override"), *limits)[:left, left:]
    better = pairs & (kept.error_std.values[:, None] <= ds.error_std.values)
    whole = set(key(kept))
    assert all(row in whole or better[:, j].any() for j, row in enumerate(key(ds)))
    counted = sum(count for found in rejections(kept.attrs).values() for count in found.values())
    assert counted == n - left
    assert all(said.endswith(" thinned") for found in rejections(kept.attrs).values() for said in found)
    mixed, _ = shuffled(ds, seed)
    again = thin(mixed.sortby("time"), km=60, metres=50, hours=12)
    assert sorted(key(again)) == sorted(key(kept))


def test_what_failed_takes_no_part_in_thinning():
    ds = changed(crowd(40, 1), np.arange(0, 40, 2), qc=CODES["out_of_range"], error_std=0.01)
    kept = thin(ds, km=1000)
    assert int((kept.qc == CODES["out_of_range"]).sum()) == 20
    assert int((kept.qc == 0).sum()) == len(set(ds.variable.values[ds.qc.values == 0]))
    for bad in ({"km": 0.0}, {"km": 10.0, "hours": -1.0}):
        with pytest.raises(InputError, match="expected a distance above 0, or none"):
            thin(ds, **bad)


WAYS = [{"along": 7}, {"along": 1}, {"cells": sea()}, {"km": 50.0}, {"km": 30.0, "hours": 6.0}]


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 80), st.integers(0, 2**31), st.sampled_from(WAYS), st.sampled_from([0.0, 0.3, 1.0]))
def test_superobservations_conserve_what_goes_in(n, seed, way, correlation):
    ds = crowd(n, seed)
    number = blocks(ds, **way)
    made = superobservations(ds, **way, correlation=correlation)
    check(made)
    assert made.sizes["obs"] == len(set(number.tolist()))
    assert json.loads(made.attrs[SUPEROBSERVATIONS])["before"] == n
    for block in set(number.tolist()):
        rows = np.flatnonzero(number == block)
        assert all(len(set(ds[c].values[rows].tolist())) == 1 for c in ("platform", "feature", "variable"))
    # Every block's mean by a plain loop, and the table's rows as the loop has them in order of time.
    expected = []
    for block in sorted(set(number.tolist())):
        rows = np.flatnonzero(number == block)
        value, sigma = ds.value.values[rows].astype(float), ds.error_std.values[rows].astype(float)
        covariance = correlation * np.outer(sigma, sigma)
        np.fill_diagonal(covariance, sigma**2)
        east = (ds.longitude.values[rows] % 360).mean()
        since = (ds.time.values[rows] - np.datetime64("2020-01-01")) / np.timedelta64(1, "ms")
        expected.append((since.mean(), value.mean(), np.sqrt(covariance.mean()), ds.latitude.values[rows].mean(), east))
    expected = np.array(expected).reshape(-1, 5)
    order = np.lexsort([expected[:, 1], expected[:, 0]])
    since = (made.time.values - np.datetime64("2020-01-01")) / np.timedelta64(1, "ms")
    found = np.stack([since, made.value, made.error_std, made.latitude, made.longitude.values % 360], axis=1)
    found = found[np.lexsort([found[:, 1], found[:, 0]])]
    assert (np.abs(found - expected[order]).max(axis=0, initial=0) < [1.001, 1e-5, 1e-7, 2e-4, 2e-4]).all()
    counts = np.bincount(number) if n else np.zeros(0)
    np.testing.assert_allclose((counts * expected[:, 1]).sum(), ds.value.values.astype(float).sum(), rtol=1e-9)
    mixed, shuffle = shuffled(ds, seed)
    again = blocks(mixed, **way)
    pairs = set(zip(again.tolist(), number[shuffle].tolist(), strict=True))
    assert len(pairs) == len(set(number.tolist()))


def tracks(sizes, spacing=7.0, seed=0):
    """Passes northwards along meridians, one datum a second."""
    rng = np.random.default_rng(seed)
    n = sum(sizes)
    feature = np.repeat(np.arange(len(sizes)), sizes)
    rank = np.concatenate([np.arange(size) for size in sizes])
    return observed(
        n, names=("sla",), kind="trajectory", feature=feature.astype("i4"), platform=np.full(n, 2, "i4"),
        time=np.datetime64("2020-01-01", "ns") + (feature * 6_000_000 + rank * 1000).astype("m8[ms]"),
        latitude=-9.0 + rank * spacing / 111.19, longitude=feature - 10.0, value=rng.normal(0, 0.1, n).astype("f4"),
        error_std=np.full(n, 0.03, "f4"),
    )  # fmt: skip


def test_superobservations_of_seven():
    ds = tracks([21, 10])
    made = superobservations(ds, along=7)
    assert made.sizes["obs"] == 5
    np.testing.assert_allclose(made.value[:3], ds.value.values[:21].reshape(3, 7).mean(axis=1), rtol=1e-6)
    np.testing.assert_allclose(made.error_std, 0.03 / np.sqrt([7, 7, 7, 7, 3]), rtol=1e-6)
    np.testing.assert_allclose(made.latitude[:3], ds.latitude.values[3:21:7], atol=1e-6)
    np.testing.assert_array_equal(made.time[:3], ds.time[3:21:7])
    np.testing.assert_array_equal(made.feature, [0, 0, 0, 1, 1])
    assert made.attrs["oceanx_feature"] == "trajectory"
    half = superobservations(ds, along=7, correlation=0.5)
    np.testing.assert_allclose(half.error_std[:4], 0.03 * np.sqrt(0.5 / 7 + 0.5), rtol=1e-6)


def test_no_mean_reaches_over_a_gap():
    ds = tracks([21])
    gap = ds.isel(obs=[*range(5), *range(12, 21)])  # an island of seven
    np.testing.assert_array_equal(np.bincount(blocks(gap, along=7)), [5, 7, 2])
    hole = ds.isel(obs=[*range(5), *range(7, 21)])  # two that are missing are no gap
    assert len(set(blocks(hole, along=7).tolist())) == 3


def test_cells_lie_on_either_side_of_the_date_line_and_of_midnight():
    n = 8
    ds = observed(n, names=("sst",), platform=np.zeros(n, "i4"), feature=np.zeros(n, "i4"), latitude=np.zeros(n),
                  longitude=np.array([179.9, -179.9] * 4),
                  time=np.datetime64("2020-01-01T20:30", "ns") + np.arange(n) * np.timedelta64(1, "h"))  # fmt: skip
    made = superobservations(ds, km=100)
    np.testing.assert_allclose(made.longitude, [179.9, -179.9] * 2, atol=1e-9)
    assert superobservations(ds, km=100, hours=48).sizes["obs"] == 2
    along = superobservations(ds, along=2)
    np.testing.assert_allclose(np.abs(along.longitude), 180.0, atol=1e-9)
    check(along)


def test_cells_of_a_grid_take_what_is_nearest_and_leave_what_is_outside():
    n = 6
    ds = observed(n, names=("thetao",), platform=np.zeros(n, "i4"), feature=np.zeros(n, "i4"),
                  latitude=np.array([0.1, -0.4, 0.4, 0.6, 80, 81]), longitude=np.full(n, 0.2),
                  time=np.full(n, np.datetime64("2020-01-01", "ns")),
                  depth=np.array([1, 2, 12, 2, 2, 2], "f4"))  # fmt: skip
    number = blocks(ds, cells=sea())
    assert number[0] == number[1]
    assert len(set(number.tolist())) == 5


def test_failed_data_stay_beside_the_means_and_further_columns_are_averaged():
    ds = changed(tracks([14]), [0, 1], qc=CODES["withheld"])
    ds = ds.assign(forecast=(("obs", "lead_time"), np.arange(28.0).reshape(14, 2)), lead_time=[1, 2])
    made = superobservations(ds, along=6)
    assert decoded(made.qc).values.tolist() == ["withheld"] * 2 + ["good"] * 2
    np.testing.assert_allclose(made.forecast, [[0, 1], [2, 3], [9, 10], [21, 22]])
    with pytest.raises(InputError, match="a column beyond the contract's is not of numbers"):
        superobservations(ds.assign(count=("obs", np.arange(14))), along=7)


def test_wrong_ways_are_refused():
    ds = tracks([7])
    with pytest.raises(InputError, match="found nothing; give one of along=, cells= and km="):
        superobservations(ds)
    with pytest.raises(InputError, match="found along and km; give one of"):
        superobservations(ds, along=7, km=10)
    with pytest.raises(InputError, match="along: found 0; expected a number above 0"):
        superobservations(ds, along=0)
    with pytest.raises(InputError, match=r"correlation 1\.5; expected 0 to 1"):
        superobservations(ds, along=7, correlation=1.5)
