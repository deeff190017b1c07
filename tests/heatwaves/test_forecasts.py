"""Events in forecasts: as in the whole series where that is known, and blind to what came after the start."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx.heatwaves import detect, detect_forecast, probability, threshold
from oceanx.ocean.labels import forecast_labels, label
from oceanx.vocabulary.errors import InputError

ATTRS = {
    "standard_name": "sea_surface_temperature",
    "units": "degrees_C",
    "units_metadata": "temperature: on_scale",
}
DAYS = pd.date_range("2003-10-01", periods=260)
LATITUDE, LONGITUDE = [-44.0, -43.0], [148.0, 149.0, 150.0]
LEADS = 12


def flat(limit=1.0, mean=0.0):
    """A threshold that is the same on every day."""
    both = {"climatology": ("dayofyear", np.full(366, mean)), "threshold": ("dayofyear", np.full(366, limit))}
    return xr.Dataset(both, coords={"dayofyear": np.arange(1, 367)})


def level(limit=1.0):
    """The same in every cell of the field."""
    return flat(limit).expand_dims(latitude=LATITUDE, longitude=LONGITUDE).transpose("dayofyear", ...)


def field(values, days=DAYS):
    coords = {"time": days, "latitude": LATITUDE, "longitude": LONGITUDE}
    return xr.DataArray(values, dims=("time", "latitude", "longitude"), coords=coords, attrs=ATTRS, name="sst")


def red(seed=3):
    """Red noise that crosses 1 often, on 2 × 3 cells, the first of them land."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((len(DAYS), 2, 3))
    for t in range(1, len(x)):
        x[t] = 0.9 * x[t - 1] + np.sqrt(1 - 0.81) * x[t]
    x[:, 0, 0] = np.nan
    return field(1.5 * x)


TRUTH = red()
STARTS = DAYS[70:200:5]


def perfect(starts=STARTS, leads=LEADS, truth=TRUTH):
    """What happened, as a labelled forecast."""
    ds = forecast_labels(starts, pd.timedelta_range("1D", periods=leads), truth.to_dataset())
    ds["sst"] = truth.sel(time=ds["valid_time"]).drop_vars("time").assign_attrs(ATTRS)
    return label(ds)


def series(values, history=30, leads=LEADS):
    """One cell: `history` days up to a start, then a forecast, from values of both; and the analysis."""
    days = pd.date_range("2004-01-01", periods=history + leads)
    whole = xr.DataArray(np.asarray(values, float), dims="time", coords={"time": days}, attrs=ATTRS)
    forecast = xr.DataArray(
        whole.values[None, history:],
        dims=("init_time", "lead_time"),
        coords={"init_time": days[[history - 1]], "lead_time": pd.timedelta_range("1D", periods=leads)},
        attrs=ATTRS,
    )
    valid = forecast["init_time"] + forecast["lead_time"]
    return forecast.assign_coords(valid_time=valid), whole


def test_a_perfect_forecast_has_the_events_of_the_whole_series():
    found = detect_forecast(perfect(), flat(), TRUTH, history="60D")
    assert (found["event"] > 0).mean() > 0.1
    assert found["event"].dims == ("init_time", "lead_time", "latitude", "longitude")
    for i, start in enumerate(STARTS):
        known = detect(TRUTH.sel(time=slice(None, start + pd.Timedelta(LEADS, "D"))), level())
        here, known = found.isel(init_time=i), known.load()
        there = known.sel(time=here["valid_time"].values)
        np.testing.assert_array_equal(here["event"] > 0, there["event"] > 0)
        np.testing.assert_array_equal(here["category"], there["category"])
        np.testing.assert_array_equal(here["intensity"], (there["temperature"] - 0).where(there["event"] > 0))
        for j, y, x in zip(*np.nonzero(there["event"].values), strict=True):
            mine = known.isel(latitude=y, longitude=x)
            event = mine.isel(time=mine["event"].values == int(there["event"][j, y, x]))
            if event["time"].values[0] <= start - pd.Timedelta(60, "D"):
                continue  # began before the history
            one = here.isel(lead_time=j, latitude=y, longitude=x)
            day = one["valid_time"].values
            assert one["onset"].values == event["time"].values[0]
            assert one["peak"].values == event["time"].values[np.argmax(event["temperature"].values)]
            assert int(one["duration"]) == (day - event["time"].values[0]) / np.timedelta64(1, "D") + 1


def test_events_of_the_next_days_do_not_need_the_days_after_the_forecast():
    """But at the last leads, where what follows decides: a perfect forecast is that of the whole record there too."""
    whole = detect(TRUTH, level())["event"] > 0
    fc = perfect()
    happened = whole.sel(time=fc["valid_time"])
    decided = LEADS - (5 + 2 - 1)
    said = detect_forecast(fc, flat(), TRUTH)["event"] > 0
    np.testing.assert_array_equal(said[:, :decided], happened[:, :decided])
    assert not (said & ~happened).any()


