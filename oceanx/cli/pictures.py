"""Pictures and reports at a prompt."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..vocabulary.errors import InputError, unknown
from . import words
from .words import Overwrite, To

if TYPE_CHECKING:
    import xarray as xr

FIGURES = (".png", ".pdf", ".svg")
FILMS = (".gif", ".mp4")
FIELDS = ("map", "triptych", "section", "hovmoller", "profile", "animation")  # drawn of one variable
SCORED = (  # drawn of scores
    "skill", "spectrum", "reliability", "rank_histogram", "innovations", "consistency", "heatwave_skill",
)  # fmt: skip
DRAWN = (*FIELDS, "ts_diagram", "heatwave", *SCORED)
PLACE = ("latitude", "longitude")


def plot(
    kind: Annotated[str, typer.Argument(help=f"One of {', '.join(DRAWN)}.")],
    file: Annotated[Path, typer.Argument(help="A store, forecast, score or heatwave file.")],
    to: To,
    var: Annotated[str | None, typer.Option("--var", help="Variable; of scores several, with commas.")] = None,
    select: Annotated[
        list[str] | None, typer.Option("--select", help="dim=label, such as depth=0.5 lead_time=5D.")
    ] = None,
    time: Annotated[str | None, typer.Option(help="Dates, first:last.")] = None,
    truth: Annotated[list[str] | None, typer.Option(help="Store or catalog name, for triptych and ts_diagram.")] = None,
    metric: Annotated[str | None, typer.Option(help="Which score, for skill and heatwave_skill.")] = None,
    reference: Annotated[str | None, typer.Option(help="A model to compare errors with, for skill.")] = None,
    title: Annotated[str | None, typer.Option(help="In place of the name, place and date.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Draw a figure into a PNG, PDF or SVG, or an animation into a GIF or MP4."""
    from oceanx.plot import KINDS
    from oceanx.vocabulary import files

    if kind not in DRAWN:
        raise unknown("kind of plot", kind, DRAWN)
    files.refuse_existing(to, overwrite=overwrite)
    endings = FILMS if kind == "animation" else FIGURES
    if to.suffix not in endings:
        raise InputError(f"{to}: expected a name that ends in {', '.join(endings)}")
    _belongs("--truth", truth, kind, ("triptych", "ts_diagram"))
    _belongs("--metric", metric, kind, ("skill", "heatwave_skill"))
    _belongs("--reference", reference, kind, ("skill",))
    _belongs("--var", var, kind, (*FIELDS, *SCORED[:-1]))
    ds = _opened(file)
    options: dict[str, Any] = {"title": title}
    if kind == "heatwave":
        at, select = _place(select or [])
        options |= at | {"time": words.span(time) if time else None}
        time = None
    ds = _selected(ds, select or [], time)
    given: Any = ds
    if kind in FIELDS:
        given = _variable(ds, var, file)
    elif kind in SCORED:
        options |= {} if var is None else {"variable": var.split(",")}
        options |= {"reference": reference} if reference else {}
        options |= {"metrics" if kind == "heatwave_skill" else "metric": metric} if metric else {}
    if truth is not None:
        options["truth"] = _truth_of(given, truth)
    elif kind == "triptych":
        raise InputError("--truth: a triptych compares with the truth; give its store")
    if kind == "triptych":
        options["forecast"], given = given, options.pop("truth")
    drawn = KINDS[kind](given, **options)
    with files.replacing(to, overwrite=overwrite) as path:
        kept = to.suffix.lstrip(".")
        drawn.save(path, format=kept) if kind == "animation" else drawn.savefig(path, format=kept)
    print(to)


