"""Train every small system on the built-in ocean, forecast and score it, and write `results.md`.

    python docs/results.py train [--to runs/results] [--seeds 0 1 2] [--systems hybrid unet …]
    python docs/results.py write [--to runs/results]

What is trained, forecast or scored already is not done again, so an interrupted run goes on where it was, and systems
may be added one by one. `write` makes the page and its figure of what is there.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

import oceanx as ox
from oceanx.ocean import synthetic
from oceanx.vocabulary import files
from oceanx.workflows import demo, references, runs
from oceanx.workflows.model import Model
from oceanx.workflows.train_config import TrainConfig

LEAD, SHOWN = "30D", (1, 3, 5, 10, 20, 30)  # days
PLACES = {  # what is tabled: variable, level, unit, factor
    "sea surface temperature": ("thetao", 0, "°C", 1.0),
    "temperature at 92 m": ("thetao", 2, "°C", 1.0),
    "sea surface height": ("zos", None, "cm", 100.0),
    "eastward current at the surface": ("uo", 0, "cm/s", 100.0),
}
METRICS = ("rmse", "acc", "activity_ratio")
TABLES = (
    ("rmse", "Root-mean-square error", 3),
    ("acc", "Correlation of anomalies", 2),
    ("activity_ratio", "Variability: spread of the forecast's anomalies over that of the truth", 2),
)
REFERENCES = ("persistence", "damped_persistence", "climatology", "oracle")
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
INTRODUCTION = """\
# Results

Nothing on this page is typed by hand. Two commands make it, the first in some hours on two cores; interrupted, it goes
on where it was:

```bash
python docs/results.py train
python docs/results.py write
```

All learn from the same three years of [the built-in ocean](physics/built_in_ocean.md), and forecast the same twelve
dates of a fourth year, told its weather: these are simulations. The emulators, named by their networks, see as many
windows each. *Untrained* is a hybrid's physics alone. ± is the spread over training seeds. The oracle is the ocean's
own generator, continued from the true state with the true weather: the error of infinitely many members, which nothing
can beat.

![Error against lead time, relative to persistence](images/results_skill.png)
"""
_USUAL: dict[Path, Model] = {}
PAGE, IMAGES = Path(__file__).with_name("results.md"), Path(__file__).with_name("images")


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("verb", choices=("train", "write"))
    parse.add_argument("--to", type=Path, default=Path("runs/results"))
    parse.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parse.add_argument("--systems", nargs="+", default=[*SYSTEMS, *NETS], choices=[*SYSTEMS, *NETS])
    given = parse.parse_args()
    if given.verb == "write":
        write(given.to)
        return
    ds = ocean(given.to)
    reference(given.to, ds)
    for seed in given.seeds:
        for name in given.systems:
            began = time.perf_counter()
            trained(given.to, ds, name, seed)
            print(f"{name}, seed {seed}: {time.perf_counter() - began:.0f} s", flush=True)


def ocean(to: Path) -> xr.Dataset:
    """The built-in ocean of the demo and its atmosphere, made and baked where they are not."""
    root = to / "ocean"
    root.mkdir(parents=True, exist_ok=True)
    made = demo.places(root)
    synthetic.write(
        made.raw,
        ocean=synthetic.Ocean(depth=demo.LEVELS),
        start=demo.TRAINING[0],
        end=demo.WITHHELD[1],
        keep=demo.STARTS,
    )
    demo.bake_raw(made, lambda what, done, total: None)
    return ox.open(str(made.ocean), str(made.atmosphere))


def config_of(name: str, seed: int) -> TrainConfig:
    """What trains a system: its preset, or the emulator's with another network."""
    changes = {} if name in SYSTEMS else {"model.net": NETS[name]}
    return ox.preset(SYSTEMS.get(name, "emulator_small"), train=list(demo.TRAINING), seed=seed, **changes)


def trained(to: Path, ds: xr.Dataset, name: str, seed: int) -> None:
    """The scores of one training of one system and, of a hybrid, of its physics alone: what is untrained."""
    run = to / "runs" / f"{name}_{seed}"
    if not (run / "weights.safetensors").exists():
        run.parent.mkdir(exist_ok=True)
        ox.train(config_of(name, seed), ds, run, resume=True)
    _scored(to, ds, f"{name}_{seed}", lambda: runs.load(run))
    if name in SYSTEMS and seed == 0:
        _scored(to, ds, f"{name}_untrained", lambda: runs.untrained(run))


def reference(to: Path, ds: xr.Dataset) -> None:
    """The scores of what needs no training: persistence, damped and not, climatology, and the best attainable."""
    learned, task = ds.sel(time=slice(*demo.TRAINING)), ox.preset("emulator_small").task
    _scored(to, ds, "persistence", references.persistence)
    _scored(to, ds, "climatology", lambda: usual(to, ds))
    _scored(to, ds, "damped_persistence", lambda: references.damped_persistence(learned, task=task, lead=LEAD))
    if not (to / "scores" / "oracle.nc").exists():
        best = synthetic.oracle(demo.places(to / "ocean").raw, list(demo.STARTS), lead=pd.Timedelta(LEAD).days)
        _keep(to, "oracle", _scores(to, ds, best, ("rmse_unbiased", "acc", "activity_ratio")))


