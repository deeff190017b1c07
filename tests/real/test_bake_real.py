"""Real provider files: what is baked equals an independent read with netCDF4 (or eccodes), to the bit."""

from __future__ import annotations

import warnings
import zipfile

import netCDF4
import numpy as np
import pytest

import oceanx.data as data
from oceanx.vocabulary.errors import InputError

pytestmark = pytest.mark.real

BISCAY = "glorys/glorys12_biscay_channel_20151116-18.nc"
COARSE = "glorys/GLORYS_coarse_test_data.nc"
GULF = "glorys/glorys12_gulfstream_19930101-02.nc"
ERA5_OLD = "era5/ERA5_regional_test_data.nc"
EXPVER = "era5/era5_expver_victoria_202010-202109.nc"
TASMAN = "mhw/oisst_tasman16_19820101-20101231.nc"


def independent(path, name, dtype="f8"):
    """What netCDF4 makes of a variable, NaN where it masks."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy's, about casting packed attributes
        with netCDF4.Dataset(path) as nc:
            return np.ma.filled(np.ma.asarray(nc[name][...]).astype(dtype), np.nan)


def same(ours, theirs):
    """Equal bit for bit where finite, NaN in the same places."""
    assert ours.dtype == np.float32
    theirs = theirs.astype("f4")
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(theirs))
    finite = np.isfinite(theirs)
    np.testing.assert_array_equal(ours.values[finite].view("u4"), theirs[finite].view("u4"))


@pytest.mark.parametrize("file", [BISCAY, COARSE, GULF, "glorys/GLORYS_NA_20120101.nc", "glorys/GLORYS_NA_20121231.nc"])
def test_glorys12(real, tmp_path, file):
    path = real(file)
    ds = data.bake("glorys12", path, tmp_path / "g.zarr")
    with netCDF4.Dataset(path) as nc:
        names = [n for n, v in nc.variables.items() if len(v.dimensions) > 1]
        assert set(ds.data_vars) == set(names)
        times = netCDF4.num2date(np.atleast_1d(nc["time"][...]), nc["time"].units, only_use_cftime_datetimes=False)
        days = [np.datetime64(t.strftime("%Y-%m-%d")) for t in np.atleast_1d(times)]
        for dim in ("latitude", "longitude", "depth"):
            np.testing.assert_array_equal(ds[dim], nc[dim][...])
    np.testing.assert_array_equal(ds.time, np.array(days, "datetime64[ns]"))
    for name in names:
        raw = independent(path, name)
        same(ds[name], raw.reshape(ds[name].shape))
        assert ds[name].attrs["cell_methods"].startswith("time: mean")


def test_biscay_has_coast_and_empty_ice(real, tmp_path):
    ds = data.bake("glorys12", real(BISCAY), tmp_path / "g.zarr")
    assert {"siconc", "usi", "bottomT", "mlotst"} <= set(ds.data_vars)
    wet = np.isfinite(independent(real(BISCAY), "thetao")[:, 0]).all(0)
    assert 0.5 < float(ds.mask.mean()) < 0.9
    assert int((wet & (ds.mask[0].values == 0)).sum()) == 5  # velocities lack five cells along the coast
    assert "thetao: 5 cells dry in others" in ds.attrs["mask_disagreement"]


def test_two_days_a_year_apart(real, tmp_path):
    files = [real(f"glorys/GLORYS_NA_2012{day}.nc") for day in ("0101", "1231")]
    with pytest.raises(InputError, match="364 of 366 times from 2012-01-01 to 2012-12-31 are in no file"):
        data.bake("glorys12", files, tmp_path / "g.zarr")
    first = data.bake("glorys12", files, tmp_path / "one.zarr", time="2012-01-01")
    assert first.sizes["time"] == 1
    both = data.bake("glorys12", files, tmp_path / "g.zarr", max_missing=1)
    assert len(both.attrs["missing_times"]) == 364
    same(both.thetao[[0, -1]], np.concatenate([independent(f, "thetao") for f in files]))


def test_files_of_different_regions_are_refused(real, tmp_path):
    files = [real("glorys/GLORYS_NA_20120101.nc"), real(GULF)]
    with pytest.raises(InputError, match=r"gulfstream_19930101-02\.nc: (depth|latitude) has"):
        data.bake("glorys12", files, tmp_path / "g.zarr")


def test_web_form_currents_alone_and_hourly_files(real, tmp_path):
    web = real("glorys/glo12_cur_northsea_webform_20250101-02.nc")
    with pytest.raises(InputError, match="no variable thetao"):
        data.bake("glorys12", web, tmp_path / "w.zarr")
    ds = data.bake("glorys12", web, tmp_path / "w.zarr", variables=["uo", "vo"])
    same(ds.uo, independent(web, "uo"))
    hourly = real("glorys/glo12_hourly_currents_20260208.nc")
    with pytest.raises(InputError, match=r"not that of a daily mean .* recipe 'cf'"):
        data.bake("glorys12", hourly, tmp_path / "h.zarr", variables=["uo", "vo"])
    ds = data.bake("cf", hourly, tmp_path / "h.zarr")
    assert ds.sizes["time"] == 25
    same(ds.vo, independent(hourly, "vo"))


def test_one_file_per_variable(real, tmp_path):
    files = [real(f"glorys/virtualship_argo_float_{v}.nc") for v in ("t", "s", "uv")]
    ds = data.bake("cf", files, tmp_path / "v.zarr")
    assert set(ds.data_vars) == {"thetao", "so", "uo", "vo"}
    assert ds.sizes["depth"] == 50
    same(ds.thetao, independent(files[0], "thetao"))
    same(ds.vo, independent(files[2], "vo"))


def test_era5_old_layout(real, tmp_path):
    path = real(ERA5_OLD)
    ds = data.bake("era5", path, tmp_path / "e.zarr")
    assert (np.diff(ds.latitude) > 0).all()
    for name in ("u10", "v10", "d2m", "t2m", "msl"):
        same(ds[name], independent(path, name)[:, ::-1])
    same(ds.sst, independent(path, "sst")[:, ::-1] - 273.15)
    for name in ("ssr", "strd", "tp"):
        same(ds[name], independent(path, name)[:, ::-1] / 3600)
    assert [ds[n].attrs["units"] for n in ("sst", "ssr", "tp")] == ["degrees_C", "W m-2", "m s-1"]


@pytest.mark.parametrize("zipped", [True, False])
def test_era5_current_layout_and_its_zip(real, tmp_path, zipped):
    folder = "era5/cds_new_valdivia/"
    instant, accum = (real(f"{folder}data_stream-oper_stepType-{kind}.nc") for kind in ("instant", "accum"))
    source = real(f"{folder}flujos_valdivia_era5.nc") if zipped else [instant, accum]
    assert not zipped or zipfile.is_zipfile(source)
    ds = data.bake("era5", source, tmp_path / "e.zarr")
    assert ds.sizes["time"] == 600
    same(ds.sst, independent(instant, "sst")[:, ::-1] - 273.15)
    for name in ("slhf", "sshf", "ssr", "str"):
        same(ds[name], independent(accum, name)[:, ::-1] / 3600)
        assert ds[name].attrs["units"] == "W m-2"
    assert ds.attrs["missing_times"] == []


def test_era5_preliminary_winds_at_irregular_steps(real, tmp_path):
    path = real("era5/coast_wind_1.nc")
    ds = data.bake("era5", path, tmp_path / "e.zarr")
    same(ds.u10, independent(path, "u10")[:, ::-1])
    np.testing.assert_array_equal(ds.time.astype("i8") // 10**9, independent(path, "valid_time", "i8"))
    assert "30 of 30 times are preliminary ERA5T" in ds.attrs["comment"]


def test_forecast_layout(real, tmp_path):
    path = real("era5/cds_forecast_period_20260208.nc")
    ds = data.bake("era5", path, tmp_path / "e.zarr")
    raw = independent(path, "u10")  # (period, reference, latitude, longitude)
    assert ds.sizes["time"] == 26
    same(ds.u10, raw.transpose(1, 0, 2, 3).reshape(26, 16, 16)[:, ::-1])


@pytest.mark.real
def test_monthly_means_are_not_taken_for_hourly_values(real, tmp_path):
    """Their accumulations are per day: divided by 3600 s, radiation would be 24 times too strong."""
    with pytest.raises(InputError, match="Use the recipe era5_monthly"):
        data.bake("era5", real(EXPVER), tmp_path / "m.zarr")
    assert not (tmp_path / "m.zarr").exists()


def test_expver_dimension_of_monthly_means(real, tmp_path):
    path = real(EXPVER)
    ds = data.bake("era5_monthly", path, tmp_path / "m.zarr")
    assert ds.sizes["time"] == 12
    for name, over in (("t2m", 1), ("si10", 1), ("ssr", 86400), ("tp", 86400)):
        both = independent(path, name)
        merged = np.where(np.isnan(both[:, 0]), both[:, 1], both[:, 0])
        assert np.isfinite(merged).any(axis=(1, 2)).all()  # the last two months are ERA5T's
        same(ds[name], merged[:, ::-1] / over)


def grib(path):
    """(times, values) of a GRIB file through eccodes itself; rows from south to north."""
    eccodes = pytest.importorskip("eccodes")
    times, values = [], []
    with path.open("rb") as file:
        while (message := eccodes.codes_grib_new_from_file(file)) is not None:
            rows, columns = eccodes.codes_get(message, "Nj"), eccodes.codes_get(message, "Ni")
            date, hour = eccodes.codes_get(message, "validityDate"), eccodes.codes_get(message, "validityTime") // 100
            times.append(np.datetime64(f"{date // 10000}-{date // 100 % 100:02d}-{date % 100:02d}T{hour:02d}", "ns"))
            values.append(eccodes.codes_get_values(message).reshape(rows, columns)[::-1])
            eccodes.codes_release(message)
    return np.array(times), np.array(values)


@pytest.mark.parametrize("file", ["era5/era5-2mt-2019-03-uk.grib", "era5/era5-single-level-scalar-time.grib"])
def test_grib_equals_eccodes(real, tmp_path, file):
    path = real(file)
    times, values = grib(path)
    ds = data.bake("era5", path, tmp_path / "e.zarr")
    np.testing.assert_array_equal(ds.time, times)
    same(ds.t2m, values)


def test_daily_means_of_hourly_grib(real, tmp_path):
    path = real("era5/era5-2mt-2019-03-uk.grib")
    _, values = grib(path)
    ds = data.bake("era5_daily", path, tmp_path / "e.zarr")
    assert ds.sizes["time"] == 31
    same(ds.t2m, values.astype("f4").reshape(31, 24, 33, 49).mean(axis=1, dtype="f8"))


@pytest.mark.parametrize("file", [TASMAN, "obs/oisst_erddap_20230827.nc", "mhw/xmhw/oisst_2003_2004.nc"])
def test_oisst(real, tmp_path, file):
    path = real(file)
    ds = data.bake("oisst", path, tmp_path / "s.zarr")
    same(ds.sst, independent(path, "sst").reshape(ds.sst.shape))
    assert ds.sst.attrs["units"] == "degrees_C"
    assert (ds.time.dt.hour == 0).all()
    assert ds.attrs["missing_times"] == []


def test_oisst_under_another_name_and_without_units(real, tmp_path):
    path = real("mhw/oisst_short.nc")
    with pytest.raises(InputError, match="holds none of sst"):
        data.bake("oisst", path, tmp_path / "s.zarr")
    pick = {"sst": {"names": ["oisst_short"], "units": "degrees_C"}}
    ds = data.bake("oisst", path, tmp_path / "s.zarr", variables=pick)
    same(ds.sst, independent(path, "oisst_short")[:, ::-1])


@pytest.mark.parametrize(
    ("recipe", "file", "said"),
    [
        ("cf", "models/nemo_1m_20150101-20150201_grid-T.nc", r"nemo_1m.*: the grid is curvilinear \(nav_lat"),
        ("cf", "models/Arctic20_1to5Feb_2016.nc", "the grid is curvilinear"),
        ("cf", "models/croco_his.nc", "the grid is curvilinear"),
        ("cf", "models/Nordic_subset_day1.nc", "the grid is curvilinear"),
        ("cf", "clim/woa18_decav_t07_04.nc", "months since 1955"),
        ("cf", "obs/argo_13857_prof.nc", "share the dimension N_PROF"),
        ("cf", "obs/dt_med_allsat_phy_l4_20160515.nc", "no time found"),
        ("cf", "mhw/schlegel2019/sst_WA.csv", "is not NetCDF"),
        ("oisst", "mhw/xmhw/land.nc", "sst has no value anywhere"),
        ("glorys12", "glorys/GLORYS_global_grid.nc", "no time found"),
    ],
)
def test_what_cannot_be_baked_is_refused_with_its_reason(real, tmp_path, recipe, file, said):
    with pytest.raises(InputError, match=said):
        data.bake(recipe, real(file), tmp_path / "x.zarr")
    assert not list(tmp_path.iterdir())
