"""Marine heatwaves at a prompt: thresholds, events, and how good forecasts are at them."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..vocabulary.errors import InputError
from . import words
from .words import Overwrite, To

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import xarray as xr

heatwaves = typer.Typer(
    no_args_is_help=True, help="Marine heatwaves: thresholds, events, and skill in forecasting them."
)

IN_MEMORY = 4 * 2**30  # bytes of a store cut in maps that are turned into series here
SHOWN = ("hit_rate", "false_alarm_ratio", "csi", "sedi", "brier", "detected")

Store = Annotated[list[str], typer.Argument(help="Store or catalog name of daily temperature; several are merged.")]
ThresholdStore = Annotated[Path, typer.Option("--threshold", help="Made by oceanx heatwaves threshold.")]
MinDuration = Annotated[int, typer.Option(help="Days above the threshold that make an event.")]
MaxGap = Annotated[int, typer.Option(help="Days below it that do not part two events.")]
Side = Annotated[str, typer.Option(help="above; or below, for cold spells and a threshold of percentile 10.")]


@heatwaves.command()
def threshold(
    store: Store,
    baseline: Annotated[str, typer.Option(help="First and last year, 1982:2011.")],
    to: To,
    percentile: Annotated[float, typer.Option(help="90 for heatwaves, 10 for cold spells.")] = 90.0,
    half_width: Annotated[int, typer.Option(help="Days on either side that are pooled.")] = 5,
    smooth: Annotated[int, typer.Option(help="Days of the running mean; odd.")] = 31,
    detrend: Annotated[bool, typer.Option("--detrend", help="Let the baseline shift with its linear trend.")] = False,
    depth: Annotated[
        str, typer.Option(help="Metres, of which the nearest level is taken; surface; or all.")
    ] = "surface",
    overwrite: Overwrite = False,
) -> None:
    """Write the climatology and the threshold of each day of the year."""
    import oceanx as ox
    from oceanx.heatwaves.product import write_threshold
    from oceanx.vocabulary import files

    files.refuse_existing(to, overwrite=overwrite)
    first, colon, last = baseline.partition(":")
    if not (colon and first[:4].isdigit() and last[:4].isdigit()):
        raise InputError(f"--baseline {baseline}: expected two years, 1982:2011")
    ds = _at_depth(_opened(store), depth)
    limits = ox.heatwaves.threshold(ds, (first, last), percentile, half_width, smooth, detrend=detrend)
    made = write_threshold(limits, to, overwrite=overwrite)
    level = f" at {float(made['depth']):.4g} m" if "depth" in made.coords and not made["depth"].ndim else ""
    print(f"{to}: {words.sizes(made['threshold'])}; percentile {percentile:g} of {first} to {last}{level}")


@heatwaves.command()
def detect(
    store: Store,
    threshold: ThresholdStore,
    to: To,
    table: Annotated[Path | None, typer.Option(help="Also a CSV, one row an event.")] = None,
    min_duration: MinDuration = 5,
    max_gap: MaxGap = 2,
    side: Side = "above",
    overwrite: Overwrite = False,
) -> None:
    """Write which days of which cells lie in a heatwave, and of which category; and a table of the events."""
    import oceanx as ox
    from oceanx.heatwaves.product import open_threshold
    from oceanx.vocabulary import files

    for target in (to, table):
        if target is not None:
            files.refuse_existing(target, overwrite=overwrite)
    rule: dict[str, Any] = {"min_duration": min_duration, "max_gap": max_gap, "side": side}
    sst, limits = _opened(store), open_threshold(threshold)
    found = ox.heatwaves.detect(sst, limits, **rule)
    with words.progress() as progress:
        if table is not None:
            _write_table(ox.heatwaves.events(sst, limits, **rule, progress=progress), table, overwrite)
        _write(found, to, overwrite, progress)
    print(f"{to}: {words.sizes(found['event'])}; {', '.join(map(str, found.data_vars))}")


@heatwaves.command()
def skill(
    forecasts: Annotated[list[Path], typer.Argument(help="Forecast stores; each names its own model.")],
    truth: Annotated[list[str], typer.Option("--truth", help="Store or catalog name.")],
    threshold: ThresholdStore,
    to: To,
    analysis: Annotated[str | None, typer.Option(help="What the forecasts began from, if not the truth.")] = None,
    of: Annotated[str, typer.Option(help="event; or exceedance, days above the threshold however few.")] = "event",
    history: Annotated[str, typer.Option(help="Days of analysis before each start.")] = "15D",
    min_duration: MinDuration = 5,
    max_gap: MaxGap = 2,
    side: Side = "above",
    decide: Annotated[float, typer.Option(help="Probability from which on an ensemble says yes.")] = 0.5,
    regions: Annotated[str | None, typer.Option(help="Regions or basins by name, with commas.")] = None,
    confidence: Annotated[float | None, typer.Option(help="Limits of confidence, such as 0.95.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Score forecasts of heatwaves by lead and category, beside persistence of the anomaly and climatology."""
    import oceanx as ox
    from oceanx.heatwaves.product import open_threshold
    from oceanx.vocabulary import files

    files.refuse_existing(to, overwrite=overwrite)
    named = words.named(forecasts)
    with words.progress() as progress:
        result = ox.heatwaves.skill(
            named,
            ox.open(*truth),
            open_threshold(threshold),
            of=of,
            analysis=None if analysis is None else ox.open(analysis),
            history=history,
            min_duration=min_duration,
            max_gap=max_gap,
            side=side,
            decide=decide,
            regions=_masks(regions, named),
            confidence=confidence,
            progress=progress,
        )
    with files.replacing(to, overwrite=overwrite) as path:
        result.to_netcdf(path)
    _print(result)
    print(to)


