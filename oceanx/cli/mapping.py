"""Maps of observations, and scores of analyses, at a prompt."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..vocabulary.errors import InputError
from . import words
from .words import Overrides, Overwrite, To

if TYPE_CHECKING:
    import xarray as xr

BACKGROUND = "_background"  # ending of what was there before an analysis
SHOWN = ("_rmse", "_rmse_at_sites", "_spread")

_OPTIONS = ("mean", "reach", "along", "to", "overwrite")


def map_observations(
    obs: Annotated[str, typer.Argument(help="Observations, a store.")],
    mean: Annotated[
        list[str], typer.Option("--mean", help="Store of the mean field, or of the times whose mean it is.")
    ],
    time: Annotated[str, typer.Option("--days", help="Days to map, first:last:step such as 2005-04-14:2005-05-20:6D.")],
    reach: Annotated[str, typer.Option(help="How much older or younger than the map observations may be, 10D.")],
    to: To,
    along: Annotated[int | None, typer.Option(help="Average so many successive data of a pass first.")] = None,
    overwrite: Overwrite = False,
    overrides: Overrides = None,
) -> None:
    """Map observations of many days on one by optimal interpolation in space and time: length=60 time=7D …"""
    import oceanx as ox
    from oceanx.vocabulary.config import override
    from oceanx.workflows.assimilation.mapping import map_observations as run

    days = words.dates(time)
    with words.progress() as progress:
        maps = run(
            ox.open(obs),
            ox.open(*mean),
            days,
            reach=reach,
            covariance=override({"kind": "analytic"}, words.changes(overrides, options=_OPTIONS)),
            along=along,
            to=to,
            overwrite=overwrite,
            progress=progress,
        )
    used, chi = maps["observations_used"], float(maps["chi_squared"].mean())
    print(f"{to}: {maps.sizes['time']} maps of {int(used.min())} to {int(used.max())} observations; χ²/p {chi:.3g}")


def score_analyses(
    analyses: Annotated[list[Path], typer.Argument(help="Stores of analyses or maps; each is named after its store.")],
    truth: Annotated[list[str], typer.Option("--truth", help="Store or catalog name.")],
    to: To,
    time: Annotated[str | None, typer.Option(help="Only these dates, A:B.")] = None,
    sites: Annotated[
        str | None, typer.Option(help="Observations at whose places and days the truth is compared, too.")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Score analyses against a truth, time by time, everywhere and at the sites of withheld observations."""
    import xarray as xr

    import oceanx as ox
    from oceanx.scores.cycling import analysis_scores
    from oceanx.vocabulary import files

    files.refuse_existing(to, overwrite=overwrite)
    if len({path.stem for path in analyses}) < len(analyses):
        raise InputError("score-analyses: two stores have one name; give them different ones")
    actual, places = ox.open(*truth), ox.open(sites) if sites else None
    parts, told = [], []
    with words.progress() as progress:
        for path in analyses:
            an = ox.open(str(path))
            an = an.sel(time=words.span(time)) if time else an
            for name, fields in _with_background(path.stem, an).items():
                parts.append(analysis_scores(fields, actual, sites=places, progress=progress))
                told.append(name)
    found = xr.concat(parts, xr.Variable("analysis", told), join="outer", combine_attrs="drop_conflicts")
    with files.replacing(to, overwrite=overwrite) as path:
        found.to_netcdf(path)
    _print(found)
    print(to)


def _with_background(name: str, an: xr.Dataset) -> dict[str, xr.Dataset]:
    """Analyses under their name, and their backgrounds beside them where they were kept."""
    kept = {str(n): str(n).removesuffix(BACKGROUND) for n in an.data_vars if str(n).endswith(BACKGROUND)}
    if not kept:
        return {name: an}
    fields = [n for n in kept.values() if n in an.data_vars]
    return {f"{name}{BACKGROUND}": an.drop_vars(fields)[list(kept)].rename(kept), name: an}


def _print(found: xr.Dataset) -> None:
    """Over all times, a line for each error and a column for each analysis."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    table = Table("root mean square", *map(str, found["analysis"].values), box=SIMPLE)
    for name, score in found.data_vars.items():
        shown = str(name).endswith(SHOWN)
        if not shown or set(score.dims) - {"analysis", "time", "depth"}:
            continue
        score = score.isel(depth=0) if "depth" in score.dims else score
        values = ((score**2).mean("time") ** 0.5).values if "time" in score.dims else score.values
        said = f"{name} [{score.attrs.get('units', '1')}]".replace("[", "\\[")
        table.add_row(said, *(f"{value:#.3g}".rstrip(".") for value in values))
    Console().print(table)
