"""Cells of any shape to rectangles: against polygons clipped one by one, and against the separable weights."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx.ocean.regrid import Grid, means, shares, weights
from oceanx.ocean.regrid_cells import cell_weights
from oceanx.vocabulary.errors import InputError


def clip(polygon, inside, crossing):
    """The part of a polygon on one side of a line (Sutherland and Hodgman)."""
    out = []
    for a, b in zip(polygon, [*polygon[1:], *polygon[:1]], strict=True):
        if inside(a):
            out.append(a)
        if inside(a) != inside(b):
            out.append(crossing(a, b))
    return out


def shared(polygon, west, east, south, north):
    """The area of a convex polygon within a rectangle."""
    for axis, limit, sign in ((0, west, 1), (0, east, -1), (1, south, 1), (1, north, -1)):

        def crossing(a, b, axis=axis, limit=limit):
            t = (limit - a[axis]) / (b[axis] - a[axis])
            return tuple(limit if n == axis else a[n] + t * (b[n] - a[n]) for n in (0, 1))

        polygon = clip(polygon, lambda p, axis=axis, limit=limit, sign=sign: sign * (p[axis] - limit) >= 0, crossing)
        if not polygon:
            return 0.0
    return abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(polygon, [*polygon[1:], *polygon[:1]], strict=True))) / 2


def turned(rows=5, columns=6, middle=(10.0, 20.0), angle=0.4, spacing=3.0):
    """Corners (rows + 1, columns + 1) of a turned and slightly bent grid, and its cells."""
    j, i = np.meshgrid(np.arange(rows + 1) - rows / 2, np.arange(columns + 1) - columns / 2, indexing="ij")
    i = i + 0.05 * j**2
    lat = middle[0] + spacing * (np.sin(angle) * i + np.cos(angle) * j)
    lon = middle[1] + spacing * (np.cos(angle) * i - np.sin(angle) * j)
    return (lat[:-1, :-1] + lat[1:, 1:]) / 2, (lon[:-1, :-1] + lon[1:, 1:]) / 2, corners_of(lat), corners_of(lon)


def corners_of(c):
    return np.stack([c[:-1, :-1], c[:-1, 1:], c[1:, 1:], c[1:, :-1]], -1)


def dense(made, cells):
    """The weights as a matrix (target, source)."""
    o = made.overlap
    matrix = np.zeros((o.size.size, cells))
    np.add.at(matrix, (np.repeat(np.arange(o.size.size), np.diff(o.start)), o.index), o.weight)
    return matrix


TARGET = {"latitude": [-8.0, 28.0, 4.0], "longitude": [0.0, 40.0, 4.0]}


@given(st.floats(-3, 3), st.floats(0.5, 5), st.sampled_from([20.0, 179.0, -178.0]))
@settings(deadline=None, max_examples=12)
def test_overlaps_agree_with_clipped_polygons(angle, spacing, middle):
    latitude, longitude, *corners = turned(3, 4, (10.0, middle), angle, spacing)
    target = TARGET if middle == 20.0 else {"resolution": 20.0}
    made = cell_weights(latitude, longitude, target, corners)
    lats, lons = Grid.parse(target).axes()
    half = (lats[1] - lats[0]) / 2
    matrix = dense(made, latitude.size).reshape(lats.size, lons.size, -1)
    for cell in range(latitude.size):
        lat, lon = (c.reshape(-1, 4)[cell] for c in corners)
        polygon = list(zip(lon.tolist(), np.sin(np.radians(lat)).tolist(), strict=True))
        for j, k in np.ndindex(lats.size, lons.size):
            south, north = np.sin(np.radians([lats[j] - half, lats[j] + half]))
            expected = sum(
                shared(polygon, lons[k] - half + turn, lons[k] + half + turn, south, north) for turn in (-360, 0, 360)
            )
            assert matrix[j, k, cell] == pytest.approx(np.radians(expected), abs=1e-12)


@pytest.mark.parametrize("target", [{"resolution": 30.0}, {"resolution": 20.0, "placed": "nodes"}, {"resolution": 7.5}])
def test_a_rectilinear_grid_given_as_a_curvilinear_one_is_regridded_alike(target):
    latitude, longitude = -90 + 7.5 + 15 * np.arange(12), -180.0 + 10 + 20 * np.arange(18)
    rng = np.random.default_rng(0)
    values = np.where(rng.random((3, 12, 18)) < 0.3, np.nan, rng.normal(size=(3, 12, 18)))
    south_north, west_east = np.linspace(-90, 90, 13), np.linspace(-180, 180, 19)
    lat, lon = np.meshgrid(south_north, west_east, indexing="ij")
    made = cell_weights(*np.meshgrid(latitude, longitude, indexing="ij"), target, (corners_of(lat), corners_of(lon)))
    separable = weights(latitude, longitude, target)
    assert made.notes == ()
    for least in (0.0, 0.6):
        np.testing.assert_allclose(made.means(values.reshape(3, -1), least), means(values, separable, least), rtol=1e-9)
    np.testing.assert_allclose(made.shares(values.reshape(3, -1)), shares(values, separable), atol=1e-12)


def polar(cells=9, spacing=400.0, aside=0.0):
    """A polar stereographic grid (km) round a pole: centres, and corners."""

    def places(x, y):
        radius = np.hypot(x, y)
        return 90 - 2 * np.degrees(np.arctan(radius / 2 / 6371.0)), np.degrees(np.arctan2(y, x))

    at = (np.arange(cells) - (cells - 1) / 2) * spacing
    edge = (np.arange(cells + 1) - cells / 2) * spacing
    lat, lon = places(*np.meshgrid(edge, edge + aside * spacing, indexing="ij"))
    return *places(*np.meshgrid(at, at + aside * spacing, indexing="ij")), corners_of(lat), corners_of(lon)


@pytest.mark.parametrize(("cells", "aside"), [(9, 0.0), (8, 0.0), (9, 0.5), (9, 0.3)])
@pytest.mark.parametrize("hemisphere", [1, -1])
def test_the_cells_round_and_at_a_pole_leave_no_hole(cells, aside, hemisphere):
    """With 9 cells the pole is inside one, with 8 it is a corner of four, and half a cell aside it is on a side."""
    latitude, longitude, lat, lon = polar(cells, aside=aside)
    target = {"latitude": [*sorted(hemisphere * a for a in (81.0, 89.0)), 2.0], "longitude": [-165, 165, 30]}
    made = cell_weights(hemisphere * latitude, longitude, target, (hemisphere * lat, lon))
    assert made.notes == ()
    np.testing.assert_allclose(made.shares(np.ones((1, cells**2))), 1.0, atol=1e-9)
    np.testing.assert_allclose(made.means(np.full((1, cells**2), 4.2), 0.99), 4.2, rtol=1e-14)


def test_corners_between_centres_fill_the_plane_and_keep_the_integral():
    latitude, longitude, lat, lon = turned(12, 14, (40.0, 178.0), 0.5, 1.0)
    made = cell_weights(latitude, longitude, {"resolution": 2.0})
    exact = cell_weights(latitude, longitude, {"resolution": 2.0}, (lat, lon))
    inner = exact.shares(np.ones((1, latitude.size)))[0] > 1 - 1e-9
    assert inner.sum() > 10
    np.testing.assert_allclose(made.shares(np.ones((1, latitude.size)))[0][inner], 1.0, atol=1e-9)
    total = dense(made, latitude.size).sum(axis=0).reshape(latitude.shape)
    np.testing.assert_allclose(total, dense(exact, latitude.size).sum(axis=0).reshape(latitude.shape), rtol=0.02)


def test_the_integral_is_that_of_the_polygons_and_a_uniform_field_stays():
    latitude, longitude, lat, lon = turned(9, 11)
    rng = np.random.default_rng(1)
    values = np.where(rng.random((2, latitude.size)) < 0.3, np.nan, 10 + rng.normal(size=(2, latitude.size)))
    made = cell_weights(latitude, longitude, {"resolution": 1.5}, (lat, lon))
    x, y = np.radians(lon).reshape(-1, 4), np.sin(np.radians(lat)).reshape(-1, 4)
    area = np.abs((x * np.roll(y, -1, 1) - np.roll(x, -1, 1) * y).sum(1)) / 2
    size = made.overlap.size.reshape(120, 240)
    after = np.nansum(made.means(values, 0.0) * made.shares(values) * size, axis=(1, 2))
    np.testing.assert_allclose(after, np.nansum(values * area, axis=1), rtol=1e-9)
    same = made.means(np.where(np.isnan(values), np.nan, 17.3).astype("f4"), 0.0)
    np.testing.assert_array_equal(same[np.isfinite(same)], np.float32(17.3))


def test_cells_that_take_no_part_are_counted():
    latitude, longitude, lat, lon = turned(4, 5)
    latitude[0, 0] = np.nan
    lat[1, 1], lon[1, 1] = lat[1, 1, 0], lon[1, 1, 0]
    latitude[2, 2], longitude[2, 2] = latitude[2, 1], longitude[2, 1] + 360.0
    made = cell_weights(latitude, longitude, TARGET, (lat, lon))
    assert made.notes == (
        "1 cell without a place left out",
        "1 cell without an area left out",
        "1 cell on the place of another left out",
    )
    taken = dense(made, 20).sum(axis=0) > 0
    assert np.flatnonzero(~taken).tolist() == [0, 6, 12]


def test_what_cannot_be_is_refused():
    latitude, longitude, lat, lon = turned()
    for arguments, said in [
        ((latitude[0], longitude[0], TARGET), "expected two equal"),
        ((latitude, longitude[:-1], TARGET), "expected two equal"),
        ((latitude, longitude, TARGET, (lat[..., :3], lon[..., :3])), "corners: found shapes"),
        ((latitude, longitude, {"latitude": [60, 70, 1], "longitude": [0, 10, 1]}), "holds no cell of the data"),
        ((latitude, longitude, xr.Dataset()), "no one-dimensional latitude"),
    ]:
        with pytest.raises(InputError, match=said):
            cell_weights(*arguments)
