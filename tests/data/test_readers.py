"""Every layout of ERA5 that was ever delivered, OISST's two, and archives that must not be trusted."""

import subprocess
import sys
import zipfile

import netCDF4
import numpy as np
import pytest
import xarray as xr
from raw_files import ERA5_LATITUDE, ERA5_LONGITUDE, era5_values, packed, six_hourly

import oceanx.data as data
from oceanx.data.readers import reader
from oceanx.vocabulary.errors import InputError

TIMES = six_hourly("2020-01-01", 2)


def test_read_gives_our_names_dims_and_units(glorys, era5):
    ocean = reader("glorys12").read(glorys())
    assert ocean.thetao.dims == ("time", "depth", "latitude", "longitude")
    assert ocean.time.values[0] == np.datetime64("2020-01-01")  # stamped 12:00 in the file
    assert not ocean.thetao.encoding
    air = reader("era5").read(era5("x.nc", ("t2m", "ssr"), TIMES))
    assert air.latitude.values.tolist() == sorted(ERA5_LATITUDE)
    assert air.longitude.values.tolist() == [-10.0, -9.5, -9.0, -8.5, -8.0]
    assert air.ssr.attrs["units"] == "J m-2"
    np.testing.assert_array_equal(air.t2m, era5_values("t2m", TIMES)[:, ::-1])


def test_scalar_time(glorys, tmp_path):
    xr.open_dataset(glorys()).isel(time=0).to_netcdf(tmp_path / "scalar.nc")
    ds = reader("glorys12").read(tmp_path / "scalar.nc")
    assert ds.sizes["time"] == 1
    np.testing.assert_array_equal(ds.zos, reader("glorys12").read(glorys()).zos)


def zipped(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_zip_named_nc_with_one_file_per_step_type(era5, tmp_path):
    instant = era5("instant.nc", ("u10",), TIMES).read_bytes()
    accum = era5("accum.nc", ("ssr",), TIMES, "accum").read_bytes()
    path = zipped(tmp_path / "download.nc", {"data_stream-oper_stepType-instant.nc": instant, "sub/accum.nc": accum})
    ds = data.bake("era5", path, tmp_path / "e.zarr")
    np.testing.assert_array_equal(ds.u10, era5_values("u10", TIMES)[:, ::-1])
    np.testing.assert_array_equal(ds.ssr, era5_values("ssr", TIMES)[:, ::-1] / np.float32(3600))
    assert sorted(reader("era5").read(path).data_vars) == ["ssr", "u10"]


@pytest.mark.parametrize("name", ["../up.nc", "/etc/passwd", "a/../../b.nc", "..\\up.nc", "C:\\x.nc", "\\\\host\\x.nc"])
def test_zip_members_that_name_other_places_are_refused(tmp_path, name):
    path = zipped(tmp_path / "download.nc", {name: b"x"})
    with pytest.raises(InputError, match=r"download\.nc: ZIP member .* names a place outside"):
        reader("era5").parts(path, {}, tmp_path)
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == ["download.nc"]


def test_zip_bombs_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("oceanx.data.formats.archive._MOST_TIMES", 4)
    path = zipped(tmp_path / "bomb.nc", {"x.nc": bytes(5 * 2**20)})
    with pytest.raises(InputError, match=r"bomb\.nc: ZIP member 'x.nc' would unpack to 5242880 bytes"):
        reader("era5").parts(path, {}, tmp_path)


def test_a_zip_that_unpacks_to_other_than_it_declares_is_refused(tmp_path):
    path = zipped(tmp_path / "liar.nc", {"x.nc": bytes(10_000)})
    content = bytearray(path.read_bytes())
    at = content.rfind(b"PK\x01\x02") + 24
    content[at : at + 4] = (5_000).to_bytes(4, "little")  # the central directory's uncompressed size
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"liar\.nc: is a damaged ZIP"):
        reader("era5").parts(path, {}, tmp_path)


