"""Climatology and threshold: the published reference outputs, and a direct computation for everything else."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx.heatwaves import fixed_threshold, rolling_threshold, threshold
from oceanx.heatwaves.pools import pooled
from oceanx.ocean.climatology import day_of_year
from oceanx.vocabulary.errors import InputError


def series(values, start="1982-01-01"):
    """A daily series."""
    time = pd.date_range(start, periods=len(values))
    return xr.DataArray(np.asarray(values, float), dims="time", coords={"time": time}, attrs={"units": "degrees_C"})


def direct(sst, first, last, percentile, half_width, smooth):
    """The definition, read out: pool, mean and percentile, leap day from its neighbours, running mean."""
    values = dict(zip((pd.Timestamp(t).toordinal() for t in sst["time"].values), sst.values.tolist(), strict=True))
    mean, limit = np.full(366, np.nan), np.full(366, np.nan)
    for d, date in enumerate(pd.date_range("2000-01-01", "2000-12-31")):
        if (date.month, date.day) == (2, 29):
            continue
        centres = [datetime.date(year, date.month, date.day).toordinal() for year in range(first, last + 1)]
        pool = [values.get(c + k, np.nan) for c in centres for k in range(-half_width, half_width + 1)]
        pool = [x for x in pool if not np.isnan(x)]
        if pool:
            mean[d], limit[d] = np.mean(pool), np.percentile(pool, percentile)
    result = []
    for year in (mean, limit):
        year[59] = (year[58] + year[60]) / 2
        around = [np.roll(year, k) for k in range(-(smooth // 2), smooth // 2 + 1)]
        kept = np.isfinite(around)
        sums = np.where(kept, around, 0).sum(axis=0)
        result.append(np.where(np.isfinite(year), sums / np.maximum(kept.sum(axis=0), 1), np.nan))
    return np.array(result)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([0, 1, 5, 9]),
    st.sampled_from([1, 5, 31]),
    st.sampled_from([10.0, 50.0, 90.0, 99.0]),
    st.floats(0, 0.5),
    st.booleans(),
)
def test_equals_the_definition(seed, half_width, smooth, percentile, missing, dropped):
    rng = np.random.default_rng(seed)
    values = np.round(20 + 3 * rng.normal(size=4 * 365 + 1 + 20), 1)  # rounded: ties matter
    values[rng.random(values.size) < missing] = np.nan
    values[[0, -1]] = 20.0
    sst = series(values, "2002-12-22")
    sst = sst.dropna("time") if dropped else sst  # a missing day is NaN, or not there at all
    found = threshold(sst, ("2003", "2006"), percentile, half_width, smooth)
    expected = direct(sst, 2003, 2006, percentile, half_width, smooth)
    np.testing.assert_allclose(found["climatology"], expected[0], atol=1e-9)
    np.testing.assert_allclose(found["threshold"], expected[1], atol=1e-9)


def field(years=3):
    """A noisy 4 × 6 field with a cell of land."""
    time = pd.date_range("2001-01-01", f"{2000 + years}-12-31")
    values = np.random.default_rng(4).normal(20, 1, size=(len(time), 4, 6)).astype(np.float32)
    values[:, 0, 0] = np.nan
    coords = {"time": time, "latitude": np.arange(4.0), "longitude": np.arange(6.0)}
    return xr.DataArray(values, dims=("time", "latitude", "longitude"), coords=coords, attrs={"units": "degrees_C"})


def unsigned(found):
    """Without the fingerprint: data in memory are hashed, of lazy ones the labels alone."""
    return found.assign_attrs(oceanx_source_fingerprint="")


@pytest.mark.parametrize("chunks", [{"time": 100}, {"latitude": 1}, {"time": 500, "longitude": 4}])
def test_chunked_equals_whole_and_stays_lazy(chunks):
    sst = field()
    whole = threshold(sst, ("2001", "2003"))
    lazy = threshold(sst.chunk(chunks), ("2001", "2003"))
    assert lazy["threshold"].chunks is not None
    xr.testing.assert_identical(unsigned(lazy.compute()), unsigned(whole))
    one = threshold(sst[:, 2, 3], ("2001", "2003"))
    np.testing.assert_array_equal(whole["threshold"][:, 2, 3], one["threshold"])
    assert whole["threshold"].dims == ("dayofyear", "latitude", "longitude")
    assert whole["threshold"][:, 0, 0].isnull().all()
    assert whole["threshold"].attrs["units"] == "degrees_C"
    assert whole.attrs["oceanx_baseline"] == "2001/2003"


@pytest.mark.parametrize(
    "order", [("time", "latitude", "longitude"), ("latitude", "time", "longitude"), ("longitude", "latitude", "time")]
)
def test_many_tiles_equal_one_however_the_dimensions_lie(monkeypatch, order):
    whole = threshold(field(), ("2001", "2003"))
    monkeypatch.setattr("oceanx.heatwaves.tiles.TILE", 5)
    turned = threshold(field().transpose(*order).copy(deep=True), ("2001", "2003"))
    xr.testing.assert_identical(unsigned(turned.transpose(*whole["threshold"].dims)), unsigned(whole))


def test_hours_order_and_calendars_do_not_matter():
    sst = field()
    whole = unsigned(threshold(sst, ("2001", "2003")))
    noon = sst.assign_coords(time=sst["time"] + np.timedelta64(12, "h"))
    xr.testing.assert_identical(unsigned(threshold(noon, ("2001", "2003"))), whole)
    backwards = sst.isel(time=slice(None, None, -1))
    xr.testing.assert_identical(unsigned(threshold(backwards, ("2001", "2003"))), whole)
    noleap = sst.convert_calendar("noleap")  # no leap year in 2001 to 2003
    xr.testing.assert_identical(unsigned(threshold(noleap, ("2001", "2003"))), whole)


def test_noleap_calendar_gets_29_february_from_its_neighbours():
    sst = field(years=4)
    noleap = sst.where((sst["time"].dt.month != 2) | (sst["time"].dt.day != 29), drop=True).convert_calendar("noleap")
    at = int(np.flatnonzero(sst["time"].values == np.datetime64("2004-02-29"))[0])
    filled = sst.copy(deep=True)
    filled[at] = (sst[at - 1] + sst[at + 1]) / 2
    expected = threshold(filled, ("2001", "2004"))
    np.testing.assert_allclose(threshold(noleap, ("2001", "2004"))["threshold"], expected["threshold"], atol=1e-6)


def test_days_beyond_the_baseline_stay_unseen_where_they_are_not_given():
    """Only the last five days of December can see January after the baseline, smeared by the running mean."""
    sst = field(years=4)
    with_next = threshold(sst, ("2001", "2003"), smooth=1)
    without = threshold(sst.sel(time=slice("2003-12-31")), ("2001", "2003"), smooth=1)
    differs = (with_next["threshold"] != without["threshold"])[:, 1, 1]
    assert set(with_next["dayofyear"].values[differs]) <= set(range(362, 367))


def test_bad_input_is_refused():
    sst = field()
    with pytest.raises(InputError, match="baseline 1982 to 2011: the series runs from 2001-01-01 to 2003-12-31"):
        threshold(sst)
    with pytest.raises(InputError, match="whole years"):
        threshold(sst.isel(time=slice(1, None)), ("2001", "2003"))
    with pytest.raises(InputError, match="2001-01-01 is there more than once"):
        threshold(sst.isel(time=[0, *range(len(sst.time))]), ("2001", "2003"))
    with pytest.raises(InputError, match="2001-01-01 is there more than once; give daily means"):
        threshold(sst.assign_coords(time=sst["time"][0] + (sst["time"] - sst["time"][0]) / 4), ("2002", "2003"))
    with pytest.raises(InputError, match="no two days in a row, the closest are 5 apart"):
        threshold(sst.isel(time=slice(None, None, 5)), ("2001", "2003"))
    with pytest.raises(InputError, match="has no day of 2002"):
        threshold(sst.sel(time=sst["time.year"] != 2002), ("2001", "2003"))
    with pytest.raises(InputError, match="calendar '360_day'; expected dates of the standard calendar or noleap"):
        threshold(sst.convert_calendar("360_day", align_on="year"), ("2001", "2003"))
    with pytest.raises(InputError, match="calendar 'none'"):
        threshold(sst.assign_coords(time=np.arange(len(sst.time))), ("2001", "2003"))
    with pytest.raises(InputError, match="no surface temperature"):
        threshold(sst.to_dataset(name="zos"), ("2001", "2003"))
    with pytest.raises(InputError, match="expected a dimension 'time'"):
        threshold(sst.rename(time="day"), ("2001", "2003"))
    for partial in (("2001-06", "2003"), ("2001", "2003-06-30"), ("2001-02-01", 2003)):
        with pytest.raises(InputError, match="expected whole years, such as"):
            threshold(sst, partial)
    dated = threshold(sst, ("2001-01-01", "2003-12-31"))
    xr.testing.assert_identical(dated, threshold(sst, (2001, 2003)))
    for wrong in ({"percentile": 100}, {"half_width": -1}, {"smooth": 30}):
        with pytest.raises(InputError, match="expected a percentile"):
            threshold(sst, ("2001", "2003"), **wrong)


def test_what_it_is_made_of_is_kept(caplog):
    sst = field()
    found = threshold(sst.to_dataset(name="sst").assign_attrs(oceanx_fingerprint="abc"), ("2001", "2003"), 95, smooth=1)
    kept = {name: found.attrs[f"oceanx_{name}"] for name in ("baseline", "percentile", "smooth_days", "detrend")}
    assert kept == {"baseline": "2001/2003", "percentile": 95.0, "smooth_days": 1, "detrend": "none"}
    assert "3 years of baseline; 30 are recommended" in found.attrs["comment"]
    assert "3 years of baseline" in caplog.text
    prints = {
        threshold(made, ("2001", "2003")).attrs["oceanx_source_fingerprint"]
        for made in (sst, sst + 1, sst.to_dataset(name="sst").assign_attrs(oceanx_fingerprint="abc").chunk())
    }
    assert len(prints) == 3
    again = threshold(sst.copy(deep=True), ("2001", "2003"))
    assert again.attrs == threshold(sst, ("2001", "2003")).attrs


def test_unit_is_that_of_the_series_and_none_where_it_has_none():
    assert threshold(field(), ("2001", "2003"))["climatology"].attrs["units"] == "degrees_C"
    assert "units" not in threshold(field().drop_attrs(), ("2001", "2003"))["climatology"].attrs


def test_every_depth_has_its_own():
    sst = field()
    deep = xr.concat([sst, sst - 5], dim=pd.Index([0.5, 100.0], name="depth")).transpose("time", "depth", ...)
    found = threshold(deep.to_dataset(name="thetao"), ("2001", "2003"))
    assert found["threshold"].dims == ("dayofyear", "depth", "latitude", "longitude")
    for n in range(2):
        alone = threshold(deep.isel(depth=n, drop=True), ("2001", "2003"))
        np.testing.assert_array_equal(found["threshold"].isel(depth=n), alone["threshold"])


def test_percentile_10_is_that_of_the_negated_series():
    sst = field()
    cold, warm = threshold(sst, ("2001", "2003"), 10), threshold(-sst, ("2001", "2003"), 90)
    np.testing.assert_allclose(cold["threshold"], -warm["threshold"], atol=1e-12)
    assert (cold["degenerate"] == 0).all()
    assert cold["threshold"].mean() < cold["climatology"].mean()


def test_a_threshold_that_is_not_above_the_climatology_is_flagged():
    """Sea at freezing for the whole year but for a few warm days: the percentile is the freezing point."""
    values = np.full(3 * 365, -1.8)
    values[::40] = -1.0
    found = threshold(series(values, "2001-01-01"), ("2001", "2003"), smooth=1)
    assert int(found["degenerate"]) == int((found["threshold"] <= found["climatology"]).sum()) > 300
    assert int(threshold(field(), ("2001", "2003"))["degenerate"].max()) == 0


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["packed", "smooth", "skewed", "flat"]))
def test_histogram_finds_the_percentile_of_any_distribution(seed, kind):
    rng = np.random.default_rng(seed)
    values = rng.normal(20, 3, size=3 * 365 + 10)
    values = {
        "packed": np.round(values, 2),
        "smooth": values,
        "skewed": np.where(rng.random(values.size) < 0.01, 1e6, values),  # nearly all in one bin
        "flat": np.full(values.size, 20.0),
    }[kind].astype(np.float32)
    starts = np.array([5, 370, 735, 1100])
    result = np.empty((1, 2, 366))
    pooled(values[None], starts, 0.9, 5, 1, result)
    for day in (0, 58, 200, 365):
        at = day - (day > 59)
        pool = np.concatenate([values[s + at - 5 : s + at + 6] for s in starts[:-1]]).astype(float)
        np.testing.assert_allclose(result[0, :, day], [pool.mean(), np.percentile(pool, 90)], rtol=1e-12)


@pytest.mark.parametrize("values", [(0.0, 1e-310), (-1e307, 1e307), (0.0, 1e31)])
def test_ranges_that_no_histogram_can_cut(values):
    days = np.where(np.arange(1110) % 11 < 4, *values)  # in every pool four or so of the first, the rest of the second
    result = np.empty((1, 2, 366))
    pooled(days[None], np.array([5, 370, 735, 1100]), 0.9, 5, 1, result)
    assert (result[0, 1] == values[1]).all()


def test_float32_changes_no_more_than_its_rounding():
    sst = field()
    double = sst.astype(float)
    for kind in ("climatology", "threshold"):
        found = threshold(sst, ("2001", "2003"))[kind] - threshold(double, ("2001", "2003"))[kind]
        assert float(abs(found).max()) == 0.0  # float32 numbers are float64 numbers; sums are float64 in both


# A baseline that shifts


def warming(per_year=0.05, years=6):
    """A season, noise, and a straight rise."""
    time = pd.date_range("2001-01-01", f"{2000 + years}-12-31")
    when = (time - time[0]).days.to_numpy() / 365.25
    noise = np.random.default_rng(3).normal(size=len(time))
    return series(20 + 4 * np.cos(2 * np.pi * when) + per_year * when + noise, time[0])


def test_trend_of_the_baseline_is_that_of_its_anomalies():
    sst = warming(0.5)
    found = threshold(sst, ("2001", "2006"), detrend=True)
    season = threshold(sst, ("2001", "2006"))["climatology"].values[day_of_year(sst["time"]) - 1]
    when = (sst["time"].values - sst["time"].values[0]) / np.timedelta64(1, "D") / 365.25
    slope = np.polyfit(when, sst.values - season, 1)[0]
    assert float(found["trend"]) == pytest.approx(slope, rel=1e-9)
    assert float(found["trend"]) == pytest.approx(0.5, abs=0.05)
    assert found["trend"].attrs["units"] == "degrees_C year-1"
    assert found.attrs["oceanx_trend_since"] == "2004-01-01"


def test_detrended_threshold_is_that_of_the_detrended_series():
    sst = warming(0.5)
    found = threshold(sst, ("2001", "2006"), detrend=True)
    elapsed = (sst["time"].values - np.datetime64("2004-01-01")) / np.timedelta64(1, "D") / 365.25
    straight = sst - float(found["trend"]) * xr.DataArray(elapsed, dims="time")
    np.testing.assert_allclose(found["threshold"], threshold(straight, ("2001", "2006"))["threshold"], atol=1e-9)


def test_rolling_baseline_is_of_the_years_before_each():
    sst = warming()
    found = rolling_threshold(sst, (2004, 2006), length=3)
    assert found["year"].values.tolist() == [2004, 2005, 2006]
    expected = threshold(sst, ("2002", "2004"))
    np.testing.assert_array_equal(found["threshold"].sel(year=2005), expected["threshold"])
    with pytest.raises(InputError, match="baseline 1999 to 2001"):
        rolling_threshold(sst, (2002, 2003), length=3)
    with pytest.raises(InputError, match="expected 1 year or more"):
        rolling_threshold(sst, (2004, 2003), length=3)
    with pytest.raises(InputError, match="leave out detrend"):
        rolling_threshold(sst, (2004, 2005), length=3, detrend=True)


# Fixed thresholds


def test_fixed_threshold_is_the_same_all_year():
    sst = field()
    mean = threshold(sst, ("2001", "2003"))
    plain, above = fixed_threshold(29.0), fixed_threshold(sst.max("time"), mean)
    assert (plain["threshold"] == 29.0).all()
    assert int(plain["degenerate"]) == 366
    np.testing.assert_array_equal(above["climatology"], mean["climatology"])
    np.testing.assert_array_equal(above["threshold"].isel(dayofyear=100), sst.max("time"))
    assert above["threshold"].dims == mean["threshold"].dims
    with pytest.raises(InputError, match="without time"):
        fixed_threshold(sst)
    with pytest.raises(InputError, match="the climatology shifts"):
        fixed_threshold(29.0, threshold(sst, ("2001", "2003"), detrend=True))


# Published


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "expected"),
    [("sst_WA.csv", "clim_py.csv"), ("sst_WA_miss_random.csv", "clim_py_random.csv")],
)
def test_western_australia_as_published(real, name, expected):
    sst = series(pd.read_csv(real(f"mhw/schlegel2019/{name}"))["x"].values[:12053])
    found = threshold(sst, ("1982", "2014"))
    published = pd.read_csv(real(f"mhw/schlegel2019/{expected}"))
    days = day_of_year(sst["time"]) - 1
    np.testing.assert_allclose(found["climatology"].values[days], published["seas"], atol=1e-5)
    np.testing.assert_allclose(found["threshold"].values[days], published["thresh"], atol=1e-5)


@pytest.mark.real
def test_baseline_inside_a_longer_series_as_in_the_reference_program(real):
    atlantic = pd.read_csv(real("mhw/heatwaveR_sst_NW_Atl.csv"), parse_dates=["date"]).set_index("date")["temp"]
    with xr.open_dataset(real("mhw/oisst_short.nc")) as ds:
        australia = ds["oisst_short"].sel(latitude=-29.375, longitude=112.625).load()
    cases = (
        (series(atlantic.values, atlantic.index[0]), ("1983", "2012"), "refrun_sst_NW_Atl_clim366_clim1983-2012.csv"),
        (australia, ("1982", "2011"), "refrun_sst_WA_clim366_clim1982-2011.csv"),
    )
    for sst, baseline, name in cases:
        reference = pd.read_csv(real(f"mhw/{name}"))
        found = threshold(sst, baseline)
        np.testing.assert_allclose(found["climatology"], reference["seas"], atol=1e-6)
        np.testing.assert_allclose(found["threshold"], reference["thresh"], atol=1e-6)


@pytest.mark.real
@pytest.mark.parametrize(("name", "smooth"), [("test_clim_oisst.nc", 31), ("test_clim_oisst_nosmooth.nc", 1)])
def test_gridded_short_series_as_in_the_reference_program(real, name, smooth):
    """Two published points of the box; the file's means are float32 sums, hence 1e-5."""
    with xr.open_dataset(real("mhw/xmhw/oisst_2003_2004.nc")) as ds:
        found = threshold(ds["sst"].load(), ("2003", "2004"), smooth=smooth)
    with xr.open_dataset(real(f"mhw/xmhw/{name}")) as reference:
        for point, where in (("1", (1, 2)), ("2", (5, 3))):
            np.testing.assert_allclose(found["threshold"][:, *where], reference[f"thresh{point}"], atol=1e-10)
            np.testing.assert_allclose(found["climatology"][:, *where], reference[f"seas{point}"], atol=1e-5)


@pytest.mark.real
def test_land_is_nan(real):
    with xr.open_dataset(real("mhw/xmhw/land.nc")) as ds:
        found = threshold(ds["sst"].load(), ("2003", "2004"))
    assert found["threshold"].isnull().all()