def _scored(to: Path, ds: xr.Dataset, name: str, model: Callable[[], Model]) -> None:
    if not (to / "scores" / f"{name}.nc").exists():
        fc = ox.forecast(model(), ds, list(demo.STARTS), LEAD, forcing="observed")
        _keep(to, name, _scores(to, ds, fc, METRICS))


def _scores(to: Path, ds: xr.Dataset, fc: xr.Dataset, metrics: Sequence[str]) -> xr.Dataset:
    names = list(dict.fromkeys(name for name, *_ in PLACES.values() if name in fc))
    return ox.score(fc, ds, climatology=usual(to, ds), metrics=metrics, variables=names)


def usual(to: Path, ds: xr.Dataset) -> Model:
    """The climatology of the training years, fitted once."""
    if to not in _USUAL:
        _USUAL[to] = references.climatology(ds.sel(time=slice(*demo.TRAINING)), task=ox.preset("emulator_small").task)
    return _USUAL[to]


def _keep(to: Path, name: str, scores: xr.Dataset) -> None:
    path = to / "scores" / f"{name}.nc"
    path.parent.mkdir(exist_ok=True)
    with files.replacing(path) as building:
        scores.to_netcdf(building)


def write(to: Path) -> None:
    """The page and its figure, of the scores that are there."""
    found: dict[str, list[xr.Dataset]] = {}
    for path in sorted((to / "scores").glob("*.nc")):
        name, _, seed = path.stem.rpartition("_")
        scores = xr.load_dataset(path, decode_timedelta=True)
        # Of an ensemble, the error of infinitely many members.
        scores = scores.rename({n: str(n).removesuffix("_unbiased") for n in scores if str(n).endswith("_unbiased")})
        found.setdefault(name if seed.isdigit() else path.stem, []).append(scores)
    figure({name: xr.concat(several, "seed").mean("seed", keep_attrs=True) for name, several in found.items()})
    parts = [INTRODUCTION]
    for metric, title, digits in TABLES:
        parts += [f"## {title}", ""]
        for place, (variable, level, unit, factor) in PLACES.items():
            error = metric == "rmse"
            rows = {
                name: [_at(scores[f"{variable}_{metric}"], level) * (factor if error else 1.0) for scores in several]
                for name, several in found.items()
                if f"{variable}_{metric}" in several[0]
            }
            parts += table(f"{place} ({unit})" if error else place, rows, metric, 2 if error and factor > 1 else digits)
    with files.replacing(PAGE, overwrite=True) as path:
        path.write_text("\n".join(parts))


def _at(scores: xr.DataArray, level: int | None) -> np.ndarray:
    """By lead (days, `SHOWN`), at one level."""
    at = scores if level is None or "depth" not in scores.dims else scores.isel(depth=level)
    return at.sel(lead_time=[np.timedelta64(day, "D") for day in SHOWN]).values


def table(title: str, rows: dict[str, list[np.ndarray]], metric: str, digits: int) -> list[str]:
    """Markdown: a row a system, the best after ten days first, then the references."""
    lines = [f"| {title} | " + " | ".join(f"{day} d" for day in SHOWN) + " |", "|---" * (len(SHOWN) + 1) + "|"]
    best = {"rmse": 0.0, "acc": 1.0, "activity_ratio": 1.0}[metric]
    learned = [name for name in rows if name not in REFERENCES]
    learned.sort(key=lambda name: abs(np.mean(rows[name], 0)[SHOWN.index(10)] - best))
    for name in [*learned, *(name for name in REFERENCES if name in rows)]:
        cells = [f"{value:.{digits}f}" if np.isfinite(value) else "–" for value in np.mean(rows[name], 0)]
        if len(rows[name]) > 1:
            spread = np.std(rows[name], 0, ddof=1)
            cells = [f"{cell} ± {wide:.{digits}f}" for cell, wide in zip(cells, spread, strict=True)]
        lines.append(f"| {name.replace('_', ' ')} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def figure(means: dict[str, xr.Dataset]) -> None:
    """Curves of error against lead, of what learned and of the references."""
    shown = {name: scores for name, scores in means.items() if "untrained" not in name and name != "climatology"}
    bare = [scores.drop_vars(["thickness", "seed"], errors="ignore") for scores in shown.values()]
    together = xr.concat(bare, pd.Index(list(shown), name="model"), join="outer", data_vars="all", coords="minimal")
    drawn = ox.plot.skill(together.isel(depth=0), variable=["thetao", "zos", "uo"], reference="persistence")
    IMAGES.mkdir(exist_ok=True)
    drawn.savefig(IMAGES / "results_skill.png", dpi=110)


if __name__ == "__main__":
    main()
