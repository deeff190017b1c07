"""Setting up the run folder of a learned analysis: its forecast model, its days, and what it takes from both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from oceanx import seam
from oceanx.ocean import grid as grids
from oceanx.vocabulary import files
from oceanx.vocabulary.errors import InputError

from .. import runs
from ..batching import small
from ..model import Model, refuse_without_time
from ..run_setup import fingerprint, period, versions
from ..runs import Run
from .analysis_config import AnalysisTraining
from .learned import fingerprint as fingerprint_of

_FREE = ("checkpoint_every", "keep", "log", "explodes")  # what may change when a run is gone on with


def forecaster_of(config: AnalysisTraining) -> tuple[Run, Model]:
    """The run folder and the model that steps the ocean between analyses."""
    if not config.forecaster:
        raise InputError("forecaster: say which trained run steps the ocean, forecaster=runs/hybrid")
    return Run(config.forecaster), runs.load(config.forecaster)


def resolved(config: AnalysisTraining, model: Model) -> AnalysisTraining:
    """The config with the forecaster's Task, and checked against it."""
    assert model.task is not None
    if config.task is not None and config.task != model.task:
        raise InputError(f"task: is not that of the forecaster {model.name}; leave it out, it is the forecaster's")
    return AnalysisTraining.parse(config.dump() | {"task": model.task.dump()})


def training_days(ds: xr.Dataset, config: AnalysisTraining, model: Model) -> xr.Dataset:
    """What training needs of a Dataset, over the config's days; in memory where it is small.

    Raises
    ------
    InputError
        If it lacks a variable or a day, is on another grid, or the days overlap those that are withheld.
    """
    refuse_without_time(ds)
    assert model.task is not None
    wanted = (model.task.prognostic, model.task.forcing) if config.truth == "store" else (model.task.forcing,)
    for channels in wanted:
        seam.select(ds, channels)
    if model.grid is not None and "latitude" in ds.coords:
        grids.same_grid(model.grid.drop_dims("depth", errors="ignore"), ds)
    if config.train is not None:
        ds = period(ds, *config.train, what="train")
    _refuse_withheld(ds, config)
    names = [name for channels in wanted for name in channels.names]
    ds = ds[names] if names else ds[[]].assign_coords(time=ds["time"])
    if "depth" in ds.dims and config.truth == "store" and not model.task.forcing.volume:
        ds = ds.isel(depth=seam.levels(ds, model.task.prognostic.depth))
    return ds.compute() if small(ds.nbytes) else ds


def prepare(
    config: AnalysisTraining, ds: xr.Dataset, to: str | Path, forecaster: Run, model: Model, *,
    resume: bool, overwrite: bool,
) -> Run:  # fmt: skip
    """The run folder, new or (with `resume`) found to be of this config, forecaster and data."""
    run = Run(to)
    about = {**_origin(ds), "forecaster": fingerprint_of(model.step)}
    if run.exists() and resume:
        _check_same(run, config, about)
        return run
    Path(to).absolute().parent.mkdir(parents=True, exist_ok=True)
    with files.replacing(run, overwrite=overwrite) as path:
        building = Run(path)
        building.mkdir()
        config.save(building / "config.yaml")
        for name in ("grid", "statistics", "climatology"):
            known = forecaster.dataset(name)
            if known is not None:
                building.save_dataset(name, known)
        building.note(**versions(), config=fingerprint(config), **about, iteration=0, finished=False)
        runs.build(config, *runs.described(building))  # what cannot be built leaves nothing behind
    return run


def _refuse_withheld(ds: xr.Dataset, config: AnalysisTraining) -> None:
    if config.withheld is None:
        return
    begin, end = pd.Period(config.withheld[0]).start_time, pd.Period(config.withheld[1]).end_time
    days = pd.DatetimeIndex(ds["time"].values)
    touched = days[(days >= begin) & (days <= end)]
    if len(touched):
        raise InputError(
            f"train: {touched[0].date()} is withheld ({config.withheld[0]} to {config.withheld[1]}); say other days, "
            "train=[2001, 2003]"
        )


def _origin(ds: xr.Dataset) -> dict[str, Any]:
    first, last = (str(pd.Timestamp(ds["time"].values[i]).date()) for i in (0, -1))
    return {"data": str(ds.attrs.get("oceanx_fingerprint", "unknown")), "period": f"{first} to {last}"}


def _check_same(run: Run, config: AnalysisTraining, about: dict[str, Any]) -> None:
    if not (run / "config.yaml").exists():
        raise InputError(f"{run}: is not a run folder, so there is nothing to go on with; train into another one")
    known, wanted = run.config.dump(), config.dump()
    for key in wanted:
        if key not in _FREE and known.get(key) != wanted[key]:
            raise InputError(
                f"{run}: was started with {key}={known.get(key)!r}, now {wanted[key]!r}; go on with the same config, "
                "or train into another folder"
            )
    for key, now in about.items():
        if run.about.get(key) != now:
            raise InputError(f"{run}: was started on {key} {run.about.get(key)}, now {now}; go on with the same one")
