"""Observing a truth: values, errors, and that a part is the same as that part of the whole."""

from __future__ import annotations

import json

import numpy as np
import pytest
import scipy.stats
import toy_observing
import xarray as xr
from scipy.interpolate import RegularGridInterpolator

import oceanx as ox
from oceanx.ocean import observations
from oceanx.ocean.equivalents import equivalents
from oceanx.ocean.flags import decoded, meanings
from oceanx.ocean.interpolation import weights
from oceanx.ocean.observing import observe as observing
from oceanx.ocean.observing.sampling import NETWORK, SEED, places
from oceanx.vocabulary.errors import InputError

ALL = "argo+sst+nadir3+mooring"
CELLS = {"kind": "cells", "number": 22, "error": 0.3}
NAMES = [*observations.COORDINATES, *observations.COLUMNS]


@pytest.fixture(scope="module")
def truth():
    return toy_observing.truth(14)


@pytest.fixture(scope="module")
def obs(truth):
    return ox.observe(truth, ALL, seed=3)


def the_same(a: xr.Dataset, b: xr.Dataset) -> None:
    for name in NAMES:
        np.testing.assert_array_equal(a[name].values, b[name].values, err_msg=name)


def rows(obs: xr.Dataset, keep: np.ndarray) -> xr.Dataset:
    return obs.isel(obs=np.flatnonzero(keep))


def test_it_is_a_table_of_observations(obs):
    observations.check(obs)
    assert set(meanings(obs["variable"].attrs).values()) == {"thetao", "so", "uo", "vo", "zos"}
    assert (obs["qc"] == 0).all()
    names = set(meanings(obs["platform"].attrs).values())
    assert {"sst", "jason", "sentinel3", "saral", "float_0001", "mooring_05"} <= names


def test_without_error_it_is_what_the_operator_says_of_the_truth(truth):
    exact = ox.observe(truth, ALL, seed=3, errors=0)
    np.testing.assert_allclose(exact["value"], equivalents(truth, exact), rtol=0, atol=1e-12)
    np.testing.assert_array_equal(exact["error_std"], 1e-6)


def test_without_error_and_land_it_is_linear_interpolation(truth):
    sea = truth.drop_vars("mask").fillna(10.0)
    exact = ox.observe(
        sea,
        "jason+argo",
        time="2004-03-02",
        errors=0,
        **{"argo.spacing": 1.5, "argo.drift": "walk", "argo.depths": [7, 120]},
    )
    at = np.stack([exact[n].values for n in ("depth", "latitude", "longitude")], axis=1)
    for name in ("thetao", "zos"):
        mine = decoded(exact["variable"]).values == name
        field = sea[name].sel(time="2004-03-02")
        if name == "zos":
            field = xr.concat([field, field], "depth").assign_coords(depth=[0.0, 1.0])
        axes = [field[n].values for n in ("depth", "latitude", "longitude")]
        expected = RegularGridInterpolator(axes, field.values)(at[mine])
        assert mine.sum() > 20
        np.testing.assert_allclose(exact["value"].values[mine], expected, rtol=0, atol=1e-12)


def test_errors_are_normal_white_and_as_large_as_stated(truth, obs):
    error = (obs["value"] - equivalents(truth, obs)).values / obs["error_std"].values
    stated = {"thetao": {0.02, 0.4}, "so": {0.01}, "zos": {0.03}, "uo": {0.03}, "vo": {0.03}}
    for name, sigmas in stated.items():
        mine = decoded(obs["variable"]).values == name
        assert set(obs["error_std"].values[mine]) == sigmas
    for network in ("sst", "jason", "saral", "float", "mooring"):
        mine = error[np.char.startswith(decoded(obs["platform"]).values.astype(str), network)]
        n = mine.size
        assert abs(mine.mean()) < 4 / np.sqrt(n)
        assert abs(mine.var() - 1) < 4 * np.sqrt(2 / n)
        assert scipy.stats.kstest(mine, "norm").pvalue > 1e-3
        for lag in (1, 2, 7):
            assert abs((mine[lag:] * mine[:-lag]).mean()) < 4 / np.sqrt(n)


def test_errors_of_one_cell_differ_from_day_to_day(truth):
    seen = ox.observe(truth, "sst", **{"sst.cloud": 0})
    days = (seen["value"] - equivalents(truth, seen)).values.reshape(truth.sizes["time"], -1)
    n = days[1:].size
    assert abs(np.mean(days[1:] * days[:-1]) / 0.4**2) < 4 / np.sqrt(n)


