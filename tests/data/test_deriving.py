"""Steps that calculate variables: the functions of `oceanx.ocean` on data in anyone's units, and through a bake."""

from __future__ import annotations

import numpy as np
import pytest
import toy_dataset
import xarray as xr

from oceanx.data import bake, steps
from oceanx.data.recipe import Recipe
from oceanx.ocean import derived, fluxes
from oceanx.ocean.climatology import climatology
from oceanx.vocabulary.errors import InputError
from oceanx.vocabulary.names import VARIABLES


@pytest.fixture(scope="module")
def ocean():
    ds = toy_dataset.ocean(4)
    rng = np.random.default_rng(1)
    shape = ds["t2m"].shape
    more = {
        "so": np.where(ds["thetao"].isnull(), np.nan, 35 + 0.1 * rng.normal(size=ds["thetao"].shape)),
        "v10": rng.normal(size=shape),
        "d2m": 284 + rng.normal(size=shape),
        "msl": 101000 + 100 * rng.normal(size=shape),
        "strd": 320 + rng.normal(size=shape),
    }
    for name, values in more.items():
        ds[name] = (ds["thetao" if name == "so" else "t2m"].dims, values.astype("f4"), VARIABLES[name].attrs)
    return ds


CASES = {
    "density": (lambda ds: derived.density(ds).to_dataset(), ["sigma0"]),
    "geostrophic_velocity": (derived.geostrophic_velocity, ["ugos", "vgos"]),
    "wind_stress": (fluxes.wind_stress, ["tauuo", "tauvo"]),
    "turbulent_fluxes": (fluxes.turbulent_fluxes, ["tauuo", "tauvo", "sshf", "slhf", "evs"]),
    "net_longwave": (fluxes.net_longwave, ["str"]),
}


@pytest.mark.parametrize("name", CASES)
def test_a_step_adds_what_the_function_makes(ocean, name):
    function, made = CASES[name]
    out = steps.apply(ocean, [{name: {}}])
    xr.testing.assert_identical(out.drop_vars(made), ocean)
    xr.testing.assert_identical(out[made].drop_attrs(deep=False), function(ocean)[made].drop_attrs(deep=False))
    with pytest.raises(InputError, match=rf"{name}: the Dataset has {made[0]} already"):
        steps.apply(out, [{name: {}}])


def test_the_mixed_layer_is_calculated_where_there_is_none(ocean):
    without = steps.apply(ocean, [{"drop": {"variables": ["mlotst"]}}, {"mixed_layer_depth": {"threshold": 0.01}}])
    xr.testing.assert_identical(without["mlotst"], derived.mixed_layer_depth(ocean, 0.01))
    with pytest.raises(InputError, match="has mlotst already"):
        steps.apply(ocean, [{"mixed_layer_depth": {}}])


def test_units_are_converted_first_and_left_as_they_were(ocean):
    kelvin = ocean.assign(thetao=(ocean["thetao"].astype("f8") + 273.15).assign_attrs(units="K"))
    hpa = kelvin.assign(msl=(ocean["msl"].astype("f8") / 100).assign_attrs(units="hPa"))
    out = steps.apply(hpa, [{"turbulent_fluxes": {}}, {"density": {}}])
    expected = steps.apply(ocean, [{"turbulent_fluxes": {}}, {"density": {}}])
    for name in ("slhf", "tauuo", "sigma0"):
        np.testing.assert_allclose(out[name], expected[name], rtol=3e-5)
    assert out["thetao"].attrs["units"] == "K"
    assert out["msl"].attrs["units"] == "hPa"


def test_every_calculating_step_wants_its_variables_together():
    assert set(CASES) | {"mixed_layer_depth"} <= steps.JOINT


def test_keep_and_drop(ocean):
    assert set(steps.keep(ocean, ["thetao", "zos"]).data_vars) == {"thetao", "zos"}
    assert set(steps.keep(ocean, ["sea_surface_temperature", "zos"]).data_vars) == {"zos"}
    assert "zos" not in steps.drop(ocean, ["ssh", "sst"])  # everyone's names are understood
    with pytest.raises(InputError, match="did you mean 'thetao'"):
        steps.drop(ocean, ["thetaoo"])


# Through a bake


def test_a_baked_store_has_what_is_calculated(glorys, tmp_path):
    files = [str(glorys(f"2020-01-0{day}")) for day in (1, 2, 3)]
    calculating = ["density", "mixed_layer_depth", "geostrophic_velocity"]
    recipe = {"title": "A test", "reader": "glorys12", "steps": [{"drop": {"variables": ["mlotst"]}}]}
    plain = bake(Recipe(**recipe), files, tmp_path / "plain.zarr").compute()
    recipe["steps"] += calculating
    ds = bake(Recipe(**recipe), files, tmp_path / "more.zarr").compute()
    np.testing.assert_array_equal(ds["mask"], plain["mask"])  # what is calculated does not speak for the mask
    for name in plain.data_vars:
        np.testing.assert_array_equal(ds[name], plain[name], strict=True)
    np.testing.assert_array_equal(ds["sigma0"], derived.density(plain))
    np.testing.assert_array_equal(ds["mlotst"], derived.mixed_layer_depth(plain))
    np.testing.assert_array_equal(ds["vgos"], derived.geostrophic_velocity(plain)["vgos"])
    assert ds["sigma0"].attrs["units"] == "kg m-3"


def test_a_baked_anomaly_is_the_plain_store_less_its_climatology(glorys, tmp_path):
    files = [str(glorys(f"2020-02-{day}")) for day in (28, 29)] + [str(glorys("2020-03-01"))]
    recipe = {"title": "A test", "reader": "glorys12", "variables": ["thetao", "zos"]}
    plain = bake(Recipe(**recipe), files, tmp_path / "plain.zarr").compute()
    climatology(plain, harmonics=0).to_netcdf(tmp_path / "clim.nc")
    step = {"anomaly": {"climatology": str(tmp_path / "clim.nc")}}
    away = bake(Recipe(**recipe, steps=[step]), files, tmp_path / "away.zarr").compute()
    expected = steps.anomaly(plain, tmp_path / "clim.nc")
    for name in ("thetao", "zos"):
        np.testing.assert_array_equal(away[name], expected[name], strict=True)
        assert away[name].attrs["oceanx_climatology"] == expected[name].attrs["oceanx_climatology"]
    back = steps.total(away, tmp_path / "clim.nc")
    np.testing.assert_array_equal(back["thetao"], plain["thetao"])


@pytest.mark.real
def test_real_weather_bakes_into_fluxes(real, tmp_path):
    recipe = Recipe(
        title="A test",
        reader="era5",
        steps=[
            {"deaccumulate": {"seconds": 3600, "variables": ["ssr", "strd", "tp"]}},
            "turbulent_fluxes",
            "net_longwave",
            {"keep": {"variables": ["tauuo", "tauvo", "sshf", "slhf", "evs", "ssr", "str", "sst"]}},
        ],
    )
    ds = bake(recipe, real("era5/ERA5_regional_test_data.nc"), tmp_path / "fluxes.zarr").compute()
    assert set(ds.data_vars) == {"tauuo", "tauvo", "sshf", "slhf", "evs", "ssr", "str", "sst"}
    for name in ("sshf", "slhf", "str", "tauuo"):
        np.testing.assert_array_equal(ds[name].isnull(), ds["sst"].isnull())
    np.testing.assert_allclose(ds["slhf"], -(2.501e6 - 2370 * ds["sst"]) * ds["evs"], rtol=1e-5, atol=1e-4)