def report(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    to: To,
    scores: Annotated[list[Path] | None, typer.Option(help="Scores; again for those of more models.")] = None,
    forecast: Annotated[Path | None, typer.Option(help="A forecast to show.")] = None,
    truth: Annotated[list[str] | None, typer.Option(help="Store or catalog name to hold the forecast against.")] = None,
    heatwaves: Annotated[Path | None, typer.Option(help="Skill in marine heatwaves.")] = None,
    title: Annotated[str | None, typer.Option(help="In place of the run's name.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Gather a run's scores, figures, training and settings into one HTML page."""
    import oceanx as ox
    from oceanx.workflows.report import report as write

    path = write(
        run,
        to,
        scores=scores or None,
        forecast=forecast,
        truth=ox.open(*truth) if truth else None,
        heatwaves=heatwaves,
        title=title,
        overwrite=overwrite,
    )
    print(path)


def _belongs(option: str, given: Any, kind: str, kinds: tuple[str, ...]) -> None:
    """Refuse an option that a kind of plot would not heed."""
    if given is not None and kind not in kinds:
        raise InputError(f"{option}: {kind} takes none; it is for {', '.join(kinds)}")


def _opened(file: Path) -> xr.Dataset:
    """What is in a store or file, lazily, its axes under our names and ascending."""
    import xarray as xr

    import oceanx as ox
    from oceanx.ocean.finding import with_our_axes

    if not file.exists():
        raise InputError(f"{file}: no such file")
    try:
        ds = with_our_axes(xr.open_dataset(file, chunks={})) if file.is_file() else ox.open(file)
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: cannot be read ({error}); give a store, a forecast or scores") from None
    descending = [dim for dim in (*PLACE, "depth") if dim in ds.indexes and not ds.indexes[dim].is_monotonic_increasing]
    return ds.sortby(descending) if descending else ds


def _variable(ds: xr.Dataset, var: str | None, file: Path) -> xr.DataArray:
    """One variable, without dimensions of a single label."""
    if var is None:
        raise InputError(f"--var: which variable? {file} has {', '.join(map(str, ds.data_vars))}")
    if var not in ds:
        raise unknown("variable", var, map(str, ds.data_vars))
    return ds[var].squeeze(drop=False)


def _selected(ds: xr.Dataset, select: list[str], time: str | None) -> xr.Dataset:
    """The Dataset at the labels `dim=label`, several with commas, and over the days `first:last`."""
    for word in select:
        dim, _, text = word.partition("=")
        if dim not in ds.dims:
            raise unknown("dimension", dim, map(str, ds.dims))
        labels: list[Any] = text.split(",")
        number = all(label.replace(".", "", 1).lstrip("-").isdigit() for label in labels)
        chosen: Any = [float(label) for label in labels] if number else labels
        chosen = chosen if len(labels) > 1 else chosen[0]
        try:
            ds = ds.sel({dim: chosen}, method="nearest") if number else ds.sel({dim: chosen})
        except (KeyError, ValueError, TypeError):
            ends = " to ".join(str(ds[dim].values[at]) for at in (0, -1))
            raise InputError(f"--select {word}: no such label; {dim} has {ends}") from None
    if time is None:
        return ds
    if "time" not in ds.dims:
        raise InputError(f"--time {time}: no dimension time; it has {', '.join(map(str, ds.dims))}; use --select")
    found = ds.sel(time=words.span(time))
    if not found.sizes["time"]:
        ends = " to ".join(str(ds["time"].values[at])[:10] for at in (0, -1))
        raise InputError(f"--time {time}: no day of it is there; time goes from {ends}")
    return found


def _place(select: list[str]) -> tuple[dict[str, float], list[str]]:
    """Latitude and longitude among the selections, and the other selections."""
    at: dict[str, float] = {}
    for word in select:
        dim, _, label = word.partition("=")
        if dim in PLACE:
            try:
                at[dim] = float(label)
            except ValueError:
                raise InputError(f"--select {word}: expected a number of degrees") from None
    return at, [word for word in select if word.partition("=")[0] not in PLACE]


def _truth_of(forecast: Any, names: list[str]) -> Any:
    """The truth at the valid time and the depths of a forecast, or of its one variable."""
    import numpy as np

    import oceanx as ox

    truth = ox.open(*names)
    wanted = [forecast.name] if hasattr(forecast, "name") else ["thetao", "so"]
    for name in wanted:
        if name not in truth:
            raise unknown("variable", str(name), map(str, truth.data_vars))
    found: Any = truth[forecast.name] if hasattr(forecast, "name") else truth
    if "valid_time" not in forecast.coords or forecast["valid_time"].ndim:
        raise InputError("--truth: choose one start and one lead, with --select init_time=… --select lead_time=…")
    date = forecast["valid_time"].values
    if date not in found["time"].values:
        ends = " to ".join(str(found["time"].values[at])[:10] for at in (0, -1))
        raise InputError(f"--truth: nothing on {str(date)[:10]}; it goes from {ends}")
    found = found.sel(time=date)
    if "depth" in found.dims and "depth" in forecast.coords:
        found = found.sel(depth=forecast["depth"], method="nearest")
        if not np.allclose(found["depth"], forecast["depth"], rtol=0.01):
            raise InputError("--truth: has not the depths of the forecast; interpolate one to the other")
    return found.load()
