"""Skill at heatwaves: against counting by hand, closed forms, and what is known of perfect forecasts."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from oceanx.heatwaves import skill, tally
from oceanx.ocean.grid import area
from oceanx.ocean.labels import forecast_labels, label
from oceanx.vocabulary.errors import InputError

ATTRS = {
    "standard_name": "sea_surface_temperature",
    "units": "degrees_C",
    "units_metadata": "temperature: on_scale",
}
DAYS = pd.date_range("2004-01-01", periods=150)
STARTS = DAYS[20:130:3]
LATITUDE, LONGITUDE = [-60.0, -30.0], [148.0, 149.0, 150.0]
LEADS = 10
CATEGORIES = ["Moderate", "Strong", "Severe", "Extreme"]


def limits(limit=1.0):
    """The same on every day; the climatology has a season."""
    season = 0.2 * np.sin(2 * np.pi * np.arange(1, 367) / 366)
    both = {"climatology": ("dayofyear", season), "threshold": ("dayofyear", season + limit)}
    return xr.Dataset(both, coords={"dayofyear": np.arange(1, 367)}, attrs={"oceanx_baseline": "1982/2003"})


LIMITS = limits()
SEASON = xr.DataArray(LIMITS["climatology"].values[DAYS.day_of_year - 1], dims="time", coords={"time": DAYS})


def red(*shape, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((len(DAYS), *shape))
    for t in range(1, len(x)):
        x[t] = 0.9 * x[t - 1] + np.sqrt(1 - 0.81) * x[t]
    return 1.6 * x


def truth():
    """Anomalies that are often above 1, on 2 × 3 cells, the first of them land."""
    values = red(2, 3)
    values[:, 0, 0] = np.nan
    coords = {"time": DAYS, "latitude": LATITUDE, "longitude": LONGITUDE}
    sst = xr.DataArray(values, dims=("time", "latitude", "longitude"), coords=coords)
    return (sst + SEASON).transpose("time", ...).assign_attrs(ATTRS).to_dataset(name="sst")


TRUTH = truth()
AREA = area(TRUTH["latitude"], TRUTH["longitude"]).values


def forecast(noise=0.0, members=None, seed=1, starts=STARTS, leads=LEADS):
    """What happened, with errors that grow."""
    ds = forecast_labels(starts, pd.timedelta_range("1D", periods=leads), TRUTH, member=members and range(members))
    there = TRUTH["sst"].sel(time=ds["valid_time"]).drop_vars("time")
    error = np.random.default_rng(seed).normal(size=(members or 1, len(starts), leads, 2, 3)).cumsum(axis=2)
    error = error if members else error[0]
    dims = ("member",) * bool(members) + ("init_time", "lead_time", "latitude", "longitude")
    ds["sst"] = (there + noise * xr.DataArray(error, dims=dims)).transpose(*dims).assign_attrs(ATTRS)
    return label(ds)


def levels_of(anomaly):
    """The category of each day of a series, 0 outside events, by walking along it."""
    hot, found = anomaly > 1, np.zeros(len(anomaly), int)
    runs, start = [], None
    for day, above in enumerate([*hot, False]):
        if above and start is None:
            start = day
        elif not above and start is not None:
            runs += [[start, day]] if day - start >= 5 else []
            start = None
    for before, after in pairwise(runs):
        if after[0] - before[1] <= 2:
            before[1] = after[0]
    for first, last in runs:
        found[first:last] = np.clip(np.floor(anomaly[first:last]), 1, 4)
    return found


def answers(fc, i, y, x, member=None):
    """What a forecast and the truth say of each lead at one place, from their fifteen days before and their own."""
    at = DAYS.get_loc(fc["init_time"].values[i])
    days = slice(at - 14, at + 1 + LEADS)
    happened = TRUTH["sst"].values[days, y, x]
    own = fc["sst"] if member is None else fc["sst"].isel(member=member)
    said = np.concatenate([happened[:15], own.values[i, :, y, x]])
    season = SEASON.values[days]
    return levels_of(said - season)[15:], levels_of(happened - season)[15:]


def wet_places(fc):
    return [(i, y, x) for i in range(fc.sizes["init_time"]) for y in range(2) for x in range(3) if (y, x) != (0, 0)]


def test_counts_are_those_of_walking_along_each_series():
    fc = forecast(noise=0.4)
    found = skill(fc, TRUTH, LIMITS).sel(model="forecast")
    counts = np.zeros((LEADS, 4, 4))  # lead, category, outcome
    for i, y, x in wet_places(fc):
        said, came = answers(fc, i, y, x)
        for j in range(LEADS):
            for k in range(4):
                outcome = {(1, 1): 0, (0, 1): 1, (1, 0): 2, (0, 0): 3}[int(said[j] > k), int(came[j] > k)]
                counts[j, k, outcome] += AREA[y, x] / AREA.mean()
    hits, misses, alarms, quiet = np.moveaxis(counts, -1, 0)
    total = counts.sum(axis=-1)
    assert (hits[:, :2] > 0).all()
    assert (misses[:, 0] > 0).all()
    assert (alarms[:, 0] > 0).all()
    for name, values in zip(
        ("hits", "misses", "false_alarms", "correct_negatives"), (hits, misses, alarms, quiet), strict=True
    ):
        np.testing.assert_allclose(found[name], values, err_msg=name)
    h, f = hits[:, 0] / (hits + misses)[:, 0], alarms[:, 0] / (alarms + quiet)[:, 0]
    one = found.sel(category="Moderate")
    np.testing.assert_allclose(one["hit_rate"], h)
    np.testing.assert_allclose(one["false_alarm_ratio"], alarms[:, 0] / (hits + alarms)[:, 0])
    np.testing.assert_allclose(one["csi"], hits[:, 0] / (hits + misses + alarms)[:, 0])
    logs = np.log(f), np.log(h), np.log(1 - f), np.log(1 - h)
    np.testing.assert_allclose(one["sedi"], (logs[0] - logs[1] - logs[2] + logs[3]) / sum(logs))
    np.testing.assert_allclose(one["frequency_bias"], (hits + alarms)[:, 0] / (hits + misses)[:, 0])
    np.testing.assert_allclose(one["base_rate"], (hits + misses)[:, 0] / total[:, 0])
    right = hits + quiet
    chance = ((hits + misses) * (hits + alarms) + (quiet + misses) * (quiet + alarms)) / total
    np.testing.assert_allclose(one["hss"], ((right - chance) / (total - chance))[:, 0])
    np.testing.assert_allclose(one["brier"], (misses + alarms)[:, 0] / total[:, 0])
    np.testing.assert_allclose(one["brier_fair"], one["brier"])


def test_an_ensemble_is_judged_by_the_share_of_its_members():
    fc = forecast(noise=0.4, members=4)
    found = skill({"e": fc}, TRUTH, LIMITS, decide=0.75).sel(model="e", category="Moderate")
    square, fair, hits, weight = (np.zeros(LEADS) for _ in range(4))
    said, came_of = np.zeros((LEADS, 11)), np.zeros((LEADS, 11))
    place = {0.0: 0, 0.25: 3, 0.5: 5, 0.75: 8, 1.0: 10}  # of eleven bins about 0, 0.1 … 1
    for i, y, x in wet_places(fc):
        members = np.array([answers(fc, i, y, x, m)[0] > 0 for m in range(4)])
        came, share = answers(fc, i, y, x, 0)[1] > 0, members.mean(axis=0)
        w = AREA[y, x] / AREA.mean()
        square += w * (share - came) ** 2
        fair += w * ((share - came) ** 2 - share * (1 - share) / 3)
        hits += w * (came & (members.sum(axis=0) >= 3))
        weight += w
        for j in range(LEADS):
            said[j, place[share[j]]] += w
            came_of[j, place[share[j]]] += w * came[j]
    np.testing.assert_allclose(found["brier"], square / weight)
    np.testing.assert_allclose(found["brier_fair"], fair / weight)
    np.testing.assert_allclose(found["hits"], hits)
    np.testing.assert_allclose(found["forecast_share"], said / weight[:, None])
    there = said > 0
    np.testing.assert_allclose(found["reliability"].values[there], came_of[there] / said[there])
    assert np.isnan(found["reliability"].values[~there]).all()
    base = found["base_rate"]
    np.testing.assert_allclose(found["brier_skill"], 1 - found["brier"] / (base * (1 - base)))


def test_a_perfect_forecast_scores_perfectly():
    found = skill(forecast(), TRUTH, LIMITS).sel(model="forecast")
    happens = found["base_rate"] > 0
    assert happens.sel(category="Strong").all()
    for name, best in (("hit_rate", 1), ("false_alarm_ratio", 0), ("csi", 1), ("sedi", 1), ("hss", 1)):
        assert (found[name].where(happens, best) == best).all(), name
        assert found[name].where(~happens).isnull().all(), name
    assert (found["brier"] == 0).all()
    assert (found["frequency_bias"].where(happens, 1) == 1).all()
    assert (found["detected"] == 1).all()
    assert (found["missing"] == 0).all()


def test_persistence_of_the_anomaly_stands_beside():
    fc = forecast(noise=0.4)
    start = (TRUTH["sst"] - SEASON).sel(time=fc["init_time"]).drop_vars("time")
    kept = SEASON.sel(time=fc["valid_time"]).drop_vars("time") + start
    mine = label(fc.assign(sst=kept.transpose(*fc["sst"].dims).assign_attrs(ATTRS)))
    found = skill({"mine": mine}, TRUTH, LIMITS)
    assert found["model"].values.tolist() == ["mine", "anomaly_persistence", "climatology"]
    xr.testing.assert_equal(found.sel(model="mine", drop=True), found.sel(model="anomaly_persistence", drop=True))
    assert (found["csi"].sel(category="Moderate")[0] < 1).any()
    named = skill({"anomaly_persistence": mine, "climatology": fc}, TRUTH, LIMITS)
    assert named["model"].values.tolist() == ["anomaly_persistence", "climatology"]
    assert (named["hits"].sel(model="climatology", category="Moderate") > 0).all()  # the one that was given


def test_climatology_says_never_and_the_base_rate():
    found = skill(forecast(noise=0.4), TRUTH, LIMITS).sel(model="climatology", category="Moderate")
    base = found["base_rate"]
    assert (base > 0).all()
    assert (found["hit_rate"] == 0).all()
    assert (found["frequency_bias"] == 0).all()
    assert found["false_alarm_ratio"].isnull().all()
    np.testing.assert_allclose(found["brier"], base * (1 - base))
    np.testing.assert_allclose(found["brier_skill"], 0, atol=1e-12)
    np.testing.assert_allclose(found["forecast_share"].sum("probability"), 1)
    for j in range(LEADS):
        given = found.isel(lead_time=j).sel(probability=np.round(float(base[j]), 1))
        assert float(given["forecast_share"]) == 1
        assert float(given["reliability"]) == pytest.approx(float(base[j]))
    assert (found["detected"] == 0).all()


def test_batches_and_chunks_change_nothing(monkeypatch):
    few = slice(0, 36, 4)
    fc = {"one": forecast(noise=0.4, starts=STARTS[few]), "many": forecast(noise=0.4, members=3, starts=STARTS[few])}
    whole = skill(fc, TRUTH, LIMITS)
    monkeypatch.setattr(tally, "BATCH_BYTES", 1)
    lazy = {name: f.chunk(init_time=5, lead_time=4) for name, f in fc.items()}
    xr.testing.assert_allclose(skill(lazy, TRUTH.chunk(time=11, latitude=1), LIMITS), whole, rtol=1e-12)


def one_event(begins, days, had_by):
    """Daily starts at one place; an event of so many days, forecast by the starts in `had_by` and by no other."""
    time = pd.date_range("2004-01-01", periods=80)
    values = np.zeros(80)
    values[begins : begins + days] = 2.0
    starts = time[20:60]
    valid = starts.values[:, None] + pd.timedelta_range("1D", periods=LEADS).values
    said = np.zeros((len(starts), LEADS))
    for start in had_by:
        said[start - 20] = values[start + 1 : start + 1 + LEADS]
    coords = {"init_time": starts, "lead_time": pd.timedelta_range("1D", periods=LEADS)}
    fc = xr.DataArray(said, dims=("init_time", "lead_time"), coords=coords)
    flat = limits().assign(climatology=limits()["climatology"] * 0, threshold=limits()["threshold"] * 0 + 1)
    truth = xr.DataArray(values, dims="time", coords={"time": time})
    return fc.assign_coords(valid_time=(("init_time", "lead_time"), valid)), truth, flat


@pytest.mark.parametrize(("had_by", "lead"), [([], 0), ([43], 1), ([41, 43], 3), ([37], 7), ([34, 42], 10), ([33], 0)])
def test_how_early_an_event_was_seen(had_by, lead):
    """It begins on day 40, so it is established on day 44, its fifth; a start on day s has that at lead 44 − s."""
    fc, truth, flat = one_event(40, 9, had_by)
    found = skill(fc, truth, flat)
    mine = found.sel(model="forecast")
    assert float(mine["detection_lead"]) == lead
    assert mine["detected"].values.tolist() == [float(j <= lead) for j in range(1, LEADS + 1)]
    # The anomaly of the day before is none; that of its first day, four days before its fifth, is the event's.
    assert float(found["detection_lead"].sel(model="anomaly_persistence")) == 4


def test_a_joined_spell_is_no_new_event():
    fc, truth, flat = one_event(40, 6, [])
    again = truth.copy()
    again[48:54] = 2.0  # two days later: the same event
    found = skill(fc, again, flat).sel(model="anomaly_persistence")
    assert float(found["detection_lead"]) == 4


def test_regions_part_the_counts():
    fc = forecast(noise=0.4)
    south = xr.DataArray([[True] * 3, [False] * 3], dims=("latitude", "longitude"))
    found = skill(fc, TRUTH, LIMITS, regions={"south": south, "north": ~south.T, "all": south | True})
    assert found["hits"].dims == ("model", "region", "lead_time", "category")
    for name in ("hits", "misses", "false_alarms", "correct_negatives"):
        parts = found[name].sel(region="south") + found[name].sel(region="north")
        np.testing.assert_allclose(parts, found[name].sel(region="all"))
    whole = skill(fc, TRUTH, LIMITS)
    xr.testing.assert_allclose(found.sel(region="all", drop=True), whole)


def test_forecasts_may_have_fewer_leads_than_others():
    fcs = {"long": forecast(noise=0.4), "short": forecast(noise=0.4, leads=6)}
    found = skill(fcs, TRUTH, LIMITS)
    assert found.sizes["lead_time"] == LEADS
    alone = skill({"short": fcs["short"]}, TRUTH, LIMITS).sel(model="short")
    xr.testing.assert_allclose(found.sel(model="short").isel(lead_time=slice(6)), alone)
    assert found["hits"].sel(model="short").isel(lead_time=slice(6, None)).isnull().all()
    whole = skill({"long": fcs["long"]}, TRUTH, LIMITS)
    xr.testing.assert_allclose(found.sel(model=whole["model"]), whole)


def test_the_level_is_that_of_the_threshold():
    """And levels are scored one by one: they are not equally much water."""
    fc, ds = forecast(noise=0.4), TRUTH
    level = xr.DataArray([0.5, 100.0], dims="depth", attrs={"units": "m", "positive": "down"})
    deep = [x["sst"].expand_dims(depth=[0.5, 100.0]).copy() for x in (fc, ds)]
    deep = [xr.where(x["depth"] < 1, 99.0, x, keep_attrs=True).assign_coords(depth=level) for x in deep]
    deep = [
        x.assign_attrs(ATTRS, standard_name="sea_water_potential_temperature").to_dataset(name="thetao") for x in deep
    ]
    of_the_level = LIMITS.assign_coords(depth=100.0)
    found = skill(label(deep[0]), deep[1], of_the_level)
    xr.testing.assert_allclose(found, skill(fc, ds, LIMITS))
    with pytest.raises(InputError, match="depth: heatwaves are scored on one at a time"):
        skill(label(deep[0]), deep[1], LIMITS.expand_dims(depth=level.values))


def test_what_a_forecast_leaves_empty_is_told():
    fc = forecast()
    fc["sst"] = fc["sst"].where((fc["latitude"] > -60) | (fc["lead_time"] < np.timedelta64(5, "D")))
    found = skill({"partly": fc}, TRUTH, LIMITS).sel(model="partly")
    wet = np.array([[0.0, 1, 1], [1, 1, 1]]) * AREA
    np.testing.assert_allclose(found["missing"], [0.0] * 4 + [wet[0].sum() / wet.sum()] * 6)
    assert (found["hit_rate"].sel(category="Moderate")[4:] == 1).all()  # before, days lack that make an event


def test_confidence_of_independent_starts_is_that_of_counting():
    """A yes with probability q at n independent starts has a standard error of √(q (1 − q) / n)."""
    time = pd.date_range("1990-01-01", periods=2000)
    starts = time[20:-2:2]
    rng = np.random.default_rng(0)
    truth = xr.DataArray(np.where(rng.random(2000) < 0.3, 2.0, 0.0), dims="time", coords={"time": time})
    lead = pd.TimedeltaIndex(["1D"])
    fc = xr.DataArray(
        np.zeros((len(starts), 1)), dims=("init_time", "lead_time"), coords={"init_time": starts, "lead_time": lead}
    )
    fc = fc.assign_coords(valid_time=fc["init_time"] + fc["lead_time"])
    flat = limits().drop_attrs()
    found = skill(fc, truth, flat, of="exceedance", confidence=0.95).sel(model="forecast", category="Moderate")
    share, n = float(found["brier"][0]), len(starts)
    width = float(found["brier_high"][0] - found["brier_low"][0])
    assert float(found["brier_low"][0]) < share < float(found["brier_high"][0])
    assert width == pytest.approx(2 * 1.96 * np.sqrt(share * (1 - share) / n), rel=0.15)
    assert found.attrs["oceanx_confidence"] == 0.95
    assert found["sedi_low"].isnull().all()


def test_labels_and_attributes():
    found = skill(forecast(noise=0.4), TRUTH, LIMITS)
    assert found["category"].values.tolist() == CATEGORIES
    assert found["reliability"].dims == ("model", "lead_time", "category", "probability")
    assert all("long_name" in v.attrs and "units" in v.attrs for v in found.data_vars.values())
    assert found.attrs["oceanx_starts"] == len(STARTS)
    assert found.attrs["oceanx_baseline"] == "1982/2003"


def test_a_table_survives_a_file(tmp_path):
    found = skill(forecast(noise=0.4), TRUTH, LIMITS)
    found.to_netcdf(tmp_path / "skill.nc")
    again = xr.open_dataset(tmp_path / "skill.nc", decode_timedelta=True)
    xr.testing.assert_equal(again, found)
    assert again["detection_lead"].dtype == float


def test_a_baseline_with_the_years_that_are_forecast_is_warned_of():
    seen = limits().assign_attrs(oceanx_baseline="1991/2020")
    with pytest.warns(UserWarning, match="baseline 1991 to 2020 has 2004 in it"):
        skill(forecast(), TRUTH, seen)


@pytest.mark.filterwarnings("error")
def test_one_of_other_years_is_not():
    skill(forecast(), TRUTH, LIMITS)


def test_bad_input_is_refused():
    fc = forecast()
    with pytest.raises(InputError, match="start dates differ from the 37 of a"):
        skill({"a": fc, "b": fc.isel(init_time=slice(5))}, TRUTH, LIMITS)
    with pytest.raises(InputError, match=r"truth: no 2004-05-\d\d .*; it covers"):
        skill(fc, TRUTH.isel(time=slice(-15)), LIMITS)
    with pytest.raises(InputError, match="analysis: no 2004-01-07"):
        skill(fc, TRUTH.isel(time=slice(10, None)), LIMITS)
    with pytest.raises(InputError, match="truth: no value"):
        skill(fc, TRUTH * np.nan, LIMITS)
    with pytest.raises(InputError, match="empty: no value where the truth has some"):
        skill({"empty": label(fc.assign(sst=(fc["sst"] * np.nan).assign_attrs(ATTRS)))}, TRUTH, LIMITS)
    weekly = label(fc.isel(lead_time=[0, 1]).assign_coords(lead_time=pd.to_timedelta(["7D", "14D"])))
    with pytest.raises(InputError, match="weekly: lead 7 days comes after 0"):
        skill({"weekly": weekly}, TRUTH, LIMITS)
    with pytest.raises(InputError, match="unknown question `of` 'events'"):
        skill(fc, TRUTH, LIMITS, of="events")
    with pytest.raises(InputError, match="decide: found 0"):
        skill(fc, TRUTH, LIMITS, decide=0)
    with pytest.raises(InputError, match="confidence: found 95"):
        skill(fc, TRUTH, LIMITS, confidence=95)
    with pytest.raises(InputError, match="fewer than two blocks"):
        skill(fc.isel(init_time=slice(4)), TRUTH, LIMITS, confidence=0.9)
    with pytest.raises(InputError, match="nothing to score"):
        skill({}, TRUTH, LIMITS)
    series, truth, flat = one_event(40, 9, [])
    with pytest.raises(InputError, match="regions: need latitude and longitude"):
        skill(series, truth, flat, regions={"here": np.ones((1, 1))})
    with pytest.raises(InputError, match=r"regions: here has \(3, 2\) cells, the grid \(2, 3\)"):
        skill(fc, TRUTH, LIMITS, regions={"here": np.ones((3, 2))})
    with pytest.raises(InputError, match="regions: here has dimensions"):
        skill(fc, TRUTH, LIMITS, regions={"here": TRUTH["sst"] > 0})
