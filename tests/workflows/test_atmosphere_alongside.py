"""An atmosphere stepped beside the ocean: one way as its stored forecast, two ways as a linear system, and refusals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import toy_dataset
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import oceanx as ox
from oceanx.ocean import labels
from oceanx.ocean.climatology import at
from oceanx.tensors.state import Forcing, State
from oceanx.vocabulary.channels import CLIMATOLOGY, Channels, Task
from oceanx.vocabulary.errors import InputError
from oceanx.workflows import forecasting
from oceanx.workflows.model import Model

AIR, SURFACE = Channels(surface=("t2m",)), Channels(volume=("thetao",), depth=(0.494,))
KELVIN = 273.15
STARTS = ["2001-12-05", "2001-12-07", "2001-12-10"]
OCEAN = Task(prognostic=Channels(volume=("thetao",), depth=toy_dataset.DEPTH[:2]), forcing=AIR)
ALONE = Task(prognostic=Channels(surface=("u10", "t2m")))
COUPLED = Task(prognostic=AIR, forcing=SURFACE)


@pytest.fixture(scope="module")
def ocean() -> xr.Dataset:
    return toy_dataset.ocean(40, start="2001-12-01")


def slab(rate: float) -> Model:
    """A sea, both levels of which relax to the air at the end of the step; on land it holds nonsense."""

    def step(state: State, forcing: Forcing) -> State:
        return state.map(lambda sea: torch.where(sea == 0, -99.0, sea + rate * (forcing.next["t2m"] - KELVIN - sea)))

    return Model("slab", step, task=OCEAN)


def relaxing(rate: float, step: str = "1D") -> Model:
    """An atmosphere that relaxes to the uppermost sea."""

    def stepped(state: State, forcing: Forcing) -> State:
        return State({"t2m": state["t2m"] + rate * (forcing.now["thetao"] + KELVIN - state["t2m"])})

    return Model("relaxing", stepped, task=COUPLED.model_copy(update={"step": step}))


def halving(step: str = "1D", **options: object) -> Model:
    """An atmosphere of its own, by halves."""
    return Model(
        "halving", lambda state, forcing: state.map(lambda x: x / 2), task=ALONE.model_copy(update={"step": step}),
        **options,  # type: ignore[arg-type]
    )  # fmt: skip


def everywhere(state: State, forcing: Forcing) -> State:
    """An ocean that looks at the air of both ends of the step, on land too."""
    seen = forcing.next["t2m"].mean((-2, -1), keepdim=True) + forcing.now["t2m"] / 8
    return state.map(lambda sea: sea + seen)


def at_sea(found: xr.DataArray, expected: np.ndarray) -> None:
    wet = np.isfinite(found.values)
    assert wet.any()
    np.testing.assert_allclose(found.values[wet], expected[wet], rtol=0, atol=2e-4)


@settings(max_examples=10, deadline=None)
@given(sea=st.floats(0.0, 1.0), air=st.floats(0.0, 1.0), together=st.sampled_from([1, 10**9]))
def test_two_that_relax_to_each_other_are_powers_of_a_matrix(
    ocean: xr.Dataset, sea: float, air: float, together: int
) -> None:
    """a′ = a + λ (x − a) and then x′ = x + κ (a′ − x): (x, a)ₖ = Mᵏ (x, a)₀, for each start date, batched or not."""
    matrix = np.array([[1 - sea + sea * air, sea * (1 - air)], [air, 1 - air]])
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(forecasting, "STATES_AT_ONCE", together)
        fc = ox.forecast(slab(sea), ocean, STARTS, "6D", forcing=relaxing(air))
    assert fc.attrs["oceanx_forcing"] == "stepped alongside by relaxing, told of thetao as forecast"
    for start in STARTS:
        first = ocean.sel(time=start)
        both = np.stack([first.thetao.values[0], first.t2m.values - KELVIN])
        for day in range(1, 7):
            expected = np.einsum("ij,jyx->iyx", np.linalg.matrix_power(matrix, day), both)[0]
            at_sea(fc.thetao.sel(init_time=start, lead_time=f"{day}D").isel(depth=0), expected)


def test_with_shorter_steps_the_ocean_is_told_the_days_means(ocean: xr.Dataset) -> None:
    """Told of x throughout, aⱼ = x + (1 − λ)ʲ (a₀ − x): day 1 holds j = 4 … 7, told of day 0; day 2 j = 8 … 11."""
    sea, air = 0.3, 0.2
    fc = ox.forecast(slab(sea), ocean, "2001-12-05", "2D", forcing=relaxing(air, "6h"))
    first = ocean.sel(time="2001-12-05")
    x, a = first.thetao.values[0].astype(float), first.t2m.values.astype(float) - KELVIN
    kept, steps = 1 - air, np.arange(4)
    for day, since in ((1, 4), (2, 1)):
        mean = x + (kept ** (since + steps)).mean() * (a - x)
        a = x + kept ** (since + 3) * (a - x)
        x = x + sea * (mean - x)
        at_sea(fc.thetao.isel(init_time=0, lead_time=day - 1, depth=0), x)
    assert fc.attrs["oceanx_forcing"].endswith("told of thetao as forecast, means of 4 steps")


@pytest.mark.parametrize("step", ["1D", "6h", "8h"])
def test_one_way_it_is_its_forecast_in_a_store(ocean: xr.Dataset, tmp_path: Path, step: str) -> None:
    """To the last bit, and on land too, where the air has a value and networks look."""
    model, air = Model("everywhere", everywhere, task=OCEAN), halving(step)
    made = ox.forecast(air, ocean, STARTS, "4D", to=tmp_path / "air.zarr")
    labels.check(made)
    stored, alongside = (ox.forecast(model, ocean, STARTS, "3D", forcing=how) for how in (tmp_path / "air.zarr", air))
    xr.testing.assert_equal(stored.thetao, alongside.thetao)
    assert stored.attrs["oceanx_forcing"].startswith(f"forecast by halving ({tmp_path / 'air.zarr'})")
    assert alongside.attrs["oceanx_forcing"].startswith("stepped alongside by halving")


def test_one_that_is_right_is_as_good_as_observing(ocean: xr.Dataset) -> None:
    halved = ocean.t2m.isel(time=0, drop=True) / 2.0 ** xr.DataArray(np.arange(40), dims="time")
    truth = ocean.assign(t2m=halved.astype("float32").transpose("time", ...).assign_attrs(ocean.t2m.attrs))
    model = Model("everywhere", everywhere, task=OCEAN)
    seen, made = (ox.forecast(model, truth, STARTS, "4D", forcing=how) for how in ("observed", halving()))
    xr.testing.assert_equal(seen.thetao, made.thetao)


def test_persistence_and_climatology_are_atmospheres_too() -> None:
    ds = toy_dataset.ocean(400, start="2001-01-01")
    told = Task(prognostic=AIR)
    persisted = ox.forecast(slab(0.5), ds, "2002-01-20", "3D")
    kept = ox.forecast(slab(0.5), ds, "2002-01-20", "3D", forcing=Model("kept", ox.persistence().step, task=told))
    xr.testing.assert_equal(kept.thetao, persisted.thetao)
    usual = ox.climatology(ds.sel(time="2001"), task=told)
    fc = ox.forecast(slab(1.0), ds, "2002-01-20", "3D", forcing=usual)
    days = at(usual.climatology, pd.date_range("2002-01-21", periods=3).values).t2m.values
    for day in range(3):
        at_sea(fc.thetao.isel(init_time=0, lead_time=day, depth=1), days[day] - KELVIN)
    assert fc.attrs["oceanx_forcing_period"] == "2001-01-01 to 2001-12-31"


def test_each_is_told_what_its_own_task_asks_for() -> None:
    """The level asked for, 0 on land, the same sea at both ends; its own climatology; all else as it was."""
    ds, seen = toy_dataset.ocean(400, start="2001-01-01"), []

    def listening(state: State, forcing: Forcing) -> State:
        seen.append(forcing)
        return state

    deep = Channels(volume=("thetao",), surface=("zos", "t2m"), depth=(47.4,))
    task = Task(
        prognostic=Channels(surface=("u10", "mlotst", "t2m")), forcing=deep.only(("thetao", "zos")), anomalies=True
    )
    usual = ox.climatology(ds.sel(time="2001"), task=Task(prognostic=deep)).climatology
    air = Model("listening", listening, task=task, climatology=usual)
    fc = ox.forecast(slab(0.5), ds, "2002-01-20", "2D", forcing=air)
    told_of = "told of thetao as forecast, of zos as persisted"
    assert fc.attrs["oceanx_forcing"] == f"stepped alongside by listening, {told_of}"
    seas = [ds.thetao.sel(time="2002-01-20").values[1], fc.thetao.values[0, 0, 1]]
    for day, (forcing, sea) in enumerate(zip(seen, seas, strict=True)):
        for end, fields in enumerate(forcing):
            date = np.array([f"2002-01-{20 + day + end}"], "M8[ns]")
            np.testing.assert_array_equal(fields["thetao"][0, 0], np.nan_to_num(sea))
            np.testing.assert_array_equal(fields["zos"][0, 0], np.nan_to_num(ds.zos.sel(time="2002-01-20")))
            for name in ("t2m", "zos"):
                np.testing.assert_allclose(
                    fields[name + CLIMATOLOGY][0, 0], np.nan_to_num(at(usual, date)[name].values[0]), rtol=1e-5
                )


def ring(latitude: int, longitude: np.ndarray) -> xr.Dataset:
    """A toy ocean all round the globe, without land."""
    ds = toy_dataset.ocean(8, nlat=latitude, nlon=longitude.size).drop_vars(
        ["mask", "cell_area", "thickness"], errors="ignore"
    )
    random = np.random.default_rng(3)
    for name in ds.data_vars:
        values = 10 + random.standard_normal(ds[name].shape)
        ds[name] = (ds[name].dims, values.astype("float32"), ds[name].attrs)
    ds = ds.assign_coords(latitude=np.linspace(-20, 20, latitude), longitude=longitude)
    return ds.assign_coords(mask=(("depth", "latitude", "longitude"), np.ones(ds.thetao.shape[1:], "int8")))


def test_on_a_grid_of_its_own_all_round_the_globe() -> None:
    """Cells half a cell further east are halves of two of ours, across the date line too; and so on the way back."""
    ds = ring(6, np.arange(-180.0, 180.0, 30.0))
    elsewhere = ds.coords.to_dataset().assign_coords(longitude=ds.longitude.values + 15.0)

    def shown(state: State, forcing: Forcing) -> State:
        return State({"t2m": forcing.now["thetao"] + state["t2m"]})

    air = Model("elsewhere", shown, task=COUPLED, grid=elsewhere)
    model = Model("told", lambda state, forcing: state.map(lambda sea: 0 * sea + forcing.next["t2m"]), task=OCEAN)
    with pytest.raises(InputError, match=r"forcing elsewhere: longitude: grids differ: .*forcing_regrid=True"):
        ox.forecast(model, ds, "2001-12-02", "2D", forcing=air)
    fc = ox.forecast(model, ds, "2001-12-02", "2D", forcing=air, forcing_regrid=True)
    assert fc.attrs["oceanx_forcing"].endswith("regridded")

    def east(x: np.ndarray) -> np.ndarray:
        return (x + np.roll(x, -1, -1)) / 2

    def west(x: np.ndarray) -> np.ndarray:
        return (x + np.roll(x, 1, -1)) / 2

    start = ds.sel(time="2001-12-02")
    sea, a = start.thetao.values[0].astype(float), east(start.t2m.values.astype(float))
    for day in range(2):
        a = a + east(sea)
        sea = west(a)
        np.testing.assert_allclose(fc.thetao.values[0, day, 0], sea, rtol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prognostic": Channels(surface=("u10",))}, r"does not step \['t2m'\], which the forecast is told; it steps"),
        ({"step": "36h"}, "steps by 36h, of which the forecast's step of 1D is no multiple"),
        ({"step": "5h"}, "steps by 5h, of which"),
        ({"forcing": Channels(surface=("thetao",))}, "thetao: is asked for at the surface, but stepped at levels"),
        ({"forcing": Channels(volume=("thetao",), depth=(200.0,))}, "depth: no level near 200 m"),
        ({"prognostic": Channels(volume=("t2m",), depth=(0.5,))}, "t2m: is asked for at the surface, but stepped at"),
        ({"prognostic": Channels(surface=("t2m", "msl"))}, "msl: the Dataset lacks this variable"),
        ({"forcing": Channels(surface=("siconc",))}, "siconc: the Dataset lacks this variable"),
    ],
)
def test_one_that_does_not_fit_is_refused(ocean: xr.Dataset, changes: dict, message: str) -> None:
    air = replace(relaxing(0.5), task=COUPLED.model_copy(update=changes))
    with pytest.raises(InputError, match=f"forcing relaxing: {message}") as caught:
        ox.forecast(slab(0.5), ocean, "2001-12-05", "3D", forcing=air)
    assert "\n" not in str(caught.value)


def test_one_that_blows_up_or_begins_with_a_hole_is_caught(ocean: xr.Dataset) -> None:
    wild = replace(halving(), step=lambda state, forcing: state.map(lambda x: x**30))
    with pytest.raises(
        InputError, match=r"the atmosphere of halving is no longer a number \d days .* after 2001-12-05"
    ):
        ox.forecast(slab(0.5), ocean, "2001-12-05", "9D", forcing=wild)
    holed = ocean.assign(t2m=ocean.t2m.where((ocean.latitude < 34) | (ocean.time != ocean.time[4])))
    with pytest.raises(InputError, match="forcing halving: t2m: 24 wet cells are NaN at 2001-12-05"):
        ox.forecast(slab(0.5), holed, "2001-12-05", "3D", forcing=halving())


def test_an_interrupted_forecast_does_not_go_on_beside_another(ocean: xr.Dataset, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(forecasting, "STATES_AT_ONCE", 1)
    to, calls, whole = tmp_path / "fc.zarr", [], slab(0.5)

    def failing(state: State, forcing: Forcing) -> State:
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return whole(state, forcing)

    air = replace(relaxing(0.25), attrs={"oceanx_iteration": "100"})
    with pytest.raises(KeyboardInterrupt):
        ox.forecast(replace(whole, step=failing), ocean, STARTS, "3D", forcing=air, to=to)
    other = replace(air, attrs={"oceanx_iteration": "200"})
    with pytest.raises(InputError, match="interrupted forecast of something else"):
        ox.forecast(whole, ocean, STARTS, "3D", forcing=other, to=to, resume=True)
    fc = ox.forecast(replace(whole, step=failing), ocean, STARTS, "3D", forcing=air, to=to, resume=True)
    assert len(calls) == 4 + 2 * 3  # the first start date was complete
    xr.testing.assert_equal(fc.thetao.load(), ox.forecast(whole, ocean, STARTS, "3D", forcing=air).thetao)
    assert fc.attrs["oceanx_forcing_iteration"] == "100"