@pytest.mark.parametrize("share", [0.5, 0.99])
def test_a_truncated_zip_is_refused(era5, tmp_path, share):
    path = zipped(tmp_path / "z.nc", {"x.nc": era5("x.nc", ("u10",), TIMES).read_bytes()})
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(InputError, match=r"z\.nc: is a damaged ZIP archive"):
        reader("era5").parts(path, {}, tmp_path)


def test_an_empty_zip_is_refused(tmp_path):
    with pytest.raises(InputError, match="ZIP archive without a file"):
        reader("era5").parts(zipped(tmp_path / "z.nc", {}), {}, tmp_path)


def with_versions(path, versions, values):
    """Monthly or hourly ERA5 with `expver` as a dimension."""
    xr.Dataset(
        {"t2m": (("time", "expver", "latitude", "longitude"), values, {"units": "K"})},
        {"time": TIMES[: len(values)], "expver": versions, "latitude": ERA5_LATITUDE, "longitude": ERA5_LONGITUDE},
    ).to_netcdf(path)


@pytest.mark.parametrize("versions", [[1, 5], [5, 1]])
def test_expver_dimension_is_merged_and_the_final_version_wins(tmp_path, versions):
    values = np.full((3, 2, 4, 5), np.nan, "f4")
    values[:2, versions.index(1)], values[1:, versions.index(5)] = 280.0, 290.0  # both have the second time
    with_versions(tmp_path / "x.nc", versions, values)
    ds = data.bake("era5", tmp_path / "x.nc", tmp_path / "e.zarr")
    assert ds.t2m.mean(("latitude", "longitude")).values.tolist() == [280.0, 280.0, 290.0]
    assert "expver 5" in ds.attrs["comment"]


def test_expver_dimension_is_merged_cell_by_cell_and_what_neither_has_is_missing(tmp_path):
    rng = np.random.default_rng(0)
    values = rng.uniform(270, 300, (3, 2, 4, 5)).astype("f4")
    values[rng.random(values.shape) < 0.4] = np.nan
    with_versions(tmp_path / "x.nc", [1, 5], values)
    ds = data.bake("era5", tmp_path / "x.nc", tmp_path / "e.zarr")
    expected = np.where(np.isnan(values[:, 0]), values[:, 1], values[:, 0])[:, ::-1]
    assert 0 < np.isnan(expected).sum() < np.isnan(values[:, 0]).sum()
    np.testing.assert_array_equal(ds.t2m, expected)


def test_expver_as_text_is_noted_and_alone_it_is_dropped(era5, tmp_path):
    """The current layout tells the version of each time; a file without any is final."""
    late = era5("late.nc", ("t2m",), TIMES, expver="0005")
    ds = data.bake("era5", late, tmp_path / "late.zarr")
    assert "late.nc: 8 of 8 times are preliminary ERA5T" in ds.attrs["comment"]
    assert not {"expver", "number"} & set(ds.variables)
    final = data.bake("era5", era5("final.nc", ("t2m",), TIMES), tmp_path / "final.zarr")
    assert "comment" not in final.attrs
    xr.open_dataset(late).drop_vars(["expver", "number"]).to_netcdf(tmp_path / "bare.nc")
    bare = data.bake("era5", tmp_path / "bare.nc", tmp_path / "bare.zarr")
    assert "comment" not in bare.attrs
    np.testing.assert_array_equal(bare.t2m, ds.t2m)


def test_an_expver_dimension_of_one(tmp_path):
    values = np.full((3, 1, 4, 5), 280.0, "f4")
    with_versions(tmp_path / "x.nc", [5], values)
    ds = data.bake("era5", tmp_path / "x.nc", tmp_path / "e.zarr")
    assert float(ds.t2m.min()) == 280.0
    assert "ERA5T" in ds.attrs["comment"]


