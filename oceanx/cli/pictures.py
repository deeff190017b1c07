"""Pictures at a prompt."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..vocabulary.errors import InputError, unknown
from . import words
from .words import Overwrite, To

FIGURES = (".png", ".pdf", ".svg")
DRAWN = ("map", "skill", "section", "hovmoller", "profile")  # figures made of one file; others take several fields


def plot(
    kind: Annotated[str, typer.Argument(help=f"One of {', '.join(DRAWN)}.")],
    file: Annotated[Path, typer.Argument(help="A store, forecast or score file.")],
    to: To,
    var: Annotated[str | None, typer.Option("--var", help="Variable.")] = None,
    select: Annotated[
        list[str] | None, typer.Option("--select", help="dim=label, such as depth=0.5 lead_time=5D.")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Draw a figure into a PNG, PDF or SVG."""
    from oceanx.plot import KINDS
    from oceanx.vocabulary import files

    if kind not in DRAWN:
        raise unknown("kind of plot", kind, DRAWN)
    files.refuse_existing(to, overwrite=overwrite)
    if to.suffix not in FIGURES:
        raise InputError(f"{to}: expected a name that ends in {', '.join(FIGURES)}")
    figure = KINDS[kind](*words.plotted(kind, file, var, select or []))
    with files.replacing(to, overwrite=overwrite) as path:
        figure.savefig(path, format=to.suffix.lstrip("."))
    print(to)
