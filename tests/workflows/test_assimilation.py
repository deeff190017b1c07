"""Analyses, window after window: without observations a forecast, with perfect ones the truth, and what is stored."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace

import gsw
import numpy as np
import pytest
import torch
import toy_dataset
import xarray as xr
from toy_assimilation import Nudging, Wobbling, everywhere, observations, scattered
from toy_members import DRIFTING

import oceanx as ox
from oceanx.data import checks
from oceanx.ocean.observations import CODES
from oceanx.tensors.state import Increment, State
from oceanx.variational.analysis import Analysis
from oceanx.vocabulary.channels import Channels
from oceanx.workflows.assimilation.announcements import Alarms, state, yearly_trend
from oceanx.workflows.assimilation.bounds import bounded, freezing
from oceanx.workflows.assimilation.departures import Seen, columns, spread_over_error

NAMES = ("thetao", "uo", "zos")
BARE = {"tests": ["out_of_range", "outside_grid", "on_land"]}  # of quality, where departures are made large on purpose


@pytest.fixture(scope="module")
def ds() -> xr.Dataset:
    return toy_dataset.ocean(40, start="2002-01-01")


def days(first: str, last: str, window: str = "1D") -> slice:
    return slice(first, last, window)


@pytest.mark.parametrize("window", ["1D", "3D"])
def test_without_observations_it_is_a_forecast(ds: xr.Dataset, window: str) -> None:
    """To the bit, whatever the windows; and a method is not even asked. Of an empty table, or of another time."""
    none = scattered(ds, slice("2002-03-01", "2002-03-02")).isel(obs=slice(0, 10 if window == "1D" else 0))
    an = ox.assimilate(DRIFTING, none, background=ds, time=days("2002-01-03", "2002-01-10", window), method=Nudging())
    fc = ox.forecast(DRIFTING, ds, "2002-01-03", "7D", forcing="observed", analysis=True).isel(init_time=0)
    for name in NAMES:
        np.testing.assert_array_equal(an[name].values, fc[name].values)
    assert an.sizes["obs"] == 0
    assert not an.observations_used.any()


def test_one_observation_by_hand(ds: xr.Dataset) -> None:
    """At the centre of a cell: half the departure is given back there, and the model goes on from that."""
    here = {"latitude": 33.0, "longitude": -16.0, "depth": 0.494}
    one = observations({"time": ["2002-01-05T18:00"], "latitude": [33.0], "longitude": [-16.0], "value": [20.0]})
    an = ox.assimilate(DRIFTING, one, background=ds, time=days("2002-01-04", "2002-01-07"), method=Nudging(),
                       quality=BARE, keep=["background"])  # fmt: skip
    before = ds.thetao.sel(time="2002-01-04") * (1 + 0.01 * ds.u10.sel(time="2002-01-05"))
    there = float(before.sel(here, method="nearest"))
    after = an.thetao.sel(time="2002-01-05")
    assert float(after.sel(here, method="nearest")) == pytest.approx((there + 20.0) / 2, abs=1e-5)
    elsewhere = (after.latitude != 33.0) | (after.longitude != -16.0) | (after.depth > 1)
    np.testing.assert_allclose(after.where(elsewhere), before.where(elsewhere), rtol=1e-6)
    np.testing.assert_allclose(an.thetao_background.sel(time="2002-01-05"), before, rtol=1e-6)
    onward = after * (1 + 0.01 * ds.u10.sel(time="2002-01-06"))
    np.testing.assert_allclose(an.thetao.sel(time="2002-01-06"), onward, rtol=1e-6)

    assert float(an.departure_background[0]) == pytest.approx(20.0 - there, abs=1e-5)
    assert float(an.departure_analysis[0]) == pytest.approx((20.0 - there) / 2, abs=1e-5)
    assert float(an.departure_error_std[0]) == 0.5
    assert an.departure_time.values[0] == np.datetime64("2002-01-05")
    assert an.observations_used.values.tolist() == [0, 1, 0, 0]
    assert float(an.thetao_increment_max[1]) == pytest.approx(abs(20.0 - there) / 2, abs=1e-5)
    wet = ds.mask.values.astype(bool)
    volume = np.where(wet, (ds.cell_area * ds.thickness).transpose("depth", ...).values, 0.0)
    share = volume[0, 6, 8] / volume.sum()
    assert float(an.thetao_increment_mean[1]) == pytest.approx(share * (20.0 - there) / 2, rel=1e-4)


def test_perfect_observations_everywhere_are_the_analysis(ds: xr.Dataset) -> None:
    """Another ocean's fields, observed in every wet cell, are what comes out."""
    other = toy_dataset.ocean(40, start="2002-01-01", seed=1)
    seen = everywhere(other, ["2002-01-05", "2002-01-06"], names=NAMES)
    an = ox.assimilate(DRIFTING, seen, background=ds, time=days("2002-01-04", "2002-01-06"), method=Nudging(gain=1.0),
                       quality=BARE)  # fmt: skip
    for name in NAMES:
        np.testing.assert_allclose(an[name].values[1:], other[name].sel(time=an.time[1:]).values, atol=4e-6)
    assert np.abs(an.departure_analysis).max() < 4e-6


