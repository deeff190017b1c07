"""Steps onto other grids and levels, and the recipes that use them, on small files in the providers' layouts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import netCDF4
import numpy as np
import pytest
import xarray as xr
from raw_files import DEPTH, LATITUDE, LONGITUDE, six_hourly

import oceanx.data as data
from oceanx.data import steps
from oceanx.data.recipe import load_recipe
from oceanx.ocean import grid as grids
from oceanx.ocean.regrid import conservative, shares, weights
from oceanx.ocean.vertical import interpolate_levels, remap_levels
from oceanx.vocabulary.errors import InputError


@pytest.fixture
def ds():
    rng = np.random.default_rng(0)
    time = np.array(["2020-01-01", "2020-01-02"], "M8[ns]")
    values = np.where(rng.random((2, 3, 8, 12)) < 0.2, np.nan, rng.normal(size=(2, 3, 8, 12)))
    axes = {
        "time": time,
        "depth": [0.5, 10.0, 30.0],
        "latitude": 40.25 + np.arange(8) / 2,
        "longitude": -9.75 + np.arange(12) / 2,
    }
    return xr.Dataset({"thetao": (("time", "depth", "latitude", "longitude"), values, {"units": "degrees_C"})}, axes)


GRID = {"latitude": [41.0, 43.0, 1.0], "longitude": [-9.0, -5.0, 1.0]}


def test_the_steps_are_the_functions(ds):
    xr.testing.assert_identical(steps.step("regrid")(ds, **GRID), conservative(ds, GRID))
    xr.testing.assert_identical(steps.step("remap_levels")(ds, depths=[5.0, 20.0]), remap_levels(ds, [5.0, 20.0]))
    xr.testing.assert_identical(steps.step("interpolate_levels")(ds, depths=[5.0]), interpolate_levels(ds, [5.0]))
    surface = ds.isel(depth=0, drop=True)
    for name in ("remap_levels", "interpolate_levels"):
        xr.testing.assert_identical(steps.step(name)(surface, depths=[5.0]), surface)


def test_weights_on_disk_are_made_by_one_of_many_threads_and_used_by_all(ds, tmp_path):
    path = str(tmp_path / "weights.npz")
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: steps.step("regrid")(ds, **GRID, weights=path), range(16)))
    for one in found:
        xr.testing.assert_identical(one, conservative(ds, GRID))
    assert [p.name for p in tmp_path.iterdir()] == ["weights.npz"]


@pytest.mark.parametrize(
    ("step", "arguments", "said"),
    [
        ("regrid", {}, "no target grid"),
        ("regrid", {"resolution": 7}, "does not divide"),
        ("regrid", {"resolution": 1, "placed": "corners"}, "placed: .*'cells' or 'nodes'"),
        ("regrid", {"resolution": 1, "least": -1}, "least: found -1"),
        ("remap_levels", {"depths": []}, "expected ascending metres"),
        ("interpolate_levels", {"depths": [0.1]}, "nothing is extrapolated"),
    ],
)
def test_a_wrong_argument_is_refused(ds, step, arguments, said):
    with pytest.raises(InputError, match=said) as caught:
        steps.step(step)(ds, **arguments)
    assert "\n" not in str(caught.value)


def test_regrid_needs_a_grid_to_come_from(ds):
    with pytest.raises(InputError, match="regrid: no longitude to regrid along"):
        steps.step("regrid")(ds.isel(longitude=0), resolution=1)


def wide(glorys, day, **given):
    """A GLORYS12 day at 1/12° over 1.5 × 3 degrees, on the native grid's points."""
    latitude = (40.5 + np.arange(-9, 10) / 12).astype("f4")
    longitude = (-9.0 + np.arange(-18, 19) / 12).astype("f4")
    return glorys(day, latitude=latitude, longitude=longitude, **given)


@pytest.mark.parametrize(
    ("recipe", "shape", "step"),
    [
        ("glorys12_1p5deg", (120, 240), 1.5),
        ("glorys12_0p5deg", (361, 720), 0.5),
        ("glorys12_0p25deg", (672, 1440), 0.25),
    ],
)
def test_glorys_recipes_give_their_grid_and_the_means_of_the_native_cells(glorys, tmp_path, recipe, shape, step):
    wide(glorys, "2020-01-01"), wide(glorys, "2020-01-02")
    ds = data.bake(recipe, tmp_path / "merc*.nc", tmp_path / "coarse.zarr", variables=["zos"]).load()
    assert (ds.sizes["latitude"], ds.sizes["longitude"]) == shape
    native = data.bake("glorys12", tmp_path / "merc*.nc", tmp_path / "native.zarr", variables=["zos"]).load()
    area = grids.area(native.latitude, native.longitude)
    cells = np.argwhere(ds.zos.isel(time=0).notnull().values)
    assert len(cells) >= 2
    for row, column in cells:
        found = ds.zos[:, row, column]
        reach = step / 2 + 1 / 24 - 1e-3  # native cells that the target's edges cut count too
        part = native.zos.sel({d: slice(found[d] - reach, found[d] + reach) for d in ("latitude", "longitude")})
        if step == 0.25:  # native cells are not cut: three by three, or what the file has of them
            assert 5 <= part[0].size <= 9
            mean = part.astype(float).weighted(area).mean(("latitude", "longitude"))
            np.testing.assert_allclose(found, mean, rtol=1e-5, atol=1e-7)
        assert (found >= part.min(("latitude", "longitude"))).all()
        assert (found <= part.max(("latitude", "longitude"))).all()
    assert ds.zos.attrs["cell_methods"].endswith("area: mean")
    assert {"mask", "cell_area"} <= set(ds.coords)


