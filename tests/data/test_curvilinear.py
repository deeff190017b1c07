"""Curvilinear files: on the target grid as they are read, refused for what cannot be had; real ones conserved."""

from __future__ import annotations

import netCDF4
import numpy as np
import pytest

import oceanx.data as data
from oceanx.data.readers import curvilinear
from oceanx.data.recipe import Recipe
from oceanx.ocean.regrid_cells import cell_weights
from oceanx.vocabulary.errors import InputError

GRID = {"latitude": [40.0, 50.0, 1.0], "longitude": [-10.0, 6.0, 1.0]}


def recipe(**keys):
    return Recipe.parse({"title": "Turned", "reader": "curvilinear", "options": {"grid": GRID}, **keys})


def lattice(rows, columns, angle=0.3):
    """Latitude and longitude of a turned lattice whose cells' corners are its points half-way."""
    j, i = np.meshgrid(rows - 4.0, columns - 5.0, indexing="ij")
    return 45 + np.sin(angle) * i + np.cos(angle) * j, -2 + 1.3 * (np.cos(angle) * i - np.sin(angle) * j)


@pytest.fixture
def nemo(tmp_path):
    """A function that writes a file as NEMO does: packed temperature, sea level, nav_lat and nav_lon with bounds."""

    def write(day="2020-01-01", *, corners=True, wind=None, terrain=False, calendar="gregorian", name=None):
        path = tmp_path / (name or f"nemo_{day}.nc")
        rows, columns = np.arange(9), np.arange(11)
        rng = np.random.default_rng(int(day.replace("-", "")))
        with netCDF4.Dataset(path, "w") as nc:
            for dim, size in (("time_counter", 1), ("deptht", 2), ("y", 9), ("x", 11), ("nvertex", 4)):
                nc.createDimension(dim, size)
            time = nc.createVariable("time_centered", "f8", ("time_counter",))
            time.setncatts({"units": "days since 2020-01-01", "standard_name": "time", "calendar": calendar})
            time[:] = (np.datetime64(day) - np.datetime64("2020-01-01")).astype(int)
            nc.createVariable("time_counter", "f8", ("time_counter",))[:] = 0.0
            depth = nc.createVariable("deptht", "f4", ("deptht",))
            depth[:] = [0.5, 10.0]
            if terrain:
                depth.standard_name = "ocean_s_coordinate_g2"
            for role, name, values in zip(
                ("latitude", "longitude"), ("nav_lat", "nav_lon"), lattice(rows, columns), strict=True
            ):
                v = nc.createVariable(name, "f8", ("y", "x"))
                v.setncatts({"standard_name": role, "units": f"degrees_{'north' if role == 'latitude' else 'east'}"})
                v[:] = values
            if corners:
                for at, (name, nav) in enumerate((("bounds_lat", "nav_lat"), ("bounds_lon", "nav_lon"))):
                    c = lattice(np.arange(10) - 0.5, np.arange(12) - 0.5)[at]
                    nc[nav].bounds = name
                    v = nc.createVariable(name, "f8", ("y", "x", "nvertex"))
                    v[:] = np.stack([c[:-1, :-1], c[:-1, 1:], c[1:, 1:], c[1:, :-1]], -1)
            raw = rng.integers(0, 2000, (1, 2, 9, 11)).astype("i2")
            raw[0, :, :2, :3], raw[0, 1, 5:] = -32767, -32767
            thetao = nc.createVariable("votemper", "i2", ("time_counter", "deptht", "y", "x"), fill_value=-32767)
            thetao.setncatts(
                {"scale_factor": 0.01, "add_offset": 5.0, "units": "degC", "coordinates": "nav_lat nav_lon"}
            )
            thetao.set_auto_maskandscale(False)
            thetao[:] = raw
            zos = nc.createVariable("sossheig", "f4", ("time_counter", "y", "x"), fill_value=1e20)
            zos.setncatts({"units": "m", "coordinates": "nav_lat nav_lon"})
            zos[:] = np.where(raw[:, 0] == -32767, 1e20, 0.01 * (raw[:, 0] % 50))
            if wind:
                u = nc.createVariable("vozocrtx", "f4", ("time_counter", "deptht", "y", "x"))
                u.setncatts({"units": "m s-1", "standard_name": wind})
                u[:] = 0.1
        return path

    return write


