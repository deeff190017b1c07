"""Fields that do not change: grid files of GLORYS12, relief, basins; read, put on a grid, and stores of their own."""

from __future__ import annotations

import netCDF4
import numpy as np
import pytest
import xarray as xr
from raw_files import DEPTH, LATITUDE, LONGITUDE

import oceanx.data as data
from oceanx.data.readers import static
from oceanx.vocabulary.errors import InputError

NO = np.float32(9.96921e36)
RNG = np.random.default_rng(7)
SHAPE = (DEPTH.size, LATITUDE.size, LONGITUDE.size)
FLOOR = RNG.uniform(5, 60, SHAPE[1:]).astype("f4")
FLOOR[0, 0] = NO  # land
MASK = (DEPTH[:, None, None] < np.where(NO == FLOOR, 0, FLOOR)).astype("i1")
LENGTH = {"e1t": (RNG.uniform(6000, 7000, SHAPE[1:])).astype("f4"), "e2t": np.full(SHAPE[1:], 9265.0, "f4")}
THICKNESS = RNG.uniform(1, 30, SHAPE).astype("f4")


def grid_file(path, fields):
    """A file of the static dataset: fields as (values, dims, units), units None where the provider gives none."""
    with netCDF4.Dataset(path, "w") as nc:
        for dim, values, unit in (("depth", DEPTH, "m"), ("latitude", LATITUDE, "degrees_north"),
                                  ("longitude", LONGITUDE, "degrees_east")):  # fmt: skip
            if dim == "depth" and all(v.ndim == 2 for v, _ in fields.values()):
                continue
            nc.createDimension(dim, values.size)
            axis = nc.createVariable(dim, "f4", (dim,))
            axis.setncatts({"units": unit, "standard_name": dim})
            axis[:] = values
        for name, (values, unit) in fields.items():
            dims = ("depth", "latitude", "longitude")[-values.ndim :]
            v = nc.createVariable(name, values.dtype, dims, fill_value=NO if values.dtype.kind == "f" else None)
            v.setncatts({} if unit is None else {"units": unit})
            v[:] = values
    return path


@pytest.fixture
def files(tmp_path):
    """The three parts of the static dataset."""
    return [
        grid_file(tmp_path / "GLO-MFC_001_030_coordinates.nc",
                  {n: (v, "m") for n, v in (LENGTH | {"e3t": THICKNESS}).items()}),
        grid_file(tmp_path / "GLO-MFC_001_030_mask_bathy.nc",
                  {"mask": (MASK, "1"), "deptho": (FLOOR, "m"), "deptho_lev": (MASK.sum(0).astype("i1"), None)}),
        grid_file(tmp_path / "GLO-MFC_001_030_mdt.nc", {"mdt": (FLOOR / 100, "m")}),
    ]  # fmt: skip


def test_read_gives_our_names_and_areas(files):
    coordinates, bathymetry, _ = files
    ds = static.read(coordinates)
    np.testing.assert_array_equal(ds.e3t, THICKNESS)
    np.testing.assert_array_equal(ds.cell_area, LENGTH["e1t"].astype("f8") * LENGTH["e2t"])
    assert ds.cell_area.attrs["units"] == "m2"
    ds = static.read(bathymetry)
    assert ds["mask"].dtype == np.int8
    np.testing.assert_array_equal(ds["mask"], MASK)
    np.testing.assert_array_equal(ds.deptho, np.where(FLOOR == NO, np.nan, FLOOR))
    assert ds.deptho.attrs["standard_name"] == "sea_floor_depth_below_geoid"
    assert "time" not in ds.coords


@pytest.mark.parametrize("off", [0.0, 4e-4])
def test_fields_on_a_part_of_the_grid(files, off):
    """A box and two levels of three files, whose coordinates are those asked for."""
    ds = static.fields(files, LATITUDE[1:3] + off, LONGITUDE[::2] - off, DEPTH[:2])
    assert set(ds) == {"e3t", "cell_area", "mask", "deptho", "deptho_lev", "mdt"}
    box = np.ix_([1, 2], [0, 2, 4])
    np.testing.assert_array_equal(ds["mask"], MASK[:2, 1:3, ::2])
    np.testing.assert_array_equal(ds.e3t, THICKNESS[:2, 1:3, ::2])
    np.testing.assert_array_equal(ds.deptho, FLOOR[box])
    np.testing.assert_array_equal(ds.latitude, LATITUDE[1:3] + off)


