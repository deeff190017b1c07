"""Tendencies: terms known in closed form, their sum, what a run makes of them, and their labels."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import compliance_checker
import numpy as np
import pytest
import xarray as xr
from toy_channel import channel, sunshine
from toy_core import CAPACITY, START, CarriedConfig

import oceanx as ox
from oceanx.vocabulary.constants import EARTH_RADIUS, ROTATION
from oceanx.vocabulary.errors import InputError
from oceanx.workflows.simulation.tendencies import _STANDARD

CORE = CarriedConfig(damping=1e-6)
tendencies = ox.physics.tendencies


def test_each_term_is_what_its_equation_says() -> None:
    ds = channel()
    made = tendencies(ds, sunshine(ds, [200.0]), core=CORE, init_time=START)
    terms = {f"thetao_{term}" for term in ("advection", "damping", "shortwave", "total")}
    assert set(made.data_vars) == terms | {"gained_heat_counting", "gained_heat_total"}
    wet = made.mask == 1
    np.testing.assert_allclose(made.thetao_damping.where(wet), -1e-6 * ds.thetao, rtol=1e-13)
    np.testing.assert_allclose(made.thetao_shortwave.isel(depth=0).where(wet[0]).max(), 200 / (CAPACITY * 25.0))
    assert (made.thetao_shortwave.isel(depth=1).where(wet[1], 0) == 0).all()
    # Upwind: −u (T − T of the cell the water comes from) / Δx, eastward at the surface, westward below.
    width = EARTH_RADIUS * np.deg2rad(30) * np.cos(np.deg2rad(ds.latitude))
    behind = xr.where(ds.uo > 0, ds.thetao.roll(longitude=1), ds.thetao.roll(longitude=-1))
    exact = -abs(ds.uo) * (ds.thetao - behind) / width
    # The faces of a cell are as high as its arc, the cell as large as its zone: sin(Δφ/2) for Δφ/2.
    assert (abs(made.thetao_advection / exact - 1).where(wet, 0) < 0.01).all()
    total = made.thetao_advection + made.thetao_damping + made.thetao_shortwave
    np.testing.assert_allclose(made.thetao_total, total, rtol=1e-12)


def ocean() -> xr.Dataset:
    """The channel with salt and a sloping sea surface, for the primitive equations."""
    ds = channel(3).assign(so=(channel(4).thetao * 0.1 + 34).assign_attrs(units="1e-3"))
    ds["thetao"] = (ds.thetao - xr.DataArray([0.0, 8.0], dims="depth")).assign_attrs(units="degrees_C")
    return ds.assign(zos=(0.01 * ds.thetao.isel(depth=0, drop=True)).assign_attrs(units="m"))


@pytest.mark.parametrize("core", ["primitive_equations", "vorticity", CORE])
def test_the_total_is_how_a_run_begins(core: str | CarriedConfig) -> None:
    """A run of a second changes every variable by its total, to first order in time."""
    ds = ocean()
    if core == "vorticity":
        core = {"kind": "vorticity", "ice": False}  # type: ignore[assignment]
    made = tendencies(ds, core=core, init_time=START)
    short = ox.physics.simulate(
        ds, days=1 / 86400, every="1s", core=core, init_time=START, step=1, precision="float64", compile=False
    )
    moved = 0
    for name in [str(name) for name in made.data_vars if str(name).endswith("_total")]:
        variable = name.removesuffix("_total")
        terms = [made[str(other)] for other in made.data_vars if str(other).startswith(variable) and other != name]
        np.testing.assert_allclose(sum(terms), made[name], rtol=1e-9, atol=1e-18)
        if variable in short:
            change = short[variable].diff("time")[0]
            scale = float(abs(made[name]).max())
            assert float(abs(change - made[name]).max()) < 0.05 * scale + 1e-12, variable
            moved += scale > 0
    assert moved


def test_coriolis_turns_a_uniform_current_and_its_unit_is_an_acceleration() -> None:
    one = channel().isel(depth=[0]).drop_vars(["mask", "cell_area", "thickness", "thetao"])
    one = one.isel(latitude=slice(1, 5)).assign_coords(depth=[50.0])
    ds = one.assign(uo=one.uo * 0 + 0.3, vo=one.vo * 0, zos=one.uo.isel(depth=0, drop=True) * 0)
    for variable in ds.data_vars.values():
        variable.attrs.pop("units", None)
    made = tendencies(ds, core={"kind": "shallow_water", "linear": True}, init_time=START)
    assert made.vo_coriolis.attrs["units"] == "m s-2"
    assert made.zos_continuity.attrs["units"] == "m s-1"
    f = 2 * ROTATION * np.sin(np.deg2rad(ds.latitude))
    inner = {"latitude": slice(1, 3), "depth": 0}
    exact = (-f * 0.3).isel(latitude=slice(1, 3))
    # f is that of the corners a face lies between: the mean of sines is cos(Δφ/2) times the sine.
    np.testing.assert_allclose(made.vo_coriolis.isel(inner).mean("longitude"), exact, rtol=0.02)


def test_labels() -> None:
    ds = ocean()
    made = tendencies(ds, core="primitive_equations", init_time=START)
    assert made.thetao_advection.dims == ("depth", "latitude", "longitude")
    assert made.zos_total.dims == ("latitude", "longitude")
    assert made.thetao_advection.attrs == {
        "long_name": "Potential temperature: change by advection",
        "units": "K s-1",
        "units_metadata": "temperature: difference",
    }
    assert made.so_advection.attrs["standard_name"] == "tendency_of_sea_water_salinity_due_to_advection"
    assert made.time.values == np.datetime64(START)
    assert (made.thetao_total.notnull() == (made.mask == 1)).all()
    both = tendencies(_two_days(ds), core="primitive_equations")
    assert both.thetao_total.dims[0] == "time"
    xr.testing.assert_allclose(both.isel(time=0, drop=True), made.drop_vars("time"))


def _two_days(ds: xr.Dataset) -> xr.Dataset:
    days = np.array([START, "2000-01-02"], dtype="datetime64[ns]")
    mask = ds.mask
    return ds.drop_vars("mask").expand_dims(time=days).assign_coords(mask=mask).transpose("time", ...)


def test_standard_names_are_of_cfs_table() -> None:
    table = Path(compliance_checker.__file__).parent / "data/cf-standard-name-table.xml"
    known = {entry.get("id") for entry in ElementTree.parse(table).iter("entry")}
    assert set(_STANDARD.values()) <= known


def test_what_is_missing_is_named() -> None:
    ds = channel()
    with pytest.raises(InputError, match="the forcing lacks ssr"):
        tendencies(ds, sunshine(ds, [1.0]).rename(ssr="str"), core=CORE, init_time=START)
    with pytest.raises(InputError, match="ssr lacking on 2000-01-05"):
        tendencies(ds, sunshine(ds, [1.0]), core=CORE, init_time="2000-01-05")
    with pytest.raises(InputError, match="no date at all"):
        tendencies(_two_days(ds).isel(time=[]), core=CORE)
    with pytest.raises(InputError, match="say when"):
        tendencies(ds, core=CORE)
