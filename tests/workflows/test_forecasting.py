"""Forecasts: every label recomputed from scratch, every refusal, resumption, and what forcing may be known."""

from __future__ import annotations

import warnings
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
from oceanx.tensors.state import Forcing, State
from oceanx.vocabulary.channels import Channels, Task
from oceanx.vocabulary.errors import InputError
from oceanx.workflows import forecasting
from oceanx.workflows import model as model_module
from oceanx.workflows.model import Model

NO_CARD = not torch.cuda.is_available()
TASK = Task(prognostic=Channels(surface=("zos",)), forcing=Channels(surface=("u10",)))


def add_wind(state: State, forcing: Forcing) -> State:
    """A Step that can be followed by hand: zos grows by the wind at the end of each step."""
    return State({"zos": state["zos"] + forcing.next["u10"]})


WINDY = Model("windy", add_wind, task=TASK)


@settings(max_examples=20, deadline=None)
@given(
    starts=st.lists(st.integers(0, 20), min_size=1, max_size=4, unique=True).map(sorted),
    leads=st.integers(1, 9),
    together=st.sampled_from([1, 10**9]),
)
def test_labels_and_numbers_from_scratch(starts: list[int], leads: int, together: int) -> None:
    """init, lead and valid time, and the number beside them, for any start dates and leads, batched or not."""
    ds = toy_dataset.ocean(30)
    patched = pytest.MonkeyPatch()
    patched.setattr(forecasting, "STATES_AT_ONCE", together)
    fc = ox.forecast(WINDY, ds, ds.time.values[starts], f"{leads}D", forcing="observed")
    patched.undo()
    labels.check(fc)
    assert dict(fc.zos.sizes) == {"init_time": len(starts), "lead_time": leads, "latitude": 10, "longitude": 12}
    for i, start in enumerate(starts):
        expected = ds.zos.values[start].astype("float32")
        for lead in range(1, leads + 1):
            expected = expected + ds.u10.values[start + lead]
            one = fc.isel(init_time=i, lead_time=lead - 1)
            assert one.init_time.values == ds.time.values[start]
            assert one.lead_time.values == np.timedelta64(lead, "D")
            assert one.valid_time.values == ds.time.values[start + lead]
            np.testing.assert_allclose(one.zos.values, expected, rtol=1e-5, atol=1e-5)


def test_forcing_modes(ocean: xr.Dataset) -> None:
    start = ocean.time.values[5]
    wet = ocean.mask.isel(depth=0) == 1
    first = ocean.zos.sel(time=start)
    persisted = ox.forecast(WINDY, ocean, start, "3D")
    np.testing.assert_allclose(
        persisted.zos.isel(init_time=0, lead_time=2), (first + 3 * ocean.u10.sel(time=start)).where(wet), rtol=1e-5
    )
    assert persisted.attrs["oceanx_forcing"] == "persisted"
    observed = ox.forecast(WINDY, ocean, start, "3D", forcing="observed")
    assert observed.attrs["oceanx_forcing"].startswith("observed (a simulation")
    with pytest.raises(InputError, match="carries none"):
        ox.forecast(WINDY, ocean, start, "3D", forcing="climatology")
    with pytest.raises(InputError, match="choose observed, persisted or climatology"):
        ox.forecast(WINDY, ocean, start, "3D", forcing="guessed")  # type: ignore[arg-type]


def test_no_cheating_with_the_future(ocean: xr.Dataset) -> None:
    """Unless the forcing is observed, nothing after the start date changes a forecast."""
    start = 10
    future = ocean.time > ocean.time[start]
    other = ocean.assign({name: xr.where(future, ocean[name] + 3.0, ocean[name]) for name in ("zos", "u10")})
    other = other.assign_coords(ocean.coords)
    for model in (WINDY, ox.persistence()):
        a, b = (ox.forecast(model, ds, ocean.time.values[start], "4D") for ds in (ocean, other))
        xr.testing.assert_equal(a.zos, b.zos)


def test_analysis_on_request(ocean: xr.Dataset) -> None:
    fc = ox.forecast(ox.persistence(), ocean, "2001-03-01", "2D", analysis=True)
    assert list(fc.lead_time.values / np.timedelta64(1, "D")) == [0, 1, 2]
    np.testing.assert_array_equal(fc.thetao.isel(init_time=0, lead_time=0), ocean.thetao.sel(time="2001-03-01"))