def test_part_of_the_time_is_that_part_of_the_whole(truth, obs):
    some = ox.observe(truth, ALL, seed=3, time="2004-03-01:2004-03-03")
    the_same(
        some, obs.sel(obs=(obs["time"] >= np.datetime64("2004-03-01")) & (obs["time"] < np.datetime64("2004-03-04")))
    )


def test_days_read_at_once_and_lazy_fields_change_nothing(truth, obs, monkeypatch):
    monkeypatch.setattr(observing, "_BYTES", 1)  # day by day
    some = ox.observe(truth.chunk(time=4), ALL, seed=3, time=":2004-02-28")
    the_same(some, obs.sel(obs=obs["time"] < np.datetime64("2004-02-29")))


def test_neither_other_networks_nor_their_order_change_anything(truth, obs):
    the_same(ox.observe(truth, "mooring+nadir3+sst+argo", seed=3), obs)
    alone = ox.observe(truth, "sst", seed=3)
    within = observations.select(obs, platform="sst")
    for name in ("time", "latitude", "longitude", "value", "error_std", "feature"):
        np.testing.assert_array_equal(alone[name].values, within[name].values)


@pytest.mark.parametrize("network", ["sst", "jason", "argo", "mooring", CELLS])
def test_seeds_differ_in_places_and_errors(truth, network):
    a, b = (ox.observe(truth, network, time="2004-03-01:2004-03-04", seed=seed) for seed in (1, 2))
    width = min(a.sizes["obs"], b.sizes["obs"])
    assert (a["longitude"].values[:width] != b["longitude"].values[:width]).mean() > 0.3
    assert not np.isin(a["value"], b["value"]).any()


def test_places_are_the_rows_of_observations(truth, obs):
    there = places(ALL, truth, truth["time"].values, seed=3)
    assert "value" not in there
    for name in NAMES:
        if name != "value":
            np.testing.assert_array_equal(there[name].values, obs[name].values, err_msg=name)


def test_places_need_no_fields(truth):
    there = places("argo+jason", toy_observing.bare(truth), ["2004-02-25", "2004-02-26"], seed=3)
    found = ox.observe(truth, "argo+jason", time="2004-02-25:2004-02-26", seed=3, **{"argo.drift": "walk"})
    for name in ("time", "latitude", "longitude", "depth", "platform", "feature"):
        np.testing.assert_array_equal(there[name].values, found[name].values, err_msg=name)


def test_longitudes_may_be_counted_to_360(truth):
    other = truth.assign_coords(longitude=truth["longitude"] % 360)
    a, b = (ox.observe(ds, "sst+jason+mooring", time="2004-03-01", seed=2, errors=0) for ds in (truth, other))
    np.testing.assert_allclose(a["value"], b["value"], rtol=0, atol=1e-9)
    assert float(b["longitude"].max()) < 180


def test_the_surface_is_sst_where_the_truth_has_it():
    ds = toy_observing.truth(3, names=("thetao", "sst"))
    for variable, expected in (("sst", ds.sst), ("thetao", ds.thetao.isel(depth=0))):
        known = ds if variable == "sst" else ds.drop_vars("sst")
        seen = ox.observe(known, "sst", errors=0)
        assert set(decoded(seen["variable"]).values) == {variable}
        assert (seen["depth"] == 0).all()
        at = {"time": seen["time"].dt.floor("D"), "latitude": seen["latitude"], "longitude": seen["longitude"]}
        np.testing.assert_array_equal(seen["value"], expected.sel(at))


def test_a_variable_may_have_another_name():
    ds = toy_observing.truth(3, names=("zos",))
    a, b = ox.observe(ds, "nadir1", seed=1), ox.observe(ds.rename(zos="adt"), "nadir1", seed=1)
    the_same(a, b)
    assert set(decoded(b["variable"]).values) == {"zos"}
    two = ds.rename(zos="adt").assign(ssh=ds["zos"])
    with pytest.raises(InputError, match="jason: observes zos; the truth has adt, ssh"):
        ox.observe(two, "nadir1")


def test_without_a_mask_wet_is_where_the_first_field_is(truth):
    late = truth.copy(deep=True)
    late["thetao"][0] = np.nan  # a day that is missing altogether
    a, b = (ox.observe(ds, "sst+argo", seed=3, **{"argo.drift": "walk"}) for ds in (late, late.drop_vars("mask")))
    the_same(a, b)
    assert a["time"].values[0] >= np.datetime64("2004-02-21") or set(decoded(a["variable"]).values[:9]) == {"so"}


