"""Baking files whose every number is known: values, labels, masks, gaps, chunks, provenance."""

import json
import warnings

import netCDF4
import numpy as np
import pytest
import xarray as xr
import zarr
from raw_files import DRY, FILL, PACKING, era5_values, packed, six_hourly

import oceanx.data as data
from oceanx.data.recipe import load_recipe
from oceanx.vocabulary.errors import InputError
from oceanx.vocabulary.names import VARIABLES

DAYS = ["2020-01-01", "2020-01-02", "2020-01-03"]


def expected(name, day, packing=None):
    scale, offset, _, middle = (packing or PACKING)[name]
    raw = packed(name, int(np.datetime64(day).astype(int)), scale, offset, middle)[0]
    return np.where(raw == FILL, np.nan, (raw * np.float64(scale) + np.float64(offset))).astype("f4")


def test_values_labels_and_attributes(glorys, tmp_path):
    for day in reversed(DAYS):
        glorys(day)
    ds = data.bake("glorys12", tmp_path / "*.nc", tmp_path / "g.zarr")
    assert ds.thetao.chunks is not None
    assert ds.thetao.dims == ("time", "depth", "latitude", "longitude")
    assert ds.time.values.tolist() == np.array(DAYS, "datetime64[ns]").tolist()
    for name in PACKING:
        assert ds[name].dtype == np.float32
        np.testing.assert_array_equal(ds[name], [expected(name, day) for day in DAYS])
        assert ds[name].attrs["standard_name"] == VARIABLES[name].standard_name
        assert ds[name].attrs["units"] == VARIABLES[name].units
        assert ds[name].attrs["cell_methods"] == "time: mean"
    assert ds.attrs["Conventions"] == "CF-1.11"
    assert ds.attrs["missing_times"] == []
    assert len(ds.attrs["source_files"]) == 3
    assert {"title", "institution", "source", "history", "references", "license", "oceanx_recipe"} <= set(ds.attrs)


def test_mask_area_and_thickness_are_coordinates(glorys, tmp_path):
    glorys()
    ds = data.bake("glorys12", tmp_path / "*.nc", tmp_path / "g.zarr")
    assert {"mask", "cell_area", "thickness"} <= set(ds.coords)
    assert ds.mask.dtype == np.int8
    dry = np.ones((3, 4, 5), bool)
    dry[:, *DRY] = False
    np.testing.assert_array_equal(ds.mask, dry)
    radius = 6.371e6
    band = np.sin(np.deg2rad(40.25)) - np.sin(np.deg2rad(39.75))
    np.testing.assert_allclose(ds.cell_area.isel(latitude=0), radius**2 * np.deg2rad(0.5) * band, rtol=1e-6)
    assert float(ds.thickness.sum()) == pytest.approx(2 * 47.373692 - (15.81007 + 47.373692) / 2, rel=1e-6)


