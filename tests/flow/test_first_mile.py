"""The first mile: raw files in the providers' layouts → stores → a trained model → scored, labelled forecasts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import netCDF4
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from command_line import Oceanx

import oceanx as ox
from oceanx.ocean import labels, synthetic
from oceanx.scores import skill
from oceanx.workflows.runs import tensors
from oceanx.workflows.train_config import TrainConfig

BASIN = synthetic.Ocean(
    latitude=(25.0, 37.0), longitude=(-60.0, -48.0), resolution=1.0, depth=(0.494, 47.374), spinup=60
)
FIRST, LAST, TRAINED = "2003-01-01", "2004-02-20", ["2003-01-01", "2004-01-15"]
STARTS = ["2004-02-01", "2004-02-05", "2004-02-09"]
CONFIG = {
    "model": {"kind": "hybrid", "net": {"kind": "unet", "widths": [8, 16]}, "substeps": 2},
    "task": {
        "prognostic": {"volume": ["thetao", "uo", "vo"], "surface": ["zos"], "depth": [0.494, 47.374]},
        "forcing": {"surface": ["u10", "v10", "t2m", "ssr"]},
        "step": "1D",
        "anomalies": True,
    },
    "train": TRAINED,
    "rollout": [1],
    "iterations": [40],
    "batch_size": [8],
    "learning_rate": 3e-3,
    "warmup": 10,
    "weights": {"thetao": 4.0, "zos": 3.0},
}


@dataclass
class Mile:
    """What the verbs of Python made of the raw files."""

    raw: synthetic.Paths
    ds: xr.Dataset
    run: Path
    forecasts: dict[str, xr.Dataset]
    scores: xr.Dataset


@pytest.fixture(scope="module")
def mile(tmp_path_factory: pytest.TempPathFactory) -> Mile:
    """Everything, once, in Python."""
    root = tmp_path_factory.mktemp("python")
    raw = synthetic.write(root / "raw", ocean=BASIN, start=FIRST, end=LAST, keep=STARTS)
    ox.bake("glorys12", raw.glorys / "*.nc", root / "ocean.zarr")
    ox.bake("era5_daily", raw.era5 / "*.nc", root / "air.zarr")
    ds = ox.open(root / "ocean.zarr", root / "air.zarr")
    run = ox.train(TrainConfig.parse(CONFIG), ds, root / "hybrid")
    learnt = ds.sel(time=slice(*TRAINED))
    models = {
        "hybrid": ox.load(run),
        "persistence": ox.persistence(),
        "damped_persistence": ox.damped_persistence(learnt, lead="5D"),
        "climatology": ox.climatology(learnt),
    }
    forecasts = {
        name: ox.forecast(model, ds, STARTS, "5D", forcing="observed", to=root / f"{name}_fc.zarr")
        for name, model in models.items()
    }
    forecasts["oracle"] = synthetic.oracle(raw.root, STARTS, lead=5, weather="true", members=2)
    return Mile(raw, ds, run, forecasts, ox.score(forecasts, ds))


def test_the_stores_hold_what_the_raw_files_hold(mile: Mile) -> None:
    """Read by netCDF4 alone, a raw day is the store's day, value for value."""
    with netCDF4.Dataset(next(mile.raw.glorys.glob("*_mean_20040205_*.nc"))) as nc:
        for name in ("thetao", "so", "uo", "vo", "zos"):
            variable = nc[name]
            variable.set_auto_maskandscale(False)
            packed = variable[0]
            values = packed.astype(np.float64) * variable.scale_factor + variable.add_offset
            values[packed == variable._FillValue] = np.nan
            found = mile.ds[name].sel(time="2004-02-05").squeeze().values
            np.testing.assert_allclose(found, values, rtol=1e-6, atol=1e-6, err_msg=name)
            assert mile.ds[name].attrs["standard_name"] == variable.standard_name
    assert pd.DatetimeIndex(mile.ds.time.values).equals(pd.date_range(FIRST, LAST))


def test_every_forecast_keeps_the_contract(mile: Mile) -> None:
    for name, fc in mile.forecasts.items():
        labels.check(fc, where=name)
        assert list(fc.init_time.values) == [np.datetime64(start) for start in STARTS]
        assert list(fc.lead_time.values / np.timedelta64(1, "D")) == [1, 2, 3, 4, 5]
        np.testing.assert_array_equal(fc.latitude, mile.ds.latitude)
        assert fc.thetao.attrs["units"] == "degrees_C"
    said = mile.forecasts["hybrid"].attrs
    assert said["oceanx_model"] == "hybrid"
    assert said["oceanx_period"] == "2003-01-01 to 2004-01-15"
    assert said["oceanx_forcing"].startswith("observed (a simulation")
    assert said["oceanx_analysis_fingerprint"] == mile.ds.attrs["oceanx_fingerprint"]


