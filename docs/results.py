"""Train every small system on the built-in ocean, forecast and score it, and write `results.md`.

    python docs/results.py train [--to runs/results] [--seeds 0 1 2] [--systems hybrid unet …]
    python docs/results.py write [--to runs/results]

What is trained, forecast or scored already is not done again, so an interrupted run goes on where it was, and systems
may be added one by one. `write` makes the page and its figures of what is there (`results_page.py`).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

import oceanx as ox
from oceanx.ocean import synthetic
from oceanx.scores import spectrum
from oceanx.vocabulary import files
from oceanx.workflows import demo, references, runs
from oceanx.workflows.model import Model
from oceanx.workflows.train_config import TrainConfig

LEAD = "30D"
FAR = "60D"  # of which spectra are taken
FAR_STARTS = demo.STARTS[:9:4]  # those whose sixty days lie in the withheld year
VARIABLES = ("thetao", "zos", "uo")  # what is scored
METRICS = ("rmse", "acc", "activity_ratio")
SYSTEMS = {  # by name the preset
    "hybrid": "hybrid_small",
    "neuralogcm": "neuralogcm_small",
    "neuralom": "neuralom_small",
    "hybridom": "hybridom_small",
    "ocean_e2e": "ocean_e2e_small",
}
NETS: dict[str, dict[str, object]] = {  # of the emulator, in sizes that train about as long as its U-Net
    "unet": {"kind": "unet"},
    "resnet": {"kind": "resnet", "widths": [24, 48], "blocks": [2, 2], "dropout": 0.0},
    "convlstm": {"kind": "convlstm", "hidden": [24, 24], "passes": 2},
    "simvp": {"kind": "simvp", "spatial": 32, "hidden": 64, "blocks": 4, "kernels": [3, 5, 7]},
    "cno": {"kind": "cno", "levels": 3, "width": 16, "latent": 32, "bottleneck": 2},
    "pastnet": {
        "kind": "pastnet",
        "width": 32,
        "units": 16,
        "code": 32,
        "codes": 128,
        "hidden": 64,
        "blocks": 4,
        "patch": 6,
        "fourier": 64,
    },
    "fourcastnet": {"kind": "afno", "patch": 2, "width": 96, "depth": 4, "blocks": 8},
    "fno": {"kind": "fno", "modes": [12, 12], "width": 32, "depth": 4, "last_width": 64},
    "vit": {"kind": "vit", "channels": 48, "halvings": 2, "width": 128, "depth": 4, "heads": 4},
    "lsm": {"kind": "lsm", "width": 24, "scales": 3, "basis": 8, "last_width": 48},
    "cirt": {"kind": "cirt", "width": 128, "depth": 4, "heads": 8},
    "graphcast": {"kind": "mesh", "level": 3, "finer": 1, "width": 64, "layers": 4, "processor": "graphcast"},
}
AT_ONCE = {  # all weights from the first, as the others are trained
    "rollout": [1, 2],
    "iterations": [100, 40],
    "batch_size": [8, 4],
    "trains": [[], []],
    "learning_rate": 2e-3,
}


def without(name: str) -> dict[str, dict[str, Any]]:
    """What a system is compared with: by name, what changes its preset so that a part of it is missing."""
    if name == "hybrid":
        return {}  # its network alone is the U-Net of the emulators
    model = ox.preset(SYSTEMS[name]).model.model_dump(mode="json")
    if name == "neuralogcm":
        return {"its network alone": {"model.physics": False}, "its physics alone": {"model.network": False}}
    if name == "neuralom":  # what was there before its second stage began to learn
        whole = ox.preset(SYSTEMS[name]).dump()
        first = {key: whole[key][:2] for key in ("rollout", "iterations", "batch_size", "trains", "learning_rate")}
        return {"its first stage alone": {"model.stages": model["stages"][:1], **first}}
    network = model["net"] if name == "hybridom" else model["forecaster"]
    return {"its network alone": {"model": {"kind": "emulator", "net": network}, **AT_ONCE}}


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("verb", choices=("train", "write"))
    parse.add_argument("--to", type=Path, default=Path("runs/results"))
    parse.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parse.add_argument("--systems", nargs="+", default=[*SYSTEMS, *NETS], choices=[*SYSTEMS, *NETS])
    given = parse.parse_args()
    if given.verb == "write":
        import results_page

        results_page.write(given.to)
        return
    work = Work(given.to)
    work.references()
    for seed in given.seeds:
        for name in given.systems:
            began = time.perf_counter()
            work.system(name, seed)
            print(f"{name}, seed {seed}: {time.perf_counter() - began:.0f} s", flush=True)


class Work:
    """What is done in one folder: `ocean/`, `runs/<name>_<seed>/`, `scores/<name>_<seed>.nc`, `far/<name>.nc`."""

    def __init__(self, to: Path):
        self.to, self.places = to, demo.places(to / "ocean")
        self.ds = demo.simulated(self.places)
        self.learned = self.ds.sel(time=slice(*demo.TRAINING))
        self.task = ox.preset("emulator_small").task
        self.usual = references.climatology(self.learned, task=self.task)

    def references(self) -> None:
        """Score what needs no training: persistence, damped and not, climatology, and the best attainable."""
        damped: list[Model] = []

        def fitted() -> Model:
            damped[:] = damped or [references.damped_persistence(self.learned, task=self.task, lead=FAR)]
            return damped[0]

        for name, model in {
            "persistence": references.persistence,
            "climatology": lambda: self.usual,
            "damped_persistence": fitted,
        }.items():
            self.scored(name, model)
            self.followed_far(name, model)
        if not self.done("scores", "oracle"):
            days = pd.Timedelta(LEAD).days
            best = synthetic.oracle(self.places.raw, list(demo.STARTS), lead=days)
            self.keep("scores", "oracle", self.scores(best, ("rmse_unbiased", "acc", "activity_ratio")))

    def system(self, name: str, seed: int) -> None:
        """Train a system, score it, and of a hybrid what lacks one of its parts."""
        if name not in SYSTEMS:
            self.trained(name, seed, "emulator_small", {"model.net": NETS[name]})
            return
        run = self.trained(name, seed, SYSTEMS[name], {})
        if seed == 0:
            self.scored(f"{name}_untrained", lambda: runs.untrained(run))
        for part, changes in without(name).items():
            self.trained(f"{name}_{part.replace(' ', '_')}", seed, SYSTEMS[name], changes)

    def trained(self, name: str, seed: int, preset: str, changes: dict[str, Any]) -> Path:
        """The run; its scores, and of the first seed what becomes of it in sixty days, are written too."""
        run = self.to / "runs" / f"{name}_{seed}"
        if not (run / "weights.safetensors").exists():
            run.parent.mkdir(exist_ok=True)
            config: TrainConfig = ox.preset(preset, train=list(demo.TRAINING), seed=seed, **changes)
            ox.train(config, self.ds, run, resume=True)
        self.scored(f"{name}_{seed}", lambda: runs.load(run))
        if seed == 0:
            self.followed_far(name, lambda: runs.load(run))
        return run

    def scored(self, name: str, model: Callable[[], Model]) -> None:
        """Write the scores of thirty days, unless they are there."""
        if not self.done("scores", name):
            fc = ox.forecast(model(), self.ds, list(demo.STARTS), LEAD, forcing="observed")
            self.keep("scores", name, self.scores(fc, METRICS))

    def scores(self, fc: xr.Dataset, metrics: Sequence[str]) -> xr.Dataset:
        names = [name for name in VARIABLES if name in fc]
        return ox.score(fc, self.ds, climatology=self.usual, metrics=metrics, variables=names, references=False)

    def followed_far(self, name: str, model: Callable[[], Model]) -> None:
        """Write the spectra of sixty days, and the extremes of forecast and truth, unless they are there."""
        if self.done("far", name):
            return
        fc = ox.forecast(model(), self.ds, list(FAR_STARTS), FAR, forcing="observed")
        fc = fc.isel(depth=[0])
        names = [name for name in VARIABLES if name in fc]
        far = spectrum(fc, self.ds, climatology=self.usual.climatology, variables=names)
        scores = ox.score(fc, self.ds, climatology=self.usual, metrics=["rmse"], variables=names, references=False)
        truth = self.ds[names].isel(depth=[0]).sel(time=fc["valid_time"])
        for kind, fields in {"forecast": fc, "truth": truth}.items():
            for variable in names:
                over = fields[variable]
                far[f"{variable}_{kind}_least"], far[f"{variable}_{kind}_most"] = over.min(), over.max()
        self.keep("far", name, xr.merge([far, scores], compat="override", join="override"))

    def done(self, folder: str, name: str) -> bool:
        return (self.to / folder / f"{name}.nc").exists()

    def keep(self, folder: str, name: str, table: xr.Dataset) -> None:
        path = self.to / folder / f"{name}.nc"
        path.parent.mkdir(exist_ok=True)
        with files.replacing(path) as building:
            table.to_netcdf(building)


if __name__ == "__main__":
    main()
