import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from toy_observed import DEPTHS, LATITUDE, LONGITUDE, changed, columns, observed, repeated, sea, shuffled

from oceanx.ocean.climatology import climatology
from oceanx.ocean.flags import decoded
from oceanx.ocean.observations import CODES, TESTS, check, rejections, select
from oceanx.ocean.observing import departing, plausible, repeats
from oceanx.ocean.observing.quality import (
    SETTINGS,
    Quality,
    check_table,
    check_window,
    counts,
    good,
    withhold,
)
from oceanx.vocabulary.errors import InputError

PLANTED = 10_000  # numbers of planted features begin here
YEAR = xr.Dataset(
    {n: (("time", "latitude", "longitude"), np.full((366, 21, 31), mean)) for n, mean in (("zos", 0.2), ("sst", 20.0))},
    {"time": pd.date_range("2020-01-01", periods=366), "latitude": LATITUDE, "longitude": LONGITUDE},
)


def year(seed=0):
    """A climatology without a season: zos .2 ± .5 m, and of the other variables nothing."""
    rng = np.random.default_rng(seed)
    noisy = YEAR[["zos"]] + rng.choice([-0.5, 0.5], (366, 21, 31))
    clim = climatology(YEAR[["zos"]], harmonics=0)
    return plausible.with_spread(clim, noisy)


def plant(ds, rows, **values):
    return changed(ds, rows, feature=PLANTED + np.arange(len(np.atleast_1d(rows))), **values)


def rows(ds, name, count):
    return np.flatnonzero(plausible.rows_of(ds, name))[:count]


def planted(ds):
    return ds["feature"].values >= PLANTED


def hot(ds):
    return plant(ds, rows(ds, "thetao", 3), value=[46.0, -3.5, 300.0])


def late(ds):
    return plant(ds, [5, 6], time=np.array(["2035-01-01", "2019-12-31T23:59"], "datetime64[ns]"))


def away(ds):
    ds = plant(ds, [1, 2, 3], latitude=[10.5, -11.0, 0.0], longitude=[0.0, 0.0, 170.0])
    return changed(ds, rows(ds, "so", 4)[-1:], depth=1500.0, feature=PLANTED + 9)


def dry(ds):
    return plant(ds, [10, 11], longitude=[12.0, 14.9])


def deep(ds):
    return plant(ds, rows(ds, "thetao", 2), longitude=7.5, depth=[31.0, 600.0])


def far(ds):
    return plant(ds, rows(ds, "zos", 2), value=[3.2, -3.0])


def twice(ds):
    return repeated(ds, [0, 8, 9], error_std=0.2, feature=PLANTED)


ALONE = {
    "outside_times": (late, lambda t: plausible.outside_times(t, "2020-01-01", "2021-01-01")),
    "out_of_range": (hot, plausible.out_of_range),
    "outside_grid": (away, lambda t: plausible.outside_grid(t, sea())),
    "on_land": (dry, lambda t: plausible.on_land(t, sea())),
    "below_sea_floor": (deep, lambda t: plausible.below_sea_floor(t, sea())),
    "repeated": (twice, repeats.repeated),
    "far_from_climatology": (far, lambda t: plausible.far_from_climatology(t, year(), 5.0)),
}


@pytest.mark.parametrize("name", ALONE)
def test_a_test_finds_what_was_planted_and_nothing_else(name):
    spoil, test = ALONE[name]
    assert not test(observed()).any()
    ds = spoil(observed())
    assert planted(ds).any()
    np.testing.assert_array_equal(test(ds), planted(ds))
    if name != "far_from_climatology":  # which wants a table sorted by time
        mixed, order = shuffled(ds)
        np.testing.assert_array_equal(test(mixed), planted(ds)[order])


