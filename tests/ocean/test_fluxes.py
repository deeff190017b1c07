"""Fluxes on Datasets: labels, units, masks and laziness; and that they resemble ERA5's weather."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from oceanx.data.steps import convert_units, deaccumulate
from oceanx.ocean import bulk, fluxes
from oceanx.vocabulary.errors import InputError
from oceanx.vocabulary.names import VARIABLES

WEATHER = {"u10": 8.0, "v10": -3.0, "t2m": 288.0, "d2m": 284.0, "msl": 101000.0, "sst": 16.85, "strd": 330.0}


def weather(**more):
    rng = np.random.default_rng(4)
    values = {n: x + 0.5 * rng.normal(size=(4, 3, 5)) for n, x in (WEATHER | more).items()}
    values["sst"][:, 0, 0] = np.nan
    ds = xr.Dataset(
        {n: (("time", "latitude", "longitude"), x.astype("f4"), VARIABLES[n].attrs) for n, x in values.items()},
        coords={"time": np.arange(4), "latitude": [0.0, 1.0, 2.0], "longitude": np.arange(5.0)},
        attrs={"title": "weather"},
    )
    for name in ds.data_vars:
        ds[name].attrs["cell_methods"] = "time: mean"
    return ds


def test_turbulent_fluxes_are_those_of_the_kernel_with_labels():
    ds = weather()
    found = fluxes.turbulent_fluxes(ds)
    assert set(found.data_vars) == {"tauuo", "tauvo", "sshf", "slhf", "evs"}
    assert found.attrs == ds.attrs
    arrays = [ds[n].values.astype("f8") for n in ("u10", "v10", "t2m", "d2m", "msl")]
    expected = bulk.turbulent(*arrays, ds["sst"].values.astype("f8") + 273.15)
    for name, values in zip(("tauuo", "tauvo", "sshf", "slhf", "evs"), expected, strict=True):
        np.testing.assert_allclose(found[name], values, rtol=2e-4)
        assert found[name].dims == ("time", "latitude", "longitude")
        assert found[name].dtype == np.float32
        assert VARIABLES[name].attrs.items() <= found[name].attrs.items()
        assert found[name].attrs["cell_methods"] == "time: mean"
        np.testing.assert_array_equal(found[name].isnull(), ds["sst"].isnull())


@pytest.mark.parametrize("chunks", [{"time": 1}, {"latitude": 2, "longitude": 2}])
def test_chunked_equals_whole(chunks):
    ds = weather(uo=0.3, vo=-0.1)
    for make in (fluxes.turbulent_fluxes, fluxes.wind_stress):
        lazy = make(ds.chunk(chunks), currents=True)
        assert all(v.chunks for v in lazy.data_vars.values())
        xr.testing.assert_identical(lazy.compute(), make(ds, currents=True))
    assert fluxes.net_longwave(ds.chunk(chunks))["str"].chunks
    half = ds.assign(sst=ds["sst"].chunk(chunks))  # one variable lazy, the others not
    xr.testing.assert_identical(fluxes.turbulent_fluxes(half).compute(), fluxes.turbulent_fluxes(ds))


def test_wind_is_taken_relative_to_the_top_current_where_asked():
    ds = weather(uo=0.3, vo=-0.1)
    deep = ds.assign(
        {
            n: ds[n].expand_dims(depth=[0.5, 100.0], axis=1) * xr.DataArray([1.0, 9.0], dims="depth")
            for n in ("uo", "vo")
        }
    )
    still = ds.assign(u10=ds["u10"] - ds["uo"], v10=ds["v10"] - ds["vo"])
    for make in (fluxes.turbulent_fluxes, fluxes.wind_stress):
        relative = make(deep, currents=True)
        for name in relative.data_vars:
            np.testing.assert_allclose(relative[name], make(still)[name], rtol=1e-5)
        assert "relative to the surface current" in relative["tauuo"].attrs["comment"]
        assert not np.allclose(relative["tauuo"], make(deep)["tauuo"], equal_nan=True)


def test_the_top_level_stands_for_the_sea_surface():
    ds = weather()
    top = ds["sst"].expand_dims(depth=[0.5, 100.0], axis=1) + xr.DataArray([0.0, -5.0], dims="depth")
    without = ds.drop_vars("sst").assign(thetao=top.assign_attrs(VARIABLES["thetao"].attrs))
    for make in (fluxes.turbulent_fluxes, fluxes.net_longwave):
        xr.testing.assert_allclose(make(without), make(ds), rtol=1e-5)


def test_neutral_stress_is_drag_times_wind_squared():
    ds = weather()
    found = fluxes.wind_stress(ds, density=1.2)
    wind = np.hypot(ds["u10"], ds["v10"]).astype("f8")
    drag = 1e-3 * (2.7 / wind + 0.142 + wind / 13.09 - 3.14807e-10 * wind**6)
    np.testing.assert_allclose(np.hypot(found["tauuo"], found["tauvo"]), 1.2 * drag * wind**2, rtol=1e-5)
    np.testing.assert_allclose(found["tauvo"] / found["tauuo"], ds["v10"] / ds["u10"], rtol=1e-5)


def test_net_longwave_is_absorbed_less_emitted():
    ds = weather()
    emitted = 5.670374419e-8 * (ds["sst"].astype("f8") + 273.15) ** 4
    np.testing.assert_allclose(fluxes.net_longwave(ds)["str"], ds["strd"] - emitted, atol=1e-3)
    np.testing.assert_allclose(
        fluxes.net_longwave(ds, emissivity=0.95)["str"], 0.95 * (ds["strd"] - emitted), atol=1e-3
    )


def test_bad_input_is_named():
    ds = weather()
    with pytest.raises(InputError, match="turbulent_fluxes: needs the variable d2m"):
        fluxes.turbulent_fluxes(ds.drop_vars("d2m"))
    with pytest.raises(InputError, match="needs the variable sst"):
        fluxes.turbulent_fluxes(ds.drop_vars("sst"))
    with pytest.raises(InputError, match="sst is in 'K', expected 'degrees_C'"):
        fluxes.turbulent_fluxes(ds.assign(sst=(ds["sst"] + 273.15).assign_attrs(units="K")))
    with pytest.raises(InputError, match="needs the variable uo"):
        fluxes.wind_stress(ds, currents=True)
    with pytest.raises(InputError, match="iterations=0"):
        fluxes.turbulent_fluxes(ds, iterations=0)
    with pytest.raises(InputError, match=r"emissivity=1\.2"):
        fluxes.net_longwave(ds, emissivity=1.2)


@pytest.mark.real
def test_real_weather_of_the_north_atlantic_in_winter(real):
    """ERA5 on 1 February 2020: heat leaves the sea, most where cold air blows off the ice and the Gulf Stream flows."""
    raw = xr.open_dataset(real("era5/ERA5_regional_test_data.nc")).load()
    ds = deaccumulate(raw[["u10", "v10", "t2m", "d2m", "msl", "sst", "strd"]], 3600, ["strd"])
    ds = convert_units(ds)
    found = fluxes.turbulent_fluxes(ds)
    np.testing.assert_array_equal(found["slhf"].isnull(), raw["sst"].isnull())
    stress = np.hypot(found["tauuo"], found["tauvo"])
    assert 0.1 < float(stress.mean()) < 0.4
    assert float(stress.max()) < 3
    assert -150 < float(found["slhf"].mean()) < -50
    assert -120 < float(found["sshf"].mean()) < -20
    net = fluxes.net_longwave(ds)["str"]
    assert -100 < float(net.mean()) < -30
    # Heat goes where the temperature difference tells.
    difference = (raw["t2m"] - raw["sst"]).where(np.abs(raw["t2m"] - raw["sst"]) > 1)
    agree = (np.sign(difference) == np.sign(found["sshf"])).where(difference.notnull() & found["sshf"].notnull())
    assert float(agree.mean()) > 0.999
