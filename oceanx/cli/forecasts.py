"""Forecasts at a prompt."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..vocabulary.errors import InputError
from . import words
from .words import Data, Overrides, Overwrite, Resume, To

if TYPE_CHECKING:
    import xarray as xr

_SETTINGS = ("ensemble", "stabilise")  # what key=value may belong to


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
    members: Annotated[int | None, typer.Option(help="Forecasts from each start date.")] = None,
    ensemble: Annotated[
        str | None, typer.Option(help="How members differ: gaussian, bred, lagged, stored, stochastic, checkpoints.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the ensemble.")] = 0,
    stabilise: Annotated[str | None, typer.Option(help="as_published, or a YAML of clip, damp and smooth.")] = None,
    region: Annotated[str | None, typer.Option(help="Keep this region alone, such as gulf_stream.")] = None,
    box: Annotated[str | None, typer.Option(help="Keep a box alone: west,east,south,north.")] = None,
    train: Annotated[str | None, typer.Option(help="Training years of a reference, first:last.")] = None,
    train_data: Annotated[
        list[str] | None, typer.Option(help="Store of those years, where --data has not got them; again for several.")
    ] = None,
    part: Annotated[str | None, typer.Option(help="3/16: the third of 16 processes of a job array.")] = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    overrides: Overrides = None,
) -> None:
    """Forecast from many start dates into one labelled Zarr store."""
    import oceanx as ox

    if region and box:
        raise InputError("--region, --box: choose one")
    settings = _settings(overrides, ensemble=ensemble, stabilise=stabilise)
    ds = ox.open(*data)
    step = words.model(model, ox.open(*train_data) if train_data else ds, train, lead)
    with words.progress() as progress:
        fc = ox.forecast(
            step,
            ds,
            words.dates(init),
            lead,
            forcing=forcing,
            forcing_within=forcing_within,
            forcing_regrid=forcing_regrid,
            members=members,
            seed=seed,
            region=_box(box) or region,
            to=to,
            part=part,
            resume=resume,
            overwrite=overwrite,
            progress=progress,
            **settings,
        )
    if int(os.environ.get("RANK", "0")):
        return  # the first of torchrun's processes speaks for all
    if "complete" in fc:
        print(f"{to}: part {part} is done; {_missing(fc)}; the store is complete when all parts are")
    else:
        print(f"{to}: {words.sizes(fc)}; {', '.join(map(str, fc.data_vars))}")


def check_forecast(store: Path) -> None:
    """Hold a forecast store against the contract: dimensions, times, units, masks."""
    from oceanx.ocean.labels import open_forecast
    from oceanx.workflows.forecast_store import complete

    if not store.exists() and (found := complete(store)):
        raise InputError(
            f"{store}: is not finished, {found[0]} of {found[1]} forecasts are there; go on with the same command and "
            "--resume, or its other parts"
        )
    print(f"{store}: a labelled forecast, {words.sizes(open_forecast(store, values=True))}")


def _settings(overrides: list[str] | None, **named: str | None) -> dict[str, Any]:
    """An ensemble and what stabilises, by name or YAML and by `ensemble.length=150`: as words, or as mappings."""
    from oceanx.vocabulary.config import override, read_yaml

    changes = words.changes(overrides, options=_SETTINGS)
    stranger = next((key for key in changes if key.partition(".")[0] not in _SETTINGS), None)
    if stranger:
        raise InputError(f"{stranger}={changes[stranger]}: settings of a forecast begin with ensemble. or stabilise.")
    found: dict[str, Any] = {}
    for name, word in named.items():
        mine = {key: value for key, value in changes.items() if key.startswith(f"{name}.")}
        found[name] = read_yaml(word) if word and word.endswith((".yaml", ".yml")) else word
        if mine and name == "stabilise" and word and found[name] == word:
            raise InputError(f"--stabilise {word}: says all its settings; leave out {next(iter(mine))}, or the word")
        if mine:
            start = {"kind": word or "gaussian"} if name == "ensemble" and found[name] == word else found[name] or {}
            found[name] = override({name: start}, mine)[name]
    return found


def _box(text: str | None) -> dict[str, float] | None:
    """West,east,south,north as a region."""
    sides = words.numbers(text, 4, "box")
    names = ("minimum_longitude", "maximum_longitude", "minimum_latitude", "maximum_latitude")
    return dict(zip(names, sides, strict=True)) if sides else None


def _missing(fc: xr.Dataset) -> str:
    """How many forecasts other parts are still to make, and the first of their start dates."""
    lacking = ~fc.complete
    first = lacking.init_time[lacking.any("member") if "member" in lacking.dims else lacking].values[0]
    return f"{int(lacking.sum())} of {lacking.size} forecasts are missing, the first of {str(first)[:10]}"
