"""Climatology and threshold: the published reference outputs, and a direct computation for everything else."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx.heatwaves import threshold
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


@pytest.mark.parametrize("chunks", [{"time": 100}, {"latitude": 1}, {"time": 500, "longitude": 4}])
def test_chunked_equals_whole_and_stays_lazy(chunks):
    sst = field()
    whole = threshold(sst, ("2001", "2003"))
    lazy = threshold(sst.chunk(chunks), ("2001", "2003"))
    assert lazy["threshold"].chunks is not None
    xr.testing.assert_identical(lazy.compute(), whole)
    one = threshold(sst[:, 2, 3], ("2001", "2003"))
    np.testing.assert_array_equal(whole["threshold"][:, 2, 3], one["threshold"])
    assert whole["threshold"].dims == ("dayofyear", "latitude", "longitude")
    assert whole["threshold"][:, 0, 0].isnull().all()
    assert whole["threshold"].attrs["units"] == "degrees_C"
    assert whole.attrs["oceanx_baseline"] == "2001/2003"


def test_many_blocks_equal_one(monkeypatch):
    whole = threshold(field(), ("2001", "2003"))
    monkeypatch.setattr("oceanx.heatwaves.baseline.BLOCK_CELLS", 5)
    xr.testing.assert_identical(threshold(field(), ("2001", "2003")), whole)


def test_hours_and_calendars_do_not_matter():
    sst = field()
    whole = threshold(sst, ("2001", "2003"))
    noon = sst.assign_coords(time=sst["time"] + np.timedelta64(12, "h"))
    xr.testing.assert_identical(threshold(noon, ("2001", "2003")), whole)
    noleap = sst.convert_calendar("noleap")  # no leap year in 2001 to 2003
    xr.testing.assert_identical(threshold(noleap, ("2001", "2003")), whole)


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
    with pytest.raises(InputError, match="expected a dimension 'time'"):
        threshold(sst.rename(time="day"), ("2001", "2003"))
    for wrong in ({"percentile": 100}, {"half_width": -1}, {"smooth": 30}):
        with pytest.raises(InputError, match="expected a percentile"):
            threshold(sst, ("2001", "2003"), **wrong)


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