def test_fields_of_a_surface_have_no_levels(files):
    ds = static.fields(files, LATITUDE, LONGITUDE)
    assert set(ds) == {"cell_area", "deptho", "deptho_lev", "mdt"}
    assert set(static.fields(files, LATITUDE, LONGITUDE, DEPTH, names=["deptho", "e3t"])) == {"deptho", "e3t"}
    assert set(static.fields(files, LATITUDE, LONGITUDE, names=["cell_area"])) == {"cell_area"}


@pytest.mark.parametrize(
    ("grid", "said"),
    [((LATITUDE + 0.1, LONGITUDE, DEPTH), r"coordinates\.nc: has no latitude 40\.1 \(the nearest is 40\)"),
     ((LATITUDE, LONGITUDE, DEPTH + 1), r"coordinates\.nc: has no depth 1\.494")],
)  # fmt: skip
def test_another_grid_is_refused(files, grid, said):
    with pytest.raises(InputError, match=said):
        static.fields(files, *grid)


def test_onto(files):
    ds = static.onto(static.read(files[1]), LATITUDE[2:], LONGITUDE[:2] + 2e-4, DEPTH[1:])
    np.testing.assert_array_equal(ds["mask"], MASK[1:, 2:, :2])
    with pytest.raises(InputError, match="static: has no longitude 100"):
        static.onto(static.read(files[1]), LATITUDE, np.array([100.0]), DEPTH)


def test_a_file_from_north_to_south_and_beyond_180(tmp_path):
    """The same field under other axes, read in a box."""
    heights = RNG.uniform(-5000, 3000, (180, 360)).astype("f4")
    lat, lon = np.arange(89.5, -90, -1), np.arange(20.5, 380)
    attrs = {"lat": {"units": "degrees_north"}, "lon": {"units": "degrees_east"}}
    xr.Dataset({"deptho": (("lon", "lat"), heights.T, {"units": "m"})},
               {d: (d, v, attrs[d]) for d, v in (("lat", lat), ("lon", lon))}).to_netcdf(tmp_path / "x.nc")  # fmt: skip
    ours = np.arange(-30.5, 40), np.arange(-179.5, -100)
    ds = static.fields(tmp_path / "x.nc", *ours)
    expected = xr.DataArray(heights, {"lat": lat, "lon": lon}, ("lat", "lon")).sel(lat=ours[0], lon=ours[1] + 360)
    np.testing.assert_array_equal(ds.deptho, expected)


def relief(path, lon, **attrs):
    lat = np.arange(-89.5, 90)
    heights = (np.cos(np.deg2rad(lat))[:, None] * 1000 * np.sin(np.deg2rad(lon % 360))).astype("f4")
    axes = {"lat": ("lat", lat, {"units": "degrees_north"}), "lon": ("lon", lon, {"units": "degrees_east"})}
    xr.Dataset({"z": (("lat", "lon"), heights, attrs)}, axes).to_netcdf(path)
    return path, heights


def test_relief_becomes_a_store_without_time(tmp_path):
    """Longitude from 20.5 to 379.5, and a variable without units, which the recipe says."""
    path, heights = relief(tmp_path / "etopo.nc", np.arange(20.5, 380))
    ds = data.bake("relief", path, tmp_path / "relief.zarr")
    assert dict(ds.sizes) == {"latitude": 180, "longitude": 360}
    np.testing.assert_array_equal(ds.longitude, np.arange(-179.5, 180))
    there = np.roll(heights, -160, axis=1)  # 180.5 is the column of -179.5
    np.testing.assert_array_equal(ds.relief, there)
    np.testing.assert_array_equal(ds.deptho, np.where(there < 0, -there, np.nan))
    np.testing.assert_array_equal(ds["mask"], there < 0)
    assert float(ds.cell_area.sum()) == pytest.approx(4 * np.pi * 6371000.0**2, rel=1e-2)
    assert "cell_area" in ds.coords
    assert len(ds.attrs["oceanx_fingerprint"]) == 32
    assert ds.attrs["source_files"] == ["etopo.nc"]
    with pytest.raises(InputError, match="exists already"):
        data.bake("relief", path, tmp_path / "relief.zarr", title="another")