@pytest.mark.parametrize("name", ALONE)
def test_a_planted_error_has_the_code_of_its_test_and_is_counted(name):
    ds = ALONE[name][0](observed())
    made = check_table(ds, sea(), Quality(first="2020-01-01", last="2021-01-01"), year())
    check(made)
    np.testing.assert_array_equal(made.qc, np.where(planted(ds), CODES[name], 0))
    assert set(decoded(made.qc).values) == {"good", name}
    found = counts(made)
    assert int(found.to_numpy().sum()) == ds.sizes["obs"]
    assert int(found[name].sum()) == planted(ds).sum()
    assert sum(n for of in rejections(made.attrs).values() for n in of.values()) == planted(ds).sum()
    for (platform, variable), row in found.iterrows():
        assert rejections(made.attrs).get(platform, {}).get(f"{variable} {name}", 0) == row[name]
    assert good(made).sizes["obs"] == 60 if name == "repeated" else 60 - planted(ds).sum()
    again = check_table(made, sea(), Quality(first="2020-01-01", last="2021-01-01"), year())
    xr.testing.assert_identical(again, made)


def test_the_first_test_that_fails_is_named_and_what_failed_before_stays():
    ds = plant(observed(), [3, 4], latitude=50.0, value=99.0)
    ds = changed(ds, 5, qc=20, value=99.0)
    ds.qc.attrs.update(flag_values=np.array([0, 20], "u1"), flag_meanings="good value_flag_4")
    made = check_table(ds, sea(), Quality())
    assert made.qc.values[[3, 4, 5]].tolist() == [CODES["out_of_range"]] * 2 + [20]
    other = Quality(tests=("outside_grid", "out_of_range"))
    assert check_table(ds, sea(), other).qc.values[[3, 4, 5]].tolist() == [CODES["outside_grid"]] * 2 + [20]
    assert json.loads(check_table(ds, sea(), other).attrs[SETTINGS]) == other.dump()
    assert check_table(ds, sea(), Quality(tests=())).qc.values[[3, 4, 5]].tolist() == [0, 0, 20]


def test_a_range_may_be_narrower_in_a_region():
    limit = plausible.Limits(variable="thetao", low=10, high=25, latitude=(0, 10), longitude=(170, -10), depth=(0, 400))
    ds = plant(observed(200), rows(observed(200), "thetao", 60), value=27.0)
    inside = planted(ds) & (ds.latitude >= 0) & (ds.longitude <= -10) & (ds.depth <= 400)
    assert 0 < inside.sum() < planted(ds).sum()
    np.testing.assert_array_equal(plausible.out_of_range(ds, [limit]), inside)
    with pytest.raises(InputError, match="unknown variable 'tetao'; did you mean 'thetao'"):
        plausible.out_of_range(ds, [plausible.Limits(variable="tetao", low=0, high=1)])


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [("thetao", lambda v: v + 273.15, "thetao: most values, .* look like kelvins; subtract 273.15"),
     ("zos", lambda v: 100 * v, "zos: most values, .* are not in m but look like centimetres or millimetres; divide"),
     ("zos", lambda v: 1000 * v, "zos: most values, .* look like centimetres or millimetres; divide by 100 or 1000")],
)  # fmt: skip
def test_another_unit_is_named(name, change, said):
    ds = observed()
    mine = plausible.rows_of(ds, name)
    wrong = changed(ds, mine, value=change(ds.value.values[mine]))
    with pytest.raises(InputError, match=said) as caught:
        check_table(wrong, sea(), Quality())
    assert "\n" not in str(caught.value)


