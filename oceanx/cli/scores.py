"""Scores at a prompt."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..vocabulary.errors import InputError
from . import words
from .words import Overwrite, To


def score(
    forecasts: Annotated[list[Path], typer.Argument(help="Forecast stores; each names its own model.")],
    truth: Annotated[list[str], typer.Option("--truth", help="Store or catalog name.")],
    to: To,
    climatology: Annotated[str | None, typer.Option(help="Store to fit the climatology from (for acc).")] = None,
    train: Annotated[str | None, typer.Option(help="Years to fit the climatology over, first:last.")] = None,
    metrics: Annotated[str, typer.Option(help="Metrics, with commas.")] = "rmse",
    by: Annotated[str | None, typer.Option(help="Also by season, region or init_time, with commas.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Score forecasts against truth, by lead and depth."""
    import oceanx as ox
    from oceanx.ocean.labels import open_forecast
    from oceanx.vocabulary import files

    files.refuse_existing(to, overwrite=overwrite)
    named: dict[str, Any] = {}
    for path in forecasts:
        fc = open_forecast(path)
        names = (str(fc.attrs.get("oceanx_model", path.stem)), path.stem, str(path))
        name = next((name for name in names if name not in named), None)
        if name is None:
            raise InputError(f"{path}: give each forecast once")
        named[name] = fc
    base = words.years(ox.open(climatology), train) if climatology else None
    with words.progress() as progress:
        result = ox.score(
            named,
            ox.open(*truth),
            climatology=ox.climatology(base) if base is not None else None,
            metrics=metrics.split(","),
            by=by.split(",") if by else (),
            progress=progress,
        )
    with files.replacing(to, overwrite=overwrite) as path:
        result.to_netcdf(path)
    words.print_scores(result)
    print(to)
