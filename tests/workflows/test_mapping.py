"""Maps of observations equal the formula written out; what cannot be mapped is refused in a line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from command_line import Oceanx

import oceanx as ox
from oceanx.vocabulary.constants import EARTH_RADIUS
from oceanx.vocabulary.errors import InputError
from oceanx.workflows.assimilation.mapping import map_observations

HOW = {"length": 150.0, "time": "3D", "spread": {"zos": 0.05}, "basin": {"zos": 0.02}}
DAYS = np.arange("2001-01-01", "2001-01-11", dtype="datetime64[D]").astype("datetime64[ns]")


@pytest.fixture(scope="module")
def truth() -> xr.Dataset:
    """Ten days of sea level on 6 × 7 cells, one of them land."""
    rng = np.random.default_rng(0)
    zos = rng.normal(0.3, 0.05, (10, 6, 7)).astype("f4")
    zos[:, 0, 0] = np.nan
    axes = {"time": DAYS, "latitude": np.arange(40.5, 43.5, 0.5), "longitude": np.arange(5.5, 9.0, 0.5)}
    attrs = {"units": "m", "standard_name": "sea_surface_height_above_geoid"}
    ds = xr.Dataset({"zos": (tuple(axes), zos, attrs)}, axes)
    return ox.ocean.grid.complete(ds)


@pytest.fixture(scope="module")
def obs(truth: xr.Dataset) -> xr.Dataset:
    return ox.observe(truth, {"kind": "cells", "variable": "zos", "number": 5, "error": 0.03}, seed=2)


def by_hand(truth: xr.Dataset, obs: xr.Dataset, day: int, reach: float) -> tuple[np.ndarray, int]:
    """The map of a day as formulas have it, with NumPy alone."""
    age = (obs.time.values - DAYS[day]) / np.timedelta64(1, "D") - 0.5
    near = (age >= -reach) & (age < reach)
    age, table = age[near], obs.isel(obs=np.flatnonzero(near))
    mean = truth.zos.mean("time")
    lat, lon = (np.deg2rad(x) for x in np.meshgrid(truth.latitude, truth.longitude, indexing="ij"))

    def unit(lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
        return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], -1)

    at = unit(np.deg2rad(table.latitude.values.astype(float)), np.deg2rad(table.longitude.values.astype(float)))
    cells = unit(lat, lon).reshape(-1, 3)

    def b(first: np.ndarray, second: np.ndarray, apart: np.ndarray) -> np.ndarray:
        r = EARTH_RADIUS * np.arccos(np.clip(first @ second.T, -1, 1)) / 150e3
        return (0.05**2 * np.exp(-(r**2)) + 0.02**2) * np.exp(-((apart / 3) ** 2))

    there = mean.sel(latitude=table.latitude, longitude=table.longitude, method="nearest").values
    inner = b(at, at, age[:, None] - age) + 0.03**2 * np.eye(len(age))
    weights = np.linalg.solve(inner, table.value.values - there)
    return mean.values + (b(cells, at, age) @ weights).reshape(mean.shape), len(age)


def test_a_map_is_the_formula_written_out(truth: xr.Dataset, obs: xr.Dataset, tmp_path: Path) -> None:
    maps = map_observations(obs, truth, slice("2001-01-02", "2001-01-08", "3D"), reach="4D", covariance=HOW)
    assert maps.zos.dims == ("time", "latitude", "longitude")
    for number, day in enumerate((1, 4, 7)):
        expected, used = by_hand(truth, obs, day, 4)
        np.testing.assert_allclose(maps.zos[number], expected, atol=2e-6)
        assert maps.observations_used[number] == used
    assert maps.zos.attrs["units"] == "m"
    np.testing.assert_allclose(maps.zos_background[1], truth.zos.mean("time"), atol=1e-6)
    stored = map_observations(obs, truth, maps.time.values, reach="4D", covariance=HOW, to=tmp_path / "maps.zarr")
    xr.testing.assert_equal(ox.open(str(tmp_path / "maps.zarr")).zos.compute(), stored.zos)
    np.testing.assert_array_equal(stored.zos, maps.zos)


def test_out_of_reach_the_map_is_the_mean(truth: xr.Dataset, obs: xr.Dataset) -> None:
    early = obs.isel(obs=slice(0, 5))
    maps = map_observations(early, truth, "2001-01-10", reach="2D", covariance=HOW)
    assert int(maps.observations_used[0]) == 0
    np.testing.assert_array_equal(maps.zos, maps.zos_background)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"spread": {}}, "says no spread of zos"),
        ({"length": None}, "says no length"),
        ({"spread": {"zos": 0.05, "so": 1.0}}, "so"),
    ],
)
def test_a_covariance_must_say_all(truth: xr.Dataset, obs: xr.Dataset, changes: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        map_observations(obs, truth, "2001-01-05", reach="2D", covariance=HOW | changes)


def test_what_was_not_observed_has_no_map(truth: xr.Dataset, obs: xr.Dataset) -> None:
    with pytest.raises(InputError, match="give the mean field of one of them"):
        map_observations(obs, truth.rename(zos="mlotst"), "2001-01-05", reach="2D", covariance=HOW)
    with pytest.raises(InputError, match="no day from"):
        map_observations(obs, truth, slice("2001-01-05", "2001-01-01"), reach="2D", covariance=HOW)


def test_at_a_prompt_maps_are_made_and_scored(
    truth: xr.Dataset, obs: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    oceanx: Oceanx,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    truth.to_zarr("truth.zarr", consolidated=False)
    obs.to_zarr("obs.zarr", consolidated=False)
    how = ["length=150", "time=3D", "spread.zos=0.05", "basin.zos=0.02"]
    words = ["--mean", "truth.zarr", "--days", "2001-01-02:2001-01-08:3D", "--reach", "4D", *how]
    for line in (
        ["map-observations", "obs.zarr", *words, "--to", "maps.zarr"],
        ["score-analyses", "maps.zarr", "--truth", "truth.zarr", "--sites", "obs.zarr", "--to", "scores.nc"],
    ):
        answer = oceanx(*line)
        assert answer.code == 0, answer.err
    with xr.open_dataset("scores.nc") as scores:
        assert scores.analysis.values.tolist() == ["maps_background", "maps"]
        known = ((ox.open("maps.zarr").zos - truth.zos) ** 2).weighted(truth.cell_area.where(truth.mask > 0, 0))
        rmse = np.sqrt(known.mean(("latitude", "longitude")))
        np.testing.assert_allclose(scores.zos_rmse.sel(analysis="maps"), rmse, rtol=1e-5)
    assert "zos_rmse_at_sites [m]" in answer.out