def casts(starts, hours=(0.0,), km=(0.0,), platform=0, depths=5):
    """One profile for each of `starts` (days) and then for each of `hours` and `km` beside it."""
    parts = []
    for k, start in enumerate(starts):
        for n, (dt, dx) in enumerate(zip(hours, km, strict=True)):
            when = np.datetime64("2020-01-01", "ns") + np.timedelta64(int((start * 24 + dt) * 3.6e6), "ms")
            parts.append(
                columns(depths, 0, ("thetao",), time=np.full(depths, when), latitude=np.full(depths, dx / 111.19),
                        longitude=np.full(depths, -14.0 + 0.9 * k), depth=np.linspace(5, 500, depths).astype("f4"),
                        platform=np.full(depths, platform, "i4"), feature=np.full(depths, 10 * k + n, "i4"))
            )  # fmt: skip
    held = {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
    return observed(len(held["time"]), kind="profile", **held)


def test_of_casts_down_and_up_one_is_kept():
    near = repeats.Repeats(hours=6, km=20)
    both = casts([0, 10, 20], hours=(0.0, 5.0), km=(0.0, 10.0))
    np.testing.assert_array_equal(repeats.nearly_repeated(both, near), both.feature.values % 10 == 1)
    for hours, km in (((0.0, 6.5), (0.0, 10.0)), ((0.0, 5.0), (0.0, 21.0))):
        assert not repeats.nearly_repeated(casts([0, 10], hours=hours, km=km), near).any()
    shorter = both.isel(obs=np.flatnonzero((both.feature.values != 10) | (both.depth.values < 300)))
    expected = np.isin(shorter.feature.values, [1, 10, 21])
    np.testing.assert_array_equal(repeats.nearly_repeated(shorter, near), expected)
    mixed, order = shuffled(shorter)
    np.testing.assert_array_equal(repeats.nearly_repeated(mixed, near), expected[order])
    other = repeated(both, both.feature.values % 10 == 1, platform=1, feature=77)
    assert not repeats.nearly_repeated(other.isel(obs=np.flatnonzero(other.feature.values % 10 != 1)), near).any()


def test_what_only_the_lesser_cast_measured_is_kept():
    both = casts([0], hours=(0.0, 1.0), km=(0.0, 1.0), depths=6)  # at 5, 104, 203, 302, 401 and 500 m
    upper = both.isel(obs=np.flatnonzero((both.feature.values == 1) | (both.depth.values < 350)))
    lower = changed(upper, upper.feature.values == 1, depth=np.linspace(150, 900, 6).astype("f4"))
    made = repeats.nearly_repeated(lower, repeats.Repeats())
    expected = (lower.feature.values == 0) & (lower.depth.values >= 150)  # the kept one begins there
    np.testing.assert_array_equal(made, expected)
    salty = changed(lower, lower.feature.values == 0, variable=1)
    assert not repeats.nearly_repeated(salty, repeats.Repeats()).any()


def test_a_surface_of_many_data_is_no_cast():
    same = observed(time=np.full(60, np.datetime64("2020-05-05", "ns")), platform=np.zeros(60, "i4"))
    assert not repeats.nearly_repeated(same, repeats.Repeats()).any()


def window(n=200, seed=0, depths=10):
    """Profiles on one day with departures as expected, and what check_window needs."""
    rng = np.random.default_rng(seed)
    ds = casts(np.zeros(n // depths), depths=depths)
    spread = rng.uniform(0.1, 0.5, n)
    error = rng.uniform(0.1, 0.5, n)
    background = ds.value.values - rng.normal(0, 1, n) * np.hypot(spread, error)
    return ds, background, spread, error


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([1.0, 2.0, 3.0]))
def test_good_data_fail_against_the_background_at_the_rate_of_a_normal_variable(seed, limit):
    rng = np.random.default_rng(seed)
    n, expected = 20_000, rng.uniform(0.1, 3.0, 20_000)
    rate = 2 * norm.sf(limit)
    found = departing.far_from_background(rng.normal(0, expected), expected, limit).mean()
    assert abs(found - rate) < 5 * np.sqrt(rate * (1 - rate) / n)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**31))
def test_good_data_fail_against_the_climatology_at_the_rate_of_a_normal_variable(seed):
    rng = np.random.default_rng(seed)
    n, rate = 4000, 2 * norm.sf(2.0)
    value = (0.2 + rng.normal(0, np.hypot(0.5, 0.1), n)).astype("f4")
    ds = observed(n, seed, names=("zos",), value=value)
    found = plausible.far_from_climatology(ds, year(), 2.0).mean()
    assert abs(found - rate) < 5 * np.sqrt(rate * (1 - rate) / n)


