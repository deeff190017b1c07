"""Each wrong input has one clear line, and nothing that existed is changed."""

import shutil
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr
from raw_files import DEPTH, LATITUDE, LONGITUDE, six_hourly

import oceanx.data as data
from oceanx.vocabulary.errors import InputError


def refused(source, tmp_path, said, recipe="glorys12", **options):
    """Baking is refused with a message of one line, and leaves nothing behind."""
    before = sorted(p.name for p in tmp_path.iterdir())
    with pytest.raises(InputError, match=said) as caught:
        data.bake(recipe, source, tmp_path / "out.zarr", **options)
    assert "\n" not in str(caught.value)
    assert sorted(p.name for p in tmp_path.iterdir()) == before


def test_missing_file(tmp_path):
    refused(tmp_path / "no.nc", tmp_path, r"no\.nc: no such file")


def test_pattern_that_matches_nothing(tmp_path):
    refused(str(tmp_path / "*.nc"), tmp_path, r"\*\.nc': no file matches")


def test_empty_file(tmp_path):
    (tmp_path / "x.nc").touch()
    refused(tmp_path / "x.nc", tmp_path, r"x\.nc: is empty \(0 bytes\)")


def test_wrong_magic(tmp_path):
    (tmp_path / "x.nc").write_text("<html>Please log in</html>")
    refused(tmp_path / "x.nc", tmp_path, r"x\.nc: is not NetCDF: it begins with b'<html>Pl'")


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_truncated_file(glorys, tmp_path, share):
    path = glorys()
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    refused(path, tmp_path, r"R20200101\.nc: (is damaged or truncated|thetao cannot be read)")


@pytest.mark.parametrize("share", [0.02, 0.5, 0.95])
def test_truncated_classic_file(tmp_path, share):
    path = tmp_path / "x.nc"
    xr.Dataset(
        {"sst": (("time", "lat", "lon"), np.ones((400, 4, 5), "f4"), {"units": "degree_C"})},
        {"time": np.arange(400).astype("datetime64[D]").astype("datetime64[ns]"), "lat": LATITUDE, "lon": LONGITUDE},
    ).to_netcdf(path, format="NETCDF3_CLASSIC")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    refused(path, tmp_path, r"x\.nc: (is damaged or truncated|sst cannot be read)", "oisst")


def test_damaged_in_the_middle(glorys, tmp_path):
    glorys("2020-01-01")
    path = glorys("2020-01-02")
    with netCDF4.Dataset(path) as nc:
        assert nc["thetao"].filters()["zlib"]
    whole = bytearray(path.read_bytes())
    start = whole.find(b"\x78\x5e")  # where deflated data begin
    start = start if start > 0 else whole.find(b"\x78")
    whole[start : start + 40] = bytes(40)
    path.write_bytes(whole)
    refused(tmp_path / "*.nc", tmp_path, r"20200102_R20200101\.nc: ")


def test_folder_given_as_file(tmp_path):
    (tmp_path / "raw").mkdir()
    refused(tmp_path / "raw", tmp_path, "raw: is a folder, but no Zarr store")


def test_unreadable_file(glorys, tmp_path, monkeypatch):
    """What the system says when a file belongs to someone else (permissions alone do not stop an administrator)."""
    path, plain = glorys(), Path.open

    def refusing(self, *arguments, **options):
        if self == path:
            raise PermissionError(13, "Permission denied", str(self))
        return plain(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", refusing)
    refused(path, tmp_path, r"R20200101\.nc: cannot be read: Permission denied")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [("sst.csv", b"date,temp\n1982-01-01,14.1\n", "is not NetCDF but text, a table or a series at one place"),
     ("mask.npy", b"\x93NUMPY\x01\x00v\x00", "is not NetCDF but NumPy arrays"),
     ("mask.npz", b"PK\x03\x04" + bytes(30), "is not NetCDF but NumPy arrays"),
     ("download.nc", b"PK\x03\x04" + bytes(30), "is not NetCDF but a ZIP archive; .* recipe 'era5'"),
     ("wind.grib", b"GRIB" + bytes(30), "is not NetCDF but GRIB; take the recipe 'era5'")],
)  # fmt: skip
@pytest.mark.parametrize("recipe", ["cf", "glorys12", "oisst", "duacs", "woa", "relief"])
def test_files_of_other_kinds_are_told_from_damaged_ones(tmp_path, recipe, name, content, said):
    (tmp_path / name).write_bytes(content)
    refused(tmp_path / name, tmp_path, f"{name}: {said}", recipe)


def test_missing_variable(glorys, tmp_path):
    refused(glorys(leave_out=("so",)), tmp_path, r"R20200101\.nc: no variable so \(looked for so, vosaline")


def test_variable_missing_from_one_file(glorys, tmp_path):
    glorys("2020-01-01")
    glorys("2020-01-02", leave_out=("so",))
    refused(tmp_path / "*.nc", tmp_path, r"20200102_R20200101\.nc: no variable so for 2020-01-02")


def test_nothing_known_in_a_file(tmp_path, era5):
    path = era5("x.nc", ("t2m",), six_hourly("2020-01-01", 1))
    refused(path, tmp_path, r"x\.nc: holds none of thetao", variables=["thetao"])


def test_kelvin_declared_celsius(glorys, tmp_path):
    kelvin = {"thetao": (7.32444226741791e-4, 290.0, "degrees_C", 287.0)}
    glorys("2020-01-01")
    glorys("2020-01-02", packing=kelvin)
    refused(
        tmp_path / "*.nc",
        tmp_path,
        r"20200102_R20200101\.nc: thetao reaches from 28[6-8].* to .* degrees_C; expected within -3",
    )