def test_what_came_after_the_start_is_not_read():
    fc = perfect()
    for i, start in enumerate(STARTS[:6]):
        one = fc.isel(init_time=[i])
        other = TRUTH.where(TRUTH["time"] <= start, 99.0)
        xr.testing.assert_identical(detect_forecast(one, flat(), TRUTH), detect_forecast(one, flat(), other))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.booleans(), min_size=42, max_size=42), st.integers(1, 6), st.integers(0, 3))
def test_the_shortest_history_is_enough(hot, min_duration, max_gap):
    fc, analysis = series(np.where(hot, 2.0, 0.0))
    rule = {"min_duration": min_duration, "max_gap": max_gap}
    whole = detect_forecast(fc, flat(), analysis, history="30D", **rule)
    short = detect_forecast(fc, flat(), analysis, history=f"{min_duration + max_gap}D", **rule)
    np.testing.assert_array_equal(short["event"] > 0, whole["event"] > 0)
    np.testing.assert_array_equal(short["category"], whole["category"])
    np.testing.assert_array_equal(short["established"], whole["established"])
    run = 0
    for day, above in enumerate(hot):
        run = run + 1 if above else 0
        if day >= 30:
            assert bool(whole["established"][0, day - 30]) == (run >= min_duration)


def test_an_event_under_way_is_seen_and_one_unfinished_is_none():
    fc, analysis = series([0.0] * 26 + [1.5] * 4 + [2.5, 3.5] + [0.0] * 6 + [1.5] * 4)
    found = detect_forecast(fc, flat(), analysis).isel(init_time=0)
    assert (found["event"] > 0).values.tolist() == [True, True] + [False] * 10
    assert found["category"].values.tolist() == [2, 3] + [0] * 10
    assert (found["onset"][:2] == np.datetime64("2004-01-27")).all()
    assert (found["peak"][:2] == np.datetime64("2004-02-01")).all()
    assert np.isnat(found["onset"][2:]).all()
    assert found["duration"].values.tolist() == [5, 6] + [0] * 10
    assert found["established"].values.tolist() == [True, True] + [False] * 10
    assert found.attrs["oceanx_history_days"] == 15
    alone = detect_forecast(fc, flat(), xr.zeros_like(analysis)).isel(init_time=0)
    assert not (alone["event"] > 0).any()  # as it would be without the days before


def test_what_is_forecast_to_follow_makes_the_event_and_not_what_is_known_by_then():
    fc, analysis = series([0.0] * 31 + [1.5] * 6 + [0.0] * 5)
    found = detect_forecast(fc, flat(), analysis).isel(init_time=0)
    assert (found["event"] > 0).values.tolist() == [False] + [True] * 6 + [False] * 5
    assert found["established"].values.tolist() == [False] * 5 + [True] * 2 + [False] * 5


def test_cold_spells_are_heatwaves_upside_down():
    fc = perfect()
    warm = detect_forecast(fc, flat(), TRUTH)
    cold = detect_forecast(-fc, flat(-1.0), -TRUTH, side="below")
    for name in ("event", "category", "onset", "peak", "duration", "established"):
        np.testing.assert_array_equal(warm[name], cold[name])
    np.testing.assert_array_equal(warm["intensity"], -cold["intensity"])


def test_members_share_the_history_and_give_probabilities():
    rng = np.random.default_rng(0)
    fc = perfect()
    several = fc["sst"] + xr.DataArray(
        rng.normal(0, 0.5, (4, len(STARTS), LEADS, 2, 3)), dims=("member", *fc["sst"].dims)
    )
    several = label(several.assign_coords(member=range(4)).assign_attrs(ATTRS).to_dataset(name="sst"))
    found = detect_forecast(several, flat(), TRUTH)
    assert found["event"].dims == ("member", "init_time", "lead_time", "latitude", "longitude")
    for m in range(4):
        one = detect_forecast(several.isel(member=m, drop=True), flat(), TRUTH)
        xr.testing.assert_equal(found.isel(member=m, drop=True), one)
    share = probability(found)
    assert share.dims == ("category", "init_time", "lead_time", "latitude", "longitude")
    inside = (found["event"].values > 0).sum(axis=0) / 4
    np.testing.assert_allclose(share.sel(category="Moderate")[:, :, 1], inside[:, :, 1])
    strong = (found["category"].values >= 2).sum(axis=0) / 4
    np.testing.assert_allclose(share.sel(category="Strong")[:, :, 1], strong[:, :, 1])
    assert share[..., 0, 0].isnull().all()
    single = probability(detect_forecast(fc, flat(), TRUTH))
    assert set(np.unique(single.values[..., 1, :])) == {0.0, 1.0}


def test_chunks_change_nothing_and_nothing_is_computed_early():
    fc, limits = perfect(), threshold_of_a_year()
    lazy = detect_forecast(fc.chunk(init_time=4, lead_time=5), limits, TRUTH.chunk(time=30, latitude=1))
    assert all(v.chunks for v in lazy.data_vars.values())
    xr.testing.assert_identical(lazy.compute(), detect_forecast(fc, limits, TRUTH))


def threshold_of_a_year():
    time = pd.date_range("2001-01-01", "2002-12-31")
    values = np.random.default_rng(1).normal(0, 1, (len(time), 2, 3))
    return threshold(field(values, time), ("2001", "2002"))


