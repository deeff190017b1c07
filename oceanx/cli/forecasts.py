"""Forecasts at a prompt."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import words
from .words import Data, Overwrite, Resume, To


def forecast(
    model: Annotated[str, typer.Argument(help=f"A run folder, or one of {', '.join(words.REFERENCES)}.")],
    data: Data,
    init: Annotated[
        str, typer.Option("--init", help="Start date, or first:last:step such as 2020-01-01:2020-12-31:7D.")
    ],
    to: To,
    lead: Annotated[str, typer.Option(help="Longest lead.")] = "10D",
    forcing: Annotated[
        str, typer.Option(help="persisted, climatology, observed (a simulation), a forecast's store or a run.")
    ] = "persisted",
    forcing_within: Annotated[str, typer.Option(help="How old that forecast may be at the start.")] = "0D",
    forcing_regrid: Annotated[bool, typer.Option("--forcing-regrid", help="Bring it to the ocean's grid.")] = False,
    train: Annotated[str | None, typer.Option(help="Training years of a reference, first:last.")] = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
) -> None:
    """Forecast from many start dates into one labelled Zarr store."""
    import oceanx as ox

    ds = ox.open(*data)
    step = words.model(model, ds, train, lead)
    with words.progress() as progress:
        fc = ox.forecast(
            step,
            ds,
            words.dates(init),
            lead,
            forcing=forcing,
            forcing_within=forcing_within,
            forcing_regrid=forcing_regrid,
            to=to,
            resume=resume,
            overwrite=overwrite,
            progress=progress,
        )
    print(f"{to}: {words.sizes(fc)}; {', '.join(map(str, fc.data_vars))}")


def check_forecast(store: Path) -> None:
    """Hold a forecast store against the contract: dimensions, times, units, masks."""
    from oceanx.ocean.labels import open_forecast

    print(f"{store}: a labelled forecast, {words.sizes(open_forecast(store, values=True))}")