def test_unit_that_does_not_convert(glorys, tmp_path):
    refused(glorys(units={"zos": "kg"}), tmp_path, r"zos: found units 'kg', expected 'm'")


def test_units_that_differ_between_files(glorys, tmp_path):
    glorys("2020-01-01")
    glorys("2020-01-02", units={"zos": "cm"})
    refused(tmp_path / "*.nc", tmp_path, r"20200102_R20200101\.nc: zos is in 'cm', but in 'm'")


@pytest.mark.parametrize(
    ("other", "said"),
    [({"latitude": LATITUDE + 0.01}, "latitude differs from .*20200101_R.*: value 0 is 40.01 against 40"),
     ({"longitude": LONGITUDE[:4]}, "longitude has 4 values, but 5"),
     ({"depth": DEPTH[:2]}, "depth has 2 values, but 3"),
     ({"depth": DEPTH * 2}, "depth differs from"),
     ({"calendar": "noleap"}, "calendar is noleap, but standard in .*20200101_R"),
     ({"hour": 7}, "time 2020-01-02T07:00:00 is not that of a daily mean")],
)  # fmt: skip
def test_a_file_unlike_the_others(glorys, tmp_path, other, said):
    glorys("2020-01-01")
    glorys("2020-01-02", **other)
    refused(tmp_path / "*.nc", tmp_path, rf"20200102_R20200101\.nc:.* ?{said}")


def test_duplicated_day(glorys, tmp_path):
    shutil.copy(glorys(), tmp_path / "copy.nc")
    refused(tmp_path / "*.nc", tmp_path, r"R20200101\.nc: thetao of 2020-01-01 is also in .*copy\.nc")


def test_disordered_times_within_a_file(era5, tmp_path):
    path = era5("x.nc", ("t2m",), six_hourly("2020-01-01", 1)[::-1])
    refused(path, tmp_path, r"x\.nc: valid_time: 2020-01-01T18.* is followed by 2020-01-01T12.*ascending", "era5")


def test_unordered_times_are_sorted_by_the_recipes_word(era5, tmp_path):
    times = six_hourly("2020-01-01", 2)
    straight = data.bake("era5", era5("straight.nc", ("t2m", "ssr"), times), tmp_path / "straight.zarr")
    mixed = times[[3, 0, 2, 1, 7, 6, 4, 5]]
    turned = data.bake("era5", era5("mixed.nc", ("t2m", "ssr"), mixed), tmp_path / "mixed.zarr", disorder="sort")
    for name in ("time", "t2m", "ssr"):
        np.testing.assert_array_equal(turned[name], straight[name])
    twice = era5("twice.nc", ("t2m",), times[[0, 1, 1, 2]])
    refused(twice, tmp_path, r"twice\.nc: t2m of 2020-01-01T06.* is also in", "era5", disorder="sort")


def test_ocean_variable_without_a_value(glorys, tmp_path):
    refused(glorys(empty=("vo",)), tmp_path, r"R20200101\.nc: vo has no value anywhere")


def test_two_files_a_year_apart(glorys, tmp_path):
    glorys("2020-01-01")
    glorys("2020-12-31")
    refused(tmp_path / "*.nc", tmp_path, "364 of 366 times from 2020-01-01 to 2020-12-31 are in no file")
    ds = data.bake("glorys12", tmp_path / "*.nc", tmp_path / "out.zarr", max_missing=1)
    assert len(ds.attrs["missing_times"]) == 364


def test_region_across_the_date_line(glorys, tmp_path):
    path = glorys(longitude=np.array([178.0, 179.0, 180.0, 181.0, 182.0], "f4"))
    refused(path, tmp_path, r"R20200101\.nc: the region lies across the date line")


def test_curvilinear_grid(tmp_path):
    y, x = np.mgrid[:3, :4]
    xr.Dataset(
        {"tos": (("time", "y", "x"), np.ones((1, 3, 4)), {"units": "degC"})},
        {"time": np.array(["2020-01-01"], "datetime64[ns]"), "nav_lat": (("y", "x"), y + 0.1 * x),
         "nav_lon": (("y", "x"), x + 0.1 * y)},
    ).to_netcdf(tmp_path / "nemo.nc")  # fmt: skip
    refused(tmp_path / "nemo.nc", tmp_path, r"nemo\.nc: the grid is curvilinear \(nav_lat has dimensions y, x\)", "cf")


def test_points_are_no_grid(tmp_path):
    xr.Dataset(
        {"sst": ("obs", [1.0, 2.0], {"units": "degC"})},
        {"time": ("obs", np.array(["2020-01-01"] * 2, "datetime64[ns]")), "lat": ("obs", [1.0, 2.0]),
         "lon": ("obs", [1.0, 2.0])},
    ).to_netcdf(tmp_path / "argo.nc")  # fmt: skip
    refused(tmp_path / "argo.nc", tmp_path, "share the dimension obs", "cf")


def test_folder_of_the_target_does_not_exist(glorys, tmp_path):
    with pytest.raises(InputError, match="does not exist; make it first"):
        data.bake("glorys12", glorys(), tmp_path / "no" / "out.zarr")


def test_something_else_lies_where_the_store_is_built(glorys, tmp_path):
    path = glorys()
    mine = tmp_path / "out.zarr.partial"
    mine.mkdir()
    (mine / "thesis.tex").write_text("precious")
    refused(path, tmp_path, r"out\.zarr\.partial: is in the way")
    assert (mine / "thesis.tex").read_text() == "precious"
