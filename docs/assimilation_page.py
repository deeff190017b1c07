"""The last section of `results.md`, on assimilation, and its figure, of what `results_assimilation.py` has kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib import ticker
from page import IMAGES, PAGE, markdown
from results_assimilation import DENIED, EVERY, FREE, TRUTH, TWIN, VARIABLES, WITHHELD

from oceanx.scores.cycling import lost_lead
from oceanx.vocabulary import files

PLACES = {  # what is tabled: variable, level, unit, factor
    "sea surface temperature (°C)": ("thetao", 0, 1.0),
    "at 92 m (°C)": ("thetao", 2, 1.0),
    "at 222 m (°C)": ("thetao", 3, 1.0),
    "sea surface height (cm)": ("zos", None, 100.0),
    "eastward current (cm/s)": ("uo", 0, 100.0),
}
AT_SITES = {"temperature (°C)": ("thetao", 1.0), "height (cm)": ("zos", 100.0), "current (cm/s)": ("uo", 100.0)}
LEADS = (1, 5, 10, 20, 40)  # days
SETTLED = 30  # days after which a cycle has forgotten that it began from the climatology

TITLE = "## From observations alone\n"
INTRODUCTION = f"""\
{TITLE}
The same ocean, seen by cloudy satellites of sea surface temperature, two nadir altimeters and drifting floats, with
errors; a model that learned from three other years, NeuralOGCM with its currents left to physics; and 365 daily
analyses of a fourth year, begun from the climatology. Methods are tuned on two months of the third, with a model that
has learned from the two before. One command trains what is missing, runs every cycle and writes this section:

```bash
python docs/results_assimilation.py
```

![Errors of analyses through the year](images/results_assimilation.png)

Root-mean-square errors over the whole sea from the {SETTLED + 1}st day on; ± is the spread over seeds where several are
done, of which every one has its own model, observations and analysis. `oi` is the classical one, which maps each
variable by itself with one error for all the sea; `3dvar` and `4dvar` know the errors of forecasts place by place, and
the balance of temperature, salinity, sea level and currents. 4D-Var has windows of five days, the others of one. The
identical twin observes a run of the model itself, so that the model is perfect: an upper bound that flatters.
"""
SITES = f"""\
Where nothing is assimilated, at {", ".join(f"`{each}`" for each in WITHHELD)}: the errors of the analyses at their
places and days.
"""
CONSISTENT = """\
What is stated of errors, against what departures say of them: χ²/p, the background's spread over its error at the
observations, and the diagnosed over the true error of observations (Desroziers), all 1 where statistics are right. The
last columns are the error of the last 90 days over that of days 31 to 120, of what is at the surface: above 1, a cycle
gets worse.
"""
FORECASTS = """\
### Forecasts from them

Forty days from 20 of the analyses, told the weather, beside forecasts of the same model from the truth. Errors of sea
surface temperature (°C); then how well days above the threshold of heatwaves (the 90th percentile) are foreseen, as the
critical success index (CSI) and the share of them that is hit; and how many days of lead are lost by not knowing the
true state, between five and ten days ahead.
"""
DENIAL = """\
### What each platform is worth

