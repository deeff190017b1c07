"""`results.md` and its figures, of the scores that `results.py` has kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import assimilation_page
import numpy as np
import pandas as pd
import xarray as xr
from page import IMAGES, PAGE, markdown
from results import FAR_STARTS, NETS, SYSTEMS, without

import oceanx as ox
from oceanx.vocabulary import files

SHOWN = (1, 3, 5, 10, 20, 30)  # days
COMPARED = (1, 10, 30)  # days, where parts are missing
REFERENCES = ("persistence", "damped_persistence", "climatology", "oracle")
PLACES = {  # what is tabled: variable, level, unit, factor
    "sea surface temperature": ("thetao", 0, "°C", 1.0),
    "temperature at 92 m": ("thetao", 2, "°C", 1.0),
    "sea surface height": ("zos", None, "cm", 100.0),
    "eastward current at the surface": ("uo", 0, "cm/s", 100.0),
}
TABLES = (
    ("rmse", "Root-mean-square error", 3),
    ("acc", "Correlation of anomalies", 2),
    ("activity_ratio", "Variability: spread of the forecast's anomalies over that of the truth", 2),
)
BANDS = {"> 1000 km": (1e3, np.inf), "300–1000 km": (300, 1e3), "< 300 km": (0, 300)}
FAR_PLACES = {"thetao": ("temperature", "°C", 1.0), "zos": ("height", "cm", 100.0), "uo": ("current", "cm/s", 100.0)}
README = Path(__file__).parents[1] / "README.md"
MARK = "<!-- errors: written by docs/results.py -->"

INTRODUCTION = """\
# Results

Nothing in these tables is typed by hand. Two commands make them, the first in some hours on two cores; interrupted, it
goes on where it was:

```bash
python docs/results.py train
python docs/results.py write
```

All learn from the same three years of [the built-in ocean](physics/built_in_ocean.md), with as many windows each: 100
batches of eight of one day, 40 batches of four of two days (Ocean-E2E and NeuralOM, which learn part after part, have
50 and 60 batches more). That takes some minutes on one core. All forecast the same twelve dates of a fourth year, told
its weather: these are simulations. Emulators are named by their networks. ± is the spread over training seeds. The
oracle is the ocean's own generator, continued from the true state with the true weather: the error of infinitely many
members, which nothing can beat.

So little training says which way of building a model learns fast, not which is best when trained to the end. And the
built-in ocean is made of a model's equations: physics that suits it suits the real ocean less.

NeuralOGCM's numbers down to the section on observations are those of trainings from before its friction took from the
sea surface what it takes from currents, and before its currents settled into balance; they are yet to be made again.

![Error against lead time, relative to persistence](images/results_skill.png)
"""
PARTS = """\
## What each part is worth