def test_era5_and_glorys_at_one_and_a_half_degrees_open_together(glorys, era5, tmp_path):
    wide(glorys, "2020-01-01"), wide(glorys, "2020-01-02")
    data.bake("glorys12_1p5deg", tmp_path / "merc*.nc", tmp_path / "ocean.zarr")
    air = data.bake("era5_1p5deg", era5("u.nc", ("u10", "t2m"), six_hourly("2020-01-01", 2)), tmp_path / "air.zarr")
    assert air.t2m.attrs["cell_methods"] == "time: mean area: mean"
    both = data.open(tmp_path / "ocean.zarr", tmp_path / "air.zarr")
    assert {"thetao", "t2m"} <= set(both.data_vars)
    assert both.sizes["latitude"] == 120
    assert float(both.latitude[0]) == -89.25


def test_a_bake_with_all_three_steps_is_the_steps_by_hand(glorys, tmp_path):
    for day in ("2020-01-01", "2020-01-02", "2020-01-03"):
        glorys(day)
    grid = {"latitude": [40.25, 41.25, 1.0], "longitude": [-9.75, -8.75, 1.0], "least": 0.2}
    own = [
        {"regrid": {**grid, "weights": str(tmp_path / "w.npz")}},
        {"interpolate_levels": {"depths": [0.494025, 30.0]}},
    ]
    ds = data.bake("glorys12", tmp_path / "merc*.nc", tmp_path / "own.zarr", steps=own)
    native = data.bake("glorys12", tmp_path / "merc*.nc", tmp_path / "native.zarr")
    least = grid.pop("least")
    expected = interpolate_levels(conservative(native, grid, least=least), [0.494025, 30.0])
    for name in ("thetao", "zos"):
        np.testing.assert_allclose(ds[name], expected[name], rtol=2e-6)
    assert (tmp_path / "w.npz").is_file()
    assert (ds.sizes["depth"], ds.sizes["latitude"]) == (2, 2)
    assert (native.sizes["depth"], LATITUDE.size, LONGITUDE.size) == (DEPTH.size, 4, 5)


def test_a_step_with_an_unknown_argument_is_refused_before_anything_is_read():
    with pytest.raises(InputError, match="unknown argument of regrid 'resolutoin'; did you mean 'resolution'"):
        load_recipe("glorys12", {"steps": [{"regrid": {"resolutoin": 1}}]})


@pytest.mark.real
@pytest.mark.parametrize("file", ["glorys12_gulfstream_19930101-02.nc", "glorys12_biscay_channel_20151116-18.nc"])
def test_real_integrals_are_kept_level_by_level(real, tmp_path, file):
    """Read, weighed and summed with netCDF4 and numpy alone; the target covers the whole region."""
    path = real(f"glorys/{file}")
    with netCDF4.Dataset(path) as nc:
        lat, lon = (nc[name][:].astype(float).filled() for name in ("latitude", "longitude"))
        raw = nc["thetao"][:].astype(float).filled(np.nan)
    south, west = np.floor(lat[0]) - 0.5, np.floor(lon[0]) - 0.5
    grid = {"latitude": [south, south + 0.3 * 40, 0.3], "longitude": [west, west + 0.3 * 80, 0.3]}
    chosen = {"steps": [{"regrid": {**grid, "least": 0.0}}], "variables": ["thetao"]}
    ds = data.bake("glorys12", path, tmp_path / "out.zarr", **chosen)

    def areas(a, b):
        edges = [np.concatenate([[x[0] - (x[1] - x[0]) / 2], (x[1:] + x[:-1]) / 2, [x[-1] + (x[-1] - x[-2]) / 2]])
                 for x in (a, b)]  # fmt: skip
        return np.outer(np.diff(np.sin(np.radians(edges[0]))), np.diff(np.radians(edges[1])))

    made = weights(lat, lon, ds)
    share = shares(raw, made)
    size = areas(ds.latitude.values, ds.longitude.values)
    after = np.nansum(ds.thetao.values.astype(float) * share * size, axis=(2, 3))
    np.testing.assert_allclose(after, np.nansum(raw * areas(lat, lon), axis=(2, 3)), rtol=1e-6)
    np.testing.assert_allclose((share * size).sum((2, 3)), (np.isfinite(raw) * areas(lat, lon)).sum((2, 3)), rtol=1e-6)
