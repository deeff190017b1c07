"""`report`: one page about a run, of what it was told, how its training went, its scores, a forecast, its heatwaves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import xarray as xr

from oceanx import plot
from oceanx.ocean.labels import check, open_forecast
from oceanx.plot.curves import METRICS
from oceanx.vocabulary.errors import InputError
from oceanx.vocabulary.files import refuse_existing

from .report_parts import EVENTS, about_forecast, about_heatwaves, about_making, about_scores, about_training, lead
from .runs import Run

Source = str | Path | xr.Dataset
SCORES, FORECAST, HEATWAVES = "scores.nc", "forecast.zarr", "heatwaves.nc"  # what is looked for in the run folder


def report(
    run: str | Path,
    to: str | Path,
    *,
    scores: Source | Sequence[str | Path] | None = None,
    forecast: Source | None = None,
    truth: Source | None = None,
    heatwaves: Source | None = None,
    title: str | None = None,
    overwrite: bool = False,
) -> Path:
    """The path of an HTML page about a run, whole in itself: text, figures, tables and settings; nothing is fetched.

    What is not given is looked for in the run folder (`scores.nc`, `forecast.zarr`, `heatwaves.nc`), and what is not
    there either is left out.

    Parameters
    ----------
    run
        The folder that `train` made.
    to
        The page, such as `report.html`.
    scores
        Of `oceanx.score`, its file, or several files whose models are shown together; one without `model` goes by its
        file's name.
    forecast
        A forecast of the run: maps, and an animation of its first start.
    truth
        What the forecast is held against, a Dataset or the path of a store.
    heatwaves
        Of `oceanx.heatwaves.skill`, or its file.
    title
        In place of the run's name.
    overwrite
        Replace a page of that name.

    Raises
    ------
    InputError
        If the folder is no run, a file is not what it is given as, a forecast is of another run, a truth is given
        without a forecast or lacks its valid times, or `to` exists.

    Examples
    --------
    >>> report("runs/hybrid", "report.html", scores="scores.nc", forecast="fc.zarr")  # doctest: +SKIP
    PosixPath('report.html')
    """
    run, to = Run(run), refuse_existing(to, overwrite=overwrite)
    if not (run / "config.yaml").exists():
        raise InputError(f"{run}: is not a run folder; give one that train made")
    found = _scores(scores if scores is not None else _there(run / SCORES))
    fc = _forecast(forecast if forecast is not None else _there(run / FORECAST), run)
    events = _heatwaves(heatwaves if heatwaves is not None else _there(run / HEATWAVES))
    if truth is not None and fc is None:
        raise InputError("truth: is what a forecast is held against; give the forecast too")
    actual = None if truth is None else truth if isinstance(truth, xr.Dataset) else _stored(truth)
    sections = [
        *(about_scores(found, run.name) if found is not None else ()),
        *(about_forecast(fc, actual) if fc is not None else ()),
        *(about_heatwaves(events) if events is not None else ()),
        *about_training(run),
        *about_making(run, found, fc),
    ]
    return plot.report(to, title=title or run.name, lead=lead(run), sections=sections, overwrite=overwrite)


def _there(path: Path) -> Path | None:
    return path if path.exists() else None


# What is given


def _scores(given: Source | Sequence[str | Path] | None) -> xr.Dataset | None:
    """Scores of all models in one Dataset."""
    if given is None or isinstance(given, xr.Dataset):
        return None if given is None else _scored(given, "scores")
    parts = []
    for path in [given] if isinstance(given, str | Path) else given:
        part = _scored(_read(path), str(path))
        parts.append(
            part if "model" in part.dims else part.expand_dims(model=[str(part.get("model", Path(path).stem))])
        )
    if len(parts) == 1:
        return parts[0]
    names = [str(name) for part in parts for name in part["model"].values]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise InputError(f"scores: the model {twice!r} is in two files; leave one out, or rename it")
    return xr.concat(
        parts,
        "model",
        data_vars="all",
        coords="minimal",
        compat="override",
        join="outer",
        combine_attrs="drop_conflicts",
    )


def _scored(ds: xr.Dataset, where: str) -> xr.Dataset:
    """The Dataset, if it holds scores against lead time."""
    metrics = [m for m in METRICS if any(str(name).endswith(f"_{m}") for name in ds.data_vars)]
    if "lead_time" not in ds.dims or not metrics or "latitude" in ds.dims:
        raise InputError(f"{where}: holds no scores by lead time; give what oceanx.score returned")
    if "init_time" in ds.dims:
        raise InputError(f"{where}: holds scores of each start date; score again without by=['init_time']")
    return ds


def _forecast(given: Source | None, run: Run) -> xr.Dataset | None:
    """A labelled forecast, which says of no other run that it comes from there."""
    if given is None:
        return None
    if isinstance(given, xr.Dataset):
        check(given, values=False)
        fc = given
    else:
        fc = open_forecast(given)
    own, its = run.about.get("config"), fc.attrs.get("oceanx_config")
    if own and its and str(own) != str(its):
        raise InputError(
            f"forecast: was made with the config {its}, the run {run} has {own}; give a forecast of this run"
        )
    return fc


def _heatwaves(given: Source | None) -> xr.Dataset | None:
    """Skill in marine heatwaves."""
    if given is None:
        return None
    ds = given if isinstance(given, xr.Dataset) else _read(given)
    if "lead_time" not in ds.dims or not any(name in ds for name in EVENTS):
        where = "heatwaves" if isinstance(given, xr.Dataset) else given
        raise InputError(
            f"{where}: holds no skill in heatwaves by lead time; give what oceanx.heatwaves.skill returned"
        )
    return ds


def _read(path: str | Path) -> xr.Dataset:
    """A small file, whole."""
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such file")
    try:
        return xr.load_dataset(path) if path.is_file() else xr.open_zarr(path, consolidated=False).load()
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path}: cannot be read ({error}); give a NetCDF file or a Zarr store") from None


def _stored(path: str | Path) -> xr.Dataset:
    from oceanx.data.shelf.catalog import open as opened

    return opened(path)
