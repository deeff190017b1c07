"""Nesting: the parent stands where its coordinates say, and none of its land becomes water."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx.vocabulary.errors import InputError
from oceanx.workflows.nesting import Between, laid_on, nested

DEPTH = [5.0, 30.0]


def ocean(latitude, longitude, days=2, land=None, seed=None):
    """thetao = latitude + longitude/10 + depth/100 + day, a plane that bilinear interpolation keeps."""
    coords = {
        "time": np.datetime64("2001-01-01", "ns") + np.arange(days) * np.timedelta64(1, "D"),
        "depth": DEPTH,
        "latitude": np.asarray(latitude, float),
        "longitude": np.asarray(longitude, float),
    }
    axes = {name: xr.DataArray(values, {name: values}, name) for name, values in coords.items() if name != "time"}
    day = xr.DataArray(np.arange(days, dtype=float), dims="time")
    deep = day + axes["depth"] / 100 + axes["latitude"] + axes["longitude"] / 10
    mask = xr.ones_like(deep.isel(time=0)).astype("int8")
    if land is not None:
        mask = mask.where(~land(mask), 0)
    ds = xr.Dataset({"thetao": deep.where(mask != 0), "zos": deep.isel(depth=0).where(mask.isel(depth=0) != 0)})
    ds.thetao.attrs = {"long_name": "Potential temperature", "units": "degrees_C"}
    return ds.assign_coords(coords).assign_coords(mask=mask.transpose("depth", "latitude", "longitude"))


FINE = (np.arange(20.125, 24, 0.25), np.arange(-30.125, -26, 0.25))
COARSE = (np.arange(18.5, 27), np.arange(-33.5, -22))
NAMES = ("thetao", "zos")


@pytest.mark.parametrize("lazy", [False, True])
def test_a_plane_stays_a_plane_on_the_fine_cells(lazy):
    fine, coarse = ocean(*FINE), ocean(*COARSE)
    found = nested(fine, coarse.chunk(time=1) if lazy else coarse, NAMES)
    assert (found.thetao_parent.chunks is not None) is lazy
    for name in NAMES:
        assert found[f"{name}_parent"].dims == fine[name].dims
        np.testing.assert_allclose(found[f"{name}_parent"].values, fine[name].values)
        xr.testing.assert_identical(found[name], fine[name])
    assert found.thetao_parent.attrs["units"] == "degrees_C"
    assert "parent" in found.thetao_parent.attrs["long_name"]
    assert found.attrs["oceanx_parent"] == "analysis: untitled"


@settings(max_examples=10, deadline=None)
@given(st.floats(-170, 170), st.sampled_from([-360, 0, 360]))
def test_it_is_found_by_its_longitudes_however_these_are_counted(first, turns):
    """On a globe, cos λ stands where λ does; across the date line too."""
    lon = np.arange(-179.0, 180, 2)
    globe = ocean(np.arange(-4.5, 5), lon)
    globe["thetao"] = globe.thetao * 0 + np.cos(np.deg2rad(globe.longitude))
    fine = ocean([-1.0, 0.0, 1.0], first + turns + np.arange(0, 20, 0.5))
    laid = laid_on(globe, fine, ["thetao"]).thetao_parent
    expected = np.cos(np.deg2rad(fine.longitude.values))
    np.testing.assert_allclose(laid.values, np.broadcast_to(expected, laid.shape), atol=2e-4)


def test_near_a_coarse_coast_the_sea_goes_on_and_land_of_the_fine_grid_stays_land():
    coarse = ocean(*COARSE, land=lambda m: m.longitude > -28)
    coarse["thetao"] = coarse.thetao * 0 + 7.0
    fine = ocean(*FINE, land=lambda m: (m.longitude > -27) & (m.depth > 10))
    laid = nested(fine, coarse, ["thetao"]).thetao_parent
    wet = fine.mask != 0
    assert (laid.where(wet) == 7.0).sum() == 2 * int(wet.sum())
    assert int(laid.isnull().sum()) == 2 * int((~wet).sum())


def test_below_its_floor_the_parent_has_the_water_above():
    coarse = ocean(*COARSE, land=lambda m: m.depth > 10)
    fine = ocean(*FINE)
    laid = nested(fine, coarse, ["thetao"]).thetao_parent
    np.testing.assert_allclose(laid.isel(depth=1).values, laid.isel(depth=0).values)


def test_one_forecast_is_a_parent_on_the_days_it_is_valid_for():
    coarse, fine = ocean(*COARSE, days=3), ocean(*FINE, days=3)
    days = np.arange(3) * np.timedelta64(1, "D").astype("timedelta64[ns]")
    forecast = coarse.rename(time="lead_time").assign_coords(lead_time=days)
    forecast = forecast.expand_dims(init_time=coarse.time.values[:1])
    laid = nested(fine, forecast.assign_attrs(oceanx_model="coarse one", oceanx_forcing="persisted"), NAMES)
    assert laid.attrs["oceanx_parent"] == "forecast by coarse one, begun 2001-01-01T00, itself told: persisted"
    np.testing.assert_array_equal(laid.thetao_parent.values, nested(fine, coarse, NAMES).thetao_parent.values)
    two = xr.concat([forecast, forecast.assign_coords(init_time=coarse.time.values[1:2])], "init_time")
    with pytest.raises(InputError, match="2 forecasts; choose one"):
        nested(fine, two, NAMES)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda coarse: coarse.isel(time=[0]), "lacks 2001-01-02T00 and 0 more"),
        (lambda coarse: coarse.isel(depth=[0]), "no level near 30 m"),
        (lambda coarse: coarse.isel(latitude=slice(3, None)), "latitude ends at 21 and 27"),
        (lambda coarse: coarse.isel(longitude=slice(0, 5)), "longitude ends at -34 and -29"),
        (lambda coarse: coarse.drop_vars("zos"), "zos must stand in both"),
    ],
)
def test_a_parent_that_does_not_reach_is_refused(change, said):
    with pytest.raises(InputError, match=said):
        nested(ocean(*FINE), change(ocean(*COARSE)), NAMES)


def test_up_to_half_a_cell_beyond_its_last_centre_a_parent_s_value_holds():
    found = Between.of(np.array([0.0, 1.0, 2.0]), np.array([-0.5, 0.25, 2.5]), "latitude")
    np.testing.assert_array_equal(found.first, [0, 0, 1])
    np.testing.assert_array_equal(found.second, [1, 1, 2])
    np.testing.assert_allclose(found.share, [0.0, 0.25, 1.0])