def test_each_observation_is_compared_with_its_day(ds: xr.Dataset) -> None:
    """In a window of three days, at its beginning and end; what is seen on the third day is what was forecast there."""
    moments = ["2002-01-04T00:00", "2002-01-06T23:59", "2002-01-07T00:00"]
    place = {"latitude": [33.0] * 3, "longitude": [-16.0] * 3, "value": [18.0] * 3}
    seen = observations({"time": moments, **place})
    an = ox.assimilate(DRIFTING, seen, background=ds, time=days("2002-01-04", "2002-01-09", "3D"),
                       method=Nudging(gain=0.0), quality=BARE)  # fmt: skip
    there = an.thetao.sel(latitude=33.0, longitude=-16.0).isel(depth=0).values
    np.testing.assert_allclose(an.departure_background, 18.0 - there[[0, 2, 3]], atol=2e-6)
    assert an.departure_time.values.astype("datetime64[D]").astype(str).tolist() == ["2002-01-04"] * 2 + ["2002-01-07"]
    assert an.observations_used.values.tolist() == [2, 0, 0, 1, 0, 0]


def test_an_increment_spread_over_its_window(ds: xr.Dataset) -> None:
    """A third at each of three steps, on which the model goes on."""
    seen = observations({"time": ["2002-01-04T06:00"], "latitude": [33.0], "longitude": [-16.0], "value": [20.0]})
    words = {"background": ds, "time": days("2002-01-04", "2002-01-06", "3D"), "method": Nudging(), "quality": BARE}
    once = ox.assimilate(DRIFTING, seen, **words)
    over = ox.assimilate(DRIFTING, seen, spread="over the window", **words)
    cell = {"latitude": 33.0, "longitude": -16.0}
    first = float(ds.thetao.sel(cell).isel(depth=0).sel(time="2002-01-04"))
    share = (20.0 - first) / 2 / 3
    wind = ds.u10.sel(cell).sel(time=slice("2002-01-05", "2002-01-06")).values
    expected = [first + share]
    for u in wind:
        expected.append(expected[-1] * (1 + 0.01 * u) + share)
    np.testing.assert_allclose(over.thetao.sel(cell).isel(depth=0), expected, rtol=1e-6)
    np.testing.assert_allclose(once.thetao.sel(cell).isel(depth=0)[0], first + 3 * share, rtol=1e-6)
    np.testing.assert_array_equal(once.departure_analysis, over.departure_analysis)