def test_moments_between_fields(truth):
    linear = ox.observe(truth, "jason", time="2004-03-01:2004-03-02", errors=0, between="linear")
    exact = equivalents(truth, linear, time="linear")
    np.testing.assert_allclose(linear["value"], exact, rtol=0, atol=1e-12)
    day = ox.observe(truth, "jason", time="2004-03-01:2004-03-02", errors=0)
    assert np.abs(day["value"].values - linear["value"].values).max() > 0.01


def test_cells_of_a_number_are_so_many_other_ones_each_day(truth):
    obs = ox.observe(truth, CELLS, seed=5)
    wet = np.flatnonzero(truth["mask"].values[0])
    at = weights(truth.isel(depth=0), obs)
    cell = at.index[np.arange(len(at.index)), at.weight.argmax(axis=1)].reshape(-1, 22)
    np.testing.assert_array_equal(at.weight.max(axis=1), 1.0)
    assert all(np.unique(day).size == 22 for day in cell)
    assert np.isin(cell, wet).all()
    assert len({tuple(day) for day in cell}) == truth.sizes["time"]
    counts = np.bincount(np.searchsorted(wet, cell.ravel()), minlength=wet.size)
    expected = cell.size / wet.size
    assert scipy.stats.chisquare(counts, np.full(wet.size, expected)).pvalue > 1e-3
    assert (obs["error_std"] == 0.3).all()


def test_stated_errors_give_way_to_those_of_a_network_then_of_a_variable(truth):
    obs = ox.observe(truth, "sst+argo", seed=3, errors={"thetao": 0.5, "sst": 0.2})
    word, platform = decoded(obs["variable"]).values, decoded(obs["platform"]).values
    for keep, sigma in (
        (platform == "sst", 0.2),
        ((platform != "sst") & (word == "thetao"), 0.5),
        (word == "so", 0.01),
    ):
        assert set(obs["error_std"].values[keep]) == {sigma}


def test_what_was_done_is_told(truth, obs):
    told = json.loads(obs.attrs[NETWORK])
    assert [network["name"] for network in told] == ["argo", "jason", "mooring", "saral", "sentinel3", "sst"]
    assert obs.attrs[SEED] == 3
    assert json.loads(obs.attrs["oceanx_errors"])["argo"] == {"thetao": 0.02, "so": 0.01}
    assert obs.attrs["source"] == "A toy to observe"
    again = ox.observe(truth, told, seed=obs.attrs[SEED])
    the_same(again, obs)


def test_representation_is_told_and_adds_nothing(truth):
    a = ox.observe(truth, "sst", time="2004-03-01", seed=3)
    b = ox.observe(truth, "sst", time="2004-03-01", seed=3, **{"sst.representation": 0.3})
    the_same(a, b)
    assert json.loads(b.attrs[NETWORK])[0]["representation"] == 0.3


def test_a_yaml_says_the_same_as_a_mapping(truth, tmp_path):
    path = tmp_path / "network.yaml"
    path.write_text("line: {kind: mooring, places: [[-30, 25]], variables: [thetao]}\nsst: {cloud: 0.8}\n")
    line = {"kind": "mooring", "name": "line", "places": [(-30, 25)], "variables": ["thetao"]}
    a = ox.observe(truth, path, time="2004-03-01:2004-03-04")
    b = ox.observe(truth, [line, "sst"], time="2004-03-01:2004-03-04", **{"sst.cloud": 0.8})
    the_same(a, b)
    assert "line_01" in meanings(a["platform"].attrs).values()


def test_progress_is_told(truth):
    told: list = []
    ox.observe(truth, "sst", progress=lambda what, done, total: told.append((what, done, total)))
    assert told[-1] == ("observing", truth.sizes["time"], truth.sizes["time"])


