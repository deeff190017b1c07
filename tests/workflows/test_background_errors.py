"""Errors of a background: the differences meant, their spread, and lengths that are known beforehand."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch
import toy_dataset
import toy_errors
import xarray as xr

from oceanx.tensors.geometry import Geometry
from oceanx.tensors.state import State
from oceanx.variational.diffusion import Diffusion, scale
from oceanx.vocabulary.channels import Channels, Task
from oceanx.vocabulary.errors import InputError
from oceanx.workflows.assimilation import background_errors as module
from oceanx.workflows.assimilation.background_errors import background_errors, opened, setting
from oceanx.workflows.assimilation.error_moments import ErrorMoments
from oceanx.workflows.model import Model

TASK = Task(
    prognostic=Channels(volume=("thetao",), surface=("zos",), depth=toy_dataset.DEPTH),
    forcing=Channels(surface=("u10",)),
)


def add_wind(state, forcing):
    """A Step that can be followed by hand: everything grows by the wind at the end of each step."""
    return State({name: field + forcing.next["u10"] for name, field in state.items()})


WINDY = Model("windy", add_wind, task=TASK)


@pytest.fixture(scope="module")
def ds():
    return toy_dataset.ocean(30)


def by_hand(ds, name, method, steps, valid):
    """The difference valid on one day, followed by hand."""
    x, wind = ds[name].values.astype("float64"), ds.u10.values.astype("float64")

    def forecast(steps):
        return x[valid - steps] + wind[valid - steps + 1 : valid + 1].sum(0)

    return forecast(2 * steps) - forecast(steps) if method == "forecasts" else forecast(steps) - x[valid]


@pytest.mark.parametrize(
    ("method", "steps", "at_once"),
    [("forecasts", 1, 2**27), ("forecasts", 3, 2**15), ("errors", 1, 1), ("errors", 3, 2**27)],
)
def test_differences_are_those_meant(ds, method, steps, at_once, monkeypatch):
    monkeypatch.setattr(module, "AT_ONCE", at_once)
    found = background_errors(WINDY, ds, method=method, lead=f"{steps}D", samples=100)
    back = 2 * steps if method == "forecasts" else steps
    for name in ("thetao", "zos"):
        expected = np.stack([by_hand(ds, name, method, steps, day) for day in range(back, 30)])
        np.testing.assert_allclose(found[f"{name}_sample"], expected, atol=1e-5)
        np.testing.assert_allclose(found[f"{name}_std"], expected.std(0, ddof=1), rtol=1e-5)
    np.testing.assert_array_equal(found.sample_time, ds.time[back:])


def test_anomalies_are_departures_from_the_season():
    ds = toy_dataset.ocean(400)
    found = background_errors(WINDY, ds, method="anomalies", count=400, samples=400)
    x = ds.thetao.values[:, 1, 5, 3].astype("float64")
    leap = pd.DatetimeIndex("2000-" + ds.time.dt.strftime("%m-%d").values).day_of_year.values
    phase = 2 * np.pi * (leap - 1) / 366
    terms = np.stack([np.ones(400), *(f(k * phase) for k in (1, 2, 3) for f in (np.cos, np.sin))], axis=1)
    left = x - terms @ np.linalg.lstsq(terms, x, rcond=None)[0]
    np.testing.assert_allclose(found.thetao_sample[:, 1, 5, 3], left, atol=1e-4)
    assert float(found.thetao_std[1, 5, 3]) == pytest.approx(left.std(ddof=1), rel=1e-4)


def test_a_share_of_the_differences_is_taken_and_kept_evenly(ds):
    found = background_errors(WINDY, ds, count=8, samples=3, scale=2.0)
    days = np.linspace(2, 29, 8).round().astype(int)
    np.testing.assert_array_equal(found.sample_time, ds.time[days[[0, 4, 7]]])
    expected = np.stack([2 * by_hand(ds, "zos", "forecasts", 1, day) for day in days])
    np.testing.assert_allclose(found.zos_std, expected.std(0, ddof=1), rtol=1e-5)
    np.testing.assert_allclose(found.zos_sample, expected[[0, 4, 7]], atol=1e-5)


def test_residuals_are_errors_of_one_step(ds):
    found = background_errors(WINDY, ds, lead="4D", residuals=5, samples=0)
    days = np.linspace(1, 29, 5).round().astype(int)
    expected = np.stack([by_hand(ds, "thetao", "errors", 1, day) for day in days])
    np.testing.assert_allclose(found.thetao_residual, expected, atol=1e-5)
    assert "thetao_sample" not in found


def test_days_that_are_missing_take_no_part(ds):
    gone = ds.isel(time=[*range(10), *range(12, 30)])
    gone = gone.assign_attrs(missing_times=[str(ds.time.values[20])])
    dates = module.spread_dates(gone, TASK, 2, 100)
    expected = [day for day in range(30) if not {day, day - 1, day - 2} & {-2, -1, 10, 11, 20}]
    np.testing.assert_array_equal(dates, ds.time.values[expected])


def test_the_period_alone_is_looked_at(ds):
    inside = slice("2001-12-05", "2001-12-15")
    found = background_errors(WINDY, ds, period=inside)
    changed = ds.copy()
    outside = (ds.time < np.datetime64("2001-12-05")) | (ds.time > np.datetime64("2001-12-15"))
    changed["thetao"] = ds.thetao.where(~outside, 99.0)
    xr.testing.assert_identical(background_errors(WINDY, changed, period=inside), found)
    assert found.attrs["oceanx_period"] == "2001-12-07/2001-12-15"


def test_labels(ds):
    found = background_errors(WINDY, ds, samples=4)
    assert found.thetao_std.dims == ("depth", "latitude", "longitude")
    assert found.zos_std.dims == ("latitude", "longitude")
    assert found.thetao_std.units == "degrees_C"
    assert found.thetao_std.standard_name == "sea_water_potential_temperature standard_error"
    assert found.thetao_length.units == "km"
    assert found.thetao_height.units == "m"
    assert "zos_height" not in found
    assert (found.thetao_std.isnull() == (ds.mask == 0)).all()
    asked = json.loads(found.attrs["oceanx_background_errors"])
    assert asked == {"method": "forecasts", "lead": "1D", "count": 28, "scale": 1.0, "forcing": "observed"}


@pytest.mark.parametrize("name", ["errors.nc", "errors.zarr"])
def test_stored_and_read_again_they_are_the_same(ds, tmp_path, name):
    found = background_errors(WINDY, ds, samples=3, residuals=2, to=tmp_path / name)
    with opened(tmp_path / name) as again:
        xr.testing.assert_identical(again.load()[sorted(found.data_vars)], found[sorted(found.data_vars)])
    with pytest.raises(InputError, match="exists"):
        background_errors(WINDY, ds, samples=3, to=tmp_path / name)
    with pytest.raises(InputError, match="no such file"):
        opened(tmp_path / "other.nc")


def test_it_says_how_far_it_is(ds):
    said = []
    background_errors(WINDY, ds, count=6, residuals=2, progress=lambda *word: said.append(word))
    assert said[5] == ("background errors", 6, 6)
    assert said[-1] == ("errors of one step", 2, 2)


def test_a_setting_has_them_as_tensors(ds):
    found = background_errors(WINDY, ds, samples=5, residuals=2)
    made = setting(WINDY, found, torch.float64)
    assert made.channels == TASK.prognostic
    wet = torch.from_numpy(ds.mask.values) > 0
    assert torch.equal(made.spread["thetao"] > 0, wet)
    np.testing.assert_array_equal(made.spread["zos"][0].numpy(), found.zos_std.fillna(0))
    assert made.length["thetao"] == 1000 * float(found.thetao_length)
    assert made.height == {"thetao": float(found.thetao_height)}
    assert made.samples["thetao"].shape == (5, 3, 10, 12)
    assert made.samples["zos"].shape == (5, 1, 10, 12)
    assert made.residuals["zos"].shape == (2, 1, 10, 12)
    assert not made.samples["thetao"][:, ~wet].any()
    assert made.spread["thetao"].dtype == made.geometry.area.dtype == torch.float64
    assert setting(WINDY, found.drop_vars(["thetao_sample", "zos_sample"])).samples is None
    anyone = Model("any", add_wind)
    assert setting(anyone, found).channels == TASK.prognostic


def test_errors_that_do_not_fit_a_model_are_refused(ds):
    found = background_errors(WINDY, ds, samples=2)
    with pytest.raises(InputError, match="zos: no errors"):
        setting(WINDY, found.drop_vars("zos_std"))
    elsewhere = Model("windy", add_wind, task=TASK, grid=found.assign_coords(latitude=found.latitude + 1))
    with pytest.raises(InputError, match="latitude: grids differ"):
        setting(elsewhere, found)
    with pytest.raises(InputError, match="zos_length"):
        setting(WINDY, found.assign(zos_length=np.nan))
    gap = found.copy(deep=True)
    gap["thetao_std"][1, 5, 3] = np.nan
    with pytest.raises(InputError, match="thetao_std: 1 wet cells"):
        setting(WINDY, gap)


@pytest.mark.parametrize(
    ("asked", "said"),
    [({"method": "nmc"}, "forecasts"), ({"count": 1}, "count"), ({"samples": -1}, "count"), ({"scale": 0.0}, "scale"),
     ({"lead": "20D"}, "period"), ({"lead": "5h"}, "lead")],
)  # fmt: skip
def test_what_cannot_be_is_refused(ds, asked, said):
    with pytest.raises(InputError, match=said):
        background_errors(WINDY, ds, **asked)


def test_nan_in_the_sea_is_refused(ds):
    broken = ds.copy(deep=True)
    broken["thetao"][7, 1, 5, 3] = np.nan
    with pytest.raises(InputError, match="thetao"):
        background_errors(WINDY, broken, method="errors")


def draws(g, levels, length, height, steps, count=60):
    """What draws with these Daley lengths say of themselves, their spread differing from cell to cell by lot."""
    c = Diffusion(g, levels, scale(length, steps, 2), scale(height, steps, 1) if height else 0.0, steps, exact=0)
    random = torch.Generator().manual_seed(1)
    spread = 0.3 + torch.rand(g.mask.shape, generator=random, dtype=torch.float64)
    moments = ErrorMoments(g, levels)
    for field in c.root(torch.randn(count, c.size, generator=random, dtype=torch.float64)):
        moments.add((spread * field).numpy())
    return moments


@pytest.mark.parametrize(("cells", "steps"), [(4, 4), (6, 4), (6, 6)])
def test_horizontal_lengths_are_found_again(cells, steps):
    """Of 60 draws on open water, within 5 %: some 2 % is chance, 2 % the width of cells."""
    edges = torch.arange(49, dtype=torch.float64) * 1e4
    one = torch.ones(1, dtype=torch.float64)
    mask = torch.ones(1, 48, 48, dtype=torch.float64)
    g = Geometry.plane(edges, edges, one, one, mask, periodic=(True, True), dtype=torch.float64)
    assert draws(g, 1, cells * 1e4, 0.0, steps).length() == pytest.approx(cells * 1e4, rel=0.05)


def test_vertical_lengths_are_found_again():
    thick = torch.full((40,), 10.0, dtype=torch.float64)
    edges = torch.linspace(30.0, 34.0, 5, dtype=torch.float64)
    mask = torch.ones(40, 4, 4, dtype=torch.float64)
    g = Geometry(edges, edges, thick.cumsum(0) - 5, thick, mask, periodic=False, dtype=torch.float64)
    found = draws(g, 40, 1e3, 40.0, 4, count=100)  # hardly a length along the levels: columns are draws, too
    assert found.height() == pytest.approx(40.0, rel=0.05)


def test_a_spread_that_differs_from_cell_to_cell_does_not_shorten_lengths():
    g = toy_errors.geometry()
    even, uneven = ErrorMoments(g, 3), ErrorMoments(g, 3)
    for wave in np.random.default_rng(0).normal(size=40):
        even.add(np.full((3, 6, 7), wave))
        uneven.add(wave * np.linspace(1, 9, 126).reshape(3, 6, 7))
    assert uneven.length() == pytest.approx(even.length(), rel=1e-6)
    assert even.length() > 1e8  # the same everywhere