The learned analysis without one of them: how much larger its errors become, in %.
"""
Several = dict[str, dict[int, xr.Dataset]]  # by name and seed


def write(folder: Path) -> None:
    """The section and its figure anew, of the scores in a folder."""
    before, _, _ = PAGE.read_text().partition(TITLE)
    with files.replacing(PAGE, overwrite=True) as path:
        path.write_text(before + "\n".join(section(folder)))


def kept() -> str:
    """The section as it stands."""
    _, title, after = PAGE.read_text().partition(TITLE)
    return title + after


def section(folder: Path) -> list[str]:
    """The lines of the section, and its figure."""
    scores = _known(folder, "scores")
    innovations, forecasts = _known(folder, "innovations"), _known(folder, "forecasts")
    _curves(scores, IMAGES / "results_assimilation.png")
    shown = [name for name in (FREE, *EVERY, TWIN) if name in scores]
    lines = [INTRODUCTION]
    lines += _table({name: [_errors(each) for each in scores[name].values()] for name in shown}, list(PLACES))
    lines += [*_ended(scores), SITES]
    lines += _table({name: [_at_sites(each) for each in scores[name].values()] for name in shown}, list(AT_SITES))
    lines += [*_learned(scores), CONSISTENT]
    used = [name for name in shown if name in innovations]
    rows = {name: [_consistency(*pair) for pair in _pairs(scores[name], innovations[name])] for name in used}
    heads = [
        "χ²/p",
        "spread/error",
        "σo of temperature",
        "σo of salinity",
        "σo of height",
        "late/early, temperature",
        "late/early, height",
        "late/early, current",
    ]
    lines += [*_table(rows, heads, "{:.2f}"), *_forecasts(forecasts), *_denied(scores)]
    return lines


def _known(folder: Path, kind: str) -> Several:
    """By name what was kept of every seed."""
    found: Several = {}
    for path in sorted(folder.glob(f"*_{kind}.nc")):
        name, _, seed = path.name.removesuffix(f"_{kind}.nc").rpartition("_")
        found.setdefault(name.replace("_", " "), {})[int(seed)] = xr.load_dataset(path, decode_timedelta=True)
    return found


def _pairs(some: dict[int, xr.Dataset], others: dict[int, xr.Dataset]) -> list[tuple[xr.Dataset, xr.Dataset]]:
    """What was done of both with the same seed."""
    return [(each, others[seed]) for seed, each in some.items() if seed in others]


def _settled(error: xr.DataArray) -> float:
    """The root mean square of errors by time, once the cycle is settled."""
    return float((error.isel(time=slice(SETTLED, None)) ** 2).mean("time") ** 0.5)


def _errors(scores: xr.Dataset) -> list[float]:
    return [factor * _settled(_level(scores[f"{name}_rmse"], level)) for name, level, factor in PLACES.values()]


def _at_sites(scores: xr.Dataset) -> list[float]:
    return [factor * _settled(scores[f"{name}_rmse_at_sites"]) for name, factor in AT_SITES.values()]


def _level(scores: xr.DataArray, level: int | None) -> xr.DataArray:
    return scores if level is None else scores.isel(depth=level)


def _consistency(scores: xr.Dataset, innovations: xr.Dataset) -> list[float]:
    late = scores.isel(time=slice(SETTLED, None))
    used = innovations.sel(role="used").isel(window=slice(1, None))  # by month
    found = [float(late["chi_squared"].mean()), float(late["spread_over_error"].mean())]
    for name in ("thetao", "so", "zos"):
        found.append(float((used[f"{name}_sigma_o"] / used[f"{name}_sigma_o_stated"]).mean()))
    late_over_early = (scores[f"{name}_late_over_early"] for name in VARIABLES)
    return [*found, *(float(each.isel(depth=0, missing_dims="ignore")) for each in late_over_early)]


def _ended(scores: Several) -> list[str]:
    """What is to be said of free runs that did not last."""
    days = [each.sizes["time"] for each in scores.get(FREE, {}).values()]
    short = [str(count) for count in days if count < 365]
    if not short:
        return []
    return [f"Of {len(days)} free runs {len(short)} left what is possible, after {', '.join(short)} days.", ""]


def _learned(scores: Several) -> list[str]:
    """The learned analysis against the best that is tuned."""
    if not {"learned", "3dvar", "letkf"} <= scores.keys():
        return []
    said = []
    for word, other in {"3D-Var": "3dvar", "LETKF": "letkf"}.items():
        ratios = {
            what: np.mean([_errors(a)[at] / _errors(b)[at] for a, b in _pairs(scores["learned"], scores[other])])
            for what, at in {"temperature": 0, "height": 3}.items()
        }
        said.append(f"{ratios['temperature']:.2f} and {ratios['height']:.2f} of the {word}'s")
    return ["The learned analysis errs at the surface, in temperature and height, by " + " and ".join(said) + ".", ""]


def _forecasts(forecasts: Several) -> list[str]:
    if TRUTH not in forecasts:
        return []
    shown = [name for name in (TRUTH, *EVERY) if name in forecasts]
    errors = {name: [_by_lead(_level(each["thetao_rmse"], 0)) for each in forecasts[name].values()] for name in shown}
    skill: dict[str, list[list[float]]] = {}
    for name in shown:
        for each, best in _pairs(forecasts[name], forecasts[TRUTH]):
            lost = lost_lead(each, best).thetao_lost_lead
            days = lost.isel(depth=0).sel(lead_time=slice("5D", "10D"))
            both = [value for lead in (5, 10) for value in (_day(each["csi"], lead), _day(each["hit_rate"], lead))]
            skill.setdefault(name, []).append([*both, float(days.mean())])
    heads = ["CSI, 5 d", "hits, 5 d", "CSI, 10 d", "hits, 10 d", "lead lost (d)"]
    return [
        FORECASTS, *_table(errors, [f"{lead} d" for lead in LEADS]), *_table(skill, heads, "{:.2f}"),
    ]  # fmt: skip


def _by_lead(scores: xr.DataArray) -> list[float]:
    return [_day(scores, lead) for lead in LEADS]


def _day(scores: xr.DataArray, lead: int) -> float:
    return float(scores.sel(lead_time=np.timedelta64(lead, "D")))


def _denied(scores: Several) -> list[str]:
    rows = {}
    for name in DENIED:
        pairs = _pairs(scores.get(f"learned without {name}", {}), scores.get("learned", {}))
        if pairs:
            rows[f"without {name}"] = [
                [100 * (a / b - 1) for a, b in zip(_errors(less), _errors(whole), strict=True)] for less, whole in pairs
            ]
    heads = [head.split(" (")[0] for head in PLACES]
    return [DENIAL, *_table(rows, heads, "{:z.0f}")] if rows else []


def _table(rows: Mapping[str, list[list[float]]], heads: Iterable[str], form: str = "") -> list[str]:
    """The mean over seeds and, of several, their spread."""
    write: Callable[[float], str] = form.format if form else _digits
    lines = []
    for name, several in rows.items():
        cells = [write(value) if np.isfinite(value) else "–" for value in np.mean(several, 0)]
        if len(several) > 1:
            wide = np.std(several, 0, ddof=1)
            cells = [f"{cell} ± {write(by)}" if cell != "–" else cell for cell, by in zip(cells, wide, strict=True)]
        lines.append([name, *cells])
    return markdown(["", *heads], lines)


def _digits(value: float) -> str:
    return f"{value:.3f}" if value < 1 else f"{value:.2f}"


def _curves(scores: Several, path: Path) -> None:
    """Errors of surface temperature and height through the year, of every method."""
    figure, axes = plt.subplots(2, 1, figsize=(8, 6), sharex=True, layout="constrained")
    for ax, (name, level, factor, label) in zip(
        axes,
        [("thetao", 0, 1.0, "surface temperature (°C)"), ("zos", None, 100.0, "surface height (cm)")],
        strict=True,
    ):
        for method in (name for name in (FREE, *EVERY) if name in scores):
            errors = [_level(each[f"{name}_rmse"], level) for each in scores[method].values()]
            several = xr.concat(errors, "seed", join="outer")
            mean = factor * several.mean("seed")
            style = {"color": "0.6", "linestyle": "--"} if method == FREE else {}
            ax.plot(mean["time"], mean.rolling(time=7, center=True, min_periods=1).mean(), label=method, **style)
        ax.set(ylabel=f"error of {label}", yscale="log")
        ax.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
        ax.yaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
        ax.yaxis.set_minor_formatter(ticker.NullFormatter())
        ax.grid(alpha=0.3)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=4, frameon=False)
    figure.savefig(path, dpi=110)
    plt.close(figure)
