"""Sections and profiles: on fields that are linear, whose values anywhere are known, and against gsw's distances."""

from __future__ import annotations

from itertools import pairwise

import gsw
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_forecast import forecast

from oceanx.ocean.places import profile, section
from oceanx.vocabulary.errors import InputError


def plane(latitude=None, longitude=None, a=0.5, b=-0.25, north=50.0):
    """A field that is a · latitude + b · longitude on two levels, the lower one 10 more."""
    latitude = np.arange(30.0, north + 1) if latitude is None else np.asarray(latitude)
    longitude = np.arange(-80.0, -29.0, 2.0) if longitude is None else np.asarray(longitude)
    values = a * latitude[:, None] + b * longitude[None, :]
    return xr.DataArray(
        np.stack([values, values + 10]),
        coords={"depth": [0.0, 100.0], "latitude": latitude, "longitude": longitude},
        dims=("depth", "latitude", "longitude"),
        name="thetao",
        attrs={"units": "degrees_C"},
    )


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.tuples(st.floats(30, 50), st.floats(-80, -30)), min_size=2, max_size=4, unique=True),
    st.floats(20, 300),
    st.booleans(),
)
def test_a_linear_field_is_exact_along_great_circles(points, spacing, upside_down):
    if any(abs(a[0] - b[0]) + abs(a[1] - b[1]) < 0.1 for a, b in pairwise(points)):
        return
    field = plane(north=70)  # great circles bend towards the pole
    field = field.isel(latitude=slice(None, None, -1)) if upside_down else field
    found = section(field, points=points, spacing=spacing)
    lat, lon = found["latitude"].values, found["longitude"].values
    np.testing.assert_allclose(found[0], 0.5 * lat - 0.25 * lon, atol=1e-9)
    np.testing.assert_allclose(found[1] - found[0], 10.0)
    # Every point is on it, and the ends are the ends.
    for a, b in points:
        assert np.min(np.hypot(lat - a, lon - b)) < 1e-6
    steps = gsw.distance(lon, lat) / 1000
    np.testing.assert_allclose(np.diff(found["distance"]), steps, rtol=1e-6, atol=1e-6)
    assert steps.max() <= spacing * (1 + 1e-9)
    assert found.dims == ("depth", "distance")
    assert found.attrs == field.attrs
    assert found.name == field.name
    assert found["distance"].attrs["units"] == "km"


def test_a_great_circle_is_the_shortest_way():
    field = plane(latitude=np.arange(30.0, 71.0), longitude=np.arange(-80.0, 1.0))
    found = section(field, points=[(40, -70), (40, -10)], spacing=50)
    assert found["latitude"].max() > 43  # it bends towards the pole
    expected = gsw.distance([-70, -10], [40, 40])[0] / 1000
    assert float(found["distance"][-1]) == pytest.approx(expected, rel=1e-9)


def test_land_never_bleeds_in_and_points_next_to_it_are_its_neighbours():
    field = plane(a=0.0, b=0.0) + 7.0
    field[:, 10, 10] = np.nan
    lat, lon = float(field["latitude"][10]), float(field["longitude"][10])
    found = section(field, points=[(lat - 3, lon - 5), (lat + 3, lon + 5)], spacing=10)
    near = (abs(found["latitude"] - lat) < 0.5) & (abs(found["longitude"] - lon) < 1.0)
    assert near.any()
    assert found[0].where(near, drop=True).isnull().all()
    np.testing.assert_allclose(found[0].where(~near, drop=True), 7.0)


@pytest.mark.parametrize("first", [-180.0, 0.0])
def test_a_section_crosses_the_seam_of_a_periodic_grid(first):
    longitude = np.arange(first, first + 360, 3)
    waves = xr.DataArray(
        np.cos(np.deg2rad(longitude))[None, :] * np.ones((5, 1)),
        coords={"latitude": np.arange(-2.0, 3), "longitude": longitude},
        dims=("latitude", "longitude"),
    )
    for west, east in ((170, -170), (-10, 10)):
        found = section(waves, points=[(0, west), (0, east)], spacing=333.5)
        expected = np.cos(np.deg2rad(found["longitude"]))
        np.testing.assert_allclose(found, expected, atol=5e-4)  # cells of 3 degrees: (Δλ)² / 8
        assert found["longitude"].min() >= -180
        assert found["longitude"].max() < 180


