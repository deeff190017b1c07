"""Statistics by year and their trends: the published table, a direct count, and scipy."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats

from oceanx.heatwaves import block, detect, events, threshold, trend
from oceanx.heatwaves.description import CATEGORIES
from oceanx.vocabulary.errors import InputError


def field(years=5):
    """Red noise on 2 × 3 cells, of which one is land and one lacks some days."""
    rng = np.random.default_rng(11)
    time = pd.date_range("2001-07-01", f"{2001 + years}-04-30")
    values = pd.DataFrame(rng.normal(size=(len(time), 6))).rolling(8, min_periods=1).mean().to_numpy(copy=True)
    values[:, 2] = np.nan
    values[10:40, 4] = np.nan
    coords = {"time": time, "latitude": np.arange(2.0), "longitude": np.arange(3.0)}
    dims = ("time", "latitude", "longitude")
    return xr.DataArray(values.reshape(-1, 2, 3), dims=dims, coords=coords, attrs={"units": "degrees_C"})


SST = field()
LIMIT = threshold(SST, ("2002", "2005"))


@pytest.mark.parametrize("years", [1, 2])
def test_statistics_are_those_of_the_table(years):
    found = block(SST, LIMIT, years)
    table, daily = events(SST, LIMIT), detect(SST, LIMIT)
    assert found["year"].values.tolist() == list(range(2001, 2007, years))
    assert found["last_year"].values.tolist() == [y + years - 1 for y in range(2001, 2007, years)]
    assert found["count"].dims == ("year", "latitude", "longitude")
    for y in range(2):
        for x in range(3):
            here = found.isel(latitude=y, longitude=x)
            own = table[(table["latitude"] == y) & (table["longitude"] == x)]
            if (y, x) == (0, 2):
                assert all(here[name].isnull().all() for name in found.data_vars)
                continue
            for n, start in enumerate(found["year"].values):
                begun = own[own["date_start"].dt.year.between(start, start + years - 1)]
                ended = own[own["date_end"].dt.year.between(start, start + years - 1)]
                one = here.isel(year=n)
                assert float(one["count"]) == len(begun)
                assert float(one["total_icum"]) == pytest.approx(ended["intensity_cumulative"].sum())
                for name in (
                    "duration",
                    "intensity_mean",
                    "intensity_max_relThresh",
                    "intensity_var_abs",
                    "rate_decline",
                ):
                    np.testing.assert_allclose(one[name], begun[name].mean(), atol=1e-12, err_msg=name)
                np.testing.assert_allclose(one["intensity_max_max"], begun["intensity_max"].max())
                days = daily.isel(latitude=y, longitude=x)
                days = days.sel(time=slice(str(start), str(start + years - 1)))
                assert float(one["total_days"]) == int((days["event"] > 0).sum())
                assert float(one["observed_days"]) == int(days["temperature"].notnull().sum())
                for k, name in enumerate(CATEGORIES, 1):
                    assert float(one[f"{name.lower()}_days"]) == int((days["category"] == k).sum())
    assert float(found["count"].sum()) == len(table) > 30
    assert found["rate_onset"].attrs["units"] == "degrees_C d-1"
    assert found["total_icum"].attrs["units"] == "degrees_C d"
    assert found.attrs["oceanx_baseline"] == "2002/2005"


@pytest.mark.parametrize("chunks", [{"latitude": 1}, {"time": 300}])
def test_lazy_and_from_detected_events_alike(chunks):
    whole = block(SST, LIMIT, min_duration=4, max_gap=1)
    lazy = block(SST.chunk(chunks), LIMIT, min_duration=4, max_gap=1)
    assert lazy["count"].chunks is not None
    xr.testing.assert_identical(lazy.compute(), whole)
    for sst in (SST, SST.chunk(chunks)):
        detected = block(detect(sst, LIMIT, min_duration=4, max_gap=1))
        xr.testing.assert_equal(detected.compute(), whole)


def test_cold_spells_have_their_lowest_intensity():
    limit = threshold(SST, ("2002", "2005"), 10)
    found = block(SST, limit, side="below")
    lowest = events(SST, limit, side="below")["intensity_max"].min()
    assert float(found["intensity_max_max"].min()) == lowest < 0


def test_trend_is_that_of_scipy():
    rng = np.random.default_rng(5)
    values = rng.normal(size=(20, 4)) + 0.1 * np.arange(20)[:, None]
    values[[3, 7], 1] = np.nan
    values[2:, 2] = np.nan
    values[:, 3] = np.nan
    years = np.arange(2001, 2021)
    ds = xr.Dataset({"duration": (("year", "x"), values, {"units": "d"})}, coords={"year": years})
    found = trend(ds, 0.9)["duration"]
    assert found.attrs["units"] == "d"
    for x in range(2):
        there = np.isfinite(values[:, x])
        line = stats.linregress(years[there] / 10, values[there, x])
        half = stats.t.ppf(0.95, there.sum() - 2) * line.stderr
        expected = [values[there, x].mean(), line.slope, line.slope - half, line.slope + half, line.pvalue]
        np.testing.assert_allclose(found[:, x], expected, rtol=1e-9)
    assert found[:, 2:].isnull().all()
    xr.testing.assert_allclose(trend(ds.chunk(x=1), 0.9)["duration"].compute(), found)


def test_trend_of_blocks_of_years_counts_from_their_middles():
    ds = xr.Dataset({"count": ("year", [0.0, 5.0, 10.0])}, coords={"year": [2000, 2005, 2010]})
    ds = ds.assign_coords(last_year=("year", [2004, 2009, 2014]))
    assert float(trend(ds)["count"].sel(estimate="slope")) == pytest.approx(10.0)


def test_bad_input_is_refused():
    with pytest.raises(InputError, match="years=0"):
        block(SST, LIMIT, 0)
    with pytest.raises(InputError, match="a temperature and a threshold"):
        block(SST)
    with pytest.raises(InputError, match="without the attribute oceanx_min_duration_days"):
        block(detect(SST, LIMIT).drop_attrs())
    with pytest.raises(InputError, match="block: min_duration, max_gap and side are of detect"):
        block(detect(SST, LIMIT), max_gap=3)
    with pytest.raises(InputError, match="events: min_duration, max_gap and side are of detect"):
        events(detect(SST, LIMIT), min_duration=3)
    with pytest.raises(InputError, match="expected a dimension `year`"):
        trend(detect(SST, LIMIT))
    with pytest.raises(InputError, match="confidence=95"):
        trend(block(SST, LIMIT), 95)


@pytest.mark.real
def test_years_off_western_australia_as_published(real):
    values = pd.read_csv(real("mhw/schlegel2019/sst_WA.csv"))["x"].values[:12053]
    time = pd.date_range("1982-01-01", periods=len(values))
    values = np.round(values * 100) * np.float64(np.float32(0.01))  # as the published run had them
    sst = xr.DataArray(values, dims="time", coords={"time": time})
    found = block(sst, threshold(sst, ("1982", "2014")))
    published = pd.read_csv(real("mhw/schlegel2019/mhwBlock.csv"))
    np.testing.assert_array_equal(found["year"], published["years_start"])
    compared = sorted(set(published) & set(found.data_vars))
    assert len(compared) == 19
    for name in compared:
        np.testing.assert_allclose(found[name], published[name], atol=1e-9, err_msg=name)
    lines = trend(found)
    for name in ("count", "duration", "intensity_max_max"):
        there = np.isfinite(published[name])
        line = stats.linregress(published["years_centre"][there] / 10, published[name][there])
        assert float(lines[name].sel(estimate="slope")) == pytest.approx(line.slope)