def test_a_meridian_that_comes_twice_is_refused(tmp_path):
    path, _ = relief(tmp_path / "etopo.nc", np.arange(20.0, 381))
    with pytest.raises(InputError, match=r"etopo\.nc: longitude 20 occurs twice; .*leave the meridian"):
        data.bake("relief", path, tmp_path / "relief.zarr")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["etopo.nc"]


def test_axes_that_nothing_tells_are_named_in_the_recipe(tmp_path):
    """Coordinates that are plain variables without attributes."""
    path = tmp_path / "topo.nc"
    heights = RNG.uniform(-9, 9, (4, 5)).astype("f4")
    xr.Dataset({"topo": (("lat", "lon"), heights), "topo_lat": ("lat", LATITUDE), "topo_lon": ("lon", LONGITUDE)}
               ).to_netcdf(path)  # fmt: skip
    with pytest.raises(InputError, match=r"no latitude found .*options: \{axes: \{latitude: …\}\}"):
        data.bake("relief", path, tmp_path / "r.zarr")
    axes = {"latitude": "topo_lat", "longitude": "topo_lon"}
    ds = data.bake("relief", path, tmp_path / "r.zarr", options={"axes": axes})
    np.testing.assert_array_equal(ds.relief, heights)
    np.testing.assert_array_equal(ds.latitude, LATITUDE)
    with pytest.raises(InputError, match=r"topo\.nc: no variable toppo_lat, which the recipe names for latitude"):
        data.bake("relief", path, tmp_path / "s.zarr", options={"axes": axes | {"latitude": "toppo_lat"}})
    with pytest.raises(InputError, match="unknown axis 'latitud'; did you mean 'latitude'"):
        data.bake("relief", path, tmp_path / "s.zarr", options={"axes": {"latitud": "topo_lat"}})


def test_basins_keep_their_codes_and_names(tmp_path):
    codes = RNG.integers(1, 4, (3, 4, 5)).astype("i1")
    codes[1, 2, 3] = -100
    path = tmp_path / "basin.nc"
    with netCDF4.Dataset(path, "w") as nc:
        for dim, values, attrs in (("Z", DEPTH, {"units": "m"}), ("Y", LATITUDE, {"standard_name": "latitude"}),
                                   ("X", LONGITUDE, {"standard_name": "longitude"})):  # fmt: skip
            nc.createDimension(dim, values.size)
            axis = nc.createVariable(dim, "f4", (dim,))
            axis.setncatts(attrs)
            axis[:] = values
        v = nc.createVariable("basin", "i1", ("Z", "Y", "X"))
        v.setncatts(
            {"missing_value": np.int8(-100), "units": "ids", "CLIST": "Atlantic Ocean\nPacific Ocean \nRed Sea\n"}
        )
        v[:] = codes
    ds = data.bake("basins", path, tmp_path / "b.zarr")
    np.testing.assert_array_equal(ds.basin, np.where(codes == -100, np.nan, codes))
    assert ds.basin.encoding["dtype"] == np.int16
    assert list(ds.basin.attrs["flag_values"]) == [1, 2, 3]
    assert ds.basin.attrs["flag_meanings"] == "Atlantic_Ocean Pacific_Ocean Red_Sea"
    np.testing.assert_array_equal(ds["mask"], codes != -100)


def test_the_grid_files_become_one_store(files, tmp_path):
    ds = data.bake("glorys12_static", files, tmp_path / "grid.zarr")
    np.testing.assert_array_equal(ds.e3t, THICKNESS)
    np.testing.assert_array_equal(ds["mask"], MASK)
    np.testing.assert_array_equal(ds.cell_area, LENGTH["e1t"].astype("f8") * LENGTH["e2t"])
    copy = grid_file(tmp_path / "copy.nc", {"mdt": (FLOOR, "m")})
    with pytest.raises(InputError, match=r"copy\.nc: mdt is also in .*mdt\.nc; give each field once"):
        data.bake("glorys12_static", [*files, copy], tmp_path / "twice.zarr")


def test_files_without_time_are_not_for_other_recipes(files, tmp_path):
    with pytest.raises(InputError, match=r"no time found among .*reader 'static'"):
        data.bake("glorys12", files, tmp_path / "g.zarr")
    with pytest.raises(InputError, match=r"mdt\.nc: holds none of relief"):
        data.bake("relief", files[2], tmp_path / "g.zarr")
