"""Diagnostics of an assimilation at a prompt."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..vocabulary.errors import InputError
from . import words
from .words import Overwrite, To

if TYPE_CHECKING:
    import pandas as pd

SHOWN = {
    "count": "count", "rejected": "refused", "ob_mean": "O−B mean", "ob_rms": "O−B rms", "oa_rms": "O−A rms",
    "chi_squared_diagonal": "χ²/p", "sigma_o": "σo (stated)", "sigma_b": "σb (stated)", "influence": "influence",
}  # fmt: skip
WIDE = 160  # characters, so that no number is broken where the output is no terminal
MOST_ROWS = 40


def innovations(
    analyses: Annotated[Path, typer.Argument(metavar="ANALYSES", help="A store that oceanx assimilate wrote.")],
    obs: Annotated[list[str], typer.Option("--obs", help="Observation store or catalog name; again for several.")],
    to: To,
    by: Annotated[
        str, typer.Option(help="Any of variable, window, platform and depth_band, with commas.")
    ] = "variable",
    windows: Annotated[str | None, typer.Option(help="Pool the windows of each of these, such as MS or 10D.")] = None,
    depths: Annotated[str | None, typer.Option(help="Bands of depth in m, such as 0:50,50:200.")] = None,
    platforms: Annotated[
        str | None, typer.Option(help="Platforms with commas; some as one by floats=float*; or network.")
    ] = None,
    table: Annotated[Path | None, typer.Option(help="Also a CSV, one row a cell.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Say how far observations are from backgrounds and analyses, and whether the stated errors are true."""
    import oceanx as ox
    from oceanx.scores import innovations_table
    from oceanx.vocabulary import files

    for target in (to, table):
        if target is not None:
            files.refuse_existing(target, overwrite=overwrite)
    with words.progress() as progress:
        found = ox.innovations(
            analyses,
            ox.open(*obs),
            by=by.split(","),
            windows=windows,
            depths=words.bands(depths, "depths"),
            platforms=_platforms(platforms),
            progress=progress,
        )
    rows = innovations_table(found)
    with files.replacing(to, overwrite=overwrite) as path:
        found.to_netcdf(path)
    if table is not None:
        with files.replacing(table, overwrite=overwrite) as path:
            rows.to_csv(path, index=False)
    _print(rows)
    if "chi_squared" in found and not found["chi_squared"].ndim:
        print(f"χ²/p of whole windows: {float(found['chi_squared']):.3g} ± {float(found['chi_squared_error']):.2g}")
    print(to)


def _platforms(text: str | None) -> dict[str, list[str]] | str | None:
    """`floats=float*,sst` as a mapping of networks to patterns; a network named again has all of them."""
    if text is None or text == "network":
        return text
    found: dict[str, list[str]] = {}
    for word in text.split(","):
        name, equals, pattern = word.partition("=")
        if not name or (equals and not pattern):
            raise InputError(f"--platforms {text!r}: expected names, or network=pattern, with commas")
        found.setdefault(name, []).append(pattern or name)
    return found


def _print(rows: pd.DataFrame) -> None:
    """The rows that have some observation, as far as they are not too many."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    shown = rows[rows[[c for c in ("count", "rejected") if c in rows]].sum(axis=1) > 0]
    cells = [c for c in ("variable", "role", "window", "platform", "depth_band") if c in shown]
    numbers = [c for c in SHOWN if c in shown and shown[c].notna().any()]
    drawn = Table(*cells, box=SIMPLE)
    for name in numbers:
        drawn.add_column(SHOWN[name], justify="right")
    for _, row in shown.head(MOST_ROWS).iterrows():
        told = [f"{row[c]:%Y-%m-%d}" if c == "window" else escape(str(row[c])) for c in cells]
        drawn.add_row(*told, *(_number(row, c) for c in numbers))
    Console(width=max(WIDE, Console().width)).print(drawn)
    if len(shown) > MOST_ROWS:
        print(f"… and {len(shown) - MOST_ROWS} rows more; --table writes all of them")


def _number(row: pd.Series, name: str) -> str:
    """One number in three figures; of what was diagnosed, what was stated beside it."""
    value, stated = float(row[name]), float(row.get(f"{name}_stated", float("nan")))
    if name in ("count", "rejected"):
        return f"{value:.0f}"
    said = "–" if value != value else f"{value:.3g}"
    return said if stated != stated else f"{said} ({stated:.3g})"