def polygons(path):
    """Areas on the unit sphere of the cells of a NEMO file, by the shoelace formula."""
    with netCDF4.Dataset(path) as nc:
        x, y = (
            np.radians(nc["bounds_lon"][:].data.astype(float)),
            np.sin(np.radians(nc["bounds_lat"][:].data.astype(float))),
        )
    return np.abs((x * np.roll(y, -1, -1) - np.roll(x, -1, -1) * y).sum(-1)) / 2


def target_areas(ds):
    """Areas on the unit sphere of the cells of one degree round the centres."""
    lat = np.radians(ds.latitude.values)
    rows = np.sin(lat + np.radians(0.5)) - np.sin(lat - np.radians(0.5))
    return np.repeat(rows[:, None] * np.radians(1.0), ds.sizes["longitude"], axis=1)


def test_bake_conserves_what_lies_in_the_cells_level_by_level(nemo, tmp_path):
    for day in ("2020-01-01", "2020-01-02"):
        path = nemo(day)
    wide = {"latitude": [35.0, 55.0, 1.0], "longitude": [-15.0, 11.0, 1.0]}
    every = recipe(options={"grid": wide, "least": 0.0})
    ds = data.bake(every, tmp_path / "nemo_*.nc", tmp_path / "out.zarr")
    assert ds.thetao.dims == ("time", "depth", "latitude", "longitude")
    with netCDF4.Dataset(path) as nc:
        values = nc["votemper"][0].astype(float).filled(np.nan)
        made = cell_weights(
            nc["nav_lat"][:], nc["nav_lon"][:], ds, (nc["bounds_lat"][:].data, nc["bounds_lon"][:].data)
        )
    area = polygons(path)
    for level in (0, 1):
        share = made.shares(values[level].reshape(1, -1))[0]
        after = np.nansum(ds.thetao.values[1, level].astype(float) * share * target_areas(ds))
        assert after == pytest.approx(np.nansum(values[level] * area), rel=1e-6)
        assert np.nansum(share * target_areas(ds)) == pytest.approx(area[np.isfinite(values[level])].sum(), rel=1e-9)
    assert "regridded from a curvilinear grid of 9 × 11 cells" in ds.attrs["comment"]
    assert ds.mask.sum() > 0
    assert ds.thetao.attrs["cell_methods"] == "area: mean"


def test_values_are_those_of_the_wet_cells_and_land_stays_land(nemo):
    path = nemo()
    ds = curvilinear.read(path, GRID)
    with netCDF4.Dataset(path) as nc:
        values = nc["votemper"][0].astype(float).filled(np.nan).reshape(2, -1)
    centre = ds.thetao.sel(latitude=45.0, longitude=-2.0)
    assert float(np.nanmin(values[0])) <= float(centre[0, 0]) <= float(np.nanmax(values[0]))
    for level in (0, 1):
        found = ds.thetao.values[0, level]
        assert np.nanmin(found) >= np.nanmin(values[level])
        assert np.nanmax(found) <= np.nanmax(values[level])
    assert int(ds.thetao[0, 1].notnull().sum()) < int(ds.thetao[0, 0].notnull().sum())
    np.testing.assert_array_equal(ds.thetao[0, 0].notnull(), ds.zos[0].notnull())


def test_without_corners_they_lie_half_way_between_centres(nemo):
    """The lattice is even, so the corners are the same but for the curvature of the sphere."""
    given, made = (curvilinear.read(nemo(name=f"{c}.nc", corners=c), GRID).thetao for c in (True, False))
    both = given.notnull() & made.notnull()
    assert int(both.sum()) > 50
    np.testing.assert_allclose(made.where(both), given.where(both), atol=0.3)


