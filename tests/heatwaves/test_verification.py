"""Exceedance by label, and skill at it against counting cell by cell."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from oceanx.heatwaves import exceedance, skill, threshold
from oceanx.ocean.grid import area
from oceanx.ocean.labels import forecast_labels, label
from oceanx.vocabulary.errors import InputError

TIME = pd.date_range("2001-01-01", "2004-12-31")
ATTRS = {
    "standard_name": "sea_surface_temperature",
    "units": "degrees_C",
    "units_metadata": "temperature: on_scale",
}


def truth():
    """Four years on 3 × 4 cells, one of them land."""
    values = np.random.default_rng(8).normal(20, 1, size=(len(TIME), 3, 4))
    values[:, 0, 0] = np.nan
    coords = {"time": TIME, "latitude": [0.0, 30.0, 60.0], "longitude": [0.0, 1.0, 2.0, 3.0]}
    sst = xr.DataArray(values, dims=("time", "latitude", "longitude"), coords=coords, attrs=ATTRS)
    return sst.to_dataset(name="sst")


TRUTH = truth()
LIMIT = threshold(TRUTH["sst"], ("2001", "2003"))


def forecast(noise=1.0, seed=0):
    """The truth with errors, from three starts around a leap day."""
    ds = forecast_labels(
        pd.to_datetime(["2004-02-26", "2004-02-27", "2004-12-20"]), pd.timedelta_range("1D", periods=4), TRUTH
    )
    there = TRUTH["sst"].sel(time=ds["valid_time"]).drop_vars("time")
    ds["sst"] = there + noise * np.random.default_rng(seed).normal(size=there.shape)
    ds["sst"].attrs = ATTRS
    return label(ds)


def above(value, date, y, x):
    stamp = pd.Timestamp(date)
    day = pd.Timestamp(2000, stamp.month, stamp.day).day_of_year
    return value > float(LIMIT["threshold"].sel(dayofyear=day)[y, x])


@pytest.mark.parametrize("chunked", [False, True])
def test_series_is_compared_by_date(chunked):
    sst = TRUTH["sst"].sel(time=slice("2004-02-25", "2004-03-03"))
    found = exceedance(sst.chunk(time=2) if chunked else sst, LIMIT)
    assert bool(found.chunks) is chunked
    assert found.dims == sst.dims
    for i, date in enumerate(sst["time"].values):
        assert float(found[i, 1, 2]) == above(float(sst[i, 1, 2]), date, 1, 2)
    assert found[:, 0, 0].isnull().all()
    assert set(np.unique(found.values[:, 1:])) <= {0.0, 1.0}


def test_forecast_is_compared_by_valid_date():
    fc = forecast()
    found = exceedance(fc, LIMIT)
    assert found.dims == ("init_time", "lead_time", "latitude", "longitude")
    np.testing.assert_array_equal(found, exceedance(fc.chunk(init_time=1), LIMIT))
    for i in range(3):
        for j in range(4):
            value, date = float(fc["sst"][i, j, 2, 1]), fc["valid_time"].values[i, j]
            assert float(found[i, j, 2, 1]) == above(value, date, 2, 1)


def test_top_level_of_thetao_is_the_surface():
    deep = forecast().rename(sst="thetao")["thetao"].expand_dims(depth=[0.5, 10.0], axis=2)
    deep = deep * xr.DataArray([1.0, 0.0], dims="depth")
    np.testing.assert_array_equal(exceedance(deep.to_dataset(name="thetao"), LIMIT), exceedance(forecast(), LIMIT))


def moderate(forecast, truth=TRUTH):
    return skill(forecast, truth, LIMIT, of="exceedance").sel(category="Moderate")


def test_scores_equal_counting():
    fc = forecast()
    table = moderate(fc)
    cells = area(TRUTH["latitude"], TRUTH["longitude"]).values
    for j in range(4):
        hits = misses = false = rest = 0.0
        for i in range(3):
            date = fc["valid_time"].values[i, j]
            for y in range(3):
                for x in range(4):
                    said, true = float(fc["sst"][i, j, y, x]), float(TRUTH["sst"].sel(time=date)[y, x])
                    if np.isnan(true):
                        continue
                    said, true = above(said, date, y, x), above(true, date, y, x)
                    hits += cells[y, x] * (said and true)
                    misses += cells[y, x] * (not said and true)
                    false += cells[y, x] * (said and not true)
                    rest += cells[y, x] * (not said and not true)
        found = table.sel(model="forecast").isel(lead_time=j)
        assert float(found["hit_rate"]) == pytest.approx(hits / (hits + misses))
        assert float(found["false_alarm_ratio"]) == pytest.approx(false / (hits + false))
        assert float(found["csi"]) == pytest.approx(hits / (hits + misses + false))
        assert float(found["base_rate"]) == pytest.approx((hits + misses) / (hits + misses + false + rest))
        assert float(found["forecast_rate"]) == pytest.approx((hits + false) / (hits + misses + false + rest))
        assert float(found["hits"]) == pytest.approx(hits / cells.mean())
        assert float(found["correct_negatives"]) == pytest.approx(rest / cells.mean())
    assert table.attrs["oceanx_baseline"] == "2001/2003"


def test_several_models_stand_side_by_side():
    models = {"perfect": forecast(noise=0.0), "poor": forecast(noise=3.0, seed=1)}
    table = moderate(models, TRUTH.chunk(time=10))
    assert table["model"].values.tolist() == ["perfect", "poor", "anomaly_persistence", "climatology"]
    assert table["csi"].dims == ("model", "lead_time")
    assert (table["csi"].sel(model="perfect") == 1).all()
    assert (table["false_alarm_ratio"].sel(model="perfect") == 0).all()
    alone = moderate(models["poor"]).sel(model="forecast", drop=True)
    xr.testing.assert_allclose(table.sel(model="poor", drop=True), alone)
    np.testing.assert_allclose(table["base_rate"][0], table["base_rate"][1])


def test_days_for_themselves_need_no_history_and_no_neighbours():
    fc = forecast()
    table = moderate(fc.isel(lead_time=[1, 3]), TRUTH.sel(time=slice("2004-02-26", None)))
    whole = moderate(fc).isel(lead_time=[1, 3])
    for name in ("hit_rate", "brier", "base_rate"):
        np.testing.assert_array_equal(table[name], whole[name])
    assert "detected" not in table


def test_bad_input_is_refused():
    fc = forecast()
    with pytest.raises(InputError, match="longitude: grids differ"):
        exceedance(fc.assign_coords(longitude=fc["longitude"] + 1), LIMIT)
    short = {"latitude": "lat", "longitude": "lon"}
    with pytest.raises(InputError, match="threshold: not on the grid of the temperature"):
        exceedance(TRUTH["sst"].rename(short).isel(lat=slice(2)), LIMIT.rename(short))
    with pytest.raises(InputError, match="expected `sst` or `thetao`"):
        exceedance(fc.rename(sst="zos"), LIMIT)
    with pytest.raises(InputError, match="no date"):
        exceedance(TRUTH["sst"].isel(time=0, drop=True), LIMIT)
    with pytest.raises(InputError, match="by `dayofyear`"):
        exceedance(fc, TRUTH)
    with pytest.raises(InputError, match="truth: no 2004-12-24"):
        moderate(fc, TRUTH.sel(time=slice("2004-12-23")))
    with pytest.raises(InputError, match="nothing to score"):
        moderate({})
