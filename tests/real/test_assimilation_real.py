"""Real oceans observed and analysed: what the methods reach is what plain numpy reaches with the same numbers."""

from __future__ import annotations

import netCDF4
import numpy as np
import pandas as pd
import pytest

import oceanx as ox
import oceanx.data as data
from oceanx.ocean.observing.thinning import superobservations
from oceanx.workflows.assimilation.background_errors import background_errors
from oceanx.workflows.assimilation.mapping import map_observations

pytestmark = pytest.mark.real

TASMAN = "mhw/oisst_tasman16_19820101-20101231.nc"
MED = "obs/dt_med_allsat_phy_l4_20050401-20050531.nc"
DROPPED = 30  # days, in which the filters begin
SIGMA = 0.3


@pytest.fixture
def temperature(real) -> tuple[np.ndarray, pd.DatetimeIndex]:
    """Temperature (day, wet cell) by netCDF4 and numpy alone, and its days."""
    with netCDF4.Dataset(real(TASMAN)) as nc:
        x = np.ma.filled(np.ma.asarray(nc["sst"][...]).astype("f8"), np.nan).reshape(10592, -1)
    return x[:, np.isfinite(x).all(0)], pd.date_range("1982-01-01", periods=len(x))


def anomalies(x: np.ndarray, days: pd.DatetimeIndex, phase: np.ndarray) -> dict[str, np.ndarray]:
    """Anomalies of training and test from three harmonics of this phase, fitted in training."""
    train = np.asarray(days.year <= 2003)
    waves = [f(2 * np.pi * k * phase) for k in (1, 2, 3) for f in (np.cos, np.sin)]
    basis = np.stack([np.ones(len(x)), *waves], axis=1)
    a = x - basis @ np.linalg.lstsq(basis[train], x[train], rcond=None)[0]
    return {"train": a[train], "test": a[~train]}