def test_a_window_has_the_codes_of_what_was_planted():
    ds, background, spread, error = window()
    expected = np.hypot(spread, error)
    background[3] = ds.value.values[3] - 7 * expected[3]
    background[[8, 9]] = np.nan
    biased = ds.feature.values == ds.feature.values[50]
    background[biased] = ds.value.values[biased] - 4.5 * expected[biased]
    bad = changed(ds, 4, qc=CODES["out_of_range"])
    bad.qc.attrs.update(flag_values=np.array([0, 1], "u1"), flag_meanings="good out_of_range")
    made = check_table(bad, sea(), Quality())
    tests = ("no_equivalent", "far_from_background", "whole_profile")
    codes = check_window(made, background, spread, error, grid=sea(), settings=Quality(tests=tests))
    wanted = np.where(biased, CODES["whole_profile"], 0)
    wanted[[3, 4, 8, 9]] = [CODES["far_from_background"], 1, CODES["no_equivalent"], CODES["no_equivalent"]]
    assert codes.dtype == np.uint8
    np.testing.assert_array_equal(codes, wanted)
    found = counts(made, codes)
    assert int(found["whole_profile"].sum()) == biased.sum() == 10
    assert int(found.to_numpy().sum()) == 200
    mixed, order = shuffled(made)
    again = check_window(
        mixed, background[order], spread[order], error[order], grid=sea(), settings=Quality(tests=tests)
    )
    np.testing.assert_array_equal(again, wanted[order])


def test_a_profile_of_which_most_failed_fails_as_a_whole():
    ds, background, spread, error = window()
    profile = np.flatnonzero(ds.feature.values == 0)
    background[profile[:6]] -= 20 * np.hypot(spread, error)[profile[:6]]
    codes = check_window(ds, background, spread, error, grid=None, settings=Quality(tests=("far_from_background",
                         "whole_profile")))  # fmt: skip
    assert (codes[profile[:6]] == CODES["far_from_background"]).all()
    assert (codes[profile[6:]] == CODES["whole_profile"]).all()
    background[profile[0]] += 20 * np.hypot(spread, error)[profile[0]]
    codes = check_window(ds, background, spread, error, grid=None, settings=Quality())
    assert (codes[profile] == CODES["far_from_background"]).sum() == 5
    assert (codes == CODES["whole_profile"]).sum() == 0


def test_a_table_that_was_not_checked_is_checked_with_its_window():
    ds, background, spread, error = window()
    ds = changed(ds, 7, longitude=14.0)
    background[7] = np.nan
    codes = check_window(ds, background, spread, error, grid=sea(), settings=Quality())
    assert codes[7] == CODES["on_land"]


def test_what_the_operator_does_not_find_is_known_beforehand():
    ds = deep(dry(away(observed())))
    found = plausible.no_equivalent(ds, sea())
    lost = plausible.outside_grid(ds, sea()) | plausible.on_land(ds, sea()) | plausible.below_sea_floor(ds, sea())
    assert lost.any()
    assert (found | ~lost).all()


@pytest.mark.parametrize(
    ("change", "said"),
    [(lambda b, s, e: (b[1:], s, e), r"background: found shape \(199,\); expected one number for each of 200 rows"),
     (lambda b, s, e: (b, s, np.where(np.arange(200) == 7, 0, e)), "error_std: 0.0 at row 7; expected .* above 0"),
     (lambda b, s, e: (b, s, np.where(np.arange(200) == 7, np.nan, e)), "error_std: nan at row 7"),
     (lambda b, s, e: (b, -s, e), "background_std: .* at row 0; expected standard deviations from 0 up"),
     (lambda b, s, e: (b, np.where(np.arange(200) == 7, np.nan, s), e), "background_std: nan at row 7")],
)  # fmt: skip
def test_wrong_arrays_of_a_window_are_refused(change, said):
    ds, background, spread, error = window()
    with pytest.raises(InputError, match=said):
        check_window(ds, *change(background, spread, error), grid=None, settings=Quality())


def test_wrong_settings_are_refused():
    with pytest.raises(InputError, match="background"):
        Quality.parse({"background": -1})
    with pytest.raises(InputError, match="tests"):
        Quality.parse({"tests": ["beauty"]})
    with pytest.raises(InputError, match="'tomorow' is no date"):
        check_table(observed(), None, Quality(last="tomorow"))
    with pytest.raises(InputError, match="grid: has no `mask`"):
        check_table(observed(), sea().drop_vars("mask"), Quality())
    with pytest.raises(InputError, match="climatology: has zos without zos_std"):
        check_table(observed(), sea(), Quality(), year()[["zos"]])


