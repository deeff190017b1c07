"""The parts of a run's report: scores, a forecast, heatwaves, training, and how it was made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from oceanx import plot
from oceanx.plot import words
from oceanx.plot.curves import METRICS, score_units, variable_text
from oceanx.vocabulary.errors import InputError
from oceanx.vocabulary.names import VARIABLES

from . import runs
from .logs import COLUMNS
from .runs import Run

Section = plot.Heading | plot.Text | plot.Picture | plot.Table | plot.Code

DRAWN = ("rmse", "acc", "crps", "spread_skill", "spread", "activity_ratio", "bias")
LEADS = (1, 3, 5, 10, 20, 30)  # days, the columns of tables
DEPTHS = (0.0, 100.0, 500.0)  # metres, about which levels are shown
GROUPS = ("region", "season")
SHOWN = np.timedelta64(5, "D")  # the lead that is told and mapped, or the nearest
FRAMES = 30  # of an animation on the page
EVENTS = ("hit_rate", "false_alarm_ratio", "csi", "sedi", "hss", "brier")


def lead(run: Run) -> str:
    """The first words: what the run is."""
    config, about = run.config, run.about
    names = [VARIABLES[name].long_name.lower() for name in config.task.prognostic.names]
    listed = f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
    told = f"{config.model.kind.replace('_', ' ')}: a model of {listed} in steps of {_duration(config.task.step)}."
    count = about.get("iteration", 0)
    period = f" on {about['period']}" if "period" in about else ""
    how_long = f" in {_time(float(about['seconds']))}" if about.get("seconds") else ""
    trained = f" Trained for {count} iterations{period}{how_long}." if count else " Not trained yet."
    stopped = "" if about.get("finished", True) or not count else " Training is not finished."
    return told[:1].upper() + told[1:] + trained + stopped


def _duration(step: str) -> str:
    delta = pd.Timedelta(step)
    days = delta / pd.Timedelta("1D")
    return "one day" if days == 1 else f"{days:g} days" if days >= 1 else f"{delta / pd.Timedelta('1h'):g} hours"


def _time(seconds: float) -> str:
    return (
        f"{seconds:.0f} s"
        if seconds < 120
        else f"{seconds / 60:.0f} min"
        if seconds < 7200
        else f"{seconds / 3600:.1f} h"
    )


def about_scores(scores: xr.Dataset, name: str) -> Iterator[Section]:
    """Skill against lead by every metric, at the surface and below, a table, spectra and what ensembles are asked."""
    yield plot.Heading("How good are the forecasts?")
    yield from _shown(scores)
    at = _first(scores)
    there = [metric for metric in DRAWN if _with(at, metric)]
    starts = f", {scores.attrs['oceanx_starts']} start dates" if "oceanx_starts" in scores.attrs else ""
    top = at.isel(depth=0) if "depth" in at.dims else at
    if "rmse" in there:
        yield plot.Text(" ".join(_headlines(top, name)))
    for metric in there:
        what = METRICS[metric]
        shade = " The shade is the confidence of each curve." if _with(at, f"{metric}_low") else ""
        yield plot.Picture(
            plot.skill(top, metric=metric),
            f"{what} against lead time{starts}.{shade}",
            f"Curves of {what.lower()} against lead time, one to a model",
        )
    for metric in there[:1]:
        yield plot.Table(plot.table(top, _leads(top), metric), f"{METRICS[metric]} by lead; the best in bold.")
    deep = [name for name in _with(at, "rmse") if "depth" in at[f"{name}_rmse"].dims]
    if deep and at.sizes["depth"] > 1:
        below = _levels(at.isel(depth=slice(1, None)))
        yield plot.Picture(
            plot.skill(below, deep), f"RMSE below the surface{starts}.", "Curves of RMSE against lead time, by depth"
        )
    if _with(top, "truth_spectrum"):
        yield plot.Picture(
            plot.spectrum(top),
            "Variance by wavelength: below the truth, scales are lost.",
            "Spectra beside the truth's",
        )
    if _with(top, "reliability"):
        yield plot.Picture(
            plot.reliability(top), "How often what was forecast with a probability came true.", "Reliability diagram"
        )
    if _with(top, "rank_histogram"):
        yield plot.Picture(
            plot.rank_histogram(top), "The rank of the truth among the members: flat is right.", "Rank histogram"
        )


def _with(scores: xr.Dataset, metric: str) -> list[str]:
    """The variables that have a metric."""
    ending = f"_{metric}"
    return [name.removesuffix(ending) for name in map(str, scores.data_vars) if name.endswith(ending)]


def _headlines(scores: xr.Dataset, name: str) -> Iterator[str]:
    """A sentence for each variable: the run's error at five days, or about so many, and persistence's."""
    models = [str(model) for model in scores["model"].values] if "model" in scores.dims else []
    if name not in models or "persistence" not in models:
        return
    place = int(np.abs(scores["lead_time"].values - SHOWN).argmin())
    lead = words.lead_text(scores["lead_time"].values[place])
    for variable in _with(scores, "rmse"):
        score = scores[f"{variable}_rmse"].isel(lead_time=place)
        own, theirs = (float(score.sel(model=model)) for model in (name, "persistence"))
        if not theirs > 0 or not np.isfinite(own):
            continue
        units = score_units(score, variable, "rmse")
        percent = round(100 * (1 - own / theirs))
        than = f"{abs(percent)} % {'less' if percent > 0 else 'more'} than" if percent else "the same as"
        mine, other = (f"{error:#.2g}".rstrip(".") for error in (own, theirs))
        yield (
            f"{variable_text(score, variable)}: after {lead} the error is {mine} {units}, "
            f"{than} persistence ({other} {units})."
        )


def _shown(scores: xr.Dataset) -> Iterator[Section]:
    """Of which region and season scores are shown, where there are several."""
    chosen = [f"{dim} {scores[dim].values[0]}" for dim in GROUPS if dim in scores.dims]
    if chosen:
        yield plot.Text(f"Shown here: {', '.join(chosen)}.")


def _first(scores: xr.Dataset) -> xr.Dataset:
    """Scores of the first region and season, where there are several."""
    return scores.isel({dim: 0 for dim in GROUPS if dim in scores.dims})


def _levels(scores: xr.Dataset) -> xr.Dataset:
    """The levels nearest to a few depths."""
    if "depth" not in scores.dims:
        return scores
    levels = np.abs(scores["depth"].values[:, None] - np.array(DEPTHS)).argmin(axis=0)
    return scores.isel(depth=np.unique(levels))


def _leads(scores: xr.Dataset) -> list[float]:
    """Round leads that the scores have, or else some of theirs."""
    known = scores["lead_time"].values / np.timedelta64(1, "D")
    some = [float(lead) for lead in LEADS if np.isclose(known, lead).any()]
    return some or [float(known[place]) for place in np.unique(np.linspace(0, known.size - 1, 4).round().astype(int))]


def about_forecast(fc: xr.Dataset, truth: xr.Dataset | None) -> Iterator[Section]:
    """Maps of one start at one lead, beside the truth if there is one, and all leads of one variable as a film."""
    yield plot.Heading("One forecast")
    if fc.attrs.get("oceanx_forcing"):
        yield plot.Text(f"What it was told of the atmosphere to come: {fc.attrs['oceanx_forcing']}.")
    one = fc.isel(init_time=fc.sizes["init_time"] // 2)
    if "member" in one.dims:
        one = one.mean("member", keep_attrs=True)
    lead = int(np.abs(fc["lead_time"].values - SHOWN).argmin())
    names = [name for name in VARIABLES if name in fc.data_vars][:5]
    for name in names:
        top = one[name].isel(depth=0) if "depth" in one[name].dims else one[name]
        field = top.isel(lead_time=lead).load()
        mask = _mask(fc)
        what = VARIABLES[name].long_name
        if truth is not None and name in truth:
            figure = plot.triptych(_at(truth[name], field), field, mask=mask)
            yield plot.Picture(figure, f"{what}: truth, forecast and its error.", f"Three maps of {what.lower()}")
        else:
            yield plot.Picture(plot.map(field, mask=mask), f"{what}: forecast.", f"Map of {what.lower()}")
    top = one[names[0]].isel(depth=0) if "depth" in one[names[0]].dims else one[names[0]]
    if top.sizes["lead_time"] > 2:
        step = -(-top.sizes["lead_time"] // FRAMES)
        yield plot.Picture(
            plot.animation(top.isel(lead_time=slice(None, None, step)), mask=_mask(fc)),
            "The same forecast from lead to lead.",
            f"Animated map of {VARIABLES[names[0]].long_name.lower()}",
        )


def _mask(fc: xr.Dataset) -> xr.DataArray | None:
    if "mask" not in fc.coords:
        return None
    return fc["mask"].isel(depth=0) if "depth" in fc["mask"].dims else fc["mask"]


def _at(truth: xr.DataArray, field: xr.DataArray) -> xr.DataArray:
    """The truth at the date and the level of a forecast."""
    date = field["valid_time"].values
    if date not in truth["time"].values:
        raise InputError(f"truth: {truth.name} has nothing on {str(date)[:10]}; give a store that covers the forecast")
    truth = truth.sel(time=date)
    if "depth" in truth.dims:
        truth = truth.sel(depth=field["depth"], method="nearest")
        if not np.isclose(float(truth["depth"]), float(field["depth"]), rtol=0.01):
            raise InputError(f"truth: {truth.name} has no level at {float(field['depth']):g} m, which the forecast has")
    return truth.load()


def about_heatwaves(skill: xr.Dataset) -> Iterator[Section]:
    """Skill by lead and category, how early events were seen, and reliability."""
    yield plot.Heading("Marine heatwaves")
    yield from _shown(skill)
    skill = _first(skill)
    yield plot.Picture(
        plot.heatwave_skill(skill),
        "How much of the heat was forecast, how many alarms were false, and both in one number, by lead and category.",
        "Curves of skill in heatwaves against lead time",
    )
    leads = _leads(skill)
    rows = {(name, model): at for name in EVENTS if name in skill for model, at in _rows(skill[name], leads)}
    frame = pd.DataFrame(rows.values(), columns=[f"{lead:g} day{'' if lead == 1 else 's'}" for lead in leads])
    frame.index = pd.MultiIndex.from_tuples([(METRICS[name], model) for name, model in rows], names=["score", "model"])
    category = words.category_text(skill["category"][0]) if "category" in skill.dims else ""
    yield plot.Table(frame, f"{category}, by lead." if category else "By lead.")
    if "detection_lead" in skill and skill["detection_lead"].dims == ("model",):
        early = skill["detection_lead"].to_series().rename("days").rename(words.model_text).to_frame()
        yield plot.Table(early, "The longest lead at which an event was in a forecast, the mean of all events.")
    if "reliability" in skill:
        yield plot.Picture(
            plot.reliability(skill), "How often heat that was forecast with a probability came.", "Reliability diagram"
        )


def _rows(score: xr.DataArray, leads: list[float]) -> Iterator[tuple[str, np.ndarray]]:
    """The models and their values at some leads, of the first category."""
    score = score.isel(category=0) if "category" in score.dims else score
    at = score.sel(lead_time=pd.to_timedelta(leads, unit="D"), method="nearest")
    for model in at["model"].values if "model" in at.dims else ["forecast"]:
        yield words.model_text(model), (at.sel(model=model) if "model" in at.dims else at).values


def about_training(run: Run) -> Iterator[Section]:
    """Loss, validation, learned coefficients."""
    log = _table(run / "log.csv")
    if log is None:
        return
    log = log.dropna()  # a row may be cut short where its writer was killed
    yield plot.Heading("Training")
    yield plot.Picture(
        plot.losses(log),
        "The loss and the norm of its gradient at every iteration.",
        "Curves of loss and gradient norm against iterations",
    )
    errors = _table(run / "validation.csv")
    if errors is not None:
        yield plot.Picture(
            plot.validation(errors),
            "Errors of forecasts from days that training did not see.",
            "Curves of validation error against iterations",
        )
    moving = [name for name in log.columns if name not in COLUMNS and log[name].nunique() > 1]
    if moving:
        yield plot.Picture(
            plot.coefficients(log, moving[:24]),
            "Coefficients of the physics as they were learned, in SI units.",
            "Curves of learned coefficients against iterations",
        )
    yield plot.Table(_pace(log), "The pace of the training, the median of all iterations.")


def _table(path: Path) -> pd.DataFrame | None:
    """A CSV of the run, None if it has none or no row."""
    if not path.exists():
        return None
    try:
        table = pd.read_csv(path)
    except (ValueError, pd.errors.ParserError) as error:
        raise InputError(f"{path}: cannot be read as a table ({error}); train again") from None
    return table if len(table) else None


def _pace(log: pd.DataFrame) -> pd.DataFrame:
    """Samples a second, share of time spent waiting for data, memory."""
    told = {
        "samples_per_second": "Samples a second",
        "waiting": "Share of time waiting for data",
        "memory_gib": "Memory (GiB)",
    }
    rows = {text: [f"{log[name].median():.3g}"] for name, text in told.items() if name in log}
    return pd.DataFrame(rows.values(), index=pd.Index(rows, name=""), columns=["median"])


def about_making(run: Run, scores: xr.Dataset | None, fc: xr.Dataset | None) -> Iterator[Section]:
    """Versions, data, what scores and forecast say of themselves, the config, and how to use the run."""
    yield plot.Heading("How it was made")
    facts = _facts(run.about, "Run")
    if (run / "weights.safetensors").exists():
        count = sum(tensor.numel() for tensor in runs.tensors(run / "weights.safetensors").values())
        facts["Run", "Numbers in the weights"] = f"{count:,}"
    for what, ds in (("Scores", scores), ("Forecast", fc)):
        own = {
            str(key): value for key, value in ({} if ds is None else ds.attrs).items() if str(key).startswith("oceanx_")
        }
        facts |= _facts({key.removeprefix("oceanx_"): value for key, value in own.items()}, what)
    yield plot.Table(pd.DataFrame({"": facts.values()}, index=pd.MultiIndex.from_tuples(facts, names=["", ""])))
    yield plot.Text("The settings, every default written out:")
    yield plot.Code((run / "config.yaml").read_text(encoding="utf-8"))
    yield plot.Text("To forecast with it:")
    yield plot.Code(f"import oceanx as ox\nmodel = ox.load({str(run)!r})")


def _facts(about: Mapping[str, Any], what: str) -> dict[tuple[str, str], str]:
    """Whose fact it is, which, and its value, in words of a line."""
    lines = {}
    for key, value in about.items():
        text = str(value).strip()
        if text:
            lines[what, words.capital(key.replace("_", " "))] = text[:200]
    return lines