def test_a_forecast_begins_from_analyses(ds: xr.Dataset, tmp_path: Path) -> None:
    """As they are returned, and as they are opened beside the atmosphere; checks and scores take them too."""
    seen = scattered(ds, slice("2002-01-01", "2002-01-12"))
    words = {"background": ds, "time": days("2002-01-02", "2002-01-12"), "method": Nudging(gain=0.1), "quality": BARE}
    an = ox.assimilate(DRIFTING, seen, **words)
    stored = ox.assimilate(DRIFTING, seen, to=tmp_path / "an.zarr", **words)
    xr.testing.assert_equal(an, stored)
    ds[["u10", "t2m"]].to_zarr(tmp_path / "atmosphere.zarr", consolidated=False)
    opened = ox.open(tmp_path / "an.zarr", tmp_path / "atmosphere.zarr")
    words = {"init_time": ["2002-01-05", "2002-01-07"], "lead": "5D", "forcing": "observed"}
    fcs = [ox.forecast(DRIFTING, store, **words) for store in (an, stored, opened)]
    by_hand = an.zos.sel(time="2002-01-05") * (1 + 0.01 * ds.u10.sel(time="2002-01-06"))
    for fc in fcs:
        np.testing.assert_allclose(fc.zos.isel(init_time=0, lead_time=0), by_hand, rtol=1e-6)
        xr.testing.assert_equal(fc.drop_attrs(), fcs[0].drop_attrs())
    assert fcs[0].attrs["oceanx_analysis_fingerprint"] == an.attrs["oceanx_fingerprint"]
    scores = ox.score(fcs[0], opened, variables=["thetao"], metrics=["rmse"])
    assert np.isfinite(scores.thetao_rmse).all()
    assert ox.forecast(ox.persistence(), opened, "2002-01-05", "1D").data_vars.keys() == set(NAMES)
    found = checks.check([tmp_path / "an.zarr", tmp_path / "atmosphere.zarr"], ["forecasting"])
    assert {finding.found for finding in found if finding.level != "ok"} == {
        "2002-01-02 to 2002-01-12 is less than a year"
    }


def test_what_is_withheld_is_not_used_but_compared(ds: xr.Dataset) -> None:
    seen = scattered(ds, slice("2002-01-02", "2002-01-05"), 60)
    words = {"background": ds, "time": days("2002-01-02", "2002-01-05"), "method": Nudging(), "quality": BARE}
    an = ox.assimilate(DRIFTING, seen, withhold="ships", **words)
    ships = seen.platform.values[an.departure_row.values] == 1
    np.testing.assert_array_equal(an.departure_qc.values == CODES["withheld"], ships)
    assert np.isfinite(an.departure_background.values[ships]).all()
    assert int(an.observations_used.sum()) == int((~ships).sum())
    by_pattern = ox.assimilate(DRIFTING, seen, withhold=["sh*"], **words)
    assert by_pattern.attrs["oceanx_fingerprint"] == an.attrs["oceanx_fingerprint"]
    alone = seen.isel(obs=np.flatnonzero(seen.platform.values == 0))
    same = ox.assimilate(DRIFTING, alone, **words)
    np.testing.assert_array_equal(an.thetao, same.thetao)
    order = np.random.default_rng(0).permutation(seen.sizes["obs"])
    shuffled = ox.assimilate(DRIFTING, seen.isel(obs=order).sortby("time"), withhold="ships", **words)
    np.testing.assert_allclose(an.thetao, shuffled.thetao, rtol=2e-6)