@pytest.mark.parametrize("counted", [0, 360])
def test_a_section_along_an_axis_is_the_cells_themselves(counted):
    field = plane()
    xr.testing.assert_identical(section(field, lon=-60.9 + counted), field.sel(longitude=-60.0))
    xr.testing.assert_identical(section(field, lat=41.4), field.sel(latitude=41.0))
    theirs = field.assign_coords(longitude=field["longitude"] + 360)
    xr.testing.assert_equal(section(theirs, lon=-60.9 + counted), theirs.sel(longitude=300.0))
    xr.testing.assert_identical(section(field.isel(latitude=[3]), lat=33.4), field.isel(latitude=3))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({}, "found nothing; give one of"),
        ({"lat": 40, "lon": -60}, "found lon and lat; give one of"),
        ({"lat": 51.6}, "latitude 51.6: outside the grid, which reaches from 30 to 50"),
        ({"lon": 10}, "longitude 10: outside the grid, which reaches from -80 to -30"),
        ({"points": [(40, -60)]}, r"found points of shape \(1, 2\)"),
        ({"points": [(40, -60), (40, -60)]}, "points 0 and 1 are one"),
        ({"points": [(0, -60), (0, 120)]}, "points 0 and 1 are on opposite sides"),
        ({"points": [(40, -60), (40, -20)]}, "longitude .* is outside the grid, which reaches from -80 to -30"),
        ({"points": [(40, -60), (20, -60)]}, "latitude .* is outside the grid, which reaches from 30 to 50"),
        ({"points": [(40, -60), (45, -60)], "spacing": 0}, "found spacing=0"),
    ],
)
def test_what_is_no_section_is_refused(asked, message):
    with pytest.raises(InputError, match=message):
        section(plane(), **asked)


def test_a_dataset_keeps_what_has_no_place():
    ds = forecast()
    found = section(ds.assign(count=("init_time", [1, 2, 3])), points=[(40, -19), (42, -17)], spacing=40)
    assert found["thetao"].dims == ("init_time", "lead_time", "depth", "distance")
    assert found["count"].dims == ("init_time",)
    assert found["valid_time"].dims == ("init_time", "lead_time")
    assert found["mask"].dims == ("depth", "distance")
    assert found["thetao"].dtype == np.float32
    assert found.attrs == ds.attrs
    np.testing.assert_allclose(found["thetao"][..., 0], ds["thetao"].sel(latitude=40, longitude=-19), rtol=1e-6)
    dry = found["mask"].isel(depth=1) == 0
    assert bool((found["thetao"].isel(depth=1, init_time=0, lead_time=0).isnull() == dry).all())


def test_a_profile_is_the_column_of_the_cell_the_place_lies_in():
    ds = forecast()
    for lat, lon in ((41.4, -18.4), (40.6, 341.6)):
        xr.testing.assert_identical(profile(ds, lat, lon), ds.isel(latitude=1, longitude=2))
    xr.testing.assert_identical(profile(ds["thetao"], 41, -18), ds["thetao"].isel(latitude=1, longitude=2))
    with pytest.raises(InputError, match="latitude 45: outside the grid"):
        profile(ds, 45, -18)


@pytest.mark.parametrize("masked", [True, False])
def test_a_place_on_land_is_refused_naming_the_nearest_water(masked):
    ds = forecast()
    ds = ds if masked else ds.drop_vars("mask")
    away = gsw.distance([-20, -19], [40, 40])[0] / 1000  # a degree of longitude, shorter than one of latitude
    with pytest.raises(
        InputError, match=f"profile: 40, -20 is on land; the nearest wet cell is at 40, -19, {away:.0f} km"
    ):
        profile(ds, 40, -20)
    dry = forecast()
    dry = dry.assign_coords(mask=dry["mask"] * 0)
    with pytest.raises(InputError, match="no cell is wet"):
        profile(dry, 41, -18)