def test_persistence_keeps_every_variable_and_the_coast(ocean: xr.Dataset) -> None:
    fc = ox.forecast(ox.persistence(), ocean, slice("2001-12-25", "2002-01-05", "3D"), "5D")
    assert set(fc.data_vars) == {"thetao", "uo", "vo", "zos", "mlotst"}
    for name in fc.data_vars:
        for lead in fc.lead_time:
            truth = ocean[name].sel(time=fc.init_time).drop_vars("time")
            np.testing.assert_array_equal(fc[name].sel(lead_time=lead), truth)
        assert fc[name].attrs["standard_name"] == ocean[name].attrs["standard_name"]
        assert fc[name].attrs["units"] == ocean[name].attrs["units"]


def test_store_equals_memory_and_opens_anywhere(ocean: xr.Dataset, tmp_path: Path) -> None:
    dates = slice("2001-02-01", "2001-02-09", "2D")
    inside = ox.forecast(ox.persistence(), ocean, dates, "3D")
    stored = ox.forecast(ox.persistence(), ocean, dates, "3D", to=tmp_path / "fc.zarr")
    xr.testing.assert_identical(inside.thetao, stored.thetao.load())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        foreign = xr.open_zarr(tmp_path / "fc.zarr")
    assert foreign.lead_time.dtype == "timedelta64[ns]"
    np.testing.assert_array_equal(foreign.valid_time, foreign.init_time + foreign.lead_time)
    assert not list(tmp_path.glob("*.partial"))


def test_resume_makes_only_what_is_missing(ocean: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dates, to = slice("2001-02-01", "2001-02-09", "2D"), tmp_path / "fc.zarr"
    monkeypatch.setattr(forecasting, "STATES_AT_ONCE", 1)
    made: list[str] = []

    def counting(state: State, forcing: Forcing) -> State:
        made.append("step")
        if len(made) == 6:
            raise KeyboardInterrupt
        return state

    model = Model("counting", counting)
    with pytest.raises(KeyboardInterrupt):
        ox.forecast(model, ocean, dates, "2D", to=to)
    assert not to.exists()
    with pytest.raises(InputError, match="continue it with resume"):
        ox.forecast(model, ocean, dates, "2D", to=to)
    with pytest.raises(InputError, match="interrupted forecast of something else"):
        ox.forecast(model, ocean, dates, "3D", to=to, resume=True)
    fc = ox.forecast(model, ocean, dates, "2D", to=to, resume=True)
    # Two of five start dates were complete; the third is made again.
    assert len(made) == 6 + 3 * 2
    xr.testing.assert_equal(fc.thetao.load(), ox.forecast(ox.persistence(), ocean, dates, "2D").thetao)
    with pytest.raises(InputError, match="exists already"):
        ox.forecast(model, ocean, dates, "2D", to=to)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"init_time": "2010-01-01"}, "init_time 2010-01-01 .*: not in the Dataset"),
        ({"init_time": ["2001-02-02", "2001-02-01"]}, "increasing start dates"),
        ({"init_time": slice(None, "2001-02-01")}, "needs a first and a last date"),
        ({"lead": "36h"}, "multiple of the model's step 1D"),
        ({"lead": "0D"}, "multiple of the model's step 1D"),
        ({"init_time": "2002-05-10", "forcing": "observed"}, r"lacks \['u10'\] on 2002-05-16"),
    ],
)
def test_refused(ocean: xr.Dataset, changes: dict, message: str) -> None:
    options = {"init_time": "2001-02-01", "lead": "10D"} | changes
    with pytest.raises(InputError, match=message):
        ox.forecast(WINDY, ocean, **options)


def test_forcing_that_is_not_there_is_refused() -> None:
    """A hole in the atmosphere over the sea is no calm."""
    ds = toy_dataset.ocean(20)
    ds.u10[7, 6, 6] = np.nan
    with pytest.raises(InputError, match="u10: 1 wet cells are NaN at 2001-12-08"):
        ox.forecast(WINDY, ds, ds.time.values[5], "4D", forcing="observed")
    assert ox.forecast(WINDY, ds, ds.time.values[5], "4D").zos.notnull().any()


def test_a_model_that_blows_up_is_caught(tmp_path: Path) -> None:
    """No store with holes in the sea: the first bad date and lead are named."""
    ds = toy_dataset.ocean(20)

    def exploding(state: State, forcing: Forcing) -> State:
        return State({"zos": (state["zos"].abs() + 2.0) ** 40})

    model = Model("exploding", exploding, task=Task(prognostic=TASK.prognostic))
    with pytest.raises(InputError, match=r"zos: the model's sea is no longer a number [123] days .* after 2001-12-06"):
        ox.forecast(model, ds, ds.time.values[5:7], "9D", to=tmp_path / "fc.zarr")
    assert not (tmp_path / "fc.zarr").exists()


