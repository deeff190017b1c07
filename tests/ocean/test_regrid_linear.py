"""Bilinear regridding against scipy's, over land, across the seam, and lazily."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import RegularGridInterpolator

from oceanx.ocean import grid
from oceanx.ocean.regrid_linear import bilinear
from oceanx.vocabulary.errors import InputError
from oceanx.vocabulary.names import VARIABLES


def random_field(latitude, longitude, seed=0, levels=2):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(levels, len(latitude), len(longitude)))
    return xr.Dataset(
        {"thetao": (("depth", "latitude", "longitude"), values, VARIABLES["thetao"].attrs)},
        coords={"depth": np.arange(levels) + 0.5, "latitude": latitude, "longitude": longitude},
        attrs={"title": "noise"},
    )


def onto(latitude, longitude):
    return xr.Dataset(coords={"latitude": latitude, "longitude": longitude})


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 99), st.integers(2, 9), st.integers(2, 9))
def test_inside_the_grid_it_is_scipys(seed, rows, columns):
    rng = np.random.default_rng(seed)
    latitude, longitude = np.sort(rng.uniform(0, 60, 6)), np.sort(rng.uniform(-50, 20, 7))
    ds = random_field(latitude, longitude, seed)
    wanted = onto(np.linspace(latitude[0], latitude[-1], rows), np.linspace(longitude[0], longitude[-1], columns))
    found = bilinear(ds, wanted)
    points = np.stack(np.meshgrid(wanted["latitude"], wanted["longitude"], indexing="ij"), axis=-1)
    for k in range(2):
        # scipy refuses what rounding puts outside
        theirs = RegularGridInterpolator(
            (latitude, longitude), ds["thetao"].values[k], bounds_error=False, fill_value=None
        )
        np.testing.assert_allclose(found["thetao"][k], theirs(points), atol=1e-12)
    assert found["thetao"].attrs == ds["thetao"].attrs
    assert found.attrs == ds.attrs


def test_across_the_seam_of_a_periodic_grid():
    longitude = np.arange(-178.0, 180, 4)
    ds = random_field(np.arange(-2.0, 3), longitude)
    found = bilinear(ds, onto(np.arange(-2.0, 3), np.arange(-180.0, 180)))
    twice = xr.concat([ds, ds.isel(longitude=[0]).assign_coords(longitude=[182.0])], "longitude")
    there = twice.interp(
        longitude=found["longitude"].where(found["longitude"] >= -178, found["longitude"] + 360).values
    )
    np.testing.assert_allclose(found["thetao"], there["thetao"], atol=1e-12)


def test_beyond_the_outermost_centres_half_a_cell_is_the_edges():
    ds = random_field(np.array([10.0, 12.0]), np.array([0.0, 2.0]))
    found = bilinear(ds, onto(np.array([8.5, 9.0, 10.0, 13.0, 13.1]), np.array([-1.0, 0.0, 3.0])))["thetao"]
    np.testing.assert_array_equal(found[:, 1, 1], ds["thetao"][:, 0, 0])
    np.testing.assert_array_equal(found[:, 3, 2], ds["thetao"][:, 1, 1])
    assert found[:, 0].isnull().all()
    assert found[:, 4].isnull().all()


@pytest.mark.parametrize("least", [0.0, 0.5, 1.0])
def test_land_takes_no_part(least):
    latitude, longitude = np.arange(0.0, 10), np.arange(0.0, 12)
    ds = random_field(latitude, longitude)
    ds["thetao"][:] = 3.25
    ds["thetao"][0, 3:5, 4:8] = ds["thetao"][1, :, 6] = np.nan
    ds = ds.assign_coords(mask=ds["thetao"].notnull().astype(np.int8))
    wanted = onto(np.arange(0, 9.01, 0.25), np.arange(0, 11.01, 0.25))
    found = bilinear(ds, wanted, least=least)
    values = found["thetao"].values
    np.testing.assert_array_equal(values[np.isfinite(values)], 3.25)
    # The share of wet weights is the bilinear field of wetness itself.
    wet = ds["mask"].astype(float)
    share = np.stack(
        [
            RegularGridInterpolator((latitude, longitude), wet.values[k])(
                np.stack(np.meshgrid(wanted["latitude"], wanted["longitude"], indexing="ij"), axis=-1)
            )
            for k in range(2)
        ]
    )
    np.testing.assert_array_equal(np.isfinite(values), (share >= least - 1e-9) & (share > 0))
    np.testing.assert_array_equal(found["mask"], np.isfinite(values))
    assert found["mask"].dtype == np.int8


def test_lazy_is_the_same_and_areas_are_those_of_the_new_cells():
    ds = grid.complete(random_field(np.arange(-9.0, 10, 2), np.arange(-20.0, 21, 2)).astype("f4"))
    wanted = onto(np.arange(-9, 9.1, 0.5), np.arange(-20, 20.1, 0.5))
    found = bilinear(ds, wanted)
    lazy = bilinear(ds.chunk(depth=1, latitude=3), wanted)
    assert lazy["thetao"].chunks
    xr.testing.assert_identical(lazy.compute(), found)
    assert found["thetao"].dtype == np.float32
    np.testing.assert_allclose(found["cell_area"], grid.area(wanted["latitude"], wanted["longitude"]))
    assert float(found["thickness"][0]) == float(ds["thickness"][0])


def test_bad_input_is_named():
    ds = random_field(np.arange(0.0, 4), np.arange(0.0, 4))
    with pytest.raises(InputError, match="latitude: expected two or more ascending"):
        bilinear(ds.isel(latitude=slice(None, None, -1)), {"resolution": 1})
    with pytest.raises(InputError, match="longitude: no such axis"):
        bilinear(ds.isel(longitude=0), {"resolution": 1})
    with pytest.raises(InputError, match="least: found 2"):
        bilinear(ds, {"resolution": 1}, least=2)
    text = ds.assign(name=(("latitude", "longitude"), np.full((4, 4), "a")))
    with pytest.raises(InputError, match="name: found values of type"):
        bilinear(text, {"resolution": 1})