def test_members_are_told_apart(ds: xr.Dataset) -> None:
    """Mean and spread are of the members that are kept, and so are the ranks and spreads of the departures."""
    seen = scattered(ds, slice("2002-01-02", "2002-01-05"), 80)
    members = ds.isel(time=[3, 5, 8]).drop_vars("time").rename(time="member")
    an = ox.assimilate(DRIFTING, seen, background=ds, start=members, time=days("2002-01-02", "2002-01-05"),
                       method=Wobbling(), members=3, keep=["members", "background"], quality=BARE)  # fmt: skip
    kept = an.thetao_members
    assert kept.dims == ("member", "time", "depth", "latitude", "longitude")
    np.testing.assert_allclose(an.thetao, kept.mean("member"), rtol=1e-6)
    np.testing.assert_allclose(an.thetao_std, kept.std("member", ddof=1), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(an.thetao_background[0], members.thetao.mean("member"), rtol=1e-6)
    ranks = an.departure_rank.values
    assert set(np.unique(ranks)) <= set(range(4))
    far = np.abs(an.departure_background) > 5 * np.hypot(an.departure_background_std, an.departure_error_std)
    assert not far.any() or set(ranks[far]) <= {0, 3}


def test_a_cycle_may_begin_from_the_climatology(ocean: xr.Dataset) -> None:
    """The mean of the members is it; they differ as the days of the season do in other years."""
    none = scattered(ocean, slice("2001-01-01", "2001-01-02"))
    words = {"background": ocean, "time": days("2002-02-01", "2002-02-02"), "start": "climatology"}
    one = ox.assimilate(DRIFTING, none, method=Nudging(), **words)
    several = ox.assimilate(DRIFTING, none, method=Wobbling(members=20), **words)
    usual = ox.ocean.climatology.climatology(ocean[list(NAMES)].sel(time=~ocean.time.isin(one.time)))
    expected = ox.ocean.climatology.at(usual, one.time)
    np.testing.assert_allclose(one.thetao[0], expected.thetao[0], atol=1e-4)
    np.testing.assert_allclose(several.thetao[0], expected.thetao[0], atol=1e-4)
    anomalies = ox.ocean.climatology.anomaly(ocean[list(NAMES)], usual).thetao
    ratio = float(several.thetao_std[0].mean() / anomalies.std("time").mean())
    assert 0.6 < ratio < 1.4


# Bounds


def test_sea_water_freezes_where_the_tables_say() -> None:
    """The check value of UNESCO 44, S 40 at 500 dbar; and within 5 mK of TEOS-10."""
    check = freezing(torch.tensor(40.0, dtype=torch.float64), 500.0)
    assert float(check) == pytest.approx(-2.588567, abs=1e-6)
    salinity, pressure = np.meshgrid([5.0, 20.0, 35.0, 40.0], [0.0, 200.0])
    ours = freezing(torch.from_numpy(salinity), torch.from_numpy(pressure)[None])[0]
    np.testing.assert_allclose(ours, gsw.t_freezing(salinity * 35.16504 / 35, pressure, 0.0), atol=5e-3)


def test_increments_stay_within_what_is_possible() -> None:
    channels = Channels(volume=("thetao", "so"), surface=("siconc",), depth=(0.5,))
    before = {"thetao": [1.0, -5.0, 4.0, -1.0], "so": [30.0, 30.0, 0.5, 35.0], "siconc": [0.5, 0.0, 0.9, 0.0]}
    after = {"thetao": [-4.0, -6.0, 5.0, -1.0], "so": [30.0, 30.0, -2.0, 35.0], "siconc": [0.5, -0.1, 1.2, 0.0]}
    states = [State({n: torch.tensor(x)[None, None, None] for n, x in values.items()}) for values in (before, after)]
    held, counts = bounded(channels, True)(*states)
    cold = float(freezing(torch.tensor(30.0), 0.5))
    assert held["thetao"].flatten().tolist() == pytest.approx([cold, -5.0, 5.0, -1.0])  # -5 was there before
    assert held["so"].flatten().tolist() == [30.0, 30.0, 0.0, 35.0]
    assert held["siconc"].flatten().tolist() == pytest.approx([0.5, 0.0, 1.0, 0.0])
    assert counts == {"thetao": 2, "so": 1, "siconc": 2}
    same, none = bounded(channels, False)(*states)
    assert same is states[1]
    assert none == {}
    _, few = bounded(channels, {"so": (29.0, 40.0)})(*states)
    assert few["thetao"] == 0


def test_bounds_are_counted_in_the_result(ds: xr.Dataset) -> None:
    seen = observations({"time": ["2002-01-04"], "latitude": [33.0], "longitude": [-16.0], "value": [-2.9]})
    words = {"background": ds, "time": days("2002-01-04", "2002-01-05"), "method": Nudging(gain=1.0), "quality": BARE}
    an = ox.assimilate(DRIFTING, seen, **words)
    assert an.thetao_bounded.values.tolist() == [1, 0]
    cold = float(freezing(torch.tensor(35.0), 0.494))
    assert float(an.thetao[0, 0].sel(latitude=33.0, longitude=-16.0)) == pytest.approx(cold)
    free = ox.assimilate(DRIFTING, seen, bounds=False, **words)
    assert float(free.thetao[0, 0].sel(latitude=33.0, longitude=-16.0)) == pytest.approx(-2.9, abs=1e-5)


# Alarms


def test_a_drift_is_told_from_a_season() -> None:
    times = np.datetime64("2001-01-01", "ns") + np.arange(730) * np.timedelta64(1, "D")
    days = np.arange(730)
    season = 3 * np.cos(2 * np.pi * (days - 40) / 365.25)
    assert yearly_trend(times, season + 0.7 * days / 365.25, None) == pytest.approx(0.7, abs=1e-6)
    assert yearly_trend(times[:90], season[:90], None) is None
    assert yearly_trend(times[:90], (season - 0.2 * days / 365.25)[:90], season[:90]) == pytest.approx(-0.2, abs=1e-6)


def test_an_ensemble_that_collapses_or_blows_up() -> None:
    assert state(np.full(9, 0.1)) is None  # too few windows to say
    assert state(np.full(20, 1.0)) is None
    assert "collapsed" in str(state(np.append(np.ones(10), np.full(10, 0.1))))
    assert "blown up" in str(state(np.full(10, 9.0)))
    assert state(np.full(12, np.nan)) is None


def test_a_drift_is_recorded() -> None:
    """Of a mean that leaves the season by 2 degrees a year, and of none that stays within it."""
    days = np.arange(90)
    times = np.datetime64("2001-01-01", "ns") + days * np.timedelta64(1, "D")
    season = {"thetao": np.sin(days / 58), "so": np.zeros(90)}
    drifts = {"thetao_drift": season["thetao"] + 2 * days / 365.25, "so_drift": 0.01 * np.sin(days)}
    alarms = Alarms(times, list(days), 1, season, starts={"thetao": 10.0, "so": 35.0})
    said = alarms.attrs(SimpleNamespace(series=lambda name: drifts[name]))
    assert said == {"oceanx_drift": "the mean thetao over the sea changes by +2 degrees_C a year (more than 1)"}


def test_ranks_of_a_reliable_ensemble_are_even() -> None:
    """Members and truth drawn alike, observed with errors: the observation is as often the least as any other."""
    random, size, members = np.random.default_rng(0), 4000, 7
    truth, drawn = random.standard_normal(size), random.standard_normal((members, size))
    seen = Seen(None, np.ones(size, bool), np.zeros(size, "u1"), truth + 0.5 * random.standard_normal(size),
                np.full(size, 0.5), None)  # fmt: skip
    found = columns(seen, drawn, drawn, Analysis(Increment({})), 1, np.datetime64("2001-01-01"))
    counts = np.bincount(found["rank"], minlength=members + 1)
    assert len(counts) == members + 1
    assert ((counts - 500) ** 2 / 500).sum() < 20.3  # 99.5 % of chi squared with 7 degrees of freedom
    of_the_mean = np.sqrt(1 + 1 / members)  # its error is larger than the members' spread by this
    assert spread_over_error(seen.used, found) * of_the_mean == pytest.approx(1, abs=0.05)


def test_alarms_are_raised_and_recorded(ds: xr.Dataset, caplog: pytest.LogCaptureFixture) -> None:
    """Members that begin all but alike have collapsed."""
    seen = scattered(ds, slice("2002-01-02", "2002-01-20"), 400)
    members = ds.isel(time=[1, 1, 1]).drop_vars("time").rename(time="member")
    members = members + 1e-3 * xr.DataArray([-1.0, 0.0, 1.0], dims="member")
    with caplog.at_level(logging.WARNING, "oceanx.workflows"):
        an = ox.assimilate(DRIFTING, seen, background=ds, start=members.assign_coords(ds.drop_dims("time").coords),
                           time=days("2002-01-02", "2002-01-20"), method=Wobbling(), quality=BARE)  # fmt: skip
    assert "collapsed" in an.attrs["oceanx_ensemble"]
    assert "the ensemble has collapsed" in caplog.text
