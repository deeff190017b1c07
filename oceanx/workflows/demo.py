"""The demo: from nothing to a scored forecast of an ocean, in one straight line.

Every product is complete or absent, so the demo may be interrupted anywhere and run again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr

from oceanx import heatwaves
from oceanx.data.baking import bake, load_recipe
from oceanx.data.shelf.catalog import open as open_stores
from oceanx.ocean import labels, synthetic
from oceanx.scores import score
from oceanx.vocabulary import files
from oceanx.vocabulary.errors import InputError
from oceanx.vocabulary.progress import Progress

from . import references, runs
from .demo_report import write_report
from .forecasting import forecast
from .model import Model
from .train_config import TrainConfig, preset
from .training import train

TRAINING = ("2001-01-01", "2003-12-31")
WITHHELD = ("2004-01-01", "2004-12-31")
LEAD = "10D"
STARTS = tuple(str(day.date()) for day in pd.date_range("2004-01-10", periods=12, freq="29D"))
LEVELS = (0.494025, 47.373692, 92.326073, 222.475204)
SCORED = ("thetao", "zos", "uo", "vo")


@dataclass(frozen=True)
class Demo:
    """Where everything is."""

    root: Path
    raw: Path
    ocean: Path
    atmosphere: Path
    run: Path
    forecasts: dict[str, Path]
    scores: Path
    heatwaves: Path
    report: Path


def demo(to: str | Path, *, train_minutes: float | None = None, progress: Progress | None = None) -> Demo:
    """Make an ocean, train on three years of it, forecast dates of a fourth, score them, write a report.

    Parameters
    ----------
    to
        A folder, made if it is not there.
    train_minutes
        Train for so long instead of the preset's iterations, to see how much more there is.
    """
    made = places(Path(to), train_minutes)
    say = progress or (lambda what, done, total: None)
    ds = simulated(made, say)
    config = preset("hybrid_small", train=list(TRAINING), minutes=train_minutes)
    if not (made.run / "weights.safetensors").exists():
        train(config, ds, made.run, resume=True, progress=say)
    fcs = _forecasts(made, ds, config, say)
    scores = _scores(made, ds, fcs)
    exceeded = _heatwaves(made, ds, fcs)
    write_report(made.report, ds, fcs, scores, exceeded, runs.Run(made.run))
    return made


def places(root: Path, minutes: float | None = None) -> Demo:
    """Where a demo puts what it makes; its folders are made."""
    if root.exists() and not root.is_dir():
        raise InputError(f"{root}: is a file; give the demo a folder")
    root.mkdir(parents=True, exist_ok=True)
    # Results of another training effort lie in a folder of their own.
    results = root / ("results" if minutes is None else f"results_{minutes:g}min")
    results.mkdir(exist_ok=True)
    names = (
        "hybrid",
        "untrained",
        "persistence",
        "damped_persistence",
        "climatology",
        "oracle",
        "oracle_unknown_weather",
    )
    return Demo(
        root=root,
        raw=root / "raw",
        ocean=root / "ocean.zarr",
        atmosphere=root / "atmosphere.zarr",
        run=results / "hybrid",
        forecasts={name: results / "forecasts" / f"{name}.zarr" for name in names},
        scores=results / "scores.nc",
        heatwaves=results / "heatwaves.nc",
        report=results / "report.html",
    )


def simulated(made: Demo, say: Progress = lambda what, done, total: None) -> xr.Dataset:
    """The ocean and its weather, simulated and baked where they are not there."""
    synthetic.write(
        made.raw, ocean=synthetic.Ocean(depth=LEVELS), start=TRAINING[0], end=WITHHELD[1], keep=STARTS, progress=say
    )
    jobs = (("glorys12", "glorys12", made.ocean), ("era5_daily", "era5", made.atmosphere))
    for recipe, folder, store in jobs:
        if not store.exists():
            bake(load_recipe(recipe, synthetic.CREDIT), str(made.raw / folder / "*.nc"), store, progress=say)
    return open_stores(str(made.ocean), str(made.atmosphere))


def _forecasts(made: Demo, ds: xr.Dataset, config: TrainConfig, say: Progress) -> dict[str, xr.Dataset]:
    """Forecasts of the model, of the references, and of the oracle, from the same start dates."""
    learned = ds.sel(time=slice(*TRAINING))
    task = config.task
    makers: dict[str, Callable[[], Model]] = {
        "hybrid": lambda: runs.load(made.run),
        "untrained": lambda: runs.untrained(made.run),
        "persistence": references.persistence,
        "damped_persistence": lambda: references.damped_persistence(learned, task=task, lead=LEAD),
        "climatology": lambda: references.climatology(learned, task=task),
    }
    made.forecasts["hybrid"].parent.mkdir(exist_ok=True)
    for name, maker in makers.items():
        path = made.forecasts[name]
        if not path.exists():
            forecast(maker(), ds, list(STARTS), LEAD, forcing="observed", to=path, resume=True, progress=say)
    limits: tuple[tuple[str, Literal["true", "unknown"]], ...] = (
        ("oracle", "true"),
        ("oracle_unknown_weather", "unknown"),
    )
    for name, weather in limits:
        path = made.forecasts[name]
        if not path.exists():
            days = pd.Timedelta(LEAD).days
            best = synthetic.oracle(made.raw, list(STARTS), lead=days, weather=weather, progress=say)
            with files.replacing(path) as building:
                best.to_zarr(building, zarr_format=3, consolidated=False)
    return {name: labels.open_forecast(path) for name, path in made.forecasts.items()}


def _scores(made: Demo, ds: xr.Dataset, fcs: dict[str, xr.Dataset]) -> xr.Dataset:
    """RMSE by lead and depth; the oracles' is that of infinitely many members."""
    if made.scores.exists():
        return xr.load_dataset(made.scores, decode_timedelta=True)
    result = score(fcs, ds, metrics=["rmse", "rmse_unbiased"], variables=SCORED)
    for name in SCORED:
        limit = result[f"{name}_rmse_unbiased"]
        attrs = result[f"{name}_rmse"].attrs
        result[f"{name}_rmse"] = limit.where(limit.notnull(), result[f"{name}_rmse"]).assign_attrs(attrs)
    result = result.drop_vars([f"{name}_rmse_unbiased" for name in SCORED])
    result.attrs["comment"] = "oracles: error of an infinite ensemble, MSE - spread^2/K of K = 3 members"
    with files.replacing(made.scores) as path:
        result.to_netcdf(path)
    return result


