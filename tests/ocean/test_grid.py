"""Areas, layers, masks: closed forms on the sphere, and what counts as wet."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx.ocean import grid
from oceanx.ocean.grid import area, complete, is_periodic, same_grid, thickness, wet_mask
from oceanx.vocabulary.constants import EARTH_RADIUS
from oceanx.vocabulary.errors import InputError


def axis(values, name):
    return xr.DataArray(np.asarray(values, dtype=float), dims=name, name=name)


def box(days=4, levels=3, rows=4, columns=5):
    """Random temperature and sea level on a small grid."""
    rng = np.random.default_rng(1)
    return xr.Dataset(
        {
            "thetao": (("time", "depth", "latitude", "longitude"), rng.normal(size=(days, levels, rows, columns))),
            "zos": (("time", "latitude", "longitude"), rng.normal(size=(days, rows, columns))),
        },
        coords={
            "time": np.datetime64("2020-01-01", "ns") + np.arange(days) * np.timedelta64(1, "D"),
            "depth": [0.5, 10.0, 100.0][:levels],
            "latitude": 40.0 + np.arange(rows),
            "longitude": -20.0 + np.arange(columns),
        },
        attrs={"title": "kept"},
    )


@pytest.mark.parametrize("step", [1.5, 1.0, 0.25])
def test_global_grid_covers_the_sphere(step):
    total = area(
        axis(np.arange(-90 + step / 2, 90, step), "latitude"), axis(np.arange(-180, 180, step), "longitude")
    ).sum()
    assert float(total) == pytest.approx(4 * np.pi * EARTH_RADIUS**2, rel=1e-12)


def test_row_at_the_pole_is_a_cap():
    cells = area(axis(np.arange(-90.0, 91.0, 1.0), "latitude"), axis(np.arange(-180.0, 180.0, 1.0), "longitude"))
    cap = 2 * np.pi * EARTH_RADIUS**2 * (1 - np.sin(np.deg2rad(89.5)))
    assert float(cells.isel(latitude=-1).sum()) == pytest.approx(cap, rel=1e-9)
    assert float(cells.sum()) == pytest.approx(4 * np.pi * EARTH_RADIUS**2, rel=1e-12)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(0.1, 5.0), min_size=2, max_size=12),
    st.lists(st.floats(0.1, 5.0), min_size=2, max_size=12),
    st.floats(-50.0, 10.0),
)
def test_uneven_cells_tile_their_band(lat_steps, lon_steps, south):
    lat = south + np.cumsum(lat_steps) - lat_steps[0]
    lon = -100.0 + np.cumsum(lon_steps)
    edge = lambda x: (x[0] - (x[1] - x[0]) / 2, x[-1] + (x[-1] - x[-2]) / 2)  # noqa: E731
    (s, n), (w, e) = edge(lat), edge(lon)
    band = EARTH_RADIUS**2 * (np.sin(np.deg2rad(n)) - np.sin(np.deg2rad(s))) * np.deg2rad(e - w)
    assert float(area(axis(lat, "latitude"), axis(lon, "longitude")).sum()) == pytest.approx(band, rel=1e-9)


def test_uneven_periodic_longitudes_go_once_round():
    lon = axis([-180.0, -90.0, 10.0, 95.0], "longitude")
    assert is_periodic(lon)
    cells = area(axis([-10.0, 0.0, 10.0], "latitude"), lon)
    band = 2 * np.pi * EARTH_RADIUS**2 * 2 * np.sin(np.deg2rad(15.0))
    assert float(cells.sum()) == pytest.approx(band, rel=1e-12)


@pytest.mark.parametrize(
    ("longitude", "round_the_globe"),
    [
        (np.arange(-180, 180, 0.25), True),
        (np.arange(-180, 180, 1 / 12).astype(np.float32), True),
        (np.arange(-80, -32, 0.5), False),
        (np.arange(-180, 175, 1.0), False),
        (np.arange(-180, 181, 1.0), False),  # the last column repeats the first
        ([5.0], False),
    ],
)
def test_is_periodic(longitude, round_the_globe):
    assert is_periodic(axis(longitude, "longitude")) is round_the_globe


def test_lone_row_takes_the_other_axis_spacing_and_a_point_is_refused():
    cells = area(axis([45.0], "latitude"), axis([0.0, 2.0, 4.0], "longitude"))
    height = np.sin(np.deg2rad(46.0)) - np.sin(np.deg2rad(44.0))
    np.testing.assert_allclose(cells, EARTH_RADIUS**2 * height * np.deg2rad(2.0))
    with pytest.raises(InputError, match="single point"):
        area(axis([45.0], "latitude"), axis([0.0], "longitude"))


def test_descending_latitude_is_refused():
    with pytest.raises(InputError, match=r"latitude.*ascending"):
        area(axis([2.0, 1.0], "latitude"), axis([0.0, 1.0], "longitude"))


@given(st.lists(st.floats(0.1, 200.0), min_size=1, max_size=20))
def test_layers_meet_half_way_between_levels(steps):
    z = np.cumsum(steps)
    layers = thickness(axis(z, "depth")).values
    assert (layers > 0).all()
    lower = np.cumsum(layers)
    np.testing.assert_allclose(lower[:-1], (z[1:] + z[:-1]) / 2)
    assert lower[-1] - z[-1] == pytest.approx(z[-1] - (lower[-2] if len(z) > 1 else 0.0))


def test_wet_means_finite_in_every_variable_on_every_present_day():
    ds = box()
    ds["thetao"][:, 1, 0, 0] = np.nan  # never there: dry
    ds["thetao"][2, 2, 1, 1] = np.nan  # lost once: dry
    ds["zos"][:, 3, 3] = np.nan  # speaks for the top level only
    ds["thetao"][3] = np.nan  # a missing day says nothing
    ds["u10"] = ds["zos"] * np.nan  # the atmosphere has no say
    mask = wet_mask(ds)
    expected = np.ones((3, 4, 5), dtype=np.int8)
    expected[1, 0, 0] = expected[2, 1, 1] = expected[0, 3, 3] = 0
    assert mask.dims == ("depth", "latitude", "longitude")
    assert mask.dtype == np.int8
    np.testing.assert_array_equal(mask, expected)
    np.testing.assert_array_equal(wet_mask(ds.chunk(time=1)), expected)
    np.testing.assert_array_equal(wet_mask(ds[["zos"]]), expected[0])


def test_complete_adds_what_is_absent_and_keeps_the_rest():
    ds = box()
    whole = complete(ds)
    assert {"mask", "cell_area", "thickness"} <= set(whole.coords)
    assert whole.attrs == ds.attrs
    xr.testing.assert_identical(whole.drop_vars(["mask", "cell_area", "thickness"]), ds)
    own = whole.assign_coords(mask=whole["mask"] * 0)
    xr.testing.assert_identical(complete(own), own)
    assert "mask" not in complete(ds[["zos"]].rename(zos="t2m")).coords


def test_same_grid_names_what_differs():
    ds = box()
    same_grid(ds, ds["thetao"])
    same_grid(ds, ds.assign_coords(latitude=ds["latitude"] + 5e-5))
    same_grid(ds, ds[["zos"]])
    with pytest.raises(InputError, match=r"longitude: grids differ: value 0 is -20 against -19"):
        same_grid(ds, ds.assign_coords(longitude=ds["longitude"] + 1))
    with pytest.raises(InputError, match=r"latitude: grids differ: 4 values"):
        same_grid(ds, ds.isel(latitude=slice(2)))
    with pytest.raises(InputError, match="depth"):
        same_grid(ds, ds.assign_coords(depth=ds["depth"] * 1.01))
    with pytest.raises(InputError, match="latitude: no such coordinate"):
        same_grid(ds, ds.rename(latitude="lat"))


@pytest.mark.real
def test_real_glorys_grid_tiles_the_earth(real):
    """The real 1/12° grid is periodic and tiles the Earth north of 80 S."""
    with xr.open_dataset(real("glorys/GLORYS_global_grid.nc")) as grid:
        assert is_periodic(grid["longitude"])
        total = float(area(grid["latitude"].load(), grid["longitude"].load()).sum())
        south = np.deg2rad(float(grid["latitude"][0]) - (float(grid["latitude"][1]) - float(grid["latitude"][0])) / 2)
        expected = 2 * np.pi * EARTH_RADIUS**2 * (1 - np.sin(max(south, -np.pi / 2)))
        assert total == pytest.approx(expected, rel=1e-6)


# Sea floor and bounds


def test_the_sea_floor_is_where_the_lowest_wet_layer_ends():
    depth = [5.0, 20.0, 60.0]  # interfaces 0, 12.5, 40, 80
    mask = np.zeros((3, 2, 3), "i1")
    mask[:1, 0, 0] = mask[:2, 0, 1] = mask[:, 0, 2] = mask[:, 1, 0] = 1
    ds = xr.Dataset(
        coords={
            "depth": depth,
            "latitude": [0.0, 1.0],
            "longitude": [0.0, 1.0, 2.0],
            "mask": (("depth", "latitude", "longitude"), mask),
        }
    )
    found = grid.sea_floor_depth(ds)
    np.testing.assert_array_equal(found, [[12.5, 40.0, 80.0], [80.0, np.nan, np.nan]])
    assert found.attrs["standard_name"] == "sea_floor_depth_below_geoid"
    with pytest.raises(InputError, match="mask"):
        grid.sea_floor_depth(ds.drop_vars("mask"))


@pytest.mark.parametrize("longitude", [np.arange(-180.0, 180, 2.5), np.array([3.0, 4.0, 6.0, 9.0])])
def test_bounds_are_the_edges_that_areas_and_thicknesses_are_of(longitude):
    ds = grid.complete(
        xr.Dataset(coords={"latitude": np.linspace(-90, 90, 37), "longitude": longitude, "depth": [0.5, 47.0, 92.0]})
    )
    found = grid.bounds(ds)
    assert set(found) == {"latitude_bnds", "longitude_bnds", "depth_bnds"}
    for axis in ("latitude", "longitude", "depth"):
        edge = found[f"{axis}_bnds"]
        assert edge.dims == (axis, "bnds")
        np.testing.assert_array_equal(edge[1:, 0], edge[:-1, 1])
        assert ((edge[:, 0] <= ds[axis]) & (ds[axis] <= edge[:, 1])).all()
    height = np.diff(np.sin(np.deg2rad(found["latitude_bnds"])), axis=1)
    width = np.deg2rad(np.diff(found["longitude_bnds"], axis=1))
    np.testing.assert_allclose(ds["cell_area"], 6.371e6**2 * height * width.T, rtol=1e-12)
    np.testing.assert_allclose(ds["thickness"], np.diff(found["depth_bnds"], axis=1)[:, 0], rtol=1e-14)
