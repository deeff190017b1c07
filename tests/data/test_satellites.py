"""Altimetry along tracks and swaths of sea surface temperature, from the providers' layouts to one kind of table."""

import numpy as np
import pytest
import raw_satellites as raw
import xarray as xr

from oceanx.data.readers import altimeter, sst_swath
from oceanx.data.recipe import load_recipe
from oceanx.data.shelf.stores import open_store
from oceanx.data.writing import points
from oceanx.ocean.flags import decoded, meanings
from oceanx.ocean.observations import check, rejections
from oceanx.ocean.wide import from_wide, to_wide
from oceanx.vocabulary.errors import InputError

SECONDS = np.datetime64("2020-01-01T06:00:00", "ns") + np.arange(6) * np.timedelta64(1, "s")


def baked(recipe, paths, to, **changes):
    points.write(load_recipe(recipe, changes), paths, to)
    ds = open_store(to).load()
    check(ds)
    xr.testing.assert_identical(from_wide(to_wide(ds)), ds)
    return ds


def test_anomalies_along_a_pass(tmp_path):
    ds = baked("altimeter", [raw.altimeter(tmp_path / "a.nc")], tmp_path / "a.zarr")
    here = [0, 1, 3, 4, 5]  # the third is missing
    np.testing.assert_allclose(ds.value, [0.1, 0.11, 0.13, 0.14, 0.15], rtol=1e-6)
    np.testing.assert_array_equal(ds.time, SECONDS[here])
    np.testing.assert_allclose(ds.longitude, [-0.2, -0.1, 0.1, 0.2, 0.3], atol=1e-9)
    np.testing.assert_allclose(ds.latitude, 40 + 0.06 * np.array(here), atol=1e-9)
    assert not ds.depth.any()
    np.testing.assert_allclose(ds.error_std, 0.03)
    assert set(decoded(ds.variable).values) == {"sla"}
    assert set(decoded(ds.platform).values) == {"Sentinel-3A"}
    assert set(ds.feature.values.tolist()) == {6_000_077}
    assert ds.attrs["oceanx_feature"] == "trajectory"
    assert rejections(ds.attrs) == {}


def test_heights_are_anomalies_and_the_mean_topography_beside_them(tmp_path):
    ds = baked("altimeter", [raw.altimeter(tmp_path / "a.nc")], tmp_path / "a.zarr", variables=["zos"])
    np.testing.assert_allclose(ds.value, [0.6, 0.62, 0.68, 0.7], rtol=1e-6)
    assert set(decoded(ds.variable).values) == {"zos"}
    assert rejections(ds.attrs) == {"Sentinel-3A": {"zos no_mean_topography": 1}}
    assert "mdt" in ds.attrs["comment"]
    kept = altimeter.parts(tmp_path / "a.nc", {"zos": None}, keep_flagged=True)[0]
    assert kept.sizes["obs"] == 4  # what has no mean topography has no height
    with pytest.raises(InputError, match="sla and zos are one measurement; choose one"):
        altimeter.parts(tmp_path / "a.nc", {"sla": None, "zos": None})
    assert altimeter.parts(tmp_path / "a.nc", {"thetao": None}) == []


def test_filtered_and_uncorrected_anomalies(tmp_path):
    path = raw.altimeter(tmp_path / "a.nc")
    np.testing.assert_allclose(altimeter.read(path, filtered=True).value, 0.101 + 0.01 * np.arange(6), rtol=1e-6)
    every = ("dac", "ocean_tide", "internal_tide", "lwe")
    ds = altimeter.read(path, filtered=True, uncorrected=every, errors={"sla": 0.05})
    # The manual: uncorrected sla = sla from product + dac + ocean_tide + internal_tide − lwe
    integers = {n: np.array(raw.PASS[n]) for n in ("sla_filtered", *every)}
    expected = integers["sla_filtered"] + sum(integers[n] for n in every[:3]) - integers["lwe"]
    np.testing.assert_allclose(ds.value, expected / 1000, rtol=1e-6)
    np.testing.assert_allclose(ds.error_std, 0.05)
    assert "not corrected for dac, ocean_tide, internal_tide, lwe" in ds.attrs["comment"]
    with pytest.raises(InputError, match="unknown correction 'tide'"):
        altimeter.read(path, uncorrected=["tide"])
    with pytest.raises(InputError, match=r"a\.nc: is not a file of along-track altimetry: it has no lwe"):
        altimeter.read(raw.altimeter(tmp_path / "a.nc", leave_out=("lwe",)), uncorrected=["lwe"])


def test_two_satellites_and_two_passes(tmp_path):
    one = raw.altimeter(tmp_path / "nrt_global_s3a_phy_l3_1hz_20200101.nc", track=[77, 77, 77, 78, 78, 78])
    two = raw.altimeter(tmp_path / "dt_global_j3n_phy_l3_1hz_20200101_20210603.nc", platform="")
    ds = baked("altimeter", [one, two], tmp_path / "a.zarr")
    assert set(decoded(ds.platform).values) == {"Sentinel-3A", "j3n"}
    s3a = ds.feature.values[decoded(ds.platform).values == "Sentinel-3A"]
    assert s3a.tolist() == [6_000_077] * 2 + [6_000_078] * 3
    with pytest.raises(InputError, match=r"copy\.nc: sla of Sentinel-3A at 2020-01-01T06:00:00 is also in"):
        points.write(load_recipe("altimeter", {}), [one, raw.altimeter(tmp_path / "copy.nc")], tmp_path / "b.zarr")