def test_rates_that_are_means_already(era5, tmp_path):
    """`avg_tprate` in kg m-2 s-1 is a mean over the hour that ends at its time, and is not divided again."""
    path = era5("x.nc", ("u10",), TIMES)
    with netCDF4.Dataset(path, "a") as nc:
        nc.renameVariable("u10", "avg_tprate")
        nc["avg_tprate"].setncatts({"units": "kg m**-2 s**-1", "GRIB_stepType": "avg"})
        nc["avg_tprate"][:] = np.abs(era5_values("u10", TIMES)) / 1e5
    ds = data.bake("era5", path, tmp_path / "e.zarr")
    np.testing.assert_array_equal(ds.mtpr, (np.abs(era5_values("u10", TIMES)) / np.float32(1e5))[:, ::-1])
    assert ds.mtpr.attrs["standard_name"] == "precipitation_flux"


def test_a_short_name_does_not_outrank_what_a_file_says_of_it(glorys, tmp_path):
    """`TEMP` is many things; in situ temperature is not taken for potential temperature."""
    path = glorys()
    ds = xr.open_dataset(path).rename(thetao="TEMP")
    ds["TEMP"].attrs["standard_name"] = "sea_water_temperature"
    ds.to_netcdf(tmp_path / "insitu.nc")
    found = reader("cf").read(tmp_path / "insitu.nc")
    assert "thetao" not in found
    np.testing.assert_array_equal(found.t_insitu, reader("glorys12").read(path).thetao)
    del ds["TEMP"].attrs["standard_name"]
    ds.to_netcdf(tmp_path / "silent.nc")
    assert "thetao" in reader("cf").read(tmp_path / "silent.nc")


def forecast(path, references, periods):
    hours = np.array(periods)
    valid = np.array(references, "datetime64[ns]")[:, None] + hours * np.timedelta64(1, "h")
    values = np.arange(hours.size * len(references) * 20, dtype="f4").reshape(hours.size, len(references), 4, 5) / 100
    xr.Dataset(
        {"u10": (("forecast_period", "forecast_reference_time", "latitude", "longitude"), values, {"units": "m s-1"})},
        {"forecast_period": hours.astype(float), "forecast_reference_time": np.array(references, "datetime64[ns]"),
         "valid_time": (("forecast_reference_time", "forecast_period"), valid),
         "latitude": ERA5_LATITUDE, "longitude": ERA5_LONGITUDE},
    ).to_netcdf(path)  # fmt: skip
    return path, values


def test_forecast_layout_is_flattened_where_each_time_occurs_once(tmp_path):
    path, values = forecast(tmp_path / "f.nc", ["2020-01-01", "2020-01-02"], [0, 6, 12])
    ds = data.bake("era5", path, tmp_path / "e.zarr")
    assert ds.sizes["time"] == 6
    np.testing.assert_array_equal(ds.u10.sel(time="2020-01-02T06"), values[1, 1, ::-1])
    np.testing.assert_array_equal(ds.u10.sel(time="2020-01-01T12"), values[2, 0, ::-1])


def test_forecast_layout_with_overlapping_runs_is_refused(tmp_path):
    path, _ = forecast(tmp_path / "f.nc", ["2020-01-01T00", "2020-01-01T12"], [0, 6, 12])
    with pytest.raises(InputError, match=r"f\.nc: valid_time: 2020-01-01T12.* is forecast from two reference times"):
        data.bake("era5", path, tmp_path / "e.zarr")


def test_several_members_are_refused(tmp_path):
    xr.Dataset(
        {"t2m": (("time", "number", "latitude", "longitude"), np.full((1, 2, 4, 5), 280.0), {"units": "K"})},
        {"time": TIMES[:1], "latitude": ERA5_LATITUDE, "longitude": ERA5_LONGITUDE},
    ).to_netcdf(tmp_path / "x.nc")
    with pytest.raises(InputError, match=r"x\.nc: t2m has 2 values along number; choose one"):
        data.bake("era5", tmp_path / "x.nc", tmp_path / "e.zarr")


def test_grib_without_its_extra_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "x.grib").write_bytes(b"GRIB" + bytes(100))
    monkeypatch.setitem(sys.modules, "cfgrib", None)
    with pytest.raises(
        InputError, match=r"x\.grib: is GRIB, which needs cfgrib and eccodes: pip install 'oceanx\[grib\]'"
    ):
        data.bake("era5", tmp_path / "x.grib", tmp_path / "e.zarr")


