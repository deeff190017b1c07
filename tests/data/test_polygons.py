"""Which cells lie in a polygon: against shapely, and at edges, holes and the date line."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx.data import steps
from oceanx.ocean import polygons
from oceanx.vocabulary.errors import InputError

shapely = pytest.importorskip("shapely")
LAT, LON = np.arange(-10.0, 11), np.arange(-15.0, 16)


def ocean():
    rng = np.random.default_rng(0)
    shape = (2, 3, LAT.size, LON.size)
    return xr.Dataset(
        {
            "thetao": (("time", "depth", "latitude", "longitude"), rng.normal(size=shape).astype("f4"), {"units": "K"}),
            "index": ("time", [1, 2]),
        },
        coords={
            "latitude": LAT,
            "longitude": LON,
            "mask": (("depth", "latitude", "longitude"), np.ones(shape[1:], "i1"), {"long_name": "Wet"}),
            "cell_area": (("latitude", "longitude"), np.ones(shape[2:])),
        },
    )


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(-60, 60), st.integers(-40, 40)), min_size=3, max_size=9, unique=True))
def test_inside_is_shapelys_for_any_star(corners):
    """Corners sorted by angle make a polygon that does not cross itself; quarter degrees put them on cells' edges."""
    corners = np.array(corners) / 4
    middle = corners.mean(axis=0)
    angle = np.arctan2(*(corners - middle).T)
    if len(np.unique(angle)) < len(angle):
        return
    ring = corners[np.argsort(angle)]
    shape = shapely.Polygon(ring)
    if not shape.is_valid or shape.area < 1e-6:
        return
    found = polygons.inside(LON, LAT, [ring])
    for i, lat in enumerate(LAT):
        for j, lon in enumerate(LON):
            point = shapely.Point(lon, lat)
            if shape.exterior.distance(point) > 1e-7 or shape.exterior.distance(point) == 0:
                assert found[i, j] == shape.covers(point), (lon, lat)


def test_cells_on_edges_and_corners_are_inside():
    found = polygons.inside(LON, LAT, [np.array([[0.0, 0.0], [4.0, 4.0], [8.0, 0.0]])])
    expected = (LAT[:, None] >= 0) & (LAT[:, None] <= LON) & (LAT[:, None] <= 8 - LON)
    np.testing.assert_array_equal(found, expected)


def test_select_polygon_crops_masks_and_keeps_the_rest():
    ds = ocean()
    out = steps.select_polygon(ds, [[0, 0], [4, 4], [8, 0], [0, 0]])
    assert out["latitude"].values.tolist() == [0, 1, 2, 3, 4]
    assert out["longitude"].values.tolist() == list(range(9))
    inside = (out["latitude"] <= out["longitude"]) & (out["latitude"] <= 8 - out["longitude"])
    box = ds.sel(latitude=slice(0, 4), longitude=slice(0, 8))
    xr.testing.assert_identical(out["thetao"], box["thetao"].assign_coords(mask=out["mask"]).where(inside))
    np.testing.assert_array_equal(out["mask"], box["mask"] * inside)
    assert out["mask"].dtype == np.int8
    assert out["mask"].attrs == ds["mask"].attrs
    xr.testing.assert_identical(out["cell_area"], box["cell_area"])
    xr.testing.assert_identical(out["index"], ds["index"])
    assert out["thetao"].dtype == np.float32
    lazy = steps.select_polygon(ds.chunk(time=1), [[0, 0], [4, 4], [8, 0]])
    assert lazy["thetao"].chunks
    np.testing.assert_array_equal(lazy["thetao"], out["thetao"])


SQUARE = [[-6.5, -6.5], [6.5, -6.5], [6.5, 6.5], [-6.5, 6.5], [-6.5, -6.5]]
HOLE = [[-2.5, -2.5], [2.5, -2.5], [2.5, 2.5], [-2.5, 2.5], [-2.5, -2.5]]
FAR = [[9.5, 7.5], [12.5, 7.5], [12.5, 9.5], [9.5, 7.5]]


@pytest.mark.parametrize(
    "wrap",
    [
        lambda g: g,
        lambda g: {"type": "Feature", "properties": {}, "geometry": g},
        lambda g: {"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": g}]},
        lambda g: {"type": "GeometryCollection", "geometries": [g]},
    ],
)
def test_geojson_with_a_hole_and_an_island(wrap, tmp_path):
    geometry = {"type": "MultiPolygon", "coordinates": [[SQUARE, HOLE], [FAR]]}
    file = tmp_path / "bay.geojson"
    file.write_text(json.dumps(wrap(geometry)))
    out = steps.select_polygon(ocean(), str(file))
    shape = shapely.geometry.shape(geometry)
    for lat in out["latitude"].values:
        for lon in out["longitude"].values:
            wet = bool(out["mask"].sel(latitude=lat, longitude=lon)[0])
            assert wet == shape.covers(shapely.Point(lon, lat))
    xr.testing.assert_identical(steps.select_polygon(ocean(), file), out)


def test_all_the_way_round_is_a_band():
    lon = np.arange(-180.0, 180, 30)
    found = polygons.inside(lon, LAT, polygons.rings([[-180, -2], [180, -2], [180, 3], [-180, 3]]))
    np.testing.assert_array_equal(found, np.broadcast_to(((LAT >= -2) & (LAT <= 3))[:, None], found.shape))


@pytest.mark.parametrize(
    ("polygon", "message"),
    [
        ([[0, 0], [1, 1]], "three corners"),
        ([[0, 0], [1, 1], [0, 0]], "three corners"),
        ([[0, 0], [1, "x"], [0, 2]], "three corners"),
        ([[170, 0], [-170, 0], [-170, 5], [170, 5]], "crosses the date line"),
        ([[170, 0], [190, 0], [190, 5]], "within -180 to 180"),
        ([[0, 95], [1, 1], [0, 2]], "within -180 to 180"),
        ([[0.2, 0.2], [0.3, 0.2], [0.2, 0.3]], "no cell"),
        ([[0.9, 0.0], [2.0, 1.1], [2.0, 1.2]], "no cell centre lies within"),
        ("none.geojson", "none.geojson: cannot be read"),
    ],
)
def test_what_is_no_polygon_is_refused(polygon, message):
    with pytest.raises(InputError, match=message):
        steps.select_polygon(ocean(), polygon)


@pytest.mark.parametrize(
    ("text", "message"), [("{", "is not GeoJSON"), ('{"type": "Point"}', "no Polygon"), ("[]", "no Polygon")]
)
def test_a_file_without_a_polygon_is_refused(text, message, tmp_path):
    (tmp_path / "x.geojson").write_text(text)
    with pytest.raises(InputError, match=message):
        steps.select_polygon(ocean(), str(tmp_path / "x.geojson"))
