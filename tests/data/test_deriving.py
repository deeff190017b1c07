"""Steps that calculate variables: the functions of `oceanx.ocean` on data in anyone's units, and through a bake."""

from __future__ import annotations

import numpy as np
import pytest
import toy_dataset
import xarray as xr

from oceanx.data import steps
from oceanx.ocean import derived, fluxes
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