def test_a_start_at_noon_meets_its_day():
    noon = perfect(STARTS + pd.Timedelta("12h"), truth=TRUTH.assign_coords(time=DAYS + pd.Timedelta("12h")))
    found, expected = detect_forecast(noon, flat(), TRUTH), detect_forecast(perfect(), flat(), TRUTH)
    for name in ("event", "onset", "peak", "duration"):
        np.testing.assert_array_equal(found[name], expected[name])


def test_a_calendar_without_leap_days_gets_one():
    days = xr.date_range("2004-01-15", periods=60, calendar="noleap", use_cftime=True)
    analysis = xr.DataArray(np.full(60, 2.0), dims="time", coords={"time": days}, attrs=ATTRS)
    fc, _ = series([0.0] * 42)
    fc = fc.assign_coords(init_time=pd.to_datetime(["2004-03-03"]))
    fc = fc.assign_coords(valid_time=fc["init_time"] + fc["lead_time"]) + 2.0
    found = detect_forecast(fc, flat(), analysis)
    assert (found["event"] == 1).all()
    assert found["duration"].values.ravel().tolist() == list(range(16, 28))  # 29 February counts


def test_the_analysis_itself_is_no_lead():
    fc = perfect()
    zero = forecast_labels(STARTS, pd.timedelta_range("0D", periods=LEADS + 1), TRUTH.to_dataset())
    zero["sst"] = TRUTH.sel(time=zero["valid_time"]).drop_vars("time").assign_attrs(ATTRS)
    xr.testing.assert_equal(
        detect_forecast(label(zero), flat(), TRUTH)["event"], detect_forecast(fc, flat(), TRUTH)["event"]
    )


def relead(fc, leads):
    """The same values at other leads."""
    fc = fc.assign_coords(lead_time=pd.to_timedelta(leads).astype("timedelta64[ns]"))
    return fc.assign_coords(valid_time=fc["init_time"] + fc["lead_time"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda fc: relead(fc.isel(lead_time=[0, 1]), ["7D", "14D"]), "lead 7 days comes after 0"),
        (lambda fc: relead(fc.isel(lead_time=[0, 1]), ["1D", "3D"]), "lead 3 days comes after 1"),
        (lambda fc: relead(fc.isel(lead_time=[0, 1]), ["6h", "12h"]), "0 days 06:00:00 is not of whole days"),
        (lambda fc: fc.drop_vars("valid_time"), "no coordinate 'valid_time'"),
        (lambda fc: fc["sst"].drop_vars("valid_time"), "no coordinate 'valid_time'"),
        (lambda fc: fc["sst"].isel(init_time=0), "no dimension 'init_time' of dates"),
        (lambda fc: fc["sst"].assign_coords(lead_time=np.arange(LEADS)), "'lead_time' of durations; found int64"),
        (lambda fc: fc.assign_coords(lead_time=np.arange(LEADS)), "lead_time: found int64, expected timedelta64"),
        (lambda fc: fc.assign_coords(longitude=fc["longitude"] + 1), "longitude: grids differ"),
        (lambda fc: fc.rename(sst="zos"), "found standard_name|no surface temperature"),
    ],
)
def test_forecasts_that_cannot_be_followed_day_by_day_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        detect_forecast(change(perfect()), flat(), TRUTH)


def test_other_bad_input_is_refused():
    fc = perfect()
    with pytest.raises(InputError, match=r"analysis: no 2003-11-26 .* it covers 2003-12-01"):
        detect_forecast(fc, flat(), TRUTH.sel(time=slice("2003-12-01", None)))
    with pytest.raises(InputError, match="analysis: no 2003-12-05"):
        detect_forecast(fc, flat(), TRUTH.where(TRUTH["time"] != np.datetime64("2003-12-05"), drop=True))
    for history in ("6D", "12h", "week"):
        with pytest.raises(InputError, match="at least 7"):
            detect_forecast(fc, flat(), TRUTH, history=history)
    with pytest.raises(InputError, match="more than once"):
        detect_forecast(fc, flat(), xr.concat([TRUTH, TRUTH.isel(time=[0])], "time"))
    with pytest.raises(InputError, match="longitude: grids differ"):
        detect_forecast(fc, flat(), TRUTH.assign_coords(longitude=[8.0, 9.0, 10.0]))
    with pytest.raises(InputError, match="latitude: grids differ"):
        detect_forecast(fc, threshold_of_a_year().isel(latitude=[0]), TRUTH)
    with pytest.raises(InputError, match="expected time and the cells"):
        detect_forecast(fc, flat(), TRUTH.expand_dims(member=[0]))
    with pytest.raises(InputError, match="of percentile 90"):
        detect_forecast(fc, threshold_of_a_year(), TRUTH, side="below")
    limits = threshold_of_a_year()
    limits["threshold"].attrs["units"] = "K"
    with pytest.raises(InputError, match="one unit"):
        detect_forecast(fc, limits, TRUTH)
    with pytest.raises(InputError, match="what oceanx"):
        probability(detect(TRUTH, level()))