def _opened(store: list[str]) -> xr.Dataset:
    """Stores as one Dataset, cut in whole series or small enough to be turned into them in memory."""
    import oceanx as ox
    from oceanx.heatwaves.limits import any_temperature

    ds = ox.open(*store)
    sst = any_temperature(ds)
    if len(sst.variable.chunksizes.get("time", ())) > 1 and sst.nbytes > IN_MEMORY:
        raise InputError(
            f"{store[0]}: {sst.nbytes / 2**30:.0f} GiB cut in maps; cut it in series first, with "
            f"oceanx rechunk {store[0]} --for timeseries --to series.zarr"
        )
    return ds


def _at_depth(ds: xr.Dataset, depth: str) -> xr.Dataset:
    """One level of a store that has levels, or all of it."""
    if depth == "all" or "depth" not in ds.dims:
        return ds
    if depth == "surface":
        return ds.isel(depth=0)
    (metres,) = words.numbers(depth, 1, "depth") or (0.0,)
    return ds.sel(depth=metres, method="nearest")


def _masks(regions: str | None, named: dict[str, xr.Dataset]) -> dict[str, np.ndarray] | None:
    if regions is None:
        return None
    from oceanx.scores.regions import resolve

    grid = next(iter(named.values()))
    return resolve(regions.split(","), grid["latitude"], grid["longitude"])


def _write(found: xr.Dataset, to: Path, overwrite: bool, progress: Any) -> None:
    """A Zarr store of lazy fields, some of their cells at a time, in chunks of whole series."""
    import numpy as np

    from oceanx.vocabulary import files

    double = [name for name, v in found.data_vars.items() if v.dtype == np.float64]
    found = found.assign({name: found[name].astype(np.float32).assign_attrs(found[name].attrs) for name in double})
    cells = {d: n for d, n in found["event"].variable.chunksizes.items() if d != "time"}
    found = found.drop_encoding().chunk(cells | {"time": -1})
    along = next((d for d, n in cells.items() if len(n) > 1), None)
    with files.replacing(to, overwrite=overwrite) as path:
        if along is None:
            found.to_zarr(path, consolidated=False)
            return
        found.to_zarr(path, compute=False, consolidated=False)
        fields = found.drop_vars([name for name in found.variables if along not in found[name].dims])
        ends = np.cumsum([0, *cells[along]])
        for start, stop in pairwise(ends):
            where = {str(along): slice(int(start), int(stop))}
            fields.isel(where).to_zarr(path, region=where, consolidated=False)
            progress("heatwaves", int(stop), int(ends[-1]))


def _write_table(table: pd.DataFrame, to: Path, overwrite: bool) -> None:
    from oceanx.vocabulary import files

    with files.replacing(to, overwrite=overwrite) as path:
        table.to_csv(path, index=False)
    print(f"{to}: {len(table)} events")


def _print(result: xr.Dataset) -> None:
    """The main scores of events of any category, and how early they were seen; region by region."""
    for region in result["region"].values if "region" in result.dims else [None]:
        here = result if region is None else result.sel(region=region, drop=True)
        if region is not None:
            print(region)
        words.print_scores(here[[name for name in SHOWN if name in here]].sel(category="Moderate", drop=True))
        if "detection_lead" in here:
            leads = (f"{model} {float(here['detection_lead'].sel(model=model)):.1f}" for model in here["model"].values)
            print(f"mean lead at which events were first in a forecast [days]: {', '.join(leads)}")
