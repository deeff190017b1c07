"""Where and when networks observe."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import toy_observing
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

import oceanx as ox
from oceanx.ocean.flags import decoded, meanings
from oceanx.ocean.interpolation import weights
from oceanx.ocean.observing import chance
from oceanx.ocean.observing.clouds import Clouds
from oceanx.ocean.observing.networks import PRESETS, networks
from oceanx.ocean.observing.sampling import Sampling, places
from oceanx.ocean.observing.sea import Sea, vectors, wrapped
from oceanx.vocabulary.constants import EARTH_RADIUS
from oceanx.vocabulary.errors import InputError

DAYS = np.arange("2004-01-01", "2004-03-01", dtype="datetime64[D]")
KM = EARTH_RADIUS / 1e3


@pytest.fixture(scope="module")
def grid():
    return toy_observing.bare(toy_observing.truth(1))


@pytest.fixture(scope="module")
def sea(grid):
    return Sea.of(grid)


def cells(sea: Sea, table: xr.Dataset) -> np.ndarray:
    return sea.cell(table["longitude"].values, table["latitude"].values)


# Random numbers


def test_random_numbers_are_uniform_normal_and_unlike_their_neighbours():
    n = 200_000
    u, z = chance.uniform(3, "a", np.arange(n)), chance.normal(3, "a", np.arange(n))
    assert scipy.stats.kstest(u, "uniform").pvalue > 1e-3
    np.testing.assert_allclose(ndtr(z), u, atol=1e-15)
    others = [chance.normal(4, "a", np.arange(n)), chance.normal(3, "b", np.arange(n)), np.roll(z, 1)]
    for other in (*others, chance.normal(3, "a", 1, np.arange(n)), chance.normal(3, "a", np.arange(n) + 2**40)):
        assert abs(np.mean(z * other)) < 4 / np.sqrt(n)


def test_a_random_number_hangs_on_its_own_words_alone():
    block = chance.normal(1, "x", np.arange(5)[:, None], np.arange(7))
    assert block.shape == (5, 7)
    assert block[3, 4] == chance.normal(1, "x", 3, 4)
    np.testing.assert_array_equal(block[2], chance.normal(1, "x", 2, np.arange(7)))


# The sea


@given(east=st.floats(-720, 720), north=st.floats(-89.9, 89.9), west=st.sampled_from([-180.0, -30.0, 0.0, 160.0]))
@settings(max_examples=20, deadline=None)
def test_a_place_lies_in_the_cell_whose_centre_is_nearest(east, north, west):
    wet = np.ones((1, 9, 36), bool)
    sea = Sea(np.linspace(-80, 80, 9), west + 10.0 * np.arange(36), None, wet)
    found = int(sea.cell(np.array([east]), np.array([north]))[0])
    row, column = divmod(found, 36)
    assert abs(sea.latitude[row] - north) <= 10
    assert abs((sea.longitude[column] - east + 180) % 360 - 180) <= 5 + 1e-9
    assert -180 <= wrapped(np.array([east]))[0] < 180


def test_off_the_grid_and_on_land_there_is_no_cell(sea):
    found = sea.cell(np.array([-41.0, -3.0, -22.0, -30.0]), np.array([30.0, 30.0, 31.0, 60.0]))
    assert found.tolist() == [-1, -1, -1, -1]


@pytest.mark.parametrize("west", [-40.0, None])
def test_the_sea_holds_what_the_operator_has_water_for(grid, west):
    """On a box, and round a globe whose seam is in the middle of the sea."""
    if west is None:
        mask = np.ones((24, 36), "int8")
        mask[10:14, 15:20], mask[3:5, 30:] = 0, 0
        axes = {"latitude": 20.0 + np.arange(24), "longitude": 5.0 + 10 * np.arange(36)}
        grid = xr.Dataset(coords=axes | {"mask": (("latitude", "longitude"), mask)})
    else:
        grid = grid.isel(depth=0)
    rng = np.random.default_rng(1)
    east, north = (
        rng.uniform(-180, 180, 4000) if west is None else rng.uniform(-42, -3, 4000),
        rng.uniform(18, 45, 4000),
    )
    there = xr.Dataset(coords={"longitude": ("obs", east), "latitude": ("obs", north), "depth": ("obs", 0 * north)})
    sea = Sea.of(grid)
    expected = weights(grid, there).found & (sea.cell(east, north) >= 0)
    np.testing.assert_array_equal(sea.holds(east, north), expected)
    assert 0.3 < expected.mean() < 0.95


# Surface temperature


def test_clouds_have_the_covariance_of_their_length_and_time():
    """exp(−d²/2L² − t²/2τ²) between places and moments, over many clouds."""
    away = np.array([0.0, 150.0, 300.0, 600.0]) / KM
    there = vectors(np.rad2deg(away), np.zeros(4))
    drawn = np.array([Clouds.drawn(300.0, 2.0, 0.0, seed).at(there, t) for seed in range(3000) for t in (0.0, 2.0)])
    first, later = drawn[0::2], drawn[1::2]
    space = np.exp(-((away * KM) ** 2) / 2 / 300.0**2)
    np.testing.assert_allclose((first * first[:, :1]).mean(0), space, atol=0.08)
    np.testing.assert_allclose((later * first[:, :1]).mean(0), space * np.exp(-0.5), atol=0.08)
    assert abs(first.mean()) < 0.08


def test_clouds_go_east_as_fast_as_they_are_said_to():
    still, going = (Clouds.drawn(300.0, 1e9, speed, 5) for speed in (0.0, 600.0))
    here = vectors(np.linspace(0, 40, 30), np.full(30, 25.0))
    upstream = vectors(np.linspace(0, 40, 30) - np.rad2deg(600.0 / KM), np.full(30, 25.0))
    np.testing.assert_allclose(going.at(here, 1.0), still.at(upstream, 0.0), atol=1e-3)
    assert np.abs(going.at(here, 1.0) - still.at(here, 0.0)).max() > 0.1


@pytest.mark.parametrize(("cloud", "varies"), [(0.5, 0.2), (0.8, 0.4), (0.3, 0.0)])
def test_the_share_of_clouds_is_as_stated_and_never_all(grid, sea, cloud, varies):
    at = Sampling(networks("sst", settings={"sst.cloud": cloud, "sst.cloud_varies": varies}), grid, 1)
    shares = np.array([1 - at.on([day]).sizes["obs"] / sea.cells.size for day in DAYS])
    within = min(varies, cloud, 1 - cloud)
    one = 1 / sea.cells.size
    assert shares.mean() == pytest.approx(cloud, abs=4 * within / np.sqrt(3 * DAYS.size) + one)
    assert shares.max() <= min(cloud + within, 1 - one) + one
    assert shares.min() >= cloud - within - one


def test_clouds_hang_together_and_do_not_come_back(grid, sea):
    at = Sampling(networks("sst"), grid, 2)
    clear = np.zeros((DAYS.size, sea.wet[0].size), bool)
    for day, row in zip(DAYS, clear, strict=True):
        row[cells(sea, at.on([day]))] = True
    alike = np.corrcoef(clear[:, sea.cells].astype(float))
    np.fill_diagonal(alike, 0)
    assert alike.max() < 0.9  # no day is like another
    shaped = clear.reshape(DAYS.size, *sea.wet[0].shape)[:, 1:10]
    assert (shaped[:, :, 1:] == shaped[:, :, :-1]).mean() > 0.8  # 1° is a third of their length
    assert (clear[:, sea.cells].sum(0) > 0).all()  # and no cell is always hidden


def test_one_cell_in_so_many_is_another_one_each_day(grid, sea):
    at = Sampling(networks("sst", settings={"sst.every": 3, "sst.cloud": 0}), grid, 1)
    firsts = set()
    for day in DAYS[:30]:
        row, column = np.divmod(cells(sea, at.on([day])), 36)
        assert np.unique(row % 3).size == np.unique(column % 3).size == 1
        firsts.add((int(row[0] % 3), int(column[0] % 3)))
    assert len(firsts) == 9


def test_a_swath_is_seen_when_the_satellite_is_near(grid, sea):
    at = Sampling(networks("swath", settings={"swath.cloud": 0, "swath.swath": 1000}), grid, 1)
    tables = [at.on([day]) for day in DAYS[:20]]
    share = np.array([table.sizes["obs"] / sea.cells.size for table in tables])
    assert 0.2 < share.mean() < 0.95
    assert share.min() < 0.9
    seen = np.unique(np.concatenate([cells(sea, table) for table in tables]))
    assert seen.size == sea.cells.size  # in time, everything
    hours = pd.DatetimeIndex(np.concatenate([table["time"].values for table in tables]))
    clock = (hours.hour + hours.minute / 60 + np.concatenate([t["longitude"].values for t in tables]) / 15) % 12
    assert clock.to_numpy().std() < 1.0  # sun-synchronous: at the same local times, twelve hours apart


# Altimeters


def test_points_are_a_second_apart_within_a_pass(grid):
    there = places("jason", grid, DAYS[:10], seed=1)
    frame = there.to_dataframe().sort_values("time")
    for _, points in frame.groupby("feature"):
        seconds = np.diff(points["time"].to_numpy()) / np.timedelta64(1, "s")
        assert (seconds % 1 == 0).all()
        assert points["time"].max() - points["time"].min() < pd.Timedelta("57min")  # half a period
        up = np.diff(points["latitude"]) > 0
        assert up.all() or not up.any()
    assert set(np.diff(np.sort(frame["time"].to_numpy()))) >= {np.timedelta64(10**9, "ns")}


def test_a_cycle_later_the_tracks_are_there_again(grid):
    """27 days are a whole cycle of Sentinel-3."""
    first, again = (places("sentinel3", grid, day, seed=1) for day in ("2004-01-03", "2004-01-30"))
    np.testing.assert_allclose(first["latitude"], again["latitude"], atol=1e-4)
    np.testing.assert_allclose(first["longitude"], again["longitude"], atol=1e-4)


def test_there_are_as_many_points_as_the_sphere_has_room_for():
    """On the whole globe, all points between the outermost latitudes: 86400 a day."""
    axes = {"latitude": np.arange(-89.5, 90), "longitude": np.arange(0.5, 360)}
    sea = xr.DataArray(np.ones((180, 360), "int8"), axes, ["latitude", "longitude"])
    there = places("jason", xr.Dataset(coords={"mask": sea}), "2004-01-01", seed=1)
    assert there.sizes["obs"] == 86400


# Floats and moorings


def argo(ds, days, **more):
    return places("argo", ds, days, seed=4, **{f"argo.{key}": value for key, value in more.items()})


def test_floats_are_so_many_to_an_area_and_all_at_sea(grid, sea):
    for spacing in (1.5, 3.0):
        at = Sampling(networks("argo", settings={"argo.spacing": spacing}), grid, 4)
        assert abs(len(at.platforms) - sea.cells.size / spacing**2) <= 1
    there = argo(grid, DAYS)
    assert (cells(sea, there) >= 0).all()
    assert there.attrs["oceanx_feature"] == "profile"


@pytest.mark.parametrize("drift", ["walk", "none", "currents"])
def test_each_float_profiles_every_cycle_and_never_on_land(grid, sea, drift):
    ds = toy_observing.truth(60, "2004-01-01", names=("uo", "vo"), current=(0.15, 0.1))
    there = argo(ds, DAYS, drift=drift, spacing=2.0)
    assert (cells(sea, there) >= 0).all()
    frame = there.to_dataframe().drop_duplicates(["platform", "feature"])
    profiles = frame["time"].dt.floor("D").groupby(frame["platform"])
    for _, days in profiles:
        assert set(np.diff(days.to_numpy()) / np.timedelta64(1, "D")) <= {10.0}
    phases = profiles.first().dt.day_of_year % 10
    assert phases.nunique() == 10
    moved = frame.groupby("platform")["longitude"].nunique()
    assert (moved == 1).all() if drift == "none" else (moved > 1).mean() > 0.75  # some lie on the shelf


def test_floats_go_where_the_current_goes():
    """0.05 m/s eastward is 43.2 km in ten days, wherever that ends at sea."""
    ds = toy_observing.truth(60, "2004-01-01", names=("uo", "vo"), current=(0.05, 0.0))
    there = argo(ds, DAYS, life=10**6).to_dataframe().drop_duplicates(["platform", "feature"])
    there = there[there["longitude"] < -15]  # far from the shelf, on which floats lie still
    there = there[(there["latitude"] < 29) | (there["latitude"] > 35)]  # and from the island
    for _, track in there.groupby("platform"):
        if len(track) < 3:
            continue
        km = np.diff(track["longitude"]) * np.deg2rad(1) * KM * np.cos(np.deg2rad(track["latitude"].iloc[0]))
        np.testing.assert_allclose(km, 43.2 * np.diff(track["feature"]), rtol=1e-6)
        assert track["latitude"].nunique() == 1


def test_on_the_shelf_floats_lie_still():
    ds = toy_observing.truth(60, "2004-01-01", names=("uo", "vo"), current=(0.05, 0.0))
    there = argo(ds, DAYS, life=10**6).to_dataframe()
    shelf = there[there.groupby("platform")["longitude"].transform("min") > -10.4]
    assert len(shelf)
    assert (shelf.groupby("platform")["longitude"].nunique() == 1).all()


def test_a_walk_has_steps_of_the_stated_size():
    wet = xr.Dataset(coords={"latitude": np.arange(-30.0, 31), "longitude": np.arange(-180.0, 180)})
    wet = wet.assign_coords(mask=(("latitude", "longitude"), np.ones((61, 360), "int8")))
    sampler = Sampling(networks("argo", settings={"argo.walk": 20.0, "argo.life": 1000}), wet, 1).samplers[0]
    which = np.arange(len(sampler.platforms))
    day = int(DAYS[0].astype(int))
    (east, north), (east2, north2) = sampler.at(day, which), sampler.at(day + 10, which)
    step = (
        np.stack([((east2 - east + 180) % 360 - 180) * np.cos(np.deg2rad(north)), north2 - north]) * np.deg2rad(1) * KM
    )
    step = step[:, east2 != sampler.homes[0]]  # without those that are new
    n = step.shape[1]
    np.testing.assert_allclose(step.std(axis=1), 20.0, rtol=4 / np.sqrt(2 * n))
    assert (np.abs(step.mean(axis=1)) < 4 * 20.0 / np.sqrt(n)).all()


def test_a_float_is_replaced_at_home_after_its_life(grid):
    sampler = Sampling(networks("argo", settings={"argo.life": 30}), grid, 1).samplers[0]
    which, start = np.arange(len(sampler.platforms)), int(DAYS[0].astype(int))
    home = np.zeros((60, which.size), bool)
    for day in range(60):
        home[day] = sampler.at(start + day, which)[0] == sampler.homes[0]
    assert (home[:30] == home[30:]).mean() > 0.95  # every thirty days, for as long as a cycle
    assert (home.sum(axis=0) >= 20).all()


def test_profiles_reach_the_sea_floor_and_no_further(grid, sea):
    there = argo(grid, DAYS[:10], spacing=1.5).to_dataframe()
    for _, profile in there.groupby(["platform", "feature"]):
        assert set(profile["depth"]) == set(toy_observing.DEPTH[: profile["depth"].nunique()])
        assert (profile.groupby("depth")["variable"].nunique() == 2).all()
        west, east = profile["longitude"].iloc[0] < -11.5, profile["longitude"].iloc[0] > -9.5
        if east:
            assert profile["depth"].max() == 50.0
        elif west and abs(profile["latitude"].iloc[0] - 31.5) > 3.0:
            assert profile["depth"].max() == 1000.0


def test_moorings_stay_and_observe_everything_daily(grid, sea):
    there = places("mooring", grid, DAYS[:5], seed=2, **{"mooring.depths": [0, 30], "mooring.number": 7})
    assert there.sizes["obs"] == 5 * 7 * 2 * 4
    frame = there.to_dataframe()
    assert (frame.groupby("platform")[["longitude", "latitude"]].nunique() == 1).all(axis=None)
    assert np.unique(cells(sea, there)).size == 7
    assert set(decoded(there["variable"]).values) == {"thetao", "so", "uo", "vo"}
    assert list(meanings(there["platform"].attrs).values()) == [f"mooring_{n:02d}" for n in range(1, 8)]


def test_what_has_no_levels_is_observed_once_by_a_mooring(grid):
    there = places("mooring", grid, DAYS[0], **{"mooring.variables": ["zos", "thetao"], "mooring.error": 0.1})
    word, depth = decoded(there["variable"]).values, there["depth"].values
    assert (word == "zos").sum() == 5
    assert (depth[word == "zos"] == 0).all()
    assert set(depth[word == "thetao"]) <= set(toy_observing.DEPTH)


# All of them


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_gives_a_table_of_any_day_without_a_look_at_another(grid, name):
    more = {"cells.share": 0.1} if name == "cells" else {}
    week = places(name, grid, DAYS[10:17], seed=9, **more)
    day = places(name, grid, DAYS[13], seed=9, **more)
    keep = week["time"].values.astype("datetime64[D]") == DAYS[13]
    assert keep.any()
    for column in ("time", "latitude", "longitude", "depth", "variable", "error_std", "platform", "feature", "qc"):
        np.testing.assert_array_equal(week[column].values[keep], day[column].values)
    assert set(day["variable"].attrs) >= {"flag_values", "flag_meanings"}


def test_two_of_a_kind_have_names_of_their_own(grid):
    pair = {"deep": {"kind": "argo", "spacing": 6}, "argo": {}}
    names = meanings(places(pair, grid, DAYS[:10])["platform"].attrs).values()
    assert {"deep_0001", "float_0001"} <= set(names)


def test_settings_of_a_preset_of_several_are_those_of_each():
    for network in networks("nadir3", settings={"nadir3.interval": 7, "saral.interval": 2}, errors={"nadir3": 0.01}):
        assert network.interval == (2 if network.name == "saral" else 7)
        assert network.error == 0.01


def test_ox_observe_is_what_networks_say(grid):
    ds = toy_observing.truth(2)
    made = networks("sst+argo", ds.data_vars)
    a, b = ox.observe(ds, made, seed=1), ox.observe(ds, "sst+argo", seed=1)
    xr.testing.assert_identical(a, b)


def test_cells_after_others_are_those_that_these_leave(grid, sea):
    """The same lots: none twice, and all together are the sea."""
    first = Sampling(networks({"kind": "cells", "number": 7}), grid, seed=3)
    rest = Sampling(networks({"kind": "cells", "number": sea.cells.size - 7, "after": 7}), grid, seed=3)
    for day in DAYS[:3]:
        both = [cells(sea, each.on([day])) for each in (first, rest)]
        np.testing.assert_array_equal(np.sort(np.concatenate(both)), sea.cells)
    with pytest.raises(InputError, match="after 8; the grid has"):
        Sampling(networks({"kind": "cells", "number": sea.cells.size - 7, "after": 8}), grid, seed=3)
