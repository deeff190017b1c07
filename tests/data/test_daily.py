"""Daily maps of altimetry, L4 temperature and currents, in the layouts of their providers."""

from __future__ import annotations

import netCDF4
import numpy as np
import pytest
from raw_files import LATITUDE, LONGITUDE

import oceanx.data as data
from oceanx.vocabulary.errors import InputError

FILL4 = np.int32(-2147483647)
DAYS = np.arange("2020-01-01", "2020-01-04", dtype="datetime64[D]")


def grid(nc, times, units, names=("latitude", "longitude"), dtype="f4"):
    """Time and grid of a file."""
    if times is not None:
        nc.createDimension("time", len(times))
        time = nc.createVariable("time", dtype, ("time",))
        time.units = units
        time[:] = times
    for dim, values, unit in zip(names, (LATITUDE, LONGITUDE), ("degrees_north", "degrees_east"), strict=True):
        nc.createDimension(dim, values.size)
        axis = nc.createVariable(dim, "f4", (dim,))
        axis.setncatts({"units": unit, "standard_name": unit[8:] and {"n": "latitude", "e": "longitude"}[unit[8]]})
        axis[:] = values


def integers(seed, count, low, high, dtype):
    rng = np.random.default_rng(seed)
    raw = rng.integers(low, high, (count, LATITUDE.size, LONGITUDE.size)).astype(dtype)
    return raw


def duacs(path, days, *, time=True):
    raw = {}
    with netCDF4.Dataset(path, "w") as nc:
        numbers = (days - np.datetime64("1950-01-01")).astype(int)
        grid(nc, numbers if time else None, "days since 1950-01-01 00:00:00")
        if not time:
            nc.createDimension("time", len(days))
            nc.time_coverage_start = f"{days[0]}T00:00:00Z"
        nc.createDimension("nv", 2)
        bounds = nc.createVariable("lat_bnds", "f4", ("latitude", "nv"))
        bounds[:] = LATITUDE[:, None] + np.array([-0.25, 0.25])
        nc.createVariable("crs", "i4", ()).grid_mapping_name = "latitude_longitude"
        for seed, (name, unit) in enumerate({"adt": "m", "sla": "m", "ugos": "m/s", "vgosa": "m/s"}.items()):
            raw[name] = integers(seed, len(days), -9000, 9000, "i4")
            raw[name][:, 0, 0] = FILL4
            v = nc.createVariable(name, "i4", ("time", "latitude", "longitude"), fill_value=FILL4)
            v.setncatts({"scale_factor": 1e-4, "units": unit, "grid_mapping": "crs"})
            v.set_auto_maskandscale(False)
            v[:] = raw[name]
    return path, {name: np.where(r == FILL4, np.nan, r * 1e-4).astype("f4") for name, r in raw.items()}


def test_duacs(tmp_path):
    path, expected = duacs(tmp_path / "x.nc", DAYS)
    ds = data.bake("duacs", path, tmp_path / "s.zarr")
    assert set(ds.data_vars) == {"zos", "sla", "ugos", "vgosa"}
    np.testing.assert_array_equal(ds.time, DAYS.astype("datetime64[ns]"))
    for ours, theirs in (("zos", "adt"), ("sla", "sla"), ("ugos", "ugos"), ("vgosa", "vgosa")):
        np.testing.assert_array_equal(ds[ours], expected[theirs])
    assert ds.ugos.attrs["standard_name"] == "surface_geostrophic_eastward_sea_water_velocity"
    assert ds.ugos.attrs["units"] == "m s-1"
    assert "cell_methods" not in ds.sla.attrs


def test_duacs_of_a_day_without_a_time_coordinate(tmp_path):
    """The recipe says where the date is; the store says that it was taken from there."""
    path, expected = duacs(tmp_path / "x.nc", DAYS[:1], time=False)
    ds = data.bake("duacs", path, tmp_path / "s.zarr")
    assert ds.time.values.tolist() == DAYS[:1].astype("datetime64[ns]").tolist()
    np.testing.assert_array_equal(ds.sla, expected["sla"])
    assert "x.nc: has no time; its date is that of its attribute time_coverage_start" in ds.attrs["comment"]
    with pytest.raises(InputError, match=r"x\.nc: no time found"):
        data.bake("duacs", path, tmp_path / "t.zarr", options={})


@pytest.mark.parametrize("start", ["soon", ""])
def test_an_attribute_that_is_no_date(tmp_path, start):
    path, _ = duacs(tmp_path / "x.nc", DAYS[:1], time=False)
    with netCDF4.Dataset(path, "a") as nc:
        nc.time_coverage_start = start
    with pytest.raises(InputError, match=r"x\.nc: attribute time_coverage_start is .*; expected a date"):
        data.bake("duacs", path, tmp_path / "s.zarr")