@pytest.mark.parametrize("level", ["2P", "3U"])
def test_a_swath(tmp_path, level):
    path = raw.swath(tmp_path / "s.nc", level)
    ds = baked("sst_swath", [path], tmp_path / "s.zarr")
    best = (raw.LEVEL == 5).ravel()
    kelvin = raw.KELVIN.ravel()[best] / 100
    np.testing.assert_allclose(ds.value, kelvin - 273.15 + 0.17, atol=1e-5)
    np.testing.assert_allclose(ds.error_std, 1.0 - 0.65, atol=1e-6)
    since = (ds.time.values - np.datetime64("2020-01-01")) / np.timedelta64(1, "s")
    np.testing.assert_array_equal(since, 30 * np.arange(12)[best])
    np.testing.assert_array_equal(ds.latitude, np.repeat([-1.0, 0, 1], 4)[best])
    np.testing.assert_array_equal(ds.longitude, np.tile([179.0, 179.5, -180, -179.5], 3)[best])
    assert set(decoded(ds.platform).values) == {"MetOpA_AVHRR_GAC"}
    assert set(ds.feature.values.tolist()) == {1_230_681_600}
    assert rejections(ds.attrs) == {"MetOpA_AVHRR_GAC": {"sst value_flag_2": 1, "sst value_flag_3": 1,
                                                         "sst value_flag_4": 1}}  # fmt: skip
    assert "sea_surface_skin_temperature" in ds.attrs["comment"]


def test_acceptable_pixels_and_those_without_statistics(tmp_path):
    bias, spread = np.full((3, 4), -17), np.full((3, 4), -65)
    bias[0, 0] = spread[0, 1] = -128
    ds = sst_swath.read(raw.swath(tmp_path / "s.nc", bias=bias, spread=spread), good=[4, 5], errors={"sst": 0.7})
    assert ds.sizes["obs"] == 9
    np.testing.assert_allclose(ds.value[:3], [20.0, 20.1 + 0.17, 20.3 + 0.17], atol=1e-5)
    np.testing.assert_allclose(ds.error_std[:3], [0.35, 0.7, 0.35], atol=1e-6)
    plain = sst_swath.read(tmp_path / "s.nc", bias=False)
    np.testing.assert_allclose(plain.value[:2], [20.0, 20.1], atol=1e-5)
    bare = sst_swath.read(raw.swath(tmp_path / "b.nc", leave_out=("sses_bias", "sses_standard_deviation", "sst_dtime")))
    np.testing.assert_allclose(bare.error_std, 0.5)
    assert set(bare.time.values) == {np.datetime64("2020-01-01", "ns")}


def test_land_ice_lakes_and_calm_are_left_out_and_counted(tmp_path):
    flags, wind = np.zeros((3, 4), int), np.full((3, 4), 70)
    flags[0, 0], flags[0, 1], flags[1, 2], flags[1, 3], flags[2, 0] = 1, 2, 4, 8, 17  # microwave alone is fine
    wind[2, 1], wind[2, 2] = 59, -128
    path = raw.swath(tmp_path / "s.nc", flags=flags, wind=wind)
    ds = sst_swath.read(path, least_wind=6)
    low = {f"sst value_flag_{k}": 1 for k in (2, 3, 4)}
    assert rejections(ds.attrs) == {"MetOpA_AVHRR_GAC": {"sst not_sea": 4, "sst calm": 2, **low}}
    assert ds.sizes["obs"] == 8 - 6
    kept = sst_swath.read(path, least_wind=6, keep_flagged=True)
    check(kept)
    assert kept.sizes["obs"] == 11
    assert set(meanings(kept.qc.attrs).values()) == {"good", "not_sea", "calm", *(f"value_flag_{k}" for k in (2, 3, 4))}


def test_what_no_sea_is_as_cold_as_is_out_of_range(tmp_path):
    sst = np.where(raw.KELVIN == -32768, -32768, raw.KELVIN - 27315)
    sst[0, 0] = -400  # -4 °C
    ds = sst_swath.read(raw.swath(tmp_path / "s.nc", sst=sst))
    assert rejections(ds.attrs)["MetOpA_AVHRR_GAC"]["sst out_of_range"] == 1


def test_other_files_are_refused(tmp_path):
    path = raw.swath(tmp_path / "s.nc", leave_out=("sea_surface_temperature",))
    with pytest.raises(InputError, match=r"s\.nc: is not a GHRSST file of level 2P or 3: it has no sea_surface_temp"):
        sst_swath.read(path)
    with pytest.raises(InputError, match=r"s\.nc: is not a file of along-track altimetry: it has no latitude"):
        altimeter.read(path)
    assert sst_swath.parts(raw.swath(tmp_path / "t.nc"), {"sla": None}) == []
