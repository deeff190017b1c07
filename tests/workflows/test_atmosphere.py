"""What a forecast is told of the atmosphere: by whom, matched how, and what is refused; numbers followed by hand."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import toy_dataset
import xarray as xr
from command_line import Oceanx
from hypothesis import given, settings
from hypothesis import strategies as st

import oceanx as ox
from oceanx.ocean import labels
from oceanx.ocean.climatology import at
from oceanx.tensors.state import Forcing, State
from oceanx.vocabulary.channels import Channels, Task
from oceanx.vocabulary.errors import InputError
from oceanx.vocabulary.names import VARIABLES
from oceanx.workflows.model import Model
from oceanx.workflows.train_config import TrainConfig

AIR = Channels(surface=("u10",))
TASK = Task(prognostic=Channels(surface=("zos",)), forcing=AIR)


def both_winds(state: State, forcing: Forcing) -> State:
    """A Step that can be followed by hand: zos grows by the wind at the step's end and a thousandth of that before."""
    return State({"zos": state["zos"] + forcing.next["u10"] + forcing.now["u10"] / 1000})


WINDY = Model("windy", both_winds, task=TASK)


@pytest.fixture(scope="module")
def ocean() -> xr.Dataset:
    return toy_dataset.ocean(40, start="2001-12-01")


def weather(ds: xr.Dataset, inits: list[str], leads: list[str], seed: int = 0, **attrs: str) -> xr.Dataset:
    """A forecast of u10 that is different everywhere, at every start and lead."""
    lead, init = pd.to_timedelta(leads), pd.DatetimeIndex(inits)
    shape = (len(init), len(lead), ds.sizes["latitude"], ds.sizes["longitude"])
    values = np.random.default_rng(seed).normal(3.0, 2.0, shape).astype("float32")
    fields = {"u10": (("init_time", "lead_time", "latitude", "longitude"), values, VARIABLES["u10"].attrs | attrs)}
    coords = {"init_time": init, "lead_time": lead, "latitude": ds.latitude, "longitude": ds.longitude}
    return labels.label(xr.Dataset(fields, coords), {"oceanx_model": "zephyr"})


def daily(n: int) -> list[str]:
    return [f"{i}D" for i in range(1, n + 1)]


def hourly(n: int, step: int = 6) -> list[str]:
    return [f"{step * i}h" for i in range(1, n + 1)]


def by_hand(ds: xr.Dataset, start: str, winds: list[np.ndarray]) -> np.ndarray:
    """zos after each step, from the wind of the start date and then of every day."""
    zos = ds.zos.sel(time=start).values.astype("float64")
    known = [ds.u10.sel(time=start).values, *winds]
    steps = [zos := zos + later + now / 1000 for now, later in pairwise(known)]
    return np.stack(steps)


def same(fc: xr.Dataset, start: str, expected: np.ndarray) -> None:
    found = fc.zos.sel(init_time=start).values
    wet = np.isfinite(found)
    assert wet.any()
    np.testing.assert_allclose(found[wet], expected[wet], rtol=1e-5, atol=1e-5)


@settings(max_examples=10, deadline=None)
@given(lead=st.integers(1, 5), more=st.integers(0, 3), hour=st.sampled_from([0, 12]))
def test_a_daily_forecast_by_valid_day(lead: int, more: int, hour: int) -> None:
    ds = toy_dataset.ocean(20)
    starts = ["2001-12-05", "2001-12-09"]
    air = weather(ds, [f"{start}T{hour:02d}" for start in starts], daily(lead + more))
    fc = ox.forecast(WINDY, ds, starts, f"{lead}D", forcing=air)
    assert fc.attrs["oceanx_forcing"] == "forecast by zephyr, begun on the start date"
    for i, start in enumerate(starts):
        same(fc, start, by_hand(ds, start, list(air.u10.values[i, :lead])))


def test_the_latest_that_is_old_enough(ocean: xr.Dataset) -> None:
    """Of forecasts begun on the 1st, 4th and 8th, a start on the 6th takes that of the 4th, two days on."""
    air = weather(ocean, ["2001-12-01", "2001-12-04", "2001-12-08"], daily(8))
    fc = ox.forecast(WINDY, ocean, ["2001-12-06", "2001-12-08"], "3D", forcing=air, forcing_within="2D")
    assert fc.attrs["oceanx_forcing"] == "forecast by zephyr, begun up to 2 d before the start"
    same(fc, "2001-12-06", by_hand(ocean, "2001-12-06", list(air.u10.values[1, 2:5])))
    same(fc, "2001-12-08", by_hand(ocean, "2001-12-08", list(air.u10.values[2, :3])))
    with pytest.raises(
        InputError, match="no forecast begins on 2001-12-06, or say how old one may be, forcing_within; it has"
    ):
        ox.forecast(WINDY, ocean, "2001-12-06", "3D", forcing=air)
    with pytest.raises(InputError, match="no forecast begins on 2001-12-07, nor up to 2 days before"):
        ox.forecast(WINDY, ocean, "2001-12-07", "3D", forcing=air, forcing_within="2D")


