"""Observations at a prompt."""

from __future__ import annotations

from typing import Annotated

import typer

from ..vocabulary.errors import InputError
from . import words
from .words import Overwrite, To

_OPTIONS = ("network", "time", "seed", "to", "between", "middle", "overwrite")


def observe(
    stores: Annotated[
        list[str], typer.Argument(help="Stores or catalog names, merged; and key=value: settings of networks, errors.")
    ],
    to: To,
    network: Annotated[
        str,
        typer.Option(help="sst, swath, argo, mooring, cells, nadir1, nadir3, jason, … joined by +; or a YAML."),
    ] = "argo+sst+nadir3",
    time: Annotated[str | None, typer.Option(help="Only these dates, A:B.")] = None,
    seed: Annotated[int, typer.Option(help="Of places and errors.")] = 0,
    between: Annotated[str, typer.Option(help="Fields at a moment: day (daily means), linear or nearest.")] = "day",
    middle: Annotated[str, typer.Option(help="How long after its stamp a field stands, for linear.")] = "12h",
    overwrite: Overwrite = False,
) -> None:
    """Sample an ocean with simulated networks of observations, with stated errors, into a store."""
    import oceanx as ox

    settings = words.changes([word for word in stores if "=" in word], options=_OPTIONS)
    errors = {key: settings.pop(key) for key in list(settings) if key.partition(".")[0] == "errors"}
    if "errors" in errors and len(errors) > 1:
        raise InputError(f"errors={errors['errors']}: is one for all; leave it out, or the others")
    by_name = {key.partition(".")[2]: value for key, value in errors.items()}
    truth = ox.open(*(word for word in stores if "=" not in word))
    with words.progress() as progress:
        obs = ox.observe(
            truth,
            network,
            time=words.span(time) if time else None,
            seed=seed,
            errors=errors.get("errors", by_name or None),
            between=between,  # type: ignore[arg-type]  # observe says what it may be
            middle=middle,
            to=to,
            overwrite=overwrite,
            progress=progress,
            **settings,
        )
    print(f"{to}: {words.sizes(obs)}; {obs['variable'].attrs['flag_meanings']}")
