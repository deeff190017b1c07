"""Scores at a prompt."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..vocabulary.errors import InputError
from . import words
from .words import Overwrite, To

if TYPE_CHECKING:
    import xarray as xr


def score(
    forecasts: Annotated[list[Path], typer.Argument(help="Forecast stores; each names its own model.")],
    truth: Annotated[list[str], typer.Option("--truth", help="Store or catalog name.")],
    to: To,
    climatology: Annotated[
        str | None, typer.Option(help="Store to fit the climatology and damped persistence on (for acc).")
    ] = None,
    train: Annotated[
        str | None, typer.Option(help="Years to fit them on, first:last; of the truth where no store is named.")
    ] = None,
    metrics: Annotated[str, typer.Option(help="Metrics, with commas.")] = "rmse",
    by: Annotated[
        str | None, typer.Option(help="Also by season, region, depth_band or init_time, with commas.")
    ] = None,
    regions: Annotated[
        str | None, typer.Option(help="Regions or basins by name, with commas; or a JSON file of a box or polygon.")
    ] = None,
    depth_bands: Annotated[str | None, typer.Option(help="Pool levels in bands, such as 0:50,50:200.")] = None,
    variables: Annotated[str | None, typer.Option(help="Variables, with commas; all without.")] = None,
    derived: Annotated[
        str | None, typer.Option(help="Score also what is derived, such as mixed_layer_depth,heat_content_0_300.")
    ] = None,
    threshold: Annotated[
        str | None, typer.Option(help="For csi, sedi, brier and so on: a number, or a store by dayofyear.")
    ] = None,
    side: Annotated[str, typer.Option(help="Whether events are above the threshold or below.")] = "above",
    references: Annotated[
        bool, typer.Option(help="Score persistence, damped persistence and climatology beside.")
    ] = True,
    confidence: Annotated[float | None, typer.Option(help="Limits of confidence, such as 0.95.")] = None,
    compare: Annotated[str | None, typer.Option(help="Say how surely each model is better than this one.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Score forecasts against truth, by lead and depth, with references beside them."""
    import oceanx as ox
    from oceanx.vocabulary import files

    files.refuse_existing(to, overwrite=overwrite)
    actual = ox.open(*truth)
    fitted_on = None
    if climatology is not None or train is not None:
        fitted_on = words.years(ox.open(climatology) if climatology else actual, train)
    with words.progress() as progress, _warnings_in_a_line():
        result = ox.score(
            words.named(forecasts),
            actual,
            train=fitted_on,
            metrics=_listed(metrics),
            by=_listed(by),
            regions=_regions(regions),
            depth_bands=words.bands(depth_bands, "depth-bands"),
            variables=_listed(variables) or None,
            derived=_listed(derived),
            threshold=_threshold(threshold),
            side=side,
            references=references,
            confidence=confidence,
            compare=compare,
            progress=progress,
        )
    with files.replacing(to, overwrite=overwrite) as path:
        result.to_netcdf(path)
    words.print_scores(result)
    for kind in ("persistence", "damped_persistence", "climatology"):
        said = str(result.attrs.get(f"oceanx_{kind}", ""))
        if said.startswith("left out"):
            print(f"{kind} {said}")
    print(to)


@contextmanager
def _warnings_in_a_line() -> Iterator[None]:
    """Warnings without the line of code that a user at a prompt did not write."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *rest, **more: print(f"warning: {message}", file=sys.stderr)
        yield


def _listed(text: str | None) -> list[str]:
    return text.split(",") if text else []


def _regions(text: str | None) -> Any:
    """Names, or the region that a JSON file holds, by its `id` or its own name."""
    if text is None or not text.endswith("json"):
        return _listed(text) or None
    import json

    path = Path(text)
    try:
        held = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"--regions {text}: cannot be read as JSON ({error})") from None
    if isinstance(held, dict) and ("bounds" in held or "minimum_latitude" in held):
        return {str(held.get("id", path.stem)): held}
    return {path.stem: path}


def _threshold(text: str | None) -> float | xr.Dataset | None:
    """A number, or what a store or file holds by `dayofyear`."""
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        pass
    from oceanx.ocean.labels import opened

    if not Path(text).exists():
        raise InputError(
            f"--threshold {text}: is neither a number nor a store; make one with oceanx heatwaves threshold"
        )
    return opened(text)
