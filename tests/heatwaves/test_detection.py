"""Events: hand-made series with known events, and a field cell by cell."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_series import series

from oceanx.heatwaves import detect, events, fixed_threshold, rolling_threshold, threshold
from oceanx.heatwaves.spells import number
from oceanx.vocabulary.errors import InputError


def flat(limit=1.0, mean=0.0):
    """A threshold that is the same on every day."""
    days = np.arange(1, 367)
    both = {"climatology": ("dayofyear", np.full(366, mean)), "threshold": ("dayofyear", np.full(366, limit))}
    return xr.Dataset(both, coords={"dayofyear": days})


def numbers(values, **options):
    return detect(series(values), flat(), **options)["event"].values.tolist()


def test_five_days_make_an_event_and_two_days_gap_do_not_part_it():
    hot, cold = 1.5, 0.5
    assert numbers([cold] + [hot] * 4 + [cold]) == [0] * 6
    assert numbers([cold] + [hot] * 5 + [cold]) == [0] + [1] * 5 + [0]
    assert numbers([hot] * 5 + [cold] * 2 + [hot] * 5) == [1] * 12
    assert numbers([hot] * 5 + [cold] * 3 + [hot] * 5) == [1] * 5 + [0] * 3 + [2] * 5
    assert numbers([hot] * 5 + [cold] + [hot] * 5, max_gap=0) == [1] * 5 + [0] + [2] * 5
    assert numbers([hot] * 5 + [cold] + [hot] * 4) == [1] * 5 + [0] * 5  # a short spell joins nothing
    assert numbers([1.0] * 6) == [0] * 6  # on the threshold is not above it
    assert numbers([hot, hot, np.nan, hot, hot, hot]) == [0] * 6
    assert numbers([hot] * 3, min_duration=3) == [1] * 3


@settings(max_examples=100, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=60), st.integers(1, 6), st.integers(0, 4))
def test_events_follow_the_definition(hot, min_duration, max_gap):
    found = numbers(np.where(hot, 2.0, 0.0), min_duration=min_duration, max_gap=max_gap)
    runs, start = [], None
    for day, above in enumerate([*hot, False]):
        if above and start is None:
            start = day
        elif not above and start is not None:
            runs += [[start, day - 1]] if day - start >= min_duration else []
            start = None
    joined = runs[:1]
    for run in runs[1:]:
        if run[0] - joined[-1][1] - 1 <= max_gap:
            joined[-1][1] = run[1]
        else:
            joined.append(run)
    expected = [0] * len(hot)
    for order, (first, last) in enumerate(joined, 1):
        expected[first : last + 1] = [order] * (last - first + 1)
    assert found == expected


def test_numbers_of_one_event():
    found = detect(series([0.0, 1.5, 2.5, 4.5, 3.5, 1.5, 0.5, 0.0]), flat())
    assert found["category"].values.tolist() == [0, 1, 2, 4, 3, 1, 0, 0]
    row = events(found).iloc[0]
    assert (row["date_start"], row["date_peak"], row["date_end"]) == tuple(
        pd.to_datetime(["1982-01-02", "1982-01-04", "1982-01-06"])
    )
    assert row["duration"] == 5
    assert row["category"] == "Extreme"
    assert [row[f"duration_{k}"] for k in ("moderate", "strong", "severe", "extreme")] == [2, 1, 1, 1]
    assert row["intensity_max"] == 4.5
    assert row["intensity_mean"] == pytest.approx(13.5 / 5)
    assert row["intensity_cumulative"] == pytest.approx(13.5)
    assert row["intensity_max_relThresh"] == 3.5
    assert row["rate_onset"] == pytest.approx((4.5 - 0.75) / 2.5)  # from half-way between 0.0 and 1.5
    assert row["rate_decline"] == pytest.approx((4.5 - 1.0) / 2.5)


def test_event_cut_by_the_ends_of_the_series():
    row = events(detect(series([3.0, 2.0, 2.0, 2.0, 2.5]), flat())).iloc[0]
    assert row["rate_onset"] == 0.0
    assert row["rate_decline"] == pytest.approx(0.5 / 4)


def test_no_event_gives_an_empty_table():
    table = events(detect(series(np.zeros(20)), flat()))
    assert len(table) == 0
    assert {"date_start", "duration", "intensity_max", "category"} <= set(table.columns)


def field():
    """Three years of red noise on 3 × 4 cells: one is land, and one lacks three days."""
    rng = np.random.default_rng(6)
    time = pd.date_range("2001-01-01", "2003-12-31")
    smooth = pd.DataFrame(rng.normal(size=(len(time), 12))).rolling(8, min_periods=1).mean().to_numpy(copy=True)
    smooth[:, 5] = np.nan
    smooth[100:103, 7] = np.nan
    coords = {"time": time, "latitude": np.arange(3.0), "longitude": np.arange(4.0)}
    return xr.DataArray(smooth.reshape(-1, 3, 4), dims=("time", "latitude", "longitude"), coords=coords)


@pytest.mark.parametrize("chunks", [None, {"time": 50}, {"latitude": 1, "time": 400}])
def test_field_equals_its_cells(chunks):
    sst = field()
    limit = threshold(sst, ("2001", "2003"))
    found = detect(sst.chunk(chunks) if chunks else sst, limit)
    assert bool(found["event"].chunks) is bool(chunks)
    table = events(found)
    pd.testing.assert_frame_equal(events(sst.chunk(chunks) if chunks else sst, limit), table)
    assert list(table.columns[:3]) == ["latitude", "longitude", "event"]
    for y in range(3):
        for x in range(4):
            one = sst[:, y, x]
            alone = events(detect(one, threshold(one, ("2001", "2003"))))
            part = table[(table["latitude"] == y) & (table["longitude"] == x)].reset_index(drop=True)
            pd.testing.assert_frame_equal(part.drop(columns=["latitude", "longitude"]), alone)
    assert len(table) > 20
    assert not ((table["latitude"] == 1) & (table["longitude"] == 1)).any()


def test_threshold_not_above_the_climatology_has_no_category():
    found = detect(series([1.0] * 10), flat(limit=0.0, mean=0.0))
    assert (found["category"] == 0).all()
    row = events(found).iloc[0]
    assert row["duration_moderate"] == 0
    assert pd.isna(row["category"])


def test_missing_days_in_a_gap_are_counted_and_stand_at_the_climatology():
    row = events(detect(series([2.0] * 5 + [np.nan] + [2.0] * 5), flat(mean=0.5))).iloc[0]
    assert (row["duration"], row["missing_days"]) == (11, 1)
    assert row["intensity_cumulative"] == pytest.approx(10 * 1.5)


@pytest.mark.parametrize("chunks", [{"time": 50}, {"latitude": 2}, {"longitude": 3, "latitude": 1}])
def test_table_of_a_series_equals_that_of_its_labels(chunks):
    sst = field().astype(np.float32).transpose("latitude", "time", "longitude")
    limit = threshold(sst, ("2001", "2003"), 80)
    told = []
    lazy = events(sst.chunk(chunks), limit, min_duration=4, max_gap=1, progress=lambda *news: told.append(news))
    pd.testing.assert_frame_equal(lazy, events(detect(sst, limit, min_duration=4, max_gap=1)))
    assert told[-1][1] == told[-1][2] == len(told)
    assert len(lazy) > 20


def test_numbers_module_labels_excess():
    excess = np.array([[1.0, 1, 1, -1, 1, 1, 1], [np.nan, 1, 1, 1, 0, 0, 1]])
    assert number(excess, 3, 1).tolist() == [[1, 1, 1, 1, 1, 1, 1], [0, 1, 1, 1, 0, 0, 0]]
    assert number(excess, 3, 0).tolist() == [[1, 1, 1, 0, 2, 2, 2], [0, 1, 1, 1, 0, 0, 0]]
    assert number(excess.reshape(1, 2, 7)).dtype == np.int32


# Cold spells, fixed thresholds, baselines that shift, depths


def test_cold_spells_are_the_heatwaves_of_the_negated_series():
    sst = field()
    cold = events(sst, threshold(sst, ("2001", "2003"), 10), side="below")
    warm = events(-sst, threshold(-sst, ("2001", "2003"), 90))
    assert len(cold) > 20
    for name in warm:
        values = -warm[name] if name.startswith("intensity") and "_var" not in name else warm[name]
        if values.dtype.kind == "f":
            np.testing.assert_allclose(cold[name], values, atol=1e-9, err_msg=name)
        else:
            assert cold[name].tolist() == values.tolist(), name
    assert (cold["intensity_max"] < 0).all()
    found = detect(sst, threshold(sst, ("2001", "2003"), 10), side="below")
    pd.testing.assert_frame_equal(events(found), cold)
    assert found.attrs["oceanx_side"] == "below"
    inside = found["event"] > 0
    assert set(np.unique(found["category"])) > {0, 1}
    assert float(found["intensity"].where(inside & (found["category"] > 0)).max()) < 0


def test_threshold_of_the_other_side_is_refused():
    sst = field()
    with pytest.raises(InputError, match="percentile 90; expected one like 10 for cold spells"):
        detect(sst, threshold(sst, ("2001", "2003")), side="below")
    with pytest.raises(InputError, match="percentile 10; expected one like 90 for heatwaves"):
        events(sst, threshold(sst, ("2001", "2003"), 10))
    with pytest.raises(InputError, match="unknown side 'under'"):
        detect(sst, 1.0, side="under")


def test_fixed_threshold_may_be_a_number_a_field_or_a_dataset():
    sst = field()
    table = events(sst, 0.4)
    pd.testing.assert_frame_equal(table, events(detect(sst, 0.4)))
    pd.testing.assert_frame_equal(table, events(sst, xr.full_like(sst[0], 0.4)))
    pd.testing.assert_frame_equal(table, events(sst, fixed_threshold(0.4)))
    np.testing.assert_allclose(table["intensity_max"], table["intensity_max_abs"] - 0.4, atol=1e-12)
    assert table["category"].isna().all()
    above = events(sst, fixed_threshold(0.4, threshold(sst, ("2001", "2003"))))
    assert above[["date_start", "date_end"]].equals(table[["date_start", "date_end"]])
    assert above["category"].notna().any()


def test_shifting_baseline_finds_the_heatwaves_of_the_detrended_series():
    sst = field() + xr.DataArray(np.linspace(0, 3, 1095), dims="time")
    limit = threshold(sst, ("2001", "2003"), detrend=True)
    elapsed = (sst["time"].values - np.datetime64(limit.attrs["oceanx_trend_since"])) / np.timedelta64(1, "D") / 365.25
    straight = sst - limit["trend"] * xr.DataArray(elapsed, dims="time")
    moved = events(sst, limit)
    expected = events(straight.transpose(*sst.dims), threshold(straight.transpose(*sst.dims), ("2001", "2003")))
    pd.testing.assert_frame_equal(moved, events(detect(sst.chunk(latitude=1), limit)), atol=1e-9)
    assert moved["date_start"].tolist() == expected["date_start"].tolist()
    for name in ("intensity_max", "intensity_cumulative_relThresh", "rate_onset", "rate_decline"):
        np.testing.assert_allclose(moved[name], expected[name], atol=1e-9, err_msg=name)
    assert len(moved) > len(events(sst, threshold(sst, ("2001", "2003")))) / 2


def test_rolling_baseline_gives_each_date_the_threshold_of_its_year():
    sst = field()
    limit = rolling_threshold(sst, (2002, 2003), length=1)
    late = sst.sel(time=slice("2002", "2003"))
    found = detect(late.chunk(latitude=2), limit).compute()
    for year in (2002, 2003):
        alone = detect(sst.sel(time=str(year)), threshold(sst.sel(time=slice(str(year - 1))), (year - 1, year - 1)))
        np.testing.assert_allclose(found["threshold"].sel(time=str(year)), alone["threshold"], atol=0.3)
    own = limit["threshold"].sel(year=2003, dayofyear=40)
    np.testing.assert_array_equal(found["threshold"].sel(time="2003-02-09").squeeze(), own)
    pd.testing.assert_frame_equal(events(late, limit), events(found))
    with pytest.raises(InputError, match="baselines for 2002 to 2003, and none for 2001"):
        detect(sst, limit)


def deep():
    """Two levels, of which the lower is colder and steadier."""
    sst = field()
    levels = pd.Index([0.5, 100.0], name="depth")
    return xr.concat([sst, sst / 2 - 5], dim=levels).transpose("time", "depth", ...).rename("thetao")


def test_every_depth_or_the_one_of_the_threshold():
    thetao = deep()
    limit = threshold(thetao, ("2001", "2003"))
    found = detect(thetao.to_dataset(), limit)
    assert found["event"].dims == thetao.dims
    table = events(thetao, limit)
    assert list(table.columns[:3]) == ["depth", "latitude", "longitude"]
    for level in (0.5, 100.0):
        at_level = thetao.sel(depth=level)
        one = limit.sel(depth=level)
        expected = table[table["depth"] == level].drop(columns="depth").reset_index(drop=True)
        pd.testing.assert_frame_equal(events(at_level, one), expected)
        pd.testing.assert_frame_equal(events(thetao, one), expected)  # the level that the threshold is of
    surface = threshold(thetao.isel(depth=0, drop=True), ("2001", "2003"))
    pd.testing.assert_frame_equal(events(thetao, surface), events(thetao, limit.sel(depth=0.5)))
    with pytest.raises(InputError, match=r"of 100 m; the temperature is of 0\.5 m"):
        detect(thetao.sel(depth=0.5), limit.sel(depth=100.0))
    with pytest.raises(InputError, match="by depth, the temperature is not"):
        detect(field(), limit)


def test_mean_over_a_box_is_a_series_like_any_other():
    sst = field()
    area = xr.DataArray(np.cos(np.deg2rad(sst["latitude"])), coords={"latitude": sst["latitude"]})
    box = sst.sel(latitude=slice(0, 1)).weighted(area).mean(("latitude", "longitude"))
    assert len(events(box, threshold(box, ("2001", "2003")))) > 0


# Calendars, order, units, land


def test_noleap_series_has_no_hole_on_29_february():
    days = pd.date_range("2004-02-20", "2004-03-10")
    noleap = series(np.full(len(days), 2.0), days[0])
    noleap = noleap.where(noleap["time"].dt.strftime("%m%d") != "0229", drop=True).convert_calendar("noleap")
    assert events(noleap, flat())["duration"].tolist() == [len(days)]
    assert events(detect(noleap, flat()))["missing_days"].tolist() == [0]


def test_unsorted_days_and_gaps_in_time():
    sst = series([0.0, 2, 2, 2, 2, 2, 0, 2, 2, 2, 2, 2])
    shuffled = sst.isel(time=np.random.default_rng(0).permutation(12))
    pd.testing.assert_frame_equal(events(shuffled, flat()), events(sst, flat()))
    pd.testing.assert_frame_equal(events(detect(shuffled, flat())), events(sst, flat()))
    gap = sst.isel(time=[0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11])
    assert detect(gap, flat())["event"].values.tolist() == [0] + [1] * 11
    assert events(gap, flat())["missing_days"].tolist() == [1]


def test_a_large_store_of_maps_is_said_to_be_slow(monkeypatch, caplog):
    sst = field().rename("sst")
    limit = threshold(sst, ("2001", "2003"))
    monkeypatch.setattr("oceanx.heatwaves.tiles.LARGE_BYTES", 1000)
    events(sst.chunk(latitude=1), limit)
    assert "rechunk" not in caplog.text
    events(sst.chunk(time=100), limit)
    assert "cut into 11 pieces of time that are read over and over; oceanx rechunk --for timeseries" in caplog.text


def test_dates_that_are_none_are_refused():
    sst = series([2.0] * 6)
    time = sst["time"].values.copy()
    time[2] = np.datetime64("NaT")
    with pytest.raises(InputError, match="dates that are none"):
        events(sst.assign_coords(time=time), flat())


def test_land_has_no_events_and_a_field_of_land_gives_an_empty_table():
    land = field().where(False)
    limit = threshold(land, ("2001", "2003"))
    assert len(events(land, limit)) == len(events(detect(land, limit))) == 0


def test_what_events_were_found_by_is_kept():
    sst = field()
    limit = threshold(sst, ("2001", "2003"))
    found = detect(sst, limit, max_gap=1)
    assert found.attrs["oceanx_baseline"] == "2001/2003"
    assert found.attrs["oceanx_max_gap_days"] == 1
    other = detect(sst, threshold(sst, ("2001", "2003"), 95))
    prints = [ds.attrs["oceanx_threshold_fingerprint"] for ds in (found, detect(sst, limit), other)]
    assert prints[0] == prints[1] != prints[2]


def test_bad_input_is_refused():
    with pytest.raises(InputError, match="min_duration=0"):
        detect(series([1.0]), flat(), min_duration=0)
    with pytest.raises(InputError, match="by `dayofyear`"):
        detect(series([1.0]), xr.Dataset())
    with pytest.raises(InputError, match=r"1…366; found 365"):
        detect(series([1.0]), flat().isel(dayofyear=slice(365)))
    with pytest.raises(InputError, match="of version 99"):
        detect(series([1.0]), flat().assign_attrs(oceanx_threshold_version=99))
    with pytest.raises(InputError, match="temperature and a threshold"):
        events(series([1.0]))
    with pytest.raises(InputError, match="without the attribute oceanx_min_duration_days"):
        events(detect(series([1.0]), flat()).drop_attrs())


def test_another_unit_is_refused():
    sst = field()
    limit = threshold(sst.assign_attrs(units="degrees_C"), ("2001", "2003"))
    with pytest.raises(InputError, match="temperature in K, threshold in degrees_C"):
        detect((sst + 273.15).assign_attrs(units="K"), limit)
    assert detect(sst.assign_attrs(units="degrees_C"), limit)["threshold"].attrs["units"] == "degrees_C"


def test_threshold_of_another_grid_is_refused():
    sst = field()
    limit = threshold(sst, ("2001", "2003"))
    with pytest.raises(InputError, match="longitude: grids differ"):
        events(sst.assign_coords(longitude=sst["longitude"] + 1), limit)
    with pytest.raises(InputError, match="latitude: grids differ: 2 values"):
        detect(sst.isel(latitude=slice(2)), limit)
    rounding = sst.assign_coords(longitude=sst["longitude"] + 1e-6)
    assert len(events(rounding, limit)) == len(events(sst, limit))