def test_the_dated_time_is_taken(nemo):
    ds = curvilinear.read(nemo("2020-03-01"), GRID)
    assert ds.time.values == np.array(["2020-03-01"], "M8[ns]")


def test_only_with_a_target_grid(nemo, tmp_path):
    path = nemo()
    for options, said in [
        ({}, "options: grid: missing"),
        ({"grid": {}}, "no target grid"),
        ({"grid": {"resolution": 7}}, "does not divide"),
        ({"grid": GRID, "least": 3}, "least: found 3"),
        ({"grid": GRID | {"latitude": [-40, -30, 1]}}, r"nemo_2020-01-01\.nc: the target grid.*holds no cell"),
    ]:
        with pytest.raises(InputError, match=said):
            data.bake(recipe(options=options), path, tmp_path / "out.zarr")
    with pytest.raises(InputError, match="regrid it with the reader 'curvilinear' and a target grid"):
        data.bake("cf", path, tmp_path / "out.zarr")
    assert not (tmp_path / "out.zarr").exists()


def test_components_along_the_grids_own_axes_are_refused(nemo, tmp_path):
    path = nemo(wind="sea_water_x_velocity")
    with pytest.raises(InputError, match="vozocrtx is not said to be eastward_sea_water_velocity"):
        data.bake(recipe(), path, tmp_path / "out.zarr")
    assert "thetao" in data.bake(recipe(variables=["thetao"]), path, tmp_path / "out.zarr")
    turned = nemo("2020-01-05", wind="eastward_sea_water_velocity")
    np.testing.assert_allclose(curvilinear.read(turned, GRID).uo.max(), 0.1, rtol=1e-6)


def test_terrain_following_levels_are_refused_with_the_reason(nemo, tmp_path):
    path = nemo(terrain=True)
    with pytest.raises(InputError, match=r"levels of votemper follow the terrain \(deptht: ocean_s_coordinate_g2\)"):
        data.bake(recipe(), path, tmp_path / "out.zarr")
    assert "zos" in data.bake(recipe(variables=["zos"]), path, tmp_path / "out.zarr")


def test_a_rectilinear_or_broken_file_is_refused(glorys, nemo, tmp_path):
    with pytest.raises(InputError, match="a rectilinear grid is for the reader 'cf'"):
        data.bake(recipe(), glorys(), tmp_path / "out.zarr")
    cut = tmp_path / "cut.nc"
    cut.write_bytes(nemo().read_bytes()[:3000])
    with pytest.raises(InputError, match=r"cut\.nc: is damaged or truncated"):
        data.bake(recipe(), cut, tmp_path / "out.zarr")


# Real files


@pytest.mark.real
def test_arctic_projection_is_baked_and_conserves(real, tmp_path):
    """Integrals from the file alone: cells as polygons between centres in the projection's own coordinates."""
    path = real("models/Arctic20_1to5Feb_2016.nc")
    grid = {"latitude": [60.25, 84.75, 0.5], "longitude": [-29.75, 69.75, 0.5]}
    options = {"options.grid": grid, "options.least": 0.0}
    ds = data.bake("curvilinear", path, tmp_path / "out.zarr", **options)
    assert dict(ds.sizes) == {"time": 5, "depth": 17, "latitude": 50, "longitude": 200}
    with netCDF4.Dataset(path) as nc:
        lat, lon = nc["latitude"][:].astype(float), nc["longitude"][:].astype(float)
        values = nc["temperature"][:].astype(float).filled(np.nan)
    area = np.empty(lat.shape)  # of the quadrilateral between the middles of four neighbours, on the unit sphere
    phi, lam = np.radians(np.asarray(lat)), np.radians(np.asarray(lon))
    v = np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)])
    along, across = np.gradient(v, axis=2), np.gradient(v, axis=1)
    area[:] = np.linalg.norm(np.cross(along, across, axis=0), axis=0)
    made = cell_weights(np.asarray(lat), np.asarray(lon), ds)
    size = np.outer(np.diff(np.sin(np.radians(np.arange(60, 85.1, 0.5)))), np.full(200, np.radians(0.5)))
    for day, level in ((0, 0), (4, 10), (2, 16)):
        share = made.shares(values[day, level].reshape(1, -1))[0]
        wet = np.isfinite(values[day, level])
        assert (share * size).sum() == pytest.approx(area[wet].sum(), rel=2e-3)
        mean = np.nansum(ds.thetao.values[day, level] * share * size) / (share * size).sum()
        assert mean == pytest.approx(np.average(values[day, level][wet], weights=area[wet]), abs=2e-3)


