"""Events: every published table, hand-made series with known events, and a field cell by cell."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx.heatwaves import detect, events, threshold
from oceanx.vocabulary.errors import InputError


def series(values, start="1982-01-01"):
    time = pd.date_range(start, periods=len(values))
    return xr.DataArray(np.asarray(values, float), dims="time", coords={"time": time})


def flat(limit=1.0, mean=0.0):
    """A threshold that is the same on every day."""
    days = np.arange(1, 367)
    both = {"climatology": ("dayofyear", np.full(366, mean)), "threshold": ("dayofyear", np.full(366, limit))}
    return xr.Dataset(both, coords={"dayofyear": days})


def numbers(values, **options):
    return detect(series(values), flat(), **options)["event"].values.tolist()


def compare(found, expected, tolerance):
    assert len(found) == len(expected)
    for name in set(found) & set(expected):
        if name.startswith("date"):
            np.testing.assert_array_equal(found[name].values, pd.to_datetime(expected[name]).values, err_msg=name)
        elif name == "category":
            assert found[name].tolist() == expected[name].tolist()
        else:
            np.testing.assert_allclose(found[name], expected[name], atol=tolerance, err_msg=name)


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
    for number, (first, last) in enumerate(joined, 1):
        expected[first : last + 1] = [number] * (last - first + 1)
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


@pytest.mark.parametrize("chunks", [None, {"time": 50}, {"latitude": 1, "time": 400}])
def test_field_equals_its_cells(chunks):
    rng = np.random.default_rng(6)
    time = pd.date_range("2001-01-01", "2003-12-31")
    smooth = pd.DataFrame(rng.normal(size=(len(time), 12))).rolling(8, min_periods=1).mean().to_numpy(copy=True)
    smooth[:, 5] = np.nan
    smooth[100:103, 7] = np.nan
    coords = {"time": time, "latitude": np.arange(3.0), "longitude": np.arange(4.0)}
    sst = xr.DataArray(smooth.reshape(-1, 3, 4), dims=("time", "latitude", "longitude"), coords=coords)
    limit = threshold(sst, ("2001", "2003"))
    found = detect(sst.chunk(chunks) if chunks else sst, limit)
    assert bool(found["event"].chunks) is bool(chunks)
    table = events(found)
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
    assert events(found).iloc[0]["duration_moderate"] == 0


def test_bad_input_is_refused():
    with pytest.raises(InputError, match="min_duration=0"):
        detect(series([1.0]), flat(), min_duration=0)
    with pytest.raises(InputError, match="by `dayofyear`"):
        detect(series([1.0]), xr.Dataset())


def published(real, name):
    """The series as the published run had it: hundredths of a degree times the 32-bit number nearest to 0.01."""
    values = pd.read_csv(real(f"mhw/schlegel2019/{name}"))["x"].values[:12053]
    return series(np.round(values * 100) * np.float64(np.float32(0.01)))


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "found_by", "limits"),
    [
        ("mhws_py.csv", {}, {}),
        ("mhws_py_minD_3.csv", {"min_duration": 3}, {}),
        ("mhws_py_joinAG_5.csv", {"max_gap": 5}, {}),
        ("mhws_py_joinAG_no.csv", {"max_gap": 0}, {}),
        ("mhws_py_pctile_95.csv", {}, {"percentile": 95}),
        ("mhws_py_spw_no.csv", {}, {"smooth": 1}),
    ],
)
def test_western_australia_as_published(real, name, found_by, limits):
    sst = published(real, "sst_WA.csv")
    table = events(detect(sst, threshold(sst, ("1982", "2014"), **limits), **found_by))
    compare(table, pd.read_csv(real(f"mhw/schlegel2019/{name}")), 1e-9)


@pytest.mark.real
def test_random_gaps_as_published(real):
    sst = published(real, "sst_WA_miss_random.csv")
    table = events(detect(sst, threshold(sst, ("1982", "2014"))))
    compare(table, pd.read_csv(real("mhw/schlegel2019/mhws_py_random.csv")), 1e-9)


@pytest.mark.real
def test_longer_series_as_in_the_reference_program(real):
    atlantic = pd.read_csv(real("mhw/heatwaveR_sst_NW_Atl.csv"))
    with xr.open_dataset(real("mhw/oisst_short.nc")) as ds:
        australia = ds["oisst_short"].sel(latitude=-29.375, longitude=112.625).load()
    for sst, baseline, name in (
        (series(atlantic["temp"].values, atlantic["date"][0]), ("1983", "2012"), "sst_NW_Atl_events_clim1983-2012"),
        (australia, ("1982", "2011"), "sst_WA_events_clim1982-2011"),
    ):
        table = events(detect(sst, threshold(sst, baseline)))
        compare(table, pd.read_csv(real(f"mhw/refrun_{name}.csv")), 1e-5)


@pytest.mark.real
def test_numbers_printed_in_the_reference_manual(real):
    australia = published(real, "sst_WA.csv")
    atlantic = pd.read_csv(real("mhw/heatwaveR_sst_NW_Atl.csv"))
    atlantic = series(atlantic["temp"].values, atlantic["date"][0]).sel(time=slice("2014-12-31"))
    for sst, count, start, end, numbers in (
        (australia, 59, "2011-02-06", "2011-04-06", (6.50649252, 3.21216500, 192.729900)),
        (atlantic, 67, "2012-04-10", "2012-06-04", (4.88888063, 2.58685853, 144.864078)),
    ):
        table = events(detect(sst, threshold(sst, ("1983", "2012"))))
        strongest = table.loc[table["intensity_max"].idxmax()]
        assert len(table) == count
        assert [str(strongest[f"date_{k}"].date()) for k in ("start", "end")] == [start, end]
        found = [strongest[f"intensity_{k}"] for k in ("max", "mean", "cumulative")]
        np.testing.assert_allclose(found, numbers, atol=1e-5)
    first_ten = events(detect(australia, threshold(australia, ("1983", "2012"))))["intensity_max"].values[:10]
    printed = "1.92176829 2.10628441 2.21648871 1.83039194 1.48871648 1.42564024 2.18946427 1.12762559 1.97733524"
    np.testing.assert_allclose(first_ten, [*map(float, printed.split()), 1.55068422], atol=1e-6)