def ghrsst(path, days, hour):
    raw = integers(3, len(days), 0, 3000, "i2")
    raw[:, 0, 0] = -32768
    error = integers(4, len(days), 0, 200, "i2")
    ice = np.full(raw.shape, -128, "i1")
    ice[:, 1, :] = 37
    with netCDF4.Dataset(path, "w") as nc:
        seconds = (days - np.datetime64("1981-01-01")).astype(int) * 86400 + hour * 3600
        grid(nc, seconds, "seconds since 1981-01-01 00:00:00", ("lat", "lon"), "i4")
        for name, values, fill, scale, offset, unit in (
            ("analysed_sst", raw, np.int16(-32768), 0.01, 273.15, "kelvin"),
            ("analysis_error", error, np.int16(-32768), 0.01, 0.0, "kelvin"),
            ("sea_ice_fraction", ice, np.int8(-128), 0.01, 0.0, "1"),
            ("mask", np.ones(raw.shape, "i1"), np.int8(-128), None, None, "1"),
        ):
            v = nc.createVariable(name, values.dtype, ("time", "lat", "lon"), fill_value=fill)
            v.setncatts({"units": unit} | ({} if scale is None else {"scale_factor": scale, "add_offset": offset}))
            v.set_auto_maskandscale(False)
            v[:] = values
    return path, raw, error


@pytest.mark.parametrize("hour", [0, 9, 12])
def test_l4_temperature_in_kelvin(tmp_path, hour):
    """Analyses are nominally of 00:00, 09:00 or 12:00; all of them are of the day."""
    path, raw, error = ghrsst(tmp_path / "x.nc", DAYS, hour)
    ds = data.bake("sst_l4", path, tmp_path / "s.zarr")
    np.testing.assert_array_equal(ds.time, DAYS.astype("datetime64[ns]"))
    kelvin = np.where(raw == -32768, np.nan, raw * 0.01 + 273.15)
    np.testing.assert_array_equal(ds.sst, (kelvin - 273.15).astype("f4"))
    assert ds.sst.attrs["units"] == "degrees_C"
    np.testing.assert_array_equal(ds.sst_error, (error * 0.01).astype("f4"))
    assert ds.sst_error.attrs["units"] == "K"  # a difference: nothing to convert
    assert np.isnan(ds.siconc).sum() == 3 * 15
    assert ds.siconc.values[0, 1].tolist() == [np.float32(0.37)] * 5
    assert ds.mask.dims == ("latitude", "longitude")  # ours, not the file's flags
    assert int(ds.mask.sum()) == 19


def test_two_analyses_of_one_day_are_refused(tmp_path):
    path, *_ = ghrsst(tmp_path / "x.nc", np.repeat(DAYS, 2), 0)
    with netCDF4.Dataset(path, "a") as nc:
        nc["time"][:] = nc["time"][:] + np.tile([0, 3600], 3)
    with pytest.raises(InputError, match=r"x\.nc: time 2020-01-01T01:00:00 .*recipe 'cf'"):
        data.bake("sst_l4", path, tmp_path / "s.zarr")


def currents(path):
    values = np.arange(3 * 20, dtype="f4").reshape(3, 4, 5) / 100
    with netCDF4.Dataset(path, "w") as nc:
        grid(nc, np.arange(3), "days since 1900-01-01", ("lat", "lon"), "i4")
        for name in ("eastward_eulerian_current_velocity", "northward_eulerian_current_velocity"):
            v = nc.createVariable(name, "f4", ("time", "lat", "lon"), fill_value=np.nan)
            v.units = "m s-1"
            v[:] = values
    return path, values


def test_currents_without_a_depth_axis_lie_where_the_recipe_says(tmp_path):
    path, values = currents(tmp_path / "x.nc")
    ds = data.bake("globcurrent", path, tmp_path / "s.zarr")
    assert ds.uo.dims == ("time", "depth", "latitude", "longitude")
    assert ds.depth.values.tolist() == [0.0]
    np.testing.assert_array_equal(ds.vo[:, 0], values)
    at = data.bake("globcurrent", path, tmp_path / "t.zarr", options={"depth": 15})
    assert at.depth.values.tolist() == [15.0]
    with pytest.raises(InputError, match=r"expected a depth axis \(or its depth said in the recipe"):
        data.bake("cf", path, tmp_path / "u.zarr")


def test_a_scalar_depth_with_several_times(tmp_path, glorys):
    """What xarray leaves of `isel(depth=0)`."""
    import xarray as xr

    days = [xr.open_dataset(glorys(f"2020-01-0{n}")) for n in (1, 2)]
    xr.concat(days, "time").isel(depth=1).to_netcdf(tmp_path / "level.nc")
    ds = data.bake("glorys12", tmp_path / "level.nc", tmp_path / "g.zarr", variables=["thetao"])
    np.testing.assert_array_equal(ds.thetao[:, 0], xr.open_dataset(tmp_path / "level.nc").thetao.astype("f4"))
    assert ds.depth.values.tolist() == [days[0].depth.values[1]]