@pytest.mark.real
def test_a_process_that_reads_grib_and_draws_maps_ends_well(real):
    """eccodes and cartopy each bring a PROJ, and the wrong order of the two takes the process down at its end."""
    pytest.importorskip("cfgrib")
    pytest.importorskip("cartopy")
    code = "import sys, oceanx.data.readers.era5 as era5; era5.read(sys.argv[1]); import cartopy.crs"
    path = real("era5/era5-single-level-scalar-time.grib")
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr


def test_broken_grib_is_refused(tmp_path):
    pytest.importorskip("cfgrib")
    (tmp_path / "x.grib").write_bytes(b"GRIB" + bytes(100))
    with pytest.raises(InputError, match=r"x\.grib: (is damaged|holds no GRIB message)"):
        data.bake("era5", tmp_path / "x.grib", tmp_path / "e.zarr")


def test_oisst_as_erddap_gives_it(tmp_path):
    sst = np.array([[[[14.5, -9.99], [15.0, 16.0]]]], "f4")
    with netCDF4.Dataset(tmp_path / "x.nc", "w", format="NETCDF3_CLASSIC") as nc:
        for dim, values, unit in (
            ("time", [1693137600.0], "seconds since 1970-01-01T00:00:00Z"),
            ("zlev", [0.0], "m"),
            ("latitude", [1.0, 2.0], "degrees_north"),
            ("longitude", [3.0, 4.0], "degrees_east"),
        ):
            nc.createDimension(dim, len(values))
            axis = nc.createVariable(dim, "f8", (dim,))
            axis.units = unit
            axis[:] = values
        v = nc.createVariable("sst", "f4", ("time", "zlev", "latitude", "longitude"), fill_value=np.float32(-9.99))
        v.units = "degree_C"
        v[:] = sst
    ds = data.bake("oisst", tmp_path / "x.nc", tmp_path / "s.zarr")
    assert ds.sst.dims == ("time", "latitude", "longitude")
    assert ds.time.values[0] == np.datetime64("2023-08-27")  # stamped 12:00
    np.testing.assert_array_equal(ds.sst[0], [[14.5, np.nan], [15.0, 16.0]])


def test_an_upward_depth_axis_comes_downward(glorys, tmp_path):
    ds = xr.open_dataset(glorys())
    deep = ds.isel(depth=slice(None, None, -1))
    up = deep.assign_coords(
        depth=("depth", -deep.depth.values, {"standard_name": "depth", "positive": "up", "units": "m"})
    )
    up.to_netcdf(tmp_path / "up.nc")
    out = reader("cf").read(tmp_path / "up.nc")
    np.testing.assert_array_equal(out.depth, ds.depth)
    day = int(np.datetime64("2020-01-01").astype(int))
    raw = packed("thetao", day, 7.32444226741791e-4, 21.0, 14.0)
    np.testing.assert_array_equal(np.isnan(out.thetao), raw == -32767)
    np.testing.assert_allclose(
        out.thetao.values[raw > -32767], (raw * 7.32444226741791e-4 + 21.0)[raw > -32767], rtol=1e-6
    )


def test_longitudes_beyond_180_and_360_are_brought_home(tmp_path):
    lon = np.arange(20.5, 380, 1.0)
    xr.Dataset(
        {"sst": (("time", "lat", "lon"), np.broadcast_to(lon % 360 / 20, (1, 2, 360)), {"units": "degC"})},
        {"time": TIMES[:1], "lat": ("lat", [0.5, 1.5], {"units": "degrees_north"}), "lon": lon},
    ).to_netcdf(tmp_path / "x.nc")
    ds = data.bake("cf", tmp_path / "x.nc", tmp_path / "s.zarr")
    np.testing.assert_array_equal(ds.longitude, np.arange(-179.5, 180))
    np.testing.assert_allclose(ds.sst[0, 0], ds.longitude % 360 / 20, rtol=1e-6)