How much smaller the root-mean-square error is than without a part, in %. A system's physics alone is what it is
untrained (NeuralOGCM's with trained coefficients), its network alone the same network as an emulator.
"""
SPECTRA = f"""\
## Sixty days

From {len(FAR_STARTS)} dates, with nothing that holds the forecasts back (no clipping, no smoothing). Variance of
anomalies on day 60 by wavelength, as a share of the truth's; the largest sea level and current anywhere on any day, as
multiples of the truth's largest; and the error on day 60. First training seed.

![Variance against wavelength after sixty days](images/results_spectra.png)
"""
WHY = """\
Why? Physics moves temperature (and salinity) in all hybrids. Sea level and currents are moved by it in NeuralOGCM
alone; in `hybrid`, Ocean-E2E and, sea level, in HybridOM, they are the network's own, which has to learn them beside
what physics leaves of temperature. Ocean-E2E's network of currents learns for 100 batches, of single days. NeuralOM
has no physics; its second stage learns for 60 batches and finds little to mend. Far ahead, a forecast that keeps the
full variability of eddies whose places it has lost is up to √2 times as wrong as climatology, to which damped
persistence fades: nothing here was trained on more than two days together.
"""
Scores = dict[str, list[xr.Dataset]]


def write(to: Path) -> None:
    """The page and its figures, of the scores that are there."""
    found = scores_in(to / "scores")
    far = {path.stem: xr.load_dataset(path, decode_timedelta=True) for path in sorted((to / "far").glob("*.nc"))}
    whole = {name: found[name] for name in [*SYSTEMS, *NETS, *REFERENCES] if name in found}
    curves(whole)
    spectra(far)
    parts = [INTRODUCTION, PARTS, *comparison(found), SPECTRA, *sixty_days(far)]
    for metric, title, digits in TABLES:
        parts += [f"## {title}", ""]
        for place, (variable, level, unit, factor) in PLACES.items():
            error = metric == "rmse"
            rows = {
                name: [_at(each[f"{variable}_{metric}"], level, SHOWN) * (factor if error else 1) for each in several]
                for name, several in whole.items()
                if f"{variable}_{metric}" in several[0] and _has(several[0][f"{variable}_{metric}"], level)
            }
            head = f"{place} ({unit})" if error else place
            parts += by_lead(head, rows, metric, 2 if error and factor > 1 else digits)
    parts.append(assimilation_page.kept())
    with files.replacing(PAGE, overwrite=True) as path:
        path.write_text("\n".join(parts))
    before, _, after = README.read_text().partition(f"{MARK}\n\n")
    rest = after.split("\n\n", 1)[1]
    README.write_text("\n".join([before + MARK, "", *summary(whole), rest]))


def summary(whole: Scores) -> list[str]:
    """Errors of surface temperature of the systems, of the best emulator and of the references, for the README."""
    shown = [name for name in [*SYSTEMS, *best_nets(whole)[:1], *REFERENCES] if name in whole]
    rows = []
    for name in shown:
        errors = np.mean([_at(each["thetao_rmse"], 0, SHOWN) for each in whole[name]], 0)
        kind = " (network alone)" if name in NETS else ""
        rows.append([_words(name) + kind, *(f"{error:.3f}" for error in errors)])
    return markdown(["", *(f"{day} d" for day in SHOWN)], rows)


def best_nets(whole: Scores) -> list[str]:
    """The emulators, the one with the least error of surface temperature after ten days first."""
    nets = [name for name in NETS if name in whole]
    return sorted(nets, key=lambda name: float(np.mean([_at(e["thetao_rmse"], 0, [10]) for e in whole[name]])))


def scores_in(folder: Path) -> Scores:
    """By name the scores of every seed."""
    found: Scores = {}
    for path in sorted(folder.glob("*.nc")):
        name, _, seed = path.stem.rpartition("_")
        scores = xr.load_dataset(path, decode_timedelta=True)
        # Of an ensemble, the error of infinitely many members.
        scores = scores.rename({n: str(n).removesuffix("_unbiased") for n in scores if str(n).endswith("_unbiased")})
        found.setdefault(name if seed.isdigit() else path.stem, []).append(scores)
    return found


def _has(scores: xr.DataArray, level: int | None) -> bool:
    return not level or ("depth" in scores.dims and scores.sizes["depth"] > level)


def _at(scores: xr.DataArray, level: int | None, days: Iterable[int]) -> np.ndarray:
    """By lead, at one level."""
    at = scores if level is None or "depth" not in scores.dims else scores.isel(depth=level)
    return at.sel(lead_time=[np.timedelta64(day, "D") for day in days]).values


def _words(name: str) -> str:
    return name.replace("_", " ")


def by_lead(title: str, rows: dict[str, list[np.ndarray]], metric: str, digits: int) -> list[str]:
    """A table with a row a system, the best after ten days first, then the references."""
    best = {"rmse": 0.0, "acc": 1.0, "activity_ratio": 1.0}[metric]
    learned = [name for name in rows if name not in REFERENCES]
    learned.sort(key=lambda name: abs(np.mean(rows[name], 0)[SHOWN.index(10)] - best))
    lines = []
    for name in [*learned, *(name for name in REFERENCES if name in rows)]:
        cells = [f"{value:.{digits}f}" if np.isfinite(value) else "–" for value in np.mean(rows[name], 0)]
        if len(rows[name]) > 1:
            spread = np.std(rows[name], 0, ddof=1)
            cells = [f"{cell} ± {wide:.{digits}f}" for cell, wide in zip(cells, spread, strict=True)]
        lines.append([_words(name), *cells])
    return markdown([title, *(f"{day} d" for day in SHOWN)], lines)


def partners(name: str) -> dict[str, str]:
    """What a system is held against: by the words for it, its name among the scores."""
    kinds = {part: f"{name}_{part.replace(' ', '_')}" for part in without(name)}
    if "its physics alone" not in kinds and name != "neuralom":
        kinds = {"its physics alone": f"{name}_untrained"} | kinds
    if name == "hybrid":
        kinds["its network alone"] = "unet"
    return kinds | {_words(reference): reference for reference in REFERENCES[:2]}


def comparison(found: Scores) -> list[str]:
    """The table of what each part is worth, and a list of where it is worth nothing."""
    rows, behind = [], []
    for name in (name for name in SYSTEMS if name in found):
        for words, other in partners(name).items():
            cells = []
            for place, (variable, level, *_) in PLACES.items():
                if other not in found or not _has(found[name][0][f"{variable}_rmse"], level):
                    cells.append("–")
                    continue
                mine, others = (_mean_error(found[each], variable, level) for each in (name, other))
                better = 100 * (1 - mine / others)
                better = np.round(better) + 0.0  # no -0
                cells.append(" / ".join(f"{value:.0f}" for value in better))
                worse = [day for day, value in zip(COMPARED, better, strict=True) if value < 0]
                if worse:
                    days = ", ".join(map(str, worse))
                    behind.append(f"- {_words(name)}, {place}: behind {words} on day {days}")
            rows.append([f"{_words(name)} against {words}", *cells])
    head = f"after {', '.join(map(str, COMPARED[:-1]))} and {COMPARED[-1]} days"
    said = ["It is not better everywhere:", "", *behind, "", WHY] if behind else []
    return [*markdown([head, *PLACES], rows), *said]


def _mean_error(several: list[xr.Dataset], variable: str, level: int | None) -> np.ndarray:
    return np.mean([_at(each[f"{variable}_rmse"], level, COMPARED) for each in several], 0)


def sixty_days(far: Mapping[str, xr.Dataset]) -> list[str]:
    """A row a system: variance by band; then extremes and errors."""
    last = {name: far[name].isel(lead_time=-1) for name in [*SYSTEMS, *NETS, *REFERENCES] if name in far}
    kept = [
        [_words(name), *(f"{_kept(table, variable, *band):.2f}" for variable in FAR_PLACES for band in BANDS.values())]
        for name, table in last.items()
    ]
    others = []
    for name, table in last.items():
        errors = [float(table[f"{v}_rmse"].squeeze()) * factor for v, (_, _, factor) in FAR_PLACES.items()]
        cells = [_largest(table, "zos"), _largest(table, "uo"), *errors]
        others.append([_words(name), *(f"{cell:.2f}" for cell in cells)])
    bands = [f"{word}, {band}" for word, *_ in FAR_PLACES.values() for band in BANDS]
    errors_of = [f"error of {word} ({unit})" for word, unit, _ in FAR_PLACES.values()]
    extremes = ["largest height", "largest current"]
    return [*markdown(["variance", *bands], kept), *markdown(["extremes, errors", *extremes, *errors_of], others)]


def _kept(table: xr.Dataset, variable: str, shortest: float, longest: float) -> float:
    """Variance of the wavelengths between (km), over the truth's."""
    length = 1 / table["wavenumber"]
    inside = table["bandwidth"].where((length > shortest) & (length <= longest), 0.0)
    forecast, truth = (
        float((table[f"{variable}{kind}"] * inside).sum("wavenumber").squeeze())
        for kind in ("_spectrum", "_truth_spectrum")
    )
    return forecast / truth


def _largest(table: xr.Dataset, variable: str) -> float:
    forecast, truth = (
        max(abs(float(table[f"{variable}_{kind}_{end}"])) for end in ("least", "most"))
        for kind in ("forecast", "truth")
    )
    return forecast / truth


def curves(whole: Scores) -> None:
    """Errors against lead of the systems, of the best emulator and of the references, in `results_skill.png`."""
    shown = [
        name
        for name in [*SYSTEMS, *best_nets(whole)[:1], "persistence", "damped_persistence", "oracle"]
        if name in whole
    ]
    means = [xr.concat(whole[name], "seed").mean("seed", keep_attrs=True).isel(depth=0) for name in shown]
    drawn = ox.plot.skill(_together(means, shown), variable=["thetao", "zos", "uo"], reference="persistence")
    IMAGES.mkdir(exist_ok=True)
    drawn.savefig(IMAGES / "results_skill.png", dpi=110)


def spectra(far: Mapping[str, xr.Dataset]) -> None:
    """Spectra on day 60 of the systems and two emulators, in `results_spectra.png`."""
    shown = [name for name in [*SYSTEMS, "unet", "damped_persistence"] if name in far]
    together = _together([far[name].isel(depth=0) for name in shown], shown)
    ox.plot.spectrum(together, variable=["thetao", "zos", "uo"]).savefig(IMAGES / "results_spectra.png", dpi=110)


def _together(several: list[xr.Dataset], names: list[str]) -> xr.Dataset:
    bare = [each.drop_vars(["thickness", "seed"], errors="ignore") for each in several]
    return xr.concat(
        bare, pd.Index(names, name="model"), join="outer", data_vars="all", coords="minimal", compat="override"
    )