def test_a_lazy_table_is_checked_and_left_as_it_was():
    lazy = hot(observed()).chunk(obs=20)
    made = check_table(lazy, sea(), Quality())
    xr.testing.assert_identical(made, check_table(hot(observed()), sea(), Quality()))
    assert lazy.chunks["obs"] == (20, 20, 20)


def test_the_future_is_not_believed():
    ds = changed(observed(), 59, time=np.datetime64("2262-01-01", "ns"))
    assert counts(check_table(ds, None, Quality()))["outside_times"].sum() == 1
    assert "outside_times" not in counts(check_table(ds, None, Quality(last=None)))


def test_a_platform_is_withheld():
    ds = withhold(observed(), ["jason"])
    assert (decoded(ds.qc) == "withheld").sum() == select(ds, platform="jason").sizes["obs"] > 0
    assert good(ds).sizes["obs"] == 60 - select(ds, platform="jason").sizes["obs"]
    with pytest.raises(InputError, match="unknown platform 'jasn'; did you mean 'jason'"):
        withhold(ds, ["jasn"])


def test_the_climatology_of_a_level_and_a_day_is_that_of_its_neighbours():
    mean = 10 + DEPTHS[:, None, None] / 1000 + LATITUDE[:, None] / 10 + 0 * LONGITUDE
    axes = {"depth": DEPTHS, "latitude": LATITUDE, "longitude": LONGITUDE}
    spread = 0.2 + mean / 50
    season = np.cos(2 * np.pi * np.arange(366) / 366)
    clim = xr.Dataset({"thetao": (("dayofyear", *axes), mean + season[:, None, None, None]),
                       "thetao_std": (("latitude", "longitude", "depth"), spread.transpose(1, 2, 0))},
                      {"dayofyear": np.arange(1, 367), **axes})  # fmt: skip
    ds = observed(300, names=("thetao",))
    day = (ds.time.values - np.datetime64("2020-01-01")) // np.timedelta64(1, "D")
    at = 10 + np.maximum(ds.depth.values, 0.5) / 1000 + ds.latitude.values / 10
    away = np.linspace(-2, 2, 300)
    ds = changed(ds, slice(None), value=(at + season[day] + away).astype("f4"))
    allowed = 3 * np.hypot(0.2 + at / 50, 0.1)
    np.testing.assert_array_equal(plausible.far_from_climatology(ds, clim, 3.0), np.abs(away) > allowed)


def test_the_spread_about_a_climatology_leaves_land_alone():
    rng = np.random.default_rng(0)
    ds = YEAR[["zos"]] + rng.normal(0, 0.3, (366, 21, 31)).astype("f4")
    ds["zos"][:, 0, 0] = np.nan
    ds["zos"][5:, 1, 1] = np.nan
    clim = climatology(YEAR[["zos"]], harmonics=0)
    for data in (ds, ds.chunk(time=100)):
        found = plausible.with_spread(clim, data)["zos_std"].compute()
        np.testing.assert_allclose(found[2:], np.sqrt(((ds.zos - 0.2) ** 2).mean("time"))[2:], rtol=1e-5)
        assert np.isnan(found[0, 0])
        np.testing.assert_allclose(found[1, 1], np.sqrt(((ds.zos[:5, 1, 1] - 0.2) ** 2).mean()), rtol=1e-5)


def test_an_empty_table_passes():
    ds = observed().isel(obs=slice(0))
    assert check_table(ds, sea(), Quality(), year()).sizes["obs"] == 0
    none = np.zeros(0)
    assert check_window(ds, none, none, none, grid=sea(), settings=Quality()).size == 0
    assert counts(ds).empty


def test_codes_and_words_of_tests_are_unique():
    assert len(set(TESTS.values())) == len(TESTS)
    assert not [code for code in TESTS if 16 <= code <= 74]  # those of providers' flags
    assert list(TESTS.values())[:8] == ["good", "out_of_range", "no_salinity", "no_adjusted_value", "no_coordinate",
                                        "not_primary_sampling", "real_time", "repeated"]  # fmt: skip
