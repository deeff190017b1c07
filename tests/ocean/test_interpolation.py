"""The observation operator: exact for what is linear, exact adjoint, dry land never speaks."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
import toy_dataset
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import RegularGridInterpolator

from oceanx.ocean.climatology import at as climatology_at
from oceanx.ocean.climatology import climatology, expand
from oceanx.ocean.equivalents import equivalents
from oceanx.ocean.grid import complete
from oceanx.ocean.interpolation import at_times, weights
from oceanx.ocean.labels import forecast_labels, label
from oceanx.ocean.observations import table
from oceanx.vocabulary.errors import InputError

LATITUDE, LONGITUDE, DEPTH = np.array([-3.0, -1.0, 2.0, 6.0]), np.arange(10.0, 16.0, 1.5), np.array([1.0, 4.0, 20.0])
SPACE = ("depth", "latitude", "longitude")
DAY = np.datetime64("2020-01-01", "ns")


def ocean(latitude=LATITUDE, longitude=LONGITUDE, depth=DEPTH, time=None, wet=None):
    """Axes and a mask."""
    axes = {"depth": depth, "latitude": latitude, "longitude": longitude}
    coords = {name: (name, np.asarray(values, float)) for name, values in axes.items()}
    if wet is not None:
        coords["mask"] = (SPACE, wet.astype("int8"))
    if time is not None:
        coords["time"] = ("time", time)
    return xr.Dataset(coords=coords)


def at(latitude, longitude, depth=0.0, time=DAY, variable=0, names=("thetao", "zos"), value=None):
    """An observation table, in the order of time."""
    columns = np.broadcast_arrays(*map(np.atleast_1d, (latitude, longitude, depth, time, variable)))
    n = columns[0].size
    named = dict(zip(("latitude", "longitude", "depth", "time", "variable"), columns, strict=True))
    rest = {"value": np.zeros(n) if value is None else value, "error_std": np.ones(n), "platform": np.zeros(n, "i4"),
            "feature": np.arange(n), "qc": np.zeros(n, "u1")}  # fmt: skip
    kinds = {"variable": np.int8, "time": "M8[ns]"}
    return table({k: np.asarray(v, kinds.get(k, np.float64)) for k, v in named.items()} | rest, names, ["here"])


def random_points(n, seed, south=-3.0, north=6.0, west=10.0, east=14.5, deep=20.0):
    rng = np.random.default_rng(seed)
    return at(rng.uniform(south, north, n), rng.uniform(west, east, n), rng.uniform(0, deep, n))


points = st.integers(0, 1000).map(lambda seed: random_points(40, seed))


@given(table=points, slopes=st.tuples(*[st.floats(-5, 5)] * 4))
@settings(max_examples=20, deadline=None)
def test_what_is_linear_in_latitude_longitude_and_depth_is_exact(table, slopes):
    grid, (mean, north, east, down) = ocean(), slopes
    field = mean + north * grid.latitude + east * grid.longitude + down * grid.depth
    found = weights(grid, table).apply(field.transpose(*SPACE).values)
    below = np.maximum(table.depth, 1.0)  # above the first level, the first level
    expected = mean + north * table.latitude + east * table.longitude + down * below
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-11)


@given(table=points, seed=st.integers(0, 100))
@settings(max_examples=15, deadline=None)
def test_without_land_it_is_that_of_scipy(table, seed):
    grid = ocean()
    field = np.random.default_rng(seed).normal(size=(3, 4, 4))
    theirs = RegularGridInterpolator([grid[d].values for d in SPACE], field)
    places = np.stack([np.maximum(table.depth, 1.0), table.latitude, table.longitude], axis=1)
    np.testing.assert_allclose(weights(grid, table).apply(field), theirs(places), rtol=1e-12, atol=1e-13)


@given(seed=st.integers(0, 1000), share=st.floats(0.0, 0.9), least=st.floats(0.05, 1.0))
@settings(max_examples=20, deadline=None)
def test_land_never_leaks_and_ones_stay_ones(seed, share, least):
    rng = np.random.default_rng(seed)
    wet = np.logical_and.accumulate(rng.random((3, 4, 4)) > share, axis=0)  # nothing wet below land
    made = weights(ocean(wet=wet), random_points(60, seed), least=least)
    found = made.apply(np.where(wet, 1.0, np.nan))
    np.testing.assert_array_equal(np.isfinite(found), made.found)
    np.testing.assert_allclose(found[made.found], 1.0, rtol=1e-14)
    np.testing.assert_array_equal(made.apply(np.where(wet, 1.0, 1e30)), found)
    assert made.adjoint(np.ones(60))[~wet].sum() == 0


@given(seed=st.integers(0, 1000), time=st.sampled_from([None, "day", "linear", "nearest"]))
@settings(max_examples=20, deadline=None)
def test_the_adjoint_is_exact(seed, time):
    rng = np.random.default_rng(seed)
    wet = rng.random((3, 4, 4)) > 0.3
    moments = DAY + np.arange(3) * np.timedelta64(1, "D")
    obs = random_points(30, seed)
    obs = obs.assign_coords(time=("obs", np.sort(DAY + (rng.random(30) * 4e5).astype("m8[s]"))))
    made = weights(ocean(wet=wet, time=moments), obs, time=time)
    x, y = rng.normal(size=made.shape), rng.normal(size=30)
    forward = np.where(made.found, made.apply(x), 0.0)
    assert forward @ y == pytest.approx((x * made.adjoint(y)).sum(), rel=1e-12, abs=1e-12)
    np.testing.assert_allclose(made.sparse() @ x.ravel(), forward, rtol=1e-12, atol=1e-13)
    several = rng.normal(size=(2, 30))
    np.testing.assert_array_equal(made.adjoint(several)[1], made.adjoint(several[1]))


def test_gathered_and_summed_elsewhere_it_is_the_same_and_its_gradient_the_adjoint():
    rng = np.random.default_rng(0)
    made = weights(ocean(wet=rng.random((3, 4, 4)) > 0.3), random_points(30, 5))
    made = made.rows(made.found)
    x = torch.tensor(rng.normal(size=made.shape), requires_grad=True)
    index, weight, y = (torch.tensor(v) for v in (made.index, made.weight, rng.normal(size=len(made.index))))
    there = (x.flatten()[index] * weight).sum(dim=1)
    np.testing.assert_allclose(there.detach(), made.apply(x.detach().numpy()), rtol=1e-12, atol=1e-14)
    there.dot(y).backward()
    np.testing.assert_allclose(x.grad, made.adjoint(y.numpy()), rtol=1e-12, atol=1e-14)


def test_wet_neighbours_are_weighed_anew_and_too_few_are_none():
    """A quarter of the way from cell 0 to cell 1 in both directions: shares 9/16, 3/16, 3/16, 1/16."""
    wet = np.array([[[1, 1], [0, 1]]])
    grid, field = ocean([0.0, 4.0], [0.0, 4.0], [0.0], wet=wet), np.array([[[1.0, 2.0], [np.nan, 4.0]]])
    there = at(1.0, 1.0)
    expected = (9 * 1.0 + 3 * 2.0 + 1 * 4.0) / 13
    assert weights(grid, there).apply(field)[0] == pytest.approx(expected)
    assert weights(grid, there, least=13 / 16).found[0]
    assert not weights(grid, there, least=0.82).found[0]
    assert not weights(grid, at(3.0, 1.0)).found[0]  # its nearest cell, 9/16, is dry
    assert not weights(ocean([0.0, 4.0], [0.0, 4.0], [0.0], wet=wet * 0), there).found[0]
    assert weights(grid, at(4.0, 4.0)).apply(field)[0] == 4.0  # on a cell's centre


def test_nothing_is_said_below_the_deepest_wet_level_or_beyond_the_grid():
    wet = np.ones((3, 4, 4))
    wet[2] = 0
    grid, field = ocean(wet=wet), np.where(wet, np.array([1.0, 4.0, 20.0])[:, None, None], np.nan)
    depths = np.array([0.0, 1.0, 2.5, 4.0, 4.0003, 4.1, 20.0, 500.0])
    found = weights(grid, at(0.0, 12.0, depths)).apply(field)
    np.testing.assert_allclose(found, [1, 1, 2.5, 4, 4, np.nan, np.nan, np.nan], rtol=1e-14)
    ends = weights(ocean(), at(0.0, 12.0, [20.0, 20.001, 20.1]))
    assert ends.found.tolist() == [True, True, False]
    outside = at([-3.1, 6.1, 0, 0, -3, 6], [12, 12, 9.9, 14.6, 10, 14.5])
    assert weights(grid, outside).found.tolist() == [False, False, False, False, True, True]
    nowhere = at(0.0, 12.0).assign_coords(latitude=("obs", [np.nan]))
    assert not weights(grid, nowhere).found.any()
    assert np.isnan(weights(grid, nowhere).apply(field)).all()
    deep = ocean(depth=[15.0, 30.0])
    assert weights(deep, at(0.0, 12.0, [4.9, 5.0, 15.0])).found.tolist() == [False, True, True]
    assert weights(deep, at(0.0, 12.0, [4.9]), above=11.0).found.all()
    with pytest.raises(InputError, match="above: found -1 m"):
        weights(deep, at(0.0, 12.0), above=-1.0)


@pytest.mark.parametrize("west", [-180.0, 0.0, 20.5])
def test_round_the_seam_of_a_grid_that_goes_all_the_way(west):
    """Zonal wave 1 has no seam; a field linear across it, none either."""
    grid = ocean([-1.0, 1.0], west + np.arange(0, 360, 0.5), [0.0])
    obs = at(0.0, np.array([-180.0, -179.9, 179.9, 0.1, -0.1, 20.4, 20.3, 20.5]))
    wave = np.broadcast_to(np.cos(np.deg2rad(grid.longitude.values)), (1, 2, 720))
    made = weights(grid, obs)
    assert made.found.all()
    np.testing.assert_allclose(made.apply(wave), np.cos(np.deg2rad(obs.longitude)), atol=1e-5)
    across = np.zeros((1, 2, 720))
    across[..., -1], across[..., 0] = 1.0, 2.0
    seam = weights(grid, at(0.0, (west - np.array([0.5, 0.375, 0.125, 0.0]) + 180) % 360 - 180))
    np.testing.assert_allclose(seam.apply(across), [1.0, 1.25, 1.75, 2.0])


def test_across_the_date_line():
    """A region that goes on beyond 180, and observations in [-180, 180)."""
    grid = ocean([-1.0, 1.0], np.arange(176.0, 188.0, 2.0), [0.0])
    field = np.broadcast_to(grid.longitude.values, (1, 2, 6))
    found = weights(grid, at(0.0, [176.0, 179.0, -180.0, -177.5, -174.0, -173.9, 175.9])).apply(field)
    np.testing.assert_allclose(found, [176, 179, 180, 182.5, 186, np.nan, np.nan])


def test_coordinates_of_half_the_precision_are_the_same_place():
    longitude = np.arange(0.1, 360, 0.3)
    grid = ocean([0.1, 0.4], longitude, [0.494025])
    same = at(np.float32(0.1), np.float32(longitude[0]), np.float32(0.494025))
    made = weights(grid, same)
    field = np.random.default_rng(0).normal(size=made.shape)
    assert made.apply(field)[0] == pytest.approx(field[0, 0, 0], abs=1e-4)


def test_labelled_fields_in_any_order_keep_what_else_they_have():
    ds = toy_dataset.ocean(3)
    obs = random_points(20, 0, 31, 34, -19, -15, 80)
    made = weights(ds, obs)
    field = ds["thetao"].transpose("longitude", "time", "depth", "latitude")
    found = made.apply(field)
    assert found.dims == ("time", "obs")
    assert found.attrs["units"] == "degrees_C"
    np.testing.assert_array_equal(found.time, ds.time)
    for t in range(3):
        np.testing.assert_allclose(found[t], made.apply(ds["thetao"].values[t]), rtol=1e-14)
    np.testing.assert_allclose(found[0, 5:9], made.rows(slice(5, 9)).apply(ds["thetao"].values[0]), rtol=1e-14)
    surface = weights(ds.isel(depth=0), obs)
    assert surface.dims == ("latitude", "longitude")
    assert surface.apply(ds["zos"]).dims == ("time", "obs")
    with pytest.raises(InputError, match=r"field of shape \(9, 12\); made for \(10, 12\)"):
        surface.apply(ds["zos"][:, :9].values)


# Time


def test_times():
    stamps = DAY + np.arange(3) * np.timedelta64(1, "D")
    hours = np.array([-1, 0, 12, 23, 24, 36, 71, 72])
    wanted = DAY + hours * np.timedelta64(1, "h")
    near, share = at_times(stamps, wanted, "day")
    assert share.sum(axis=1).tolist() == [0, 1, 1, 1, 1, 1, 1, 0]
    assert near[1:7, 0].tolist() == [0, 0, 0, 1, 1, 2]
    near, share = at_times(stamps, wanted, "linear")  # middles at 12, 36 and 60 h
    assert share.any(axis=1).tolist() == [False, False, True, True, True, True, False, False]
    np.testing.assert_allclose((near * share).sum(axis=1)[2:6], (hours[2:6] - 12) / 24)
    near, share = at_times(stamps, wanted, "linear", middle="0h")
    np.testing.assert_allclose((near * share).sum(axis=1)[1:6], hours[1:6] / 24)
    assert share.any(axis=1).tolist() == [False] + [True] * 5 + [False] * 2
    near, share = at_times(stamps, wanted, "nearest", middle="0h")
    assert near[share[:, 0] > 0, 0].tolist() == [0, 0, 0, 1, 1, 1]
    assert not share[-2:].any()


@pytest.mark.parametrize(
    ("stamps", "how", "said"),
    [([0, 12], "day", "more than one field a day; say time='linear'"), ([24, 0], "day", "expected ascending dates"),
     ([0, 24], "sometimes", "time: found 'sometimes'; expected one of day, linear, nearest")],
)  # fmt: skip
def test_times_that_cannot_be_matched(stamps, how, said):
    with pytest.raises(InputError, match=said):
        at_times(DAY + np.array(stamps) * np.timedelta64(1, "h"), np.array([DAY]), how)


def test_linear_in_time_is_exact():
    moments = DAY + np.arange(4) * np.timedelta64(6, "h")
    grid = ocean(time=moments)
    hours = np.array([0.0, 1.5, 7.0, 18.0])
    obs = at(0.0, 12.0, 5.0, DAY + (hours * 3600).astype("m8[s]"))
    field = np.broadcast_to(3.0 + 0.5 * np.array([0, 6, 12, 18])[:, None, None, None], (4, 3, 4, 4))
    made = weights(grid, obs, time="linear", middle="0h")
    assert made.dims == ("time", *SPACE)
    assert made.shape == (4, 3, 4, 4)
    np.testing.assert_allclose(made.apply(field), 3.0 + 0.5 * hours)


# Equivalents


def observed(ds, n=60, seed=0, days=8):
    """Temperature and sea level at random places of the toy ocean, in order of time."""
    rng = np.random.default_rng(seed)
    time = np.sort(ds.time.values[0] + (rng.random(n) * days * 86400).astype("m8[s]"))
    return at(rng.uniform(30, 34.5, n), rng.uniform(-20, -14.5, n), rng.uniform(0, 92, n), time, rng.integers(0, 2, n))


@pytest.mark.parametrize("how", ["day", "linear", "nearest"])
def test_equivalents_of_an_analysis_are_those_of_the_whole_operator(how):
    ds = toy_dataset.ocean(8)
    obs = observed(ds)
    found = equivalents(ds.chunk(time=1), obs, time=how)
    for code, (name, grid) in enumerate((("thetao", ds), ("zos", ds.isel(depth=0)))):
        rows = np.flatnonzero(obs.variable == code)
        made = weights(grid, obs.isel(obs=rows), time=how)
        whole = made.apply(ds[name].transpose("time", *(d for d in SPACE if d in ds[name].dims)).fillna(1e9).values)
        np.testing.assert_allclose(found[rows], whole, rtol=1e-12)
        assert np.isfinite(whole).any()


def forecast(ds, starts=(0, 3), leads=4, members=None):
    """Perfect but for half a degree or metre more at each lead."""
    labels = forecast_labels(ds.time.values[list(starts)], pd.timedelta_range("1D", periods=leads), ds, members)
    there = ds[["thetao", "zos"]].sel(time=labels.valid_time).drop_vars("time")
    there = there + 0.5 * labels.lead_time / np.timedelta64(1, "D")
    if members is not None:
        there = there + xr.DataArray(np.array([-0.25, 0.25]), dims="member", coords={"member": members})
    return label(labels.assign({n: v.astype("f4").assign_attrs(ds[n].attrs) for n, v in there.items()}))


@pytest.mark.parametrize("members", [None, [0, 1]])
def test_equivalents_of_a_forecast_are_of_the_day_that_it_is_valid_for(members):
    """Starts on days 0 and 3: lead 1 is valid on days 1 and 4, …, lead 4 on days 4 and 7."""
    ds = toy_dataset.ocean(9)
    obs = observed(ds, days=9)
    found = equivalents(forecast(ds, members=members), obs)
    truth = equivalents(ds, obs)
    assert found.dims == ("obs", "lead_time")
    day = (obs.time.values.astype("M8[D]") - ds.time.values[0].astype("M8[D]")).astype(int)
    for lead in range(1, 5):
        asked = np.isin(day, [lead, 3 + lead])
        np.testing.assert_allclose(found[asked, lead - 1], truth[asked] + 0.5 * lead, atol=1e-5)
        assert np.isnan(found.values[~asked, lead - 1]).all()


def test_equivalents_of_a_climatology_are_those_of_its_fields():
    ds = toy_dataset.ocean(400)
    cycle = climatology(ds[["thetao", "zos"]], 2)
    obs = observed(ds, days=400)
    daily = equivalents(climatology_at(cycle, ds.time).assign_coords(mask=ds.mask), obs)
    np.testing.assert_allclose(equivalents(cycle, obs), daily, rtol=2e-6, atol=1e-6)
    np.testing.assert_allclose(equivalents(expand(cycle), obs), daily, rtol=2e-6, atol=1e-6)


def test_without_a_mask_the_first_field_tells_what_is_wet():
    ds = toy_dataset.ocean(4)
    obs = observed(ds, days=4)
    np.testing.assert_array_equal(equivalents(ds.drop_vars("mask"), obs), equivalents(ds, obs))


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [(lambda ds: ds.assign(thetao=ds.thetao.assign_attrs(units="K")), {}, "thetao is in 'K', expected 'degrees_C'"),
     (lambda ds: forecast(ds), {"time": "linear"}, "a forecast is compared by the day"),
     (lambda ds: ds.mean("time"), {}, "expected a `time`, `init_time` and `lead_time`, or a climatology"),
     (lambda ds: label(forecast(ds).assign_coords(init_time=DAY + np.array([0, 6], "m8[h]"))), {}, "one start a day"),
     (lambda ds: label(forecast(ds).assign_coords(lead_time=np.arange(6, 30, 6).astype("m8[h]"))), {}, "whole days"),
     (lambda ds: ds, {"least": 0.0}, "least: found 0; expected a share above 0"),
     (lambda ds: ds.isel(latitude=slice(None, None, -1)), {}, "latitude: expected ascending")],
)  # fmt: skip
def test_what_cannot_be_compared_is_refused(change, options, said):
    ds = toy_dataset.ocean(8)
    obs = observed(ds, days=8)
    with pytest.raises(InputError, match=said):
        equivalents(change(ds), obs, **options)


def test_a_table_that_is_none_is_refused():
    with pytest.raises(InputError, match="expected a table of observations"):
        equivalents(toy_dataset.ocean(2), complete(toy_dataset.ocean(2)))