def draws(count: int, seed: int, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Which cells are seen (day, k), and the errors there."""
    rng = np.random.default_rng(seed)
    cells = np.stack([rng.choice(shape[1], count, replace=False) for _ in range(shape[0])])
    return cells, SIGMA * rng.standard_normal(cells.shape)


def rms(error: np.ndarray, where: np.ndarray | slice = slice(None)) -> float:
    return float(np.sqrt((error[where] ** 2).mean()))


def hidden(cells: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Whether a cell is not seen on a day, from the 31st day on."""
    found = np.ones(shape, bool)
    np.put_along_axis(found, cells, values=False, axis=1)
    found[:DROPPED] = False
    return found


def interpolated(a: dict[str, np.ndarray], cells: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Optimal interpolation about the climatology, with the sample covariance of anomalies."""
    b, truth = np.cov(a["train"].T), a["test"]
    found = np.zeros_like(truth)
    for day, (i, e) in enumerate(zip(cells, errors, strict=True)):
        inner = b[np.ix_(i, i)] + SIGMA**2 * np.eye(len(i))
        found[day] = b[:, i] @ np.linalg.solve(inner, truth[day, i] + e)
    return found


def persistence(train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Damped persistence of each cell from one day to the next, and the covariance of what it leaves."""
    phi = (train[1:] * train[:-1]).sum(0) / np.sqrt((train[1:] ** 2).sum(0) * (train[:-1] ** 2).sum(0))
    return phi, np.cov((train[1:] - phi * train[:-1]).T)


def filtered(a: dict[str, np.ndarray], cells: np.ndarray, errors: np.ndarray) -> tuple[np.ndarray, float]:
    """The Kalman filter on damped persistence, and its χ²/p."""
    truth, p = a["test"], np.cov(a["train"].T)
    phi, q = persistence(a["train"])
    x, found, chi = np.zeros(truth.shape[1]), np.zeros_like(truth), []
    for day, (i, e) in enumerate(zip(cells, errors, strict=True)):
        d = truth[day, i] + e - x[i]
        inner = p[np.ix_(i, i)] + SIGMA**2 * np.eye(len(i))
        gain = np.linalg.solve(inner, p[i]).T
        chi.append(d @ np.linalg.solve(inner, d) / len(i))
        x, p = x + gain @ d, p - gain @ p[i]
        found[day] = x
        x, p = phi * x, phi[:, None] * p * phi + q
    return found, float(np.mean(chi))


@pytest.mark.parametrize(("count", "oi", "kalman"), [(22, 0.398, 0.287), (54, 0.270, 0.212)])
def test_what_a_tenth_and_a_quarter_of_all_cells_tell_of_the_others(
    temperature, count: int, oi: float, kalman: float
) -> None:
    """Known beforehand: errors at the cells that no observation was of, to 2 %."""
    x, days = temperature
    a = anomalies(x, days, (np.asarray(days.day_of_year) - 1) / 365.25)
    truth = a["test"]
    cells, errors = draws(count, 0, truth.shape)
    where = hidden(cells, truth.shape)
    assert rms(truth, where) == pytest.approx(0.971, rel=0.02)
    assert rms(interpolated(a, cells, errors) - truth, where) == pytest.approx(oi, rel=0.02)
    found, chi = filtered(a, cells, errors)
    assert rms(found - truth, where) == pytest.approx(kalman, rel=0.02)
    assert chi == pytest.approx(0.99, abs=0.02)
    if count == 22:
        phi, _ = persistence(a["train"])
        for start, expected in ((found, (0.386, 0.537, 0.610, 0.715)), (truth, (0.268, 0.495, 0.586, 0.705))):
            for lead, error in zip((1, 3, 5, 10), expected, strict=True):
                forecast = phi**lead * start[DROPPED:-lead] - truth[DROPPED + lead :]
                assert rms(forecast) == pytest.approx(error, rel=0.02)


def test_the_methods_give_what_numpy_gives(real, tmp_path, temperature) -> None:
    """Two months of the same observations, about a season whose year has 366 days: equal but for single precision."""
    x, days = temperature
    leap = pd.to_datetime("2000-" + days.strftime("%m-%d"))
    a = anomalies(x, days, (np.asarray(leap.day_of_year) - 1) / 366)
    ds = data.bake("oisst", real(TASMAN), tmp_path / "oisst.zarr")
    train, months = ds.sel(time=slice("1982", "2003")), slice("2004-01-01", "2004-02-29", "1D")
    obs = ox.observe(ds, {"kind": "cells", "number": 22}, time="2004-01-01:2004-02-29", seed=1)
    wet = np.isfinite(ds.sst.isel(time=0).values)
    at = ds.mask.copy(data=np.where(wet, wet.cumsum().reshape(wet.shape) - 1, -1))
    cells = at.sel(latitude=obs.latitude, longitude=obs.longitude % 360 if at.longitude.max() > 180 else obs.longitude,
                   method="nearest").values.reshape(60, 22)  # fmt: skip
    fields = ds.sst.sel(time=slice("2004-01-01", "2004-02-29")).values[:, wet].astype("f8")
    noise = obs.value.values.reshape(60, 22) - np.take_along_axis(fields, cells, axis=1)
    assert noise.std() == pytest.approx(SIGMA, rel=0.1)
    known = {"train": a["train"], "test": a["test"][:60]}

    model = ox.damped_persistence(train)
    every = {"count": 10000, "samples": 10000, "residuals": 10000}
    errors = background_errors(model, ds, period=slice("1982", "2003"), method="anomalies", **every)
    how = {"kind": "oi", "background": {"kind": "samples", "length": None}}
    asked = {"background": ds, "time": months, "errors": errors, "start": "climatology"}
    oi = ox.assimilate(ox.climatology(train), obs, method=how, keep=["background"], **asked)
    climate = oi.sst_background.values[:, wet]
    np.testing.assert_allclose(fields - climate, known["test"], atol=1e-4)
    np.testing.assert_allclose(oi.sst.values[:, wet] - climate, interpolated(known, cells, noise), atol=1e-3)
    kalman = ox.assimilate(model, obs, method="kalman", **asked)
    expected, chi = filtered(known, cells, noise)
    np.testing.assert_allclose(kalman.sst.values[:, wet] - climate, expected, atol=1e-3)
    assert float(kalman.chi_squared.mean()) == pytest.approx(chi, rel=1e-3)


def test_three_altimeters_map_the_mediterranean(real, tmp_path) -> None:
    """One day of them, about the mean of the two months, which is more than is known in reality."""
    ds = data.bake("duacs", real(MED), tmp_path / "med.zarr")
    tracks = ox.observe(ds, "nadir3", seed=1)
    assert tracks.sizes["obs"] / 61 == pytest.approx(1116, rel=0.03)
    assert superobservations(tracks, along=7).sizes["obs"] / 61 == pytest.approx(168, rel=0.03)
    how = {"length": 60, "time": "7D", "spread": {"zos": 0.025}, "basin": {"zos": 0.02}}
    days = ds.time.values[[31]]
    maps = map_observations(tracks, ds, days, reach="10D", covariance=how, along=7)
    truth = ds.zos.sel(time=days)
    mean, mapped = (float(np.sqrt(((field - truth) ** 2).mean())) for field in (maps.zos_background, maps.zos))
    assert mean == pytest.approx(0.0249, rel=0.2)
    assert mapped <= 0.014
    assert 0.5 < float(maps.chi_squared.mean()) < 1.5
