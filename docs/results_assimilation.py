"""Assimilate a year of simulated observations of the built-in ocean by every method, and keep the scores.

    python docs/results_assimilation.py [--to runs/results] [--scores FOLDER] [--seeds 0 1 2] [--methods 3dvar …]
    python docs/results_assimilation.py --tune METHOD

It makes the ocean, trains models that last for a year and analyses for them, and writes its section of `results.md`
anew. What is done already is not done again; an interrupted cycle goes on where it was. That holds for the scores in
`benchmarks/results/assimilation` too, of which the page is made: name another folder to compute them yourself. `--tune`
prints short cycles of a training year over the settings of TRIED.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import shutil
import time
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

import oceanx as ox
from oceanx.ocean import observations
from oceanx.ocean.flags import meanings
from oceanx.ocean.observing.thinning import superobservations
from oceanx.scores.cycling import analysis_scores
from oceanx.vocabulary import files
from oceanx.vocabulary.config import override
from oceanx.vocabulary.errors import InputError
from oceanx.workflows import demo
from oceanx.workflows.assimilation.background_errors import background_errors
from oceanx.workflows.model import Model

YEAR = ("2004-01-01", "2004-12-30")  # 365 analyses
TRIAL = ("2003-07-01", "2003-08-29")  # to choose settings in, with a model that has seen the years before alone
BEFORE = (demo.TRAINING[0], "2002-12-31")
NETWORK: dict[str, dict[str, Any]] = {
    "sst": {},
    "jason": {},
    "sentinel3": {},
    "saral": {},
    "argo": {},
    "mooring": {"number": 20, "variables": ["thetao", "uo", "vo"]},
    "cells": {"kind": "cells", "number": 60, "variable": "thetao", "error": 0.4},
}
ALTIMETERS = ("jason", "sentinel3", "saral")
WITHHELD = ["saral", "cells", "mooring_*", "float_*7"]  # platforms that are never assimilated
VARIABLES = ("thetao", "zos", "uo")
SPREAD = {"thetao": 1.2, "so": 2.6, "zos": 1.7, "uo": 2.0, "vo": 2.0}  # times the errors of forecasts of training years
STATIC = {"kind": "static", "spread": SPREAD, "balance": {"mixed_layer": True}}
METHODS: dict[str, dict[str, Any]] = {
    "oi": {"kind": "oi", "background": {"kind": "analytic", "spread": {"thetao": 0.3, "so": 0.05, "zos": 0.025}}},
    "3dvar": {"kind": "3dvar", "tolerance": 0.01, "background": STATIC, "variances": {"draws": 0}},
    "4dvar": {"kind": "4dvar", "loops": 1, "iterations": 12, "background": STATIC},
    "letkf": {
        "kind": "letkf",
        "members": 40,
        "localisation": {name: {"km": km, "m": np.inf} for name, km in {"thetao": 150, "so": 120, "zos": 120}.items()},
        "inflation": {"rtps": 0.2, "additive": 0.7, "samples": "samples"},
    },
}
# What a model needs to last for a year: currents that are left to physics, and rollouts until errors that grow from
# week to week are seen; a few iterations of those are enough.
FORECASTER = "neuralogcm_small"
LONGER: dict[str, Any] = {
    "rollout": [1, 2, 4, 8, 30],
    "iterations": [120, 80, 40, 20, 40],
    "batch_size": [8, 4, 2, 2, 1],
    "model.physics_alone": ["uo", "vo"],
}
LEARNED = {"learned": "analysis_small", "solver": "analysis_solver_small"}  # by method the preset
NUMBERS = ("chi_squared", "spread_over_error")  # of the analyses, kept with their scores
FREE, TWIN, TRUTH = "free run", "letkf identical twin", "truth"
EVERY = ("oi", "3dvar", "4dvar", "letkf", *LEARNED)
DENIED = {"sst": ["sst"], "altimeters": ["jason", "sentinel3"], "floats": ["float_*"]}
STARTS = [str(day.date()) for day in pd.date_range("2004-03-01", periods=20, freq="13D")]
LEAD = "40D"
SCORES = Path(__file__).parents[1] / "benchmarks/results/assimilation"
TRIED: dict[str, dict[str, list[Any]]] = {
    "oi": {"background.spread.thetao": [0.2, 0.3], "background.spread.zos": [0.02, 0.025]},
    "3dvar": {"background.spread.thetao": [1.0, 1.1, 1.2], "background.spread.so": [1.2, 2.0]},
    "4dvar": {"background.spread.thetao": [1.0, 1.5], "background.spread.zos": [1.0, 2.0]},
    "letkf": {"inflation.rtps": [0.0, 0.2, 0.4, 0.6], "inflation.additive": [0.55, 0.8]},
}


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("--to", type=Path, default=Path("runs/results"))
    parse.add_argument("--scores", type=Path, default=SCORES)
    parse.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parse.add_argument("--methods", nargs="+", default=[FREE, *EVERY], choices=[FREE, *EVERY])
    parse.add_argument("--tune", choices=list(TRIED))
    given = parse.parse_args()
    if given.tune:
        tune(Work(given.to, given.scores, given.seeds[0], training=BEFORE), given.tune)
        return
    for seed in given.seeds:
        work = Work(given.to, given.scores, seed)
        for method in given.methods:
            began = time.perf_counter()
            work.free_run() if method == FREE else work.year(method)
            print(f"{method}, seed {seed}: {time.perf_counter() - began:.0f} s", flush=True)
        work.forecasts(TRUTH, None)
    work = Work(given.to, given.scores, given.seeds[0])
    if "learned" in given.methods:
        for name, platforms in DENIED.items():
            work.year("learned", without=platforms, name=f"learned without {name}")
    if "letkf" in given.methods:
        work.identical_twin()
    import assimilation_page

    assimilation_page.write(given.scores)


class Work:
    """What is done for one seed, in `assimilation/` below the folder of the results; its scores in theirs."""

    def __init__(self, to: Path, scores: Path, seed: int, training: tuple[str, str] = demo.TRAINING):
        self.to, self.scores, self.seed, self.training = to, scores, seed, training
        self.mark = f"{seed}" if training == demo.TRAINING else f"{seed}_before_{TRIAL[0][:4]}"
        self.folder = to / "assimilation"
        for folder in (self.folder, scores):
            folder.mkdir(parents=True, exist_ok=True)

    @functools.cached_property
    def ds(self) -> xr.Dataset:
        return demo.simulated(demo.places(self.to / "ocean"))

    @functools.cached_property
    def forecaster(self) -> Path:
        return self.trained("forecaster", FORECASTER, **LONGER)

    @functools.cached_property
    def model(self) -> Model:
        return ox.load(self.forecaster)

    def trained(self, name: str, preset: str, **changes: Any) -> Path:
        """The folder of a run of this seed, trained if it is not."""
        run = self.to / "runs" / f"{name}_{self.mark}"
        if not (run / "weights.safetensors").exists():
            run.parent.mkdir(exist_ok=True)
            config = ox.preset(preset, train=list(self.training), seed=self.seed, **changes)
            ox.train(config, self.ds, run, resume=True)
        return run

    def place(self, name: str, ending: str) -> Path:
        return self.folder / f"{name.replace(' ', '_')}_{self.mark}{ending}"

    def table(self, name: str, kind: str) -> Path:
        return self.scores / f"{name.replace(' ', '_')}_{self.seed}_{kind}.nc"

    def observations(self, period: tuple[str, str], truth: xr.Dataset | None = None, name: str = "") -> xr.Dataset:
        """What is observed of the truth; altimetry as means of seven along a track."""
        path = self.place(f"observations_{name}{period[0][:4]}", ".zarr")
        if not path.exists():
            ox.observe(self.ds if truth is None else truth, NETWORK, time=slice(*period), seed=self.seed, to=path)
        table = ox.open(str(path))
        high = np.isin(
            table.platform.values, [c for c, word in meanings(table.platform.attrs).items() if word in ALTIMETERS]
        )
        tracks = superobservations(table.isel(obs=high), along=7)
        return observations.concatenate([table.isel(obs=~high), tracks])

    def errors(self) -> Path:
        """Of the background: how far forecasts of five days go astray in the training years."""
        path = self.place("errors", ".nc")
        if not path.exists():
            background_errors(
                self.model, self.ds, period=slice(*self.training), method="errors", lead="5D", residuals=100, to=path
            )
        return path

    def analyses(
        self, method: str | Mapping[str, Any], obs: xr.Dataset, period: tuple[str, str], **more: Any
    ) -> xr.Dataset:
        """The cycle of one method from climatology."""
        step = "5D" if method == METHODS["4dvar"] else "1D"
        window = slice(*period, step)
        return ox.assimilate(
            self.model, obs, background=self.ds, time=window, method=method, errors=self.errors(), start="climatology",
            seed=self.seed, **more,
        )  # fmt: skip

    def year(self, method: str, without: list[str] | None = None, name: str | None = None) -> None:
        """The year of one method: scores of its analyses, what its innovations say, and forecasts from it."""
        name = name or method
        if self.table(name, "forecasts").exists():
            return
        obs = self.observations(YEAR)
        store = self.place(name, ".zarr")
        if not store.exists():
            platforms = [*WITHHELD, *(without or [])]
            self.analyses(self.how(method), obs, YEAR, to=store, resume=True, withhold=platforms)
        an = ox.open(str(store))
        self.scored(name, an, self.ds, obs)
        keep(ox.innovations(an, obs, by=("variable",), windows="MS"), self.table(name, "innovations"))
        self.forecasts(name, an)
        shutil.rmtree(store)

    def free_run(self) -> None:
        """What the model makes of the climatology without any observation, as far as it stays finite."""
        if self.table(FREE, "scores").exists():
            return
        store = self.place(FREE, ".zarr")
        obs, building = self.observations(YEAR), files.partial(store)
        try:
            self.analyses("oi", obs.isel(obs=slice(0)), YEAR, to=store, overwrite=True)
        except InputError as error:
            print(f"{FREE}, seed {self.seed}: {error}", flush=True)
        an = xr.open_zarr(store if store.exists() else building / "store")
        an = an.isel(time=an.zos.notnull().any(("latitude", "longitude")).values)
        self.scored(FREE, an, self.ds, obs)
        for left in (store, building):
            files.remove(left)

    def scored(self, name: str, an: xr.Dataset, truth: xr.Dataset, obs: xr.Dataset) -> None:
        """Write how far analyses are from a truth, everywhere and at what was withheld, unless it is there."""
        path = self.table(name, "scores")
        if not path.exists():
            scores = analysis_scores(an, truth, variables=VARIABLES, sites=withheld(obs))
            keep(scores.merge(an[[number for number in NUMBERS if number in an]]), path)

    def how(self, method: str) -> Any:
        if method in METHODS:
            return METHODS[method]
        return self.trained(method, LEARNED[method], forecaster=str(self.forecaster), withheld=list(demo.WITHHELD))

    def forecasts(self, name: str, an: xr.Dataset | None) -> None:
        """Forty days from analyses, or from the truth: errors, and the skill in exceeding the heatwave threshold."""
        path = self.table(name, "forecasts")
        if path.exists():
            return
        start = (
            self.ds
            if an is None
            else xr.merge([an[list(self.model.task.prognostic.names)], self.forcing()], join="inner", compat="override")
        )
        fc = ox.forecast(self.model, start, STARTS, LEAD, forcing="observed")[["thetao", "zos", "uo"]]
        scores = ox.score(fc, self.ds, metrics=["rmse"], references=False)
        surface = {name: fc.thetao.isel(depth=0, drop=True)}
        sst = self.ds.thetao.isel(depth=0, drop=True)
        limits = ox.heatwaves.threshold(sst.sel(time=slice(*demo.TRAINING)).load(), baseline=("2001", "2003"))
        skill = ox.heatwaves.skill(surface, sst.sel(time=slice("2004", "2005")).load(), limits, of="exceedance")
        keep(xr.merge([scores, skill.sel(model=name, category="Moderate", drop=True)], compat="override"), path)

    def forcing(self) -> xr.Dataset:
        return self.ds[list(self.model.task.forcing.names)]

    def identical_twin(self) -> None:
        """The bound that flatters: the truth is a run of the model itself."""
        name = TWIN
        if self.table(name, "scores").exists():
            return
        path = self.place("own_run", ".zarr")
        if not path.exists():
            days = self.ds.time.sel(time=slice(*YEAR)).values
            fc = ox.forecast(self.model, self.ds, YEAR[0], f"{len(days) - 1}D", forcing="observed", analysis=True)
            own = fc.isel(init_time=0, drop=True).drop_vars(["lead_time", "valid_time"])
            own.rename(lead_time="time").assign_coords(time=days).to_zarr(path)
        truth = ox.open(str(path))
        obs = self.observations(YEAR, truth, "of_itself_")
        an = self.analyses(METHODS["letkf"], obs, YEAR, withhold=WITHHELD)
        self.scored(name, an, truth, obs)


def withheld(table: xr.Dataset) -> xr.Dataset:
    """The observations that are never assimilated."""
    names = meanings(table.platform.attrs)
    codes = [code for code, name in names.items() if any(fnmatch(name, pattern) for pattern in WITHHELD)]
    return table.isel(obs=np.isin(table.platform.values, codes))


def keep(table: xr.Dataset, path: Path) -> None:
    """Write a table of numbers with six digits, in few bytes, if it is not there."""
    if not path.exists():
        table = table.drop_dims(
            [dim for dim, size in table.sizes.items() if size == 0]
        )  # as of tests that found nothing
        numbers = {str(name): {"dtype": "float32"} for name, each in table.items() if each.dtype.kind == "f"}
        with files.replacing(path) as building:
            table.to_netcdf(building, format="NETCDF3_64BIT", encoding=numbers)


def tune(work: Work, method: str) -> None:
    """Print, for every combination of TRIED, the errors of the second half of a trial and what its innovations say."""
    obs = work.observations(TRIAL)
    words = TRIED[method]
    for values in itertools.product(*words.values()):
        settings = dict(zip(words, values, strict=True))
        began = time.perf_counter()
        an = work.analyses(override(METHODS[method], settings), obs, TRIAL, withhold=WITHHELD)
        half = an.sizes["time"] // 2
        rmse = analysis_scores(an, work.ds, variables=VARIABLES).isel(time=slice(half, None)).mean("time")
        chi = float(an.chi_squared.isel(time=slice(half, None)).mean())
        print(
            f"{settings}: sst {float(rmse.thetao_rmse[0]):.3f} °C, T(222 m) {float(rmse.thetao_rmse[-1]):.3f} °C, "
            f"zos {100 * float(rmse.zos_rmse):.2f} cm, u {100 * float(rmse.uo_rmse[0]):.2f} cm/s, χ²/p {chi:.2f}, "
            f"spread/error {float(an.spread_over_error.isel(time=slice(half, None)).mean()):.2f}, "
            f"{time.perf_counter() - began:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