@pytest.mark.real
def test_nemo_tripolar_grid_conserves_the_surface_and_leaves_no_hole(real, tmp_path):
    path = real("models/nemo_1m_20150101-20150201_grid-T.nc")
    with pytest.raises(InputError, match="calendar '360_day'"):
        data.bake("curvilinear", path, tmp_path / "out.zarr")
    with netCDF4.Dataset(path) as nc:
        centres = [nc[n][:].data.astype(float) for n in ("nav_lat", "nav_lon")]
        corners = tuple(nc[n][:].data.astype(float) for n in ("bounds_lat", "bounds_lon"))
        tos = nc["tos"][0].astype(float).filled(np.nan).reshape(1, -1)
    made = cell_weights(*centres, {"resolution": 1.0}, corners)
    assert made.notes == ("11 cells on the place of another left out",)
    every = made.shares(np.ones((1, tos.size)))[0]
    north = made.target[0] > -70
    np.testing.assert_allclose(every[north], 1.0, atol=2e-3)  # the whole ocean, both grid poles and the geographic one
    x = np.radians(corners[1].reshape(-1, 4))
    x = x[:, :1] + (x - x[:, :1] + np.pi) % (2 * np.pi) - np.pi  # each corner on the side of the first
    y = np.sin(np.radians(corners[0].reshape(-1, 4)))
    area = np.abs((x * np.roll(y, -1, 1) - np.roll(x, -1, 1) * y).sum(1)) / 2
    low = (np.abs(corners[0].reshape(-1, 4)) < 85).all(1)  # beyond, cells reach round the pole
    tos[:, ~low] = np.nan
    _, first = np.unique(np.round(np.stack([c.ravel() for c in centres]), 4), axis=1, return_index=True)
    once = np.isin(np.arange(tos.size), first)
    size = made.overlap.size.reshape(180, 360)
    after = np.nansum(made.means(tos, 0.0) * made.shares(tos) * size)
    assert after == pytest.approx(np.nansum((tos * area)[:, once]), rel=1e-6)
    same = made.means(np.where(np.isfinite(tos), 3.3, np.nan), 0.0)
    np.testing.assert_allclose(same[np.isfinite(same)], 3.3, rtol=1e-14)


@pytest.mark.real
@pytest.mark.parametrize("file", ["Nordic_subset_day1.nc", "croco_his.nc"])
def test_roms_levels_are_refused_with_the_reason(real, tmp_path, file):
    with pytest.raises(InputError, match=r"follow the terrain \(s_rho: ocean_s_coordinate_g2\)"):
        data.bake("curvilinear", real(f"models/{file}"), tmp_path / "out.zarr")


@pytest.mark.real
def test_the_surface_of_roms_is_baked(real, tmp_path):
    path = real("models/Nordic_subset_day1.nc")
    pick = {"zos": {"names": ["zeta"], "units": "m"}}
    ds = data.bake("curvilinear", path, tmp_path / "out.zarr", variables=pick, **{"options.grid": {"resolution": 0.25}})
    with netCDF4.Dataset(path) as nc:
        nc["zeta"].set_auto_maskandscale(False)
        zeta = nc["zeta"][0] * nc["zeta"].scale_factor + nc["zeta"].add_offset
    assert zeta.min() <= float(ds.zos.min()) <= float(ds.zos.max()) <= zeta.max()
