"""Ocean-E2E: `mhw_<year>.nc`, `geo_<year>.nc` and the system's other yearly NetCDF files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import xarray as xr

from ..vocabulary.errors import unknown
from ..vocabulary.progress import Progress
from ..vocabulary.published import OCEAN_E2E
from . import season, yearly
from .way import Asked, prepared, way


def write(
    ds: xr.Dataset,
    to: Path,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
    content: str = "mhw",
    scaling: Mapping[str, tuple[float, float]] | None = None,
    file: str | None = None,
    rows: str = "south_to_north",
    first_longitude: float = -180.0,
    dropped_row: str = "none",
    pad: bool = False,
    repeated_column: bool = False,
    land: str = "nan",
    absent_day: str | None = None,
    partial: bool = False,
    quantity: Mapping[str, str] | None = None,
    climatology: xr.Dataset | str | None = None,
) -> list[Path]:
    """The files written in the folder `to`, one a year. For other options see `neuralom.write`.

    Parameters
    ----------
    content
        "mhw" (sst, zos, u10, v10, t2m), "forcing" (the same in 025res_{year}.nc), "baseline" (sst, u10, v10, t2m),
        "geostrophic" (ugos, vgos), "altimetry" (ugos and vgos apart) or "anomaly" (`ssta_highres`).
    scaling
        {variable: [value that becomes 0, value that becomes 1]}, required for "anomaly"; [0, 1] to scale nothing.
    file
        What a year's file is called, with {year} in it; None: the published name.
    repeated_column
        True: the first column once more at the end.
    quantity
        {variable: "total" | "anomaly"} other than the published files' anomaly of sst.
    climatology
        Years ("1993:2017"), a store or a Dataset: taken away to make the anomaly of a total.
    """
    if content not in OCEAN_E2E:
        raise unknown("content", content, OCEAN_E2E)
    layout = OCEAN_E2E[content]
    layout = replace(layout, file=yearly.named(file or layout.file))
    asked = Asked.of(locals())
    at, how = yearly.years(ds, asked), way(ds, layout, asked)
    paths = yearly.targets(to, [layout.file.format(year=y) for y in at], overwrite)
    cycle = season.chosen(ds, climatology, layout.anomalies, progress)
    fields = prepared(ds, layout, asked, cycle)
    files = dict(zip(at, paths, strict=True))
    yearly.write(fields, how, at, files, yearly.netcdf, overwrite=overwrite, progress=progress)
    return paths