@pytest.mark.parametrize("hour", [0, 12])
def test_six_hourly_values_become_days(ocean: xr.Dataset, hour: int) -> None:
    air = weather(ocean, [f"2001-12-05T{hour:02d}"], hourly(20))
    fc = ox.forecast(WINDY, ocean, "2001-12-05", "3D", forcing=air)
    first = (24 - hour) // 6 - 1  # where 00:00 of the next day stands
    days = [air.u10.values[0, first + 4 * i : first + 4 * i + 4].mean(0) for i in range(3)]
    same(fc, "2001-12-05", by_hand(ocean, "2001-12-05", days))
    assert "means of 4 values a day" in fc.attrs["oceanx_forcing"]


@pytest.mark.parametrize("step", [1, 3, 6, 12])
@pytest.mark.parametrize("hour", [0, 12])
def test_the_mean_of_a_day_is_that_of_its_own_hours(ocean: xr.Dataset, hour: int, step: int) -> None:
    """A wind of as many m/s as the date has days, and a daily cycle whose mean is 0 over [D, D + 1) alone."""
    init = pd.Timestamp(f"2001-12-05T{hour:02d}")
    air = weather(ocean, [str(init)], hourly(96 // step, step))
    valid = init + pd.to_timedelta(hourly(96 // step, step))
    wind = valid.day + np.cos(2 * np.pi * (valid.hour - 9) / 24) + 5 * np.cos(np.pi * (valid.hour - 6) / 24)
    cycle = (np.cos(np.pi * (np.arange(0, 24, step) - 6) / 24) * 5).mean()
    air["u10"][0] = np.asarray(wind, "float32")[:, None, None]
    fc = ox.forecast(WINDY, ocean, "2001-12-05", "3D", forcing=air)
    days = [np.full(ocean.u10.shape[1:], day + cycle) for day in (6, 7, 8)]
    same(fc, "2001-12-05", by_hand(ocean, "2001-12-05", days))


def test_rates_stand_for_the_time_before_them(ocean: xr.Dataset) -> None:
    """The day's last value is stamped with the next day's first hour, which must be there."""
    air = weather(ocean, ["2001-12-05"], hourly(12), cell_methods="time: mean")
    fc = ox.forecast(WINDY, ocean, "2001-12-05", "2D", forcing=air)
    days = [air.u10.values[0, 4 + 4 * i : 8 + 4 * i].mean(0) for i in range(2)]
    same(fc, "2001-12-05", by_hand(ocean, "2001-12-05", days))
    with pytest.raises(InputError, match="does not hold 2001-12-07, lead 2 days; its last whole day is 2001-12-06"):
        ox.forecast(WINDY, ocean, "2001-12-05", "2D", forcing=air.isel(lead_time=slice(11)))


def test_a_store_is_as_good_and_regridded_when_asked(ocean: xr.Dataset, tmp_path: Path) -> None:
    """Of cells twice as wide, each holds two of ours: they have its value."""
    coarse = ocean.isel(latitude=slice(0, None, 2), longitude=slice(0, None, 2))
    coarse = coarse.assign_coords(
        latitude=("latitude", (ocean.latitude.values[::2] + ocean.latitude.values[1::2]) / 2),
        longitude=("longitude", (ocean.longitude.values[::2] + ocean.longitude.values[1::2]) / 2),
    )
    air = weather(coarse, ["2001-12-05"], daily(3))
    air.to_zarr(tmp_path / "air.zarr", consolidated=False)
    with pytest.raises(InputError, match=r"air\.zarr: latitude: grids differ: .*forcing_regrid=True"):
        ox.forecast(WINDY, ocean, "2001-12-05", "3D", forcing=tmp_path / "air.zarr")
    fc = ox.forecast(WINDY, ocean, "2001-12-05", "3D", forcing=str(tmp_path / "air.zarr"), forcing_regrid=True)
    assert fc.attrs["oceanx_forcing"].startswith(f"forecast by zephyr ({tmp_path / 'air.zarr'}), begun on the start")
    assert fc.attrs["oceanx_forcing"].endswith("regridded")
    same(fc, "2001-12-05", by_hand(ocean, "2001-12-05", list(air.u10.values[0].repeat(2, -1).repeat(2, -2))))


def test_a_forecast_of_what_happened_is_as_good_as_observing_it(ocean: xr.Dataset) -> None:
    air = weather(ocean, ["2001-12-05"], daily(4))
    air["u10"][0] = ocean.u10.sel(time=slice("2001-12-06", "2001-12-09")).values
    told, seen = (ox.forecast(WINDY, ocean, "2001-12-05", "4D", forcing=how) for how in (air, "observed"))
    xr.testing.assert_allclose(told.zos, seen.zos)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda air: air.rename(u10="v10"), r"lacks \['u10'\], which the model is told; it has \['v10'\]"),
        (
            lambda air: air.isel(lead_time=[0, 1]),
            "does not hold 2001-12-08, lead 3 days; its last whole day is 2001-12-0",
        ),
        (lambda air: air.isel(lead_time=[0, 2]), "times are mostly 48 h apart"),
        (lambda air: air.isel(lead_time=[1, 2, 3]), "does not hold 2001-12-06, lead 1 days"),
        (lambda air: air.expand_dims(member=2), "has 2 members; choose one"),
        (lambda air: air.isel(init_time=0, drop=True), "expected a forecast with init_time and lead_time"),
        (lambda air: air.assign_coords(longitude=air.longitude + 1), "longitude: grids differ"),
        (
            lambda air: air.assign(u10=air.u10.assign_attrs(units="km h-1")),
            "u10: found units='km h-1', expected 'm s-1'",
        ),
        (
            lambda air: air.assign_coords(lead_time=[1, 2, 3, 4]),
            "lead_time: found int64, expected timedelta64; its writer left out",
        ),
        (lambda air: air.where(air.longitude < -16), r"u10: \d+ wet cells are NaN at .* it must cover the whole sea"),
    ],
)
def test_an_atmosphere_that_will_not_do(ocean: xr.Dataset, change, message: str) -> None:
    air = change(weather(ocean, ["2001-12-05"], daily(4)))
    for name in air.data_vars:
        air[name].attrs = VARIABLES[str(name)].attrs | air[name].attrs
    with pytest.raises(InputError, match=message) as caught:
        ox.forecast(WINDY, ocean, "2001-12-05", "3D", forcing=air)
    assert "\n" not in str(caught.value)


def test_other_words_and_files_are_refused(ocean: xr.Dataset, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no/air\.zarr.*choose observed, persisted or climatology, or give the path"):
        ox.forecast(WINDY, ocean, "2001-12-05", "3D", forcing="no/air.zarr")
    ocean[["u10"]].to_zarr(tmp_path / "analyses.zarr", consolidated=False)
    with pytest.raises(
        InputError, match=r"analyses\.zarr: found dimensions .*expected a forecast with init_time and lead_time"
    ):
        ox.forecast(WINDY, ocean, "2001-12-05", "3D", forcing=tmp_path / "analyses.zarr")
    air = weather(ocean, ["2001-12-05"], daily(4))
    with pytest.raises(InputError, match="forcing_within='soon' is no duration"):
        ox.forecast(WINDY, ocean, "2001-12-05", "3D", forcing=air, forcing_within="soon")


def test_what_it_was_told_itself_is_told(ocean: xr.Dataset) -> None:
    """A simulation of the atmosphere does not become a forecast by being stored."""
    air = weather(ocean, ["2001-12-05"], daily(3)).assign_attrs(oceanx_forcing="observed (a simulation)")
    fc = ox.forecast(WINDY, ocean, "2001-12-05", "3D", forcing=air, forcing_regrid=True)
    assert fc.attrs["oceanx_forcing"] == (
        "forecast by zephyr, begun on the start date, itself told: observed (a simulation)"
    )


def test_what_else_a_forecast_holds_does_not_matter(ocean: xr.Dataset, tmp_path: Path) -> None:
    """Such as geopotential, which has no name of ours."""
    air = weather(ocean, ["2001-12-05"], daily(3))
    air.assign(z500=air.u10.drop_attrs() * 100).to_zarr(tmp_path / "air.zarr", consolidated=False)
    for source in (tmp_path / "air.zarr", xr.open_zarr(tmp_path / "air.zarr", consolidated=False)):
        fc = ox.forecast(WINDY, ocean, "2001-12-05", "3D", forcing=source)
        same(fc, "2001-12-05", by_hand(ocean, "2001-12-05", list(air.u10.values[0])))


def test_another_atmosphere_is_not_the_same_forecast(ocean: xr.Dataset, tmp_path: Path) -> None:
    """An interrupted forecast does not go on under another sky."""
    air = weather(ocean, ["2001-12-05"], daily(3))

    def failing(state: State, forcing: Forcing) -> State:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ox.forecast(Model("windy", failing, task=TASK), ocean, "2001-12-05", "3D", forcing=air, to=tmp_path / "fc.zarr")
    with pytest.raises(InputError, match="interrupted forecast of something else"):
        ox.forecast(WINDY, ocean, "2001-12-05", "3D", to=tmp_path / "fc.zarr", resume=True)
    fc = ox.forecast(WINDY, ocean, "2001-12-05", "3D", forcing=air, to=tmp_path / "fc.zarr", resume=True)
    same(fc, "2001-12-05", by_hand(ocean, "2001-12-05", list(air.u10.values[0])))


def test_a_model_s_own_climatology_is_an_atmosphere() -> None:
    ds = toy_dataset.ocean(400, start="2001-01-01")
    usual = ox.climatology(ds.sel(time="2001"), task=Task(prognostic=Channels(surface=("zos", "u10"))))
    model = Model("windy", both_winds, task=TASK, climatology=usual.climatology)
    fc = ox.forecast(model, ds, "2002-01-20", "2D", forcing="climatology")
    assert fc.attrs["oceanx_forcing"] == "climatology"
    days = at(usual.climatology, pd.date_range("2002-01-20", periods=3).values).u10.values
    expected, zos = [], ds.zos.sel(time="2002-01-20").values
    for now, later in pairwise(days):
        expected.append(zos := zos + later + now / 1000)
    same(fc, "2002-01-20", np.stack(expected))


def test_each_kind_at_a_prompt(tiny: TrainConfig, tmp_path: Path, monkeypatch, oceanx: Oceanx) -> None:
    """What is right leaves with 0 and says what it was, what is wrong leaves with 2, one line and no store."""
    monkeypatch.chdir(tmp_path)
    ds = toy_dataset.ocean(400, start="2001-01-01")
    ds.to_zarr("ocean.zarr", consolidated=False)
    weathers = Task(prognostic=Channels(surface=("u10", "t2m")), forcing=Channels(surface=("zos",)), anomalies=True)
    ox.train(TrainConfig.parse(tiny.dump() | {"train": None}), ds, "ocean")
    sky = ox.train(TrainConfig.parse(tiny.dump() | {"train": None, "task": weathers.dump(), "weights": {}}), ds, "sky")
    quick = Model("quick", ox.persistence().step, task=Task(prognostic=weathers.prognostic, step="6h"))
    air = ox.forecast(quick, ds, ["2001-12-05", "2001-12-08"], "4D", to="air.zarr")
    air.load().assign_coords(longitude=air.longitude + 0.1).drop_encoding().to_zarr("east.zarr", consolidated=False)
    air.drop_encoding()[["u10"]].to_zarr("wind.zarr", consolidated=False)

    def forecast(forcing: str, *words: str) -> tuple[int, str]:
        options = ["--data", "ocean.zarr", "--init", "2001-12-05", "--lead", "3D", "--to", "fc", *words]
        code, _, err = oceanx("forecast", "ocean", "--forcing", forcing, *options)
        return code, err

    for forcing, words, said in (
        ("persisted", (), "persisted"),
        ("climatology", (), "climatology"),
        ("observed", (), "observed (a simulation: the future atmosphere was known)"),
        ("air.zarr", (), "forecast by quick (air.zarr), begun on the start date, means of 4 values a day"),
        ("air.zarr", ("--init", "2001-12-06", "--lead", "2D", "--forcing-within", "1D"), "begun up to 1 d before"),
        ("east.zarr", ("--forcing-regrid",), "regridded"),
        ("sky", (), "stepped alongside by sky, told of zos as forecast"),
    ):
        code, err = forecast(forcing, *words, "--overwrite")
        assert code == 0, err
        fc = labels.open_forecast("fc")
        assert said in fc.attrs["oceanx_forcing"]
    beside = ox.forecast(ox.load("ocean"), ds, "2001-12-05", "3D", forcing=ox.load("sky"))
    xr.testing.assert_equal(fc.thetao.load(), beside.thetao)
    assert fc.attrs["oceanx_forcing_config"] == sky.about["config"]
    for forcing, words, said in (
        ("air.zarr", ("--lead", "4D"), "does not hold 2001-12-09, lead 4 days; its last whole day is 2001-12-08"),
        ("air.zarr", ("--init", "2001-12-06"), "no forecast begins on 2001-12-06, or say how old one may be"),
        ("air.zarr", ("--init", "2001-12-07", "--forcing-within", "1D"), "nor up to 1 days before"),
        ("east.zarr", (), "longitude: grids differ: .*--forcing-regrid"),
        ("wind.zarr", (), r"forcing wind.zarr: lacks \['t2m'\]"),
        ("ocean.zarr", (), "expected a forecast with init_time and lead_time"),
        ("ocean", (), r"forcing ocean: does not step \['u10', 't2m'\], which the forecast is told"),
        ("skies", (), "forcing 'skies': choose observed, persisted or climatology"),
    ):
        code, err = forecast(forcing, *words, "--to", "wrong")
        assert code == 2
        assert re.fullmatch(f"error: .*{said}.*\n", err), err
        assert not Path("wrong").exists()