@pytest.mark.parametrize(
    ("network", "settings", "said"),
    [
        ("argo+ssst", {}, "unknown network 'ssst'; did you mean 'sst'"),
        ("", {}, "network: none is said; choose from"),
        ("jason+nadir1", {}, "two are named jason"),
        ("sst+sst", {}, "sst is said twice"),
        ({"kind": "radar"}, {}, "unknown kind of network 'radar'"),
        ({"kind": "nadir", "orbits": 127, "days": 10, "inclination": 66}, {}, "does not repeat"),
        ({"kind": "cells", "number": 5, "variable": "temp"}, {}, "unknown variable 'temp'"),
        ({"kind": "cells", "number": 5, "variable": "siconc"}, {}, "cells: observes siconc; the truth has thetao, so"),
        ({"kind": "cells", "number": 5, "variable": "zos", "depth": 9}, {}, "zos has no depth"),
        ({"kind": "cells", "number": 9999}, {}, "the grid has 772 wet cells"),
        ("cells", {}, "say how many cells a day"),
        ({"radar": {"height": 3}}, {}, "radar: say its kind"),
        ({"sst": 3}, {}, "sst: found 3; expected settings"),
        ("sst", {"sst.clouds": 0.1}, "did you mean 'cloud'"),
        ("sst", {"argo.spacing": 1}, "unknown network 'argo'"),
        ("sst", {"sst": 1}, "name the setting too"),
        ("sst", {"sst.cloud": 1.0}, "sst.*cloud.*less than 1, found 1"),
        ("sst", {"errors": -0.1}, "sst: error: expected standard deviations of 0 or more, found -0.1"),
        ("argo", {"errors": {"so": float("nan")}}, "argo: error: .*0 or more, found so: nan"),
        ("sst", {"errors": {"jason": 0.1}}, "unknown network or variable in errors 'jason'"),
        ("sst", {"errors": {"uo": 0.1}}, "no network observes uo"),
        ("argo", {"argo.error": {"thetao": 0.1}}, "argo.error: states none for so"),
        ("mooring", {"mooring.places": [[-23, 31]]}, r"\(-23.0, 31.0\).*not in a wet cell"),
        ("mooring", {"mooring.depths": [-5]}, "depths.*greater than or equal to 0"),
        ("sst", {"time": "2005"}, "the truth has 2004-02-20 to 2004-03-04"),
        ("sst", {"time": "2004-03:2004-04"}, "choose days that it has"),
        ("sst", {"between": "hourly"}, "time: found 'hourly'"),
        ([CELLS, CELLS], {}, "cells is said twice"),
    ],
)  # fmt: skip
def test_what_cannot_be_observed_is_said_in_one_line(truth, network, settings, said):
    with pytest.raises(InputError, match=said) as error:
        ox.observe(truth, network, **settings)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "network", "said"),
    [
        (lambda ds: ds.isel(time=0), "sst", "expected fields along dates"),
        (lambda ds: ds.drop_vars("so"), "argo", r"observes so; .*say argo.variables="),
        (lambda ds: ds.expand_dims(member=2), "sst", "choose one with ds.isel"),
        (lambda ds: ds.isel(time=slice(None, None, -1)), "sst", "sort with"),
        (lambda ds: ds.rename(time="init_time"), "sst", "is a forecast"),
        (lambda ds: ds.assign(thetao=ds.thetao.assign_attrs(units="K")), "sst", "in 'K', expected 'degrees_C'"),
        (lambda ds: ds.assign(mask=ds.mask * 0).set_coords("mask"), "sst", "no cell is wet"),
        (lambda ds: ds.isel(depth=slice(1, None)), "sst", "uppermost level is at 50 m"),
        (lambda ds: ds.drop_vars("mask") * np.nan, "jason", "zos: has no value at any time"),
        (lambda ds: ds.drop_vars("uo"), {"kind": "argo", "drift": "currents"}, "currents need uo and vo"),
        (lambda ds: ds.isel(depth=0, drop=True), {"kind": "argo", "depths": [500]}, "the truth has a surface alone"),
    ],
)
def test_an_ocean_that_cannot_be_observed_is_said_in_one_line(truth, change, network, said):
    with pytest.raises(InputError, match=said) as error, xr.set_options(keep_attrs=True):
        ox.observe(change(truth), network)
    assert "\n" not in str(error.value)


def test_places_need_a_mask_and_days(truth):
    with pytest.raises(InputError, match="mask: no such coordinate"):
        places("sst", truth.drop_vars("mask"), "2004-03-01")
    with pytest.raises(InputError, match="days: none is given"):
        places("sst", truth, [])


@pytest.mark.real
def test_three_nadirs_over_the_mediterranean(real):
    """An independent simulation of the three found 1116 points of a second a day."""
    with xr.open_dataset(real("obs/dt_med_allsat_phy_l4_20050401-20050531.nc")) as ds:
        obs = ox.observe(ds, "nadir3", seed=1)
    assert obs.sizes["obs"] / 61 == pytest.approx(1116, rel=0.02)