def test_another_grid_is_refused(ocean: xr.Dataset) -> None:
    model = Model("elsewhere", add_wind, task=TASK, grid=ocean.coords.to_dataset())
    moved = ocean.assign_coords(longitude=ocean.longitude + 1.0)
    with pytest.raises(InputError, match="longitude"):
        ox.forecast(model, moved, "2001-02-01", "2D")


class TestReferences:
    """Persistence, damped persistence and climatology against their closed forms."""

    def test_damped_persistence_of_an_ar1_process(self) -> None:
        """x(t+1) = φ x(t) + e has r(k) = φ^k: 4000 days give it within the sampling error 3 √((1+φ²)/(1−φ²)/n)."""
        phi, days = 0.8, 4000
        rng = np.random.default_rng(1)
        noise = rng.standard_normal((days, 10, 12))
        for t in range(1, days):
            noise[t] = phi * noise[t - 1] + np.sqrt(1 - phi**2) * noise[t]
        ds = toy_dataset.ocean(2).isel(time=0, drop=True)[["zos"]].drop_vars("zos")
        ds = ds.assign_coords(
            time=pd.date_range("1990-01-01", periods=days), mask=toy_dataset.ocean(2).mask.isel(depth=0)
        )
        ds["zos"] = (("time", "latitude", "longitude"), noise.astype("float32"), toy_dataset.ocean(2).zos.attrs)
        model = ox.damped_persistence(ds, lead="5D", harmonics=1)
        tolerance = 3 * np.sqrt((1 + phi**2) / (1 - phi**2) / days)
        shrunk = np.cumprod(model.damping.zos_damping.mean(("latitude", "longitude")).values)
        np.testing.assert_allclose(shrunk, phi ** np.arange(1, 6), atol=tolerance)

    def test_damped_forecast_is_climatology_plus_r_times_anomaly(self, ocean: xr.Dataset) -> None:
        train = ocean.sel(time="2001")
        model, mean = ox.damped_persistence(train, lead="4D"), ox.climatology(train)
        start = "2002-01-20"
        fc, clim = (ox.forecast(m, ocean, start, "4D") for m in (model, mean))
        r = model.damping.thetao_damping.cumprod("lead_time").values
        from oceanx.ocean.climatology import at

        anomaly = ocean.thetao.sel(time=start) - at(mean.climatology, np.array([start], "M8[ns]")).thetao.isel(time=0)
        expected = clim.thetao.isel(init_time=0).values + r * anomaly.values
        np.testing.assert_allclose(fc.thetao.isel(init_time=0).values, expected, atol=2e-5)
        with pytest.raises(InputError, match="fitted up to 4 days"):
            ox.forecast(model, ocean, start, "5D")

    def test_climatology_forecast_knows_only_the_date(self, ocean: xr.Dataset) -> None:
        model = ox.climatology(ocean.sel(time="2001"))
        a = ox.forecast(model, ocean, "2002-01-20", "5D")
        b = ox.forecast(model, ocean, "2002-01-22", "3D")
        np.testing.assert_allclose(a.thetao[0, 4], b.thetao[0, 2], atol=1e-5)


def test_trained_model_forecasts_and_untrained_is_its_physics(small, ocean: xr.Dataset, tmp_path: Path) -> None:
    run = ox.train(small, ocean, tmp_path / "run")
    model = ox.load(run)
    fc = ox.forecast(model, ocean, "2002-04-10", "30D", forcing="observed")
    labels.check(fc)
    assert fc.attrs["oceanx_config"] == run.about["config"]
    assert float(abs(fc.thetao).max()) < 100
    with torch.no_grad():
        for parameter in model.step.network.net.head.parameters():
            parameter.zero_()
    a, b = (ox.forecast(model, ds, "2002-04-10", "2D") for ds in (ocean, ocean.assign(u10=ocean.u10 * 0)))
    xr.testing.assert_equal(a.thetao, b.thetao)


@pytest.mark.parametrize("card", [False, pytest.param(True, marks=pytest.mark.skipif(NO_CARD, reason="needs a GPU"))])
def test_a_step_is_taken_where_the_weights_are_moved_and_comes_back(
    card: bool, small, ocean: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ox.train(small, ocean, tmp_path / "run")
    given = {"init_time": ["2002-04-10", "2002-04-13"], "lead": "3D", "forcing": "observed"}
    with monkeypatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: False)
        expected = ox.forecast(ox.load(run), ocean, **given)
    if not card:  # the same way, but to the processor
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(model_module, "CARD", torch.device("cpu"))
    found = ox.forecast(ox.load(run), ocean, **given)
    for name in expected.data_vars:
        spread = float(expected[name].std())
        np.testing.assert_allclose(found[name], expected[name], atol=(1e-4 if card else 0) * spread, rtol=0)
