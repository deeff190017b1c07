"""Anomalies and totals: an inverse pair, to the bit where that can be, on leap days and in any blocks."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import toy_dataset
import xarray as xr
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from oceanx.data import steps
from oceanx.ocean.climatology import at, climatology, daily_climatology
from oceanx.vocabulary.errors import InputError


@pytest.fixture(scope="module")
def ocean():
    return toy_dataset.ocean(900, start="2003-01-01", nlat=4, nlon=5)[["thetao", "zos", "t2m"]]


@pytest.fixture(scope="module", params=["harmonic.nc", "daily.zarr"])
def path(ocean, request, tmp_path_factory):
    clim = climatology(ocean) if request.param.startswith("harmonic") else daily_climatology(ocean, 5)
    target = tmp_path_factory.mktemp("clim") / request.param
    clim.to_netcdf(target) if target.suffix == ".nc" else clim.to_zarr(target, consolidated=False)
    return target


def ulp(x):
    return np.spacing(np.abs(x).astype("f4"))


def test_total_undoes_anomaly_as_promised(ocean, path):
    away = steps.anomaly(ocean, path)
    back = steps.total(away, str(path))
    for name in ocean.data_vars:
        x, a, y = (ds[name].values for ds in (ocean, away, back))
        assert a.dtype == y.dtype == np.float32
        np.testing.assert_array_equal(np.isnan(y), np.isnan(x))
        wet = ~np.isnan(x)
        small = wet & (np.abs(a) <= np.abs(x) / 2)
        np.testing.assert_array_equal(y[small], x[small])
        assert (np.abs(y - x)[wet] <= np.maximum(ulp(a), ulp(x))[wet]).all()
        assert back[name].attrs == ocean[name].attrs
    assert (np.abs(away["t2m"]) <= ocean["t2m"] / 2).all()  # so temperature in kelvins is exact throughout
    xr.testing.assert_identical(back["t2m"], ocean["t2m"])


finite = st.floats(width=32, min_value=-(2.0**40), max_value=2.0**40, allow_subnormal=False)


@settings(max_examples=300, deadline=None)
@given(finite, finite)
def test_the_promise_holds_for_any_two_numbers(x, c):
    x, c = np.float32(x), np.float32(c)
    a = x - c
    y = a + c
    assume(np.isfinite(y))
    if abs(a) <= abs(x) / 2:
        assert y == x
    assert abs(np.float64(y) - np.float64(x)) <= max(ulp(a), ulp(x))


def test_an_anomaly_is_the_value_less_the_climatology_of_its_date(ocean, path):
    away = steps.anomaly(ocean, path)
    clim = xr.open_zarr(path, consolidated=False) if path.suffix == ".zarr" else xr.load_dataset(path)
    for date in ("2004-02-28", "2004-02-29", "2004-03-01", "2005-03-01"):
        expected = ocean["zos"].sel(time=date) - at(clim, date)["zos"][0]
        np.testing.assert_array_equal(away["zos"].sel(time=date), expected)


@settings(max_examples=4, deadline=None)
@given(st.lists(st.integers(1, 899), max_size=5))
def test_blocks_give_the_same_bits(ocean, path, cuts):
    edges = [0, *sorted(set(cuts)), 900]
    parts = [steps.anomaly(ocean.isel(time=slice(a, b)), path) for a, b in pairwise(edges)]
    xr.testing.assert_identical(
        xr.concat(parts, "time", data_vars="minimal", coords="minimal"), steps.anomaly(ocean, path)
    )


def test_the_variables_say_what_they_are(ocean, path):
    away = steps.anomaly(ocean, path)
    attrs = away["zos"].attrs
    assert attrs["oceanx_quantity"] == "anomaly"
    assert attrs["long_name"] == "Sea surface height anomaly"
    assert attrs["oceanx_climatology"].endswith("(2003-01-01/2005-06-18)")
    assert away["zos"].attrs["oceanx_climatology"] != away["t2m"].attrs["oceanx_climatology"]
    with pytest.raises(InputError, match="anomaly: thetao is an anomaly already"):
        steps.anomaly(away, path)
    with pytest.raises(InputError, match="total: thetao does not say that it is an anomaly"):
        steps.total(ocean, path)
    with pytest.raises(InputError, match="does not say"):
        steps.total(steps.total(away, path), path)


def test_unmarked_anomalies_are_taken_where_that_is_said(ocean, path):
    away = steps.anomaly(ocean, path)
    foreign = away.copy()
    for name in foreign.data_vars:
        foreign[name].attrs = {"units": ocean[name].attrs["units"]}
    back = steps.total(foreign, path, unmarked=True)
    np.testing.assert_array_equal(back["zos"], steps.total(away, path)["zos"])


def test_a_difference_in_kelvins_is_one_in_degrees(ocean, path):
    away = steps.anomaly(ocean, path)
    kelvin = away.assign(thetao=away["thetao"].assign_attrs(units="K"))
    np.testing.assert_array_equal(steps.convert_units(kelvin)["thetao"], away["thetao"])
    np.testing.assert_array_equal(steps.total(kelvin, path)["thetao"], steps.total(away, path)["thetao"])
    totals = ocean.assign(thetao=(ocean["thetao"].astype("f8") + 273.15).assign_attrs(units="K"))
    found = steps.anomaly(totals, path)["thetao"]
    np.testing.assert_allclose(found, away["thetao"], atol=4e-6)
    assert found.attrs["units"] == "degrees_C"


def test_another_climatology_is_refused(ocean, path, tmp_path):
    away = steps.anomaly(ocean, path)
    other = tmp_path / "other.nc"
    climatology(ocean + 1).to_netcdf(other)
    with pytest.raises(InputError, match=r"other\.nc holds .*; give the one that was taken off"):
        steps.total(away, other)


def test_a_climatology_that_is_replaced_is_read_anew(ocean, tmp_path):
    file = tmp_path / "clim.nc"
    climatology(ocean).to_netcdf(file)
    first = steps.anomaly(ocean, file)["zos"]
    moved = climatology(ocean)
    moved["zos"][0] += 1
    file.unlink()
    moved.to_netcdf(file)
    np.testing.assert_allclose(steps.anomaly(ocean, file)["zos"], first - 1, atol=1e-6)


def test_bad_input_is_named(ocean, path, tmp_path):
    with pytest.raises(InputError, match="no such climatology"):
        steps.anomaly(ocean, tmp_path / "none.nc")
    (tmp_path / "text.nc").write_text("hello")
    with pytest.raises(InputError, match=r"text\.nc: cannot be read as a climatology"):
        steps.anomaly(ocean, tmp_path / "text.nc")
    ocean.to_netcdf(tmp_path / "totals.nc")
    with pytest.raises(InputError, match="neither `harmonic` nor `dayofyear`"):
        steps.anomaly(ocean, tmp_path / "totals.nc")
    with pytest.raises(InputError, match="the climatology has no sla"):
        steps.anomaly(ocean.rename(zos="sla"), path)
    with pytest.raises(InputError, match="latitude of thetao has 4 values unlike"):
        steps.anomaly(ocean.isel(latitude=slice(1, None)), path)
    with pytest.raises(InputError, match="depth of thetao"):
        steps.anomaly(ocean.assign_coords(depth=ocean["depth"] + 1), path)
    strange = daily_climatology(ocean)
    strange["zos"].attrs["units"] = "cm"
    strange.to_netcdf(tmp_path / "cm.nc")
    with pytest.raises(InputError, match="zos is in 'cm', expected 'm'"):
        steps.anomaly(ocean[["zos"]], tmp_path / "cm.nc")
    strange.isel(dayofyear=slice(365)).to_netcdf(tmp_path / "short.nc")
    with pytest.raises(InputError, match="expected 1…366, found 365"):
        steps.anomaly(ocean[["t2m"]], tmp_path / "short.nc")


# Means by day of the year


def days_apart(a, b):
    gap = abs(a - b)
    return min(gap, 366 - gap)


@pytest.mark.parametrize(("window", "chunk"), [(0, None), (1, None), (7, None), (2, 400)])
def test_daily_means_pool_the_days_around_each_date(window, chunk, monkeypatch):
    ds = toy_dataset.ocean(450 if chunk else 1200, start="2003-01-01", nlat=3, nlon=3)[
        ["zos"] if chunk else ["thetao", "zos"]
    ]
    ds["zos"][10] = np.nan  # a day without values, and a month without them in one cell
    ds["zos"][366:400, 2, 2] = np.nan
    monkeypatch.setattr("oceanx.ocean.climatology._SMALL", 0)  # day by day, as from a store
    found = daily_climatology(ds.chunk(time=chunk) if chunk else ds, window)
    assert found["zos"].dtype == np.float32
    if not chunk:
        assert found["thetao"].dims == ("dayofyear", "depth", "latitude", "longitude")
        assert "mask" in found.coords
    date = np.array([pd.Timestamp(2000, t.month, t.day).day_of_year for t in pd.DatetimeIndex(ds["time"].values)])
    for day in (1, 5, 59, 60, 61, 200, 366):
        reach = max(window, 1) if day == 60 else window
        near = np.array([days_apart(d, day) <= reach for d in date])
        expected = ds["zos"].values[near].astype("f8")
        with np.errstate(invalid="ignore"):
            expected = np.nansum(expected, axis=0) / np.isfinite(expected).sum(axis=0)
        np.testing.assert_allclose(found["zos"].sel(dayofyear=day), expected, rtol=1e-6)
    assert found.attrs["oceanx_climatology_period"] == "2003-01-01/" + ("2004-03-25" if chunk else "2006-04-14")
    assert found["zos"].attrs == ds["zos"].attrs


def test_daily_means_of_years_without_a_leap_day_have_one():
    time = pd.date_range("2001-01-01", "2002-12-31")
    values = time.day_of_year.values.astype(float)
    ds = xr.Dataset({"sst": (("time", "latitude"), values[:, None])}, {"time": time, "latitude": [0.0]})
    found = daily_climatology(ds)["sst"][:, 0]
    assert found.sel(dayofyear=[59, 60, 61]).values.tolist() == [59.0, 59.5, 60.0]
    with pytest.raises(InputError, match="no 31 December in the times given"):
        daily_climatology(ds.isel(time=slice(364)))
    with pytest.raises(InputError, match="window: found 90"):
        daily_climatology(ds, 90)
