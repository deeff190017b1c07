"""The verbs of data at a prompt: from a service's files to stores, between stores, and to the files of others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oceanx.vocabulary.errors import InputError

from . import words
from .words import Overrides, Overwrite, To

if TYPE_CHECKING:
    import xarray as xr

_BAKE_OPTIONS = ("source", "to", "time", "plan", "append", "part", "scheduler", "workers", "form", "overwrite")


def catalog(name: Annotated[str | None, typer.Argument(help="Show one entry.")] = None) -> None:
    """List the datasets that can be opened by name."""
    from oceanx.data.shelf import listing as shelf

    if name is None:
        shelf.printed(shelf.catalog())
    else:
        print("\n".join(f"{key}: {value}" for key, value in shelf.describe(name).items()))


def stage(
    name: Annotated[str, typer.Argument(help="Whose files: glorys12 or era5.")],
    to: To,
    time: Annotated[str, typer.Option(help="Days, A:B.")],
    box: Annotated[str | None, typer.Option(help="West,east,south,north.")] = None,
    depth: Annotated[str | None, typer.Option(help="Upper:lower metres.")] = None,
    variables: Annotated[str | None, typer.Option(help="With commas; what the recipe needs by default.")] = None,
    workers: Annotated[int, typer.Option(help="Downloads at a time.")] = 2,
    again: Annotated[bool, typer.Option("--again", help="Fetch complete files anew too.")] = False,
) -> None:
    """Download files into a folder, ready for `bake`. Interrupted, the same command fetches what lacks."""
    from oceanx.data import staging

    with words.progress() as progress:
        files = staging.stage(
            name,
            to,
            time,
            box=words.numbers(box, 4, "box"),
            depth=words.numbers(depth, 2, "depth"),
            variables=variables.split(",") if variables else (),
            workers=workers,
            resume=not again,
            progress=progress,
        )
    print(f"{to}: {len(files)} files")


def bake(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe, or the path of a YAML.")],
    source: Annotated[list[str], typer.Option("--source", help="File or quoted glob; may be given again.")],
    to: To,
    time: Annotated[str | None, typer.Option(help="Only these dates, A:B.")] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Say what it would write and take, and write nothing.")] = False,
    append: Annotated[bool, typer.Option("--append", help="Add the times after the store's last one.")] = False,
    part: Annotated[str | None, typer.Option(help="3/16: the third of 16 processes of a job array.")] = None,
    scheduler: Annotated[str | None, typer.Option(help="Address of a dask scheduler, or slurm.")] = None,
    workers: Annotated[int | None, typer.Option(help="Threads; as many as cores by default.")] = None,
    form: Annotated[
        str, typer.Option(help="zarr, icechunk (a repository), or virtual (an index of the files).")
    ] = "zarr",
    overwrite: Overwrite = False,
    overrides: Overrides = None,
) -> None:
    """Turn NetCDF, HDF5 or GRIB files into a chunked CF Zarr store. An interrupted bake goes on where it stopped."""
    import oceanx as ox

    settings = words.changes(overrides, options=_BAKE_OPTIONS)
    sources, when = source[0] if len(source) == 1 else source, words.span(time) if time else None
    with words.progress() as progress:
        common: dict[str, Any] = {"time": when, "append": append, "workers": workers, "progress": progress, **settings}
        if plan:
            print(ox.plan(recipe, sources, to, **common))
            return
        ds = ox.bake(
            recipe,
            sources,
            to,
            overwrite=overwrite,
            part=part,
            scheduler=scheduler,
            form=form,  # type: ignore[arg-type]  # bake says what it may be
            **common,
        )
    if part and not to.exists():
        print(f"{to}: part {part} is done; the store is complete when all parts are")
    else:
        print(f"{to}: {words.sizes(ds)}; {', '.join(map(str, ds.data_vars))}")


def rechunk(
    store: Annotated[Path, typer.Argument(help="A store.")],
    to: To,
    purpose: Annotated[str, typer.Option("--for", help="training (whole maps) or timeseries (whole series).")],
    overwrite: Overwrite = False,
) -> None:
    """Write a store anew with the chunks of another use, in bounded memory."""
    import oceanx as ox

    with words.progress() as progress:
        ds = ox.rechunk(store, to, purpose, overwrite=overwrite, progress=progress)  # type: ignore[arg-type]
    print(f"{to}: {words.sizes(ds)}; {', '.join(map(str, ds.data_vars))}")


def export(
    name: Annotated[
        str,
        typer.Argument(
            help="Of a store: neuralom, neuralogcm, hybridom, ocean-e2e. "
            "Of a forecast: oceanbench, weatherbench, climpred, netcdf, csv."
        ),
    ],
    stores: Annotated[list[str], typer.Argument(help="Stores or catalog names, merged; and key=value: options.")],
    to: Annotated[Path, typer.Option("--to", help="A folder; of weatherbench and climpred a store, of csv a file.")],
    overwrite: Overwrite = False,
) -> None:
    """Write a store or a forecast as the files that another system reads."""
    from oceanx.export import FORECASTS
    from oceanx.export import export as run

    settings = words.changes([word for word in stores if "=" in word], options=("to", "overwrite"))
    ds = _exported(name in FORECASTS, name, [word for word in stores if "=" not in word])
    with words.progress() as progress:
        files = run(name, ds, to, overwrite=overwrite, progress=progress, **settings)
    for file in files:
        print(file)


def _exported(is_forecast: bool, name: str, stores: list[str]) -> xr.Dataset:
    """The one forecast, or the stores merged."""
    import oceanx as ox
    from oceanx.ocean.labels import open_forecast

    if not is_forecast:
        return ox.open(*stores)
    if len(stores) != 1:
        raise InputError(f"export {name}: found {len(stores)} stores; expected one forecast")
    return open_forecast(stores[0])


def check_dataset(
    stores: list[str],
    purpose: Annotated[str, typer.Option("--for", help="training, forecasting, scoring; with commas.")] = (
        "training,forecasting,scoring"
    ),
) -> None:
    """Say what stores lack to be trained on, forecast from and scored against, and how to mend it."""
    from oceanx.data import checks

    if not checks.printed(checks.check(stores, purpose.split(","))):
        raise typer.Exit(2)
