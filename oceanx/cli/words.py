"""What words at a prompt mean: options, models, dates, settings, selections; and scores as a table."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oceanx.vocabulary.errors import InputError, unknown

if TYPE_CHECKING:
    import xarray as xr

    from oceanx.vocabulary.progress import Progress
    from oceanx.workflows.model import Model

Data = Annotated[list[str], typer.Option("--data", help="Store or catalog name; give it again to merge several.")]
To = Annotated[Path, typer.Option("--to", help="What to write.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with what was interrupted.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the target, once the new one is complete.")]
Overrides = Annotated[
    list[str] | None, typer.Argument(help="key=value: settings by their dotted names.", show_default=False)
]

REFERENCES = ("persistence", "damped_persistence", "climatology")
_NOT_SHOWN = ("_missing", "_low", "_high", "_better")  # endings of what the table of scores leaves to the file


@contextmanager
def progress() -> Iterator[Progress]:
    """What draws how far long work is."""
    from oceanx.workflows.progress import shown

    with shown() as drawn:
        yield drawn


def model(name: str, ds: xr.Dataset, train: str | None, lead: str) -> Model:
    """A trained run, or a reference fitted on the years it may learn from."""
    import oceanx as ox

    if name not in REFERENCES:
        if not Path(name).exists():
            raise unknown("run folder or reference", name, REFERENCES)
        return ox.load(name)
    if name == "persistence":
        return ox.persistence()
    if train is None:
        raise InputError(f"{name}: say which years it may learn from, --train 1993:2017")
    learned = years(ds, train)
    return ox.climatology(learned) if name == "climatology" else ox.damped_persistence(learned, lead=lead)


def years(ds: xr.Dataset, words: str | None) -> xr.Dataset:
    """The Dataset over `first:last`, which it must hold."""
    if words is None:
        return ds
    from oceanx.workflows.run_setup import period

    asked = span(words)
    return period(ds, asked.start, asked.stop, what=f"--train {words}")


def changes(settings: list[str] | None, options: tuple[str, ...] = ()) -> dict[str, Any]:
    """key=value settings as a mapping; `options` are keys that have an option of their own."""
    from oceanx.vocabulary.config import parse_overrides

    found = parse_overrides(settings or [])
    for key in found:
        if key in options:
            raise InputError(f"{key}={found[key]}: write it as an option, --{key}")
    return found


def span(text: str) -> slice:
    """`A:B` as a slice of dates."""
    first, colon, last = text.partition(":")
    if not colon:
        raise InputError(f"{text!r}: expected two dates, first:last")
    return slice(first or None, last or None)


def numbers(text: str | None, count: int, option: str) -> list[float] | None:
    """`a,b,…` as that many numbers."""
    if text is None:
        return None
    try:
        found = [float(word) for word in text.replace(":", ",").split(",")]
    except ValueError:
        found = []
    if len(found) != count:
        raise InputError(f"--{option} {text!r}: expected {count} numbers with commas")
    return found


def bands(text: str | None, option: str) -> list[tuple[float, float]] | None:
    """`0:50,50:200` as pairs of depths."""
    if text is None:
        return None
    found = [numbers(band, 2, option) for band in text.split(",")]
    return [(band[0], band[1]) for band in found if band is not None]


def dates(text: str) -> str | slice:
    """One date, or `first:last[:step]` as a slice."""
    parts = text.split(":")
    if len(parts) > 3:
        raise InputError(f"--init {text!r}: expected a date, or first:last:step")
    return text if len(parts) == 1 else slice(*(part or None for part in parts))


def sizes(ds: xr.Dataset | xr.DataArray) -> str:
    """`12 init_time × 10 lead_time × …`."""
    return " × ".join(f"{size} {dim}" for dim, size in ds.sizes.items())


def named(paths: list[Path]) -> dict[str, xr.Dataset]:
    """Forecast stores by the name of their model, or that of their store where two have one."""
    from oceanx.ocean.labels import open_forecast

    found: dict[str, xr.Dataset] = {}
    for path in paths:
        fc = open_forecast(path)
        names = (str(fc.attrs.get("oceanx_model", path.stem)), path.stem, str(path))
        name = next((name for name in names if name not in found), None)
        if name is None:
            raise InputError(f"{path}: give each forecast once")
        found[name] = fc
    return found


def print_scores(scores: xr.Dataset) -> None:
    """The scores at the surface, one table a variable and metric; a row a lead, so that names have room."""
    import numpy as np
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    for name, score in scores.data_vars.items():
        if str(name).endswith(_NOT_SHOWN) or set(score.dims) - {"model", "lead_time", "depth"}:
            continue
        at = score.isel(depth=0) if "depth" in score.dims else score
        days = at.lead_time.values / np.timedelta64(1, "D")
        models = [str(model) for model in at.model.values]
        title = escape(f"{name} [{at.attrs.get('units', '1')}]")
        table = Table("days", *models, title=title, title_justify="left", box=SIMPLE)
        for day, row in zip(days, at.transpose("lead_time", "model").values, strict=True):
            table.add_row(f"{day:g}", *(f"{value:#.3g}".rstrip(".") for value in row))
        console.print(table)
