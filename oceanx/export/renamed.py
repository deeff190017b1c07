"""Forecasts under the names of WeatherBench 2 and climpred, as Zarr stores."""

from __future__ import annotations

from pathlib import Path

import xarray as xr

from ..ocean import labels, views
from ..vocabulary.progress import Progress
from . import stores


def weatherbench(ds: xr.Dataset, to: Path, *, overwrite: bool = False, progress: Progress | None = None) -> list[Path]:
    """The Zarr store written at `to`: `time`, `prediction_timedelta`, `level`, `number`, as WeatherBench 2 reads.

    WeatherBench-X reads forecasts of oceanx as they are.
    """
    return _written(ds, to, "weatherbench", overwrite, progress)


def climpred(ds: xr.Dataset, to: Path, *, overwrite: bool = False, progress: Progress | None = None) -> list[Path]:
    """The Zarr store written at `to`: `init`, `lead` with its `units`, `member`, as climpred reads."""
    return _written(ds, to, "climpred", overwrite, progress)


def _written(ds: xr.Dataset, to: Path, layout: str, overwrite: bool, progress: Progress | None) -> list[Path]:
    labels.check(ds, values=False)
    names = views.LAYOUTS[layout]
    along = (names["init_time"], names["lead_time"])
    return [stores.write(views.to(ds, layout), to, along, overwrite=overwrite, progress=progress)]