def test_persistence_is_the_analysis_of_the_start_date(mile: Mile) -> None:
    fc = mile.forecasts["persistence"]
    for lead in (0, 4):
        for name in ("thetao", "zos"):
            there = mile.ds[name].sel(time=STARTS).values
            np.testing.assert_array_equal(fc[name].isel(lead_time=lead).values, there)


def test_the_score_is_the_root_mean_square_by_area(mile: Mile) -> None:
    """Against sums written out here."""
    fc, ds = mile.forecasts["hybrid"], mile.ds
    weight = (np.cos(np.deg2rad(ds.latitude)) * ds.mask.isel(depth=0)).transpose("latitude", "longitude").values
    error = fc.zos.values - ds.zos.sel(time=fc.valid_time).values
    mean = np.nansum(weight * error**2, axis=(2, 3)) / weight.sum()
    # Cell areas are exact in sin(latitude), which is cos(latitude) but for 1e-4 at 1°.
    np.testing.assert_allclose(mile.scores.zos_rmse.sel(model="hybrid"), np.sqrt(mean.mean(axis=0)), rtol=1e-4)


def test_the_oracle_is_best(mile: Mile) -> None:
    """The generator continued from its own state bounds every model, and scales their skill."""
    taken = skill(mile.scores)
    others = [model for model in mile.forecasts if model != "oracle"]
    for name in ("thetao", "zos"):
        error = mile.scores[f"{name}_rmse"]
        assert (error.sel(model="oracle") < error.sel(model=others)).all()
        assert (taken[f"{name}_skill"].sel(model="persistence") == 0).all()
        assert (taken[f"{name}_skill"].sel(model="oracle") == 1).all()
        assert (taken[f"{name}_skill"].sel(model=others) < 1).all()


def test_the_hybrid_beats_the_statistics_of_its_training_year(mile: Mile) -> None:
    """Little training on one year of a tiny basin: too little to beat persistence, enough for the other two."""
    for name in ("thetao_rmse", "zos_rmse"):
        error = mile.scores[name].sel(lead_time=slice("2D", "5D"))
        error = error.isel(depth=0) if "depth" in error.dims else error
        for reference in ("damped_persistence", "climatology"):
            assert (error.sel(model="hybrid") < error.sel(model=reference)).all(), (name, reference)


def test_the_command_line_gives_the_same_numbers(
    mile: Mile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, oceanx: Oceanx
) -> None:
    """From the same raw files, the same words at a prompt: stores, weights, forecasts and scores are equal."""
    monkeypatch.chdir(tmp_path)
    TrainConfig.parse(CONFIG).save("hybrid.yaml")
    data = ["--data", "ocean.zarr", "--data", "air.zarr"]
    dates = ["--init", "2004-02-01:2004-02-09:4D", "--lead", "5D", "--forcing", "observed"]
    commands = [
        ["bake", "glorys12", "--source", str(mile.raw.glorys / "*.nc"), "--to", "ocean.zarr"],
        ["bake", "era5_daily", "--source", str(mile.raw.era5 / "*.nc"), "--to", "air.zarr"],
        ["train", "hybrid.yaml", *data, "--to", "hybrid"],
        ["forecast", "hybrid", *data, *dates, "--to", "fc.zarr"],
        ["forecast", "persistence", *data, *dates, "--to", "ref.zarr"],
        ["score", "fc.zarr", "ref.zarr", "--truth", "ocean.zarr", "--to", "scores.nc"],
        ["check", "forecast", "fc.zarr"],
    ]
    for words in commands:
        answer = oceanx(*words)
        assert answer.code == 0, answer.err
    xr.testing.assert_identical(
        ox.open("ocean.zarr", "air.zarr").drop_attrs(deep=False).load(), mile.ds.drop_attrs(deep=False).load()
    )
    ours, theirs = tensors(Path("hybrid/weights.safetensors")), tensors(mile.run / "weights.safetensors")
    assert all(bool((ours[name] == theirs[name]).all()) for name in theirs)
    xr.testing.assert_equal(labels.open_forecast("fc.zarr").load(), mile.forecasts["hybrid"].load())
    with xr.open_dataset("scores.nc") as found:
        assert list(found.model.values) == ["hybrid", "persistence"]
        for name in ("thetao_rmse", "zos_rmse", "uo_rmse"):
            np.testing.assert_array_equal(found[name], mile.scores[name].sel(model=found.model.values))
