"""The World Ocean Atlas: months of a climatology, whose time no library decodes."""

from __future__ import annotations

import netCDF4
import numpy as np
import pytest

import oceanx.data as data
from oceanx.data.readers import reader
from oceanx.vocabulary.errors import InputError

DEPTH = np.array([0.0, 5.0, 10.0], "f4")


def month(path, number, *, variables=("t_an",), since="1955-01-01 00:00:00", middle=372, years="P63Y", start="1955"):
    """One month as NCEI writes it; values tell the month."""
    with netCDF4.Dataset(path, "w") as nc:
        nc.setncatts({"time_coverage_start": f"{start}-{number:02d}-01", "time_coverage_duration": years})
        nc.createDimension("nbounds", 2)
        for dim, standard, values, unit in (
            ("time", "time", [middle + number - 0.5], f"months since {since}"),
            ("depth", "depth", DEPTH, "meters"),
            ("lat", "latitude", [-14.9, -14.6], "degrees_north"),
            ("lon", "longitude", [-180.0, -179.9], "degrees_east"),
        ):
            nc.createDimension(dim, len(values))
            axis = nc.createVariable(dim, "f4", (dim,))
            axis.setncatts({"units": unit, "standard_name": standard})
            axis[:] = values
        nc["time"].climatology = "climatology_bounds"
        nc.createVariable("climatology_bounds", "f4", ("time", "nbounds"))[:] = [number - 1, number + 403]
        for name in variables:
            v = nc.createVariable(name, "f4", ("time", "depth", "lat", "lon"), fill_value=np.float32(9.96921e36))
            standard = {"t_an": "sea_water_temperature", "s_an": "sea_water_salinity"}[name]
            v.setncatts({"units": {"t_an": "degrees_celsius", "s_an": "1"}[name], "standard_name": standard})
            v.cell_methods = "area: mean depth: mean time: mean within years time: mean over years"
            v[:] = 10 + number + DEPTH[None, :, None, None] / 10 + np.zeros((1, 3, 2, 2))
            v[0, 2, 1, 1] = np.ma.masked
    return path


def test_twelve_months_make_a_climatology(tmp_path):
    files = [month(tmp_path / f"woa18_decav_t{n:02d}_04.nc", n) for n in range(1, 13)]
    ds = data.bake("woa", files, tmp_path / "woa.zarr")
    assert ds.sizes["time"] == 12
    np.testing.assert_array_equal(ds.time.dt.month, np.arange(1, 13))
    assert (ds.time.dt.year == 1986).all()
    assert str(ds.time.values[0]) == "1986-01-16T12:00:00.000000000"  # the middle of 31 days
    assert str(ds.time.values[1]) == "1986-02-15T00:00:00.000000000"  # and of 28
    np.testing.assert_allclose(ds.t_insitu[:, :, 0, 0], 10 + np.arange(1, 13)[:, None] + DEPTH / 10, rtol=1e-6)
    assert int(np.isnan(ds.t_insitu).sum()) == 12
    assert "climatology of 1955 to 2017" in ds.attrs["comment"]


def test_temperature_in_situ_is_not_called_potential(tmp_path):
    ds = reader("woa").read(month(tmp_path / "x.nc", 1))
    assert set(ds.data_vars) == {"t_insitu"}
    assert ds.t_insitu.attrs["standard_name"] == "sea_water_temperature"
    assert ds.t_insitu.attrs["units"] == "degrees_C"
    assert ds.t_insitu.attrs["cell_methods"].endswith("time: mean within years time: mean over years")


def test_practical_salinity_is_a_number(tmp_path):
    """The Atlas gives it the unit 1, and means what everyone calls 1e-3."""
    ds = data.bake("woa", month(tmp_path / "x.nc", 3, variables=("s_an",)), tmp_path / "s.zarr")
    assert ds.so.attrs["units"] == "1e-3"
    assert float(ds.so[0, 0, 0, 0]) == 13.0


@pytest.mark.parametrize("number", [1, 2, 12])
def test_bounds_reach_from_the_first_year_to_the_last(tmp_path, number):
    """As CF section 7.4 has them: the beginning of the first month and the end of the last."""
    (part,) = reader("woa").parts(month(tmp_path / "x.nc", number), reader("woa").everything(), tmp_path)
    first, last = part.bounds[0].astype("datetime64[D]")
    assert str(first) == f"1955-{number:02d}-01"
    assert str(last) == ("2018-01-01" if number == 12 else f"2017-{number + 1:02d}-01")


def test_a_later_period(tmp_path):
    """1991 to 2020, as the Atlas of 2023 has it."""
    path = month(tmp_path / "x.nc", 6, since="1991-01-01 00:00:00", middle=180, years="P30Y", start="1991")
    (part,) = reader("woa").parts(path, reader("woa").everything(), tmp_path)
    assert str(part.times[0])[:10] == "2006-06-16"
    assert [str(b)[:10] for b in part.bounds[0]] == ["1991-06-01", "2020-07-01"]


def test_the_cf_recipe_names_the_right_one(tmp_path):
    path = month(tmp_path / "x.nc", 1)
    with pytest.raises(InputError, match=r"x\.nc: time: units 'months since .*'; .*take the recipe 'woa'"):
        data.bake("cf", path, tmp_path / "s.zarr")


def test_an_annual_mean_is_refused(tmp_path):
    path = month(tmp_path / "x.nc", 1)
    with netCDF4.Dataset(path, "a") as nc:
        nc["time"][:] = 378.0
    with pytest.raises(InputError, match=r"x\.nc: time 378 is not the middle of a month"):
        data.bake("woa", path, tmp_path / "s.zarr")


def test_a_file_with_dates_is_none_of_the_atlas(glorys, tmp_path):
    with pytest.raises(InputError, match=r"expected 'months since' a date.*recipe 'cf'"):
        data.bake("woa", glorys(), tmp_path / "s.zarr")


def test_a_period_that_is_not_told_is_refused(tmp_path):
    path = month(tmp_path / "x.nc", 1, years="long")
    with pytest.raises(InputError, match=r"time_coverage_duration 'long' do not tell the years"):
        data.bake("woa", path, tmp_path / "s.zarr")


def test_the_same_month_twice_is_refused(tmp_path):
    files = [month(tmp_path / "a.nc", 1), month(tmp_path / "b.nc", 1)]
    with pytest.raises(InputError, match=r"b\.nc: t_insitu of 1986-01-16T12:00:00 is also in .*a\.nc"):
        data.bake("woa", files, tmp_path / "s.zarr")