def _heatwaves(made: Demo, ds: xr.Dataset, fcs: dict[str, xr.Dataset]) -> xr.Dataset:
    """Where the heatwave threshold of the training years is exceeded: skill by lead, and the threshold itself."""
    if made.heatwaves.exists():
        return xr.load_dataset(made.heatwaves, decode_timedelta=True)
    sst = ds.thetao.isel(depth=0, drop=True)
    limits = heatwaves.threshold(sst.sel(time=slice(*TRAINING)).load(), baseline=(TRAINING[0][:4], TRAINING[1][:4]))
    skill = heatwaves.skill(fcs, sst.sel(time=slice(*WITHHELD)).load(), limits, of="exceedance")
    skill = skill.sel(category="Moderate", drop=True)
    result = xr.merge([skill, limits], combine_attrs="drop_conflicts", compat="override")
    with files.replacing(made.heatwaves) as path:
        result.to_netcdf(path)
    return result


def summary(made: Demo) -> str:
    """What the demo found, and three lines that open its forecast."""
    from oceanx.plot import table

    scores = xr.load_dataset(made.scores, decode_timedelta=True)
    surface = scores.isel(depth=0) if "depth" in scores.dims else scores
    with pd.option_context("display.width", 120, "display.float_format", lambda value: f"{value:.3g}"):
        shown = str(table(surface, variable=["thetao", "zos"]).to_string())
    seconds = runs.Run(made.run).about.get("seconds", np.nan)
    return "\n".join(
        [
            shown,
            "",
            f"report    {made.report}",
            f"forecast  {made.forecasts['hybrid']}",
            f"run       {made.run}  (trained for {seconds:.0f} s)",
            "",
            ">>> import oceanx as ox",
            f">>> fc = ox.open({str(made.forecasts['hybrid'])!r})",
            '>>> ox.plot.map(fc.thetao.sel(init_time="2004-03-08", lead_time="5D").isel(depth=0), mask=fc.mask)',
        ]
    )