def test_the_store_is_plain_zarr_3_and_opens_without_a_warning(glorys, tmp_path):
    glorys()
    data.bake("glorys12", tmp_path / "*.nc", tmp_path / "g.zarr")
    assert json.loads((tmp_path / "g.zarr" / "zarr.json").read_text())["zarr_format"] == 3
    for _, array in zarr.open_group(tmp_path / "g.zarr", mode="r").arrays():
        assert {type(codec).__name__ for codec in array.compressors} == {"BloscCodec"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ds = xr.open_zarr(tmp_path / "g.zarr")
        np.testing.assert_array_equal(ds.time_bnds[0], np.array(["2020-01-01", "2020-01-02"], "datetime64[ns]"))
        assert "mask" in ds.coords
        data.open(tmp_path / "g.zarr").load()


def test_each_file_is_decoded_with_its_own_packing(glorys, tmp_path):
    other = {"thetao": (1e-3, 10.0, "degrees_C", 14.0)}
    glorys(DAYS[0])
    glorys(DAYS[1], packing=other)
    ds = data.bake("glorys12", tmp_path / "*.nc", tmp_path / "g.zarr")
    np.testing.assert_array_equal(ds.thetao[0], expected("thetao", DAYS[0]))
    np.testing.assert_array_equal(ds.thetao[1], expected("thetao", DAYS[1], PACKING | other))


def test_a_missing_day_is_nan_and_listed(glorys, tmp_path):
    for day in (DAYS[0], DAYS[2]):
        glorys(day)
    ds = data.bake("glorys12", tmp_path / "*.nc", tmp_path / "g.zarr")
    assert ds.attrs["missing_times"] == [DAYS[1]]
    assert np.isnan(ds.isel(time=1).to_array(name="x").values[..., 1:, :]).all()
    assert ds.mask.sum() == 3 * 19  # the gap makes no cell dry
    np.testing.assert_array_equal(ds.thetao[2], expected("thetao", DAYS[2]))


def test_time_chooses_days(glorys, tmp_path):
    for day in DAYS:
        glorys(day)
    ds = data.bake("glorys12", tmp_path / "*.nc", tmp_path / "g.zarr", time="2020-01-02:2020-01-02")
    assert ds.time.dt.day.values.tolist() == [2]
    with pytest.raises(InputError, match=r"nothing between 2021-01-01 .* the files hold 2020-01-01 to 2020-01-03"):
        data.bake("glorys12", tmp_path / "*.nc", tmp_path / "h.zarr", time="2021")


def test_disagreeing_masks_are_counted(glorys, tmp_path, caplog):
    path = glorys()
    with netCDF4.Dataset(path, "a") as nc:
        nc["uo"].set_auto_maskandscale(False)
        nc["uo"][0, 2, 3, 3] = FILL
        nc["zos"].set_auto_maskandscale(False)
        nc["zos"][0, 1, 1] = FILL
    ds = data.bake("glorys12", tmp_path / "*.nc", tmp_path / "g.zarr")
    assert int(ds.mask.sum()) == 3 * 19 - 2
    assert ds.mask[2, 3, 3] == 0
    assert ds.mask[0, 1, 1] == 0
    assert ds.mask[1, 1, 1] == 1  # a surface variable speaks for the top level only
    said = ds.attrs["mask_disagreement"]
    assert "thetao: 2 cells dry in others" in said
    assert "uo: 1 cells dry in others" in said
    assert said in caplog.text


def test_a_day_without_values_within_a_file_is_listed(tmp_path):
    path = tmp_path / "sst.nc"
    values = np.arange(3 * 4, dtype="f4").reshape(3, 2, 2)
    values[1] = np.nan
    xr.Dataset(
        {"sst": (("time", "lat", "lon"), values, {"units": "degree_C"})},
        {"time": np.array(DAYS, "datetime64[ns]") + np.timedelta64(12, "h"), "lat": [1.0, 2.0], "lon": [3.0, 4.0]},
    ).to_netcdf(path)
    ds = data.bake("oisst", path, tmp_path / "s.zarr")
    assert ds.attrs["missing_times"] == [DAYS[1]]
    assert int(ds.mask.sum()) == 4


def test_steps_of_the_recipe_are_taken(glorys, tmp_path):
    glorys()
    ds = data.bake(
        "glorys12", tmp_path / "*.nc", tmp_path / "g.zarr", variables=["thetao"],
        steps=[{"select_levels": {"depths": [15.8]}}, {"select_box": {"latitude": [40.4, 41.1]}}],
    )  # fmt: skip
    assert list(ds.data_vars) == ["thetao"]
    np.testing.assert_array_equal(ds.thetao[0], expected("thetao", DAYS[0])[1:2, 1:3])


@pytest.mark.parametrize("purpose", ["training", "timeseries"])
def test_content_and_fingerprint_do_not_depend_on_chunks(glorys, tmp_path, monkeypatch, purpose):
    for day in (DAYS[0], DAYS[2]):
        glorys(day)
    whole = data.bake("glorys12", tmp_path / "*.nc", tmp_path / "whole.zarr")
    monkeypatch.setattr("oceanx.data.writing.chunking._SMALL", 1)
    monkeypatch.setattr("oceanx.data.writing.chunking._IN_MEMORY", 1)
    monkeypatch.setattr("oceanx.data.writing.chunking._LARGE", 60)
    monkeypatch.setattr("oceanx.data.writing.store._GROUP", 1)  # variables one by one
    cut = data.bake("glorys12", tmp_path / "*.nc", tmp_path / "cut.zarr", **{"for": purpose})
    assert max(cut.chunksizes["latitude"]) < 4
    assert cut.chunksizes["time"] == (1, 1, 1)
    xr.testing.assert_equal(cut, whole)
    assert cut.attrs["oceanx_fingerprint"] == whole.attrs["oceanx_fingerprint"]


def test_another_value_is_another_fingerprint(glorys, tmp_path):
    path = glorys()
    first = data.bake("glorys12", path, tmp_path / "a.zarr").attrs["oceanx_fingerprint"]
    with netCDF4.Dataset(path, "a") as nc:
        nc["zos"][0, 3, 3] = 0.25
    assert data.bake("glorys12", path, tmp_path / "b.zarr").attrs["oceanx_fingerprint"] != first


def test_overwrite_replaces_only_when_complete(glorys, tmp_path):
    path = glorys()
    target = tmp_path / "g.zarr"
    data.bake("glorys12", path, target)
    with pytest.raises(InputError, match="exists already"):
        data.bake("glorys12", path, target)
    bad = glorys(DAYS[1], empty=("uo",), name="bad.nc")
    with pytest.raises(InputError, match=r"bad.nc: uo has no value"):
        data.bake("glorys12", bad, target, overwrite=True)
    np.testing.assert_array_equal(data.open(target).uo[0], expected("uo", DAYS[0]))
    data.bake("glorys12", glorys(DAYS[2]), target, overwrite=True)
    np.testing.assert_array_equal(data.open(target).uo[0], expected("uo", DAYS[2]))
    assert not list(tmp_path.glob("*.partial")) + list(tmp_path.glob("*.replaced"))


def test_era5_daily_merges_instants_and_accumulations(era5, tmp_path):
    times = six_hourly("2020-01-01", 4)
    era5("instant.nc", ("u10", "t2m"), times)
    era5("accum.nc", ("ssr", "tp"), times, "accum")
    ds = data.bake("era5_daily", tmp_path / "*.nc", tmp_path / "e.zarr")
    assert ds.time.dt.day.values.tolist() == [1, 2, 3]  # day 4 lacks the midnight that ends its last hour
    assert ds.latitude.values.tolist() == [40.0, 40.5, 41.0, 41.5]
    assert ds.longitude.values.tolist() == [-10.0, -9.5, -9.0, -8.5, -8.0]
    for name, seconds, first in (("u10", 1, 0), ("t2m", 1, 0), ("ssr", 3600, 1), ("tp", 3600, 1)):
        raw = era5_values(name, times).astype("f8")[:, ::-1] / seconds
        means = raw[first : first + 12].reshape(3, 4, 4, 5).mean(1)
        np.testing.assert_array_equal(ds[name], means.astype("f4"), err_msg=name)
        assert ds[name].attrs["cell_methods"] == "time: mean"
    assert ds.ssr.attrs["units"] == "W m-2"


def test_era5_daily_across_files_and_blocks_equals_one_piece(era5, tmp_path, monkeypatch):
    times = six_hourly("2020-01-01", 9)
    era5("whole.nc", ("u10", "ssr"), times)
    whole = data.bake("era5_daily", tmp_path / "whole.nc", tmp_path / "whole.zarr")
    for number, some in enumerate(np.split(times, [5, 16, 17])):  # cut anywhere, also within days
        era5(f"part{number}.nc", ("u10", "ssr"), some)
    monkeypatch.setattr("oceanx.data.writing.chunking._SMALL", 1)
    parts = data.bake("era5_daily", tmp_path / "part*.nc", tmp_path / "parts.zarr")
    assert parts.chunksizes["time"] == (1,) * 8
    xr.testing.assert_equal(parts, whole)


def test_era5_daily_leaves_out_a_broken_day_or_refuses_it(era5, tmp_path):
    times = np.delete(six_hourly("2020-01-01", 6), 9)
    path = era5("u.nc", ("u10",), times)
    ds = data.bake("era5_daily", path, tmp_path / "e.zarr")
    assert ds.attrs["missing_times"] == ["2020-01-03"]
    assert np.isnan(ds.u10[2]).all()
    strict = [{"daily_mean": {"incomplete": "error"}}]
    with pytest.raises(InputError, match="u10 has 3 of 4 values on 2020-01-03"):
        data.bake("era5_daily", path, tmp_path / "f.zarr", steps=strict)


def test_era5_in_time_keeps_the_times_as_they_come(era5, tmp_path):
    times = np.array(["2020-01-01T03", "2020-01-01T04", "2020-01-07T12"], "datetime64[ns]")
    ds = data.bake("era5", era5("x.nc", ("t2m", "ssr"), times, expver="0005"), tmp_path / "e.zarr")
    np.testing.assert_array_equal(ds.time, times)
    np.testing.assert_array_equal(ds.ssr, era5_values("ssr", times)[:, ::-1] / np.float32(3600))
    assert "ERA5T" in ds.attrs["comment"]


def test_progress_is_told_to_the_end(glorys, tmp_path):
    told = []
    data.bake("glorys12", glorys(), tmp_path / "g.zarr", progress=lambda *news: told.append(news))
    assert told[0] == ("scanning", 0, 1)
    assert told[-1] == ("baking", 1, 1)


def test_any_cf_zarr_can_be_a_source(tmp_path):
    ds = xr.Dataset(
        {"temp": (("ocean_time", "y", "x"), [[[280.0, 281.0], [282.0, np.nan]]],
                  {"standard_name": "sea_surface_temperature", "units": "K"})},
        {"ocean_time": ("ocean_time", np.array(["2020-01-01"], "datetime64[ns]"), {"standard_name": "time"}),
         "y": ("y", [2.0, 1.0], {"standard_name": "latitude", "units": "degrees_north"}),
         "x": ("x", [359.0, 360.0], {"standard_name": "longitude", "units": "degrees_east"})},
    )  # fmt: skip
    ds.to_zarr(tmp_path / "raw.zarr", zarr_format=3, consolidated=False)
    out = data.bake("cf", tmp_path / "raw.zarr", tmp_path / "out.zarr")
    assert out.longitude.values.tolist() == [-1.0, 0.0]
    expected_sst = np.array([[282.0, np.nan], [280.0, 281.0]]) - 273.15
    np.testing.assert_array_equal(out.sst[0], expected_sst.astype("f4"))


def test_a_recipe_object_bakes_like_its_name(glorys, tmp_path):
    path = glorys()
    a = data.bake(load_recipe("glorys12"), path, tmp_path / "a.zarr")
    b = data.bake("glorys12", path, tmp_path / "b.zarr")
    assert a.attrs["oceanx_recipe"] == b.attrs["oceanx_recipe"]
